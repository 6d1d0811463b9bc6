package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows what is being done and how far it is: one line that is rewritten on a terminal, elsewhere a line every ten seconds.
type progress struct {
	out      io.Writer
	terminal bool
	shown    string
	last     time.Time
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

func (p *progress) say(line string) {
	if line == p.shown {
		return
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K  %s", line)
	} else {
		if time.Since(p.last) < 10*time.Second {
			return
		}
		fmt.Fprintf(p.out, "  %s\n", line)
	}
	p.shown, p.last = line, time.Now()
}

// end leaves the terminal at the start of a clean line.
func (p *progress) end() {
	if p.terminal && p.shown != "" {
		fmt.Fprint(p.out, "\r\033[K")
	}
	p.shown = ""
}
