package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// secretProjector feeds credentials into the directory, and has those resources
// reported on that name the Secret.
type secretProjector struct {
	directory *directory.Directory
	saltKey   []byte
	// named have everything of a kind reported on that names a Secret.
	named []func(secret string)
	// seen is told of every Secret that came or changed, after it was projected.
	seen func(*corev1.Secret)
	// gone is told of every Secret that went, by its name.
	gone func(string)

	registration cache.ResourceEventHandlerRegistration
}

func (p *secretProjector) register(ctx context.Context, informers crcache.Informers) error {
	informer, err := informers.GetInformer(ctx, &corev1.Secret{}, crcache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching Secrets: %w", err)
	}
	p.registration, err = informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, _ bool) { p.put(obj) },
		UpdateFunc: func(old, obj any) {
			// An owner that changed has the generated key change with it.
			if was, ok := old.(*corev1.Secret); ok {
				if now, ok := obj.(*corev1.Secret); ok && provision.OwnerOf(was) != provision.OwnerOf(now) {
					p.drop(was)
				}
			}
			p.put(obj)
		},
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if s, ok := obj.(*corev1.Secret); ok {
				p.directory.DeleteSecret(s.Name)
				p.drop(s)
				p.gone(s.Name)
				p.report(s.Name)
			}
		},
	})
	return err
}

// put projects a Secret under its name, and, if it was generated for a user, under
// the key of that life of the user as well.
func (p *secretProjector) put(obj any) {
	s, ok := obj.(*corev1.Secret)
	if !ok {
		return
	}
	owner := provision.OwnerOf(s)
	usable, err := credential(s, p.saltKey)
	if err != nil {
		p.directory.DeleteSecret(s.Name)
		p.drop(s)
	} else {
		p.directory.PutSecret(s.Name, s.ResourceVersion, usable)
		if owner != "" {
			p.directory.PutSecret(provision.GeneratedKey(owner), s.ResourceVersion, usable)
		}
	}
	p.seen(s)
	p.report(s.Name)
}

func (p *secretProjector) drop(s *corev1.Secret) {
	if owner := provision.OwnerOf(s); owner != "" {
		p.directory.DeleteSecret(provision.GeneratedKey(owner))
	}
}

// report enqueues exactly those who name the Secret. Before everything has synced
// no report has been made, and everybody's is due anyway.
func (p *secretProjector) report(name string) {
	select {
	case <-p.directory.Synced():
	default:
		return
	}
	for _, enqueue := range p.named {
		enqueue(name)
	}
}
