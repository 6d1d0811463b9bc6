package room

import (
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

func parseJID(b []byte) (jid.JID, error) { return jid.ParseBytes(b) }

// maxInvites is how many people one message may invite.
const maxInvites = 20

// mediate passes invitations and refusals on (XEP-0045 §7.8.2).
func (r *Room) mediate(o *occupant, by *Sender, s *stanza.Stanza, x xmlstream.Element, out []Output) []Output {
	if d := x.Child(nsUser, "decline"); d.Valid() {
		return r.decline(by, s, d, out)
	}
	switch {
	case o == nil:
		return r.fail(s, outside(), out)
	case o.affiliation < Admin && (!r.cfg.CanInvite || o.role < Participant && r.cfg.Moderated):
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "you may not invite to this room"), out)
	case r.cfg.MembersOnly && o.affiliation < Admin && !r.cfg.CanInvite:
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "only admins may invite to this room"), out)
	}
	var invites []invite
	for e := range x.Children() {
		if !e.Is(nsUser, "invite") {
			continue
		}
		to, err := parseJID(e.Attr("to"))
		switch {
		case err != nil || to.Local() == "":
			return r.fail(s, stanza.NewError(stanza.ConditionJIDMalformed, "whom to invite is not a user's address"), out)
		case r.cfg.Affiliations.Of(to) == Outcast:
			return r.fail(s, stanza.NewError(stanza.ConditionForbidden, to.Bare().String()+" is banned from this room: the ban has to be lifted before they are invited"), out)
		case len(invites) == maxInvites:
			return r.fail(s, stanza.NewError(stanza.ConditionResourceConstraint, "these are too many people to be invited at once"), out)
		}
		if to.Bare() == r.addr { // an occupant's address
			guest := r.named(to.Resource())
			if guest == nil {
				return r.fail(s, stanza.NewError(stanza.ConditionItemNotFound, "nobody of this nickname is in the room"), out)
			}
			to = guest.user
		}
		from := o.addr
		if !r.cfg.anonymous() {
			from = o.user
		}
		invites = append(invites, invite{to: to, from: from, reason: cut(e.Child(nsUser, "reason").Text()), id: string(s.ID)})
	}
	if len(invites) == 0 {
		return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "this message says nothing that the room understands"), out)
	}
	w := &Wish{Cause: CauseInvite}
	if r.cfg.MembersOnly {
		for i := range invites {
			if user := invites[i].to.Bare(); r.cfg.Affiliations.Of(user) < Member {
				w.Affiliations = append(w.Affiliations, Entry{user, Member})
			}
		}
	}
	if len(w.Affiliations) > 0 {
		return r.want(by, s, w, wish{invites: invites}, out)
	}
	return r.invite(invites, out)
}

// invite is an invitation that waits to be sent.
type invite struct {
	to, from jid.JID
	reason   string
	id       string
}

func (r *Room) invite(list []invite, out []Output) []Output {
	for i := range list {
		b := xmlstream.NewBuilder(nil).Open(nsUser, "x").Open(nsUser, "invite").Attr("from", list[i].from.String())
		if list[i].reason != "" {
			b.Open(nsUser, "reason").Text(list[i].reason).Close()
		}
		b.Close()
		if r.cfg.Password != "" {
			b.Open(nsUser, "password").Text(r.cfg.Password).Close()
		}
		// Older clients know only this form, which XEP-0045 had before version 1.20.
		b.Close().Open(nsConference, "x").Attr("jid", r.addr.String())
		if list[i].reason != "" {
			b.Attr("reason", list[i].reason)
		}
		m := stanza.Stanza{Kind: stanza.Message, Type: stanza.MessageNormal, From: r.addr, To: list[i].to, Payload: b.Bytes()}
		if list[i].id != "" {
			m.ID = []byte(list[i].id)
		}
		out = append(out, single(m.To, stanza.Message, m.Append(nil)))
	}
	return out
}

// Invite sends an invitation of the room itself.
func (r *Room) Invite(to jid.JID, reason string, out []Output) []Output {
	if r.ended {
		return out
	}
	return r.invite([]invite{{to: to, from: r.addr, reason: cut([]byte(reason))}}, out)
}

// decline passes a refusal on to who invited: an occupant, or a user who is one.
func (r *Room) decline(by *Sender, s *stanza.Stanza, d xmlstream.Element, out []Output) []Output {
	to, err := parseJID(d.Attr("to"))
	if err != nil {
		return r.fail(s, stanza.NewError(stanza.ConditionJIDMalformed, "whom to answer is not an address"), out)
	}
	if r.affiliation(by.From, by.Admin) == Outcast {
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "you are banned from this room"), out)
	}
	// Only who is here can have invited; so the room is no way to write to just anybody.
	for _, o := range r.occupants {
		if o.addr != to && o.user != to.Bare() {
			continue
		}
		b := xmlstream.NewBuilder(nil).Open(nsUser, "x").Open(nsUser, "decline").Attr("from", by.From.Bare().String())
		if reason := cut(d.Child(nsUser, "reason").Text()); reason != "" {
			b.Open(nsUser, "reason").Text(reason)
		}
		m := stanza.Stanza{Kind: stanza.Message, Type: stanza.MessageNormal, ID: s.ID, From: r.addr, To: o.real(), Payload: b.Bytes()}
		return append(out, single(m.To, stanza.Message, m.Append(nil)))
	}
	return r.fail(s, stanza.NewError(stanza.ConditionItemNotFound, "who invited you is not in the room"), out)
}

// voice takes a visitor's request for voice (XEP-0045 §7.13), or a moderator's answer to one (§8.6).
func (r *Room) voice(o *occupant, by *Sender, s *stanza.Stanza, x xmlstream.Element, out []Output) []Output {
	f, fault := readForm(x, formRequest)
	switch {
	case o == nil:
		return r.fail(s, outside(), out)
	case fault != nil:
		return r.fail(s, fault, out)
	case f.Type != stanza.FormSubmit:
		return out
	}
	if f.Has("muc#request_allow") {
		if o.role < Moderator {
			return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "only moderators may grant voice"), out)
		}
		allow, _ := stanza.ParseBool(f.First("muc#request_allow"))
		guest := r.named(f.First("muc#roomnick"))
		if !allow || guest == nil || guest.role != Visitor {
			return out
		}
		return r.setRole(guest, Participant, o.nick(), "", out)
	}
	if f.First("muc#role") != Participant.String() || o.role != Visitor || !r.cfg.Moderated {
		return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "only a visitor of a moderated room can request the role of a participant"), out)
	}
	b := xmlstream.NewBuilder(nil)
	form := stanza.OpenForm(b, stanza.FormToFill, formRequest, "Voice request", "To let this person speak, submit this form with a tick.")
	form.Field("muc#role", "list-single", "Requested role", Participant.String())
	form.Field("muc#jid", "jid-single", "User", o.real().String())
	form.Field("muc#roomnick", "text-single", "Room nickname", o.nick())
	form.Field("muc#request_allow", "boolean", "Grant voice?", "false")
	payload := b.Bytes()
	for _, m := range r.occupants {
		if m.role != Moderator {
			continue
		}
		for i := range m.sessions {
			msg := stanza.Stanza{Kind: stanza.Message, Type: stanza.MessageNormal, ID: []byte(by.ID), From: r.addr, To: m.sessions[i].jid, Payload: payload}
			out = append(out, single(msg.To, stanza.Message, msg.Append(nil)))
		}
	}
	return out
}
