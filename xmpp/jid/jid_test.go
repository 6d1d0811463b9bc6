package jid

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// RFC 7622 §3.5, table 1: what is a JID. The parts are as preparation leaves them.
func TestRFC7622Table1(t *testing.T) {
	tests := []struct{ n, in, local, domain, resource string }{
		{"1", "juliet@example.com", "juliet", "example.com", ""},
		{"2", "juliet@example.com/foo", "juliet", "example.com", "foo"},
		{"3", "juliet@example.com/foo bar", "juliet", "example.com", "foo bar"},
		{"4", "juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"},
		{"5", `foo\20bar@example.com`, `foo\20bar`, "example.com", ""},
		{"6", "fussball@example.com", "fussball", "example.com", ""},
		{"7", "fu\u00dfball@example.com", "fu\u00dfball", "example.com", ""}, // another address than 6
		{"8", "\u03c0@example.com", "\u03c0", "example.com", ""},
		{"9", "\u03a3@example.com/foo", "\u03c3", "example.com", "foo"}, // the same as 10
		{"10", "\u03c3@example.com/foo", "\u03c3", "example.com", "foo"},
		{"11", "\u03c2@example.com/foo", "\u03c2", "example.com", "foo"}, // another than 9 and 10
		{"12", "king@example.com/\u265a", "king", "example.com", "\u265a"},
		{"13", "example.com", "", "example.com", ""},
		{"14", "example.com/foobar", "", "example.com", "foobar"},
		{"15", "a.example.com/b@example.net", "", "a.example.com", "b@example.net"},
	}
	for _, tt := range tests {
		j, err := Parse(tt.in)
		if err != nil {
			t.Errorf("%s: %q: %v", tt.n, tt.in, err)
			continue
		}
		if j.Local() != tt.local || j.Domain() != tt.domain || j.Resource() != tt.resource {
			t.Errorf("%s: %q is %q, %q, %q", tt.n, tt.in, j.Local(), j.Domain(), j.Resource())
		}
		checkJID(t, j)
	}
}

// RFC 7622 §3.5, table 2: what isn't.
func TestRFC7622Table2(t *testing.T) {
	for _, in := range []string{
		`"juliet"@example.com`,
		"foo bar@example.com",
		"juliet@example.com/ foo",
		"@example.com/",
		"henry\u2163@example.com",
		"\u265a@example.com",
		"juliet@",
		"/foobar",
	} {
		if j, err := Parse(in); err == nil {
			t.Errorf("%q was taken as %q", in, j)
		} else if !IsMalformed(err) {
			t.Errorf("%q: the error %v isn't one of addresses", in, err)
		}
	}
}

func TestMore(t *testing.T) {
	long := strings.Repeat("a", MaxPart)
	tests := []struct{ why, in, want string }{
		{"§3.1 the first slash counts", "a@b/c/d@e", "a@b/c/d@e"},
		{"§3.1 the first at sign counts", "a@b@c", ""},
		{"§3.1 at sign and slash in the resourcepart", "b//@", "b//@"},
		{"nothing", "", ""},
		{"only separators", "@/", ""},
		{"§3.1 empty resourcepart", "a@b/", ""},
		{"§3.1 empty localpart", "@b/c", ""},

		// §3.2
		{"domain in upper case", "EXAMPLE.com", "example.com"},
		{"final dot", "a@example.com./r", "a@example.com/r"},
		{"two final dots", "example.com..", ""},
		{"only a dot", ".", ""},
		{"empty label", "a..b", ""},
		{"first label empty", ".a", ""},
		{"label ends in a hyphen", "a-.b", ""},
		{"label begins with a hyphen", "a.-b", ""},
		{"hyphens inside", "a-b--c.d-e", "a-b--c.d-e"},
		{"hyphens in third and fourth place (RFC 5890 §2.3.1)", "ab--c.d", ""},
		{"underscore", "a_b.c", ""},
		{"space", "a b", ""},
		{"percent", "a%b", ""},
		{"port", "a:5222", ""},
		{"label of 63", strings.Repeat("a", 63) + ".b", strings.Repeat("a", 63) + ".b"},
		{"label of 64", strings.Repeat("a", 64) + ".b", ""},
		{"name of 253", strings.Repeat("a.", 126) + "b", strings.Repeat("a.", 126) + "b"},
		{"name of 255", strings.Repeat("a.", 127) + "b", ""},
		{"one label", "localhost", "localhost"},
		{"U-label", "bücher.example", "bücher.example"},
		{"U-label in upper case", "BÜCHER.example", "bücher.example"},
		{"U-label decomposed", "bu\u0308cher.example", "bücher.example"},
		{"A-label becomes a U-label", "a@xn--bcher-kva.example", "a@bücher.example"},
		{"A-label in upper case", "XN--BCHER-KVA.example", "bücher.example"},
		{"A-label that is none", "xn--a.example", ""},
		{"A-label of plain ASCII", "xn--abc-.example", ""},
		{"sharp s stays (IDNA2008)", "faß.example", "faß.example"},
		{"final sigma stays (IDNA2008)", "βόλος.example", "βόλος.example"},
		{"symbol", "♚.example", ""},
		{"emoji", "😀.example", ""},
		{"joiner without context (RFC 5892 §A.2)", "a\u200db.example", ""},
		{"right-to-left", "\u05d0\u05d1.example", "\u05d0\u05d1.example"},
		{"Bidi rule (RFC 5893)", "a\u05d0.example", ""},
		{"full width", "ｅｘａｍｐｌｅ.com", "example.com"},
		{"slash by mapping", "a\u2100b.example", ""}, // U+2100 would map to a/c
		{"bad UTF-8", "a\xff.b", ""},

		{"IPv4", "a@192.0.2.1/r", "a@192.0.2.1/r"},
		{"IPv4 out of range", "192.0.2.256", ""},
		{"IPv4 with leading zeros", "192.0.02.1", ""},
		{"three numbers", "192.0.2", ""},
		{"five numbers", "192.0.2.1.1", ""},
		{"number", "2130706433", ""},
		{"last label a number", "example.1", ""},
		{"first label a number", "1.example", "1.example"},
		{"label begins with a digit", "1a.2b", "1a.2b"},
		{"IPv6", "a@[2001:db8::1]/r", "a@[2001:db8::1]/r"},
		{"IPv6 in another spelling (RFC 5952)", "[2001:0DB8:0:0:0:0:0:1]", "[2001:db8::1]"},
		{"IPv6 with IPv4", "[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]"},
		{"IPv6 without brackets", "2001:db8::1", ""},
		{"IPv6 half bracketed", "[2001:db8::1", ""},
		{"IPv6 with zone", "[fe80::1%eth0]", ""},
		{"IPv4 in brackets", "[192.0.2.1]", ""},
		{"name in brackets", "[example.com]", ""},
		{"empty brackets", "[]", ""},

		// §3.3
		{"upper case", "Juliet@example.com", "juliet@example.com"},
		{"upper case beyond ASCII", "ÉMILE@example.com", "émile@example.com"},
		{"decomposed", "e\u0301@example.com", "é@example.com"},
		{"full width (RFC 8265 §3.3.1)", "ｊｕｌｉｅｔ@example.com", "juliet@example.com"},
		{"at sign in full width", "a＠b@example.com", ""},
		{"less-than in full width", "a\uff1cb@example.com", ""},
		{"apostrophe", "d'artagnan@example.com", ""},
		{"ampersand", "a&b@example.com", ""},
		{"colon", "a:b@example.com", ""},
		{"less-than", "a<b@example.com", ""},
		{"greater-than", "a>b@example.com", ""},
		{"other marks", "!#$%()*+,-.;=?[\\]^_`{|}~@example.com", "!#$%()*+,-.;=?[\\]^_`{|}~@example.com"},
		{"control character", "a\x7fb@example.com", ""},
		{"no-break space", "a\u00a0b@example.com", ""},
		{"ligature (RFC 8264 §9.17)", "\ufb01nger@example.com", ""},
		{"emoji", "😀@example.com", ""},
		{"soft hyphen", "a\u00adb@example.com", ""},
		{"Bidi rule", "a\u05d0@example.com", ""},
		{"right-to-left", "\u05d0\u05d1@example.com", "\u05d0\u05d1@example.com"},
		{"1023 bytes", long + "@example.com", long + "@example.com"},
		{"1024 bytes", "a" + long + "@example.com", ""},
		{"1024 bytes, not ASCII", strings.Repeat("é", 512) + "@example.com", ""},
		{"1022 bytes, not ASCII", strings.Repeat("é", 511) + "@example.com", strings.Repeat("é", 511) + "@example.com"},
		{"bad UTF-8", "a\xc0\xaf@example.com", ""},
		{"NUL", "a\x00@example.com", ""},

		// §3.4
		{"case stays", "b/Home", "b/Home"},
		{"composed", "b/e\u0301", "b/é"},
		{"other spaces become spaces (RFC 8265 §4.2.1)", "b/a\u3000b", "b/a b"},
		{"leading space by mapping", "b/\u3000a", ""},
		{"final space", "b/a ", "b/a "},
		{"everything in ASCII", "b/\"&'/:<>@\\ ~", "b/\"&'/:<>@\\ ~"},
		{"full width stays", "b/ａ", "b/ａ"},
		{"emoji", "b/😀", "b/😀"},
		{"control character", "b/a\tb", ""},
		{"NUL", "b/\x00", ""},
		{"bad UTF-8", "b/\xff", ""},
		{"unassigned", "b/\U000e0fff", ""},
		{"1023 bytes", "b/" + long, "b/" + long},
		{"1024 bytes", "b/" + long + "a", ""},
		{"everything at its longest", long + "@" + strings.Repeat("a.", 126) + "b/" + long, long + "@" + strings.Repeat("a.", 126) + "b/" + long},
		{"absurd", strings.Repeat("a", 1<<20), ""},
	}
	for _, tt := range tests {
		j, err := Parse(tt.in)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%s: %q was taken as %q", tt.why, tt.in, j)
		case tt.want == "":
			if !IsMalformed(err) || !j.IsZero() {
				t.Errorf("%s: %q gave %v and %q", tt.why, tt.in, err, j)
			}
		case err != nil:
			t.Errorf("%s: %q: %v", tt.why, tt.in, err)
		case j.String() != tt.want:
			t.Errorf("%s: %q is %q; want %q", tt.why, tt.in, j, tt.want)
		default:
			checkJID(t, j)
		}
	}
}

// checkJID holds an address to what every one has to keep.
func checkJID(t *testing.T, j JID) {
	t.Helper()
	if again, err := Parse(j.String()); err != nil || again != j {
		t.Errorf("%q parsed again is %q, %v", j, again, err)
	}
	if again, err := New(j.Local(), j.Domain(), j.Resource()); err != nil || again != j {
		t.Errorf("%q composed again is %q, %v", j, again, err)
	}
	if b, err := Parse(j.Bare().String()); err != nil || b != j.Bare() || j.Bare().IsFull() || !j.Bare().IsBare() {
		t.Errorf("the bare address of %q is %q, %v", j, j.Bare(), err)
	}
	if h, err := Parse(j.Host().String()); err != nil || h != j.Host() || h.String() != j.Domain() || h.Local() != "" || h.Resource() != "" {
		t.Errorf("the host of %q is %q, %v", j, j.Host(), err)
	}
	if w, err := j.Bare().WithResource(j.Resource()); err != nil || w != j {
		t.Errorf("%q with its resource is %q, %v", j, w, err)
	}
	if j.IsFull() == j.IsBare() || j.IsFull() != (j.Resource() != "") || j.IsZero() {
		t.Errorf("%q is full: %v, bare: %v", j, j.IsFull(), j.IsBare())
	}
	for part, s := range map[string]string{"local": j.Local(), "domain": j.Domain(), "resource": j.Resource()} {
		if len(s) > MaxPart {
			t.Errorf("the %spart of %q is longer than %d bytes", part, j, MaxPart)
		}
	}
}

func TestZero(t *testing.T) {
	var j JID
	if !j.IsZero() || j.IsBare() || j.IsFull() || j.String() != "" || j.Local() != "" || j.Domain() != "" || j.Resource() != "" ||
		!j.Bare().IsZero() || !j.Host().IsZero() {
		t.Error("the zero value is something")
	}
	if _, err := j.WithResource("a"); err == nil {
		t.Error("no address was given a resource")
	}
}

func TestWithResource(t *testing.T) {
	j := MustParse("a@b/c")
	if w, err := j.WithResource("D"); err != nil || w != MustParse("a@b/D") {
		t.Errorf("%q, %v", w, err)
	}
	if w, err := j.WithResource(""); err != nil || w != MustParse("a@b") {
		t.Errorf("%q, %v", w, err)
	}
	if _, err := j.WithResource("\x00"); !IsMalformed(err) {
		t.Errorf("%v", err)
	}
	if w, err := MustParse("b").WithResource("c"); err != nil || w != MustParse("b/c") {
		t.Errorf("%q, %v", w, err)
	}
}

// Addresses serve as map keys, however they were made.
func TestComparable(t *testing.T) {
	m := map[JID]int{MustParse("Juliet@EXAMPLE.com/Balcony"): 1}
	n, err := New("juliet", "example.com.", "Balcony")
	if err != nil || m[n] != 1 {
		t.Errorf("%q isn't found, %v", n, err)
	}
	if m[MustParse("juliet@example.com/balcony")] != 0 {
		t.Error("resourceparts are case-sensitive (RFC 7622 §3.4)")
	}
}

func TestCompare(t *testing.T) {
	sorted := []string{"a", "a/a", "a/b", "a@a", "a@a/a", "b@a", "a@a.b", "b", "a@c"}
	var js []JID
	for _, s := range sorted {
		js = append(js, MustParse(s))
	}
	slices.Reverse(js)
	slices.SortFunc(js, JID.Compare)
	for i, s := range sorted {
		if js[i].String() != s {
			t.Fatalf("sorted: %v; want %v", js, sorted)
		}
	}
}

func TestText(t *testing.T) {
	var j JID
	if err := j.UnmarshalText([]byte("A@b/c")); err != nil || j != MustParse("a@b/c") {
		t.Errorf("%q, %v", j, err)
	}
	if b, err := j.MarshalText(); err != nil || string(b) != "a@b/c" {
		t.Errorf("%q, %v", b, err)
	}
	if err := j.UnmarshalText([]byte("@")); err == nil || j != MustParse("a@b/c") {
		t.Errorf("a bad address: %v, and %q is left", err, j)
	}
	if err := j.UnmarshalText(nil); err != nil || !j.IsZero() {
		t.Errorf("%q, %v", j, err)
	}
}

func TestMustParse(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "localpart") {
			t.Errorf("it panicked with %v; want the reason", r)
		}
	}()
	MustParse("@a")
}

// Errors say which part is wrong and why, and can be shown to people.
func TestErrors(t *testing.T) {
	for in, want := range map[string]string{
		"a@":       "the domainpart of the XMPP address is empty",
		"a<b@c":    "the localpart of the XMPP address contains <, which isn't allowed there",
		"a b@c":    "the localpart of the XMPP address contains characters that aren't allowed there",
		"b/ a":     "the resourcepart of the XMPP address begins with a space",
		"a_b":      "the domainpart of the XMPP address contains _, which isn't allowed there",
		"a.b:5222": "the domainpart of the XMPP address contains :, which isn't allowed there",
		"a b":      "the domainpart of the XMPP address contains a space, which isn't allowed there",
		"a\tb":     "the domainpart of the XMPP address contains a control character, which isn't allowed there",
		".a":       "the domainpart of the XMPP address begins with a dot",
		"a..b":     "the domainpart of the XMPP address has two dots in a row",
		"a.-b.c":   "the domainpart of the XMPP address has the label \"-b\", which begins or ends with a hyphen",
		"a.xn--0":  "the domainpart of the XMPP address has the label \"xn--0\", which isn't allowed there",
		"10.0.0":   "the domainpart of the XMPP address looks like an IP address and isn't one",
		"":         "the XMPP address is empty",
		"b/a\x00":  "the resourcepart of the XMPP address contains characters that aren't allowed there",
		"\xff@b.c": "the localpart of the XMPP address isn't valid UTF-8",
	} {
		_, err := Parse(in)
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v; want %s", in, err, want)
		}
	}
	for in, want := range map[string]string{
		strings.Repeat("a", 64) + ".b":                 "has a label of more than 63 bytes",
		strings.Repeat(strings.Repeat("a", 63)+".", 5): "is longer than DNS allows",
	} {
		if _, err := PrepareDomain(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", in, err, want)
		}
	}
}

func TestCache(t *testing.T) {
	var c Cache
	for range 3 {
		if j, err := c.Parse([]byte("Juliet@Example.com/x")); err != nil || j != MustParse("juliet@example.com/x") {
			t.Fatalf("%q, %v", j, err)
		}
	}
	if _, err := c.Parse([]byte("@")); err == nil {
		t.Error("a bad address was taken")
	}
	for i := range 1000 {
		s := fmt.Sprintf("user%d@example.com", i)
		if j, err := c.Parse([]byte(s)); err != nil || j.String() != s {
			t.Fatalf("%q, %v", j, err)
		}
		if c.Len() > cacheSize {
			t.Fatalf("%d addresses are remembered", c.Len())
		}
	}
	if _, err := c.Parse([]byte("a@b/" + strings.Repeat("r", 500))); err != nil {
		t.Error(err)
	}
	for key := range c.m {
		if len(key) > cacheKey {
			t.Errorf("an address of %d bytes is remembered", len(key))
		}
	}
	var none *Cache
	if j, err := none.Parse([]byte("a@b")); err != nil || j != MustParse("a@b") || none.Len() != 0 {
		t.Errorf("without a cache: %q, %v", j, err)
	}
	// What the key was read from may change afterwards.
	b := []byte("A@example.org")
	if _, err := c.Parse(b); err != nil {
		t.Fatal(err)
	}
	copy(b, "B")
	if j, err := c.Parse(b); err != nil || j.Local() != "b" {
		t.Errorf("%q, %v", j, err)
	}
}

func TestAllocations(t *testing.T) {
	var c Cache
	b := []byte("juliet@example.com/Balcony")
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Parse(b) }); n != 0 {
		t.Errorf("a hit in the cache allocates %v times", n)
	}
	s := string(b)
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(s) }); n != 0 {
		t.Errorf("a plain address allocates %v times", n)
	}
	j := MustParse(s)
	if n := testing.AllocsPerRun(100, func() { _ = j.Bare().Host().Domain() }); n != 0 {
		t.Errorf("taking an address apart allocates %v times", n)
	}
}

// XEP-0106 §4.2, §5.1, §6, and the examples of §4 and §5.
func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"space cadet":             `space\20cadet`,
		`call me "ishmael"`:       `call\20me\20\22ishmael\22`,
		"at&t guy":                `at\26t\20guy`,
		"d'artagnan":              `d\27artagnan`,
		"/.fanboy":                `\2f.fanboy`,
		"::foo::":                 `\3a\3afoo\3a\3a`,
		"<foo>":                   `\3cfoo\3e`,
		"user@host":               `user\40host`,
		`c:\net`:                  `c\3a\net`,
		`c:\\net`:                 `c\3a\\net`,
		`c:\cool stuff`:           `c\3a\cool\20stuff`,
		`c:\5commas`:              `c\3a\5c5commas`,
		`\3and\2is\5cool`:         `\5c3and\2is\5c5cool`,
		`\2plus\2is\4`:            `\2plus\2is\4`,
		`foo\bar`:                 `foo\bar`,
		`foob\41r`:                `foob\41r`,
		"treville@musketeers.lit": `treville\40musketeers.lit`,
		`\3A`:                     `\3A`, // case is significant
		"plain":                   "plain",
	} {
		if got := EscapeLocal(in); got != want {
			t.Errorf("%q is escaped as %q; want %q", in, got, want)
		}
		if got := UnescapeLocal(want); got != in {
			t.Errorf("%q is shown as %q; want %q", want, got, in)
		}
	}
	if got := EscapeLocal("  a b "); got != `a\20b` {
		t.Errorf(`spaces at the ends: %q; want a\20b`, got)
	}
	for _, s := range []string{`\20a`, `a\20`, `\20`} {
		if got := UnescapeLocal(s); got != s {
			t.Errorf("%q is shown as %q; \\20 can't stand at the ends", s, got)
		}
	}
}
