package provision

import (
	"bytes"
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	corev1 "k8s.io/api/core/v1"
)

// FieldManager is the one name under which this program writes, whoever asked
// for the change: with a name for each way in, a room's owner could not change
// what REST created for him.
const FieldManager = "chat-operator"

// clientSideApply is the manager that kubectl gives itself when it keeps its
// last applied state in an annotation.
const clientSideApply = "kubectl-client-side-apply"

// Declaration says who declared something, so that a refusal can name both.
type Declaration struct {
	// Manager is the field manager.
	Manager string
	// Field is the path that it declares, such as ".spec.displayName".
	Field string
}

// DeclaredPath says whether somebody outside declared any of the paths, or
// anything below or around them, and who. It is the rule by which changes from
// inside are refused:
//
//   - an Apply manager other than this program declares the paths it owns;
//   - an Update manager declares, too, unless it is a person's one-off; a list
//     of which it owns anything is declared whole, since such tools replace
//     lists whole;
//   - everything in the annotation of client-side apply is declared, lists whole,
//     unless server-side apply has taken over and merely keeps the annotation;
//   - what was written through a subresource declares nothing.
func DeclaredPath(obj metav1.Object, paths ...fieldpath.Path) (Declaration, bool) {
	for _, entry := range obj.GetManagedFields() {
		set, ok := declaring(entry)
		if !ok {
			continue
		}
		for _, path := range paths {
			if set == nil || owns(set, path, entry.Operation == metav1.ManagedFieldsOperationUpdate) {
				return Declaration{Manager: entry.Manager, Field: path.String()}, true
			}
		}
	}
	applied := lastApplied(obj)
	for _, path := range paths {
		if names(applied, path) {
			return Declaration{Manager: clientSideApply, Field: path.String()}, true
		}
	}
	return Declaration{}, false
}

// DeclaredAnything says whether a declarative manager owns anything of the
// object, and who: such an object is not deleted from inside.
func DeclaredAnything(obj metav1.Object) (Declaration, bool) {
	for _, entry := range obj.GetManagedFields() {
		switch set, ok := declaring(entry); {
		case ok && set == nil:
			return Declaration{Manager: entry.Manager, Field: ".spec"}, true
		case ok && !set.Empty():
			return Declaration{Manager: entry.Manager, Field: firstPath(set)}, true
		}
	}
	if applied := lastApplied(obj); applied != nil {
		return Declaration{Manager: clientSideApply, Field: ".spec"}, true
	}
	return Declaration{}, false
}

// declaring returns what an entry of managedFields declares, if it does; nil: everything.
func declaring(entry metav1.ManagedFieldsEntry) (*fieldpath.Set, bool) {
	if entry.Manager == FieldManager || entry.Subresource != "" || entry.FieldsV1 == nil {
		return nil, false
	}
	if entry.Operation == metav1.ManagedFieldsOperationUpdate && oneOff(entry.Manager) {
		return nil, false
	}
	set := &fieldpath.Set{}
	if err := set.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())); err != nil {
		// The API server wrote it, so this cannot be read only when a newer one
		// writes another form. Not knowing what is declared, assume everything.
		return nil, true
	}
	return set, true
}

// oneOff says whether a manager is the trace of a person's single command, which
// declares nothing: nobody will apply it again.
func oneOff(manager string) bool {
	switch manager {
	case "kubectl-edit", "kubectl-patch", "kubectl-create", "kubectl-replace", "kubectl-label", "kubectl-annotate":
		return true
	}
	return false
}

// owns says whether a set of owned fields touches a path.
func owns(set *fieldpath.Set, path fieldpath.Path, listsWhole bool) bool {
	if set.Has(path) || below(set, path) {
		return true
	}
	for i := 1; i < len(path); i++ {
		around := path[:i]
		if isItem(path[i]) {
			if listsWhole && (set.Has(around) || below(set, around)) {
				return true
			}
			continue
		}
		// A struct or map that is owned without anything in it is owned whole; but a manifest with an empty spec leaves everything open.
		if i > 1 && set.Has(around) && !below(set, around) {
			return true
		}
	}
	return false
}

// below says whether anything under a path is in the set.
func below(set *fieldpath.Set, path fieldpath.Path) bool {
	for _, element := range path {
		set = set.WithPrefix(element)
	}
	return !set.Empty()
}

func isItem(e fieldpath.PathElement) bool { return e.FieldName == nil }

// lastApplied is what client-side apply keeps in its annotation; nil if nothing.
func lastApplied(obj metav1.Object) any {
	text, ok := obj.GetAnnotations()[corev1.LastAppliedConfigAnnotation]
	if !ok || keptByApply(obj) {
		return nil
	}
	var applied any
	if err := json.Unmarshal([]byte(text), &applied); err != nil || applied == nil {
		return map[string]any{}
	}
	return applied
}

// keptByApply says whether the annotation of client-side apply is there only because kubectl apply --server-side keeps it up to date: what is declared is
// in the managed fields then.
func keptByApply(obj metav1.Object) bool {
	path := fieldpath.MakePathOrDie("metadata", "annotations", corev1.LastAppliedConfigAnnotation)
	for _, entry := range obj.GetManagedFields() {
		if entry.Operation != metav1.ManagedFieldsOperationApply || entry.FieldsV1 == nil {
			continue
		}
		set := &fieldpath.Set{}
		if err := set.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())); err == nil && set.Has(path) {
			return true
		}
	}
	return false
}

// names says whether an applied object speaks of a path. A list that it has is
// declared whole.
func names(applied any, path fieldpath.Path) bool {
	if applied == nil {
		return false
	}
	for _, element := range path {
		if isItem(element) {
			_, isList := applied.([]any)
			return isList
		}
		fields, ok := applied.(map[string]any)
		if !ok {
			return true // a scalar where the path goes on: declared as it is
		}
		if applied, ok = fields[*element.FieldName]; !ok {
			return false
		}
	}
	return true
}

// firstPath gives one of the paths of a set, best of what people write: the spec.
func firstPath(set *fieldpath.Set) string {
	first := ""
	set.Leaves().Iterate(func(p fieldpath.Path) {
		if path := p.String(); first == "" || strings.HasPrefix(path, ".spec") && !strings.HasPrefix(first, ".spec") {
			first = path
		}
	})
	return first
}
