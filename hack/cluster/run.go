//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/chat-operator/chat-operator/hack/internal/lock"
	"github.com/chat-operator/chat-operator/hack/internal/node"
	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

// commandGrace is how long a command in the cluster may take to end after it was asked to.
const commandGrace = time.Minute

// initFile holds the process id of the first process in the namespaces, as seen from outside, and exists while there is one; readyFile says
// that Pods can run.
func (s *settings) initFile() string  { return filepath.Join(s.Dir, "init") }
func (s *settings) readyFile() string { return filepath.Join(s.Dir, "ready") }

// run is the command `run`: it holds the namespaces from outside. Without a command to run in the cluster it waits for a signal.
func run(ctx context.Context, args []string) (code int, err error) {
	s, err := parseSettings("run", args)
	if err != nil {
		return 2, err
	}
	if err := node.Check(); err != nil {
		return 1, err
	}
	unlock, err := lock.Dir(s.Dir)
	if held := (*lock.HeldError)(nil); errors.As(err, &held) {
		return 1, fmt.Errorf("a cluster runs already in %s (process %s); make cluster-down ends that of make cluster-up", held.Dir, held.PID)
	}
	if err != nil {
		return 1, err
	}
	defer unlock()
	// After a kill these are still there.
	if err := s.clean(); err != nil {
		return 1, err
	}
	if err := node.Prepare(s.Dir); err != nil {
		return 1, errors.Join(err, s.clean())
	}
	contained, err := node.Contain(append([]string{"init"}, s.args...)...)
	if err != nil {
		return 1, errors.Join(err, s.clean())
	}
	if err := os.WriteFile(s.initFile(), []byte(strconv.Itoa(contained.PID())), 0o600); err != nil {
		return 1, err
	}
	context.AfterFunc(ctx, func() {
		fmt.Fprintln(os.Stderr, "\nRemoving the cluster; Ctrl-C again does it at once.")
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		<-again
		contained.Kill()
	})
	code = contained.Wait(ctx, commandGrace+10*time.Second)
	if len(s.command) == 0 && ctx.Err() != nil {
		code = 0 // to be ended is how this one ends
	}
	if code == 0 {
		return 0, errors.Join(s.clean(), os.RemoveAll(s.Dir))
	}
	fmt.Fprintf(os.Stderr, "The logs of the cluster are kept in %s.\n", filepath.Join(s.Dir, "logs"))
	return code, s.clean()
}

// clean removes what a cluster that has ended leaves, all but the logs and the lock.
func (s *settings) clean() error {
	if err := node.RemoveTraces(s.Dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if entry.Name() != "logs" && entry.Name() != "lock" {
			errs = append(errs, os.RemoveAll(filepath.Join(s.Dir, entry.Name())))
		}
	}
	return errors.Join(errs...)
}

// inside is the command `inside`: in the namespaces, it starts the cluster and runs the command.
func inside(ctx context.Context, args []string) (code int, err error) {
	s, err := parseSettings("inside", args)
	if err != nil {
		return 2, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Nobody stops the group: what is in it is of no use to anybody afterwards, and ends with the namespaces.
	group := supervise.New("")
	begin := time.Now()
	fmt.Fprintln(os.Stderr, "Starting a cluster with one node ...")
	n, err := node.Start(ctx, s.Config, group)
	if err != nil {
		return 1, err
	}
	fmt.Fprintf(os.Stderr, "The cluster is ready (%.1f s).\n", time.Since(begin).Seconds())
	if err := os.WriteFile(s.readyFile(), nil, 0o600); err != nil {
		return 1, err
	}
	broken := make(chan error, 1)
	for _, p := range n.Processes() {
		go func() {
			<-p.Done()
			select {
			case broken <- fmt.Errorf("the cluster is broken: %w", p.Failure()):
				cancel()
			default:
			}
		}()
	}
	if len(s.command) > 0 {
		code, err = s.execute(ctx)
	} else {
		<-ctx.Done()
	}
	select {
	case failure := <-broken:
		return max(code, 1), errors.Join(failure, err)
	default:
		return code, err
	}
}

// execute runs the command and returns its exit status.
func (s *settings) execute(ctx context.Context) (int, error) {
	cmd := exec.CommandContext(ctx, s.command[0], s.command[1:]...)
	cmd.Env = s.environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// Asked to end, a suite cleans up first.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = commandGrace
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, fmt.Errorf("run %s in the cluster: %w", s.command[0], err)
	}
	return 0, nil
}
