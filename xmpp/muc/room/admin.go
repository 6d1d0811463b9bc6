package room

import (
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// adminGet gives out a list by role or affiliation (XEP-0045 §8.5, §9.2, §9.5, §9.8, §10.5, §10.8).
func (r *Room) adminGet(by *Sender, s *stanza.Stanza, q xmlstream.Element, out []Output) []Output {
	item := q.Child(nsAdmin, "item")
	actor := r.affiliation(by.From, by.Admin)
	b := xmlstream.NewBuilder(nil).Open(nsAdmin, "query")
	if name := item.Attr("role"); name != nil {
		role, ok := ParseRole(string(name))
		o := r.find(by.From)
		switch {
		case !ok || role == NoRole:
			return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "there is no list of this role"), out)
		case o == nil || o.role < Moderator, role == Moderator && actor < Admin: // §9.8
			return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "you may not read this list"), out)
		}
		for _, o := range r.occupants {
			if o.role == role {
				b.Open(nsAdmin, "item").Attr("affiliation", o.affiliation.String()).Attr("jid", o.real().String()).
					Attr("nick", o.nick()).Attr("role", o.role.String()).Close()
			}
		}
		return r.result(s, b.Bytes(), out)
	}
	a, ok := ParseAffiliation(string(item.Attr("affiliation")))
	switch {
	case !ok || a == None:
		return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "there is no list of this affiliation"), out)
	case !r.mayList(actor, a):
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "you may not read this list"), out)
	}
	for _, j := range r.cfg.Affiliations.List(a) {
		b.Open(nsAdmin, "item").Attr("affiliation", a.String()).Attr("jid", j.String())
		if nick, ok := r.reservedBy(j); ok && a >= Member {
			b.Attr("nick", nick)
		}
		b.Close()
	}
	return r.result(s, b.Bytes(), out)
}

// adminItem is one change that a client asks for.
type adminItem struct {
	occupant *occupant // of a change of role
	role     Role
	user     jid.JID // of a change of affiliation
	to       Affiliation
	reason   string
}

// adminSet changes roles or affiliations: all that is asked for, or nothing (XEP-0045 §8, §9, §10.3 to §10.8).
func (r *Room) adminSet(by *Sender, s *stanza.Stanza, q xmlstream.Element, out []Output) []Output {
	actor := r.find(by.From)
	level := r.affiliation(by.From, by.Admin)
	if level < Admin && (actor == nil || actor.role < Moderator) {
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "you may not do this in this room"), out)
	}
	var roles, affiliations []adminItem
	for e := range q.Children() {
		if !e.Is(nsAdmin, "item") {
			continue
		}
		if len(roles)+len(affiliations) == maxAdminItems {
			return r.fail(s, stanza.NewError(stanza.ConditionResourceConstraint, "these are too many changes at once"), out)
		}
		item, fault := r.adminItem(actor, e)
		switch {
		case fault != nil:
			return r.fail(s, fault, out)
		case item.occupant != nil:
			roles = append(roles, item)
		default:
			affiliations = append(affiliations, item)
		}
	}
	switch {
	case len(roles)+len(affiliations) == 0 || len(roles) > 0 && len(affiliations) > 0:
		return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "change either roles or affiliations"), out)
	case len(affiliations) > 0:
		w, p := &Wish{}, wish{}
		for _, i := range affiliations {
			w.Affiliations = append(w.Affiliations, Entry{i.user, i.to})
			p.reasons = append(p.reasons, reason{i.user, i.to, i.reason})
		}
		return r.want(by, s, w, p, out)
	}
	// XEP-0045 §8.2: who is kicked learns it first, then the moderator, then the others; the order among outputs of one
	// event makes no difference to anybody, so the answer comes last.
	for _, i := range roles {
		if r.named(i.occupant.nick()) == i.occupant { // not kicked by an item before
			out = r.setRole(i.occupant, i.role, actor.nick(), i.reason, out)
		}
	}
	return r.end(r.result(s, nil, out))
}

func (r *Room) adminItem(actor *occupant, e xmlstream.Element) (adminItem, *stanza.Error) {
	item := adminItem{reason: cut(e.Child(nsAdmin, "reason").Text())}
	name := e.Attr("role")
	if name != nil && e.Attr("affiliation") != nil { // §15.4
		return item, stanza.NewError(stanza.ConditionBadRequest, "an item changes either a role or an affiliation")
	}
	if name != nil {
		var ok bool
		if item.role, ok = ParseRole(string(name)); !ok {
			return item, stanza.NewError(stanza.ConditionBadRequest, "there is no such role")
		}
		nick, err := jid.PrepareResource(string(e.Attr("nick")))
		if err == nil {
			item.occupant = r.named(nick)
		}
		switch {
		case item.occupant == nil:
			return item, stanza.NewError(stanza.ConditionItemNotFound, "nobody of this nickname is in the room")
		case actor == nil:
			return item, stanza.NewError(stanza.ConditionForbidden, "only moderators in the room may change roles")
		}
		return item, mayChangeRole(actor, item.occupant, item.role)
	}
	var ok bool
	if item.to, ok = ParseAffiliation(string(e.Attr("affiliation"))); !ok || e.Attr("affiliation") == nil {
		return item, stanza.NewError(stanza.ConditionBadRequest, "there is no such affiliation")
	}
	switch {
	case e.Attr("jid") != nil:
		j, err := parseJID(e.Attr("jid"))
		if err != nil {
			return item, stanza.NewError(stanza.ConditionJIDMalformed, err.Error())
		}
		item.user = j.Bare()
		if item.user == r.addr || item.user.Local() == "" && item.to > None {
			return item, stanza.NewError(stanza.ConditionNotAllowed, "this address is not a user's")
		}
	case e.Attr("nick") != nil:
		nick, err := jid.PrepareResource(string(e.Attr("nick")))
		o := r.named(nick)
		if err != nil || o == nil {
			return item, stanza.NewError(stanza.ConditionItemNotFound, "nobody of this nickname is in the room")
		}
		item.user = o.user
	default:
		return item, stanza.NewError(stanza.ConditionBadRequest, "an item needs a jid or a nick")
	}
	return item, nil
}

// setRole gives an occupant a role; none is a kick (XEP-0045 §8.2).
func (r *Room) setRole(o *occupant, to Role, actor, why string, out []Output) []Output {
	switch to {
	case o.role:
		return out
	case NoRole:
		return r.remove(o, notice{codes: []int{codeKicked}, actor: actor, reason: why}, out)
	}
	if o.role == Moderator || to == Moderator {
		r.stale = true
	}
	o.role, o.explicit = to, true
	return r.publish(o, &notice{actor: actor, reason: why}, out)
}
