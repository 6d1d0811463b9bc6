package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// leash gives a program that becomes the one at path, and that the kernel ends when the thread is gone that started it, as with a test that is killed:
// envtest has no way to say so of what it starts, but for the path. Without a setpriv that can do this (util-linux has one), it gives path itself.
func leash(dir, path string) (string, error) {
	if exec.Command("setpriv", "--pdeathsig", "KILL", "true").Run() != nil {
		return path, nil
	}
	script := filepath.Join(dir, filepath.Base(path))
	quoted := "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	return script, os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec setpriv --pdeathsig KILL %s \"$@\"\n", quoted), 0o700)
}

// starter starts processes from one thread, which lives until it is ended: any other may be gone before the process is.
type starter struct {
	work  chan func()
	ended sync.Once
}

func newStarter() *starter {
	s := &starter{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for do := range s.work {
			do()
		}
	}()
	return s
}

// do calls a function that starts processes.
func (s *starter) do(start func() error) error {
	failed := make(chan error, 1)
	s.work <- func() { failed <- start() }
	return <-failed
}

func (s *starter) end() { s.ended.Do(func() { close(s.work) }) }
