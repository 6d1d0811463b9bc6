package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// OperatorUser is the operator's service account in that namespace, with the Roles of config/rbac bound to it there and no
// other right. Calling it again for one namespace gives another connection of the same user.
func (e *Environment) OperatorUser(ctx context.Context, namespace string) (User, error) {
	objects, err := e.apply(ctx, "rbac", namespace)
	if err != nil {
		return User{}, err
	}
	for _, o := range objects {
		if o.GetKind() == "ServiceAccount" {
			return e.AddUser("system:serviceaccount:"+namespace+":"+o.GetName(), "system:serviceaccounts", "system:serviceaccounts:"+namespace)
		}
	}
	return User{}, errors.New("config/rbac has no ServiceAccount")
}

// AcceptKubernetesTokens gives the operator of a namespace the right of config/kubernetes-tokens.
func (e *Environment) AcceptKubernetesTokens(ctx context.Context, namespace string) error {
	_, err := e.apply(ctx, "kubernetes-tokens", namespace)
	return err
}

// ElectLeaders gives the operator of a namespace the rights of config/leader-election.
func (e *Environment) ElectLeaders(ctx context.Context, namespace string) error {
	_, err := e.apply(ctx, "leader-election", namespace)
	return err
}

// apply makes what a folder of config/ has in a namespace, where it is not there already.
func (e *Environment) apply(ctx context.Context, folder, namespace string) ([]*unstructured.Unstructured, error) {
	c, err := e.Client(e.Admin)
	if err != nil {
		return nil, err
	}
	objects, err := readFolder(filepath.Join(e.Root, "config", folder))
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if strings.HasSuffix(o.GetKind(), "Binding") {
			if err := bindIn(o, namespace); err != nil {
				return nil, err
			}
		}
		if o.GetKind() == "ClusterRoleBinding" {
			o.SetName(o.GetName() + "-" + namespace)
		} else {
			o.SetNamespace(namespace)
		}
		if err := c.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("create the %s of config/%s: %w", o.GetKind(), folder, err)
		}
	}
	return objects, nil
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

// readFolder reads the manifests of a folder.
func readFolder(folder string) ([]*unstructured.Unstructured, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
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
