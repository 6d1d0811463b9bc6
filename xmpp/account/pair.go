package account

import (
	"sync"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// pairs orders what happens between two accounts. A subscription stanza changes the sender's roster, then the contact's; were two of them on
// their way at once, an answer could meet a question that it was not given to, and the two rosters would disagree for good.
//
// A pair's lock is taken before any user's lock and never under one; nobody holds two.
type pairs struct {
	mu    sync.Mutex
	locks map[pairKey]*pairLock
}

// pairKey has the smaller address first.
type pairKey struct{ a, b jid.JID }

type pairLock struct {
	mu      sync.Mutex
	holders int // those who have it or wait for it; guarded by pairs.mu
}

// lock takes the lock of two bare addresses and gives the way to give it back.
func (p *pairs) lock(a, b jid.JID) (unlock func()) {
	key := pairKey{a, b}
	if a.Compare(b) > 0 {
		key = pairKey{b, a}
	}
	p.mu.Lock()
	if p.locks == nil {
		p.locks = make(map[pairKey]*pairLock)
	}
	l := p.locks[key]
	if l == nil {
		l = &pairLock{}
		p.locks[key] = l
	}
	l.holders++
	p.mu.Unlock()
	l.mu.Lock()
	return func() {
		l.mu.Unlock()
		p.mu.Lock()
		defer p.mu.Unlock()
		if l.holders--; l.holders == 0 {
			delete(p.locks, key)
		}
	}
}
