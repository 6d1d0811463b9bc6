package core

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// TraceFile is where traces are written. What is written has to outlive the process, not the machine: it is never flushed.
type TraceFile interface {
	io.ReaderAt
	io.WriterAt
}

// A trace says which message has which place in a session. One is left of each message before it is written to a client that may resume its session.
// A message that its sender has no acknowledgement of when the process is killed is sent again by it, and its recipient may have it
// already: together with the number of stanzas that the recipient says it got, the traces tell. They are a ring of records in one file, and cost one
// write without a flush for all that is written to a client at once.
type traces struct {
	file TraceFile // nil: none are left
	next atomic.Uint64
}

const (
	traceSize  = 64
	traceCount = 1 << 16
)

// trace is one record.
type trace struct {
	session    resumptionID // none when the client has the message
	user       uint64       // hash of the username
	place, sum uint64
	at         int64  // Unix milliseconds
	number     uint64 // of the record; 0 is none
}

var traceTable = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant

func (r *trace) append(b []byte) []byte {
	start := len(b)
	b = append(b, r.session[:]...)
	for _, n := range []uint64{r.user, r.place, r.sum, uint64(r.at), r.number} { //nolint:gosec // bits
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], traceTable))
	return append(b, 0, 0)
}

// parse reads a record; false when there is none, or not a whole one.
func (r *trace) parse(b []byte) bool {
	n := copy(r.session[:], b)
	at := uint64(0)
	for _, into := range []*uint64{&r.user, &r.place, &r.sum, &at, &r.number} {
		*into = binary.BigEndian.Uint64(b[n:])
		n += 8
	}
	r.at = int64(at) //nolint:gosec // bits
	return r.number != 0 && binary.BigEndian.Uint32(b[n:]) == crc32.Checksum(b[:n], traceTable)
}

// read gives the records of so long before the last one, and goes on after that.
func (t *traces) read(span time.Duration) (list []trace) {
	t.next.Store(1)
	if t.file == nil {
		return nil
	}
	buf := make([]byte, traceSize*1024)
	last, latest := uint64(0), int64(0)
	for at := int64(0); at < traceSize*traceCount; {
		n, err := t.file.ReadAt(buf, at)
		for b := buf[:n]; len(b) >= traceSize; b = b[traceSize:] {
			var r trace
			if r.parse(b) {
				last, latest = max(last, r.number), max(latest, r.at)
				list = append(list, r)
			}
		}
		if at += int64(n); err != nil {
			break
		}
	}
	t.next.Store(last + 1)
	return slices.DeleteFunc(list, func(r trace) bool { return r.at < latest-span.Milliseconds() })
}

// leave writes records for what a session is about to be sent. That it fails costs no more than that a message may come twice.
func (t *traces) leave(list []trace, now time.Time) {
	if len(list) == 0 {
		return
	}
	number := t.next.Add(uint64(len(list))) - uint64(len(list))
	var room [8 * traceSize]byte
	b := room[:0]
	at := number % traceCount
	for i := range list {
		list[i].number, list[i].at = number+uint64(i), now.UnixMilli() //nolint:gosec // an index
		if place := list[i].number % traceCount; place == 0 && len(b) > 0 {
			_, _ = t.file.WriteAt(b, int64(at)*traceSize) //nolint:gosec // below traceCount
			b, at = b[:0], 0
		}
		b = list[i].append(b)
	}
	_, _ = t.file.WriteAt(b, int64(at)*traceSize) //nolint:gosec // below traceCount
}

// trace gives the traces to be left of what is queued and was not sent before. s.mu is held.
func (s *Session) trace(m *management, list []trace) []trace {
	if m.queue == nil || s.sb.traces.file == nil || !m.resumable || m.held {
		return list
	}
	last := m.sent()
	for place := max(m.traced, m.acked) + 1; place <= last; place++ {
		if e, _ := s.queued(place); e != nil && e.sum != 0 {
			list = append(list, trace{session: m.id, user: hashOf(s.username), place: place, sum: e.sum})
		}
	}
	m.traced = last
	return list
}

// Constants of FNV-1a.
const (
	hashStart = 14695981039346656037
	hashPrime = 1099511628211
)

// outgoingTrace is that of a message to a client that acknowledges nothing: it has it when it is written, as far as anybody can say.
type outgoingTrace struct {
	sum  uint64
	mark uint64 // in the output of the connection
}

// FlushedOn is called when a connection has written.
func (s *Session) FlushedOn(c Conn) {
	if s.sm.Load() != nil || s.sb.traces.file == nil {
		return
	}
	s.mu.Lock()
	if len(s.unwritten) == 0 || s.conn != c {
		s.mu.Unlock()
		return
	}
	var room [8]trace
	list := room[:0]
	n := 0
	if o, ok := c.(outputter); ok {
		_, written, _ := o.Output()
		for n < len(s.unwritten) && s.unwritten[n].mark <= written {
			list = append(list, trace{user: hashOf(s.username), sum: s.unwritten[n].sum})
			n++
		}
	}
	if s.unwritten = s.unwritten[:copy(s.unwritten, s.unwritten[n:])]; len(s.unwritten) == 0 && cap(s.unwritten) > maxPooledFlights {
		s.unwritten = nil
	}
	s.mu.Unlock()
	s.sb.traces.leave(list, s.sb.now())
}

// hashOf is the same in every process.
func hashOf(s string) uint64 { return hashOn(hashStart, s) }

func hashOn[T string | []byte](h uint64, s T) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * hashPrime
	}
	return (h ^ 0xff) * hashPrime
}

// sum is one number for what makes a message the same: from the same account to the same account, with the same id and content. What servers add,
// and the delay that a client adds when it sends a message again, does not count; the resource of its sender may be another one by then. It is 0
// for a message without an id, and the same in every process. room is for what it needs on the way.
func sum(m *stanza.Stanza, room []byte) uint64 {
	if len(m.ID) == 0 {
		return 0
	}
	root := m.Root
	if m.Payload != nil || !root.Valid() {
		// What only servers may say was taken out of it.
		var err error
		if root, err = readBack(m.Append(nil)); err != nil {
			return 0
		}
	}
	h := hashOn(hashOn(hashOn(hashOn(hashOn(hashStart, m.From.Local()), m.From.Domain()), m.To.Local()), m.To.Domain()), m.ID)
	content := appendContent(room[:0], root)
	return h ^ uint64(crc32.Checksum(content, traceTable))*0x9e3779b97f4a7c15
}

func appendContent(b []byte, root xmlstream.Element) []byte {
	for c := range root.Children() {
		if !c.Is(stanza.NSDelay, "delay") && !c.Is(stanza.NSStanzaID, "stanza-id") {
			b = c.Append(b)
		}
	}
	return b
}

// sumOf is the sum of a message that this server wrote; 0 where it has none.
func sumOf(b []byte) uint64 {
	root, err := readBack(b)
	if err != nil {
		return 0
	}
	st, bad := stanza.Parse(root, nil)
	if bad != nil {
		return 0
	}
	return sum(&st, nil)
}
