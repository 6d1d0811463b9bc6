package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// deletion is the wish that a resource goes, with what is remembered of its name.
type deletion[T client.Object] struct {
	by       directory.Actor
	kind     directory.Kind
	identity string
	// resource and name are the kind and the name of the resource.
	resource, name string
	obj            func() T
	policy         func(T) *v1alpha1.InBandPolicy
	// retain reads whether the data stays when the resource goes.
	retain func(T) bool
	// permit refuses to delete the resource as it is, if it is not the right one for instance.
	permit func(T) error
}

// carryOut deletes the resource and returns when it is gone here, and its data with it.
func (d deletion[T]) carryOut(ctx context.Context, p *Provisioner) error {
	uid, retain, err := d.delete(ctx, p)
	if err != nil {
		return err
	}
	if err := await(ctx, func(ctx context.Context) error {
		return p.directory.WaitGone(ctx, d.kind, d.identity, uid)
	}); err != nil {
		return err
	}
	if retain {
		return nil
	}
	if err := p.purgeIntended(ctx, d.kind, d.identity, uid); err != nil {
		return fmt.Errorf("%s %q is deleted, its data is purged later: %w", d.kind, d.identity, errors.Join(directory.ErrNotYetActive, err))
	}
	return nil
}

// gone says of a deletion's error that the resource is deleted, if perhaps not everything after that is done.
func gone(err error) bool { return err == nil || errors.Is(err, directory.ErrNotYetActive) }

// aftermath bounds what follows a deletion that has been made, whether or not its caller is there still.
func aftermath(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
}

// delete writes down that the data goes as well, and deletes the resource. If the deletion failed for certain, the intent is
// taken back.
func (d deletion[T]) delete(ctx context.Context, p *Provisioner) (uid string, retain bool, err error) {
	unlock := p.LockName(d.kind, d.identity)
	defer unlock()
	for range maxTries {
		obj := d.obj()
		if err := p.get(ctx, d.name, obj); err != nil {
			return "", false, explain(err, d.resource, d.identity)
		}
		if err := d.permit(obj); err != nil {
			return "", false, err
		}
		if err := p.permitDelete(d.by, obj, d.policy(obj)); err != nil {
			return "", false, err
		}
		retain = d.retain(obj)
		undo, err := p.intendPurge(ctx, d.kind, d.identity, obj, retain)
		if err != nil {
			return "", false, err
		}
		undoForget, err := p.intendForget(ctx, d.by, d.kind, d.identity, obj)
		if err != nil {
			undo()
			return "", false, err
		}
		// As it is: permission was given for this state of it.
		err = p.removeAsIs(ctx, obj)
		if err == nil {
			return string(obj.GetUID()), retain, nil
		}
		if Unreachable(err) && !apierrors.IsTooManyRequests(err) {
			// It may have been deleted. The intent stands; if the resource turns out to be there still, whoever settles
			// names takes it back.
			return "", false, explain(err, d.resource, d.identity)
		}
		undo()
		undoForget()
		if !apierrors.IsConflict(err) {
			return "", false, explain(err, d.resource, d.identity)
		}
	}
	return "", false, fmt.Errorf("%s %q: %w", d.kind, d.identity, directory.ErrConflict)
}

// locate finds the resource that declares an identity: in the directory, else, in case the projection lags, at the API server under
// the name it would have.
func locate[T client.Object](ctx context.Context, p *Provisioner, kind directory.Kind, identity, name string, obj T, permit func(T) error) (string, error) {
	if holder, ok := p.directory.Holder(kind, identity); ok {
		return holder.Name, nil
	}
	if !p.lookups.allow() {
		return "", fmt.Errorf("%s %q: %w", kind, identity, directory.ErrNotFound)
	}
	if err := p.get(ctx, name, obj); err != nil {
		return "", explain(err, kind.String(), identity)
	}
	return name, permit(obj)
}
