// Package relay is the floor of the benchmark: what TLS, SCRAM and passing messages on cost a Go program that does nothing else. It
// trusts its clients; it is no server.
package relay

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
)

// Config is what a relay is told.
type Config struct {
	Domain   string
	TLS      *tls.Config
	Password string // of every account
	// Coalesce gathers what goes to one client while a write is under way, instead of one write a message.
	Coalesce bool
}

// Iterations and Salt are the same for all accounts.
const (
	Iterations = 4096
	Salt       = "floor's salt 16 b"
)

// Relay passes messages on by full JID, and has rooms.
type Relay struct {
	config Config
	keys   client.KeyCache
	mu     sync.RWMutex
	by     map[string]*session
	rooms  map[string]*room // by bare address
}

// New makes a relay.
func New(c Config) *Relay {
	return &Relay{config: c, by: map[string]*session{}, rooms: map[string]*room{}}
}

// session is one bound client.
type session struct {
	jid   string
	conn  net.Conn
	rooms []*room // that its client has entered; for the reading goroutine alone

	mu       sync.Mutex
	pending  []byte // coalescing: what the running flush takes next
	flushing bool
}

// Serve accepts clients until ctx ends.
func (r *Relay) Serve(ctx context.Context, ln net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	for {
		c, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		go r.negotiate(tls.Server(c, r.config.TLS))
	}
}

// negotiate goes up to a bound session, which then gets a fresh goroutine: the handshake's stack is deep.
func (r *Relay) negotiate(c *tls.Conn) {
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	s, scan, err := r.login(c)
	if err != nil {
		_ = c.Close()
		return
	}
	_ = c.SetDeadline(time.Time{})
	go r.serve(s, scan)
}

const saslFeatures = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" +
	"<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>"

const bindFeatures = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"

func (r *Relay) open(c net.Conn, scan *client.Scanner, features string) error {
	e, err := scan.Next()
	if err != nil {
		return err
	}
	if !e.Is("stream:stream") {
		return errors.New("no stream header")
	}
	_, err = fmt.Fprintf(c, "<?xml version='1.0'?><stream:stream from='%s' id='%s' version='1.0' xmlns='jabber:client' "+
		"xmlns:stream='http://etherx.jabber.org/streams'>%s", r.config.Domain, rand.Text(), features)
	return err
}

func (r *Relay) login(c net.Conn) (*session, *client.Scanner, error) {
	scan := client.NewScanner(c, 1024)
	if err := r.open(c, scan, saslFeatures); err != nil {
		return nil, nil, err
	}
	username, err := r.authenticate(c, scan)
	if err != nil {
		return nil, nil, err
	}
	scan.Restart()
	if err := r.open(c, scan, bindFeatures); err != nil {
		return nil, nil, err
	}
	e, err := scan.Next()
	if err != nil {
		return nil, nil, err
	}
	resource := e.Between("<resource>", "</resource>")
	if resource == nil {
		return nil, nil, errors.New("no resource")
	}
	s := &session{jid: username + "@" + r.config.Domain + "/" + string(resource), conn: c}
	r.mu.Lock()
	r.by[s.jid] = s
	r.mu.Unlock()
	_, err = fmt.Fprintf(c, "<iq type='result' id='%s'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>%s</jid></bind></iq>", e.Attr("id"), s.jid)
	if err != nil {
		r.remove(s)
		return nil, nil, err
	}
	return s, scan, nil
}

// authenticate is the server's side of SCRAM (RFC 5802).
func (r *Relay) authenticate(c net.Conn, scan *client.Scanner) (string, error) {
	read := func(name string) (client.Element, string, error) {
		e, err := scan.Next()
		if err != nil {
			return e, "", err
		}
		if !e.Is(name) {
			return e, "", fmt.Errorf("%s instead of %s", e.Name(), name)
		}
		b, err := base64.StdEncoding.DecodeString(string(e.Between(">", "<")))
		return e, string(b), err
	}
	write := func(name, text string) error {
		_, err := fmt.Fprintf(c, "<%s xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</%s>", name, base64.StdEncoding.EncodeToString([]byte(text)), name)
		return err
	}
	e, first, err := read("auth")
	if err != nil {
		return "", err
	}
	mechanism := client.Mechanism(e.Attr("mechanism"))
	bare, ok := strings.CutPrefix(first, "n,,")
	name, nonce, cut := strings.Cut(bare, ",r=")
	username, prefixed := strings.CutPrefix(name, "n=")
	if !ok || !cut || !prefixed {
		return "", errors.New("no SCRAM")
	}
	keys, err := r.keys.Keys(mechanism, r.config.Password, []byte(Salt), Iterations)
	if err != nil {
		return "", err
	}
	nonce += rand.Text()
	challenge := fmt.Sprintf("r=%s,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString([]byte(Salt)), Iterations)
	if err := write("challenge", challenge); err != nil {
		return "", err
	}
	_, final, err := read("response")
	if err != nil {
		return "", err
	}
	without, encoded, _ := strings.Cut(final, ",p=")
	proof, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", err
	}
	stored, server := keys.Verifier()
	message := bare + "," + challenge + "," + without
	h := mechanism.Hash()
	signature := client.MAC(h, stored, message)
	if len(proof) != len(signature) || without != "c=biws,r="+nonce {
		return "", errors.New("bad proof")
	}
	for i := range proof {
		proof[i] ^= signature[i]
	}
	digest := h()
	digest.Write(proof)
	if subtle.ConstantTimeCompare(digest.Sum(nil), stored) != 1 {
		_, err := c.Write([]byte("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"))
		return "", errors.Join(errors.New("wrong password"), err)
	}
	return username, write("success", "v="+base64.StdEncoding.EncodeToString(client.MAC(h, server, message)))
}

// serve reads what a client sends until it goes.
func (r *Relay) serve(s *session, scan *client.Scanner) {
	defer s.conn.Close()
	defer r.remove(s)
	defer s.leave()
	out := make([]byte, 0, 1024)
	for {
		e, err := scan.Next()
		if err != nil {
			_, _ = s.conn.Write([]byte("</stream:stream>"))
			return
		}
		name := e.Name()
		switch string(name) {
		case "message":
			if string(e.Attr("type")) == "groupchat" {
				r.say(s, e)
				continue
			}
			r.mu.RLock()
			to := r.by[string(e.Attr("to"))]
			r.mu.RUnlock()
			if to == nil {
				continue
			}
			// The sender's address goes in behind the name.
			at := 1 + len(name)
			out = append(out[:0], e.Raw()[:at]...)
			out = append(out, " from='"...)
			out = append(out, s.jid...)
			out = append(out, '\'')
			out = append(out, e.Raw()[at:]...)
			to.send(out, r.config.Coalesce)
		case "presence":
			if to := e.Attr("to"); to != nil {
				r.enter(s, to)
				continue
			}
			s.send(fmt.Appendf(nil, "<presence from='%s' to='%s'/>", s.jid, s.jid), r.config.Coalesce)
		case "iq":
			inner := ""
			if e.Contains("jabber:iq:roster") {
				inner = "<query xmlns='jabber:iq:roster'/>"
			}
			s.send(fmt.Appendf(nil, "<iq type='result' id='%s' to='%s'>%s</iq>", e.Attr("id"), s.jid, inner), r.config.Coalesce)
		}
	}
}

func (r *Relay) remove(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by[s.jid] == s {
		delete(r.by, s.jid)
	}
}

// send writes b, or with coalescing leaves it to the flush that is under way. What cannot be written is for the reader to notice.
func (s *session) send(b []byte, coalesce bool) {
	if !coalesce {
		_, _ = s.conn.Write(b) // tls.Conn writes one at a time
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, b...)
	if !s.flushing {
		s.flushing = true
		go s.flush()
	}
}

func (s *session) flush() {
	var spare []byte
	for {
		s.mu.Lock()
		full := s.pending
		if len(full) == 0 {
			s.flushing = false
			s.pending = nil
			s.mu.Unlock()
			return
		}
		s.pending = spare[:0]
		s.mu.Unlock()
		_, _ = s.conn.Write(full)
		spare = full
	}
}
