package audit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What failed attempts from wherever may write to the log: whoever has many addresses must not fill the disk.
const (
	failureEntriesInBurst   = 100
	failureEntriesPerSecond = rate.Limit(0.1)
)

// Failures bounds the entries about failed attempts, and counts those that got none.
type Failures struct {
	mu      sync.Mutex
	limiter *rate.Limiter
	missed  int
}

// NewFailures makes one for a way in.
func NewFailures() *Failures {
	return &Failures{limiter: rate.NewLimiter(failureEntriesPerSecond, failureEntriesInBurst)}
}

// Admit says whether a failure gets an entry, and how many before it got none.
func (f *Failures) Admit(now time.Time) (missed int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.limiter.AllowN(now, 1) {
		f.missed++
		return 0, false
	}
	missed, f.missed = f.missed, 0
	return missed, true
}
