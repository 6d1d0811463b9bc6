package room

import (
	"iter"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Affiliation is a long-lived relation of a user to a room (XEP-0045 §5.2). They are ordered: a greater one may do more.
type Affiliation int8

// The affiliations. The zero value is that of everybody who isn't listed.
const (
	Outcast Affiliation = iota - 1
	None
	Member
	Admin
	Owner
)

// String is the value on the wire.
func (a Affiliation) String() string {
	switch a {
	case Outcast:
		return "outcast"
	case Member:
		return "member"
	case Admin:
		return "admin"
	case Owner:
		return "owner"
	}
	return "none"
}

// ParseAffiliation reads the value on the wire.
func ParseAffiliation(s string) (Affiliation, bool) {
	for a := Outcast; a <= Owner; a++ {
		if s == a.String() {
			return a, true
		}
	}
	return None, false
}

// Entry gives a user (a bare JID), or everybody of a domain, an affiliation.
type Entry struct {
	JID         jid.JID
	Affiliation Affiliation
}

// Members is a set of users by their bare JIDs. It may change at any time between two events; after a change the room
// has to be told with [Room.Reconfigured].
type Members interface {
	Contains(bare jid.JID) bool
	All() iter.Seq[jid.JID]
}

// GroupEntry gives every member of a group an affiliation.
type GroupEntry struct {
	Group       string
	Affiliation Affiliation
	Members     Members
}

// Affiliations are all that a room has. The value is immutable; nil is an empty one.
type Affiliations struct {
	// entries are sorted by address, one for each.
	entries []Entry
	// groups are sorted by what takes precedence.
	groups []GroupEntry
	// domains says whether any entry is one of a domain, so that most lookups need not try.
	domains bool
}

// NewAffiliations takes entries, of which the last of an address counts, and groups. Entries of [None] are kept: they
// say that the address has no affiliation, whatever its groups and domain say.
func NewAffiliations(entries []Entry, groups []GroupEntry) *Affiliations {
	if len(entries) == 0 && len(groups) == 0 {
		return nil
	}
	a := &Affiliations{groups: sortedGroups(groups), entries: make([]Entry, len(entries))}
	for i, e := range entries {
		a.entries[len(entries)-1-i] = Entry{e.JID.Bare(), e.Affiliation} // the last first
	}
	slices.SortStableFunc(a.entries, compareEntries)
	a.entries = slices.CompactFunc(a.entries, func(x, y Entry) bool { return x.JID == y.JID })
	a.countDomains()
	return a
}

// sortedGroups puts those that take precedence first: Owner, Admin, Outcast, Member.
func sortedGroups(groups []GroupEntry) []GroupEntry {
	rank := func(a Affiliation) int {
		switch a {
		case Owner:
			return 0
		case Admin:
			return 1
		case Outcast:
			return 2
		}
		return 3
	}
	groups = slices.Clone(groups)
	slices.SortStableFunc(groups, func(a, b GroupEntry) int { return rank(a.Affiliation) - rank(b.Affiliation) })
	return groups
}

func compareEntries(a, b Entry) int { return a.JID.Compare(b.JID) }

// With is the affiliations after changes, of which the last of an address counts. [None] takes the entry away; where the
// address would then still get an affiliation from a group or its domain, an entry of None stays that overrules it.
func (a *Affiliations) With(changes []Entry) *Affiliations {
	next := &Affiliations{}
	if a != nil {
		next.entries, next.groups = slices.Clone(a.entries), a.groups
	}
	for _, c := range changes {
		c.JID = c.JID.Bare()
		i, found := slices.BinarySearchFunc(next.entries, c, compareEntries)
		if found {
			next.entries[i] = c
		} else {
			next.entries = slices.Insert(next.entries, i, c)
		}
	}
	next.countDomains()
	for _, c := range changes {
		if c.Affiliation != None {
			continue
		}
		i, found := slices.BinarySearchFunc(next.entries, Entry{JID: c.JID.Bare()}, compareEntries)
		if found && next.entries[i].Affiliation == None && next.inherited(next.entries[i].JID) == None {
			next.entries = slices.Delete(next.entries, i, i+1)
		}
	}
	next.countDomains()
	return next
}

func (a *Affiliations) countDomains() {
	a.domains = slices.ContainsFunc(a.entries, func(e Entry) bool { return e.JID.Local() == "" })
}

// Of is the affiliation of an address, whatever its resource: its own entry, else the strongest of its groups (Owner,
// Admin, Outcast, Member in this order), else its domain's.
func (a *Affiliations) Of(j jid.JID) Affiliation {
	if a == nil {
		return None
	}
	bare := j.Bare()
	if i, found := slices.BinarySearchFunc(a.entries, Entry{JID: bare}, compareEntries); found {
		return a.entries[i].Affiliation
	}
	return a.inherited(bare)
}

// inherited is the affiliation of a bare address that has no entry of its own.
func (a *Affiliations) inherited(bare jid.JID) Affiliation {
	for i := range a.groups {
		if a.groups[i].Members != nil && a.groups[i].Members.Contains(bare) {
			return a.groups[i].Affiliation
		}
	}
	if !a.domains || bare.Local() == "" {
		return None
	}
	if i, found := slices.BinarySearchFunc(a.entries, Entry{JID: bare.Host()}, compareEntries); found {
		return a.entries[i].Affiliation
	}
	return None
}

// Entries are those by address, sorted. The list is shared: do not change it.
func (a *Affiliations) Entries() []Entry {
	if a == nil {
		return nil
	}
	return a.entries
}

// Groups are those by group. The list is shared: do not change it.
func (a *Affiliations) Groups() []GroupEntry {
	if a == nil {
		return nil
	}
	return a.groups
}

// List is everybody with this affiliation, by entry or by group, each address once.
func (a *Affiliations) List(of Affiliation) []jid.JID {
	if a == nil {
		return nil
	}
	var list []jid.JID
	for _, e := range a.entries {
		if e.Affiliation == of {
			list = append(list, e.JID)
		}
	}
	own := len(list)
	for _, g := range a.groups {
		if g.Affiliation != of || g.Members == nil {
			continue
		}
		for j := range g.Members.All() {
			if a.Of(j) == of {
				list = append(list, j.Bare())
			}
		}
	}
	if len(list) == own {
		return list
	}
	slices.SortFunc(list, jid.JID.Compare)
	return slices.Compact(list)
}

// has reports whether anybody has this affiliation.
func (a *Affiliations) has(of Affiliation) bool {
	if a == nil {
		return false
	}
	for _, e := range a.entries {
		if e.Affiliation == of {
			return true
		}
	}
	for _, g := range a.groups {
		if g.Affiliation != of || g.Members == nil {
			continue
		}
		for j := range g.Members.All() {
			if a.Of(j) == of {
				return true
			}
		}
	}
	return false
}
