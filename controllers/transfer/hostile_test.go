package transfer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// tarOf makes an archive of one entry.
func tarOf(t *testing.T, header tar.Header, content string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	header.Size = int64(len(content))
	if header.Typeflag == tar.TypeSymlink {
		header.Size = 0
	}
	if err := w.WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	if header.Size > 0 {
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestUnpackRefuses(t *testing.T) {
	gzipped := func(b []byte) []byte {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		_, _ = w.Write(b)
		_ = w.Close()
		return buf.Bytes()
	}
	huge := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "data/huge"}, strings.Repeat("0", 1<<20))
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"nothing":         {nil, "empty"},
		"no archive":      {[]byte("hello, this is no archive at all, is it? It goes on for a while."), "tar archive"},
		"parent":          {tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "../outside"}, "x"), "leads out"},
		"parent inside":   {tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "a/../../outside"}, "x"), "leads out"},
		"absolute":        {tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "/etc/outside"}, "x"), "leads out"},
		"backslashes":     {tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: `..\outside`}, "x"), "leads out"},
		"link":            {tarOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "data", Linkname: "/etc"}, ""), "neither a file nor a folder"},
		"deep":            {tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("a/", 100) + "a"}, "x"), "levels deep"},
		"long":            {tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("a", 2000), Format: tar.FormatPAX}, "x"), "longer than"},
		"too much":        {huge, "more than 1000 bytes"},
		"too much packed": {gzipped(huge), "more than 1000 bytes"},
		"cut off":         {gzipped(tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "a"}, "x"))[:60], "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			inside := filepath.Join(parent, "inside")
			if err := os.Mkdir(inside, 0o700); err != nil {
				t.Fatal(err)
			}
			root, err := os.OpenRoot(inside)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := unpack(bytes.NewReader(c.archive), root, 1000); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := os.Lstat(filepath.Join(parent, "outside")); err == nil {
				t.Error("a file came outside of the folder")
			}
		})
	}
}

func TestXMLIsBounded(t *testing.T) {
	bomb := `<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]><Openfire><User><Username>&lol2;</Username></User></Openfire>`
	for name, c := range map[string]struct{ document, want string }{
		"entities":         {bomb, "document type declaration"},
		"entity unknown":   {`<Openfire><User><Username>&lol;</Username></User></Openfire>`, "line 1"},
		"deep":             {"<Openfire>" + strings.Repeat("<User>", 300), "levels deep"},
		"long tag":         {`<Openfire><User a="` + strings.Repeat("x", maxToken+10000), "larger than"},
		"long text":        {"<Openfire><User><Username>" + strings.Repeat("x", maxToken+10000), "larger than"},
		"cut off":          {"<Openfire><User><Username>mira</Username>", "unexpected EOF"},
		"mismatch":         {"<Openfire></User>", "line 1"},
		"other":            {"<html/>", "says nothing here"},
		"other by force":   {"<fireplace/>", "not what Openfire writes"},
		"no name":          {"<Openfire><User><Name>x</Name></User></Openfire>", "has no Username"},
		"number":           {`<Openfire><User><Username>m</Username><Roster><Item jid="a@b" substatus="x"/></Roster></User></Openfire>`, "has to be a number"},
		"encoding":         {`<?xml version="1.0" encoding="ISO-8859-1"?><Openfire/>`, "convert it to UTF-8"},
		"pie without host": {`<server-data xmlns="urn:xmpp:pie:0"><user name="x"/></server-data>`, "outside of a host"},
		"pie bad host":     {`<server-data xmlns="urn:xmpp:pie:0"><host jid="a@b"/></server-data>`, "is no domain"},
		"pie include up":   {`<server-data xmlns="urn:xmpp:pie:0"><i:include xmlns:i="http://www.w3.org/2001/XInclude" href="../../../etc/passwd"/></server-data>`, "outside its folder"},
		"pie include url":  {`<server-data xmlns="urn:xmpp:pie:0"><i:include xmlns:i="http://www.w3.org/2001/XInclude" href="http://a.example/x"/></server-data>`, "no relative path"},
		"pie include text": {`<server-data xmlns="urn:xmpp:pie:0"><i:include xmlns:i="http://www.w3.org/2001/XInclude" href="x" parse="text"/></server-data>`, "in a way that is not read"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "source.xml")
			if err := os.WriteFile(file, []byte(c.document), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := converted(t, "--domain", "chat.example", file)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Files that include themselves or each other end.
func TestIncludesEnd(t *testing.T) {
	folder := t.TempDir()
	include := func(name string) string {
		return fmt.Sprintf(`<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="%s"/>`, name)
	}
	for name, content := range map[string]string{
		"main.xml": include("main.xml"), "a.xml": include("b.xml"), "b.xml": include("a.xml"), "twice.xml": strings.Repeat(include("c.xml"), 2), "c.xml": "",
	} {
		document := `<server-data xmlns="urn:xmpp:pie:0">` + content + `</server-data>`
		if err := os.WriteFile(filepath.Join(folder, name), []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(folder, "link.xml")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"main.xml", "a.xml", "twice.xml"} {
		if _, _, err := converted(t, filepath.Join(folder, name)); err == nil || !strings.Contains(err.Error(), "included twice") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	links := &pieReader{root: root, note: func(string) {}, each: func(string, *person) error { return nil }, seen: map[string]bool{}}
	if err := links.file("link.xml", 0); err == nil {
		t.Error("a link out of the folder was followed")
	}
}

func TestManifestsAreStrict(t *testing.T) {
	for name, c := range map[string]struct{ manifest, want string }{
		"field":     {"apiVersion: chat-operator.io/v1alpha1\nkind: ChatUser\nmetadata: {name: a}\nspec: {nonsense: 1}\n", "nonsense"},
		"kind":      {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "Pod of v1 is no kind"},
		"role":      {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: a}\n", "is no kind"},
		"nameless":  {"apiVersion: v1\nkind: Secret\nmetadata: {}\n", "metadata.name"},
		"not yaml":  {"a: [", "yaml"},
		"other ver": {"apiVersion: chat-operator.io/v2\nkind: ChatUser\nmetadata: {name: a}\n", "is no kind"},
	} {
		if _, err := parseManifest([]byte(c.manifest)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestFileNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"mira", "Mira", "a/b", "a_b", "..", ".", "", "a\\b", strings.Repeat("a", 300), strings.Repeat("a", 301), "дж", "m.o", "a~b"} {
		file := fileName(name)
		if other, ok := seen[file]; ok {
			t.Errorf("%q and %q have one file", name, other)
		}
		seen[file] = name
		if !filepath.IsLocal(file) || strings.ContainsAny(file, "/\\") || len(file) > 200 {
			t.Errorf("%q has the file %q", name, file)
		}
	}
}

// Whatever is in a document of another server, reading it ends in an error or in people whose own documents are read again as the same.
func FuzzPeople(f *testing.F) {
	for _, file := range []string{"testdata/xep-0227.xml", "testdata/openfire-users.xml"} {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		ignore := func(string) {}
		reader := &pieReader{note: ignore, seen: map[string]bool{}, each: func(_ string, p *person) error {
			if _, err := jid.PrepareLocal(p.username); err != nil {
				return nil
			}
			once := documentOf(t, p)
			again := &pieReader{note: ignore, seen: map[string]bool{}, each: func(_ string, q *person) error {
				if twice := documentOf(t, q); !bytes.Equal(once, twice) {
					t.Errorf("%s\nis read as\n%s", once, twice)
				}
				return nil
			}}
			if err := again.document(bytes.NewReader(once), ".", 0); err != nil {
				t.Errorf("%s\ncannot be read: %v", once, err)
			}
			return nil
		}}
		_ = reader.document(bytes.NewReader(document), ".", 0)
		c := conversion{domain: "chat.example", notes: &notes{}, progress: newProgress(io.Discard, true), out: discarded{}, source: "fuzz", lock: true}
		_ = c.convertOpenfireXML(bytes.NewReader(document))
	})
}

// FuzzLines reads whatever as rows of a table; what is one comes out as the same.
func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"username":"a","id":1,"session":{"base64":"/wA="},"place":1,"received":1,"stanza":null}` + "\n"))
	columns := []store.Column{
		{Name: "username", Type: "TEXT"}, {Name: "id", Type: "BIGINT"}, {Name: "session", Type: "BYTEA"}, {Name: "place", Type: "BIGINT"},
		{Name: "received", Type: "BIGINT"}, {Name: "stanza", Type: "BYTEA", Null: true},
	}
	f.Add([]byte(`{"username":null,"id":1,"session":"","place":1,"received":1,"stanza":"<message/>"}` + "\n"))
	c := carrier{table: "inflight", person: "username"}
	m := importer{blocked: map[name]string{{"user", "a"}: "it is"}}
	f.Fuzz(func(t *testing.T, lines []byte) {
		_ = eachLine(bytes.NewReader(lines), func(_ int, line []byte) error {
			row, err := parseLine(line, columns)
			if err != nil {
				return err
			}
			if left := m.leftOut(&c, row) != ""; left != (row["username"] == "a") {
				t.Errorf("%s: left out is %t", line, left)
			}
			once, err := appendLine(nil, row)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := parseLine(once, columns); err != nil || !reflect.DeepEqual(again, row) {
				t.Errorf("%s is read as %v, %v, and not as %v", once, again, err, row)
			}
			return checkRow(&c, row)
		})
		_, _ = readScramKeys(bytes.NewReader(lines))
	})
}

// A line that lacks something, has too much or is of another kind is refused by its number.
func TestLinesAreStrict(t *testing.T) {
	columns := []store.Column{{Name: "name", Type: "TEXT"}, {Name: "value", Type: "BYTEA", Null: true}}
	for line, want := range map[string]string{
		`{"name":"a","value":null}`:         "",
		`{"name":"a","value":"b"}`:          "",
		`{"name":null,"value":"b"}`:         "has to have a value",
		`{"name":"a"}`:                      "lacks the key",
		`{"name":"a","value":"b","c":1}`:    "is not known",
		`{"name":1,"value":"b"}`:            `key "name"`,
		`{"name":"a","value":{"base64":1}}`: `key "value"`,
		`[]`:                                "not a line",
		`{`:                                 "not a line",
	} {
		_, err := parseLine([]byte(line), columns)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
	if err := eachLine(strings.NewReader("a\n"+strings.Repeat("x", maxLine+1)), func(int, []byte) error { return nil }); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line without an end: %v", err)
	}
}

// What somebody has changed in an export so that the server could not work with it is left out, by name.
func TestImportOfChangedExports(t *testing.T) {
	at := chatter(t).exportTo("export")
	for name, line := range map[string]string{
		"data/room_nickname-000009.jsonl": `{"room":"orchard@conference","jid":"a b@c","nickname":"x"}`,
		"data/last_activity-000009.jsonl": `{"username":"Not Prepared","since":1,"status":""}`,
		"data/archive-000009.jsonl":       `{"room":"orchard@conference","id":99,"received":1,"peer":"","account":"","recent":false,"stanza":"<message>"}`,
		"data/identity-000009.jsonl":      `{"kind":"user","name":"x","resource":"x","deletion_policy":"Delete","state":"Nonsense","since":1}`,
	} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	to := newInstallation(t)
	report, err := to.importFrom(at)
	if err == nil || !strings.Contains(err.Error(), "4 things could not be read in") {
		t.Errorf("got %v", err)
	}
	contains(t, report, "who has a nickname in the room", `"Not Prepared"`, "Left out among the archived messages", `"Nonsense", which is not known`, "ChatUser: 3 made")
}

// discarded is a sink that keeps nothing.
type discarded struct{}

func (discarded) put(string, []byte) error                           { return nil }
func (discarded) stream(_ string, write func(io.Writer) error) error { return write(io.Discard) }
func (discarded) close() error                                       { return nil }

// documentOf is the file of a person.
func documentOf(t *testing.T, p *person) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeDocument(&b, p, p.belongings()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
