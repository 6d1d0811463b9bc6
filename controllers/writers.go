package controllers

import (
	"encoding/json"
	"slices"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// writersOf keeps of managedFields who wrote a resource and when: without fields, and without those who wrote its status.
func writersOf(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var writers []metav1.ManagedFieldsEntry
	for _, e := range entries {
		if e.Subresource == "" {
			// Thousands of resources have the same few writers.
			writers = append(writers, metav1.ManagedFieldsEntry{Manager: unique.Make(e.Manager).Value(), Operation: e.Operation, Time: e.Time})
		}
	}
	return slices.Clip(writers)
}

// foreignWriter says who else than this program made a resource what it is now. before are its writers as they were before the change, as far as that is
// known.
//
// A writer's time changes with what it writes, and not when others take fields over from it. Times are in seconds, so that it cannot always be told
// whether this program or somebody else was the last. Of a change that is seen as it happens, it was this program, whose changes are recorded already; of
// one that is found later it was somebody else, since this program did not run.
func foreignWriter(before, now []metav1.ManagedFieldsEntry, seen bool) (metav1.ManagedFieldsEntry, bool) {
	var wrote []metav1.ManagedFieldsEntry
	if len(before) > 0 {
		for _, e := range now {
			if !slices.ContainsFunc(before, func(b metav1.ManagedFieldsEntry) bool {
				return b.Manager == e.Manager && b.Operation == e.Operation && e.Time.Equal(b.Time)
			}) {
				wrote = append(wrote, e)
			}
		}
	}
	if len(wrote) == 0 {
		if wrote = newest(now); seen && slices.ContainsFunc(wrote, own) {
			return metav1.ManagedFieldsEntry{}, false
		}
	}
	// Several changes may have come as one: this program's are recorded already.
	wrote = newest(slices.DeleteFunc(slices.Clone(wrote), own))
	if len(wrote) == 0 {
		return metav1.ManagedFieldsEntry{}, false
	}
	return wrote[0], true
}

// formatWriters and parseWriters are how writers are remembered.
func formatWriters(writers []metav1.ManagedFieldsEntry) string {
	if len(writers) == 0 {
		return ""
	}
	text, err := json.Marshal(writers)
	if err != nil {
		return "" // cannot be: they are texts and times
	}
	return string(text)
}

func parseWriters(text string) (writers []metav1.ManagedFieldsEntry) {
	if err := json.Unmarshal([]byte(text), &writers); err != nil {
		return nil // what is not known is not known
	}
	return writers
}

func own(e metav1.ManagedFieldsEntry) bool { return e.Manager == v1alpha1.FieldManager }

// newest are the entries with the latest time, several when it is the same second.
func newest(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var last []metav1.ManagedFieldsEntry
	for _, e := range entries {
		switch {
		case len(last) == 0 || last[0].Time.Before(e.Time):
			last = []metav1.ManagedFieldsEntry{e}
		case e.Time.Equal(last[0].Time):
			last = append(last, e)
		}
	}
	return last
}
