package controllers

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
)

// TestReadiness: resources are counted by what their conditions say now.
func TestReadiness(t *testing.T) {
	registry := prometheus.NewRegistry()
	counts, err := newCounts(metrics.NewSet(registry), &Options{Directory: directory.New("chat.example")}, &Leadership{})
	if err != nil {
		t.Fatal(err)
	}
	users := counts.readiness[directory.KindUser]
	expect := func(what string, ready, not float64) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			if f.GetName() != metrics.Resources {
				continue
			}
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetGauge().GetValue()
			}
		}
		if len(got) != 8 || got["user true"] != ready || got["user false"] != not || got["room true"]+got["room false"] != 0 {
			t.Errorf("%s: %v", what, got)
		}
	}
	user := func(name string) *v1alpha1.ChatUser {
		return &v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	with := func(status metav1.ConditionStatus) *v1alpha1.CommonStatus {
		return &v1alpha1.CommonStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: "True"}, {Type: v1alpha1.ConditionReady, Status: status}}}
	}
	expect("at first", 0, 0)
	users.seen(user("mira"), &v1alpha1.CommonStatus{})
	users.seen(user("tobias"), with(metav1.ConditionTrue))
	users.seen(user("tobias"), with(metav1.ConditionTrue))
	expect("without a condition", 1, 1)
	users.seen(user("mira"), with(metav1.ConditionTrue))
	expect("both ready", 2, 0)
	users.seen(user("mira"), with(metav1.ConditionFalse))
	users.seen(user("tobias"), with(metav1.ConditionUnknown))
	expect("neither", 0, 2)
	users.seen(user("mira"), with(metav1.ConditionTrue))
	leaving := user("tobias")
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	users.seen(leaving, with(metav1.ConditionTrue))
	expect("one is being deleted", 1, 0)
	users.gone("tobias")
	users.gone("mira")
	expect("both gone", 0, 0)
}
