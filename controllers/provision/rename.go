package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// A username cannot be changed, so a renamed account is another ChatUser. How far it has got is written on the new one, by two annotations, so that
// whoever leads finishes what a process that died has begun:
//
//  0. The old one is marked by renamed-to, so that it gets one successor.
//  1. The new ChatUser is made with both. It awaits the old one: it is not in force, and the old one is.
//  2. It gets its Secret, and awaits says that the old one is about to be deleted by this. Up to here it is given up when the old one has changed or is
//     not there any more: whoever deletes an account does not want it under another name.
//  3. The old ChatUser is deleted, once its clients' sessions have ended.
//  4. What is remembered of the old name is moved to the new one.
//  5. awaits is taken away: the new account is in force.
//  6. Rosters, groups and rooms that name the old one are changed, where that is allowed.
//  7. renamed-from and renamed-by are taken away.
//
// Before step 3 the old account is there, after step 5 the new one; between them neither can log in, and step 4 is one transaction.

// RenameUser gives an account another name and returns when it is in force under it.
func (p *Provisioner) RenameUser(ctx context.Context, by directory.Actor, username, to string, update directory.UserUpdate) (left []string, err error) {
	if err := p.limits.admit(by); err != nil {
		return nil, err
	}
	to, err = jid.PrepareLocal(to)
	if err != nil {
		return nil, &directory.InvalidError{Field: "username", Message: err.Error()}
	}
	if update.Properties != nil && len(*update.Properties) > maxProperties {
		return nil, &directory.LimitError{Field: "properties", Limit: maxProperties}
	}
	unlock := p.names.lock("rename/" + username)
	defer unlock()
	name, err := p.userResource(ctx, username)
	if err != nil {
		return nil, err
	}
	if _, held := p.directory.Holder(directory.KindUser, to); held {
		return nil, fmt.Errorf("user %q: %w", to, directory.ErrExists)
	}
	var old v1alpha1.ChatUser
	if err := p.get(ctx, name, &old); err != nil {
		return nil, explain(err, kindUser, username)
	}
	if err := declares(&old, username); err != nil {
		return nil, err
	}
	if _, _, ok := p.unseal(&old); ok {
		// It came by its name this way itself, and not everything names it so yet.
		if _, err := p.FinishRename(ctx, by, &old, nil); err != nil {
			return nil, err
		}
	}
	if err := p.permitDelete(by, &old, old.Spec.InBandPolicy); err != nil {
		return nil, err
	}
	user, err := p.pendingSuccessor(ctx, &old)
	switch {
	case err != nil:
		return nil, err
	case user != nil && user.EffectiveUsername() != to:
		return nil, fmt.Errorf("user %q is being renamed to %q: %w", username, user.EffectiveUsername(), directory.ErrConflict)
	case user == nil:
		if user, err = p.successor(ctx, by, &old, username, to, update); err != nil {
			return nil, err
		}
	}
	return p.finishRename(ctx, by, user, nil)
}

// pendingSuccessor is the ChatUser that is to take the place of another already; nil: there is none.
func (p *Provisioner) pendingSuccessor(ctx context.Context, old *v1alpha1.ChatUser) (*v1alpha1.ChatUser, error) {
	to := old.Annotations[v1alpha1.RenamedToAnnotation]
	if to == "" {
		return nil, nil
	}
	var user v1alpha1.ChatUser
	switch err := p.get(ctx, v1alpha1.EncodeName(to), &user); {
	case apierrors.IsNotFound(err):
		return nil, nil // whoever began died before it was made
	case err != nil:
		return nil, explain(err, kindUser, to)
	case !readAwaited(&user).is(old):
		return nil, nil
	}
	return &user, nil
}

// successor makes the ChatUser that takes the place of another (steps 0 and 1).
func (p *Provisioner) successor(
	ctx context.Context, by directory.Actor, old *v1alpha1.ChatUser, from, to string, update directory.UserUpdate,
) (*v1alpha1.ChatUser, error) {
	unlock, err := p.lockNew(ctx, directory.KindUser, to)
	if err != nil {
		return nil, err
	}
	defer unlock()
	name := v1alpha1.EncodeName(to)
	if err := p.purgeLeftovers(ctx, directory.KindUser, to, name, &v1alpha1.ChatUser{}); err != nil {
		return nil, err
	}
	user := &v1alpha1.ChatUser{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.namespace, Name: name,
			Labels: maps.Clone(old.Labels),
			Annotations: map[string]string{
				v1alpha1.RenamedFromAnnotation: p.seal(from, string(old.UID), to),
				v1alpha1.RenamedByAnnotation:   p.sealActor(by, string(old.UID), to),
				v1alpha1.AwaitsAnnotation:      awaiting(old),
				v1alpha1.CreatedAtAnnotation:   createdAt(old).UTC().Format(time.RFC3339),
			},
		},
		Spec: *old.Spec.DeepCopy(),
	}
	if user.Labels == nil {
		user.Labels = map[string]string{}
	}
	user.Labels[v1alpha1.ManagedByLabel] = v1alpha1.ManagedBy
	user.Spec.Username = &to
	if _, err := editUser(user, update); err != nil {
		return nil, err
	}
	if err := p.mark(ctx, old, v1alpha1.RenamedToAnnotation, &to); err != nil {
		return nil, err
	}
	secret, err := p.ownSecret(ctx, old)
	if err != nil {
		return nil, err
	}
	if secret != nil && old.Spec.Credentials != nil {
		user.Spec.Credentials = &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: issuedName(name)}}
	}
	if err := p.create(ctx, user); err != nil {
		return nil, explain(err, kindUser, to)
	}
	return user, nil
}

// createdAt is when an account came into being.
func createdAt(u *v1alpha1.ChatUser) time.Time {
	if t, err := time.Parse(time.RFC3339, u.Annotations[v1alpha1.CreatedAtAnnotation]); err == nil {
		return t
	}
	return u.CreationTimestamp.Time
}

// ownSecret is the Secret of an account that goes with it; nil: it has one that somebody else made, or none.
func (p *Provisioner) ownSecret(ctx context.Context, old *v1alpha1.ChatUser) (*corev1.Secret, error) {
	generated := old.Spec.Credentials == nil
	name := credentialsOf(old)
	if generated {
		name = GeneratedSecretName(old.Name)
	}
	var secret corev1.Secret
	if err := p.get(ctx, name, &secret); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, explain(err, "Secret", name)
	}
	if generated && OwnerOf(&secret) == string(old.UID) ||
		!generated && secret.Type == TypeVerifiers && secret.Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedBy {
		return &secret, nil
	}
	return nil, nil
}

// inherit gives the new account a Secret like the old one's own, as it is now.
func (p *Provisioner) inherit(ctx context.Context, old, user *v1alpha1.ChatUser, to string) error {
	secret, err := p.ownSecret(ctx, old)
	if err != nil || secret == nil {
		return err
	}
	heir := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.namespace, Name: credentialsOf(user), Labels: ownLabels(user.Name),
			OwnerReferences: []metav1.OwnerReference{OwnedBy(user, "ChatUser")},
		},
		Type: secret.Type, Data: maps.Clone(secret.Data),
	}
	if user.Spec.Credentials == nil {
		heir.Name = GeneratedSecretName(user.Name)
		address := to + "@" + p.directory.Domain()
		heir.Data["username"], heir.Data["jid"], heir.Data["uri"] = []byte(to), []byte(address), []byte("xmpp:"+address)
	} else {
		heir.Annotations = map[string]string{forAnnotation: user.Name}
	}
	err = p.create(ctx, heir)
	if !apierrors.IsAlreadyExists(err) {
		return explain(err, "Secret", heir.Name)
	}
	// An earlier attempt made it. The password may be another one by now.
	var there corev1.Secret
	if err := p.get(ctx, heir.Name, &there); err != nil {
		return explain(err, "Secret", heir.Name)
	}
	if owner := metav1.GetControllerOf(&there); owner == nil || owner.UID != user.UID {
		return &ForeignSecretError{Name: heir.Name}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": there.UID}, "data": heir.Data})
	if err != nil {
		return err
	}
	return explain(p.patch(ctx, &there, client.RawPatch(types.MergePatchType, patch)), "Secret", heir.Name)
}
