package room

import (
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// register makes users members of the room and reserves their nicknames (XEP-0045 §7.10).
func (r *Room) register(by *Sender, s *stanza.Stanza, q xmlstream.Element, set bool, out []Output) []Output {
	user := by.From.Bare()
	a := r.affiliation(by.From, by.Admin)
	nick, has := r.reservedBy(user)
	if a == Outcast || a == None && !r.cfg.RegistrationEnabled {
		return r.fail(s, stanza.NewError(stanza.ConditionNotAllowed, "you cannot register with this room"), out)
	}
	if !set {
		b := xmlstream.NewBuilder(nil).Open(nsRegister, "query")
		if has {
			b.Open(nsRegister, "registered").Close().Open(nsRegister, "username").Text(nick).Close()
		} else {
			b.Open(nsRegister, "instructions").Text("Choose the nickname to be reserved for you in this room.").Close()
		}
		stanza.OpenForm(b, stanza.FormToFill, formRegister, "Registration", "Choose the nickname to be reserved for you in this room.")
		b.Open(stanza.NSDataForms, "field").Attr("var", "muc#register_roomnick").Attr("type", "text-single").Attr("label", "Nickname")
		b.Open(stanza.NSDataForms, "required").Close()
		if has {
			b.Open(stanza.NSDataForms, "value").Text(nick).Close()
		}
		return r.result(s, b.Bytes(), out)
	}
	if q.Child(nsRegister, "remove").Valid() {
		p := wish{nick: &ReservedNick{User: user}}
		if a == Member {
			return r.want(by, s, &Wish{Affiliations: []Entry{{user, None}}, Cause: CauseUnregister}, p, out)
		}
		return r.result(s, nil, r.reserve(*p.nick, out))
	}
	f, fault := readForm(q.Child(stanza.NSDataForms, "x"), formRegister)
	switch {
	case fault != nil:
		return r.fail(s, fault, out)
	case f.Type == stanza.FormCancel:
		return r.result(s, nil, out)
	case f.Type != stanza.FormSubmit:
		return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "register with the form that the room gives"), out)
	}
	wanted, err := jid.PrepareResource(f.First("muc#register_roomnick"))
	if err != nil || wanted == "" {
		return r.fail(s, stanza.NewError(stanza.ConditionNotAcceptable, "this cannot be a nickname"), out)
	}
	if fault := r.mayUse(wanted, user); fault != nil {
		return r.fail(s, fault, out)
	}
	if o := r.named(wanted); o != nil && o.user != user {
		return r.fail(s, stanza.NewError(stanza.ConditionConflict, "somebody else uses this nickname now"), out)
	}
	reserved := ReservedNick{User: user, Nick: wanted}
	if a == None {
		return r.want(by, s, &Wish{Affiliations: []Entry{{user, Member}}, Cause: CauseRegister}, wish{nick: &reserved}, out)
	}
	return r.result(s, nil, r.reserve(reserved, out))
}
