package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// Rosters, groups and rooms name users and groups. Who deletes one through this program has it taken out of them after that, change by change. That there is
// something to take out is written down in the store before the deletion, and struck out when all is done, so that whoever leads finishes what a process
// that died has begun, or one to which the API server was not there.

// referencesOf is the kind of the row that says so; it is beside the row of the name, whose data is another matter.
func referencesOf(kind directory.Kind) string { return kind.String() + " references" }

// named says whether anything names what is of that kind.
func named(kind directory.Kind) bool {
	return kind == directory.KindUser || kind == directory.KindGroup
}

// lockReferences keeps others from finishing a deletion that is under way.
func (p *Provisioner) lockReferences(kind directory.Kind, identity string) (unlock func()) {
	return p.names.lock(referencesOf(kind) + "/" + identity)
}

// intendForget writes down that a name is to be taken out of what names it, and whether also out of what was declared outside. Undo strikes it out.
func (p *Provisioner) intendForget(ctx context.Context, by directory.Actor, kind directory.Kind, identity string, obj client.Object) (undo func(), err error) {
	if p.identities == nil || !named(kind) {
		return func() {}, nil
	}
	state := store.Leaving
	if p.overrides(by) {
		state = store.LeavingAnywhere
	}
	if err := p.identities.PutIdentity(ctx, store.Identity{
		Kind: referencesOf(kind), Name: identity, UID: string(obj.GetUID()), Resource: obj.GetName(), State: state, Since: p.clock.Now().UTC(),
	}); err != nil {
		return nil, fmt.Errorf("remembering that %s %q is to be taken out of what names it: %w", kind, identity, err)
	}
	return func() {
		if err := p.strikeOut(context.WithoutCancel(ctx), kind, identity); err != nil {
			p.log.Error(err, "Could not take back that a name is to be taken out of what names it; that ends by itself", "kind", kind.String(), "name", identity)
		}
	}, nil
}

func (p *Provisioner) strikeOut(ctx context.Context, kind directory.Kind, identity string) error {
	if p.identities == nil {
		return nil
	}
	return p.identities.DeleteIdentity(ctx, referencesOf(kind), identity)
}

// takeOut takes a deleted user or group out of what names it. It is called with its references locked.
func (p *Provisioner) takeOut(ctx context.Context, by directory.Actor, kind directory.Kind, identity string) error {
	forget := p.forgetUser
	if kind == directory.KindGroup {
		forget = p.forgetGroup
	}
	if err := forget(ctx, by, identity); err != nil {
		return err
	}
	return p.strikeOut(ctx, kind, identity)
}

// afterDeletion follows a deletion through this program, whatever has become of it.
func (p *Provisioner) afterDeletion(ctx context.Context, by directory.Actor, kind directory.Kind, identity string, err error) {
	if gone(err) {
		ctx, cancel := aftermath(ctx)
		defer cancel()
		if err = p.takeOut(ctx, by, kind, identity); err == nil {
			return
		}
		p.log.Info("What names something deleted is changed later", "kind", kind.String(), "name", identity, "reason", err.Error())
	}
	p.unfinished()
}

// lockNew locks names that are about to be given to somebody, when nothing is left of the deletion of who had them: else whatever still names the old one would
// mean the new one, the owner of a room for instance.
func (p *Provisioner) lockNew(ctx context.Context, kind directory.Kind, identities ...string) (unlock func(), err error) {
	if p.identities == nil || !named(kind) {
		return p.lockNames(kind, identities), nil
	}
	for range maxTries {
		unlock := p.lockNames(kind, identities)
		rows, err := p.identities.ListIdentities(ctx, referencesOf(kind))
		if err != nil {
			unlock()
			return nil, fmt.Errorf("looking for an unfinished deletion of an earlier %s: %w", kind, err)
		}
		rows = slices.DeleteFunc(rows, func(row store.Identity) bool { return !slices.Contains(identities, row.Name) })
		if len(rows) == 0 {
			return unlock, nil
		}
		unlock()
		for i := range rows {
			if err := p.finishDeletion(ctx, directory.Actor{Via: "server"}, kind, rows[i].Name); err != nil {
				// Of the cause only the text: that the old one is still there does not mean that the new one is made.
				return nil, &directory.UnavailableError{
					RetryAfter: retryAfter, Err: errors.New("finishing the deletion of an earlier " + kind.String() + " of that name: " + err.Error()),
				}
			}
		}
	}
	return nil, &directory.UnavailableError{RetryAfter: retryAfter, Err: fmt.Errorf("an earlier %s of that name is being deleted", kind)}
}

// FinishDeletions takes out what was deleted through this program and is still named somewhere.
func (p *Provisioner) FinishDeletions(ctx context.Context, by directory.Actor) error {
	if p.identities == nil {
		return nil
	}
	var failed []error
	for _, kind := range []directory.Kind{directory.KindUser, directory.KindGroup} {
		rows, err := p.identities.ListIdentities(ctx, referencesOf(kind))
		if err != nil {
			return err
		}
		for i := range rows {
			failed = append(failed, p.finishDeletion(ctx, by, kind, rows[i].Name))
		}
	}
	return errors.Join(failed...)
}

func (p *Provisioner) finishDeletion(ctx context.Context, by directory.Actor, kind directory.Kind, identity string) error {
	unlock := p.lockReferences(kind, identity)
	defer unlock()
	row, there, err := p.identities.GetIdentity(ctx, referencesOf(kind), identity)
	if err != nil || !there {
		return err // whoever began it has finished it
	}
	var obj client.Object = &v1alpha1.ChatUser{}
	if kind == directory.KindGroup {
		obj = &v1alpha1.ChatGroup{}
	}
	switch err := p.get(ctx, row.Resource, obj); {
	case err == nil && string(obj.GetUID()) == row.UID && obj.GetDeletionTimestamp() == nil:
		return p.strikeOut(ctx, kind, identity) // it has not been deleted
	case err != nil && !apierrors.IsNotFound(err):
		return explain(err, kind.String(), identity)
	}
	if err := await(ctx, func(ctx context.Context) error { return p.directory.WaitGone(ctx, kind, identity, row.UID) }); err != nil {
		return err
	}
	if holder, again := p.directory.Holder(kind, identity); again {
		// Whoever makes one through this program has the deletion finished first. Who declared this one outside means it where it is named by now, or may.
		p.log.Info("Left something deleted where it is named: it was declared anew meanwhile", "kind", kind.String(), "name", identity, "resource", holder.Name)
		return p.strikeOut(ctx, kind, identity)
	}
	by.Overrides = by.Overrides || row.State == store.LeavingAnywhere
	if err := p.takeOut(ctx, by, kind, identity); err != nil {
		return err
	}
	p.log.Info("Took something deleted out of what named it", "kind", kind.String(), "name", identity)
	return nil
}

// stays says of a change's error that it will not be made, or has been.
func stays(err error) bool {
	var (
		managed *directory.ManagedError
		invalid *directory.InvalidError
		limit   *directory.LimitError
	)
	return err == nil || errors.Is(err, directory.ErrNotFound) || errors.Is(err, directory.ErrNotYetActive) ||
		errors.As(err, &managed) || errors.As(err, &invalid) || errors.As(err, &limit)
}
