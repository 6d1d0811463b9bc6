package stream

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// burst is how much may come at once, as the time in which the rate allows it.
const burst = 5 * time.Second

// bucket is a token bucket in one word, whose rate may change at any time: the moment, in Unix nanoseconds, from which it is full. An idle
// session should cost little, and that is all there is to know.
type bucket struct{ full int64 }

// take takes n of what comes at a rate a second, and returns how long to wait for it. No rate is no limit.
func (b *bucket) take(now int64, n, rate int) time.Duration {
	if rate <= 0 {
		return 0
	}
	b.full = max(b.full, now) + int64(n)*int64(time.Second)/int64(rate)
	return time.Duration(b.full-now) - burst
}

// pace is how fast a session has sent lately. It belongs to the reading goroutine.
type pace struct {
	stanzas, bytes bucket
	since          int64 // from when on it has been too fast, in Unix nanoseconds; 0: it is not
}

// arrived takes note of bytes on the network and waits for as long as they came too fast: what the client sends meanwhile waits in the network's
// buffers, and then in its own.
func (c *Conn) arrived(n int) {
	now := time.Now().UnixNano()
	c.arrival = now
	rate := c.ln.cfg.Limits().ByteRate
	if rate <= 0 {
		return
	}
	c.slowDown(c.pace.bytes.take(now, n, rate), now)
}

// keepPace does the same for a stanza. It is an error when that has gone on for too long.
func (c *Conn) keepPace(now int64) *stanza.StreamError {
	limits := c.ln.cfg.Limits()
	c.slowDown(c.pace.stanzas.take(now, 1, limits.StanzaRate), now)
	p := &c.pace
	if p.since == 0 {
		return nil
	}
	if max(p.stanzas.full, p.bytes.full)-now < int64(burst/2) {
		p.since = 0 // it has calmed down
		return nil
	}
	if limits.FloodTime > 0 && now-p.since > int64(limits.FloodTime) {
		c.ln.cfg.Meter.Refuse(meter.Flood)
		return stanza.NewStreamError(stanza.StreamPolicyViolation, "The client has been sending too fast for too long.")
	}
	return nil
}

// slowDown waits on the reading goroutine, until the stream is closed at the longest.
func (c *Conn) slowDown(wait time.Duration, now int64) {
	if wait <= 0 {
		return
	}
	if c.pace.since == 0 {
		c.pace.since = now
	}
	c.mu.Lock()
	if c.state == closing {
		c.mu.Unlock()
		return
	}
	woken := make(chan struct{})
	c.waiting = woken
	c.mu.Unlock()
	c.ln.cfg.Meter.Throttle()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-woken:
		return
	}
	c.mu.Lock()
	c.waiting = nil
	c.mu.Unlock()
	c.arrival = time.Now().UnixNano() // the client was kept waiting, and not silent
}

// wakeReader ends the wait of slowDown. c.mu is held.
func (c *Conn) wakeReader() {
	if c.waiting != nil {
		close(c.waiting)
		c.waiting = nil
	}
}
