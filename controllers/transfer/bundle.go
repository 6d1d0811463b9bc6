package transfer

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// bundle is an export that is read.
type bundle struct {
	root  *os.Root
	index index
	// declared are its resources, without those that are not read in.
	declared *resources
}

// maxManifest bounds the file of a resource: etcd takes no larger one.
const maxManifest = 4 << 20

// openBundle reads what an export is of, and its resources.
func openBundle(root *os.Root) (*bundle, error) {
	b := &bundle{root: root, declared: newResources()}
	content, err := readAll(root, indexFile, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("it is no export, or one that was not finished: it has no %s", indexFile)
	}
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(content, &b.index); err != nil {
		return nil, fmt.Errorf("%s: %w", indexFile, err)
	}
	if b.index.Format != formatVersion {
		return nil, fmt.Errorf("the export has the format %d, and this version of the program reads %d: use the version that made it", b.index.Format, formatVersion)
	}
	if b.index.Domain, err = jid.PrepareDomain(b.index.Domain); err != nil {
		return nil, fmt.Errorf("%s: the domain: %w", indexFile, err)
	}
	return b, b.readManifests()
}

// readAll reads a small file.
func readAll(root *os.Root, name string, most int64) ([]byte, error) {
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return content, err
}

// readManifests reads every YAML file below the folder of manifests, wherever it is there.
func (b *bundle) readManifests() error {
	err := fs.WalkDir(b.root.FS(), manifestsDir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir(), path.Ext(name) != ".yaml" && path.Ext(name) != ".yml":
			return nil
		}
		content, err := readAll(b.root, name, maxManifest)
		if err != nil {
			return err
		}
		documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
		for {
			one, err := documents.Read()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if len(bytes.TrimSpace(one)) == 0 {
				continue
			}
			o, err := parseManifest(one)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if !b.declared.add(o) {
				return fmt.Errorf("%s: %s %q is in the export twice", name, kindOf(o), o.GetName())
			}
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// people hands out everybody of the XEP-0227 files, to what the reader has for them.
func (b *bundle) people(p pieReader) error {
	if _, err := b.root.Stat(personalFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	p.root, p.seen = b.root, map[string]bool{}
	return p.file(personalFile, 0)
}

// files are the files of lines of a table, in their order.
func (b *bundle) files(table string) ([]string, error) {
	list, err := fs.Glob(b.root.FS(), dataDir+"/"+table+"-[0-9]*.jsonl")
	slices.Sort(list)
	return list, err
}

// rows hands out the rows of a table. Columns are those that the lines have.
func (b *bundle) rows(table string, columns []store.Column, each func(store.Row) error) error {
	files, err := b.files(table)
	if err != nil {
		return err
	}
	for _, name := range files {
		file, err := b.root.Open(name)
		if err != nil {
			return err
		}
		err = eachLine(file, func(number int, line []byte) error {
			row, err := parseLine(line, columns)
			if err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
			return each(row)
		})
		_ = file.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// maxIncludes bounds how deep XEP-0227 files include others: the server's its hosts', and those their users'.
const maxIncludes = 4

// pieReader reads documents of XEP-0227 that may include others.
type pieReader struct {
	root *os.Root // nil where there is only one document
	note func(string)
	// lost hears what cannot be read of what a table keeps; nil: note does.
	lost func(table, why string)
	// begin is told of a person before what belongs to them is read, and may give a function that takes their messages, one by one; nil: the
	// person that each gets has them.
	begin func(host string, p *person) func(*message) error
	each  func(host string, p *person) error
	host  string
	// seen are the files that were read: each belongs in one place.
	seen map[string]bool
}

func (p *pieReader) file(name string, depth int) error {
	if p.seen[name] {
		return fmt.Errorf("%s is included twice", name)
	}
	p.seen[name] = true
	file, err := p.root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := p.document(file, path.Dir(name), depth); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (p *pieReader) document(r io.Reader, folder string, depth int) error {
	x := newXMLReader(r)
	start, err := x.root()
	if err != nil {
		return err
	}
	return p.read(x, start, folder, depth)
}

// read takes an element of the upper three levels, wherever it stands: an included document begins with any of them.
func (p *pieReader) read(x *xmlReader, start xml.StartElement, folder string, depth int) error {
	switch name := start.Name; {
	case name.Space == nsPie && name.Local == "server-data":
		return x.children(func(child xml.StartElement) error { return p.read(x, child, folder, depth) })
	case name.Space == nsPie && name.Local == "host":
		host, err := jid.PrepareDomain(attribute(start, "", "jid"))
		if err != nil {
			return x.explain(fmt.Errorf("the host %q is no domain: %w", attribute(start, "", "jid"), err))
		}
		before := p.host
		p.host = host
		err = x.children(func(child xml.StartElement) error { return p.read(x, child, folder, depth) })
		p.host = before
		return err
	case name.Space == nsPie && name.Local == "user":
		about := func(text string) string { return fmt.Sprintf("%s: %s", attribute(start, "", "name"), text) }
		hear := hearer{note: func(text string) { p.note(about(text)) }, lost: func(table, why string) {
			if p.lost == nil {
				p.note(about(why))
				return
			}
			p.lost(table, about(why))
		}}
		one, err := x.readPerson(start, hear, func(one *person) func(*message) error {
			if p.begin == nil {
				return nil
			}
			return p.begin(p.host, one)
		})
		if err != nil {
			return err
		}
		return p.each(p.host, one)
	case name.Space == nsInclude && name.Local == "include":
		if err := x.skip(); err != nil {
			return err
		}
		return p.include(start, folder, depth)
	case depth == 0 && p.host == "" && x.depth == 1:
		return x.explain(fmt.Errorf("it begins with %s, which is not of XEP-0227", name.Local))
	default:
		p.note(fmt.Sprintf("the element %s of the namespace %s is not known and was left out", name.Local, name.Space))
		return x.skip()
	}
}

// include reads another file (XEP-0227 §5): one that a relative URI names, from inside the folder.
func (p *pieReader) include(start xml.StartElement, folder string, depth int) error {
	href := attribute(start, "", "href")
	u, err := url.Parse(href)
	switch {
	case err != nil || u.IsAbs() || u.Host != "" || u.Path == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("it includes %q, which is no relative path of a file", href)
	case attribute(start, "", "parse") != "" && attribute(start, "", "parse") != "xml", attribute(start, "", "xpointer") != "":
		return fmt.Errorf("it includes %q in a way that is not read (XEP-0227 §5)", href)
	case p.root == nil:
		return fmt.Errorf("it includes %q, which cannot be found from the standard input: name the file instead", href)
	case depth >= maxIncludes:
		return fmt.Errorf("files include each other more than %d levels deep", maxIncludes)
	}
	name := path.Join(folder, u.Path)
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("it includes %q, which is outside its folder", href)
	}
	return p.file(name, depth+1)
}
