package core

import (
	"context"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

const (
	// echoSpan is how long before its last message a former process got those that clients send again: they had no acknowledgement.
	echoSpan = 2 * time.Minute
	// formerSpan is how long after the start clients may come back.
	formerSpan = 15 * time.Minute
)

// Recover takes over what a former process has left in the journal: messages that it had accepted and not delivered wait for their accounts from now on.
// It is called before the first Bind.
func (sb *Switchboard) Recover(ctx context.Context) error {
	j := sb.ledger.journal
	if j == nil {
		return nil
	}
	f := &former{
		until: sb.now().Add(formerSpan), stored: make(map[uint64]struct{}), arrived: make(map[uint64]struct{}),
		sessions: make(map[resumptionID]*formerSession),
	}
	err := j.Recover(ctx, echoSpan, func(username string, session []byte) {
		if len(session) == len(resumptionID{}) {
			f.session(resumptionID(session), hashOf(username)).noted = true
		}
	}, func(b []byte) {
		f.stored[sumOf(b)] = struct{}{}
	})
	if err != nil {
		return err
	}
	sb.traces.file = j.Traces()
	for _, r := range sb.traces.read(echoSpan) {
		if r.session == (resumptionID{}) {
			f.arrived[r.sum] = struct{}{}
			continue
		}
		s := f.session(r.session, r.user)
		s.traces = append(s.traces, r)
	}
	if len(f.stored) > 0 || len(f.arrived) > 0 || len(f.sessions) > 0 {
		sb.former.Store(f)
	}
	return nil
}

// former is what is known of processes that ended before.
type former struct {
	until time.Time
	// sessions are those that messages were on their way to. It is not changed any more.
	sessions map[resumptionID]*formerSession

	// stored has the sums of messages that were in the store. Their senders may not have heard of it, and send them again (XEP-0198 §5).
	stored map[uint64]struct{}

	mu sync.RWMutex
	// arrived has those that recipients say they have got.
	arrived map[uint64]struct{}
}

type formerSession struct {
	user   uint64 // hash of the username
	noted  bool   // there are notes
	traces []trace
}

func (f *former) session(id resumptionID, user uint64) *formerSession {
	s := f.sessions[id]
	if s == nil {
		s = &formerSession{user: user}
		f.sessions[id] = s
	}
	return s
}

// formerProcess gives what is known of the process before; nil when that does not matter any more.
func (sb *Switchboard) formerProcess() *former {
	f := sb.former.Load()
	if f != nil && sb.now().After(f.until) {
		sb.former.CompareAndSwap(f, nil)
		return nil
	}
	return f
}

// find gives a user's session.
func (f *former) find(username string, id resumptionID) *formerSession {
	if f == nil {
		return nil
	}
	if s := f.sessions[id]; s != nil && s.user == hashOf(username) {
		return s
	}
	return nil
}

// received notes which messages a client has got in a session. It gives traces of those that are new, for a process that may come after this one.
func (f *former) received(s *formerSession, handled uint32) (left []trace) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range s.traces {
		if int32(handled-uint32(r.place)) < 0 { //nolint:gosec // both are counted modulo 2^32
			continue
		}
		if _, there := f.arrived[r.sum]; !there {
			f.arrived[r.sum] = struct{}{}
			left = append(left, trace{user: r.user, sum: r.sum})
		}
	}
	return left
}

// has reports whether the recipient has a message.
func (f *former) has(sum uint64) bool {
	if f == nil || sum == 0 {
		return false
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, ok := f.arrived[sum]
	return ok
}

// echoes reports whether a message was stored or delivered by a former process already. Whatever is different is another message, and so is what a client
// sends that counts nothing.
func (sb *Switchboard) echoes(s *Session, m *stanza.Stanza) bool {
	f := sb.formerProcess()
	if f == nil || s.sm.Load() == nil || sb.locate(m.To) != atAccount {
		return false
	}
	room := sb.takeBuffer()
	n := sum(m, *room)
	sb.giveBuffer(room)
	_, stored := f.stored[n]
	return n != 0 && stored || f.has(n)
}
