package openapi

// schema is an entity of the API as the OpenAPI document describes it. What it says is what goes over the wire, in both formats;
// the names of the schemas are those that programs have been generated from.
type schema struct {
	name string
	// root is the root element in XML.
	root   string
	about  string
	fields []field
	// oneList says that its fields are names of one list.
	oneList bool
	// media is the only media type that it has; empty: XML and JSON.
	media string
}

// field is one of an entity's.
type field struct {
	name string // in JSON, and in XML unless it says otherwise
	// kind is a type of OpenAPI, or one of those below.
	kind  string
	about string
	// of is the schema of a list's entries; empty: strings.
	of string
	// element is the name in XML where it is another: of an entry of a list that no element of its own wraps.
	element string
	// item is the name of an entry of a wrapped list.
	item string
	// attribute: an attribute in XML. required: in requests as in answers. writeOnly: in requests alone.
	attribute, required, writeOnly bool
	enum                           []string
}

// Kinds of fields besides string, integer and boolean.
const (
	kindDate    = "date"    // milliseconds since 1970 in JSON, ISO 8601 in XML
	kindSeconds = "seconds" // since 1970
	kindList    = "array"
)

func text(name, about string) field    { return field{name: name, kind: "string", about: about} }
func number(name, about string) field  { return field{name: name, kind: "integer", about: about} }
func boolean(name, about string) field { return field{name: name, kind: "boolean", about: about} }
func date(name, about string) field    { return field{name: name, kind: kindDate, about: about} }

// texts is a list of strings that an element wraps.
func texts(name, item, about string) field {
	return field{name: name, kind: kindList, item: item, about: about}
}

// entries is the one field of a list's schema.
func entries(name, of, about string) field {
	return field{name: name, kind: kindList, of: of, about: about}
}

func (f field) needed() field                { f.required = true; return f }
func (f field) oneOf(values ...string) field { f.enum = values; return f }

// schemas are all entities.
func schemas() []schema {
	list := []schema{
		{name: "ErrorResponse", root: "error", about: "What every answer that is no success has.", fields: []field{
			text("resource", "What it is about."), text("message", "What is wrong, in a sentence."),
			text("exception", "A name that programs can go by."),
		}},

		{name: "UserEntity", root: "user", about: "An account.", fields: []field{
			text("username", "The part of the address before the @. Creating needs it."),
			text("name", "The name that people see. Absent in a change: it stays; blank: none."),
			text("email", "Absent in a change: it stays; blank: none."),
			{name: "password", kind: "string", writeOnly: true, about: "Never in an answer. Creating needs it; absent in a change, it stays."},
			{name: "properties", kind: kindList, of: "UserProperty", item: "property", about: "Replaced as a whole: a change without them leaves none."},
		}},
		{name: "UserProperty", root: "property", about: "A key and its value, which programs keep with an account.", fields: pair()},
		{name: "UserEntities", root: "users", about: "Accounts.", fields: []field{entries("users", "UserEntity", "")}},
		{name: "UserGroupsEntity", root: "groups", oneList: true, about: "The groups that an account is in.", fields: []field{
			{name: "groupnames", kind: kindList, element: "groupname", about: "Names of groups."},
			{name: "groupname", kind: kindList, element: "groupname", about: "The same list under the name that it had before version 1.7 of the original. JSON alone; in a request one of the two is enough."},
		}},
		{name: "RosterItemEntity", root: "rosterItem", about: "A contact.", fields: []field{
			text("jid", "The contact's address; a bare name is an account of this server. In a change the address of the path counts."),
			text("nickname", "Absent in a change: it stays."),
			number("subscriptionType", "-1 takes the contact away, 0 none, 1 to, 2 from, 3 both. Absent: 0."),
			texts("groups", "group", "The user's own groups of contacts. Absent in a change: they stay."),
		}},
		{name: "RosterEntities", root: "roster", about: "An account's contacts.", fields: []field{entries("rosterItem", "RosterItemEntity", "")}},
		{name: "LockoutEntity", root: "lockout", about: "Whether an account is locked.", fields: []field{text("username", ""), boolean("locked", "")}},
		{name: "LockoutEntities", root: "lockouts", about: "Locked accounts.", fields: []field{entries("lockouts", "LockoutEntity", "")}},
		{name: "VCard", root: "vCard", about: "What people say about themselves, as XEP-0054 has it.", media: "application/xml"},

		{name: "GroupEntity", root: "group", about: "A group.", fields: []field{
			text("name", "Exact, letter case included; any characters.").needed(), text("description", ""),
			texts("admins", "admin", "Usernames or bare JIDs; in an answer bare JIDs. Absent in a change: they stay."),
			texts("members", "member", "Likewise. Nobody is both."),
			boolean("shared", "Whether members are in each other's contact lists. Absent in a request: false."),
		}},
		{name: "GroupEntities", root: "groups", about: "Groups.", fields: []field{entries("groups", "GroupEntity", "")}},

		{name: "SessionEntity", root: "session", about: "A client's session.", fields: []field{
			text("sessionId", "The full JID."), text("username", "Anonymous for a session without an account."), text("resource", ""),
			text("node", "Whether this process has it.").oneOf("Local", "Remote"),
			text("sessionStatus", "").oneOf("Closed", "Connected", "Authenticated", "Unknown"),
			text("presenceStatus", "").oneOf("Online", "Away", "Available to Chat", "Do Not Disturb", "Extended Away", "Unknown/Not Recognized"),
			text("presenceMessage", ""), number("priority", "From -128 to 127."), text("hostAddress", ""), text("hostName", ""),
			date("creationDate", ""), date("lastActionDate", ""), boolean("secure", "Whether the connection is encrypted."),
		}},
		{name: "SessionEntities", root: "sessions", about: "Sessions.", fields: []field{entries("sessions", "SessionEntity", "")}},
		{name: "SessionsCount", root: "sessions", about: "How many sessions have available presence.", fields: []field{
			number("localSessions", "On this node."), number("clusterSessions", "On all."),
		}},
		{name: "MessageEntity", root: "message", about: "A message.", fields: []field{text("body", "").needed()}},
		{name: "MsgArchiveEntity", root: "archive", about: "How many messages wait for an account.", fields: []field{text("jid", "As in the path."), number("count", "")}},
		{name: "SecurityAuditLog", root: "log", about: "An entry of the audit log.", fields: []field{
			number("logId", ""), text("username", "Who did it."), {name: "timestamp", kind: kindSeconds, about: "Seconds since 1970, in both formats."},
			text("summary", ""), text("node", "The server that wrote it."), text("details", ""),
		}},
		{name: "SecurityAuditLogs", root: "logs", about: "Entries of the audit log, the newest first.", fields: []field{entries("logs", "SecurityAuditLog", "")}},

		{name: "SystemProperty", root: "property", about: "A system property.", fields: pair()},
		{name: "SystemProperties", root: "properties", about: "System properties.", fields: []field{entries("property", "SystemProperty", "")}},
		{name: "ClusteringEntity", root: "clustering", about: "Whether and how this server is part of a cluster.", fields: []field{
			text("status", "").oneOf("Disabled", "Starting up", "Junior member", "Senior member", "SENIOR AND ONLY MEMBER"),
		}},
		{name: "ClusterNodeEntity", root: "clusterNode", about: "A node of the cluster.", fields: []field{
			text("hostName", ""), text("nodeID", ""), date("joinedTime", ""), boolean("seniorMember", ""),
		}},
		{name: "ClusterNodeEntities", root: "clusterNodes", about: "Nodes of the cluster.", fields: []field{entries("clusterNodes", "ClusterNodeEntity", "")}},
	}
	return append(list, roomSchemas()...)
}

func roomSchemas() []schema {
	const jids = "JIDs; a bare name is an account of this server."
	return []schema{
		{name: "MUCRoomEntity", root: "chatRoom", about: "A chat room. A change replaces all of it: what is absent falls back to what is said here.", fields: []field{
			text("roomName", "The part of the address before the @.").needed(),
			text("naturalName", "The name that people see. Absent: the roomName."), text("description", ""),
			text("password", "What one has to know to come in. Absent: nothing."),
			text("subject", "Absent: none."),
			date("creationDate", "Absent: now."), date("modificationDate", "Absent: now."),
			number("maxUsers", "How many may be inside; 0, as when absent: any number."),
			boolean("persistent", "Whether it stays when the last occupant goes. Absent: false, as with all that follow."),
			boolean("publicRoom", "Whether it is listed."), boolean("registrationEnabled", "Whether people may register a nickname."),
			boolean("canAnyoneDiscoverJID", "Whether everybody sees real addresses."), boolean("canOccupantsChangeSubject", ""), boolean("canOccupantsInvite", ""),
			boolean("canChangeNickname", ""), boolean("logEnabled", "Whether what is said is archived."),
			boolean("loginRestrictedToNickname", "Whether people come in by their registered nickname only."),
			boolean("membersOnly", ""), boolean("moderated", ""),
			texts("broadcastPresenceRoles", "broadcastPresenceRole", "Of whom presence is told: moderator, participant, visitor. Empty: of nobody."),
			texts("owners", "owner", jids), texts("admins", "admin", jids), texts("members", "member", jids), texts("outcasts", "outcast", jids),
			texts("ownerGroups", "ownerGroup", "Names of groups."), texts("adminGroups", "adminGroup", "Names of groups."),
			texts("memberGroups", "memberGroup", "Names of groups."), texts("outcastGroups", "outcastGroup", "Names of groups."),
			text("allowPM", "Who may send private messages. Absent: anyone.").oneOf("anyone", "participants", "moderators", "none"),
		}},
		{name: "MUCRoomEntities", root: "chatRooms", about: "Chat rooms.", fields: []field{entries("chatRooms", "MUCRoomEntity", "")}},
		{name: "RoomCreationResultEntity", root: "result", about: "What became of one room of several.", fields: []field{
			text("roomName", ""), text("resultType", "").oneOf("Success", "Failure"), text("message", ""),
		}},
		{name: "RoomCreationResultEntities", root: "results", about: "What became of several rooms.", fields: []field{
			{name: "success", kind: kindList, of: "RoomCreationResultEntity", item: "result"},
			{name: "failure", kind: kindList, of: "RoomCreationResultEntity", item: "result"},
			{name: "other", kind: kindList, of: "RoomCreationResultEntity", item: "result", about: "Always empty."},
		}},
		{name: "ParticipantEntity", root: "participant", about: "An occupant of a room.", fields: []field{
			text("jid", "The address in the room."), text("role", "").oneOf("moderator", "participant", "visitor", "none"),
			text("affiliation", "").oneOf("owner", "admin", "member", "outcast", "none"),
		}},
		{name: "ParticipantEntities", root: "participants", about: "Occupants of a room whose role is participant.", fields: []field{entries("participants", "ParticipantEntity", "")}},
		{name: "OccupantEntity", root: "occupant", about: "An occupant of a room.", fields: []field{
			text("jid", "The address in the room."), text("userAddress", "The real full JID."), text("role", "").oneOf("moderator", "participant", "visitor", "none"),
			text("affiliation", "").oneOf("owner", "admin", "member", "outcast", "none"),
		}},
		{name: "OccupantEntities", root: "occupants", about: "Everybody in a room.", fields: []field{entries("occupants", "OccupantEntity", "")}},
		{name: "MUCRoomMessageEntity", root: "message", about: "Something that was said in a room.", fields: []field{
			text("to", ""), text("from", "The speaker's address in the room."), text("type", "groupchat"), text("body", "Absent for a change of the subject."),
			text("delay_stamp", "When, in UTC (XEP-0203)."), text("delay_from", "The speaker's real address, where the room shows it."),
		}},
		{name: "MUCRoomMessageEntities", root: "messages", about: "What was said in a room, the oldest first.", fields: []field{entries("message", "MUCRoomMessageEntity", "")}},
		{name: "MUCInvitationEntity", root: "mucInvitation", about: "An invitation.", fields: []field{text("reason", "")}},
		{name: "MUCInvitationsEntity", root: "mucInvitations", about: "An invitation of several.", fields: []field{
			text("reason", ""), texts("jidsToInvite", "jid", "JIDs, usernames or names of groups."),
		}},
		{name: "AffiliatedEntities", oneList: true, root: "", about: "Those who have an affiliation: one of the four lists, which in XML is the root element.", fields: []field{
			{name: "owners", kind: kindList, item: "owner"}, {name: "admins", kind: kindList, item: "admin"},
			{name: "members", kind: kindList, item: "member"}, {name: "outcasts", kind: kindList, item: "outcast"},
		}},
		{name: "MUCServiceEntity", root: "chatService", about: "A service of chat rooms.", fields: []field{
			text("serviceName", "The subdomain.").needed(), text("description", ""), boolean("hidden", "Absent: false."),
		}},
		{name: "MUCServiceEntities", root: "chatServices", about: "Services of chat rooms.", fields: []field{entries("chatService", "MUCServiceEntity", "")}},
	}
}

func pair() []field {
	return []field{
		{name: "key", kind: "string", attribute: true, required: true},
		{name: "value", kind: "string", attribute: true},
	}
}

// tree is the schema as the document has it.
func (s *schema) tree() tree {
	var properties object
	var required []tree
	for i := range s.fields {
		f := &s.fields[i]
		properties = append(properties, member{f.name, f.tree()})
		if f.required {
			required = append(required, f.name)
		}
	}
	o := object{{"type", "object"}}.with("description", s.about).with("required", required).with("properties", properties)
	if s.root != "" {
		o = o.with("xml", object{{"name", s.root}})
	}
	return o
}

func (f *field) tree() tree {
	o := object{}
	about := f.about
	switch f.kind {
	case kindDate:
		o = append(o, member{"type", "integer"}, member{"format", "int64"})
		about = joined(about, "Milliseconds since 1970; in XML ISO 8601, such as 2031-04-05T06:07:08.123+02:00.")
	case kindSeconds:
		o = append(o, member{"type", "integer"}, member{"format", "int64"})
	case "integer":
		o = append(o, member{"type", "integer"}, member{"format", "int32"})
	default:
		o = append(o, member{"type", f.kind})
	}
	o = o.with("description", about)
	if f.writeOnly {
		o = append(o, member{"writeOnly", true})
	}
	var enum []tree
	for _, value := range f.enum {
		enum = append(enum, value)
	}
	o = o.with("enum", enum)
	if f.attribute {
		o = append(o, member{"xml", object{{"attribute", true}}})
	}
	if f.kind != kindList {
		return o
	}
	items := tree(object{{"$ref", schemaPath + f.of}})
	if f.of == "" {
		one := object{{"type", "string"}}
		if name := f.element + f.item; name != "" {
			one = append(one, member{"xml", object{{"name", name}}})
		}
		items = one
	}
	o = append(o, member{"items", items})
	if f.item != "" {
		o = append(o, member{"xml", object{{"wrapped", true}}})
	}
	return o
}

const schemaPath = "#/components/schemas/"

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}
