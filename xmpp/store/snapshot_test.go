package store_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// A snapshot shows one moment, whatever the server that has the database writes meanwhile.
func TestSnapshotShowsOneMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	ctx := t.Context()
	put := func(contact string) {
		t.Helper()
		if err := s.PutItem(ctx, "mira", account.Item{JID: jid.MustParse(contact)}); err != nil {
			t.Fatal(err)
		}
	}
	put("one@chat.example")
	snapshot, err := store.OpenSnapshot(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	put("two@chat.example")
	var seen []string
	each := func(r store.Row) error {
		seen = append(seen, r["jid"].(string))
		return nil
	}
	for range 2 {
		if err := snapshot.Rows(ctx, "roster", "username", "mira", each); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"one@chat.example", "one@chat.example"}; !reflect.DeepEqual(seen, want) {
		t.Errorf("the snapshot shows %v, want %v", seen, want)
	}
}

// What a row has comes out as it went in: null, nothing and something are three things.
func TestSnapshotRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	if err := s.Record(t.Context(), []core.Note{{NoteKey: core.NoteKey{Username: "mira", ID: 7}, Place: 3}}, nil); err != nil {
		t.Fatal(err)
	}
	snapshot, err := store.OpenSnapshot(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	var rows []store.Row
	if err := snapshot.Rows(t.Context(), "inflight", "", nil, func(r store.Row) error {
		rows = append(rows, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []store.Row{{"username": "mira", "id": int64(7), "session": []byte{}, "place": int64(3), "received": int64(0), "stanza": nil}}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("got %#v, want %#v", rows, want)
	}
	if err := snapshot.Rows(t.Context(), "nothing", "", nil, nil); err == nil {
		t.Error("a table that is not there has rows")
	}
}

func TestSnapshotOfNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	if _, err := store.OpenSnapshot(t.Context(), path); !errors.Is(err, store.ErrUnreadable) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a database: %v", err)
	}
}
