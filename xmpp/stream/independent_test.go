package stream

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stanza"
)

// An independent client library, over both kinds of listeners, with every mechanism, and with TLS 1.2 and 1.3. It binds to
// tls-exporter with TLS 1.3. With TLS 1.2 it knows tls-unique only, which this server does not offer (RFC 9266 §1), so that it cannot use -PLUS there.
func TestIndependentClient(t *testing.T) {
	mechanisms := []sasl.Mechanism{sasl.ScramSha256Plus, sasl.ScramSha1Plus, sasl.ScramSha256, sasl.ScramSha1, sasl.Plain, sasl.Anonymous}
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode)
		for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
			for _, m := range mechanisms {
				if version == tls.VersionTLS12 && strings.HasSuffix(m.Name, "-PLUS") {
					continue
				}
				t.Run(tls.VersionName(version)+" "+m.Name, func(t *testing.T) {
					testIndependentClient(t, s, version, m)
				})
			}
		}
	})
}

func dialIndependent(ctx context.Context, t *testing.T, s *server, version uint16, password string, m sasl.Mechanism) (*xmpp.Session, error) {
	t.Helper()
	cfg := &tls.Config{RootCAs: s.roots, ServerName: domain, MinVersion: version, MaxVersion: version, NextProtos: []string{"xmpp-client"}}
	addr := jid.MustParse(username + "@" + domain + "/balcony")
	features := []xmpp.StreamFeature{xmpp.SASL("", password, m), xmpp.BindResource()}
	var conn net.Conn
	var err error
	var state xmpp.SessionState
	if s.cfg.Mode == DirectTLS {
		conn, err = tls.Dial("tcp", s.Addr().String(), cfg)
		state = xmpp.Secure
	} else {
		conn, err = net.Dial("tcp", s.Addr().String())
		features = append(features, xmpp.StartTLS(cfg))
	}
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return xmpp.NewSession(ctx, addr.Domain(), addr, conn, state, xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
		return xmpp.StreamConfig{Features: features}
	}))
}

func testIndependentClient(t *testing.T, s *server, version uint16, m sasl.Mechanism) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if m.Name != "ANONYMOUS" {
		if _, err := dialIndependent(ctx, t, s, version, "wrong", m); err == nil || !strings.Contains(err.Error(), "not-authorized") {
			t.Fatalf("with a wrong password: %v", err)
		}
	}
	peer, err := dialIndependent(ctx, t, s, version, password, m)
	if err != nil {
		t.Fatal(err)
	}
	// The library asks for the resource "" whatever its address says, which leaves the choice to the server (RFC 6120 §7.6).
	if m.Name != "ANONYMOUS" && !strings.HasPrefix(peer.LocalAddr().String(), "juliet@example.org/made-here-") {
		t.Fatalf("bound to %s", peer.LocalAddr())
	}
	sess := s.backend.session(t, peer.LocalAddr().String())
	if info := sess.c.Info(); info.Mechanism != m.Name || info.TLSVersion != version || !info.Secure {
		t.Fatalf("info is %+v", info)
	}
	// A message comes back, and both ends close in order.
	echoed := make(chan string, 1)
	served := make(chan error, 1)
	go func() {
		served <- peer.Serve(xmpp.HandlerFunc(func(r xmlstream.TokenReadEncoder, start *xml.StartElement) error {
			message := struct {
				stanza.Message
				Body string `xml:"body"`
			}{}
			if err := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), r)).Decode(&message); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			echoed <- message.Body
			return nil
		}))
	}()
	const body = "Parting is such <sweet> sorrow & \U0001F339"
	if err := peer.Send(ctx, stanza.Message{To: jid.MustParse("romeo@example.org"), Type: stanza.ChatMessage}.Wrap(
		xmlstream.Wrap(xmlstream.Token(xml.CharData(body)), xml.StartElement{Name: xml.Name{Local: "body"}}))); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-echoed:
		if got != body {
			t.Fatalf("%q came back", got)
		}
	case err := <-served:
		t.Fatalf("the client's stream ended: %v", err)
	case <-ctx.Done():
		t.Fatal("nothing came back")
	}
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	waitClosed(t, sess)
	select {
	case err := <-served:
		if err != nil {
			t.Fatalf("the client saw %v", err)
		}
	case <-ctx.Done():
		t.Fatal("the client's stream does not end")
	}
}
