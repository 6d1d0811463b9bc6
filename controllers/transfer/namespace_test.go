package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// Whoever names no namespace means the one that kubectl would take, unless a Pod has one of its own.
func TestDefaultNamespace(t *testing.T) {
	kubeconfig := func(context string) string {
		at := filepath.Join(t.TempDir(), "config")
		content := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {%s}\n- name: b\n  context: {namespace: wrong}\n", context)
		if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	support, nameless := kubeconfig("cluster: x, namespace: support"), kubeconfig("cluster: x")
	for _, c := range []struct{ pod, environment, flag, want string }{
		{"", support, "", "support"},
		{"", nameless, support, "support"},
		{"", support, nameless, "chat"},
		{"", nameless, "", "chat"},
		{"", filepath.Join(t.TempDir(), "missing"), "", "chat"},
		{"pod", support, support, "pod"},
	} {
		t.Setenv("POD_NAMESPACE", c.pod)
		t.Setenv("KUBECONFIG", c.environment)
		if got := DefaultNamespace(c.flag); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
	t.Setenv("POD_NAMESPACE", "")
	t.Setenv("KUBECONFIG", support)
	if o, err := parseImport([]string{"--kubeconfig", nameless, "x"}, os.Stderr); err != nil || o.namespace != "chat" {
		t.Errorf("got %+v, %v", o, err)
	}
	if o, err := parseImport([]string{"x"}, os.Stderr); err != nil || o.namespace != "support" {
		t.Errorf("got %+v, %v", o, err)
	}
}

// An export of a namespace that is not the server's would be one of nothing.
func TestExportOfAnotherNamespace(t *testing.T) {
	i := chatter(t)
	other := newInstallation(t)
	other.declare(user("benvolio", v1alpha1.ChatUserSpec{}))
	deserted := newInstallation(t)
	export := func(namespace string, more ...string) (string, error) {
		var said strings.Builder
		args := append([]string{"--namespace", namespace, "-o", filepath.Join(t.TempDir(), "export")}, more...)
		err := i.command("export", Streams{Err: &said}, args...)
		return said.String(), err
	}
	fails := func(err error, parts ...string) {
		t.Helper()
		if err == nil {
			t.Error("it went well")
			return
		}
		contains(t, err.Error(), parts...)
	}
	i.Client = admin(t)
	_, err := export("nope")
	fails(err, `there is no namespace "nope"`, "--namespace")
	i.Client = other.Client
	_, err = export(other.namespace)
	fails(err, other.namespace, "no resource of them", "--namespace", "--data-dir", "--any-namespace")
	if said, err := export(other.namespace, "--any-namespace"); err != nil {
		t.Error(err, said)
	}
	i.Client = deserted.Client
	_, err = export(deserted.namespace)
	fails(err, deserted.namespace, "no resource of them")
	// Names that wait to be purged say nothing of where their resources were: what else there is has to.
	i.remember(func(s *store.Store) {
		if err := s.PutIdentity(t.Context(), store.Identity{Kind: "room", Name: "orchard@conference", UID: "x", Resource: "orchard", State: store.Pending, DeletionPolicy: "Delete", Since: when}); err != nil {
			t.Fatal(err)
		}
	})
	_, err = export(deserted.namespace)
	fails(err, deserted.namespace, "no resource of them")
	// The server's own Secret is there as long as the server is, whoever has deleted all resources.
	deserted.declare(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "chat-operator"}, StringData: map[string]string{"rest-secret": "sixteen letters!"}})
	if said, err := export(deserted.namespace); err != nil {
		t.Error(err, said)
	}
}

// What is read in belongs to one namespace, and a database of another is refused before anything is made.
func TestImportIntoTheDatabaseOfAnotherNamespace(t *testing.T) {
	at := filepath.Join(t.TempDir(), "export")
	if err := chatter(t).command("export", Streams{Err: &strings.Builder{}}, "-o", at); err != nil {
		t.Fatal(err)
	}
	to := newInstallation(t)
	if _, err := to.importFrom(at); err != nil {
		t.Fatal(err)
	}
	to.remember(func(s *store.Store) {
		if err := s.CheckNamespace(t.Context(), to.namespace, ""); err != nil {
			t.Error(err)
		}
		if err := s.CheckNamespace(t.Context(), "other", ""); !errors.Is(err, store.ErrNamespace) {
			t.Errorf("after the import, the database is not that of %s: %v", to.namespace, err)
		}
	})
	other := newInstallation(t)
	other.dataDir = to.dataDir
	for _, more := range [][]string{{"--dry-run"}, nil} {
		_, err := other.importFrom(append(more, at)...)
		if err == nil {
			t.Fatal("it went well", more)
		}
		contains(t, err.Error(), filepath.Join(to.dataDir, "chat.db"), "--namespace="+to.namespace, "not of "+other.namespace, "--data-dir", "--move-aside")
	}
	var users v1alpha1.ChatUserList
	if err := other.List(t.Context(), &users, client.InNamespace(other.namespace)); err != nil || len(users.Items) > 0 {
		t.Errorf("%d users were made, %v", len(users.Items), err)
	}
	if report, err := other.importFrom("--move-aside", at); err != nil {
		t.Error(err, report)
	}
	other.remember(func(s *store.Store) {
		if err := s.CheckNamespace(t.Context(), other.namespace, ""); err != nil {
			t.Error(err)
		}
	})
}

// Nothing at all is said to be nothing, on the way out and on the way in.
func TestNothingIsSaidToBeNothing(t *testing.T) {
	i := newInstallation(t)
	i.remember(func(*store.Store) {})
	at := filepath.Join(t.TempDir(), "export")
	var said strings.Builder
	if err := i.command("export", Streams{Err: &said}, "-o", at); err != nil {
		t.Fatal(err)
	}
	contains(t, said.String(), "there is nothing in the export", i.namespace)
	report, err := newInstallation(t).importFrom(at)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, report, "Nothing was read in")
	if strings.Contains(report, "Read into") {
		t.Error(report)
	}
}
