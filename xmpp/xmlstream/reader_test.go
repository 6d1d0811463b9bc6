package xmlstream

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// header is a client's stream header as RFC 6120 §4.2 has it, and foot its end.
const (
	header = "<?xml version='1.0'?><stream:stream from='juliet@im.example.com' to='im.example.com' version='1.0' xml:lang='en' " +
		"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	foot = "</stream:stream>"
)

// deliveries are the ways in which the same bytes may arrive.
var deliveries = []struct {
	name string
	wrap func(io.Reader) io.Reader
}{
	{"at once", func(r io.Reader) io.Reader { return r }},
	{"byte by byte", iotest.OneByteReader},
	{"in halves", iotest.HalfReader},
	{"with the error", iotest.DataErrReader},
}

// dump writes a tree so that equal trees, and only they, give equal strings.
func dump(e Element) string {
	var b strings.Builder
	dumpTo(&b, e.d, e.n)
	return b.String()
}

func dumpTo(b *strings.Builder, d *document, n int32) {
	nd := &d.nodes[n]
	if nd.kind == textNode {
		fmt.Fprintf(b, "%q", d.bytes(nd.name))
		return
	}
	e := Element{d, n}
	fmt.Fprintf(b, "<{%s}%s", e.Space(), e.Local())
	for a := range e.Attrs() {
		fmt.Fprintf(b, " {%s}%s=%q", a.Space, a.Local, a.Value)
	}
	b.WriteByte('>')
	for c := nd.child; c != 0; c = d.nodes[c].next {
		dumpTo(b, d, c)
	}
	b.WriteString("</>")
}

// readAll reads a whole stream and returns its elements, dumped, and how it ended.
func readAll(r *Reader) (elements []string, err error) {
	e, err := r.Open()
	for err == nil {
		elements = append(elements, dump(e))
		e, err = r.Next()
	}
	return elements, err
}

// condition is the stream error of an error, or the error itself.
func condition(err error) string {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Condition
	case err == nil:
		return "nothing"
	}
	return err.Error()
}

func TestRefusals(t *testing.T) {
	const closed = "the stream was closed by its end tag"
	tests := []struct{ section, in, want string }{
		// RFC 6120 §11.1: what the subset leaves out.
		{"11.1 comment", "<message><!-- no subject --></message>", RestrictedXML},
		{"11.1 comment between stanzas", "<!-- no -->", RestrictedXML},
		{"11.1 comment in text", "<message><body>a<!--b-->c</body></message>", RestrictedXML},
		{"11.1 processing instruction", "<?robot go?>", RestrictedXML},
		{"11.1 processing instruction inside", "<message><?robot go?></message>", RestrictedXML},
		{"11.1 second XML declaration", "<?xml version='1.0'?><message/>", RestrictedXML},
		{"11.1 document type", "<!DOCTYPE lolz>", RestrictedXML},
		{"11.1 document type inside", "<message><!DOCTYPE a></message>", RestrictedXML},
		{"11.1 entity declaration", "<!ENTITY lol 'lol'>", RestrictedXML},
		{"11.1 entity in text", "<message><body>&lol;</body></message>", RestrictedXML},
		{"11.1 entity in attribute", "<message to='&lol;'/>", RestrictedXML},
		{"11.1 HTML entity", "<message><body>&nbsp;</body></message>", RestrictedXML},
		{"11.1 entities are case-sensitive", "<message><body>&AMP;</body></message>", RestrictedXML},
		{"11.1 parameter entity", "<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://evil.example/'> %x;]>", RestrictedXML},

		// XML 1.0 §2.1, §3.1: tags.
		{"3.1 no end tag", "<message><body>No closing tag!</message>", NotWellFormed},
		{"3.1 other end tag", "<message></massage>", NotWellFormed},
		{"3.1 longer end tag", "<message></messages>", NotWellFormed},
		{"3.1 shorter end tag", "<message></messag>", NotWellFormed},
		{"3.1 end tag of another prefix", "<a:b xmlns:a='urn:x' xmlns:c='urn:x'></c:b>", NotWellFormed},
		{"3.1 end tag with an attribute", "<message></message a='b'>", NotWellFormed},
		{"3.1 end tag with a space before its name", "<message></ message>", NotWellFormed},
		{"3.1 wrong end of the stream", "</stream>", NotWellFormed},
		{"3.1 wrong end of the stream", "</stream:streams>", NotWellFormed},
		{"3.1 space before the name", "< message/>", NotWellFormed},
		{"3.1 empty tag", "<>", NotWellFormed},
		{"3.1 slash and space", "<message/ >", NotWellFormed},
		{"3.1 attribute without value", "<message to/>", NotWellFormed},
		{"3.1 attribute without quotes", "<message to=a/>", NotWellFormed},
		{"3.1 attributes without space", "<message to='a'from='b'/>", NotWellFormed},
		{"3.1 attribute twice", "<message to='a' to='a'/>", NotWellFormed},
		{"3.1 < in attribute", "<message to='a<b'/>", NotWellFormed},
		{"3.1 < in tag", "<message <body/>", NotWellFormed},
		{"2.4 bare ampersand", "<message><body>a & b</body></message>", NotWellFormed},
		{"2.4 ampersand without semicolon", "<message><body>&amp </body></message>", NotWellFormed},
		{"2.4 ]]> in text", "<message><body>]]></body></message>", NotWellFormed},
		{"2.4 ]]> in text, escaped twice", "<message><body>]]]></body></message>", NotWellFormed},
		{"2.7 CDATA misspelt", "<message><![CDAT[x]]></message>", NotWellFormed},

		// XML 1.0 §2.3: names.
		{"2.3 digit first", "<1a/>", NotWellFormed},
		{"2.3 hyphen first", "<-a/>", NotWellFormed},
		{"2.3 dot first in an attribute", "<a .b='c'/>", NotWellFormed},
		{"2.3 multiplication sign", "<a\u00d7/>", NotWellFormed},
		{"2.3 combining mark first", "<\u0301a/>", NotWellFormed},
		{"2.3 middle dot first", "<\u00b7a/>", NotWellFormed},
		{"2.3 Greek question mark", "<a\u037e/>", NotWellFormed},
		{"2.3 name of the fifth edition only", "<a\u0221/>", PolicyViolation},
		{"2.3 name of the fifth edition only, at the start", "<message \U00010400='a'/>", PolicyViolation},
		{"2.3 exclamation mark", "<a!/>", NotWellFormed},

		// XML 1.0 §2.2, §4.1: characters.
		{"2.2 NUL", "<message><body>\x00</body></message>", NotWellFormed},
		{"2.2 NUL between stanzas", "\x00", NotWellFormed},
		{"2.2 control character", "<message><body>\x1b[0m</body></message>", NotWellFormed},
		{"2.2 control character in attribute", "<message to='\x01'/>", NotWellFormed},
		{"2.2 control character in CDATA", "<message><![CDATA[\x02]]></message>", NotWellFormed},
		{"2.2 control character in tag", "<message\x03/>", NotWellFormed},
		{"2.2 U+FFFE", "<message><body>\ufffe</body></message>", NotWellFormed},
		{"2.2 U+FFFF in attribute", "<message to='\uffff'/>", NotWellFormed},
		{"4.1 &#0;", "<message><body>&#0;</body></message>", NotWellFormed},
		{"4.1 &#xD800;", "<message><body>&#xD800;</body></message>", NotWellFormed},
		{"4.1 &#xFFFE;", "<message to='&#xFFFE;'/>", NotWellFormed},
		{"4.1 &#x110000;", "<message><body>&#x110000;</body></message>", NotWellFormed},
		{"4.1 a number beyond all", "<message><body>&#99999999999999999999;</body></message>", NotWellFormed},
		{"4.1 number beyond 32 bits that wraps to A", "<message><body>&#x100000041;</body></message>", NotWellFormed},
		{"4.1 &#;", "<message><body>&#;</body></message>", NotWellFormed},
		{"4.1 &#x;", "<message><body>&#x;</body></message>", NotWellFormed},
		{"4.1 &#X41;", "<message><body>&#X41;</body></message>", NotWellFormed},
		{"4.1 &#1a;", "<message><body>&#1a;</body></message>", NotWellFormed},
		{"4.1 control by number", "<message><body>&#1;</body></message>", NotWellFormed},

		// RFC 6120 §11.6, §4.9.3.22: UTF-8.
		{"11.6 overlong", "<message><body>\xc0\xaf</body></message>", UnsupportedEncoding},
		{"11.6 overlong NUL", "<message><body>\xc0\x80</body></message>", UnsupportedEncoding},
		{"11.6 surrogate", "<message><body>\xed\xa0\x80</body></message>", UnsupportedEncoding},
		{"11.6 beyond Unicode", "<message><body>\xf4\x90\x80\x80</body></message>", UnsupportedEncoding},
		{"11.6 truncated", "<message><body>\xe2\x82</body></message>", UnsupportedEncoding},
		{"11.6 stray continuation", "<message><body>\x80</body></message>", UnsupportedEncoding},
		{"11.6 Latin-1 in attribute", "<message to='\xe9'/>", UnsupportedEncoding},
		{"11.6 Latin-1 in name", "<caf\xe9/>", UnsupportedEncoding},
		{"11.6 Latin-1 in CDATA", "<message><![CDATA[\xe9]]></message>", UnsupportedEncoding},

		// RFC 6120 §11.3 and Namespaces in XML 1.0.
		{"11.3 undeclared prefix", "<message><foo:body>What is this foo?</foo:body></message>", NotWellFormed},
		{"11.3 undeclared prefix of an attribute", "<message foo:a='b'/>", NotWellFormed},
		{"11.3 prefix out of scope", "<message><a xmlns:p='urn:p'/><p:b/></message>", NotWellFormed},
		{"NS 3 xml bound otherwise", "<message xmlns:xml='urn:x'/>", NotWellFormed},
		{"NS 3 another prefix for xml", "<message xmlns:x='http://www.w3.org/XML/1998/namespace'/>", NotWellFormed},
		{"NS 3 xml as default", "<message xmlns='http://www.w3.org/XML/1998/namespace'/>", NotWellFormed},
		{"NS 3 xmlns declared", "<message xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", NotWellFormed},
		{"NS 3 xmlns namespace", "<message xmlns:x='http://www.w3.org/2000/xmlns/'/>", NotWellFormed},
		{"NS 3 element with prefix xmlns", "<xmlns:a/>", NotWellFormed},
		{"NS 5 prefix undeclared again", "<message xmlns:x=''/>", NotWellFormed},
		{"NS 2.1 space in a namespace name", "<message xmlns='urn: x'/>", PolicyViolation},
		{"NS 2.1 line end in a namespace name", "<message xmlns:a='urn:\nx'/>", PolicyViolation},
		{"NS 2.1 brace in a namespace name", "<message xmlns:a='urn:}x'/>", PolicyViolation},
		{"NS 2.1 bar in a namespace name", "<message xmlns='a|b'/>", PolicyViolation},
		{"NS 2.1 quote in a namespace name", "<message xmlns='a\"b'/>", PolicyViolation},
		{"NS 2.1 > in a namespace name, by reference", "<message xmlns='a&gt;b'/>", PolicyViolation},
		{"NS 2.1 control character in a namespace name", "<message xmlns='a\x01b'/>", NotWellFormed},
		{"NS 4 two colons", "<a:b:c xmlns:a='urn:a'/>", NotWellFormed},
		{"NS 4 empty prefix", "<:a/>", NotWellFormed},
		{"NS 4 empty local name", "<stream:/>", NotWellFormed},
		{"NS 4 colon and digit", "<stream:1/>", NotWellFormed},
		{"NS 6.3 one attribute by two prefixes", "<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='1' q:b='2'/>", NotWellFormed},
		{"NS 6.3 one declaration twice", "<a xmlns:p='urn:x' xmlns:p='urn:x'/>", NotWellFormed},
		{"NS 6.3 default twice", "<a xmlns='urn:x' xmlns='urn:x'/>", NotWellFormed},
		{"NS 6.3 by a reference in the name", "<a xmlns:p='urn:x' xmlns:q='urn:&#120;' p:b='1' q:b='2'/>", NotWellFormed},

		// RFC 6120 §4.9.3.1: what has no place between stanzas.
		{"text between stanzas", "<message/>hello", BadFormat},
		{"reference between stanzas", "&amp;", BadFormat},
		{"CDATA between stanzas", "<![CDATA[ ]]>", BadFormat},

		// RFC 6120 §4.4: the end.
		{"4.4 closed", "<message/>" + foot, closed},
		{"4.4 closed with a space in the tag", "</stream:stream >", closed},
		{"4.4 cut off between stanzas", "<message/>", "EOF"},
		{"4.4 cut off inside a stanza", "<message><bo", "unexpected EOF"},
		{"4.4 cut off inside the end tag", "</stream:", "unexpected EOF"},
		{"4.4 cut off inside a character", "<message><body>\xe2\x82", "unexpected EOF"},
	}
	for _, tt := range tests {
		for _, d := range deliveries {
			t.Run(tt.section+" "+d.name, func(t *testing.T) {
				r := NewReader(d.wrap(strings.NewReader(header+tt.in)), DefaultLimits())
				_, err := readAll(r)
				if got := condition(err); got != tt.want {
					t.Fatalf("%q ended in %v; want %s", tt.in, err, tt.want)
				}
				if _, again := r.Next(); condition(again) != condition(err) {
					t.Errorf("asked again: %v; want the same as before, %v", again, err)
				}
			})
		}
	}
}

// What arrives is refused at once: a peer that waits for the answer to a fault gets it without having to send more.
func TestRefusalsAreImmediate(t *testing.T) {
	for _, in := range []string{
		"<!-", "<!D", "<?", "<message><!-", "<message><!E", "<message><?", "<message></b", "<message></messages",
		"<1", "<message to=a", "<message><body>\xff", "<message><body>&x;", "<message><body>]]>", "x", "</stream>",
		"<message><body>&#0;", "<message><body>& ", "<message><![X", "<a to='<",
	} {
		src := io.MultiReader(strings.NewReader(header+in), iotest.ErrReader(errSilence))
		_, err := readAll(NewReader(src, DefaultLimits()))
		if e := (*Error)(nil); !errors.As(err, &e) {
			t.Errorf("%q gave %v; want a stream error", in, err)
		}
	}
}

var errSilence = errors.New("the peer sends nothing more")

func TestStreamHeader(t *testing.T) {
	const open = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com'>"
	tests := []struct{ name, in, want string }{
		{"without declaration", open, "nothing"},
		{"with declaration (RFC 6120 §11.4)", "<?xml version='1.0'?>" + open, "nothing"},
		{"with everything", "<?xml version=\"1.0\" encoding='UTF-8' standalone='yes' ?>\r\n" + open, "nothing"},
		{"encoding in lower case", "<?xml version='1.0' encoding='utf-8'?>" + open, "nothing"},
		{"white space before", "\n " + open, "nothing"},
		{"another prefix (RFC 6120 §4.8.5)", "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' to='example.com'>", "nothing"},
		{"no prefix", "<stream xmlns='http://etherx.jabber.org/streams' to='example.com'>", "nothing"},
		{"Latin-1 (RFC 6120 §11.6)", "<?xml version='1.0' encoding='ISO-8859-1'?>" + open, UnsupportedEncoding},
		{"UTF-16 by declaration", "<?xml version='1.0' encoding='UTF-16'?>" + open, UnsupportedEncoding},
		{"UTF-16 with byte order mark, little-endian", "\xff\xfe<\x00?\x00", UnsupportedEncoding},
		{"UTF-16 with byte order mark, big-endian", "\xfe\xff\x00<\x00?", UnsupportedEncoding},
		{"UTF-16 without byte order mark, little-endian", "<\x00?\x00", UnsupportedEncoding},
		{"UTF-16 without byte order mark, big-endian", "\x00<\x00?", UnsupportedEncoding},
		{"byte order mark (RFC 6120 §11.6: a character like any other)", "\ufeff" + open, NotWellFormed},
		{"XML 1.1", "<?xml version='1.1'?>" + open, NotWellFormed},
		{"declaration without version", "<?xml encoding='UTF-8'?>" + open, NotWellFormed},
		{"declaration in the wrong order", "<?xml encoding='UTF-8' version='1.0'?>" + open, NotWellFormed},
		{"empty declaration", "<?xml?>" + open, NotWellFormed},
		{"declaration with a reference", "<?xml version='1&#46;0'?>" + open, NotWellFormed},
		{"two declarations", "<?xml version='1.0'?><?xml version='1.0'?>" + open, RestrictedXML},
		{"stylesheet", "<?xml-stylesheet href='a'?>" + open, RestrictedXML},
		{"processing instruction", "<?php ?>" + open, RestrictedXML},
		{"document type", "<!DOCTYPE stream>" + open, RestrictedXML},
		{"document type after the declaration", "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]>" + open, RestrictedXML},
		{"comment", "<!-- -->" + open, RestrictedXML},
		{"text", "GET / HTTP/1.1\r\n\r\n", NotWellFormed},
		{"TLS handshake", "\x16\x03\x01\x02\x00\x01", NotWellFormed},
		{"prefix not declared (RFC 6120 §4.9.3.2)", "<stream:stream xmlns='jabber:client' to='example.com'>", BadNamespacePrefix},
		{"end tag", "</stream:stream>", NotWellFormed},
		{"nothing", "", "EOF"},
		{"half", "<stream:stream to='exa", "unexpected EOF"},
	}
	for _, tt := range tests {
		for _, d := range deliveries {
			t.Run(tt.name+" "+d.name, func(t *testing.T) {
				e, err := NewReader(d.wrap(strings.NewReader(tt.in)), PreAuthLimits()).Open()
				if got := condition(err); got != tt.want {
					t.Fatalf("%q: %v; want %s", tt.in, err, tt.want)
				}
				if err == nil && (!e.Is(NSStreams, "stream") || string(e.Attr("to")) != "example.com") {
					t.Errorf("%q reads as %s", tt.in, dump(e))
				}
			})
		}
	}
}

// stanzas is a stream that has all that the grammar allows.
const stanzas = `<message to='romeo@example.net' id="a'1" xml:lang='en' ><body>Art thou not &lt;Romeo&gt;, &amp; a
Montague?</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p>é &#233; &#xe9;
&#x1F600; 😀</p></body></html></message>` + "\r\n \t" +
	`<iq type='set' id='&quot;&apos;&#10;	'><stream:x stream:y='z' y='w'/></iq>` +
	"<presence></presence   ><a:iq\txmlns:a\n=\r\n'jabber:client'\ta:b = \"\">a<![CDATA[<b>&amp;]]]]>c<![CDATA[]]></a:iq>" +
	"<ünïcode-name_1.2 a·b='1'>]] ]>\r\nx\ry</ünïcode-name_1.2>"

// RFC 6120 §4.1: a stream is a stream of bytes, and how they are cut into packets means nothing. The stream is longer than
// the buffer by far, so that its pieces fall everywhere in it.
func TestFragmentation(t *testing.T) {
	const times = 20
	whole := header + strings.Repeat(stanzas, times) + foot
	want, err := readAll(NewReader(strings.NewReader(whole), DefaultLimits()))
	if err != ErrClosed {
		t.Fatal(err)
	}
	if len(want) != 1+5*times {
		t.Fatalf("%d elements; want the header and %d", len(want), 5*times)
	}
	for size := 1; size < 2*idleBuffer; size += 1 + size/40 {
		got, err := readAll(NewReader(&pieces{s: whole, size: size}, DefaultLimits()))
		if err != ErrClosed {
			t.Fatalf("pieces of %d: %v", size, err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("pieces of %d: element %d is %s; want %s", size, i, got[i], want[i])
			}
		}
	}
}

// pieces delivers at most size bytes a read.
type pieces struct {
	s    string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.s == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.s)
	p.s = p.s[n:]
	return n, nil
}

func TestTree(t *testing.T) {
	got, err := readAll(NewReader(strings.NewReader(header+stanzas+foot), DefaultLimits()))
	if err != ErrClosed {
		t.Fatal(err)
	}
	want := []string{
		`<{http://etherx.jabber.org/streams}stream {}from="juliet@im.example.com" {}to="im.example.com" {}version="1.0" ` +
			`{http://www.w3.org/XML/1998/namespace}lang="en"></>`,
		`<{jabber:client}message {}to="romeo@example.net" {}id="a'1" {http://www.w3.org/XML/1998/namespace}lang="en">` +
			`<{jabber:client}body>"Art thou not <Romeo>, & a\nMontague?"</><{http://jabber.org/protocol/xhtml-im}html>` +
			`<{http://www.w3.org/1999/xhtml}body><{http://www.w3.org/1999/xhtml}p>"é é é\n😀 😀"</></></></>`,
		// XML 1.0 §3.3.3: a tab reads as a space, a reference to a line feed doesn't.
		`<{jabber:client}iq {}type="set" {}id="\"'\n "><{http://etherx.jabber.org/streams}x ` +
			`{http://etherx.jabber.org/streams}y="z" {}y="w"></></>`,
		`<{jabber:client}presence></>`,
		`<{jabber:client}iq {jabber:client}b="">"a<b>&amp;]]c"</>`,
		`<{jabber:client}ünïcode-name_1.2 {}a·b="1">"]] ]>\nx\ny"</>`, // XML 1.0 §2.11: line ends
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("element %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
}

// A read that times out can be tried again, in the middle of a stanza as well (keepalives by deadline rely on it).
func TestTimeoutsLoseNothing(t *testing.T) {
	want, _ := readAll(NewReader(strings.NewReader(header+stanzas+foot), DefaultLimits()))
	r := NewReader(&timeouts{s: header + stanzas + foot}, DefaultLimits())
	var got []string
	read := r.Open
	for {
		e, err := read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			if err != ErrClosed {
				t.Fatal(err)
			}
			break
		}
		got = append(got, dump(e))
		read = r.Next
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("with timeouts:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// timeouts times out before each seven bytes.
type timeouts struct {
	s   string
	odd bool
}

func (s *timeouts) Read(b []byte) (int, error) {
	if s.odd = !s.odd; s.odd {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(b[:min(len(b), 7)], s.s)
	s.s = s.s[n:]
	return n, nil
}

// RFC 6120 §5.4.3.3, §6.4.6: after STARTTLS and SASL a new stream begins, and what came before it is forgotten.
func TestResetForgets(t *testing.T) {
	r := NewReader(strings.NewReader(header+"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><iq injected='1'"), DefaultLimits())
	if _, err := r.Open(); err != nil {
		t.Fatal(err)
	}
	e, err := r.Next()
	if err != nil || string(e.Local()) != "starttls" {
		t.Fatal(err)
	}
	if n := r.Buffered(); n != len("<iq injected='1'") {
		t.Errorf("%d bytes buffered behind the request for TLS; want %d", n, len("<iq injected='1'"))
	}
	r.Reset(strings.NewReader("<s:stream xmlns:s='http://etherx.jabber.org/streams'><ping/></s:stream>"))
	if n := r.Buffered(); n != 0 {
		t.Errorf("%d bytes buffered after Reset", n)
	}
	got, err := readAll(r)
	if err != ErrClosed || len(got) != 2 || got[1] != "<{}ping></>" {
		t.Errorf("the new stream reads as %v, %v; the old one's default namespace must be gone", got, err)
	}
}

// A name is taken if both the fifth edition of XML 1.0 and its parsers of the fourth, of which encoding/xml is one, know it.
func TestNames(t *testing.T) {
	knows := func(s string) bool {
		d := xml.NewDecoder(strings.NewReader(s))
		for {
			if _, err := d.Token(); err != nil {
				return err == io.EOF
			}
		}
	}
	for r := rune(0x80); r < 0x12000; r++ {
		if r >= 0xd800 && r < 0xe000 {
			continue
		}
		for _, name := range []string{string(r), "a" + string(r)} {
			_, err := Parse([]byte("<"+name+"/>"), DefaultLimits())
			fifth := nameStart(r) || name[0] == 'a' && nameRune(r)
			if want := fifth && knows("<"+name+"/>"); (err == nil) != want {
				t.Errorf("the name %q (%U): %v; taken by both editions: %v", name, r, err, want)
			}
			if !fifth && condition(err) != NotWellFormed || fifth && err != nil && condition(err) != PolicyViolation {
				t.Errorf("the name %q (%U) gave %v", name, r, err)
			}
		}
	}
}

func TestCallsOutOfOrder(t *testing.T) {
	r := NewReader(strings.NewReader(header+"<message/>"), DefaultLimits())
	if _, err := r.Next(); err == nil {
		t.Error("Next before Open gave no error")
	}
	if _, err := r.Open(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(); err == nil {
		t.Error("a second Open gave no error")
	}
	if _, err := r.Next(); err != nil {
		t.Errorf("after that, Next: %v", err)
	}
}

func TestSelfClosedStream(t *testing.T) {
	r := NewReader(strings.NewReader("<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>"), DefaultLimits())
	if e, err := r.Open(); err != nil || !e.Is(NSStreams, "stream") {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != ErrClosed {
		t.Errorf("Next: %v; want ErrClosed", err)
	}
}

// TestBorrow: a reader that waits between elements says so to its source, and holds no buffer once the source has said that nothing is there.
func TestBorrow(t *testing.T) {
	var lender Buffers
	var r *Reader
	later := errors.New("nothing is there")
	pieces := []string{header, " ", "<a>", "b</a><c/>", ""}
	asked := 0
	r = NewReader(readerFunc(func(b []byte) (int, error) {
		asked++
		if asked%2 == 1 && r.Waits() {
			return 0, later
		}
		if len(pieces) == 0 {
			return 0, io.EOF
		}
		n := copy(b, pieces[0])
		pieces = pieces[1:]
		return n, nil
	}), DefaultLimits())
	r.Borrow(&lender)
	var got []string
	for read := r.Open; ; read = r.Next {
		e, err := read()
		for tries := 0; err == later; tries++ {
			if r.p.buf != nil || r.small != nil || tries > 3 {
				t.Fatalf("a reader that waits holds %d bytes", cap(r.p.buf))
			}
			e, err = read()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(e.Local()))
	}
	if want := []string{"stream", "a", "c"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
