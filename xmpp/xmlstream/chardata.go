package xmlstream

import "unicode/utf8"

// attrValue parses an attribute's value from its opening quote on (XML 1.0 §3.3.3). What consists of bytes of the class plain
// (isAttr or isURI) and of characters outside ASCII needs no decoding and stays where it is.
func (p *parser) attrValue(i int, plain uint8) (span, int, error) {
	b := p.doc.raw
	quote := b[i]
	i++
	from := i
	for {
		for i < len(b) && class[b[i]]&plain != 0 {
			i++
		}
		if i == len(b) {
			if err := p.more(); err != nil {
				return span{}, 0, err
			}
			b = p.doc.raw
			continue
		}
		switch c := b[i]; {
		case c == quote:
			return span{int32(from), int32(i - from)}, i + 1, nil
		case (c == '\'' || c == '"') && plain == isAttr:
			i++
		case c >= utf8.RuneSelf:
			_, size, err := p.rune(i)
			if err != nil {
				return span{}, 0, err
			}
			b = p.doc.raw
			i += size
		default:
			return p.decodeAttr(from, i, quote)
		}
	}
}

// decodeAttr goes on with an attribute's value that began at from and has something to decode at i.
func (p *parser) decodeAttr(from, i int, quote byte) (span, int, error) {
	d := &p.doc
	begin := len(d.dec)
	d.dec = append(d.dec, d.raw[from:i]...)
	for {
		if i == len(d.raw) {
			if err := p.more(); err != nil {
				return span{}, 0, err
			}
			continue
		}
		switch c := d.raw[i]; {
		case c == quote:
			return span{^int32(begin), int32(len(d.dec) - begin)}, i + 1, nil
		case c == '&':
			r, next, err := p.reference(i)
			if err != nil {
				return span{}, 0, err
			}
			d.dec = utf8.AppendRune(d.dec, r)
			i = next
		case c == '<':
			return span{}, 0, malformed("an attribute's value contains <")
		case c == '\r':
			// A carriage return and a line feed are one line end (XML 1.0 §2.11), and a line end reads as a space.
			for i+1 == len(d.raw) {
				if err := p.more(); err != nil {
					return span{}, 0, err
				}
			}
			if d.raw[i+1] == '\n' {
				i++
			}
			d.dec = append(d.dec, ' ')
			p.flags |= rewrite
			i++
		case c == '\n' || c == '\t':
			d.dec = append(d.dec, ' ')
			p.flags |= rewrite
			i++
		case c < ' ':
			return span{}, 0, malformed("a control character isn't allowed in XML")
		case c < utf8.RuneSelf:
			d.dec = append(d.dec, c)
			i++
		default:
			_, size, err := p.rune(i)
			if err != nil {
				return span{}, 0, err
			}
			d.dec = append(d.dec, d.raw[i:i+size]...)
			i += size
		}
	}
}

// reference decodes the reference at i, where the ampersand stands. Only the five predefined entities exist (RFC 6120
// §11.1), and numbers have to denote characters that XML allows (XML 1.0 §4.1).
func (p *parser) reference(i int) (rune, int, error) {
	d := &p.doc
	from := i + 1
	for from == len(d.raw) {
		if err := p.more(); err != nil {
			return 0, 0, err
		}
	}
	if d.raw[from] == '#' {
		return p.number(from + 1)
	}
	end, err := p.ncname(from)
	if err != nil {
		return 0, 0, err
	}
	if d.raw[end] != ';' {
		return 0, 0, malformed("an ampersand doesn't begin a reference")
	}
	switch string(d.raw[from:end]) {
	case "amp":
		return '&', end + 1, nil
	case "lt":
		return '<', end + 1, nil
	case "gt":
		return '>', end + 1, nil
	case "apos":
		return '\'', end + 1, nil
	case "quot":
		return '"', end + 1, nil
	}
	return 0, 0, restricted("only the five predefined entities are allowed")
}

// number decodes a numeric character reference behind its "&#".
func (p *parser) number(i int) (rune, int, error) {
	d := &p.doc
	base, digits := rune(10), 0
	var r rune
	for {
		if i == len(d.raw) {
			if err := p.more(); err != nil {
				return 0, 0, err
			}
			continue
		}
		c := d.raw[i]
		i++
		switch {
		case c == 'x' && digits == 0 && base == 10:
			base = 16
			continue
		case c >= '0' && c <= '9':
			r = r*base + rune(c-'0')
		case base == 16 && c >= 'a' && c <= 'f':
			r = r*base + rune(c-'a'+10)
		case base == 16 && c >= 'A' && c <= 'F':
			r = r*base + rune(c-'A'+10)
		case c == ';' && digits > 0:
			if !legal(r) {
				return 0, 0, malformed("a numeric reference denotes a character that isn't allowed in XML")
			}
			return r, i, nil
		default:
			return 0, 0, malformed("a numeric reference is malformed")
		}
		if digits++; r > utf8.MaxRune {
			return 0, 0, malformed("a numeric reference denotes a character that isn't allowed in XML")
		}
	}
}

// text parses a run of character data and CDATA sections that begins at i, up to the next tag, into one node. It refuses
// what RFC 6120 §11.1 doesn't allow.
func (p *parser) text(i int) (int, error) {
	d := &p.doc
	from := i
	decoded := -1 // where in dec the text begins, once some of it needed decoding
	var flags uint8
	b := d.raw
	copied := i // how far the text stands in dec, if it does
	for {
		for i < len(b) && class[b[i]]&isText != 0 {
			i++
		}
		if i == len(b) {
			if err := p.more(); err != nil {
				return 0, err
			}
			b = d.raw
			continue
		}
		switch c := b[i]; {
		case c >= utf8.RuneSelf:
			_, size, err := p.rune(i)
			if err != nil {
				return 0, err
			}
			b = d.raw
			i += size
			continue
		case c == '>':
			// What comes before a text ends in '>', so that looking back stays inside it.
			if i >= 2 && b[i-1] == ']' && b[i-2] == ']' {
				return 0, malformed("character data contains ]]>")
			}
			i++
			continue
		case c < ' ' && c != '\r':
			return 0, malformed("a control character isn't allowed in XML")
		case c == '<':
			section, err := p.section(i)
			if err != nil {
				return 0, err
			}
			b = d.raw
			if !section {
				p.addText(from, i, copied, decoded, flags)
				return i, nil
			}
		}
		// Something has to be decoded.
		if decoded < 0 {
			decoded = len(d.dec)
		}
		d.dec = append(d.dec, b[copied:i]...)
		var err error
		switch b[i] {
		case '&':
			var r rune
			if r, i, err = p.reference(i); err == nil {
				d.dec = utf8.AppendRune(d.dec, r)
			}
		case '\r':
			flags |= rewrite
			i, err = p.lineEnd(i)
		default:
			flags |= rewrite
			i, err = p.cdata(i + len(cdataBegin))
		}
		if err != nil {
			return 0, err
		}
		copied = i
		b = d.raw
	}
}

// lineEnd reads a carriage return, alone or before a line feed, as one line feed (XML 1.0 §2.11).
func (p *parser) lineEnd(i int) (int, error) {
	d := &p.doc
	for i+1 == len(d.raw) {
		if err := p.more(); err != nil {
			return 0, err
		}
	}
	if d.raw[i+1] == '\n' {
		i++
	}
	d.dec = append(d.dec, '\n')
	return i + 1, nil
}

// addText enters a text into the tree.
func (p *parser) addText(from, end, copied, decoded int, flags uint8) {
	d := &p.doc
	value := span{int32(from), int32(end - from)}
	if decoded >= 0 {
		d.dec = append(d.dec, d.raw[copied:end]...)
		value = span{^int32(decoded), int32(len(d.dec) - decoded)}
	}
	d.nodes[p.open[len(p.open)-1].node].flags |= flags
	if value.len == 0 { // an empty CDATA section
		return
	}
	n := int32(len(d.nodes))
	d.nodes = append(d.nodes, node{
		begin: int32(from), end: int32(end), name: value, kind: textNode, flags: flags,
		depth: int16(len(p.open) + 1), foreign: outside, client: outside,
	})
	p.link(n)
}

const cdataBegin = "<![CDATA["

// section reports whether a CDATA section begins at i, where '<' stands, rather than a tag. Comments, declarations and
// processing instructions are refused as soon as they show (RFC 6120 §11.1).
func (p *parser) section(i int) (bool, error) {
	for {
		b := p.doc.raw[i:]
		switch m := min(len(b), len(cdataBegin)); {
		case m == 1:
		case b[1] == '?':
			return false, restricted("processing instructions aren't allowed")
		case b[1] != '!':
			return false, nil
		case m > 2 && b[2] != '[':
			return false, restricted("comments and document type declarations aren't allowed")
		case string(b[:m]) != cdataBegin[:m]:
			return false, malformed("a CDATA section is malformed")
		case m == len(cdataBegin):
			return true, nil
		}
		if err := p.more(); err != nil {
			return false, err
		}
	}
}

// cdata decodes a CDATA section's content from i on and returns where the section ends.
func (p *parser) cdata(i int) (int, error) {
	d := &p.doc
	copied := i
	for {
		if i == len(d.raw) {
			if err := p.more(); err != nil {
				return 0, err
			}
			continue
		}
		switch c := d.raw[i]; {
		case c >= utf8.RuneSelf:
			_, size, err := p.rune(i)
			if err != nil {
				return 0, err
			}
			i += size
		case c == '>' && i-copied >= 2 && d.raw[i-1] == ']' && d.raw[i-2] == ']':
			d.dec = append(d.dec, d.raw[copied:i-2]...)
			return i + 1, nil
		case c == '\r':
			d.dec = append(d.dec, d.raw[copied:i]...)
			var err error
			if i, err = p.lineEnd(i); err != nil {
				return 0, err
			}
			copied = i
		case c < ' ' && c != '\t' && c != '\n':
			return 0, malformed("a control character isn't allowed in XML")
		default:
			i++
		}
	}
}
