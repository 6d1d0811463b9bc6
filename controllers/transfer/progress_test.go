package transfer

import (
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		bar, quiet bool
		want       string
	}{
		"lines": {false, false, "people: 3 of 4\npeople: 4 of 4\nrooms: 0 of 0\n"},
		"bar": {true, false, "\rpeople             [#######-----------------------] 1/4 " + "\rpeople             [###############---------------] 2/4 " +
			"\rpeople             [######################--------] 3/4 " + "\rpeople             [##############################] 4/4 " +
			"\rpeople             [##############################] 4/4 \n" + "\rrooms              [##############################] 0/0 \n"},
		"quiet": {true, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			at := time.Unix(0, 0)
			p := newProgress(&out, c.quiet)
			p.bar, p.now = c.bar, func() time.Time { return at }
			p.begin("people", 4)
			for range 4 {
				at = at.Add(2 * time.Second)
				p.step()
			}
			p.begin("rooms", 0)
			p.end()
			p.end()
			if out.String() != c.want {
				t.Errorf("got %q, want %q", out.String(), c.want)
			}
		})
	}
}
