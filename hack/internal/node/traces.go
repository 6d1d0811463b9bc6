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
	"strings"
)

// cgroupName is the cgroup below which the containers of the cluster in dir are.
func cgroupName(dir string) string {
	return fmt.Sprintf("chat-cluster-%.4x", sha256.Sum256([]byte(dir)))
}

// Prepare makes, outside of the namespaces, what the cluster in dir needs there. RemoveTraces removes it again.
func Prepare(dir string) error {
	made, err := makeMountPoints()
	return errors.Join(err, os.WriteFile(madeFile(dir), []byte(strings.Join(made, "\n")), 0o600))
}

// RemoveTraces removes what the cluster in dir has left outside of its folder, also when it was killed. No process of it runs any more.
func RemoveTraces(dir string) error {
	made, err := os.ReadFile(madeFile(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dirs := strings.Fields(string(made))
	slices.Reverse(dirs) // inner ones first
	for _, dir := range dirs {
		_ = os.Remove(dir) // unless somebody has put something in
	}
	return removeCgroups(dir)
}

// madeFile lists the mount points that were not there before.
func madeFile(dir string) string { return filepath.Join(dir, "mount-points") }

// removeCgroups removes the cgroups of the cluster in dir, in every hierarchy.
func removeCgroups(dir string) error {
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
