package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// IdentityStore is what is remembered of names: one row a kind and name.
type IdentityStore interface {
	provision.Identities
	ListIdentities(ctx context.Context, kind string) ([]store.Identity, error)
	PutIdentities(ctx context.Context, rows []store.Identity) error
}

// keptKinds are the kinds that data is remembered of.
var keptKinds = []directory.Kind{directory.KindUser, directory.KindRoom}

// retryStore is how long the keeper waits after the store failed.
const retryStore = 5 * time.Second

// identity is a name of a kind.
type identity struct {
	Kind directory.Kind
	Name string
}

// keeper keeps the rows of identities in step with what is declared, and purges
// data whose time has come. It works on the leader only, wakes when a name changes
// hands, a purge falls due or a setting changes, and otherwise sleeps.
type keeper struct {
	directory  *directory.Directory
	store      IdentityStore
	provision  *provision.Provisioner
	leadership *Leadership
	cache      client.Reader
	events     eventRecorder
	counts     *counts
	clock      clock.WithTicker
	log        logr.Logger
	// namespace and secretName are where purges are confirmed.
	namespace, secretName string

	wake chan struct{}

	mu    sync.Mutex
	dirty map[identity]struct{}
	all   bool // a full pass is due
	// confirmed is the time up to which deletions are confirmed.
	confirmed time.Time

	// Only the keeper's own goroutine uses these.
	pending map[identity]store.Identity
	braking bool
	// judged is the confirmation under which the brake last spoke.
	judged time.Time
}

func (k *keeper) NeedLeaderElection() bool { return false }

// watch has the keeper hear of what concerns it. Called once, before anything is put.
func (k *keeper) watch() (cancel func()) {
	k.wake = make(chan struct{}, 1)
	k.dirty = map[identity]struct{}{}
	k.leadership.OnWin(func() {
		k.mu.Lock()
		k.all = true
		k.mu.Unlock()
		k.poke()
	})
	return k.directory.Watch(func(e directory.Event) {
		switch {
		case e.Kind == directory.KindUser && e.Old != e.New, e.Kind == directory.KindRoom:
			k.mu.Lock()
			k.dirty[identity{e.Kind, e.Identity}] = struct{}{}
			k.mu.Unlock()
			k.poke()
		case e.Kind == directory.KindProperty && e.Identity == directory.KeyPurgeDelay:
			k.poke()
		}
	})
}

// secretSeen reads a confirmation off the installation's Secret.
func (k *keeper) secretSeen(s *corev1.Secret) {
	if s.Name != k.secretName {
		return
	}
	text, ok := s.Annotations[v1alpha1.ConfirmPurgeAnnotation]
	if !ok {
		return
	}
	confirmed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		k.log.Info("Ignored a confirmation that is no time as in 2006-01-02T15:04:05Z", "secret", s.Name, "annotation", v1alpha1.ConfirmPurgeAnnotation)
		return
	}
	k.mu.Lock()
	k.confirmed = confirmed
	k.mu.Unlock()
	k.poke()
}

func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Start runs until the context ends.
func (k *keeper) Start(ctx context.Context) error {
	select {
	case <-k.directory.Synced():
	case <-ctx.Done():
		return nil
	}
	var next time.Time
	for {
		var due <-chan time.Time
		var timer clock.Timer
		if !next.IsZero() {
			timer = k.clock.NewTimer(max(next.Sub(k.clock.Now()), 0))
			due = timer.C()
		}
		select {
		case <-ctx.Done():
		case <-k.wake:
			gathered(ctx)
		case <-due:
		}
		if timer != nil {
			timer.Stop()
		}
		if over(ctx) {
			return nil
		}
		if !k.leadership.Leading() {
			// Whoever wins looks at everything, so that a follower need not remember.
			k.mu.Lock()
			clear(k.dirty)
			k.mu.Unlock()
			next = time.Time{}
			continue
		}
		var err error
		if next, err = k.round(ctx); err != nil && !over(ctx) {
			k.log.Error(err, "Could not keep the identities; trying again", "in", retryStore)
			next = k.clock.Now().Add(retryStore)
		}
	}
}

// over says whether a context has ended.
func over(ctx context.Context) bool { return ctx.Err() != nil }

// round settles what changed and purges what is due. It returns when to come back.
func (k *keeper) round(ctx context.Context) (next time.Time, err error) {
	names, all := k.takeDirty()
	if all {
		if names, err = k.everything(ctx); err != nil {
			k.mu.Lock()
			k.all = true
			k.mu.Unlock()
			return time.Time{}, err
		}
	}
	for name := range names {
		if over(ctx) || !k.leadership.Leading() {
			return time.Time{}, nil
		}
		if one := k.settle(ctx, name); one != nil {
			k.mu.Lock()
			k.dirty[name] = struct{}{}
			k.mu.Unlock()
			err = errors.Join(err, one)
		}
	}
	if err != nil {
		return time.Time{}, err
	}
	return k.purgeDue(ctx)
}

func (k *keeper) takeDirty() (names map[identity]struct{}, all bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	names, all = k.dirty, k.all
	k.dirty, k.all = map[identity]struct{}{}, false
	return names, all
}

// everything is the full pass of a new leader: it reads the rows, and names those that
// differ from what is declared, whichever of the two is missing. Rows of
// declared names that have none yet are written in one go.
func (k *keeper) everything(ctx context.Context) (map[identity]struct{}, error) {
	names := map[identity]struct{}{}
	k.pending = map[identity]store.Identity{}
	var fresh []store.Identity
	for _, kind := range keptKinds {
		rows, err := k.store.ListIdentities(ctx, kind.String())
		if err != nil {
			return nil, err
		}
		known := make(map[string]struct{}, len(rows))
		for i := range rows {
			known[rows[i].Name] = struct{}{}
			id := identity{kind, rows[i].Name}
			if rows[i].State == store.Pending {
				k.pending[id] = rows[i]
			}
			if settle(kind.String(), id.Name, &rows[i], k.holding(id), k.clock.Now()) != (settlement{}) {
				names[id] = struct{}{}
			}
		}
		for _, name := range k.declared(kind) {
			if _, ok := known[name]; ok {
				continue
			}
			id := identity{kind, name}
			if s := settle(kind.String(), name, nil, k.holding(id), k.clock.Now()); s.Put != nil {
				fresh = append(fresh, *s.Put)
			}
		}
	}
	if len(fresh) > 0 {
		if err := k.store.PutIdentities(ctx, fresh); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (k *keeper) declared(kind directory.Kind) []string {
	var names []string
	switch kind {
	case directory.KindUser:
		for _, u := range k.directory.Users() {
			names = append(names, u.Username)
		}
	case directory.KindRoom:
		for _, r := range k.directory.Rooms() {
			names = append(names, r.Identity())
		}
	}
	return names
}

func (k *keeper) holding(id identity) *holding {
	switch id.Kind {
	case directory.KindUser:
		if u, ok := k.directory.User(id.Name); ok {
			return &holding{Resource: u.Ref.Name, UID: u.UID, Policy: u.DeletionPolicy}
		}
	case directory.KindRoom:
		if r, ok := k.directory.Room(id.Name); ok {
			return &holding{Resource: r.Ref.Name, UID: r.UID, Policy: r.DeletionPolicy}
		}
	}
	return nil
}

// settle brings the row of one identity in step.
func (k *keeper) settle(ctx context.Context, id identity) error {
	unlock := k.provision.LockName(id.Kind, id.Name)
	defer unlock()
	row, found, err := k.store.GetIdentity(ctx, id.Kind.String(), id.Name)
	if err != nil {
		return err
	}
	var known *store.Identity
	if found {
		known = &row
	}
	s := settle(id.Kind.String(), id.Name, known, k.holding(id), k.clock.Now())
	if s.Purge {
		if err := k.purge(ctx, id); err != nil {
			return err
		}
		found = false
	}
	if s.Put != nil {
		if err := k.store.PutIdentity(ctx, *s.Put); err != nil {
			return err
		}
		row, found = *s.Put, true
	}
	if found && row.State == store.Pending {
		if _, known := k.pending[id]; !known {
			k.log.V(1).Info("Keeping the data of a deleted name", "kind", id.Kind.String(), "name", id.Name, "deletionPolicy", row.DeletionPolicy)
		}
		k.pending[id] = row
	} else {
		delete(k.pending, id)
	}
	if s.Restored {
		k.restored(ctx, id, s.Put.Resource)
	}
	return nil
}

// restored tells whoever made a resource anew that it has its data again.
func (k *keeper) restored(ctx context.Context, id identity, resource string) {
	var obj client.Object = &v1alpha1.ChatUser{}
	if id.Kind == directory.KindRoom {
		obj = &v1alpha1.ChatRoom{}
	}
	if err := k.cache.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: resource}, obj); err != nil {
		return // gone again
	}
	k.log.Info("A name came back before its data was purged, and has it again", "kind", id.Kind.String(), "name", id.Name)
	k.events.record(obj, corev1.EventTypeNormal, EventRestored, "Restore", fmt.Sprintf(
		"The data that was kept for the deleted %s %q belongs to this resource again. If it should not, delete the %s through the REST API, which purges it.",
		id.Kind, id.Name, id.Kind))
}

// purgeDue purges what is due, unless the brake holds it.
func (k *keeper) purgeDue(ctx context.Context) (next time.Time, err error) {
	k.mu.Lock()
	confirmed := k.confirmed
	k.mu.Unlock()
	list := make([]pendingPurge, 0, len(k.pending))
	for id, row := range k.pending {
		list = append(list, pendingPurge{
			Kind: id.Kind, Name: id.Name, Since: row.Since,
			Retain:  row.DeletionPolicy == string(directory.DeletionRetain),
			Account: id.Kind == directory.KindUser,
		})
	}
	accounts := k.directory.Counts()[directory.KindUser]
	plan := planPurges(list, accounts, k.directory.Duration(directory.KeyPurgeDelay), confirmed, k.clock.Now())
	for _, p := range plan.Purge {
		if over(ctx) || !k.leadership.Leading() {
			return time.Time{}, err
		}
		if one := k.purgePending(ctx, identity{p.Kind, p.Name}, p.Since); one != nil {
			err = errors.Join(err, one)
		}
	}
	k.counts.purgesHeld.Store(int64(len(plan.Held)))
	k.counts.purgesPending.Store(int64(len(k.pending)))
	k.brake(plan, confirmed, len(list), accounts)
	return plan.Next, err
}

// purgePending purges a name, if nobody has it by now and nobody else has settled it.
func (k *keeper) purgePending(ctx context.Context, id identity, since time.Time) error {
	unlock := k.provision.LockName(id.Kind, id.Name)
	defer unlock()
	row, found, err := k.store.GetIdentity(ctx, id.Kind.String(), id.Name)
	if err != nil {
		return err
	}
	if !found || row.State != store.Pending || !row.Since.Equal(since) || k.holding(id) != nil {
		delete(k.pending, id) // its event is on the way, if it is any of our business
		return nil
	}
	if err := k.purge(ctx, id); err != nil {
		return err
	}
	delete(k.pending, id)
	return nil
}

func (k *keeper) purge(ctx context.Context, id identity) error {
	var err error
	if id.Kind == directory.KindUser {
		err = k.store.PurgeAccount(ctx, id.Name)
	} else {
		successor, _ := k.directory.Holder(id.Kind, id.Name)
		err = k.store.PurgeRoom(ctx, id.Name, successor.UID)
	}
	if err != nil {
		return fmt.Errorf("purging the data of %s %q: %w", id.Kind, id.Name, err)
	}
	k.counts.purged[id.Kind].Inc()
	k.log.Info("Purged the data of a deleted name", "kind", id.Kind.String(), "name", id.Name)
	return nil
}

// brake says that purges are held, and how to release them: once, and again when
// a confirmation did not release everything.
func (k *keeper) brake(plan purgePlan, confirmed time.Time, pending, accounts int) {
	if len(plan.Held) == 0 {
		k.braking = false
		return
	}
	if k.braking && confirmed.Equal(k.judged) {
		return
	}
	k.braking, k.judged = true, confirmed
	command := fmt.Sprintf("kubectl annotate --overwrite -n %s secret %s %s=%s",
		k.namespace, k.secretName, v1alpha1.ConfirmPurgeAnnotation, plan.Confirm.UTC().Format(time.RFC3339))
	k.log.Info("Held purges: too many accounts are gone at once", "due", len(plan.Held), "pending", pending, "accounts", accounts, "confirmWith", command)
	k.events.record(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: k.secretName},
	}, corev1.EventTypeWarning, EventPurgesHeld, "Purge", fmt.Sprintf(
		"The data of %d deleted accounts is due to be purged. Since more than a tenth of all accounts is gone, nothing is purged until somebody confirms it. "+
			"If they were deleted by mistake, declare them again. If not: %s", len(plan.Held), command))
}
