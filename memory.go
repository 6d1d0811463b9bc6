package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// memoryLimit is the environment variable with the memory that the container may have, in bytes, as Kubernetes gives it by a resourceFieldRef.
const memoryLimit = "MEMORY_LIMIT_BYTES"

// Shares of the container's memory, in percent.
const (
	// serverShare leaves room for what is not of the Go heap.
	serverShare = 90
	// commandShare is that of a command, which often runs beside a server in its container.
	commandShare = 25
)

// limitMemory has the garbage collector work harder before the container is killed: from a share of what it may have. GOMEMLIMIT wins.
func limitMemory(log *slog.Logger, share int64) error {
	text := os.Getenv(memoryLimit)
	if text == "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	limit, err := strconv.ParseInt(text, 10, 64)
	if err != nil || limit <= 0 {
		return fmt.Errorf("%s is %q, and has to be a number of bytes", memoryLimit, text)
	}
	limit = limit / 100 * share
	debug.SetMemoryLimit(limit)
	log.Debug("The memory of the program is limited", "bytes", limit)
	return nil
}

// startGCPercent is how much the heap may grow between two collections while a start reads what is declared: nearly all of it stays, and a heap that
// doubles from nothing is collected again and again for nothing.
const startGCPercent = 400

// afterStart is how long a start lasts beyond the moment at which everything declared has been read: what is kept has been kept, clients come back, and what
// collects or looks at thousands of accounts would take the processors from them.
const afterStart = 5 * time.Second

// collectLess has the garbage collector work less from now on. What it returns ends that when a start has been over for a while. GOGC wins.
func collectLess() func(ctx context.Context, started <-chan struct{}, patience time.Duration) {
	if os.Getenv("GOGC") != "" {
		return func(context.Context, <-chan struct{}, time.Duration) {}
	}
	usual := debug.SetGCPercent(startGCPercent)
	return func(ctx context.Context, started <-chan struct{}, patience time.Duration) {
		defer debug.SetGCPercent(usual)
		select {
		case <-started:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(patience):
		case <-ctx.Done():
		}
	}
}
