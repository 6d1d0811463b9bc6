package account

import (
	"fmt"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// SharedError refuses to part two people whom a group puts together.
type SharedError struct {
	Contact jid.JID
	Group   string // as people see it in their contact lists
}

func (e *SharedError) Error() string {
	return fmt.Sprintf("%s is a contact through the group %q: this lasts as long as the group is shared and both are in it or see it", e.Contact, e.Group)
}

// shared says that a contact cannot be removed, because the user sees it through a group; nil when it can.
func (u *user) shared(contact jid.JID) *SharedError {
	if contact == u.jid {
		return nil
	}
	for _, c := range u.sight.sees {
		if c.has(contact) {
			return &SharedError{Contact: contact, Group: c.headings[0]}
		}
	}
	return nil
}

// sharedBack is shared for what the contact sees.
func (u *user) sharedBack(contact jid.JID) *SharedError {
	if contact == u.jid {
		return nil
	}
	for _, c := range u.sight.member {
		if u.sight.in.shows(c, contact) {
			return &SharedError{Contact: contact, Group: c.headings[0]}
		}
	}
	return nil
}

// outboundShared deals with a subscription stanza of a client about what a shared group has settled: a request is granted, as it would be by
// asking the contact's server (RFC 6121 §3.1.3), but nobody is asked; an answer needs none; and an end is refused. Nothing of that is
// remembered. The user is locked and loaded.
func (r *Rosters) outboundShared(u *user, s *core.Session, p *stanza.Stanza) (settled bool, bad *stanza.Error) {
	contact := p.To
	toward := u.shared(contact)
	if p.Type == stanza.PresenceSubscribed || p.Type == stanza.PresenceUnsubscribed {
		toward = u.sharedBack(contact)
	}
	if toward == nil {
		return false, nil
	}
	switch p.Type {
	case stanza.PresenceSubscribe:
		s.SendStanza(&stanza.Stanza{Kind: stanza.Presence, Type: stanza.PresenceSubscribed, From: contact, To: u.jid})
		if s.Available() {
			r.fetchPresence(u, contact, s)
		}
	case stanza.PresenceUnsubscribe, stanza.PresenceUnsubscribed:
		return true, r.refusal(u.username, toward)
	}
	return true, nil
}

// inboundShared deals with a subscription stanza of a contact in the same way. silent: clients see no difference, and are not told.
func inboundShared(outcome *inboundOutcome, next *Item, own Item, t stanza.Type, shared Subscription) (silent bool) {
	switch {
	case t == stanza.PresenceSubscribe && shared.SeenByContact():
		*outcome, *next = inboundOutcome{approve: true}, own
	case t == stanza.PresenceUnsubscribe && shared.SeenByContact(), t == stanza.PresenceUnsubscribed && shared.SeesContact():
		return true
	}
	return false
}
