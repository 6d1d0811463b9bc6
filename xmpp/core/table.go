package core

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

const shardCount = 64

// table holds the bound sessions by username. Locks are held for a map access only, never while something is sent.
type table struct {
	seed   maphash.Seed
	total  atomic.Int64
	shards [shardCount]shard
}

type shard struct {
	mu sync.RWMutex
	// users has the sessions of a user, oldest first. A slice is replaced and never changed, so readers may keep it.
	users map[string][]*Session
}

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].users = make(map[string][]*Session)
	}
	return t
}

func (t *table) shard(username string) *shard {
	return &t.shards[maphash.String(t.seed, username)%shardCount]
}

// sessions gives the sessions of a user, oldest first. The slice must not be changed.
func (t *table) sessions(username string) []*Session {
	sh := t.shard(username)
	sh.mu.RLock()
	list := sh.users[username]
	sh.mu.RUnlock()
	return list
}

// find gives the session of one full address, nil when there is none.
func (t *table) find(username, resource string) *Session {
	for _, s := range t.sessions(username) {
		if s.jid.Resource() == resource {
			return s
		}
	}
	return nil
}

// verdict is what a conflict policy decides about a new session whose address is in use.
type verdict uint8

const (
	oldGoes verdict = iota
	newGoes
)

// insertion is how an attempt to add a session ended.
type insertion uint8

const (
	inserted insertion = iota
	refusedConflict
	refusedFull
)

// insert adds a session. Where its full address is in use, the policy decides, under the lock: the displaced session is out of
// the table when insert returns. A user has at most limit sessions.
func (t *table) insert(s *Session, limit int, policy func(old *Session) verdict) (displaced *Session, how insertion) {
	sh := t.shard(s.username)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list := sh.users[s.username]
	next := make([]*Session, 0, len(list)+1)
	for _, o := range list {
		if o.jid != s.jid {
			next = append(next, o)
			continue
		}
		if policy(o) == newGoes {
			return nil, refusedConflict
		}
		displaced = o
	}
	if len(next) >= limit {
		return nil, refusedFull
	}
	sh.users[s.username] = append(next, s)
	if displaced == nil {
		t.total.Add(1)
	}
	return displaced, inserted
}

// remove takes a session out; false when it was not there (any more).
func (t *table) remove(s *Session) bool {
	sh := t.shard(s.username)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list := sh.users[s.username]
	i := slices.Index(list, s)
	if i < 0 {
		return false
	}
	if len(list) == 1 {
		delete(sh.users, s.username)
	} else {
		next := make([]*Session, 0, len(list)-1)
		sh.users[s.username] = append(append(next, list[:i]...), list[i+1:]...)
	}
	t.total.Add(-1)
	return true
}

// firsts gives one session of each user, in no order. The locks are not held while the caller looks at one.
func (t *table) firsts(yield func(*Session) bool) {
	var list []*Session
	for i := range t.shards {
		sh := &t.shards[i]
		list = list[:0]
		sh.mu.RLock()
		for _, sessions := range sh.users {
			list = append(list, sessions[0])
		}
		sh.mu.RUnlock()
		for _, s := range list {
			if !yield(s) {
				return
			}
		}
	}
}

// all lists every session, by address.
func (t *table) all() []*Session {
	out := make([]*Session, 0, t.total.Load())
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		for _, list := range sh.users {
			out = append(out, list...)
		}
		sh.mu.RUnlock()
	}
	slices.SortFunc(out, func(a, b *Session) int {
		if c := strings.Compare(a.username, b.username); c != 0 {
			return c
		}
		return strings.Compare(a.jid.Resource(), b.jid.Resource())
	})
	return out
}
