package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// projector feeds the directory from an informer, in the order of the watch, and
// only then lets the report queue know. It is the one event handler of its kind: a
// second one would run beside it, and a report might speak of what is not
// in force yet.
type projector[T client.Object] struct {
	kind      directory.Kind
	directory *directory.Directory
	// put takes the object in and returns the identity it claims; empty: none.
	put func(T) (identity string)
	// remove takes a life of a resource out; an empty uid means any.
	remove func(name, uid string)
	// identity is what an object that goes had claimed.
	identity func(T) string
	// secret is the Secret that an object names, empty if none; nil: objects of this kind name none. named has who names which.
	secret func(T) string
	named  naming
	// audit records what others than this program do; nil: nobody does.
	audit *auditor
	// lag measures until when the status speaks of a change, readiness counts what it says. nil: nobody measures.
	lag       *lag
	readiness *readiness
	status    func(T) *v1alpha1.CommonStatus

	registration cache.ResourceEventHandlerRegistration
	queue        *reportQueue
}

var _ source.SyncingSource = (*projector[client.Object])(nil)

// register hangs the projector into the informer of its kind.
func (p *projector[T]) register(ctx context.Context, informers crcache.Informers, obj T) error {
	informer, err := informers.GetInformer(ctx, obj, crcache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching the %s resources: %w", p.kind, err)
	}
	p.registration, err = informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc:    p.added,
		UpdateFunc: p.updated,
		DeleteFunc: p.deleted,
	})
	return err
}

func (p *projector[T]) added(obj any, initial bool) {
	if o, ok := obj.(T); ok {
		p.named.change(o.GetName(), "", p.secretOf(o))
		p.take(o, initial)
		p.audit.added(p.kind, p.identity(o), o, initial)
	}
}

func (p *projector[T]) updated(old, obj any) {
	o, ok := obj.(T)
	if !ok {
		return
	}
	before := ""
	if was, ok := old.(T); ok {
		before = p.identity(was)
		p.named.change(o.GetName(), p.secretOf(was), p.secretOf(o))
	}
	if now := p.take(o, false); now != before {
		p.enqueueClaimants(before, false)
	}
	if was, ok := old.(T); ok {
		p.audit.updated(p.kind, p.identity(o), was, o)
	}
}

func (p *projector[T]) deleted(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	o, ok := obj.(T)
	if !ok {
		return
	}
	p.named.change(o.GetName(), p.secretOf(o), "")
	p.remove(o.GetName(), string(o.GetUID()))
	p.enqueueClaimants(p.identity(o), false)
	p.audit.removed(p.kind, p.identity(o), o)
	if p.status != nil {
		p.lag.gone(o.GetName())
		p.readiness.gone(o.GetName())
	}
}

func (p *projector[T]) secretOf(o T) string {
	if p.secret == nil {
		return ""
	}
	return p.secret(o)
}

// enqueueNaming has everything reported on that names a Secret.
func (p *projector[T]) enqueueNaming(secret string) {
	for _, name := range p.named.of(secret) {
		p.queue.add(name, false)
	}
}

// take projects one state of an object. One that is being deleted and only waits
// for somebody's finalizer is gone already, as far as chat is concerned.
func (p *projector[T]) take(o T, initial bool) (identity string) {
	if p.status != nil {
		p.lag.seen(o, p.status(o).ObservedGeneration)
		p.readiness.seen(o, p.status(o))
	}
	if o.GetDeletionTimestamp() != nil {
		p.remove(o.GetName(), "")
		p.enqueueClaimants(p.identity(o), initial)
		return ""
	}
	if identity = p.put(o); identity == "" {
		p.remove(o.GetName(), "")
	}
	p.queue.add(o.GetName(), initial)
	p.enqueueRivals(identity, o.GetName(), initial)
	return identity
}

// enqueueClaimants has everybody reported on who claims an identity that changed hands.
func (p *projector[T]) enqueueClaimants(identity string, low bool) {
	if identity == "" {
		return
	}
	for _, ref := range p.directory.Claimants(p.kind, identity) {
		p.queue.add(ref.Name, low)
	}
}

func (p *projector[T]) enqueueRivals(identity, name string, low bool) {
	if identity == "" {
		return
	}
	// Nearly always there is one claimant, and it is in the queue already.
	for _, ref := range p.directory.Claimants(p.kind, identity) {
		if ref.Name != name {
			p.queue.add(ref.Name, low)
		}
	}
}

// enqueueAll has everything of the kind reported on, as a new leader does.
func (p *projector[T]) enqueueAll(reader client.Reader, list client.ObjectList) {
	select {
	case <-p.directory.Synced():
	default:
		return // everything is enqueued when it is projected for the first time
	}
	list = list.DeepCopyObject().(client.ObjectList)
	if err := reader.List(context.Background(), list, client.InNamespace(p.queue.namespace), client.UnsafeDisableDeepCopy); err != nil {
		return // the cache has synced, and reading it cannot fail
	}
	_ = meta.EachListItem(list, func(item runtime.Object) error {
		if o, ok := item.(T); ok {
			p.queue.add(o.GetName(), true)
		}
		return nil
	})
}

// Start is called by the controller, with its queue.
func (p *projector[T]) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	go p.queue.run(ctx, queue, p.directory.Synced())
	return nil
}

// WaitForSync returns once everything declared is in the directory: what a report
// says may depend on any of it.
func (p *projector[T]) WaitForSync(ctx context.Context) error {
	select {
	case <-p.directory.Synced():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// String names the source in logs.
func (p *projector[T]) String() string { return "projection: " + p.kind.String() }
