package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chat-operator/chat-operator/xmpp"
)

// messages collects what is logged.
type messages struct {
	mu   sync.Mutex
	text strings.Builder
}

func (m *messages) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.Write(b)
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

// givenCertificate are the options of a server with a certificate for its domain.
func givenCertificate(t *testing.T) *options {
	t.Helper()
	dir := t.TempDir()
	o := &options{domain: "chat.example", certFile: filepath.Join(dir, "given.crt"), keyFile: filepath.Join(dir, "given.key")}
	giveCertificate(t, o, o.domain)
	return o
}

// giveCertificate writes a new certificate for a domain, and its key, into the files of the options.
func giveCertificate(t *testing.T, o *options, domain string) {
	t.Helper()
	certFile, keyFile, err := xmpp.SelfSigned(t.TempDir(), domain, time.Now(), slog.New(slog.DiscardHandler))
	for from, to := range map[string]string{certFile: o.certFile, keyFile: o.keyFile} {
		content, failed := os.ReadFile(from)
		err = errors.Join(err, failed, os.WriteFile(to, content, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCertificateForAnotherDomain: a certificate that clients will not take is in the log when it is loaded and when it comes with a change, and among the
// remarks for as long as it is in use; it does not keep the server from starting.
func TestCertificateForAnotherDomain(t *testing.T) {
	dir := t.TempDir()
	o := &options{domain: "chat.example", certFile: filepath.Join(dir, "given.crt"), keyFile: filepath.Join(dir, "given.key")}
	give := func(domain string) {
		t.Helper()
		giveCertificate(t, o, domain)
	}
	give("www.example")
	log := &messages{}
	c, err := watchCertificate(o, slog.New(slog.NewTextHandler(log, nil)), xmpp.SelfSigned)
	if err != nil {
		t.Fatal(err)
	}
	const says = "not for the domain chat.example but for localhost, www.example"
	if !strings.Contains(log.String(), says) || !strings.Contains(log.String(), o.certFile) {
		t.Errorf("the log: %s", log)
	}
	if got := c.remarks(time.Now()); len(got) != 1 || !strings.Contains(got[0], says) {
		t.Errorf("remarks: %q", got)
	}
	if valid(c, time.Now()) != 0 {
		t.Error("the metric says that clients take it")
	}
	give("chat.example")
	if err := c.ReadCertificate(); err != nil {
		t.Fatal(err)
	}
	if got := c.remarks(time.Now()); got != nil {
		t.Errorf("with the right one: %q", got)
	}
	if valid(c, time.Now()) != 1 || valid(c, time.Now().AddDate(10, 0, 0)) != 0 {
		t.Error("the metric says that clients do not take it, or take it years later")
	}
	if got := c.remarks(time.Now().AddDate(10, 0, 0)); len(got) != 1 || !strings.Contains(got[0], "expired") {
		t.Errorf("years later: %q", got)
	}
	give("mail.example")
	if err := c.ReadCertificate(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !strings.Contains(log.String(), "mail.example"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log after a change: %s", log)
		}
	}
}

// TestCertificateThatCannotBeRead: files that cannot take the place of the certificate in use are remarked upon for as long as they cannot, and clients
// take the one in use.
func TestCertificateThatCannotBeRead(t *testing.T) {
	o := givenCertificate(t)
	c, err := watchCertificate(o, slog.New(slog.DiscardHandler), xmpp.SelfSigned)
	if err != nil {
		t.Fatal(err)
	}
	until := "; the certificate of before stays in use, until " + leafOf(c.GetCertificate).NotAfter.UTC().Format(time.RFC3339)
	for what, spoil := range map[string]func() error{
		"cannot be used":  func() error { return os.WriteFile(o.certFile, []byte("-----BEGIN CERT"), 0o600) },
		"cannot be read:": func() error { return os.Remove(o.keyFile) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		c.look()
		if got := c.remarks(time.Now()); len(got) != 1 || !strings.Contains(got[0], what) || !strings.HasSuffix(got[0], until) {
			t.Errorf("remarks: %q, want %q and %q in one", got, what, until)
		}
		if valid(c, time.Now()) != 1 || stale(c) != 1 {
			t.Errorf("the metrics are %d and %d: clients take the one in use, and another should be there", valid(c, time.Now()), stale(c))
		}
		giveCertificate(t, o, o.domain)
		c.look()
		if got := c.remarks(time.Now()); got != nil || stale(c) != 0 {
			t.Errorf("with files that can be used: %q, %d", got, stale(c))
		}
	}
}

// TestCertificateIsLookedAt: somebody looks at the files for as long as the program runs, and no longer.
func TestCertificateIsLookedAt(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	o := givenCertificate(t)
	c, err := watchCertificate(o, slog.New(slog.DiscardHandler), xmpp.SelfSigned)
	if err != nil {
		t.Fatal(err)
	}
	c.every = time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	remarks := func(n int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); len(c.remarks(time.Now())) != n; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("remarks: %q, want %d", c.remarks(time.Now()), n)
			}
		}
	}
	if err := os.WriteFile(o.certFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	remarks(1)
	giveCertificate(t, o, o.domain)
	remarks(0)
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestCertificateThatIsNotRenewed: the remark about a self-signed one that could not be replaced goes with it.
func TestCertificateThatIsNotRenewed(t *testing.T) {
	o := givenCertificate(t)
	files := *o
	o.certFile, o.keyFile = "", ""
	old, err := xmpp.LoadCertificate(files.certFile, files.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	var log messages
	c, err := watchCertificate(o, slog.New(slog.NewTextHandler(&log, nil)), func(string, string, time.Time, *slog.Logger) (string, string, error) {
		return files.certFile, files.keyFile, &xmpp.NotRenewedError{Until: old.Leaf.NotAfter}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "stays in use") {
		t.Errorf("the log: %s", log.String())
	}
	if got := c.remarks(time.Now()); len(got) != 1 || !strings.Contains(got[0], "the self-signed TLS certificate runs out at ") {
		t.Errorf("remarks: %q", got)
	}
	c.notRenewed.Until = c.notRenewed.Until.Add(-time.Hour) // that of the one before
	if got := c.remarks(time.Now()); got != nil {
		t.Errorf("remarks upon another certificate: %q", got)
	}
}
