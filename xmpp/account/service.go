package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Roster gives a user's contacts as clients see them, by address. directory.ErrNotFound: there is no such user.
func (r *Rosters) Roster(_ context.Context, username string) ([]Item, error) {
	if _, ok := r.dir.User(username); !ok {
		return nil, fmt.Errorf("the user %q was %w", username, directory.ErrNotFound)
	}
	u := r.lock(username)
	defer r.unlock(u)
	if err := r.ensure(u); err != nil {
		return nil, fmt.Errorf("reading the roster of %q: %w", username, err)
	}
	return u.items(), nil
}

// Headings gives the roster groups, sorted, that a user sees because groups are shared: who is in one of them is in it by the group's membership.
// directory.ErrNotFound: there is no such user.
func (r *Rosters) Headings(_ context.Context, username string) ([]string, error) {
	if _, ok := r.dir.User(username); !ok {
		return nil, fmt.Errorf("the user %q was %w", username, directory.ErrNotFound)
	}
	u := r.lock(username)
	defer r.unlock(u)
	if err := r.ensure(u); err != nil {
		return nil, fmt.Errorf("reading the roster of %q: %w", username, err)
	}
	var list []string
	for _, c := range u.sight.sees {
		list = append(list, c.headings...)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Remove takes a contact out of a user's roster, wherever it lives: subscriptions end on both sides (RFC 6121 §2.5.2), clients are told.
// directory.ErrNotFound: no such user or contact. *SharedError: the contact is there through a group.
func (r *Rosters) Remove(ctx context.Context, by directory.Actor, username string, contact jid.JID) error {
	if _, ok := r.dir.User(username); !ok {
		return fmt.Errorf("the user %q was %w", username, directory.ErrNotFound)
	}
	if err := r.remove(ctx, by, username, contact.Bare(), func() {}); err != nil {
		return fmt.Errorf("removing the contact %q of %q: %w", contact.Bare(), username, err)
	}
	return nil
}

// Set gives a contact another name, subscription and groups, wherever it lives: the contact's own roster is not touched, and nobody is asked.
// directory.ErrNotFound: no such user or contact.
func (r *Rosters) Set(ctx context.Context, by directory.Actor, username string, c directory.Contact) error {
	if _, ok := r.dir.User(username); !ok {
		return fmt.Errorf("the user %q was %w", username, directory.ErrNotFound)
	}
	wish := Item{JID: c.JID.Bare(), Name: c.Name, Subscription: c.Subscription, Groups: slices.Sorted(slices.Values(c.Groups))}
	if err := wish.check(); err != nil {
		return err
	}
	if err := r.put(ctx, by, username, wish, asAdmin, func() {}); err != nil {
		return fmt.Errorf("changing the contact %q of %q: %w", wish.JID, username, err)
	}
	return nil
}

// Renamed has the remembered rosters of all others name an account as it is called now, with what follows for them: their clients see a contact go and
// another come. It may be called again. Declared contacts are left to those who declare them.
func (r *Rosters) Renamed(ctx context.Context, from, to string) error {
	old, err := jid.New(from, r.sb.Domain(), "")
	if err != nil {
		return err
	}
	now, err := jid.New(to, r.sb.Domain(), "")
	if err != nil {
		return err
	}
	holders, err := r.store.Holders(ctx, old)
	if err != nil {
		return fmt.Errorf("looking for the rosters that %q is in: %w", old, err)
	}
	var failed error
	for _, holder := range holders {
		if err := r.renamedIn(ctx, holder, old, now); err != nil {
			failed = errors.Join(failed, fmt.Errorf("renaming %q in the roster of %q: %w", old, holder, err))
		}
	}
	return failed
}

func (r *Rosters) renamedIn(ctx context.Context, holder string, old, now jid.JID) error {
	u := r.lock(holder)
	defer r.unlock(u)
	if err := r.ensure(u); err != nil {
		return err
	}
	row, had := u.row(old)
	if !had || u.jid == now {
		return nil
	}
	before, was := u.item(old), u.item(now)
	// The new entry first: what ends in between leaves both, and goes on from there.
	if there, ok := u.row(now); !ok || there.Hidden && !row.Hidden {
		row.JID = now
		if err := r.writeRow(ctx, u, row, ok); err != nil {
			return err
		}
	} else if there.Subscription|row.Subscription != there.Subscription {
		there.Subscription |= row.Subscription
		if err := r.writeRow(ctx, u, there, true); err != nil {
			return err
		}
	}
	if err := r.deleteRow(ctx, u, old, true); err != nil {
		return err
	}
	r.changed(u, &was, true)
	r.changed(u, &before, false)
	return nil
}

// Forget takes an account that goes away out of the remembered rosters of all others, with what follows for them. Declared contacts are left
// to those who declare them.
func (r *Rosters) Forget(ctx context.Context, username string) error {
	gone, err := jid.New(username, r.sb.Domain(), "")
	if err != nil {
		return err
	}
	holders, err := r.store.Holders(ctx, gone)
	if err != nil {
		return fmt.Errorf("looking for the rosters that %q is in: %w", gone, err)
	}
	var failed error
	for _, holder := range holders {
		if err := r.forgetIn(ctx, holder, gone); err != nil {
			failed = errors.Join(failed, fmt.Errorf("taking %q out of the roster of %q: %w", gone, holder, err))
		}
	}
	return failed
}

func (r *Rosters) forgetIn(ctx context.Context, holder string, gone jid.JID) error {
	u := r.lock(holder)
	defer r.unlock(u)
	if err := r.ensure(u); err != nil {
		return err
	}
	old := u.item(gone)
	_, had := u.row(gone)
	if err := r.deleteRow(ctx, u, gone, had); err != nil {
		return err
	}
	r.changed(u, &old, false)
	return nil
}
