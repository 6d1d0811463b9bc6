package account

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// A manifest can give everybody thousands of contacts at once. Pushed as fast as they are found, they would be more than a client may leave
// unread or unacknowledged, and for everybody together more than there is memory for. So those who get many are owed them, and get
// them as fast as their connections take them.
const (
	pushAtOnce   = 50  // changes that are pushed where they are found
	pushPerTurn  = 100 // then so many in one turn
	turnsUnacked = 10  // turns whose pushes a client may not have acknowledged yet (XEP-0198)
	maxPayers    = 64  // users who have a turn at the same time
	ackPatience  = 10 * time.Second
)

// owed is a contact that has changed, and that clients have not been told of yet.
type owed struct {
	contact jid.JID
	seen    bool // the user sees the contact's presence from now on
}

// debtors are the users who are owed something and have not had a turn.
type debtors struct {
	mu     sync.Mutex
	names  []string
	signal chan struct{}
}

// shift gives the shared part of the digest while something is owed: a state that no roster is ever in again, so that a client that got no
// further has all of it sent anew.
func (u *user) shift() {
	next := u.sight.digest
	if len(u.owed) > 0 {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		next = halves(b[:])
	}
	u.setSharedDigest(next)
}

// owe has changes pushed, here or later. The user is locked and loaded, and has the sight that made them.
func (r *Rosters) owe(u *user, list []owed) {
	waiting := len(u.owed) > 0
	u.owed = append(u.owed, list...)
	switch {
	case len(u.owed) == 0:
		u.shift()
	case waiting: // somebody sees to it
		u.shift()
	case len(list) <= pushAtOnce:
		r.payTurn(u, len(list))
	default:
		u.shift()
		r.debtors.mu.Lock()
		r.debtors.names = append(r.debtors.names, u.username)
		r.debtors.mu.Unlock()
		select {
		case r.debtors.signal <- struct{}{}:
		default: // one signal covers all of them
		}
	}
}

// payTurn pushes what is owed, up to a number. The user is locked and loaded.
func (r *Rosters) payTurn(u *user, most int) {
	n := min(most, len(u.owed))
	turn := u.owed[:n]
	for i := range turn {
		was := u.digest
		u.owed = u.owed[1:]
		u.shift()
		u.note(was, turn[i].contact)
		now := u.item(turn[i].contact)
		r.push(u, &now, now.Hidden)
		if contact := now.JID; turn[i].seen && now.Subscription.SeesContact() && contact.Domain() == r.sb.Domain() && r.online(contact.Local()) {
			r.showSoon(contact.Local(), u.jid)
		}
	}
	if len(u.owed) == 0 {
		u.owed = nil
	}
}

// pay gives everybody who is owed something what that is, until ctx ends.
func (r *Rosters) pay(ctx context.Context) {
	var payers sync.WaitGroup
	defer payers.Wait()
	slots := make(chan struct{}, maxPayers)
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.debtors.signal:
		}
		r.debtors.mu.Lock()
		names := r.debtors.names
		r.debtors.names = nil
		r.debtors.mu.Unlock()
		for _, name := range names {
			select {
			case <-ctx.Done():
				return
			case slots <- struct{}{}:
			}
			payers.Go(func() {
				defer func() { <-slots }()
				r.payUser(ctx, name)
			})
		}
	}
}

// payUser gives a user turn after turn, each once the connections have taken what went before.
func (r *Rosters) payUser(ctx context.Context, username string) {
	marks := make(map[*core.Session][]uint64)
	for ctx.Err() == nil {
		u := r.lock(username)
		r.payTurn(u, pushPerTurn)
		left := len(u.owed)
		var sessions []*core.Session
		for _, res := range u.resources {
			if res.interested {
				sessions = append(sessions, res.session)
			}
		}
		r.unlock(u)
		if left == 0 {
			return
		}
		for _, s := range sessions {
			s.AwaitWritten()
			if mark, managed := s.Sent(); managed {
				marks[s] = append(marks[s], mark)
				if list := marks[s]; len(list) > turnsUnacked {
					awaitAcknowledged(ctx, s, list[0])
					marks[s] = slices.Delete(list, 0, 1)
				}
			}
		}
	}
}

// awaitAcknowledged waits for a client that is there. One that is not, or takes too long, may get more than its session can hold, and then asks
// for the whole roster when it is back.
func awaitAcknowledged(ctx context.Context, s *core.Session, mark uint64) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for begun := time.Now(); !s.Acknowledged(mark) && !s.Ended() && !s.Hibernating() && time.Since(begun) < ackPatience; pause.Reset(10 * time.Millisecond) {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}
