package xmpp

import (
	"errors"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// A broadcast reaches every session, with or without presence, once, and is kept for nobody.
func TestBroadcast(t *testing.T) {
	p := newParlour(t, "mira", "tobias", "zoe")
	desk, phone, tobias := p.guest("mira/desk"), p.guest("mira/phone"), p.guest("tobias/desk")
	desk.send("<presence><priority>-1</priority></presence>")
	desk.take()
	if n, err := p.server.Broadcast("Back at <nine>"); n != 3 || err != nil {
		t.Errorf("%d sessions took it, %v", n, err)
	}
	for _, g := range []*guest{desk, phone, tobias} {
		g.ping()
		nodes := g.take()
		if len(nodes) != 1 {
			t.Errorf("%s got %d stanzas", g.jid, len(nodes))
			continue
		}
		m := nodes[0]
		if m.XMLName.Local != "message" || m.attr("from") != domain || m.attr("to") != g.jid || m.attr("type") != "headline" || m.child("body").Text != "Back at <nine>" || len(m.Nodes) != 1 {
			t.Errorf("%s got %+v", g.jid, m)
		}
	}
	p.guest("zoe/desk").send("<presence/>")
	for _, name := range []string{"mira", "tobias", "zoe"} {
		if n, err := p.server.Unread(t.Context(), name); n != 0 || err != nil {
			t.Errorf("%d messages wait for %s, %v", n, name, err)
		}
		if list, err := p.store.LoadOffline(t.Context(), name, 1, 1); len(list) != 0 || err != nil {
			t.Errorf("%s has mail: %v, %v", name, list, err)
		}
	}
}

// A broadcast that a client has not acknowledged when its session is over is no message for the account's other sessions, which have theirs.
func TestBroadcastToSessionsThatEnd(t *testing.T) {
	p := newParlour(t, "mira")
	phone := p.user(t, "mira")
	phone.send("<enable xmlns='urn:xmpp:sm:3'/>")
	phone.expect("<enabled ")
	desk := p.guest("mira/desk")
	desk.send("<presence/>")
	desk.take()
	if n, err := p.server.Broadcast("once"); n != 2 || err != nil {
		t.Errorf("%d sessions took it, %v", n, err)
	}
	phone.expect("once")
	phone.tcp.Close()
	eventually(t, "the end of a session", func() bool { return len(p.server.Sessions("mira")) == 1 })
	desk.ping()
	if nodes := desk.take(); len(nodes) != 1 {
		t.Errorf("%d stanzas, want one", len(nodes))
	}
}

// RFC 6121 §8.5.2: a message from the server goes to whoever is there for the account, or waits, and is refused where it cannot.
func TestSendMessage(t *testing.T) {
	p := newParlour(t, "mira", "tobias")
	h := p.host
	h.set(directory.KeyOfflineMessages, "2")
	send := func(username, body string, want error) {
		t.Helper()
		if err := h.server.SendMessage(t.Context(), username, body); !errors.Is(err, want) {
			t.Errorf("to %s: %v, want %v", username, err, want)
		}
	}
	unread := func(want int) {
		t.Helper()
		if n, err := h.server.Unread(t.Context(), "mira"); n != want || err != nil {
			t.Errorf("%d messages are unread, %v; want %d", n, err, want)
		}
	}
	unread(0)
	// §8.5.1
	send("nobody", "x", directory.ErrNotFound)
	// §8.5.2.2.1: nobody is there.
	send("mira", "one", nil)
	unread(1) // it was stored when SendMessage returned
	send("mira", "two", nil)
	unread(2)
	send("mira", "three", ErrNotTaken)
	unread(2)
	// Also after a restart.
	h.stop()
	h.start()
	unread(2)
	// §8.5.2.1.1: those who are there get it.
	mira := p.guest("mira/desk")
	unread(2) // no presence yet: the messages still wait
	mira.post("<presence/>")
	eventually(t, "what was kept", func() bool {
		n, err := h.server.Unread(t.Context(), "mira")
		list, err2 := h.store.LoadOffline(t.Context(), "mira", 1, 1)
		return n == 0 && err == nil && len(list) == 0 && err2 == nil
	})
	send("mira", "four", nil)
	mira.ping()
	var got []string
	for _, n := range mira.take() {
		if n.XMLName.Local == "message" {
			got = append(got, n.attr("from")+" "+n.attr("type")+" "+n.child("body").Text)
		}
	}
	if want := domain + "  one," + domain + "  two," + domain + "  four"; strings.Join(got, ",") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// Others' messages count as well.
	tobias := p.guest("tobias/desk")
	mira.post("<presence type='unavailable'/>")
	mira.ping()
	tobias.send("<message type='chat' to='~mira'><body>hello</body></message>")
	eventually(t, "a message to be kept", func() bool {
		n, err := h.server.Unread(t.Context(), "mira")
		return n == 1 && err == nil
	})
	if n, err := h.server.Unread(t.Context(), "nobody"); n != 0 || err != nil {
		t.Errorf("%d messages wait for nobody, %v", n, err)
	}
}

// A message of the server is no larger than others.
func TestNoticesAreBounded(t *testing.T) {
	h := newHost(t, "mira")
	h.set(directory.KeyStanzaBytes, "10000")
	var invalid *directory.InvalidError
	if _, err := h.server.Broadcast(strings.Repeat("&", 2500)); !errors.As(err, &invalid) {
		t.Errorf("a large broadcast: %v", err)
	}
	if err := h.server.SendMessage(t.Context(), "mira", strings.Repeat("&", 2500)); !errors.As(err, &invalid) {
		t.Errorf("a large message: %v", err)
	}
}
