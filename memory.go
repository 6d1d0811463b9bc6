package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
)

// memoryLimit is the environment variable with the memory that the container may have, in bytes, as Kubernetes gives it by a resourceFieldRef.
const memoryLimit = "MEMORY_LIMIT_BYTES"

// limitMemory has the garbage collector work harder before the container is killed: from 90 % of what it may have. GOMEMLIMIT wins.
func limitMemory(log *slog.Logger) error {
	text := os.Getenv(memoryLimit)
	if text == "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	limit, err := strconv.ParseInt(text, 10, 64)
	if err != nil || limit <= 0 {
		return fmt.Errorf("%s is %q, and has to be a number of bytes", memoryLimit, text)
	}
	limit -= limit / 10
	debug.SetMemoryLimit(limit)
	log.Debug("The memory of the program is limited", "bytes", limit)
	return nil
}
