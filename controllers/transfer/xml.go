package transfer

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Bounds of what is read as XML. Nothing that a server keeps comes near them.
const (
	// maxToken bounds one tag or text.
	maxToken = 4 << 20
	// maxElement bounds an element that is kept whole: a message, a vCard.
	maxElement = 8 << 20
	// maxDepth is that of the deepest stanza that xmpp.limits.stanza-depth allows, and of what is around it in a document.
	maxDepth = 256 + 16
)

// xmlReader reads documents of whatever size and origin. There are no document type declarations in what it reads, and so nothing that an
// entity could blow up; one tag, text or depth that is too large is an error before it is in memory.
type xmlReader struct {
	*xml.Decoder
	in    *allowance
	depth int
	// rewrite, unless nil, says what is written in place of an attribute that is in no namespace, and of a text (attribute is empty), by element.
	rewrite func(element xml.Name, attribute, value string) string
}

func newXMLReader(r io.Reader) *xmlReader {
	in := &allowance{Reader: r}
	d := xml.NewDecoder(in)
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("it is written in %s: convert it to UTF-8 first", charset)
	}
	return &xmlReader{Decoder: d, in: in}
}

// allowance lets only so many bytes through until it is renewed.
type allowance struct {
	io.Reader
	left int
}

var errTooLarge = fmt.Errorf("a tag or text is larger than %d bytes", maxToken)

func (a *allowance) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, errTooLarge
	}
	n, err := a.Reader.Read(p[:min(len(p), a.left)])
	a.left -= n
	return n, err
}

// Token reads the next tag or text; comments and instructions are passed over.
func (x *xmlReader) Token() (xml.Token, error) {
	for {
		x.in.left = maxToken
		token, err := x.Decoder.Token()
		if err != nil {
			return nil, x.explain(err)
		}
		switch token.(type) {
		case xml.StartElement:
			if x.depth++; x.depth > maxDepth {
				return nil, x.explain(fmt.Errorf("elements are nested more than %d levels deep", maxDepth))
			}
		case xml.EndElement:
			x.depth--
		case xml.Directive:
			return nil, x.explain(errors.New("it has a document type declaration, which is not read: remove it"))
		case xml.Comment, xml.ProcInst:
			continue
		}
		return token, nil
	}
}

// explain says where.
func (x *xmlReader) explain(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("line %d: %s", syntax.Line, syntax.Msg)
	}
	line, _ := x.InputPos()
	return fmt.Errorf("line %d: %w", line, err)
}

// root reads up to the first element.
func (x *xmlReader) root() (xml.StartElement, error) {
	for {
		token, err := x.Token()
		if errors.Is(err, io.EOF) {
			return xml.StartElement{}, errors.New("it is empty")
		}
		if err != nil {
			return xml.StartElement{}, err
		}
		if start, ok := token.(xml.StartElement); ok {
			return start.Copy(), nil
		}
	}
}

// children hands each child element to each, which has to read it up to its end. It returns after the end of the element itself.
func (x *xmlReader) children(each func(xml.StartElement) error) error {
	for {
		token, err := x.Token()
		if errors.Is(err, io.EOF) {
			return x.explain(io.ErrUnexpectedEOF)
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := each(t.Copy()); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// skip reads up to the end of an element.
func (x *xmlReader) skip() error {
	return x.children(func(xml.StartElement) error { return x.skip() })
}

// text reads the text of an element, up to its end.
func (x *xmlReader) text() (string, error) {
	var text []byte
	for {
		token, err := x.Token()
		if errors.Is(err, io.EOF) {
			return "", x.explain(io.ErrUnexpectedEOF)
		}
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.CharData:
			if text = append(text, t...); len(text) > maxToken {
				return "", x.explain(errTooLarge)
			}
		case xml.StartElement:
			if err := x.skip(); err != nil {
				return "", err
			}
		case xml.EndElement:
			return string(text), nil
		}
	}
}

const nsClient = "jabber:client"

// element reads an element whole and writes it in one way only, as it can stand where the default namespace is outer: what one export says
// in two manners has to be equal in the next. Attributes in the namespace own are left out. Of blanks between elements, none is kept in mixed content either
// way: they stay.
func (x *xmlReader) element(start xml.StartElement, outer, own string) ([]byte, error) {
	return x.appendElement(nil, start, outer, own)
}

func (x *xmlReader) appendElement(dst []byte, start xml.StartElement, outer, own string) ([]byte, error) {
	dst = append(append(dst, '<'), start.Name.Local...)
	if start.Name.Space != outer {
		dst = append(dst, ` xmlns="`...)
		dst = append(xmlstream.AppendEscapedAttrString(dst, start.Name.Space), '"')
	}
	prefixes := 0
	for _, a := range start.Attr {
		name := a.Name.Local
		switch {
		case a.Name.Space == "xmlns", a.Name.Space == "" && name == "xmlns", own != "" && a.Name.Space == own:
			continue
		case a.Name.Space == "" && x.rewrite != nil:
			a.Value = x.rewrite(start.Name, name, a.Value)
		case a.Name.Space == xmlstream.NSXML:
			name = "xml:" + name
		case a.Name.Space != "":
			prefix := fmt.Sprintf("a%d", prefixes)
			prefixes++
			dst = append(append(append(dst, " xmlns:"...), prefix...), `="`...)
			dst = append(xmlstream.AppendEscapedAttrString(dst, a.Name.Space), '"')
			name = prefix + ":" + name
		}
		dst = append(append(append(dst, ' '), name...), `="`...)
		dst = append(xmlstream.AppendEscapedAttrString(dst, a.Value), '"')
	}
	dst = append(dst, '>')
	empty := len(dst)
	for {
		token, err := x.Token()
		if errors.Is(err, io.EOF) {
			return nil, x.explain(io.ErrUnexpectedEOF)
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.CharData:
			if x.rewrite != nil {
				t = xml.CharData(x.rewrite(start.Name, "", string(t)))
			}
			dst = xmlstream.AppendEscapedText(dst, t)
		case xml.StartElement:
			if dst, err = x.appendElement(dst, t.Copy(), start.Name.Space, own); err != nil {
				return nil, err
			}
		case xml.EndElement:
			if len(dst) == empty {
				return append(dst[:empty-1], "/>"...), nil
			}
			return append(append(append(dst, "</"...), start.Name.Local...), '>'), nil
		}
		if len(dst) > maxElement {
			return nil, x.explain(fmt.Errorf("an element is larger than %d bytes", maxElement))
		}
	}
}

// parseKept reads an element that a server keeps. It may be larger and deeper than what the limits of clients are by now, and is larger than what
// the client sent: who it is from and when it came is in it, and more characters are escaped.
func parseKept(b []byte) (xmlstream.Element, error) {
	if len(b) > maxElement {
		return xmlstream.Element{}, fmt.Errorf("it is larger than %d bytes", maxElement)
	}
	most := len(b) + 1
	return xmlstream.Parse(b, xmlstream.Limits{MaxBytes: most, MaxDepth: most, MaxAttributes: most, MaxElements: most, MaxNamespaces: most})
}

// attribute is the value of an attribute.
func attribute(start xml.StartElement, space, local string) string {
	for _, a := range start.Attr {
		if a.Name.Space == space && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}
