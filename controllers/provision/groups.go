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
	if err := p.create(ctx, group); err != nil {
		return explain(err, kindGroup, name)
	}
	err := await(ctx, func(ctx context.Context) error {
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
	changed, err := change(ctx, p, wish[*v1alpha1.ChatGroup]{
		by: by, kind: kindGroup, name: resource, obj: newGroup, policy: groupPolicy,
		edit: func(g *v1alpha1.ChatGroup) ([]fieldpath.Path, error) {
			if err := permitGroup(g, name); err != nil {
				return nil, err
			}
			return editGroup(g, u, p.directory.Domain())
		},
	})
	if err != nil {
		return err
	}
	return await(ctx, func(ctx context.Context) error {
		return p.directory.WaitActive(ctx, directory.KindGroup, name, string(changed.UID), changed.Generation)
	})
}

// DeleteGroup deletes a group and returns when it is gone here.
func (p *Provisioner) DeleteGroup(ctx context.Context, by directory.Actor, name string) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	resource, err := p.groupResource(ctx, name)
	if err != nil {
		return err
	}
	return deletion[*v1alpha1.ChatGroup]{
		by: by, kind: directory.KindGroup, identity: name, resource: kindGroup, name: resource, obj: newGroup, policy: groupPolicy,
		retain: func(*v1alpha1.ChatGroup) bool { return true }, // nothing is remembered of a group
		permit: func(g *v1alpha1.ChatGroup) error { return permitGroup(g, name) },
	}.carryOut(ctx, p)
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
	index := func(j jid.JID) int {
		short := directory.FormatMember(j.Bare(), domain)
		return slices.IndexFunc(list, func(have string) bool {
			if have == short {
				return true
			}
			declared, err := directory.ParseMember(have, domain)
			return err == nil && declared == j.Bare()
		})
	}
	entry := func(name string) fieldpath.Path {
		return fieldpath.MakePathOrDie("spec", field, fieldpath.ValueElement(value.NewValueInterface(name)))
	}
	for _, j := range remove {
		for i := index(j); i >= 0; i = index(j) { // in each spelling
			e.touch(entry(list[i]))
			list = slices.Delete(list, i, i+1)
		}
	}
	for _, j := range add {
		if index(j) < 0 {
			name := directory.FormatMember(j.Bare(), domain)
			list = append(list, name)
			e.touch(entry(name))
		}
	}
	return list
}
