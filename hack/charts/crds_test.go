package charts

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// The custom resources are those of config/, and stay when the release goes.
func TestCustomResources(t *testing.T) {
	out, err := template(crds, "crds", "chat-operator", "--set", "labels.team=platform,annotations.note=x")
	if err != nil {
		t.Fatal(err)
	}
	list := decode(t, out)
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if n := count[*apiextensionsv1.CustomResourceDefinition](list); n != len(files) || n != 4 {
		t.Errorf("%d custom resources, and config/ has %d", n, len(files))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		original := decode(t, content)[0].(*apiextensionsv1.CustomResourceDefinition)
		crd := get[*apiextensionsv1.CustomResourceDefinition](t, list, original.Name)
		if !reflect.DeepEqual(crd.Spec, original.Spec) {
			t.Errorf("%s is not that of config/", crd.Name)
		}
		if crd.Annotations["helm.sh/resource-policy"] != "keep" || crd.Annotations["note"] != "x" || crd.Labels["team"] != "platform" {
			t.Errorf("%s: annotations %v, labels %v", crd.Name, crd.Annotations, crd.Labels)
		}
		if version := "controller-gen.kubebuilder.io/version"; crd.Annotations[version] != original.Annotations[version] {
			t.Errorf("%s lost an annotation", crd.Name)
		}
	}
}

func TestAggregatedRoles(t *testing.T) {
	const label = "rbac.authorization.k8s.io/aggregate-to-"
	for values, aggregated := range map[string]bool{"aggregateRoles=true": true, "aggregateRoles=false": false} {
		out, err := template(crds, "crds", "chat-operator", "--set", values)
		if err != nil {
			t.Fatal(err)
		}
		list := decode(t, out)
		for _, role := range []string{"admin", "edit", "view"} {
			cluster := get[*rbacv1.ClusterRole](t, list, "chat-operator-"+role)
			for key, value := range cluster.Labels {
				if strings.HasPrefix(key, label) && (!aggregated || key != label+role || value != "true") {
					t.Errorf("%s: role %s has the label %s", values, role, key)
				}
			}
			if (cluster.Labels[label+role] == "true") != aggregated {
				t.Errorf("%s: %v", values, cluster.Labels)
			}
			for _, rule := range cluster.Rules {
				for _, verb := range rule.Verbs {
					change := verb != "get" && verb != "list" && verb != "watch"
					for _, resource := range rule.Resources {
						if change && (role == "view" || role == "edit" && resource == "systemproperties") {
							t.Errorf("role %s may %s %s", role, verb, resource)
						}
					}
				}
			}
		}
	}
	if _, err := template(crds, "crds", "chat-operator", "--set", "install=true"); err == nil || !strings.Contains(err.Error(), "install") {
		t.Errorf("an unknown value: %v", err)
	}
}
