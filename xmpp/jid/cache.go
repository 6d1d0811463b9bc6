package jid

// cacheSize bounds a Cache: a client talks to a handful of addresses at a time.
const cacheSize = 64

// cacheKey bounds the raw addresses that are remembered, so that a stream of huge ones costs time and not memory.
const cacheKey = 256

// Cache remembers the addresses that one stream uses, as they were spelt, so that parsing them again costs one lookup and
// no allocation. It is bounded, and not for use by several goroutines at once. A nil Cache works and remembers nothing.
type Cache struct {
	m    map[string]JID
	ring []string // keys in the order they came, the oldest at next once the cache is full
	next int
}

// Parse is ParseBytes with memory.
func (c *Cache) Parse(b []byte) (JID, error) {
	if c == nil || len(b) > cacheKey {
		return ParseBytes(b)
	}
	if j, ok := c.m[string(b)]; ok {
		return j, nil
	}
	j, err := ParseBytes(b)
	if err != nil {
		return JID{}, err
	}
	key := j.s
	if key != string(b) {
		key = string(b)
	}
	if c.m == nil {
		c.m = make(map[string]JID, 4)
	}
	if len(c.ring) < cacheSize {
		c.ring = append(c.ring, key)
	} else {
		delete(c.m, c.ring[c.next])
		c.ring[c.next] = key
		c.next = (c.next + 1) % cacheSize
	}
	c.m[key] = j
	return j, nil
}

// Len is how many addresses are remembered.
func (c *Cache) Len() int {
	if c == nil {
		return 0
	}
	return len(c.m)
}
