package main

import (
	"context"
	"crypto/rand"
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
	"github.com/chat-operator/chat-operator/hack/bench/internal/servers"
)

// TestRooms has every measure of rooms taken once, of servers that the benchmark was not made for as well.
func TestRooms(t *testing.T) {
	dir := t.TempDir()
	p := plan{rounds: 1, occupants: 30, roomDuration: time.Second, warm: 200 * time.Millisecond, what: []string{"rooms"}}
	env := &servers.Env{
		Launcher: procs.NewLauncher(context.WithoutCancel(t.Context())), Dir: dir, Accounts: p.accounts(), Password: rand.Text(),
		Mechanism: client.SHA1, Self: filepath.Join(dir, "bench"),
	}
	if out, err := exec.Command("go", "build", "-o", env.Self, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := env.WriteCertificate(); err != nil {
		t.Fatal(err)
	}
	for _, s := range servers.All(env) {
		if s.Name() == servers.SelfName { // needs a control plane
			continue
		}
		t.Run(s.Name(), func(t *testing.T) {
			if err := s.Missing(); err != nil {
				t.Skip(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			r := &runner{plan: p, env: env, servers: []servers.Server{s}, dir: dir, results: newResults(), say: io.Discard}
			if err := r.run(ctx); err != nil {
				t.Fatal(err)
			}
			taken := r.results.values[s.Name()]
			for _, m := range []measure{joinWall, joinCPU, roomCPU, roomRate, roomHalfCPU, roomP50, roomP99, quietP99, besideP50, besideP99} {
				if len(taken[m]) != 1 || taken[m][0] < 0 {
					t.Errorf("%s: %v", m.name, taken[m])
				}
			}
			if taken[roomRate][0] < 100 || taken[roomP99][0] < taken[roomP50][0] {
				t.Errorf("%v deliveries/s, p50 %v ms, p99 %v ms", taken[roomRate], taken[roomP50], taken[roomP99])
			}
		})
	}
}
