package transfer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Names in an export.
const (
	indexFile    = "export.yaml"
	manifestsDir = "manifests"
	personalDir  = "personal"
	personalFile = personalDir + "/server-data.xml"
	dataDir      = "data"
)

// formatVersion is that of the layout.
const formatVersion = 1

// index says what an export is one of.
type index struct {
	// Format is the version of the layout.
	Format int `json:"format"`
	// Source is what it was made from: chat-operator, openfire-xml, ...
	Source string `json:"source"`
	Domain string `json:"domain"`
	// Tables is the version of the store's tables; 0 when there are none in it.
	Tables int64 `json:"tables,omitempty"`
	// Secrets says whether credentials are in it.
	Secrets bool `json:"secrets"`
	// Resources and Data say which halves are in it.
	Resources bool `json:"resources"`
	Data      bool `json:"data"`
	// Claims are the chat names that several resources claim.
	Claims []claim `json:"claims,omitempty"`
}

// sink takes the files of an export, each once.
type sink interface {
	// put takes a file whole.
	put(name string, content []byte) error
	// stream takes a file as it is written: of one that may be large, little is in memory at any time.
	stream(name string, write func(io.Writer) error) error
	close() error
}

func putIndex(s sink, i index) error {
	content, err := yaml.Marshal(i)
	if err != nil {
		return err
	}
	return s.put(indexFile, content)
}

// folder is a sink that writes files, which nobody else may read: there are credentials in them.
type folder struct {
	root *os.Root
	// owned says that the root is closed with the sink, and made that its folder is of it.
	owned, made bool
}

// newFolder makes the folder at path, which must be new or empty.
func newFolder(at string) (*folder, error) {
	_, err := os.Lstat(at)
	made := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(at, 0o700); err != nil {
		return nil, fmt.Errorf("the folder %s cannot be made: %w", at, err)
	}
	entries, err := os.ReadDir(at)
	if err != nil {
		return nil, fmt.Errorf("the folder %s cannot be read: %w", at, err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("the folder %s is not empty, and nothing in it is overwritten: name a new one", at)
	}
	root, err := os.OpenRoot(at)
	if err != nil {
		return nil, err
	}
	return &folder{root, true, made}, nil
}

func (f *folder) put(name string, content []byte) error {
	return f.stream(name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

func (f *folder) stream(name string, write func(io.Writer) error) error {
	if err := f.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(file, 64<<10)
	if err = write(buffered); err == nil {
		err = buffered.Flush()
	}
	return errors.Join(err, file.Close())
}

func (f *folder) close() error {
	if !f.owned {
		return nil
	}
	return f.root.Close()
}

// finish takes away what was written when that failed: half an export is none, and there may be credentials in it.
func (f *folder) finish(err error) error {
	if err == nil {
		return nil
	}
	at := f.root.Name()
	entries, failed := os.ReadDir(at)
	for _, entry := range entries {
		failed = errors.Join(failed, os.RemoveAll(filepath.Join(at, entry.Name())))
	}
	failed = errors.Join(failed, f.root.Close())
	if f.made {
		failed = errors.Join(failed, os.Remove(at))
	}
	if failed != nil {
		failed = fmt.Errorf("what was written into %s is still there, and may have credentials in it: %w", at, failed)
	}
	return errors.Join(err, failed)
}

// tarball is a sink that writes one tar archive.
type tarball struct {
	tar     *tar.Writer
	closers []io.Closer
	spool   spool
}

// entryTime is when every file of an archive was changed, so that archives of the same things are equal. It is one that no program finds
// implausible, as some do the beginning of 1970.
func entryTime() time.Time { return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) }

func newTarball(w io.Writer, compressed bool) *tarball {
	a := &tarball{}
	if compressed {
		z := gzip.NewWriter(w)
		a.closers = []io.Closer{z}
		w = z
	}
	a.tar = tar.NewWriter(w)
	return a
}

func (a *tarball) put(name string, content []byte) error {
	return a.copy(name, int64(len(content)), bytes.NewReader(content))
}

func (a *tarball) copy(name string, size int64, from io.Reader) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: entryTime(), Format: tar.FormatPAX}
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(a.tar, from)
	return err
}

// stream writes down what comes before it is in the archive, which has the size of a file first.
func (a *tarball) stream(name string, write func(io.Writer) error) error {
	a.spool.begin()
	if err := write(&a.spool); err != nil {
		return err
	}
	size, content := a.spool.read()
	return a.copy(name, size, content)
}

// release lets go of what is not part of the archive.
func (a *tarball) release() error { return a.spool.close() }

func (a *tarball) close() error {
	err := a.tar.Close()
	for _, c := range a.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// maxFileName is what every file system takes, with the ending.
const maxFileName = 160

// fileName makes the name of a file of the name of a thing, which need not be one and may be longer than a file's may.
func fileName(name string) string {
	var b strings.Builder
	plain := name != "" && len(name) <= maxFileName && !strings.HasPrefix(name, ".")
	for i := 0; i < len(name) && b.Len() < maxFileName; i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			plain = false
			b.WriteByte('_')
		}
	}
	if plain {
		return b.String()
	}
	sum := sha256.Sum256([]byte(name))
	return b.String() + "~" + hex.EncodeToString(sum[:12])
}

// maxFiles, maxLevels and maxPath bound what an archive may be unpacked to; the limit of all bytes is the caller's, and one mailbox may
// be most of that.
const (
	maxFiles  = 5_000_000
	maxLevels = 16
	maxPath   = 1024
)

// Unpacking.
var (
	errNotInside = errors.New("its name leads out of the archive")
	errTooMany   = fmt.Errorf("it has more than %d files", maxFiles)
)

// unpack reads a tar archive, compressed or not, into a folder. Only files and folders are taken.
func unpack(r io.Reader, root *os.Root, maxBytes int64) error {
	head := make([]byte, 2)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	if n == 0 {
		return errors.New("there is nothing to read: the archive is empty")
	}
	r = io.MultiReader(bytes.NewReader(head[:n]), r)
	if n == 2 && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		defer func() { _ = z.Close() }()
		r = z
	}
	t := tar.NewReader(r)
	left := maxBytes
	for files := 0; ; files++ {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			if files == 0 {
				return errors.New("it is no tar archive, or one without files")
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("it cannot be read as a tar archive: %w", err)
		}
		if files >= maxFiles {
			return errTooMany
		}
		if err := unpackOne(t, header, root, &left, maxBytes); err != nil {
			return fmt.Errorf("%.100q in the archive: %w", header.Name, err)
		}
	}
}

func unpackOne(t *tar.Reader, header *tar.Header, root *os.Root, left *int64, maxBytes int64) error {
	name := path.Clean(header.Name)
	switch header.Typeflag {
	case tar.TypeDir:
		return nil // folders are made when there is something in them
	case tar.TypeReg:
	default:
		return errors.New("it is neither a file nor a folder")
	}
	if !filepath.IsLocal(filepath.FromSlash(name)) || strings.Contains(name, `\`) {
		return errNotInside
	}
	if len(name) > maxPath || strings.Count(name, "/") >= maxLevels {
		return fmt.Errorf("its name is longer than %d bytes, or more than %d levels deep", maxPath, maxLevels)
	}
	if *left -= header.Size; *left < 0 {
		return fmt.Errorf("with it, the archive unpacks to more than %d bytes: allow more with --max-bytes if that is right", maxBytes)
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, t) //nolint:gosec // the reader ends at the header's size, which is bounded above
	return errors.Join(err, file.Close())
}

// sourceBackup is the Source of an export that was made of an installation.
const sourceBackup = "chat-operator"
