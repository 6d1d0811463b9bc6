package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/servers"
	"github.com/chat-operator/chat-operator/hack/bench/internal/stats"
)

// What the REST API is given to do in a round.
const (
	restCreations = 200 // each, one after the other and 8 at a time
	restGets      = 2000
	restLists     = 10
)

// administrated is a server with a REST API of its own above a Kubernetes API server.
type administrated interface {
	REST() (*load.REST, error)
}

// rest measures the REST API beside the API server that it stands on.
func (v *visit) rest(ctx context.Context) (err error) {
	i := slices.IndexFunc(v.servers, func(s servers.Server) bool { return s.Name() == v.name })
	s, ok := v.servers[i].(administrated)
	if !ok || v.plan.users == 0 {
		return nil
	}
	r, err := s.REST()
	if err != nil {
		return err
	}
	if err := r.Begin(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.End(context.WithoutCancel(ctx))) }()
	prefix := fmt.Sprintf("rest%d", v.round)
	warm, err := r.Create(ctx, prefix+"-warm", 20, 1)
	if err != nil || len(warm.REST) == 0 {
		return err
	}
	for _, m := range []struct {
		atOnce          int
		p50, p99, ratio measure
	}{{1, restP50, restP99, restRatio}, {8, restP50Together, restP99Together, restRatioTogether}} {
		profiled := v.profiling(fmt.Sprintf("creations-%d", m.atOnce))
		times, err := r.Create(ctx, fmt.Sprintf("%s-%d", prefix, m.atOnce), restCreations, m.atOnce)
		if err := errors.Join(err, profiled()); err != nil {
			return err
		}
		v.record(m.p50, stats.Quantile(times.REST, 0.50))
		v.record(m.p99, stats.Quantile(times.REST, 0.99))
		v.record(m.ratio, times.Ratio(0.99))
	}
	if err := v.target.Settle(ctx, 30*time.Second); err != nil {
		return err
	}
	cost, err := v.target.Get(ctx, r, prefix+"-1-00000", restGets)
	if err != nil {
		return err
	}
	v.record(restGetCPU, micros(cost.CPUEach()))

	// Steady while thousands are declared.
	applied := make(chan error, 1)
	go func() { applied <- r.Apply(ctx, prefix+"-many", v.plan.users, 8) }()
	var beside load.AccountTimes
	for n, over := 0, false; !over; n++ {
		times, err := r.Create(ctx, fmt.Sprintf("%s-beside-%d", prefix, n), 10, 1)
		if err != nil {
			return errors.Join(err, <-applied)
		}
		beside.REST, beside.Bare = append(beside.REST, times.REST...), append(beside.Bare, times.Bare...)
		select {
		case err := <-applied:
			if over = true; err != nil {
				return err
			}
		default:
		}
	}
	slices.Sort(beside.REST)
	slices.Sort(beside.Bare)
	v.record(restP99Beside, stats.Quantile(beside.REST, 0.99))
	v.record(restRatioBeside, beside.Ratio(0.99))
	if err := v.target.Settle(ctx, 2*time.Minute); err != nil {
		return err
	}
	var lists []float64
	for range restLists {
		took, users, err := r.List(ctx)
		if err != nil {
			return err
		}
		if users < v.plan.users {
			return fmt.Errorf("a list has %d users of at least %d", users, v.plan.users)
		}
		lists = append(lists, millis(took))
	}
	v.record(restList, stats.Median(lists))
	return nil
}
