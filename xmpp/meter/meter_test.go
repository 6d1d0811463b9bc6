package meter

import (
	"testing"
	"time"
)

// TestNames: everything that is counted has a name of its own, since metrics are told apart by it.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	name := func(s string) {
		if s == "" || seen[s] {
			t.Errorf("%q is no name, or that of something else", s)
		}
		seen[s] = true
	}
	for _, r := range Reasons() {
		name("reason " + r.String())
	}
	for _, r := range Results() {
		name("result " + r.String())
	}
	for _, k := range Kinds() {
		name("kind " + k.String())
	}
	for _, f := range Fates() {
		name("fate " + f.String())
	}
	if len(Results()) != int(results) || len(Kinds()) != int(kinds) || len(Fates()) != int(fates) {
		t.Error("a list is not complete")
	}
}

// TestMeter: names of mechanisms that are not the server's are not kept, and counting does not allocate.
func TestMeter(t *testing.T) {
	m := New("PLAIN")
	m.Login("PLAIN", LoggedIn)
	for _, name := range []string{"", "X-1", "X-2"} {
		m.Login(name, Failed)
	}
	n := 0
	m.Logins(func(mechanism string, r Result, c *Counter) {
		n++
		want := uint64(0)
		switch {
		case mechanism == "PLAIN" && r == LoggedIn:
			want = 1
		case mechanism == otherMechanism && r == Failed:
			want = 3
		}
		if c.Value() != want {
			t.Errorf("%s %s: %d, want %d", mechanism, r, c.Value(), want)
		}
	})
	if n != 2*len(Results()) {
		t.Errorf("%d counters", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		m.Stanza(IQ, Delivered, time.Millisecond)
		m.Writing(time.Second)
		m.Refuse(Flood)
		m.Throttle()
		m.Connection()
		m.Login("PLAIN", Refused)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	var none *Meter
	none.Stanza(IQ, Stored, time.Second)
	none.Writing(time.Second)
	none.Refuse(Flood)
	none.Throttle()
	none.Connection()
	none.Login("PLAIN", LoggedIn)
}

// TestHistogram: a duration counts below every bound that it does not exceed, and the sum is exact.
func TestHistogram(t *testing.T) {
	h := NewHistogram(time.Millisecond, time.Second)
	for _, d := range []time.Duration{-time.Hour, 0, time.Millisecond, time.Millisecond + 1, time.Second, time.Minute} {
		h.Observe(d)
	}
	count, sum, upTo := h.Read()
	if count != 6 || sum != 2*time.Millisecond+1+time.Second+time.Minute || upTo[time.Millisecond] != 3 || upTo[time.Second] != 5 || len(upTo) != 2 {
		t.Errorf("%d, %v, %v", count, sum, upTo)
	}
	var none *Histogram
	none.Observe(time.Second)
	for _, h := range []*Histogram{Latencies(), Lags()} {
		for i := range h.bounds[1:] {
			if h.bounds[i] >= h.bounds[i+1] {
				t.Errorf("%v is before %v", h.bounds[i], h.bounds[i+1])
			}
		}
	}
}
