package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/hack/testenv"
)

// TestMain keeps the Kubernetes client from complaining, with a stack, that nobody has told it where to log.
func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// TestStartWithoutAKind: a server whose cluster lacks a kind waits for it, is not ready, and says which one it is: in the log, in the readiness probe and
// in the metric.
func TestStartWithoutAKind(t *testing.T) {
	env, err := testenv.Start(testenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(env.Admin.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	rooms := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "chatrooms.chat-operator.io"}}
	if err := admin.Delete(t.Context(), rooms); err != nil {
		t.Fatal(err)
	}
	// It is served until it is gone.
	var served unstructured.UnstructuredList
	served.SetGroupVersionKind(schema.GroupVersionKind{Group: "chat-operator.io", Version: "v1alpha1", Kind: "ChatRoomList"})
	for deadline := time.Now().Add(time.Minute); !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err); err = admin.List(t.Context(), &served) {
		if time.Now().After(deadline) {
			t.Fatalf("the API server still has rooms: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	namespace, err := env.NewNamespace(t.Context(), "kinds")
	if err != nil {
		t.Fatal(err)
	}
	operator, err := env.OperatorUser(t.Context(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	ports, err := testenv.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	o := &options{
		namespace: namespace, domain: "chat.example", secretName: "chat-operator", node: "here", dataDir: t.TempDir(), kubernetes: operator.Config,
		xmpp: off, xmpps: "127.0.0.1:0", rest: off, restTLS: off, profiles: off,
		probes: fmt.Sprintf("127.0.0.1:%d", ports[0]), metrics: fmt.Sprintf("127.0.0.1:%d", ports[1]),
	}
	ctx, stop := context.WithCancel(t.Context())
	log := &messages{}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, o, slog.New(slog.NewTextHandler(log, nil))) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the program ends with %v", err)
		}
	}()
	get := func(url string) string {
		resp, err := http.Get(url)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return err.Error()
		}
		return resp.Status + "\n" + string(text)
	}
	const says = "the API server does not know, and drops from manifests: ChatRoom;"
	for _, c := range []struct {
		what string
		text func() string
		says []string
	}{
		{"the probe", func() string { return get("http://" + o.probes + "/readyz") }, []string{"503", "not all been read yet", "[!]" + says}},
		{"the metric", func() string { return get("http://" + o.metrics + "/metrics") }, []string{"\nchat_operator_schema_missing 1\n", "\nchat_operator_ready 0\n"}},
		{"the log", log.String, []string{says}},
	} {
		deadline := time.Now().Add(3 * time.Minute)
		for text := c.text(); !containsAll(text, c.says); text = c.text() {
			if time.Now().After(deadline) {
				t.Fatalf("%s does not say %q:\n%s", c.what, c.says, text)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
