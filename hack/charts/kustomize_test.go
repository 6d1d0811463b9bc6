package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
)

// build builds a kustomization.
func build(t *testing.T, dir string) objects {
	t.Helper()
	out, err := exec.Command(filepath.Join(root, "bin", "kustomize"), "build", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, out)
}

// overlay builds what a person makes of config/example for a namespace.
func overlay(t *testing.T, namespace string) objects {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config")
	if err := os.CopyFS(config, os.DirFS(root+"/config")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(config, "example", "kustomization.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content = []byte(strings.ReplaceAll(string(content), "\nnamespace: support\n", "\nnamespace: "+namespace+"\n"))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return build(t, filepath.Dir(path))
}

// names are whose objects these are: kind, namespace and name.
func names(t *testing.T, list objects) (all []string) {
	t.Helper()
	for _, o := range list {
		kind, namespace, name := describe(t, o)
		all = append(all, kind+"/"+namespace+"/"+name)
	}
	return all
}

// Several chat servers by kustomize have nothing in common, so what is done to one is not done to another; and taking one away takes neither the kinds,
// by which all users of the cluster would go, nor a namespace.
func TestKustomizedServersAreApart(t *testing.T) {
	servers := map[string]objects{"chat": build(t, root+"/config/default"), "support": build(t, root+"/config/example"), "night-shift": overlay(t, "night-shift")}
	of := map[string]string{}
	for namespace, list := range servers {
		for i, name := range names(t, list) {
			if other := of[name]; other != "" {
				t.Errorf("%s is of the server in %s and of the one in %s", name, other, namespace)
			}
			of[name] = namespace
			switch o := list[i].(type) {
			case *rbacv1.ClusterRoleBinding:
				if want := "chat-operator-" + namespace + "-kubernetes-tokens"; o.Name != want || o.Subjects[0].Namespace != namespace {
					t.Errorf("%s is for %v, want %s", name, o.Subjects, want)
				}
			case *rbacv1.RoleBinding:
				if o.Namespace != namespace || len(o.Subjects) != 1 || o.Subjects[0].Namespace != namespace {
					t.Errorf("%s is for %v", name, o.Subjects)
				}
			default:
				if _, in, _ := describe(t, o); in != namespace {
					t.Errorf("the server in %s has %s", namespace, name)
				}
			}
		}
	}
	set := get[*appsv1.StatefulSet](t, servers["support"], "chat-operator")
	if image := set.Spec.Template.Spec.Containers[0].Image; image != "registry.example.com/chat-operator:0.1.0" || !slices.Contains(args(set), "--domain=support.example") {
		t.Errorf("%s %v", image, args(set))
	}
	if n := count[*rbacv1.ClusterRoleBinding](servers["support"]); n != 1 {
		t.Errorf("%d bindings for tokens", n)
	}
}

// What belongs to the cluster is what the chart of the kinds has.
func TestKustomizedCluster(t *testing.T) {
	out, err := template(crds, "crds", "chat-operator")
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := decode(t, out), build(t, root+"/config/cluster")
	want, got := names(t, ours), names(t, theirs)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || count[*apiextensionsv1.CustomResourceDefinition](theirs) != 4 {
		t.Errorf("config/cluster has %v, the chart %v", got, want)
	}
}

// What a release has names the image of that release, wherever it is pulled from.
func TestPackages(t *testing.T) {
	dir, again := t.TempDir(), t.TempDir()
	for _, folder := range []string{dir, again} {
		cmd := exec.Command(filepath.Join(root, "hack", "package.sh"), folder, "1.2.3", "registry.example:5000/team/chat-operator")
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	const image = "registry.example:5000/team/chat-operator:1.2.3"
	out, err := template(filepath.Join(dir, "chat-operator-1.2.3.tgz"), "chat", "chat", "--set", "domain=chat.example")
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) objects {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return decode(t, content)
	}
	charted, server := decode(t, out), read("chat-operator-1.2.3.yaml")
	for _, list := range []objects{charted, server} {
		if got := get[*appsv1.StatefulSet](t, list, "chat-operator").Spec.Template.Spec.Containers[0].Image; got != image {
			t.Errorf("the image is %s", got)
		}
	}
	if got := get[*corev1.Pod](t, charted, "chat-operator-helm-test").Spec.Containers[0].Image; got != image {
		t.Errorf("the image of the test is %s", got)
	}
	for _, name := range names(t, server) {
		if !strings.Contains(name, "/chat/") {
			t.Errorf("%s belongs to the cluster", name)
		}
	}
	if n := count[*apiextensionsv1.CustomResourceDefinition](read("chat-operator-cluster-1.2.3.yaml")); n != 4 {
		t.Errorf("%d kinds", n)
	}
	for _, name := range []string{"chat-operator", "chat-operator-crds"} {
		if !slices.Contains(packed(t, filepath.Join(dir, name+"-1.2.3.tgz")), name+"/LICENSE") {
			t.Errorf("the chart %s has no license", name)
		}
	}
	for _, name := range []string{"chat-operator-1.2.3.tgz", "chat-operator-crds-1.2.3.tgz", "chat-operator-1.2.3.yaml", "chat-operator-cluster-1.2.3.yaml"} {
		first, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if second, err := os.ReadFile(filepath.Join(again, name)); err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s is another one when it is made again (%v)", name, err)
		}
	}
}

// packed are the names of the files of a packaged chart, each of which has the time that was given.
func packed(t *testing.T, archive string) (names []string) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(content); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 1_700_000_000 {
			t.Errorf("%s has the time %v", h.Name, h.ModTime)
		}
		names = append(names, h.Name)
	}
}

// config/ is for those who use kustomize: the same server, as the chart has it without any values.
func TestKustomizeSaysTheSame(t *testing.T) {
	list := render(t, "networkPolicy.enabled=true", "image.tag=latest")
	// Their labels differ: kustomize has no releases and no versions of a chart.
	plain := func(list objects) map[string]any {
		all := map[string]any{}
		for _, o := range list {
			m, err := meta.Accessor(o)
			if err != nil {
				t.Fatal(err)
			}
			m.SetLabels(map[string]string{"app.kubernetes.io/component": m.GetLabels()["app.kubernetes.io/component"]})
			switch o := o.(type) {
			case *appsv1.StatefulSet:
				delete(o.Spec.Selector.MatchLabels, "app.kubernetes.io/instance")
				delete(o.Spec.Template.Labels, "app.kubernetes.io/instance")
				delete(o.Spec.VolumeClaimTemplates[0].Labels, "app.kubernetes.io/instance")
			case *corev1.Service:
				delete(o.Spec.Selector, "app.kubernetes.io/instance")
				if o.Spec.Type == corev1.ServiceTypeClusterIP {
					o.Spec.Type = ""
				}
			case *networkingv1.NetworkPolicy:
				delete(o.Spec.PodSelector.MatchLabels, "app.kubernetes.io/instance")
			}
			kind, _, name := describe(t, o)
			all[kind+"/"+name] = o
		}
		return all
	}
	ours := plain(list)
	for _, dir := range []string{"manager", "network-policy"} {
		for name, theirs := range plain(build(t, filepath.Join(root, "config", dir))) {
			if set, ok := theirs.(*appsv1.StatefulSet); ok {
				set.Spec.Template.Spec.Containers[0].ImagePullPolicy = corev1.PullIfNotPresent
			}
			if !reflect.DeepEqual(theirs, ours[name]) {
				t.Errorf("%s of config/%s and of the chart differ:\n%+v\n%+v", name, dir, theirs, ours[name])
			}
		}
	}
	for _, name := range []string{"chat-operator"} {
		theirs, mine := get[*rbacv1.Role](t, build(t, root+"/config/rbac"), name), get[*rbacv1.Role](t, list, name)
		if !reflect.DeepEqual(theirs.Rules, mine.Rules) {
			t.Errorf("Role %s: %v and %v", name, theirs.Rules, mine.Rules)
		}
	}
}
