package room

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

func parseElement(s string) (xmlstream.Element, error) {
	return xmlstream.Parse([]byte(s), xmlstream.DefaultLimits())
}

func parsed(tb testing.TB, from jid.JID, xml string) *stanza.Stanza {
	tb.Helper()
	e, err := parseElement(xml)
	if err != nil {
		tb.Fatal(err)
	}
	s, fault := stanza.Parse(e, nil)
	if fault != nil {
		tb.Fatal(fault)
	}
	s.From = from
	return &s
}

// crowd are people who enter a room.
func crowd(tb testing.TB, addr jid.JID, n int) (senders []Sender, joins []*stanza.Stanza) {
	for i := range n {
		from := jid.MustParse(fmt.Sprintf("user%d@shakespeare.lit/pda", i))
		senders = append(senders, Sender{From: from, ID: fmt.Sprint("j", i)})
		joins = append(joins, parsed(tb, from, fmt.Sprintf("<presence to='%s/nick%d'><x xmlns='%s'/><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/></presence>", addr, i, nsMUC)))
	}
	return senders, joins
}

// BenchmarkMessage is a message to 500 occupants, as outputs.
func BenchmarkMessage(b *testing.B) {
	c := plain()
	r := New(Options{Address: coven(), Config: &c, Key: []byte("k")})
	senders, joins := crowd(b, coven(), 500)
	out := make([]Output, 0, 16)
	for i := range joins {
		r.Stanza(senders[i], joins[i], out[:0])
	}
	m := parsed(b, senders[7].From, "<message type='groupchat' id='hysf1v37' to='coven@chat.shakespeare.lit'><body>Harpier cries: 'tis time, 'tis time.</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>")
	b.ReportAllocs()
	for b.Loop() {
		out = r.Stanza(senders[7], m, out[:0])
	}
	if len(out[0].(*Broadcast).To) != 500 {
		b.Fatal(out)
	}
}

// BenchmarkJoins are 500 people who enter one after the other.
func BenchmarkJoins(b *testing.B) {
	c := plain()
	senders, joins := crowd(b, coven(), 500)
	out := make([]Output, 0, 16)
	b.ReportAllocs()
	bytes := 0
	for b.Loop() {
		bytes = 0
		r := New(Options{Address: coven(), Config: &c, Key: []byte("k")})
		for i := range joins {
			for _, o := range r.Stanza(senders[i], joins[i], out[:0]) {
				switch o := o.(type) {
				case *Send:
					bytes += len(o.XML)
				case *Broadcast:
					bytes += (len(o.Head) + len(o.Tail)) * len(o.To)
				}
			}
		}
	}
	b.ReportMetric(float64(bytes), "bytes/500joins")
}

// TestSize holds a room of ten to 16 KiB beside what the service adds: ten thousand of them are to fit into far less than 400 MB.
func TestSize(t *testing.T) {
	const rooms, people = 200, 10
	c := plain()
	senders, joins := crowd(t, coven(), people)
	measure := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := measure()
	list := make([]*Room, rooms)
	for i := range list {
		list[i] = New(Options{Address: coven(), Config: &c, Key: []byte("k")})
		for j := range joins {
			list[i].Stanza(senders[j], joins[j], nil)
		}
	}
	each := (int64(measure()) - int64(before)) / rooms
	t.Logf("%d bytes a room of %d", each, people)
	if each > 16<<10 {
		t.Errorf("%d bytes a room of %d", each, people)
	}
	runtime.KeepAlive(list)
}
