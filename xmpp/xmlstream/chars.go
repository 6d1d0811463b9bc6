package xmlstream

import "unicode/utf8"

// What an ASCII byte can be (XML 1.0 §2.2, §2.3). Bytes from 0x80 are looked at as runes.
const (
	isNameStart = 1 << iota // [A-Za-z_]; the colon is left out, Namespaces in XML 1.0 §3 gives it its own meaning
	isName                  // name start, digits, '-', '.'
	isSpace
	isText // can stand in character data and needs no attention: not '<', '&', '>' (it may end "]]>") or a carriage return
	isAttr // can stand in an attribute value and needs no attention: not '<', '&', a quote or white space other than ' '
	isURI  // can stand in a namespace name and needs no attention: RFC 3986 §2 without '&' and the apostrophe
)

var class = func() (t [256]uint8) {
	for c := 0x20; c < 0x80; c++ {
		switch c {
		case '<', '&', '>':
		default:
			t[c] |= isText
		}
		switch c {
		case '<', '&', '\'', '"':
		default:
			t[c] |= isAttr
		}
	}
	t['\t'] |= isText
	t['\n'] |= isText
	for _, c := range " \t\r\n" {
		t[c] |= isSpace
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= isNameStart | isName
		t[c-32] |= isNameStart | isName
	}
	t['_'] |= isNameStart | isName
	for c := '0'; c <= '9'; c++ {
		t[c] |= isName
	}
	for c := 0x21; c < 0x7f; c++ {
		switch c {
		case '"', '<', '>', '\\', '^', '`', '{', '|', '}': // in no URI
		case '&', '\'':
		default:
			t[c] |= isURI
		}
	}
	t['-'] |= isName
	t['.'] |= isName
	return t
}()

// legal reports whether a code point is a Char (XML 1.0 §2.2).
func legal(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r < 0xd800:
		return true
	case r < 0xe000:
		return false
	case r < 0xfffe:
		return true
	}
	return r >= 0x10000 && r <= utf8.MaxRune
}

// nameStart reports whether a code point outside ASCII can begin a name (XML 1.0 §2.3, NameStartChar).
func nameStart(r rune) bool {
	switch {
	case r < 0x2000:
		return r >= 0xc0 && r != 0xd7 && r != 0xf7 && !(r >= 0x300 && r < 0x370) && r != 0x37e
	case r < 0x2c00:
		return r == 0x200c || r == 0x200d || r >= 0x2070 && r <= 0x218f
	case r < 0x3001:
		return r <= 0x2fef
	case r < 0xd800:
		return true
	case r < 0xf900:
		return false
	case r < 0xfffe:
		return r <= 0xfdcf || r >= 0xfdf0
	}
	return r >= 0x10000 && r <= 0xeffff
}

// nameRune reports whether a code point outside ASCII can go on in a name (XML 1.0 §2.3, NameChar).
func nameRune(r rune) bool {
	return nameStart(r) || r == 0xb7 || r >= 0x300 && r <= 0x36f || r == 0x203f || r == 0x2040
}
