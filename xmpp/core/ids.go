package core

import "time"

// IDs of messages (XEP-0359) count microseconds, so that their order is that of time: an archive finds what was said at a time by its id.

// NewIDNumber gives a fresh id as a number: later ones are greater.
func (sb *Switchboard) NewIDNumber() int64 { return sb.nextID(sb.now()) }

// IDsAfter makes all further ids greater than one that was given out before, by an earlier process maybe whose clock was ahead.
func (sb *Switchboard) IDsAfter(id int64) {
	next := id >> 12
	for last := sb.lastID.Load(); last < next && !sb.lastID.CompareAndSwap(last, next); last = sb.lastID.Load() {
	}
}

// AppendID writes an id as it stands in stanzas.
func AppendID(dst []byte, id int64) []byte { return appendStanzaID(dst, id) }

// ParseID reads an id as AppendID writes it.
func ParseID(b []byte) (id int64, ok bool) {
	id, ok = parseStanzaID(b)
	return id, ok && id > 0
}

// FirstID is the least id that a message of a moment, or a later one, can have; 0 for moments before any.
func FirstID(t time.Time) int64 {
	const most = 1<<51 - 1 // microseconds
	return min(max(t.UnixMicro()-idEpoch, 0), most) << 12
}

// IDTime is the moment that an id counts.
func IDTime(id int64) time.Time { return time.UnixMicro(id>>12 + idEpoch).UTC() }
