package main

import (
	"context"
	"log/slog"
	"math"
	"runtime/debug"
	"testing"
)

// TestLimitMemory: nine tenths of what the container may have for a server, a quarter for a command, unless GOMEMLIMIT says something.
func TestLimitMemory(t *testing.T) {
	for _, c := range []struct {
		bytes, own string
		share      int64
		want       int64
		fails      bool
	}{
		{"", "", serverShare, math.MaxInt64, false},
		{"1000000000", "", serverShare, 900000000, false},
		{"1000000000", "", commandShare, 250000000, false},
		{"1000000000", "2GiB", commandShare, math.MaxInt64, false},
		{"1Gi", "", commandShare, math.MaxInt64, true},
		{"0", "", serverShare, math.MaxInt64, true},
	} {
		before := debug.SetMemoryLimit(math.MaxInt64)
		t.Setenv("MEMORY_LIMIT_BYTES", c.bytes)
		t.Setenv("GOMEMLIMIT", c.own)
		err := limitMemory(slog.New(slog.DiscardHandler), c.share)
		if got := debug.SetMemoryLimit(before); got != c.want || (err != nil) != c.fails {
			t.Errorf("%q with GOMEMLIMIT %q: %d, %v", c.bytes, c.own, got, err)
		}
	}
}

// TestCollectLess: until the start is over or the program ends; GOGC decides where it is set.
func TestCollectLess(t *testing.T) {
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	t.Setenv("GOGC", "")
	usual := percent()
	for _, end := range []func(started chan struct{}, stop context.CancelFunc){
		func(started chan struct{}, _ context.CancelFunc) { close(started) },
		func(_ chan struct{}, stop context.CancelFunc) { stop() },
	} {
		ctx, stop := context.WithCancel(t.Context())
		started := make(chan struct{})
		asUsual := collectLess()
		if got := percent(); got != 400 {
			t.Errorf("while it starts: %d", got)
		}
		end(started, stop)
		asUsual(ctx, started, 0)
		if got := percent(); got != usual {
			t.Errorf("afterwards: %d, before: %d", got, usual)
		}
		stop()
	}
	t.Setenv("GOGC", "50")
	collectLess()
	if got := percent(); got != usual {
		t.Errorf("with GOGC: %d, before: %d", got, usual)
	}
}
