package auth

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// Attempts bounds failed logins.
type Attempts struct {
	// PerAccount is after how many failed logins to one account from one address the next has to wait; PerAddress likewise for one address and
	// whatever accounts. 0 stands for never.
	PerAccount, PerAddress int
	// MaxDelay is the longest wait. The first is a second, and each failure doubles it.
	MaxDelay time.Duration
}

// The tables of a guard are bounded, and forget.
const (
	maxGuarded  = 16 << 10
	forgetAfter = time.Hour // without an attempt; a failed one counts for at least that long, or for as long as the longest wait
	firstDelay  = time.Second
)

// guard slows guessing down. What somebody does to an account from one address has no effect on anybody who comes from another, so that it
// is no means to lock others out; and who has logged in from an address before is not held up by what others do there to other accounts.
//
// An attempt counts as failed from the moment that it is allowed until it turns out right, so that many at once do not slip through.
type guard struct {
	limits func() Attempts // nil: no limits
	meter  *meter.Meter
	now    func() time.Time
	seed   maphash.Seed

	mu        sync.Mutex
	addresses map[netip.Addr]*attempts
	accounts  map[guarded]*attempts
}

// guarded is an account as seen from an address. Names are kept as hashes: they may be long, and need not be those of accounts.
type guarded struct {
	name uint64
	from netip.Addr
}

type attempts struct {
	failures int
	last     time.Time
	until    time.Time // no attempt before that
	proved   bool      // somebody has logged in
}

func newGuard(cfg Config) *guard {
	g := &guard{limits: cfg.Attempts, meter: cfg.Meter, now: cfg.now, seed: maphash.MakeSeed(),
		addresses: make(map[netip.Addr]*attempts), accounts: make(map[guarded]*attempts)}
	if g.now == nil {
		g.now = time.Now
	}
	return g
}

// check refuses an attempt that would have to wait.
func (g *guard) check(from netip.Addr, name string) *SASLError { return g.look(from, name, false) }

// try is check for an attempt that is about to be decided: unless it is refused, it counts as failed until succeeded says otherwise.
func (g *guard) try(from netip.Addr, name string) *SASLError { return g.look(from, name, true) }

func (g *guard) look(from netip.Addr, name string, attempt bool) *SASLError {
	if g.limits == nil {
		return nil
	}
	limits := g.limits()
	key := guarded{maphash.String(g.seed, name), from}
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	account, address := recall(g.accounts, key, now, limits.MaxDelay), recall(g.addresses, from, now, limits.MaxDelay)
	wide := limits.PerAddress > 0 && from.IsValid() && (account == nil || !account.proved)
	if limits.PerAccount > 0 && account != nil && now.Before(account.until) {
		return g.refuse(meter.LoginsOfAccount, account.until.Sub(now))
	}
	if wide && address != nil && now.Before(address.until) {
		return g.refuse(meter.LoginsOfAddress, address.until.Sub(now))
	}
	if attempt && limits.PerAccount > 0 {
		count(g.accounts, key, now, limits.PerAccount, limits.MaxDelay)
	}
	if attempt && wide {
		count(g.addresses, from, now, limits.PerAddress, limits.MaxDelay)
	}
	return nil
}

func (g *guard) refuse(why meter.Reason, wait time.Duration) *SASLError {
	g.meter.Refuse(why)
	return &SASLError{Condition: TemporaryAuthFailure, limited: true, // RFC 6120 §6.5.11
		Text: fmt.Sprintf("Too many logins have failed. Try again in %d seconds.", int(wait/time.Second)+1)}
}

// succeeded takes back what try counted.
func (g *guard) succeeded(from netip.Addr, name string) {
	if g.limits == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := g.accounts[guarded{maphash.String(g.seed, name), from}]; a != nil {
		wasProved := a.proved
		a.failures, a.until, a.proved = 0, time.Time{}, true
		if wasProved {
			return // it was not counted against the address
		}
	}
	if a := g.addresses[from]; a != nil && a.failures > 0 {
		a.failures--
		if a.failures == 0 {
			delete(g.addresses, from)
		} else if a.until.After(g.now()) && a.failures < g.limits().PerAddress {
			a.until = time.Time{}
		}
	}
}

// recall finds what is known, and forgets what has become old.
func recall[K comparable](table map[K]*attempts, key K, now time.Time, longest time.Duration) *attempts {
	a := table[key]
	if a == nil || now.Sub(a.last) < max(forgetAfter, longest) {
		return a
	}
	if !a.proved {
		delete(table, key)
		return nil
	}
	a.failures = 0
	return a
}

// count counts a failure and sets the time of the next attempt.
func count[K comparable](table map[K]*attempts, key K, now time.Time, free int, longest time.Duration) {
	a := table[key]
	if a == nil {
		if len(table) >= maxGuarded {
			evict(table)
		}
		a = &attempts{}
		table[key] = a
	}
	a.failures, a.last = min(a.failures+1, 1<<20), now
	if over := a.failures - free; over >= 0 {
		a.until = now.Add(min(firstDelay<<min(over, 20), longest))
	}
}

// evict makes room: of a few entries, taken as they come, the one goes that was used least recently.
func evict[K comparable](table map[K]*attempts) {
	var oldest K
	var age *attempts
	seen := 0
	for key, a := range table {
		if age == nil || a.last.Before(age.last) {
			oldest, age = key, a
		}
		if seen++; seen == 16 {
			break
		}
	}
	delete(table, oldest)
}
