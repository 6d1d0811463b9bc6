package store_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/store/storetest"
)

// engine opens stores of one kind. The behaviour tests run on every engine; a second
// one is added to the list and needs no test of its own.
type engine struct {
	name string
	// open gives an empty store that is closed with the test.
	open func(testing.TB) *store.Store
}

func engines() []engine {
	return []engine{{name: "sqlite", open: func(t testing.TB) *store.Store {
		path := filepath.Join(t.TempDir(), "chat.db")
		storetest.Empty(t, path)
		return openAt(t, path)
	}}}
}

// onEveryEngine runs a behaviour test.
func onEveryEngine(t *testing.T, test func(*testing.T, *store.Store)) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) { test(t, e.open(t)) })
	}
}

func openAt(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// childDatabase names the database that this process, run again as a child, works on.
const childDatabase = "STORE_TEST_CHILD_DATABASE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childDatabase); path != "" {
		os.Exit(child(path))
	}
	goleak.VerifyTestMain(m)
}
