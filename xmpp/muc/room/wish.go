package room

import (
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// wish is what a room knows of a Wish until it is done.
type wish struct {
	id      uint64
	request *stanza.Stanza // without content
	actor   string         // nickname; empty: isn't in the room
	reasons []reason
	destroy *Destruction
	unlock  bool
	nick    *ReservedNick
	invites []invite
}

type reason struct {
	user jid.JID
	to   Affiliation
	text string
}

// maxWishes is how many may wait for their answer in one room.
const maxWishes = 32

// want asks for a change.
func (r *Room) want(by *Sender, s *stanza.Stanza, w *Wish, p wish, out []Output) []Output {
	if len(r.wishes) >= maxWishes {
		return r.fail(s, stanza.NewError(stanza.ConditionResourceConstraint, "too many changes of this room are under way"), out)
	}
	w.By, w.Admin = by.From, by.Admin
	if fault := w.Permitted(r.cfg, by.Admin); fault != nil {
		return r.fail(s, fault, out)
	}
	r.lastWish++
	w.ID, p.id = r.lastWish, r.lastWish
	p.request = &stanza.Stanza{Kind: s.Kind, Type: s.Type, ID: slices.Clone(s.ID), From: s.From, To: s.To}
	if o := r.find(by.From); o != nil {
		p.actor = o.nick()
	}
	r.wishes = append(r.wishes, &p)
	return append(out, w)
}

// WishDone answers a wish: fault is nil if it came true, and says why not otherwise. Whatever came true has to have been told
// by Reconfigured or Destroyed before.
func (r *Room) WishDone(id uint64, fault *stanza.Error, out []Output) []Output {
	i := slices.IndexFunc(r.wishes, func(p *wish) bool { return p.id == id })
	if i < 0 {
		return out
	}
	p := r.wishes[i]
	r.wishes = slices.Delete(r.wishes, i, i+1)
	if fault != nil {
		return r.end(r.fail(p.request, fault, out))
	}
	if p.unlock {
		r.locked = false
	}
	if p.nick != nil {
		out = r.reserve(*p.nick, out)
	}
	if p.request.Kind == stanza.IQ {
		out = r.result(p.request, nil, out)
	}
	if !r.ended {
		out = r.invite(p.invites, out)
	}
	return r.end(out)
}

// reserve keeps a nickname for a user, or gives it up.
func (r *Room) reserve(n ReservedNick, out []Output) []Output {
	had, ok := r.reservedBy(n.User)
	if had == n.Nick && ok || n.Nick == "" && !ok {
		return out
	}
	// What Memory gave out stays as it is.
	r.nicks = slices.DeleteFunc(slices.Clone(r.nicks), func(o ReservedNick) bool { return o.User == n.User })
	if n.Nick != "" {
		r.nicks = append(r.nicks, n)
	}
	return append(out, &Remember{Nick: &n})
}

// Renamed makes the nickname that is reserved for one user another's, in place of the one that this has; to may be zero: nobody's. Nobody is told, since
// the nickname in use does not change by it.
func (r *Room) Renamed(from, to jid.JID, out []Output) []Output {
	nick, ok := r.reservedBy(from)
	if !ok || r.ended {
		return out
	}
	out = r.reserve(ReservedNick{User: from}, out)
	if to.IsZero() {
		return out
	}
	return r.reserve(ReservedNick{User: to, Nick: nick}, out)
}

// why finds what a client said when it asked for the change of an affiliation that has now come.
func (r *Room) why(user jid.JID, to Affiliation) (actor, text string) {
	for _, p := range r.wishes {
		for _, e := range p.reasons {
			if e.to == to && (e.user == user || e.user == user.Host()) {
				return p.actor, e.text
			}
		}
	}
	return "", ""
}

// Reconfigured takes the configuration that is in force from now on. Everything that a change does to occupants follows
// from the difference to the one before, whoever made it (XEP-0045 §10.2).
func (r *Room) Reconfigured(c *Config, out []Output) []Output {
	if r.ended {
		return out
	}
	before := r.cfg
	r.cfg = c
	r.locked = r.locked && !c.Persistent // a room that is to last has been configured
	r.trim()
	for _, o := range slices.Clone(r.occupants) {
		out = r.reconsider(o, before, out)
	}
	for _, n := range slices.Clone(r.nicks) {
		if c.Affiliations.Of(n.User) == Outcast {
			out = r.reserve(ReservedNick{User: n.User}, out) // §9.1
		}
	}
	if codes := changes(before, c); len(codes) > 0 {
		out = r.announce(codes, out)
	}
	return r.end(out)
}

// reconsider does to one occupant what a new configuration demands.
func (r *Room) reconsider(o *occupant, before *Config, out []Output) []Output {
	a := r.affiliation(o.user, o.admin)
	actor, text := "", ""
	changed := a != o.affiliation
	if changed {
		actor, text = r.why(o.user, a)
	}
	was := o.affiliation
	switch {
	case a == Outcast:
		o.affiliation = a
		return r.remove(o, notice{codes: []int{codeBanned}, actor: actor, reason: text}, out) // §9.1
	case r.cfg.MembersOnly && a < Member:
		o.affiliation = a
		code := codeMembersOnly // §10.2
		if before.MembersOnly && was >= Member {
			code = codeAffiliation // §9.4
		}
		return r.remove(o, notice{codes: []int{code}, actor: actor, reason: text}, out)
	}
	role := o.role
	if changed {
		o.explicit = false
	}
	if changed || before.Moderated != r.cfg.Moderated && !o.explicit {
		role = defaultRole(a, r.cfg.Moderated)
	}
	told := r.cfg.broadcasts(role)
	if !changed && role == o.role && told == o.told {
		return out
	}
	o.affiliation = a
	if (role == Moderator) != (o.role == Moderator) {
		r.stale = true
	}
	o.role = role
	return r.publish(o, &notice{actor: actor, reason: text}, out)
}

// changes are the status codes that tell of a new configuration (XEP-0045 §10.2.1).
func changes(before, after *Config) []int {
	var codes []int
	if before.Archived != after.Archived {
		codes = append(codes, choose(after.Archived, codeLogged, codeNotLogged))
	}
	if before.anonymous() != after.anonymous() {
		codes = append(codes, choose(after.anonymous(), codeSemiAnonymous, codeNonAnonymous))
	}
	if before.Name != after.Name || before.Description != after.Description || before.Lang != after.Lang ||
		!slices.Equal(before.Contacts, after.Contacts) || before.MaxOccupants != after.MaxOccupants || before.Password != after.Password ||
		before.Listed != after.Listed || before.Persistent != after.Persistent || before.MembersOnly != after.MembersOnly ||
		before.Moderated != after.Moderated || before.RegistrationEnabled != after.RegistrationEnabled ||
		before.NicknameRestricted != after.NicknameRestricted || before.CanChangeSubject != after.CanChangeSubject ||
		before.CanInvite != after.CanInvite || before.CanChangeNickname != after.CanChangeNickname ||
		before.PrivateMessages != after.PrivateMessages || !slices.Equal(before.PresenceBroadcast, after.PresenceBroadcast) ||
		before.History != after.History {
		codes = append(codes, codeConfig)
	}
	return codes
}

func choose[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}

// announce tells everybody of a changed configuration.
func (r *Room) announce(codes []int, out []Output) []Output {
	return r.broadcast(r.compose(r.addr, nil, nil, "", func(dst []byte) []byte {
		dst = append(dst, "<x xmlns='"+nsUser+"'>"...)
		for _, c := range codes {
			dst = appendStatus(dst, c)
		}
		return append(dst, "</x>"...)
	}), out)
}

// Destroyed ends the room because its declaration is gone (XEP-0045 §10.9). Where a client wished for that, its words are
// told instead of d.
func (r *Room) Destroyed(d Destruction, out []Output) []Output {
	if r.ended {
		return out
	}
	for _, p := range r.wishes {
		if p.destroy != nil {
			d = *p.destroy
		}
	}
	b := xmlstream.NewBuilder(nil).Open(nsUser, "destroy")
	if !d.Alternate.IsZero() {
		b.Attr("jid", d.Alternate.String())
	}
	if d.Reason != "" {
		b.Open(nsUser, "reason").Text(d.Reason).Close()
	}
	if d.Password != "" {
		b.Open(nsUser, "password").Text(d.Password).Close()
	}
	// The element goes where the namespace is that of muc#user already, which does no harm.
	return r.evict(notice{extra: b.Bytes()}, &Ended{Destroyed: true}, out)
}

// Shutdown ends the room's stay in this process (XEP-0045 §11.2).
func (r *Room) Shutdown(out []Output) []Output {
	if r.ended {
		return out
	}
	return r.evict(notice{codes: []int{codeShutdown}}, &Ended{Shutdown: true}, out)
}

// evict sends everybody out: to each only the occupant's own presence.
func (r *Room) evict(n notice, end *Ended, out []Output) []Output {
	n.unavailable = true
	for _, o := range r.occupants {
		o.affiliation = choose(end.Destroyed, None, o.affiliation)
		out = r.tellSelf(o, &n, out)
	}
	r.occupants, r.byNick, r.bySession, r.everybody, r.moderators, r.stale = nil, nil, nil, nil, 0, false
	r.ended = true
	return append(out, end)
}

// AdminChanged says that a user administers the service from now on, or no longer.
func (r *Room) AdminChanged(user jid.JID, admin bool, out []Output) []Output {
	for _, o := range slices.Clone(r.occupants) {
		if o.user == user.Bare() && o.admin != admin && !r.ended {
			o.admin = admin
			out = r.reconsider(o, r.cfg, out)
		}
	}
	return r.end(out)
}

// Gone says that a session has ended or cannot be reached, without a word of its own.
func (r *Room) Gone(full jid.JID, out []Output) []Output {
	o := r.find(full)
	if o == nil {
		return out
	}
	return r.leave(o, full, notice{codes: []int{codeTechnical}}, out)
}

// Kick removes an occupant in the name of the service.
func (r *Room) Kick(nick, reason string, out []Output) []Output {
	o := r.named(nick)
	if o == nil {
		return out
	}
	return r.end(r.remove(o, notice{codes: []int{codeKicked}, reason: cut([]byte(reason))}, out))
}
