package restserver

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	now := time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)
	th := newThrottle(3, 1)
	a, near, far := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2:1"), netip.MustParseAddr("2001:db8:0:1::1")
	for range 3 {
		if th.wait(a, now) != 0 {
			t.Fatal("waits before the burst is used up")
		}
		th.fail(a, now)
	}
	if got := th.wait(a, now); got != time.Second {
		t.Errorf("waits %v", got)
	}
	if th.wait(near, now) == 0 {
		t.Error("the next address of one network doesn't wait")
	}
	if th.wait(far, now) != 0 {
		t.Error("another network waits")
	}
	// Attempts that ran side by side go into debt.
	th.fail(a, now)
	th.fail(a, now)
	if got := th.wait(a, now.Add(time.Second)); got != 2*time.Second {
		t.Errorf("waits %v", got)
	}
	if got := th.wait(a, now.Add(3*time.Second)); got != 0 {
		t.Errorf("waits %v after its debt is paid", got)
	}
}

// The table is bounded; the address that failed longest ago is forgotten.
func TestThrottleIsBounded(t *testing.T) {
	now := time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)
	th := newThrottle(1, 1)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range maxAddresses {
		th.fail(addr(i), now)
	}
	th.fail(addr(0), now)
	th.fail(addr(maxAddresses), now)
	if n := len(th.addresses); n != maxAddresses || th.recent.Len() != n {
		t.Errorf("%d addresses, %d in the list", n, th.recent.Len())
	}
	if th.wait(addr(0), now) == 0 || th.wait(addr(1), now) != 0 {
		t.Error("the wrong one was forgotten")
	}
}

func TestWarningsAreBounded(t *testing.T) {
	w := newWarnings()
	for i := range maxWarnings + 100 {
		w.first("client", time.Duration(i).String())
	}
	if len(w.seen) != maxWarnings {
		t.Errorf("%d remembered", len(w.seen))
	}
}

// No route hides another: each matches its own path first.
func TestRoutesAreReachable(t *testing.T) {
	s := &Server{}
	table := newRouteTable(s.table())
	for _, r := range table {
		path := r.absolute()
		for name, words := range r.words {
			path = strings.ReplaceAll(path, "{"+name+"}", words[0])
		}
		if got, _ := table.match(path); got != r {
			t.Errorf("%s is hidden by %v", r.path, got)
		}
		for _, op := range r.operations {
			if op.handle == nil {
				t.Errorf("%s %s has no handler", op.method, r.path)
			}
			if r.public && op.method != "GET" {
				t.Errorf("%s %s is open to everybody", op.method, r.path)
			}
		}
	}
}
