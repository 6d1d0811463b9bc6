package procs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Launcher starts processes that the kernel ends when this program is gone, however that came.
type Launcher struct{ jobs chan func() }

// NewLauncher starts the thread that is the processes' parent: the kernel's signal comes at the end of the thread that started a
// process, so that thread must live as long as the program. It ends with ctx.
func NewLauncher(ctx context.Context) *Launcher {
	l := &Launcher{jobs: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for {
			select {
			case job := <-l.jobs:
				job()
			case <-ctx.Done():
				return
			}
		}
	}()
	return l
}

// Spec is what to start.
type Spec struct {
	Name string
	Path string
	Args []string
	Env  []string // added to the environment
	Log  string   // file that takes what it writes
	CPUs string   // as taskset understands it; empty: all
	// Grace is how long the process may take to end when asked.
	Grace time.Duration
}

// Process is a started one.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Wrap is a command line that raises the limit of open files as far as it goes, keeps to the given processors, and then becomes the
// program: its process id stays.
func Wrap(cpus, path string, args ...string) (string, []string) {
	script := `ulimit -n "$(ulimit -Hn)"; exec "$@"`
	all := append([]string{path}, args...)
	if cpus != "" {
		all = append([]string{"taskset", "--cpu-list", cpus}, all...)
	}
	return "/bin/sh", append([]string{"-c", script, "sh"}, all...)
}

// Start starts a process in a group of its own.
func (l *Launcher) Start(s Spec) (*Process, error) {
	path, args := Wrap(s.CPUs, s.Path, s.Args...)
	if err := os.MkdirAll(filepath.Dir(s.Log), 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(s.Log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	l.jobs <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	p := &Process{spec: s, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the process to end, waits, and kills its group when that takes too long.
func (p *Process) Stop() error {
	grace := p.spec.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	var late error
	select {
	case <-p.done:
	case <-time.After(grace):
		late = fmt.Errorf("%s did not end within %v and was killed", p.spec.Name, grace)
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // and whatever it left behind
	<-p.done
	return late
}

// WaitReady polls until ready answers nil; it gives up when the process ends or ctx does.
func (p *Process) WaitReady(ctx context.Context, ready func(context.Context) error) error {
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended by itself (%w); it wrote: %s", p.spec.Name, errors.Join(p.err, err), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready in time: %w; it wrote: %s", p.spec.Name, err, p.tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *Process) tail() string {
	b, err := os.ReadFile(p.spec.Log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-2000):]))
}

// Listening answers nil when addr takes connections.
func Listening(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// FreePorts returns ports of the loopback interface that nobody listens on.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close() // all stay open until all are found: no port twice
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
