package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// EndLeftovers ends processes that pidFile names and that still run, and removes the file. It is for the start after a run
// that was killed. A process id that now belongs to another program is left alone. It returns the names of those ended.
func EndLeftovers(pidFile string) ([]string, error) {
	b, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of processes of the last run: %w", err)
	}
	var ended []string
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		fields := strings.SplitN(lines[i], " ", 3)
		if len(fields) != 3 {
			continue // a line cut short by the kill
		}
		pid, err := strconv.Atoi(fields[0])
		if err != nil || pid <= 1 || !runs(pid, fields[2]) {
			continue
		}
		if err := end(pid, fields[2]); err != nil {
			return ended, fmt.Errorf("end %s (process %d), left over from an earlier run: %w", fields[1], pid, err)
		}
		ended = append(ended, fmt.Sprintf("%s (process %d)", fields[1], pid))
	}
	return ended, os.Remove(pidFile)
}

// runs reports whether process pid exists and is the program at path.
func runs(pid int, path string) bool {
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
		// A rebuilt program leaves its old process with a path marked so.
		return strings.TrimSuffix(exe, " (deleted)") == path
	}
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		return false // there is a /proc, and it does not know the process
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.HasPrefix(strings.TrimSpace(string(out)), path)
}

func end(pid int, path string) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if !runs(pid, path) {
			return nil
		}
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}
