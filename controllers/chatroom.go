package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// rooms is what is particular about ChatRooms.
type rooms struct{ directory *directory.Directory }

func (k *rooms) projector(namespace string) *projector[*v1alpha1.ChatRoom] {
	return &projector[*v1alpha1.ChatRoom]{
		kind: directory.KindRoom, directory: k.directory, queue: reportQueue{namespace: namespace},
		put: func(r *v1alpha1.ChatRoom) string {
			entry, problems := translateRoom(r)
			if invalidly(problems, v1alpha1.ReasonInvalidName) {
				return ""
			}
			k.directory.PutRoom(entry)
			return entry.Identity()
		},
		remove: k.directory.DeleteRoom,
		identity: func(r *v1alpha1.ChatRoom) string {
			entry, problems := translateRoom(r)
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
		decide: func(_ context.Context, r *v1alpha1.ChatRoom) ([]metav1.Condition, error) {
			entry, problems := translateRoom(r)
			if entry.RoomName == "" {
				r.Status.JID = nil
				return decideNamed(namedInputs{Problems: problems}), nil
			}
			address := fmt.Sprintf("%s@%s.%s", entry.RoomName, entry.Service, k.directory.Domain())
			r.Status.JID = &address
			return decideNamed(namedInputs{
				Problems: problems,
				Claim:    claimOn(k.directory, directory.KindRoom, entry.Identity(), address, r),
				Active:   fmt.Sprintf("%s is in force.", address),
			}), nil
		},
	}
}
