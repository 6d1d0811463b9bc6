package transfer

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// report is what became, or would become, of everything that was read in.
type report struct {
	mu     sync.Mutex
	counts map[string]*tally // by what they are of
	lines  []line            // conflicts and failures, for people
	hidden map[string]int    // of those that there were too many of, by what they are of
}

type line struct{ what, text string }

// tally counts outcomes.
type tally struct{ made, same, replaced, conflicts, left, failed, unreached int }

// deletedNames are what is told of names that were deleted here and keep their data for a while.
const deletedNames = "deleted names"

// maxLines bounds what a person is told one by one.
const maxLines = 200

func (r *report) of(what string) *tally {
	if r.counts == nil {
		r.counts = map[string]*tally{}
	}
	t := r.counts[what]
	if t == nil {
		t = &tally{}
		r.counts[what] = t
	}
	return t
}

// add counts an outcome; a text tells of it by itself.
func (r *report) add(what string, count func(*tally), format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	count(r.of(what))
	if format == "" {
		return
	}
	if len(r.lines) >= maxLines {
		if r.hidden == nil {
			r.hidden = map[string]int{}
		}
		r.hidden[what]++
		return
	}
	r.lines = append(r.lines, line{what, fmt.Sprintf(format, args...)})
}

func (r *report) fail(what, format string, args ...any) {
	r.add(what, func(t *tally) { t.failed++ }, format, args...)
}

// take takes back that something was to be made or replaced.
func (r *report) take(what string, a action) {
	r.add(what, func(t *tally) {
		if a == create {
			t.made--
		} else {
			t.replaced--
		}
	}, "")
}

// forgetData keeps what is told of resources: of rows it was of the plan, and is told again as they are written.
func (r *report) forgetData() {
	r.mu.Lock()
	defer r.mu.Unlock()
	ofData := func(what string) bool {
		return !slices.Contains([]string{"Secret", "ChatUser", "ChatGroup", "ChatRoom", "SystemProperty", deletedNames}, what)
	}
	maps.DeleteFunc(r.counts, func(what string, _ *tally) bool { return ofData(what) })
	maps.DeleteFunc(r.hidden, func(what string, _ int) bool { return ofData(what) })
	r.lines = slices.DeleteFunc(r.lines, func(l line) bool { return ofData(l.what) })
}

func (r *report) conflicts() (n int) {
	for _, t := range r.counts {
		n += t.conflicts
	}
	return n
}

// failed is an error when something could not be read in.
func (r *report) failed() error {
	n := 0
	for _, t := range r.counts {
		n += t.failed
	}
	if n == 0 {
		return nil
	}
	them := "them"
	if n == 1 {
		them = "it"
	}
	return fmt.Errorf("%s could not be read in: the list above says why; correct %s, and read the export in again with --on-conflict=skip", counted(n, "thing"), them)
}

// counted is a number with what is counted.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// print writes everything for a person. What is only planned is not said to be done.
func (r *report) print(w io.Writer, planned bool) {
	for _, line := range r.lines {
		fmt.Fprintln(w, line.text)
	}
	hidden := 0
	for _, n := range r.hidden {
		hidden += n
	}
	if hidden > 0 {
		fmt.Fprintf(w, "and %d more\n", hidden)
	}
	made, replaced := "made", "replaced"
	if planned {
		made, replaced = "to be made", "to be replaced"
	}
	for _, what := range slices.Sorted(maps.Keys(r.counts)) {
		t := r.counts[what]
		var parts []string
		for _, part := range []struct {
			n    int
			word string
		}{{t.made, made}, {t.same, "there already"}, {t.replaced, replaced}, {t.conflicts, "in conflict"}, {t.left, "left out"}, {t.failed, "failed"}, {t.unreached, "not begun"}} {
			if part.n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
			}
		}
		if len(parts) > 0 {
			fmt.Fprintf(w, "%s: %s\n", what, strings.Join(parts, ", "))
		}
	}
}
