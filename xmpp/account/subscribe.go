package account

import (
	"context"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Outbound implements core.Presences: a subscription stanza that the user sends (RFC 6121 §3.1.2, §3.1.5, §3.2.2, §3.3.2, §3.4.2, appendix A.2).
func (r *Rosters) Outbound(s *core.Session, p *stanza.Stanza) {
	if bad := r.outbound(s, p); bad != nil {
		full := *p
		full.From = s.JID()
		s.SendStanza(stanza.ErrorReply(&full, bad))
	}
}

func (r *Rosters) outbound(s *core.Session, p *stanza.Stanza) *stanza.Error {
	contact := p.To
	switch {
	case contact == p.From:
		return nil // an account sees itself already
	case s.Anonymous():
		return stanza.NewError(stanza.ConditionNotAllowed, "A session without an account cannot have subscriptions.")
	case p.Type == stanza.PresenceSubscribe && contact.Domain() != r.sb.Domain():
		return stanza.NewError(stanza.ConditionRemoteServerNotFound, "This server does not talk to the domain "+contact.Domain()+".")
	}
	ctx, cancel := context.WithTimeout(context.Background(), core.HandlerTimeout)
	defer cancel()
	defer r.pairs.lock(p.From, contact)()
	u := r.lock(s.Username())
	defer r.unlock(u)
	if err := r.ensure(u); err != nil {
		return r.storeFailed(u, err)
	}
	if settled, bad := r.outboundShared(u, s, p); settled {
		return bad
	}
	old, own := u.item(contact), u.own(contact)
	next := own
	route := outbound(&next, p.Type)
	if own.Hidden && !next.Hidden {
		if full := r.full(u); full != nil {
			return r.refusal(u.username, full)
		}
	}
	if own.Declared && next.Subscription != old.Subscription {
		if err := r.declare(ctx, u, xmppActor(s, u.username), &next); err != nil {
			return r.refusal(u.username, err)
		}
		old = u.item(contact)
	}
	if err := r.settle(ctx, u, &next); err != nil {
		return r.storeFailed(u, err)
	}
	// The contact hears of the change before the presence that follows from it; of presence that ends, before (§3.2.2).
	if route && contact.Domain() == r.sb.Domain() {
		out := detached(p)
		u.later(func() { r.receive(out) })
	}
	r.changed(u, &old, false)
	return nil
}

// declare has the subscription of a declared contact changed where it is declared. The user's lock is given away meanwhile.
func (r *Rosters) declare(ctx context.Context, u *user, by directory.Actor, next *Item) error {
	declared := directory.Contact{JID: next.JID, Name: next.Name, Subscription: next.Subscription, Groups: next.Groups}
	if err := r.unlocked(u, func() error { return r.proposer.PutContact(ctx, by, u.username, declared, false) }); err != nil {
		return err
	}
	return r.ensure(u)
}

// settle stores what an item has become, unless that is what it is.
func (r *Rosters) settle(ctx context.Context, u *user, next *Item) error {
	now := u.own(next.JID)
	if now.Declared || next.Declared {
		// What the declaration says stands, also when it came or went while the lock was away; the rest is remembered. The row is
		// compared, not the item: a declaration hides what it overtakes.
		row, _ := u.row(next.JID)
		if row.Ask == next.Ask && row.Approved == next.Approved && row.PendingIn == next.PendingIn {
			return nil
		}
		now.Ask, now.Approved, now.PendingIn, now.Request = next.Ask, next.Approved, next.PendingIn, next.Request
		return r.write(ctx, u, &now)
	}
	if now.Hidden == next.Hidden && now.PendingIn == next.PendingIn && now.same(next) {
		return nil
	}
	return r.write(ctx, u, next)
}

// Inbound implements core.Presences: a subscription stanza that comes from elsewhere.
func (r *Rosters) Inbound(p *stanza.Stanza) {
	defer r.pairs.lock(p.From.Bare(), p.To.Bare())()
	r.receive(p)
}

// receive is a subscription stanza for a user of this domain (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3, appendix A.3). The pair is locked, and no
// user is.
func (r *Rosters) receive(p *stanza.Stanza) {
	if p.From.Bare() == p.To.Bare() || !r.sb.Exists(p.To.Local()) {
		return // RFC 6121 §8.5.1
	}
	u := r.lock(p.To.Local())
	defer r.unlock(u)
	if err := r.ensure(u); err != nil {
		r.logStore(u, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	r.inbound(ctx, u, p, false)
}

// inbound does what appendix A.3 says. A change of a declared contact is left to the proposals' goroutine, so that
// nobody waits for the API server because of someone else's stanza; there mayPropose is set. The user is locked and loaded.
func (r *Rosters) inbound(ctx context.Context, u *user, p *stanza.Stanza, mayPropose bool) {
	contact := p.From.Bare()
	old, own := u.item(contact), u.own(contact)
	next := own
	outcome := inbound(&next, p.Type, boundedRequest(p))
	silent := inboundShared(&outcome, &next, own, p.Type, u.sight.relation(contact).subscription)
	if !outcome.deliver && !outcome.approve {
		return
	}
	if next.Hidden && next.PendingIn && !own.PendingIn && u.waiting >= MaxPending {
		r.log.Warn("a subscription request was dropped: too many of them await an answer", "user", u.username)
		return
	}
	if own.Declared && next.Subscription != own.Subscription {
		if !mayPropose {
			r.enqueue(proposal{username: u.username, stanza: detached(p)})
			return
		}
		if err := r.declare(ctx, u, directory.Actor{Via: "XMPP", Name: contact.String()}, &next); err != nil {
			r.log.Info("a declared contact keeps its subscription", "user", u.username, "contact", contact.String(), "reason", err.Error())
			// The question was answered, so it is not asked again at the next login.
			outcome = inboundOutcome{}
			next.Subscription = own.Subscription
		}
		old = u.item(contact)
	}
	if err := r.settle(ctx, u, &next); err != nil {
		r.logStore(u, err)
		return
	}
	if outcome.deliver && !silent {
		r.deliver(u, p)
	}
	if outcome.approve {
		r.sendSubscription(u, stanza.PresenceSubscribed, contact)
		if old.Subscription.SeenByContact() {
			// The contact had lost track, and so knows no presence either.
			u.later(func() { r.showPresence(u.username, contact) })
		}
	}
	r.changed(u, &old, false)
}

// deliver hands a subscription stanza to the user's clients: requests to available resources, which can answer them (RFC 6121 §3.1.3),
// the rest to interested ones too, which see the roster change (§3.1.6, §3.2.3, §3.3.3).
func (r *Rosters) deliver(u *user, p *stanza.Stanza) {
	out := *p
	out.From, out.To = p.From.Bare(), u.jid
	for _, res := range u.resources {
		if res.session.Available() || res.interested && p.Type != stanza.PresenceSubscribe {
			res.session.SendStanza(&out)
		}
	}
}

// boundedRequest is what is kept of a request. One that is too large is kept without its payload.
func boundedRequest(p *stanza.Stanza) []byte {
	if b := p.AppendPayload(nil); len(b) > 0 && len(b) <= MaxRequestPayload {
		return b
	}
	return nil
}

// detached is a copy of a stanza that outlives the reader.
func detached(p *stanza.Stanza) *stanza.Stanza {
	return &stanza.Stanza{
		Kind: p.Kind, Type: p.Type, From: p.From, To: p.To,
		ID: slices.Clone(p.ID), Lang: slices.Clone(p.Lang), Payload: p.AppendPayload(nil),
	}
}
