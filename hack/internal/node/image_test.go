//go:build linux

package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// The archive is as `docker save` writes it (Docker image specification v1.2): a manifest that names the configuration and the layers, and a
// configuration that names each layer by the digest of its content.
func TestImageIsWhatContainerdImports(t *testing.T) {
	dir := t.TempDir()
	program, archive := filepath.Join(dir, "pause"), filepath.Join(dir, "pause.tar")
	if err := os.WriteFile(program, []byte("a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeImage(archive, "example.io/pause:1", program); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	files := untar(t, content)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"].content, &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 || len(manifest[0].Layers) != 1 || len(manifest[0].RepoTags) != 1 || manifest[0].RepoTags[0] != "example.io/pause:1" {
		t.Fatalf("the manifest is %+v", manifest)
	}
	var config struct {
		OS, Architecture string
		Config           struct{ Entrypoint []string }
		RootFS           struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(files[manifest[0].Config].content, &config); err != nil {
		t.Fatal(err)
	}
	layer := files[manifest[0].Layers[0]].content
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(layer)); len(config.RootFS.DiffIDs) != 1 || config.RootFS.DiffIDs[0] != want {
		t.Errorf("the configuration names the layers %v, want %s", config.RootFS.DiffIDs, want)
	}
	if config.OS != "linux" || config.Architecture == "" || len(config.Config.Entrypoint) != 1 || config.Config.Entrypoint[0] != "/pause" {
		t.Errorf("the configuration is %+v", config)
	}
	inside := untar(t, layer)
	if f := inside["pause"]; string(f.content) != "a program" || f.mode&0o111 != 0o111 {
		t.Errorf("the layer has %+v, want the program, for everybody to run", inside)
	}
}

func untar(t *testing.T, content []byte) map[string]file {
	t.Helper()
	files := map[string]file{}
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = file{header.Name, header.Mode, b}
	}
}
