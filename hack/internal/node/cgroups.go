//go:build linux

package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// cgroupName is the cgroup below which the containers of the cluster in dir are.
func cgroupName(dir string) string {
	return fmt.Sprintf("chat-cluster-%.4x", sha256.Sum256([]byte(dir)))
}

// RemoveCgroups removes the cgroups of the cluster in dir, in every hierarchy. No process is in them any more.
func RemoveCgroups(dir string) error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/" + cgroupName(dir)) // version 1, or both
	if err != nil {
		return err
	}
	roots = append(roots, "/sys/fs/cgroup/"+cgroupName(dir)) // version 2
	var errs []error
	for _, root := range roots {
		var dirs []string
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		errs = append(errs, err)
		slices.Reverse(dirs) // inner ones first
		for _, dir := range dirs {
			// Not RemoveAll: the files in it are the kernel's.
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove the cgroup: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}
