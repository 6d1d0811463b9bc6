package stream

import (
	"strconv"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Limits bound what connections may cost. A Limits in use is not changed: another takes its place.
type Limits struct {
	// MaxUnauthenticated is how many connections of a Gate may be under negotiation at once, MaxUnauthenticatedAddress how many of those may
	// come from one address, which for IPv6 is a /64 network. 0 stands for any number.
	MaxUnauthenticated, MaxUnauthenticatedAddress int
	// NegotiationTimeout bounds the time from accepting a connection to a bound resource.
	NegotiationTimeout time.Duration
	// Before and After bound what is read before a client has logged in and after that.
	Before, After xmlstream.Limits
	// IdleTimeout ends streams on which nothing arrives for that long, white space included. Zero leaves that to TCP keepalive, which ends
	// connections whose other end is gone, not those that are silent.
	IdleTimeout time.Duration
	// StanzaRate and ByteRate are how many stanzas, and bytes on the network, a session may send a second; 0 stands for any number. What comes
	// faster is read later. FloodTime is how long that may go on before the stream is ended; 0 stands for ever.
	StanzaRate, ByteRate int
	FloodTime            time.Duration
	// MaxPendingOutput is how many bytes may wait for a slow client before its stream is closed.
	MaxPendingOutput int
}

// Defaults of Limits.
const (
	DefaultNegotiationTimeout = 30 * time.Second
	DefaultMaxPendingOutput   = 1 << 20
	DefaultMaxUnauthenticated = 4096
)

// DefaultLimits are those of a listener that is given none: rates are not limited.
func DefaultLimits() *Limits {
	return &Limits{
		MaxUnauthenticated: DefaultMaxUnauthenticated,
		NegotiationTimeout: DefaultNegotiationTimeout,
		Before:             xmlstream.PreAuthLimits(),
		After:              xmlstream.DefaultLimits(),
		MaxPendingOutput:   DefaultMaxPendingOutput,
	}
}

// announce appends the stream feature of XEP-0478 §3.1. No size and no time are limits that nobody needs to know of.
func announce(b []byte, maxBytes int, idle time.Duration) []byte {
	b = append(b, "<limits xmlns='urn:xmpp:stream-limits:0'>"...)
	if maxBytes > 0 {
		b = append(strconv.AppendInt(append(b, "<max-bytes>"...), int64(maxBytes), 10), "</max-bytes>"...)
	}
	if idle > 0 {
		b = append(strconv.AppendInt(append(b, "<idle-seconds>"...), int64(idle/time.Second), 10), "</idle-seconds>"...)
	}
	return append(b, "</limits>"...)
}
