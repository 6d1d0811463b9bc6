package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// accountMap is the Accounts of the tests.
type accountMap map[string]Account

func (m accountMap) Lookup(username string) (Account, bool) {
	a, ok := m[username]
	return a, ok
}

var testKey = []byte("an installation key for tests only")

func testServer(t *testing.T, accounts ...Account) *Server {
	t.Helper()
	m := accountMap{}
	for _, a := range accounts {
		m[a.Username] = a
	}
	return NewServer(Config{Domain: "example.org", Accounts: m, InstallationKey: testKey, Anonymous: func() bool { return true }})
}

func withPassword(username, password string) Account {
	return Account{Username: username, Secret: NewPasswordSecret(password, []byte("0123456789abcdef"))}
}

// certificate makes a self-signed certificate of a kind: ecdsa256, ecdsa384, ecdsa521, rsa256, rsa512, ed25519.
func certificate(t *testing.T, kind string) tls.Certificate {
	t.Helper()
	var key crypto.Signer
	var err error
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "example.org"},
		DNSNames:     []string{"example.org"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	switch kind {
	case "ecdsa256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ecdsa521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "rsa256":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
		template.SignatureAlgorithm = x509.SHA256WithRSA
	case "rsa512":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
		template.SignatureAlgorithm = x509.SHA512WithRSA
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no such kind of certificate: %s", kind)
	}
	if err != nil {
		t.Fatal(err)
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

// handshake connects a client and a server and returns what each knows about the connection.
func handshake(t *testing.T, cert tls.Certificate, version uint16) (client, server tls.ConnectionState) {
	t.Helper()
	a, b := net.Pipe()
	c := tls.Client(a, &tls.Config{InsecureSkipVerify: true, ServerName: "example.org", MinVersion: version, MaxVersion: version})
	s := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version, SessionTicketsDisabled: true})
	t.Cleanup(func() { a.Close(); b.Close() })
	failed := make(chan error, 1)
	go func() { failed <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState(), s.ConnectionState()
}

// step is Step for tests that expect no failure.
func step(t *testing.T, x Exchange, in string) (string, bool) {
	t.Helper()
	out, done, err := x.Step([]byte(in))
	if err != nil {
		t.Fatalf("Step(%q): %v", in, err)
	}
	return string(out), done
}

// fails checks the condition of a failing step, and that the exchange cannot go on afterwards.
func fails(t *testing.T, x Exchange, in, condition string) {
	t.Helper()
	out, done, err := x.Step([]byte(in))
	if err == nil {
		t.Fatalf("Step(%q) = %q, %v; want the failure %s", in, out, done, condition)
	}
	if err.Condition != condition {
		t.Fatalf("Step(%q) failed with %q (%s); want %s", in, err.Condition, err.Text, condition)
	}
	if out != nil || done || x.Username() != "" {
		t.Fatalf("a failed step returned out=%q done=%v username=%q", out, done, x.Username())
	}
	if _, done, again := x.Step([]byte(in)); again == nil || done {
		t.Fatal("an exchange that failed can be continued")
	}
}

func start(t *testing.T, s *Server, mechanism string, ch Channel) Exchange {
	t.Helper()
	x, err := s.Start(mechanism, ch)
	if err != nil {
		t.Fatalf("Start(%s): %v", mechanism, err)
	}
	return x
}
