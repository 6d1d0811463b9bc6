package provision

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// The files of testdata are the metadata that a Kubernetes 1.37 API server kept of
// a ChatUser with displayName, one contact (tobias@chat.example) and one property
// (team), after the commands that they are named for.
func metadata(t *testing.T, name string) *metav1.ObjectMeta {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var m metav1.ObjectMeta
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestDeclaredPath(t *testing.T) {
	path := fieldpath.MakePathOrDie
	var (
		displayName = path("spec", "displayName")
		email       = path("spec", "email")
		contact     = rosterPath("tobias@chat.example")
		other       = rosterPath("mira@chat.example")
		property    = path("spec", "properties", fieldpath.KeyByFields("key", "team"))
		newProperty = path("spec", "properties", fieldpath.KeyByFields("key", "floor"))
	)
	for _, tt := range []struct {
		file string
		path fieldpath.Path
		// by is the manager who declares the path; empty: nobody.
		by string
	}{
		// Server-side apply declares, also when a person runs it: entry by entry.
		{"kubectl-apply-server-side", displayName, "kubectl"},
		{"kubectl-apply-server-side", email, ""},
		{"kubectl-apply-server-side", contact, "kubectl"},
		{"kubectl-apply-server-side", other, ""},
		{"kubectl-apply-server-side", property, "kubectl"},
		{"kubectl-apply-server-side", newProperty, ""},
		{"kubectl-apply-server-side", path("spec", "roster"), "kubectl"},
		{"argocd-controller", displayName, "argocd-controller"},
		{"argocd-controller", other, ""},

		// Client-side apply replaces lists whole, and so declares them whole.
		{"kubectl-apply-client-side", displayName, "kubectl-client-side-apply"},
		{"kubectl-apply-client-side", email, ""},
		{"kubectl-apply-client-side", contact, "kubectl-client-side-apply"},
		{"kubectl-apply-client-side", other, "kubectl-client-side-apply"},
		{"kubectl-apply-client-side", newProperty, "kubectl-client-side-apply"},

		// A person's single command declares nothing.
		{"kubectl-create", displayName, ""},
		{"kubectl-create", contact, ""},
		{"kubectl-edit", displayName, ""},
		{"kubectl-patch-label-annotate", email, ""},
		{"kubectl-patch-label-annotate", path("metadata", "labels", "a"), ""},

		// Other Update managers do: Helm before version 4, and who is not known.
		{"helm-update", displayName, "helm"},
		{"helm-update", email, ""},
		{"helm-update", other, "helm"},

		// Nobody declares what this program made, whoever writes its status.
		{"own-with-foreign-status", displayName, ""},
		{"own-with-foreign-status", contact, ""},
		{"own-with-foreign-status", path("status", "jid"), ""},

		// A tool that applies part of it later declares that part.
		{"own-with-entries-applied", email, "kustomize-controller"},
		{"own-with-entries-applied", displayName, ""},
		{"own-with-entries-applied", rosterPath("pia@chat.example"), "kustomize-controller"},
		{"own-with-entries-applied", contact, ""},
	} {
		t.Run(tt.file+"/"+tt.path.String(), func(t *testing.T) {
			d, declared := DeclaredPath(metadata(t, tt.file), tt.path)
			if d.Manager != tt.by || declared != (tt.by != "") {
				t.Errorf("declared %v by %q, want %q", declared, d.Manager, tt.by)
			}
			if declared && d.Field != tt.path.String() {
				t.Errorf("the refusal names %q, want %q", d.Field, tt.path)
			}
		})
	}
}

func TestDeclaredPathByAnnotationAlone(t *testing.T) {
	// The annotation outlives its manager's entry, as when that was migrated away.
	m := metadata(t, "kubectl-apply-client-side")
	m.ManagedFields = nil
	for field, want := range map[string]bool{"displayName": true, "roster": true, "email": false} {
		if _, declared := DeclaredPath(m, specPath(field)); declared != want {
			t.Errorf("%s: declared %v, want %v", field, declared, want)
		}
	}
	if _, declared := DeclaredPath(m, rosterPath("mira@chat.example")); !declared {
		t.Error("a new entry of an applied list is not declared")
	}
	m.Annotations["kubectl.kubernetes.io/last-applied-configuration"] = "{"
	if _, declared := DeclaredAnything(m); !declared {
		t.Error("an annotation that cannot be read declares nothing")
	}
}

// Who goes over from client-side to server-side apply keeps the annotation, which declares nothing any more: the managed fields do.
func TestAnnotationKeptByServerSideApply(t *testing.T) {
	m := metadata(t, "kubectl-apply-client-side")
	for i := range m.ManagedFields {
		if e := &m.ManagedFields[i]; e.Manager == "kubectl-client-side-apply" {
			e.Manager, e.Operation = "kubectl", metav1.ManagedFieldsOperationApply
			e.FieldsV1 = metav1.NewFieldsV1(`{"f:spec":{"f:displayName":{}}}`)
		}
	}
	m.ManagedFields = append(m.ManagedFields, metav1.ManagedFieldsEntry{
		Manager: "kubectl-last-applied", Operation: metav1.ManagedFieldsOperationApply,
		FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{"f:kubectl.kubernetes.io/last-applied-configuration":{}}}}`),
	})
	for field, want := range map[string]bool{"displayName": true, "roster": false} {
		if _, declared := DeclaredPath(m, specPath(field)); declared != want {
			t.Errorf("%s: declared %v, want %v", field, declared, want)
		}
	}
}

func TestDeclaredAnything(t *testing.T) {
	for file, by := range map[string]string{
		"kubectl-apply-server-side":    "kubectl",
		"kubectl-apply-client-side":    "kubectl-client-side-apply",
		"kubectl-create":               "",
		"kubectl-edit":                 "",
		"kubectl-patch-label-annotate": "",
		"argocd-controller":            "argocd-controller",
		"helm-update":                  "helm",
		"own-with-foreign-status":      "",
		"own-with-entries-applied":     "kustomize-controller",
	} {
		d, declared := DeclaredAnything(metadata(t, file))
		if d.Manager != by || declared != (by != "") {
			t.Errorf("%s: declared %v by %q, want %q", file, declared, d.Manager, by)
		}
		if declared && d.Field == "" {
			t.Errorf("%s: the refusal names no field", file)
		}
	}
}

func TestDeclaredFieldsThatCannotBeRead(t *testing.T) {
	m := &metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{
		Manager: "future", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1("not a set"),
	}}}
	if _, declared := DeclaredPath(m, specPath("email")); !declared {
		t.Error("fields in an unknown form declare nothing")
	}
}
