package restserver

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many failed attempts an address may make at once, and in the long run.
const (
	failuresInBurst   = 20
	failuresPerSecond = rate.Limit(1)
	// maxAddresses bounds the table; the address that failed longest ago is forgotten first.
	maxAddresses = 4096
)

// throttle slows down addresses whose attempts fail. A failure costs a token, a success
// nothing; attempts that run side by side can drive an address into debt,
// which it then waits off, so the long-run rate holds for them too.
type throttle struct {
	burst int
	limit rate.Limit

	mu        sync.Mutex
	addresses map[netip.Addr]*list.Element
	recent    *list.List // of *suspect, the latest failure first
}

type suspect struct {
	addr    netip.Addr
	limiter *rate.Limiter
}

func newThrottle(burst int, limit rate.Limit) *throttle {
	return &throttle{burst: burst, limit: limit, addresses: map[netip.Addr]*list.Element{}, recent: list.New()}
}

// neighbourhood is what counts as one address: who has one IPv6 address has the 2^64 around it.
func neighbourhood(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return addr
}

// wait says how long the address has to wait before its next attempt; 0: not at all.
func (t *throttle) wait(addr netip.Addr, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.addresses[neighbourhood(addr)]
	if !ok {
		return 0
	}
	tokens := e.Value.(*suspect).limiter.TokensAt(now)
	if tokens >= 1 {
		return 0
	}
	return time.Duration((1 - tokens) / float64(t.limit) * float64(time.Second))
}

// fail counts a failed attempt.
func (t *throttle) fail(addr netip.Addr, now time.Time) {
	addr = neighbourhood(addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.addresses[addr]
	if !ok {
		if len(t.addresses) >= maxAddresses {
			oldest := t.recent.Back()
			delete(t.addresses, oldest.Value.(*suspect).addr)
			t.recent.Remove(oldest)
		}
		e = t.recent.PushFront(&suspect{addr: addr, limiter: rate.NewLimiter(t.limit, t.burst)})
		t.addresses[addr] = e
	}
	t.recent.MoveToFront(e)
	e.Value.(*suspect).limiter.ReserveN(now, 1)
}
