package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// Translation: each kind has one pure function from the resource to the entry of
// the directory. Defaults live here and nowhere else; in the definitions they
// would make whoever writes a resource own fields that he never mentioned.

// problem is something in a resource that admission could not see.
type problem struct {
	// Reason is one of the reasons of conditions.
	Reason string
	// Message says what is wrong where, and what to do.
	Message string
}

func invalidName(what, name string, err error) []problem {
	return []problem{{
		Reason: v1alpha1.ReasonInvalidName,
		Message: fmt.Sprintf("%q cannot be a %s: %v. Names cannot be changed: create another resource with a valid name, and delete this one.",
			name, what, err),
	}}
}

func invalidValue(path, format string, args ...any) problem {
	return problem{Reason: v1alpha1.ReasonInvalidValue, Message: path + ": " + fmt.Sprintf(format, args...)}
}

// ref is the resource behind an entry.
func ref(obj metav1.Object) directory.Ref {
	return directory.Ref{
		Name:       obj.GetName(),
		UID:        string(obj.GetUID()),
		Generation: obj.GetGeneration(),
		Created:    obj.GetCreationTimestamp().Time,
	}
}

// managed says whether REST or a client made the resource.
func managed(obj metav1.Object) bool {
	return obj.GetLabels()[v1alpha1.ManagedByLabel] == v1alpha1.ManagedBy
}

// createdAt is when the declared thing came into being, which after an import was
// before its resource was made.
func createdAt(obj metav1.Object) time.Time {
	if text, ok := obj.GetAnnotations()[v1alpha1.CreatedAtAnnotation]; ok {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC()
		}
	}
	return obj.GetCreationTimestamp().UTC()
}

// modifiedAt is when the spec changed last. It is the same before and after the status has heard of the change: programs hold what they were shown
// against what is there.
func modifiedAt(obj metav1.Object, status *v1alpha1.CommonStatus) time.Time {
	if status.ModifiedAt != nil && status.ObservedGeneration == obj.GetGeneration() {
		return status.ModifiedAt.UTC()
	}
	if t, ok := writtenAt(obj); ok {
		return t
	}
	if status.ModifiedAt != nil {
		return status.ModifiedAt.UTC()
	}
	return createdAt(obj)
}

// writtenAt is when somebody last wrote a resource, its status aside, as far as the API server tells.
func writtenAt(obj metav1.Object) (time.Time, bool) {
	if created := obj.GetCreationTimestamp(); obj.GetGeneration() <= 1 && !created.IsZero() {
		return created.UTC(), true
	}
	last := newest(writersOf(obj.GetManagedFields()))
	if len(last) == 0 || last[0].Time.IsZero() {
		return time.Time{}, false
	}
	return last[0].Time.UTC(), true
}

// properties sorts declared keys and values.
func properties(list []v1alpha1.Property) []directory.Property {
	if len(list) == 0 {
		return nil
	}
	sorted := make([]directory.Property, 0, len(list))
	for _, p := range list {
		sorted = append(sorted, directory.Property{Key: p.Key, Value: value(p.Value)})
	}
	slices.SortFunc(sorted, func(a, b directory.Property) int { return strings.Compare(a.Key, b.Key) })
	return sorted
}

// value is what a pointer points at, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// or is what a pointer points at, or a default.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
