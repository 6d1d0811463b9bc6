package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

func open(t *testing.T, path string) (*store.Store, error) {
	t.Helper()
	return store.Open(t.Context(), path, slog.New(slog.DiscardHandler))
}

func TestReopenFindsEverything(t *testing.T) {
	// A name that would mean something else in a data source name.
	path := filepath.Join(t.TempDir(), "a folder", "50% #1?mode=memory.db")
	s := openAt(t, path)
	must(t, s.AppendAudit(t.Context(), store.AuditEntry{Summary: "x"}))
	must(t, s.Close())
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	// Traces are for clients that come back after any end.
	if left, _ := filepath.Glob(path + "-*"); len(left) != 1 || left[0] != path+"-traces" {
		t.Errorf("a clean end left %q behind", left)
	}
	entries, err := openAt(t, path).ListAudit(t.Context(), store.AuditFilter{})
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "chat.db")
	s := openAt(t, path)
	must(t, s.AppendAudit(t.Context(), store.AuditEntry{}))
	for _, name := range []string{path, path + "-wal", path + ".lock"} {
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
}

// What was acknowledged is in the files at that moment: a copy of them, as a sudden end
// would leave them, has it.
func TestAcknowledgedIsInTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	contact := jid.MustParse("anna@chat.example")
	must(t, s.PutItem(t.Context(), "mira", account.Item{JID: contact}))
	copied := filepath.Join(t.TempDir(), "chat.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		must(t, err)
		must(t, os.WriteFile(copied+suffix, b, 0o600))
	}
	items, err := openAt(t, copied).LoadRoster(t.Context(), "mira")
	must(t, err)
	if len(items) != 1 || items[0].JID != contact {
		t.Errorf("the copy has %+v", items)
	}
}

// child is what this test binary does as a process of its own: it writes audit entries from
// several goroutines and prints the number of each that was acknowledged.
func child(path string) int {
	s, err := store.Open(context.Background(), path, nil)
	if err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	fmt.Println("open")
	var mu sync.Mutex
	next := 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				mu.Lock()
				n := next
				next++
				mu.Unlock()
				if err := s.AppendAudit(context.Background(), store.AuditEntry{Summary: strconv.Itoa(n)}); err != nil {
					return
				}
				mu.Lock()
				fmt.Println(n)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return 1
}

// startChild runs the child until it has opened the database.
func startChild(t *testing.T, path string) (cmd *exec.Cmd, output *bufio.Scanner) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDatabase+"="+path)
	pipe, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	output = bufio.NewScanner(pipe)
	if !output.Scan() || output.Text() != "open" {
		t.Fatalf("the child says %q", output.Text())
	}
	return cmd, output
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	cmd, output := startChild(t, path)
	acknowledged := map[string]bool{}
	for output.Scan() {
		acknowledged[output.Text()] = true
		if len(acknowledged) == 200 {
			must(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
	// The kernel has let go of the lock.
	entries, err := openAt(t, path).ListAudit(t.Context(), store.AuditFilter{})
	must(t, err)
	for _, e := range entries {
		delete(acknowledged, e.Summary)
	}
	if len(acknowledged) > 0 {
		t.Errorf("acknowledged and lost: %v", acknowledged)
	}
}

func TestInUseByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	cmd, _ := startChild(t, path)
	_, err := open(t, path)
	if !errors.Is(err, store.ErrInUse) {
		t.Fatalf("err = %v, want ErrInUse", err)
	}
	for _, want := range []string{path, path + ".lock", fmt.Sprintf("process %d", cmd.Process.Pid)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q doesn't name %q", err, want)
		}
	}
}

func TestInUseByThisProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	openAt(t, path)
	if _, err := open(t, path); !errors.Is(err, store.ErrInUse) {
		t.Errorf("err = %v, want ErrInUse", err)
	}
}

func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	must(t, s.AppendAudit(t.Context(), store.AuditEntry{Summary: "before"}))
	must(t, s.SetMaxPages(4))
	long := strings.Repeat("x", 64<<10)
	err := s.AppendAudit(t.Context(), store.AuditEntry{Details: long})
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), path) {
		t.Fatalf("err = %v, want ErrFull and the file's name", err)
	}
	// Among others, the big one alone fails.
	release := block(t, s)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			details := ""
			if i%2 == 0 {
				details = long
			}
			if err := s.AppendAudit(t.Context(), store.AuditEntry{Summary: "after", Details: details}); (err == nil) != (details == "") {
				t.Errorf("a write of %d bytes: %v", len(details), err)
			}
		})
	}
	queued(t, s, 6)
	release()
	all.Wait()
	entries, err := s.ListAudit(t.Context(), store.AuditFilter{})
	if err != nil || len(entries) != 4 {
		t.Errorf("%d entries, %v; want the 4 small ones", len(entries), err)
	}
}

func TestUnusableFiles(t *testing.T) {
	dir := t.TempDir()
	noDatabase := filepath.Join(dir, "notes.txt")
	must(t, os.WriteFile(noDatabase, []byte(strings.Repeat("not a database, but somebody's notes. ", 100)), 0o600))
	folder := filepath.Join(dir, "folder")
	must(t, os.Mkdir(folder, 0o700))
	damaged := filepath.Join(dir, "damaged.db")
	s := openAt(t, damaged)
	for range 50 {
		must(t, s.AppendAudit(t.Context(), store.AuditEntry{Details: strings.Repeat("x", 1000)}))
	}
	must(t, s.Close())
	b, err := os.ReadFile(damaged)
	must(t, err)
	copy(b[100:], strings.Repeat("\xff", 4000)) // the first page, behind the file's header
	must(t, os.WriteFile(damaged, b, 0o600))

	for path, want := range map[string]error{
		noDatabase:                             store.ErrCorrupt,
		damaged:                                store.ErrCorrupt,
		folder:                                 store.ErrUnreadable,
		filepath.Join(noDatabase, "chat.db"):   store.ErrUnreadable,
		filepath.Join("/proc", "x", "chat.db"): store.ErrUnreadable,
	} {
		s, err := open(t, path)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: err = %v, want %q and the file's name", path, err, want)
		}
		if s != nil {
			t.Errorf("%s: a store in spite of the error", path)
		}
		t.Log(err)
		var e *store.Error
		if !errors.As(err, &e) || e.Path != path {
			t.Errorf("%s: no *store.Error with that path", path)
		}
	}
	if b, _ := os.ReadFile(noDatabase); !strings.HasPrefix(string(b), "not a database") {
		t.Error("somebody's file was overwritten")
	}
}

func TestReadOnlyIsExplained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	openAt(t, path)
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	must(t, err)
	defer db.Close()
	_, err = db.Exec("DELETE FROM roster")
	if err == nil {
		t.Fatal("the engine wrote to a database that was opened for reading")
	}
	err = store.ExplainSQLite(path, err)
	if !errors.Is(err, store.ErrReadOnly) || !strings.Contains(err.Error(), path) {
		t.Errorf("err = %v, want ErrReadOnly and the file's name", err)
	}
}

// A connection that fails is replaced: one mishap doesn't stop all writing.
func TestWriterRecoversItsConnection(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "chat.db"))
	must(t, s.Write(t.Context(), "PRAGMA query_only = 1"))
	must(t, s.AppendAudit(t.Context(), store.AuditEntry{Summary: "x"}))
	if entries, err := s.ListAudit(t.Context(), store.AuditFilter{}); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	must(t, s.Write(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"))
	must(t, s.Close())
	if _, err := open(t, path); !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), path) {
		t.Errorf("err = %v, want ErrNewer and the file's name", err)
	}
}

func TestOpenHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "chat.db")
	if _, err := store.Open(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	openAt(t, path) // the lock was given back
}

// PostgreSQL will run the same text. What only SQLite understands, or what the two
// understand differently, must not get in.
func TestStatementsAreCommonToBothEngines(t *testing.T) {
	comments := regexp.MustCompile(`--[^\n]*`)
	foreign := regexp.MustCompile(`(?i)\b(autoincrement|blob|datetime|without\s+rowid|strict|pragma|replace\s+into|insert\s+or|glob|ifnull|rowid|julianday|strftime|attach|vacuum|integer\s+primary\s+key|collate|order\s+by\s+(name|username|jid|kind))\b|\?|` + "`")
	texts := store.Migrations()
	if len(texts) == 0 {
		t.Fatal("no migrations")
	}
	for i, statement := range store.Statements() {
		texts[fmt.Sprint("statement ", i)] = statement
	}
	for name, text := range texts {
		if found := foreign.FindString(comments.ReplaceAllString(text, "")); found != "" {
			t.Errorf("%s: %q is not common to both engines", name, found)
		}
	}
}
