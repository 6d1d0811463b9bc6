package account

import (
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// MaxDirected bounds the addresses that one session may have sent directed presence to.
const MaxDirected = 1000

// Broadcast implements core.Presences: presence that a client sends to nobody in particular.
func (r *Rosters) Broadcast(s *core.Session, p *stanza.Stanza, next *core.Presence) {
	u := r.lock(s.Username())
	defer r.unlock(u)
	res := u.resource(s)
	if res == nil {
		return
	}
	if err := r.ensure(u); err != nil {
		s.SendStanza(stanza.ErrorReply(p, r.storeFailed(u, err)))
		return
	}
	if next == nil {
		r.unavailable(u, res, &stanza.Stanza{
			Kind: stanza.Presence, Type: stanza.PresenceUnavailable, From: s.JID(), ID: p.ID, Lang: p.Lang, Payload: p.AppendPayload(nil),
		})
		return
	}
	initial := !s.Available()
	// XEP-0160 §2: the account's messages are given back to a resource that has just become one to send them to. Until that is done, later
	// ones wait.
	arrives := r.offline != nil && !u.anonymous && next.Priority >= 0 && !s.Receptive()
	if arrives {
		r.offline.hold(s)
	}
	s.SetPresence(next)
	if initial && !u.anonymous {
		// Those who showed their presence before this session could get it did so because of groups that it has to know, to ask them.
		r.look(u)
	}
	if arrives && !r.offline.nothing(s) {
		u.later(func() { r.offline.giveBack(s) })
	}
	r.broadcast(u, next.Stanza) // RFC 6121 §4.2.2, §4.4.2
	if initial {
		r.arrive(u, s)
	}
}

// broadcast sends presence to all contacts who may see it, then to the user's own available resources, the sender's included.
func (r *Rosters) broadcast(u *user, p *stanza.Stanza) {
	for contact := range u.entries {
		if u.seenBy(contact) {
			r.send(p, contact)
		}
	}
	list, everybody := u.sight.audience(u.lists)
	for _, contact := range list {
		r.send(p, contact)
	}
	if everybody {
		for s := range r.sb.Firsts() {
			if contact := s.JID().Bare(); contact != u.jid && !u.lists(contact) {
				r.send(p, contact)
			}
		}
	}
	r.send(p, u.jid)
}

// arrive brings a resource that has just become available up to date.
func (r *Rosters) arrive(u *user, s *core.Session) {
	// RFC 6121 §4.3.2: the user's other resources count as contacts.
	for _, other := range u.resources {
		if p := other.session.Presence(); p != nil && other.session != s {
			r.send(p.Stanza, s.JID())
		}
	}
	for _, contact := range u.sight.contacts(u.lists) {
		r.fetchPresence(u, contact, s)
	}
	for contact := range u.entries {
		it := u.item(contact)
		if it.Subscription.SeesContact() {
			r.fetchPresence(u, contact, s) // §4.3
		}
		if it.PendingIn { // §3.1.3: again at each login until it is answered
			s.SendStanza(&stanza.Stanza{
				Kind: stanza.Presence, Type: stanza.PresenceSubscribe, From: contact, To: u.jid, Payload: it.Request,
			})
		}
		if it.Ask { // §3.1.2: whatever got lost heals at the next login
			u.later(func() { r.askAgain(u.username, contact) })
		}
	}
}

// askAgain repeats a request that has no answer yet. Nothing is locked.
func (r *Rosters) askAgain(username string, contact jid.JID) {
	own, err := jid.New(username, r.sb.Domain(), "")
	if err != nil {
		return
	}
	defer r.pairs.lock(own, contact)()
	u := r.lock(username)
	defer r.unlock(u)
	if it := u.own(contact); it.Ask && !u.sight.relation(contact).subscription.SeesContact() {
		r.sendSubscription(u, stanza.PresenceSubscribe, contact)
	}
}

// unavailable ends the presence of a resource: contacts, the user's own resources, the one concerned, and whoever got directed presence are
// told (RFC 6121 §4.5.2, §4.6.3). The user is locked and loaded.
func (r *Rosters) unavailable(u *user, res *resource, p *stanza.Stanza) {
	s := res.session
	was := s.Available()
	s.SetPresence(nil)
	if was && r.last != nil && !u.anonymous && !r.online(u.username) {
		r.last.left(u.username, p)
	}
	if was {
		r.broadcast(u, p)
		if !s.Ended() {
			own := *p
			own.To = u.jid
			s.SendStanza(&own)
		}
	}
	for to := range res.directed {
		// Those who got the broadcast have been told.
		if was && (to.Bare() == u.jid || u.seenBy(to.Bare())) {
			continue
		}
		r.send(p, to)
	}
	res.directed = nil
}

// seenBy reports whether a contact may see the user's presence.
func (u *user) seenBy(contact jid.JID) bool {
	it := u.own(contact)
	return it.Subscription.SeenByContact() || u.sight.relation(contact).subscription.SeenByContact()
}

// Directed implements core.Presences (RFC 6121 §4.6.3).
func (r *Rosters) Directed(s *core.Session, p *stanza.Stanza) *stanza.Error {
	u := r.lock(s.Username())
	defer r.unlock(u)
	res := u.resource(s)
	if res == nil {
		return nil
	}
	if p.Type == stanza.PresenceUnavailable {
		delete(res.directed, p.To)
		return nil
	}
	if _, known := res.directed[p.To]; !known && len(res.directed) >= MaxDirected {
		return stanza.NewError(stanza.ConditionResourceConstraint, "This session has sent its presence to too many addresses.")
	}
	if res.directed == nil {
		res.directed = make(map[jid.JID]struct{})
	}
	res.directed[p.To] = struct{}{}
	return nil
}

// Gone implements core.Presences: the session is over, whatever its last presence was.
func (r *Rosters) Gone(s *core.Session) {
	u := r.lock(s.Username())
	defer r.unlock(u)
	if !u.knows(s) {
		return
	}
	// Those who may not see the user any more hear of it by this, so the session has still to be there.
	if err := r.ensure(u); err != nil {
		r.logStore(u, err) // what is declared, and who got directed presence, is known all the same
	}
	res := u.takeResource(s)
	r.unavailable(u, res, &stanza.Stanza{Kind: stanza.Presence, Type: stanza.PresenceUnavailable, From: s.JID()})
}

// Subscribed implements core.Presences.
func (r *Rosters) Subscribed(username string, who jid.JID) bool {
	u := r.lock(username)
	defer r.unlock(u)
	if who.Bare() == u.jid {
		return true
	}
	if err := r.ensure(u); err != nil {
		r.logStore(u, err)
		return false
	}
	return u.seenBy(who.Bare())
}

// Probe implements core.Presences (RFC 6121 §4.3.2). Strangers get one answer, whether the account exists, is online, or neither.
func (r *Rosters) Probe(p *stanza.Stanza) {
	u := r.lock(p.To.Local())
	defer r.unlock(u)
	allowed := p.From.Bare() == u.jid
	if !allowed {
		if err := r.ensure(u); err != nil {
			r.logStore(u, err)
			return
		}
		allowed = u.seenBy(p.From.Bare())
	}
	if !allowed {
		r.answerDirectly(&stanza.Stanza{Kind: stanza.Presence, Type: stanza.PresenceUnsubscribed, From: p.To.Bare(), To: p.From})
		return
	}
	found := false
	for _, res := range u.resources {
		if pr := res.session.Presence(); pr != nil && (p.To.IsBare() || p.To == res.session.JID()) {
			r.send(pr.Stanza, p.From)
			found = true
		}
	}
	if !found {
		r.send(&stanza.Stanza{Kind: stanza.Presence, Type: stanza.PresenceUnavailable, From: p.To}, p.From)
	}
}

// answerDirectly hands a stanza to the session that asked, without letting it act on the roster: a client's own probe
// must not cost it a subscription.
func (r *Rosters) answerDirectly(st *stanza.Stanza) {
	for _, s := range r.sb.Sessions(st.To.Local()) {
		if s.JID() == st.To {
			s.SendStanza(st)
		}
	}
}

// fetchPresence asks for a contact's presence on behalf of one resource (RFC 6121 §4.3.1), after the user's lock was given back. A contact
// who isn't there has nothing to say, so nobody is asked.
func (r *Rosters) fetchPresence(u *user, contact jid.JID, s *core.Session) {
	if contact.Domain() != r.sb.Domain() || !r.online(contact.Local()) {
		return
	}
	user := u.jid
	u.later(func() {
		c := r.lock(contact.Local())
		defer r.unlock(c)
		if err := r.ensure(c); err != nil {
			r.logStore(c, err)
			return
		}
		if !c.seenBy(user) {
			return
		}
		for _, res := range c.resources {
			if p := res.session.Presence(); p != nil {
				r.send(p.Stanza, s.JID())
			}
		}
	})
}

// online reports whether a user has an available resource.
func (r *Rosters) online(username string) bool {
	for _, s := range r.sb.Sessions(username) {
		if s.Available() {
			return true
		}
	}
	return false
}
