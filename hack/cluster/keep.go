//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/chat-operator/chat-operator/hack/internal/lock"
	"github.com/chat-operator/chat-operator/hack/internal/node"
)

// up is the command `up`: it starts `run` in the background and returns when Pods can run.
func up(ctx context.Context, args []string) error {
	s, err := parseSettings("up", args)
	if err != nil {
		return err
	}
	if err := errors.Join(node.Check(), os.MkdirAll(filepath.Join(s.Dir, "logs"), 0o700)); err != nil {
		return err
	}
	// Not for the whole start: the one in the background takes the lock.
	unlock, err := lock.Dir(s.Dir)
	if held := (*lock.HeldError)(nil); errors.As(err, &held) {
		return fmt.Errorf("a cluster runs already in %s (process %s); make cluster-down ends it", held.Dir, held.PID)
	}
	if err != nil {
		return err
	}
	// One of an earlier cluster says nothing about this one.
	err = os.Remove(s.readyFile())
	unlock()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.Dir, "logs", "cluster.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, append([]string{"run"}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	fmt.Fprintln(os.Stderr, "Starting a cluster with one node ...")
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	for {
		if _, err := os.Stat(s.readyFile()); err == nil {
			fmt.Fprintf(os.Stderr, "The cluster runs. It is reachable from inside its namespaces alone:\n"+
				"  make cluster-shell         a shell in there, with kubectl, kubectl chat and helm\n"+
				"  make cluster-down          removes it with everything in it\n"+
				"Logs are in %s.\n", filepath.Join(s.Dir, "logs"))
			return nil
		}
		select {
		case <-ended:
			said, err := os.ReadFile(log.Name())
			return errors.Join(fmt.Errorf("the cluster did not start:\n%s", strings.TrimSpace(string(said))), err)
		case <-ctx.Done():
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-ended
			return errors.New("the cluster was interrupted while it started; it is removed")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// down is the command `down`: it has the cluster end, and waits for that.
func down(ctx context.Context, args []string) error {
	s, err := parseSettings("down", args)
	if err != nil {
		return err
	}
	asked := false
	for {
		unlock, err := lock.Dir(s.Dir)
		if err == nil {
			// Nobody is there, or nobody any more. What a killed one has left is removed here.
			defer unlock()
			return errors.Join(node.RemoveTraces(s.Dir), os.RemoveAll(s.Dir))
		}
		held := (*lock.HeldError)(nil)
		if !errors.As(err, &held) {
			return err
		}
		if pid, err := strconv.Atoi(held.PID); err == nil && !asked {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("ask the cluster (process %d) to end: %w", pid, err)
			}
			asked = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster (process %s) has not ended yet", held.PID)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// enter is the command `exec`: it becomes the command, inside the namespaces. It returns only when that fails.
func enter(args []string) error {
	s, err := parseSettings("exec", args)
	if err != nil {
		return err
	}
	if len(s.command) == 0 {
		s.command = []string{"/bin/bash"}
	}
	pid, err := os.ReadFile(s.initFile())
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("no cluster runs in %s; make cluster-up starts one", s.Dir)
	}
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("only root can enter the namespaces of the cluster")
	}
	program, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	argv := append([]string{"nsenter", "--target=" + string(pid), "--net", "--mount", "--pid", "--ipc", "--wd=" + here}, s.command...)
	return syscall.Exec(program, argv, s.environment())
}
