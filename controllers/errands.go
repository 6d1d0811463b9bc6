package controllers

import (
	"context"
	"time"

	"k8s.io/utils/clock"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// errands has something done on the leader when it is woken, and again when the time comes that the last time named.
type errands struct {
	directory  *directory.Directory
	leadership *Leadership
	clock      clock.WithTicker
	// settle is how long one who is woken waits for others to do so too: one time serves them all.
	settle time.Duration

	wake chan struct{}
}

func (e *errands) NeedLeaderElection() bool { return false }

// watch prepares for poke. Called once, before anything else.
func (e *errands) watch() {
	e.wake = make(chan struct{}, 1)
	e.leadership.OnWin(e.poke)
}

func (e *errands) poke() {
	select {
	case e.wake <- struct{}{}:
	default: // one signal covers everything
	}
}

// settled waits until others have had time to wake it as well. It is false when the context ends before.
func (e *errands) settled(ctx context.Context) bool {
	if e.settle == 0 {
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-e.clock.After(e.settle):
	}
	select {
	case <-e.wake:
	default:
	}
	return true
}

// run does it until the context ends. What do returns is how long to wait when nobody wakes; 0: for ever.
func (e *errands) run(ctx context.Context, do func(context.Context) (wait time.Duration)) {
	select {
	case <-e.directory.Synced():
	case <-ctx.Done():
		return
	}
	timer := e.clock.NewTimer(time.Hour)
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-e.wake:
			if !e.settled(ctx) {
				return
			}
		case <-timer.C():
		}
		if !e.leadership.Leading() {
			continue
		}
		wait := do(ctx)
		timer.Stop()
		if wait > 0 {
			timer = e.clock.NewTimer(wait)
		}
	}
}

// gather is how long what nobody waits for lets more of its kind come before it is written: those who wait for an answer have the disk first, and many changes
// are one commit.
const gather = 20 * time.Millisecond

// gathered waits that long, or until the context ends.
func gathered(ctx context.Context) {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
