package xmlstream

import (
	"errors"
	"io"
	"sync"
)

const (
	// idleBuffer is what a reader that waits holds as its buffer, and enough for most stanzas.
	idleBuffer = 1 << 10
	// growTo is the size of the next larger buffer, for the time that one stanza needs it.
	growTo = 4 << 10
	// keepNodes and keepDecoded are how much of the arenas a waiting reader keeps.
	keepNodes   = 24
	keepDecoded = 512
	// keepalive is the most white space that may arrive in one go without counting against the limit: RFC 6120 §4.6.1
	// keepalives are single bytes, and a silent client may send them for years.
	keepalive = 16
)

// Reader reads one direction of an XMPP stream: its header, then one stanza after the other. It is not for use by several
// goroutines at once.
//
// A read that fails for a reason outside the stream, such as a deadline, may be tried again: nothing that has arrived is
// lost. After an *Error or ErrClosed the stream is over and the same error comes back for ever.
type Reader struct {
	p      parser
	small  []byte // the idle buffer
	lender *Buffers
	size   int // length of the element given out last: it goes when the next one is asked for
	blank  int // white space since the last element
	opened bool
	waits  bool   // a read between elements is under way
	root   []byte // the stream's qualified name, which its end tag has to repeat
	err    error
}

// NewReader reads a stream from src. The first call has to be Open.
func NewReader(src io.Reader, lim Limits) *Reader {
	r := &Reader{}
	r.p.lim = lim.withDefaults()
	r.Reset(src)
	return r
}

// Buffers are shared by readers that are rarely busy at the same time: who waits has given its buffer back.
type Buffers struct{ pool sync.Pool } // of *[idleBuffer]byte

// Borrow has the reader take the buffer that it waits with from b, and give it back whenever a read between elements fails. Without, it keeps one of
// its own.
func (r *Reader) Borrow(b *Buffers) { r.lender = b }

// take makes sure that there is an idle buffer.
func (r *Reader) take() {
	if r.small != nil {
		return
	}
	if r.lender != nil {
		if b, ok := r.lender.pool.Get().(*[idleBuffer]byte); ok {
			r.small = b[:]
			return
		}
	}
	r.small = make([]byte, idleBuffer)
}

// giveBack returns a borrowed idle buffer. Nothing is in it.
func (r *Reader) giveBack() {
	if r.lender != nil {
		r.lender.pool.Put((*[idleBuffer]byte)(r.small))
		r.small, r.p.buf = nil, nil
	}
}

// Waits is for the source, to be asked from within Read: the reader waits for the next element, of which nothing has arrived yet. A read that fails
// then costs nothing: the next try begins where this one did.
func (r *Reader) Waits() bool { return r.waits }

// SetLimits changes the limits for what is read from now on.
func (r *Reader) SetLimits(lim Limits) { r.p.lim = lim.withDefaults() }

// Reset makes ready for a new stream header, from src, and forgets all that was read before it: what is buffered, too. At
// STARTTLS that is a matter of security (RFC 6120 §5.4.3.3: nothing received in the clear may count afterwards).
func (r *Reader) Reset(src io.Reader) {
	p := &r.p
	p.src, p.srcErr = src, nil
	p.start, p.end = 0, 0
	p.doc.dec = append(p.doc.dec[:0], NSXML...)
	p.doc.spaces = append(p.doc.spaces[:0], span{}, span{^int32(0), int32(len(NSXML))})
	p.headSpaces, p.headDec, p.headBindings = len(p.doc.spaces), len(p.doc.dec), 0
	r.size, r.blank, r.opened, r.err = 0, 0, false, nil
	r.root = r.root[:0]
	p.begin(0)
}

// Buffered is the number of bytes that were read from the source and not given out yet.
func (r *Reader) Buffered() int { return r.p.end - r.p.start - r.size }

// release drops the element given out last.
func (r *Reader) release() {
	r.p.start += r.size
	r.size = 0
}

// Open reads the stream header (RFC 6120 §4.2), with or without an XML declaration before it, and returns it as an element
// without content. Its namespace declarations hold for the whole stream.
func (r *Reader) Open() (Element, error) {
	if r.err != nil {
		return Element{}, r.err
	}
	if r.opened {
		return Element{}, errors.New("the stream header was read already")
	}
	if err := r.blanks(); err != nil {
		return Element{}, r.fail(err)
	}
	p := &r.p
	p.begin(0)
	i, err := p.prolog()
	if err != nil {
		return Element{}, r.fail(err)
	}
	from := i
	i, closed, err := p.startTag(i)
	if err != nil {
		return Element{}, r.fail(err)
	}
	if i > p.lim.MaxBytes {
		return Element{}, r.fail(policy("a stream header is larger than this server accepts"))
	}
	d := &p.doc
	nd := &d.nodes[0]
	nd.innerEnd, nd.end = nd.innerBegin, int32(i)
	r.root = append(r.root[:0], d.raw[from+1:nd.name.off+nd.name.len]...)
	p.keepBindings()
	d.raw = d.raw[:i]
	r.size, r.opened, r.blank = i, true, 0
	if closed {
		r.err = ErrClosed
	}
	return Element{d, 0}, nil
}

// keepBindings copies what the stream header declares to where it stays for as long as the stream.
func (p *parser) keepBindings() {
	d := &p.doc
	for j := range p.bindings {
		b := &p.bindings[j]
		b.prefix = d.keep(b.prefix)
		if b.space > spaceXML {
			d.spaces[b.space] = d.keep(d.spaces[b.space])
		}
	}
	p.headBindings, p.headSpaces, p.headDec = len(p.bindings), len(d.spaces), len(d.dec)
}

func (d *document) keep(s span) span {
	begin := len(d.dec)
	d.dec = append(d.dec, d.bytes(s)...)
	return span{^int32(begin), s.len}
}

// Next reads the next whole child of the stream. At the stream's end tag it returns ErrClosed; where the connection ends
// without one, io.EOF between elements and io.ErrUnexpectedEOF inside one.
func (r *Reader) Next() (Element, error) {
	if r.err != nil {
		return Element{}, r.err
	}
	if !r.opened {
		return Element{}, errors.New("the stream header has to be read first")
	}
	if err := r.blanks(); err != nil {
		return Element{}, r.fail(err)
	}
	p := &r.p
	p.begin(1)
	if err := p.childBegins(); err != nil {
		return Element{}, r.fail(err)
	}
	if p.doc.raw[1] == '/' {
		i, err := p.endName(2, r.root, span{})
		if err == nil {
			r.size = i
			err = ErrClosed
		}
		return Element{}, r.fail(err)
	}
	i, err := p.element(0)
	if err != nil {
		return Element{}, r.fail(err)
	}
	if i > p.lim.MaxBytes { // they arrived while a larger limit was in force
		return Element{}, r.fail(policy("a stanza is larger than this server accepts"))
	}
	p.doc.raw = p.doc.raw[:i]
	r.size, r.blank = i, 0
	return Element{&p.doc, 0}, nil
}

// childBegins makes sure that a tag begins at the start of the raw bytes.
func (p *parser) childBegins() error {
	switch c := p.doc.raw[0]; {
	case c == '<':
	case c < ' ':
		return malformed("a control character isn't allowed in XML")
	default:
		return &Error{BadFormat, "there is text between stanzas"}
	}
	section, err := p.section(0)
	if err == nil && section {
		err = &Error{BadFormat, "there is text between stanzas"}
	}
	if err == nil && len(p.doc.raw) < 2 {
		err = p.more()
	}
	return err
}

// fail remembers errors that end the stream.
func (r *Reader) fail(err error) error {
	if _, ok := err.(interface{ Timeout() bool }); ok { // of the source, which may be tried again
		return err
	}
	var e *Error
	if errors.As(err, &e) || errors.Is(err, ErrClosed) {
		r.err = err
	}
	return err
}

// blanks skips the white space before the next element and waits for its first byte.
func (r *Reader) blanks() error {
	r.release()
	p := &r.p
	fresh := 0 // bytes of the last read
	for {
		from := p.start
		for p.start < p.end && class[p.buf[p.start]]&isSpace != 0 {
			p.start++
		}
		if n := p.start - from; n != fresh || n > keepalive {
			r.blank += n
		}
		if r.blank > p.lim.MaxBytes {
			return policy("there is more white space between stanzas than this server accepts")
		}
		if p.start < p.end {
			return nil
		}
		r.idle()
		r.waits = true
		err := p.read(p.buf)
		r.waits = false
		if err != nil {
			r.giveBack()
			return err
		}
		fresh = p.end
	}
}

// idle lets go of all memory that waiting doesn't need. Nothing is buffered.
func (r *Reader) idle() {
	p := &r.p
	p.start, p.end = 0, 0
	r.take()
	p.buf = r.small
	d := &p.doc
	d.raw = nil
	if cap(d.nodes) > keepNodes {
		d.nodes = nil
	}
	if cap(d.attrs) > keepNodes {
		d.attrs = nil
	}
	if cap(d.spaces) > keepNodes {
		d.spaces = append(make([]span, 0, p.headSpaces+8), d.spaces[:p.headSpaces]...)
	}
	if cap(d.dec) > max(keepDecoded, 2*p.headDec) {
		d.dec = append(make([]byte, 0, p.headDec+64), d.dec[:p.headDec]...)
	}
	if cap(p.bindings) > keepNodes {
		p.bindings = append(make([]binding, 0, p.headBindings+8), p.bindings[:p.headBindings]...)
	}
}
