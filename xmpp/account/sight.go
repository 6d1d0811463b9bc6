package account

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// sight is what shared groups mean for one user. The contacts that come of it are in no list of the user's: they are looked up in the
// circles, of which everybody has the same.
//
// Who sees whom decides what a contact is: a user is subscribed to the members of the circles that are shown to him (RFC 6121 §2.1.2.5,
// "to"), and those who see a circle that he is in are subscribed to him ("from"). Those alone are no contacts that clients see, as
// everybody's list would else be the list of everybody; they get the user's presence.
type sight struct {
	own    jid.JID
	in     *sharing  // nil: the user is in nothing and sees nothing
	member []*circle // that the user is in, by name
	sees   []*circle // whose members the user sees, by name
	digest [2]uint64 // of all this; zero when there is nothing
}

// relation is what shared groups make of one contact.
type relation struct {
	subscription Subscription
	name         string
	headings     []string // shared: copy to change
}

// newSight looks at a sharing for the first time. It does not ask the directory, which may be ahead.
func newSight(own jid.JID, in *sharing) *sight {
	var member []*circle
	for _, c := range in.circles {
		if c.has(own) {
			member = append(member, c)
		}
	}
	slices.SortFunc(member, byName)
	return makeSight(own, in, member)
}

// next follows to a later sharing, at the cost of what has changed.
func (s *sight) next(in *sharing) *sight {
	changed := in.since(s.in)
	member := slices.DeleteFunc(slices.Clone(s.member), func(c *circle) bool { return slices.Contains(changed, c.name) })
	for _, name := range changed {
		if c := in.circles[name]; c != nil && c.has(s.own) {
			member = append(member, c)
		}
	}
	slices.SortFunc(member, byName)
	return makeSight(s.own, in, member)
}

func makeSight(own jid.JID, in *sharing, member []*circle) *sight {
	s := &sight{own: own, in: in, member: member}
	s.sees = append(s.sees, in.everybody...)
	for _, c := range member {
		s.sees = append(s.sees, in.shownTo[c.name]...)
	}
	slices.SortFunc(s.sees, byName)
	s.sees = slices.Compact(s.sees)
	s.digest = s.sum()
	return s
}

// sum digests what the shared part of a roster depends on, alike on every replica.
func (s *sight) sum() [2]uint64 {
	h := sha256.New()
	empty := true
	add := func(c *circle) {
		empty = false
		sum := c.digest()
		h.Write(sum[:])
	}
	for _, c := range s.sees {
		add(c)
	}
	h.Write([]byte{0})
	for _, c := range s.member {
		if c.mode == directory.SharedNobody {
			continue
		}
		add(c)
		for _, name := range c.visibleTo {
			add(s.in.circles[name])
		}
	}
	if empty {
		return [2]uint64{}
	}
	return halves(h.Sum(nil))
}

func halves(sum []byte) [2]uint64 {
	return [2]uint64{binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])}
}

// relation looks a contact up.
func (s *sight) relation(contact jid.JID) (r relation) {
	if s.in == nil || contact == s.own {
		return r
	}
	for _, c := range s.sees {
		p, ok := c.find(contact)
		if !ok {
			continue
		}
		r.subscription |= SubscriptionTo
		r.name = p.name
		switch {
		case r.headings == nil:
			r.headings = c.headings
		case !slices.Contains(r.headings, c.headings[0]):
			r.headings = append(slices.Clip(r.headings), c.headings[0])
		}
	}
	if len(r.headings) > 1 {
		slices.Sort(r.headings)
	}
	if s.seenBy(contact) {
		r.subscription |= SubscriptionFrom
	}
	return r
}

// seenBy reports whether somebody sees a circle that the user is in.
func (s *sight) seenBy(who jid.JID) bool {
	for _, c := range s.member {
		if s.in.shows(c, who) {
			return true
		}
	}
	return false
}

// contacts lists the members of all circles that the user sees, each once, but for some.
func (s *sight) contacts(skip func(jid.JID) bool) []jid.JID {
	n := 0
	for _, c := range s.sees {
		n += len(c.people)
	}
	out := make([]jid.JID, 0, n)
	for _, c := range s.sees {
		for i := range c.people {
			if j := c.people[i].jid; j != s.own && !skip(j) {
				out = append(out, j)
			}
		}
	}
	if len(s.sees) > 1 {
		slices.SortFunc(out, jid.JID.Compare)
		out = slices.Compact(out)
	}
	return out
}

// audience lists who sees circles that the user is in, each once, but for some. everybody: all users of the domain do, and who else does is not
// listed.
func (s *sight) audience(skip func(jid.JID) bool) (list []jid.JID, everybody bool) {
	lists := 0
	for _, c := range s.member {
		switch c.mode {
		case directory.SharedEverybody:
			return nil, true
		case directory.SharedOnlyGroup:
			lists++
			list = appendPeople(list, c)
			for _, name := range c.visibleTo {
				lists++
				list = appendPeople(list, s.in.circles[name])
			}
		}
	}
	if lists > 1 {
		slices.SortFunc(list, jid.JID.Compare)
		list = slices.Compact(list)
	}
	return slices.DeleteFunc(list, func(j jid.JID) bool { return j == s.own || skip(j) }), false
}

func appendPeople(list []jid.JID, c *circle) []jid.JID {
	for i := range c.people {
		list = append(list, c.people[i].jid)
	}
	return list
}

// look brings a user up to date with the groups that are shared, and tells those who have to know. The user is locked, and has an account.
func (r *Rosters) look(u *user) {
	in := r.shares.current()
	before := u.sight
	switch {
	case before.in == in:
	case before.in == nil, !u.loaded: // nobody has been told anything yet
		u.setSight(newSight(u.jid, in))
	default:
		r.follow(u, before, before.next(in))
	}
}

// setSight makes a sight the user's.
func (u *user) setSight(s *sight) {
	u.sight = s
	u.setSharedDigest(s.digest)
}

func (u *user) setSharedDigest(d [2]uint64) {
	for i := range d {
		u.digest[i] ^= u.sharedDigest[i] ^ d[i]
	}
	u.sharedDigest = d
}

// follow does what follows from groups that have changed: roster pushes (RFC 6121 §2.1.6), unavailable presence to those who may not
// see the user any more, and presence for those who may see somebody now. The user is locked and loaded.
func (r *Rosters) follow(u *user, before, after *sight) {
	list := r.affected(u, before, after)
	olds := make([]Item, len(list))
	for i, contact := range list {
		olds[i] = u.item(contact)
	}
	u.sight = after
	var told []owed
	there, few := r.online(u.username), len(list) <= pushAtOnce
	for i, contact := range list {
		now := u.item(contact)
		was, is := olds[i].Subscription, now.Subscription
		if was.SeenByContact() && !is.SeenByContact() {
			r.hidePresence(u, contact)
		}
		// Both sides see to it that presence is shown, as to one of them the other may be nothing new, by an entry of its own. Of thousands that a manifest
		// brings at once, not all pairs are kept in memory: there it is left to each contact, who asks when told of the user.
		_, own := u.entries[contact]
		if there && (few || own) && !was.SeenByContact() && is.SeenByContact() && contact.Domain() == r.sb.Domain() && r.online(contact.Local()) {
			r.showSoon(u.username, contact)
		}
		if now.Hidden != olds[i].Hidden || !now.Hidden && !now.same(&olds[i]) {
			told = append(told, owed{contact: contact, seen: !was.SeesContact() && is.SeesContact()})
		}
	}
	r.owe(u, told)
}

// introduction is the presence of a user that a contact has yet to get.
type introduction struct {
	username string
	contact  jid.JID
}

func (i introduction) compare(o introduction) int {
	return cmp.Or(strings.Compare(i.username, o.username), i.contact.Compare(o.contact))
}

// showSoon has a user's presence sent to a contact once all rosters have followed the groups, so that clients know of whom they hear.
func (r *Rosters) showSoon(username string, contact jid.JID) {
	r.dirty.mu.Lock()
	r.dirty.introductions = append(r.dirty.introductions, introduction{username, contact})
	r.dirty.mu.Unlock()
	r.wake()
}

// affected lists, in order, all contacts that may be to the user something else than before.
func (r *Rosters) affected(u *user, before, after *sight) []jid.JID {
	var list []jid.JID
	r.affectedSeen(before, after, &list)
	if r.affectedSeers(before, after, &list) {
		// Everybody sees the user now, or does no longer. For those who are not there that matters where they are contacts.
		list = append(list, after.contacts(func(jid.JID) bool { return false })...)
		for contact := range u.entries {
			list = append(list, contact)
		}
		for s := range r.sb.Firsts() {
			list = append(list, s.JID().Bare())
		}
	}
	slices.SortFunc(list, jid.JID.Compare)
	return slices.DeleteFunc(slices.Compact(list), func(j jid.JID) bool { return j == u.jid })
}

// affectedSeen adds those whom the user sees, or saw, otherwise than before.
func (r *Rosters) affectedSeen(before, after *sight, list *[]jid.JID) {
	pairUp(before.sees, after.sees, func(was, is *circle) {
		switch {
		case was == is:
		case was != nil && is != nil && slices.Equal(was.headings, is.headings):
			*list = append(*list, is.since(was)...)
		default:
			*list = appendPair(*list, was, is)
		}
	})
}

// affectedSeers adds those who see the user, or saw him, otherwise than before, but for everybody.
func (r *Rosters) affectedSeers(before, after *sight, list *[]jid.JID) (everybody bool) {
	pairUp(before.member, after.member, func(was, is *circle) {
		if was != nil && is != nil && was.alike(is) {
			if is.mode != directory.SharedOnlyGroup {
				return
			}
			if was != is {
				*list = append(*list, is.since(was)...)
			}
			for _, name := range is.visibleTo {
				if a, b := before.in.circles[name], after.in.circles[name]; a != b {
					*list = append(*list, b.since(a)...)
				}
			}
			return
		}
		for _, side := range []struct {
			c  *circle
			in *sharing
		}{{was, before.in}, {is, after.in}} {
			switch {
			case side.c == nil:
			case side.c.mode == directory.SharedEverybody:
				everybody = true
			case side.c.mode == directory.SharedOnlyGroup:
				*list = appendPeople(*list, side.c)
				for _, name := range side.c.visibleTo {
					*list = appendPeople(*list, side.in.circles[name])
				}
			}
		}
	})
	return everybody
}

func appendPair(list []jid.JID, was, is *circle) []jid.JID {
	if was != nil {
		list = appendPeople(list, was)
	}
	if is != nil {
		list = appendPeople(list, is)
	}
	return list
}

// pairUp walks two lists of circles by name; nil stands for one that is not there.
func pairUp(a, b []*circle, f func(was, is *circle)) {
	for len(a) > 0 || len(b) > 0 {
		var order int
		switch {
		case len(b) == 0:
			order = -1
		case len(a) == 0:
			order = 1
		default:
			order = cmp.Compare(a[0].name, b[0].name)
		}
		switch {
		case order < 0:
			f(a[0], nil)
			a = a[1:]
		case order > 0:
			f(nil, b[0])
			b = b[1:]
		default:
			f(a[0], b[0])
			a, b = a[1:], b[1:]
		}
	}
}
