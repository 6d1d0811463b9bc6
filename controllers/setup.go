// Package controllers keeps the directory in step with the declared resources,
// and reports on them. Projection runs in the informers' event handlers, on every
// replica; reports, generated passwords and purges are the leader's.
package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
)

// Options is what the controllers work with.
type Options struct {
	Namespace string
	// SecretName is the installation's own Secret, where purges are confirmed.
	SecretName string
	Directory  *directory.Directory
	Store      IdentityStore
	Provision  *provision.Provisioner
	// Audit takes what comes through Kubernetes; nil: nobody does. Node names this process there.
	Audit AuditStore
	Node  string
	// InstallationKey makes the salts of plain passwords.
	InstallationKey []byte
	// RESTSecrets is kept in step with the Secrets; nil: nobody wants to know.
	RESTSecrets *RESTSecrets
	// Endpoint is what generated Secrets tell programs.
	Endpoint provision.Endpoint
	// LeaderElect campaigns for a Lease; else this replica leads from the start.
	LeaderElect bool
	// LeaseTiming is DefaultLeaseTiming if zero.
	LeaseTiming LeaseTiming
	// Metrics takes what is measured; nil: nobody does.
	Metrics *metrics.Set
	// Clock is the real one if nil.
	Clock clock.WithTicker
	Log   logr.Logger
}

// Setup adds the controllers to a manager that NewManager made. The result tells who leads.
func Setup(ctx context.Context, mgr manager.Manager, o Options) (*Leadership, error) {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.LeaseTiming == (LeaseTiming{}) {
		o.LeaseTiming = DefaultLeaseTiming()
	}
	if o.Metrics == nil {
		o.Metrics = metrics.NewSet(nil)
	}
	leadership := &Leadership{}
	events := eventRecorder{mgr.GetEventRecorder(reportingController)}
	counts, err := newCounts(o.Metrics, &o, leadership)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}

	keeper := &keeper{
		directory: o.Directory, store: o.Store, provision: o.Provision, leadership: leadership, cache: mgr.GetCache(),
		events: events, counts: counts, clock: o.Clock, log: o.Log.WithName("identities"),
		namespace: o.Namespace, secretName: o.SecretName,
	}
	keeper.watch()
	sweeper := &sweeper{
		errands: errands{directory: o.Directory, leadership: leadership, clock: o.Clock, settle: time.Second},
		cache:   mgr.GetCache(), provision: o.Provision, log: o.Log.WithName("sweep"), namespace: o.Namespace,
	}
	sweeper.watch()

	deletions := &deletions{
		errands:   errands{directory: o.Directory, leadership: leadership, clock: o.Clock},
		provision: o.Provision, log: o.Log.WithName("deletions"),
	}
	deletions.watch()
	o.Provision.OnUnfinished(deletions.poke)

	renames := &renames{
		errands: errands{directory: o.Directory, leadership: leadership, clock: o.Clock},
		cache:   mgr.GetCache(), provision: o.Provision, log: o.Log.WithName("rename"), namespace: o.Namespace,
	}
	if o.Audit != nil {
		renames.audit = &audit.Config{Log: o.Audit, Domain: o.Directory.Domain(), Node: o.Node}
	}
	renames.watch()

	users := &users{
		directory: o.Directory, client: mgr.GetCache(), provision: o.Provision, saltKey: o.InstallationKey, endpoint: o.Endpoint, seen: renames.seen,
	}
	groups := &groups{directory: o.Directory}
	rooms := &rooms{directory: o.Directory, client: mgr.GetCache(), namespace: o.Namespace}
	o.Directory.UsePasswords(rooms.password)
	properties := &systemProperties{directory: o.Directory, client: mgr.GetCache(), live: mgr.GetAPIReader()}

	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.ChatUser{}, renameIndex, renameIndexer); err != nil {
		return nil, fmt.Errorf("indexing users: %w", err)
	}

	var auditing *auditor
	if o.Audit != nil {
		if auditing, err = newAuditor(ctx, &o); err != nil {
			return nil, err
		}
		if err := mgr.Add(auditing); err != nil {
			return nil, err
		}
	}
	userProjector, err := add(ctx, mgr, users.projector(o.Namespace), auditing, counts, users.subject(), &v1alpha1.ChatUserList{}, leadership, events, o.Clock)
	if err != nil {
		return nil, err
	}
	groupProjector, err := add(ctx, mgr, groups.projector(o.Namespace), auditing, counts, groups.subject(), &v1alpha1.ChatGroupList{}, leadership, events, o.Clock)
	if err != nil {
		return nil, err
	}
	roomProjector, err := add(ctx, mgr, rooms.projector(o.Namespace), auditing, counts, rooms.subject(), &v1alpha1.ChatRoomList{}, leadership, events, o.Clock)
	if err != nil {
		return nil, err
	}
	propertyProjector, err := add(ctx, mgr, properties.projector(o.Namespace), auditing, counts, properties.subject(), &v1alpha1.SystemPropertyList{}, leadership, events, o.Clock)
	if err != nil {
		return nil, err
	}
	sweeper.users, sweeper.rooms = &userProjector.named, &roomProjector.named
	installation := &installationKeeper{
		live: mgr.GetAPIReader(), writer: mgr.GetClient(), namespace: o.Namespace, name: o.SecretName, key: o.InstallationKey,
		log: o.Log.WithName("installation"), gone: make(chan struct{}, 1),
	}
	secrets := &secretProjector{
		directory: o.Directory, saltKey: o.InstallationKey,
		named: []func(string){userProjector.enqueueNaming, roomProjector.enqueueNaming, propertyProjector.enqueueNaming},
		seen: func(s *corev1.Secret) {
			keeper.secretSeen(s)
			sweeper.secretSeen(s)
			o.RESTSecrets.put(s)
		},
		gone: func(name string) {
			o.RESTSecrets.remove(name)
			installation.seen(name)
		},
	}
	if err := secrets.register(ctx, mgr.GetCache()); err != nil {
		return nil, err
	}

	mentions := &mentions{directory: o.Directory, groups: groupProjector.queue, rooms: roomProjector.queue, clock: o.Clock}
	mentions.watch()

	synced := &syncer{
		directory: o.Directory, properties: properties, log: o.Log,
		registrations: []cache.ResourceEventHandlerRegistration{
			userProjector.registration, groupProjector.registration, roomProjector.registration,
			propertyProjector.registration, secrets.registration,
		},
	}
	var lead manager.Runnable = alone{leadership}
	if o.LeaderElect {
		lead = &campaign{
			leadership: leadership, config: mgr.GetConfig(), namespace: o.Namespace, timing: o.LeaseTiming, log: o.Log.WithName("leadership"),
		}
	}
	for _, runnable := range []manager.Runnable{synced, lead, keeper, sweeper, renames, deletions, mentions, installation} {
		if err := mgr.Add(runnable); err != nil {
			return nil, err
		}
	}
	return leadership, nil
}

// add sets one kind up: its projection, its reports, and that a new leader
// reports on all of it.
func add[T client.Object](ctx context.Context, mgr manager.Manager, p *projector[T], a *auditor, counted *counts, s subject[T], list client.ObjectList,
	l *Leadership, events eventRecorder, c clock.PassiveClock,
) (*projector[T], error) {
	p.audit = a
	p.lag, p.readiness, p.status = counted.lags[p.kind], counted.readiness[p.kind], s.status
	if err := p.register(ctx, mgr.GetCache(), s.new()); err != nil {
		return nil, err
	}
	r := &reporter[T]{subject: s, client: mgr.GetClient(), leadership: l, events: events, clock: c}
	if err := r.setup(mgr, p); err != nil {
		return nil, err
	}
	l.OnWin(func() { p.enqueueAll(mgr.GetCache(), list) })
	return p, nil
}
