package stream

import (
	"testing"
	"time"
)

// lastWrite is when the last write to a client began.
func (c *Conn) lastWrite() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wrote
}

// TestPatience: what goes to many is not written right after another write, unless something urgent comes; nothing is lost and all is in order.
func TestPatience(t *testing.T) {
	s := newServer(t, DirectTLS)
	c := s.connect(t)
	c.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	many := func(id string) {
		if !session.c.SendParts([]byte("<message id='"), []byte(id), []byte("'/>"), 500) {
			t.Fatal("the stream is over")
		}
	}
	first := session.c.lastWrite()
	for _, id := range []string{"1", "2", "3"} {
		many(id)
		c.expect("<message id='" + id + "'/>")
		next := session.c.lastWrite()
		if waited := time.Duration(next - first); waited < patienceMost {
			t.Errorf("message %s was written %v after what came before it", id, waited)
		}
		first = next
	}
	for _, id := range []string{"4", "6", "8"} {
		many(id)
		session.c.Send([]byte("<iq id='" + id + "'/>"))
		c.expect("<message id='" + id + "'/><iq id='" + id + "'/>")
	}
	many("9")
	if !session.c.AwaitWritten() {
		t.Error("not written")
	}
	c.expect("<message id='9'/>")
	many("10")
	session.c.Close(nil)
	c.expect("<message id='10'/></stream:stream>")
	c.Conn.Close()
	waitClosed(t, session)
}

func TestPatienceGrowsWithTheRecipients(t *testing.T) {
	last := time.Duration(0)
	for _, n := range []int{1, 2, 10, 30, 100, 500, 1000, 100_000} {
		p := patienceWith(n)
		if p < last || p > patienceMost || n <= 10 && p != 0 {
			t.Errorf("%d recipients: %v", n, p)
		}
		last = p
	}
	if last != patienceMost {
		t.Errorf("at most %v", last)
	}
}
