package restserver

import "net/http"

// table is every path of the API. Where two routes match a path, the one with the
// fixed word comes first.
func (s *Server) table() []*route {
	const (
		get    = http.MethodGet
		post   = http.MethodPost
		put    = http.MethodPut
		remove = http.MethodDelete
	)
	noUser, noProperty := "404 UserNotFoundException", "404 PropertyNotFoundException"
	illegal, sharedContact := "400 IllegalArgumentException", "400 SharedGroupException"
	// A creation changes nothing that somebody else could have declared. What is declared nowhere is nobody else's, and in force at once.
	creates, acts := []string{managedElsewhere}, []string{managedElsewhere, othersChange, notYetActive}
	probe := func(path, id, summary string, handle func(*call) (answer, error), errors []string, query ...queryParameter) *route {
		return &route{path: path, public: true, operations: []operation{{method: get, handle: handle, doc: doc{
			id: id, tag: "System", summary: summary, query: query, errors: errors,
		}}}}
	}
	fails := []string{"503 ServiceUnavailableException"}
	routes := []*route{
		{path: "users", operations: []operation{
			{method: get, handle: listUsers, answers: true, doc: doc{
				id: "getUsers", tag: "Users", summary: "Lists accounts, by username", answers: "UserEntities",
				query: []queryParameter{
					{name: "search", kind: "string", description: "A part of the username, in any letter case."},
					{name: "propertyKey", kind: "string", description: "Only accounts that have this property; search is without effect then."},
					{name: "propertyValue", kind: "string", description: "Only those whose property has exactly this value."},
				},
			}},
			{method: post, handle: createUsers, takes: true, most: maxListBody, doc: doc{
				id: "createUser", tag: "Users", summary: "Creates an account, or all of a list {users: [...]} or none", takes: "UserEntity",
				errors: []string{"400 PasswordIsNull", "409 UserAlreadyExistsException"}, without: creates,
			}},
		}},
		{path: "users/{username}", operations: []operation{
			{method: get, handle: getUser, answers: true, doc: doc{
				id: "getUser", tag: "Users", summary: "Shows an account", answers: "UserEntity", errors: []string{noUser},
			}},
			{method: put, handle: updateUser, takes: true, doc: doc{
				id: "updateUser", tag: "Users", summary: "Changes an account", takes: "UserEntity", errors: []string{noUser, "409 UserAlreadyExistsException"},
			}},
			{method: remove, handle: deleteUser, doc: doc{
				id: "deleteUser", tag: "Users", summary: "Deletes an account and what it left", errors: []string{illegal, noUser},
			}},
		}},
		{path: "users/{username}/groups", operations: []operation{
			{method: get, handle: listUserGroups, answers: true, doc: doc{
				id: "getUserGroups", tag: "Users", summary: "Lists the names of the groups that an account is in", answers: "UserGroupsEntity",
				errors: []string{"400 GroupNotFoundException", "404 UserNotFoundException"},
			}},
			{method: post, handle: addToGroups, takes: true, doc: doc{
				id: "addUserToGroups", tag: "Users", summary: "Puts somebody into groups; those that are missing are created", takes: "UserGroupsEntity",
			}},
			{method: remove, handle: removeFromGroups, takes: true, doc: doc{
				id: "deleteUserFromGroups", tag: "Users", summary: "Takes somebody out of groups", takes: "UserGroupsEntity",
				errors: []string{"404 GroupNotFoundException"},
			}},
		}},
		{path: "users/{username}/groups/{group}", operations: []operation{
			{method: post, handle: addToGroup, doc: doc{
				id: "addUserToGroup", tag: "Users", summary: "Puts somebody into a group, which is created if it is missing", errors: []string{illegal},
			}},
			{method: remove, handle: removeFromGroup, doc: doc{
				id: "deleteUserFromGroup", tag: "Users", summary: "Takes somebody out of a group",
				errors: []string{illegal, "404 GroupNotFoundException"},
			}},
		}},
		{path: "users/{username}/roster", operations: []operation{
			{method: get, handle: getRoster, answers: true, doc: doc{
				id: "getUserRoster", tag: "Users", summary: "Lists an account's contacts", answers: "RosterEntities", errors: []string{noUser},
			}},
			{method: post, handle: addContact, takes: true, doc: doc{
				id: "createRoster", tag: "Users", summary: "Adds a contact", takes: "RosterItemEntity",
				errors: []string{noUser, sharedContact, "409 UserAlreadyExistsException"},
			}},
			{method: put, handle: updateContact, takes: true, doc: doc{
				id: "updateRosterItem", tag: "Users", summary: "Changes the contact whose address is in the body", takes: "RosterItemEntity",
				errors: []string{noUser, sharedContact},
			}},
		}},
		{path: "users/{username}/roster/{jid}", operations: []operation{
			{method: get, handle: getContact, answers: true, doc: doc{
				id: "getRosterItem", tag: "Users", summary: "Shows a contact", answers: "RosterItemEntity", errors: []string{noUser, "404 RosterItemNotFound"},
			}},
			{method: put, handle: updateContact, takes: true, doc: doc{
				id: "updateRoster", tag: "Users", summary: "Changes a contact", takes: "RosterItemEntity", errors: []string{noUser, sharedContact},
			}},
			{method: remove, handle: removeContact, doc: doc{
				id: "deleteRoster", tag: "Users", summary: "Takes a contact away", errors: []string{illegal, noUser, sharedContact, "404 RosterItemNotFound"},
			}},
		}},
		{path: "groups", operations: []operation{
			{method: get, handle: listGroups, answers: true, doc: doc{
				id: "getGroups", tag: "User Group", summary: "Lists groups, without who is in them", answers: "GroupEntities",
			}},
			{method: post, handle: createGroup, takes: true, doc: doc{
				id: "createGroup", tag: "User Group", summary: "Creates a group", takes: "GroupEntity",
				errors: []string{"409 GroupAlreadyExistsException"}, without: creates,
			}},
		}},
		{path: "groups/{group}", operations: []operation{
			{method: get, handle: getGroup, answers: true, doc: doc{
				id: "getGroup", tag: "User Group", summary: "Shows a group with its admins and members", answers: "GroupEntity",
				errors: []string{"404 GroupNotFoundException"},
			}},
			{method: put, handle: updateGroup, takes: true, doc: doc{
				id: "updateGroup", tag: "User Group", summary: "Changes a group; a list of members or admins replaces the old one", takes: "GroupEntity",
				errors: []string{"404 GroupNotFoundException"},
			}},
			{method: remove, handle: deleteGroup, doc: doc{
				id: "deleteGroup", tag: "User Group", summary: "Deletes a group",
				errors: []string{"404 GroupNotFoundException"},
			}},
		}},
		{path: "users/{username}/vcard", operations: []operation{
			{method: get, handle: getVCard, answers: true, xmlOnly: true, doc: doc{
				id: "getUserVcard", tag: "Users", summary: "The vCard of a user, as XML: 204 if there is none, or no such user",
				answers: "VCard", empty: true, errors: []string{"400 UserNotFoundException"},
			}},
			{method: put, handle: setVCard, takes: true, xmlOnly: true, doc: doc{
				id: "setUserVcard", tag: "Users", summary: "Replaces the vCard of a user",
				takes: "VCard", errors: []string{"400 UserNotFoundException", noUser}, without: acts,
			}},
			{method: remove, handle: deleteVCard, doc: doc{
				id: "deleteUserVcard", tag: "Users", summary: "Takes the vCard of a user away, if there is one", errors: []string{illegal, "400 UserNotFoundException"}, without: acts,
			}},
		}},
		{path: "lockouts", operations: []operation{
			{method: get, handle: listLockouts, answers: true, doc: doc{
				id: "getLockouts", tag: "Users", summary: "Lists the accounts that are locked", answers: "LockoutEntities",
			}},
		}},
		{path: "lockouts/{username}", operations: []operation{
			{method: get, handle: getLockout, answers: true, doc: doc{
				id: "getLockout", tag: "Users", summary: "Tells whether an account is locked", answers: "LockoutEntity", errors: []string{noUser},
			}},
			{method: post, handle: lockUser, doc: doc{
				id: "disableUser", tag: "Users", summary: "Locks an account; its sessions end", errors: []string{illegal, noUser},
			}},
			{method: remove, handle: unlockUser, doc: doc{
				id: "enableUser", tag: "Users", summary: "Unlocks an account", errors: []string{illegal, noUser},
			}},
		}},
		{path: "sessions", operations: []operation{
			{method: get, handle: listSessions, answers: true, doc: doc{
				id: "getAllSessions", tag: "Client Sessions", summary: "Lists all sessions", answers: "SessionEntities",
			}},
		}},
		{path: "sessions/{username}", operations: []operation{
			{method: get, handle: listSessions, answers: true, doc: doc{
				id: "getUserSessions", tag: "Client Sessions", summary: "Lists an account's sessions", answers: "SessionEntities",
			}},
			{method: remove, handle: kickUser, doc: doc{
				id: "kickSession", tag: "Client Sessions", summary: "Closes an account's sessions; it may log in again at once", without: acts,
			}},
		}},
		{path: "messages/users", operations: []operation{
			{method: post, handle: broadcast, takes: true, doc: doc{
				id: "sendBroadcastMessage", tag: "Message", summary: "Sends a message to everybody who is connected; nobody gets it later",
				takes: "MessageEntity", without: acts,
			}},
		}},
		{path: "messages/users/{username}", operations: []operation{
			{method: post, handle: sendMessage, takes: true, doc: doc{
				id: "sendMessageToUser", tag: "Message", summary: "Sends a message to one user, who gets it now or at the next login",
				takes: "MessageEntity", errors: []string{"404 UserNotFoundException", "503 ServiceUnavailableException"}, without: acts,
			}},
		}},
		{path: "archive/messages/unread/{jid}", operations: []operation{
			{method: get, handle: countUnread, answers: true, doc: doc{
				id: "getUnReadMessagesCount", tag: "Message Archive", summary: "Counts the messages that wait for a user who is offline",
				answers: "MsgArchiveEntity", errors: []string{illegal},
			}},
		}},
		{path: "clustering/status", operations: []operation{
			{method: get, handle: getClusteringStatus, answers: true, doc: doc{
				id: "getClusteringStatus", tag: "Clustering", summary: "Tells what part this server has in a cluster", answers: "ClusteringEntity",
			}},
		}},
		{path: "clustering/nodes", operations: []operation{
			{method: get, handle: listClusterNodes, answers: true, doc: doc{
				id: "getClusterNodes", tag: "Clustering", summary: "Lists the nodes of the cluster: none without one", answers: "ClusterNodeEntities",
			}},
		}},
		{path: "clustering/nodes/{id}", operations: []operation{
			{method: get, handle: getClusterNode, answers: true, doc: doc{
				id: "getClusterNode", tag: "Clustering", summary: "Shows a node of the cluster", answers: "ClusterNodeEntity",
				errors: []string{"404 ClusterNodeNotFoundException"},
			}},
		}},
		{path: "logs/security", operations: []operation{
			{method: get, handle: listAudit, answers: true, doc: doc{
				id: "getSecurityAuditLogs", tag: "Security Audit Log", summary: "Lists who did what, newest first",
				answers: "SecurityAuditLogs", query: []queryParameter{
					{name: "username", kind: "string", description: "Only what this one did: a username, a secret's name, a field manager."},
					{name: "offset", kind: "integer", initial: "0", description: "How many of the newest entries are skipped."},
					{name: "limit", kind: "integer", initial: "100", description: "How many entries are listed at most; 0: none."},
					{name: "startTime", kind: "integer", initial: "0", description: "The first second, counted from 1970 (UTC); 0: the oldest there is."},
					{name: "endTime", kind: "integer", initial: "0", description: "The last second, counted from 1970 (UTC); 0: now."},
				},
			}},
		}},
		{path: "system/properties", operations: []operation{
			{method: get, handle: listProperties, answers: true, doc: doc{
				id: "getSystemProperties", tag: "System", summary: "Lists system properties, by key; secret values are masked", answers: "SystemProperties",
			}},
			{method: post, handle: setProperty, takes: true, doc: doc{
				id: "createSystemProperty", tag: "System", summary: "Sets a system property, also one that exists", takes: "SystemProperty",
			}},
		}},
		{path: "system/properties/{key}", operations: []operation{
			{method: get, handle: getProperty, answers: true, doc: doc{
				id: "getSystemProperty", tag: "System", summary: "Shows a system property", answers: "SystemProperty", errors: []string{noProperty},
			}},
			{method: post, handle: setProperty, takes: true, doc: doc{
				id: "setSystemProperty", tag: "System", summary: "Sets a system property, also one that exists", takes: "SystemProperty",
			}},
			{method: put, handle: updateProperty, takes: true, doc: doc{
				id: "updateSystemProperty", tag: "System", summary: "Changes a system property", takes: "SystemProperty", errors: []string{noProperty},
			}},
			{method: remove, handle: deleteProperty, doc: doc{
				id: "deleteSystemProperty", tag: "System", summary: "Deletes a system property; one that the server honours has its default then",
				errors: []string{noProperty},
			}},
		}},
		{path: "system/statistics/sessions", operations: []operation{
			{method: get, handle: countSessions, answers: true, doc: doc{
				id: "getCCS", tag: "Statistics", summary: "Counts the sessions with available presence", answers: "SessionsCount",
			}},
		}},

		probe("system/liveness", "liveness", "Fails when only a restart would help", live, fails),
		probe("system/liveness/deadlock", "livenessDeadlock", "Fails when the server is stuck", live, fails),
		probe("system/liveness/properties", "livenessSystemProperties", "Fails when the server does not follow its properties", live, fails),
		probe("system/readiness", "readiness", "Fails while clients would be turned away", ready, fails),
		probe("system/readiness/server", "readinessServerStart", "Fails while the server is starting", ready, fails),
		// A check that doesn't apply counts as passed: there is no cluster that could be
		// starting, and no plugin.
		probe("system/readiness/cluster", "readinessCluster", "Fails while the cluster is starting", passed, nil),
		probe("system/readiness/plugins", "readinessPlugins", "Succeeds always: there are no plugins", passed, nil),
		probe("system/readiness/connections", "readinessConnections", "Fails while listeners do not accept connections", readyForConnections, append(fails, illegal),
			queryParameter{name: "connectionType", kind: "string", description: "Only this type: SOCKET_S2S, SOCKET_C2S, BOSH_C2S, WEBADMIN, COMPONENT or CONNECTION_MANAGER."},
			queryParameter{name: "encrypted", kind: "boolean", description: "Only listeners that are encrypted from the start, or only those that are not; beside a type."}),

		{path: "openapi.yaml", public: true, operations: []operation{{method: get, handle: openAPIAsYAML, doc: doc{
			id: "getOpenAPIAsYAML", tag: "System", summary: "This document as YAML", media: "application/yaml",
		}}}},
		{path: "openapi.json", operations: []operation{{method: get, handle: openAPIAsJSON, doc: doc{
			id: "getOpenAPIAsJSON", tag: "System", summary: "This document as JSON", media: "application/json",
			without: []string{"403 RequestNotAuthorised"}, // it takes no right
		}}}},
		{path: "userservice", ownChecks: true, operations: []operation{
			{method: get, handle: userService, doc: doc{
				id: "userSerivceRequest", tag: "UserService (deprecated)", summary: "Does what the parameter type says", query: userServiceParameters, media: "text/xml",
				errors: []string{"403 UserServiceDisabled"},
			}},
			{method: post, handle: userService, doc: doc{
				id: "userSerivcePostRequest", tag: "UserService (deprecated)", summary: "The same; parameters may come as a form", query: userServiceParameters,
				status: http.StatusOK, media: "text/xml", empty: true, errors: []string{"403 UserServiceDisabled"},
			}},
		}},
		// Pages for people, outside the API.
		forPeople("/plugins/restapi/docs", browse),
		forPeople("/plugins/restapi/docs/index.html", browse),
		forPeople("/plugins/restapi/docs/openapi.json", openAPIAsJSON),
	}
	routes = append(routes, roomRoutes()...)
	return append(routes, standAlone(routes)...)
}

// Errors that a change has unless it cannot have them.
const (
	managedElsewhere = "409 ManagedByOther"
	othersChange     = "409 ConflictException"
	notYetActive     = "504 NotYetActiveException"
)

// forPeople is a path that browsers show to anybody, and that the OpenAPI document leaves out.
func forPeople(path string, handle func(*call) (answer, error)) *route {
	return &route{path: path, public: true, operations: []operation{{method: http.MethodGet, handle: handle}}}
}
