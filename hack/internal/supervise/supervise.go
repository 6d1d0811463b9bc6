// Package supervise runs the processes of a development set-up: it starts them one after the other, notices when one
// ends, and stops them in the opposite order. A process started here never outlives the one that started it, where the
// operating system offers that; where it does not, a list of process ids on disk lets the next run end what is left over.
//
// It knows nothing of what the processes are.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Spec describes one process.
type Spec struct {
	// Name is what messages call it.
	Name string
	// Path is the program, Args its arguments without the program's name.
	Path string
	Args []string
	// Env is added to the environment of this process.
	Env []string
	// Dir is the working directory; empty means the present one.
	Dir string
	// Log is the file that takes standard output and standard error. It is begun anew at each start.
	Log string
	// Grace is how long the process may take to end after SIGTERM before it is killed. 0 means 10 s.
	Grace time.Duration
}

// Group is a set of processes with one life.
type Group struct {
	pidFile string
	starts  chan func()
	stopped sync.Once

	mu    sync.Mutex
	procs []*Process
}

// New makes a Group that keeps the list of its processes in pidFile; an empty name keeps none.
// Close ends it.
func New(pidFile string) *Group {
	g := &Group{pidFile: pidFile, starts: make(chan func())}
	ready := make(chan struct{})
	go func() {
		// The kernel ties "end with your parent" to the parent's thread, so one thread that lives as long as
		// the group starts every process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		close(ready)
		for start := range g.starts {
			start()
		}
	}()
	<-ready
	return g
}

// Process is one running or ended process of a Group.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
	err  error // set before done is closed
}

// Start starts a process.
func (g *Group) Start(spec Spec) (*Process, error) {
	if spec.Grace == 0 {
		spec.Grace = 10 * time.Second
	}
	if err := os.MkdirAll(filepath.Dir(spec.Log), 0o700); err != nil {
		return nil, fmt.Errorf("make the log folder of %s: %w", spec.Name, err)
	}
	// What the last run logged may be what somebody is looking for.
	if err := os.Rename(spec.Log, spec.Log+".previous"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("put the last log of %s aside: %w", spec.Name, err)
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", spec.Name, err)
	}
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Dir = spec.Dir
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	// A process group of its own: Ctrl-C in the terminal reaches this program alone, which then stops the
	// others in order.
	cmd.SysProcAttr = attributes()

	p := &Process{spec: spec, cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	g.starts <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	go func() {
		p.err = cmd.Wait()
		_ = log.Close()
		close(p.done)
	}()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.procs = append(g.procs, p)
	return p, g.writePIDs()
}

// Stop stops the processes, last started first, and forgets them. It returns an error naming each that had to be killed.
func (g *Group) Stop() error {
	g.mu.Lock()
	procs := g.procs
	g.procs = nil
	g.mu.Unlock()
	var errs []error
	for i := len(procs) - 1; i >= 0; i-- {
		errs = append(errs, procs[i].Stop())
	}
	if g.pidFile != "" {
		if err := os.Remove(g.pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close stops everything and ends the group; nothing can be started after it.
func (g *Group) Close() error {
	err := g.Stop()
	g.stopped.Do(func() { close(g.starts) })
	return err
}

func (g *Group) writePIDs() error {
	if g.pidFile == "" {
		return nil
	}
	var b strings.Builder
	for _, p := range g.procs {
		path, err := filepath.Abs(p.spec.Path)
		if err != nil {
			path = p.spec.Path
		}
		fmt.Fprintf(&b, "%d %s %s\n", p.PID(), p.spec.Name, path)
	}
	return os.WriteFile(g.pidFile, []byte(b.String()), 0o600)
}

// Name is the name that messages use.
func (p *Process) Name() string { return p.spec.Name }

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is the file with the process's output.
func (p *Process) Log() string { return p.spec.Log }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ExitCode is the exit status of an ended process; -1 while it runs or when a signal ended it.
func (p *Process) ExitCode() int {
	if !p.Ended() {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal; one that comes too late is no error.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.spec.Name, err)
	}
	return nil
}

// Stop ends the process with SIGTERM, and kills it when it is still there after its grace.
func (p *Process) Stop() error {
	if p.Ended() {
		return nil
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(p.spec.Grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("%s did not end within %s of being asked to and was killed; its log is %s", p.spec.Name, p.spec.Grace, p.spec.Log)
	}
}

// Kill ends the process at once and waits until it is gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// Failure describes an ended process with the last lines of its log.
func (p *Process) Failure() error {
	how := "ended"
	if p.err != nil {
		how = "ended with " + p.err.Error()
	}
	return fmt.Errorf("%s %s; the last lines of %s:\n%s", p.spec.Name, how, p.spec.Log, p.Tail(12))
}

// Tail returns the last n lines of the log, indented.
func (p *Process) Tail(n int) string {
	b, err := os.ReadFile(p.spec.Log)
	if err != nil {
		return "    (" + err.Error() + ")"
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return "    " + strings.Join(lines, "\n    ")
}

// WaitReady calls ready again and again until it returns nil. It gives up when ctx ends or the process does, and then says why.
func (p *Process) WaitReady(ctx context.Context, ready func(context.Context) error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.Failure()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (%w); the last lines of %s:\n%s", p.spec.Name, err, ctx.Err(), p.spec.Log, p.Tail(12))
		case <-ticker.C:
		}
	}
}
