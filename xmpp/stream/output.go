package stream

import (
	"crypto/tls"
	"slices"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// endTag closes a stream (RFC 6120 §4.4).
const endTag = "</stream:stream>"

// Buffers that grew beyond maxPooled are left to the garbage collector. Output is written in pieces of a TLS record, each of which a client
// has the write timeout to take.
const (
	firstBuffer = 2 << 10
	maxPooled   = 64 << 10
	writePiece  = 16 << 10
)

// buffer is output that waits. Only connections that have something to write hold one.
type buffer struct {
	b     []byte
	since int64 // when the first of it was queued, in Unix nanoseconds
}

// What goes to many at once may wait for more of its kind, so that a busy room costs a write to each occupant in a while and not one a message: the
// writes are what such a room mostly costs. It waits only where the last write was a moment ago, and the longer the more get it, since the writes
// that are saved are as many.
const (
	patienceEach  = 40 * time.Microsecond
	patienceMost  = 20 * time.Millisecond
	patienceLeast = time.Millisecond // less is none: a few are always written to at once
)

// patienceWith is how long after the last write to a client something is written that so many get.
func patienceWith(recipients int) time.Duration {
	if recipients < int(patienceLeast/patienceEach) {
		return 0
	}
	return min(time.Duration(recipients)*patienceEach, patienceMost)
}

// takeBuffer returns the output buffer, taking one from the pool if there is none. c.mu is held.
func (c *Conn) takeBuffer() *buffer {
	if c.out == nil {
		c.out = c.ln.buffers.Get().(*buffer)
		if c.out.b == nil {
			c.out.b = make([]byte, 0, firstBuffer)
		}
	}
	return c.out
}

// release drops what waits. c.mu is held.
func (c *Conn) release() {
	c.ln.giveBack(c.out)
	c.out = nil
}

func (l *Listener) giveBack(b *buffer) {
	if b != nil && cap(b.b) <= maxPooled {
		b.b, b.since = b.b[:0], 0
		l.buffers.Put(b)
	}
}

// Send queues the bytes of one whole stanza, which it copies. It never blocks. False says that the stream is over, or is being closed because
// the client does not take what is sent to it: nothing was queued.
func (c *Conn) Send(b []byte) bool { return c.SendParts(b, nil, nil, 1) }

// SendParts is Send for a stanza in three parts that so many recipients get; with many of them it is written a little later where more may come.
func (c *Conn) SendParts(head, to, tail []byte, recipients int) bool {
	size := len(head) + len(to) + len(tail)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open && c.state != binding {
		return false
	}
	waiting, most := 0, patienceMost
	if c.out != nil {
		waiting, most = len(c.out.b), c.patience
	}
	if waiting+size > c.ln.cfg.Limits().MaxPendingOutput {
		c.ln.cfg.Meter.Refuse(meter.Output)
		c.ln.cfg.Log.Info("a client is too slow for what is sent to it; its stream is closed", "remote", c.raw.RemoteAddr().String(), "waiting", waiting)
		// What waits would not be taken in time, either.
		c.release()
		c.dropped = true
		c.close(stanza.NewStreamError(stanza.StreamResourceConstraint, "The client does not take what is sent to it."))
		return false
	}
	buf := c.takeBuffer()
	if len(buf.b) == 0 {
		buf.since = time.Now().UnixNano()
	}
	buf.b = append(append(append(buf.b, head...), to...), tail...)
	c.sent++
	c.patience = min(most, patienceWith(recipients))
	c.wake()
	return true
}

// SendStanza queues a stanza; see Send.
func (c *Conn) SendStanza(s *stanza.Stanza) bool {
	b := c.ln.buffers.Get().(*buffer)
	b.b = s.Append(b.b[:0])
	ok := c.Send(b.b)
	c.ln.giveBack(b)
	return ok
}

// Close ends the stream: with a stream error unless it is nil, then the closing tag, and then the connection, once the client has closed or
// has taken too long. It does not wait for any of that, and only the first call counts.
func (c *Conn) Close(e *stanza.StreamError) { c.end(e) }

// end is Close; true for the call that counts.
func (c *Conn) end(e *stanza.StreamError) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.close(e)
}

// close is end with c.mu held.
func (c *Conn) close(e *stanza.StreamError) bool {
	switch {
	case c.state == closing || c.ending:
		return false
	case c.state != open:
		// The negotiating goroutine is the only one that writes yet; it is woken up and says good-bye itself.
		c.ending, c.cause = true, e
		c.raw.by(time.Unix(1, 0))
		return true
	}
	c.state = closing
	c.wakeReader()
	c.written = make(chan struct{})
	buf := c.takeBuffer()
	if e != nil {
		buf.b = e.Append(buf.b)
	}
	buf.b = append(buf.b, endTag...)
	c.raw.writeBy(time.Now().Add(c.ln.cfg.CloseTimeout))
	c.patience = 0
	c.wake()
	return true
}

// over says that this side has closed the stream.
func (c *Conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == closing
}

// wake makes sure that somebody writes what waits, as soon as its patience ends. c.mu is held.
func (c *Conn) wake() {
	switch {
	case c.state == binding:
	case !c.flushing:
		c.flushing = true
		// The reading goroutine is counted as well and has not finished: it sets the state to closing, under c.mu, before it does.
		c.ln.wg.Add(1)
		if !c.postpone() {
			go c.flush()
		}
	case c.patience == 0 && c.later != nil && c.later.Stop():
		go c.flush() // what is urgent does not wait for the timer; one that cannot be stopped is not running, or its flush begins
	}
}

// postpone leaves what waits to a flush at a later time, if it has patience; false: it is due. c.mu is held, and flushing is set.
func (c *Conn) postpone() bool {
	if c.patience == 0 {
		return false
	}
	wait := c.patience - time.Duration(time.Now().UnixNano()-c.wrote)
	if wait <= 0 {
		return false
	}
	wait = min(wait, c.patience) // it is more only where somebody has set the clock back
	if c.later == nil {
		c.later = time.AfterFunc(wait, c.flush)
	} else {
		c.later.Reset(wait)
	}
	return true
}

// flush writes until nothing waits any more, or only what has patience, all that waits at once. The goroutine that does so is nobody else's, so
// that a panic on it has to end here.
func (c *Conn) flush() {
	defer c.ln.wg.Done()
	if c.guarded(c.write) {
		c.abandon()
	}
}

// write is flush but for what is done about a panic.
func (c *Conn) write() {
	free := int64(0) // when the client had taken what was written before
	for first := true; ; first = false {
		c.mu.Lock()
		upTo := c.sent
		buf := c.out
		if buf != nil && !first && c.postpone() {
			c.ln.wg.Add(1) // for the flush to come
			c.mu.Unlock()
			return
		}
		c.out = nil
		if buf != nil && !first {
			free = time.Now().UnixNano()
		}
		if buf == nil {
			c.flushing = false
			last := c.written
			c.tellFlushed()
			c.mu.Unlock()
			if last != nil {
				c.goodbye()
				close(last)
			}
			return
		}
		var more Flusher
		if c.state == open {
			more, _ = c.session.(Flusher)
		}
		c.mu.Unlock()
		if more != nil && c.guarded(func() { buf.b = more.Flushing(buf.b, upTo) }) {
			// What was to be written is as it was, and is; the fault is not the client's, whose session may be resumed (XEP-0198 §5).
			c.Close(stanza.NewStreamError(stanza.StreamInternalServerError, ""))
		}
		if buf.since != 0 {
			c.ln.cfg.Meter.Writing(time.Duration(time.Now().UnixNano() - max(buf.since, free)))
		}
		err := c.writeOut(buf.b)
		c.ln.giveBack(buf)
		if err != nil {
			c.abandon()
			return
		}
		c.mu.Lock()
		if !c.dropped {
			c.taken = upTo
		}
		c.mu.Unlock()
		if w, ok := more.(Written); ok {
			w.Flushed()
		}
	}
}

// Output gives how many stanzas were queued, and how many of them have been handed to the operating system, as far as this side can know. It is not
// open when nothing more will be written.
func (c *Conn) Output() (queued, written uint64, open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.taken, c.state != closing
}

// AwaitWritten waits until all that is queued now has been written, which ends at the latest with the write timeout of a client that takes
// nothing. False says that the stream is over, or is being closed: what was queued may never have reached the client.
func (c *Conn) AwaitWritten() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == open && (c.flushing || c.out != nil) {
		if c.flushed == nil {
			c.flushed = make(chan struct{})
		}
		c.patience = 0
		c.wake()
		done := c.flushed
		c.mu.Unlock()
		<-done
		c.mu.Lock()
	}
	return c.state == open
}

// tellFlushed lets go of those who wait for output, and look at the state. c.mu is held.
func (c *Conn) tellFlushed() {
	if c.flushed != nil {
		close(c.flushed)
		c.flushed = nil
	}
}

// writeOut writes for as long as the client takes something of it now and then: a slow line is no reason to end a stream, a dead one is.
func (c *Conn) writeOut(b []byte) error {
	for piece := range slices.Chunk(b, writePiece) {
		now := time.Now()
		c.mu.Lock()
		c.wrote = now.UnixNano()
		if c.state != closing { // closing has set a deadline for all that is left
			c.raw.writeBy(now.Add(c.ln.cfg.WriteTimeout))
		}
		c.mu.Unlock()
		if _, err := c.conn.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// goodbye follows the closing tag: nothing more will be written, and the client has a moment to close its side.
func (c *Conn) goodbye() {
	c.raw.readBy(time.Now().Add(c.ln.cfg.CloseTimeout))
	if t, ok := c.conn.(*tls.Conn); ok {
		_ = t.CloseWrite()
	}
	c.raw.closeWrite()
}

// abandon ends a connection that cannot be written to. The reader notices and does the rest.
func (c *Conn) abandon() {
	c.mu.Lock()
	c.flushing = false
	c.release()
	c.tellFlushed()
	if c.written == nil {
		c.written = make(chan struct{})
	}
	c.state = closing
	c.wakeReader()
	select {
	case <-c.written:
	default:
		close(c.written)
	}
	c.mu.Unlock()
	c.raw.Close()
}
