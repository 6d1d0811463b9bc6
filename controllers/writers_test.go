package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// writer is an entry of managedFields at a second.
func writer(manager string, second int) metav1.ManagedFieldsEntry {
	at := metav1.NewTime(time.Date(2031, 4, 5, 6, 7, second, 0, time.UTC))
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Time: &at}
}

func TestForeignWriter(t *testing.T) {
	own := func(second int) metav1.ManagedFieldsEntry { return writer(v1alpha1.FieldManager, second) }
	type entries = []metav1.ManagedFieldsEntry
	applied := writer("kubectl", 1)
	applied.Operation = metav1.ManagedFieldsOperationApply
	for name, c := range map[string]struct {
		before, now entries
		want        string
	}{
		"made by a person":                        {nil, entries{writer("kubectl", 1)}, "kubectl"},
		"made by this program":                    {nil, entries{own(1)}, ""},
		"unknown before, a person last":           {nil, entries{own(1), writer("kubectl", 2)}, "kubectl"},
		"unknown before, this program last":       {nil, entries{writer("kubectl", 1), own(2)}, ""},
		"unknown before, in one second":           {nil, entries{writer("kubectl", 2), own(2)}, ""},
		"changed by a person":                     {entries{writer("kubectl", 1)}, entries{writer("kubectl", 2)}, "kubectl"},
		"changed by this program":                 {entries{writer("kubectl", 1)}, entries{writer("kubectl", 1), own(2)}, ""},
		"by a person in this program's second":    {entries{own(2)}, entries{own(2), writer("kubectl", 2)}, "kubectl"},
		"by this program in a person's second":    {entries{writer("kubectl", 2)}, entries{writer("kubectl", 2), own(2)}, ""},
		"by both, which came as one":              {entries{writer("argocd", 1), own(1)}, entries{writer("argocd", 2), own(3)}, "argocd"},
		"by two others":                           {entries{writer("argocd", 1)}, entries{writer("argocd", 2), writer("kubectl", 3)}, "kubectl"},
		"once more in the same second":            {entries{writer("kubectl", 2)}, entries{writer("kubectl", 2)}, "kubectl"},
		"once more, by whom cannot be told":       {entries{writer("kubectl", 2), own(2)}, entries{writer("kubectl", 2), own(2)}, ""},
		"an apply beside an update of one name":   {entries{writer("kubectl", 1)}, entries{writer("kubectl", 1), applied}, "kubectl"},
		"a writer goes, whose fields others took": {entries{writer("argocd", 1), writer("kubectl", 1)}, entries{writer("argocd", 3)}, "argocd"},
		"nobody": {nil, nil, ""},
	} {
		got, ok := foreignWriter(c.before, c.now, true)
		if again := parseWriters(formatWriters(c.before)); len(again) != len(c.before) {
			t.Errorf("%s: remembered as %+v", name, again)
		} else if later, same := foreignWriter(again, c.now, true); same != ok || later.Manager != got.Manager {
			t.Errorf("%s: %q once remembered", name, later.Manager)
		}
		if got.Manager != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got.Manager, ok, c.want)
		}
	}
}

// What is found changed was changed by somebody else, if that can be.
func TestForeignWriterLater(t *testing.T) {
	ours := writer(v1alpha1.FieldManager, 2)
	tied := []metav1.ManagedFieldsEntry{writer("kubectl", 2), ours}
	for _, before := range [][]metav1.ManagedFieldsEntry{nil, tied} {
		if got, ok := foreignWriter(before, tied, false); !ok || got.Manager != "kubectl" {
			t.Errorf("in one second: %q, %v", got.Manager, ok)
		}
	}
	if got, ok := foreignWriter([]metav1.ManagedFieldsEntry{writer("kubectl", 1)}, []metav1.ManagedFieldsEntry{writer("kubectl", 1), ours}, false); ok {
		t.Errorf("this program's last change: %q", got.Manager)
	}
}

func TestWritersOf(t *testing.T) {
	status := writer(v1alpha1.FieldManager, 3)
	status.Subresource = "status"
	spec := writer("argocd", 1)
	spec.FieldsV1 = metav1.NewFieldsV1(`{"f:spec":{}}`)
	spec.APIVersion = "chat-operator.io/v1alpha1"
	got := writersOf([]metav1.ManagedFieldsEntry{spec, status})
	if len(got) != 1 || got[0].Manager != "argocd" || got[0].FieldsV1 != nil || !got[0].Time.Equal(spec.Time) || got[0].Operation != spec.Operation {
		t.Errorf("%+v", got)
	}
	// A cache may transform twice.
	if again := writersOf(got); len(again) != 1 || again[0] != got[0] {
		t.Errorf("%+v", again)
	}
	if writersOf(nil) != nil {
		t.Error("writers of nothing")
	}
}
