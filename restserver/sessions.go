package restserver

import (
	"cmp"
	"net"
	"slices"
	"strconv"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp"
)

// listSessions is GET /sessions and GET /sessions/{username}: a user that doesn't exist has no
// sessions, that is no error.
func listSessions(c *call) (answer, error) {
	var sessions []xmpp.SessionInfo
	if name, one := c.params["username"]; !one {
		sessions = c.server.Sessions.Sessions("")
	} else if username, valid := prepareUsername(name, c.server.Domain); valid {
		sessions = c.server.Sessions.Sessions(username)
	}
	sessions = slices.Clone(sessions)
	slices.SortFunc(sessions, func(a, b xmpp.SessionInfo) int {
		return cmp.Or(cmp.Compare(a.JID.Local(), b.JID.Local()), a.JID.Compare(b.JID))
	})
	return listOf(c, sessions, func(part []xmpp.SessionInfo) entity.Entity {
		list := make(entity.Sessions, len(part))
		for i := range part {
			list[i] = sessionEntity(&part[i])
		}
		return list
	})
}

func sessionEntity(s *xmpp.SessionInfo) entity.Session {
	host, _, err := net.SplitHostPort(s.RemoteAddr)
	if err != nil {
		host = s.RemoteAddr
	}
	e := entity.Session{
		SessionID:       s.JID.String(),
		Username:        s.Username,
		Resource:        s.Resource,
		Node:            "Local", // one process serves a domain
		SessionStatus:   "Authenticated",
		PresenceStatus:  presenceStatus(s.Show),
		PresenceMessage: s.Status,
		Priority:        s.Priority,
		HostAddress:     host,
		HostName:        host, // names are not looked up: an answer must not wait for a name server
		CreationDate:    s.Created,
		LastActionDate:  s.LastActivity,
		Secure:          s.Secure,
	}
	if s.Anonymous {
		e.Username = "Anonymous"
	}
	return e
}

// presenceStatus is the original's word for a show value (RFC 6121 §4.7.2.1). A session without one,
// also one that has sent no presence yet, counts as online.
func presenceStatus(show string) string {
	switch show {
	case "":
		return "Online"
	case "away":
		return "Away"
	case "chat":
		return "Available to Chat"
	case "dnd":
		return "Do Not Disturb"
	case "xa":
		return "Extended Away"
	}
	return "Unknown/Not Recognized"
}

// kickUser is DELETE /sessions/{username}: the user may come back at once.
func kickUser(c *call) (answer, error) {
	if username, valid := prepareUsername(c.params["username"], c.server.Domain); valid {
		if n := c.server.Sessions.Kick(username); n > 0 {
			c.record("closed session for address "+username+"@"+c.server.Domain, detail("sessions", strconv.Itoa(n)))
		}
	}
	return done()
}

// countSessions is GET /system/statistics/sessions: those with available presence.
func countSessions(c *call) (answer, error) {
	var count entity.SessionsCount
	for _, s := range c.server.Sessions.Sessions("") {
		if s.Available {
			count.Local++
			count.Cluster++
		}
	}
	return ok(count)
}
