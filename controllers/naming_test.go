package controllers

import (
	"slices"
	"testing"
)

func TestNaming(t *testing.T) {
	var n naming
	is := func(secret string, want ...string) {
		t.Helper()
		got := n.of(secret)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s is named by %q, not by %q", secret, got, want)
		}
	}
	is("a")
	n.change("ada", "", "a")
	n.change("ben", "", "a")
	n.change("cy", "", "a")
	n.change("dot", "", "d")
	is("a", "ada", "ben", "cy")
	is("d", "dot")
	n.change("ada", "a", "d")
	is("a", "ben", "cy")
	is("d", "ada", "dot")
	n.change("cy", "a", "")
	n.change("cy", "a", "") // told twice
	is("a", "ben")
	n.change("ben", "a", "")
	is("a")
	n.change("dot", "d", "d")
	n.change("dot", "d", "")
	is("d", "ada")
	n.change("ada", "d", "")
	if len(n.first)+len(n.others) > 0 {
		t.Errorf("nothing is named, and %v and %v are kept", n.first, n.others)
	}
}
