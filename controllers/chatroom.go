package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// rooms is what is particular about ChatRooms.
type rooms struct {
	directory *directory.Directory
	client    client.Reader // the cache
	namespace string
}

// password reads the password of a room from its Secret in the cache.
func (k *rooms) password(secret directory.SecretKey) (string, bool) {
	text, problem := k.readPassword(context.Background(), secret) // the cache has synced: reading it does not wait
	return text, problem == nil
}

// readPassword reads the password of a room, or says what is wrong with its Secret.
func (k *rooms) readPassword(ctx context.Context, key directory.SecretKey) (string, *finding) {
	var secret corev1.Secret
	err := k.client.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: key.Name}, &secret)
	if err != nil {
		return "", &finding{v1alpha1.ReasonSecretNotFound, fmt.Sprintf(
			"Secret %q does not exist yet, and nobody can enter: create it with a key %s, or remove spec.passwordSecretRef.", key.Name, key.Key)}
	}
	password, ok := secret.Data[key.Key]
	if !ok {
		return "", &finding{v1alpha1.ReasonSecretInvalid, fmt.Sprintf(
			"Secret %q has no key %s, and nobody can enter: add it, or name another Secret in spec.passwordSecretRef.", key.Name, key.Key)}
	}
	if _, err := credential(&corev1.Secret{ObjectMeta: secret.ObjectMeta, Data: map[string][]byte{v1alpha1.PasswordKey: password}}, nil); err != nil {
		return "", &finding{v1alpha1.ReasonSecretInvalid, fmt.Sprintf("Secret %q cannot be used, and nobody can enter: %v. Correct the Secret.", key.Name, err)}
	}
	return string(password), nil
}

func (k *rooms) projector(namespace string) *projector[*v1alpha1.ChatRoom] {
	return &projector[*v1alpha1.ChatRoom]{
		kind: directory.KindRoom, directory: k.directory, queue: newReportQueue(namespace),
		put: func(r *v1alpha1.ChatRoom) string {
			entry, problems := translateRoom(r, k.directory.Domain())
			if invalidly(problems, v1alpha1.ReasonInvalidName) {
				return ""
			}
			k.directory.PutRoom(entry)
			return entry.Identity()
		},
		remove: k.directory.DeleteRoom,
		secret: func(r *v1alpha1.ChatRoom) string {
			if r.Spec.PasswordSecretRef == nil {
				return ""
			}
			return r.Spec.PasswordSecretRef.Name
		},
		identity: func(r *v1alpha1.ChatRoom) string {
			entry, problems := translateRoom(r, k.directory.Domain())
			if invalidly(problems, v1alpha1.ReasonInvalidName) {
				return ""
			}
			return entry.Identity()
		},
	}
}

func (k *rooms) subject() subject[*v1alpha1.ChatRoom] {
	return subject[*v1alpha1.ChatRoom]{
		name:   "ChatRoom",
		new:    func() *v1alpha1.ChatRoom { return &v1alpha1.ChatRoom{} },
		status: func(r *v1alpha1.ChatRoom) *v1alpha1.CommonStatus { return &r.Status.CommonStatus },
		decide: func(ctx context.Context, r *v1alpha1.ChatRoom) ([]metav1.Condition, error) {
			entry, problems := translateRoom(r, k.directory.Domain())
			if entry.RoomName == "" {
				r.Status.JID = nil
				return decideNamed(namedInputs{Problems: problems}), nil
			}
			address := fmt.Sprintf("%s@%s.%s", entry.RoomName, entry.Service, k.directory.Domain())
			r.Status.JID = &address
			var secret *finding
			if entry.PasswordSecret != nil {
				_, secret = k.readPassword(ctx, *entry.PasswordSecret)
			}
			noService := ""
			if !k.directory.HasRoomService(entry.Service) {
				noService = entry.Service
			}
			return decideNamed(namedInputs{
				Problems:  problems,
				Secret:    secret,
				NoService: noService,
				Members:   membersOfRoom(k.directory, &entry),
				Claim:     claimOn(k.directory, directory.KindRoom, entry.Identity(), address, r),
				Active:    fmt.Sprintf("%s is in force.", address),
			}), nil
		},
	}
}
