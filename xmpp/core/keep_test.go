package core

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// TestWorthKeeping: XEP-0160 §3 says which messages are stored, XEP-0334 §4 what their senders may say about it.
func TestWorthKeeping(t *testing.T) {
	const box, both = worthMailbox, worthMailbox | worthArchive
	const body = "<body>Wherefore?</body>"
	for _, c := range []struct {
		section, typ, payload string
		expected              worth
	}{
		{"XEP-0160 §3", "chat", body, both},
		{"XEP-0160 §3", "normal", body, both},
		{"XEP-0160 §3", "headline", body, 0},
		{"XEP-0160 §3", "groupchat", body, 0},
		{"XEP-0160 §3", "error", body + "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", 0},
		{"XEP-0160 §3", "chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", 0},
		{"XEP-0160 §3", "chat", "<thread>x</thread><gone xmlns='http://jabber.org/protocol/chatstates'/>", 0},
		{"XEP-0160 §3", "chat", body + "<active xmlns='http://jabber.org/protocol/chatstates'/>", both},
		{"nothing", "chat", "", 0},
		{"subject", "normal", "<subject>x</subject>", both},
		{"XEP-0184", "chat", "<request xmlns='urn:xmpp:receipts'/>", 0},
		{"XEP-0184", "chat", "<received xmlns='urn:xmpp:receipts' id='1'/>", both},
		{"XEP-0333", "chat", "<markable xmlns='urn:xmpp:chat-markers:0'/>", 0},
		{"XEP-0333", "chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", both},
		{"encrypted", "chat", "<encrypted xmlns='urn:xmpp:omemo:2'/>", both},
		{"XEP-0249", "normal", "<x xmlns='jabber:x:conference' jid='room@muc.example'/>", both},
		{"XEP-0334 §4.1", "chat", body + "<no-permanent-store xmlns='urn:xmpp:hints'/>", box},
		{"XEP-0334 §4.2", "chat", "<no-store xmlns='urn:xmpp:hints'/>" + body, 0},
		{"XEP-0334 §4.2", "chat", body + "<h:no-store xmlns:h='urn:xmpp:hints'/>", 0},
		{"XEP-0334 §4.4", "chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>", both},
	} {
		b := newBoard(t)
		m := parsed(t, "<message type='"+c.typ+"' from='a@chat.example/x' to='b@chat.example'>"+c.payload+"</message>")
		if got := b.weigh(&m, nil); got != c.expected {
			t.Errorf("%s: %s of type %s is worth %b, want %b", c.section, c.payload, c.typ, got, c.expected)
		}
	}
}

// TestStanzaIDs: XEP-0359 §3: the account's id on what it gets, one for all its resources, none that a client made up in its name.
func TestStanzaIDs(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	juliet, garden, hall := b.connect("juliet", "balcony"), b.online("romeo", "garden", "1"), b.online("romeo", "hall", "1")
	id := func(m stanza.Stanza) string {
		n, got := 0, ""
		for c := m.FirstChild(); c.Valid(); c = c.NextSibling() {
			if c.Is("urn:xmpp:sid:0", "stanza-id") && string(c.Attr("by")) == "romeo@chat.example" {
				n, got = n+1, string(c.Attr("id"))
			}
		}
		if n != 1 {
			t.Errorf("%d stanza ids of the account", n)
		}
		return got
	}
	seen, last := map[string]bool{}, ""
	for range 1000 {
		juliet.send("<message type='chat' to='romeo@chat.example'>" +
			"<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@chat.example' id='forged'/><body>x</body>" +
			"<s:stanza-id xmlns:s='urn:xmpp:sid:0' by=' ROMEO@chat.example' id='forged'/>" +
			"<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@chat.example/garden' id='forged'/>" +
			"<stanza-id xmlns='urn:xmpp:sid:0' by='chat.example' id='forged'/></message>")
		one, two := garden.take()[0], hall.take()[0]
		if one != two || strings.Contains(one, "forged") {
			t.Fatalf("%s\n%s", one, two)
		}
		got := id(parsed(t, one))
		if seen[got] || got <= last {
			t.Fatalf("the id %s after %s", got, last)
		}
		seen[got], last = true, got
	}
	// What is nested belongs to somebody else's word and stays (XEP-0297).
	nested := "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><stanza-id xmlns='urn:xmpp:sid:0' by='romeo@chat.example' id='n'/></message></forwarded>"
	juliet.send("<message type='chat' to='romeo@chat.example/garden'>" + nested + "</message>")
	id(parsed(t, garden.take()[0]))
	// What is not archived has no id that somebody could ask for.
	for _, typ := range []string{"headline", "groupchat"} {
		juliet.send("<message type='" + typ + "' to='romeo@chat.example/garden'><body>x</body></message>")
		if got := garden.take()[0]; strings.Contains(got, "stanza-id") {
			t.Errorf("%s: %s", typ, got)
		}
	}
	juliet.send("<message type='chat' to='romeo@chat.example/garden'><body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>")
	if got := garden.take()[0]; strings.Contains(got, "stanza-id") {
		t.Errorf("no-permanent-store: %s", got)
	}
	// A message that is routed again keeps its id.
	m := parsed(t, "<message type='chat' from='juliet@chat.example/balcony' to='romeo@chat.example'><body>x</body>"+
		"<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@chat.example' id='18ci78rkr007q'/></message>")
	b.Route(&m)
	if got := id(parsed(t, garden.take()[0])); got != "18ci78rkr007q" {
		t.Errorf("routed again as %s", got)
	}
}

func TestStanzaIDNumbers(t *testing.T) {
	for _, n := range []int64{0, 1, 31, 32, 1<<62 + 12345, 1<<63 - 1} {
		s := appendStanzaID(nil, n)
		if got, ok := parseStanzaID(s); !ok || got != n {
			t.Errorf("%d is %s is %d, %v", n, s, got, ok)
		}
	}
	for _, bad := range []string{"", "0", "8000000000000", "w000000000000", "000000000000W", "00000000000000"} {
		if _, ok := parseStanzaID([]byte(bad)); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestLastActivityOfClients: XEP-0012 §4: who may see a client's presence may ask it how long it has been idle.
func TestLastActivityOfClients(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	juliet, romeo := b.connect("juliet", "balcony"), b.online("romeo", "garden", "0")
	b.rosters.friends["romeo"] = juliet.s.JID().Bare()
	juliet.send("<iq type='get' id='l' to='romeo@chat.example/garden'><query xmlns='jabber:iq:last'/></iq>")
	want(t, "requests", len(romeo.take()), 1)
}

// TestMessageAllocations: the way of a live message needs no memory of its own.
func TestMessageAllocations(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	b.UseMailboxes(&postOffice{})
	juliet := b.connect("juliet", "balcony")
	s, err := b.Bind(discard{}, "romeo", "garden")
	if err != nil {
		t.Fatal(err)
	}
	s.SetPresence(&Presence{})
	for _, to := range []string{"romeo@chat.example", "romeo@chat.example/garden"} {
		e := parsedElement(t, "<message type='chat' id='m1' to='"+to+"'><body>"+strings.Repeat("x", 300)+"</body></message>")
		for _, lang := range []string{"", "de"} {
			juliet.lang = []byte(lang)
			if n := testing.AllocsPerRun(200, func() { juliet.s.Receive(e) }); n > 0 {
				t.Errorf("a message to %s in the language %q allocates %.0f times", to, lang, n)
			}
		}
	}
}

// TestOrderUnderLoad: RFC 6120 §10.1: what one address sends another arrives in that order, whatever else goes on.
func TestOrderUnderLoad(t *testing.T) {
	const senders, receivers, count = 6, 5, 300
	var names []string
	for i := range senders {
		names = append(names, fmt.Sprintf("sender%d", i))
	}
	for i := range receivers {
		names = append(names, fmt.Sprintf("receiver%d", i))
	}
	b := newBoard(t, names...)
	var from, to []*peer
	for i := range senders {
		from = append(from, b.connect(fmt.Sprintf("sender%d", i), "x"))
	}
	for i := range receivers {
		to = append(to, b.online(fmt.Sprintf("receiver%d", i), "x", "0"))
	}
	var wg sync.WaitGroup
	for _, p := range from {
		wg.Go(func() {
			for n := range count {
				for i := range receivers {
					address := fmt.Sprintf("receiver%d@chat.example", i)
					if n%3 == 0 {
						address += "/x"
					}
					p.send(fmt.Sprintf("<message to='%s' type='chat'><body>%d</body></message>", address, n))
				}
			}
		})
	}
	wg.Wait()
	for _, p := range to {
		next := map[string]int{}
		for _, xml := range p.take() {
			m := parsed(t, xml)
			if got := string(m.Child(stanza.NSClient, "body").Text()); got != fmt.Sprint(next[m.From.Local()]) {
				t.Fatalf("%s got %s from %s, want %d", p.s.JID(), got, m.From, next[m.From.Local()])
			}
			next[m.From.Local()]++
		}
		for i := range senders {
			want(t, "messages", next[fmt.Sprintf("sender%d", i)], count)
		}
	}
}
