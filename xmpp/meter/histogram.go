package meter

import (
	"sync/atomic"
	"time"
)

// Histogram counts durations by how long they were. Observing takes three atomic additions.
type Histogram struct {
	bounds []time.Duration // ascending
	counts []atomic.Uint64 // one more than bounds: what was longer than all of them
	sum    atomic.Int64    // nanoseconds
}

// NewHistogram makes a Histogram with these upper bounds, which ascend.
func NewHistogram(bounds ...time.Duration) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Latencies is a Histogram for what takes from a fraction of a millisecond to some seconds.
func Latencies() *Histogram {
	return NewHistogram(LatencyBounds()...)
}

// LatencyBounds are the bounds of Latencies.
func LatencyBounds() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{ms / 4, ms, 5 * ms / 2, 5 * ms, 10 * ms, 25 * ms, 50 * ms, 100 * ms, 250 * ms, 500 * ms, time.Second, 2500 * ms, 5 * time.Second, 10 * time.Second}
}

// Lags is a Histogram for what takes from some milliseconds to minutes.
func Lags() *Histogram {
	const ms = time.Millisecond
	return NewHistogram(5*ms, 25*ms, 100*ms, 250*ms, 500*ms, time.Second, 2500*ms, 5*time.Second, 15*time.Second, time.Minute, 5*time.Minute)
}

// Observe counts a duration. A nil Histogram counts nothing; a clock that was set back counts as no time.
func (h *Histogram) Observe(d time.Duration) {
	if h == nil {
		return
	}
	d = max(d, 0)
	at := 0
	for at < len(h.bounds) && d > h.bounds[at] {
		at++
	}
	h.counts[at].Add(1)
	h.sum.Add(int64(d))
}

// Read gives how many there were, their sum, and how many were at most as long as each bound. What is observed meanwhile may be in some of it.
func (h *Histogram) Read() (count uint64, sum time.Duration, upTo map[time.Duration]uint64) {
	upTo = make(map[time.Duration]uint64, len(h.bounds))
	for i, bound := range h.bounds {
		count += h.counts[i].Load()
		upTo[bound] = count
	}
	count += h.counts[len(h.bounds)].Load()
	return count, time.Duration(h.sum.Load()), upTo
}
