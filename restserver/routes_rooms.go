package restserver

import "net/http"

// roomRoutes are the paths of chat rooms and chat services.
func roomRoutes() []*route {
	const (
		get    = http.MethodGet
		post   = http.MethodPost
		put    = http.MethodPut
		remove = http.MethodDelete

		illegal   = "400 IllegalArgumentException"
		noService = "404 MUCServiceNotFoundException"
		noRoom    = "404 RoomNotFoundException"
		forbidden = "403 NotAllowedException"
		conflict  = "409 NotAllowedException"
		exists    = "409 AlreadyExistsException"
	)
	service := queryParameter{name: "servicename", kind: "string", initial: "conference", description: "The chat service."}
	invitations := queryParameter{name: "sendInvitations", kind: "boolean", initial: "false", description: "Whether those who get an affiliation are invited."}
	expand := queryParameter{name: "expandGroups", kind: "boolean", initial: "false", description: "Whether members of groups stand in the lists of users, too."}
	query := func(more ...queryParameter) []queryParameter { return append([]queryParameter{service}, more...) }
	anyService := service
	anyService.description = "The chat service. One that is not there is made, with its name as description."
	inRoom := func(more ...string) []string { return append([]string{noService, noRoom}, more...) }

	room := &route{path: "chatrooms/{roomName}", operations: []operation{
		{method: get, handle: getRoom, answers: true, doc: doc{
			id: "getMUCRoomJSON2", tag: "Chat room", summary: "Shows a chat room", query: query(expand), answers: "MUCRoomEntity", errors: inRoom(),
		}},
		{method: put, handle: updateRoom, takes: true, doc: doc{
			id: "updateMUCRoom", tag: "Chat room", summary: "Replaces a chat room: what the body leaves out has its default; one that is missing is created",
			query: []queryParameter{anyService, invitations}, takes: "MUCRoomEntity", errors: []string{illegal, forbidden, conflict},
		}},
		{method: remove, handle: deleteRoom, doc: doc{
			id: "deleteMUCRoom", tag: "Chat room", summary: "Deletes a chat room with what was said in it", query: query(), errors: inRoom(illegal),
		}},
	}}
	affiliated := func(path string, operations ...operation) *route {
		words := make([]string, 0, len(affiliationWords))
		for _, a := range affiliationWords {
			words = append(words, a.list)
		}
		return &route{path: path, words: map[string][]string{"affiliations": words}, operations: operations}
	}
	changes := inRoom(illegal, conflict)             // what is asked for here is nobody's to forbid: who may call, may
	acts := []string{managedElsewhere, notYetActive} // invitations and messages are declared nowhere
	return []*route{
		{path: "chatrooms", operations: []operation{
			{method: get, handle: listRooms, answers: true, doc: doc{
				id: "getMUCRooms", tag: "Chat room", summary: "Lists the chat rooms of a service", answers: "MUCRoomEntities", errors: []string{noService},
				query: query(queryParameter{name: "type", kind: "string", initial: "public", description: "public, or all for those as well that are not listed."},
					queryParameter{name: "search", kind: "string", description: "A part of the name or of the natural name, in any letter case."}, expand),
			}},
			{method: post, handle: createRoom, takes: true, doc: doc{
				id: "createMUCRoom", tag: "Chat room", summary: "Creates a chat room", query: []queryParameter{anyService, invitations}, takes: "MUCRoomEntity",
				errors: []string{illegal, forbidden, conflict, exists},
			}},
		}},
		// A room may be called that as well.
		{path: "chatrooms/bulk", also: room, operations: []operation{
			{method: post, handle: createRooms, takes: true, answers: true, most: maxListBody, doc: doc{
				id: "createMUCRooms", tag: "Chat room", summary: "Creates several chat rooms; those that are there stay as they are", query: []queryParameter{anyService, invitations},
				takes: "MUCRoomEntities", answers: "RoomCreationResultEntities", errors: []string{illegal}, status: http.StatusOK,
			}},
		}},
		room,
		{path: "chatrooms/{roomName}/participants", operations: []operation{
			{method: get, handle: listParticipants, answers: true, doc: doc{
				id: "getMUCRoomParticipants", tag: "Chat room", summary: "Lists the occupants in the role of a participant",
				query: query(), answers: "ParticipantEntities", errors: inRoom(),
			}},
		}},
		{path: "chatrooms/{roomName}/occupants", operations: []operation{
			{method: get, handle: listOccupants, answers: true, doc: doc{
				id: "getMUCRoomOccupants", tag: "Chat room", summary: "Lists everybody in a chat room", query: query(), answers: "OccupantEntities", errors: inRoom(),
			}},
		}},
		{path: "chatrooms/{roomName}/chathistory", operations: []operation{
			{method: get, handle: listHistory, answers: true, doc: doc{
				id: "getMUCRoomHistory", tag: "Chat room", summary: "Lists what was said last in a chat room, the oldest first",
				answers: "MUCRoomMessageEntities", errors: inRoom(illegal),
				query: query(queryParameter{name: "before", kind: "string", description: "Only what was said before this time, such as the first delay_stamp of the last answer."},
					queryParameter{name: "limit", kind: "integer", description: "How many messages to give, at most 1000; absent: what the room keeps for those who enter."},
					queryParameter{name: "offset", kind: "integer", initial: "0", description: "How many messages to leave out at the end."}),
			}},
		}},
		{path: "chatrooms/{roomName}/invite", operations: []operation{
			{method: post, handle: inviteSeveral, takes: true, doc: doc{
				id: "inviteUsersAndOrGroupsToMUCRoom", tag: "Chat room", summary: "Invites users and groups to a chat room",
				query: query(), takes: "MUCInvitationsEntity",
				errors: inRoom(illegal, forbidden), without: acts, status: http.StatusOK,
			}},
		}},
		{path: "chatrooms/{roomName}/invite/{jid}", operations: []operation{
			{method: post, handle: invite, takes: true, optional: true, doc: doc{
				id: "inviteUserOrGroupToMUCRoom", tag: "Chat room", summary: "Invites a user or a group to a chat room",
				query: query(), takes: "MUCInvitationEntity",
				errors: inRoom(illegal, forbidden), without: acts, status: http.StatusOK,
			}},
		}},
		affiliated("chatrooms/{roomName}/{affiliations}",
			operation{method: get, handle: listAffiliation, answers: true, doc: doc{
				id: "getAffiliations", tag: "Chat room", summary: "Lists who has an affiliation with a chat room",
				query: query(), answers: "AffiliatedEntities", errors: inRoom(),
			}},
			operation{method: put, handle: replaceAffiliations, takes: true, doc: doc{
				id: "replaceMUCRoomAffiliation", tag: "Chat room", summary: "Gives exactly these an affiliation with a chat room",
				query: query(invitations), takes: "AffiliatedEntities",
				errors: changes, status: http.StatusCreated,
			}},
			operation{method: post, handle: addAffiliations, takes: true, doc: doc{
				id: "addMUCRoomAffiliations", tag: "Chat room", summary: "Gives these an affiliation with a chat room, too",
				query: query(invitations), takes: "AffiliatedEntities", errors: changes,
			}}),
		affiliated("chatrooms/{roomName}/{affiliations}/{jid}",
			operation{method: post, handle: addAffiliation, doc: doc{
				id: "addMUCRoomAffiliation", tag: "Chat room", summary: "Gives a user or a group an affiliation with a chat room",
				query: query(invitations), errors: changes,
			}},
			operation{method: remove, handle: removeAffiliation, doc: doc{
				id: "deleteMUCRoomAffiliation", tag: "Chat room", summary: "Takes an affiliation with a chat room from a user or a group",
				query: query(), errors: changes,
			}}),
		affiliated("chatrooms/{roomName}/{affiliations}/group/{groupname}",
			operation{method: post, handle: addGroupAffiliation, doc: doc{
				id: "addMUCRoomAffiliationGroup", tag: "Chat room", summary: "Gives a group an affiliation with a chat room",
				query: query(invitations), errors: changes,
			}},
			operation{method: remove, handle: removeGroupAffiliation, doc: doc{
				id: "deleteMUCRoomAffiliationGroup", tag: "Chat room", summary: "Takes an affiliation with a chat room from a group",
				query: query(), errors: changes,
			}}),
		{path: "chatservices", operations: []operation{
			{method: get, handle: listChatServices, answers: true, doc: doc{
				id: "getMUCServices", tag: "Chat service", summary: "Lists the chat services", answers: "MUCServiceEntities",
			}},
			{method: post, handle: createChatService, takes: true, doc: doc{
				id: "createMUCService", tag: "Chat service", summary: "Creates a chat service", takes: "MUCServiceEntity", errors: []string{illegal, exists},
			}},
		}},
		{path: "messages/rooms/{roomName}", operations: []operation{
			{method: post, handle: sendToRoom, takes: true, doc: doc{
				id: "sendMessageToMUCRoom", tag: "Message", summary: "Says something in a chat room, as the room itself",
				query: query(), takes: "MessageEntity", errors: inRoom(illegal), without: acts,
			}},
		}},
	}
}
