package overlay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/hack/internal/overlay"
)

// Manifests that the base leaves out stand beside the kustomization, which names them.
func TestFurtherManifests(t *testing.T) {
	base, dir := t.TempDir(), filepath.Join(t.TempDir(), "rights")
	further := filepath.Join(base, "further.yaml")
	if err := os.WriteFile(further, []byte("kind: ClusterRoleBinding\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := overlay.Write(dir, base, "chat-2", further); err != nil {
		t.Fatal(err)
	}
	kustomization, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err != nil || !strings.Contains(string(kustomization), `, "further.yaml"]`) || !strings.Contains(string(kustomization), `namespace: "chat-2"`) {
		t.Errorf("%v: %s", err, kustomization)
	}
	copied, err := os.ReadFile(filepath.Join(dir, "further.yaml"))
	if err != nil || string(copied) != "kind: ClusterRoleBinding\n" {
		t.Errorf("%v: %q", err, copied)
	}
	if err := overlay.Write(dir, base, "chat", filepath.Join(base, "nowhere.yaml")); err == nil {
		t.Error("a manifest that is not there was left out in silence")
	}
}
