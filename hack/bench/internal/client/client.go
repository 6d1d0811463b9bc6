package client

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Config is how to reach a server.
type Config struct {
	Addr      string // host:port of direct TLS (XEP-0368)
	Domain    string
	TLS       *tls.Config
	Mechanism Mechanism
	Keys      *KeyCache
	Timeout   time.Duration // for a whole login
}

// ErrLogin is what a refused login is.
var ErrLogin = errors.New("the server refused the login")

// Conn is one bound session. One goroutine may read and one may write at a time.
type Conn struct {
	JID string

	tls  *tls.Conn
	scan *Scanner
}

const header = "<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// Connect opens a connection, TLS 1.3 inside, and a stream up to the server's features.
func Connect(ctx context.Context, c Config) (*Conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", c.Addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, c.TLS)
	if err := conn.SetDeadline(time.Now().Add(c.Timeout)); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS: %w", err), raw.Close())
	}
	x := &Conn{tls: conn, scan: NewScanner(conn, 2048)}
	if err := x.open(c.Domain); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return x, nil
}

// open opens a stream and reads the features.
func (x *Conn) open(domain string) error {
	if err := x.Write(fmt.Appendf(nil, header, domain)); err != nil {
		return err
	}
	e, err := x.Next()
	if err != nil {
		return err
	}
	if !e.Is("stream:stream") {
		return fmt.Errorf("the server began its stream with %s", e.Raw())
	}
	if e, err = x.Next(); err != nil {
		return err
	}
	if !e.Is("stream:features") {
		return fmt.Errorf("instead of features the server sent %s", e.Raw())
	}
	return nil
}

// Authenticate is the SASL exchange (RFC 6120 §6.4). Answered, where given, is told how long each of the two answers took.
func (x *Conn) Authenticate(c Config, username, password string, answered func(time.Duration)) error {
	if answered == nil {
		answered = func(time.Duration) {}
	}
	s := newScram(c.Mechanism, username, password, c.Keys)
	first := base64.StdEncoding.EncodeToString([]byte(s.first()))
	begin := time.Now()
	e, err := x.ask("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + string(c.Mechanism) + "'>" + first + "</auth>")
	if err != nil {
		return err
	}
	answered(time.Since(begin))
	challenge, err := payload(e, "challenge")
	if err != nil {
		return err
	}
	final, err := s.answer(challenge)
	if err != nil {
		return err
	}
	proof := base64.StdEncoding.EncodeToString([]byte(final))
	begin = time.Now()
	e, err = x.ask("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + proof + "</response>")
	if err != nil {
		return err
	}
	answered(time.Since(begin))
	signed, err := payload(e, "success")
	if err != nil {
		return err
	}
	return s.verify(signed)
}

func payload(e Element, name string) (string, error) {
	if !e.Is(name) {
		return "", fmt.Errorf("%w: %s", ErrLogin, e.Raw())
	}
	raw := e.Between(">", "<")
	b, err := base64.StdEncoding.DecodeString(string(raw))
	return string(b), err
}

func (x *Conn) ask(text string) (Element, error) {
	if err := x.Write([]byte(text)); err != nil {
		return Element{}, err
	}
	return x.Next()
}

// Login is all that a client does to be there: connection, TLS, SASL, resource binding, roster, initial presence. It returns when
// the server has sent the session its own presence (RFC 6121 §4.2.2), which is after everything before it has been done.
func Login(ctx context.Context, c Config, username, password, resource string) (*Conn, error) {
	x, err := Bind(ctx, c, username, password, resource)
	if err != nil {
		return nil, err
	}
	if err := x.appear(nil); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", username, err), x.tls.Close())
	}
	return x, nil
}

// Bind is Login without roster and presence.
func Bind(ctx context.Context, c Config, username, password, resource string) (*Conn, error) {
	x, err := Connect(ctx, c)
	if err != nil {
		return nil, err
	}
	err = x.Authenticate(c, username, password, nil)
	if err == nil {
		x.scan.Restart()
		err = x.open(c.Domain)
	}
	if err == nil {
		err = x.bind(resource)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", username, err), x.tls.Close())
	}
	return x, nil
}

func (x *Conn) bind(resource string) error {
	e, err := x.ask("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	if err != nil {
		return err
	}
	jid := e.Between("<jid>", "</jid>")
	if !e.Is("iq") || jid == nil || !strings.HasSuffix(string(jid), "/"+resource) {
		return fmt.Errorf("binding %s was answered with %s", resource, e.Raw())
	}
	x.JID = string(jid)
	return nil
}

// Appear asks for the roster, sends initial presence and returns when the server has sent it back. Each message that comes before
// or until then is given to seen. The login's time limit ends with it.
func (x *Conn) Appear(seen func(Element)) error { return x.appear(seen) }

func (x *Conn) appear(seen func(Element)) error {
	if err := x.Write([]byte("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")); err != nil {
		return err
	}
	if err := x.until(seen, func(e Element) bool { return e.Is("iq") && string(e.Attr("id")) == "roster" }); err != nil {
		return err
	}
	if err := x.Write([]byte("<presence/>")); err != nil {
		return err
	}
	if err := x.until(seen, func(e Element) bool { return e.Is("presence") && string(e.Attr("from")) == x.JID }); err != nil {
		return err
	}
	return x.tls.SetDeadline(time.Time{})
}

func (x *Conn) until(seen func(Element), found func(Element) bool) error {
	for {
		e, err := x.Next()
		if err != nil {
			return err
		}
		switch {
		case e.Is("stream:error"):
			return fmt.Errorf("the server ended the stream: %s", e.Raw())
		case found(e):
			return nil
		case seen != nil && e.Is("message"):
			seen(e)
		}
	}
}

// Ping returns when the server has answered a ping (XEP-0199), and so has seen all that was sent before.
func (x *Conn) Ping(domain string, seen func(Element)) error {
	if err := x.Write([]byte("<iq type='get' id='ping' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")); err != nil {
		return err
	}
	return x.until(seen, func(e Element) bool { return e.Is("iq") && string(e.Attr("id")) == "ping" })
}

// Next returns the next element; it is valid until Next is called again.
func (x *Conn) Next() (Element, error) { return x.scan.Next() }

// Write sends b in one TLS record.
func (x *Conn) Write(b []byte) error {
	_, err := x.tls.Write(b)
	return err
}

// SetDeadline limits reads and writes.
func (x *Conn) SetDeadline(t time.Time) error { return x.tls.SetDeadline(t) }

// Finish closes the stream on this side; whoever reads gets io.EOF when the server has done so, too, or an error two seconds later.
func (x *Conn) Finish() error {
	return errors.Join(x.tls.SetDeadline(time.Now().Add(2*time.Second)), x.Write([]byte("</stream:stream>")))
}

// Close closes the stream, waits a moment for the server to do so, too, and closes the connection.
func (x *Conn) Close() error {
	err := x.Finish()
	for err == nil {
		_, err = x.Next()
	}
	closing := x.tls.Close()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return errors.Join(err, closing)
}

// Abort closes the connection, so that whoever reads from it stops.
func (x *Conn) Abort() { _ = x.tls.NetConn().Close() }
