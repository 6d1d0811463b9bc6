package provision

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// maxContacts is the most that admission takes in a declared roster.
const maxContacts = 1000

// PutContact sets an entry of a user's declared roster and returns when it is in
// force here. With create the entry must not be there yet, else it must.
func (p *Provisioner) PutContact(ctx context.Context, by directory.Actor, username string, c directory.Contact, create bool) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	contact := c.JID.Bare()
	return p.editRoster(ctx, by, username, func(u *v1alpha1.ChatUser) ([]fieldpath.Path, error) {
		i := findContact(u.Spec.Roster, contact)
		switch {
		case create && i >= 0:
			return nil, fmt.Errorf("contact %q of user %q: %w", contact, username, directory.ErrExists)
		case !create && i < 0:
			return nil, fmt.Errorf("contact %q of user %q: %w", contact, username, directory.ErrNotFound)
		case create && len(u.Spec.Roster) >= maxContacts:
			return nil, &directory.LimitError{Field: "spec.roster", Limit: maxContacts}
		case create:
			u.Spec.Roster = append(u.Spec.Roster, v1alpha1.Contact{JID: contact.String()})
			i = len(u.Spec.Roster) - 1
		}
		entry := &u.Spec.Roster[i]
		if !create && contactIs(entry, c) {
			return nil, nil
		}
		entry.Nickname = optional(c.Name)
		entry.Subscription = subscription(c.Subscription)
		entry.Groups = c.Groups
		return []fieldpath.Path{rosterPath(entry.JID)}, nil
	})
}

// DeleteContact takes an entry out of a user's declared roster and returns when it
// is gone here.
func (p *Provisioner) DeleteContact(ctx context.Context, by directory.Actor, username string, contact jid.JID) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	return p.deleteContact(ctx, by, username, contact.Bare())
}

func (p *Provisioner) deleteContact(ctx context.Context, by directory.Actor, username string, contact jid.JID) error {
	return p.editRoster(ctx, by, username, func(u *v1alpha1.ChatUser) ([]fieldpath.Path, error) {
		i := findContact(u.Spec.Roster, contact)
		if i < 0 {
			return nil, fmt.Errorf("contact %q of user %q: %w", contact, username, directory.ErrNotFound)
		}
		path := rosterPath(u.Spec.Roster[i].JID)
		u.Spec.Roster = slices.Delete(u.Spec.Roster, i, i+1)
		return []fieldpath.Path{path}, nil
	})
}

func (p *Provisioner) editRoster(ctx context.Context, by directory.Actor, username string, edit func(*v1alpha1.ChatUser) ([]fieldpath.Path, error)) error {
	name, err := p.userResource(ctx, username)
	if err != nil {
		return err
	}
	unlock := p.LockName(directory.KindUser, username)
	changed, err := change(ctx, p, wish[*v1alpha1.ChatUser]{
		by: by, kind: kindUser, name: name,
		obj:    func() *v1alpha1.ChatUser { return &v1alpha1.ChatUser{} },
		policy: func(u *v1alpha1.ChatUser) *v1alpha1.InBandPolicy { return u.Spec.InBandPolicy },
		edit: func(u *v1alpha1.ChatUser) ([]fieldpath.Path, error) {
			if err := declares(u, username); err != nil {
				return nil, err
			}
			return edit(u)
		},
	})
	unlock()
	if err != nil {
		return err
	}
	return await(ctx, func(ctx context.Context) error {
		return p.directory.WaitUser(ctx, username, string(changed.UID), changed.Generation, "")
	})
}

// findContact looks for an address as it is prepared, whatever its spelling.
func findContact(roster []v1alpha1.Contact, contact jid.JID) int {
	return slices.IndexFunc(roster, func(c v1alpha1.Contact) bool {
		if c.JID == contact.String() {
			return true
		}
		j, err := jid.Parse(c.JID)
		return err == nil && j == contact
	})
}

func contactIs(have *v1alpha1.Contact, want directory.Contact) bool {
	spelled := v1alpha1.SubscriptionNone
	if have.Subscription != nil {
		spelled = *have.Subscription
	}
	return valueOf(have.Nickname) == want.Name && spelled == *subscription(want.Subscription) && slices.Equal(have.Groups, want.Groups)
}

func subscription(s directory.Subscription) *v1alpha1.Subscription {
	spelled := v1alpha1.SubscriptionNone
	switch s {
	case directory.SubscriptionTo:
		spelled = v1alpha1.SubscriptionTo
	case directory.SubscriptionFrom:
		spelled = v1alpha1.SubscriptionFrom
	case directory.SubscriptionBoth:
		spelled = v1alpha1.SubscriptionBoth
	}
	return &spelled
}

func rosterPath(entry string) fieldpath.Path {
	return fieldpath.MakePathOrDie("spec", "roster", fieldpath.KeyByFields("jid", entry))
}
