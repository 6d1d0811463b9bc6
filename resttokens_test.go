package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/restserver"
)

// Whoever comes with a token where the operator may not ask about it is told so; nobody else is.
func TestTokensNotAccepted(t *testing.T) {
	refusal := apierrors.NewForbidden(schema.GroupResource{Group: "authentication.k8s.io", Resource: "tokenreviews"}, "", errors.New("no"))
	live := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return refusal },
	}).Build()
	clock := clocktesting.NewFakePassiveClock(time.Now())
	a := tokens{controllers.NewReviewer(live, "chat", clock, logr.Discard())}
	const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJib3QifQ.c2lnbmF0dXJl"
	if why := a.Explain("Bearer " + jwt); why != "" {
		t.Errorf("before the API server has refused: %q", why)
	}
	if _, ok, err := a.Authenticate(t.Context(), "Bearer "+jwt); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if why := a.Explain("Bearer " + jwt); !strings.HasPrefix(why, "Kubernetes tokens are not accepted here") || !strings.Contains(why, "management.kubernetesTokens") {
		t.Errorf("%q", why)
	}
	for _, other := range []string{"", jwt, "Basic " + jwt, "Bearer s3cr3t", "Bearer a.b.c", "Bearer eyJhbGciOiJSUzI1NiJ9..c2ln"} {
		if why := a.Explain(other); why != "" {
			t.Errorf("%q: %q", other, why)
		}
	}
	clock.SetTime(clock.Now().Add(2 * time.Minute))
	if why := a.Explain("Bearer " + jwt); why != "" {
		t.Errorf("when the API server may have changed its mind: %q", why)
	}
}

// A token becomes a caller with the rights of its user, under the names that resources have.
func TestTokens(t *testing.T) {
	var asked []authorizationv1.ResourceAttributes
	var away error
	live := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, obj client.Object, _ ...client.CreateOption) error {
			switch review := obj.(type) {
			case *authenticationv1.TokenReview:
				review.Status.Authenticated = review.Spec.Token == "tok"
				review.Status.User = authenticationv1.UserInfo{Username: "system:serviceaccount:ops:bot", Groups: []string{"a"}}
			case *authorizationv1.SubjectAccessReview:
				if review.Spec.User != "system:serviceaccount:ops:bot" || len(review.Spec.Groups) != 1 {
					t.Errorf("%+v", review.Spec)
				}
				asked = append(asked, *review.Spec.ResourceAttributes)
				review.Status.Allowed = review.Spec.ResourceAttributes.Verb == "get"
			}
			return away
		},
	}).Build()
	a := tokens{controllers.NewReviewer(live, "chat", clocktesting.NewFakePassiveClock(time.Now()), logr.Discard())}
	for _, no := range []string{"", "tok", "Bearer", "Bearer ", "Bearer other", "Basic tok"} {
		if _, ok, err := a.Authenticate(t.Context(), no); ok || err != nil {
			t.Errorf("%q: %v %v", no, ok, err)
		}
	}
	who, ok, err := a.Authenticate(t.Context(), "bearer tok")
	if !ok || err != nil || who.Name != "kubernetes:system:serviceaccount:ops:bot" {
		t.Fatalf("%+v %v %v", who, ok, err)
	}
	for _, c := range []struct {
		right restserver.Right
		name  string // of the resource
		may   bool
	}{
		{restserver.Right{Verb: "get", Resource: "chatgroups", Name: "Night Shift"}, "night-shift-x3grl6u2dpq4kiq5mrqjuf73fqe", true},
		{restserver.Right{Verb: "get", Resource: "chatrooms", Name: "lobby@workshop"}, "lobby-workshop-xpiidocaumvctkdp2274udoof6i", true},
		{restserver.Right{Verb: "delete", Resource: "chatusers", Name: "mira", Change: true}, "mira", false},
		{restserver.Right{Verb: "list", Resource: "chatusers"}, "", false},
	} {
		for range 2 { // the second time it is remembered
			if may, err := who.Allows(t.Context(), c.right); may != c.may || err != nil {
				t.Errorf("%+v: %v %v", c.right, may, err)
			}
		}
		want := authorizationv1.ResourceAttributes{Namespace: "chat", Group: "chat-operator.io", Version: "v1alpha1", Resource: c.right.Resource, Verb: c.right.Verb, Name: c.name}
		if got := asked[len(asked)-1]; got != want {
			t.Errorf("asked for %+v, want %+v", got, want)
		}
	}
	if len(asked) != 4 {
		t.Errorf("%d questions for 4 rights", len(asked))
	}
	// While the API server is away, nobody can tell about what was not asked before.
	away = errors.New("connection refused")
	if _, ok, err := a.Authenticate(t.Context(), "Bearer tok"); !ok || err != nil {
		t.Errorf("remembered: %v %v", ok, err)
	}
	if _, ok, err := a.Authenticate(t.Context(), "Bearer new"); ok || err == nil {
		t.Errorf("not remembered: %v %v", ok, err)
	}
}
