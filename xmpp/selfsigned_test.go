package xmpp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSelfSigned(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	first := selfSigned(t, dir, "chat.example", now)
	for _, host := range []string{"chat.example", "localhost", "127.0.0.1"} {
		if err := first.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if key, ok := first.PrivateKey.(*ecdsa.PrivateKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is a %T", first.PrivateKey)
	}
	roots := x509.NewCertPool()
	roots.AddCert(first.Leaf)
	if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "chat.example"}); err != nil {
		t.Errorf("who trusts it cannot verify it: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "tls.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v %v", info.Mode(), err)
	}

	if again := selfSigned(t, dir, "chat.example", now.Add(24*time.Hour)); !again.Leaf.Equal(first.Leaf) {
		t.Error("the next start has another certificate")
	}
	if late := selfSigned(t, dir, "chat.example", first.Leaf.NotAfter.Add(-24*time.Hour)); late.Leaf.Equal(first.Leaf) {
		t.Error("a certificate with a day left is not made anew")
	}
	if other := selfSigned(t, dir, "other.example", now); other.Leaf.VerifyHostname("other.example") != nil {
		t.Error("the certificate is not for the new domain")
	}
	if first.Leaf.NotAfter.Before(time.Now().Add(365 * 24 * time.Hour)) {
		t.Errorf("it ends %v", first.Leaf.NotAfter)
	}
}

func selfSigned(t *testing.T, dir, domain string, now time.Time) tls.Certificate {
	t.Helper()
	certFile, keyFile, err := SelfSigned(dir, domain, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := LoadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestSelfSignedThatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	selfSigned(t, dir, "chat.example", time.Now())
	file := filepath.Join(dir, "tls.crt")
	if err := os.WriteFile(file, []byte("nothing of the kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := SelfSigned(dir, "chat.example", time.Now()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("the error does not name %s: %v", file, err)
	}
}
