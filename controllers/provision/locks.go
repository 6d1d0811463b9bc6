package provision

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// nameLocks makes what creates a name, changes it, deletes it or purges its data take turns,
// name by name. They are held for a few requests; only a rename holds one until its
// old account is gone here, and a creation of users theirs until they are in force.
//
// Who needs several takes that of a rename first, then one of references, then those of names in their order.
type nameLocks struct {
	mu   sync.Mutex
	held map[string]*nameLock
}

type nameLock struct {
	mu    sync.Mutex
	users int
}

func newNameLocks() *nameLocks { return &nameLocks{held: map[string]*nameLock{}} }

func (l *nameLocks) lock(name string) (unlock func()) {
	l.mu.Lock()
	n, ok := l.held[name]
	if !ok {
		n = &nameLock{}
		l.held[name] = n
	}
	n.users++
	l.mu.Unlock()
	n.mu.Lock()
	return func() {
		n.mu.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if n.users--; n.users == 0 {
			delete(l.held, name)
		}
	}
}

// LockName keeps proposals about an identity waiting, for who purges its data.
// Hold it briefly.
func (p *Provisioner) LockName(kind directory.Kind, identity string) (unlock func()) {
	return p.names.lock(kind.String() + "/" + identity)
}

// lockNames is LockName for several.
func (p *Provisioner) lockNames(kind directory.Kind, identities []string) (unlock func()) {
	identities = slices.Clone(identities)
	slices.Sort(identities)
	identities = slices.Compact(identities)
	unlocks := make([]func(), len(identities))
	for i, identity := range identities {
		unlocks[i] = p.LockName(kind, identity)
	}
	return func() {
		for _, unlock := range unlocks {
			unlock()
		}
	}
}

// Rates of proposals that chat clients make: enough for people, too little for a
// loop to keep the API server busy. That of one user is a property. REST callers are administrators and not limited.
const (
	allClientsRate   = rate.Limit(20) // a second, all together
	allClientsBurst  = 200
	limitersKeptFor  = 10 * time.Minute
	limitersSweptOff = 1000
)

type limits struct {
	clock clock.PassiveClock
	all   *rate.Limiter
	// minutely is how many a user may make in a minute.
	minutely func() int

	mu   sync.Mutex
	each map[string]*userLimit
}

type userLimit struct {
	limiter *rate.Limiter
	used    time.Time
}

func newLimits(c clock.PassiveClock, minutely func() int) *limits {
	return &limits{clock: c, minutely: minutely, all: rate.NewLimiter(allClientsRate, allClientsBurst), each: map[string]*userLimit{}}
}

// admit refuses a client that proposes too much.
func (l *limits) admit(by directory.Actor) error {
	if by.Via != "XMPP" {
		return nil
	}
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.each[by.Name]
	if !ok {
		if len(l.each) >= limitersSweptOff {
			for name, other := range l.each {
				if now.Sub(other.used) > limitersKeptFor {
					delete(l.each, name)
				}
			}
		}
		one = &userLimit{limiter: rate.NewLimiter(0, 0)}
		l.each[by.Name] = one
	}
	if n := l.minutely(); one.limiter.Burst() != n {
		one.limiter = rate.NewLimiter(rate.Limit(n)/60, n)
	}
	one.used = now
	// The user's own bucket first: who is refused there takes nothing from the others.
	if !one.limiter.AllowN(now, 1) || !l.all.AllowN(now, 1) {
		return directory.ErrTooManyRequests
	}
	return nil
}

// lookups limits the live reads that unknown names cause: they guard against a
// projection that lags, and must not become a way to keep the API server busy.
type lookups struct{ limiter *rate.Limiter }

func newLookups() *lookups { return &lookups{limiter: rate.NewLimiter(10, 20)} }

func (l *lookups) allow() bool { return l.limiter.Allow() }
