package stream

import "bytes"

// Lang is the language that the client's stream header names as that of its stanzas (RFC 6120 §4.7.4); nil without one.
func (c *Conn) Lang() []byte { return c.lang }

// maxLang is what BCP 47 §4.4.1 recommends to have room for.
const maxLang = 35

// language copies what looks like a language tag (BCP 47 §2.1). Anything else is as good as none.
func language(tag []byte) []byte {
	if len(tag) == 0 || len(tag) > maxLang {
		return nil
	}
	for sub := range bytes.SplitSeq(tag, []byte("-")) {
		if len(sub) == 0 || len(sub) > 8 {
			return nil
		}
		for _, c := range sub {
			if c|0x20 < 'a' || c|0x20 > 'z' {
				if c < '0' || c > '9' {
					return nil
				}
			}
		}
	}
	return bytes.Clone(tag)
}
