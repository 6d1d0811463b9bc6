package controllers

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// unknownToGroup lists the local users and the groups that a group names and that are not there, as they are declared.
func unknownToGroup(d *directory.Directory, g *directory.Group) []string {
	u := unknown{d: d}
	u.users(g.Members)
	u.users(g.Admins)
	for _, name := range g.SharedRoster.VisibleTo {
		u.group(name)
	}
	return u.sorted()
}

// unknownToRoom is unknownToGroup for a room.
func unknownToRoom(d *directory.Directory, r *directory.Room) []string {
	u := unknown{d: d}
	for _, a := range r.Affiliations {
		u.user(a.JID)
	}
	for _, a := range r.GroupAffiliations {
		u.group(a.Group)
	}
	return u.sorted()
}

type unknown struct {
	d     *directory.Directory
	names []string
}

func (u *unknown) users(list []jid.JID) {
	for _, j := range list {
		u.user(j)
	}
}

func (u *unknown) user(j jid.JID) {
	if j.Domain() != u.d.Domain() || j.Local() == "" {
		return // somebody else's user, or everybody of a host
	}
	if _, ok := u.d.User(j.Local()); !ok {
		u.names = append(u.names, j.String())
	}
}

func (u *unknown) group(name string) {
	if _, ok := u.d.Group(name); !ok {
		u.names = append(u.names, "group "+name)
	}
}

func (u *unknown) sorted() []string {
	slices.Sort(u.names)
	return slices.Compact(u.names)
}

// settled is how long names come and go before those are reported on anew who mention them: a thousand users that are applied at once
// are one change to a group of them all.
const settled = time.Second

// mentions has groups and rooms reported on anew when a user, a group or a chat service comes or goes that they name. It looks at all of them, but only when that
// happens.
type mentions struct {
	directory     *directory.Directory
	groups, rooms *reportQueue
	clock         clock.WithTicker

	wake chan struct{}

	mu    sync.Mutex
	users map[string]struct{} // by username
	named map[string]struct{} // groups
	hosts map[string]struct{} // chat services
}

func (m *mentions) NeedLeaderElection() bool { return false }

// watch has the mentions hear of names. Called once, before anything is put.
func (m *mentions) watch() {
	m.wake = make(chan struct{}, 1)
	m.users, m.named, m.hosts = map[string]struct{}{}, map[string]struct{}{}, map[string]struct{}{}
	m.directory.Watch(func(e directory.Event) {
		if (e.Old == nil) == (e.New == nil) && e.Kind != directory.KindProperty {
			return
		}
		select {
		case <-m.directory.Synced():
		default:
			return // everything is reported on when all is there
		}
		m.mu.Lock()
		switch e.Kind {
		case directory.KindUser:
			m.users[e.Identity] = struct{}{}
		case directory.KindGroup:
			m.named[e.Identity] = struct{}{}
		case directory.KindProperty:
			if service, ok := strings.CutPrefix(e.Identity, directory.RoomServicePrefix); ok {
				m.hosts[service] = struct{}{}
			}
		}
		m.mu.Unlock()
		select {
		case m.wake <- struct{}{}:
		default:
		}
	})
}

// Start runs until the context ends.
func (m *mentions) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		}
		timer := m.clock.NewTimer(settled)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C():
		}
		m.report()
	}
}

func (m *mentions) report() {
	m.mu.Lock()
	users, named, hosts := m.users, m.named, m.hosts
	m.users, m.named, m.hosts = map[string]struct{}{}, map[string]struct{}{}, map[string]struct{}{}
	m.mu.Unlock()
	domain := m.directory.Domain()
	user := func(j jid.JID) bool {
		_, ok := users[j.Local()]
		return ok && j.Domain() == domain
	}
	group := func(name string) bool {
		_, ok := named[name]
		return ok
	}
	for _, g := range m.directory.Groups() {
		if slices.ContainsFunc(g.Members, user) || slices.ContainsFunc(g.Admins, user) || slices.ContainsFunc(g.SharedRoster.VisibleTo, group) {
			m.groups.add(g.Name, true)
		}
	}
	for _, r := range m.directory.Rooms() {
		_, hosted := hosts[r.Service]
		if hosted || slices.ContainsFunc(r.Affiliations, func(a directory.Affiliation) bool { return user(a.JID) }) ||
			slices.ContainsFunc(r.GroupAffiliations, func(a directory.GroupAffiliation) bool { return group(a.Group) }) {
			m.rooms.add(r.Name, true)
		}
	}
}
