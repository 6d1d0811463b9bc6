package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// TestNamespace: a database is of one namespace from the first claim on; another is refused with what can be done, and takes it over only when it names
// the one that has it.
func TestNamespace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	is := func(want string) {
		t.Helper()
		snapshot, err := store.OpenSnapshot(t.Context(), path)
		must(t, err)
		defer snapshot.Close()
		got, err := snapshot.Namespace(t.Context())
		must(t, err)
		if got != want {
			t.Errorf("the database is of %q, not %q", got, want)
		}
	}
	is("")
	must(t, s.CheckNamespace(t.Context(), "other", ""))
	is("")
	must(t, s.ClaimNamespace(t.Context(), "chat", ""))
	must(t, s.ClaimNamespace(t.Context(), "chat", ""))
	for _, err := range []error{
		s.CheckNamespace(t.Context(), "other", ""), s.ClaimNamespace(t.Context(), "other", ""), s.ClaimNamespace(t.Context(), "other", "third"),
	} {
		if !errors.Is(err, store.ErrNamespace) {
			t.Fatalf("another namespace: %v", err)
		}
		for _, want := range []string{path, "--namespace=chat", "not of other", "--data-dir", "--move-from-namespace=chat"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not say %q: %v", want, err)
			}
		}
	}
	is("chat")
	must(t, s.CheckNamespace(t.Context(), "other", "chat"))
	is("chat")
	must(t, s.ClaimNamespace(t.Context(), "other", "chat"))
	is("other")
	must(t, s.ClaimNamespace(t.Context(), "other", "chat")) // at every further start
	if err := s.CheckNamespace(t.Context(), "chat", ""); !errors.Is(err, store.ErrNamespace) {
		t.Errorf("the namespace that it was moved from: %v", err)
	}
}
