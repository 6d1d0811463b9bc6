package core

import (
	"context"
	"testing"
	"time"
)

// TestBeat: a switchboard answers before and while it runs, and does not when one of its locks is held for good, or its goroutine hangs.
func TestBeat(t *testing.T) {
	b := newBoard(t, "mira")
	// answers begins a beat and says whether it comes back within a time.
	answers := func(within time.Duration) bool {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if b.Beat(ctx); ctx.Err() != nil {
				<-t.Context().Done()
			}
		}()
		select {
		case <-done:
			return true
		case <-ctx.Done():
			return false
		}
	}
	const soon, long = 20 * time.Millisecond, time.Minute
	if !answers(long) {
		t.Error("before it runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); b.Run(ctx) }()
	for range 3 {
		if !answers(long) {
			t.Error("while it runs")
		}
	}
	shard := b.table.shard("mira")
	shard.mu.RLock()
	if answers(soon) {
		t.Error("it answers though a lock is held")
	}
	shard.mu.RUnlock()
	if !answers(long) {
		t.Error("when the lock is free again")
	}
	cancel()
	<-ended
	b.serving.Store(true) // as if it hung
	if answers(soon) {
		t.Error("it answers though Run does not")
	}
}
