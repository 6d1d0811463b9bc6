package room

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

func (r *Room) iq(by *Sender, s *stanza.Stanza, out []Output) []Output {
	if s.To.IsFull() {
		return r.pass(by, s, out)
	}
	if s.IsReply() {
		return out // the room never asks
	}
	q := s.FirstChild()
	if r.locked && r.affiliation(by.From, by.Admin) < Owner {
		return r.fail(s, stanza.NewError(stanza.ConditionItemNotFound, "this room is being set up"), out)
	}
	set := s.Type == stanza.IQSet
	switch {
	case q.Is(stanza.NSDiscoInfo, "query") && !set:
		return r.discoInfo(by, s, q, out)
	case q.Is(stanza.NSDiscoItems, "query") && !set:
		return r.discoItems(by, s, out)
	case q.Is(stanza.NSPing, "ping") && !set:
		return r.result(s, nil, out)
	case q.Is(nsAdmin, "query"):
		if set {
			return r.adminSet(by, s, q, out)
		}
		return r.adminGet(by, s, q, out)
	case q.Is(nsOwner, "query"):
		return r.owner(by, s, q, set, out)
	case q.Is(nsRegister, "query"):
		return r.register(by, s, q, set, out)
	case q.Is(nsVCard, "vCard"):
		return r.card(by, s, q, set, out)
	case q.Is(nsModerate, "moderate") && set, q.Is(nsFasten, "apply-to") && set && q.Child(nsModerate0, "moderate").Valid():
		return r.moderate(by, s, q, out)
	}
	return r.fail(s, stanza.NewError(stanza.ConditionServiceUnavailable, ""), out)
}

// pass takes a request to an occupant, or a reply to one, to where it belongs (XEP-0045 §16.4).
func (r *Room) pass(by *Sender, s *stanza.Stanza, out []Output) []Output {
	if s.IsReply() {
		return r.passReply(by, s, out)
	}
	o := r.find(by.From)
	q := s.FirstChild()
	if o == nil {
		if string(q.Space()) == stanza.NSDiscoInfo || string(q.Space()) == stanza.NSDiscoItems {
			return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "only occupants may ask occupants"), out) // §6.6
		}
		return r.fail(s, outside(), out) // XEP-0410 §3.2
	}
	to := r.named(s.To.Resource())
	switch {
	case to == nil:
		return r.fail(s, stanza.NewError(stanza.ConditionItemNotFound, "nobody of this nickname is in the room"), out)
	case to == o && q.Is(stanza.NSPing, "ping"):
		return r.result(s, nil, out) // XEP-0410 §3.3
	}
	target := to.real()
	if q.Is(nsVCard, "vCard") {
		target = to.user // a vCard is the account's
	}
	m := stanza.Stanza{Kind: stanza.IQ, Type: s.Type, Lang: s.Lang, From: o.addr, To: target}
	m.ID = []byte(r.passID(o.sessions[o.session(by.From)].seq, target, string(s.ID)))
	m.Payload = r.clean(s)
	return append(out, single(target, stanza.IQ, m.Append(nil)))
}

// passID is the id under which a request goes on. It says which session has asked, so that the room need not remember, and
// only who got it can make it: so nobody can answer what wasn't asked.
func (r *Room) passID(seq uint32, target jid.JID, id string) string {
	n := strconv.FormatUint(uint64(seq), 36)
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte("iq\x00" + n + "\x00" + target.String() + "\x00" + id))
	return n + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:9]) + "." + id
}

func (r *Room) passReply(by *Sender, s *stanza.Stanza, out []Output) []Output {
	seq, rest, _ := strings.Cut(string(s.ID), ".")
	_, id, ok := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(seq, 36, 32)
	to := r.named(s.To.Resource())
	if !ok || err != nil || to == nil {
		return out
	}
	from := r.find(by.From)
	answerer := by.From
	if from == nil { // an account answers for an occupant
		for _, o := range r.occupants {
			if o.user == by.From {
				from = o
			}
		}
	}
	if from == nil || !hmac.Equal([]byte(r.passID(uint32(n), answerer, id)), s.ID) {
		return out
	}
	for i := range to.sessions {
		if to.sessions[i].seq == uint32(n) {
			m := stanza.Stanza{Kind: stanza.IQ, Type: s.Type, ID: []byte(id), Lang: s.Lang, From: from.addr, To: to.sessions[i].jid, Payload: r.clean(s)}
			return append(out, single(m.To, stanza.IQ, m.Append(nil)))
		}
	}
	return out
}

// moderate retracts somebody's message (XEP-0425 §3).
func (r *Room) moderate(by *Sender, s *stanza.Stanza, q xmlstream.Element, out []Output) []Output {
	o := r.find(by.From)
	if o == nil || o.role < Moderator {
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "only moderators may moderate other participants' messages"), out)
	}
	id := string(q.Attr("id"))
	action := q
	if q.Is(nsFasten, "apply-to") {
		action = q.Child(nsModerate0, "moderate")
	}
	if id == "" || !action.Child(nsRetract, "retract").Valid() && !action.Child(nsRetract0, "retract").Valid() {
		return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "say which message is to be retracted"), out)
	}
	known := r.cfg.Archived
	for i := range r.history {
		known = known || r.history[i].ID == id
	}
	if !known {
		return r.fail(s, stanza.NewError(stanza.ConditionItemNotFound, "the room knows no such message"), out)
	}
	reason := cut(action.Child(string(action.Space()), "reason").Text())
	moderated := func(b *xmlstream.Builder) {
		b.Open(nsModerate, "moderated").Attr("by", o.addr.String()).Open(nsOccupantID, "occupant-id").Attr("id", o.id).Close().Close()
		if reason != "" {
			b.Open(nsRetract, "reason").Text(reason).Close()
		}
	}
	m := r.compose(r.addr, []byte(by.ID), nil, by.ID, func(dst []byte) []byte {
		b := xmlstream.NewBuilder(dst).Open(nsRetract, "retract").Attr("id", id)
		moderated(b)
		b.Close()
		// What clients of the earlier version look for.
		b.Open(nsFasten, "apply-to").Attr("id", id).Open(nsModerate0, "moderated").Attr("by", o.addr.String())
		b.Open(nsRetract0, "retract").Close()
		if reason != "" {
			b.Open(nsModerate0, "reason").Text(reason).Close()
		}
		return b.Bytes()
	})
	b := xmlstream.NewBuilder(nil).Open(nsRetract, "retracted").Attr("stamp", by.Time.UTC().Format(stampLayout))
	moderated(b)
	out = r.bury(id, jid.JID{}, b.Bytes(), out)
	out = r.spread(m, r.addr, jid.JID{}, by, storage{false, true}, false, out)
	return r.result(s, nil, out)
}
