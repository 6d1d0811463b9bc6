package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// Result is how a reading or a write ended.
type Result uint8

// The results.
const (
	Succeeded Result = iota
	Full             // there is no space left
	Canceled         // nobody waited any more, or the store was closed
	Failed
	results
)

// Results lists all of them.
func Results() []Result { return []Result{Succeeded, Full, Canceled, Failed} }

// String is the result's name in metrics.
func (r Result) String() string { return [...]string{"success", "full", "canceled", "error"}[r] }

// Stats is what a store counts.
type Stats struct {
	reads, writes [results]meter.Counter
	// Reading and Writing are how long each took, waiting for others included.
	Reading, Writing *meter.Histogram
	// Audited and Archived are the entries of the audit log and the messages of archives that were written.
	Audited, Archived meter.Counter
}

func newStats() *Stats { return &Stats{Reading: meter.Latencies(), Writing: meter.Latencies()} }

// Reads is how many readings ended so.
func (s *Stats) Reads(r Result) *meter.Counter { return &s.reads[r] }

// Writes is how many writes ended so.
func (s *Stats) Writes(r Result) *meter.Counter { return &s.writes[r] }

// Stats is what this store has counted since it was opened.
func (s *Store) Stats() *Stats { return s.stats }

// resultOf tells what is wrong with the database from what a caller's own function found wrong, which is no failure of the store.
func resultOf(err error) Result {
	switch {
	case err == nil:
		return Succeeded
	case errors.Is(err, ErrFull):
		return Full
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrClosed):
		return Canceled
	}
	if _, ok := errors.AsType[*Error](err); ok || sqliteCode(err) != 0 || errors.Is(err, errPanicked) {
		return Failed
	}
	return Succeeded
}

func (s *Stats) read(began time.Time, err error) {
	s.reads[resultOf(err)].Inc()
	s.Reading.Observe(time.Since(began))
}

func (s *Stats) wrote(began time.Time, err error) {
	s.writes[resultOf(err)].Inc()
	s.Writing.Observe(time.Since(began))
}

// Size is how many bytes the database's files have.
func (s *Store) Size() (n int64) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if info, err := os.Stat(s.path + suffix); err == nil { // the log comes and goes
			n += info.Size()
		}
	}
	return n
}

// Free is how many bytes this program may still fill on the database's volume.
func (s *Store) Free() (int64, error) {
	free, _, err := s.volume()
	return free, err
}

// Volume is how large the database's volume is, in bytes.
func (s *Store) Volume() (int64, error) {
	_, size, err := s.volume()
	return size, err
}

func (s *Store) volume() (free, size int64, err error) {
	var at syscall.Statfs_t
	if err := syscall.Statfs(s.path, &at); err != nil {
		return 0, 0, fmt.Errorf("asking for the space that is left for the database %s: %w", s.path, err)
	}
	return int64(at.Bavail) * int64(at.Bsize), int64(at.Blocks) * int64(at.Bsize), nil //nolint:gosec,unconvert // no volume is that large; the type is another one elsewhere
}
