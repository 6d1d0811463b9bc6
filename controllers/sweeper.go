package controllers

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
)

// sweeper gives the Secrets that were issued their owners, and takes away those that creations left behind which died half way. It
// works on the leader only, wakes when such a Secret appears, and sleeps
// until it is old enough to be called an orphan.
type sweeper struct {
	errands
	cache     client.Reader
	provision *provision.Provisioner
	log       logr.Logger
	namespace string
	// users and rooms know who names a Secret.
	users, rooms *naming
}

const retrySweep = 30 * time.Second

func (s *sweeper) secretSeen(secret *corev1.Secret) {
	if secret.Type == provision.TypeVerifiers && len(secret.OwnerReferences) == 0 || secret.Type == provision.TypeRoomPassword {
		s.poke()
	}
}

// Start runs until the context ends.
func (s *sweeper) Start(ctx context.Context) error {
	s.run(ctx, func(ctx context.Context) time.Duration {
		next, err := s.sweep(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.Error(err, "Could not sweep orphaned Secrets; trying again", "in", retrySweep)
			return retrySweep
		case next.IsZero():
			return 0
		}
		return max(next.Sub(s.clock.Now()), time.Second)
	})
	return nil
}

func (s *sweeper) sweep(ctx context.Context) (time.Time, error) {
	var secrets corev1.SecretList
	if err := s.cache.List(ctx, &secrets, client.InNamespace(s.namespace),
		client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}, client.UnsafeDisableDeepCopy); err != nil {
		return time.Time{}, err
	}
	return s.provision.Sweep(ctx, secrets.Items, func(name string) (client.Object, error) {
		for _, kind := range []struct {
			named *naming
			obj   client.Object
		}{{s.users, &v1alpha1.ChatUser{}}, {s.rooms, &v1alpha1.ChatRoom{}}} {
			for _, holder := range kind.named.of(name) {
				switch err := s.cache.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: holder}, kind.obj); {
				case err == nil:
					return kind.obj, nil
				case !apierrors.IsNotFound(err): // otherwise it went just now
					return nil, err
				}
			}
		}
		return nil, nil
	})
}
