package main

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/restserver"
)

// tokens lets REST callers in by their Kubernetes tokens: the API server says who they are, and what they may do.
type tokens struct{ reviewer *controllers.Reviewer }

var (
	_ restserver.Authenticator = tokens{}
	_ restserver.Explainer     = tokens{}
)

// Authenticate implements restserver.Authenticator.
func (t tokens) Authenticate(ctx context.Context, authorization string) (restserver.Principal, bool, error) {
	token, ok := bearerToken(authorization)
	if !ok {
		return restserver.Principal{}, false, nil
	}
	who, ok, err := t.reviewer.Who(ctx, token)
	if err != nil || !ok {
		return restserver.Principal{}, false, err
	}
	return restserver.Principal{Name: "kubernetes:" + who.Username, ByName: true, Allows: func(ctx context.Context, r restserver.Right) (bool, error) {
		return t.reviewer.May(ctx, who, r.Verb, r.Resource, resourceName(r))
	}}, true, nil
}

// bearerToken reads "Bearer TOKEN" (RFC 6750 §2.1).
func bearerToken(authorization string) (string, bool) {
	scheme, token, found := strings.Cut(authorization, " ")
	return strings.TrimSpace(token), found && strings.EqualFold(scheme, "bearer")
}

// Explain implements restserver.Explainer: whoever comes with a Kubernetes token where the operator may not ask about it cannot find out by trying.
func (t tokens) Explain(authorization string) string {
	token, ok := bearerToken(authorization)
	if !ok || !isJWT(token) || !t.reviewer.Refused() {
		return ""
	}
	return "Kubernetes tokens are not accepted here, because the operator may not ask the API server whose they are: " +
		"set management.kubernetesTokens in the chart, or add config/kubernetes-tokens to the kustomization"
}

// isJWT says whether a token has the shape of those that Kubernetes issues: three parts, of which the first is a JSON object (RFC 7515 §7.1).
func isJWT(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	return err == nil && strings.HasPrefix(string(header), "{") && parts[1] != "" && parts[2] != ""
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
