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
	probe := func(path string, handle func(*call) (answer, error)) *route {
		return &route{path: path, public: true, operations: []operation{{method: get, handle: handle}}}
	}
	return []*route{
		{path: "users", operations: []operation{
			{method: get, handle: listUsers, answers: true},
			{method: post, handle: createUsers, takes: true},
		}},
		{path: "users/{username}", operations: []operation{
			{method: get, handle: getUser, answers: true},
			{method: put, handle: updateUser, takes: true},
			{method: remove, handle: deleteUser},
		}},
		{path: "users/{username}/roster", operations: []operation{
			{method: get, handle: getRoster, answers: true},
			{method: post, handle: addContact, takes: true},
			{method: put, handle: updateContact, takes: true},
		}},
		{path: "users/{username}/roster/{jid}", operations: []operation{
			{method: put, handle: updateContact, takes: true},
			{method: remove, handle: removeContact},
		}},
		{path: "lockouts", operations: []operation{
			{method: get, handle: listLockouts, answers: true},
		}},
		{path: "lockouts/{username}", operations: []operation{
			{method: get, handle: getLockout, answers: true},
			{method: post, handle: lockUser},
			{method: remove, handle: unlockUser},
		}},
		{path: "sessions", operations: []operation{
			{method: get, handle: listSessions, answers: true},
		}},
		{path: "sessions/{username}", operations: []operation{
			{method: get, handle: listSessions, answers: true},
			{method: remove, handle: kickUser},
		}},
		{path: "system/properties", operations: []operation{
			{method: get, handle: listProperties, answers: true},
			{method: post, handle: setProperty, takes: true},
		}},
		{path: "system/properties/{key}", operations: []operation{
			{method: get, handle: getProperty, answers: true},
			{method: post, handle: setProperty, takes: true},
			{method: put, handle: updateProperty, takes: true},
			{method: remove, handle: deleteProperty},
		}},
		{path: "system/statistics/sessions", operations: []operation{
			{method: get, handle: countSessions, answers: true},
		}},

		probe("system/liveness", live),
		probe("system/liveness/deadlock", live),
		probe("system/liveness/properties", live),
		probe("system/readiness", ready),
		probe("system/readiness/server", ready),
		// A check that doesn't apply counts as passed: there is no cluster that could be
		// starting, and no plugin.
		probe("system/readiness/cluster", passed),
		probe("system/readiness/plugins", passed),
		probe("system/readiness/connections", readyForConnections),
	}
}
