package directory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
)

// Waiting: whoever wrote a declaration waits here until it is in force in this
// process. The condition is judged by the writer at every change of what it is
// about, after the watchers ran: a state that lasted only a moment is noticed,
// and what the core does about a change (closing a locked user's sessions) is done
// when the wait returns.

// waitKey is something that waiters wait for.
type waitKey struct {
	kind     Kind
	identity string
}

type waiter struct {
	// check says whether the wait is over. Called under the writer lock.
	check func() (bool, error)
	keys  []waitKey
	// result takes the outcome; it has room for it, so the writer never blocks.
	result chan error
}

// WaitUser returns when the holder of the username is that uid at that generation
// or a later one and, when secretName is not empty, names that Secret and the Secret is
// here. It fails with ErrExists when that uid came but another resource holds the name, and with
// ErrNotYetActive when ctx ends first.
func (d *Directory) WaitUser(ctx context.Context, username, uid string, generation int64, secretName string) error {
	keys := []waitKey{{KindUser, username}}
	if secretName != "" {
		keys = append(keys, waitKey{kindSecret, secretName})
	}
	return d.wait(ctx, func() (bool, error) {
		u, ok, err := active(d.users, username, uid, generation)
		if !ok || err != nil {
			return ok, err
		}
		if secretName == "" {
			return true, nil
		}
		_, ok = d.Secret(secretName)
		return ok && u.SecretName == secretName, nil
	}, keys)
}

// WaitSecret returns when the Secret of that name is here at that version (the one
// that the write of it returned) or a later one.
func (d *Directory) WaitSecret(ctx context.Context, name, version string) error {
	return d.wait(ctx, func() (bool, error) {
		s, ok := d.secrets.get(name)
		return ok && reached(s.version, version), nil
	}, []waitKey{{kindSecret, name}})
}

// WaitProperty is WaitActive for a system property.
func (d *Directory) WaitProperty(ctx context.Context, key, uid string, generation int64) error {
	return d.WaitActive(ctx, KindProperty, key, uid, generation)
}

// WaitActive returns when the holder of the identity is that uid at that
// generation or a later one. It fails with ErrExists when that uid came but another resource
// holds the identity, and with ErrNotYetActive when ctx ends first.
func (d *Directory) WaitActive(ctx context.Context, kind Kind, identity, uid string, generation int64) error {
	return d.wait(ctx, func() (ok bool, err error) {
		switch kind {
		case KindUser:
			_, ok, err = active(d.users, identity, uid, generation)
		case KindGroup:
			_, ok, err = active(d.groups, identity, uid, generation)
		case KindRoom:
			_, ok, err = active(d.rooms, identity, uid, generation)
		case KindProperty:
			_, ok, err = active(d.properties, identity, uid, generation)
		}
		return ok, err
	}, []waitKey{{kind, identity}})
}

// WaitGone returns when no resource of that uid claims the identity any more; an
// empty uid means any resource. It fails with ErrNotYetActive when ctx ends first.
func (d *Directory) WaitGone(ctx context.Context, kind Kind, identity, uid string) error {
	return d.wait(ctx, func() (bool, error) {
		switch kind {
		case KindUser:
			return gone(d.users, identity, uid), nil
		case KindGroup:
			return gone(d.groups, identity, uid), nil
		case KindRoom:
			return gone(d.rooms, identity, uid), nil
		case KindProperty:
			return gone(d.properties, identity, uid), nil
		}
		return true, nil
	}, []waitKey{{kind, identity}})
}

func active[E entry](c *claims[E], identity, uid string, generation int64) (E, bool, error) {
	e, holds, found := c.claimant(identity, uid)
	if !found || e.Resource().Generation < generation {
		return e, false, nil
	}
	if !holds {
		by, _ := c.holders.get(identity)
		return e, false, fmt.Errorf("%w: the name %q is held by the older resource %q", ErrExists, identity, by.Resource().Name)
	}
	return e, true, nil
}

func gone[E entry](c *claims[E], identity, uid string) bool {
	if uid == "" {
		_, held := c.holders.get(identity)
		return !held
	}
	_, _, found := c.claimant(identity, uid)
	return !found
}

// reached compares resource versions. Since Kubernetes 1.35 they are defined to be
// numbers that grow; should one not be a number, only the same one will do.
func reached(have, want string) bool {
	h, err1 := strconv.ParseUint(have, 10, 64)
	w, err2 := strconv.ParseUint(want, 10, 64)
	if err1 != nil || err2 != nil {
		return have == want
	}
	return h >= w
}

func (d *Directory) wait(ctx context.Context, check func() (bool, error), keys []waitKey) error {
	w := &waiter{check: check, keys: keys, result: make(chan error, 1)}
	d.mu.Lock()
	if done, err := check(); done || err != nil {
		d.mu.Unlock()
		return err
	}
	for _, k := range keys {
		d.waiters[k] = append(d.waiters[k], w)
	}
	d.mu.Unlock()

	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
	}
	d.mu.Lock()
	d.forget(w)
	d.mu.Unlock()
	select {
	case err := <-w.result:
		// It came true while the context ended.
		return err
	default:
		return fmt.Errorf("%w: %w", ErrNotYetActive, context.Cause(ctx))
	}
}

// wake judges the waits on identities that a write touched. Called under the writer lock.
func (d *Directory) wake(kind Kind, identities []string) {
	if len(d.waiters) == 0 {
		return
	}
	for _, identity := range identities {
		for _, w := range slices.Clone(d.waiters[waitKey{kind, identity}]) {
			if done, err := w.check(); done || err != nil {
				d.forget(w)
				w.result <- err
			}
		}
	}
}

// forget takes a waiter off the lists. Called under the writer lock.
func (d *Directory) forget(w *waiter) {
	for _, k := range w.keys {
		list := slices.DeleteFunc(d.waiters[k], func(o *waiter) bool { return o == w })
		if len(list) == 0 {
			delete(d.waiters, k)
			continue
		}
		d.waiters[k] = list
	}
}
