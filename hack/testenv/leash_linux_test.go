package testenv_test

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/hack/testenv"
)

// abandoned has this test program be one that starts an environment and never comes to its end.
const abandoned = "CHAT_OPERATOR_TEST_ABANDONED"

// A test program that is killed leaves no server behind, neither one that it started nor one that it started again.
func TestServersEndWithTheirProcess(t *testing.T) {
	if os.Getenv(abandoned) != "" {
		e, err := testenv.Start(testenv.Options{ControllerManager: true})
		if err == nil {
			err = e.StopAPIServer()
		}
		if err == nil {
			err = e.StartAPIServer()
		}
		fmt.Println("started:", err)
		select {}
	}
	if exec.Command("setpriv", "--pdeathsig", "KILL", "true").Run() != nil {
		t.Skip("there is no setpriv here that has processes end with others")
	}
	scratch := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), abandoned+"=yes", "TMPDIR="+scratch)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "started: ") {
	}
	started, servers := lines.Text(), childrenOf(t, cmd.Process.Pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	// A controller manager whose API server goes away early may have given up.
	names := slices.Collect(maps.Values(servers))
	if started != "started: <nil>" || !slices.Contains(names, "etcd") || !slices.Contains(names, "kube-apiserver") {
		t.Errorf("%q, with the servers %v", started, names)
	}
	for deadline := time.Now().Add(10 * time.Second); len(servers) > 0; time.Sleep(10 * time.Millisecond) {
		for pid, name := range servers {
			if state, _ := stat(pid); state == "" || state == "Z" {
				delete(servers, pid)
			} else if time.Now().After(deadline) {
				t.Fatalf("%s (process %d) is still there", name, pid)
			}
		}
	}
}

// childrenOf are the processes that a process has started, by their names.
func childrenOf(t *testing.T, parent int) map[int]string {
	t.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	children := map[int]string{}
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			t.Fatal(err)
		}
		if state, of := stat(pid); state != "" && state != "Z" && of == parent {
			name, _ := os.ReadFile(filepath.Join(folder, "comm"))
			children[pid] = strings.TrimSpace(string(name))
		}
	}
	return children
}

// stat is the state of a process and its parent (proc_pid_stat(5)); without a state, it is gone.
func stat(pid int) (state string, parent int) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	_, rest, _ := strings.Cut(string(content), ") ")
	fields := strings.Fields(rest)
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}
