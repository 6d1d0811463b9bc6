package controllers

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// minRESTSecret is how many characters a shared secret has to have: as many as those that the operator makes.
const minRESTSecret = restSecretSize

// RESTSecret is one of the shared secrets of the REST API, under the name of its Secret.
type RESTSecret struct{ Name, Value, Scope string }

// RESTSecrets are the shared secrets of the REST API, as the Secrets of the namespace have them now: the installation's own, and
// those with a label. So each can be made, replaced and deleted while the others go on.
type RESTSecrets struct {
	own string // the name of the installation's Secret
	log logr.Logger
	// check says what is wrong with a scope.
	check func(scope string) error

	mu           sync.Mutex
	installation string
	named        []RESTSecret // by name
}

// NewRESTSecrets begins with the installation's secret as it was found at the start. Of scopes it takes those that check has nothing against.
func NewRESTSecrets(ownName string, installation Installation, check func(scope string) error, log logr.Logger) *RESTSecrets {
	return &RESTSecrets{own: ownName, installation: installation.RESTSecret, check: check, log: log}
}

// Installation is the secret that the installation made, or what somebody put in its place.
func (r *RESTSecrets) Installation() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.installation
}

// Named are the others, by name. The list is shared: do not change it.
func (r *RESTSecrets) Named() []RESTSecret {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.named
}

func (r *RESTSecrets) put(s *corev1.Secret) {
	if r == nil {
		return
	}
	value := string(bytes.TrimSpace(s.Data[v1alpha1.RESTSecretKey]))
	if s.Name == r.own {
		// The key cannot be done without: one that is gone leaves the last one in force.
		if value != "" {
			r.mu.Lock()
			r.installation = value
			r.mu.Unlock()
		}
		return
	}
	if s.Labels[v1alpha1.RESTSecretLabel] != "true" || s.DeletionTimestamp != nil {
		r.remove(s.Name)
		return
	}
	scope := strings.TrimSpace(string(s.Data[v1alpha1.RESTScopeKey]))
	trouble := ""
	if len(value) < minRESTSecret {
		trouble = "its key " + v1alpha1.RESTSecretKey + " is missing or has less than 16 characters"
	} else if err := r.check(scope); err != nil {
		trouble = err.Error()
	}
	if trouble != "" {
		r.log.Info("A shared secret of the REST API is not accepted", "secret", s.Name, "reason", trouble)
		r.remove(s.Name)
		return
	}
	r.change(s.Name, &RESTSecret{Name: s.Name, Value: value, Scope: scope})
}

func (r *RESTSecrets) remove(name string) {
	if r != nil {
		r.change(name, nil)
	}
}

// change replaces the list: readers may hold the old one.
func (r *RESTSecrets) change(name string, to *RESTSecret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, found := slices.BinarySearchFunc(r.named, name, func(s RESTSecret, name string) int { return strings.Compare(s.Name, name) })
	switch {
	case found && to == nil:
		r.named = slices.Delete(slices.Clone(r.named), at, at+1)
	case found:
		r.named = slices.Clone(r.named)
		r.named[at] = *to
	case to != nil:
		r.named = slices.Insert(slices.Clone(r.named), at, *to)
	}
}
