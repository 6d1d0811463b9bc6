package directory

import (
	"hash/maphash"
	"sync"
)

// shardCount spreads lookups of different names over so many locks, so that
// many cores on the stanza path do not share one cache line.
const shardCount = 64

// index is a map for one writer and many readers. A lookup costs a hash and an
// uncontended read lock, and allocates nothing.
type index[T any] struct {
	seed   maphash.Seed
	shards [shardCount]shard[T]
}

type shard[T any] struct {
	mu sync.RWMutex
	m  map[string]T
	// Keep neighbouring locks off one another's cache line.
	_ [32]byte
}

func newIndex[T any]() *index[T] {
	return &index[T]{seed: maphash.MakeSeed()}
}

func (x *index[T]) shard(key string) *shard[T] {
	return &x.shards[maphash.String(x.seed, key)%shardCount]
}

func (x *index[T]) get(key string) (T, bool) {
	s := x.shard(key)
	s.mu.RLock()
	v, ok := s.m[key]
	s.mu.RUnlock()
	return v, ok
}

func (x *index[T]) set(key string, v T) {
	s := x.shard(key)
	s.mu.Lock()
	if s.m == nil {
		s.m = make(map[string]T)
	}
	s.m[key] = v
	s.mu.Unlock()
}

func (x *index[T]) remove(key string) {
	s := x.shard(key)
	s.mu.Lock()
	delete(s.m, key)
	s.mu.Unlock()
}

func (x *index[T]) len() int {
	n := 0
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.RLock()
		n += len(s.m)
		s.mu.RUnlock()
	}
	return n
}

// values returns a copy of the values, in no order.
func (x *index[T]) values() []T {
	all := make([]T, 0, x.len())
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.RLock()
		for _, v := range s.m {
			all = append(all, v)
		}
		s.mu.RUnlock()
	}
	return all
}
