package room

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

func (r *Room) message(by *Sender, s *stanza.Stanza, out []Output) []Output {
	o := r.find(by.From)
	if s.Type == stanza.TypeError {
		if e := stanza.ParseError(s); o != nil && e != nil && unreachable(e.Condition) {
			return r.bounced(o, by, s, out)
		}
		if o == nil || s.To.IsBare() {
			return out
		}
		return r.whisper(o, s, out)
	}
	switch {
	case o == nil && r.locked && r.affiliation(by.From, by.Admin) < Owner: // §15.2
		return r.fail(s, stanza.NewError(stanza.ConditionItemNotFound, "this room is being set up"), out)
	case s.To.IsFull():
		return r.private(o, s, out)
	case s.Type == stanza.MessageGroupchat:
		return r.groupchat(o, by, s, out)
	}
	if x := s.Child(nsUser, "x"); x.Valid() {
		return r.mediate(o, by, s, x, out)
	}
	if f := s.Child(stanza.NSDataForms, "x"); f.Valid() {
		return r.voice(o, by, s, f, out)
	}
	return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "send messages to a room with the type groupchat"), out)
}

// outside answers who is not in the room but acts as if (XEP-0045 §7.4).
func outside() *stanza.Error {
	return stanza.NewError(stanza.ConditionNotAcceptable, "you are not in this room")
}

// groupchat takes a message to all occupants (XEP-0045 §7.4), or a new subject (§8.1).
func (r *Room) groupchat(o *occupant, by *Sender, s *stanza.Stanza, out []Output) []Output {
	if o == nil {
		return r.fail(s, outside(), out)
	}
	root := content(s)
	subject := root.Child(stanza.NSClient, "subject")
	// §7.2.15: only a subject without a body changes the room's. A thread doesn't: RFC 6121 §5.2.5 allows both with a subject.
	changes := subject.Valid() && !root.Child(stanza.NSClient, "body").Valid() && !root.Child(stanza.NSClient, "thread").Valid()
	switch {
	case changes && !(o.role == Moderator || o.role == Participant && r.cfg.CanChangeSubject):
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "you may not change the subject of this room"), out)
	case changes && len(root.AppendInner(nil)) > maxSubject: // everybody gets it who ever enters
		return r.fail(s, stanza.NewError(stanza.ConditionNotAcceptable, "this subject is longer than a room keeps"), out)
	case o.role < Participant && (r.cfg.Moderated || o.explicit):
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "you have no voice in this room"), out)
	}
	m := r.compose(o.addr, s.ID, s.Lang, by.ID, func(dst []byte) []byte {
		return appendOccupantID(r.appendClean(dst, s), o.id)
	})
	if changes {
		var xml []byte
		for c := range root.Children() {
			if c.Is(stanza.NSClient, "subject") {
				xml = c.Append(xml)
			}
		}
		r.subject = &Subject{XML: xml, Plain: string(subject.Text()), From: o.addr, Time: by.Time}
		out = append(out, &Remember{Subject: r.subject})
	}
	out = r.spread(m, o.addr, o.user, by, storable(root), changes, out)
	if t := retracts(root); t != "" {
		element := xmlstream.NewBuilder(nil).Open(nsRetract, "retracted").Attr("id", string(s.ID)).
			Attr("stamp", by.Time.UTC().Format(stampLayout)).Bytes()
		out = r.bury(t, o.user, element, out)
	}
	return out
}

// composed is a groupchat message that is serialized once.
type composed struct{ head, tail []byte }

// compose writes a groupchat message with its stanza id.
func (r *Room) compose(from jid.JID, id, lang []byte, sid string, content func([]byte) []byte) composed {
	buf := make([]byte, 0, 1024)
	buf = append(appendAttr(append(buf, "<message"...), "from", from.String()), " to='"...)
	n := len(buf)
	buf = append(buf, "' type='groupchat'"...)
	if id != nil {
		buf = append(xmlstream.AppendEscapedAttr(append(buf, " id='"...), id), '\'')
	}
	if lang != nil {
		buf = append(xmlstream.AppendEscapedAttr(append(buf, " xml:lang='"...), lang), '\'')
	}
	buf = content(append(buf, '>'))
	if sid != "" {
		buf = appendAttr(append(buf, "<stanza-id xmlns='"+stanza.NSStanzaID+"'"...), "by", r.addr.String())
		buf = append(appendAttr(buf, "id", sid), "/>"...)
	}
	buf = append(buf, endMessage...)
	return composed{buf[:n:n], buf[n:]}
}

// whole is the message without a recipient.
func (m composed) whole() []byte {
	head := m.head[:len(m.head)-len(" to='")]
	return append(append(make([]byte, 0, len(head)+len(m.tail)), head...), m.tail[1:]...)
}

// storage says where a message may be kept.
type storage struct{ history, archive bool }

// spread archives a message, keeps it for newcomers, and sends it to everybody.
func (r *Room) spread(m composed, from, real jid.JID, by *Sender, keep storage, subject bool, out []Output) []Output {
	archive, history := keep.archive && r.cfg.Archived, keep.history && !subject && r.cfg.History > 0
	if archive || history {
		p := Past{ID: by.ID, Time: by.Time, From: from, Real: real, XML: m.whole()}
		if archive {
			out = append(out, &Archive{ID: p.ID, Time: p.Time, From: p.From, Real: p.Real, XML: p.XML, History: keep.history && !subject})
		}
		if history {
			r.history = append(r.history, p)
			r.kept += len(p.XML)
			r.trim()
		}
	}
	return r.broadcast(m, out)
}

func (r *Room) broadcast(m composed, out []Output) []Output {
	to, _ := r.recipients()
	if len(to) == 0 {
		return out
	}
	return append(out, &Broadcast{Kind: stanza.Message, To: to, Head: m.head, Tail: m.tail})
}

// storable says what may be kept: what its sender's hints allow (XEP-0334), and what is more than a passing chat state.
func storable(root xmlstream.Element) storage {
	var content, store, noStore, noPermanent bool
	for c := root.FirstChild(); c.Valid(); c = c.NextSibling() {
		switch string(c.Space()) {
		case stanza.NSHints:
			switch string(c.Local()) {
			case "store":
				store = true
			case "no-store":
				noStore = true
			case "no-permanent-store":
				noPermanent = true
			}
		case nsChatStates, stanza.NSStanzaID, nsOccupantID, nsUser, nsMUC:
		case stanza.NSClient:
			content = content || string(c.Local()) != "thread"
		default:
			content = true
		}
	}
	keep := (content || store) && !noStore
	return storage{keep, keep && !noPermanent}
}

// retracts is the stanza id of the message that a message takes back (XEP-0424 §3).
func retracts(root xmlstream.Element) string {
	if e := root.Child(nsRetract, "retract"); e.Valid() {
		return string(e.Attr("id"))
	}
	return ""
}

// bury takes a message out of what is kept. author, unless zero, is whose it has to be.
func (r *Room) bury(id string, author jid.JID, element []byte, out []Output) []Output {
	for i := range r.history {
		if r.history[i].ID == id && (author.IsZero() || r.history[i].Real == author) {
			r.kept -= len(r.history[i].XML)
			r.history = append(r.history[:i:i], r.history[i+1:]...)
			break
		}
	}
	if r.cfg.Archived {
		out = append(out, &Tombstone{ID: id, Author: author, Element: element})
	}
	return out
}

// private takes a message to one occupant (XEP-0045 §7.5).
func (r *Room) private(o *occupant, s *stanza.Stanza, out []Output) []Output {
	switch {
	case o == nil:
		return r.fail(s, outside(), out)
	case s.Type == stanza.MessageGroupchat:
		return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "a message to one occupant cannot be of the type groupchat"), out)
	case r.named(s.To.Resource()) == nil:
		return r.fail(s, stanza.NewError(stanza.ConditionItemNotFound, "nobody of this nickname is in the room"), out)
	case !r.mayWhisper(o, r.named(s.To.Resource())):
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "you may not send private messages in this room"), out)
	}
	return r.whisper(o, s, out)
}

// mayWhisper applies the room's policy of private messages (muc#roomconfig_allowpm).
func (r *Room) mayWhisper(from, _ *occupant) bool {
	switch r.cfg.PrivateMessages {
	case directory.PrivateNone:
		return false
	case directory.PrivateModerators:
		return from.role >= Moderator
	case directory.PrivateParticipants:
		return from.role >= Participant
	}
	return true
}

// whisper sends a message on to all sessions of an occupant.
func (r *Room) whisper(o *occupant, s *stanza.Stanza, out []Output) []Output {
	to := r.named(s.To.Resource())
	if to == nil {
		return out
	}
	m := stanza.Stanza{Kind: stanza.Message, Type: s.Type, ID: s.ID, Lang: s.Lang, From: o.addr}
	m.Payload = appendOccupantID(r.clean(s), o.id)
	m.Payload = append(m.Payload, "<x xmlns='"+nsUser+"'/>"...)
	for i := range to.sessions {
		m.To = to.sessions[i].jid
		out = append(out, single(m.To, stanza.Message, m.Append(nil)))
	}
	return out
}

// SetSubject takes a subject that was declared, as if the room itself had set it.
func (r *Room) SetSubject(d Declared, out []Output) []Output {
	if r.ended {
		return out
	}
	xml := xmlstream.NewBuilder(nil).Open(stanza.NSClient, "subject").Text(d.Subject).Bytes()
	r.subject = &Subject{XML: xml, Plain: d.Subject, From: r.addr, Time: d.Time}
	m := r.compose(r.addr, nil, nil, d.ID, func(dst []byte) []byte { return append(dst, xml...) })
	out = append(out, &Remember{Subject: r.subject})
	return r.spread(m, r.addr, jid.JID{}, &Sender{ID: d.ID, Time: d.Time}, storage{true, true}, true, out)
}

// Notice is something that the service says in a room.
type Notice struct {
	Body string
	Time time.Time
	ID   string // of the stanza
}

// Say sends a message of the room itself to everybody in it.
func (r *Room) Say(n Notice, out []Output) []Output {
	if r.ended {
		return out
	}
	m := r.compose(r.addr, []byte(n.ID), nil, n.ID, func(dst []byte) []byte {
		return xmlstream.NewBuilder(dst).Open(stanza.NSClient, "body").Text(n.Body).Bytes()
	})
	return r.spread(m, r.addr, jid.JID{}, &Sender{ID: n.ID, Time: n.Time}, storage{true, true}, false, out)
}
