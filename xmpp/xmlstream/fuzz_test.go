package xmlstream

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// oracle reads one element with encoding/xml and dumps it as dump does. In attributes all white space is a space: that
// decoder doesn't normalize it, and afterwards a reference can't be told from a literal. An element that is named xmlns has no
// namespace here: that decoder takes such a name for a declaration, and gives it none.
func oracle(d *xml.Decoder, start xml.StartElement, b *strings.Builder) error {
	fmt.Fprintf(b, "<{%s}%s", oracleSpace(start.Name.Space, start.Name.Local), start.Name.Local)
	for _, a := range start.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		fmt.Fprintf(b, " {%s}%s=%q", a.Name.Space, a.Name.Local, blanks.Replace(a.Value))
	}
	b.WriteByte('>')
	var text []byte
	flush := func() {
		if len(text) > 0 {
			fmt.Fprintf(b, "%q", text)
		}
		text = text[:0]
	}
	for {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case xml.CharData:
			text = append(text, tok...)
		case xml.StartElement:
			flush()
			if err := oracle(d, tok, b); err != nil {
				return err
			}
		case xml.EndElement:
			flush()
			b.WriteString("</>")
			return nil
		default:
			return fmt.Errorf("a %T, which the subset doesn't have", tok)
		}
	}
}

func oracleSpace(space, local string) string {
	if local == "xmlns" {
		return ""
	}
	return space
}

var blanks = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

// oracleDump is dump with white space in attributes, and elements named xmlns, as oracle has them.
func oracleDump(e Element) string {
	var b strings.Builder
	var walk func(d *document, n int32)
	walk = func(d *document, n int32) {
		nd := &d.nodes[n]
		if nd.kind == textNode {
			fmt.Fprintf(&b, "%q", d.bytes(nd.name))
			return
		}
		e := Element{d, n}
		fmt.Fprintf(&b, "<{%s}%s", oracleSpace(string(e.Space()), string(e.Local())), e.Local())
		for a := range e.Attrs() {
			fmt.Fprintf(&b, " {%s}%s=%q", a.Space, a.Local, blanks.Replace(string(a.Value)))
		}
		b.WriteByte('>')
		for c := nd.child; c != 0; c = d.nodes[c].next {
			walk(d, c)
		}
		b.WriteString("</>")
	}
	walk(e.d, e.n)
	return b.String()
}

// nextElement skips to the oracle's next start tag.
func nextElement(d *xml.Decoder) (xml.StartElement, error) {
	for {
		tok, err := d.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		if s, ok := tok.(xml.StartElement); ok {
			return s, nil
		}
	}
}

// checkElement holds an accepted element to what is promised about it.
func checkElement(t *testing.T, e Element) {
	t.Helper()
	tree := dump(e)
	out := e.Append(nil)
	again, err := parse(out, unlimited())
	if err != nil {
		t.Fatalf("output %q doesn't parse: %v", out, err)
	}
	if got := dump(again); got != tree {
		t.Fatalf("output %q reads as\n%s\nwant\n%s", out, got, tree)
	}
	if more := again.Append(nil); string(more) != string(out) {
		t.Fatalf("output isn't stable: %q, then %q", out, more)
	}
	inner := e.AppendInner(nil)
	content, err := ParseInner(inner, unlimited())
	if err != nil {
		t.Fatalf("inner output %q doesn't parse: %v", inner, err)
	}
	if got, want := contents(content), contents(e); got != want {
		t.Fatalf("inner output %q reads as\n%s\nwant\n%s", inner, got, want)
	}
	// In a foreign place, too.
	framed := NewBuilder(nil).Open("urn:other", "f").Element(e).Bytes()
	f, err := parse(framed, unlimited())
	if err != nil {
		t.Fatalf("framed output %q doesn't parse: %v", framed, err)
	}
	if got := dump(f.FirstChild()); got != tree {
		t.Fatalf("framed output %q reads as\n%s\nwant\n%s", framed, got, tree)
	}
	d := xml.NewDecoder(strings.NewReader("<f xmlns='jabber:client'>" + string(out) + "</f>"))
	if _, err := nextElement(d); err != nil {
		t.Fatal(err)
	}
	start, err := nextElement(d)
	if err != nil {
		t.Fatalf("encoding/xml doesn't read output %q: %v", out, err)
	}
	var b strings.Builder
	if err := oracle(d, start, &b); err != nil {
		t.Fatalf("encoding/xml doesn't read output %q: %v", out, err)
	}
	if want := oracleDump(e); b.String() != want {
		t.Fatalf("encoding/xml reads output %q as\n%s\nwant\n%s", out, b.String(), want)
	}
}

func contents(e Element) string {
	var b strings.Builder
	for c := e.d.nodes[e.n].child; c != 0; c = e.d.nodes[c].next {
		dumpTo(&b, e.d, c)
	}
	return b.String()
}

// FuzzReader feeds a stream behind its header. Whatever is accepted reads as encoding/xml reads it, passes on as the same
// tree, and reads the same however it is cut into pieces.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		stanzas, chat, "<a/></stream:stream>", "<stream:a stream:b='&#9;'><![CDATA[x]]></stream:a>",
		"<a xmlns='urn:a' xmlns:p='urn:p'><p:b p:c='' c=''/><b xmlns=''><c xmlns='jabber:client'/></b></a>",
		"<a>]]&gt;&#xD;\r\n</a>", "<!DOCTYPE a>", "<a b='\t\r\n'/>", "<xml:a xml:lang=''/>", "<q:a q:b=''>x</q:a>",
		"<a xmlns:q='jabber:client'><q:b/><c/></a>",
	} {
		f.Add(s)
	}
	const header = "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' xmlns:stream='urn:s' xmlns:q='urn:q'>"
	f.Fuzz(func(t *testing.T, in string) {
		r := NewReader(strings.NewReader(header+in), DefaultLimits())
		slow := NewReader(iotest.OneByteReader(strings.NewReader(header+in)), DefaultLimits())
		d := xml.NewDecoder(strings.NewReader(header + in))
		for _, r := range []*Reader{r, slow} {
			if _, err := r.Open(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := nextElement(d); err != nil {
			t.Fatal(err)
		}
		for {
			e, err := r.Next()
			e2, err2 := slow.Next()
			if condition(err) != condition(err2) {
				t.Fatalf("at once: %v; byte by byte: %v", err, err2)
			}
			if err != nil {
				var fault *Error
				if !errors.As(err, &fault) && err != ErrClosed && err != io.EOF && err != io.ErrUnexpectedEOF {
					t.Fatalf("unexpected: %v", err)
				}
				return
			}
			if dump(e) != dump(e2) {
				t.Fatalf("at once:\n%s\nbyte by byte:\n%s", dump(e), dump(e2))
			}
			checkElement(t, e)
			start, err := nextElement(d)
			var b strings.Builder
			if err == nil {
				err = oracle(d, start, &b)
			}
			if err != nil {
				t.Fatalf("encoding/xml doesn't read what we do, %s: %v", dump(e), err)
			}
			if want := oracleDump(e); b.String() != want {
				t.Fatalf("encoding/xml reads\n%s\nwe read\n%s", b.String(), want)
			}
		}
	})
}

// FuzzHeader feeds what comes first on a connection.
func FuzzHeader(f *testing.F) {
	f.Add(header + chat)
	f.Add("<?xml version='1.0' encoding='utf-8' standalone=\"no\"?>\n<stream:stream xmlns:stream='a' b='&lt;'/>")
	f.Add("\xff\xfe<\x00")
	f.Fuzz(func(t *testing.T, in string) {
		want, err := readAll(NewReader(strings.NewReader(in), PreAuthLimits()))
		got, err2 := readAll(NewReader(iotest.OneByteReader(strings.NewReader(in)), PreAuthLimits()))
		if condition(err) != condition(err2) || strings.Join(want, "\n") != strings.Join(got, "\n") {
			t.Fatalf("at once: %v, %v\nbyte by byte: %v, %v", want, err, got, err2)
		}
	})
}

// FuzzBuilder writes arbitrary values; they come back as they were but for what XML has no place for.
func FuzzBuilder(f *testing.F) {
	f.Add("urn:a", "a<b>&'\"\t\r\n", "]]>\r\x00\xff")
	f.Fuzz(func(t *testing.T, space, value, text string) {
		if strings.Contains(space, "http://www.w3.org/") {
			return // reserved: the program doesn't use these as they are
		}
		if !plainURI([]byte(space)) || !utf8.ValidString(space) {
			return // namespaces are the program's own
		}
		out := NewBuilder(nil).Open(space, "a").Attr("b", value).Text(text).Open(NSClient, "c").Bytes()
		e, err := parse(out, unlimited())
		if err != nil {
			t.Fatalf("%q doesn't parse: %v", out, err)
		}
		if got, want := string(e.Space()), clean(space); got != want {
			t.Errorf("the namespace is %q; want %q", got, want)
		}
		if got, want := string(e.Attr("b")), clean(value); got != want {
			t.Errorf("the attribute is %q; want %q", got, want)
		}
		if got, want := string(e.Text()), clean(text); got != want {
			t.Errorf("the text is %q; want %q", got, want)
		}
		if !e.Child(NSClient, "c").Valid() {
			t.Error("the child is gone")
		}
	})
}

// clean puts U+FFFD in place of what isn't a Char (XML 1.0 §2.2).
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !legal(r) {
			return '\ufffd'
		}
		return r
	}, s)
}
