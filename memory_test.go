package main

import (
	"log/slog"
	"math"
	"runtime/debug"
	"testing"
)

// TestLimitMemory: nine tenths of what the container may have, unless GOMEMLIMIT says something.
func TestLimitMemory(t *testing.T) {
	for _, c := range []struct {
		bytes, own string
		want       int64
		fails      bool
	}{
		{"", "", math.MaxInt64, false},
		{"1073741824", "", 966367642, false},
		{"1073741824", "2GiB", math.MaxInt64, false},
		{"1Gi", "", math.MaxInt64, true},
		{"0", "", math.MaxInt64, true},
	} {
		before := debug.SetMemoryLimit(math.MaxInt64)
		t.Setenv("MEMORY_LIMIT_BYTES", c.bytes)
		t.Setenv("GOMEMLIMIT", c.own)
		err := limitMemory(slog.New(slog.DiscardHandler))
		if got := debug.SetMemoryLimit(before); got != c.want || (err != nil) != c.fails {
			t.Errorf("%q with GOMEMLIMIT %q: %d, %v", c.bytes, c.own, got, err)
		}
	}
}
