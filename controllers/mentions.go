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

// members are whom a group or a room names, as they are declared.
type members struct {
	domain string
	// unknown are local users and groups that are not there; elsewhere are addresses of other domains.
	unknown, elsewhere []string
}

func membersOfGroup(d *directory.Directory, g *directory.Group) members {
	n := census{d: d}
	for _, list := range [][]jid.JID{g.Members, g.Admins} {
		for _, j := range list {
			n.user(j)
		}
	}
	for _, name := range g.SharedRoster.VisibleTo {
		n.group(name)
	}
	return n.sorted()
}

func membersOfRoom(d *directory.Directory, r *directory.Room) members {
	n := census{d: d}
	for _, a := range r.Affiliations {
		n.user(a.JID)
	}
	for _, a := range r.GroupAffiliations {
		n.group(a.Group)
	}
	return n.sorted()
}

type census struct {
	d *directory.Directory
	members
}

func (n *census) user(j jid.JID) {
	switch {
	case j.Domain() != n.d.Domain():
		n.elsewhere = append(n.elsewhere, j.String())
	case j.Local() == "": // everybody of this server
	default:
		if _, ok := n.d.User(j.Local()); !ok {
			n.unknown = append(n.unknown, j.String())
		}
	}
}

func (n *census) group(name string) {
	if _, ok := n.d.Group(name); !ok {
		n.unknown = append(n.unknown, "group "+name)
	}
}

func (n *census) sorted() members {
	n.domain = n.d.Domain()
	for _, list := range []*[]string{&n.unknown, &n.elsewhere} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return n.members
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
