package stream

import (
	"net"
	"net/netip"
	"sync"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// Gate counts connections that have not bound a resource yet, on all listeners that share it.
type Gate struct {
	mu      sync.Mutex
	pending int
	from    map[netip.Addr]int // those from one address; no entry is 0
}

// NewGate makes a Gate.
func NewGate() *Gate { return &Gate{from: make(map[netip.Addr]int)} }

// Pending is how many connections are under negotiation.
func (g *Gate) Pending() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pending
}

// enter takes a place, unless there is none.
func (g *Gate) enter(from netip.Addr, l *Limits) (why meter.Reason, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.MaxUnauthenticated > 0 && g.pending >= l.MaxUnauthenticated {
		return meter.Connections, false
	}
	if !g.count(from, l) {
		return meter.ConnectionsOfAddress, false
	}
	g.pending++
	return 0, true
}

// claim has a place count for an address, unless that has too many.
func (g *Gate) claim(from netip.Addr, l *Limits) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count(from, l)
}

// count is claim with g.mu held.
func (g *Gate) count(from netip.Addr, l *Limits) bool {
	if !from.IsValid() {
		return true
	}
	if l.MaxUnauthenticatedAddress > 0 && g.from[from] >= l.MaxUnauthenticatedAddress {
		return false
	}
	g.from[from]++
	return true
}

// leave gives a place back.
func (g *Gate) leave(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending--
	if from.IsValid() {
		if g.from[from]--; g.from[from] == 0 {
			delete(g.from, from)
		}
	}
}

// source is the address that a connection counts for. Whoever has one address of an IPv6 network has all 2^64 of it.
func source(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return addr
}
