package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
	c, err := e.admin()
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
	for _, o := range objects {
		if o.GetKind() == "Role" {
			if err := awaitRights(ctx, c, o, objects); err != nil {
				return nil, err
			}
		}
	}
	return objects, nil
}

// awaitRights waits until whom a Role is bound to may do what it allows: the API server takes up rights a moment after it has stored them.
func awaitRights(ctx context.Context, c client.Client, o *unstructured.Unstructured, all []*unstructured.Unstructured) error {
	var role rbacv1.Role
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
		return err
	}
	rule := role.Rules[0]
	for _, other := range all {
		var binding rbacv1.RoleBinding
		if other.GetKind() != "RoleBinding" {
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(other.Object, &binding); err != nil {
			return err
		}
		if binding.RoleRef.Kind != "Role" || binding.RoleRef.Name != role.Name {
			continue
		}
		review := authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + role.Namespace + ":" + binding.Subjects[0].Name,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: role.Namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: rule.Resources[0]},
		}}
		if len(rule.ResourceNames) > 0 {
			review.Spec.ResourceAttributes.Name = rule.ResourceNames[0]
		}
		err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, startLimit, true, func(ctx context.Context) (bool, error) {
			asked := review.DeepCopy()
			err := c.Create(ctx, asked)
			return asked.Status.Allowed, err
		})
		if err != nil {
			return fmt.Errorf("wait for the rights of the Role %s: %w", role.Name, err)
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
