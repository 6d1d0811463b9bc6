package controllers

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// lag measures how long resources of a kind wait until their status speaks of what they say now. It goes by what the watch brings alone, so that every
// replica knows, whoever reports.
type lag struct {
	clock clock.PassiveClock
	took  *meter.Histogram

	mu      sync.Mutex
	waiting map[string]unreported // by name
}

// unreported is a resource whose status does not speak of its generation.
type unreported struct {
	uid   string
	since time.Time
}

func newLag(c clock.PassiveClock) *lag {
	return &lag{clock: c, took: meter.Lags(), waiting: map[string]unreported{}}
}

// seen takes in a state of a resource, and the generation that its status speaks of. A generation that follows one that nobody has reported on does not
// begin to wait anew.
func (l *lag) seen(o client.Object, observed int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	name, uid := o.GetName(), string(o.GetUID())
	has, waits := l.waiting[name]
	if waits && has.uid != uid {
		waits = false
	}
	switch {
	case o.GetDeletionTimestamp() != nil:
		delete(l.waiting, name) // nobody reports on it any more
	case observed < o.GetGeneration():
		if !waits {
			l.waiting[name] = unreported{uid, l.clock.Now()}
		}
	default:
		delete(l.waiting, name)
		if waits {
			l.took.Observe(l.clock.Since(has.since))
		}
	}
}

// gone forgets a resource.
func (l *lag) gone(name string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, name)
}

func (l *lag) pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

// oldest is how long the longest of them waits.
func (l *lag) oldest() (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting {
		longest = max(longest, l.clock.Since(w.since))
	}
	return longest
}
