// Command image writes the container image of the operator as one archive, without a container engine, a base image or a
// registry: the binary on an empty root, with the root certificates that Mozilla trusts. The archive is an OCI image layout
// and a Docker archive at once, so that `ctr images import`, `podman load`, `docker load` and `kind load image-archive` all
// take it. With a binary for each of several architectures it is a layout whose image is an index of one image each, from which every node takes its own:
// one name in a registry for all. The same input gives the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var s settings
	var binary, architecture, output, licenses string
	var created int64
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&binary, "binary", "", "the operator, built without cgo for linux and the architecture; a comma list for several")
	flags.StringVar(&licenses, "licenses", "", "the folder with the licenses of the operator and what it contains (hack/licenses); a comma list in the order of the binaries")
	flags.StringVar(&output, "output", "", "the archive to write")
	flags.StringVar(&s.reference, "tag", "chat-operator:dev", "name and tag of the image")
	flags.StringVar(&architecture, "arch", "amd64", "amd64 or arm64, or both as a comma list in the order of the binaries")
	flags.StringVar(&s.version, "version", "unknown", "version of the operator, for the image's labels")
	flags.StringVar(&s.revision, "revision", "", "commit that the operator was built from, for the image's labels")
	flags.Int64Var(&created, "created", 0, "when the image was made, in seconds since 1970: the time of the commit makes the image reproducible")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || binary == "" || licenses == "" || output == "" {
		return errors.New("give --binary, --licenses, --output and other options only")
	}
	s.created = time.Unix(created, 0).UTC()
	var err error
	if s.reference, err = checkReference(s.reference); err != nil {
		return err
	}
	binaries, architectures := strings.Split(binary, ","), strings.Split(architecture, ",")
	folders := strings.Split(licenses, ",")
	if len(binaries) != len(architectures) || len(binaries) != len(folders) {
		return fmt.Errorf("--binary names %d programs, --arch %d architectures and --licenses %d folders", len(binaries), len(architectures), len(folders))
	}
	for i, name := range binaries {
		p := build{architecture: architectures[i]}
		if slices.ContainsFunc(s.builds, func(other build) bool { return other.architecture == p.architecture }) {
			return fmt.Errorf("--arch names %s twice", p.architecture)
		}
		if p.binary, err = os.ReadFile(name); err != nil {
			return fmt.Errorf("reading the operator: %w", err)
		}
		if err := checkBinary(p.binary, p.architecture); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if p.licenses, err = readFolder(folders[i]); err != nil {
			return fmt.Errorf("reading the licenses: %w", err)
		}
		s.builds = append(s.builds, p)
	}
	return replace(output, func(w io.Writer) error { return write(w, s) })
}

// readFolder reads the files of a folder, which are some, in the order of their names.
func readFolder(name string) (list []file, err error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s is empty", name)
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(name, e.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, file{e.Name(), content})
	}
	return list, nil
}

// replace writes a file so that nobody ever sees half of it.
func replace(name string, write func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := errors.Join(write(file), file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

// checkReference takes NAME:TAG, where NAME may begin with a registry, and gives :latest to one without a tag.
func checkReference(reference string) (string, error) {
	name, tag, err := splitReference(reference)
	if err != nil {
		return "", err
	}
	return name + ":" + tag, nil
}

func splitReference(reference string) (name, tag string, err error) {
	name, tag = reference, "latest"
	// A colon before the last slash belongs to the registry's port.
	if i := strings.LastIndexByte(reference, ':'); i > strings.LastIndexByte(reference, '/') {
		name, tag = reference[:i], reference[i+1:]
	}
	if name == "" || tag == "" || strings.ContainsAny(reference, "@ \t\n") || name != strings.ToLower(name) {
		return "", "", fmt.Errorf("%q is no name of an image: write NAME:TAG, the name in lower case", reference)
	}
	return name, tag, nil
}

// fullReference is a reference as containerd keeps it: with the registry that is meant when none is named.
func fullReference(reference string) string {
	first, _, found := strings.Cut(reference, "/")
	switch {
	case !found:
		return "docker.io/library/" + reference
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		return "docker.io/" + reference
	}
	return reference
}
