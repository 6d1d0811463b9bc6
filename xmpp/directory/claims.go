package directory

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// entry is what all kinds of entries have in common.
type entry interface {
	Resource() *Ref
	Identity() string
	comparable
}

// claims keeps the claimants of one kind. Methods that change something are
// called under the directory's writer lock only.
type claims[E entry] struct {
	// resources has every claimant by the name of its resource.
	resources *index[E]
	// holders has who is in force, by identity.
	holders *index[E]
	// rivals has those who are not, best claim first. Hardly any identity has one.
	rivals map[string][]E

	// version counts the changes of holders; sorted is good for one version.
	version atomic.Uint64
	sorted  atomic.Pointer[sortedList[E]]
	sorting sync.Mutex
}

type sortedList[E entry] struct {
	version uint64
	list    []E
}

func newClaims[E entry]() *claims[E] {
	return &claims[E]{resources: newIndex[E](), holders: newIndex[E](), rivals: map[string][]E{}}
}

// change tells of a new holder of an identity; the zero value stands for nobody.
// It is called after readers can see it.
type change[E entry] func(previous, next E)

// put takes a claimant in. It returns the identities whose claimants changed.
func (c *claims[E]) put(e E, changed change[E]) []string {
	ref, identity := e.Resource(), e.Identity()
	touched := []string{identity}
	if old, ok := c.resources.get(ref.Name); ok {
		if old.Resource().UID == ref.UID && old.Identity() == identity {
			c.update(old, e, changed)
			return touched
		}
		touched = append(touched, c.remove(old, changed)...)
	}
	c.resources.set(ref.Name, e)
	holder, held := c.holders.get(identity)
	switch {
	case !held:
		c.hold(identity, e, changed)
	case ref.Before(holder.Resource()):
		c.unhold(identity, holder, changed)
		c.addRival(identity, holder)
		c.hold(identity, e, changed)
	default:
		c.addRival(identity, e)
	}
	return touched
}

// update replaces a claimant by a later state of itself.
func (c *claims[E]) update(old, e E, changed change[E]) {
	// A watch repeats what it told before, for instance when only the status was
	// written. Nobody is woken by that.
	if reflect.DeepEqual(old, e) {
		return
	}
	identity := e.Identity()
	c.resources.set(e.Resource().Name, e)
	if holder, _ := c.holders.get(identity); holder == old {
		c.holders.set(identity, e)
		c.version.Add(1)
		changed(old, e)
		return
	}
	list := c.rivals[identity]
	list[slices.Index(list, old)] = e
}

// remove lets a claimant go, and the next in line take over.
func (c *claims[E]) remove(e E, changed change[E]) []string {
	identity := e.Identity()
	c.resources.remove(e.Resource().Name)
	if holder, _ := c.holders.get(identity); holder != e {
		c.dropRival(identity, e)
		return []string{identity}
	}
	c.unhold(identity, e, changed)
	if list := c.rivals[identity]; len(list) > 0 {
		next := list[0]
		c.dropRival(identity, next)
		c.hold(identity, next, changed)
	}
	return []string{identity}
}

// delete removes the claimant of that resource name, if it is that life of it;
// an empty uid means any.
func (c *claims[E]) delete(name, uid string, changed change[E]) []string {
	e, ok := c.resources.get(name)
	if !ok || uid != "" && e.Resource().UID != uid {
		return nil
	}
	return c.remove(e, changed)
}

func (c *claims[E]) hold(identity string, e E, changed change[E]) {
	var nobody E
	c.holders.set(identity, e)
	c.version.Add(1)
	changed(nobody, e)
}

func (c *claims[E]) unhold(identity string, e E, changed change[E]) {
	var nobody E
	c.holders.remove(identity)
	c.version.Add(1)
	changed(e, nobody)
}

func (c *claims[E]) addRival(identity string, e E) {
	list := c.rivals[identity]
	i, _ := slices.BinarySearchFunc(list, e, func(have, want E) int {
		if have.Resource().Before(want.Resource()) {
			return -1
		}
		return 1
	})
	c.rivals[identity] = slices.Insert(list, i, e)
}

func (c *claims[E]) dropRival(identity string, e E) {
	list := c.rivals[identity]
	i := slices.Index(list, e)
	if i < 0 {
		return
	}
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(c.rivals, identity)
		return
	}
	c.rivals[identity] = list
}

// claimant finds the claimant of an identity with that uid, and says whether it
// is in force. Called under the writer lock.
func (c *claims[E]) claimant(identity, uid string) (e E, holds, found bool) {
	if holder, ok := c.holders.get(identity); ok && holder.Resource().UID == uid {
		return holder, true, true
	}
	for _, r := range c.rivals[identity] {
		if r.Resource().UID == uid {
			return r, false, true
		}
	}
	var nobody E
	return nobody, false, false
}

// all returns the holders by identity. The list is shared: it is made once and
// serves until a holder changes.
func (c *claims[E]) all() []E {
	if s := c.sorted.Load(); s != nil && s.version == c.version.Load() {
		return s.list
	}
	c.sorting.Lock()
	defer c.sorting.Unlock()
	// Read first: a change that comes while the list is made leaves it stale, and
	// the next reader makes another.
	version := c.version.Load()
	if s := c.sorted.Load(); s != nil && s.version == version {
		return s.list
	}
	list := c.holders.values()
	slices.SortFunc(list, func(a, b E) int { return strings.Compare(a.Identity(), b.Identity()) })
	list = list[:len(list):len(list)]
	c.sorted.Store(&sortedList[E]{version: version, list: list})
	return list
}
