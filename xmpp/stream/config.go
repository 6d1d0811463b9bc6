// Package stream carries XMPP streams of clients (RFC 6120 §4) over TCP: from the accepted connection through TLS, SASL and resource
// binding to a bound session, and from there the elements in and the bytes out until both sides have closed.
//
// A connection is negotiated on one goroutine, which ends there; a fresh one with a small stack reads from then on. Output is
// appended to a bounded buffer and written by a goroutine that exists only while there is something to write, so that an idle session costs
// one goroutine and no output buffer, and nobody who sends ever waits for a slow client.
package stream

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Mode says how a listener's connections become encrypted.
type Mode uint8

const (
	// StartTLS listeners speak XMPP in the clear until the client asks for TLS, which it has to before anything else (RFC 6120 §5).
	StartTLS Mode = iota
	// DirectTLS listeners speak TLS from the first byte (XEP-0368).
	DirectTLS
)

// Defaults of Config.
const (
	DefaultWriteTimeout = 30 * time.Second
	DefaultCloseTimeout = 3 * time.Second
)

// maxTries is how many failed attempts to log in one stream is allowed (RFC 6120 §6.4.5: at least two, at most five).
const maxTries = 5

// Config says what a Listener serves.
type Config struct {
	// Domain is the prepared domain, the only one that stream headers may be addressed to.
	Domain string
	Mode   Mode
	// TLS has the certificate, best by GetCertificate: it is asked for each connection, so that a new one serves from then on and connections
	// that are open stay. The minimum version is raised to TLS 1.2; session tickets are off, since a resumed connection presents no
	// certificate to bind to.
	TLS     *tls.Config
	Auth    *auth.Server
	Backend Backend
	// Limits gives the limits in force; nil stands for DefaultLimits. It is asked often, and must not wait.
	Limits func() *Limits
	// Gate counts the connections that have not logged in; listeners with one Gate count together. nil stands for one of its own.
	Gate *Gate
	// ProxiesFrom are the networks of load balancers whose connections begin with a PROXY header, which says where the client is.
	ProxiesFrom []netip.Prefix
	// LoginFailed hears of each login that is refused, but for those that come too fast: the account that was tried, empty when there is none of that
	// name, the mechanism, the SASL condition, and from where. It must not block. nil: nobody hears.
	LoginFailed func(username, mechanism, reason, address string)
	// Meter counts what happens; nil counts nothing.
	Meter *meter.Meter
	// Features gives further features for authenticated streams, serialized: what XEP-0115 and RFC 6121 §2.6.1 announce, for example.
	Features func() []byte
	Log      *slog.Logger

	// WriteTimeout is how long a client may take none of what is written to it.
	WriteTimeout time.Duration
	// CloseTimeout bounds how long closing waits: for what is left to be written, and then for the client to close.
	CloseTimeout time.Duration
}

// Backend is where sessions live.
type Backend interface {
	// Bind gives the connection a resource (RFC 6120 §7). The username is the prepared one that has logged in, empty for an anonymous client; the
	// resource is prepared, empty when the server is to choose. What is sent to c from here on follows the answer to the client.
	Bind(c *Conn, username, resource string) (Session, *stanza.Error)
}

// Session is a bound resource.
type Session interface {
	// JID is the full JID.
	JID() jid.JID
	// Receive takes one element from the client, on the connection's goroutine. It is valid until Receive returns. An error ends the stream.
	Receive(e xmlstream.Element) *stanza.StreamError
	// Closed is called exactly once, when the connection is over and Receive will not be called again. Lost says that the stream was not ended for
	// good, neither by the client nor for a fault of it: the connection broke, took nothing more, or fell silent (XEP-0198 §7).
	Closed(lost bool)
}

// Resumer is a Backend whose sessions outlive their connections (XEP-0198 §5).
type Resumer interface {
	Backend
	// Resume gives the connection of the user who has logged in a session that was there before. request is a resume element. What is sent to c from
	// here on follows reply. Without a session, reply says why not, and the client may go on to bind a resource; an error ends the stream.
	Resume(c *Conn, username string, request xmlstream.Element) (s Session, reply []byte, failure *stanza.StreamError)
}

// Flusher is a Session that may add to what is about to be written.
type Flusher interface {
	// Flushing is called on the writing goroutine before each write but the last, and appends to b. With what is in b, so many stanzas have been
	// taken from those that were queued: others may be waiting for the next write already.
	Flushing(b []byte, taken uint64) []byte
}

// Written is a Flusher that hears of what was written, too.
type Written interface {
	// Flushed is called on the writing goroutine after each write that succeeded, but the last.
	Flushed()
}

// Info describes a connection.
type Info struct {
	RemoteAddr   string
	Secure       bool
	TLSVersion   uint16 // as in crypto/tls
	Mechanism    string // the SASL mechanism
	Created      time.Time
	LastActivity time.Time // when an element arrived last
	Received     uint64    // elements from the client
	Sent         uint64    // stanzas to the client, those included that still wait
}

func (cfg Config) complete() (Config, error) {
	prepared, err := jid.PrepareDomain(cfg.Domain)
	switch {
	case err != nil || prepared != cfg.Domain:
		return cfg, errors.New("the domain of an XMPP listener has to be a prepared domain name")
	case cfg.TLS == nil:
		return cfg, errors.New("an XMPP listener needs a TLS configuration: clients only log in over TLS")
	case cfg.Auth == nil || cfg.Backend == nil:
		return cfg, errors.New("an XMPP listener needs to know who may log in and where sessions live")
	}
	if cfg.Limits == nil {
		standard := DefaultLimits()
		cfg.Limits = func() *Limits { return standard }
	}
	if cfg.Gate == nil {
		cfg.Gate = NewGate()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&cfg.WriteTimeout, DefaultWriteTimeout)
	def(&cfg.CloseTimeout, DefaultCloseTimeout)
	return cfg, nil
}
