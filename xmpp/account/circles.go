package account

import (
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// circle is a group as rosters see it: one that is shared, or that a shared one is visible to. It does not change, but for what it has
// worked out: another state of the group is another circle.
type circle struct {
	id        uint64
	name      string
	headings  []string // the one roster group that its members are in
	mode      directory.SharedRosterMode
	visibleTo []string // further groups whose members see this one, with OnlyGroup
	people    []person // sorted: members that have an account, and those of other domains

	digest func() [sha256.Size]byte

	mu    sync.Mutex
	diffs []circleDiff
}

// person is a member of a circle.
type person struct {
	jid  jid.JID
	name string
}

// circleDiff is what since has found out.
type circleDiff struct {
	from    uint64
	changed []jid.JID
}

// maxDiffs is how many earlier states something is compared with at once: everybody who is online follows the changes of groups one by one,
// or nearly so.
const maxDiffs = 4

func (c *circle) find(who jid.JID) (person, bool) {
	i, ok := slices.BinarySearchFunc(c.people, who, comparePerson)
	if !ok {
		return person{}, false
	}
	return c.people[i], true
}

func comparePerson(p person, who jid.JID) int { return p.jid.Compare(who) }

func (c *circle) has(who jid.JID) bool {
	_, ok := c.find(who)
	return ok
}

// alike reports whether two states of a group differ in people at most.
func (c *circle) alike(o *circle) bool {
	return c.mode == o.mode && slices.Equal(c.headings, o.headings) && slices.Equal(c.visibleTo, o.visibleTo)
}

// since lists who came, went, or got another name since an earlier state of the group. It is worked out once for all who ask.
func (c *circle) since(old *circle) []jid.JID {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.diffs {
		if c.diffs[i].from == old.id {
			return c.diffs[i].changed
		}
	}
	var changed []jid.JID
	a, b := old.people, c.people
	for len(a) > 0 || len(b) > 0 {
		switch order := comparePeople(a, b); {
		case order < 0:
			changed, a = append(changed, a[0].jid), a[1:]
		case order > 0:
			changed, b = append(changed, b[0].jid), b[1:]
		default:
			if a[0].name != b[0].name {
				changed = append(changed, a[0].jid)
			}
			a, b = a[1:], b[1:]
		}
	}
	if len(c.diffs) == maxDiffs {
		c.diffs = slices.Delete(c.diffs, 0, 1)
	}
	c.diffs = append(c.diffs, circleDiff{from: old.id, changed: changed})
	return changed
}

// comparePeople orders the heads of two lists, of which one may be empty.
func comparePeople(a, b []person) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return a[0].jid.Compare(b[0].jid)
}

// sum digests all that rosters show of a circle, alike on every replica.
func (c *circle) sum() (out [sha256.Size]byte) {
	h := sha256.New()
	var buf []byte
	field := func(s string) {
		buf = append(binary.BigEndian.AppendUint32(buf[:0], uint32(len(s))), s...) //nolint:gosec // names are short
		h.Write(buf)
	}
	field(c.name)
	field(c.headings[0])
	field(string(c.mode))
	for _, v := range c.visibleTo {
		field(v)
	}
	field("")
	for i := range c.people {
		field(c.people[i].jid.String())
		field(c.people[i].name)
	}
	return [sha256.Size]byte(h.Sum(out[:0]))
}

// sharing is what all groups mean for rosters at one moment. It does not change, but for what it has worked out.
type sharing struct {
	id        uint64
	domain    string
	circles   map[string]*circle
	everybody []*circle            // by name
	shownTo   map[string][]*circle // by the group whose members see them, itself included

	mu    sync.Mutex
	diffs []sharingDiff
}

type sharingDiff struct {
	from    uint64
	changed []string
}

// since names the circles that are others than they were.
func (s *sharing) since(old *sharing) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.diffs {
		if s.diffs[i].from == old.id {
			return s.diffs[i].changed
		}
	}
	var changed []string
	for name, c := range s.circles {
		if old.circles[name] != c {
			changed = append(changed, name)
		}
	}
	for name := range old.circles {
		if s.circles[name] == nil {
			changed = append(changed, name)
		}
	}
	if len(s.diffs) == maxDiffs {
		s.diffs = slices.Delete(s.diffs, 0, 1)
	}
	s.diffs = append(s.diffs, sharingDiff{from: old.id, changed: changed})
	return changed
}

// shows reports whether somebody sees the members of a circle.
func (s *sharing) shows(c *circle, to jid.JID) bool {
	switch c.mode {
	case directory.SharedEverybody:
		return to.Domain() == s.domain
	case directory.SharedOnlyGroup:
		return c.has(to) || slices.ContainsFunc(c.visibleTo, func(name string) bool { return s.circles[name].has(to) })
	}
	return false
}

// maxPeople bounds the members of one group that rosters show: a roster is one stanza, which a client has to take as a whole.
const maxPeople = 5000

// shares makes a sharing of the directory whenever somebody needs one and groups have changed since.
type shares struct {
	dir *directory.Directory
	log *slog.Logger

	// building is held while a sharing is made, which reads the directory and so must not be done under mu: the directory's watchers take that.
	building sync.Mutex
	ids      uint64 // guarded by building
	now      atomic.Pointer[sharing]

	stale atomic.Bool
	mu    sync.Mutex
	all   bool // what there was before the first event has yet to be read
	dirty map[string]struct{}
}

func newShares(dir *directory.Directory, log *slog.Logger) *shares {
	s := &shares{dir: dir, log: log, all: true, dirty: make(map[string]struct{})}
	s.now.Store(&sharing{domain: dir.Domain(), circles: map[string]*circle{}})
	s.stale.Store(true)
	return s
}

// note takes down that groups have changed. Many users that come into one group are one note.
func (s *shares) note(groups ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range groups {
		s.dirty[name] = struct{}{}
	}
	s.stale.Store(true)
}

// current gives what groups mean now.
func (s *shares) current() *sharing {
	if !s.stale.Load() {
		return s.now.Load()
	}
	s.building.Lock()
	defer s.building.Unlock()
	for s.stale.Load() {
		s.mu.Lock()
		all, dirty := s.all, s.dirty
		s.all, s.dirty = false, make(map[string]struct{})
		s.mu.Unlock()
		s.now.Store(s.build(s.now.Load(), all, dirty))
		// Who finds it stale meanwhile waits for building.
		s.mu.Lock()
		s.stale.Store(len(s.dirty) > 0)
		s.mu.Unlock()
	}
	return s.now.Load()
}

// build gives what groups mean after some of them have changed; the old one if that makes no difference.
func (s *shares) build(old *sharing, all bool, dirty map[string]struct{}) *sharing {
	if all {
		for _, g := range s.dir.Groups() {
			dirty[g.GroupName] = struct{}{}
		}
	}
	read, shared := make(map[string]*directory.Group, len(dirty)), make(map[string]*directory.Group)
	touched := false
	for name := range dirty {
		g, ok := s.dir.Group(name)
		read[name] = g
		if ok && g.SharedRoster.Mode != directory.SharedNobody && g.SharedRoster.Mode != "" {
			shared[name], touched = g, true
		}
		touched = touched || old.circles[name] != nil
	}
	if !touched {
		return old
	}
	relevant := make(map[string]struct{})
	add := func(name string, visibleTo []string) {
		relevant[name] = struct{}{}
		for _, v := range visibleTo {
			relevant[v] = struct{}{}
		}
	}
	for name, c := range old.circles {
		if _, ok := dirty[name]; !ok && c.mode != directory.SharedNobody {
			add(name, c.visibleTo)
		}
	}
	for name, g := range shared {
		add(name, seers(g))
	}
	next := &sharing{domain: old.domain, circles: make(map[string]*circle, len(relevant)), shownTo: make(map[string][]*circle)}
	same := len(relevant) == len(old.circles)
	for name := range relevant {
		c := old.circles[name]
		if _, again := dirty[name]; again || c == nil {
			c = s.circle(name, shared[name], c)
			if g, _ := s.dir.Group(name); again && g != read[name] {
				// It has changed meanwhile, and its members may be of another state than the rest: all of it again.
				s.note(slices.Collect(maps.Keys(dirty))...)
				return old
			}
		}
		next.circles[name] = c
		same = same && old.circles[name] == c
	}
	if same {
		return old
	}
	s.ids++
	next.id = s.ids
	for _, name := range slices.Sorted(maps.Keys(next.circles)) {
		switch c := next.circles[name]; c.mode {
		case directory.SharedEverybody:
			next.everybody = append(next.everybody, c)
		case directory.SharedOnlyGroup:
			next.shownTo[name] = append(next.shownTo[name], c)
			for _, v := range c.visibleTo {
				next.shownTo[v] = append(next.shownTo[v], c)
			}
		}
	}
	return next
}

// seers gives the further groups that see a group, each once.
func seers(g *directory.Group) []string {
	if g.SharedRoster.Mode != directory.SharedOnlyGroup {
		return nil
	}
	list := slices.Clone(g.SharedRoster.VisibleTo)
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(name string) bool { return name == g.GroupName })
}

// circle makes the circle of a group, which need not exist; the old one if it says the same. g is nil when the group is not shared.
func (s *shares) circle(name string, g *directory.Group, old *circle) *circle {
	c := &circle{name: name, headings: []string{name}, mode: directory.SharedNobody}
	if g != nil {
		if g.DisplayName != "" {
			c.headings = []string{g.DisplayName}
		}
		c.mode, c.visibleTo = g.SharedRoster.Mode, seers(g)
	}
	members := s.dir.Members(name)
	c.people = make([]person, 0, min(len(members), maxPeople))
	for _, j := range members {
		if len(c.people) == maxPeople {
			if old == nil || len(old.people) < maxPeople {
				s.log.Warn("a shared group has too many members for contact lists, which show only the first of them by address",
					"group", name, "members", len(members), "shown", maxPeople)
			}
			break
		}
		if j.Domain() != s.dir.Domain() {
			c.people = append(c.people, person{jid: j})
		} else if u, ok := s.dir.User(j.Local()); ok { // others may come, and nobody could reach them now
			c.people = append(c.people, person{jid: j, name: u.DisplayName})
		}
	}
	if old != nil && c.alike(old) && slices.Equal(c.people, old.people) {
		return old
	}
	s.ids++
	c.id = s.ids
	c.digest = sync.OnceValue(c.sum)
	return c
}

// byName orders circles.
func byName(a, b *circle) int { return strings.Compare(a.name, b.name) }
