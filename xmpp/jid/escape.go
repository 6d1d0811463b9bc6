package jid

import "strings"

// escaped are the characters that a localpart can't hold, and the space (XEP-0106 §4.2).
const escaped = " \"&'/:<>@"

const hexDigits = "0123456789abcdef"

// EscapeLocal turns an arbitrary name into one that can be a localpart (XEP-0106 §5.2): the disallowed characters become
// \20, \22, \26, \27, \2f, \3a, \3c, \3e and \40, and a backslash becomes \5c only where it would otherwise read as the
// start of such a sequence. Spaces at either end are dropped, since \20 must not begin or end a localpart (§5.1).
func EscapeLocal(s string) string {
	s = strings.Trim(s, " ")
	n := 0
	for i := 0; i < len(s); i++ {
		if mustEscape(s, i) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if mustEscape(s, i) {
			b = append(b, '\\', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

func mustEscape(s string, i int) bool {
	if s[i] == '\\' {
		_, ok := sequence(s[i:])
		return ok
	}
	return strings.IndexByte(escaped, s[i]) >= 0
}

// sequence reads one escape sequence at the start of s. Case is significant (XEP-0106 §4.1).
func sequence(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '\\' {
		return 0, false
	}
	hi, lo := strings.IndexByte(hexDigits, s[1]), strings.IndexByte(hexDigits, s[2])
	if hi < 0 || lo < 0 {
		return 0, false
	}
	c := byte(hi<<4 | lo)
	return c, c == '\\' || strings.IndexByte(escaped, c) >= 0
}

// UnescapeLocal shows a localpart as people know the name (XEP-0106 §5.3): only the listed sequences are read, and \20 at
// either end stays as it is, since no escaping produces it there. Never compare or send unescaped localparts.
func UnescapeLocal(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		c, ok := sequence(s[i:])
		if !ok || c == ' ' && (i == 0 || i+3 == len(s)) {
			b = append(b, s[i])
			i++
			continue
		}
		b = append(b, c)
		i += 3
	}
	return string(b)
}
