package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/controllers"
)

var _ = Describe("The schema of the cluster", func() {
	It("is compared with the operator's rights alone, and lacks nothing", func(ctx context.Context) {
		user, err := env.OperatorUser(ctx, newNamespace(ctx, "schema"))
		Expect(err).NotTo(HaveOccurred())
		s, err := controllers.NewSchema(user.Config, logr.Discard())
		Expect(err).NotTo(HaveOccurred())
		Expect(s.Start(ctx)).To(Succeed()) // it ends when nothing is missing
		Expect(s.Missing()).To(BeEmpty())
		Expect(s.Older()).To(BeEmpty())
	})
})

// TestOlderSchema: kinds and fields that older definitions lack are named, in the log as well, until the definitions are upgraded.
func TestOlderSchema(t *testing.T) {
	var upgraded atomic.Bool
	current := published(t, func(schemas map[string]any) {})
	older := published(t, func(schemas map[string]any) {
		for _, path := range []string{
			"SystemProperty",
			"ChatUser properties spec properties deletionPolicy",
			"ChatUser properties status properties binding",
			"ChatRoom properties spec properties affiliations items properties affiliation",
		} {
			at := schemas
			steps := strings.Fields(path)
			for _, step := range steps[:len(steps)-1] {
				next, ok := at[step].(map[string]any)
				if !ok {
					t.Fatalf("%s is no part of the schema: %v", step, at)
				}
				at = next
			}
			delete(at, steps[len(steps)-1])
		}
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openapi/v3/apis/chat-operator.io/v1alpha1" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if upgraded.Load() {
			_, _ = w.Write(current)
			return
		}
		_, _ = w.Write(older)
	}))
	defer server.Close()
	var said atomic.Value
	log := funcr.New(func(_, args string) { said.Store(args) }, funcr.Options{})
	s, err := controllers.NewSchema(&rest.Config{Host: server.URL}, log)
	if err != nil {
		t.Fatal(err)
	}
	s.Patience(0, time.Millisecond)
	ended := make(chan error, 1)
	go func() { ended <- s.Start(t.Context()) }()
	g := NewWithT(t)
	g.Eventually(s.Missing, "10s").Should(ConsistOf("SystemProperty", "ChatUser.spec.deletionPolicy", "ChatUser.status.binding", "ChatRoom.spec.affiliations.affiliation"))
	g.Expect(s.Older()).To(And(ContainSubstring("ChatUser.spec.deletionPolicy"), ContainSubstring("upgrade the custom resource definitions")))
	g.Eventually(said.Load, "10s").Should(ContainSubstring("ChatUser.spec.deletionPolicy"))
	upgraded.Store(true)
	g.Eventually(ended, "10s").Should(Receive(BeNil()))
	g.Expect(s.Missing()).To(BeEmpty())
}

// published is what the API server publishes of this repository's definitions, after a change.
func published(t *testing.T, change func(schemas map[string]any)) []byte {
	t.Helper()
	files, err := filepath.Glob("../config/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	kinds := map[string]any{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Schema struct{ OpenAPIV3Schema map[string]any }
				}
			}
		}
		if err := yaml.Unmarshal(b, &crd); err != nil {
			t.Fatal(err)
		}
		schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		schema["x-kubernetes-group-version-kind"] = []any{map[string]any{"group": "chat-operator.io", "version": "v1alpha1", "kind": crd.Spec.Names.Kind}}
		kinds[crd.Spec.Names.Kind] = schema
	}
	change(kinds)
	schemas := map[string]any{}
	for kind, schema := range kinds {
		schemas[fmt.Sprintf("io.chat-operator.v1alpha1.%s", kind)] = schema
	}
	y, err := yaml.Marshal(map[string]any{"openapi": "3.0.0", "components": map[string]any{"schemas": schemas}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := yaml.YAMLToJSON(y)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
