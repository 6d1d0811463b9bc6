// Package overlay writes a kustomization that puts manifests into another namespace than the one they name.
package overlay

import (
	"fmt"
	"os"
	"path/filepath"
)

// Write makes dir a kustomization of base in namespace. "namespace: NAME" alone would leave the subjects of role bindings
// where they are, and the operator without its rights; config/default says the same to people. further are manifests that base
// leaves out: kustomize reads no file outside of dir, so they are copied.
func Write(dir, base, namespace string, further ...string) error {
	relative, err := filepath.Rel(dir, base)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the kustomization: %w", err)
	}
	resources := fmt.Sprintf("%q", filepath.ToSlash(relative))
	for _, name := range further {
		manifest, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read a manifest for the kustomization: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), manifest, 0o600); err != nil {
			return fmt.Errorf("copy a manifest for the kustomization: %w", err)
		}
		resources += fmt.Sprintf(", %q", filepath.Base(name))
	}
	return os.WriteFile(filepath.Join(dir, "kustomization.yaml"), fmt.Appendf(nil, `resources: [%s]
transformers:
  - |-
    apiVersion: builtin
    kind: NamespaceTransformer
    metadata: {name: namespace, namespace: %q}
    setRoleBindingSubjects: allServiceAccounts
`, resources, namespace), 0o600)
}
