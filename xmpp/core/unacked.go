package core

import (
	"slices"
	"sync/atomic"
	"time"
)

// unacked holds the stanzas that a client has not acknowledged yet (XEP-0198 §4), oldest first, one copy of their bytes each. Sessions
// that are owed nothing hold none: it comes from the switchboard's pool and goes back there.
type unacked struct {
	bytes   []byte
	entries []entry
	// Entries before head, and bytes before start, are acknowledged.
	head, start int
	base        int // bytes that were acknowledged and moved away
}

type entry struct {
	start  int     // in bytes, but for what base counts
	at     int64   // when it was sent first, in Unix milliseconds
	id     int64   // of a message; 0 for what cannot be noted down
	sum    uint64  // of a message that leaves a trace; 0 for others
	copies *copies // nil when this is the only copy
	size   uint32
	noted  bool // there is a note of it, or will be
}

// copies counts the sessions that hold a copy of one message and have not lost it, and one more while it is handed out. Nil stands for a message
// of which no copy can be lost but the only one.
type copies struct {
	left atomic.Int32
	// stored says that another copy is kept for as long as this one is not acknowledged, so that losing it matters to nobody. It is not counted.
	stored bool
	noted  atomic.Bool // there is a note of a copy
}

// newCopies begins to hand out copies to some of these sessions.
func newCopies(list []*Session) *copies {
	if len(list) < 2 || !slices.ContainsFunc(list, func(s *Session) bool { return s.sm.Load() != nil }) {
		return nil
	}
	c := &copies{}
	c.left.Store(1)
	return c
}

// done is called when all copies are handed out, and reports whether all of those are lost already.
func (c *copies) done() bool { return c != nil && c.left.Add(-1) == 0 }

// given notes that one more session got a copy.
func (c *copies) given() {
	if c != nil && !c.stored {
		c.left.Add(1)
	}
}

// lost notes that a session's copy will never be delivered, and reports whether that was the last one.
func (c *copies) lost() bool {
	switch {
	case c == nil:
		return true
	case c.stored:
		return false
	}
	return c.left.Add(-1) <= 0
}

// What a queue keeps when it goes back to the pool, and how much acknowledged room it carries before it moves what is left.
const (
	maxPooledEntries = 1 << 10
	maxSlack         = 16 << 10
)

func (q *unacked) count() int { return len(q.entries) - q.head }

func (q *unacked) size() int { return len(q.bytes) - q.start }

// push takes a stanza, which may come in three parts.
func (q *unacked) push(at time.Time, p parcel, head, to, tail []byte) {
	e := entry{start: q.base + len(q.bytes), size: uint32(len(head) + len(to) + len(tail)), at: at.UnixMilli(), copies: p.copies, id: p.id, sum: p.sum} //nolint:gosec // a stanza
	q.bytes = append(append(append(q.bytes, head...), to...), tail...)
	q.entries = append(q.entries, e)
}

// get gives the i-th of those that are left, and its bytes.
func (q *unacked) get(i int) (*entry, []byte) {
	e := &q.entries[q.head+i]
	at := e.start - q.base
	return e, q.bytes[at : at+int(e.size) : at+int(e.size)]
}

// parcel is what goes with a stanza into a queue.
type parcel struct {
	copies *copies
	id     int64
	sum    uint64
}

// drop forgets the n oldest.
func (q *unacked) drop(n int) {
	for i := q.head; i < q.head+n; i++ {
		q.start += int(q.entries[i].size)
		q.entries[i].copies = nil
	}
	q.head += n
	if q.start > maxSlack && q.start > len(q.bytes)/2 {
		q.bytes = q.bytes[:copy(q.bytes, q.bytes[q.start:])]
		q.base += q.start
		q.start = 0
	}
	if q.head > maxPooledEntries/4 && q.head > len(q.entries)/2 {
		n := copy(q.entries, q.entries[q.head:])
		clear(q.entries[n:])
		q.entries = q.entries[:n]
		q.head = 0
	}
}

// each calls f for every stanza that is left, in order. The bytes must not be changed.
func (q *unacked) each(f func(i int, stanza []byte, e *entry)) {
	for i := range q.count() {
		e, b := q.get(i)
		f(i, b, e)
	}
}

func (sb *Switchboard) takeQueue() *unacked {
	if q, ok := sb.queues.Get().(*unacked); ok {
		return q
	}
	return &unacked{}
}

func (sb *Switchboard) giveQueue(q *unacked) {
	if q == nil || cap(q.bytes) > maxPooledBuffer || cap(q.entries) > maxPooledEntries {
		return
	}
	clear(q.entries)
	*q = unacked{bytes: q.bytes[:0], entries: q.entries[:0]}
	sb.queues.Put(q)
}
