package controllers

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// readiness counts the resources of a kind by their condition Ready, as the watch brings them. One without the condition is not ready; one that is being
// deleted is not counted any more.
type readiness struct {
	mu    sync.Mutex
	of    map[string]bool // by name
	ready int
}

func newReadiness() *readiness { return &readiness{of: map[string]bool{}} }

// seen takes in a state of a resource.
func (r *readiness) seen(o client.Object, status *v1alpha1.CommonStatus) {
	if o.GetDeletionTimestamp() != nil {
		r.gone(o.GetName())
		return
	}
	c := condition(status.Conditions, v1alpha1.ConditionReady)
	ready := c != nil && c.Status == metav1.ConditionTrue
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(o.GetName())
	r.of[o.GetName()] = ready
	if ready {
		r.ready++
	}
}

// gone forgets a resource.
func (r *readiness) gone(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(name)
}

func (r *readiness) drop(name string) {
	if r.of[name] {
		r.ready--
	}
	delete(r.of, name)
}

// count says how many there are that are ready, or are not.
func (r *readiness) count(ready bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ready {
		return r.ready
	}
	return len(r.of) - r.ready
}
