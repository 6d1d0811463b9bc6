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
