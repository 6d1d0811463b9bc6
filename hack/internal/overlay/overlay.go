// Package overlay writes a kustomization that puts manifests into another namespace than the one they name.
package overlay

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Write makes dir a kustomization of bases in namespace.
func Write(dir, namespace string, bases ...string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the kustomization: %w", err)
	}
	var resources []string
	for _, base := range bases {
		relative, err := filepath.Rel(dir, base)
		if err != nil {
			return err
		}
		resources = append(resources, strconv.Quote(filepath.ToSlash(relative)))
	}
	return os.WriteFile(filepath.Join(dir, "kustomization.yaml"),
		fmt.Appendf(nil, "namespace: %q\nresources: [%s]\n", namespace, strings.Join(resources, ", ")), 0o600)
}
