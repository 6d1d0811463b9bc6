package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

func TestConcurrentWritersAndReaders(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		const writers, each = 16, 20
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				user := fmt.Sprint("user", w)
				for i := range each {
					item := account.Item{JID: jid.MustParse(fmt.Sprintf("c%d@chat.example", i))}
					if err := s.PutItem(t.Context(), user, item); err != nil {
						t.Error(err)
						return
					}
					// Who was told that it is kept must be able to read it.
					if items, err := s.LoadRoster(t.Context(), user); err != nil || len(items) != i+1 {
						t.Errorf("%s: %d items after %d writes, %v", user, len(items), i+1, err)
					}
				}
			})
		}
		all.Wait()
	})
}

// block holds the writer up until release is called, so that what is written
// meanwhile goes into one transaction.
func block(t *testing.T, s *store.Store) (release func()) {
	t.Helper()
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		first := true
		done <- s.Do(context.Background(), func() error {
			if first {
				first = false
				close(begun)
				<-end
			}
			return nil
		})
	}()
	<-begun
	return func() {
		close(end)
		if err := <-done; err != nil {
			t.Errorf("the blocking write: %v", err)
		}
	}
}

// queued returns once so many writes wait for the writer.
func queued(t *testing.T, s *store.Store, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); s.Queued() < n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d writes queued, want %d", s.Queued(), n)
		}
	}
}

func TestFailingWriteLeavesItsNeighboursAlone(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		release := block(t, s)
		refused := errors.New("refused")
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() {
				switch i % 3 {
				case 0:
					if err := s.AppendAudit(ctx, store.AuditEntry{Summary: "good"}); err != nil {
						t.Errorf("a good write among bad ones: %v", err)
					}
				case 1: // refused by the engine
					err := s.Write(ctx, `INSERT INTO counter (name, value) VALUES ('audit_log', 1)`)
					if err == nil {
						t.Error("a duplicate key was accepted")
					}
				case 2: // fails after it has changed something
					err := s.WriteThenFail(ctx, refused, `INSERT INTO audit_log (id, time, username, node, summary, details, via, address)
						VALUES ($1, 0, '', '', 'bad', '', '', '')`, int64(1000+i))
					if !errors.Is(err, refused) {
						t.Errorf("err = %v, want the operation's own", err)
					}
				}
			})
		}
		all.Go(func() {
			if err := s.Do(ctx, func() error { panic("a mistake") }); err == nil {
				t.Error("a panic was no error")
			}
		})
		queued(t, s, 31)
		release()
		all.Wait()
		entries, err := s.ListAudit(ctx, store.AuditFilter{})
		must(t, err)
		if len(entries) != 10 {
			t.Errorf("%d entries, want the 10 good ones", len(entries))
		}
	})
}

func TestContextEndsTheWaitForTheWriter(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		release := block(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- s.AppendAudit(ctx, store.AuditEntry{Summary: "abandoned"}) }()
		queued(t, s, 1)
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		if err := s.AppendAudit(ctx, store.AuditEntry{}); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
		release()
		must(t, s.AppendAudit(t.Context(), store.AuditEntry{Summary: "kept"}))
		// What was reported as not done isn't done.
		entries, err := s.ListAudit(t.Context(), store.AuditFilter{})
		must(t, err)
		if len(entries) != 1 || entries[0].Summary != "kept" {
			t.Errorf("entries %+v", entries)
		}
	})
}

func TestReadHonoursItsContext(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.LoadRoster(ctx, "mira"); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestCloseFinishesWhatWasAccepted(t *testing.T) {
	path := t.TempDir() + "/chat.db"
	s := openAt(t, path)
	release := block(t, s)
	const n = 50
	results := make(chan error, n)
	for range n {
		go func() { results <- s.AppendAudit(context.Background(), store.AuditEntry{Summary: "x"}) }()
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	release()
	must(t, <-closed)
	kept := 0
	for range n {
		switch err := <-results; {
		case err == nil:
			kept++
		case !errors.Is(err, store.ErrClosed):
			t.Errorf("err = %v, want nil or ErrClosed", err)
		}
	}
	if err := s.AppendAudit(t.Context(), store.AuditEntry{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a write after Close: %v", err)
	}
	must(t, s.Close()) // once more is no error
	again := openAt(t, path)
	entries, err := again.ListAudit(t.Context(), store.AuditFilter{})
	must(t, err)
	if len(entries) != kept {
		t.Errorf("%d entries, but %d were acknowledged", len(entries), kept)
	}
}
