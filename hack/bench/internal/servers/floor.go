package servers

import (
	"context"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
)

// floor is the bare relay, as a process of its own.
type floor struct {
	one
	env      *Env
	name     string
	coalesce bool
}

func (f *floor) Name() string                  { return f.name }
func (f *floor) Missing() error                { return nil }
func (f *floor) Prepare(context.Context) error { return nil }

func (f *floor) Start(ctx context.Context) (*load.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ports, err := procs.FreePorts(1)
	if err != nil {
		return nil, err
	}
	args := []string{"relay", "-addr", address(ports[0]), "-domain", Domain, "-cert", f.env.certFile(), "-key", f.env.keyFile()}
	if f.coalesce {
		args = append(args, "-coalesce")
	}
	f.process, err = f.env.Launcher.Start(procs.Spec{
		Name: f.name, Path: f.env.Self, Args: args, Env: []string{RelayPassword + "=" + f.env.Password},
		Log: f.env.log(f.name), CPUs: f.env.CPUs, Grace: 5 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	t := f.env.target(ports[0], f.process.PID())
	return t, f.process.WaitReady(ctx, func(ctx context.Context) error { return probe(ctx, t) })
}

// RelayPassword is the variable of the environment that tells the relay the password of all accounts.
const RelayPassword = "BENCH_RELAY_PASSWORD"
