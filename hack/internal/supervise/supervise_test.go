package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the child: `helper` in the environment says what it does.
func TestMain(m *testing.M) {
	switch os.Getenv("SUPERVISE_HELPER") {
	case "":
		os.Exit(m.Run())
	case "sleep":
		fmt.Println("started")
		time.Sleep(time.Minute)
	case "fail":
		fmt.Println("Port 5222 is in use")
		os.Exit(3)
	case "parent":
		// A supervisor that gets killed: it starts a child and says its id.
		g := New(os.Getenv("SUPERVISE_PIDS"))
		p, err := g.Start(Spec{Name: "child", Path: os.Args[0], Env: []string{"SUPERVISE_HELPER=sleep"}, Log: os.Getenv("SUPERVISE_PIDS") + ".log"})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		time.Sleep(time.Minute)
	}
}

func self(t *testing.T, name, helper string) Spec {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Name: name, Path: path, Env: []string{"SUPERVISE_HELPER=" + helper}, Log: filepath.Join(t.TempDir(), name+".log")}
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestStopEndsEveryProcessAndForgetsThem(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	g := New(pids)
	var procs []*Process
	for _, name := range []string{"first", "second"} {
		p, err := g.Start(self(t, name, "sleep"))
		if err != nil {
			t.Fatal(err)
		}
		procs = append(procs, p)
	}
	if b, err := os.ReadFile(pids); err != nil || strings.Count(string(b), "\n") != 2 {
		t.Fatalf("the list of processes holds %q (%v), want two lines", b, err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if !gone(p.PID()) {
			t.Errorf("%s still runs", p.Name())
		}
	}
	if _, err := os.Stat(pids); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the list of processes is still there: %v", err)
	}
}

func TestWaitReadySaysWhyAProcessEnded(t *testing.T) {
	g := New("")
	defer g.Close()
	p, err := g.Start(self(t, "operator", "fail"))
	if err != nil {
		t.Fatal(err)
	}
	err = p.WaitReady(t.Context(), func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "Port 5222 is in use") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the last lines of its log and its exit status", err)
	}
	if p.ExitCode() != 3 {
		t.Errorf("exit code %d, want 3", p.ExitCode())
	}
}

func TestAKilledSupervisorLeavesNothingThatTheNextCannotEnd(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pids := filepath.Join(t.TempDir(), "pids")
	parent := exec.Command(path)
	parent.Env = append(os.Environ(), "SUPERVISE_HELPER=parent", "SUPERVISE_PIDS="+pids)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	if _, err := EndLeftovers(pids); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); !gone(child) && runs(child, path); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", child)
		}
	}
	if _, err := os.Stat(pids); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the list of processes is still there: %v", err)
	}
}

func TestEndLeftoversSparesAnotherProgramWithThatProcessID(t *testing.T) {
	g := New("")
	defer g.Close()
	p, err := g.Start(self(t, "bystander", "sleep"))
	if err != nil {
		t.Fatal(err)
	}
	pids := filepath.Join(t.TempDir(), "pids")
	if err := os.WriteFile(pids, fmt.Appendf(nil, "%d etcd /somewhere/else/etcd\n", p.PID()), 0o600); err != nil {
		t.Fatal(err)
	}
	ended, err := EndLeftovers(pids)
	if err != nil || len(ended) != 0 {
		t.Errorf("ended %v (%v), want none", ended, err)
	}
	if p.Ended() {
		t.Error("the bystander was ended")
	}
}
