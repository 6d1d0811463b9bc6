package auth

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// watched is a guard with a clock that tests move.
func watched(limits Attempts) (*guard, *meter.Meter, func(time.Duration)) {
	now := time.Unix(1_700_000_000, 0)
	m := meter.New()
	g := newGuard(Config{Attempts: func() Attempts { return limits }, Meter: m, now: func() time.Time { return now }})
	return g, m, func(d time.Duration) { now = now.Add(d) }
}

var (
	home    = netip.MustParseAddr("192.0.2.1")
	villain = netip.MustParseAddr("203.0.113.9")
)

// TestGuardDelaysGrow: each failure beyond the free ones doubles the wait, up to the longest.
func TestGuardDelaysGrow(t *testing.T) {
	g, m, pass := watched(Attempts{PerAccount: 3, MaxDelay: 10 * time.Second})
	for range 3 {
		if err := g.try(villain, "mira"); err != nil {
			t.Fatalf("within the free attempts: %v", err)
		}
	}
	for _, wait := range []int{1, 2, 4, 8, 10, 10} {
		pass(time.Duration(wait)*time.Second - time.Millisecond)
		err := g.try(villain, "mira")
		if err == nil || err.Condition != TemporaryAuthFailure || !err.Limited() {
			t.Fatalf("just before %d s: %v", wait, err)
		}
		if g.check(villain, "mira") == nil {
			t.Fatal("the beginning of an exchange is not refused")
		}
		pass(time.Millisecond)
		if err := g.try(villain, "mira"); err != nil {
			t.Fatalf("after %d s: %v", wait, err)
		}
	}
	if n := m.Refusals(meter.LoginsOfAccount).Value(); n != 12 {
		t.Errorf("%d refusals counted", n)
	}
	// An hour without an attempt makes good.
	pass(forgetAfter)
	if err := g.try(villain, "mira"); err != nil {
		t.Errorf("after an hour: %v", err)
	}
}

// TestSecurity24NobodyLocksOthersOut: whatever somebody does from elsewhere, the owner of an account can try.
func TestSecurity24NobodyLocksOthersOut(t *testing.T) {
	g, _, pass := watched(Attempts{PerAccount: 3, PerAddress: 5, MaxDelay: time.Minute})
	for range 100 {
		_ = g.try(villain, "mira")
		pass(time.Second)
	}
	if err := g.try(home, "mira"); err != nil {
		t.Errorf("the owner, from another address: %v", err)
	}
	g.succeeded(home, "mira")
	// One address behind which both are: who has logged in from there before is not held up by guesses at others.
	for i := range 50 {
		_ = g.try(home, fmt.Sprint("guess", i))
	}
	if g.try(home, "new") == nil {
		t.Error("guesses at many accounts from one address are not slowed down")
	}
	if err := g.try(home, "mira"); err != nil {
		t.Errorf("the owner, from an address that others guess from: %v", err)
	}
}

// TestGuardSuccess: right passwords use nothing up, however many logins there are at once.
func TestGuardSuccess(t *testing.T) {
	g, _, _ := watched(Attempts{PerAccount: 2, PerAddress: 2, MaxDelay: time.Minute})
	for i := range 100 {
		name := fmt.Sprint("user", i%10)
		if err := g.try(home, name); err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
		g.succeeded(home, name)
	}
	if len(g.addresses) != 0 {
		t.Error("successes are held against the address")
	}
	// Attempts that are under way count: they may fail.
	for i := range 3 {
		if refused := g.try(villain, "mira") != nil; refused != (i == 2) {
			t.Errorf("attempt %d of several at once: refused %v", i+1, refused)
		}
	}
}

// TestGuardIsBounded: no number of names and addresses makes the tables grow for ever.
func TestGuardIsBounded(t *testing.T) {
	g, _, _ := watched(Attempts{PerAccount: 3, PerAddress: 1 << 20, MaxDelay: time.Minute})
	for i := range maxGuarded + 500 {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		_ = g.try(from, fmt.Sprint(i))
	}
	if len(g.accounts) > maxGuarded || len(g.addresses) > maxGuarded {
		t.Errorf("%d accounts, %d addresses", len(g.accounts), len(g.addresses))
	}
}
