package stream

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// fresh is how many sessions are read by a goroutine that has taken over from another.
func fresh() int {
	all := make([]byte, 1<<20)
	return strings.Count(string(all[:runtime.Stack(all, true)]), "created by github.com/chat-operator/chat-operator/xmpp/stream.(*Conn).serve in ")
}

// TestInputInPieces: however the bytes of records and of stanzas are cut, and however long the client pauses in between, each stanza arrives once.
func TestInputInPieces(t *testing.T) {
	s := newServer(t, DirectTLS)
	raw, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	pieces := &cutting{Conn: raw, size: 1 << 20}
	raw.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { raw.Close() })
	c := &client{t: t, Conn: tls.Client(pieces, &tls.Config{RootCAs: s.roots, ServerName: domain, NextProtos: []string{"xmpp-client"}}), s: s}
	c.bind(username, "x")
	long := strings.Repeat("0123456789", 3000)
	for _, size := range []int{1, 3, 7, 100, 16 << 10, 1 << 20} {
		pieces.size = size
		if size < 7 {
			long = long[:300]
		}
		var all strings.Builder
		for i := range 20 {
			fmt.Fprintf(&all, " <message id='%d-%d'><body>short</body></message>\n\n<message id='%d-%d-long'><body>%s</body></message>", size, i, size, i, long)
		}
		for rest := all.String(); rest != ""; { // many records
			n := min(len(rest), 999)
			c.send(rest[:n])
			rest = rest[n:]
		}
		for i := range 20 {
			c.expect(fmt.Sprintf("<message id='%d-%d'><body>short</body></message>", size, i))
			c.expect(fmt.Sprintf("<message id='%d-%d-long'><body>%s</body></message>", size, i, long))
		}
		long = strings.Repeat("0123456789", 3000)
	}
}

// cutting is a connection on which what is written arrives in pieces.
type cutting struct {
	net.Conn
	size int
}

func (c *cutting) Write(b []byte) (int, error) {
	for at := 0; at < len(b); at += c.size {
		if _, err := c.Conn.Write(b[at:min(at+c.size, len(b))]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// TestFreshGoroutine: a session that has been silent for a moment goes on where it was, in the middle of an element, too, and ends in every way that
// it could before.
func TestFreshGoroutine(t *testing.T) {
	ends := []func(c *client, s *session){
		func(c *client, _ *session) {
			c.send("</stream:stream>")
			if got := c.rest(); got != "</stream:stream>" {
				t.Errorf("%q", got)
			}
			c.Conn.Close()
		},
		func(c *client, _ *session) { c.Conn.Close() }, // gone without a word
		func(c *client, s *session) {
			s.c.Close(nil)
			c.expect("</stream:stream>")
			_, _ = io.WriteString(c.Conn, "</stream:stream>") // which may come too late
			c.Conn.Close()
		},
		func(c *client, s *session) {
			s.c.Close(nil)
			c.expect("</stream:stream>") // and the client does not answer
		},
		func(c *client, _ *session) {
			c.send("<!-- -->")
			c.dies("restricted-xml")
		},
	}
	s := newServer(t, DirectTLS, func(c *Config) { c.CloseTimeout = 200 * time.Millisecond })
	clients := make([]*client, len(ends))
	for i := range clients {
		clients[i] = s.connect(t)
		clients[i].bind(username, fmt.Sprint("r", i))
	}
	for _, c := range clients {
		c.send("<message id='1'/>")
		c.expect("<message id='1'/>")
	}
	eventually(t, "fresh goroutines read", func() bool { return fresh() == len(clients) })
	for _, c := range clients { // these wait in the middle of an element, where no fresh one takes over
		c.send(" <message id='2'/><message id='3'><bo")
		c.expect("<message id='2'/>")
	}
	other := s.connect(t)
	other.bind("romeo", "x")
	eventually(t, "the moment is over", func() bool { return fresh() == len(clients)+1 })
	for i, c := range clients {
		session := s.backend.session(t, fmt.Sprint(username, "@example.org/r", i))
		c.send("dy/></message>")
		c.expect("<message id='3'><body/></message>")
		ends[i](c, session)
		waitClosed(t, session)
	}
}

// TestWhiteSpaceIsActivity: RFC 6120 §4.6.1: white space keeps a stream alive, between elements and in the middle of one.
func TestWhiteSpaceIsActivity(t *testing.T) {
	s := newIdling(t)
	atSomePace(t, "a client that sends white space may stay", func(unit time.Duration) bool {
		c := s.patient(t, 5*unit)
		for _, start := range []string{"", "<message id='1'>"} {
			what := start
			for range 6 {
				if _, err := io.WriteString(c.Conn, what); err != nil {
					return false
				}
				time.Sleep(unit) // what is tested is time
				what = " "
			}
		}
		if _, err := io.WriteString(c.Conn, "</message>"); err != nil {
			return false
		}
		return c.diesOfSilence(1)
	})
}
