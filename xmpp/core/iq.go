package core

import (
	"context"
	"fmt"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Target is what a request is addressed to. Values can be combined.
type Target uint8

// What a request can be addressed to.
const (
	ToServer  Target = 1 << iota // the domain
	ToAccount                    // the bare address of an account, or no address at all (RFC 6120 §10.3.3)
)

// Access says who may ask an account something. Nobody learns from a refusal whether the account exists.
type Access uint8

// Who can be let in.
const (
	Owner       Access = iota // the account's own sessions
	Subscribers               // those too who may see its presence
	Anyone                    // the handler decides, and has to answer alike for accounts that do not exist
)

// Feature is one protocol feature. All of them are listed in package xmpp, in server.go.
type Feature struct {
	Name string // for messages to developers
	// ServerVars and AccountVars are what service discovery says of the domain and of an account (XEP-0030 §3).
	ServerVars, AccountVars []string
	Handlers                []Handler
}

// Handler answers one kind of request.
type Handler struct {
	Target       Target
	Type         stanza.Type // stanza.IQGet or stanza.IQSet
	Space, Local string      // the payload element
	Access       Access      // of account requests; those to the server are answered for anyone
	// Refusal is the error for those without access; empty means service-unavailable.
	Refusal stanza.Condition
	// Handle answers by exactly one call of Result or Fail before it returns. Order matters to clients: a handler that
	// holds a lock while it reads state answers under it.
	Handle func(ctx context.Context, q *IQ)
}

// HandlerTimeout bounds the wait of a handler for stores and proposals.
const HandlerTimeout = 15 * time.Second

// IQ is one request.
type IQ struct {
	*stanza.Stanza
	// Session is the sender's session on this server; nil when the request came another way.
	Session *Session
	// Account is the username whose account is asked; "" when the server is.
	Account string
	// Payload is the request's one child.
	Payload xmlstream.Element

	sb       *Switchboard
	answered bool
}

// Own reports whether the account is asked by its owner.
func (q *IQ) Own() bool { return q.Account != "" && q.From.Bare() == q.To.Bare() }

// Subscribed reports whether the sender may see the presence of the account.
func (q *IQ) Subscribed() bool { return q.sb.maySee(q.From, q.To) }

// maySee reports whether somebody may see the presence of an account.
func (sb *Switchboard) maySee(who, account jid.JID) bool {
	return who.Bare() == account.Bare() || sb.Exists(account.Local()) && sb.presences.Subscribed(account.Local(), who.Bare())
}

// Result answers with a payload, which may be nil.
func (q *IQ) Result(payload []byte) {
	q.answered = true
	q.answer(stanza.Result(q.Stanza, payload))
}

// Fail answers with an error.
func (q *IQ) Fail(e *stanza.Error) {
	q.answered = true
	q.answer(stanza.ErrorReply(q.Stanza, e))
}

func (q *IQ) answer(reply *stanza.Stanza) {
	switch {
	case reply == nil:
	case q.Session != nil:
		q.Session.SendStanza(reply)
	default:
		q.sb.Route(reply)
	}
}

// handlerKey is a row of the dispatch table.
type handlerKey struct {
	space, local string
	typ          stanza.Type
	target       Target
}

func compileHandlers(features []Feature) (map[handlerKey]*Handler, error) {
	table := make(map[handlerKey]*Handler)
	names := make(map[handlerKey]string)
	for i := range features {
		f := &features[i]
		for j := range f.Handlers {
			h := &f.Handlers[j]
			for _, target := range []Target{ToServer, ToAccount} {
				if h.Target&target == 0 {
					continue
				}
				key := handlerKey{space: h.Space, local: h.Local, typ: h.Type, target: target}
				if other, taken := names[key]; taken {
					return nil, fmt.Errorf("features %q and %q both answer %s of <%s xmlns='%s'/>", other, f.Name, h.Type, h.Local, h.Space)
				}
				table[key], names[key] = h, f.Name
			}
		}
	}
	return table, nil
}

// iqFromClient is the way of an IQ that a client sent, in order.
func (sb *Switchboard) iqFromClient(s *Session, q *stanza.Stanza) {
	// 1. No 'to' means the sender's own account (RFC 6120 §10.3.3). The reply has no 'from' then, or the account's.
	if q.To.IsZero() {
		if q.Type == stanza.IQGet || q.Type == stanza.IQSet {
			own := *q
			own.To = s.jid.Bare()
			sb.dispatch(s, &own, ToAccount)
			q.Refused = own.Refused
		}
		return // results and errors without 'to' answer the server, which waits for none
	}
	// 2. Route.
	s.buf = sb.routeIQ(s, q, s.buf[:0])
	s.trim()
}

// routeIQ delivers one IQ: RFC 6121 §8.5.1, §8.5.2.1.3, §8.5.2.2.3, §8.5.3; RFC 6120 §10.5.
func (sb *Switchboard) routeIQ(s *Session, q *stanza.Stanza, buf []byte) []byte {
	request := q.Type == stanza.IQGet || q.Type == stanza.IQSet
	switch sb.locate(q.To) {
	case elsewhere:
		sb.unreachable(q)
		return buf
	case atService:
		sb.deliverToHost(s, q)
		return buf
	case atHost:
		switch {
		case !request:
		case q.To.IsFull(): // no resources of the server answer requests
			sb.refuse(q, stanza.ConditionServiceUnavailable, "")
		default:
			sb.dispatch(s, q, ToServer)
		}
		return buf
	}
	// Nobody but the account itself may send what clients could take for a roster push (RFC 6121 §2.1.6).
	if q.Type == stanza.IQSet && q.From.Bare() != q.To.Bare() && string(q.FirstChild().Space()) == stanza.NSRoster {
		sb.refuse(q, stanza.ConditionForbidden, "A roster is changed by its owner only.")
		return buf
	}
	if q.To.IsBare() {
		if request {
			sb.dispatch(s, q, ToAccount)
		}
		return buf
	}
	// XEP-0012 §4: how long a client has been idle is for those only who may see its presence.
	if q.Type == stanza.IQGet && string(q.FirstChild().Space()) == stanza.NSLast && !sb.maySee(q.From, q.To) {
		sb.refuse(q, stanza.ConditionForbidden, "")
		return buf
	}
	if to := sb.table.find(q.To.Local(), q.To.Resource()); to != nil {
		buf = q.Append(buf)
		if to.Send(buf) {
			return buf
		}
	}
	sb.refuse(q, stanza.ConditionServiceUnavailable, "") // answers requests only
	return buf
}

// dispatch looks a request up in the table and has it answered.
func (sb *Switchboard) dispatch(s *Session, st *stanza.Stanza, target Target) {
	q := &IQ{Stanza: st, Session: s, Payload: st.FirstChild(), sb: sb}
	if target == ToAccount {
		q.Account = st.To.Local()
	}
	h := sb.handlers[handlerKey{space: string(q.Payload.Space()), local: string(q.Payload.Local()), typ: st.Type, target: target}]
	if h == nil {
		// RFC 6120 §8.4
		q.Fail(stanza.NewError(stanza.ConditionServiceUnavailable, ""))
		return
	}
	if target == ToAccount && !q.permitted(h.Access) {
		cond := h.Refusal
		if cond == "" {
			cond = stanza.ConditionServiceUnavailable
		}
		q.Fail(stanza.NewError(cond, ""))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), HandlerTimeout)
	defer cancel()
	h.Handle(ctx, q)
	if !q.answered {
		sb.log.Error("a request got no answer from its handler", "namespace", h.Space, "element", h.Local)
		q.Fail(stanza.NewError(stanza.ConditionInternalServerError, ""))
	}
}

func (q *IQ) permitted(a Access) bool {
	switch a {
	case Anyone:
		return true
	case Subscribers:
		return q.Subscribed()
	default:
		return q.Own()
	}
}
