package xmlstream

import (
	"io"
	"strings"
	"testing"
)

// child reads one stanza on a stream whose header declares what is given.
func child(t *testing.T, declarations, in string) Element {
	t.Helper()
	r := NewReader(strings.NewReader("<stream:stream "+declarations+" xmlns:stream='http://etherx.jabber.org/streams'>"+in), DefaultLimits())
	if _, err := r.Open(); err != nil {
		t.Fatal(err)
	}
	e, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What is passed on is the bytes that came, or the same tree written anew. "" stands for the bytes that came.
func TestAppend(t *testing.T) {
	const client = "xmlns='jabber:client'"
	tests := []struct{ name, header, in, want string }{
		{"plain", client, "<message to=\"a\"  id = 'b' ><body>c &amp; d&#33;</body>\n<x xmlns='urn:x'/></message >", ""},
		{"default declared again", client, "<message xmlns='jabber:client'><body/></message>", ""},
		{"prefixes of its own", client, "<p:a xmlns:p='urn:p' p:b='c'><p:d xmlns:e='urn:e'><e:f/></p:d></p:a>", ""},
		{"xml prefix", client, "<a xml:lang='en' xml:space='preserve'/>", ""},
		{"quotes and > as they are", client, "<a b='\"' c=\"'>\">\">'</a>", ""},
		{"letters of all kinds", client, "<é ü='ß'>😀</é>", ""},
		{"no namespace, of its own", client, "<a xmlns=''><b/></a>", ""},
		{"back to jabber:client", client, "<a xmlns='urn:a'><b xmlns='jabber:client'/></a>", ""},

		{"CDATA is written escaped", client, "<a><b><![CDATA[<&>]]></b><c d=\"e\"/></a>", "<a><b>&lt;&amp;&gt;</b><c d=\"e\"/></a>"},
		{"CDATA in a namespace", client, "<a xmlns='urn:a'><b><![CDATA[]]></b></a>", "<a xmlns='urn:a'><b/></a>"},
		{"prefix of the stream", client, "<stream:a b='c&apos;\"'><d/></stream:a>",
			"<a xmlns='http://etherx.jabber.org/streams' b='c&apos;&quot;'><d xmlns='jabber:client'/></a>"},
		{"prefix of the stream inside", client, "<a\tb='c'><stream:d/><e  f='g'/></a>",
			"<a b='c'><d xmlns='http://etherx.jabber.org/streams'/><e  f='g'/></a>"},
		{"attribute with the stream's prefix", client, "<a b='c' stream:d='&#9;&#10;&#13;'/>",
			"<a b='c' xmlns:ns1='http://etherx.jabber.org/streams' ns1:d='&#x9;&#xA;&#xD;'/>"},
		{"two attributes in namespaces", client + " xmlns:p='urn:&amp;p'", "<a p:b='1' stream:b='2'/>",
			"<a xmlns:ns0='urn:&amp;p' ns0:b='1' xmlns:ns1='http://etherx.jabber.org/streams' ns1:b='2'/>"},
		{"jabber:client by prefix (RFC 6120 §4.8.2)", "xmlns:c='jabber:client'", "<c:message><c:body>x &gt; y</c:body></c:message>",
			"<message><body>x &gt; y</body></message>"},
		{"prefix-free canonicalization (RFC 6120 §4.8.2)", "xmlns='urn:other'", "<message xmlns='jabber:client'><body/></message>", ""},
		{"another default", "xmlns='jabber:server'", "<message><body/></message>", "<message xmlns='jabber:server'><body/></message>"},
		{"no default", "a=''", "<message><body/></message>", "<message xmlns=''><body/></message>"},
		{"no default, own prefix", "a=''", "<p:a xmlns:p='urn:p'><b/></p:a>", "<a xmlns='urn:p'><b xmlns=''/></a>"},
		{"jabber:client inherited below another", client, "<p:a xmlns:p='urn:p'><b stream:c=''/><d/></p:a>",
			"<a xmlns='urn:p'><b xmlns='jabber:client' xmlns:ns0='http://etherx.jabber.org/streams' ns0:c=''/><d xmlns='jabber:client'/></a>"},
		{"element in the namespace xml", client, "<xml:a><![CDATA[x]]><xml:b/></xml:a>", "<xml:a>x<xml:b/></xml:a>"},
		{"carriage returns", client, "<a>\r\n<b  />\r<c/>\n</a>", "<a>\n<b  />\n<c/>\n</a>"},
		{"white space in attributes", client, "<a b='\t'><c d='&#9;'  e='&#xD;'/><f g='\r\n\n'/></a>", "<a b=' '><c d='&#9;'  e='&#xD;'/><f g='  '/></a>"},
		{"namespace name with a reference", client, "<p:a xmlns:p=\"urn:a'b&amp;&#99;\"/>", ""},
		{"namespace name as an IRI", client, "<a xmlns='http://é.example/'/>", ""},
		{"carriage return by reference", client, "<a>&#13;<![CDATA[\r]]></a>", "<a>&#xD;\n</a>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := child(t, tt.header, tt.in)
			want := tt.want
			if want == "" {
				want = tt.in
			}
			got := string(e.Append([]byte("before ")))
			if got != "before "+want {
				t.Errorf("got  %s\nwant before %s", got, want)
			}
			again, err := Parse([]byte(want), DefaultLimits())
			if err != nil {
				t.Fatalf("the result doesn't parse: %v", err)
			}
			if dump(again) != dump(e) {
				t.Errorf("the result reads as %s\nand not as          %s", dump(again), dump(e))
			}
			if c := e.Clone(); dump(c) != dump(e) || string(c.Append(nil)) != want {
				t.Errorf("the clone is %s", c.Append(nil))
			}
		})
	}
}

func TestAppendInner(t *testing.T) {
	const client = "xmlns='jabber:client'"
	tests := []struct{ name, header, in, want string }{
		{"elements and text", client, "<a> <b/>&lt;<c d=''/>\n</a>", " <b/>&lt;<c d=''/>\n"},
		{"nothing", client, "<a/>", ""},
		{"empty", client, "<a></a>", ""},
		{"the namespace of the outer element", client, "<a xmlns='urn:a'>x<b/></a>", "x<b xmlns='urn:a'/>"},
		{"a prefix of the outer element", client, "<a xmlns:p='urn:p'><p:b/></a>", "<b xmlns='urn:p'/>"},
		{"the outer element's own prefix doesn't matter", client, "<stream:a stream:b=''><c  /></stream:a>", "<c  />"},
		{"CDATA", client, "<a><b/><![CDATA[&]]></a>", "<b/>&amp;"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := child(t, tt.header, tt.in)
			if got := string(e.AppendInner(nil)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			inner, err := ParseInner([]byte(tt.want), DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if got := string(inner.AppendInner(nil)); got != tt.want {
				t.Errorf("parsed and written again: %s\nwant %s", got, tt.want)
			}
			if len(inner.Local()) != 0 {
				t.Errorf("the element around it has the name %q", inner.Local())
			}
		})
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"":                   NotWellFormed,
		"   ":                NotWellFormed,
		"a":                  BadFormat,
		"<a>":                NotWellFormed,
		"<a/><b/>":           NotWellFormed,
		"<a/>b":              NotWellFormed,
		"</a>":               NotWellFormed,
		"<":                  NotWellFormed,
		"<a/":                NotWellFormed,
		"<?xml?><a/>":        RestrictedXML,
		"<a><b:c/></a>":      NotWellFormed,
		" \n<a/> ":           "nothing",
		"<a xmlns='urn:a'/>": "nothing",
	} {
		if _, err := Parse([]byte(in), DefaultLimits()); condition(err) != want {
			t.Errorf("%q: %v; want %s", in, err, want)
		}
	}
	if _, err := ParseInner([]byte("</inner><inner>"), DefaultLimits()); err == nil {
		t.Error("content that closes what is around it was taken")
	}
	if _, err := Parse([]byte("<a>"+strings.Repeat("x", 100)+"</a>"), Limits{MaxBytes: 50}); condition(err) != PolicyViolation {
		t.Errorf("above the limit: %v", err)
	}
}

func TestElement(t *testing.T) {
	e := child(t, "xmlns='jabber:client'", "<message to='' xml:lang='de' stream:to='x'>a<body>b&amp;</body>&lt;<p:body xmlns:p='urn:p' q=''>"+
		"<c/></p:body><body>second</body>d</message>")
	if !e.Is(NSClient, "message") || e.Is(NSClient, "messages") || e.Is("urn:p", "message") {
		t.Error("Is is wrong")
	}
	if v := e.Attr("to"); v == nil || len(v) != 0 {
		t.Errorf("an empty attribute is %#v; want it empty and not nil", v)
	}
	if e.Attr("lang") != nil || e.Attr("from") != nil {
		t.Error("an attribute that isn't there has a value")
	}
	if got := string(e.AttrNS(NSXML, "lang")); got != "de" {
		t.Errorf("xml:lang is %q", got)
	}
	if got := string(e.AttrNS(NSStreams, "to")); got != "x" {
		t.Errorf("stream:to is %q", got)
	}
	if got := string(e.Child(NSClient, "body").Text()); got != "b&" {
		t.Errorf("the first body is %q", got)
	}
	if got := string(e.Text()); got != "a<d" {
		t.Errorf("the text is %q", got)
	}
	if e.Child("urn:q", "body").Valid() || !e.Child("urn:p", "body").Child(NSClient, "c").Valid() {
		t.Error("Child is wrong")
	}
	var names []string
	for c := range e.Children() {
		names = append(names, string(c.Space())+" "+string(c.Local()))
		if len(names) == 2 {
			break
		}
	}
	if strings.Join(names, ", ") != "jabber:client body, urn:p body" {
		t.Errorf("the first two children are %v", names)
	}
	last := e.FirstChild().NextSibling().NextSibling()
	if string(last.Text()) != "second" || last.NextSibling().Valid() {
		t.Error("NextSibling is wrong")
	}
	first := e.FirstChild()
	if _ = append(first.Text(), "overwritten"...); string(last.Text()) != "second" || string(first.NextSibling().Local()) != "body" {
		t.Error("appending to a text changes what stands behind it")
	}

	var none Element
	if none.Valid() || none.Is("", "") || none.Local() != nil || none.Space() != nil || none.Attr("a") != nil || none.AttrNS("", "a") != nil ||
		none.Text() != nil || none.FirstChild().Valid() || none.NextSibling().Valid() || none.Child("", "").Valid() ||
		none.Append(nil) != nil || none.AppendInner(nil) != nil || none.Clone().Valid() {
		t.Error("the invalid element has something")
	}
	for range none.Children() {
		t.Error("the invalid element has a child")
	}
	for range none.Attrs() {
		t.Error("the invalid element has an attribute")
	}
}

// A clone doesn't share memory with the reader.
func TestCloneOutlivesTheReader(t *testing.T) {
	r := NewReader(strings.NewReader(header+"<stream:a b='1&amp;'><c>text &amp;</c></stream:a>"+strings.Repeat("<zzzzzzz y='&lt;&lt;&lt;'>wwwwwwwwwww</zzzzzzz>", 100)), DefaultLimits())
	if _, err := r.Open(); err != nil {
		t.Fatal(err)
	}
	e, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	want, sub := dump(e), dump(e.FirstChild())
	clone, part := e.Clone(), e.FirstChild().Clone()
	for err == nil {
		_, err = r.Next()
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	if got := dump(clone); got != want {
		t.Errorf("the clone reads %s; want %s", got, want)
	}
	if got := dump(part); got != sub {
		t.Errorf("the child's clone reads %s; want %s", got, sub)
	}
}

func TestBuilder(t *testing.T) {
	foreign, err := Parse([]byte("<x xmlns='urn:x'><y/></x>"), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	message, err := Parse([]byte("<message><body>a</body></message>"), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		build func(*Builder) *Builder
		want  string
	}{
		{"empty", func(b *Builder) *Builder { return b.Open(NSClient, "presence").Close() }, "<presence/>"},
		{"attributes", func(b *Builder) *Builder {
			return b.Open(NSClient, "iq").Attr("id", `<'&">`).Attr("xml:lang", "").Close()
		},
			"<iq id='&lt;&apos;&amp;&quot;&gt;' xml:lang=''/>"},
		{"white space in attributes", func(b *Builder) *Builder { return b.Open(NSClient, "iq").Attr("id", "a\tb\nc\rd").Close() },
			"<iq id='a&#x9;b&#xA;c&#xD;d'/>"},
		{"text", func(b *Builder) *Builder { return b.Open(NSClient, "body").Text("a<b>&'\"\n\t\r]]>é😀").Close() },
			"<body>a&lt;b&gt;&amp;'\"\n\t&#xD;]]&gt;é😀</body>"},
		{"what XML has no place for", func(b *Builder) *Builder {
			return b.Open(NSClient, "a").Attr("b", "\x00\xff\ufffe").Text("\x1b[0m\xe2\x82\ufffd\xed\xa0\x80").Close()
		}, "<a b='\ufffd\ufffd\ufffd'>\ufffd[0m\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd</a>"},
		{"namespaces where they change", func(b *Builder) *Builder {
			return b.Open(NSClient, "iq").Open("urn:a", "query").Open("urn:a", "item").Close().Open(NSClient, "x").Close().Open("", "y").Close().Close().Close()
		}, "<iq><query xmlns='urn:a'><item/><x xmlns='jabber:client'/><y xmlns=''/></query></iq>"},
		{"elements", func(b *Builder) *Builder {
			return b.Open("urn:forward", "f").Element(message).Element(foreign).Element(foreign.FirstChild()).Element(Element{}).Close()
		}, "<f xmlns='urn:forward'><message xmlns='jabber:client'><body>a</body></message><x xmlns='urn:x'><y/></x><y xmlns='urn:x'/></f>"},
		{"raw", func(b *Builder) *Builder { return b.Open(NSClient, "iq").Raw([]byte("<a/>")).Raw(nil).Close() }, "<iq><a/></iq>"},
		{"nothing inside", func(b *Builder) *Builder { return b.Open(NSClient, "iq").Raw(nil).Text("").Close() }, "<iq/>"},
		{"deep, and closed by Bytes", func(b *Builder) *Builder {
			for range 10 {
				b.Open(NSClient, "a")
			}
			return b
		}, strings.Repeat("<a>", 9) + "<a/>" + strings.Repeat("</a>", 9)},
		{"namespace xml", func(b *Builder) *Builder { return b.Open(NSXML, "a").Open(NSClient, "b").Close().Close() }, "<xml:a><b/></xml:a>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(tt.build(NewBuilder([]byte(" "))).Bytes())
			if got != " "+tt.want {
				t.Errorf("got  %s\nwant  %s", got, tt.want)
			}
			if _, err := Parse([]byte(got), DefaultLimits()); err != nil {
				t.Errorf("the result doesn't parse: %v", err)
			}
		})
	}
}

// repeat is an endless stream of one stanza.
func repeat(tb testing.TB, s string) *Reader {
	tb.Helper()
	at := 0
	src := readerFunc(func(b []byte) (int, error) {
		n := copy(b, s[at:])
		at = (at + n) % len(s)
		return n, nil
	})
	r := NewReader(io.MultiReader(strings.NewReader(header), src), DefaultLimits())
	if _, err := r.Open(); err != nil {
		tb.Fatal(err)
	}
	return r
}

const chat = `<message to='juliet@example.com/balcony' id='c2s-1234567' type='chat'>` +
	`<body>Neither, fair saint, if either thee dislike &amp; so on, until it is as long as it has to be now...</body>` +
	`<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>` +
	`<markable xmlns='urn:xmpp:chat-markers:0'/>` +
	`<origin-id xmlns='urn:xmpp:sid:0' id='de305d54-75b4-431b-adb2-eb6b9e546013'/></message>`

// Reading a stanza, looking into it and passing it on allocates nothing, whichever way it is passed on.
func TestNoAllocations(t *testing.T) {
	for name, s := range map[string]string{
		"raw":       chat,
		"prefix":    strings.Replace(chat, "<body>", "<stream:x a='&gt;'/><body>", 1),
		"CDATA":     strings.Replace(chat, "<body>", "<body><![CDATA[<]]>", 1),
		"multibyte": strings.Replace(chat, "<body>", "<body>Приве́т 😀", 1),
	} {
		r := repeat(t, s)
		out := make([]byte, 0, 1024)
		step := func() {
			e, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if e.Attr("to") == nil || e.AttrNS(NSXML, "lang") != nil || !e.Child("urn:xmpp:sid:0", "origin-id").Valid() || len(e.Child(NSClient, "body").Text()) == 0 {
				t.Fatal("the stanza reads wrong")
			}
			for c := range e.Children() {
				_ = c.Local()
			}
			out = e.Append(out[:0])
			out = e.AppendInner(out)
		}
		step()
		if n := testing.AllocsPerRun(1000, step); n != 0 {
			t.Errorf("%s: %v allocations a stanza; want none", name, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	r := repeat(b, chat)
	b.SetBytes(int64(len(chat)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClone(b *testing.B) {
	e, err := Parse([]byte(chat), DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Clone()
	}
}
