package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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

// TestCertificateForAnotherDomain: a certificate that clients will not take is in the log when it is loaded and when it comes with a change, and among the
// remarks for as long as it is in use; it does not keep the server from starting.
func TestCertificateForAnotherDomain(t *testing.T) {
	dir := t.TempDir()
	o := &options{domain: "chat.example", certFile: filepath.Join(dir, "given.crt"), keyFile: filepath.Join(dir, "given.key")}
	give := func(domain string) {
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
	give("www.example")
	log := &messages{}
	c, err := watchCertificate(o, slog.New(slog.NewTextHandler(log, nil)))
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
