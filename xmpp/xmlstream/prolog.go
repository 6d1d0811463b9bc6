package xmlstream

import "bytes"

// prolog parses what may come before the stream header: an XML declaration (RFC 6120 §11.4), and returns where the
// header's '<' stands.
func (p *parser) prolog() (int, error) {
	d := &p.doc
	for len(d.raw) < 2 {
		if c := d.raw[0]; c != '<' {
			break
		}
		if err := p.more(); err != nil {
			return 0, err
		}
	}
	switch c := d.raw[0]; {
	case c == 0, c == '<' && d.raw[1] == 0:
		return 0, &Error{UnsupportedEncoding, "the stream is in UTF-16 or UTF-32, and only UTF-8 is allowed"} // RFC 6120 §11.6
	case c >= 0x80:
		// A byte order mark isn't one here but a character like any other (RFC 6120 §11.6), which can't stand before
		// the root element; the ones of UTF-16 aren't valid UTF-8.
		if _, _, err := p.rune(0); err != nil {
			return 0, err
		}
		return 0, malformed("there is text before the stream header")
	case c != '<':
		return 0, malformed("there is text before the stream header")
	case d.raw[1] != '?':
		return p.headBegins(0)
	}
	i, err := p.declaration()
	if err != nil {
		return 0, err
	}
	if i, err = p.space(i); err != nil {
		return 0, err
	}
	if d.raw[i] != '<' {
		return 0, malformed("there is text before the stream header")
	}
	return p.headBegins(i)
}

// headBegins makes sure that the '<' at i begins a start tag.
func (p *parser) headBegins(i int) (int, error) {
	section, err := p.section(i)
	if err == nil && section {
		err = malformed("there is text before the stream header")
	}
	return i, err
}

// declaration parses an XML declaration (XML 1.0 §2.8, §4.3.1) at the start of the raw bytes and returns where it ends.
func (p *parser) declaration() (int, error) {
	const begin = "<?xml"
	d := &p.doc
	for {
		m := min(len(d.raw), len(begin))
		if string(d.raw[:m]) != begin[:m] {
			return 0, restricted("processing instructions aren't allowed")
		}
		if len(d.raw) > len(begin) {
			break
		}
		if err := p.more(); err != nil {
			return 0, err
		}
	}
	i := len(begin)
	if class[d.raw[i]]&isName != 0 || d.raw[i] >= 0x80 {
		return 0, restricted("processing instructions aren't allowed")
	}
	var seen []string
	for {
		before := i
		var err error
		if i, err = p.space(i); err != nil {
			return 0, err
		}
		if d.raw[i] == '?' {
			for i+1 == len(d.raw) {
				if err := p.more(); err != nil {
					return 0, err
				}
			}
			if d.raw[i+1] != '>' || len(seen) == 0 {
				return 0, malformed("the XML declaration is malformed")
			}
			return i + 2, nil
		}
		if i == before {
			return 0, malformed("the XML declaration is malformed")
		}
		var name string
		var value []byte
		if name, value, i, err = p.pseudo(i); err != nil {
			return 0, err
		}
		if err := declared(seen, name, value); err != nil {
			return 0, err
		}
		seen = append(seen, name)
	}
}

// pseudo parses one of the declaration's pseudo-attributes.
func (p *parser) pseudo(i int) (name string, value []byte, next int, err error) {
	d := &p.doc
	from := i
	if i, err = p.ncname(i); err != nil {
		return
	}
	name = string(d.raw[from:i])
	if i, err = p.space(i); err != nil {
		return
	}
	if d.raw[i] != '=' {
		err = malformed("the XML declaration is malformed")
		return
	}
	if i, err = p.space(i + 1); err != nil {
		return
	}
	if q := d.raw[i]; q != '\'' && q != '"' {
		err = malformed("the XML declaration is malformed")
		return
	}
	dec := len(d.dec)
	v, i, err := p.attrValue(i, isAttr)
	if err != nil {
		return "", nil, 0, err
	}
	if len(d.dec) != dec { // references aren't read here
		return "", nil, 0, malformed("the XML declaration is malformed")
	}
	return name, d.bytes(v), i, nil
}

// declared judges one pseudo-attribute, given those that came before it: version, encoding and standalone, in that order.
func declared(seen []string, name string, value []byte) error {
	last := ""
	if len(seen) > 0 {
		last = seen[len(seen)-1]
	}
	switch {
	case name == "version" && last == "":
		if string(value) != "1.0" {
			return malformed("the XML declaration names a version other than 1.0")
		}
	case name == "encoding" && last == "version":
		if !bytes.EqualFold(value, []byte("utf-8")) {
			return &Error{UnsupportedEncoding, "the XML declaration names an encoding other than UTF-8"} // RFC 6120 §11.6
		}
	case name == "standalone" && (last == "version" || last == "encoding"):
		if s := string(value); s != "yes" && s != "no" {
			return malformed("the XML declaration is malformed")
		}
	default:
		return malformed("the XML declaration is malformed")
	}
	return nil
}
