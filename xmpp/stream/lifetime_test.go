package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// RFC 6120 §4.9.3.20: at the end every stream, in whatever phase, hears system-shutdown, and Serve returns without having to wait for clients.
func TestShutdown(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode)
		bound := s.connect(t)
		bound.bind(username, "x")
		session := s.backend.session(t, "juliet@example.org/x")
		secured := s.connect(t)
		secured.secure()
		greeted := s.connect(t)
		greeted.send(header)
		greeted.expect("</stream:features>")
		silent := s.connect(t)
		raw, err := net.Dial("tcp", s.Addr().String()) // for DirectTLS: a handshake that never begins
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		eventually(t, "all are there", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.conns) == 5
		})
		begun := time.Now()
		stopped := make(chan struct{})
		go func() { s.stop(); close(stopped) }()
		for _, c := range []*client{bound, secured, greeted, silent} {
			c.dies("system-shutdown")
		}
		waitClosed(t, session)
		raw.Close()
		<-stopped
		if took := time.Since(begun); took > s.cfg.CloseTimeout {
			t.Fatalf("it took %v", took)
		}
		if s.backend.count() != 0 || len(s.conns) != 0 || s.cfg.Gate.Pending() != 0 {
			t.Fatalf("left: %d sessions, %d connections, %d under negotiation", s.backend.count(), len(s.conns), s.cfg.Gate.Pending())
		}
		if session.c.Send([]byte("<presence/>")) {
			t.Fatal("something was accepted after the end")
		}
		session.c.Close(nil) // and nothing happens
	})
}

// Clients that do not close, or do not even read, cannot hold the end up.
func TestShutdownWithDeafClients(t *testing.T) {
	s := newServer(t, DirectTLS, func(c *Config) { c.CloseTimeout = 300 * time.Millisecond })
	deaf := s.connect(t)
	deaf.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	for session.c.Send([]byte("<message><body>" + strings.Repeat("x", 10000) + "</body></message>")) {
		// until its buffer is full
	}
	mute := s.connect(t)
	mute.bind("romeo", "x") // takes what it gets, but never closes
	s.stop()
}

// What is said to a client that takes nothing is bounded, and others do not feel it.
func TestSlowClient(t *testing.T) {
	s := newServer(t, DirectTLS, limit(func(l *Limits) { l.MaxPendingOutput = 200_000 }), func(c *Config) { c.CloseTimeout = 300 * time.Millisecond })
	slow, quick := s.connect(t), s.connect(t)
	slow.bind(username, "slow")
	quick.bind("romeo", "quick")
	session := s.backend.session(t, "juliet@example.org/slow")
	message := []byte("<message><body>" + strings.Repeat("x", 10000) + "</body></message>")
	accepted := 0
	for session.c.Send(message) {
		if accepted++; accepted > 10000 {
			t.Fatal("the buffer has no end")
		}
	}
	quick.send("<message id='unhindered'/>")
	quick.expect("<message id='unhindered'/>")
	waitClosed(t, session)
	// A client that does read in the end finds whole stanzas only.
	got := slow.rest()
	if n := strings.Count(got, "<message>"); n != strings.Count(got, "</message>") && strings.Contains(got, "</stream:stream>") {
		t.Fatalf("%d stanzas begin, others end", n)
	}
	if !strings.Contains(s.log.String(), "too slow") {
		t.Fatal("nobody is told")
	}
}

// The reason reaches a client that was merely late (RFC 6120 §4.9.3.17).
func TestSlowClientHearsWhy(t *testing.T) {
	s := newServer(t, DirectTLS, limit(func(l *Limits) { l.MaxPendingOutput = 1000 }))
	c := s.connect(t)
	c.bind(username, "x")
	if s.backend.session(t, "juliet@example.org/x").c.Send(make([]byte, 1001)) {
		t.Fatal("more than fits was accepted")
	}
	c.dies("resource-constraint")
}

// slowLine takes a tenth of a second for each kilobyte, in a time of its own that passes with what is written: how busy the machine is changes nothing.
type slowLine struct {
	net.Conn

	mu  sync.Mutex
	now time.Duration // since the beginning
	by  time.Duration // until when a write must be done; 0: whenever
}

func (l *slowLine) SetWriteDeadline(at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.by = 0
	if !at.IsZero() {
		l.by = l.now + time.Until(at)
	}
	return nil
}

func (l *slowLine) SetDeadline(at time.Time) error {
	return errors.Join(l.SetReadDeadline(at), l.SetWriteDeadline(at))
}

func (l *slowLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	l.now += time.Duration(len(b)) * (time.Second / 10) / 1024
	late := l.by != 0 && l.now > l.by
	l.mu.Unlock()
	if late {
		return 0, os.ErrDeadlineExceeded
	}
	return l.Conn.Write(b)
}

// slowLines has every connection on a slow line.
type slowLines struct {
	net.Listener
	accepted chan *slowLine
}

func (l slowLines) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	line := &slowLine{Conn: conn}
	l.accepted <- line
	return line, nil
}

// A client on a slow line takes much longer than the write timeout for all of what waits, and none of it is lost: the timeout is for clients that
// take nothing.
func TestSlowLine(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lines := slowLines{Listener: ln, accepted: make(chan *slowLine, 1)}
	s := newServerOn(t, lines, DirectTLS, limit(func(l *Limits) { l.MaxPendingOutput = 8 << 20 }))
	c := s.connect(t)
	c.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	message := []byte("<message><body>" + strings.Repeat("x", 1000) + "</body></message>")
	const count = 3000
	for range count {
		if !session.c.Send(message) {
			t.Fatal("refused")
		}
	}
	if _, err := io.CopyN(io.Discard, c.Conn, int64(count*len(message))); err != nil {
		t.Fatal(err)
	}
	line := <-lines.accepted
	line.mu.Lock()
	took := line.now
	line.mu.Unlock()
	if took < 5*DefaultWriteTimeout {
		t.Fatalf("all of it took the line %s only", took)
	}
	c.send("<message id='still-there'/>")
	c.expect("<message id='still-there'/>")
}

// Stanzas from many senders arrive whole, each sender's in order.
func TestConcurrentOutput(t *testing.T) {
	s := newServer(t, DirectTLS)
	c := s.connect(t)
	c.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	const senders, each = 8, 200
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := range each {
				if !session.c.Send(fmt.Appendf(nil, "<message id='%d-%d'/>", sender, i)) {
					t.Error("refused")
				}
				if i%20 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	session.c.SendStanza(&stanza.Stanza{Kind: stanza.Message, Type: stanza.MessageChat, ID: []byte("last"), Payload: []byte("<body>x</body>")})
	got := c.expect("<body>x</body></message>")
	next := map[string]int{}
	for range senders * each {
		_, rest, ok := strings.Cut(got, "<message id='")
		if !ok {
			t.Fatal("stanzas are missing")
		}
		var id string
		id, got, _ = strings.Cut(rest, "'/>")
		sender, number, _ := strings.Cut(id, "-")
		if number != fmt.Sprint(next[sender]) {
			t.Fatalf("sender %s: %s after %d", sender, number, next[sender]-1)
		}
		next[sender]++
	}
	if n := session.c.Info().Sent; n != senders*each+1 {
		t.Fatalf("%d were counted", n)
	}
}

// An idle session holds neither a goroutine for output nor a buffer for it.
func TestIdleSessionIsLean(t *testing.T) {
	s := newServer(t, DirectTLS)
	c := s.connect(t)
	c.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	c.send("<message id='1'/>")
	c.expect("<message id='1'/>")
	eventually(t, "the output goroutine ends and gives its buffer back", func() bool {
		session.c.mu.Lock()
		defer session.c.mu.Unlock()
		return !session.c.flushing && session.c.out == nil
	})
}

// Close, from the session's side and for every reason.
func TestClose(t *testing.T) {
	s := newServer(t, DirectTLS)
	c := s.connect(t)
	c.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	session.c.Send([]byte("<message id='before'/>"))
	session.c.Close(stanza.NewStreamError(stanza.StreamConflict, "Replaced by <another>."))
	session.c.Close(stanza.NewStreamError(stanza.StreamReset, "")) // only the first counts
	if session.c.Send([]byte("<message id='after'/>")) {
		t.Fatal("accepted after Close")
	}
	// RFC 6120 §4.4: what the client sends meanwhile is ignored.
	c.send("<message id='meanwhile'/>")
	got := c.expect("</stream:stream>")
	want := "<message id='before'/><stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" +
		"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>Replaced by &lt;another&gt;.</text></stream:error></stream:stream>"
	if got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	c.send("</stream:stream>")
	waitClosed(t, session)

	c = s.connect(t)
	c.bind(username, "x")
	s.backend.session(t, "juliet@example.org/x").c.Close(nil)
	if got := c.rest(); got != "</stream:stream>" {
		t.Fatalf("got %q", got)
	}
	c.Conn.Close()

	// The connection breaks without a word.
	c = s.connect(t)
	c.bind(username, "broken")
	session = s.backend.session(t, "juliet@example.org/broken")
	c.Conn.Close()
	waitClosed(t, session)
}

// The session ends the stream by what Receive returns; what was sent before that arrives.
func TestReceiveEndsTheStream(t *testing.T) {
	s := newServer(t, DirectTLS)
	received := 0
	s.backend.receive = func(sess *session, e xmlstream.Element) *stanza.StreamError {
		received++
		sess.c.Send([]byte("<message id='seen'/>"))
		return stanza.NewStreamError(stanza.StreamInvalidFrom, "")
	}
	c := s.connect(t)
	c.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	c.send("<message/><message/><message/>")
	c.expect("<message id='seen'/>")
	c.dies("invalid-from")
	waitClosed(t, session)
	if received != 1 {
		t.Fatalf("%d elements were received", received)
	}
}

// Whoever does not log in in time goes, in every phase (RFC 6120 §4.9.3.4).
func TestNegotiationTimeout(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		var limits atomic.Pointer[Limits]
		limits.Store(patientLimits())
		s := newServer(t, mode, func(c *Config) { c.Limits, c.CloseTimeout = limits.Load, 300*time.Millisecond })
		bound := s.connect(t)
		bound.bind(username, "x")
		half := s.connect(t)
		if mode == DirectTLS { // past the handshake, in which nothing can be said
			half.send(header)
			half.expect("</stream:features>")
			half.send(authPlain[:20])
		} else {
			half.send(header[:50])
		}
		secured := s.connect(t)
		secured.secure()
		loggedIn := s.connect(t)
		loggedIn.login(username)
		// Their time is over when all have got as far as they should, however busy the machine is; who says nothing has to be told by itself.
		s.mu.Lock()
		for c := range s.conns {
			c.mu.Lock()
			if c.state == negotiating {
				c.raw.by(time.Now())
			}
			c.mu.Unlock()
		}
		s.mu.Unlock()
		short := DefaultLimits()
		short.NegotiationTimeout = 100 * time.Millisecond
		limits.Store(short)
		raw, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		raw.SetDeadline(time.Now().Add(patience))
		if mode == DirectTLS {
			io.WriteString(raw, "\x16\x03\x01\x02\x00\x01") // half a ClientHello
		}
		for _, c := range []*client{half, secured, loggedIn} {
			c.dies("connection-timeout")
		}
		if b, err := io.ReadAll(raw); errors.Is(err, os.ErrDeadlineExceeded) || mode == DirectTLS && len(b) > 0 {
			t.Fatalf("a silent connection ends with %q, %v", b, err)
		}
		// Who is bound stays.
		bound.send("<message id='alive'/>")
		bound.expect("<message id='alive'/>")
		raw.Close()
		eventually(t, "the others are gone", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.conns) == 1 && s.cfg.Gate.Pending() == 0
		})
	})
}

// With an idle timeout silence ends the stream; white space counts as life (RFC 6120 §4.6.1).
func TestIdleTimeout(t *testing.T) {
	s := newIdling(t)
	atSomePace(t, "a client that talks may stay", func(unit time.Duration) bool {
		c := s.patient(t, 5*unit)
		for range 6 {
			if _, err := io.WriteString(c.Conn, "<message id='1'/>"); err != nil {
				return false
			}
			time.Sleep(unit) // what is tested is time
		}
		return c.diesOfSilence(6)
	})
}

// idling is a server whose idle timeout may be another for each client.
type idling struct {
	*server
	limits atomic.Pointer[Limits]
}

func newIdling(t *testing.T) *idling {
	t.Helper()
	s := &idling{}
	s.limits.Store(patientLimits())
	s.server = newServer(t, DirectTLS, func(c *Config) { c.Limits = s.limits.Load })
	return s
}

// patient is a client that may be silent for so long.
func (s *idling) patient(t *testing.T, idle time.Duration) *client {
	t.Helper()
	l := patientLimits()
	l.IdleTimeout = idle
	s.limits.Store(l)
	c := s.connect(t)
	c.bind(username, "x")
	return c
}

// diesOfSilence says whether the client got that many answers before it was told that it has been silent for too long.
func (c *client) diesOfSilence(answers int) bool {
	c.t.Helper()
	got := c.expect("<connection-timeout ")
	c.Conn.Close()
	return strings.Count(got, "<message ") == answers
}

// Connections that have not logged in have a number; who has does not count.
func TestMaxUnauthenticated(t *testing.T) {
	s := newServer(t, StartTLS, limit(func(l *Limits) { l.MaxUnauthenticated = 3 }))
	bound := s.connect(t)
	bound.bind(username, "x")
	pending := s.cfg.Gate.Pending
	eventually(t, "who is bound does not count", func() bool { return pending() == 0 })
	var waiting []*client
	for range 3 {
		c := s.connect(t)
		c.send(header)
		c.expect("</stream:features>")
		waiting = append(waiting, c)
	}
	dropped, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dropped.Close()
	dropped.SetDeadline(time.Now().Add(patience))
	// RFC 6120 §4.9.3.17; a client that has sent something already may see its connection reset instead.
	if b, err := io.ReadAll(dropped); err == nil && !strings.Contains(string(b), "<resource-constraint ") || !strings.HasSuffix("</stream:stream>"+string(b), "</stream:stream>") {
		t.Fatalf("one too many is served: %q, %v", b, err)
	}
	waiting[0].Conn.Close()
	eventually(t, "there is room again", func() bool { return pending() < 3 })
	next := s.connect(t)
	next.bind("romeo", "y")
	bound.send("<message id='alive'/>")
	bound.expect("<message id='alive'/>")
	if n := strings.Count(s.log.String(), "too many connections"); n != 1 {
		t.Fatalf("it was logged %d times", n)
	}
}

// Churn: what connections leave behind is nothing.
func TestChurn(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode)
		before := runtime.NumGoroutine()
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for i := range 10 {
					switch i % 5 {
					case 0: // says nothing
						conn, err := net.Dial("tcp", s.Addr().String())
						if err != nil {
							t.Error(err)
							return
						}
						conn.Close()
					case 1: // says garbage
						conn, err := net.Dial("tcp", s.Addr().String())
						if err != nil {
							t.Error(err)
							return
						}
						io.WriteString(conn, "\x16\x03garbage<<<")
						conn.Close()
					default:
						c := s.connect(t)
						c.bind(username, fmt.Sprintf("r%d-%d", worker, i))
						if i%5 == 3 {
							c.send("</stream:stream>")
							c.rest()
						}
						c.Conn.Close()
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "everything is gone", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.conns) == 0 && s.cfg.Gate.Pending() == 0 && s.backend.count() == 0 && runtime.NumGoroutine() <= before
		})
	})
}
