package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
		Expect(s.Compare(ctx)).To(BeEmpty())
	})
})

// TestOlderSchema: kinds and fields that older definitions lack are named.
func TestOlderSchema(t *testing.T) {
	older := olderSchema(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openapi/v3/apis/chat-operator.io/v1alpha1" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(older)
	}))
	defer server.Close()
	s, err := controllers.NewSchema(&rest.Config{Host: server.URL}, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	missing, err := s.Compare(t.Context())
	g := NewWithT(t)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(missing).To(ConsistOf("SystemProperty", "ChatUser.spec.deletionPolicy", "ChatUser.status.binding", "ChatRoom.spec.affiliations.affiliation"))
}

// olderSchema is what the API server publishes of definitions that lack a kind and some fields.
func olderSchema(t *testing.T) []byte {
	t.Helper()
	return published(t, func(schemas map[string]any) {
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
}

// TestSchemaOverTime: what is missing is said once it has been missing for a while, also when definitions are replaced by older ones later, until they are
// upgraded. That nothing can be found out is said after some minutes, and asked for ever more rarely.
func TestSchemaOverTime(t *testing.T) {
	current, older := published(t, func(map[string]any) {}), olderSchema(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var (
			mu     sync.Mutex // guards what follows: a clock's turn orders nothing between the test and what it looks at
			answer []byte
			fails  error = apierrors.NewNotFound(schema.GroupResource{}, "") // of a server that has not published anything yet
			asked  int
			lines  []string
		)
		log := funcr.New(func(_, args string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, args)
		}, funcr.Options{})
		s := controllers.SchemaOf(func(context.Context) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			return answer, fails
		}, log)
		publish := func(document []byte, err error) {
			mu.Lock()
			defer mu.Unlock()
			answer, fails, asked = document, err, 0
		}
		said := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(lines)
		}
		var ended sync.WaitGroup
		ended.Go(func() { s.Run(ctx) })
		after := func(pause time.Duration) (missing int, remarks string) {
			time.Sleep(pause)
			synctest.Wait()
			return len(s.Missing()), strings.Join(s.Remarks(), "; ")
		}
		if missing, remarks := after(5 * time.Second); missing != 0 || remarks != "" {
			t.Errorf("while the server starts: %d, %q", missing, remarks)
		}
		publish(current, nil)
		if missing, remarks := after(15 * time.Second); missing != 0 || remarks != "" || len(said()) != 0 {
			t.Errorf("when all is well: %d, %q, %v", missing, remarks, said())
		}
		publish(older, nil)
		missing, remarks := after(6 * time.Minute)
		if missing != 4 || !strings.Contains(remarks, "ChatUser.spec.deletionPolicy") || !strings.Contains(remarks, "upgrade the custom resource definitions") {
			t.Errorf("after a downgrade: %d, %q", missing, remarks)
		}
		if len(said()) != 1 || !strings.Contains(said()[0], "ChatUser.spec.deletionPolicy") {
			t.Errorf("the log: %v", said())
		}
		publish(current, nil)
		if missing, remarks := after(2 * time.Minute); missing != 0 || remarks != "" || len(said()) != 2 {
			t.Errorf("after the upgrade: %d, %q, %v", missing, remarks, said())
		}
		publish(current, errors.New("away")) // from the next attempt on
		if missing, remarks := after(7 * time.Minute); missing != 0 || remarks != "" {
			t.Errorf("while it can pass: %d, %q", missing, remarks)
		}
		publish(current, errors.New("away"))
		if missing, remarks := after(time.Hour); missing != 0 || !strings.Contains(remarks, "cannot be read") || !strings.Contains(remarks, "away") || len(said()) != 3 {
			t.Errorf("after an hour: %d, %q, %v", missing, remarks, said())
		}
		mu.Lock()
		if asked > 13 {
			t.Errorf("asked %d times in an hour", asked)
		}
		mu.Unlock()
		publish(current, nil)
		if missing, remarks := after(6 * time.Minute); missing != 0 || remarks != "" {
			t.Errorf("when it can be read again: %d, %q", missing, remarks)
		}
		publish(nil, apierrors.NewNotFound(schema.GroupResource{}, ""))
		if missing, remarks := after(6 * time.Minute); missing != 4 || !strings.Contains(remarks, "ChatGroup, ChatRoom, ChatUser, SystemProperty") {
			t.Errorf("without any kind: %d, %q", missing, remarks)
		}
		cancel()
		ended.Wait()
	})
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
