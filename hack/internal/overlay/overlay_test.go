package overlay_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chat-operator/chat-operator/hack/internal/overlay"
)

// Bases are named from where the kustomization is, which is all that kustomize takes.
func TestBases(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "run", "rights")
	if err := overlay.Write(dir, "chat-2", filepath.Join(top, "config", "rbac"), filepath.Join(top, "config", "kubernetes-tokens")); err != nil {
		t.Fatal(err)
	}
	kustomization, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	want := "namespace: \"chat-2\"\nresources: [\"../../config/rbac\", \"../../config/kubernetes-tokens\"]\n"
	if err != nil || string(kustomization) != want {
		t.Errorf("%v: %s", err, kustomization)
	}
}
