package entity

import "time"

// Session is a client's session: root "session".
type Session struct {
	SessionID, Username, Resource   string
	Node                            string
	SessionStatus                   string
	PresenceStatus, PresenceMessage string
	Priority                        int
	HostAddress, HostName           string
	CreationDate, LastActionDate    time.Time
	Secure                          bool
}

func (s Session) fields(w fieldWriter) {
	w.text("sessionId", s.SessionID)
	w.text("username", s.Username)
	w.text("resource", s.Resource)
	w.text("node", s.Node)
	w.text("sessionStatus", s.SessionStatus)
	w.optional("presenceStatus", s.PresenceStatus)
	w.optional("presenceMessage", s.PresenceMessage)
	w.integer("priority", s.Priority)
	w.optional("hostAddress", s.HostAddress)
	w.optional("hostName", s.HostName)
	w.date("creationDate", s.CreationDate)
	w.date("lastActionDate", s.LastActionDate)
	w.boolean("secure", s.Secure)
}

func (s Session) writeXML(w *xmlWriter) {
	w.start("session")
	s.fields(w)
	w.end("session")
}

func (s Session) writeJSON(w *jsonWriter) {
	w.begin('{')
	s.fields(w)
	w.end('}')
}

// Sessions is a list of sessions: root "sessions".
type Sessions []Session

func (l Sessions) writeXML(w *xmlWriter) { xmlList(w, "sessions", l) }

func (l Sessions) writeJSON(w *jsonWriter) { jsonList(w, "sessions", l) }

// SessionsCount counts sessions with available presence: root "sessions". The two
// numbers stand in another order in each format.
type SessionsCount struct {
	Local, Cluster int
}

func (c SessionsCount) writeXML(w *xmlWriter) {
	w.start("sessions")
	w.integer("clusterSessions", c.Cluster)
	w.integer("localSessions", c.Local)
	w.end("sessions")
}

func (c SessionsCount) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.integer("localSessions", c.Local)
	w.integer("clusterSessions", c.Cluster)
	w.end('}')
}
