package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/muc"
)

// TestResultOf: what a caller finds wrong is no failure of the database.
func TestResultOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Result
	}{
		{nil, Succeeded},
		{muc.ErrForgotten, Succeeded},
		{errors.New("the caller's own"), Succeeded},
		{fmt.Errorf("keeping: %w", &Error{Kind: ErrFull, Message: "full"}), Full},
		{&Error{Kind: ErrReadOnly, Message: "read-only"}, Failed},
		{&Error{Message: "the volume fails"}, Failed},
		{fmt.Errorf("%w: nil map", errPanicked), Failed},
		{context.Canceled, Canceled},
		{context.DeadlineExceeded, Canceled},
		{ErrClosed, Canceled},
	} {
		if got := resultOf(c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
	seen := map[string]bool{}
	for _, r := range Results() {
		seen[r.String()] = true
	}
	if len(seen) != int(results) {
		t.Errorf("the results are %v", seen)
	}
}

// TestStats: what is asked of a store is counted by how it ended, and so is what is written; its files have a size, and its volume room.
func TestStats(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir()+"/chat.db", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.AppendAudit(t.Context(), AuditEntry{Summary: "one"}, AuditEntry{Summary: "two"}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CountAudit(t.Context(), AuditFilter{}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.AppendAudit(gone, AuditEntry{Summary: "three"}); err == nil {
		t.Error("it is written though nobody waits")
	}
	stats := s.Stats()
	writes, _, _ := stats.Writing.Read()
	reads, _, _ := stats.Reading.Read()
	if stats.Writes(Succeeded).Value() != 1 || stats.Writes(Canceled).Value() != 1 || stats.Reads(Succeeded).Value() != 1 || writes != 2 || reads != 1 || stats.Audited.Value() != 2 {
		t.Errorf("%d and %d writes, %d readings, %d and %d durations, %d entries", stats.Writes(Succeeded).Value(), stats.Writes(Canceled).Value(),
			stats.Reads(Succeeded).Value(), writes, reads, stats.Audited.Value())
	}
	free, err := s.Free()
	if s.Size() <= 0 || free <= 0 || err != nil {
		t.Errorf("%d bytes, %d free: %v", s.Size(), free, err)
	}
	if size, err := s.Volume(); size < free || err != nil {
		t.Errorf("a volume of %d bytes, %d free: %v", size, free, err)
	}
	answered := make(chan struct{})
	go func() { defer close(answered); s.Beat(t.Context()) }()
	select {
	case <-answered:
	case <-time.After(time.Minute):
		t.Error("the store does not answer")
	}
}
