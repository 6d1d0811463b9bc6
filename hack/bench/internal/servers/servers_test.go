package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
)

// The generator stays honest by running against servers that it was not made for, too.

// accounts are so many that logging all in takes some ticks of the operating system's clock.
const accounts = 200

func environment(t *testing.T, m client.Mechanism) *Env {
	t.Helper()
	dir := t.TempDir()
	e := &Env{
		Launcher: procs.NewLauncher(context.WithoutCancel(t.Context())), Dir: dir, Accounts: accounts, Password: rand.Text(), Mechanism: m,
		Self: filepath.Join(dir, "bench"),
	}
	if err := e.WriteCertificate(); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", e.Self, "../..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return e
}

func start(t *testing.T, ctx context.Context, s Server) *load.Target {
	t.Helper()
	if err := s.Missing(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	target, err := s.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// drive does a little of everything.
func drive(t *testing.T, ctx context.Context, target *load.Target, offline bool) {
	t.Helper()
	sessions, cost, err := target.Login(ctx, 0, target.Accounts)
	if err != nil {
		t.Fatal(err)
	}
	if cost.CPU <= 0 || cost.Units != target.Accounts {
		t.Errorf("the logins cost %+v", cost)
	}
	base, err := procs.RSS(target.PID)
	if err != nil || base <= 0 {
		t.Errorf("memory %d, %v", base, err)
	}
	sessions.Close()

	pairs, err := target.StartPairs(ctx, 5, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer pairs.Stop()
	cost, err = pairs.Closed(ctx, 200*time.Millisecond, 500*time.Millisecond)
	if err != nil || cost.Units < 100 {
		t.Errorf("the closed loop: %+v, %v", cost, err)
	}
	latency, err := pairs.Open(ctx, 200, 100*time.Millisecond, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(latency.Micros) != 200 || len(latency.Late) != 200 {
		t.Errorf("a second at 200 a second has times of %d messages and %d of the generator", len(latency.Micros), len(latency.Late))
	}
	if p50, p99 := latency.Quantile(0.5), latency.Quantile(0.99); p50 <= 0 || p99 < p50 {
		t.Errorf("p50 %v ms, p99 %v ms", p50, p99)
	}
	pairs.Stop()

	o, err := target.Offline(ctx, 2, 20)
	switch {
	case !offline:
		if !load.Unsupported(err) {
			t.Errorf("offline messages, which this server does not keep: %+v, %v", o, err)
		}
	case err != nil || o.Store.Units != 40 || o.GiveBack.Units != 40:
		t.Errorf("offline messages: %+v, %v", o, err)
	}

	wrong := *target
	wrong.Password += "x"
	if _, _, err := wrong.Login(ctx, 0, 1); !errors.Is(err, client.ErrLogin) {
		t.Errorf("with a wrong password: %v", err)
	}
}

// driveRooms does a little of everything in rooms.
func driveRooms(t *testing.T, ctx context.Context, target *load.Target) {
	t.Helper()
	const occupants, quiet = 30, 3
	busy, joining, err := target.Enter(ctx, "busy", 0, occupants, 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Abandon()
	if joining.Units != occupants || joining.Wall <= 0 {
		t.Errorf("entering cost %+v", joining)
	}
	cost, err := busy.Closed(ctx, 200*time.Millisecond, 500*time.Millisecond)
	if err != nil || cost.Units < 10*occupants {
		t.Errorf("the flooded room: %+v, %v", cost, err)
	}
	latency, err := busy.Open(ctx, 50, 100*time.Millisecond, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(latency.Micros) != 50*occupants || latency.Quantile(0.5) <= 0 {
		t.Errorf("a second at 50 a second has times of %d deliveries to %d occupants, p50 %v ms", len(latency.Micros), occupants, latency.Quantile(0.5))
	}
	other, _, err := target.Enter(ctx, "quiet", occupants, quiet, quiet, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Abandon()
	err = busy.Flood(ctx, func() (err error) {
		latency, err = other.Open(ctx, 20, 0, time.Second)
		return err
	})
	if err != nil || len(latency.Micros) != 20*quiet {
		t.Errorf("the quiet room has times of %d deliveries, %v", len(latency.Micros), err)
	}
	busy.Abandon()
	other.Abandon()
	if _, err := target.ManyRooms(ctx, 20, 50, 4, 0); err != nil {
		t.Errorf("many rooms: %v", err)
	}
}

func TestFloor(t *testing.T) {
	for _, m := range []client.Mechanism{client.SHA1, client.SHA256} {
		for _, coalesce := range []bool{false, true} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			e := environment(t, m)
			target := start(t, ctx, &floor{env: e, name: "floor", coalesce: coalesce})
			drive(t, ctx, target, false)
			if m == client.SHA1 {
				driveRooms(t, ctx, target)
			}
		}
	}
}

func TestProsody(t *testing.T) {
	for _, m := range []client.Mechanism{client.SHA1, client.SHA256} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		e := environment(t, m)
		target := start(t, ctx, &prosody{env: e})
		drive(t, ctx, target, true)
		if m == client.SHA1 {
			driveRooms(t, ctx, target)
		}
	}
}

func TestEjabberd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	e := environment(t, client.SHA1)
	target := start(t, ctx, &ejabberd{env: e})
	drive(t, ctx, target, true)
	driveRooms(t, ctx, target)
}

func TestMissingProgramsAreNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, s := range []Server{&prosody{}, &ejabberd{}, &operator{env: &Env{Repo: t.TempDir(), Operator: filepath.Join(t.TempDir(), "none")}}} {
		if err := s.Missing(); err == nil {
			t.Errorf("%s: nothing is missing", s.Name())
		}
	}
}
