package xmpp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSelfSigned(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	first := selfSignedPair(t, dir, "chat.example", now)
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

	if again := selfSignedPair(t, dir, "chat.example", now.Add(24*time.Hour)); !again.Leaf.Equal(first.Leaf) {
		t.Error("the next start has another certificate")
	}
	if late := selfSignedPair(t, dir, "chat.example", first.Leaf.NotAfter.Add(-24*time.Hour)); late.Leaf.Equal(first.Leaf) {
		t.Error("a certificate with a day left is not made anew")
	}
	if other := selfSignedPair(t, dir, "other.example", now); other.Leaf.VerifyHostname("other.example") != nil {
		t.Error("the certificate is not for the new domain")
	}
	if first.Leaf.NotAfter.Before(time.Now().Add(365 * 24 * time.Hour)) {
		t.Errorf("it ends %v", first.Leaf.NotAfter)
	}
}

func selfSignedPair(t *testing.T, dir, domain string, now time.Time) tls.Certificate {
	t.Helper()
	certFile, keyFile, err := SelfSigned(dir, domain, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := LoadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// TestSelfSignedThatIsDamaged: what a loss of power or a kill has left is made anew, and the log says so. Nothing else is left behind.
func TestSelfSignedThatIsDamaged(t *testing.T) {
	for what, damage := range map[string]func(dir string) error{
		"an empty certificate": func(dir string) error { return os.Truncate(filepath.Join(dir, "tls.crt"), 0) },
		"an empty key":         func(dir string) error { return os.Truncate(filepath.Join(dir, "tls.key"), 0) },
		"garbage": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "tls.crt"), []byte("nothing of the kind"), 0o600)
		},
		"no key": func(dir string) error { return os.Remove(filepath.Join(dir, "tls.key")) },
		"the key of another": func(dir string) error {
			_, key, err := makeSelfSigned("chat.example", time.Now())
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600))
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			first := selfSignedPair(t, dir, "chat.example", time.Now())
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			certFile, keyFile, err := SelfSigned(dir, "chat.example", time.Now(), slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if again, err := LoadCertificate(certFile, keyFile); err != nil || again.Leaf.Equal(first.Leaf) {
				t.Errorf("it is not made anew: %v", err)
			}
			if what != "no key" && !strings.Contains(log.String(), filepath.Join(dir, "tls.crt")) {
				t.Errorf("the log does not name the file: %s", &log)
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
				t.Errorf("there are %v, %v", files, err)
			}
		})
	}
}

// TestSelfSignedWithoutSpace: a new pair that cannot be written leaves the old one, which stays in use for as long as clients take it.
func TestSelfSignedWithoutSpace(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first := selfSignedPair(t, dir, "chat.example", now)
	// The second file has no place, as on a volume that is full after the first.
	write := func(list []newFile) error {
		list[1].path = filepath.Join(dir, "missing", "tls.crt")
		return writeFiles(list)
	}
	for _, c := range []struct {
		domain string
		at     time.Time
		works  bool
	}{
		{"chat.example", first.Leaf.NotAfter.Add(-24 * time.Hour), true},
		{"chat.example", first.Leaf.NotAfter.Add(24 * time.Hour), false},
		{"other.example", now, false},
	} {
		certFile, keyFile, err := selfSigned(dir, c.domain, c.at, slog.New(slog.DiscardHandler), write)
		var kept *NotRenewedError
		if err == nil || errors.As(err, &kept) != c.works || !errors.Is(err, fs.ErrNotExist) || c.works && !kept.Until.Equal(first.Leaf.NotAfter) {
			t.Errorf("%s at %s: %v", c.domain, c.at, err)
		}
		if c.works && (certFile != filepath.Join(dir, "tls.crt") || keyFile != filepath.Join(dir, "tls.key")) {
			t.Errorf("it gives %s and %s", certFile, keyFile)
		}
		if kept, err := LoadCertificate(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")); err != nil || !kept.Leaf.Equal(first.Leaf) {
			t.Errorf("the old pair is not there any more: %v", err)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
			t.Errorf("there are %v, %v", files, err)
		}
	}
}

// TestSelfSignedThatIsLate: where something fails after the new pair is in its place, that is the one in use, and nobody says that it is the old one.
func TestSelfSignedThatIsLate(t *testing.T) {
	dir := t.TempDir()
	first := selfSignedPair(t, dir, "chat.example", time.Now())
	write := func(list []newFile) error {
		return errors.Join(writeFiles(list), errors.New("the folder cannot be synced"))
	}
	var log bytes.Buffer
	certFile, keyFile, err := selfSigned(dir, "chat.example", first.Leaf.NotAfter.Add(-24*time.Hour), slog.New(slog.NewTextHandler(&log, nil)), write)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := LoadCertificate(certFile, keyFile); err != nil || second.Leaf.Equal(first.Leaf) {
		t.Errorf("it gives the old pair, %v", err)
	}
	if !strings.Contains(log.String(), "the folder cannot be synced") {
		t.Errorf("the log does not say what failed: %s", &log)
	}
}

// TestSelfSignedNames: domains that are no host names of ASCII letters have a certificate, too.
func TestSelfSignedNames(t *testing.T) {
	for _, domain := range []string{"b\u00fccher.example", "192.0.2.7", "[2001:db8::7]"} {
		pair := selfSignedPair(t, t.TempDir(), domain, time.Now())
		if remark := CertificateRemark(pair.Leaf, domain, time.Now()); remark != "" {
			t.Errorf("%s: %s", domain, remark)
		}
	}
}
