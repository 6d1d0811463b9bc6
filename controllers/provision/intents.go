package provision

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// MoveLife is how long what is said of a rename stands: longer than any takes that is finished.
const MoveLife = time.Hour

// purgeLeftovers purges what is remembered of an earlier account or room before its name is
// given to somebody new: nobody inherits a stranger's mail. It is called with the
// name locked, and fails with ErrExists when the name turns out to be held.
func (p *Provisioner) purgeLeftovers(ctx context.Context, kind directory.Kind, identity, resource string, obj client.Object) error {
	if p.identities == nil {
		return nil
	}
	row, ok, err := p.identities.GetIdentity(ctx, kind.String(), identity)
	if err != nil {
		return fmt.Errorf("looking for data of an earlier %s %q: %w", kind, identity, err)
	}
	if !ok {
		return nil
	}
	if row.DeletionPolicy == string(v1alpha1.DeletionPolicyRetain) {
		return fmt.Errorf("%s %q: its data is kept for whoever declares a resource of that name: %w", kind, identity, directory.ErrExists)
	}
	if row.State == store.Moving && p.clock.Since(row.Since) <= MoveLife {
		return fmt.Errorf("%s %q is being renamed: %w", kind, identity, directory.ErrConflict)
	}
	if _, held := p.directory.Holder(kind, identity); held {
		return fmt.Errorf("%s %q: %w", kind, identity, directory.ErrExists)
	}
	// The projection may lag: data of an account that exists must never be purged.
	for _, name := range []string{resource, row.Resource} {
		err := p.get(ctx, name, obj)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return explain(err, kind.String(), identity)
		default:
			return fmt.Errorf("%s %q: %w", kind, identity, directory.ErrExists)
		}
		if row.Resource == "" || row.Resource == resource {
			break
		}
	}
	if err := p.purge(ctx, kind, identity); err != nil {
		return fmt.Errorf("purging the data of an earlier %s %q: %w", kind, identity, err)
	}
	p.log.Info("Purged the data of an earlier holder of that name", "kind", kind.String(), "name", identity)
	return nil
}

// purge removes what is remembered of a name.
func (p *Provisioner) purge(ctx context.Context, kind directory.Kind, identity string) error {
	if kind == directory.KindRoom {
		successor, _ := p.directory.Holder(kind, identity)
		return p.identities.PurgeRoom(ctx, identity, successor.UID)
	}
	return p.identities.PurgeAccount(ctx, identity)
}

// intendPurge writes down that the data of a name goes with it, before it is deleted:
// should this process end in between, the next one knows. Undo takes it back.
func (p *Provisioner) intendPurge(ctx context.Context, kind directory.Kind, identity string, obj client.Object, retain bool) (undo func(), err error) {
	if p.identities == nil || kind == directory.KindGroup {
		return func() {}, nil
	}
	row := store.Identity{
		Kind: kind.String(), Name: identity,
		UID: string(obj.GetUID()), Resource: obj.GetName(),
		DeletionPolicy: string(v1alpha1.DeletionPolicyDelete),
		State:          store.PurgeNow, Since: p.clock.Now().UTC(),
	}
	if retain {
		// The row may not have heard yet that the data stays.
		row.DeletionPolicy, row.State = string(v1alpha1.DeletionPolicyRetain), store.Active
	}
	if err := p.identities.PutIdentity(ctx, row); err != nil {
		return nil, fmt.Errorf("remembering that the data of %s %q goes or stays: %w", kind, identity, err)
	}
	return func() {
		row.State = store.Active
		if err := p.identities.PutIdentity(context.WithoutCancel(ctx), row); err != nil {
			p.log.Error(err, "Could not take back that data is to be purged; it is taken back when the name is looked at next", "kind", kind.String(), "name", identity)
		}
	}, nil
}

// purgeIntended purges after the deletion, if that was intended, and unless somebody has the name by now.
func (p *Provisioner) purgeIntended(ctx context.Context, kind directory.Kind, identity, uid string) error {
	if p.identities == nil || kind == directory.KindGroup {
		return nil
	}
	unlock := p.LockName(kind, identity)
	defer unlock()
	row, ok, err := p.identities.GetIdentity(ctx, kind.String(), identity)
	if err != nil || !ok || row.UID != uid || row.DeletionPolicy == string(v1alpha1.DeletionPolicyRetain) {
		return err
	}
	return p.purge(ctx, kind, identity)
}
