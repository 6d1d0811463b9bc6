package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/chat-operator/chat-operator/hack/internal/markdown"
	"github.com/chat-operator/chat-operator/hack/internal/reader"
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

// newReader makes a checkout whose folder .run is that of a running server, and a reader who sits in it.
func newReader(name, run string, elsewhere ...string) *reader.Reader {
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
	programs := filepath.Join(checkout, "programs")
	reader.Executable(programs, "make", "PATH='"+os.Getenv("PATH")+"' exec make --dry-run --directory='"+root+"' \"$@\" >/dev/null")
	return &reader.Reader{
		Root: root, Dir: checkout, Scratch: work, Path: programs + ":/usr/local/bin:/usr/bin:/bin",
		Elsewhere: strings.NewReplacer(elsewhere...), Runs: runs, Patience: startLimit,
	}
}
