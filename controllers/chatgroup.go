package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// groups is what is particular about ChatGroups.
type groups struct{ directory *directory.Directory }

func (k *groups) projector(namespace string) *projector[*v1alpha1.ChatGroup] {
	return &projector[*v1alpha1.ChatGroup]{
		kind: directory.KindGroup, directory: k.directory, queue: newReportQueue(namespace),
		put: func(g *v1alpha1.ChatGroup) string {
			entry, _ := translateGroup(g, k.directory.Domain())
			k.directory.PutGroup(entry)
			return entry.GroupName
		},
		remove:   k.directory.DeleteGroup,
		identity: (*v1alpha1.ChatGroup).EffectiveGroupName,
	}
}

func (k *groups) subject() subject[*v1alpha1.ChatGroup] {
	return subject[*v1alpha1.ChatGroup]{
		name:   "ChatGroup",
		new:    func() *v1alpha1.ChatGroup { return &v1alpha1.ChatGroup{} },
		status: func(g *v1alpha1.ChatGroup) *v1alpha1.CommonStatus { return &g.Status.CommonStatus },
		decide: func(_ context.Context, g *v1alpha1.ChatGroup) ([]metav1.Condition, error) {
			entry, problems := translateGroup(g, k.directory.Domain())
			g.Status.GroupName = &entry.GroupName
			return decideNamed(namedInputs{
				Problems: problems,
				Members:  membersOfGroup(k.directory, &entry),
				Claim:    claimOn(k.directory, directory.KindGroup, entry.GroupName, entry.GroupName, g),
				Active:   fmt.Sprintf("Group %q is in force.", entry.GroupName),
			}), nil
		},
	}
}
