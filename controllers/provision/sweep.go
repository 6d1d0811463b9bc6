package provision

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// SweepGrace is how long a Secret may be without a user before it counts as
// orphaned: longer than any creation takes.
const SweepGrace = time.Minute

// Sweep looks after the Secrets that this program issued. One that its ChatUser or ChatRoom names gets that for its owner, so that it goes
// when its owner goes: that is not done by the creation itself, whose caller would wait for it. One that a creation or change left behind
// which died half way or lost is deleted.
//
// Holder is the ChatUser or ChatRoom that names a Secret; nil if there is none. Sweep returns when the next candidate comes of age; zero if
// there is none.
func (p *Provisioner) Sweep(ctx context.Context, secrets []corev1.Secret, holder func(name string) (client.Object, error)) (next time.Time, err error) {
	now := p.clock.Now()
	var failed []error
	for i := range secrets {
		s := &secrets[i]
		if !sweepable(s) {
			continue
		}
		owner, err := holder(s.Name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if owner != nil {
			if err := p.adopt(ctx, s, owner); err != nil {
				failed = append(failed, err)
			}
			continue
		}
		if of := s.CreationTimestamp.Add(SweepGrace); of.After(now) {
			if next.IsZero() || of.Before(next) {
				next = of
			}
			continue
		}
		// The cache may lag behind, and this cannot be undone: ask the API server.
		orphan, err := p.orphaned(ctx, s.Name)
		if err == nil && orphan {
			err = p.remove(ctx, s)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if orphan {
			p.log.Info("Deleted a Secret that nothing names", "secret", s.Name)
		}
	}
	return next, errors.Join(failed...)
}

// adopt makes a ChatUser or ChatRoom the owner of a Secret that was issued for it and has none yet. Somebody else may name it, too: whose it is
// shows in its name.
func (p *Provisioner) adopt(ctx context.Context, secret *corev1.Secret, owner client.Object) error {
	kind := kindUser
	if secret.Type == TypeRoomPassword {
		kind = kindRoom
	}
	if len(secret.OwnerReferences) > 0 || !issuedTo(secret.Name, owner.GetName()) || owner.GetDeletionTimestamp() != nil {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             secret.UID,
		"ownerReferences": []metav1.OwnerReference{OwnedBy(owner, kind)},
	}})
	if err != nil {
		return err
	}
	err = p.patch(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: secret.Name}},
		client.RawPatch(types.MergePatchType, patch))
	// Gone, or made anew meanwhile: its event says how it stands now.
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// orphaned says whether the ChatUser or ChatRoom that a Secret was made for does not name it.
func (p *Provisioner) orphaned(ctx context.Context, name string) (bool, error) {
	var secret corev1.Secret
	if err := p.get(ctx, name, &secret); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	if !sweepable(&secret) {
		return false, nil
	}
	var err error
	named := ""
	if of := secret.Annotations[forAnnotation]; secret.Type == TypeRoomPassword {
		var room v1alpha1.ChatRoom
		if err = p.get(ctx, of, &room); err == nil && room.Spec.PasswordSecretRef != nil {
			named = room.Spec.PasswordSecretRef.Name
		}
	} else {
		var user v1alpha1.ChatUser
		if err = p.get(ctx, of, &user); err == nil && user.Spec.Credentials != nil {
			named = user.Spec.Credentials.SecretRef.Name
		}
	}
	return named != name, client.IgnoreNotFound(err)
}

// sweepable says whether a Secret is one that this program issued and that may have lost its purpose. What a user owns goes with the user; a
// room may own the password that it had before as well.
func sweepable(s *corev1.Secret) bool {
	if s.Labels[v1alpha1.ManagedByLabel] != v1alpha1.ManagedBy || s.DeletionTimestamp != nil {
		return false
	}
	return s.Type == TypeRoomPassword || s.Type == TypeVerifiers && len(s.OwnerReferences) == 0
}
