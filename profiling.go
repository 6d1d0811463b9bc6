package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"
)

// checkProfiling refuses to serve profiles to others than this machine: a heap profile is a look into memory.
func checkProfiling(address string) error {
	if address == off {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() {
		return fmt.Errorf("--pprof-bind-address %q must be an address of this machine's loopback, such as 127.0.0.1:6060; kubectl port-forward reaches it", address)
	}
	return nil
}

// serveProfiles answers `go tool pprof` until its context ends.
func serveProfiles(ln net.Listener, log *slog.Logger) runnable {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // and the named ones: heap, allocs, goroutine, ...
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	return func(ctx context.Context) error {
		server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
		defer context.AfterFunc(ctx, func() { _ = server.Close() })()
		log.Info("Profiles can be taken", "address", ln.Addr().String())
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving profiles: %w", err)
		}
		return nil
	}
}
