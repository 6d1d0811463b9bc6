package transfer

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// A database that a newer version made, or that is damaged, is kept under another name, and the export is in a new one.
func TestImportMovesTheDatabaseAside(t *testing.T) {
	from := chatter(t)
	at, want := from.exportTo("export"), from.export()
	for what, spoil := range map[string]func(path string) error{
		"newer": func(path string) error {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				return err
			}
			_, err = db.ExecContext(context.Background(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)")
			return errors.Join(err, db.Close())
		},
		"damaged": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("this is no database ", 1000)), 0o600)
		},
	} {
		t.Run(what, func(t *testing.T) {
			to := newInstallation(t)
			to.remember(func(*store.Store) {})
			path := filepath.Join(to.dataDir, "chat.db")
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			spoiled, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := to.importFrom(at); err == nil || !strings.Contains(err.Error(), "chat-operator import --move-aside") {
				t.Errorf("without the flag: %v", err)
			}
			report, err := to.importFrom("--dry-run", "--move-aside", at)
			if left, _ := filepath.Glob(path + ".2*"); err != nil || !strings.Contains(report, "would be kept under another name") || left != nil {
				t.Errorf("a dry run: %v, %v\n%s", err, left, report)
			}
			report, err = to.importFrom("--move-aside", at)
			if err != nil {
				t.Fatal(err, report)
			}
			left, err := filepath.Glob(path + ".2*[0-9]")
			if err != nil || len(left) != 1 || !strings.Contains(report, left[0]) {
				t.Fatalf("kept are %v, %v\n%s", left, err, report)
			}
			if kept, err := os.ReadFile(left[0]); err != nil || !bytes.Equal(kept, spoiled) {
				t.Errorf("the old database is not what it was: %v", err)
			}
			equalExports(t, to.export(), want)
		})
	}
}

// An import that is refused leaves the database where it is.
func TestImportThatIsRefusedMovesNothing(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	unmoved := func(what string, args ...string) error {
		t.Helper()
		report, err := to.importFrom(append(args, "--move-aside", at)...)
		if left, _ := filepath.Glob(filepath.Join(to.dataDir, "chat.db.2*")); err == nil || left != nil {
			t.Errorf("%s: %v, %v\n%s", what, err, left, report)
		}
		return err
	}
	to.remember(func(*store.Store) {
		if err := unmoved("beside a server"); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), "scale it to 0") {
			t.Errorf("beside a server: %v", err)
		}
	})
	_ = unmoved("another domain", "--domain", "other.example")
	to.declare(user("juliet", v1alpha1.ChatUserSpec{DisplayName: new("Another Juliet")}))
	var conflict *ConflictError
	if err := unmoved("conflicts"); !errors.As(err, &conflict) {
		t.Errorf("conflicts: %v", err)
	}
	var usage *UsageError
	if err := unmoved("resources alone", "--only", "resources"); !errors.As(err, &usage) {
		t.Errorf("resources alone: %v", err)
	}
}
