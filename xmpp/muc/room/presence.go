package room

import (
	"bytes"
	"strconv"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// notice is what there is to tell about an occupant beside the presence itself.
type notice struct {
	unavailable bool
	payload     []byte // of an unavailable presence
	newNick     string // with 303
	actor       string // nickname of who did it
	reason      string
	codes       []int
	selfCodes   []int  // besides 110
	extra       []byte // in the x element
	id          []byte // of what the session sent
	session     jid.JID
	alone       bool // the session goes, and others of the nickname stay
}

// appendTail writes a presence from the quote that ends its to attribute on.
func (o *occupant) appendTail(dst []byte, n *notice, see, self bool, session jid.JID) []byte {
	dst = append(dst, '\'')
	if self && n.id != nil && session == n.session {
		dst = append(xmlstream.AppendEscapedAttr(append(dst, " id='"...), n.id), '\'')
	}
	if n.unavailable {
		dst = append(append(dst, " type='unavailable'>"...), n.payload...)
		dst = appendOccupantID(dst, o.id)
		dst = append(dst, "<x xmlns='"+nsUser+"'>"...)
		role := NoRole
		if n.newNick != "" {
			role = o.role
		}
		dst = appendItem(dst, o.affiliation, role)
	} else {
		dst = append(dst, o.body...)
	}
	if see {
		shown := o.real()
		if n.alone {
			shown = session
		}
		dst = appendAttr(dst, "jid", shown.String())
	}
	if n.newNick != "" {
		dst = appendAttr(dst, "nick", n.newNick)
	}
	if n.actor == "" && n.reason == "" {
		dst = append(dst, "/>"...)
	} else {
		dst = append(dst, '>')
		if n.actor != "" {
			dst = append(appendAttr(append(dst, "<actor"...), "nick", n.actor), "/>"...)
		}
		if n.reason != "" {
			dst = append(xmlstream.AppendEscapedText(append(dst, "<reason>"...), []byte(n.reason)), "</reason>"...)
		}
		dst = append(dst, "</item>"...)
	}
	for _, c := range n.codes {
		dst = appendStatus(dst, c)
	}
	if self {
		dst = appendStatus(dst, codeSelf)
		for _, c := range n.selfCodes {
			dst = appendStatus(dst, c)
		}
	}
	return append(append(dst, n.extra...), "</x></presence>"...)
}

func appendStatus(dst []byte, code int) []byte {
	return append(strconv.AppendInt(append(dst, "<status code='"...), int64(code), 10), "'/>"...)
}

// tellOthers tells everybody but the occupant. Where only moderators see real addresses these are two broadcasts.
func (r *Room) tellOthers(o *occupant, n *notice, out []Output) []Output {
	visible := !n.unavailable && r.cfg.broadcasts(o.role)
	switch {
	case visible, n.unavailable && o.told:
	case !n.unavailable && o.told:
		n = &notice{unavailable: true} // from now on they see nothing of it
	default:
		return out
	}
	o.told = visible
	list, moderators := r.others(o)
	if !r.cfg.anonymous() {
		moderators = len(list)
	}
	if moderators > 0 {
		out = append(out, &Broadcast{Kind: stanza.Presence, To: list[:moderators:moderators], Head: o.head, Tail: o.appendTail(nil, n, true, false, jid.JID{})})
	}
	if moderators < len(list) {
		out = append(out, &Broadcast{Kind: stanza.Presence, To: list[moderators:], Head: o.head, Tail: o.appendTail(nil, n, false, false, jid.JID{})})
	}
	return out
}

// tellSelf tells the occupant's own sessions.
func (r *Room) tellSelf(o *occupant, n *notice, out []Output) []Output {
	for i := range o.sessions {
		out = r.tellSession(o, o.sessions[i].jid, n, out)
	}
	return out
}

func (r *Room) tellSession(o *occupant, to jid.JID, n *notice, out []Output) []Output {
	xml := append([]byte(nil), o.head...)
	xml = xmlstream.AppendEscapedAttrString(xml, to.String())
	return append(out, single(to, stanza.Presence, o.appendTail(xml, n, true, true, to)))
}

// publish makes a changed presence known to all.
func (r *Room) publish(o *occupant, n *notice, out []Output) []Output {
	r.render(o)
	return r.tellOthers(o, n, r.tellSelf(o, n, out))
}

// remove takes an occupant out of the room and tells everybody: first who is removed (XEP-0045 §8.2).
func (r *Room) remove(o *occupant, n notice, out []Output) []Output {
	n.unavailable = true
	out = r.tellSelf(o, &n, out)
	r.drop(o)
	return r.tellOthers(o, &n, out)
}

// single is an output of one stanza.
func single(to jid.JID, kind stanza.Kind, xml []byte) *Send {
	return &Send{To: to, XML: xml, Ends: []int{len(xml)}, Kind: kind}
}

func (r *Room) presence(by *Sender, s *stanza.Stanza, out []Output) []Output {
	o := r.find(by.From)
	nick := s.To.Resource()
	switch s.Type {
	case stanza.TypeError:
		return r.bounced(o, by, s, out)
	case stanza.PresenceUnavailable:
		if o == nil {
			return out
		}
		return r.leave(o, by.From, notice{payload: r.clean(s), id: s.ID, session: by.From}, out)
	case stanza.PresenceAvailable:
	default:
		return out // subscriptions and probes mean nothing to a room
	}
	asks := s.Child(nsMUC, "x")
	payload := r.clean(s)
	switch {
	case len(payload) > maxPresence: // everybody gets it who ever enters
		return r.fail(s, stanza.NewError(stanza.ConditionNotAcceptable, "this presence is larger than a room passes on"), out)
	case nick == "":
		return r.fail(s, stanza.NewError(stanza.ConditionJIDMalformed, "enter a room by its address with a nickname: "+r.addr.String()+"/nickname"), out)
	case o == nil && !asks.Valid():
		return r.astray(by, s, out)
	case o == nil:
		return r.enter(by, s, asks, out)
	case nick != o.nick():
		return r.rename(o, by, s, out)
	}
	i := o.session(by.From)
	updated := o.sessions[i]
	news := !bytes.Equal(updated.payload, payload) || i != len(o.sessions)-1
	updated.payload = payload
	copy(o.sessions[i:], o.sessions[i+1:])
	o.sessions[len(o.sessions)-1] = updated
	n := notice{id: s.ID, session: by.From}
	if !asks.Valid() {
		return r.publish(o, &n, out)
	}
	// XEP-0045 §7.2.1: who enters again has lost track, and gets everything again.
	r.render(o)
	out = r.welcome(o, by, s, asks, nil, out)
	if !news { // §15.3
		return out
	}
	for j := range o.sessions {
		if o.sessions[j].jid != by.From {
			out = r.tellSession(o, o.sessions[j].jid, &notice{}, out)
		}
	}
	return r.tellOthers(o, &notice{}, out)
}

// leave takes one session out, and its occupant with the last one (XEP-0045 §7.14).
func (r *Room) leave(o *occupant, full jid.JID, n notice, out []Output) []Output {
	if len(o.sessions) == 1 {
		return r.end(r.remove(o, n, out))
	}
	n.unavailable, n.alone = true, true
	out = r.tellSession(o, full, &n, out)
	i := o.session(full)
	shown := i == len(o.sessions)-1
	r.dropSession(o, i)
	if shown {
		out = r.publish(o, &notice{}, out)
	}
	return out
}

// end checks whether the room is over: nobody is in it, and it isn't to stay.
func (r *Room) end(out []Output) []Output {
	if len(r.occupants) > 0 || len(r.wishes) > 0 || r.ended || r.cfg.Persistent && !r.locked {
		return out
	}
	r.ended = true
	return append(out, &Ended{})
}

// bounced removes a session that cannot be reached (XEP-0045 §16.1.2, §11.1).
func (r *Room) bounced(o *occupant, by *Sender, s *stanza.Stanza, out []Output) []Output {
	if o == nil {
		return out
	}
	e := stanza.ParseError(s)
	if e == nil || !unreachable(e.Condition) {
		return out
	}
	return r.leave(o, by.From, notice{codes: []int{codeKicked, codeTechnical}}, out)
}

// unreachable tells the errors of delivery (XEP-0045 §16.1.2), with those of a server that knows no such session.
func unreachable(c stanza.Condition) bool {
	switch c {
	case stanza.ConditionGone, stanza.ConditionItemNotFound, stanza.ConditionRecipientUnavailable, stanza.ConditionRedirect,
		stanza.ConditionRemoteServerNotFound, stanza.ConditionRemoteServerTimeout, stanza.ConditionServiceUnavailable,
		stanza.ConditionJIDMalformed, stanza.ConditionInternalServerError:
		return true
	}
	return false
}

// rename changes a nickname, for all sessions under it (XEP-0045 §7.6).
func (r *Room) rename(o *occupant, by *Sender, s *stanza.Stanza, out []Output) []Output {
	nick := s.To.Resource()
	if !r.cfg.CanChangeNickname && o.role < Moderator {
		return r.fail(s, stanza.NewError(stanza.ConditionNotAcceptable, "nicknames cannot be changed in this room"), out)
	}
	if fault := r.mayUse(nick, o.user); fault != nil {
		return r.fail(s, fault, out)
	}
	if mine, ok := r.reservedBy(o.user); ok && r.cfg.NicknameRestricted && mine != nick {
		return r.fail(s, stanza.NewError(stanza.ConditionNotAcceptable, "in this room you have to use the nickname that you registered: "+mine), out)
	}
	if r.named(nick) != nil {
		return r.fail(s, stanza.NewError(stanza.ConditionConflict, "this nickname is in use"), out)
	}
	addr, err := r.addr.WithResource(nick)
	if err != nil {
		return r.fail(s, stanza.NewError(stanza.ConditionJIDMalformed, err.Error()), out)
	}
	n := &notice{unavailable: true, newNick: nick, codes: []int{codeNewNick}, id: s.ID, session: by.From}
	out = r.tellOthers(o, n, r.tellSelf(o, n, out))
	o.told = false
	if r.byNick != nil {
		delete(r.byNick, o.nick())
		r.byNick[nick] = o
	}
	o.addr = addr
	i := o.session(by.From)
	updated := o.sessions[i]
	updated.payload = r.clean(s)
	copy(o.sessions[i:], o.sessions[i+1:])
	o.sessions[len(o.sessions)-1] = updated
	return r.publish(o, &notice{id: s.ID, session: by.From}, out)
}

// astray tells a client that believes to be in the room that it is not (XEP-0045 §7.2.18, which is no way in any more).
func (r *Room) astray(by *Sender, s *stanza.Stanza, out []Output) []Output {
	b := xmlstream.NewBuilder(nil).Open(nsUser, "x").Open(nsUser, "item").Attr("affiliation", "none").Attr("role", "none")
	b.Open(nsUser, "reason").Text("You are not in the room.").Close().Close()
	for _, c := range []int{codeSelf, codeKicked, codeTechnical} {
		b.Open(nsUser, "status").Attr("code", strconv.Itoa(c)).Close()
	}
	p := stanza.Stanza{Kind: stanza.Presence, Type: stanza.PresenceUnavailable, From: s.To, To: by.From, Payload: b.Bytes()}
	return append(out, single(by.From, stanza.Presence, p.Append(nil)))
}
