package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// What the Dockerfile says too; a test compares.
const (
	user         = "65532:65532"
	program      = "/chat-operator"
	certificates = "/etc/ssl/certs/ca-certificates.crt"
	licenses     = "/licenses"
)

var ports = []string{"5222/tcp", "5223/tcp", "8080/tcp", "8081/tcp", "9090/tcp", "9091/tcp"}

// settings are what an image is made of.
type settings struct {
	builds                       []build
	reference, version, revision string
	created                      time.Time
}

// build is the program for an architecture.
type build struct {
	binary       []byte
	architecture string
	licenses     []file
}

// file is a file of the image.
type file struct {
	name    string
	content []byte
}

// Media types of the OCI image specification.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar"
)

// The documents of an image: OCI image specification 1.1, descriptor.md, config.md, manifest.md, image-index.md.
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
		Platform    *platform         `json:"platform,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	config struct {
		Created      time.Time `json:"created"`
		Architecture string    `json:"architecture"`
		OS           string    `json:"os"`
		Config       execution `json:"config"`
		RootFS       rootFS    `json:"rootfs"`
		History      []history `json:"history"`
	}
	execution struct {
		User         string              `json:"User"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
		Entrypoint   []string            `json:"Entrypoint"`
		WorkingDir   string              `json:"WorkingDir"`
		Labels       map[string]string   `json:"Labels"`
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	history struct {
		Created   time.Time `json:"created"`
		CreatedBy string    `json:"created_by"`
	}
	manifest struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}
	index struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}
	// dockerImage is an entry of manifest.json, by which `docker load` goes.
	dockerImage struct {
		Config   string   `json:"Config"`
		RepoTags []string `json:"RepoTags"`
		Layers   []string `json:"Layers"`
	}
)

// write writes the archive of an image.
func write(w io.Writer, s settings) error {
	archive := &archive{tar: tar.NewWriter(w), at: s.created}
	var images []descriptor
	var docker []dockerImage
	for _, b := range s.builds {
		image, m, err := archive.image(s, b)
		if err != nil {
			return err
		}
		images = append(images, image)
		docker = append(docker, dockerImage{Config: blobName(m.Config.Digest), RepoTags: []string{s.reference}, Layers: []string{blobName(m.Layers[0].Digest)}})
	}
	_, tag, err := splitReference(s.reference)
	if err != nil {
		return err
	}
	top := images[0]
	if len(images) > 1 {
		top = archive.document(typeIndex, index{SchemaVersion: 2, MediaType: typeIndex, Manifests: images})
	}
	top.Annotations = map[string]string{
		"io.containerd.image.name":          fullReference(s.reference),
		"org.opencontainers.image.ref.name": tag,
	}
	archive.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	archive.json("index.json", index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{top}})
	// A Docker archive has one image a name.
	if len(docker) == 1 {
		archive.json("manifest.json", docker)
	}
	return archive.close()
}

// image stores the image of one architecture.
func (a *archive) image(s settings, b build) (descriptor, manifest, error) {
	layer, err := makeLayer(b, s.created)
	if err != nil {
		return descriptor{}, manifest{}, err
	}
	layerAt := a.blob(typeLayer, layer)
	labels := map[string]string{
		"org.opencontainers.image.title":       "chat-operator",
		"org.opencontainers.image.description": "An XMPP chat server whose users, groups, rooms and settings are Kubernetes resources",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     s.version,
	}
	if s.revision != "" {
		labels["org.opencontainers.image.revision"] = s.revision
	}
	exposed := make(map[string]struct{}, len(ports))
	for _, p := range ports {
		exposed[p] = struct{}{}
	}
	configAt := a.document(typeConfig, config{
		Created: s.created, Architecture: b.architecture, OS: "linux",
		Config: execution{User: user, ExposedPorts: exposed, Entrypoint: []string{program}, WorkingDir: "/", Labels: labels},
		// The layer is not compressed, so its digest is that of its content.
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{layerAt.Digest}},
		History: []history{{Created: s.created, CreatedBy: "hack/image"}},
	})
	m := manifest{SchemaVersion: 2, MediaType: typeManifest, Config: configAt, Layers: []descriptor{layerAt}}
	at := a.document(typeManifest, m)
	at.Platform = &platform{Architecture: b.architecture, OS: "linux"}
	return at, m, nil
}

// makeLayer is the whole root: the program, the licenses and the certificates, and the folders they are in.
func makeLayer(b build, created time.Time) ([]byte, error) {
	var buffer bytes.Buffer
	layer := &archive{tar: tar.NewWriter(&buffer), at: created}
	for _, dir := range []string{"etc/", "etc/ssl/", "etc/ssl/certs/", licenses[1:] + "/"} {
		layer.add(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil)
	}
	roots, err := rootCertificates()
	if err != nil {
		return nil, err
	}
	layer.file(certificates[1:], roots)
	for _, f := range b.licenses {
		layer.file(licenses[1:]+"/"+f.name, f.content)
	}
	layer.add(tar.Header{Typeflag: tar.TypeReg, Name: program[1:], Mode: 0o755}, b.binary)
	if err := layer.close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// rootCertificates are those of a module, so that they do not depend on the machine that builds. Roots that are trusted
// only for some certificates are left out: a file has no way to say so.
func rootCertificates() ([]byte, error) {
	var buffer bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&buffer, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	if buffer.Len() == 0 {
		return nil, errors.New("the module of root certificates has none")
	}
	return buffer.Bytes(), nil
}

// archive is a tar file whose entries belong to root and all have the same time. It keeps its first error.
type archive struct {
	tar *tar.Writer
	at  time.Time
	err error
}

func (a *archive) add(h tar.Header, content []byte) {
	if a.err != nil {
		return
	}
	h.Size, h.ModTime, h.Format = int64(len(content)), a.at, tar.FormatUSTAR
	if a.err = a.tar.WriteHeader(&h); a.err == nil {
		_, a.err = a.tar.Write(content)
	}
}

func (a *archive) file(name string, content []byte) {
	a.add(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content)
}

func (a *archive) json(name string, document any) []byte {
	content, err := json.Marshal(document)
	if a.err == nil {
		a.err = err
	}
	if name != "" {
		a.file(name, content)
	}
	return content
}

// document stores a document under its digest.
func (a *archive) document(mediaType string, document any) descriptor {
	return a.blob(mediaType, a.json("", document))
}

// blob stores content under its digest.
func (a *archive) blob(mediaType string, content []byte) descriptor {
	sum := sha256.Sum256(content)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	a.file(blobName(digest), content)
	return descriptor{MediaType: mediaType, Digest: digest, Size: len(content)}
}

func (a *archive) close() error { return errors.Join(a.err, a.tar.Close()) }

func blobName(digest string) string { return "blobs/sha256/" + digest[len("sha256:"):] }

// checkBinary refuses what would not start in an image: a program for another machine, or one that needs a loader or libraries.
func checkBinary(binary []byte, architecture string) error {
	machine, known := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[architecture]
	if !known {
		return fmt.Errorf("images are made for amd64 and arm64, not for %q", architecture)
	}
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("is no program for Linux: %w", err)
	}
	if file.Machine != machine {
		return fmt.Errorf("is a program for %s, and the image is for %s", file.Machine, machine)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			return errors.New("is linked dynamically, and the image has no libraries: build it with CGO_ENABLED=0")
		}
	}
	return nil
}
