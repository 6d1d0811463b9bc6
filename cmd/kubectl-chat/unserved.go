package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	all, err := k.chatResources(ctx, metav1.NamespaceAll, metav1.ListOptions{FieldSelector: "metadata.namespace!=" + k.namespace, Limit: mostElsewhere})
	if err != nil {
		return nil
	}
	counts := map[string]int{}
	for i := range all {
		if r := &all[i]; len(r.Status.Conditions) == 0 && r.DeletionTimestamp == nil && now.Sub(r.CreationTimestamp.Time) > unservedAfter {
			counts[r.Namespace]++
		}
	}
	found := make([]unserved, 0, len(counts))
	for namespace, n := range counts {
		found = append(found, unserved{namespace, n})
	}
	slices.SortFunc(found, func(a, b unserved) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return found
}
