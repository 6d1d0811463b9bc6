// Package reader follows pages of documentation as somebody does who has nothing else: command by command, in one shell, and every command has to
// succeed. What is to be seen at that moment is the caller's. It is for suites of Ginkgo, which it fails.
package reader

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/chat-operator/chat-operator/hack/internal/markdown"
)

// Reader is somebody who follows pages.
type Reader struct {
	// Root is the top of the repository, where the pages are; Dir is where the reader's shell begins, which is or looks like it.
	Root, Dir string
	// Scratch is a folder for what shells need: their commands, HOME and TMPDIR.
	Scratch string
	// Path is the PATH, and Env is what there is in the environment besides.
	Path string
	Env  []string
	// Prelude is what has been done in the shell before the page is opened.
	Prelude string
	// Elsewhere says what stands for what pages name: addresses and placeholders.
	Elsewhere *strings.Replacer
	// Runs says which blocks are followed. The others need something that is not here; what can be said of those is seen to in hack/docs.
	Runs func(markdown.Block) bool
	// Patience is how long a block may take.
	Patience time.Duration
}

// Moment is what the world does before, during or after a block, which is found by a part of its text.
type Moment struct {
	Block  string
	Before func()
	// Meanwhile is for a block that stays until somebody ends it: that is done when Meanwhile is.
	Meanwhile func()
	// After is told what the block printed.
	After func(out string)
}

// Follow does what a page, named from the top of the repository, says. Every moment has to come, once.
func (r *Reader) Follow(page string, moments ...Moment) {
	GinkgoHelper()
	p, err := markdown.Read(filepath.Join(r.Root, page))
	Expect(err).NotTo(HaveOccurred())
	sh := r.shell()
	defer sh.end()
	if r.Prelude != "" {
		sh.run(r.Prelude)
	}
	seen := map[string]bool{}
	for _, block := range p.Blocks {
		if !r.Runs(block) {
			continue
		}
		By(fmt.Sprintf("%s:%d", page, block.Line))
		var moment Moment
		for _, m := range moments {
			if strings.Contains(block.Text, m.Block) {
				Expect(moment.Block).To(BeEmpty(), "%q and %q are both of %s:%d", moment.Block, m.Block, page, block.Line)
				Expect(seen[m.Block]).To(BeFalse(), "%q is in several blocks of %s", m.Block, page)
				moment, seen[m.Block] = m, true
			}
		}
		if moment.Before != nil {
			moment.Before()
		}
		text := r.Elsewhere.Replace(block.Text)
		var out string
		if moment.Meanwhile != nil {
			out = sh.during(text, moment.Meanwhile)
		} else {
			out = sh.run(text)
		}
		if moment.After != nil {
			moment.After(out)
		}
	}
	for _, m := range moments {
		Expect(seen).To(HaveKey(m.Block), "a block of %s that is run", page)
	}
}

// Executable writes a script that stands before the program of its name in a PATH that begins with its folder.
func Executable(folder, name, script string) {
	GinkgoHelper()
	Expect(os.MkdirAll(folder, 0o700)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700)).To(Succeed())
}
