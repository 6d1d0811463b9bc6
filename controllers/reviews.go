package controllers

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

const (
	// How long answers of the API server hold here: so long a token that was revoked, or a right that was taken away, still counts.
	reviewedFor = 30 * time.Second
	// How long nobody is asked after the API server said that this process may not ask.
	forbiddenFor = time.Minute
	// maxReviewed bounds what is remembered.
	maxReviewed = 4096
	// maxToken is the longest token that is looked at.
	maxToken = 16 << 10
)

// Reviewer asks the API server who has a token, and what that user may do to chat resources of the namespace.
type Reviewer struct {
	live      client.Client
	namespace string
	clock     clock.PassiveClock
	log       logr.Logger

	mu        sync.Mutex
	forbidden time.Time // until then nobody is asked
	users     map[[sha256.Size]byte]reviewed[authenticationv1.UserInfo]
	rights    map[right]reviewed[bool]
}

type reviewed[T any] struct {
	answer T
	until  time.Time
}

// right is what a user may do or not.
type right struct {
	user                 [sha256.Size]byte // the token that proved who it is
	verb, resource, name string
}

// Bearer is the holder of a token.
type Bearer struct {
	Username string
	info     authenticationv1.UserInfo
	token    [sha256.Size]byte
}

// reviewTimeout bounds one question to the API server.
const reviewTimeout = 5 * time.Second

// NewReviewer makes one that asks through a client without a cache. It needs the rights of the ClusterRole system:auth-delegator;
// without them it knows nobody.
func NewReviewer(live client.Client, namespace string, c clock.PassiveClock, log logr.Logger) *Reviewer {
	return &Reviewer{
		live: live, namespace: namespace, clock: c, log: log,
		users: map[[sha256.Size]byte]reviewed[authenticationv1.UserInfo]{}, rights: map[right]reviewed[bool]{},
	}
}

// Who says whose token it is. ok is false when the API server doesn't know it; an error means that it cannot be asked.
func (r *Reviewer) Who(ctx context.Context, token string) (who Bearer, ok bool, err error) {
	if token == "" || len(token) > maxToken {
		return Bearer{}, false, nil
	}
	key := sha256.Sum256([]byte(token))
	if info, known := recall(r, r.users, key); known {
		return Bearer{Username: info.Username, info: info, token: key}, true, nil
	}
	if r.mayNotAsk() {
		return Bearer{}, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review := authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if err := r.live.Create(ctx, &review); err != nil {
		return Bearer{}, false, r.trouble(err)
	}
	if !review.Status.Authenticated {
		return Bearer{}, false, nil
	}
	remember(r, r.users, key, review.Status.User)
	return Bearer{Username: review.Status.User.Username, info: review.Status.User, token: key}, true, nil
}

// May says whether somebody may do something to the resources of a kind, or to one of them.
func (r *Reviewer) May(ctx context.Context, who Bearer, verb, resource, name string) (bool, error) {
	key := right{user: who.token, verb: verb, resource: resource, name: name}
	if allowed, known := recall(r, r.rights, key); known {
		return allowed, nil
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	extra := map[string]authorizationv1.ExtraValue{}
	for name, values := range who.info.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	review := authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: who.info.Username, UID: who.info.UID, Groups: who.info.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: r.namespace, Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: resource, Verb: verb, Name: name,
		},
	}}
	if err := r.live.Create(ctx, &review); err != nil {
		return false, r.trouble(err)
	}
	allowed := review.Status.Allowed && !review.Status.Denied
	remember(r, r.rights, key, allowed)
	return allowed, nil
}

// mayNotAsk says whether the API server has refused to answer lately.
func (r *Reviewer) mayNotAsk() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock.Now().Before(r.forbidden)
}

// Refused says whether no token is accepted at the moment, because the API server refuses to say whose it is.
func (r *Reviewer) Refused() bool { return r.mayNotAsk() }

// trouble judges an error. Who may not ask knows nobody, which is no trouble for long: an installation may want no tokens.
func (r *Reviewer) trouble(err error) error {
	if !apierrors.IsForbidden(err) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forbidden = r.clock.Now().Add(forbiddenFor)
	r.log.Info("Kubernetes tokens are not accepted by the REST API: bind the ClusterRole system:auth-delegator to the operator's ServiceAccount if they should be",
		"reason", firstLine(err.Error()))
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func recall[K comparable, T any](r *Reviewer, known map[K]reviewed[T], key K) (answer T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := known[key]
	if !ok || !r.clock.Now().Before(v.until) {
		return answer, false
	}
	return v.answer, true
}

func remember[K comparable, T any](r *Reviewer, known map[K]reviewed[T], key K, answer T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(known) >= maxReviewed {
		clear(known)
	}
	known[key] = reviewed[T]{answer: answer, until: r.clock.Now().Add(reviewedFor)}
}
