package stream

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// TestXEP0478Limits: the limits that hold are announced, before and after logging in.
func TestXEP0478Limits(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode, limit(func(l *Limits) { l.Before.MaxBytes, l.After.MaxBytes, l.IdleTimeout = 12000, 50000, 90*time.Second }))
		c := s.connect(t)
		if got := c.login(username); !strings.Contains(got, "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>50000</max-bytes><idle-seconds>90</idle-seconds></limits>") {
			t.Errorf("after logging in: %s", got)
		}
		if got := s.connect(t).secure(); !strings.Contains(got, "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>12000</max-bytes></limits>") {
			t.Errorf("before: %s", got)
		}
	})
}

// TestBucket: a burst passes, then the rate holds, and rest fills the bucket again.
func TestBucket(t *testing.T) {
	var b bucket
	now := int64(1_700_000_000) * int64(time.Second)
	for i := range 50 { // 10 a second for 5 seconds
		if wait := b.take(now, 1, 10); wait > 0 {
			t.Fatalf("stanza %d of the burst waits %v", i, wait)
		}
	}
	if wait := b.take(now, 1, 10); wait != 100*time.Millisecond {
		t.Errorf("the first one too many waits %v", wait)
	}
	now += int64(time.Minute)
	if wait := b.take(now, 50, 10); wait > 0 {
		t.Errorf("after a rest %v", wait)
	}
	if wait := b.take(now, 1<<30, 0); wait != 0 {
		t.Errorf("no rate: %v", wait)
	}
	if n := testing.AllocsPerRun(100, func() { b.take(now, 1, 1000) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestFastClient: what comes too fast is read later, all of it and in order; closing does not wait for that.
func TestFastClient(t *testing.T) {
	for name, change := range map[string]func(*Limits){
		"stanzas": func(l *Limits) { l.StanzaRate = 40 },
		"bytes":   func(l *Limits) { l.ByteRate = 2600 },
	} {
		t.Run(name, func(t *testing.T) {
			m := meter.New()
			s := newServer(t, DirectTLS, limit(change), func(c *Config) { c.Meter = m })
			c := s.connect(t)
			c.bind(username, "x")
			var all strings.Builder
			for i := range 230 {
				fmt.Fprintf(&all, "<message id='%d'><body>0123456789012345678</body></message>", i)
			}
			// A server that is slow itself finds nothing too fast.
			for round := 0; m.Throttled().Value() == 0; round++ {
				if round == 20 {
					t.Fatal("nothing was held back")
				}
				c.send(all.String())
				for i := range 230 {
					c.expect(fmt.Sprintf("<message id='%d'>", i))
				}
			}
			// A session that is held back ends at once when it has to.
			slow := s.connect(t)
			slow.bind("romeo", "y")
			session := s.backend.session(t, "romeo@example.org/y")
			slow.send(strings.Repeat(all.String(), 10))
			before := m.Throttled().Value()
			eventually(t, "it is held back", func() bool { return m.Throttled().Value() > before })
			session.c.Close(stanza.NewStreamError(stanza.StreamSystemShutdown, ""))
			slow.expect("</stream:stream>")
			slow.Conn.Close()
			waitClosed(t, session)
		})
	}
}

// TestFlood: who does not stop is asked to leave (RFC 6120 §4.9.3.14).
func TestFlood(t *testing.T) {
	m := meter.New()
	s := newServer(t, DirectTLS, limit(func(l *Limits) { l.StanzaRate, l.FloodTime = 100, 300*time.Millisecond }), func(c *Config) { c.Meter = m })
	s.backend.receive = func(*session, xmlstream.Element) *stanza.StreamError { return nil }
	c := s.connect(t)
	c.bind(username, "x")
	c.send(strings.Repeat("<message/>", 10_000)) // however slowly they are read, they are too many
	c.dies("policy-violation")
	if n := m.Refusals(meter.Flood).Value(); n != 1 {
		t.Errorf("counted %d times", n)
	}
}

// TestConnectionsOfAddress: one address does not take all places, and places come back.
func TestConnectionsOfAddress(t *testing.T) {
	m := meter.New()
	gate := NewGate()
	share := func(c *Config) { c.Meter, c.Gate = m, gate }
	few := limit(func(l *Limits) { l.MaxUnauthenticatedAddress = 2 })
	plain, direct := newServer(t, StartTLS, few, share), newServer(t, DirectTLS, few, share)
	one, two := plain.connect(t), direct.connect(t)
	one.send(header)
	one.expect("</stream:features>")
	two.send(header)
	two.expect("</stream:features>")
	for _, s := range []*server{plain, direct} { // listeners count together
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		(&client{t: t, Conn: conn}).rest()
		conn.Close()
	}
	if n := m.Refusals(meter.ConnectionsOfAddress).Value(); n != 2 {
		t.Errorf("%d refusals counted", n)
	}
	two.Conn.Close()
	eventually(t, "a place", func() bool { return gate.Pending() == 1 })
	direct.connect(t).bind(username, "x")
	eventually(t, "who is bound needs none", func() bool { return gate.Pending() == 1 })
	if len(gate.from) != 1 {
		t.Errorf("%v", gate.from)
	}
}

// TestSource: of IPv6 the network counts.
func TestSource(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1": "fe80::",
	} {
		if got := source(addressed{addr: &net.TCPAddr{IP: net.ParseIP(addr), Port: 1}}); got.String() != want {
			t.Errorf("%s counts as %s, want %s", addr, got, want)
		}
	}
	if source(addressed{addr: &net.UnixAddr{}}).IsValid() {
		t.Error("what has no address counts as one")
	}
}

type addressed struct {
	net.Conn
	addr net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.addr }

// TestLoginsAreCounted by mechanism and result, and those that come too often after failures are not looked at (RFC 6120 §6.5.11).
func TestLoginsAreCounted(t *testing.T) {
	m := meter.New(auth.Plain)
	s := newServer(t, DirectTLS, func(c *Config) { c.Meter = m })
	var perAccount atomic.Int32
	perAccount.Store(1000)
	s.cfg.Auth = auth.NewServer(auth.Config{Domain: domain, Accounts: s.accounts, Meter: m,
		Attempts: func() auth.Attempts { return auth.Attempts{PerAccount: int(perAccount.Load()), MaxDelay: time.Hour} }})
	// The first wait is a second, and each failure doubles it: those before a limit make its first wait one that no busy machine sees the end of.
	for range 3 {
		c := s.connect(t)
		c.secure()
		for range 4 {
			c.send(plainMessage(username, "wrong"))
			c.expect("</failure>")
		}
	}
	perAccount.Store(2)
	c := s.connect(t)
	c.secure()
	for _, condition := range []string{"not-authorized", "temporary-auth-failure", "temporary-auth-failure"} {
		c.send(plainMessage(username, "wrong"))
		c.expect("<" + condition + "/>")
		c.expect("</failure>")
	}
	c.send(plainMessage(username, password)) // nor is the right one, or guessing would go on
	c.expect("<temporary-auth-failure/>")
	c.expect("</failure>")
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X-ODD'/>")
	c.dies("policy-violation")
	s.connect(t).bind("romeo", "x")
	got := map[string]uint64{}
	m.Logins(func(mechanism string, r meter.Result, n *meter.Counter) {
		if n.Value() > 0 {
			got[mechanism+" "+r.String()] = n.Value()
		}
	})
	if len(got) != 4 || got["PLAIN success"] != 1 || got["PLAIN refused"] != 13 || got["PLAIN limited"] != 3 || got["other failed"] != 1 ||
		m.Refusals(meter.LoginTries).Value() != 1 {
		t.Errorf("%v", got)
	}
}

// TestPaceDoesNotAllocate: it stands on the way of every stanza and every packet.
func TestPaceDoesNotAllocate(t *testing.T) {
	limits := &Limits{StanzaRate: 1 << 20, ByteRate: 1 << 30, FloodTime: time.Minute}
	c := &Conn{ln: &Listener{cfg: Config{Limits: func() *Limits { return limits }, Meter: meter.New()}}}
	if n := testing.AllocsPerRun(1000, func() {
		c.arrived(400)
		if failure := c.keepPace(time.Now().UnixNano()); failure != nil {
			t.Fatal(failure)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
