package directory

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Members lists who is in a group, sorted: its members, its admins, and the users that its selector picks. The list is shared: do not
// change it. A group that is not in force has none.
//
// The list of a group with a selector is made when somebody asks for it; who only wants to know about one address asks IsMember.
func (d *Directory) Members(group string) []jid.JID {
	m, ok := d.members.groups.get(group)
	if !ok {
		return nil
	}
	return m.list(d)
}

// Admins lists the admins of a group, sorted. The list is shared: do not change it.
func (d *Directory) Admins(group string) []jid.JID {
	m, ok := d.members.groups.get(group)
	if !ok {
		return nil
	}
	return m.group.Admins
}

// IsMember says whether a bare address is in a group, as a member, an admin or by its selector. It takes no list of members to know that.
func (d *Directory) IsMember(group string, bare jid.JID) bool {
	m, ok := d.members.groups.get(group)
	if !ok {
		return false
	}
	if m.named(bare) {
		return true
	}
	if m.group.Selector == nil || bare.Domain() != d.domain {
		return false
	}
	u, ok := d.users.holders.get(bare.Local())
	return ok && m.group.Selector.Matches(u.Labels)
}

// GroupsOf lists the groups that a bare address is in, by name. The list is shared: do not change it.
func (d *Directory) GroupsOf(bare jid.JID) []string {
	names, _ := d.members.of.get(bare.String())
	selecting := d.members.selecting.Load()
	if selecting == nil || bare.Domain() != d.domain {
		return names
	}
	u, ok := d.users.holders.get(bare.Local())
	if !ok {
		return names
	}
	shared := true
	for _, m := range *selecting {
		if !m.group.Selector.Matches(u.Labels) {
			continue
		}
		i, there := slices.BinarySearch(names, m.group.GroupName)
		if there {
			continue
		}
		if shared {
			names, shared = append(make([]string, 0, len(names)+4), names...), false
		}
		names = slices.Insert(names, i, m.group.GroupName)
	}
	return names
}

// memberships knows who is in which group. It is written under the directory's writer lock only.
//
// What a group names is kept both ways. Whom a selector picks is kept nowhere: that is one comparison of labels, and so a user's
// change costs one comparison for each group that has a selector, whatever the size of the groups.
type memberships struct {
	// groups has the groups in force by name.
	groups *index[*membership]
	// of has the groups that name an address, sorted.
	of *index[[]string]
	// selecting has the groups with a selector, by name; nil: there are none.
	selecting atomic.Pointer[[]*membership]
}

func newMemberships() *memberships {
	return &memberships{groups: newIndex[*membership](), of: newIndex[[]string]()}
}

// membership is one group in force. All but what mu guards is immutable.
type membership struct {
	group *Group
	// names has members and admins, sorted, each once.
	names []jid.JID

	mu sync.Mutex
	// all is the whole list of a group with a selector, as it was before pending; nil: nobody has asked for it.
	all []jid.JID
	// pending has who came (true) or went since. The writer adds to it, the next reader makes a list of it.
	pending map[jid.JID]bool
}

func (m *membership) named(bare jid.JID) bool {
	_, ok := slices.BinarySearchFunc(m.names, bare, jid.JID.Compare)
	return ok
}

// list gives the whole list. Users that come or go while it is made are in pending afterwards: the writer changes the users first.
func (m *membership) list(d *Directory) []jid.JID {
	if m.group.Selector == nil {
		return m.names
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.all == nil:
		m.all = m.scan(d)
	case len(m.pending) > 0:
		var came, went []jid.JID
		for j, is := range m.pending {
			if is {
				came = append(came, j)
			} else {
				went = append(went, j)
			}
		}
		slices.SortFunc(came, jid.JID.Compare)
		slices.SortFunc(went, jid.JID.Compare)
		m.all = union(minus(m.all, went), came)
	}
	m.pending = nil
	return m.all
}

// scan looks at all users.
func (m *membership) scan(d *Directory) []jid.JID {
	selected := []jid.JID{}
	for _, u := range d.users.holders.values() {
		if m.group.Selector.Matches(u.Labels) {
			if j, err := jid.New(u.Username, d.domain, ""); err == nil {
				selected = append(selected, j)
			}
		}
	}
	slices.SortFunc(selected, jid.JID.Compare)
	return union(selected, m.names)
}

// note takes down that the selector picks a user from now on, or does no longer.
func (m *membership) note(j jid.JID, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		return
	}
	if m.pending == nil {
		m.pending = make(map[jid.JID]bool)
	}
	m.pending[j] = is
	// Nobody asks any more: it is made anew should that change.
	if len(m.pending) > 1024+len(m.all)/8 {
		m.all, m.pending = nil, nil
	}
}

// groupChanged follows a group, and tells the watchers.
func (d *Directory) groupChanged(old, next *Group) {
	var before, after *membership
	if old != nil {
		before, _ = d.members.groups.get(old.GroupName)
	}
	if next != nil {
		after = &membership{group: next}
		if before != nil && slices.Equal(old.Members, next.Members) && slices.Equal(old.Admins, next.Admins) {
			after.names = before.names
		} else {
			after.names = union(sorted(next.Members), sorted(next.Admins))
		}
	}
	e := event(KindGroup, old, next, false)
	d.members.relate(e.Identity, before, after)
	var selector, previous *Selector
	if next != nil {
		selector = next.Selector
	}
	if old != nil {
		previous = old.Selector
	}
	switch {
	case reflect.DeepEqual(previous, selector):
		// Whom the selector picks has not changed; who was or is picked anyway does not come or go by being named.
		e.Joined, e.Left = d.unpicked(minus(after.mentioned(), before.mentioned()), selector), d.unpicked(minus(before.mentioned(), after.mentioned()), selector)
	default:
		var was, is []jid.JID
		if before != nil {
			was = before.list(d)
		}
		if after != nil {
			is = after.list(d)
		}
		e.Joined, e.Left = minus(is, was), minus(was, is)
	}
	d.watchers.tell(e)
}

// mentioned gives whom a group names; nobody when there is no group.
func (m *membership) mentioned() []jid.JID {
	if m == nil {
		return nil
	}
	return m.names
}

// unpicked leaves out whom a selector picks.
func (d *Directory) unpicked(list []jid.JID, s *Selector) []jid.JID {
	if s == nil {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(j jid.JID) bool {
		if j.Domain() != d.domain {
			return false
		}
		u, ok := d.users.holders.get(j.Local())
		return ok && s.Matches(u.Labels)
	})
}

// relate brings the indexes up to date.
func (x *memberships) relate(group string, before, after *membership) {
	if after != nil {
		x.groups.set(group, after)
	} else {
		x.groups.remove(group)
	}
	for _, j := range minus(before.mentioned(), after.mentioned()) {
		names, _ := x.of.get(j.String())
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == group })
		if len(names) == 0 {
			x.of.remove(j.String())
		} else {
			x.of.set(j.String(), names)
		}
	}
	for _, j := range minus(after.mentioned(), before.mentioned()) {
		names, _ := x.of.get(j.String())
		if i, there := slices.BinarySearch(names, group); !there {
			// Cut to its length, the list is copied by Insert, and not changed under a reader.
			x.of.set(j.String(), slices.Insert(names[:len(names):len(names)], i, group))
		}
	}
	if (before == nil || before.group.Selector == nil) && (after == nil || after.group.Selector == nil) {
		return
	}
	var list []*membership
	if have := x.selecting.Load(); have != nil {
		list = slices.DeleteFunc(slices.Clone(*have), func(m *membership) bool { return m.group.GroupName == group })
	}
	if after != nil && after.group.Selector != nil {
		list = append(list, after)
		slices.SortFunc(list, func(a, b *membership) int { return strings.Compare(a.group.GroupName, b.group.GroupName) })
	}
	if len(list) == 0 {
		x.selecting.Store(nil)
	} else {
		x.selecting.Store(&list)
	}
}

// reselect tells the watchers of the groups that a user came into or left by selector.
func (d *Directory) reselect(old, next *User) {
	selecting := d.members.selecting.Load()
	if selecting == nil || old != nil && next != nil && maps.Equal(old.Labels, next.Labels) {
		return
	}
	var bare jid.JID
	for _, m := range *selecting {
		was := old != nil && m.group.Selector.Matches(old.Labels)
		is := next != nil && m.group.Selector.Matches(next.Labels)
		if was == is {
			continue
		}
		if bare.IsZero() {
			one := next
			if one == nil {
				one = old
			}
			var err error
			if bare, err = jid.New(one.Username, d.domain, ""); err != nil {
				return // names come prepared
			}
		}
		if m.named(bare) {
			continue
		}
		m.note(bare, is)
		e := Event{Kind: KindGroup, Identity: m.group.GroupName, Old: m.group, New: m.group}
		if is {
			e.Joined = []jid.JID{bare}
		} else {
			e.Left = []jid.JID{bare}
		}
		d.watchers.tell(e)
	}
}

// sorted gives a list in order; lists of entries are.
func sorted(list []jid.JID) []jid.JID {
	if slices.IsSortedFunc(list, jid.JID.Compare) {
		return list
	}
	list = slices.Clone(list)
	slices.SortFunc(list, jid.JID.Compare)
	return list
}

// union merges two sorted lists, each address once. It may give one of them back.
func union(a, b []jid.JID) []jid.JID {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(b) == 0 {
		return a[:len(a):len(a)]
	}
	out := make([]jid.JID, 0, len(a)+len(b))
	for _, j := range b {
		i, there := place(a, j)
		out, a = append(out, a[:i]...), a[i:]
		if !there {
			out = append(out, j)
		}
	}
	out = append(out, a...)
	return out[:len(out):len(out)]
}

// minus gives what is in the first sorted list and not in the second. It may give the first one back.
func minus(a, b []jid.JID) []jid.JID {
	if len(a) == 0 || len(b) == 0 {
		return a[:len(a):len(a)]
	}
	if len(a) == len(b) && &a[0] == &b[0] {
		return nil
	}
	var out []jid.JID
	if len(a) > len(b) {
		out = make([]jid.JID, 0, len(a))
		for _, j := range b {
			i, there := place(a, j)
			out, a = append(out, a[:i]...), a[i:]
			if there {
				a = a[1:]
			}
		}
		out = append(out, a...)
		return out[:len(out):len(out)]
	}
	for _, j := range a {
		i, there := place(b, j)
		if b = b[i:]; !there {
			out = append(out, j)
		}
	}
	return out[:len(out):len(out)]
}

// place finds an address in a sorted list, looking near its beginning first: the lists of a merge are walked from there.
func place(list []jid.JID, j jid.JID) (int, bool) {
	reach := 1
	for reach < len(list) && list[reach].Compare(j) < 0 {
		reach *= 2
	}
	low := reach / 2
	i, there := slices.BinarySearchFunc(list[low:min(len(list), reach+1)], j, jid.JID.Compare)
	return low + i, there
}
