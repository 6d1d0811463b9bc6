// Package overlay writes a kustomization that puts manifests into another namespace than the one they name.
package overlay

import (
	"fmt"
	"os"
	"path/filepath"
)

// Write makes dir a kustomization of base in namespace. "namespace: NAME" alone would leave the subjects of role bindings
// where they are, and the operator without its rights; config/default says the same to people.
func Write(dir, base, namespace string) error {
	relative, err := filepath.Rel(dir, base)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the kustomization: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "kustomization.yaml"), fmt.Appendf(nil, `resources: [%q]
transformers:
  - |-
    apiVersion: builtin
    kind: NamespaceTransformer
    metadata: {name: namespace, namespace: %q}
    setRoleBindingSubjects: allServiceAccounts
`, filepath.ToSlash(relative), namespace), 0o600)
}
