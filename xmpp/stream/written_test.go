package stream

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// TestWaitingForTheClientIsNotTheServers: a client that stalls, as telephones do, makes what is sent to it wait; the server does not, and that is
// what is measured.
func TestWaitingForTheClientIsNotTheServers(t *testing.T) {
	m := meter.New()
	s := newServer(t, DirectTLS, func(c *Config) { c.Meter = m }, limit(func(l *Limits) { l.MaxPendingOutput = 8 << 20 }))
	c := s.connect(t)
	c.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	// Nothing in between takes it all at once.
	if err := session.c.raw.Conn.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if err := c.Conn.(*tls.Conn).NetConn().(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	message := []byte("<message><body>" + strings.Repeat("x", 1000) + "</body></message>")
	const count = 4000
	// All that waits in the server's own queues waits for less than the client stalls.
	atSomePace(t, "what is written waits for the client alone", func(stalls time.Duration) bool {
		before, waited, _ := m.Delivery().Read()
		for range count {
			if !session.c.Send(message) {
				t.Fatal("refused")
			}
		}
		<-time.After(stalls) // this is the client, which does not read
		if queued, written, _ := session.c.Output(); queued == written {
			t.Fatal("the client has taken everything without reading")
		}
		buf := make([]byte, 32<<10)
		for left := count * len(message); left > 0; {
			n, err := c.Conn.Read(buf[:min(len(buf), left)])
			if err != nil {
				t.Fatalf("%d bytes before the end: %v", left, err)
			}
			left -= n
		}
		if !session.c.AwaitWritten() {
			t.Fatal("not written")
		}
		after, sum, _ := m.Delivery().Read()
		if after-before < 2 {
			t.Fatal("all of it was written at once")
		}
		return sum-waited < stalls
	})
}

// TestAwaitWritten: it ends once the client can have everything, and says so, or once the stream is over.
func TestAwaitWritten(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode, func(c *Config) { c.CloseTimeout = 300 * time.Millisecond })
		c := s.connect(t)
		c.bind(username, "x")
		session := s.backend.session(t, "juliet@example.org/x")
		if !session.c.AwaitWritten() {
			t.Fatal("nothing waits, and it is not written")
		}
		session.c.Send([]byte("<message id='m'/>"))
		if !session.c.AwaitWritten() {
			t.Fatal("not written")
		}
		c.expect("<message id='m'/>")

		// Far more than a socket takes from a client that does not read.
		message := []byte("<message><body>" + strings.Repeat("x", 100_000) + "</body></message>")
		for range 9 {
			session.c.Send(message)
		}
		for range 300 {
			if session.c.Send(message); session.c.over() {
				break
			}
		}
		written := make(chan bool)
		go func() { written <- session.c.AwaitWritten() }()
		s.stop()
		select {
		case ok := <-written:
			if ok {
				t.Error("written to a client that never read it")
			}
		case <-time.After(patience):
			t.Error("it waits for ever")
		}
		waitClosed(t, session)
		if session.c.AwaitWritten() {
			t.Error("written after the end")
		}
	})
}
