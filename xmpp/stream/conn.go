package stream

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Conn is the connection of one client.
type Conn struct {
	ln  *Listener
	raw *transport
	// conn is raw or the TLS connection on it; set during negotiation.
	conn      net.Conn
	in        *xmlstream.Reader
	session   Session
	mechanism string
	lang      []byte       // of the stream header; set during negotiation
	created   int64        // Unix nanoseconds, as is last
	last      atomic.Int64 // when an element arrived last
	received  atomic.Uint64
	// ended is set by the reading goroutine when the stream is over for good, not only its connection (XEP-0198 §7).
	ended bool
	late  bool // the read deadline has run out for good
	pace  pace
	// arrival is when something was read last, and deadline when reading stops, both in Unix nanoseconds; no deadline is 0. They and what stands
	// above belong to the reading goroutine.
	arrival, deadline int64
	idle              time.Duration // how long the client may be silent, as when it logged in; 0: for ever

	mu       sync.Mutex
	state    state
	flushing bool // a goroutine is writing, or will be when later fires
	later    *time.Timer
	patience time.Duration // how long after wrote what waits may be written; 0: at once
	wrote    int64         // when the last write began, in Unix nanoseconds
	out      *buffer       // what waits to be written; nil when nothing does
	sent     uint64        // stanzas that were queued
	taken    uint64        // those of them that are written
	dropped  bool          // some of what was queued never will be written
	// Set by Close while the stream is negotiated; the negotiating goroutine does the rest.
	ending bool
	cause  *stanza.StreamError
	// written is made when the stream is closed and closed when the last byte is written, or never will be.
	written chan struct{}
	// flushed is made by whoever waits for what is queued now, and closed when that is written, or never will be.
	flushed chan struct{}
	// waiting is closed to wake the reading goroutine while it waits because the client sends too fast.
	waiting chan struct{}
}

type state uint8

const (
	negotiating state = iota
	binding           // the session exists, but the client does not know yet: what is sent waits
	open
	closing
)

func newConn(l *Listener, raw net.Conn) *Conn {
	now := time.Now()
	c := &Conn{ln: l, raw: &transport{Conn: raw}, created: now.UnixNano()}
	c.raw.by(now.Add(l.cfg.Limits().NegotiationTimeout)) // cleared when a resource is bound
	c.conn = c.raw
	c.last.Store(c.created)
	return c
}

// Info describes the connection.
func (c *Conn) Info() Info {
	c.mu.Lock()
	sent := c.sent
	c.mu.Unlock()
	info := Info{
		RemoteAddr:   c.raw.RemoteAddr().String(),
		Mechanism:    c.mechanism,
		Created:      time.Unix(0, c.created),
		LastActivity: time.Unix(0, c.last.Load()),
		Received:     c.received.Load(),
		Sent:         sent,
	}
	if t, ok := c.conn.(*tls.Conn); ok {
		cs := t.ConnectionState()
		info.Secure, info.TLSVersion = cs.HandshakeComplete, cs.Version
	}
	return info
}

// serve reads a bound stream until it is over, or until a fresh goroutine does so.
// Settled says that there is nothing to read at the moment.
func (c *Conn) serve(settled bool) {
	panicked := c.guarded(func() { settled = c.run(settled) })
	if settled && !panicked {
		go c.serve(true)
		return
	}
	defer c.ln.wg.Done()
	defer c.finish()
	if panicked {
		c.ended = true
		c.Close(stanza.NewStreamError(stanza.StreamInternalServerError, ""))
		<-c.written
		c.guarded(c.drain)
	}
}

// run reads, and waits where there is nothing to read, until the stream is over. True says that it is not, and that it has been silent for a moment.
func (c *Conn) run(settled bool) bool {
	var err error
	if settled { // the stack is still as small as it can be
		_, err = c.await(false)
	}
	for c.read(err) {
		if settled, err = c.await(true); settled {
			return true
		}
	}
	return false
}

// await waits between elements until something arrives, at the top of the goroutine's stack; where that is deep, for a moment at first.
func (c *Conn) await(deep bool) (settled bool, err error) {
	for {
		c.arm(deep)
		if err = c.raw.fill(); !errors.Is(err, os.ErrDeadlineExceeded) || !c.early() {
			return false, err
		}
		if deep && time.Now().UnixNano()-c.arrival >= int64(settleTime) {
			return true, nil
		}
	}
}

// expired stands for a read deadline that has run out, and has to be replaced.
const expired = -1

// arm makes sure that reading stops when the client has been silent for too long, or, where a deep stack waits, for a moment. Moving a deadline costs
// more than looking at the clock when an old one has run out, so one that is earlier is left alone.
func (c *Conn) arm(deep bool) {
	at := int64(0)
	if c.idle > 0 {
		at = c.arrival + int64(c.idle)
	}
	if settled := c.arrival + int64(settleTime); deep && (at == 0 || settled < at) {
		at = settled
	}
	if c.deadline == at || c.deadline > 0 && (at == 0 || c.deadline < at) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open { // closing sets a deadline of its own
		return
	}
	c.deadline = at
	if at == 0 {
		c.raw.readBy(time.Time{})
	} else {
		c.raw.readBy(time.Unix(0, at))
	}
}

// early says that a deadline has run out which does not end the stream: it was about something else, or something has arrived meanwhile.
func (c *Conn) early() bool {
	if c.over() || c.idle > 0 && time.Now().UnixNano()-c.arrival >= int64(c.idle) {
		return false
	}
	if c.deadline == 0 {
		return false
	}
	c.deadline = expired
	return true
}

// guarded runs a part of a connection's work. A panic there ends the connection and nothing else: true says that there was one.
func (c *Conn) guarded(f func()) (panicked bool) {
	defer func() {
		if r := recover(); r != nil {
			_ = c.panicked()
			panicked = true
		}
	}()
	f()
	return false
}

// read hands elements to the session until there is nothing to read, which is true, or the client closes the stream, the connection breaks, or this
// side has closed and the client has answered or taken too long. It begins with the error of having waited, if there was one.
func (c *Conn) read(err error) (more bool) {
	for ; ; err = nil {
		var e xmlstream.Element
		if err == nil {
			c.arm(false)
			e, err = c.in.Next()
		}
		switch {
		case err == nil:
		case err == errNothing: //nolint:errorlint // comes as it is, and often
			return true
		case errors.Is(err, xmlstream.ErrClosed):
			// The answer to a closing tag of this side's is not the client's own wish.
			c.ended = c.ended || !c.over()
			c.Close(nil)
			<-c.written
			return false
		case stanza.StreamErrorOf(err) != nil:
			c.ended = true
			c.ln.countViolation(stanza.StreamErrorOf(err))
			c.Close(stanza.StreamErrorOf(err))
			<-c.written
			c.drain()
			return false
		case errors.Is(err, os.ErrDeadlineExceeded) && c.early():
			continue // in the middle of an element
		case errors.Is(err, os.ErrDeadlineExceeded) && !c.late:
			// Silence, or an old deadline that ran out while the stream is being closed. Either way the client gets its moment to answer.
			c.late = true
			if c.end(stanza.NewStreamError(stanza.StreamConnectionTimeout, "Nothing arrived for too long.")) {
				c.ln.cfg.Meter.Refuse(meter.Idle)
			}
			<-c.written
			continue
		default:
			return false
		}
		if c.over() {
			continue // RFC 6120 §4.4: what arrives after the closing tag was sent may be ignored
		}
		now := time.Now().UnixNano()
		c.last.Store(now)
		c.received.Add(1)
		failure := c.keepPace(now)
		if c.over() {
			continue
		}
		if failure == nil {
			failure = c.receive(e)
		}
		if failure != nil {
			c.ended = true
			c.Close(failure)
		}
	}
}

// receive hands an element to the session. A panic there ends this stream and nothing else.
func (c *Conn) receive(e xmlstream.Element) (failure *stanza.StreamError) {
	defer func() {
		if r := recover(); r != nil {
			failure = c.panicked()
		}
	}()
	return c.session.Receive(e)
}

// panicked reports a panic. Its value is left out: it may quote what the client sent.
func (c *Conn) panicked() *stanza.StreamError {
	c.ln.cfg.Log.Error("a fault in the server ended an XMPP stream; please report it with this stack",
		"remote", c.raw.RemoteAddr().String(), "stack", string(debug.Stack()))
	return stanza.NewStreamError(stanza.StreamInternalServerError, "")
}

// maxDrained is how much is read from a client that is told good-bye.
const maxDrained = 1 << 20

// drain reads on, without looking, so that closing the connection does not take away what the client has not read yet. It ends with the
// client's end of the connection, at the read deadline that closing has set, or when too much arrives.
func (c *Conn) drain() {
	c.raw.waiting()
	buf := make([]byte, 1024)
	for total := 0; total < maxDrained; {
		n, err := c.conn.Read(buf)
		if err != nil {
			return
		}
		total += n
	}
}

// finish releases everything. It is the last thing that the connection's goroutine does.
func (c *Conn) finish() {
	c.mu.Lock()
	c.state = closing
	c.release()
	c.mu.Unlock()
	c.conn.Close()
	if c.session != nil {
		c.guarded(func() { c.session.Closed(!c.ended) })
	}
	c.ln.remove(c)
}
