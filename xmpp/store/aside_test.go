package store_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// TestMoveAside: the files of a database are kept whole under another name, whose database has everything that was in them, also in the log.
func TestMoveAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "chat.db")
	s := openAt(t, path)
	must(t, s.PutItem(t.Context(), "mira", account.Item{JID: jid.MustParse("anna@chat.example")}))
	// As a killed process leaves them, with a log that is not folded into the database.
	killed := filepath.Join(t.TempDir(), "chat.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		must(t, err)
		must(t, os.WriteFile(killed+suffix, content, 0o600))
	}
	if _, err := store.Lock(path); !errors.Is(err, store.ErrInUse) {
		t.Errorf("while a store has it: %v", err)
	}
	at := time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)
	l, err := store.Lock(killed)
	must(t, err)
	moved, err := l.MoveAside(at)
	if want := killed + ".20310405-060708"; err != nil || moved != want {
		t.Fatalf("%s, %v; want %s", moved, err, want)
	}
	if again, err := l.MoveAside(at); err != nil || again != "" {
		t.Errorf("where there is none: %q, %v", again, err)
	}
	fresh, err := l.Open(t.Context(), slog.New(slog.DiscardHandler))
	must(t, err)
	if items, err := fresh.LoadRoster(t.Context(), "mira"); err != nil || len(items) != 0 {
		t.Errorf("the new one has %v, %v", items, err)
	}
	must(t, fresh.Close())
	if items, err := openAt(t, moved).LoadRoster(t.Context(), "mira"); err != nil || len(items) != 1 {
		t.Errorf("the old one has %v, %v", items, err)
	}
	// In the same second, nothing is overwritten.
	l, err = store.Lock(killed)
	must(t, err)
	if again, err := l.MoveAside(at); err != nil || again != killed+".20310405-060708-2" {
		t.Errorf("a second time: %q, %v", again, err)
	}
	must(t, l.Release())
}
