package xmpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	mellium "mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/roster"
	"mellium.im/xmpp/stanza"

	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// peer is a client made with an independent library.
type peer struct {
	t       *testing.T
	session *mellium.Session
	name    string
	served  chan error

	mu    sync.Mutex
	lines []string
}

// patient is a context for mellium, which must not be cancelled when a call has returned: a deadline that mellium then sets for a moment would end the
// next call.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// connect logs in; the error is the client's.
func (h *host) connect(addr jid.JID, password string, mode stream.Mode, mechanism sasl.Mechanism) (*mellium.Session, error) {
	h.t.Helper()
	ctx := patient(h.t)
	roots := x509.NewCertPool()
	roots.AddCert(h.certificate.Leaf)
	cfg := &tls.Config{RootCAs: roots, ServerName: domain, NextProtos: []string{"xmpp-client"}}
	bind := mellium.BindResource()
	if addr.Resourcepart() != "" {
		bind.Negotiate = bindAs(addr) // the library's own asks for an empty resource
	}
	features := []mellium.StreamFeature{mellium.SASL("", password, mechanism), roster.Versioning(), bind}
	var conn net.Conn
	var err error
	var state mellium.SessionState
	where := h.server.Addr(mode).String()
	if mode == stream.DirectTLS {
		conn, err = (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", where)
		state = mellium.Secure
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", where)
		features = append(features, mellium.StartTLS(cfg))
	}
	if err != nil {
		return nil, err
	}
	h.t.Cleanup(func() { conn.Close() })
	return mellium.NewSession(ctx, addr.Domain(), addr, conn, state, mellium.NewNegotiator(func(*mellium.Session, *mellium.StreamConfig) mellium.StreamConfig {
		return mellium.StreamConfig{Features: features}
	}))
}

// bindAs binds the resource of an address (RFC 6120 §7.7).
func bindAs(addr jid.JID) func(context.Context, *mellium.Session, any) (mellium.SessionState, io.ReadWriter, error) {
	return func(_ context.Context, s *mellium.Session, _ any) (mellium.SessionState, io.ReadWriter, error) {
		w := s.TokenWriter()
		defer w.Close()
		payload := xmlstream.Wrap(xmlstream.Wrap(xmlstream.Token(xml.CharData(addr.Resourcepart())), xml.StartElement{Name: xml.Name{Local: "resource"}}),
			xml.StartElement{Name: xml.Name{Space: "urn:ietf:params:xml:ns:xmpp-bind", Local: "bind"}})
		request := stanza.IQ{XMLName: xml.Name{Space: stanza.NSClient, Local: "iq"}, ID: "bind", Type: stanza.SetIQ}.Wrap(payload)
		if _, err := xmlstream.Copy(w, request); err != nil {
			return 0, nil, err
		}
		if err := w.Flush(); err != nil {
			return 0, nil, err
		}
		r := s.TokenReader()
		defer r.Close()
		answer := struct {
			stanza.IQ
			JID jid.JID `xml:"urn:ietf:params:xml:ns:xmpp-bind bind>jid"`
		}{}
		if err := xml.NewTokenDecoder(r).Decode(&answer); err != nil {
			return 0, nil, err
		}
		if !answer.JID.Equal(addr) {
			return 0, nil, errors.New("bound as " + answer.JID.String())
		}
		s.UpdateAddr(answer.JID)
		return mellium.Ready, nil, nil
	}
}

// dial is connect for a peer.
func (h *host) dial(name, password string, mode stream.Mode, mechanism sasl.Mechanism) (*peer, error) {
	h.t.Helper()
	s, err := h.connect(jid.MustParse(name+"@"+domain), password, mode, mechanism)
	if err != nil {
		return nil, err
	}
	p := &peer{t: h.t, session: s, name: name, served: make(chan error, 1)}
	go func() { p.served <- s.Serve(mellium.HandlerFunc(p.handle)) }()
	return p, nil
}

// login is dial for those who have to get in.
func (h *host) login(name string, mode stream.Mode) *peer {
	h.t.Helper()
	p, err := h.dial(name, passwordOf(name), mode, sasl.ScramSha256Plus)
	if err != nil {
		h.t.Fatalf("%s cannot log in: %v", name, err)
	}
	return p
}

// handle writes down what comes, a stanza a line: "presence FROM TYPE", "message FROM BODY" (and "delayed" if the server says so), "push JID SUBSCRIPTION". A resource shows as "/".
func (p *peer) handle(rw xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	attr := func(s *xml.StartElement, name string) string {
		for _, a := range s.Attr {
			if a.Name.Local == name {
				return a.Value
			}
		}
		return ""
	}
	from := attr(start, "from")
	if j, err := jid.Parse(from); err == nil {
		from = j.Localpart()
		if j.Resourcepart() != "" {
			from += "/"
		}
	}
	line := start.Name.Local + " " + from
	inBody, delayed := false, false
	for {
		tok, err := rw.Token()
		switch tok := tok.(type) {
		case xml.StartElement:
			inBody = tok.Name.Local == "body"
			delayed = delayed || tok.Name.Local == "delay" && tok.Name.Space == "urn:xmpp:delay" && attr(&tok, "from") == domain
			if tok.Name.Local == "item" && tok.Name.Space == roster.NS {
				line = "push " + strings.TrimSuffix(attr(&tok, "jid"), "@"+domain) + " " + attr(&tok, "subscription")
			}
		case xml.CharData:
			if inBody {
				line += " " + string(tok)
			}
		case xml.EndElement:
			inBody = false
		}
		if err != nil || tok == nil {
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
	}
	if delayed {
		line += " delayed"
	}
	if start.Name.Local == "presence" {
		typ := attr(start, "type")
		if typ == "" {
			typ = "available"
		}
		line += " " + typ
	}
	p.mu.Lock()
	p.lines = append(p.lines, line)
	p.mu.Unlock()
	if start.Name.Local == "iq" && attr(start, "type") == "set" {
		_, err := xmlstream.Copy(rw, stanza.IQ{ID: attr(start, "id"), Type: stanza.ResultIQ}.Wrap(nil))
		return err
	}
	return nil
}

func (p *peer) send(r xml.TokenReader) {
	p.t.Helper()
	ctx := patient(p.t)
	if err := p.session.Send(ctx, r); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

func (p *peer) presence(typ stanza.PresenceType, to string) {
	p.t.Helper()
	st := stanza.Presence{Type: typ}
	if to != "" {
		st.To = jid.MustParse(to + "@" + domain)
	}
	p.send(st.Wrap(nil))
}

func (p *peer) chat(to jid.JID, body string) {
	p.t.Helper()
	p.send(stanza.Message{To: to, Type: stanza.ChatMessage}.Wrap(
		xmlstream.Wrap(xmlstream.Token(xml.CharData(body)), xml.StartElement{Name: xml.Name{Local: "body"}})))
}

// awaits waits until these lines have come, in whatever order, and takes them.
func (p *peer) awaits(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		eventually(p.t, p.name+" to see "+line, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			i := slices.Index(p.lines, line)
			if i >= 0 {
				p.lines = slices.Delete(p.lines, i, i+1)
			}
			return i >= 0
		}, func() string { p.mu.Lock(); defer p.mu.Unlock(); return strings.Join(p.lines, "\n") })
	}
}

// contacts is the roster as the library reads it.
func (p *peer) contacts() []string {
	p.t.Helper()
	ctx := patient(p.t)
	iter := roster.Fetch(ctx, p.session)
	out := []string{}
	for iter.Next() {
		it := iter.Item()
		out = append(out, it.JID.Localpart()+" "+it.Subscription)
	}
	if err := iter.Err(); err != nil {
		p.t.Fatalf("%s: the roster: %v", p.name, err)
	}
	if err := iter.Close(); err != nil {
		p.t.Fatalf("%s: the roster: %v", p.name, err)
	}
	return out
}

// leave closes the stream in order.
func (p *peer) leave() {
	p.t.Helper()
	if err := p.session.Close(); err != nil {
		p.t.Errorf("%s leaves: %v", p.name, err)
	}
	p.ended()
}

// ended waits for the end of the stream and gives the client's view of why.
func (p *peer) ended() error {
	p.t.Helper()
	select {
	case err := <-p.served:
		p.session.Conn().Close()
		return err
	case <-time.After(patience):
		p.t.Fatalf("the stream of %s does not end", p.name)
		return nil
	}
}

const patience = time.Minute

func eventually(t testing.TB, what string, ok func() bool, state ...func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			for _, f := range state {
				t.Log(f())
			}
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// starting is how many goroutines of its own a server that listens may still be about to start.
const starting = 30

// stacks is where all goroutines stand, those that stand alike together.
func stacks() string {
	var text strings.Builder
	pprof.Lookup("goroutine").WriteTo(&text, 1)
	return text.String()
}
