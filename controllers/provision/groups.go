package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	kindGroup = "ChatGroup"
	// maxMembers is the most that admission takes of members, and of admins.
	maxMembers = 5000
)

// CreateGroup declares a group and returns when it is in force here.
func (p *Provisioner) CreateGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	if _, held := p.directory.Holder(directory.KindGroup, name); held {
		return fmt.Errorf("group %q: %w", name, directory.ErrExists)
	}
	return p.declareGroup(ctx, name, u)
}

// declareGroup creates the resource. Its name follows from the group's, so that of many who do so at once one succeeds.
func (p *Provisioner) declareGroup(ctx context.Context, name string, u directory.GroupUpdate) error {
	group := &v1alpha1.ChatGroup{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.namespace, Name: v1alpha1.EncodeName(name),
			Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
		},
		Spec: v1alpha1.ChatGroupSpec{GroupName: &name},
	}
	if _, err := editGroup(group, u, p.directory.Domain()); err != nil {
		return err
	}
	unlock, err := p.lockNew(ctx, directory.KindGroup, name)
	if err != nil {
		return err
	}
	err = p.create(ctx, group)
	unlock()
	if err != nil {
		return explain(err, kindGroup, name)
	}
	err = await(ctx, func(ctx context.Context) error {
		return p.directory.WaitActive(ctx, directory.KindGroup, name, string(group.UID), group.Generation)
	})
	if errors.Is(err, directory.ErrExists) {
		// An older resource of another name claims the group: ours is not in force and must not lie in wait.
		if gone := p.remove(context.WithoutCancel(ctx), group); gone != nil {
			p.log.Error(gone, "Could not take a group back whose name is taken", "chatGroup", group.Name)
		}
	}
	return err
}

// UpdateGroup changes a group and returns when the change is in force here.
func (p *Provisioner) UpdateGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	return p.updateGroup(ctx, by, name, u)
}

func (p *Provisioner) updateGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) error {
	resource, err := p.groupResource(ctx, name)
	if err != nil {
		return err
	}
	return p.changeGroup(ctx, by, name, resource, u)
}

// changeGroup changes the group that a resource declares, and returns when the change is in force here.
func (p *Provisioner) changeGroup(ctx context.Context, by directory.Actor, name, resource string, u directory.GroupUpdate) error {
	changed, err := p.patchGroup(ctx, by, name, resource, u)
	if err != nil {
		return err
	}
	return await(ctx, func(ctx context.Context) error {
		return p.directory.WaitActive(ctx, directory.KindGroup, name, string(changed.UID), changed.Generation)
	})
}

// patchGroup writes a change. Those who change one group through this process take turns: as many as like can do so at once, and none has
// to give up.
func (p *Provisioner) patchGroup(ctx context.Context, by directory.Actor, name, resource string, u directory.GroupUpdate) (*v1alpha1.ChatGroup, error) {
	unlock := p.LockName(directory.KindGroup, name)
	defer unlock()
	return change(ctx, p, wish[*v1alpha1.ChatGroup]{
		by: by, kind: kindGroup, name: resource, obj: newGroup, policy: groupPolicy,
		edit: func(g *v1alpha1.ChatGroup) ([]fieldpath.Path, error) {
			if err := permitGroup(g, name); err != nil {
				return nil, err
			}
			return editGroup(g, u, p.directory.Domain())
		},
	})
}

// EnsureGroup changes a group, or declares it where it is not there, and returns when that is in force here.
func (p *Provisioner) EnsureGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) (created bool, err error) {
	if err := p.limits.admit(by); err != nil {
		return false, err
	}
	for range maxTries {
		if err := p.updateGroup(ctx, by, name, u); !errors.Is(err, directory.ErrNotFound) {
			return false, err
		}
		if err := p.declareGroup(ctx, name, u); !errors.Is(err, directory.ErrExists) {
			return err == nil || errors.Is(err, directory.ErrNotYetActive), err
		}
		// Somebody was quicker, and the directory need not know of it yet.
		if err := p.changeGroup(ctx, by, name, v1alpha1.EncodeName(name), u); !errors.Is(err, directory.ErrNotFound) {
			return false, err
		}
	}
	return false, fmt.Errorf("%s %q: %w", kindGroup, name, directory.ErrConflict)
}

// DeleteGroup deletes a group, with its affiliations in declared rooms, and returns when it is gone here.
func (p *Provisioner) DeleteGroup(ctx context.Context, by directory.Actor, name string) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	resource, err := p.groupResource(ctx, name)
	if err != nil {
		return err
	}
	unlock := p.lockReferences(directory.KindGroup, name)
	defer unlock()
	err = deletion[*v1alpha1.ChatGroup]{
		by: by, kind: directory.KindGroup, identity: name, resource: kindGroup, name: resource, obj: newGroup, policy: groupPolicy,
		retain: func(*v1alpha1.ChatGroup) bool { return true }, // nothing is remembered of a group
		permit: func(g *v1alpha1.ChatGroup) error { return permitGroup(g, name) },
	}.carryOut(ctx, p)
	p.afterDeletion(ctx, by, directory.KindGroup, name, err)
	return err
}

// forgetGroup takes a deleted group out of rooms: one that is made anew under its name inherits nothing. What may not be changed from here keeps
// a name that is not there any more; an error is about what may be changed later.
func (p *Provisioner) forgetGroup(ctx context.Context, by directory.Actor, name string) error {
	var failed []error
	without := directory.RoomUpdate{GroupAffiliations: []directory.GroupAffiliation{{Group: name}}}
	for _, r := range p.directory.Rooms() {
		if !slices.ContainsFunc(r.GroupAffiliations, func(a directory.GroupAffiliation) bool { return a.Group == name }) {
			continue
		}
		switch err := p.updateRoom(ctx, by, r.Identity(), without); {
		case !stays(err):
			failed = append(failed, err)
		case err != nil && !errors.Is(err, directory.ErrNotFound) && !errors.Is(err, directory.ErrNotYetActive):
			p.log.Info("Left a deleted group where it was declared", "groupName", name, "kind", kindRoom, "name", r.Ref.Name, "reason", err.Error())
		}
	}
	return errors.Join(failed...)
}

func newGroup() *v1alpha1.ChatGroup { return &v1alpha1.ChatGroup{} }

func groupPolicy(g *v1alpha1.ChatGroup) *v1alpha1.InBandPolicy { return g.Spec.InBandPolicy }

// groupResource finds the resource that declares a group.
func (p *Provisioner) groupResource(ctx context.Context, name string) (string, error) {
	return locate(ctx, p, directory.KindGroup, name, v1alpha1.EncodeName(name), newGroup(),
		func(g *v1alpha1.ChatGroup) error { return permitGroup(g, name) })
}

// permitGroup fails when a resource is that of another group.
func permitGroup(g *v1alpha1.ChatGroup, name string) error {
	if g.EffectiveGroupName() != name {
		return fmt.Errorf("group %q: %w", name, directory.ErrNotFound)
	}
	return nil
}

// editGroup changes a ChatGroup as asked, and says which paths that touches.
func editGroup(g *v1alpha1.ChatGroup, u directory.GroupUpdate, domain string) ([]fieldpath.Path, error) {
	e := editor{}
	spec := &g.Spec
	edit(&e, "displayName", &spec.DisplayName, u.DisplayName, g.EffectiveGroupName())
	edit(&e, "description", &spec.Description, u.Description, "")
	if u.Properties != nil {
		if len(*u.Properties) > maxProperties {
			return nil, &directory.LimitError{Field: "spec.properties", Limit: maxProperties}
		}
		var touched []string
		spec.Properties, touched = editProperties(spec.Properties, *u.Properties)
		for _, key := range touched {
			e.touch(fieldpath.MakePathOrDie("spec", "properties", fieldpath.KeyByFields("key", key)))
		}
	}
	spec.Members = editMembers(&e, "members", spec.Members, u.AddMembers, u.RemoveMembers, domain)
	spec.Admins = editMembers(&e, "admins", spec.Admins, u.AddAdmins, u.RemoveAdmins, domain)
	switch {
	case len(spec.Members) > maxMembers && len(u.AddMembers) > 0:
		return nil, &directory.LimitError{Field: "spec.members", Limit: maxMembers}
	case len(spec.Admins) > maxMembers && len(u.AddAdmins) > 0:
		return nil, &directory.LimitError{Field: "spec.admins", Limit: maxMembers}
	}
	if s := u.SharedRoster; s != nil {
		have := v1alpha1.SharedRoster{Mode: v1alpha1.SharedRosterNobody}
		if spec.SharedRoster != nil {
			have = *spec.SharedRoster
		}
		mode := v1alpha1.SharedRosterMode(s.Mode)
		if have.Mode != mode || !sameSet(have.VisibleTo, s.VisibleTo) {
			spec.SharedRoster = &v1alpha1.SharedRoster{Mode: mode, VisibleTo: s.VisibleTo}
			e.touch(specPath("sharedRoster"))
		}
	}
	return e.paths, nil
}

// editMembers adds and removes entries of a set, whatever their spelling. Users of this server are written as usernames.
func editMembers(e *editor, field string, list []string, add, remove []jid.JID, domain string) []string {
	if len(add) == 0 && len(remove) == 0 {
		return list
	}
	touch := func(name string) {
		e.touch(fieldpath.MakePathOrDie("spec", field, fieldpath.ValueElement(value.NewValueInterface(name))))
	}
	goes := make(map[jid.JID]bool, len(remove))
	for _, j := range remove {
		goes[j.Bare()] = true
	}
	there := make(map[jid.JID]bool, len(list))
	kept := make([]string, 0, len(list)+len(add))
	for _, name := range list {
		// What is neither a username nor an address stays: it is reported, and nobody's to take away here.
		j, err := directory.ParseMember(name, domain)
		if err == nil && goes[j] {
			touch(name)
			continue
		}
		there[j] = there[j] || err == nil
		kept = append(kept, name)
	}
	for _, j := range add {
		if j = j.Bare(); !there[j] {
			there[j] = true
			name := directory.FormatMember(j, domain)
			kept = append(kept, name)
			touch(name)
		}
	}
	return kept
}
