// Package storetest gives tests an empty database that is there already: making its tables takes longer than most tests do.
package storetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// empty is the file of a database that a store has just made, made once for all tests of a program.
var empty = sync.OnceValues(func() (content []byte, err error) { //nolint:gochecknoglobals // it never changes
	folder, err := os.MkdirTemp("", "chat-operator-store-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "chat.db")
	s, err := store.Open(context.Background(), path, nil)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // the file made above
})

// Empty puts an empty database, whose tables are all made, at the path, for store.Open to find.
func Empty(t testing.TB, path string) {
	t.Helper()
	content, err := empty()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
