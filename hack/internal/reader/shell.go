package reader

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// shell is a bash that blocks are typed into.
type shell struct {
	cmd      *exec.Cmd
	in       *os.File
	lines    chan string
	dir      string
	count    int
	patience time.Duration
}

func (r *Reader) shell() *shell {
	GinkgoHelper()
	dir, err := os.MkdirTemp(r.Scratch, "shell-")
	Expect(err).NotTo(HaveOccurred())
	input, in, err := os.Pipe()
	Expect(err).NotTo(HaveOccurred())
	out, output, err := os.Pipe()
	Expect(err).NotTo(HaveOccurred())
	cmd := exec.Command("bash", "--norc", "--noprofile")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = r.Dir, input, output, output
	cmd.Env = append([]string{"PATH=" + r.Path, "HOME=" + dir, "TMPDIR=" + dir}, r.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	Expect(cmd.Start()).To(Succeed())
	input.Close()
	output.Close()
	s := &shell{cmd: cmd, in: in, lines: make(chan string, 10000), dir: dir, patience: r.Patience}
	go func() {
		defer out.Close()
		defer close(s.lines)
		scanner := bufio.NewScanner(out)
		scanner.Buffer(nil, 1<<24)
		for scanner.Scan() {
			s.lines <- scanner.Text()
		}
	}()
	return s
}

// run runs a block, every command of which has to succeed, and gives what it printed.
func (s *shell) run(block string) string {
	GinkgoHelper()
	return s.enter(block, "source '%s' </dev/null\n")
}

// during runs a block beside what is done meanwhile, and then ends it.
func (s *shell) during(block string, meanwhile func()) string {
	GinkgoHelper()
	// With job control, its processes are a group of their own.
	begun := s.enter(block, "set -m\nsource '%s' </dev/null &\nset +m\n")
	meanwhile()
	return begun + s.enter("", "source '%s'\nkill -- -$!\nwait $! || true\n")
}

// enter enters commands, in which the name of a file with the block stands, and gives what was printed until they ended.
func (s *shell) enter(block, commands string) string {
	GinkgoHelper()
	s.count++
	file := filepath.Join(s.dir, fmt.Sprintf("block-%d.sh", s.count))
	Expect(os.WriteFile(file, []byte(block), 0o600)).To(Succeed())
	done := fmt.Sprintf("-- block %d is done --", s.count)
	_, err := fmt.Fprintf(s.in, "set -e -o pipefail\n"+commands+"printf '\\n%%s\\n' '%s'\n", file, done)
	Expect(err).NotTo(HaveOccurred())
	var out strings.Builder
	patience := time.After(s.patience)
	for {
		select {
		case line, more := <-s.lines:
			if !more {
				Fail(fmt.Sprintf("A command of this block failed:\n%s\nIt printed:\n%s", block, out.String()))
			}
			if line == done {
				return out.String()
			}
			out.WriteString(line + "\n")
		case <-patience:
			Fail(fmt.Sprintf("This block does not end:\n%s\nIt printed:\n%s", block, out.String()))
		}
	}
}

// end ends the shell with all that it has started.
func (s *shell) end() {
	s.in.Close()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	_ = s.cmd.Wait()
}
