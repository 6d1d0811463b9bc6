package directory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// CreateGroup implements Proposer.
func (l *Local) CreateGroup(ctx context.Context, _ Actor, name string, u GroupUpdate) error {
	unlock, err := l.begin("CreateGroup", name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, taken := l.dir.Group(name); taken {
		return fmt.Errorf("the group %q %w", name, ErrExists)
	}
	l.newGroup(name, u)
	return nil
}

// newGroup declares a group whose name is free.
func (l *Local) newGroup(name string, u GroupUpdate) {
	g := Group{Ref: l.newRef(name), GroupName: name, DisplayName: name, SharedRoster: SharedRoster{Mode: SharedNobody}, Managed: true}
	g.CreatedAt, g.ModifiedAt = g.Created, g.Created
	changeGroup(&g, u)
	l.dir.PutGroup(g)
}

// UpdateGroup implements Proposer.
func (l *Local) UpdateGroup(ctx context.Context, _ Actor, name string, u GroupUpdate) error {
	unlock, err := l.begin("UpdateGroup", name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	have, ok := l.dir.Group(name)
	if !ok {
		return fmt.Errorf("the group %q was %w", name, ErrNotFound)
	}
	l.updateGroup(*have, u)
	return nil
}

// updateGroup puts a copy of a group as its next generation.
func (l *Local) updateGroup(g Group, u GroupUpdate) {
	changeGroup(&g, u)
	g.Generation++
	g.ModifiedAt = time.Now()
	l.dir.PutGroup(g)
}

// EnsureGroup implements Proposer.
func (l *Local) EnsureGroup(ctx context.Context, _ Actor, name string, u GroupUpdate) (created bool, err error) {
	unlock, err := l.begin("EnsureGroup", name)
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if have, ok := l.dir.Group(name); ok {
		l.updateGroup(*have, u)
		return false, nil
	}
	l.newGroup(name, u)
	return true, nil
}

// DeleteGroup implements Proposer.
func (l *Local) DeleteGroup(ctx context.Context, _ Actor, name string) error {
	unlock, err := l.begin("DeleteGroup", name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	g, ok := l.dir.Group(name)
	if !ok {
		return fmt.Errorf("the group %q was %w", name, ErrNotFound)
	}
	l.dir.DeleteGroup(g.Name, g.UID)
	return nil
}

func changeGroup(g *Group, u GroupUpdate) {
	set(&g.DisplayName, u.DisplayName)
	set(&g.Description, u.Description)
	set(&g.SharedRoster, u.SharedRoster)
	if u.Properties != nil {
		g.Properties = sortProperties(*u.Properties)
	}
	g.Members = merged(g.Members, u.AddMembers, u.RemoveMembers)
	g.Admins = merged(g.Admins, u.AddAdmins, u.RemoveAdmins)
}

// merged is a sorted list with some more addresses and without others.
func merged(list, add, remove []jid.JID) []jid.JID {
	list = slices.DeleteFunc(slices.Concat(list, add), func(j jid.JID) bool { return slices.Contains(remove, j) })
	slices.SortFunc(list, jid.JID.Compare)
	return slices.Compact(list)
}
