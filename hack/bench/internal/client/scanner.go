// Package client is the load generator's XMPP client. It shares no code with the server that it measures, and knows nothing of
// any server but what RFC 6120 and RFC 6121 promise.
package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxElement bounds what one element of a server may take.
const maxElement = 1 << 20

// Scanner finds where the elements of a stream begin and end, and no more: it counts tags and minds quotes. A server under test is
// trusted to write well-formed XML; that it does is for tests of other kinds to say.
type Scanner struct {
	src   io.Reader
	buf   []byte
	pos   int // up to here buf has been looked at
	start int // of the element that is being read
	head  int // end of its start tag
	depth int // open tags, the stream's among them
	inner bool
}

// NewScanner reads from src through a buffer that begins with size bytes.
func NewScanner(src io.Reader, size int) *Scanner {
	return &Scanner{src: src, buf: make([]byte, 0, size)}
}

// Restart expects a new stream header (RFC 6120 §4.3.3).
func (s *Scanner) Restart() {
	s.buf, s.pos, s.start, s.head, s.depth, s.inner = s.buf[:0], 0, 0, 0, 0, false
}

// Buffered tells how many bytes have been read and not yet been returned.
func (s *Scanner) Buffered() int { return len(s.buf) - s.pos }

// Next returns the stream header, or the next whole child of the stream. What it returns is valid until it is called again. It
// returns io.EOF at the end tag of the stream.
func (s *Scanner) Next() (Element, error) {
	if !s.inner && s.pos > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[s.pos:])]
		s.pos = 0
	}
	for {
		e, found, err := s.scan()
		if found || err != nil {
			return e, err
		}
		if err := s.fill(); err != nil {
			return Element{}, err
		}
	}
}

func (s *Scanner) fill() error {
	if len(s.buf) == cap(s.buf) {
		if cap(s.buf) >= maxElement {
			return errors.New("the server sent an element of more than 1 MiB")
		}
		grown := make([]byte, len(s.buf), 2*cap(s.buf))
		copy(grown, s.buf)
		s.buf = grown
	}
	n, err := s.src.Read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF // the stream had no end tag
	}
	return err
}

// scan goes on from s.pos; it reports false when it needs more bytes.
func (s *Scanner) scan() (Element, bool, error) {
	for {
		i := bytes.IndexByte(s.buf[s.pos:], '<')
		if i < 0 {
			s.pos = len(s.buf)
			return Element{}, false, nil
		}
		at := s.pos + i
		s.pos = at
		rest := s.buf[at:]
		if len(rest) > 1 && rest[1] == '!' {
			end, err := cdata(rest)
			if err != nil || end == 0 {
				return Element{}, false, err
			}
			s.pos = at + end
			continue
		}
		n := tagEnd(rest)
		if n == 0 {
			return Element{}, false, nil
		}
		end := at + n
		s.pos = end
		switch {
		case rest[1] == '?': // XML declaration
		case rest[1] == '/':
			s.depth--
			switch {
			case s.depth < 0:
				return Element{}, false, fmt.Errorf("the server closed %q, which was not open", rest[:n])
			case s.depth == 0:
				return Element{}, false, io.EOF
			case s.depth == 1:
				return s.element(end), true, nil
			}
		case s.depth == 0:
			s.depth = 1
			s.start, s.head = at, end
			return s.element(end), true, nil
		default:
			empty := rest[n-2] == '/'
			if s.depth == 1 {
				s.start, s.head, s.inner = at, end, true
			}
			switch {
			case !empty:
				s.depth++
			case s.depth == 1:
				return s.element(end), true, nil
			}
		}
	}
}

func (s *Scanner) element(end int) Element {
	s.inner = false
	return Element{raw: s.buf[s.start:end], head: s.head - s.start}
}

// tagEnd returns the length of the tag that b begins with, 0 when its end is not there. A '>' in quotes ends nothing.
func tagEnd(b []byte) int {
	i := bytes.IndexByte(b, '>')
	if i < 0 {
		return 0
	}
	// Most tags have one kind of quotes; where these are all closed, so is the tag.
	single, double := bytes.Count(b[:i], []byte{'\''}), bytes.Count(b[:i], []byte{'"'})
	if single == 0 && double&1 == 0 || double == 0 && single&1 == 0 {
		return i + 1
	}
	var quote byte
	for i = 1; i < len(b); i++ {
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '>':
			return i + 1
		case c == '"' || c == '\'':
			quote = c
		}
	}
	return 0
}

// cdata returns the length of the section that b begins with, 0 when its end is not there.
func cdata(b []byte) (int, error) {
	const open, shut = "<![CDATA[", "]]>"
	if n := min(len(b), len(open)); string(b[:n]) != open[:n] {
		return 0, fmt.Errorf("the server sent %q, which RFC 6120 §11.1 forbids", b[:min(len(b), 16)])
	}
	i := bytes.Index(b, []byte(shut))
	if i < 0 {
		return 0, nil
	}
	return i + len(shut), nil
}

// Element is one element as it came.
type Element struct {
	raw  []byte
	head int // length of the start tag
}

// Raw returns the bytes of the element.
func (e Element) Raw() []byte { return e.raw }

// Name returns the name of the element with its prefix.
func (e Element) Name() []byte {
	for i := 1; i < e.head; i++ {
		switch e.raw[i] {
		case ' ', '\t', '\r', '\n', '/', '>':
			return e.raw[1:i]
		}
	}
	return nil
}

// Is tells whether the element has this name.
func (e Element) Is(name string) bool { return string(e.Name()) == name }

// Attr returns the value of an attribute as it is written, nil when it is not there.
func (e Element) Attr(name string) []byte {
	b := e.raw[1+len(e.Name()) : e.head]
	for {
		b = trim(b)
		eq := bytes.IndexByte(b, '=')
		if eq < 0 {
			return nil
		}
		key := b[:eq]
		for len(key) > 0 && blank(key[len(key)-1]) {
			key = key[:len(key)-1]
		}
		b = trim(b[eq+1:])
		if len(b) == 0 {
			return nil
		}
		end := bytes.IndexByte(b[1:], b[0])
		if end < 0 {
			return nil
		}
		if string(key) == name {
			return b[1 : 1+end]
		}
		b = b[end+2:]
	}
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// trim takes blanks off the beginning.
func trim(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	return b
}

// Contains tells whether the element's bytes have s in them.
func (e Element) Contains(s string) bool { return bytes.Contains(e.raw, []byte(s)) }

// Between returns what stands between two strings, nil when they do not occur in this order.
func (e Element) Between(after, before string) []byte {
	_, rest, ok := bytes.Cut(e.raw, []byte(after))
	if !ok {
		return nil
	}
	value, _, ok := bytes.Cut(rest, []byte(before))
	if !ok {
		return nil
	}
	return value
}
