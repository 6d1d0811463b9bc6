package room

import (
	"strconv"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// enter lets a session in, or says why not (XEP-0045 §7.2).
func (r *Room) enter(by *Sender, s *stanza.Stanza, asks xmlstream.Element, out []Output) []Output {
	user := by.From.Bare()
	a := r.affiliation(by.From, by.Admin)
	refuse := func(c stanza.Condition, text string) []Output { return r.fail(s, stanza.NewError(c, text), out) }
	switch {
	case r.locked && a < Owner:
		return refuse(stanza.ConditionItemNotFound, "this room is being set up") // §7.2.10
	case a == Outcast:
		return refuse(stanza.ConditionForbidden, "you are banned from this room") // §7.2.7
	case r.cfg.MembersOnly && a < Member:
		return refuse(stanza.ConditionRegistrationRequired, "only members may enter this room") // §7.2.6
	case r.cfg.Password != "" && !sameSecret(asks.Child(nsMUC, "password").Text(), r.cfg.Password):
		if asks.Child(nsMUC, "password").Valid() {
			return refuse(stanza.ConditionNotAuthorized, "this is not the password of this room") // §7.2.5
		}
		return refuse(stanza.ConditionNotAuthorized, "this room needs a password")
	}
	var codes []int
	addr := s.To
	if mine, ok := r.reservedBy(user); ok && r.cfg.NicknameRestricted && mine != addr.Resource() {
		// §7.10: rather rewritten than refused.
		var err error
		if addr, err = r.addr.WithResource(mine); err != nil {
			return refuse(stanza.ConditionNotAcceptable, "the nickname that you registered cannot be used any more")
		}
		codes = append(codes, codeNickAssigned)
	}
	if fault := r.mayUse(addr.Resource(), user); fault != nil {
		return r.fail(s, fault, out)
	}
	o := r.named(addr.Resource())
	if o != nil && o.user != user {
		return refuse(stanza.ConditionConflict, "this nickname is in use") // §7.2.8
	}
	if o == nil && r.cfg.MaxOccupants > 0 && len(r.occupants) >= r.cfg.MaxOccupants && a < Admin {
		e := stanza.NewError(stanza.ConditionServiceUnavailable, "this room is full") // §7.2.9
		e.Type = stanza.Wait
		return r.fail(s, e, out)
	}

	r.seq++
	in := session{jid: by.From, seq: r.seq, payload: r.clean(s)}
	if o != nil {
		r.addSession(o, in)
		r.render(o)
		out = r.welcome(o, by, s, asks, codes, out)
		for i := range o.sessions[:len(o.sessions)-1] {
			out = r.tellSession(o, o.sessions[i].jid, &notice{}, out)
		}
		return r.tellOthers(o, &notice{}, out)
	}
	o = &occupant{
		addr: addr, user: user, id: r.occupantID(user), affiliation: a, admin: by.Admin,
		role: defaultRole(a, r.cfg.Moderated), sessions: []session{in},
	}
	r.render(o)
	out = r.tellOthers(o, &notice{}, out) // who is there already; the newcomer isn't in the list yet
	r.add(o)
	if r.locked && !r.entered {
		r.entered = true
		codes = append([]int{codeCreated}, codes...)
	}
	return r.welcome(o, by, s, asks, codes, out)
}

// welcome is all that a session gets that enters, in one write and in the order of XEP-0045 §7.1: the other occupants,
// itself, history, subject.
func (r *Room) welcome(o *occupant, by *Sender, s *stanza.Stanza, asks xmlstream.Element, codes []int, out []Output) []Output {
	to := xmlstream.AppendEscapedAttrString(nil, by.From.String())
	see := !r.cfg.anonymous() || o.role == Moderator
	size := 1024
	for _, other := range r.occupants {
		size += len(other.head) + len(other.body) + len(to) + 96
	}
	w := &Send{To: by.From, Kind: stanza.Presence, XML: make([]byte, 0, size), Ends: make([]int, 0, len(r.occupants)+2)}
	none := &notice{}
	for _, other := range r.occupants {
		if other == o || !other.told {
			continue
		}
		w.XML = append(append(w.XML, other.head...), to...)
		w.XML = other.appendTail(w.XML, none, see, false, jid.JID{})
		w.Ends = append(w.Ends, len(w.XML))
	}
	n := &notice{id: s.ID, session: by.From, selfCodes: codes}
	if !r.cfg.anonymous() {
		n.codes = []int{codeRealJID} // §7.2.3
	}
	if r.cfg.Archived {
		n.selfCodes = append([]int{codeLogged}, codes...) // §7.2.12
	}
	w.XML = append(append(w.XML, o.head...), to...)
	w.XML = o.appendTail(w.XML, n, true, true, by.From)
	w.Ends = append(w.Ends, len(w.XML))
	r.replay(w, to, by.Time, asks.Child(nsMUC, "history"))
	w.XML = r.appendSubject(w.XML, to)
	w.Ends = append(w.Ends, len(w.XML))
	return append(out, w)
}

// replay adds the history that a session wants, at most what there is (XEP-0045 §7.2.13, §7.2.14).
func (r *Room) replay(w *Send, to []byte, now time.Time, limits xmlstream.Element) {
	number := func(name string) (int, bool) {
		n, err := strconv.Atoi(string(limits.Attr(name)))
		return max(n, 0), err == nil
	}
	first := max(len(r.history)-max(r.cfg.History, 0), 0)
	if n, ok := number("maxstanzas"); ok {
		first = max(first, len(r.history)-n)
	}
	after := func(t time.Time) {
		for first < len(r.history) && r.history[first].Time.Before(t) {
			first++
		}
	}
	if n, ok := number("seconds"); ok {
		const most = 1 << 32 // seconds: more would not fit into a Duration
		after(now.Add(-time.Duration(min(n, most)) * time.Second))
	}
	if t, err := time.Parse(time.RFC3339, string(limits.Attr("since"))); err == nil {
		after(t)
	}
	if n, ok := number("maxchars"); ok {
		for i := len(r.history); i > first; i-- {
			if n -= len(r.appendPast(nil, &r.history[i-1], to)); n < 0 {
				first = i
				break
			}
		}
	}
	for i := first; i < len(r.history); i++ {
		w.XML = r.appendPast(w.XML, &r.history[i], to)
		w.Ends = append(w.Ends, len(w.XML))
	}
}

const endMessage = "</message>"

// appendPast writes a message of the history to somebody.
func (r *Room) appendPast(dst []byte, p *Past, to []byte) []byte {
	dst = append(append(append(dst, "<message to='"...), to...), '\'')
	dst = append(dst, p.XML[len("<message"):len(p.XML)-len(endMessage)]...)
	dst = r.appendDelay(dst, p.Time)
	return append(dst, endMessage...)
}

func (r *Room) appendDelay(dst []byte, t time.Time) []byte {
	dst = appendAttr(append(dst, "<delay xmlns='"+stanza.NSDelay+"'"...), "from", r.addr.String())
	return append(t.UTC().AppendFormat(append(dst, " stamp='"...), stampLayout), "'/>"...)
}

// appendSubject writes the room's subject, which everybody gets who enters, empty or not (XEP-0045 §7.2.15).
func (r *Room) appendSubject(dst, to []byte) []byte {
	from := r.addr
	if r.subject != nil && !r.subject.From.IsZero() {
		from = r.subject.From
	}
	dst = appendAttr(append(dst, "<message"...), "from", from.String())
	dst = append(append(append(dst, " to='"...), to...), "' type='groupchat'>"...)
	if r.subject == nil {
		return append(dst, "<subject/>"+endMessage...)
	}
	dst = append(dst, r.subject.XML...)
	return append(r.appendDelay(dst, r.subject.Time), endMessage...)
}

// mayUse says why a user may not have a nickname: it looks like another one, or is reserved for somebody else.
func (r *Room) mayUse(nick string, user jid.JID) *stanza.Error {
	// Preparation takes care of the rest (RFC 7622 §3.4): control characters, invisible ones, compatible spellings of a space.
	if nick != strings.Join(strings.Fields(nick), " ") || nick == "" {
		return stanza.NewError(stanza.ConditionNotAcceptable, "a nickname cannot begin or end with a space or have several in a row")
	}
	for i := range r.nicks {
		if r.nicks[i].Nick == nick && r.nicks[i].User != user {
			return stanza.NewError(stanza.ConditionConflict, "this nickname is reserved for somebody else")
		}
	}
	for _, p := range r.wishes {
		if p.nick != nil && p.nick.Nick == nick && p.nick.User != user {
			return stanza.NewError(stanza.ConditionConflict, "somebody else is about to reserve this nickname")
		}
	}
	return nil
}

// reservedBy is the nickname that a user has reserved.
func (r *Room) reservedBy(user jid.JID) (string, bool) {
	for i := range r.nicks {
		if r.nicks[i].User == user {
			return r.nicks[i].Nick, true
		}
	}
	return "", false
}
