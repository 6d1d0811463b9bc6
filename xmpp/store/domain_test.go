package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// TestDomain: a database is of one domain from the first claim on; one of another is refused with what can be done.
func TestDomain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	domain := func() string {
		t.Helper()
		snapshot, err := store.OpenSnapshot(t.Context(), path)
		must(t, err)
		defer snapshot.Close()
		domain, err := snapshot.Domain(t.Context())
		must(t, err)
		return domain
	}
	must(t, s.CheckDomain(t.Context(), "other.example"))
	if got := domain(); got != "" {
		t.Errorf("before it is claimed: %q", got)
	}
	must(t, s.ClaimDomain(t.Context(), "chat.example"))
	must(t, s.ClaimDomain(t.Context(), "chat.example"))
	err := s.ClaimDomain(t.Context(), "other.example")
	if !errors.Is(err, store.ErrDomain) {
		t.Fatalf("another domain: %v", err)
	}
	for _, want := range []string{path, "--domain=chat.example", "other.example", "chat-operator export", "--source-domain=chat.example"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if got := domain(); got != "chat.example" {
		t.Errorf("it is of %q", got)
	}
}
