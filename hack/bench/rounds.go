package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
	"github.com/chat-operator/chat-operator/hack/bench/internal/servers"
	"github.com/chat-operator/chat-operator/hack/bench/internal/stats"
)

// runner does the rounds.
type runner struct {
	plan    plan
	env     *servers.Env
	servers []servers.Server
	dir     string
	profile time.Duration
	results *results
	say     io.Writer
}

func (r *runner) run(ctx context.Context) error {
	for _, s := range r.servers {
		begin := time.Now()
		fmt.Fprintf(r.say, "Preparing %s ...", s.Name())
		if err := s.Prepare(ctx); err != nil {
			fmt.Fprintln(r.say)
			return errors.Join(fmt.Errorf("preparing %s: %w", s.Name(), err), s.Stop())
		}
		fmt.Fprintf(r.say, " %.1f s\n", time.Since(begin).Seconds())
	}
	for round := range r.plan.rounds {
		for _, s := range r.servers {
			if round == 0 && s.Name() == servers.SelfName && r.plan.many > 0 && r.plan.wants("rooms") {
				if err := r.manyRooms(ctx, s); err != nil {
					return fmt.Errorf("many rooms, %s: %w", s.Name(), err)
				}
			}
			if round == 0 && r.plan.declared > 0 && r.plan.wants("scale") {
				if err := r.scale(ctx, s); err != nil {
					return fmt.Errorf("declared accounts, %s: %w", s.Name(), err)
				}
			}
			if len(r.plan.what) == 1 && r.plan.wants("scale") {
				continue
			}
			begin := time.Now()
			fmt.Fprintf(r.say, "Round %d of %d, %s ...", round+1, r.plan.rounds, s.Name())
			if err := r.visit(ctx, round, s); err != nil {
				fmt.Fprintln(r.say)
				return fmt.Errorf("round %d, %s: %w", round+1, s.Name(), err)
			}
			fmt.Fprintf(r.say, " %.1f s\n", time.Since(begin).Seconds())
		}
	}
	return nil
}

// visitLimit bounds a visit besides the times of the plan, and restLimit what REST adds to it.
const (
	visitLimit = 5 * time.Minute
	restLimit  = 10 * time.Minute
)

// visit measures one server, freshly started.
func (r *runner) visit(ctx context.Context, round int, s servers.Server) (err error) {
	p := r.plan
	limit := visitLimit + p.idle + 2*(p.duration+p.warm)
	if s.Name() == servers.SelfName && p.users > 0 && p.wants("rest") {
		limit += restLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer func() { err = errors.Join(err, s.Stop()) }()
	t, err := s.Start(ctx)
	if err != nil {
		return err
	}
	v := &visit{runner: r, round: round, name: s.Name(), target: t}
	if err := t.Settle(ctx, 30*time.Second); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{{"sessions", v.sessions}, {"messages", v.messages}, {"offline", v.offline}, {"timing", v.timing}, {"rooms", v.rooms}, {"rest", v.rest}} {
		if !p.wants(step.what) {
			continue
		}
		if err := errors.Join(step.do(ctx), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// visit is one server in one round.
type visit struct {
	*runner
	round  int
	name   string
	target *load.Target
}

func (v *visit) record(m measure, value float64) { v.results.record(v.round, v.name, m, value) }

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// sessions measures logins, and what these sessions cost when they are idle.
func (v *visit) sessions(ctx context.Context) error {
	t := v.target
	warm, _, err := t.Login(ctx, 0, min(warmLogins, t.Accounts))
	if err != nil {
		return err
	}
	warm.Close()
	if err := t.Settle(ctx, 15*time.Second); err != nil {
		return err
	}
	base, err := procs.RSS(t.PID)
	if err != nil {
		return err
	}
	profiled := v.profiling("login")
	sessions, cost, err := t.Login(ctx, 0, v.plan.sessions)
	if err := errors.Join(err, profiled()); err != nil {
		return err
	}
	defer func() {
		sessions.Close()
		_ = t.Settle(ctx, 30*time.Second) // what follows finds out whether the server is well
	}()
	v.record(loginCPU, millis(cost.CPUEach()))
	v.record(loginRate, cost.Rate())
	if v.plan.idle == 0 {
		return nil
	}
	idle, err := t.Idle(ctx, v.plan.sessions, base, v.plan.idle)
	if err != nil {
		return err
	}
	v.record(idleMemory, idle.BytesEach/1024)
	v.record(idleCPU, idle.CPUShare*100)
	return v.heap("idle")
}

// messages measures 1:1 messages: how many at most, and how long they take when there are few.
func (v *visit) messages(ctx context.Context) error {
	pairs, err := v.target.StartPairs(ctx, v.plan.pairs, v.plan.window)
	if err != nil {
		return err
	}
	defer pairs.Stop()
	profiled := v.profiling("messages")
	cost, err := pairs.Closed(ctx, v.plan.warm, v.plan.duration)
	if err := errors.Join(err, profiled()); err != nil {
		return err
	}
	v.record(messageCPU, micros(cost.CPUEach()))
	v.record(messageRate, cost.Rate())
	latency, err := pairs.Open(ctx, v.plan.rate, v.plan.warm, v.plan.duration)
	if err != nil {
		return err
	}
	v.record(p50, latency.Quantile(0.50))
	v.record(p99, latency.Quantile(0.99))
	v.record(openCPU, micros(latency.Cost.CPUEach()))
	v.record(late, stats.Quantile(latency.Late, 0.99)/1000)
	v.results.latencies(v.round, v.name, latency.Micros)
	return nil
}

const offlineAccounts = 20

func (v *visit) offline(ctx context.Context) error {
	n := min(offlineAccounts, v.target.Accounts/2)
	if v.plan.offline == 0 {
		return nil
	}
	o, err := v.target.Offline(ctx, n, max(1, v.plan.offline/n))
	if load.Unsupported(err) {
		return nil // its column stays empty
	}
	if err != nil {
		return err
	}
	v.record(offlineStoreCPU, micros(o.Store.CPUEach()))
	v.record(offlineStoreRate, o.Store.Rate())
	v.record(offlineGiveCPU, micros(o.GiveBack.CPUEach()))
	v.record(offlineGiveRate, o.GiveBack.Rate())
	return nil
}

func (v *visit) timing(ctx context.Context) error {
	if v.plan.timing == 0 || v.name != servers.SelfName {
		return nil
	}
	timing, err := v.target.Timing(ctx, v.plan.timing)
	if err != nil {
		return err
	}
	v.results.timings = append(v.results.timings, timing)
	return nil
}

// profiling begins a processor profile of the operator, where one is asked for; what it returns waits for its end.
func (v *visit) profiling(what string) func() error {
	if !v.profiled() {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		done <- v.fetch(fmt.Sprintf("profile?seconds=%d", max(1, int(v.profile.Seconds()))), what+".cpu.pprof")
	}()
	return func() error { return errors.Join(<-done, v.heap(what)) }
}

func (v *visit) profiled() bool {
	return v.profile > 0 && v.round == 0 && v.name == servers.SelfName
}

func (v *visit) heap(what string) error {
	if !v.profiled() {
		return nil
	}
	// The text has what the runtime says of stacks and of memory given back, besides.
	return errors.Join(v.fetch("heap", what+".heap.pprof"), v.fetch("allocs", what+".allocs.pprof"), v.fetch("heap?debug=1", what+".heap.txt"))
}

func (v *visit) fetch(path, file string) error {
	ctx, cancel := context.WithTimeout(context.Background(), v.profile+20*time.Second)
	defer cancel()
	text, err := v.pprof(ctx, path)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(v.dir, file), text, 0o644)
}

// pprof reads one of the operator's profiles.
func (v *visit) pprof(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.env.Profile+"/debug/pprof/"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("profile: %s", resp.Status)
	}
	return io.ReadAll(resp.Body)
}
