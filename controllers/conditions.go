package controllers

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// finding is what a decision comes to: one of the reasons of condition Ready, and
// a message that ends in what to do.
type finding struct {
	Reason, Message string
}

// active says that the resource is in force, in a sentence.
func active(message string) finding { return finding{v1alpha1.ReasonActive, message} }

// severity orders reasons: what makes all else irrelevant comes first.
var severity = []string{
	v1alpha1.ReasonInvalidName,
	v1alpha1.ReasonNameConflict,
	v1alpha1.ReasonInvalidValue,
	v1alpha1.ReasonSecretInvalid,
	v1alpha1.ReasonServiceNotFound,
	v1alpha1.ReasonSecretNotFound,
	v1alpha1.ReasonPending,
	v1alpha1.ReasonUnknownKey,
	v1alpha1.ReasonActive,
}

// gravest sums findings up. Messages of the same reason are joined, as far as they fit.
func gravest(findings []finding) finding {
	worst := slices.MinFunc(findings, func(a, b finding) int {
		return slices.Index(severity, a.Reason) - slices.Index(severity, b.Reason)
	})
	var messages []string
	for _, f := range findings {
		if f.Reason == worst.Reason {
			messages = append(messages, f.Message)
		}
	}
	worst.Message = shorten(strings.Join(messages, " "), maxMessage)
	return worst
}

// maxMessage keeps a status small when many entries of a list are wrong.
const maxMessage = 1024

// shorten cuts a text at a character and says so.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const more = " …"
	text = text[:limit-len(more)]
	return strings.ToValidUTF8(text, "") + more
}

// stalled says whether only a person can help, as kstatus understands it.
func (f finding) stalled() bool {
	switch f.Reason {
	case v1alpha1.ReasonNameConflict, v1alpha1.ReasonInvalidName, v1alpha1.ReasonInvalidValue, v1alpha1.ReasonSecretInvalid:
		return true
	}
	return false
}

// reconciling says whether what is missing can come by itself.
func (f finding) reconciling() bool {
	return f.Reason == v1alpha1.ReasonPending || f.Reason == v1alpha1.ReasonSecretNotFound || f.Reason == v1alpha1.ReasonServiceNotFound
}

// conditionsOf makes the conditions of a finding, Ready first, and those of a kind
// after it. Reconciling and Stalled are there only while they are True.
func conditionsOf(f finding, more ...metav1.Condition) []metav1.Condition {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: f.Reason, Message: f.Message}
	if f.Reason == v1alpha1.ReasonActive || f.Reason == v1alpha1.ReasonUnknownKey {
		ready.Status = metav1.ConditionTrue
	}
	list := append([]metav1.Condition{ready}, more...)
	switch {
	case f.stalled():
		list = append(list, metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: f.Reason, Message: f.Message})
	case f.reconciling():
		list = append(list, metav1.Condition{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: f.Reason, Message: f.Message})
	}
	return list
}

// ownConditions are the types that the operator sets; those of others are left alone.
var ownConditions = []string{
	v1alpha1.ConditionReady, v1alpha1.ConditionCredentialsReady, v1alpha1.ConditionMembersResolved,
	v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled,
}

// report brings a status up to date with a decision. It changes nothing when the
// status says the same already, so that at rest there is nothing to write: times of
// transition move only on transitions.
func report(status *v1alpha1.CommonStatus, obj metav1.Object, decided []metav1.Condition, now time.Time) {
	generation := obj.GetGeneration()
	stamp := metav1.NewTime(now.UTC().Truncate(time.Second))
	next := make([]metav1.Condition, 0, len(decided))
	for _, c := range decided {
		c.ObservedGeneration = generation
		c.LastTransitionTime = stamp
		if have := condition(status.Conditions, c.Type); have != nil && have.Status == c.Status {
			c.LastTransitionTime = have.LastTransitionTime
		}
		next = append(next, c)
	}
	for _, c := range status.Conditions {
		if !slices.Contains(ownConditions, c.Type) {
			next = append(next, c)
		}
	}
	if !equality.Semantic.DeepEqual(status.Conditions, next) {
		status.Conditions = next
	}

	if created := metav1.NewTime(createdAt(obj).Truncate(time.Second)); !status.CreatedAt.Equal(&created) {
		status.CreatedAt = &created
	}
	if status.ModifiedAt == nil || status.ObservedGeneration != generation {
		status.ModifiedAt = &stamp
		if at, ok := writtenAt(obj); ok {
			written := metav1.NewTime(at)
			status.ModifiedAt = &written
		}
	}
	status.ObservedGeneration = generation
}

func condition(list []metav1.Condition, of string) *metav1.Condition {
	for i := range list {
		if list[i].Type == of {
			return &list[i]
		}
	}
	return nil
}
