package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/servers"
	"github.com/chat-operator/chat-operator/hack/bench/internal/stats"
)

const (
	scaleLimit   = 25 * time.Minute
	scaleChanges = 200 // accounts that are locked, and as many whose Secret changes
	scaleLast    = 100 // accounts that were declared last, and are tried first
	scaleSpread  = 100 // accounts from all over, tried with them
)

// killable is a server that starts anew when it is killed.
type killable interface {
	administrated
	Kill() error
}

// scale measures what thousands of declared accounts take: once, since it needs minutes, and of the program of this repository alone.
func (r *runner) scale(ctx context.Context, s servers.Server) (err error) {
	operator, ok := s.(killable)
	if !ok {
		return nil
	}
	begin := time.Now()
	fmt.Fprintf(r.say, "%d declared accounts, %s ...", r.plan.declared, s.Name())
	defer func() { fmt.Fprintf(r.say, " %.1f s\n", time.Since(begin).Seconds()) }()
	ctx, cancel := context.WithTimeout(ctx, scaleLimit)
	defer cancel()
	defer func() { err = errors.Join(err, s.Stop()) }()
	t, err := s.Start(ctx)
	if err != nil {
		return err
	}
	api, err := operator.REST()
	if err != nil {
		return err
	}
	if err := api.Begin(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.End(context.WithoutCancel(ctx))) }()
	v := &visit{runner: r, name: s.Name(), target: t}
	for _, step := range []func(context.Context, *load.REST) error{v.declare, v.atRest, v.changes} {
		if err := step(ctx, api); err != nil {
			return err
		}
	}
	return v.restart(ctx, api, operator.Kill)
}

// declare measures from the first account applied to the last one Ready, and what an account holds in memory.
func (v *visit) declare(ctx context.Context, api *load.REST) error {
	n := v.plan.declared
	if err := v.target.Settle(ctx, 30*time.Second); err != nil {
		return err
	}
	empty, err := v.liveHeap(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := api.Declare(ctx, api.Bare, 0, n, true); err != nil {
		return err
	}
	bare := time.Since(begin)

	ready, err := api.WatchReady(ctx, n)
	if err != nil {
		return err
	}
	begin = time.Now()
	if err := api.Declare(ctx, api.Namespace, 0, n, false); err != nil {
		return err
	}
	in, err := load.Until(ctx, 20*time.Millisecond, func() error {
		for i := n - 1; i >= max(0, n-scaleLast); i-- {
			if err := v.target.LoginOnce(ctx, i); err != nil {
				return err
			}
		}
		for i := 0; i < n; i += max(1, n/scaleSpread) {
			if err := v.target.LoginOnce(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.record(scaleLogin, in.Seconds())
	if err := ready(); err != nil {
		return err
	}
	all := time.Since(begin)
	v.record(scaleReady, all.Seconds())
	v.record(scaleReadyRatio, all.Seconds()/bare.Seconds())
	if err := v.target.LoginAll(ctx, 0, n); err != nil {
		return err
	}
	if err := v.target.Settle(ctx, 2*time.Minute); err != nil {
		return err
	}
	full, err := v.liveHeap(ctx)
	if err != nil {
		return err
	}
	v.record(scaleHeap, float64(full-empty)/float64(n)/1024)
	return v.heap("declared")
}

// atRest measures what it takes to have thousands of accounts and nothing to do.
func (v *visit) atRest(ctx context.Context, api *load.REST) error {
	before, err := api.Writes(ctx)
	if err != nil {
		return err
	}
	idle, err := v.target.Idle(ctx, 1, 0, max(v.plan.idle, 15*time.Second))
	if err != nil {
		return err
	}
	after, err := api.Writes(ctx)
	v.record(scaleRestCPU, idle.CPUShare*100)
	v.record(scaleRestWrites, float64(after-before))
	return err
}

// changes measures how soon a change that somebody applies is in force.
func (v *visit) changes(ctx context.Context, api *load.REST) error {
	n := min(scaleChanges, v.plan.declared/4)
	locked, err := v.target.Locked(ctx, api, 0, n)
	if err != nil {
		return err
	}
	rotated, err := v.target.Rotated(ctx, api, n, n, v.target.Password+servers.OtherPassword)
	if err != nil {
		return err
	}
	slices.Sort(locked)
	slices.Sort(rotated)
	v.record(scaleLock, stats.Quantile(locked, 0.99))
	v.record(scaleRotate, stats.Quantile(rotated, 0.99))
	return v.target.Settle(ctx, 30*time.Second)
}

// restart kills the program, which starts anew, and measures from then until an account can log in.
func (v *visit) restart(ctx context.Context, api *load.REST, kill func() error) error {
	before, err := api.Writes(ctx)
	if err != nil {
		return err
	}
	if err := kill(); err != nil {
		return err
	}
	took, err := load.Until(ctx, 5*time.Millisecond, func() error { return v.target.LoginOnce(ctx, v.plan.declared-1) })
	if err != nil {
		return err
	}
	v.record(scaleRestart, took.Seconds())
	if err := v.target.LoginAll(ctx, v.plan.declared/2, v.plan.declared/4); err != nil {
		return err
	}
	if err := v.target.Settle(ctx, time.Minute); err != nil {
		return err
	}
	after, err := api.Writes(ctx)
	v.record(scaleRestartWrites, float64(after-before))
	return err
}

// liveHeap is what the operator's heap holds after a collection, in bytes.
func (v *visit) liveHeap(ctx context.Context) (int64, error) {
	text, err := v.pprof(ctx, "heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var bytes int64
		if _, err := fmt.Sscanf(line, "# HeapAlloc = %d", &bytes); err == nil {
			return bytes, nil
		}
	}
	return 0, errors.New("the heap's profile does not say how large the heap is")
}
