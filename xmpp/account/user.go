package account

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// user is what is known of one account while it is online or an operation is under way for it.
type user struct {
	username string
	jid      jid.JID // bare
	holders  int     // operations that have it or wait for it; guarded by Rosters.mu

	// mu orders everything that happens to this user's roster and presence, and guards what follows.
	mu        sync.Mutex
	loaded    bool
	anonymous bool            // there is no account (any more) to remember anything of
	source    *directory.User // whose contacts are in entries; nil when there is no declared account
	entries   map[jid.JID]*entry
	listed    int       // rows that clients see as contacts
	waiting   int       // hidden rows
	digest    [2]uint64 // of all that clients see; see version
	sight     *sight    // what groups add to the entries
	// sharedDigest is the part of the digest that stands for sight.
	sharedDigest [2]uint64
	owed         []owed      // changes that clients have yet to be told of
	changes      []change    // the last ones of that
	resources    []*resource // sessions that asked for the roster or sent presence
	rest         []func()    // what is to be done once the lock is given back
}

// entry is one contact: what is declared, and what is remembered.
type entry struct {
	declared *directory.Contact
	row      *Item
	digest   [2]uint64
}

// resource is what is known of one session of the user.
type resource struct {
	session    *core.Session
	interested bool // asked for the roster (RFC 6121 §2.2)
	// directed holds who got presence by direct address and would otherwise not hear of its end (RFC 6121 §4.6.3).
	directed map[jid.JID]struct{}
}

func newUser(username, domain string) *user {
	bare, err := jid.New(username, domain, "")
	if err != nil {
		// Names come prepared, from addresses; what is not a name has no roster either.
		bare = jid.JID{}
	}
	return &user{username: username, jid: bare, entries: make(map[jid.JID]*entry), sight: &sight{}}
}

// forget drops all contacts, as if they had never been loaded.
func (u *user) forget() {
	u.entries, u.source, u.loaded = make(map[jid.JID]*entry), nil, false
	u.listed, u.waiting, u.digest, u.changes = 0, 0, [2]uint64{}, nil
	u.sight, u.sharedDigest, u.owed = &sight{}, [2]uint64{}, nil
}

// later has something done right after this user's lock is given back, in order.
func (u *user) later(f func()) { u.rest = append(u.rest, f) }

// item gives a contact as one, as clients see it: the user's own, and what shared groups add to it.
func (u *user) item(contact jid.JID) Item {
	it := u.own(contact)
	it.share(u.sight.relation(contact))
	return it
}

// own gives a contact as it is without groups: declared name, subscription and groups win over remembered ones. A contact that there is
// nothing of is a hidden item.
func (u *user) own(contact jid.JID) Item {
	if e := u.entries[contact]; e != nil {
		return e.item(contact)
	}
	return Item{JID: contact, Hidden: true}
}

func (e *entry) item(contact jid.JID) Item {
	it := Item{JID: contact, Hidden: true}
	if e.row != nil {
		it = *e.row
	}
	if d := e.declared; d != nil {
		it.Name, it.Subscription, it.Groups = d.Name, d.Subscription, d.Groups
		it.Declared, it.Hidden = true, false
		it.overtake()
	}
	return it
}

// lists reports whether there is anything of a contact besides shared groups.
func (u *user) lists(contact jid.JID) bool { return u.entries[contact] != nil }

// row gives what is remembered of a contact.
func (u *user) row(contact jid.JID) (Item, bool) {
	if e := u.entries[contact]; e != nil && e.row != nil {
		return *e.row, true
	}
	return Item{}, false
}

func (u *user) setRow(row Item) {
	row.Declared, row.Shared = false, nil
	e := u.entry(row.JID)
	u.count(e.row, -1)
	e.row = &row
	u.count(e.row, 1)
	u.refresh(row.JID, e)
}

func (u *user) dropRow(contact jid.JID) {
	if e := u.entries[contact]; e != nil {
		u.count(e.row, -1)
		e.row = nil
		u.refresh(contact, e)
	}
}

func (u *user) setDeclared(contact jid.JID, d *directory.Contact) {
	e := u.entry(contact)
	e.declared = d
	u.refresh(contact, e)
}

func (u *user) entry(contact jid.JID) *entry {
	e := u.entries[contact]
	if e == nil {
		e = &entry{}
		u.entries[contact] = e
	}
	return e
}

func (u *user) count(row *Item, by int) {
	switch {
	case row == nil:
	case row.Hidden:
		u.waiting += by
	default:
		u.listed += by
	}
}

// refresh brings the digest up to date and drops an entry that has become empty.
func (u *user) refresh(contact jid.JID, e *entry) {
	before := u.digest
	u.digest[0] ^= e.digest[0]
	u.digest[1] ^= e.digest[1]
	e.digest = [2]uint64{}
	// What is asked for shows where a shared group shows the contact.
	if it := e.item(contact); !it.Hidden || it.Ask || it.Approved {
		e.digest = it.sum()
	}
	u.digest[0] ^= e.digest[0]
	u.digest[1] ^= e.digest[1]
	if u.loaded && u.digest != before {
		u.note(before, contact)
	}
	if e.row == nil && e.declared == nil {
		delete(u.entries, contact)
	}
}

// sum digests what clients see of an item.
func (it *Item) sum() [2]uint64 {
	h := sha256.New()
	field := func(s string) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	field(it.JID.String())
	field(it.Name)
	flags := []byte{byte(it.Subscription), 0, 0}
	if it.Ask {
		flags[1] = 1
	}
	if it.Approved {
		flags[2] = 1
	}
	h.Write(flags)
	for _, g := range it.Groups {
		field(g)
	}
	return halves(h.Sum(nil))
}

// version names the state of the roster (RFC 6121 §2.6): equal states have equal versions, also after a restart and on another
// replica, so nothing needs to be stored.
func (u *user) version() string { return versionOf(u.digest) }

// items lists what clients see, by address.
func (u *user) items() []Item {
	shared := u.sight.contacts(u.lists)
	out := make([]Item, 0, len(u.entries)+len(shared))
	for contact := range u.entries {
		if it := u.item(contact); !it.Hidden {
			out = append(out, it)
		}
	}
	for _, contact := range shared {
		out = append(out, u.item(contact))
	}
	slices.SortFunc(out, func(a, b Item) int { return a.JID.Compare(b.JID) })
	return out
}

// resource gives what is known of a session, from now on if need be; nil when the session is over.
func (u *user) resource(s *core.Session) *resource {
	if s.Ended() {
		return nil
	}
	for _, r := range u.resources {
		if r.session == s {
			return r
		}
	}
	r := &resource{session: s}
	u.resources = append(u.resources, r)
	return r
}

// knows reports whether anything is known of a session.
func (u *user) knows(s *core.Session) bool {
	return slices.ContainsFunc(u.resources, func(r *resource) bool { return r.session == s })
}

// takeResource gives what is known of a session for the last time.
func (u *user) takeResource(s *core.Session) *resource {
	for i, r := range u.resources {
		if r.session == s {
			u.resources = slices.Delete(u.resources, i, i+1)
			return r
		}
	}
	return nil
}
