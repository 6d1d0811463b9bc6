package core

import (
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// place is where an address points.
type place uint8

const (
	elsewhere place = iota // another domain
	atHost                 // the server itself (RFC 6120 §10.5.1)
	atAccount              // an account, or a resource of one
	atService              // a service with a domain of its own
)

func (sb *Switchboard) locate(to jid.JID) place {
	switch {
	case to.Domain() != sb.domain:
		if sb.hostOf(to.Domain()) != nil {
			return atService
		}
		return elsewhere
	case to.Local() == "":
		return atHost
	default:
		return atAccount
	}
}

// Route delivers a stanza by RFC 6121 §8, or answers it with an error. From and To have to be set. Any goroutine may call it; stanzas
// that one goroutine routes from one address to another arrive in that order (RFC 6120 §10.1).
func (sb *Switchboard) Route(st *stanza.Stanza) {
	buf := sb.takeBuffer()
	defer sb.giveBuffer(buf)
	switch st.Kind {
	case stanza.Message:
		*buf = sb.routeMessage(nil, st, (*buf)[:0])
	case stanza.Presence:
		*buf = sb.routePresence(nil, st, (*buf)[:0])
	case stanza.IQ:
		*buf = sb.routeIQ(nil, st, (*buf)[:0])
	}
}

// refuse answers a stanza with an error. Errors and results are never answered (RFC 6120 §8.3.1).
func (sb *Switchboard) refuse(st *stanza.Stanza, cond stanza.Condition, text string) {
	sb.fail(st, stanza.NewError(cond, text))
}

func (sb *Switchboard) fail(st *stanza.Stanza, e *stanza.Error) {
	if reply := stanza.ErrorReply(st, e); reply != nil {
		sb.Route(reply)
	}
}

// unreachable answers what is addressed to a domain that this server does not serve (RFC 6120 §8.3.3.16, §10.4).
func (sb *Switchboard) unreachable(st *stanza.Stanza) {
	sb.refuse(st, stanza.ConditionRemoteServerNotFound, "This server does not talk to the domain "+st.To.Domain()+".")
}
