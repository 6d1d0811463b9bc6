package procs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	// Field numbers of proc_pid_stat(5): 14 to 17 are 100, 20, 3 and 4 ticks, 24 is 50 pages. The name may hold anything.
	line := "42 (a) b (c) S 7 42 42 0 -1 0 1 2 3 4 100 20 3 4 20 0 9 0 12345 99999 50 18446744073709551615"
	s, err := parseStat([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if want := (stat{pid: 42, parent: 7, cpu: 1270 * time.Millisecond, threads: 9, rss: 50 * int64(os.Getpagesize())}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	for _, bad := range []string{"", "42", "42 (x) S 7", "42 (x) S x"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is understood", bad)
		}
	}
}

func TestCPUCountsChildren(t *testing.T) {
	ctx := t.Context()
	// The shell does nothing but wait for its child, which works.
	p, err := NewLauncher(ctx).Start(Spec{
		Name: "worker", Path: "/bin/sh", Args: []string{"-c", "(i=0; while [ $i -lt 10000000 ]; do i=$((i+1)); done) & wait"},
		Log: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Stop() }()
	deadline := time.Now().Add(20 * time.Second)
	for {
		used, err := CPU(p.PID())
		if err != nil {
			t.Fatal(err)
		}
		if used > 50*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a working child is not counted: %v", used)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if rss, err := RSS(p.PID()); err != nil || rss < 100<<10 {
		t.Errorf("memory of two shells: %d, %v", rss, err)
	}
}

func TestStopEndsWhatDoesNotWantTo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dir := t.TempDir()
	mark := filepath.Join(dir, "up")
	p, err := NewLauncher(ctx).Start(Spec{
		Name: "stubborn", Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; touch " + mark + "; while :; do sleep 0.05; done"},
		Log: filepath.Join(dir, "log"), Grace: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WaitReady(ctx, func(context.Context) error { _, err := os.Stat(mark); return err }); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("stopping it: %v", err)
	}
	if _, err := readStat(p.PID()); err == nil {
		t.Error("it is still there")
	}
}

func TestWaitReadySaysWhyAProcessEnded(t *testing.T) {
	p, err := NewLauncher(t.Context()).Start(Spec{
		Name: "short", Path: "/bin/sh", Args: []string{"-c", "echo the port is taken >&2; exit 3"}, Log: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = p.WaitReady(t.Context(), Listening("127.0.0.1:1"))
	if err == nil || !strings.Contains(err.Error(), "the port is taken") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	_ = p.Stop()
}

func TestWrapKeepsTheProcessID(t *testing.T) {
	path, args := Wrap("", "/bin/sh", "-c", "echo $$ $(ulimit -n) $(ulimit -Hn)")
	cmd := exec.Command(path, args...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(out))
	if len(f) != 3 || f[1] != f[2] {
		t.Errorf("the limit of open files is %q", out)
	}
	if len(f) > 0 && f[0] != strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("the program runs as %s, was started as %d", f[0], cmd.Process.Pid)
	}
}
