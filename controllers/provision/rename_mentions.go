package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// nameAnew has everything that names an account name it as it is called now (step 6): rosters, the remembered ones and the declared, groups, and rooms.
func (p *Provisioner) nameAnew(ctx context.Context, by directory.Actor, from, to string) (left []string, err error) {
	domain := p.directory.Domain()
	old, err := jid.New(from, domain, "")
	if err != nil {
		return nil, err
	}
	now, err := jid.New(to, domain, "")
	if err != nil {
		return nil, err
	}
	if err := p.renamed(ctx, from, to); err != nil {
		return nil, err
	}
	var failed []error
	stays := func(where, name string, err error) {
		var (
			managed *directory.ManagedError
			invalid *directory.InvalidError
			limit   *directory.LimitError
		)
		switch {
		case err == nil, errors.Is(err, directory.ErrNotFound):
		case errors.As(err, &invalid), errors.As(err, &limit):
			left = append(left, fmt.Sprintf("%s %q still names %s: %v", where, name, old, err))
		case errors.As(err, &managed):
			left = append(left, fmt.Sprintf("%s %q still names %s: %s", where, name, old, managed.Error()))
			p.log.Info("Left the old name of a renamed user where it is declared", "from", from, "to", to, "kind", where, "name", name, "reason", managed.Error())
		default:
			failed = append(failed, err)
		}
	}
	for _, u := range p.directory.Users() {
		if _, has := u.Contact(old); has {
			stays(kindUser, u.Ref.Name, p.renameContact(ctx, by, u.Username, old, now))
		}
	}
	for _, g := range p.directory.Groups() {
		var update directory.GroupUpdate
		if slices.Contains(g.Members, old) {
			update.RemoveMembers, update.AddMembers = []jid.JID{old}, []jid.JID{now}
		}
		if slices.Contains(g.Admins, old) {
			update.RemoveAdmins, update.AddAdmins = []jid.JID{old}, []jid.JID{now}
		}
		if update.AddMembers != nil || update.AddAdmins != nil {
			stays(kindGroup, g.Ref.Name, p.updateGroup(ctx, by, g.GroupName, update))
		}
	}
	for _, r := range p.directory.Rooms() {
		i := slices.IndexFunc(r.Affiliations, func(a directory.Affiliation) bool { return a.JID == old })
		if i < 0 {
			continue
		}
		next := r.Affiliations[i]
		next.JID = now
		stays(kindRoom, r.Ref.Name, p.updateRoom(ctx, by, r.Identity(), directory.RoomUpdate{Affiliations: []directory.Affiliation{{JID: old}, next}}))
	}
	return left, errors.Join(failed...)
}

// renameContact changes the address of an entry of a declared roster.
func (p *Provisioner) renameContact(ctx context.Context, by directory.Actor, username string, old, now jid.JID) error {
	return p.editRoster(ctx, by, username, func(u *v1alpha1.ChatUser) ([]fieldpath.Path, error) {
		i := findContact(u.Spec.Roster, old)
		if i < 0 {
			return nil, nil
		}
		paths := []fieldpath.Path{rosterPath(u.Spec.Roster[i].JID)}
		if findContact(u.Spec.Roster, now) >= 0 {
			u.Spec.Roster = slices.Delete(u.Spec.Roster, i, i+1)
			return paths, nil
		}
		u.Spec.Roster[i].JID = now.String()
		return append(paths, rosterPath(now.String())), nil
	})
}
