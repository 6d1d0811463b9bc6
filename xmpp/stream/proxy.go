package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// The PROXY protocol, versions 1 and 2 (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt): a load balancer that is trusted says, before the
// first byte of the client, from where the client is connected. Whoever is not trusted is never listened to about that: what it sends is a
// stream header or a TLS hello, or an error. Whoever is trusted always has to say it, since guessing would let its clients do so (§2).

const (
	proxyV1    = "PROXY "
	proxyV2    = "\r\n\r\n\x00\r\nQUIT\n"
	maxProxyV1 = 107 // §2.1, with the line's end
	// maxProxyV2 bounds what follows the fixed part, of which the addresses are a few bytes and the rest is skipped.
	maxProxyV2 = 4 << 10
)

var errProxyHeader = errors.New("the PROXY header is malformed")

// readProxyHeader reads the header and not a byte more. No address stands for that of the connection: the proxy connects for itself (LOCAL), or does
// not know (UNKNOWN, or another network).
func readProxyHeader(r io.Reader) (netip.AddrPort, error) {
	b := make([]byte, len(proxyV2), maxProxyV1)
	if n, err := io.ReadFull(r, b); err != nil {
		if n > 0 && err == io.ErrUnexpectedEOF {
			err = errProxyHeader
		}
		return netip.AddrPort{}, err
	}
	switch {
	case string(b) == proxyV2:
		return readProxyV2(r)
	case !bytes.HasPrefix(b, []byte(proxyV1)):
		return netip.AddrPort{}, errProxyHeader
	}
	for b[len(b)-1] != '\n' { // its length is not announced, and what follows is the client's
		if len(b) == maxProxyV1 {
			return netip.AddrPort{}, errProxyHeader
		}
		b = b[:len(b)+1]
		if _, err := io.ReadFull(r, b[len(b)-1:]); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return parseProxyV1(string(b))
}

// parseProxyV1 parses a line such as "PROXY TCP4 192.0.2.1 198.51.100.7 56324 5222" (§2.1).
func parseProxyV1(line string) (netip.AddrPort, error) {
	line, ok := strings.CutSuffix(line, "\r\n")
	f := strings.Split(line, " ")
	switch {
	case ok && f[1] == "UNKNOWN":
		return netip.AddrPort{}, nil
	case !ok || len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6":
		return netip.AddrPort{}, errProxyHeader
	}
	from, err := netip.ParseAddr(f[2])
	to, err2 := netip.ParseAddr(f[3])
	port, err3 := strconv.ParseUint(f[4], 10, 16)
	_, err4 := strconv.ParseUint(f[5], 10, 16)
	four := f[1] == "TCP4"
	if errors.Join(err, err2, err3, err4) != nil || from.Zone() != "" || from.Is4() != four || to.Is4() != four {
		return netip.AddrPort{}, errProxyHeader
	}
	return netip.AddrPortFrom(from.Unmap(), uint16(port)), nil
}

// readProxyV2 reads what follows the signature (§2.2).
func readProxyV2(r io.Reader) (netip.AddrPort, error) {
	var fixed [4]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return netip.AddrPort{}, err
	}
	version, command, family := fixed[0]>>4, fixed[0]&0xf, fixed[1]
	size := int(binary.BigEndian.Uint16(fixed[2:]))
	if version != 2 || command > 1 || size > maxProxyV2 {
		return netip.AddrPort{}, errProxyHeader
	}
	rest := make([]byte, size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return netip.AddrPort{}, err
	}
	var ip int
	switch {
	case command == 0:
		return netip.AddrPort{}, nil // LOCAL, whatever else it says
	case family == 0x11: // TCP over IPv4
		ip = net.IPv4len
	case family == 0x21: // TCP over IPv6
		ip = net.IPv6len
	default:
		return netip.AddrPort{}, nil
	}
	if size < 2*ip+4 {
		return netip.AddrPort{}, errProxyHeader
	}
	from, _ := netip.AddrFromSlice(rest[:ip])
	return netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(rest[2*ip:])), nil
}

// proxied is a connection that a proxy made for a client at another address.
type proxied struct {
	net.Conn
	from net.Addr
}

func (p *proxied) RemoteAddr() net.Addr { return p.from }

func (p *proxied) SyscallConn() (syscall.RawConn, error) {
	if socket, ok := p.Conn.(syscall.Conn); ok {
		return socket.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

func (p *proxied) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// noProxyHeader is what the log says of a trusted proxy that does not speak the protocol.
const noProxyHeader = "a connection from a trusted proxy did not begin with a PROXY header; switch the PROXY protocol on in the proxy, or " +
	"take its address out of the trusted ones"

// comesFrom says that a connection comes from one of the networks, and so begins with a PROXY header.
func comesFrom(raw net.Conn, networks []netip.Prefix) bool {
	if len(networks) == 0 {
		return false
	}
	tcp, ok := raw.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return false
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, network := range networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// proxy reads the PROXY header, and takes the client's address for the connection's from then on. Until then the connection counts for nobody's.
func (n *negotiation) proxy() error {
	c := n.c
	n.mute = true
	from, err := readProxyHeader(c.raw)
	if err != nil {
		if !errors.Is(err, io.EOF) { // a balancer that looks whether the port is open is no fault
			n.cfg.Meter.Refuse(meter.ProxyHeader)
			if c.ln.warnings.due() {
				n.cfg.Log.Warn(noProxyHeader, "remote", c.raw.RemoteAddr().String(), "error", err)
			}
		}
		return errSilent
	}
	if from.IsValid() {
		c.mu.Lock() // Close sets deadlines
		c.raw.Conn = &proxied{c.raw.Conn, net.TCPAddrFromAddrPort(from)}
		c.mu.Unlock()
	}
	n.mute = n.cfg.Mode == DirectTLS
	counts := source(c.raw)
	if !n.cfg.Gate.claim(counts, n.limits) {
		n.cfg.Meter.Refuse(meter.ConnectionsOfAddress)
		c.ln.warnOfMany(meter.ConnectionsOfAddress)
		return stanza.NewStreamError(stanza.StreamResourceConstraint, "") // RFC 6120 §4.9.3.17
	}
	n.from = counts
	return nil
}

// rarely is for messages that could be many.
type rarely struct {
	mu     sync.Mutex
	warned time.Time
}

// due is true once in a while.
func (r *rarely) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.warned) < 10*time.Second {
		return false
	}
	r.warned = time.Now()
	return true
}

// warnOfMany says that connections are turned away.
func (l *Listener) warnOfMany(why meter.Reason) {
	if l.warnings.due() {
		l.cfg.Log.Warn("too many connections that have not logged in yet; new ones are dropped", "address", l.ln.Addr().String(), "reason", why.String())
	}
}
