package xmlstream

// Builder writes XML by appending. It escapes values, declares namespaces only where they change, and closes an element
// without content as an empty one. It begins, and its result can stand, where the default namespace is jabber:client.
//
// Names of elements and attributes are the program's own and are written as they are; only values come from outside.
type Builder struct {
	buf    []byte
	frames []building
	tag    bool // the innermost start tag is still open for attributes
	room   [6]building
}

// building is an element that isn't closed yet.
type building struct {
	prefix, local string
	space         string // the default namespace inside
}

// NewBuilder appends to buf, which may be nil.
func NewBuilder(buf []byte) *Builder {
	b := &Builder{buf: buf}
	b.frames = b.room[:0]
	return b
}

// space is the default namespace where the next thing is written.
func (b *Builder) space() string {
	if n := len(b.frames); n > 0 {
		return b.frames[n-1].space
	}
	return NSClient
}

// finish ends a start tag whose attributes are complete.
func (b *Builder) finish() {
	if b.tag {
		b.buf = append(b.buf, '>')
		b.tag = false
	}
}

// Open begins an element.
func (b *Builder) Open(space, local string) *Builder {
	b.finish()
	f := building{local: local, space: b.space()}
	if space == NSXML {
		f.prefix = "xml:"
	}
	b.buf = append(append(append(b.buf, '<'), f.prefix...), local...)
	if f.prefix == "" && space != f.space {
		b.buf = append(b.buf, " xmlns='"...)
		b.buf = append(appendEscaped(b.buf, space, true), '\'')
		f.space = space
	}
	b.frames = append(b.frames, f)
	b.tag = true
	return b
}

// Attr adds an attribute to the element that was opened last and has nothing inside yet. The name may be one with the
// prefix xml, as xml:lang; others would need a declaration.
func (b *Builder) Attr(name, value string) *Builder {
	if !b.tag {
		panic("xmlstream: Builder.Attr outside a start tag")
	}
	b.buf = append(append(append(b.buf, ' '), name...), "='"...)
	b.buf = append(appendEscaped(b.buf, value, true), '\'')
	return b
}

// Text adds character data. What XML has no place for becomes U+FFFD.
func (b *Builder) Text(s string) *Builder {
	if s == "" {
		return b
	}
	b.finish()
	b.buf = appendEscaped(b.buf, s, false)
	return b
}

// Raw adds XML as it is. It has to be well-formed and made for the default namespace of the place where it goes.
func (b *Builder) Raw(xml []byte) *Builder {
	if len(xml) == 0 {
		return b
	}
	b.finish()
	b.buf = append(b.buf, xml...)
	return b
}

// Element adds a parsed element, whatever its namespace and the place.
func (b *Builder) Element(e Element) *Builder {
	if !e.Valid() {
		return b
	}
	b.finish()
	b.buf = e.d.append(b.buf, e.n, scope{s: b.space()})
	return b
}

// Close ends the innermost element.
func (b *Builder) Close() *Builder {
	n := len(b.frames) - 1
	if n < 0 {
		panic("xmlstream: Builder.Close without an open element")
	}
	f := b.frames[n]
	b.frames = b.frames[:n]
	if b.tag {
		b.tag = false
		b.buf = append(b.buf, "/>"...)
		return b
	}
	b.buf = append(append(append(b.buf, "</"...), f.prefix...), f.local...)
	b.buf = append(b.buf, '>')
	return b
}

// Bytes is what was written so far, with all elements that are still open closed.
func (b *Builder) Bytes() []byte {
	for len(b.frames) > 0 {
		b.Close()
	}
	return b.buf
}
