package xmpp

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// SessionInfo describes one bound session for people.
type SessionInfo struct {
	JID       jid.JID // full
	Username  string
	Resource  string
	Anonymous bool
	// Available: the session has sent available presence. Show, Status and Priority are of that presence (RFC 6121 §4.7).
	Available    bool
	Show, Status string
	Priority     int
	// Hibernating: the connection was lost, and the session waits for its client to come back (XEP-0198 §5). What is said of the connection is
	// said of the last one.
	Hibernating  bool
	RemoteAddr   string // host and port
	Secure       bool
	Created      time.Time
	LastActivity time.Time
}

// Sessions lists the sessions of a user, oldest first, or all of them, by address, for an empty name.
func (s *Server) Sessions(username string) []SessionInfo {
	list := s.sb.All
	if username != "" {
		list = func() []*core.Session { return s.sb.Sessions(username) }
	}
	out := []SessionInfo{}
	for _, one := range list() {
		i := one.Info()
		info := SessionInfo{
			JID: one.JID(), Username: one.Username(), Resource: one.JID().Resource(), Anonymous: one.Anonymous(),
			Hibernating: one.Hibernating(), RemoteAddr: i.RemoteAddr, Secure: i.Secure, Created: i.Created, LastActivity: i.LastActivity,
		}
		if p := one.Presence(); p != nil {
			info.Available, info.Show, info.Status, info.Priority = true, p.Show, p.Status, int(p.Priority)
		}
		out = append(out, info)
	}
	return out
}

// CountSessions is the number of sessions, available or not.
func (s *Server) CountSessions() int { return s.sb.Count() }

// Kick closes a user's sessions, who may come back at once, and says how many there were. The condition is the one that Openfire sends, and
// programs look for.
func (s *Server) Kick(username string) int {
	return s.sb.Kick(username, stanza.NewStreamError(stanza.StreamNotAuthorized, "An administrator ended the session."))
}
