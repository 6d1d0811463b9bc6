package controllers

import (
	"sync/atomic"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
)

// counts are what the operator itself measures; controller-runtime adds what it does of its queues.
type counts struct {
	purgesHeld, purgesPending atomic.Int64
	purged                    map[directory.Kind]*meter.Counter
	lags                      map[directory.Kind]*lag
	readiness                 map[directory.Kind]*readiness
}

func newCounts(set *metrics.Set, o *Options, l *Leadership) (*counts, error) {
	c := &counts{purged: map[directory.Kind]*meter.Counter{}, lags: map[directory.Kind]*lag{}, readiness: map[directory.Kind]*readiness{}}
	set.Count(metrics.PurgesHeld, func() int { return int(c.purgesHeld.Load()) })
	set.Count(metrics.PurgesPending, func() int { return int(c.purgesPending.Load()) })
	set.Count(metrics.Leading, func() int {
		if l.Leading() {
			return 1
		}
		return 0
	})
	for _, kind := range []directory.Kind{directory.KindUser, directory.KindRoom} {
		c.purged[kind] = &meter.Counter{}
		set.Counter(metrics.Purged, c.purged[kind], kind.String())
	}
	for _, kind := range directory.Kinds() {
		set.Count(metrics.Declared, func() int { return o.Directory.Counts()[kind] }, kind.String())
		ready := newReadiness()
		c.readiness[kind] = ready
		set.Count(metrics.Resources, func() int { return ready.count(true) }, kind.String(), "true")
		set.Count(metrics.Resources, func() int { return ready.count(false) }, kind.String(), "false")
		waiting := newLag(o.Clock)
		c.lags[kind] = waiting
		set.Histogram(metrics.ReconcileLag, waiting.took, kind.String())
		set.Count(metrics.ReconcilePending, waiting.pending, kind.String())
		set.Gauge(metrics.ReconcileOldest, func() float64 { return waiting.oldest().Seconds() }, kind.String())
	}
	return c, set.Err()
}
