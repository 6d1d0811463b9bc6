package stream

import (
	"crypto/tls"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// A fault in a handler ends its stream, not the process, and what the client sent does not get into the log.
func TestPanic(t *testing.T) {
	s := newServer(t, DirectTLS)
	s.backend.receive = func(sess *session, e xmlstream.Element) *stanza.StreamError {
		if e.Is(stanza.NSClient, "presence") {
			panic("a secret of the client: " + string(e.Append(nil)))
		}
		sess.c.Send(e.Append(nil))
		return nil
	}
	s.backend.onBind = func(_ *Conn, sess *session) *stanza.Error {
		if sess.jid.Resource() == "boom" {
			panic("another secret")
		}
		return nil
	}
	bystander := s.connect(t)
	bystander.bind("romeo", "x")
	c := s.connect(t)
	c.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	c.send("<presence><status>confidential</status></presence>")
	c.dies("internal-server-error")
	waitClosed(t, session)
	c = s.connect(t)
	c.login(username)
	c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>boom</resource></bind></iq>")
	c.dies("internal-server-error")
	bystander.send("<message id='alive'/>")
	bystander.expect("<message id='alive'/>")
	if log := s.log.String(); strings.Contains(log, "confidential") || strings.Contains(log, "secret") || strings.Count(log, "a fault in the server") != 2 {
		t.Fatalf("the log says %s", log)
	}
}

// flushPanics is a session that has a fault in what it adds to output.
type flushPanics struct {
	*session
	armed *atomic.Bool
}

var _ Flusher = flushPanics{}

func (f flushPanics) Flushed() {}

func (f flushPanics) Flushing(b []byte, _ uint64) []byte {
	if f.armed.Load() {
		panic("a secret of the client")
	}
	return b
}

// flushBackend makes sessions of that kind.
type flushBackend struct {
	*backend
	armed atomic.Bool
}

func (f *flushBackend) Bind(c *Conn, name, resource string) (Session, *stanza.Error) {
	s, refusal := f.backend.Bind(c, name, resource)
	if refusal != nil {
		return nil, refusal
	}
	return flushPanics{s.(*session), &f.armed}, nil
}

// bystander is somebody who must not notice what happens to others.
func (s *server) bystander(t *testing.T) (alive func()) {
	t.Helper()
	c := s.connect(t)
	c.bind("romeo", "bystander")
	return func() {
		t.Helper()
		c.send("<message id='alive'/>")
		c.expect("<message id='alive'/>")
	}
}

// faults asserts how many faults were logged, without a word of a client's.
func (s *server) faults(t *testing.T, count int) {
	t.Helper()
	if log := s.log.String(); strings.Contains(log, "secret") || strings.Count(log, "a fault in the server") != count {
		t.Errorf("the log says %s", log)
	}
}

// TestPanicWhileWriting: attack 9: a panic on the writing goroutine ends one stream. What was queued before is written, and the session may be
// resumed.
func TestPanicWhileWriting(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		b := &flushBackend{}
		s := newServer(t, mode, func(c *Config) { b.backend = c.Backend.(*backend); c.Backend = b })
		alive := s.bystander(t)
		c := s.connect(t)
		c.bind(username, "x")
		session := s.backend.session(t, "juliet@example.org/x")
		b.armed.Store(true)
		c.send("<message id='before'/>")
		c.expect("<message id='before'/>")
		c.dies("internal-server-error")
		waitClosed(t, session)
		if !session.lost {
			t.Error("the session has ended for good")
		}
		b.armed.Store(false)
		alive()
		s.faults(t, 1)
	})
}

// TestPanicWhileReading: attack 9: a panic on the reading goroutine outside of the session, as a fault in the parser would be, ends one stream.
func TestPanicWhileReading(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		var armed atomic.Bool
		limits := patientLimits()
		s := newServer(t, mode, func(c *Config) {
			c.Limits = func() *Limits {
				if armed.CompareAndSwap(true, false) {
					panic("a secret of the client")
				}
				return limits
			}
		})
		alive := s.bystander(t)
		c := s.connect(t)
		c.bind(username, "x")
		session := s.backend.session(t, "juliet@example.org/x")
		armed.Store(true)
		c.send("<message id='never'/>")
		c.dies("internal-server-error")
		waitClosed(t, session)
		if session.lost {
			t.Error("the session can be resumed, and the stanza sent again")
		}
		alive()
		s.faults(t, 1)
	})
}

// TestPanicWhileNegotiating: attack 9: a panic before there is a session, inside of the TLS handshake or outside, ends one connection.
func TestPanicWhileNegotiating(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		var armed atomic.Bool
		s := newServer(t, mode, func(c *Config) {
			cert := c.TLS.Certificates[0]
			c.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				if armed.CompareAndSwap(true, false) {
					panic("a secret of the client")
				}
				return &cert, nil
			}}
		})
		alive := s.bystander(t)
		armed.Store(true)
		c := s.dialFrom(t, "127.0.0.1", "")
		if mode == StartTLS {
			c.send(header)
			c.expect("</stream:features>")
			c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			c.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		}
		if err := tls.Client(c.Conn, &tls.Config{RootCAs: s.roots, ServerName: domain}).Handshake(); err == nil {
			t.Error("the handshake succeeded")
		}
		c.Conn.Close()
		eventually(t, "the connection is gone", func() bool { return s.Connections() == 1 && s.cfg.Gate.Pending() == 0 })
		alive()
		s.faults(t, 1)
	})
}

// TestPanicAtTheEnd: attack 9: a panic of a session that hears of its end ends nothing else.
func TestPanicAtTheEnd(t *testing.T) {
	s := newServer(t, DirectTLS)
	alive := s.bystander(t)
	c := s.connect(t)
	c.bind(username, "x")
	session := s.backend.session(t, "juliet@example.org/x")
	close(session.closed) // closing it again panics
	c.send("</stream:stream>")
	c.rest()
	c.Conn.Close()
	eventually(t, "the connection is gone", func() bool { return s.Connections() == 1 })
	alive()
	s.faults(t, 1)
}
