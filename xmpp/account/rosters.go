package account

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// Proposer is how declared contacts are changed: the directory's vocabulary, the part that rosters need.
type Proposer interface {
	PutContact(ctx context.Context, by directory.Actor, username string, c directory.Contact, create bool) error
	DeleteContact(ctx context.Context, by directory.Actor, username string, contact jid.JID) error
}

// Config is what Rosters needs.
type Config struct {
	Switchboard *core.Switchboard
	Directory   *directory.Directory
	Store       RosterStore
	Proposer    Proposer
	Offline     *Offline     // gives messages back to those who come; nil: nothing is kept
	Last        *LastSeen    // notes down who goes; nil: nobody does
	Recorder    Recorder     // takes note of what clients change; nil: nobody does
	Meter       *meter.Meter // counts refusals; nil counts nothing
	Log         *slog.Logger
}

// Recorder takes note of what people change of their own by their clients, beside what a Proposer does. It must not block.
type Recorder interface {
	ContactPut(by directory.Actor, username string, c directory.Contact, added bool)
	ContactRemoved(by directory.Actor, username string, contact jid.JID)
	VCardPut(by directory.Actor, username string, removed bool)
}

// Rosters is the service behind every user's roster and presence. It implements core.Presences.
//
// What belongs to one user is changed under that user's lock only. What that means to another user is done after the lock was given back: see
// user.later. Nobody holds two users' locks; what has to happen to two users as one is ordered by the lock of the pair.
type Rosters struct {
	sb       *core.Switchboard
	dir      *directory.Directory
	store    RosterStore
	proposer Proposer
	offline  *Offline
	last     *LastSeen
	recorder Recorder
	meter    *meter.Meter
	log      *slog.Logger
	pushes   atomic.Uint64 // numbers the ids of roster pushes

	shares *shares // groups
	pairs  pairs   // subscriptions

	mu        sync.Mutex
	histories map[string]history // of users who are not in users
	users     map[string]*user   // those who are online, and those whom an operation is under way for

	// Declared contacts changed for these users, who are online; or groups did, which may concern everybody who is.
	dirty struct {
		mu     sync.Mutex
		names  map[string]struct{}
		groups bool
		signal chan struct{}

		introductions []introduction
	}
	debtors debtors
	// Changes of declared contacts that no client waits for.
	proposals chan proposal
}

// storeTimeout bounds what one stanza may wait for the store.
const storeTimeout = 10 * time.Second

// maxProposals bounds the changes that wait for the API server on behalf of other people's stanzas.
const maxProposals = 256

var _ core.Presences = (*Rosters)(nil)

// New makes the service. With Watch and Run, declared changes reach clients that are online.
func New(cfg Config) *Rosters {
	r := &Rosters{
		sb: cfg.Switchboard, dir: cfg.Directory, store: cfg.Store, proposer: cfg.Proposer, meter: cfg.Meter, log: cfg.Log,
		offline: cfg.Offline, last: cfg.Last, recorder: cfg.Recorder,
		users:     make(map[string]*user),
		histories: make(map[string]history),
		proposals: make(chan proposal, maxProposals),
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.shares = newShares(cfg.Directory, r.log)
	r.dirty.names = make(map[string]struct{})
	r.dirty.signal = make(chan struct{}, 1)
	r.debtors.signal = make(chan struct{}, 1)
	return r
}

// Watch begins to take note of changed declarations, until cancel is called. It has to be called before the first session.
func (r *Rosters) Watch() (cancel func()) { return r.dir.Watch(r.directoryChanged) }

// Run carries changed declarations to the clients, and other people's answers into declarations, until ctx ends.
func (r *Rosters) Run(ctx context.Context) {
	var workers sync.WaitGroup
	workers.Go(func() { r.propose(ctx) })
	workers.Go(func() { r.applyDeclared(ctx) })
	workers.Go(func() { r.pay(ctx) })
	workers.Wait()
}

// directoryChanged notes down who has to look at the directory again; it must not wait for a user's lock.
func (r *Rosters) directoryChanged(e directory.Event) {
	switch e.Kind {
	case directory.KindGroup:
		r.shares.note(e.Identity)
		r.groupsChanged()
		return
	case directory.KindUser:
		r.memberChanged(e)
	default:
		return
	}
	if e.New == nil || e.Old == e.New {
		return
	}
	r.mu.Lock()
	_, online := r.users[e.Identity]
	r.mu.Unlock()
	if !online {
		return
	}
	r.dirty.mu.Lock()
	r.dirty.names[e.Identity] = struct{}{}
	r.dirty.mu.Unlock()
	r.wake()
}

// memberChanged notes down the groups of a user who came or went, or has another name: rosters show members who exist, by name.
func (r *Rosters) memberChanged(e directory.Event) {
	old, next := e.Users()
	if old != nil && next != nil && old.DisplayName == next.DisplayName {
		return
	}
	own, err := jid.New(e.Identity, r.sb.Domain(), "")
	if err != nil {
		return
	}
	if groups := r.dir.GroupsOf(own); len(groups) > 0 {
		r.shares.note(groups...)
		r.groupsChanged()
	}
}

func (r *Rosters) groupsChanged() {
	r.dirty.mu.Lock()
	r.dirty.groups = true
	r.dirty.mu.Unlock()
	r.wake()
}

func (r *Rosters) wake() {
	select {
	case r.dirty.signal <- struct{}{}:
	default: // one signal covers everything
	}
}

// applyDeclared brings users up to date with what has changed, until ctx ends.
func (r *Rosters) applyDeclared(ctx context.Context) {
	var followed *sharing // what everybody who is there has been brought up to
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.dirty.signal:
		}
		r.dirty.mu.Lock()
		names, groups, due := r.dirty.names, r.dirty.groups, r.dirty.introductions
		r.dirty.names, r.dirty.groups, r.dirty.introductions = make(map[string]struct{}), false, nil
		r.dirty.mu.Unlock()
		if len(r.there()) == 0 { // then nothing is made of the groups at all
			continue
		}
		// A member's own change and the groups' may be noted one after the other, and somebody may have looked at the groups between.
		in := r.shares.current()
		if groups || in != followed {
			// Whoever comes later has a look of their own. Whom it concerns is found out at each of them.
			for _, name := range r.there() {
				names[name] = struct{}{}
			}
		}
		for name := range names {
			u := r.lock(name)
			// Whoever has not asked for anything yet has nothing to hear, and loads what is declared when they do.
			if u.loaded {
				r.sync(u)
			}
			r.unlock(u)
		}
		followed = in
		r.dirty.mu.Lock()
		fresh := r.dirty.introductions
		r.dirty.introductions = nil
		r.dirty.mu.Unlock()
		if r.shares.current() == in {
			due = append(due, fresh...)
		} else { // some may come of groups that not everybody has followed
			r.dirty.mu.Lock()
			r.dirty.introductions = append(fresh, r.dirty.introductions...)
			r.dirty.mu.Unlock()
			r.wake()
		}
		slices.SortFunc(due, introduction.compare)
		for _, i := range slices.Compact(due) {
			r.showPresence(i.username, i.contact)
		}
	}
}

// there names the users whose state is in memory.
func (r *Rosters) there() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.users))
}

// lock gives a user's state, locked. Every lock is followed by unlock.
func (r *Rosters) lock(username string) *user {
	r.mu.Lock()
	u := r.users[username]
	if u == nil {
		u = newUser(username, r.sb.Domain())
		r.users[username] = u
	}
	u.holders++
	r.mu.Unlock()
	u.mu.Lock()
	return u
}

// unlock gives a user's state back, then does what is left to be done at other users, in order. The state is dropped when the user has no
// session and nobody else is at it.
func (r *Rosters) unlock(u *user) {
	defer r.release(u)
	rest := u.rest
	u.rest = nil
	u.mu.Unlock()
	for _, f := range rest {
		f()
	}
}

func (r *Rosters) release(u *user) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u.holders--
	// Without holders nobody has the user's lock, so its fields can be read here.
	if u.holders == 0 && len(u.resources) == 0 {
		r.remember(u)
		delete(r.users, u.username)
	}
}

// ensure has a user's contacts in memory, as stored and as declared now. The user is locked.
func (r *Rosters) ensure(u *user) error {
	declared, exists := r.dir.User(u.username)
	u.anonymous = !exists
	if u.loaded && exists && u.source != nil && u.source.UID != declared.UID {
		u.forget() // another account of the same name
	}
	if !u.loaded {
		if exists {
			r.look(u)
		}
		// Names without an account are asked for like others: how long an answer takes must not tell them apart.
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		rows, err := r.store.LoadRoster(ctx, u.username)
		if err != nil {
			return err
		}
		for i := range rows {
			u.setRow(rows[i])
		}
		u.source = declared
		if exists {
			for i := range declared.Contacts {
				u.setDeclared(declared.Contacts[i].JID.Bare(), &declared.Contacts[i])
			}
		}
		u.loaded = true
		r.recall(u)
		return nil
	}
	r.sync(u)
	return nil
}

// sync takes over what is declared now, and tells those who have to know. The user is locked and loaded.
func (r *Rosters) sync(u *user) {
	declared, exists := r.dir.User(u.username)
	if !exists || u.source != nil && u.source.UID != declared.UID {
		return // gone or another account: the sessions are being closed
	}
	r.look(u)
	if declared == u.source {
		return
	}
	var before []directory.Contact
	if u.source != nil {
		before = u.source.Contacts
	}
	u.source = declared
	now := make(map[jid.JID]*directory.Contact, len(declared.Contacts))
	for i := range declared.Contacts {
		now[declared.Contacts[i].JID.Bare()] = &declared.Contacts[i]
	}
	for i := range before {
		if contact := before[i].JID.Bare(); now[contact] == nil {
			old := u.item(contact)
			u.setDeclared(contact, nil)
			r.changed(u, &old, true)
		}
	}
	for i := range declared.Contacts {
		contact := declared.Contacts[i].JID.Bare()
		old := u.item(contact)
		u.setDeclared(contact, now[contact])
		r.changed(u, &old, true)
	}
}

// write stores what an item has become and then makes it so. The user is locked and loaded. For a declared contact only what the
// declaration does not say is stored.
func (r *Rosters) write(ctx context.Context, u *user, next *Item) error {
	row, had := u.row(next.JID)
	if next.Declared {
		if !had {
			row = Item{JID: next.JID, Hidden: true}
		}
		row.Ask, row.Approved, row.PendingIn, row.Request = next.Ask, next.Approved, next.PendingIn, next.Request
	} else {
		row = *next
	}
	return r.writeRow(ctx, u, row, had)
}

func (r *Rosters) writeRow(ctx context.Context, u *user, row Item, had bool) error {
	if row.Hidden && !row.pending() {
		return r.deleteRow(ctx, u, row.JID, had)
	}
	if !u.anonymous {
		if err := r.store.PutItem(ctx, u.username, row); err != nil {
			return err
		}
	}
	u.setRow(row)
	return nil
}

func (r *Rosters) deleteRow(ctx context.Context, u *user, contact jid.JID, had bool) error {
	if !had {
		return nil
	}
	if !u.anonymous {
		if err := r.store.DeleteItem(ctx, u.username, contact); err != nil {
			return err
		}
	}
	u.dropRow(contact)
	return nil
}
