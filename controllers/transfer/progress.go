package transfer

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress says how far it is: a bar where a person looks on, a line now and then elsewhere.
type progress struct {
	out   io.Writer
	bar   bool
	quiet bool

	what        string
	done, total int
	shown       time.Time
	now         func() time.Time
}

// How often progress is shown.
const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 5 * time.Second
	barWidth  = 30
)

// newProgress shows progress on out, which is the standard error: the standard output may be the export.
func newProgress(out io.Writer, quiet bool) *progress {
	p := &progress{out: out, quiet: quiet, now: time.Now}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.bar = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return p
}

// begin starts a part of the work; total is 0 where it is not known.
func (p *progress) begin(what string, total int) {
	p.end()
	p.what, p.done, p.total, p.shown = what, 0, total, p.now()
}

// step is one thing done.
func (p *progress) step() {
	p.done++
	every := lineEvery
	if p.bar {
		every = barEvery
	}
	if now := p.now(); now.Sub(p.shown) >= every {
		p.shown = now
		p.show()
	}
}

// end closes the part that was begun last.
func (p *progress) end() {
	if p.what == "" {
		return
	}
	p.show()
	if p.bar && !p.quiet {
		fmt.Fprintln(p.out)
	}
	p.what = ""
}

func (p *progress) show() {
	if p.quiet {
		return
	}
	total := max(p.total, p.done)
	if !p.bar {
		fmt.Fprintf(p.out, "%s: %d of %d\n", p.what, p.done, total)
		return
	}
	filled := barWidth
	if total > 0 {
		filled = barWidth * p.done / total
	}
	fmt.Fprintf(p.out, "\r%-18s [%s%s] %d/%d ", p.what, strings.Repeat("#", filled), strings.Repeat("-", barWidth-filled), p.done, total)
}

// notes are what a person should know at the end, each once.
type notes struct {
	mu    sync.Mutex
	list  []string
	known map[string]bool
}

func (n *notes) add(note string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known[note] {
		return
	}
	if n.known == nil {
		n.known = map[string]bool{}
	}
	n.known[note] = true
	n.list = append(n.list, note)
}
