package xmlstream

import (
	"strconv"
	"unicode/utf8"
)

// scope is a default namespace in force where something is written: bytes of a document, or a string of the program.
type scope struct {
	s string
	b []byte
}

func (sc scope) is(space []byte) bool {
	if sc.b != nil {
		return string(sc.b) == string(space)
	}
	return sc.s == string(space)
}

func (sc scope) client() bool {
	if sc.b != nil {
		return string(sc.b) == NSClient
	}
	return sc.s == NSClient
}

// movable reports whether the raw bytes of nd mean the same in a place where no prefix is bound and where the default
// namespace is jabber:client, or anything if client is false: it relies on no declaration outside itself but that one, and
// holds nothing that is always written anew.
//
// Everything else that could make two parsers disagree was refused when the bytes were parsed: names, characters, UTF-8,
// references, quotes, uniqueness of attributes, nesting.
func (nd *node) movable(client bool) bool {
	return nd.flags&rewrite == 0 && nd.foreign >= nd.depth && (client || nd.client >= nd.depth)
}

// Append writes the element so that it can stand where the default namespace is jabber:client and no prefix is bound: as
// the bytes that were received where that is sure to be the same, else in canonical form: no prefixes but xml and those of
// attributes, namespaces declared where they change, values escaped.
func (e Element) Append(dst []byte) []byte {
	if e.d == nil {
		return dst
	}
	return e.d.append(dst, e.n, scope{s: NSClient})
}

// AppendInner writes what is inside the element, text and all, on the same terms as Append.
func (e Element) AppendInner(dst []byte) []byte {
	if e.d == nil {
		return dst
	}
	nd := &e.d.nodes[e.n]
	raw := true
	for n := nd.child; n != 0 && raw; n = e.d.nodes[n].next {
		raw = e.d.nodes[n].movable(true)
	}
	if raw {
		return append(dst, e.d.raw[nd.innerBegin:nd.innerEnd]...)
	}
	return e.d.appendInner(dst, e.n, scope{s: NSClient})
}

func (d *document) appendInner(dst []byte, n int32, sc scope) []byte {
	for c := d.nodes[n].child; c != 0; c = d.nodes[c].next {
		dst = d.append(dst, c, sc)
	}
	return dst
}

// append writes a node where sc is the default namespace.
func (d *document) append(dst []byte, n int32, sc scope) []byte {
	nd := &d.nodes[n]
	if nd.movable(sc.client()) {
		return append(dst, d.raw[nd.begin:nd.end]...)
	}
	if nd.kind == textNode {
		return AppendEscapedText(dst, d.bytes(nd.name))
	}
	name, space := d.bytes(nd.name), d.bytes(d.spaces[nd.space])
	prefix := ""
	if string(space) == NSXML { // the one namespace that can't be a default
		prefix = "xml:"
	}
	dst = append(append(append(dst, '<'), prefix...), name...)
	if prefix == "" && !sc.is(space) {
		dst = append(dst, " xmlns='"...)
		dst = append(AppendEscapedAttr(dst, space), '\'')
		sc = scope{b: space}
	}
	attrs := d.attrs[nd.attr : int(nd.attr)+int(nd.nattr)]
	for i := range attrs {
		dst = d.appendAttr(dst, &attrs[i], i)
	}
	if nd.child == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = d.appendInner(dst, n, sc)
	dst = append(append(append(dst, "</"...), prefix...), name...)
	return append(dst, '>')
}

// appendAttr writes an attribute; one in a namespace brings its own prefix, numbered i.
func (d *document) appendAttr(dst []byte, a *attr, i int) []byte {
	dst = append(dst, ' ')
	switch space := d.bytes(d.spaces[a.space]); {
	case len(space) == 0:
	case string(space) == NSXML:
		dst = append(dst, "xml:"...)
	default:
		dst = strconv.AppendInt(append(dst, "xmlns:ns"...), int64(i), 10)
		dst = append(AppendEscapedAttr(append(dst, "='"...), space), "' "...)
		dst = strconv.AppendInt(append(dst, "ns"...), int64(i), 10)
		dst = append(dst, ':')
	}
	dst = append(append(dst, d.bytes(a.name)...), "='"...)
	return append(AppendEscapedAttr(dst, d.bytes(a.value)), '\'')
}

// AppendEscapedText writes character data. What XML has no place for becomes U+FFFD, so that the result is always
// well-formed.
func AppendEscapedText(dst, s []byte) []byte { return appendEscaped(dst, s, false) }

// AppendEscapedAttr writes an attribute's value, for quotes of either kind, on the same terms.
func AppendEscapedAttr(dst, s []byte) []byte { return appendEscaped(dst, s, true) }

func appendEscaped[T string | []byte](dst []byte, s T, attribute bool) []byte {
	plain := uint8(isText)
	if attribute {
		plain = isText | isAttr
	}
	done := 0
	for i := 0; i < len(s); {
		if class[s[i]]&plain == plain {
			i++
			continue
		}
		ref, size := escape(s, i, attribute)
		if ref != "" {
			dst = append(append(dst, s[done:i]...), ref...)
			done = i + size
		}
		i += size
	}
	return append(dst, s[done:]...)
}

// escape says what is written in place of the code point at s[i:], nothing if it stays, and how long it is.
func escape[T string | []byte](s T, i int, attribute bool) (ref string, size int) {
	switch c := s[i]; c {
	case '&':
		return "&amp;", 1
	case '<':
		return "&lt;", 1
	case '>':
		return "&gt;", 1
	case '\r': // as it is, it would be read as a line feed (XML 1.0 §2.11)
		return "&#xD;", 1
	case '\'', '"', '\t', '\n':
		if !attribute {
			return "", 1
		}
		switch c {
		case '\'':
			return "&apos;", 1
		case '"':
			return "&quot;", 1
		case '\t': // white space would be read as spaces (XML 1.0 §3.3.3)
			return "&#x9;", 1
		}
		return "&#xA;", 1
	default:
		if c < ' ' {
			return "\uFFFD", 1
		}
	}
	r, size := decode(s, i)
	if r == utf8.RuneError && size == 1 || !legal(r) {
		return "\uFFFD", size
	}
	return "", size
}

// decode reads the code point at s[i:] without a conversion that allocates.
func decode[T string | []byte](s T, i int) (rune, int) {
	var b [utf8.UTFMax]byte
	return utf8.DecodeRune(b[:copy(b[:], s[i:min(len(s), i+utf8.UTFMax)])])
}

// AppendEscapedAttrString is AppendEscapedAttr for strings.
func AppendEscapedAttrString(dst []byte, s string) []byte { return appendEscaped(dst, s, true) }

// AppendAttrs writes the element's attributes, each after a space, in a form that can stand in any start tag; those for
// which skip holds are left out; nil holds for none.
func (e Element) AppendAttrs(dst []byte, skip func(space, local []byte) bool) []byte {
	if e.d == nil {
		return dst
	}
	attrs := e.attrs()
	for i := range attrs {
		a := &attrs[i]
		if skip == nil || !skip(e.d.bytes(e.d.spaces[a.space]), e.d.bytes(a.name)) {
			dst = e.d.appendAttr(dst, a, i)
		}
	}
	return dst
}
