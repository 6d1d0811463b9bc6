package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/chat-operator/chat-operator/hack/internal/markdown"
)

// pages are all pages with commands for people, from the top of the repository.
func pages(top string) []string {
	found, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil {
		panic(err)
	}
	list := []string{"README.md", "CONTRIBUTING.md"}
	for _, page := range found {
		list = append(list, filepath.Join("docs", filepath.Base(page)))
	}
	return list
}

// followable says whether a page has commands that a reader here can follow.
func followable(page string) bool {
	p, err := markdown.Read(filepath.Join("..", "..", page))
	if err != nil {
		panic(err)
	}
	return slices.ContainsFunc(p.Blocks, runs)
}

// runs says whether a block is one of commands that need no more than a server on this machine.
func runs(b markdown.Block) bool { return b.Language == "sh" && b.Needs == "" }

// reader is somebody who follows pages, command by command.
type reader struct {
	// checkout is the reader's copy of the repository, where a server runs as after `make run`.
	checkout string
	path     string
	// prelude is what has been done in the reader's shell before the page is opened.
	prelude string
	// elsewhere says where the addresses are that pages name.
	elsewhere *strings.Replacer
}

// moment is what the world does before or after a block, which is found by a part of its text.
type moment struct {
	block  string
	before func()
	after  func(out string)
}

// newReader makes a checkout whose folder .run is that of a running server.
func newReader(name, run string, elsewhere ...string) *reader {
	GinkgoHelper()
	checkout := filepath.Join(work, name)
	Expect(os.MkdirAll(filepath.Join(checkout, "bin"), 0o700)).To(Succeed())
	plugin := newPlugin()
	for link, to := range map[string]string{
		".run": run, "bin/k8s": binaries, "bin/chat-operator": operator, "bin/kubectl-chat": filepath.Join(plugin.dir, "kubectl-chat"),
		"bin/kubectl_complete-chat": filepath.Join(plugin.dir, "kubectl-chat"),
		"config":                    filepath.Join(root, "config"), "charts": filepath.Join(root, "charts"), "docs": filepath.Join(root, "docs"),
	} {
		Expect(os.Symlink(to, filepath.Join(checkout, link))).To(Succeed())
	}
	// What `make` makes is there already. That the Makefile knows the target is what is left to be seen.
	stubs := filepath.Join(checkout, "stubs")
	Expect(os.Mkdir(stubs, 0o700)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(stubs, "make"), fmt.Appendf(nil, "#!/bin/sh\nPATH='%s' exec make --dry-run --directory='%s' \"$@\" >/dev/null\n",
		os.Getenv("PATH"), root), 0o700)).To(Succeed())
	return &reader{checkout: checkout, path: stubs + ":/usr/local/bin:/usr/bin:/bin", elsewhere: strings.NewReplacer(elsewhere...)}
}

// follow does what a page says in one shell. Blocks that need more than a server on this machine are left out; what can be said of those
// without it is seen to in hack/docs.
func (r *reader) follow(page string, moments ...moment) {
	GinkgoHelper()
	p, err := markdown.Read(filepath.Join(root, page))
	Expect(err).NotTo(HaveOccurred())
	sh := r.shell()
	defer sh.end()
	if r.prelude != "" {
		sh.run(r.prelude)
	}
	seen := map[string]bool{}
	for _, block := range p.Blocks {
		if !runs(block) {
			continue
		}
		By(fmt.Sprintf("%s:%d", page, block.Line))
		for _, m := range moments {
			if m.before != nil && strings.Contains(block.Text, m.block) {
				m.before()
			}
		}
		out := sh.run(r.elsewhere.Replace(block.Text))
		for _, m := range moments {
			if strings.Contains(block.Text, m.block) {
				Expect(seen[m.block]).To(BeFalse(), "%q is in several blocks of %s", m.block, page)
				seen[m.block] = true
				if m.after != nil {
					m.after(out)
				}
			}
		}
	}
	for _, m := range moments {
		Expect(seen).To(HaveKey(m.block), "a block of %s that is run", page)
	}
}

// shell is a bash that blocks are typed into.
type shell struct {
	cmd   *exec.Cmd
	in    *os.File
	lines chan string
	dir   string
	count int
}

func (r *reader) shell() *shell {
	GinkgoHelper()
	dir, err := os.MkdirTemp(work, "shell-")
	Expect(err).NotTo(HaveOccurred())
	input, in, err := os.Pipe()
	Expect(err).NotTo(HaveOccurred())
	out, output, err := os.Pipe()
	Expect(err).NotTo(HaveOccurred())
	cmd := exec.Command("bash", "--norc", "--noprofile")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = r.checkout, input, output, output
	cmd.Env = []string{"PATH=" + r.path, "HOME=" + dir, "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	Expect(cmd.Start()).To(Succeed())
	input.Close()
	output.Close()
	s := &shell{cmd: cmd, in: in, lines: make(chan string, 10000), dir: dir}
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
	s.count++
	file := filepath.Join(s.dir, fmt.Sprintf("block-%d.sh", s.count))
	Expect(os.WriteFile(file, []byte(block), 0o600)).To(Succeed())
	done := fmt.Sprintf("-- block %d is done --", s.count)
	_, err := fmt.Fprintf(s.in, "set -e -o pipefail\nsource '%s' </dev/null\nprintf '\\n%%s\\n' '%s'\n", file, done)
	Expect(err).NotTo(HaveOccurred())
	var out strings.Builder
	patience := time.After(startLimit)
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
