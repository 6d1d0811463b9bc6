package stanza_test

import (
	"io"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

const header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>"

// chat is a message as current clients send it, 403 bytes long: a body with an entity, a chat state, a receipt request, a
// marker and an origin id.
const chat = `<message to='juliet@example.com/balcony' id='c2s-1234567' type='chat'>` +
	`<body>Neither, fair saint, if either thee dislike &amp; so on, until it is as long as it has to be now...</body>` +
	`<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>` +
	`<markable xmlns='urn:xmpp:chat-markers:0'/>` +
	`<origin-id xmlns='urn:xmpp:sid:0' id='de305d54-75b4-431b-adb2-eb6b9e546013'/></message>`

// again is an endless stream of one stanza.
type again struct {
	b []byte
	i int
}

func (a *again) Read(p []byte) (int, error) {
	n := copy(p, a.b[a.i:])
	if a.i += n; a.i == len(a.b) {
		a.i = 0
	}
	return n, nil
}

// endless is a reader of a stream that repeats one stanza for ever.
func endless(tb testing.TB, s string) *xmlstream.Reader {
	tb.Helper()
	r := xmlstream.NewReader(io.MultiReader(strings.NewReader(header), &again{b: []byte(s)}), xmlstream.DefaultLimits())
	if _, err := r.Open(); err != nil {
		tb.Fatal(err)
	}
	return r
}

func BenchmarkHeaders(b *testing.B) {
	r := endless(b, chat)
	var c jid.Cache
	b.SetBytes(int64(len(chat)))
	b.ReportAllocs()
	for b.Loop() {
		e, err := r.Next()
		if err != nil {
			b.Fatal(err)
		}
		if _, fault := stanza.Parse(e, &c); fault != nil {
			b.Fatal(fault)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	r := endless(b, chat)
	var c jid.Cache
	from := jid.MustParse("romeo@example.com/orchard")
	out := make([]byte, 0, 1024)
	b.SetBytes(int64(len(chat)))
	b.ReportAllocs()
	for b.Loop() {
		e, err := r.Next()
		if err != nil {
			b.Fatal(err)
		}
		s, fault := stanza.Parse(e, &c)
		if fault != nil {
			b.Fatal(fault)
		}
		s.From = from
		out = s.Append(out[:0])
	}
}

// What has to be written anew: a prefix bound in the stream header keeps the payload from being moved as bytes.
func BenchmarkForwardRewritten(b *testing.B) {
	r := xmlstream.NewReader(io.MultiReader(strings.NewReader(strings.Replace(header, "version", "xmlns:r='urn:xmpp:receipts' version", 1)),
		&again{b: []byte(strings.ReplaceAll(chat, "<request xmlns='urn:xmpp:receipts'/>", "<r:request/>"))}), xmlstream.DefaultLimits())
	if _, err := r.Open(); err != nil {
		b.Fatal(err)
	}
	var c jid.Cache
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		e, err := r.Next()
		if err != nil {
			b.Fatal(err)
		}
		s, fault := stanza.Parse(e, &c)
		if fault != nil {
			b.Fatal(fault)
		}
		out = s.Append(out[:0])
	}
}
