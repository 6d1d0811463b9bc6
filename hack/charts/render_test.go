package charts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/yaml"
)

const (
	root        = "../.."
	chart       = root + "/charts/chat-operator"
	crds        = root + "/charts/chat-operator-crds"
	kubeVersion = "1.37.0"
)

// objects are what a chart or a kustomization gives, in its order.
type objects []runtime.Object

// template renders a chart with Helm.
func template(chart, release, namespace string, args ...string) ([]byte, error) {
	cmd := exec.Command(filepath.Join(root, "bin", "helm"), append([]string{
		"template", release, chart, "--namespace", namespace, "--kube-version", kubeVersion,
	}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("bin/helm is not there: `make helm-tool` builds it")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	return out, nil
}

// render renders the chart of a namespace with further values, as --set takes them.
func render(t *testing.T, sets ...string) objects {
	t.Helper()
	args := []string{"--set", "domain=chat.example"}
	for _, set := range sets {
		args = append(args, "--set", set)
	}
	out, err := template(chart, "chat", "chat", args...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, out)
}

// renderFile renders a variant of the chart.
func renderFile(t *testing.T, values string) objects {
	t.Helper()
	out, err := template(chart, "chat", "chat", "--values", values)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, out)
}

// variants are the values files of the chart.
func variants(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("the chart has no variants: %v", err)
	}
	return files
}

// decode reads a stream of manifests; each has to be of a known kind and has no field that the kind does not have.
func decode(t *testing.T, manifests []byte) objects {
	t.Helper()
	s, err := kinds()
	if err != nil {
		t.Fatal(err)
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, s, s, json.SerializerOptions{Yaml: true, Strict: true})
	var list objects
	for document := range strings.SplitSeq("\n"+string(manifests), "\n---") {
		var content any
		if err := yaml.UnmarshalStrict([]byte(document), &content); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		if content == nil {
			continue
		}
		object, _, err := strict.Decode([]byte(document), nil, nil)
		if err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		list = append(list, object)
	}
	return list
}

func describe(t *testing.T, o runtime.Object) (kind, namespace, name string) {
	t.Helper()
	m, err := meta.Accessor(o)
	if err != nil {
		t.Fatal(err)
	}
	return o.GetObjectKind().GroupVersionKind().Kind, m.GetNamespace(), m.GetName()
}

// find gives the object of a type and name, or nil.
func find[T runtime.Object](t *testing.T, list objects, name string) (found T, ok bool) {
	t.Helper()
	for _, o := range list {
		if typed, is := o.(T); is {
			if _, _, n := describe(t, o); n == name {
				return typed, true
			}
		}
	}
	return found, false
}

// get gives the object of a type and name, which has to be there.
func get[T runtime.Object](t *testing.T, list objects, name string) T {
	t.Helper()
	found, ok := find[T](t, list, name)
	if !ok {
		t.Fatalf("there is no %T %q", found, name)
	}
	return found
}

// count is how many objects of a type there are.
func count[T runtime.Object](list objects) (n int) {
	for _, o := range list {
		if _, is := o.(T); is {
			n++
		}
	}
	return n
}
