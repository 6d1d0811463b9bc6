package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

const (
	// reportWorkers is how many resources of a kind are reported on at a time.
	reportWorkers = 4
	// reportTimeout bounds one report, so that an API server that hangs holds no worker for good.
	reportTimeout = 30 * time.Second
	// firstRetry and lastRetry are the ends of the back-off of a report that failed: what an API server that is away
	// holds up is done within a minute of its return.
	firstRetry, lastRetry = 5 * time.Millisecond, 30 * time.Second
	// syncTimeout bounds nothing: with the API server away at the start, the
	// controllers wait for as long as it takes.
	syncTimeout = 1000 * time.Hour
)

// subject is what the skeleton needs to know of a kind.
type subject[T client.Object] struct {
	// name of the kind.
	name string
	// new makes an empty object.
	new func() T
	// status is where the common part of the status is.
	status func(T) *v1alpha1.CommonStatus
	// resolve brings in what the projection had to leave open, on every replica;
	// nil: nothing.
	resolve func(context.Context, T) error
	// provide makes what the operator owes the resource, on the leader; nil: nothing.
	// It returns false if what it made will come back as an event, before which there is nothing to report.
	provide func(context.Context, T) (bool, error)
	// decide gathers, decides, and sets the kind's own fields of the status.
	decide func(context.Context, T) ([]metav1.Condition, error)
}

// reporter is the one Reconcile of all kinds: it reports what the projection has
// put in force, by one patch of the status, and only when that says something new.
type reporter[T client.Object] struct {
	subject[T]
	client     client.Client // reads from the cache
	leadership *Leadership
	events     eventRecorder
	clock      clock.PassiveClock

	// written has the versions of this process' own patches that the cache may not
	// have seen yet.
	mu      sync.Mutex
	written map[client.ObjectKey]string
}

func (r *reporter[T]) setup(mgr manager.Manager, p *projector[T]) error {
	c, err := controller.New(r.name, mgr, controller.Options{
		Reconciler:              r,
		MaxConcurrentReconciles: reportWorkers,
		ReconciliationTimeout:   reportTimeout,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		CacheSyncTimeout:        syncTimeout,
		NeedLeaderElection:      new(false), // followers project, too
		SkipNameValidation:      new(true),  // several managers in one process of a test
	})
	if err != nil {
		return err
	}
	return c.Watch(p)
}

// Reconcile reports on one resource. An error means to try again with back-off.
func (r *reporter[T]) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	err := r.reconcile(ctx, req.NamespacedName)
	if errors.Is(ctx.Err(), context.Canceled) {
		err = nil // the process ends; whoever is next reports
	}
	return reconcile.Result{}, err
}

func (r *reporter[T]) reconcile(ctx context.Context, key client.ObjectKey) error {
	obj := r.new()
	if err := r.client.Get(ctx, key, obj); err != nil {
		r.forget(key)
		return client.IgnoreNotFound(err)
	}
	if obj.GetDeletionTimestamp() != nil {
		return nil
	}
	if r.resolve != nil {
		if err := r.resolve(ctx, obj); err != nil {
			return err
		}
	}
	if !r.leadership.Leading() || !r.caughtUp(key, obj) {
		return nil
	}
	if r.provide != nil {
		if goOn, err := r.provide(ctx, obj); err != nil || !goOn {
			return err
		}
	}
	before := obj.DeepCopyObject().(T)
	decided, err := r.decide(ctx, obj)
	if err != nil {
		return err
	}
	report(r.status(obj), obj, decided, r.clock.Now())
	return r.write(ctx, before, obj)
}

// write patches the status if it changed, and records an Event if that is a transition.
func (r *reporter[T]) write(ctx context.Context, before, after T) error {
	// A patch would be found empty only after JSON was made of both, and at a start there is nothing new for anybody.
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	// With the version in the patch, a report on a state that has passed is
	// refused; the state that followed it is in the queue or on its way.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if !r.leadership.Leading() {
		return nil
	}
	written := after.DeepCopyObject().(T)
	switch err := r.client.Status().Patch(ctx, written, patch); {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	r.wrote(client.ObjectKeyFromObject(written), written.GetResourceVersion())
	r.events.transition(before, condition(r.status(before).Conditions, v1alpha1.ConditionReady),
		condition(r.status(after).Conditions, v1alpha1.ConditionReady))
	logf.FromContext(ctx).V(1).Info("Reported", "kind", r.name)
	return nil
}

// caughtUp says whether the cache has this process' last patch of the resource. If
// not, the event of that patch is on its way and brings the resource back here.
func (r *reporter[T]) caughtUp(key client.ObjectKey, cached T) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	version, ok := r.written[key]
	if !ok {
		return true
	}
	if order, err := resourceversion.CompareResourceVersion(cached.GetResourceVersion(), version); err == nil && order < 0 {
		return false
	}
	delete(r.written, key)
	return true
}

func (r *reporter[T]) wrote(key client.ObjectKey, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.written == nil {
		r.written = map[client.ObjectKey]string{}
	}
	r.written[key] = version
}

func (r *reporter[T]) forget(key client.ObjectKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.written, key)
}
