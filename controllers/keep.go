package controllers

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// keepOfResources makes what drops from a chat resource, before it enters the cache, what only
// the API server and other tools need; it is most of its size. Who wrote it last stays, for the audit log.
func keepOfResources() func(obj any) (any, error) {
	var shared sharedLabels
	return func(obj any) (any, error) { return keepOfResource(obj, &shared) }
}

func keepOfResource(obj any, shared *sharedLabels) (any, error) {
	o, ok := obj.(metav1.Object)
	if !ok {
		return obj, nil
	}
	if kept(o) {
		return obj, nil
	}
	o.SetManagedFields(writersOf(o.GetManagedFields()))
	var keep map[string]string
	for _, name := range []string{v1alpha1.CreatedAtAnnotation, v1alpha1.RenamedFromAnnotation, v1alpha1.AwaitsAnnotation} {
		if value, ok := o.GetAnnotations()[name]; ok {
			if keep == nil {
				keep = make(map[string]string, 1)
			}
			keep[name] = value
		}
	}
	o.SetAnnotations(keep)
	switch r := obj.(type) {
	case *v1alpha1.ChatUser:
		r.TypeMeta, r.Status.Conditions = metav1.TypeMeta{}, compact(r.Status.Conditions)
	case *v1alpha1.ChatGroup:
		r.TypeMeta, r.Status.Conditions = metav1.TypeMeta{}, compact(r.Status.Conditions)
	case *v1alpha1.ChatRoom:
		r.TypeMeta, r.Status.Conditions = metav1.TypeMeta{}, compact(r.Status.Conditions)
	case *v1alpha1.SystemProperty:
		r.TypeMeta, r.Status.Conditions = metav1.TypeMeta{}, compact(r.Status.Conditions)
	}
	o.SetNamespace(unique.Make(o.GetNamespace()).Value())
	o.SetLabels(shared.labels(o.GetLabels()))
	return obj, nil
}

// kept says that keepOfResource has had a resource already: one that comes from the API server names with each writer what it wrote.
func kept(o metav1.Object) bool {
	writers := o.GetManagedFields()
	return len(writers) > 0 && !slices.ContainsFunc(writers, func(w metav1.ManagedFieldsEntry) bool { return w.FieldsV1 != nil })
}

// compact lets conditions share their text, which thousands of resources have in common, and takes no more room than they need.
func compact(list []metav1.Condition) []metav1.Condition {
	if list == nil {
		return nil
	}
	kept := make([]metav1.Condition, len(list))
	for i, c := range list {
		c.Type, c.Status = unique.Make(c.Type).Value(), unique.Make(c.Status).Value()
		c.Reason, c.Message = unique.Make(c.Reason).Value(), unique.Make(c.Message).Value()
		kept[i] = c
	}
	return kept
}

// maxSharedLabels bounds how many sets of labels are remembered.
const maxSharedLabels = 256

// sharedLabels lets resources of the cache have one map of labels together where theirs are equal, as those of one Helm release or Git repository are:
// nobody changes what the cache has. The zero value is ready.
type sharedLabels struct {
	mu   sync.Mutex // guards sets
	sets map[string]map[string]string
}

func (s *sharedLabels) labels(own map[string]string) map[string]string {
	if len(own) == 0 {
		return nil
	}
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(own)) {
		key.WriteString(name + "=" + own[name] + ",") // neither can have these characters
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if set, ok := s.sets[key.String()]; ok {
		return set
	}
	if s.sets == nil {
		s.sets = map[string]map[string]string{}
	}
	if len(s.sets) < maxSharedLabels {
		s.sets[key.String()] = own
	}
	return own
}
