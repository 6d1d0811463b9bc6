package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// rowsOf lists the rows of a table.
func rowsOf(t *testing.T, path, table string) (list []store.Row) {
	t.Helper()
	snapshot, err := store.OpenSnapshot(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	if err := snapshot.Rows(t.Context(), table, "", nil, func(r store.Row) error {
		list = append(list, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestMergeRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	ctx := t.Context()
	vcard := func(username, card string) store.Row { return store.Row{"username": username, "card": []byte(card)} }
	merge := func(m store.Merge, want []store.Outcome, rows ...store.Row) {
		t.Helper()
		snapshot, err := store.OpenSnapshot(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		foretold, err := snapshot.Compare(ctx, m, rows)
		if err != nil {
			t.Fatal(err)
		}
		if err := snapshot.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := s.MergeRows(ctx, m, rows)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(foretold) != fmt.Sprint(want) {
			t.Errorf("got %v, foretold %v, want %v", got, foretold, want)
		}
	}
	table := store.Merge{Table: "vcard"}
	merge(table, []store.Outcome{store.Added, store.Added}, vcard("mira", "1"), vcard("tobias", "1"))
	merge(table, []store.Outcome{store.Same, store.Differing, store.Added}, vcard("mira", "1"), vcard("tobias", "2"), vcard("ines", "1"))
	merge(store.Merge{Table: "vcard", Replace: true}, []store.Outcome{store.Replaced}, vcard("tobias", "2"))
	if got := rowsOf(t, path, "vcard"); len(got) != 3 || string(got[2]["card"].([]byte)) != "2" {
		t.Errorf("the table has %v", got)
	}

	// A room that is new has a number of its own, and one that is there keeps it.
	room := func(text string) store.Row {
		return store.Row{
			"name": "atrium", "uid": "x", "subject": []byte(text), "subject_text": text, "subject_from": "", "subject_time": int64(1), "declared_subject": nil, "vcard": nil,
		}
	}
	rooms := store.Merge{Table: "room", Ignore: []string{"owner", "uid"}, Numbered: "owner", Counter: "archive", Replace: true}
	merge(rooms, []store.Outcome{store.Added}, room("a"))
	merge(rooms, []store.Outcome{store.Same}, room("a"))
	merge(rooms, []store.Outcome{store.Replaced}, room("b"))
	owners, err := s.RoomOwners(ctx)
	if err != nil || owners["atrium"] != 1 {
		t.Errorf("the rooms have the numbers %v, %v", owners, err)
	}
	if _, err := s.MergeRows(ctx, store.Merge{Table: "no"}, nil); err == nil {
		t.Error("a table that is not there takes rows")
	}
}

// Entries keep their numbers where these are free, no entry comes twice, and the next one of the server has a number of its own.
func TestMergeAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	ctx := t.Context()
	entry := func(id int64, summary string) store.Row {
		return store.Row{"id": id, "time": int64(1), "username": "a", "node": "n", "summary": summary, "details": "", "via": "", "address": ""}
	}
	if err := s.AppendAudit(ctx, store.AuditEntry{Time: time.UnixMicro(9), Username: "own", Summary: "own"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[0 0]", "[1 1]"} {
		got, err := s.MergeAudit(ctx, []store.Row{entry(1, "first"), entry(5, "fifth")})
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("got %v, %v, want %s", got, err, want)
		}
	}
	if err := s.AppendAudit(ctx, store.AuditEntry{Time: time.UnixMicro(9), Username: "own", Summary: "next"}); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, r := range rowsOf(t, path, "audit_log") {
		got += fmt.Sprint(r["id"], r["summary"], " ")
	}
	if want := "1own 2first 5fifth 6next "; got != want {
		t.Errorf("the log has %q, want %q", got, want)
	}
}
