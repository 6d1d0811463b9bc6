package stream

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

// Both channel binding types over the wire, with a second client library: what crypto/tls presented is what is bound to, also after the
// certificate has changed (RFC 5929 §4, RFC 9266, XEP-0440).
func TestChannelBindingOverTheWire(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		certs := []tls.Certificate{newCertificate(t, 1), newCertificate(t, 2)}
		serving := make(chan int, 1)
		serving <- 0
		s := newServer(t, mode, func(c *Config) {
			c.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				i := <-serving
				serving <- i
				return &certs[i], nil
			}}
		})
		s.roots.AddCert(certs[0].Leaf)
		s.roots.AddCert(certs[1].Leaf)
		for i := range certs {
			<-serving
			serving <- i
			for name, hash := range map[string]scram.HashGeneratorFcn{"SCRAM-SHA-256-PLUS": scram.SHA256, "SCRAM-SHA-1-PLUS": scram.SHA1} {
				for _, bind := range []func(*tls.ConnectionState) (scram.ChannelBinding, error){scram.NewTLSServerEndpointBinding, scram.NewTLSExporterBinding} {
					c := s.connect(t)
					c.secure()
					cs := c.Conn.(*tls.Conn).ConnectionState()
					binding, err := bind(&cs)
					if err != nil {
						t.Fatal(err)
					}
					if got := c.scram(name, hash, binding); got != "" {
						t.Fatalf("%s with %s, certificate %d: %s", name, binding.Type, i, got)
					}
				}
				// The end point of the other certificate: somebody is in the middle.
				c := s.connect(t)
				c.secure()
				other, err := scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{certs[1-i].Leaf}})
				if err != nil {
					t.Fatal(err)
				}
				if got := c.scram(name, hash, other); !strings.Contains(got, "not-authorized") {
					t.Fatalf("bound to another certificate: %q", got)
				}
			}
		}
	})
}

// scram logs in and returns the server's refusal, if any.
func (c *client) scram(mechanism string, hash scram.HashGeneratorFcn, binding scram.ChannelBinding) string {
	c.t.Helper()
	peer, err := hash.NewClient(username, password, "")
	if err != nil {
		c.t.Fatal(err)
	}
	conv := peer.NewConversationWithChannelBinding(binding)
	first, _ := conv.Step("")
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mechanism + "'>" + base64.StdEncoding.EncodeToString([]byte(first)) + "</auth>")
	challenge := c.content("challenge")
	final, err := conv.Step(challenge)
	if err != nil {
		c.t.Fatal(err)
	}
	c.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>")
	got := c.expect(">")
	if strings.HasPrefix(got, "<failure") {
		return got + c.expect("</failure>")
	}
	c.read = append([]byte(got), c.read...)
	if _, err := conv.Step(c.content("success")); err != nil || !conv.Valid() {
		c.t.Fatalf("the server does not prove that it knows the account: %v", err)
	}
	return ""
}

// content returns the decoded content of the SASL element that comes next.
func (c *client) content(name string) string {
	c.t.Helper()
	got := c.expect("</" + name + ">")
	text, ok := strings.CutPrefix(strings.TrimSuffix(got, "</"+name+">"), "<"+name+" xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>")
	b, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		c.t.Fatalf("want %s, got %q", name, got)
	}
	return string(b)
}

// Nothing is announced that does not exist: an Ed25519 certificate has no tls-server-end-point (RFC 5929 §4.1), TLS 1.2 no tls-exporter here.
func TestBindingsAnnounced(t *testing.T) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{domain}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		version     uint16
		cert        tls.Certificate
		want, wants string
	}{
		{tls.VersionTLS13, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, "<channel-binding type='tls-exporter'/></sasl-channel-binding>", "SCRAM-SHA-256-PLUS"},
		{tls.VersionTLS12, newCertificate(t, 3), "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-server-end-point'/></sasl-channel-binding>", "SCRAM-SHA-256-PLUS"},
		{tls.VersionTLS12, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, "", ""},
	} {
		s := newServer(t, DirectTLS, func(cfg *Config) {
			cfg.TLS = &tls.Config{Certificates: []tls.Certificate{c.cert}, MinVersion: c.version, MaxVersion: c.version}
		})
		s.roots.AddCert(leaf)
		if c.cert.Leaf != nil {
			s.roots.AddCert(c.cert.Leaf)
		}
		peer := s.connect(t)
		got := peer.secure()
		if !strings.Contains(got, c.want) || !strings.Contains(got, c.wants) || c.want == "" && strings.Contains(got, "PLUS") || strings.Contains(got, "binding") != (c.want != "") {
			t.Errorf("%s: %s", tls.VersionName(c.version), got)
		}
	}
}
