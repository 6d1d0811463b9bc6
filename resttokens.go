package main

import (
	"context"
	"strings"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/restserver"
)

// tokens lets REST callers in by their Kubernetes tokens: the API server says who they are, and what they may do.
type tokens struct{ reviewer *controllers.Reviewer }

var _ restserver.Authenticator = tokens{}

// Authenticate implements restserver.Authenticator.
func (t tokens) Authenticate(ctx context.Context, authorization string) (restserver.Principal, bool, error) {
	scheme, token, found := strings.Cut(authorization, " ")
	if !found || !strings.EqualFold(scheme, "bearer") {
		return restserver.Principal{}, false, nil
	}
	who, ok, err := t.reviewer.Who(ctx, strings.TrimSpace(token))
	if err != nil || !ok {
		return restserver.Principal{}, false, err
	}
	return restserver.Principal{Name: "kubernetes:" + who.Username, ByName: true, Allows: func(ctx context.Context, r restserver.Right) (bool, error) {
		return t.reviewer.May(ctx, who, r.Verb, r.Resource, resourceName(r))
	}}, true, nil
}

// resourceName is the name that the resource has unless somebody chose another: a role that is bound to that other name does not count here.
func resourceName(r restserver.Right) string {
	if r.Name == "" {
		return ""
	}
	return v1alpha1.EncodeName(r.Name)
}

// namedSecrets gives the REST server its further shared secrets.
func namedSecrets(secrets *controllers.RESTSecrets) func() []restserver.NamedSecret {
	return func() []restserver.NamedSecret {
		named := secrets.Named()
		list := make([]restserver.NamedSecret, 0, len(named))
		for _, s := range named {
			scope, err := restserver.ParseScope(s.Scope)
			if err != nil {
				continue // cannot be: those were not taken
			}
			list = append(list, restserver.NamedSecret{Name: s.Name, Value: s.Value, Scope: scope})
		}
		return list
	}
}

// checkScope says what is wrong with a secret's scope.
func checkScope(scope string) error {
	_, err := restserver.ParseScope(scope)
	return err
}
