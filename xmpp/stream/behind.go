package stream

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// headerTimeout is what a proxy has to say where its client is. It has nobody to wait for.
const headerTimeout = 10 * time.Second

// BehindProxies has the connections of a listener that come from one of the networks begin with a PROXY header, on the terms of Config.ProxiesFrom: their
// addresses are those of the clients. The header is read when the address is asked for, or the first byte, by whoever asks: a server asks for that
// on the goroutine of the connection, before it sets any deadline.
func BehindProxies(ln net.Listener, networks []netip.Prefix, log *slog.Logger) net.Listener {
	if len(networks) == 0 {
		return ln
	}
	return &behindProxies{Listener: ln, networks: networks, log: log}
}

type behindProxies struct {
	net.Listener
	networks []netip.Prefix
	log      *slog.Logger
	warnings rarely
}

func (b *behindProxies) Accept() (net.Conn, error) {
	raw, err := b.Listener.Accept()
	if err != nil || !comesFrom(raw, b.networks) {
		return raw, err
	}
	return &announced{Conn: raw, ln: b}, nil
}

// announced is a connection that begins with a PROXY header.
type announced struct {
	net.Conn
	ln   *behindProxies
	once sync.Once
	from net.Addr
	err  error
}

func (a *announced) header() {
	a.from = a.Conn.RemoteAddr()
	if a.err = a.SetReadDeadline(time.Now().Add(headerTimeout)); a.err != nil {
		return
	}
	from, err := readProxyHeader(a.Conn)
	if err != nil {
		a.err = err
		if !errors.Is(err, io.EOF) && a.ln.warnings.due() {
			a.ln.log.Warn(noProxyHeader, "remote", a.from.String(), "error", err.Error())
		}
		return
	}
	if from.IsValid() {
		a.from = net.TCPAddrFromAddrPort(from)
	}
	a.err = a.SetReadDeadline(time.Time{})
}

// RemoteAddr is where the client is.
func (a *announced) RemoteAddr() net.Addr {
	a.once.Do(a.header)
	return a.from
}

// Read reads what the client sends.
func (a *announced) Read(b []byte) (int, error) {
	a.once.Do(a.header)
	if a.err != nil {
		return 0, a.err
	}
	return a.Conn.Read(b)
}
