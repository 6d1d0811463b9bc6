package xmlstream

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// parser turns bytes into a document. It pulls bytes as it needs them and never more than the element that it is reading,
// so it works the same however the input is cut into pieces, and each byte is looked at once.
//
// Offsets count from the first byte of the stanza (document.raw), which lets the buffer move and grow underneath.
type parser struct {
	doc document
	lim Limits

	src        io.Reader // nil: all there is stands in the buffer already
	srcErr     error     // what src returned along with its last bytes
	buf        []byte
	start, end int // the bytes of buf not yet given out; document.raw begins at start

	bindings []binding // namespace declarations in scope, innermost last
	open     []frame   // elements whose end tag hasn't come yet
	elements int       // elements in this stanza so far
	flags    uint8     // what the attributes of the start tag being parsed add to the element's flags
	base     int       // depth of the outermost element: 1 for a stanza, 0 for the stream header

	// How much of the arenas belongs to the stream header and lasts as long as the stream.
	headBindings, headSpaces, headDec int
}

// frame is an element under construction.
type frame struct {
	node, last int32 // the element, and its last child so far
	bindings   int32 // how many bindings were in scope before it
}

// more gets at least one more byte into document.raw or says why not. Limits are enforced here, on bytes that have arrived
// for this one element.
func (p *parser) more() error {
	if p.src == nil {
		return io.ErrUnexpectedEOF
	}
	have := p.end - p.start
	if have >= p.lim.MaxBytes {
		return policy("a stanza or stream header is larger than this server accepts")
	}
	if p.end == len(p.buf) {
		if p.start > 0 {
			copy(p.buf, p.buf[p.start:p.end])
			p.start, p.end = 0, have
		} else {
			grown := make([]byte, min(max(2*len(p.buf), growTo), max(p.lim.MaxBytes, idleBuffer)))
			copy(grown, p.buf[:p.end])
			p.buf = grown
		}
	}
	if err := p.read(p.buf[p.end:min(len(p.buf), p.start+p.lim.MaxBytes)]); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	p.doc.raw = p.buf[p.start:p.end]
	return nil
}

// read reads at least one byte from src into the buffer's free end.
func (p *parser) read(room []byte) error {
	if err := p.srcErr; err != nil {
		p.srcErr = nil
		return err
	}
	for range 100 {
		n, err := p.src.Read(room)
		if n > 0 {
			p.end += n
			p.srcErr = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// begin makes the arenas ready for the element that starts at p.start and has the given depth.
func (p *parser) begin(depth int) {
	p.base = depth
	d := &p.doc
	d.raw = p.buf[p.start:p.end]
	d.nodes = d.nodes[:0]
	d.attrs = d.attrs[:0]
	d.spaces = d.spaces[:p.headSpaces]
	d.dec = d.dec[:p.headDec]
	p.bindings = p.bindings[:p.headBindings]
	p.open = p.open[:0]
	p.elements = 0
}

// element parses one whole element that begins at i and returns where it ends. document.raw[i] is known to be '<'.
func (p *parser) element(i int) (int, error) {
	i, closed, err := p.startTag(i)
	if err != nil {
		return 0, err
	}
	if closed {
		return i, nil
	}
	for {
		b := p.doc.raw
		if i == len(b) {
			if err := p.more(); err != nil {
				return 0, err
			}
			continue
		}
		if b[i] != '<' {
			if i, err = p.text(i); err != nil {
				return 0, err
			}
			continue
		}
		if i+1 == len(b) {
			if err := p.more(); err != nil {
				return 0, err
			}
			continue
		}
		switch b[i+1] {
		case '/':
			if i, err = p.endTag(i); err != nil {
				return 0, err
			}
			if len(p.open) == 0 {
				return i, nil
			}
		case '!', '?':
			if i, err = p.text(i); err != nil { // CDATA, or something that isn't allowed
				return 0, err
			}
		default:
			if i, _, err = p.startTag(i); err != nil {
				return 0, err
			}
		}
	}
}

// startTag parses a start tag or an empty element's tag at i and enters the element into the tree.
func (p *parser) startTag(i int) (next int, closed bool, err error) {
	depth := len(p.open) + p.base
	if depth > p.lim.MaxDepth {
		return 0, false, policy("elements are nested deeper than this server accepts")
	}
	if p.elements++; p.elements > p.lim.MaxElements {
		return 0, false, policy("a stanza has more elements than this server accepts")
	}
	d := &p.doc
	n := int32(len(d.nodes))
	d.nodes = append(d.nodes, node{
		begin: int32(i), depth: int16(depth), attr: int32(len(d.attrs)), foreign: outside, client: outside,
	})
	fr := frame{node: n, bindings: int32(len(p.bindings))}
	prefix, local, i, err := p.qname(i + 1)
	if err != nil {
		return 0, false, err
	}
	p.flags = 0
	i, closed, err = p.attributes(i, int16(depth))
	if err != nil {
		return 0, false, err
	}
	nd := &d.nodes[n]
	nd.flags = p.flags
	nd.name = local
	nd.nattr = uint16(len(d.attrs) - int(nd.attr))
	nd.innerBegin = int32(i)
	if nd.space, err = p.resolve(nd, prefix, true); err != nil {
		return 0, false, err
	}
	if nd.nattr > 0 {
		if err := p.resolveAttrs(nd); err != nil {
			return 0, false, err
		}
	}
	p.link(n)
	p.open = append(p.open, fr)
	if closed {
		p.close(i, i)
	}
	return i, closed, nil
}

// link makes node n the next child of the element that is open.
func (p *parser) link(n int32) {
	if len(p.open) == 0 {
		return
	}
	f := &p.open[len(p.open)-1]
	if f.last == 0 {
		p.doc.nodes[f.node].child = n
	} else {
		p.doc.nodes[f.last].next = n
	}
	f.last = n
}

// close ends the innermost open element, whose content ends at inner and which itself ends at end.
func (p *parser) close(inner, end int) {
	f := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	nd := &p.doc.nodes[f.node]
	nd.innerEnd, nd.end = int32(inner), int32(end)
	p.bindings = p.bindings[:f.bindings]
	if len(p.open) > 0 {
		up := &p.doc.nodes[p.open[len(p.open)-1].node]
		up.flags |= nd.flags
		up.foreign = min(up.foreign, nd.foreign)
		up.client = min(up.client, nd.client)
	}
}

// endTag parses the end tag at i, which has to be that of the innermost open element.
func (p *parser) endTag(i int) (int, error) {
	nd := &p.doc.nodes[p.open[len(p.open)-1].node]
	from := nd.begin + 1
	end, err := p.endName(i+2, nil, span{from, nd.name.off + nd.name.len - from})
	if err != nil {
		return 0, err
	}
	p.close(i, end)
	return end, nil
}

// endName parses the rest of an end tag after "</", where name has to follow, and returns where the tag ends. Without a
// name it is what stands at start: as a span, since reading on can move the bytes.
func (p *parser) endName(i int, name []byte, start span) (int, error) {
	stable := name != nil
	for {
		if !stable {
			name = p.doc.bytes(start)
		}
		b := p.doc.raw[i:]
		m := min(len(b), len(name))
		if !bytes.Equal(b[:m], name[:m]) {
			return 0, malformed("an end tag doesn't match its start tag")
		}
		if m == len(name) {
			i += m
			break
		}
		if err := p.more(); err != nil {
			return 0, err
		}
	}
	i, err := p.space(i)
	if err != nil {
		return 0, err
	}
	if p.doc.raw[i] != '>' {
		return 0, malformed("an end tag doesn't match its start tag")
	}
	return i + 1, nil
}

// space skips white space. There is a byte at the offset it returns.
func (p *parser) space(i int) (int, error) {
	b := p.doc.raw
	for {
		for i < len(b) && class[b[i]]&isSpace != 0 {
			i++
		}
		if i < len(b) {
			return i, nil
		}
		if err := p.more(); err != nil {
			return 0, err
		}
		b = p.doc.raw
	}
}

// qname parses a qualified name (Namespaces in XML 1.0 §4). There is a byte at the offset it returns.
func (p *parser) qname(i int) (prefix, local span, next int, err error) {
	from := i
	if i, err = p.ncname(i); err != nil {
		return
	}
	if p.doc.raw[i] == ':' {
		prefix = span{int32(from), int32(i - from)}
		from = i + 1
		if i, err = p.ncname(from); err != nil {
			return
		}
		if p.doc.raw[i] == ':' {
			err = malformed("a name has more than one colon")
			return
		}
	}
	return prefix, span{int32(from), int32(i - from)}, i, nil
}

// ncname parses a name without a colon and returns where it ends; there is a byte there.
func (p *parser) ncname(from int) (int, error) {
	i := from
	b := p.doc.raw
	for {
		for i < len(b) && class[b[i]]&isName != 0 {
			i++
		}
		if i > from && class[b[from]]&isNameStart == 0 && b[from] < utf8.RuneSelf {
			return 0, malformed("a name begins with a character that can't begin one")
		}
		if i == len(b) {
			if err := p.more(); err != nil {
				return 0, err
			}
			b = p.doc.raw
			continue
		}
		if b[i] < utf8.RuneSelf {
			if i == from {
				return 0, malformed("a name is missing")
			}
			return i, nil
		}
		r, size, err := p.rune(i)
		if err != nil {
			return 0, err
		}
		b = p.doc.raw
		if i == from && !nameStart(r) || !nameRune(r) {
			return 0, malformed("a name contains a character that isn't allowed there")
		}
		if !oldName(r, i == from) {
			return 0, policy("a name contains a character that not every XML parser knows")
		}
		i += size
	}
}

// rune decodes the code point at i, which isn't ASCII, and refuses those that XML has no place for.
func (p *parser) rune(i int) (rune, int, error) {
	for !utf8.FullRune(p.doc.raw[i:]) {
		if err := p.more(); err != nil {
			return 0, 0, err
		}
	}
	r, size := utf8.DecodeRune(p.doc.raw[i:])
	if r == utf8.RuneError && size == 1 {
		// RFC 6120 §4.9.3.22: "violating the rules of the UTF-8 encoding".
		return 0, 0, &Error{UnsupportedEncoding, "bytes aren't valid UTF-8"}
	}
	if !legal(r) {
		return 0, 0, malformed("a character isn't allowed in XML")
	}
	return r, size, nil
}
