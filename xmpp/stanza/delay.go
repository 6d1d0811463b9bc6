package stanza

import (
	"bytes"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// stampLayout is a moment in UTC (XEP-0082 §3.2).
const stampLayout = "2006-01-02T15:04:05.000Z"

// Stamp writes a moment, to the millisecond.
func Stamp(t time.Time) string { return t.UTC().Format(stampLayout) }

// ParseStamp reads a moment in the DateTime profile (XEP-0082 §3.2): with a time zone, and with or without a fraction of a second. It has to be one
// that Stamp can write.
func ParseStamp(s []byte) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, string(bytes.TrimSpace(s)))
	t = t.UTC()
	return t, err == nil && t.Year() > 0 && t.Year() < 10000
}

// Delay says that something was held up (XEP-0203).
type Delay struct {
	From  jid.JID // who held it up; zero: it is not said
	Stamp time.Time
}

// Append writes the delay element.
func (d Delay) Append(b *xmlstream.Builder) {
	b.Open(NSDelay, "delay")
	if !d.From.IsZero() {
		b.Attr("from", d.From.String())
	}
	b.Attr("stamp", Stamp(d.Stamp)).Close()
}

// ParseDelay reads a delay element. Not ok: it isn't one, or lacks what it needs.
func ParseDelay(e xmlstream.Element) (d Delay, ok bool) {
	if !e.Is(NSDelay, "delay") {
		return d, false
	}
	if from := e.Attr("from"); from != nil {
		var err error
		if d.From, err = jid.ParseBytes(from); err != nil {
			return Delay{}, false
		}
	}
	d.Stamp, ok = ParseStamp(e.Attr("stamp"))
	return d, ok
}

// Forwarded is a stanza that was first sent at another time or to somebody else (XEP-0297).
type Forwarded struct {
	Delay Delay // a Stamp that is zero: none
	// XML is the whole stanza as Stanza.Append writes it, which leaves the namespace to the place.
	XML []byte
}

// Append writes the forwarded element.
func (f Forwarded) Append(b *xmlstream.Builder) {
	b.Open(NSForward, "forwarded")
	if !f.Delay.Stamp.IsZero() {
		f.Delay.Append(b)
	}
	// XEP-0297 §3.1: the stanza says that it is one. Its first name ends where its attributes or its content begin.
	if n := bytes.IndexAny(f.XML, " />"); n > 0 {
		b.Raw(f.XML[:n]).Raw([]byte(" xmlns='" + NSClient + "'")).Raw(f.XML[n:])
	}
	b.Close()
}

// ParseForwarded reads a forwarded element. Not ok: it isn't one, or has no stanza.
func ParseForwarded(e xmlstream.Element) (delay Delay, stanza xmlstream.Element, ok bool) {
	if !e.Is(NSForward, "forwarded") {
		return Delay{}, xmlstream.Element{}, false
	}
	for c := range e.Children() {
		switch {
		case c.Is(NSDelay, "delay"):
			if delay, ok = ParseDelay(c); !ok {
				return Delay{}, xmlstream.Element{}, false
			}
		case c.Is(NSClient, "message"), c.Is(NSClient, "presence"), c.Is(NSClient, "iq"):
			if stanza.Valid() { // XEP-0297 §3.1: one
				return Delay{}, xmlstream.Element{}, false
			}
			stanza = c
		}
	}
	return delay, stanza, stanza.Valid()
}
