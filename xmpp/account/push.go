package account

import (
	"strconv"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// changed compares a contact with what it was and does what follows: a roster push (RFC 6121 §2.1.6), the end of presence for who may not see it any
// more, and the user's presence for who may see it now. With fetch it asks for the presence of a contact whom the user sees
// from now on; where subscription stanzas made the change, the contact's server sends that by itself (§3.1.5). The user is locked.
func (r *Rosters) changed(u *user, old *Item, fetch bool) {
	now := u.item(old.JID)
	switch {
	case old.Hidden && now.Hidden:
	case now.Hidden:
		r.push(u, &now, true)
	case old.Hidden || !now.same(old):
		r.push(u, &now, false)
	}
	was, is := old.Subscription, now.Subscription
	switch contact := old.JID; {
	case was.SeenByContact() && !is.SeenByContact():
		r.hidePresence(u, contact)
	case !was.SeenByContact() && is.SeenByContact():
		u.later(func() { r.showPresence(u.username, contact) })
	}
	if fetch && !was.SeesContact() && is.SeesContact() {
		for _, res := range u.resources {
			if res.session.Available() {
				r.fetchPresence(u, old.JID, res.session)
			}
		}
	}
}

// push tells interested resources about one item, or its removal (RFC 6121 §2.1.6, §2.5.2).
func (r *Rosters) push(u *user, it *Item, removed bool) {
	var payload []byte
	for _, res := range u.resources {
		if !res.interested {
			continue
		}
		if payload == nil {
			payload = pushPayload(it, removed, u.version())
		}
		r.pushTo(res.session, payload)
	}
}

// pushPayload is a roster push about one item.
func pushPayload(it *Item, removed bool, version string) []byte {
	b := xmlstream.NewBuilder(nil).Open(stanza.NSRoster, "query").Attr("ver", version)
	appendItem(b, it, removed)
	return b.Close().Bytes()
}

func (r *Rosters) pushTo(s *core.Session, payload []byte) {
	s.SendStanza(&stanza.Stanza{
		Kind: stanza.IQ, Type: stanza.IQSet,
		ID: strconv.AppendUint([]byte("push-"), r.pushes.Add(1), 36),
		To: s.JID(), Payload: payload,
	})
}

// appendItem writes a roster item (RFC 6121 §2.1.2).
func appendItem(b *xmlstream.Builder, it *Item, removed bool) {
	b.Open(stanza.NSRoster, "item").Attr("jid", it.JID.String())
	if removed {
		b.Attr("subscription", "remove").Close()
		return
	}
	if it.Name != "" {
		b.Attr("name", it.Name)
	}
	b.Attr("subscription", it.Subscription.String())
	if it.Ask {
		b.Attr("ask", "subscribe")
	}
	if it.Approved {
		b.Attr("approved", "true")
	}
	for _, g := range it.Groups {
		b.Open(stanza.NSRoster, "group").Text(g).Close()
	}
	b.Close()
}

// showPresence sends the presence of all available resources to a contact who may see it (RFC 6121 §3.1.5). It takes the user's lock, so
// that what it sends is not older than a broadcast on its way.
func (r *Rosters) showPresence(username string, contact jid.JID) {
	u := r.lock(username)
	defer r.unlock(u)
	if !u.seenBy(contact) {
		return
	}
	for _, res := range u.resources {
		if p := res.session.Presence(); p != nil {
			r.send(p.Stanza, contact)
		}
	}
}

// hidePresence sends unavailable presence of all available resources to a contact who may not see them any more (RFC 6121 §3.2.2,
// §3.3.3). The user is locked.
func (r *Rosters) hidePresence(u *user, contact jid.JID) {
	for _, res := range u.resources {
		if res.session.Available() {
			r.send(&stanza.Stanza{Kind: stanza.Presence, Type: stanza.PresenceUnavailable, From: res.session.JID()}, contact)
		}
	}
}

// send routes a copy of a presence stanza. Contacts of other domains are left out: there is no way to them, and an error for each of them
// at each change helps nobody.
func (r *Rosters) send(p *stanza.Stanza, to jid.JID) {
	if !r.sb.Serves(to.Domain()) {
		return
	}
	out := *p
	out.To = to
	r.sb.Route(&out)
}
