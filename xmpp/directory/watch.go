package directory

import (
	"slices"
	"sync"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Event tells that an identity changed: its holder came, changed or went.
type Event struct {
	Kind Kind
	// Identity is the username, group name, room identity or key.
	Identity string
	// Old and New are pointers to the kind's entry (*User, *Group, *Room,
	// *SystemProperty), or nil when there is none. Both are there when one life of
	// the holder changed; then their UID is the same.
	Old, New any
	// CredentialChanged tells that the content of the user's or the room's Secret changed: other
	// content, or gone, or there for the first time. Their coming and going alone doesn't set it.
	// When only the Secret changed, Old and New are the same entry.
	CredentialChanged bool
	// Joined and Left say who came into a group and who left it, sorted and not to be changed: all of a new group, and of one that went.
	// When only a user's labels changed that the group's selector picks by, Old and New are the same entry.
	Joined, Left []jid.JID
}

// Users returns Old and New of an event about a user, nil where there is none.
func (e Event) Users() (old, next *User) { return entries[*User](e) }

// Groups returns Old and New of an event about a group, nil where there is none.
func (e Event) Groups() (old, next *Group) { return entries[*Group](e) }

// Rooms returns Old and New of an event about a room, nil where there is none.
func (e Event) Rooms() (old, next *Room) { return entries[*Room](e) }

// Properties returns Old and New of an event about a system property, nil where there is none.
func (e Event) Properties() (old, next *SystemProperty) { return entries[*SystemProperty](e) }

func entries[E entry](e Event) (old, next E) {
	old, _ = e.Old.(E)
	next, _ = e.New.(E)
	return old, next
}

// event leaves a side nil that has no entry, not a nil pointer in an interface.
func event[E entry](kind Kind, old, next E, credential bool) Event {
	var nobody E
	ev := Event{Kind: kind, CredentialChanged: credential}
	if old != nobody {
		ev.Old, ev.Identity = old, old.Identity()
	}
	if next != nobody {
		ev.New, ev.Identity = next, next.Identity()
	}
	return ev
}

// watchers is an ordered list of functions to call. Its lock is not held during the
// calls, so that a watcher may cancel itself or add another.
type watchers struct {
	mu   sync.Mutex
	list []*watcher
}

type watcher struct{ call func(Event) }

func (w *watchers) tell(e Event) {
	w.mu.Lock()
	list := w.list
	w.mu.Unlock()
	for _, one := range list {
		one.call(e)
	}
}

// Watch has a function called with every event from now on, in the order of the
// writes and before the write returns. Readers already see what an event tells.
// The function must be quick, and must neither write to the directory nor wait on it.
// An event that is under way on another goroutine may still arrive after cancel returned.
func (d *Directory) Watch(call func(Event)) (cancel func()) {
	w := &watcher{call: call}
	d.watchers.mu.Lock()
	defer d.watchers.mu.Unlock()
	d.watchers.list = append(slices.Clone(d.watchers.list), w)
	return func() {
		d.watchers.mu.Lock()
		defer d.watchers.mu.Unlock()
		d.watchers.list = slices.DeleteFunc(slices.Clone(d.watchers.list), func(o *watcher) bool { return o == w })
	}
}
