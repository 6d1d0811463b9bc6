package stream

import (
	"strings"
	"testing"
	"time"
)

// TestAwaitWritten: it ends once the client can have everything, and says so, or once the stream is over.
func TestAwaitWritten(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode)
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
		case <-time.After(20 * time.Second):
			t.Error("it waits for ever")
		}
		waitClosed(t, session)
		if session.c.AwaitWritten() {
			t.Error("written after the end")
		}
	})
}
