package xmpp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSelfSigned(t *testing.T) {
	dir := t.TempDir()
	first, err := SelfSigned(dir, "chat.example")
	if err != nil {
		t.Fatal(err)
	}
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

	again, err := SelfSigned(dir, "chat.example")
	if err != nil || !again.Leaf.Equal(first.Leaf) {
		t.Errorf("the next start has another certificate (%v)", err)
	}
	other, err := SelfSigned(dir, "other.example")
	if err != nil || other.Leaf.VerifyHostname("other.example") != nil {
		t.Errorf("the certificate is not for the new domain (%v)", err)
	}
	if first.Leaf.NotAfter.Before(time.Now().Add(365 * 24 * time.Hour)) {
		t.Errorf("it ends %v", first.Leaf.NotAfter)
	}
}

func TestSelfSignedThatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	if _, err := SelfSigned(dir, "chat.example"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tls.crt")
	if err := os.WriteFile(file, []byte("nothing of the kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(dir, "chat.example"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("the error does not name %s: %v", file, err)
	}
}
