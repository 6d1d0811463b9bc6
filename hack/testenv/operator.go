package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// OperatorUser is the operator's service account in that namespace, with the Roles of config/rbac bound to it there and no
// other right. Calling it again for one namespace gives another connection of the same user.
func (e *Environment) OperatorUser(ctx context.Context, namespace string) (User, error) {
	c, err := e.Client(e.Admin)
	if err != nil {
		return User{}, err
	}
	objects, err := e.rbacObjects()
	if err != nil {
		return User{}, err
	}
	account := ""
	for _, o := range objects {
		switch o.GetKind() {
		case "ServiceAccount":
			account = o.GetName()
		case "Role":
		case "RoleBinding":
			if err := bindIn(o, namespace); err != nil {
				return User{}, err
			}
		default:
			continue // cluster-wide ones give rights to people, not to the operator
		}
		o.SetNamespace(namespace)
		if err := c.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return User{}, fmt.Errorf("create the %s of config/rbac: %w", o.GetKind(), err)
		}
	}
	if account == "" {
		return User{}, errors.New("config/rbac has no ServiceAccount")
	}
	return e.AddUser("system:serviceaccount:"+namespace+":"+account, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
}

// AcceptKubernetesTokens gives the operator of a namespace the right that config/rbac/kubernetes_tokens.yaml gives.
func (e *Environment) AcceptKubernetesTokens(ctx context.Context, namespace string) error {
	c, err := e.Client(e.Admin)
	if err != nil {
		return err
	}
	objects, err := readObjects(filepath.Join(e.Root, "config", "rbac", "kubernetes_tokens.yaml"))
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := bindIn(o, namespace); err != nil {
			return err
		}
		o.SetName(o.GetName() + "-" + namespace)
		if err := c.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// bindIn lets a RoleBinding speak of the service account of that namespace, as kustomize does in an installation.
func bindIn(binding *unstructured.Unstructured, namespace string) error {
	subjects, _, err := unstructured.NestedSlice(binding.Object, "subjects")
	if err != nil {
		return err
	}
	for _, s := range subjects {
		if subject, ok := s.(map[string]any); ok {
			subject["namespace"] = namespace
		}
	}
	return unstructured.SetNestedSlice(binding.Object, subjects, "subjects")
}

// rbacObjects reads config/rbac.
func (e *Environment) rbacObjects() ([]*unstructured.Unstructured, error) {
	files, err := filepath.Glob(filepath.Join(e.Root, "config", "rbac", "*.yaml"))
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, name := range files {
		if filepath.Base(name) == "kustomization.yaml" {
			continue
		}
		read, err := readObjects(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		objects = append(objects, read...)
	}
	return objects, nil
}

func readObjects(name string) ([]*unstructured.Unstructured, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(file, 4096)
	for {
		o := &unstructured.Unstructured{}
		switch err := decoder.Decode(o); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		case len(o.Object) > 0:
			objects = append(objects, o)
		}
	}
}
