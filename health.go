package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
	// heart has the parts whose standstill ends everything, disk the database: that it hangs is no fault of this process, whose sessions go on.
	heart, disk *heart
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
	return errors.Join(h.disk.hangs(), h.chat.Accepting(stream.StartTLS), h.chat.Accepting(stream.DirectTLS))
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

// starting is how the process is while its parts are put together, which takes as long as a large database or an API server that is away makes
// it take: alive, and not ready.
type starting struct{}

func (starting) Live(context.Context) error  { return nil }
func (starting) Ready(context.Context) error { return errors.New("the process is starting") }

// prober answers /healthz and /readyz. With ?verbose, and when the answer is no, it says why.
type prober struct {
	health atomic.Pointer[health] // nil while the process is starting
	server *http.Server
	done   chan struct{}
}

// serveProbes answers on a listener until stop is called.
func serveProbes(ln net.Listener) *prober {
	p := &prober{done: make(chan struct{})}
	p.server = &http.Server{
		Handler: p.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10,
	}
	go func() { // ends with the server
		defer close(p.done)
		_ = p.server.Serve(ln)
	}()
	return p
}

func (p *prober) stop() {
	_ = p.server.Close()
	<-p.done
}

func (p *prober) handler() http.Handler {
	ask := func(do func(checked) error) func() error {
		return func() error {
			if h := p.health.Load(); h != nil {
				return do(h)
			}
			return do(starting{})
		}
	}
	remarks := func() []string {
		if h := p.health.Load(); h != nil {
			return h.remarks()
		}
		return nil
	}
	ctx := context.Background() // no answer waits for anything
	mux := http.NewServeMux()
	mux.Handle("/healthz", probe("healthz", "live", ask(func(c checked) error { return c.Live(ctx) }), func() []string { return nil }))
	mux.Handle("/readyz", probe("readyz", "chat", ask(func(c checked) error { return c.Ready(ctx) }), remarks))
	return mux
}

// checked is what probes ask.
type checked interface {
	Live(ctx context.Context) error
	Ready(ctx context.Context) error
}

func probe(name, check string, ask func() error, remarks func() []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		err := ask()
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
