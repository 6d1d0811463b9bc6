package xmlstream

import (
	"errors"
	"io"
	"iter"
)

// Element is a view of one element. What a Reader returns is valid until its next Next, Open or Reset; what Parse and Clone
// return is valid for good. The byte slices it gives out are not to be changed and are valid just as long.
type Element struct {
	d *document
	n int32
}

// Valid reports whether there is an element at all: looking for a child that isn't there gives one that isn't valid, and
// all its methods give nothing.
func (e Element) Valid() bool { return e.d != nil }

// Local is the name without its prefix.
func (e Element) Local() []byte {
	if e.d == nil {
		return nil
	}
	return e.d.bytes(e.d.nodes[e.n].name)
}

// Space is the namespace name that the element is in; empty when it is in none.
func (e Element) Space() []byte {
	if e.d == nil {
		return nil
	}
	return e.d.bytes(e.d.spaces[e.d.nodes[e.n].space])
}

// Is reports whether the element has this expanded name.
func (e Element) Is(space, local string) bool {
	return e.d != nil && string(e.Local()) == local && string(e.Space()) == space
}

// Attr is the value, decoded, of an attribute that is in no namespace; nil when there is none, not nil when it is empty.
func (e Element) Attr(local string) []byte {
	if e.d == nil {
		return nil
	}
	for i := range e.attrs() {
		a := &e.attrs()[i]
		if a.space == spaceNone && string(e.d.bytes(a.name)) == local {
			return e.d.bytes(a.value)
		}
	}
	return nil
}

// AttrNS is the value of an attribute in a namespace, as in AttrNS(NSXML, "lang").
func (e Element) AttrNS(space, local string) []byte {
	if e.d == nil {
		return nil
	}
	for i := range e.attrs() {
		a := &e.attrs()[i]
		if string(e.d.bytes(a.name)) == local && string(e.d.bytes(e.d.spaces[a.space])) == space {
			return e.d.bytes(a.value)
		}
	}
	return nil
}

// Attribute is one attribute as Attrs gives it.
type Attribute struct{ Space, Local, Value []byte }

// Attrs iterates over the attributes in the order they came. Namespace declarations aren't among them.
func (e Element) Attrs() iter.Seq[Attribute] {
	return func(yield func(Attribute) bool) {
		if e.d == nil {
			return
		}
		for i := range e.attrs() {
			a := &e.attrs()[i]
			if !yield(Attribute{e.d.bytes(e.d.spaces[a.space]), e.d.bytes(a.name), e.d.bytes(a.value)}) {
				return
			}
		}
	}
}

func (e Element) attrs() []attr {
	nd := &e.d.nodes[e.n]
	return e.d.attrs[nd.attr : int(nd.attr)+int(nd.nattr)]
}

// FirstChild is the first child element, with text passed over.
func (e Element) FirstChild() Element {
	if e.d == nil {
		return Element{}
	}
	return e.d.elementFrom(e.d.nodes[e.n].child)
}

// NextSibling is the next element beside this one.
func (e Element) NextSibling() Element {
	if e.d == nil {
		return Element{}
	}
	return e.d.elementFrom(e.d.nodes[e.n].next)
}

// elementFrom is node n, or the first element after it among its siblings.
func (d *document) elementFrom(n int32) Element {
	for n != 0 {
		if d.nodes[n].kind == elementNode {
			return Element{d, n}
		}
		n = d.nodes[n].next
	}
	return Element{}
}

// Child is the first child element with this expanded name.
func (e Element) Child(space, local string) Element {
	for c := e.FirstChild(); c.Valid(); c = c.NextSibling() {
		if c.Is(space, local) {
			return c
		}
	}
	return Element{}
}

// Children iterates over the child elements.
func (e Element) Children() iter.Seq[Element] {
	return func(yield func(Element) bool) {
		for c := e.FirstChild(); c.Valid(); c = c.NextSibling() {
			if !yield(c) {
				return
			}
		}
	}
}

// Text is the character data directly inside the element, decoded. It allocates only when child elements or the like cut
// it into pieces.
func (e Element) Text() []byte {
	if e.d == nil {
		return nil
	}
	var text []byte
	pieces := 0
	for n := e.d.nodes[e.n].child; n != 0; n = e.d.nodes[n].next {
		if nd := &e.d.nodes[n]; nd.kind == textNode {
			if pieces++; pieces == 1 {
				text = e.d.bytes(nd.name)
			} else {
				text = append(text, e.d.bytes(nd.name)...) // text's capacity ends with it: this copies
			}
		}
	}
	return text
}

// Clone is a copy that stands on its own, for what has to outlive the reader's next stanza. Any number of goroutines may
// read it.
func (e Element) Clone() Element {
	if e.d == nil {
		return Element{}
	}
	c, err := parse(e.Append(nil), unlimited())
	if err != nil {
		// What Append writes always parses: the fuzz tests hold it to that.
		panic("xmlstream: an element's own serialization doesn't parse: " + err.Error())
	}
	return c
}

func unlimited() Limits {
	return Limits{MaxBytes: mostBytes, MaxDepth: 1 << 14, MaxAttributes: 1 << 14, MaxElements: mostBytes, MaxNamespaces: mostBytes}
}

// Parse parses one element that stands alone, white space around it aside. Its default namespace is taken to be
// jabber:client unless it declares another. The element keeps b, which must not change afterwards.
func Parse(b []byte, lim Limits) (Element, error) { return parse(b, lim.withDefaults()) }

// ParseInner parses a sequence of elements and text, as AppendInner writes it, and returns a nameless element that
// contains them. The default namespace outside is jabber:client.
func ParseInner(b []byte, lim Limits) (Element, error) {
	const open, end = "<inner>", "</inner>"
	whole := make([]byte, 0, len(open)+len(b)+len(end))
	whole = append(append(append(whole, open...), b...), end...)
	lim = lim.withDefaults()
	lim.MaxBytes += len(open) + len(end)
	lim.MaxDepth++
	lim.MaxElements++
	e, err := parse(whole, lim)
	if err != nil {
		return Element{}, err
	}
	e.d.nodes[0].name.len = 0
	return e, nil
}

// standalone is a parser with room for a common stanza, in one allocation.
type standalone struct {
	parser
	nodes    [8]node
	attrs    [8]attr
	spaces   [8]span
	bindings [8]binding
	open     [8]frame
	dec      [64]byte
}

func parse(b []byte, lim Limits) (Element, error) {
	for len(b) > 0 && class[b[0]]&isSpace != 0 {
		b = b[1:]
	}
	for len(b) > 0 && class[b[len(b)-1]]&isSpace != 0 {
		b = b[:len(b)-1]
	}
	if len(b) > lim.MaxBytes {
		return Element{}, policy("an element is larger than this server accepts")
	}
	s := &standalone{}
	p := &s.parser
	p.lim, p.buf, p.end = lim, b, len(b)
	d := &p.doc
	d.nodes, d.attrs, p.open = s.nodes[:0], s.attrs[:0], s.open[:0]
	d.dec = append(s.dec[:0], NSXML...)
	d.dec = append(d.dec, NSClient...)
	d.spaces = append(s.spaces[:0], span{}, span{^int32(0), int32(len(NSXML))}, span{^int32(len(NSXML)), int32(len(NSClient))})
	p.bindings = append(s.bindings[:0], binding{space: 2, client: true})
	p.headBindings, p.headSpaces, p.headDec = 1, len(d.spaces), len(d.dec)
	p.begin(1)
	if len(b) == 0 {
		return Element{}, malformed("there is no element")
	}
	err := p.childBegins()
	var i int
	if err == nil {
		if i, err = p.element(0); err == nil && i != len(b) {
			err = malformed("there is something after the element")
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = malformed("the element ends too early")
	}
	if err != nil {
		return Element{}, err
	}
	return Element{d, 0}, nil
}
