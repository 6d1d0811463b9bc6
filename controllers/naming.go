package controllers

import (
	"slices"
	"sync"
)

// naming knows which resources of a kind name which Secret, for the Secret that comes after them. An index of the cache knows that too, but takes
// ten times the room: nearly every Secret is named once.
type naming struct {
	mu sync.RWMutex // guards both
	// first has one resource for each Secret that is named, others has the rest.
	first  map[string]string
	others map[string][]string
}

// change says that a resource names another Secret than before; empty: none.
func (n *naming) change(resource, before, after string) {
	if before == after {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if before != "" {
		n.unlink(before, resource)
	}
	if after == "" {
		return
	}
	if n.first == nil {
		n.first, n.others = map[string]string{}, map[string][]string{}
	}
	if _, taken := n.first[after]; taken {
		n.others[after] = append(n.others[after], resource)
	} else {
		n.first[after] = resource
	}
}

// unlink is called with mu held.
func (n *naming) unlink(secret, resource string) {
	rest := n.others[secret]
	switch at := slices.Index(rest, resource); {
	case at >= 0:
		rest = slices.Delete(rest, at, at+1)
	case n.first[secret] != resource:
		return
	case len(rest) == 0:
		delete(n.first, secret)
		return
	default:
		n.first[secret] = rest[0]
		rest = slices.Delete(rest, 0, 1)
	}
	if len(rest) == 0 {
		delete(n.others, secret)
	} else {
		n.others[secret] = rest
	}
}

// of lists the resources that name a Secret.
func (n *naming) of(secret string) []string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	first, ok := n.first[secret]
	if !ok {
		return nil
	}
	return append([]string{first}, n.others[secret]...)
}
