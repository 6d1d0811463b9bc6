package meter

import "testing"

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
	if len(Results()) != int(results) || len(Kinds()) != int(kinds) {
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
	if n := testing.AllocsPerRun(100, func() { m.Stanza(IQ); m.Refuse(Flood); m.Throttle(); m.Connection(); m.Login("PLAIN", Refused) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	var none *Meter
	none.Stanza(IQ)
	none.Refuse(Flood)
	none.Throttle()
	none.Connection()
	none.Login("PLAIN", LoggedIn)
}
