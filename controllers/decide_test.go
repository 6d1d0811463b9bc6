package controllers

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
)

// checkConditions holds conditions to the rules of kstatus and of the API conventions.
func checkConditions(t *testing.T, conditions []metav1.Condition, reason string) {
	t.Helper()
	ready := condition(conditions, v1alpha1.ConditionReady)
	if ready == nil {
		t.Fatal("no condition Ready")
	}
	if ready.Reason != reason {
		t.Errorf("reason %s (%s), want %s", ready.Reason, ready.Message, reason)
	}
	if (ready.Status == metav1.ConditionTrue) != (reason == v1alpha1.ReasonActive || reason == v1alpha1.ReasonUnknownKey) {
		t.Errorf("Ready is %s for reason %s", ready.Status, reason)
	}
	stalled, reconciling := condition(conditions, v1alpha1.ConditionStalled), condition(conditions, v1alpha1.ConditionReconciling)
	if stalled != nil && reconciling != nil {
		t.Error("both Stalled and Reconciling")
	}
	for _, abnormal := range []*metav1.Condition{stalled, reconciling} {
		if abnormal == nil {
			continue
		}
		if abnormal.Status != metav1.ConditionTrue {
			t.Errorf("%s is there and not True", abnormal.Type)
		}
		if ready.Status == metav1.ConditionTrue {
			t.Errorf("%s while Ready", abnormal.Type)
		}
		if abnormal.Reason != ready.Reason || abnormal.Message != ready.Message {
			t.Errorf("%s says other than Ready", abnormal.Type)
		}
	}
	if ready.Status != metav1.ConditionTrue && stalled == nil && reconciling == nil {
		t.Error("not ready, and neither Stalled nor Reconciling")
	}
	for _, c := range conditions {
		if c.Message == "" || !strings.HasSuffix(c.Message, ".") {
			t.Errorf("%s: message %q is no sentence", c.Type, c.Message)
		}
		if len(c.Message) > 32768 {
			t.Errorf("%s: message too long for the API", c.Type)
		}
	}

	want := status.CurrentStatus
	switch reason {
	case v1alpha1.ReasonPending, v1alpha1.ReasonSecretNotFound:
		want = status.InProgressStatus
	case v1alpha1.ReasonNameConflict, v1alpha1.ReasonInvalidName, v1alpha1.ReasonInvalidValue, v1alpha1.ReasonSecretInvalid:
		want = status.FailedStatus
	}
	if got := kstatusOf(t, conditions, 1, 1); got != want {
		t.Errorf("kstatus says %s, want %s", got, want)
	}
	if got := kstatusOf(t, conditions, 2, 1); got != status.InProgressStatus {
		t.Errorf("kstatus of a generation not looked at is %s", got)
	}
}

func kstatusOf(t *testing.T, conditions []metav1.Condition, generation, observed int64) status.Status {
	t.Helper()
	u := v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{Name: "x", Generation: generation}}
	u.Status.Conditions, u.Status.ObservedGeneration = conditions, observed
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&u)
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{Object: fields}
	obj.SetAPIVersion(v1alpha1.GroupVersion.String())
	obj.SetKind("ChatUser")
	result, err := status.Compute(obj)
	if err != nil {
		t.Fatal(err)
	}
	return result.Status
}

// Who reads the condition, or mounts the Secret, looks for no password where there is none.
func TestReplacedPasswordIsNotInTheSecret(t *testing.T) {
	own := claim{Name: "mira", Holder: "mira", Own: true}
	for replaced, want := range map[bool]string{
		false: "The Secret that status.binding names holds the generated password.",
		true: "Another password was set, by REST or by hand, in place of the generated one. The Secret that status.binding names " +
			"holds verifiers of it and no password. Delete that Secret to have a password generated.",
	} {
		conditions := decideUser(userInputs{Claim: own, Secret: secretInputs{Name: "s", Generated: true, Found: true, Replaced: replaced}})
		checkConditions(t, conditions, v1alpha1.ReasonActive)
		c := condition(conditions, v1alpha1.ConditionCredentialsReady)
		if c == nil || c.Status != metav1.ConditionTrue || c.Message != want {
			t.Errorf("replaced %t: %v", replaced, c)
		}
	}
}

func TestDecideUser(t *testing.T) {
	own := claim{Name: "mira", Holder: "mira", Own: true}
	found := secretInputs{Name: "mira-password", Found: true}
	for _, tt := range []struct {
		name   string
		in     userInputs
		reason string
		// credentials is the reason of CredentialsReady; True for the two of success.
		credentials string
	}{
		{"all well", userInputs{Claim: own, Secret: found}, v1alpha1.ReasonActive, v1alpha1.ReasonSecretFound},
		{"takes a place", userInputs{Claim: claim{Name: "mira"}, Secret: found, Awaits: true}, v1alpha1.ReasonPending, v1alpha1.ReasonSecretFound},
		{"locked is in force, too", userInputs{Claim: own, Secret: found, Locked: true}, v1alpha1.ReasonActive, v1alpha1.ReasonSecretFound},
		{
			"generated", userInputs{Claim: own, Secret: secretInputs{Name: "s", Generated: true, Found: true}},
			v1alpha1.ReasonActive, v1alpha1.ReasonSecretGenerated,
		},
		{
			"being generated", userInputs{Claim: own, Secret: secretInputs{Name: "s", Generated: true}},
			v1alpha1.ReasonPending, v1alpha1.ReasonPending,
		},
		{"Secret missing", userInputs{Claim: own, Secret: secretInputs{Name: "s"}}, v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretNotFound},
		{
			"Secret useless", userInputs{Claim: own, Secret: secretInputs{Name: "s", Found: true, Invalid: errors.New("it is empty")}},
			v1alpha1.ReasonSecretInvalid, v1alpha1.ReasonSecretInvalid,
		},
		{
			"generated Secret spoiled", userInputs{Claim: own, Secret: secretInputs{Name: "s", Generated: true, Found: true, Invalid: errors.New("it is empty")}},
			v1alpha1.ReasonSecretInvalid, v1alpha1.ReasonSecretInvalid,
		},
		{
			"foreign Secret in the way",
			userInputs{Claim: own, Secret: secretInputs{Name: "s", Generated: true, Foreign: &provision.ForeignSecretError{Name: "s"}}},
			v1alpha1.ReasonSecretInvalid, v1alpha1.ReasonSecretInvalid,
		},
		{"name taken", userInputs{Claim: claim{Name: "mira", Holder: "older"}, Secret: found}, v1alpha1.ReasonNameConflict, v1alpha1.ReasonSecretFound},
		{
			"name taken and nothing generated", userInputs{Claim: claim{Name: "mira", Holder: "older"}, Secret: secretInputs{Generated: true, Deferred: true}},
			v1alpha1.ReasonNameConflict, v1alpha1.ReasonPending,
		},
		{"not projected yet", userInputs{Claim: claim{Name: "mira"}, Secret: found}, v1alpha1.ReasonPending, v1alpha1.ReasonSecretFound},
		{
			"invalid name beats all", userInputs{Problems: invalidName("username", "a\u0000", errors.New("no")), Secret: secretInputs{Name: "s"}},
			v1alpha1.ReasonInvalidName, v1alpha1.ReasonSecretNotFound,
		},
		{
			"invalid value beats a missing Secret",
			userInputs{Claim: own, Problems: []problem{invalidValue("spec.roster[3].jid", "is wrong. Correct it.")}, Secret: secretInputs{Name: "s"}},
			v1alpha1.ReasonInvalidValue, v1alpha1.ReasonSecretNotFound,
		},
		{
			"a conflict beats an invalid value",
			userInputs{Claim: claim{Name: "mira", Holder: "older"}, Problems: []problem{invalidValue("spec.roster[3].jid", "is wrong. Correct it.")}, Secret: found},
			v1alpha1.ReasonNameConflict, v1alpha1.ReasonSecretFound,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.Address = "mira@chat.example"
			conditions := decideUser(tt.in)
			checkConditions(t, conditions, tt.reason)
			c := condition(conditions, v1alpha1.ConditionCredentialsReady)
			if c == nil || c.Reason != tt.credentials {
				t.Fatalf("CredentialsReady: %v, want reason %s", c, tt.credentials)
			}
			good := tt.credentials == v1alpha1.ReasonSecretFound || tt.credentials == v1alpha1.ReasonSecretGenerated
			if (c.Status == metav1.ConditionTrue) != good {
				t.Errorf("CredentialsReady is %s for reason %s", c.Status, c.Reason)
			}
		})
	}
}

func TestDecideProperty(t *testing.T) {
	own := claim{Name: "k", Holder: "k", Own: true}
	for _, tt := range []struct {
		name   string
		in     propertyInputs
		reason string
		says   string
	}{
		{"in force", propertyInputs{Claim: own, Known: true, Live: true}, v1alpha1.ReasonActive, "in force"},
		{"after a restart", propertyInputs{Claim: own, Known: true}, v1alpha1.ReasonActive, "restart"},
		{"unknown key", propertyInputs{Claim: own}, v1alpha1.ReasonActive, "does not know"},
		{"unknown key of ours", propertyInputs{Claim: own, Ours: true}, v1alpha1.ReasonUnknownKey, "properties.md"},
		{"misspelled key", propertyInputs{Claim: own, Ours: true, Similar: "xmpp.limits.sessions"}, v1alpha1.ReasonUnknownKey, "resembles xmpp.limits.sessions"},
		{"bad value", propertyInputs{Claim: own, Known: true, Invalid: errors.New("not a duration")}, v1alpha1.ReasonInvalidValue, "last good value"},
		{"no Secret", propertyInputs{Claim: own, Missing: "Secret \"s\" does not exist yet: create it."}, v1alpha1.ReasonSecretNotFound, "create it"},
		{"taken", propertyInputs{Claim: claim{Name: "k", Holder: "older"}}, v1alpha1.ReasonNameConflict, `"older"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conditions := decideProperty(tt.in)
			checkConditions(t, conditions, tt.reason)
			if m := condition(conditions, v1alpha1.ConditionReady).Message; !strings.Contains(m, tt.says) {
				t.Errorf("message %q does not say %q", m, tt.says)
			}
		})
	}
}

func TestDecideNamed(t *testing.T) {
	checkConditions(t, decideNamed(namedInputs{Claim: claim{Own: true}, Active: "In force."}), v1alpha1.ReasonActive)
	checkConditions(t, decideNamed(namedInputs{Claim: claim{Name: "a", Holder: "b"}}), v1alpha1.ReasonNameConflict)
	checkConditions(t, decideNamed(namedInputs{Problems: invalidName("room name", "a", errors.New("no"))}), v1alpha1.ReasonInvalidName)
}

func TestManyProblemsFitAStatus(t *testing.T) {
	var problems []problem
	for range 1000 {
		problems = append(problems, invalidValue("spec.roster[0].jid", "is the ünlucky same. Remove it."))
	}
	message := gravest(found(problems)).Message
	if len(message) > maxMessage || !strings.HasSuffix(message, "…") {
		t.Errorf("%d bytes, ending in %q", len(message), message[len(message)-10:])
	}
}

func TestReport(t *testing.T) {
	created := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	u := &v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{Name: "mira", Generation: 1, CreationTimestamp: metav1.NewTime(created)}}
	u.Status.ObservedGeneration = -1
	s := &u.Status.CommonStatus
	first, second := created.Add(time.Minute), created.Add(time.Hour)

	report(s, u, conditionsOf(active("Well.")), first)
	if s.ObservedGeneration != 1 || !s.CreatedAt.Time.Equal(created) || !s.ModifiedAt.Time.Equal(created) {
		t.Errorf("first report: %+v", s)
	}
	before := s.DeepCopy()
	report(s, u, conditionsOf(active("Well.")), second)
	if !equality.Semantic.DeepEqual(before, s) {
		t.Errorf("the same decision changed the status: %+v", s)
	}

	report(s, u, conditionsOf(finding{v1alpha1.ReasonSecretNotFound, "Make it."}), second)
	ready := condition(s.Conditions, v1alpha1.ConditionReady)
	if !ready.LastTransitionTime.Time.Equal(second) {
		t.Errorf("transition at %v", ready.LastTransitionTime)
	}
	if condition(s.Conditions, v1alpha1.ConditionReconciling) == nil {
		t.Error("no Reconciling")
	}
	if !s.ModifiedAt.Time.Equal(created) {
		t.Error("a condition is no modification of the spec")
	}

	// Another reason with the same status is no transition of the status.
	report(s, u, conditionsOf(finding{v1alpha1.ReasonSecretInvalid, "Mend it."}), second.Add(time.Hour))
	ready = condition(s.Conditions, v1alpha1.ConditionReady)
	if ready.Reason != v1alpha1.ReasonSecretInvalid || !ready.LastTransitionTime.Time.Equal(second) {
		t.Errorf("ready: %+v", ready)
	}
	if condition(s.Conditions, v1alpha1.ConditionReconciling) != nil {
		t.Error("Reconciling stayed behind")
	}

	u.Generation = 2
	report(s, u, conditionsOf(active("Well.")), second)
	if s.ObservedGeneration != 2 || !s.ModifiedAt.Time.Equal(second) {
		t.Errorf("new generation: %+v", s)
	}
	for _, c := range s.Conditions {
		if c.ObservedGeneration != 2 {
			t.Errorf("%s speaks of generation %d", c.Type, c.ObservedGeneration)
		}
	}

	// An import says when the account came into being.
	u.Annotations = map[string]string{v1alpha1.CreatedAtAnnotation: "2009-05-01T12:00:00Z"}
	report(s, u, conditionsOf(active("Well.")), second)
	if want := time.Date(2009, 5, 1, 12, 0, 0, 0, time.UTC); !s.CreatedAt.Time.Equal(want) {
		t.Errorf("createdAt %v, want %v", s.CreatedAt, want)
	}

	// Conditions of others stay.
	s.Conditions = append(s.Conditions, metav1.Condition{Type: "example.com/Audited", Status: metav1.ConditionTrue, Reason: "Yes"})
	report(s, u, conditionsOf(active("Well.")), second)
	if condition(s.Conditions, "example.com/Audited") == nil {
		t.Error("a condition of somebody else is gone")
	}
}
