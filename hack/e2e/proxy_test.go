package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// proxy stands between a program and the API server. It can hold back what watches answer, as a slow network or a busy API
// server would, while everything else goes through.
type proxy struct {
	url string

	mu   sync.Mutex
	open chan struct{} // closed while watches flow
}

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

	p := &proxy{url: "http://" + ln.Addr().String(), open: make(chan struct{})}
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
		if r.URL.Query().Get("watch") == "true" || r.URL.Query().Get("watch") == "1" {
			w = &heldWriter{ResponseWriter: w, proxy: p, request: r}
		}
		forward.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(ln) }()
	DeferCleanup(func() {
		p.release()
		_ = server.Close()
	})
	return p
}

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
