package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

const (
	// beatEvery is the pause between two looks at the parts that must not hang.
	beatEvery = 5 * time.Second
	// beatWithin is how long a part may take to answer before the process counts as hung. It is far more than a disk needs that is only busy.
	beatWithin = time.Minute
)

// health tells how the process is; no answer depends on the API server once everything declared has been seen.
type health struct {
	directory *directory.Directory
	chat      *xmpp.Server
	heart     *heart
	// remarks are said to those who ask for more, though they keep nobody out.
	remarks func() []string
}

// Live fails when a part of the process hangs, so that only a restart would help.
func (h *health) Live(context.Context) error { return h.heart.hangs() }

// Ready fails while clients would be turned away.
func (h *health) Ready(context.Context) error {
	select {
	case <-h.directory.Synced():
	default:
		return errors.New("the declared resources have not all been read yet")
	}
	return errors.Join(h.chat.Accepting(stream.StartTLS), h.chat.Accepting(stream.DirectTLS))
}

// part is what has to answer now and then.
type part struct {
	name string
	beat func(ctx context.Context)
}

// heart has each part answer, one after the other, for ever. It waits for as long as one takes, so that a part that hangs costs one goroutine.
type heart struct {
	parts []part
	every time.Duration

	mu    sync.Mutex
	at    string // the part that is waited for
	since time.Time
}

// Start runs until ctx ends.
func (h *heart) Start(ctx context.Context) error {
	tick := time.NewTicker(h.every)
	defer tick.Stop()
	for {
		for _, p := range h.parts {
			h.set(p.name)
			p.beat(ctx)
		}
		h.set("")
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (h *heart) set(part string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.since = part, time.Now()
}

// hangs says which part has not answered for too long.
func (h *heart) hangs() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if waited := time.Since(h.since); h.at != "" && waited > beatWithin {
		return fmt.Errorf("%s has not answered for %s", h.at, waited.Round(time.Second))
	}
	return nil
}

// probes answers /healthz and /readyz. With ?verbose, and when the answer is no, it says why.
func (h *health) probes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/healthz", probe("healthz", "live", h.Live, func() []string { return nil }))
	mux.Handle("/readyz", probe("readyz", "chat", h.Ready, h.remarks))
	return mux
}

func probe(name, check string, ask func(context.Context) error, remarks func() []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		err := ask(r.Context())
		verbose := r.URL.Query().Has("verbose")
		var text strings.Builder
		switch {
		case err != nil:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(&text, "[-]%s failed: %s\n", check, strings.ReplaceAll(err.Error(), "\n", "; "))
		case !verbose:
			text.WriteString("ok")
		default:
			fmt.Fprintf(&text, "[+]%s ok\n", check)
		}
		if verbose || err != nil {
			for _, remark := range remarks() {
				fmt.Fprintf(&text, "[!]%s\n", remark)
			}
			outcome := "passed"
			if err != nil {
				outcome = "failed"
			}
			fmt.Fprintf(&text, "%s check %s\n", name, outcome)
		}
		_, _ = w.Write([]byte(text.String()))
	}
}

// probeServer serves the probes. Among the manager's HTTP servers it answers before the caches are full, and until everything else has ended.
func probeServer(ln net.Listener, h *health) *manager.Server {
	return &manager.Server{Name: "health probe", Listener: ln, ShutdownTimeout: new(time.Second), Server: &http.Server{
		Handler: h.probes(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10,
	}}
}
