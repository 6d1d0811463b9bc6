package controllers

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// users is what is particular about ChatUsers: their credentials.
type users struct {
	directory *directory.Directory
	client    client.Reader // the cache
	provision *provision.Provisioner
	saltKey   []byte
	endpoint  provision.Endpoint
	// seen hears of every state of a ChatUser.
	seen func(*v1alpha1.ChatUser)
}

func (k *users) projector(namespace string) *projector[*v1alpha1.ChatUser] {
	return &projector[*v1alpha1.ChatUser]{
		kind: directory.KindUser, directory: k.directory, queue: newReportQueue(namespace),
		put: func(u *v1alpha1.ChatUser) string {
			k.seen(u)
			entry, problems := translateUser(u, k.directory.Domain())
			if invalidly(problems, v1alpha1.ReasonInvalidName) || awaits(u) {
				return ""
			}
			k.directory.PutUser(entry)
			return entry.Username
		},
		remove: k.directory.DeleteUser,
		secret: credentialSecret,
		identity: func(u *v1alpha1.ChatUser) string {
			username, err := jid.PrepareLocal(u.EffectiveUsername())
			if err != nil {
				return ""
			}
			return username
		},
	}
}

func (k *users) subject() subject[*v1alpha1.ChatUser] {
	return subject[*v1alpha1.ChatUser]{
		name:    "ChatUser",
		new:     func() *v1alpha1.ChatUser { return &v1alpha1.ChatUser{} },
		status:  func(u *v1alpha1.ChatUser) *v1alpha1.CommonStatus { return &u.Status.CommonStatus },
		provide: k.provide,
		decide:  k.decide,
	}
}

// provide generates the password of a user in force that names no Secret.
func (k *users) provide(ctx context.Context, u *v1alpha1.ChatUser) (bool, error) {
	if u.Spec.Credentials != nil {
		return true, nil
	}
	entry, problems := translateUser(u, k.directory.Domain())
	if invalidly(problems, v1alpha1.ReasonInvalidName) || !k.claim(u, entry.Username).Own {
		return true, nil
	}
	secret, err := k.secret(ctx, u)
	if err != nil {
		return false, err
	}
	if secret != nil {
		if owner := provision.OwnerOf(secret); owner == "" || owner == string(u.UID) {
			return true, nil // ours, or in the way: decide tells which
		}
	}
	err = k.provision.GeneratePassword(ctx, u, k.address(entry.Username), k.endpoint)
	var foreign *provision.ForeignSecretError
	if errors.As(err, &foreign) {
		return true, nil // the cache will have it in a moment, and then decide tells
	}
	return false, err
}

func (k *users) decide(ctx context.Context, u *v1alpha1.ChatUser) ([]metav1.Condition, error) {
	entry, problems := translateUser(u, k.directory.Domain())
	in := userInputs{Problems: problems, Locked: entry.Locked, Awaits: awaits(u), Forged: k.provision.Forged(u)}
	if entry.Username != "" {
		in.Address = k.address(entry.Username)
		in.Claim = k.claim(u, entry.Username)
	}
	var err error
	if in.Secret, err = k.secretInputs(ctx, u, in.Claim); err != nil {
		return nil, err
	}

	u.Status.JID = nil
	if in.Address != "" {
		u.Status.JID = &in.Address
	}
	u.Status.Binding = nil
	if in.Secret.Found && in.Secret.Invalid == nil && in.Secret.Foreign == nil {
		u.Status.Binding = &v1alpha1.Binding{Name: in.Secret.Name}
	}
	return decideUser(in), nil
}

// secretInputs gathers how a user's Secret stands.
func (k *users) secretInputs(ctx context.Context, u *v1alpha1.ChatUser, claimed claim) (secretInputs, error) {
	in := secretInputs{Name: credentialSecret(u), Generated: u.Spec.Credentials == nil, Deferred: !claimed.Own}
	secret, err := k.secret(ctx, u)
	if err != nil || secret == nil {
		return in, err
	}
	if in.Generated {
		switch provision.OwnerOf(secret) {
		case string(u.UID):
		case "":
			in.Foreign = &provision.ForeignSecretError{Name: secret.Name}
			return in, nil
		default: // an earlier life of the user left it
			return in, nil
		}
	}
	in.Found = true
	_, in.Invalid = credential(secret, k.saltKey)
	_, plain := secret.Data[v1alpha1.PasswordKey]
	in.Replaced = in.Generated && !plain
	return in, nil
}

// secret is the user's Secret as the cache has it; nil if it doesn't.
func (k *users) secret(ctx context.Context, u *v1alpha1.ChatUser) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := k.client.Get(ctx, client.ObjectKey{Namespace: u.Namespace, Name: credentialSecret(u)}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &secret, nil
}

func (k *users) claim(u *v1alpha1.ChatUser, username string) claim {
	return claimOn(k.directory, directory.KindUser, username, username, u)
}

// claimOn tells how a resource stands to an identity.
func claimOn(d *directory.Directory, kind directory.Kind, identity, name string, obj metav1.Object) claim {
	holder, ok := d.Holder(kind, identity)
	if !ok {
		return claim{Name: name}
	}
	return claim{Name: name, Holder: holder.Name, Own: holder.UID == string(obj.GetUID())}
}

func (k *users) address(username string) string { return username + "@" + k.directory.Domain() }
