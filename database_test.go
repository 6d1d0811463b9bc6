package main

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// A database is of nobody until it is claimed, and then of one domain and one namespace, unless it is moved on purpose.
func TestDatabaseOfAnotherServer(t *testing.T) {
	dir := t.TempDir()
	open := func(o options, claim bool) error {
		t.Helper()
		o.dataDir = dir
		data, err := openDatabase(t.Context(), &o, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		if claim {
			err = claimDatabase(t.Context(), data, &o)
		}
		return errors.Join(err, data.Close())
	}
	for _, c := range []struct {
		what  string
		o     options
		claim bool
		want  error
	}{
		{"a first start that came to nothing", options{domain: "misspelled.example", namespace: "misspelled"}, false, nil},
		{"the first start", options{domain: "chat.example", namespace: "chat"}, true, nil},
		{"the next", options{domain: "chat.example", namespace: "chat"}, true, nil},
		{"another domain", options{domain: "localhost", namespace: "chat"}, true, store.ErrDomain},
		{"another namespace", options{domain: "chat.example", namespace: "other"}, true, store.ErrNamespace},
		{"moved from a third", options{domain: "chat.example", namespace: "other", moveFrom: "third"}, true, store.ErrNamespace},
		{"moved, and it came to nothing", options{domain: "chat.example", namespace: "other", moveFrom: "chat"}, false, nil},
		{"the first again", options{domain: "chat.example", namespace: "chat"}, true, nil},
		{"moved", options{domain: "chat.example", namespace: "other", moveFrom: "chat"}, true, nil},
		{"where it is now", options{domain: "chat.example", namespace: "other"}, true, nil},
		{"where it was", options{domain: "chat.example", namespace: "chat"}, true, store.ErrNamespace},
	} {
		// A database that is refused is closed: the next one opens it.
		if err := open(c.o, c.claim); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
