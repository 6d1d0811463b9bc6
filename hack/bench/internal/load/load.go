// Package load is the benchmark's work: it drives any XMPP server as clients do, and asks the operating system what that took.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
)

// Resource is the resource of every session.
const Resource = "bench"

// Target is a running server with its accounts.
type Target struct {
	Client   client.Config
	PID      int // of the server; its children count
	Password string
	Accounts int
}

// Username is the name of account i.
func Username(i int) string { return fmt.Sprintf("bench%05d", i) }

// JID is the full JID of account i's session.
func (t *Target) JID(i int) string { return Username(i) + "@" + t.Client.Domain + "/" + Resource }

// CPU is what the server has taken so far.
func (t *Target) CPU() (time.Duration, error) { return procs.CPU(t.PID) }

// Settle waits until the server takes less than 3 % of a processor, so that what it does on its own account is over; at most for limit.
func (t *Target) Settle(ctx context.Context, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	before, err := t.CPU()
	for calm := 0; err == nil && calm < 2 && time.Now().Before(deadline); {
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
		var now time.Duration
		now, err = t.CPU()
		if now-before <= 30*time.Millisecond {
			calm++
		} else {
			calm = 0
		}
		before = now
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Sessions are logged-in clients.
type Sessions []*client.Conn

// Cost is what some work took.
type Cost struct {
	CPU, Wall time.Duration
	Units     int
}

// CPUEach is the server's processor time a unit of work.
func (c Cost) CPUEach() time.Duration { return c.CPU / time.Duration(max(c.Units, 1)) }

// Rate is how many units were done in a second.
func (c Cost) Rate() float64 { return float64(c.Units) / c.Wall.Seconds() }

// measure runs work and says what it took.
func (t *Target) measure(units int, work func() error) (Cost, error) {
	before, err := t.CPU()
	if err != nil {
		return Cost{}, err
	}
	begin := time.Now()
	if err := work(); err != nil {
		return Cost{}, err
	}
	wall := time.Since(begin)
	after, err := t.CPU()
	return Cost{CPU: after - before, Wall: wall, Units: units}, err
}

// parallel is how many clients log in at a time.
const parallel = 8

// Login logs accounts from..from+n-1 in, a few at a time, as Login of package client does, and leaves the sessions open.
func (t *Target) Login(ctx context.Context, from, n int) (Sessions, Cost, error) {
	sessions := make(Sessions, n)
	cost, err := t.measure(n, func() error {
		return each(n, parallel, func(i int) (err error) {
			sessions[i], err = client.Login(ctx, t.Client, Username(from+i), t.Password, Resource)
			return err
		})
	})
	if err != nil {
		sessions.Close()
		return nil, cost, err
	}
	return sessions, cost, nil
}

// Close ends all sessions in an orderly way.
func (s Sessions) Close() {
	_ = each(len(s), 4*parallel, func(i int) error {
		if s[i] != nil {
			_ = s[i].Close() // a server that does not say good-bye is no failure here
		}
		return nil
	})
}

// each calls do for 0..n-1, some at a time, and stops at the first error.
func each(n, atOnce int, do func(int) error) error {
	next := make(chan int)
	failed := make(chan struct{})
	var once sync.Once
	var first error
	var wg sync.WaitGroup
	for range min(atOnce, n) {
		wg.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					once.Do(func() { first = err; close(failed) })
					return
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-failed:
			break feed
		}
	}
	close(next)
	wg.Wait()
	return first
}

// Idle is what sessions cost that do nothing.
type Idle struct {
	BytesEach float64
	CPUShare  float64 // of one processor, by all sessions together
}

// Idle holds n sessions for a while and compares memory. Base is what the server held before there was any.
func (t *Target) Idle(ctx context.Context, n int, base int64, wait time.Duration) (Idle, error) {
	var rss int64
	cost, err := t.measure(1, func() error {
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		var err error
		rss, err = procs.RSS(t.PID)
		return err
	})
	return Idle{BytesEach: float64(rss-base) / float64(n), CPUShare: cost.CPU.Seconds() / cost.Wall.Seconds()}, err
}

var errUnsupported = errors.New("the server does not do that")

// Unsupported tells whether an error says that the server lacks what was to be measured.
func Unsupported(err error) bool { return errors.Is(err, errUnsupported) }
