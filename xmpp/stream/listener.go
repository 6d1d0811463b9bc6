package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Listener accepts the connections of one port and owns them.
type Listener struct {
	cfg Config
	ln  net.Listener
	tls *tls.Config

	endPoint atomic.Pointer[endPoint]
	buffers  sync.Pool // of *buffer
	inputs   sync.Pool // of *input
	readers  xmlstream.Buffers

	wg sync.WaitGroup // one for each goroutine of a connection

	warnings rarely

	mu    sync.Mutex
	conns map[*Conn]struct{}
}

// NewListener makes a Listener of a socket that listens. Serve has to follow, and closes the socket.
func NewListener(ln net.Listener, cfg Config) (*Listener, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	l := &Listener{cfg: cfg, ln: ln, conns: make(map[*Conn]struct{})}
	l.tls = serverTLS(cfg.TLS)
	if cfg.Mode == DirectTLS && len(l.tls.NextProtos) == 0 {
		// XEP-0368: a client that offers protocols has to offer this one; one that offers none is welcome.
		l.tls.NextProtos = []string{"xmpp-client"}
	}
	l.inputs.New = func() any { return new(input) }
	l.buffers.New = func() any { return new(buffer) }
	return l, nil
}

// Addr is where the Listener listens.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Serve accepts connections until ctx ends. Then it stops accepting, closes every stream with system-shutdown (RFC 6120 §4.9.3.20) and returns
// when the last one is over, within a few times CloseTimeout. Its error names the address that cannot be accepted on.
func (l *Listener) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { l.ln.Close() })
	defer stop()
	err := l.accept(ctx)
	l.ln.Close()
	l.drain()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *Listener) accept(ctx context.Context) error {
	for pause := time.Duration(0); ; {
		raw, err := l.ln.Accept()
		if err == nil {
			pause = 0
			l.admit(raw)
			continue
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("the listener on %s was closed: %w", l.ln.Addr(), err)
		}
		// Out of file descriptors, or the client was gone already: neither is a reason to stop serving.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		l.cfg.Log.Error("cannot accept an XMPP connection; trying again", "address", l.ln.Addr().String(), "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// admit starts a connection's negotiation, unless too many are under way already.
func (l *Listener) admit(raw net.Conn) {
	if tcp, ok := raw.(*net.TCPConn); ok {
		// Finds clients that vanished within 4 minutes, and wakes the radios of mobile ones rarely.
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 30 * time.Second, Count: 4})
	}
	l.cfg.Meter.Connection()
	limits, from, proxied := l.cfg.Limits(), source(raw), comesFrom(raw, l.cfg.ProxiesFrom)
	if proxied {
		from = netip.Addr{} // all that is known is where the proxy is
	}
	if why, ok := l.cfg.Gate.enter(from, limits); !ok {
		l.turnAway(raw, why)
		return
	}
	c := newConn(l, raw)
	l.mu.Lock()
	l.conns[c] = struct{}{}
	l.wg.Add(1)
	l.mu.Unlock()
	go c.negotiate(from, proxied)
}

// turnAway closes a connection that there is no place for.
func (l *Listener) turnAway(raw net.Conn, why meter.Reason) {
	l.cfg.Meter.Refuse(why)
	if l.cfg.Mode == StartTLS {
		// RFC 6120 §4.9.1.2, §4.9.3.17. A new connection takes that much at once; if it does not, it hears nothing. A busy machine takes longer than that
		// from setting the deadline to writing.
		_ = raw.SetWriteDeadline(time.Now().Add(time.Second))
		b := append(newHeader(l.cfg.Domain, nil), "<stream:error><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"...)
		_, _ = raw.Write(append(b, endTag...))
	}
	raw.Close()
	l.warnOfMany(why)
}

// countViolation counts a stream error that says that a stanza had the wrong size or shape.
func (l *Listener) countViolation(e *stanza.StreamError) {
	if e.Condition == stanza.StreamPolicyViolation {
		l.cfg.Meter.Refuse(meter.StanzaShape)
	}
}

// Connections is how many connections there are.
func (l *Listener) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

func (l *Listener) remove(c *Conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
}

// drain closes every stream and waits until all are over. Nothing is accepted any more, so that none can come to them.
func (l *Listener) drain() {
	l.mu.Lock()
	conns := make([]*Conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		c.Close(stanza.NewStreamError(stanza.StreamSystemShutdown, "The server is shutting down."))
	}
	l.wg.Wait()
}

// serverTLS turns what the caller configured into what a listener uses.
func serverTLS(base *tls.Config) *tls.Config {
	base = base.Clone()
	cfg := base.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12) // RFC 7590, BCP 195
	cfg.SessionTicketsDisabled = true
	// Output is coalesced, so that small first records would only cost.
	cfg.DynamicRecordSizingDisabled = true
	cfg.Certificates, cfg.NameToCertificate = nil, nil //nolint:staticcheck // cleared so that GetCertificate is asked for every connection
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := certificateFor(base, hello)
		if t, ok := hello.Conn.(*transport); ok && err == nil {
			t.cert = cert
		}
		return cert, err
	}
	return cfg
}

func certificateFor(cfg *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cfg.GetCertificate != nil {
		if cert, err := cfg.GetCertificate(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range cfg.Certificates {
		if hello.SupportsCertificate(&cfg.Certificates[i]) == nil {
			return &cfg.Certificates[i], nil
		}
	}
	if len(cfg.Certificates) > 0 {
		return &cfg.Certificates[0], nil
	}
	return nil, errors.New("there is no TLS certificate for XMPP clients")
}

// endPoint is the tls-server-end-point binding of a certificate; the last one is kept, since one serves nearly all connections.
type endPoint struct {
	cert    *tls.Certificate
	binding auth.ChannelBinding
}

func (l *Listener) endPointBinding(cert *tls.Certificate) auth.ChannelBinding {
	if cert == nil {
		return auth.ChannelBinding{}
	}
	if e := l.endPoint.Load(); e != nil && e.cert == cert {
		return e.binding
	}
	binding, _ := auth.EndPointBinding(cert)
	l.endPoint.Store(&endPoint{cert, binding})
	return binding
}
