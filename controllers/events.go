package controllers

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// Reasons of Events besides those of condition Ready.
const (
	// EventRestored says that a resource came back and has the data of its name again.
	EventRestored = "Restored"
	// EventPurgesHeld says that the brake holds purges until somebody confirms them.
	EventPurgesHeld = "PurgesHeld"
)

// reportingController is the name under which Events are recorded.
const reportingController = "chat-operator.io/chat-operator"

// maxNote is the longest note that the API server takes.
const maxNote = 1024

// eventRecorder writes Events, on transitions only.
type eventRecorder struct{ recorder events.EventRecorder }

// transition records that condition Ready changed. Waiting for the operator's own
// work is no news, and neither is that what was declared is in force as expected; both are in the status for whoever looks.
func (e eventRecorder) transition(obj runtime.Object, before, after *metav1.Condition) {
	if after == nil || after.Reason == v1alpha1.ReasonPending {
		return
	}
	if before != nil && before.Status == after.Status && before.Reason == after.Reason {
		return
	}
	if after.Status == metav1.ConditionTrue && (before == nil || before.Reason == v1alpha1.ReasonPending) {
		return
	}
	kind := corev1.EventTypeWarning
	if after.Status == metav1.ConditionTrue {
		kind = corev1.EventTypeNormal
	}
	e.record(obj, kind, after.Reason, "Report", after.Message)
}

func (e eventRecorder) record(obj runtime.Object, kind, reason, action, note string) {
	e.recorder.Eventf(obj, nil, kind, reason, action, "%s", shorten(note, maxNote))
}
