package core

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// TestConflict: RFC 6120 §7.7.2.2 under each value of xmpp.session.conflict-limit.
func TestConflict(t *testing.T) {
	for _, c := range []struct {
		limit string
		wins  []bool // whether the n-th attempt to take over gets the resource
	}{
		{"", []bool{true, true}},
		{"0", []bool{true, true}},
		{"1", []bool{false, true, false, true}},
		{"2", []bool{false, false, true}},
		{"-1", []bool{false, false, false, false}},
	} {
		t.Run("limit "+c.limit, func(t *testing.T) {
			b := newBoard(t, "juliet")
			if c.limit != "" {
				b.dir.PutProperty(directory.SystemProperty{Ref: directory.Ref{Name: "p", UID: "p"}, Key: directory.KeyConflictLimit, Value: c.limit})
			}
			holder := b.connect("juliet", "balcony")
			other := b.connect("juliet", "chamber")
			for i, wins := range c.wins {
				w := &wire{}
				s, refused := b.Bind(w, "juliet", "balcony")
				if !wins {
					if refused == nil || refused.Condition != stanza.ConditionConflict {
						t.Fatalf("attempt %d: got %v, want conflict", i+1, refused)
					}
					want(t, "the holder's stream", holder.over(), "")
					continue
				}
				if refused != nil {
					t.Fatalf("attempt %d was refused: %v", i+1, refused)
				}
				want(t, "the old stream's error", holder.over(), stanza.StreamConflict)
				holder = &peer{wire: w, t: t, s: s}
			}
			want(t, "another resource's stream", other.over(), "")
			want(t, "sessions", b.Count(), 2)
			want(t, "sessions of the user", len(b.Sessions("juliet")), 2)
		})
	}
}

// TestConflictTellsThePresenceService before the new session can do anything.
func TestConflictTellsThePresenceService(t *testing.T) {
	b := newBoard(t, "juliet")
	old := b.online("juliet", "balcony", "0")
	b.connect("juliet", "balcony")
	want(t, "departures", b.rosters.gone, []string{"juliet@chat.example/balcony"})
	old.s.Closed() // the connection's own end comes later and changes nothing
	want(t, "departures", b.rosters.gone, []string{"juliet@chat.example/balcony"})
	want(t, "sessions", b.Count(), 1)
	if e := old.receive("<message to='juliet@chat.example'/>"); e != nil {
		t.Errorf("a stanza after the end: %v", e)
	}
}

// TestResources: RFC 6120 §7.6 and §7.7.2.1, RFC 7622 §3.4.
func TestResources(t *testing.T) {
	b := newBoard(t, "juliet")
	seen := map[string]bool{}
	for range 3 {
		p := b.connect("juliet", "")
		r := p.s.JID().Resource()
		if len(r) < 8 || seen[r] {
			t.Errorf("the server chose %q", r)
		}
		seen[r] = true
		p.s.Closed()
	}
	for resource, ok := range map[string]bool{
		"balcony": true, "with space": true, "a/b@c": true, `"/><`: true, "Ünïcode": true,
		"\x00": false, "bell\x07": false, strings.Repeat("x", 1024): false, strings.Repeat("x", 1023): true,
	} {
		w := &wire{}
		s, err := b.Bind(w, "juliet", resource)
		if ok != (err == nil) {
			t.Errorf("%.20q: %v", resource, err)
		}
		if err != nil {
			want(t, "condition", err.Condition, stanza.ConditionBadRequest)
			continue
		}
		p := &peer{wire: w, t: t, s: s}
		p.send("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
		reply := parsed(t, p.take()[0]) // whatever is in a resource, the answer is well-formed
		want(t, "to", reply.To.String(), s.JID().String())
		s.Closed()
	}
}

// TestSessionCap: RFC 6120 §7.6.2.1.
func TestSessionCap(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	var first *peer
	for i := range 5 {
		p := b.connect("juliet", fmt.Sprint(i))
		if first == nil {
			first = p
		}
	}
	for _, resource := range []string{"", "another"} {
		if _, err := b.Bind(&wire{}, "juliet", resource); err == nil || err.Condition != stanza.ConditionResourceConstraint {
			t.Errorf("beyond the limit: %v", err)
		}
	}
	b.connect("juliet", "3") // replacing one is not one more
	b.connect("romeo", "x")
	first.s.Closed()
	b.connect("juliet", "another")
}

// TestAnonymous: XEP-0175, a session without an account has an address of its own.
func TestAnonymous(t *testing.T) {
	b := newBoard(t, "juliet")
	one, two := b.connect("", ""), b.connect("", "")
	if one.s.Username() == two.s.Username() || !one.s.Anonymous() || one.s.Username() == "" {
		t.Errorf("%s and %s", one.s.JID(), two.s.JID())
	}
	if !b.Exists(one.s.Username()) {
		t.Error("it does not exist")
	}
	one.s.Closed()
	if b.Exists(one.s.Username()) {
		t.Error("it still exists")
	}
}

// TestInvalidFrom: RFC 6120 §8.1.2.1 and §4.9.3.8.
func TestInvalidFrom(t *testing.T) {
	for from, condition := range map[string]string{
		"juliet@chat.example/balcony":   "",
		"juliet@chat.example":           "",
		"JULIET@CHAT.example/balcony":   "", // the same address, spelt differently
		"juliet@chat.example/chamber":   stanza.StreamInvalidFrom,
		"romeo@chat.example":            stanza.StreamInvalidFrom,
		"chat.example":                  stanza.StreamInvalidFrom,
		"":                              stanza.StreamInvalidFrom,
		"@":                             stanza.StreamInvalidFrom,
		"juliet@chat.example.evil/x":    stanza.StreamInvalidFrom,
		"juliet@montague.example/balco": stanza.StreamInvalidFrom,
	} {
		for _, kind := range []string{
			"<message from='%s' to='romeo@chat.example' type='chat'><body>x</body></message>",
			"<presence from='%s' to='romeo@chat.example'/>",
			"<iq from='%s' to='romeo@chat.example/garden' type='get' id='1'><x xmlns='urn:x'/></iq>",
		} {
			b := newBoard(t, "juliet", "romeo")
			juliet, romeo := b.connect("juliet", "balcony"), b.online("romeo", "garden", "0")
			e := juliet.receive(fmt.Sprintf(kind, from))
			got := ""
			if e != nil {
				got = e.Condition
			}
			want(t, "from="+from, got, condition)
			list := romeo.take()
			if condition != "" {
				want(t, "stanzas with a wrong from", len(list), 0)
				continue
			}
			want(t, "stanzas", len(list), 1)
			st := parsed(t, list[0])
			want(t, "stamped from", st.From.String(), "juliet@chat.example/balcony")
		}
	}
}

// TestMalformed: RFC 6120 §8.2.3, §8.3.3.8 and §4.9.3.24.
func TestMalformed(t *testing.T) {
	for _, c := range []struct{ xml, stanzaError, streamError string }{
		{"<message to='a@b@c/'/>", "jid-malformed", ""},
		{"<presence to='@chat.example'/>", "jid-malformed", ""},
		{"<iq type='get' id='1' to=''><x xmlns='urn:x'/></iq>", "jid-malformed", ""},
		{"<message type='error' to='a@b@c/'/>", "", ""}, // §8.3.1: an error is never answered
		{"<iq type='result' id='1' to='a@b@c/'/>", "", ""},
		{"<iq type='get'><x xmlns='urn:x'/></iq>", "bad-request", ""},
		{"<iq id='1'><x xmlns='urn:x'/></iq>", "bad-request", ""},
		{"<iq type='get' id='1'/>", "bad-request", ""},
		{"<iq type='set' id='1'><x xmlns='urn:x'/><y xmlns='urn:x'/></iq>", "bad-request", ""},
		{"<presence><priority>128</priority></presence>", "bad-request", ""}, // RFC 6121 §4.7.2.3
		{"<presence><priority>high</priority></presence>", "bad-request", ""},
		{"<presence><priority/></presence>", "bad-request", ""},
		{"<presence><priority>-128</priority></presence>", "", ""},
		{"<query xmlns='jabber:iq:roster'/>", "", stanza.StreamUnsupportedStanzaType},
		{"<message xmlns='jabber:server' to='chat.example'/>", "", stanza.StreamUnsupportedStanzaType},
		{"<foo/>", "", stanza.StreamUnsupportedStanzaType},
	} {
		b := newBoard(t, "juliet")
		juliet := b.connect("juliet", "balcony")
		e := juliet.receive(c.xml)
		got := ""
		if e != nil {
			got = e.Condition
		}
		want(t, c.xml, got, c.streamError)
		list := juliet.take()
		if c.stanzaError == "" {
			want(t, c.xml+": answers", len(list), 0)
			continue
		}
		if len(list) != 1 {
			t.Fatalf("%s: %q", c.xml, list)
		}
		if !strings.Contains(list[0], "<"+c.stanzaError+" ") {
			t.Errorf("%s: %s", c.xml, list[0])
		}
	}
}

// TestDirectoryEvents: a locked, removed or recreated account loses its sessions at once, a changed one keeps them.
func TestDirectoryEvents(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b *board)
		over   string
	}{
		{"locked", func(b *board) { b.declare("juliet", "uid-juliet", true) }, stanza.StreamNotAuthorized},
		{"removed", func(b *board) { b.dir.DeleteUser("juliet", "uid-juliet") }, stanza.StreamNotAuthorized},
		{"another uid", func(b *board) { b.declare("juliet", "uid-2", false) }, stanza.StreamNotAuthorized},
		{"changed", func(b *board) { b.declare("juliet", "uid-juliet", false) }, ""},
		{"credential", func(b *board) { b.dir.PutSecret("juliet-secret", "1", nil) }, ""},
		{"somebody else", func(b *board) { b.declare("romeo", "uid-romeo", true) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBoard(t, "juliet", "romeo")
			b.dir.PutUser(directory.User{Ref: directory.Ref{Name: "juliet", UID: "uid-juliet"}, Username: "juliet", SecretName: "juliet-secret"})
			defer b.Watch()()
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { b.Run(ctx) })
			defer wg.Wait()
			defer cancel()

			one, two := b.online("juliet", "balcony", "0"), b.connect("juliet", "chamber")
			c.change(b)
			want(t, "stream", one.over(), c.over) // before the write to the directory returned
			want(t, "stream", two.over(), c.over)
			if c.over == "" {
				want(t, "sessions", b.Count(), 2)
				return
			}
			want(t, "sessions", b.Count(), 0)
			eventually(t, "the presence service to hear", func() bool {
				b.rosters.mu.Lock()
				defer b.rosters.mu.Unlock()
				return len(b.rosters.gone) == 2
			})
		})
	}
}

// TestLockedAccountCannotBind, though its login had been accepted before the lock.
func TestLockedAccountCannotBind(t *testing.T) {
	b := newBoard(t, "juliet")
	b.declare("juliet", "uid-juliet", true)
	if _, err := b.Bind(&wire{}, "juliet", "x"); err == nil {
		t.Error("a locked account was bound")
	}
	if _, err := b.Bind(&wire{}, "nobody", "x"); err == nil {
		t.Error("a missing account was bound")
	}
	want(t, "sessions", b.Count(), 0)
}

func TestKickAndList(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	one, two, romeo := b.connect("juliet", "b"), b.connect("juliet", "a"), b.connect("romeo", "c")
	var all []string
	for _, s := range b.All() {
		all = append(all, s.JID().String())
	}
	want(t, "all", all, []string{"juliet@chat.example/a", "juliet@chat.example/b", "romeo@chat.example/c"})
	want(t, "kicked", b.Kick("juliet", stanza.NewStreamError(stanza.StreamReset, "")), 2)
	want(t, "kicked again", b.Kick("juliet", nil), 0)
	want(t, "streams", []string{one.over(), two.over(), romeo.over()}, []string{"reset", "reset", ""})
}

// TestConcurrentBinds: whatever happens at once, one session holds an address in the end.
func TestConcurrentBinds(t *testing.T) {
	b := newBoard(t, "juliet")
	var wg sync.WaitGroup
	wires := make([]*wire, 32)
	for i := range wires {
		wires[i] = &wire{}
		wg.Go(func() {
			if _, err := b.Bind(wires[i], "juliet", "balcony"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	open := 0
	for _, w := range wires {
		if w.over() == "" {
			open++
		}
	}
	want(t, "open connections", open, 1)
	want(t, "sessions", b.Count(), 1)
	if b.table.find("juliet", "balcony") == nil {
		t.Error("it is not in the table")
	}
}
