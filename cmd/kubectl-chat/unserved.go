package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// unserved is a namespace with resources that no server has looked at: most likely they were meant for another one.
type unserved struct {
	Namespace string `json:"namespace"`
	Resources int    `json:"resources"`
}

const (
	// unservedAfter is how old a resource is that a server would have looked at.
	unservedAfter = time.Minute
	// mostElsewhere bounds the resources of a kind that are looked at: this is a hint, and there may be many servers in a cluster.
	mostElsewhere = 250
)

// elsewhere looks for resources in other namespaces that no server has looked at. Most people may not see them, and that is no fault: then there are none.
func elsewhere(ctx context.Context, k *kubernetes, now time.Time) []unserved {
	counts := map[string]int{}
	note := func(of *metav1.ObjectMeta, conditions []metav1.Condition) {
		if len(conditions) == 0 && of.DeletionTimestamp == nil && now.Sub(of.CreationTimestamp.Time) > unservedAfter {
			counts[of.Namespace]++
		}
	}
	list := func(resource string, into runtime.Object) bool {
		return k.chat.Get().Resource(resource).VersionedParams(&metav1.ListOptions{
			FieldSelector: "metadata.namespace!=" + k.namespace, Limit: mostElsewhere,
		}, k.codec).Do(ctx).Into(into) == nil
	}
	var (
		users  v1alpha1.ChatUserList
		groups v1alpha1.ChatGroupList
		rooms  v1alpha1.ChatRoomList
		props  v1alpha1.SystemPropertyList
	)
	if !list("chatusers", &users) || !list("chatgroups", &groups) || !list("chatrooms", &rooms) || !list("systemproperties", &props) {
		return nil
	}
	for i := range users.Items {
		note(&users.Items[i].ObjectMeta, users.Items[i].Status.Conditions)
	}
	for i := range groups.Items {
		note(&groups.Items[i].ObjectMeta, groups.Items[i].Status.Conditions)
	}
	for i := range rooms.Items {
		note(&rooms.Items[i].ObjectMeta, rooms.Items[i].Status.Conditions)
	}
	for i := range props.Items {
		note(&props.Items[i].ObjectMeta, props.Items[i].Status.Conditions)
	}
	found := make([]unserved, 0, len(counts))
	for namespace, n := range counts {
		found = append(found, unserved{namespace, n})
	}
	slices.SortFunc(found, func(a, b unserved) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return found
}
