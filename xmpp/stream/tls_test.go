package stream

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
)

// Handshakes: TLS 1.2 at least (RFC 7590), ALPN when it is offered (XEP-0368 §2), no tickets.
func TestTLS(t *testing.T) {
	s := newServer(t, DirectTLS)
	dial := func(cfg *tls.Config) (*tls.Conn, error) {
		cfg.RootCAs, cfg.ServerName = s.roots, domain
		return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", s.Addr().String(), cfg)
	}
	if c, err := dial(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Fatal("TLS 1.1 is spoken")
	}
	if c, err := dial(&tls.Config{NextProtos: []string{"h2", "http/1.1"}}); err == nil {
		c.Close()
		t.Fatal("a client that wants HTTP is served")
	}
	for _, protocols := range [][]string{nil, {"xmpp-client"}} {
		c, err := dial(&tls.Config{NextProtos: protocols})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().NegotiatedProtocol; protocols != nil && got != "xmpp-client" {
			t.Fatalf("the protocol is %q", got)
		}
		c.Close()
	}
	cache := tls.NewLRUClientSessionCache(4)
	for range 2 {
		c, err := dial(&tls.Config{ClientSessionCache: cache})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, header)
		buf := make([]byte, 4096)
		if _, err := c.Read(buf); err != nil { // tickets would have arrived by now
			t.Fatal(err)
		}
		if c.ConnectionState().DidResume {
			t.Fatal("a TLS session was resumed")
		}
		c.Close()
	}
}

// A new certificate serves new connections; the open ones stay.
func TestCertificateRotation(t *testing.T) {
	first, second := newCertificate(t, 100), newCertificate(t, 200)
	current := make(chan *tls.Certificate, 1)
	current <- &first
	s := newServer(t, DirectTLS, func(c *Config) {
		c.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert := <-current
			current <- cert
			return cert, nil
		}}
	})
	s.roots.AddCert(first.Leaf)
	s.roots.AddCert(second.Leaf)
	serial := func(c *client) int64 {
		return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	old := s.connect(t)
	old.bind(username, "old")
	<-current
	current <- &second
	fresh := s.connect(t)
	fresh.bind(username, "new")
	if serial(old) != 100 || serial(fresh) != 200 {
		t.Fatalf("certificates %d and %d are presented", serial(old), serial(fresh))
	}
	for _, c := range []*client{old, fresh} {
		c.send("<message id='still-there'/>")
		c.expect("<message id='still-there'/>")
	}
}
