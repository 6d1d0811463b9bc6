package provision

import (
	"context"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// Renaming is one that is about to be finished by somebody else than who began it.
type Renaming struct {
	// By is who asked for it; the zero Actor when nobody knows.
	By       directory.Actor
	From, To string
	// UID is that of the old ChatUser, Begun when the new one was made.
	UID   string
	Begun time.Time
	// Left says what still has the old name.
	Left []string
}

// FinishRename goes on with a rename from wherever it is, and gives up one whose old account has changed, is gone, or may not be deleted any more. Before it
// forgets that there was one, it has it recorded; record may be nil.
func (p *Provisioner) FinishRename(
	ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, record func(context.Context, Renaming) error,
) (left []string, err error) {
	from, _, ok := p.unseal(user)
	switch {
	case !ok && p.Forged(user):
		return nil, ErrForged
	case !ok: // it is finished
		return nil, nil
	}
	// One at a time, or two would delete and move beside each other.
	unlock := p.names.lock("rename/" + from)
	defer unlock()
	return p.finishRename(ctx, by, user, record)
}

func (p *Provisioner) finishRename(
	ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, record func(context.Context, Renaming) error,
) (left []string, err error) {
	from, uid, ok := p.unseal(user)
	if !ok {
		return nil, ErrForged
	}
	to := user.EffectiveUsername()
	var now v1alpha1.ChatUser
	if err := p.get(ctx, user.Name, &now); err != nil {
		return nil, explain(err, kindUser, to)
	}
	if now.UID != user.UID {
		return nil, fmt.Errorf("%s %q: %w", kindUser, to, directory.ErrNotFound)
	}
	if now.Annotations[v1alpha1.AwaitsAnnotation] != "" {
		if err := p.takePlace(ctx, by, &now, from, to, uid); err != nil {
			return nil, err
		}
	}
	if err := await(ctx, func(ctx context.Context) error {
		return p.directory.WaitUser(ctx, to, string(now.UID), now.Generation, "")
	}); err != nil {
		return nil, err
	}
	if _, again := p.directory.Holder(directory.KindUser, from); again {
		left = []string{fmt.Sprintf("There is a new account %q: what names it is not renamed.", from)}
	} else if left, err = p.nameAnew(ctx, by, from, to); err != nil {
		return left, fmt.Errorf("%q is %q now, and is renamed elsewhere in a moment: %w: %v", from, to, directory.ErrNotYetActive, err) //nolint:errorlint // of the cause only the text: the account is renamed
	}
	if record != nil && now.Annotations[v1alpha1.RenamedFromAnnotation] != "" {
		if err := record(ctx, Renaming{By: p.askedBy(&now, uid), From: from, To: to, UID: uid, Begun: now.CreationTimestamp.Time, Left: left}); err != nil {
			return left, err
		}
	}
	return left, p.unmark(ctx, &now)
}

// takePlace is steps 2 to 5.
func (p *Provisioner) takePlace(ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, from, to, uid string) error {
	// Nobody makes an account of the old name, or purges its data, before that is moved.
	unlock := p.LockName(directory.KindUser, from)
	defer unlock()
	there, err := p.removeRenamed(ctx, by, user, from, to, uid)
	if err != nil {
		return err
	}
	if err := await(ctx, func(ctx context.Context) error {
		return p.directory.WaitGone(ctx, directory.KindUser, from, uid)
	}); err != nil {
		return err
	}
	if holder, held := p.directory.Holder(directory.KindUser, to); held && holder.UID != string(user.UID) {
		return fmt.Errorf("the ChatUser %q claims the name %q, which %q is being given: delete it: %w", holder.Name, to, from, directory.ErrConflict)
	}
	if p.identities != nil && !there {
		if err := p.identities.MoveAccount(ctx, from, to, uid, p.directory.Domain()); err != nil {
			return err
		}
	}
	return p.mark(ctx, user, v1alpha1.AwaitsAnnotation, nil)
}

// removeRenamed deletes the account whose place another takes, unless that has been done. there: somebody has made one of the old name anew, and what is
// remembered of the name is that one's.
func (p *Provisioner) removeRenamed(ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, from, to, uid string) (there bool, err error) {
	for range maxTries {
		a := readAwaited(user)
		var old v1alpha1.ChatUser
		err := p.get(ctx, a.name, &old)
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			return false, explain(err, kindUser, from)
		case err != nil && a.going:
			return false, nil
		case err != nil, string(old.UID) != uid && !a.going:
			return false, p.giveUp(ctx, user, from, fmt.Errorf("user %q: %w", from, directory.ErrNotFound))
		case string(old.UID) != uid:
			return true, nil
		}
		if marked := old.Annotations[v1alpha1.RenamedToAnnotation]; marked != to {
			return false, p.giveUp(ctx, user, from, fmt.Errorf("user %q is being renamed to %q: %w", from, marked, directory.ErrConflict))
		}
		if a.generation != strconv.FormatInt(old.Generation, 10) {
			return false, p.giveUp(ctx, user, from, fmt.Errorf("user %q has changed since it was to be renamed: %w", from, directory.ErrConflict))
		}
		if holder, held := p.directory.Holder(directory.KindUser, to); held && holder.UID != string(user.UID) {
			return false, p.giveUp(ctx, user, from, fmt.Errorf("user %q: %w", to, directory.ErrExists))
		}
		if err := p.permitDelete(by, &old, old.Spec.InBandPolicy); err != nil {
			return false, p.giveUp(ctx, user, from, err)
		}
		if err := p.inherit(ctx, &old, user, to); err != nil {
			return false, err
		}
		if err := p.intendMove(ctx, from, &old); err != nil {
			return false, err
		}
		if !a.going {
			begun := awaiting(&old) + "/" + going
			if err := p.mark(ctx, user, v1alpha1.AwaitsAnnotation, &begun); err != nil {
				return false, err
			}
			user.Annotations[v1alpha1.AwaitsAnnotation] = begun
		}
		// While the account is there, what its clients have not acknowledged goes into its mailbox.
		p.end(from)
		switch err := p.removeAsIs(ctx, &old); {
		case err == nil:
			return false, nil
		case !apierrors.IsConflict(err): // else something about it has changed, its status for instance
			return false, explain(err, kindUser, from)
		}
	}
	return false, fmt.Errorf("%s %q: %w", kindUser, from, directory.ErrConflict)
}

// intendMove writes down that what is remembered of an account is about to be moved, so that nobody purges it.
func (p *Provisioner) intendMove(ctx context.Context, from string, old *v1alpha1.ChatUser) error {
	if p.identities == nil {
		return nil
	}
	policy := v1alpha1.DeletionPolicyDelete
	if old.Spec.DeletionPolicy != nil {
		policy = *old.Spec.DeletionPolicy
	}
	return p.identities.PutIdentity(ctx, store.Identity{
		Kind: directory.KindUser.String(), Name: from, UID: string(old.UID), Resource: old.Name,
		DeletionPolicy: string(policy), State: store.Moving, Since: p.clock.Now().UTC(),
	})
}

// giveUp takes back a rename whose old account stays, or is gone without it.
func (p *Provisioner) giveUp(ctx context.Context, user *v1alpha1.ChatUser, from string, why error) error {
	ctx = context.WithoutCancel(ctx)
	if err := p.remove(ctx, user); err != nil {
		p.log.Error(err, "Could not take a renamed user back; trying again", "chatUser", user.Name)
		return why
	}
	if p.identities == nil {
		return why
	}
	row, ok, err := p.identities.GetIdentity(ctx, directory.KindUser.String(), from)
	if err == nil && ok && row.State == store.Moving {
		row.State = store.Active
		err = p.identities.PutIdentity(ctx, row)
	}
	if err != nil {
		p.log.Error(err, "Could not take back that an account is being renamed; that ends by itself within the hour", "username", from)
	}
	return why
}
