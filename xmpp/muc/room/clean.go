package room

import (
	"bytes"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// forged tells what only the room itself may say, wherever in a stanza it stands: stanza ids by the room (XEP-0359 §6),
// occupant ids (XEP-0421 §3.4).
func (r *Room) forged(e xmlstream.Element) bool {
	switch string(e.Local()) {
	case "occupant-id":
		return string(e.Space()) == nsOccupantID
	case "stanza-id":
		return string(e.Space()) == stanza.NSStanzaID && r.isOwn(e.Attr("by"))
	}
	return false
}

// isOwn reports whether an address, however it is written, is the room's. What cannot be read counts as the room's: a client
// might read it.
func (r *Room) isOwn(by []byte) bool {
	if string(by) == r.addr.String() {
		return true
	}
	j, err := parseJID(by)
	return err != nil || j.Bare() == r.addr
}

// reserved tells what a client may not put into a stanza of its own at the top: what the room adds, and delays that
// claim to be the room's (XEP-0203 §4).
func (r *Room) reserved(e xmlstream.Element) bool {
	switch string(e.Space()) {
	case nsMUC, nsUser:
		return true
	case stanza.NSDelay:
		return e.Attr("from") != nil && r.isOwn(e.Attr("from"))
	}
	return r.forged(e)
}

// hides reports whether something forged is inside an element.
func (r *Room) hides(e xmlstream.Element) bool {
	for c := e.FirstChild(); c.Valid(); c = c.NextSibling() {
		if r.forged(c) || r.hides(c) {
			return true
		}
	}
	return false
}

// content is an element with what is inside a stanza, received or made.
func content(s *stanza.Stanza) xmlstream.Element {
	if s.Payload == nil {
		return s.Root
	}
	e, err := xmlstream.ParseInner(s.Payload, xmlstream.Limits{MaxBytes: 1 << 24, MaxDepth: 1 << 10, MaxElements: 1 << 20})
	if err != nil {
		return xmlstream.Element{}
	}
	return e
}

// clean is a stanza's content without what only the room may say.
func (r *Room) clean(s *stanza.Stanza) []byte { return r.appendClean(nil, s) }

func (r *Room) appendClean(dst []byte, s *stanza.Stanza) []byte {
	e := content(s)
	pure := true
	for c := e.FirstChild(); c.Valid() && pure; c = c.NextSibling() {
		pure = !r.reserved(c) && !r.hides(c)
	}
	if pure {
		return e.AppendInner(dst)
	}
	for c := e.FirstChild(); c.Valid(); c = c.NextSibling() {
		if !r.reserved(c) {
			dst = r.appendPure(dst, c, stanza.NSClient)
		}
	}
	return dst
}

// appendPure writes an element without anything forged inside, for a place with a default namespace.
func (r *Room) appendPure(dst []byte, e xmlstream.Element, around string) []byte {
	if !r.hides(e) {
		if around == stanza.NSClient {
			return e.Append(dst)
		}
		// The place needs another default namespace: a builder writes the declaration.
		b := xmlstream.NewBuilder(nil).Open(around, "x")
		whole := b.Element(e).Bytes()
		return append(dst, whole[bytes.IndexByte(whole, '>')+1:len(whole)-len("</x>")]...)
	}
	space := string(e.Space())
	dst = append(append(dst, '<'), e.Local()...)
	if space != around {
		dst = appendAttr(dst, "xmlns", space)
	}
	dst = append(e.AppendAttrs(dst, nil), '>')
	dst = xmlstream.AppendEscapedText(dst, e.Text())
	for c := e.FirstChild(); c.Valid(); c = c.NextSibling() {
		if !r.forged(c) {
			dst = r.appendPure(dst, c, space)
		}
	}
	return append(append(append(dst, "</"...), e.Local()...), '>')
}
