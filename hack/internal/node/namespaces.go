//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Contained is a process of this program as the first one in namespaces of its own.
type Contained struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// Contain runs this program again with args, in namespaces of its own. It calls LockOSThread, and everything inside ends with this
// thread: call it from the goroutine that waits for the end.
func Contain(args ...string) (*Contained, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		// Ctrl-C reaches this process alone, which then has the others end in order; when it is killed, they are.
		Setpgid: true, Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("make namespaces for the cluster: %w", err)
	}
	c := &Contained{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// PID is the process id of the first process, as seen from here.
func (c *Contained) PID() int { return c.cmd.Process.Pid }

// Wait returns the exit status once everything has ended. It asks for the end when ctx does, and insists after grace.
func (c *Contained) Wait(ctx context.Context, grace time.Duration) int {
	select {
	case <-c.done:
		return c.cmd.ProcessState.ExitCode()
	case <-ctx.Done():
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.Kill()
		<-c.done
	}
	return c.cmd.ProcessState.ExitCode()
}

// Kill ends everything at once.
func (c *Contained) Kill() { _ = c.cmd.Process.Kill() }

// Init is the first process of the namespaces: it runs this program once more with args, adopts whom the others leave behind, and ends with
// that program's exit status, which ends everybody else.
func Init(args ...string) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	child, err := os.StartProcess(self, append([]string{self}, args...), &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			_ = child.Signal(s)
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for the processes of the cluster: %w", err)
		case pid != child.Pid:
		case status.Exited():
			return status.ExitStatus(), nil
		default:
			return 0, fmt.Errorf("the cluster ended with %s", status.Signal())
		}
	}
}

// mountPoints are folders outside of the cluster's own that containerd, the CNI plugins and the kubelet write to, whatever they are told. In the
// namespaces each is an empty file system in memory.
var mountPoints = []string{"/run", "/var/lib/kubelet", "/var/lib/cni", "/var/log/containers"}

// makeMountPoints makes those that are missing, and returns them, outer ones first. What it has made is to be removed also after an error.
func makeMountPoints() (made []string, err error) {
	for _, point := range mountPoints {
		var missing []string
		for dir := point; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				break
			}
			missing = append([]string{dir}, missing...)
		}
		for _, dir := range missing {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return made, err
			}
			made = append(made, dir)
		}
	}
	return made, nil
}

// tunables are settings of the whole kernel that the kubelet changes when they differ from these. In the namespaces it finds them so.
var tunables = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// mountOwn gives the mount namespace what makes it independent of the machine's.
func mountOwn() error {
	// Apart from the machine's, and among themselves as container runtimes expect them.
	for _, flag := range []uintptr{syscall.MS_PRIVATE, syscall.MS_SHARED} {
		if err := syscall.Mount("", "/", "", syscall.MS_REC|flag, ""); err != nil {
			return fmt.Errorf("separate the cluster's mounts from the machine's: %w", err)
		}
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, point := range mountPoints {
		if err := syscall.Mount("tmpfs", point, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount a file system in memory at %s: %w", point, err)
		}
	}
	for name, value := range tunables {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); err != nil {
			continue
		}
		file := filepath.Join("/run/tunables", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := syscall.Mount(file, target, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("keep %s as it is: %w", target, err)
		}
	}
	return nil
}
