package stream

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// resuming is a backend whose sessions can be resumed, by their resources.
type resuming struct {
	*backend
	failure *stanza.StreamError
}

func (r *resuming) Resume(c *Conn, name string, request xmlstream.Element) (Session, []byte, *stanza.StreamError) {
	if r.failure != nil {
		c.Send([]byte("<message id='never'/>"))
		return nil, nil, r.failure
	}
	previd := string(request.Attr("previd"))
	if previd == "unknown" {
		c.Send([]byte("<message id='never'/>"))
		return nil, []byte("<failed xmlns='urn:xmpp:sm:3'/>"), nil
	}
	s := &flushing{session: session{b: r.backend, c: c, jid: jid.MustParse(name + "@example.org/" + previd), name: name, closed: make(chan struct{})}}
	c.Send([]byte("<message id='again'/>"))
	return s, []byte("<resumed xmlns='urn:xmpp:sm:3'/>"), nil
}

// flushing is a session that ends all that is written with an element of its own.
type flushing struct{ session }

var _ Flusher = (*flushing)(nil)

func (f *flushing) Flushing(b []byte, _ uint64) []byte { return append(b, "<flushed/>"...) }
func (f *flushing) Flushed()                           {}

// XEP-0198 §2, §3, §5: what may come in place of binding a resource.
func TestResume(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		r := &resuming{}
		s := newServer(t, mode, func(cfg *Config) {
			if b, ok := cfg.Backend.(*backend); ok {
				r.backend = b
			}
			cfg.Backend = r
		})
		c := s.connect(t)
		if got := c.login(username); !strings.Contains(got, "<sm xmlns='urn:xmpp:sm:3'/>") {
			t.Fatalf("it is not offered: %q", got)
		}
		c.send("<enable xmlns='urn:xmpp:sm:3'/>")
		c.expect("<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
		c.send("<resume xmlns='urn:xmpp:sm:3' previd='unknown' h='0'/>")
		c.expect("<failed xmlns='urn:xmpp:sm:3'/>")
		c.send("<resume xmlns='urn:xmpp:sm:3' previd='balcony' h='0'/>")
		// The answer comes first, whatever the session has sent meanwhile, and what was sent to no session never comes.
		if got := c.expect("<flushed/>"); got != "<resumed xmlns='urn:xmpp:sm:3'/><message id='again'/><flushed/>" {
			t.Fatalf("resuming is answered with %q", got)
		}
		c.send("<message id='echo'/>")
		c.expect("<message id='echo'/><flushed/>")
		c.send("</stream:stream>")
		if got := c.rest(); got != "</stream:stream>" {
			t.Fatalf("the end is %q", got)
		}

		r.failure = stanza.NewStreamError(stanza.StreamUndefinedCondition, "")
		c = s.connect(t)
		c.login(username)
		c.send("<resume xmlns='urn:xmpp:sm:3' previd='balcony' h='7'/>")
		c.dies("undefined-condition")

		// Before anybody has logged in, it is nothing (number 12).
		c = s.connect(t)
		c.secure()
		c.send("<resume xmlns='urn:xmpp:sm:3' previd='balcony' h='0'/>")
		c.dies("not-authorized")
		// Not more often than binding.
		r.failure = nil
		c = s.connect(t)
		c.login(username)
		c.send(strings.Repeat("<resume xmlns='urn:xmpp:sm:3' previd='unknown' h='0'/>", maxBindTries))
		c.dies("policy-violation")
	})
}

// XEP-0198 §7: a session learns whether its stream was ended for good or broke off.
func TestLostOrEnded(t *testing.T) {
	for name, c := range map[string]struct {
		lost bool
		end  func(c *client, s *session)
	}{
		"the client closes":        {false, func(c *client, _ *session) { c.send("</stream:stream>") }},
		"the client breaks off":    {true, func(c *client, _ *session) { c.Conn.Close() }},
		"in the middle":            {true, func(c *client, _ *session) { c.send("<message><bo"); c.Conn.Close() }},
		"without an end of TLS":    {true, func(c *client, _ *session) { c.tcp().Close() }},
		"what it sends is no XML":  {false, func(c *client, _ *session) { c.send("<message></presence>") }},
		"what it sends is refused": {false, func(c *client, _ *session) { c.send("<refused/>") }},
		"it is silent":             {true, func(c *client, _ *session) { c.expect("<connection-timeout"); c.send("</stream:stream>") }},
		"the server closes": {true, func(c *client, s *session) {
			s.c.Close(stanza.NewStreamError(stanza.StreamSystemShutdown, ""))
			c.expect("</stream:stream>")
			c.send("</stream:stream>")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, DirectTLS, limit(func(l *Limits) {
				if name == "it is silent" {
					l.IdleTimeout = 200 * time.Millisecond
				}
			}))
			s.backend.receive = func(_ *session, e xmlstream.Element) *stanza.StreamError {
				if string(e.Local()) == "refused" {
					return stanza.NewStreamError(stanza.StreamUnsupportedStanzaType, "")
				}
				return nil
			}
			made := make(chan *session, 1) // it may be over before a slow test asks for it by name
			s.backend.onBind = func(_ *Conn, s *session) *stanza.Error { made <- s; return nil }
			cl := s.connect(t)
			cl.bind(username, "balcony")
			session := <-made
			c.end(cl, session)
			go func() { _, _ = io.Copy(io.Discard, cl.Conn); cl.Conn.Close() }()
			waitClosed(t, session)
			if session.lost != c.lost {
				t.Errorf("lost: %v", session.lost)
			}
		})
	}
}

// tcp is the connection under the TLS one.
func (c *client) tcp() net.Conn {
	if t, ok := c.Conn.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return c.Conn
}
