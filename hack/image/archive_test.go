package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// compile builds a small program for Linux.
func compile(t *testing.T, architecture string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "program")
	cmd := exec.Command("go", append(append([]string{"build", "-o", binary}, flags...), source)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// licensed is a folder as hack/licenses writes it.
func licensed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"LICENSE": "Apache License\n", "THIRD-PARTY-LICENSES.txt": "Copyright 2026 somebody\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// unpack reads a tar file whose names are unique.
func unpack(t *testing.T, r io.Reader) (headers []*tar.Header, content map[string][]byte) {
	t.Helper()
	content = map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return headers, content
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := content[header.Name]; twice {
			t.Errorf("%s is there twice", header.Name)
		}
		if content[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
		headers = append(headers, header)
	}
}

func decode(t *testing.T, document []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
}

// blobOf gives what a descriptor points to, after comparing it with what the descriptor says.
func blobOf(t *testing.T, content map[string][]byte, d descriptor) []byte {
	t.Helper()
	algorithm, sum, _ := strings.Cut(d.Digest, ":")
	blob, found := content["blobs/"+algorithm+"/"+sum]
	if !found {
		t.Fatalf("the archive has no %s", d.Digest)
	}
	if got := sha256.Sum256(blob); algorithm != "sha256" || hex.EncodeToString(got[:]) != sum || len(blob) != d.Size {
		t.Fatalf("%s: the content has the digest %x and %d bytes, not %d", d.Digest, got, len(blob), d.Size)
	}
	return blob
}

func TestArchive(t *testing.T) {
	const made = 1_700_000_000
	for _, architecture := range []string{"amd64", "arm64"} {
		t.Run(architecture, func(t *testing.T) {
			binary := compile(t, architecture)
			output := filepath.Join(t.TempDir(), "images", "image.tar")
			args := []string{
				"--binary=" + binary, "--licenses=" + licensed(t), "--output=" + output, "--arch=" + architecture, "--tag=registry.example:5000/team/chat:v1.2.3",
				"--version=v1.2.3", "--revision=0123abc", "--created=1700000000",
			}
			if err := run(args); err != nil {
				t.Fatal(err)
			}
			first, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			headers, content := unpack(t, bytes.NewReader(first))
			for _, h := range headers {
				if h.ModTime.Unix() != made || h.Uid != 0 || h.Gid != 0 {
					t.Errorf("%s: time %v, owner %d:%d", h.Name, h.ModTime, h.Uid, h.Gid)
				}
			}

			// OCI image layout 1.1: oci-layout, index.json, and everything else by its digest.
			if got := string(content["oci-layout"]); got != `{"imageLayoutVersion":"1.0.0"}` {
				t.Errorf("oci-layout: %s", got)
			}
			var top index
			decode(t, content["index.json"], &top)
			if len(top.Manifests) != 1 || top.SchemaVersion != 2 {
				t.Fatalf("index: %+v", top)
			}
			at := top.Manifests[0]
			if at.Annotations["io.containerd.image.name"] != "registry.example:5000/team/chat:v1.2.3" || at.Annotations["org.opencontainers.image.ref.name"] != "v1.2.3" {
				t.Errorf("annotations: %v", at.Annotations)
			}
			if *at.Platform != (platform{Architecture: architecture, OS: "linux"}) {
				t.Errorf("platform: %+v", at.Platform)
			}
			var m manifest
			decode(t, blobOf(t, content, at), &m)
			if len(m.Layers) != 1 {
				t.Fatalf("manifest: %+v", m)
			}
			var c config
			decode(t, blobOf(t, content, m.Config), &c)
			layer := blobOf(t, content, m.Layers[0])
			if c.Architecture != architecture || c.OS != "linux" || !c.Created.Equal(time.Unix(made, 0)) {
				t.Errorf("config: %+v", c)
			}
			if c.Config.User != "65532:65532" || !reflect.DeepEqual(c.Config.Entrypoint, []string{"/chat-operator"}) {
				t.Errorf("what is run: %+v", c.Config)
			}
			if c.Config.Labels["org.opencontainers.image.version"] != "v1.2.3" || c.Config.Labels["org.opencontainers.image.revision"] != "0123abc" {
				t.Errorf("labels: %v", c.Config.Labels)
			}
			// The layer is not compressed: the digest of its content is its own.
			if !reflect.DeepEqual(c.RootFS.DiffIDs, []string{m.Layers[0].Digest}) || m.Layers[0].MediaType != "application/vnd.oci.image.layer.v1.tar" {
				t.Errorf("root: %+v, layer %+v", c.RootFS, m.Layers[0])
			}

			// `docker load` goes by manifest.json.
			var docker []dockerImage
			decode(t, content["manifest.json"], &docker)
			if len(docker) != 1 || !reflect.DeepEqual(docker[0].RepoTags, []string{"registry.example:5000/team/chat:v1.2.3"}) ||
				content[docker[0].Config] == nil || !bytes.Equal(content[docker[0].Layers[0]], layer) {
				t.Errorf("manifest.json: %+v", docker)
			}

			checkRoot(t, layer, binary)

			if err := run(args); err != nil {
				t.Fatal(err)
			}
			second, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, second) {
				t.Error("the same input gave other bytes")
			}
		})
	}
}

// One name for all architectures: an index, from which every node takes its own.
func TestIndex(t *testing.T) {
	amd64, arm64 := compile(t, "amd64"), compile(t, "arm64")
	output := filepath.Join(t.TempDir(), "image.tar")
	if err := run([]string{
		"--binary=" + amd64 + "," + arm64, "--arch=amd64,arm64", "--licenses=" + licensed(t) + "," + licensed(t), "--output=" + output,
		"--tag=registry.example:5000/team/chat:1.2.3",
	}); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(output)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, content := unpack(t, file)
	var top, all index
	decode(t, content["index.json"], &top)
	if len(top.Manifests) != 1 || top.Manifests[0].MediaType != "application/vnd.oci.image.index.v1+json" || top.Manifests[0].Platform != nil ||
		top.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "1.2.3" || top.Manifests[0].Annotations["io.containerd.image.name"] != "registry.example:5000/team/chat:1.2.3" {
		t.Fatalf("index.json: %+v", top)
	}
	decode(t, blobOf(t, content, top.Manifests[0]), &all)
	if len(all.Manifests) != 2 {
		t.Fatalf("%+v", all)
	}
	for i, binary := range []string{amd64, arm64} {
		at := all.Manifests[i]
		var m manifest
		decode(t, blobOf(t, content, at), &m)
		var c config
		decode(t, blobOf(t, content, m.Config), &c)
		if want := []string{"amd64", "arm64"}[i]; *at.Platform != (platform{Architecture: want, OS: "linux"}) || c.Architecture != want || at.MediaType != "application/vnd.oci.image.manifest.v1+json" {
			t.Errorf("%+v: %+v", at, c)
		}
		checkRoot(t, blobOf(t, content, m.Layers[0]), binary)
	}
	if _, found := content["manifest.json"]; found {
		t.Error("a Docker archive cannot have two images of one name")
	}
}

// checkRoot looks into the only layer: the program, certificates, no shell, nothing that may be written.
func checkRoot(t *testing.T, layer []byte, binary string) {
	t.Helper()
	headers, files := unpack(t, bytes.NewReader(layer))
	var names []string
	for _, h := range headers {
		names = append(names, h.Name)
		if h.Mode&0o7022 != 0 {
			t.Errorf("%s may be written by others, or runs as its owner: %o", h.Name, h.Mode)
		}
	}
	if want := []string{"etc/", "etc/ssl/", "etc/ssl/certs/", "licenses/", "etc/ssl/certs/ca-certificates.crt", "licenses/LICENSE", "licenses/THIRD-PARTY-LICENSES.txt", "chat-operator"}; !reflect.DeepEqual(names, want) {
		t.Errorf("the root has %v, want %v", names, want)
	}
	if got := string(files["licenses/THIRD-PARTY-LICENSES.txt"]); got != "Copyright 2026 somebody\n" {
		t.Errorf("THIRD-PARTY-LICENSES.txt: %q", got)
	}
	original, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if program := headers[len(headers)-1]; program.Mode != 0o755 || !bytes.Equal(files["chat-operator"], original) {
		t.Errorf("the program has the mode %o or is another one", program.Mode)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]) {
		t.Error("the file of root certificates has none that can be read")
	}
}

func TestRefusesWhatWouldNotStart(t *testing.T) {
	arm, dynamic, text := compile(t, "arm64"), compile(t, "amd64", "-buildmode=pie"), filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	licenses, none := licensed(t), t.TempDir()
	for _, test := range []struct{ binary, architecture, licenses, tag, says string }{
		{arm, "amd64", licenses, "chat:dev", "is a program for EM_AARCH64, and the image is for EM_X86_64"},
		{dynamic, "amd64", licenses, "chat:dev", "linked dynamically"},
		{text, "amd64", licenses, "chat:dev", "no program for Linux"},
		{arm, "riscv64", licenses, "chat:dev", `not for "riscv64"`},
		{arm, "arm64", licenses, "Chat:dev", "name in lower case"},
		{arm, "arm64", licenses, "chat:", "write NAME:TAG"},
		{"", "arm64", licenses, "chat:dev", "give --binary"},
		{arm, "arm64,amd64", licenses, "chat:dev", "1 programs, --arch 2 architectures"},
		{arm + "," + arm, "arm64,arm64", licenses + "," + licenses, "chat:dev", "names arm64 twice"},
		{arm, "arm64", "", "chat:dev", "--licenses"},
		{arm, "arm64", none, "chat:dev", "is empty"},
		{arm, "arm64", licenses + "," + licenses, "chat:dev", "--licenses 2 folders"},
	} {
		output := filepath.Join(t.TempDir(), "image.tar")
		err := run([]string{"--binary=" + test.binary, "--output=" + output, "--arch=" + test.architecture, "--licenses=" + test.licenses, "--tag=" + test.tag})
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v", test, err)
		}
		if _, err := os.Stat(output); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%+v left a file: %v", test, err)
		}
	}
}

// The names are those that containerd and Docker give an image without a registry.
func TestReferences(t *testing.T) {
	for given, want := range map[string][2]string{
		"chat-operator":          {"chat-operator:latest", "docker.io/library/chat-operator:latest"},
		"chat-operator:dev":      {"chat-operator:dev", "docker.io/library/chat-operator:dev"},
		"team/chat:1":            {"team/chat:1", "docker.io/team/chat:1"},
		"localhost/chat:1":       {"localhost/chat:1", "localhost/chat:1"},
		"registry.example/c/d":   {"registry.example/c/d:latest", "registry.example/c/d:latest"},
		"registry.example:80/c":  {"registry.example:80/c:latest", "registry.example:80/c:latest"},
		"registry.example:80/c:": {},
		"chat operator":          {},
		"chat@sha256:0123":       {},
	} {
		got, err := checkReference(given)
		if got != want[0] || (err == nil) != (want[0] != "") {
			t.Errorf("%q: %q, %v", given, got, err)
		}
		if err == nil && fullReference(got) != want[1] {
			t.Errorf("%q in full: %q", given, fullReference(got))
		}
	}
}

// Two ways make the same image: what one is told, the other is too.
func TestDockerfileSaysTheSame(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, last, found := strings.Cut(string(content), "\nFROM scratch\n")
	if !found {
		t.Fatal("the Dockerfile does not end on an empty root")
	}
	line := func(instruction string) string {
		match := regexp.MustCompile(`(?m)^` + instruction + ` (.*)$`).FindStringSubmatch(last)
		if match == nil {
			t.Fatalf("the Dockerfile has no %s", instruction)
		}
		return match[1]
	}
	if !strings.Contains(last, "\nCOPY --from=build "+licenses+" "+licenses+"\n") {
		t.Error("the Dockerfile copies no licenses")
	}
	ignored, err := os.ReadFile(filepath.Join("..", "..", ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, copied := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(string(content), -1) {
		for _, name := range strings.Fields(copied[1]) {
			if !strings.Contains(string(ignored), "\n!"+name+"\n") {
				t.Errorf("the Dockerfile copies %s, and .dockerignore does not let it", name)
			}
		}
	}
	if got := line("USER"); got != user {
		t.Errorf("USER %s", got)
	}
	if got := line("ENTRYPOINT"); got != `["`+program+`"]` {
		t.Errorf("ENTRYPOINT %s", got)
	}
	var want []string
	for _, p := range ports {
		want = append(want, strings.TrimSuffix(p, "/tcp"))
	}
	if got := strings.Fields(line("EXPOSE")); !reflect.DeepEqual(got, want) {
		t.Errorf("EXPOSE %v, want %v", got, want)
	}
}
