package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// proxy stands between a program and the API server. It can hold back what watches answer, as a slow network or a busy API
// server would, while everything else goes through; and it can be as if the API server were away, at once or from a certain request on.
type proxy struct {
	url string

	mu   sync.Mutex
	open chan struct{} // closed while watches flow
	// away is whether there is no API server. until is asked about each request, while there is one, whether it goes now.
	away  bool
	until func(*http.Request) departure
	// fails is asked which requests fail alone, while the API server stays for all others.
	fails func(*http.Request) departure
	under map[*http.Request]context.CancelFunc // those under way
}

// departure is when the API server goes, if it does.
type departure int

const (
	stays departure = iota
	goesBefore
	goesAfter // it has done what was asked, but doesn't say so any more
	lingers   // it does nothing, and says so to nobody, until whoever asked has lost patience
)

func newProxy(identity tls.Certificate) *proxy {
	GinkgoHelper()
	target, err := url.Parse(cluster.URL())
	Expect(err).NotTo(HaveOccurred())
	ca, err := os.ReadFile(cluster.CA())
	Expect(err).NotTo(HaveOccurred())
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM(ca)).To(BeTrue())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())

	p := &proxy{url: "http://" + ln.Addr().String(), open: make(chan struct{}), under: map[*http.Request]context.CancelFunc{}}
	close(p.open)
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Header.Del("Authorization") },
		FlushInterval: -1,
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{identity}},
			MaxIdleConnsPerHost: 32,
		},
		// A refused connection is passed on as a broken one: that is what the program would see without the proxy.
		ErrorLog:     log.New(GinkgoWriter, "proxy: ", 0),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, ended, away, goes := p.begin(r)
		defer ended()
		fails := p.failing(r)
		switch {
		case away || fails == goesBefore:
			http.Error(w, "there is no API server", http.StatusServiceUnavailable) // as what balances load says it
			return
		case fails == goesAfter:
			answer := httptest.NewRecorder()
			forward.ServeHTTP(answer, r)
			if answer.Code < http.StatusBadRequest {
				panic(http.ErrAbortHandler)
			}
			// It has not done it, since somebody else had just changed the same thing: whoever asked tries again.
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
			return
		case fails == lingers:
			<-r.Context().Done()
			return
		}
		if goes == goesAfter {
			forward.ServeHTTP(discard{http.Header{}}, r)
			p.goAway()
			panic(http.ErrAbortHandler)
		}
		if r.URL.Query().Get("watch") == "true" || r.URL.Query().Get("watch") == "1" {
			w = &heldWriter{ResponseWriter: w, proxy: p, request: r}
		}
		forward.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(ln) }()
	DeferCleanup(func() {
		p.comeBack()
		p.release()
		_ = server.Close()
	})
	return p
}

// begin looks at a request. It breaks the connection of the one that the API server does not live to see.
func (p *proxy) begin(r *http.Request) (_ *http.Request, ended func(), away bool, goes departure) {
	p.mu.Lock()
	if !p.away && p.until != nil {
		if goes = p.until(r); goes != stays {
			p.until = nil
		}
	}
	away = p.away
	ctx, cancel := context.WithCancel(r.Context())
	r = r.WithContext(ctx)
	if goes != goesAfter {
		p.under[r] = cancel
	}
	p.mu.Unlock()
	ended = func() {
		p.mu.Lock()
		delete(p.under, r)
		p.mu.Unlock()
		cancel()
	}
	if goes == goesBefore {
		p.goAway()
		ended()
		panic(http.ErrAbortHandler)
	}
	return r, ended, away, goes
}

// goAway breaks all that is under way, and lets nothing through until comeBack.
func (p *proxy) goAway() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
	for _, cancel := range p.under {
		cancel()
	}
}

// goAwayAt is goAway once a request says so.
func (p *proxy) goAwayAt(until func(*http.Request) departure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = until
}

// failWhere has requests fail, each by itself; nil: none.
func (p *proxy) failWhere(fails func(*http.Request) departure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails = fails
}

// failing looks at whether a request fails.
func (p *proxy) failing(r *http.Request) departure {
	p.mu.Lock()
	fails := p.fails
	p.mu.Unlock()
	if fails == nil {
		return stays
	}
	return fails(r)
}

func (p *proxy) isAway() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}

func (p *proxy) comeBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away, p.until, p.fails = false, nil, nil
}

// discard is a caller to whom nothing gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// hold keeps back everything that watches answer from now on; release lets it go, in order.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

func (p *proxy) gate() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

type heldWriter struct {
	http.ResponseWriter
	proxy   *proxy
	request *http.Request
}

func (w *heldWriter) Write(b []byte) (int, error) {
	select {
	case <-w.proxy.gate():
		return w.ResponseWriter.Write(b)
	case <-w.request.Context().Done():
		return 0, w.request.Context().Err()
	}
}

// Unwrap lets the reverse proxy flush each event at once.
func (w *heldWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
