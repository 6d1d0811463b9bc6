package transfer

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/hack/testenv"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

const domain = "chat.example"

// cluster is the API server of all tests, started by the first that needs one.
var cluster struct {
	once sync.Once
	env  *testenv.Environment
	err  error
}

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	code := m.Run()
	if cluster.env != nil {
		if err := cluster.env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// installation is a namespace and a folder with a database.
type installation struct {
	t         *testing.T
	namespace string
	dataDir   string
	client.Client
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	cluster.once.Do(func() { cluster.env, cluster.err = testenv.Start(testenv.Options{}) })
	if cluster.err != nil {
		t.Fatal(cluster.err)
	}
	namespace, err := cluster.env.NewNamespace(t.Context(), "transfer")
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{t: t, namespace: namespace, dataDir: t.TempDir()}
	// What the commands do, they do with the rights of the operator.
	operator, err := cluster.env.OperatorUser(t.Context(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	if i.Client, err = controllers.NewLiveClient(operator.Config); err != nil {
		t.Fatal(err)
	}
	return i
}

// declare makes a resource in the namespace.
func (i *installation) declare(list ...client.Object) {
	i.t.Helper()
	for _, o := range list {
		o.SetNamespace(i.namespace)
		if err := i.Create(i.t.Context(), o); err != nil {
			i.t.Fatal(err)
		}
	}
}

// remember runs a function on the open store.
func (i *installation) remember(f func(*store.Store)) {
	i.t.Helper()
	s, err := store.Open(i.t.Context(), filepath.Join(i.dataDir, "chat.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		i.t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			i.t.Error(err)
		}
	}()
	f(s)
}

// command runs a subcommand as a person would, with the namespace, the folder and the domain of the installation.
func (i *installation) command(name string, std Streams, args ...string) error {
	i.t.Helper()
	connect := func(*rest.Config) (client.Client, error) { return i.Client, nil }
	all := append([]string{
		"--namespace", i.namespace, "--data-dir", i.dataDir, "--domain", domain, "--kubeconfig", cluster.env.Admin.Kubeconfig,
	}, args...)
	return Commands(connect)[name](i.t.Context(), all, std)
}

// export gives the files of an export by their names.
func (i *installation) export(args ...string) map[string]string {
	i.t.Helper()
	at := filepath.Join(i.t.TempDir(), "export")
	var messages strings.Builder
	if err := i.command("export", Streams{Err: &messages}, append([]string{"-o", at}, args...)...); err != nil {
		i.t.Fatal(err, messages.String())
	}
	return readFolder(i.t, at)
}

// readFolder reads all files of a folder.
func readFolder(t *testing.T, at string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(at, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(at, path)
		files[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func user(name string, spec v1alpha1.ChatUserSpec) *v1alpha1.ChatUser {
	return &v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}

func keyIn(namespace, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

func names(files map[string]string) []string { return slices.Sorted(maps.Keys(files)) }
