package stream

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	domain   = "example.org"
	username = "juliet"
	password = "R0m30-and"
	// patience is how long a test waits for what has to happen.
	patience = time.Minute
)

// accounts is the Accounts of the tests.
type accounts struct {
	mu sync.Mutex
	m  map[string]auth.Account
}

func (a *accounts) Lookup(name string) (auth.Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, ok := a.m[name]
	return account, ok
}

// backend is a Backend that keeps its sessions and lets tests say what happens.
type backend struct {
	mu       sync.Mutex
	sessions map[jid.JID]*session
	bound    int
	onBind   func(c *Conn, s *session) *stanza.Error
	receive  func(s *session, e xmlstream.Element) *stanza.StreamError
}

type session struct {
	b      *backend
	c      *Conn
	jid    jid.JID
	name   string
	closed chan struct{}
	lost   bool // once closed
}

func (b *backend) Bind(c *Conn, name, resource string) (Session, *stanza.Error) {
	b.mu.Lock()
	b.bound++
	if resource == "" {
		resource = fmt.Sprintf("made-here-%d", b.bound)
	}
	local := name
	if local == "" {
		local = fmt.Sprintf("guest-%d", b.bound)
	}
	onBind := b.onBind
	b.mu.Unlock()
	j, err := jid.New(local, domain, resource)
	if err != nil {
		return nil, stanza.NewError(stanza.ConditionBadRequest, "")
	}
	s := &session{b: b, c: c, jid: j, name: name, closed: make(chan struct{})}
	if onBind != nil {
		if refusal := onBind(c, s); refusal != nil {
			return nil, refusal
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions == nil {
		b.sessions = map[jid.JID]*session{}
	}
	b.sessions[j] = s
	return s, nil
}

func (s *session) JID() jid.JID { return s.jid }

func (s *session) Receive(e xmlstream.Element) *stanza.StreamError {
	if s.b.receive != nil {
		return s.b.receive(s, e)
	}
	// An echo, so that tests see what came through.
	s.c.Send(e.Append(nil))
	return nil
}

func (s *session) Closed(lost bool) {
	s.lost = lost
	// Whoever hears that it is over may bind its resource again, to a session that must not be the one forgotten here.
	s.b.mu.Lock()
	delete(s.b.sessions, s.jid)
	s.b.mu.Unlock()
	close(s.closed) // panics when called twice
}

func (b *backend) session(t testing.TB, full string) *session {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions[jid.MustParse(full)]
	if s == nil {
		t.Fatalf("there is no session %s", full)
	}
	return s
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessions)
}

// server is a listener on loopback.
type server struct {
	*Listener
	backend  *backend
	accounts *accounts
	roots    *x509.CertPool
	log      *lockedBuffer
	stop     func() // ends Serve and waits for it
}

// patientLimits are those by default, but for clients that are slow because the machine is.
func patientLimits() *Limits {
	l := DefaultLimits()
	l.NegotiationTimeout = 10 * patience
	return l
}

// limit changes the limits of a server.
func limit(f func(*Limits)) func(*Config) {
	l := patientLimits()
	f(l)
	return func(c *Config) { c.Limits = func() *Limits { return l } }
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newServer(t testing.TB, mode Mode, change ...func(*Config)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newServerOn(t, ln, mode, change...)
}

// newServerOn has a server take its connections from ln.
func newServerOn(t testing.TB, ln net.Listener, mode Mode, change ...func(*Config)) *server {
	t.Helper()
	s := &server{backend: &backend{}, roots: x509.NewCertPool(), log: &lockedBuffer{}}
	salt := []byte("0123456789abcdef")
	s.accounts = &accounts{m: map[string]auth.Account{
		username: {Username: username, Secret: auth.NewPasswordSecret(password, salt)},
		"romeo":  {Username: "romeo", Secret: auth.NewPasswordSecret(password, salt)},
		"locked": {Username: "locked", Secret: auth.NewPasswordSecret(password, salt), Locked: true},
	}}
	limits := patientLimits()
	cert := newCertificate(t, 1)
	s.roots.AddCert(cert.Leaf)
	cfg := Config{
		Domain: domain,
		Mode:   mode,
		TLS:    &tls.Config{Certificates: []tls.Certificate{cert}},
		Auth: auth.NewServer(auth.Config{Domain: domain, Accounts: s.accounts, InstallationKey: []byte("for tests"),
			Anonymous: func() bool { return true }}),
		Backend:      s.backend,
		Log:          slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		CloseTimeout: patience,
		Limits:       func() *Limits { return limits },
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if s.Listener, err = NewListener(ln, cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("Serve does not return")
		}
	})
	t.Cleanup(func() {
		s.stop()
		if strings.Contains(s.log.String(), password) {
			t.Error("the log contains a password")
		}
	})
	return s
}

func newCertificate(t testing.TB, serial int64) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: domain},
		DNSNames:              []string{domain},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// client is a client that sends bytes and looks at bytes.
type client struct {
	t testing.TB
	net.Conn
	s    *server
	read []byte // received and not yet looked at
}

const (
	header = "<?xml version='1.0'?><stream:stream to='example.org' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	// plus is base64 of \0juliet\0 and the password.
	authPlain = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>"
)

// connect opens the connection, with TLS at once for DirectTLS.
func (s *server) connect(t testing.TB) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	c := &client{t: t, Conn: conn, s: s}
	t.Cleanup(func() { c.Conn.Close() })
	if s.cfg.Mode == DirectTLS {
		c.tls()
	}
	return c
}

func (c *client) tls() {
	c.t.Helper()
	t := tls.Client(c.Conn, &tls.Config{RootCAs: c.s.roots, ServerName: domain, NextProtos: []string{"xmpp-client"}})
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn = t
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("cannot send: %v", err)
	}
}

// expect reads until what was received contains s, and returns everything up to its end.
func (c *client) expect(s string) string {
	c.t.Helper()
	for {
		if i := bytes.Index(c.read, []byte(s)); i >= 0 {
			got := string(c.read[:i+len(s)])
			c.read = c.read[i+len(s):]
			return got
		}
		buf := make([]byte, 4096)
		n, err := c.Conn.Read(buf)
		c.read = append(c.read, buf[:n]...)
		if err != nil && n == 0 {
			c.t.Fatalf("want %q, got %q and then %v", s, c.read, err)
		}
	}
}

// rest reads to the end of the connection.
func (c *client) rest() string {
	c.t.Helper()
	b, err := io.ReadAll(c.Conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("the connection stays open after %q", append(c.read, b...))
	}
	got := string(append(c.read, b...))
	c.read = nil
	return got
}

// dies expects a stream error with the condition, the closing tag and the end of the connection (RFC 6120 §4.9.1.1).
func (c *client) dies(condition string) {
	c.t.Helper()
	got := c.rest()
	want := "<stream:error><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
	if !strings.Contains(got, want) || !strings.HasSuffix(got, "</stream:error></stream:stream>") {
		c.t.Fatalf("want the stream error %s, got %q", condition, got)
	}
	if n := strings.Count(got, "<stream:error>"); n != 1 {
		c.t.Fatalf("%d stream errors", n)
	}
	c.Conn.Close()
}

// secure takes the stream to where SASL is offered and returns the features.
func (c *client) secure() string {
	c.t.Helper()
	if c.s.cfg.Mode == StartTLS {
		c.send(header)
		c.expect("</stream:features>")
		c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		c.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		c.tls()
	}
	c.send(header)
	return c.expect("</stream:features>")
}

func plainMessage(user, password string) string {
	return fmt.Sprintf(authPlain, base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
}

// login takes the stream to where a resource can be bound and returns the features.
func (c *client) login(user string) string {
	c.t.Helper()
	c.secure()
	c.send(plainMessage(user, password))
	c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	c.send(header)
	return c.expect("</stream:features>")
}

// bind takes the stream to a bound resource.
func (c *client) bind(user, resource string) {
	c.t.Helper()
	c.login(user)
	c.send("<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	c.expect("<jid>" + user + "@example.org/" + resource + "</jid></bind></iq>")
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func waitClosed(t *testing.T, s *session) {
	t.Helper()
	select {
	case <-s.closed:
	case <-time.After(patience):
		t.Fatal("the session is not told that its connection is over")
	}
}

// atSomePace is for what has to happen within a time, or not before it: it tries that with ever longer times, since nobody knows for how long a busy
// machine leaves a client, or the server, alone.
func atSomePace(t *testing.T, what string, try func(unit time.Duration) bool) {
	t.Helper()
	for unit := 100 * time.Millisecond; !try(unit); unit *= 3 {
		if unit > 2*time.Second {
			t.Fatalf("at no pace: %s", what)
		}
	}
}

// both runs a test on each kind of listener.
func both(t *testing.T, f func(t *testing.T, mode Mode)) {
	t.Helper()
	t.Run("StartTLS", func(t *testing.T) { f(t, StartTLS) })
	t.Run("DirectTLS", func(t *testing.T) { f(t, DirectTLS) })
}
