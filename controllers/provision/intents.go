package provision

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// purgeLeftovers purges what is remembered of an earlier account before its name is
// given to somebody new: nobody inherits a stranger's mail. It is called with the
// name locked, and fails with ErrExists when the name turns out to be held.
func (p *Provisioner) purgeLeftovers(ctx context.Context, username, resource string) error {
	if p.identities == nil {
		return nil
	}
	row, ok, err := p.identities.GetIdentity(ctx, directory.KindUser.String(), username)
	if err != nil {
		return fmt.Errorf("looking for data of an earlier user %q: %w", username, err)
	}
	if !ok {
		return nil
	}
	if _, held := p.directory.Holder(directory.KindUser, username); held {
		return fmt.Errorf("user %q: %w", username, directory.ErrExists)
	}
	// The projection may lag: data of an account that exists must never be purged.
	for _, name := range []string{resource, row.Resource} {
		var user v1alpha1.ChatUser
		err := p.get(ctx, name, &user)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return explain(err, kindUser, username)
		default:
			return fmt.Errorf("user %q: %w", username, directory.ErrExists)
		}
		if row.Resource == "" || row.Resource == resource {
			break
		}
	}
	if err := p.identities.PurgeAccount(ctx, username); err != nil {
		return fmt.Errorf("purging the data of an earlier user %q: %w", username, err)
	}
	p.log.Info("Purged the data of an earlier user of that name", "username", username)
	return nil
}

// intendPurge writes down that the data of a user goes with it, before it is deleted:
// should this process end in between, the next one knows. Undo takes it back.
func (p *Provisioner) intendPurge(ctx context.Context, username string, u *v1alpha1.ChatUser) (undo func(), err error) {
	if p.identities == nil || u.Spec.DeletionPolicy != nil && *u.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain {
		return func() {}, nil
	}
	row := store.Identity{
		Kind: directory.KindUser.String(), Name: username,
		UID: string(u.UID), Resource: u.Name,
		DeletionPolicy: string(v1alpha1.DeletionPolicyDelete),
		State:          store.PurgeNow, Since: p.clock.Now().UTC(),
	}
	if err := p.identities.PutIdentity(ctx, row); err != nil {
		return nil, fmt.Errorf("remembering that the data of user %q is to be purged: %w", username, err)
	}
	return func() {
		row.State = store.Active
		if err := p.identities.PutIdentity(context.WithoutCancel(ctx), row); err != nil {
			p.log.Error(err, "Could not take back that a user's data is to be purged; it is taken back when the user is looked at next", "username", username)
		}
	}, nil
}

// purgeIntended purges after the deletion, if that was intended, and unless somebody has the name by now.
func (p *Provisioner) purgeIntended(ctx context.Context, username, uid string) error {
	if p.identities == nil {
		return nil
	}
	unlock := p.LockName(directory.KindUser, username)
	defer unlock()
	row, ok, err := p.identities.GetIdentity(ctx, directory.KindUser.String(), username)
	if err != nil || !ok || row.UID != uid || row.DeletionPolicy == string(v1alpha1.DeletionPolicyRetain) {
		return err
	}
	return p.identities.PurgeAccount(ctx, username)
}
