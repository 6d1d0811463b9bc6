package entity

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Bounds of a body, besides its size, which the caller bounds.
const (
	maxDepth = 32
	maxNodes = 100_000
)

// Parse turns a body into values. charset is the parameter of the Content-Type,
// empty for UTF-8. A JSON body of nothing or null is a nil Body without an error;
// an empty XML body is an error, as it always was.
func Parse(f Format, charset string, data []byte) (*Body, error) {
	data, err := decodeCharset(charset, data)
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	// One client sends white space before the XML declaration.
	data = bytes.TrimSpace(data)
	if f == JSON {
		return parseJSON(data)
	}
	return parseXML(data, charset != "")
}

// decodeCharset makes UTF-8 of the few encodings that clients send.
func decodeCharset(charset string, data []byte) ([]byte, error) {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return data, nil
	case "iso-8859-1", "latin1":
		return fromLatin1(data), nil
	default:
		return nil, inputErrorf("the body is in the encoding %q: send UTF-8", charset)
	}
}

func fromLatin1(data []byte) []byte {
	out := make([]byte, 0, len(data)+len(data)/8)
	for _, c := range data {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

// budget counts the values of a body, so that a small body cannot become a large tree.
type budget struct{ left int }

func (b *budget) spend() error {
	if b.left--; b.left < 0 {
		return inputErrorf("the body has more than %d values: send it in parts", maxNodes)
	}
	return nil
}

func parseJSON(data []byte) (*Body, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if !utf8.Valid(data) {
		return nil, inputErrorf("the body is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	n, err := readJSON(d, &budget{left: maxNodes}, 0)
	if err == nil {
		if _, after := d.Token(); !errors.Is(after, io.EOF) {
			err = inputErrorf("the body is not well-formed JSON: something follows the first value")
		}
	}
	if err != nil {
		var input *InputError
		if errors.As(err, &input) {
			return nil, input
		}
		return nil, inputErrorf("the body is not well-formed JSON: %s", jsonTrouble(err))
	}
	if n.kind == nullValue {
		return nil, nil
	}
	return &Body{format: JSON, value: n}, nil
}

func jsonTrouble(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("%s (byte %d)", syntax, syntax.Offset)
	}
	return err.Error()
}

func readJSON(d *json.Decoder, left *budget, depth int) (node, error) {
	if err := left.spend(); err != nil {
		return node{}, err
	}
	token, err := d.Token()
	if err != nil {
		return node{}, err
	}
	switch t := token.(type) {
	case nil:
		return node{kind: nullValue}, nil
	case bool:
		return node{kind: booleanValue, text: fmt.Sprint(t)}, nil
	case json.Number:
		return node{kind: numberValue, text: t.String()}, nil
	case string:
		return node{kind: textValue, text: t}, checkCharacters(t)
	}
	if depth == maxDepth {
		return node{}, inputErrorf("the body is nested deeper than %d levels", maxDepth)
	}
	if token == json.Delim('[') {
		n := node{kind: listValue}
		for d.More() {
			item, err := readJSON(d, left, depth+1)
			if err != nil {
				return node{}, err
			}
			n.items = append(n.items, item)
		}
		_, err = d.Token()
		return n, err
	}
	n := node{kind: objectValue}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return node{}, err
		}
		name, _ := key.(string)
		item, err := readJSON(d, left, depth+1)
		if err != nil {
			return node{}, err
		}
		n.members = append(n.members, member{name: name, node: item})
	}
	_, err = d.Token()
	return n, err
}

// checkCharacters refuses what no XML document, and so no answer of this API, can
// carry.
func checkCharacters(s string) error {
	for _, r := range s {
		if !xmlCharacter(r) {
			return inputErrorf("the body contains the character U+%04X, which no name and no text may contain", r)
		}
	}
	return nil
}

const namespaceXSI = "http://www.w3.org/2001/XMLSchema-instance"

// newXMLDecoder begins to read a document. When the Content-Type named the encoding, the bytes are
// UTF-8 by now whatever the XML declaration says (RFC 7303 §3).
func newXMLDecoder(data []byte, decoded bool) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(charset string, input io.Reader) (io.Reader, error) {
		if decoded {
			return input, nil
		}
		raw, err := io.ReadAll(input)
		if err != nil {
			return nil, err
		}
		raw, err = decodeCharset(charset, raw)
		return bytes.NewReader(raw), err
	}
	return d
}

// parseXML reads a document.
func parseXML(data []byte, decoded bool) (*Body, error) {
	d := newXMLDecoder(data, decoded)
	left := &budget{left: maxNodes}
	var body *Body
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, xmlTrouble(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if body != nil {
				return nil, inputErrorf("the body is not well-formed XML: <%s> follows the root element", t.Name.Local)
			}
			if t.Name.Space != "" {
				return nil, inputErrorf("the root element <%s> is in the namespace %q: it has to be in none", t.Name.Local, t.Name.Space)
			}
			n, err := readXML(d, t, left, 1)
			if err != nil {
				return nil, xmlTrouble(err)
			}
			body = &Body{format: XML, root: t.Name.Local, value: n}
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, inputErrorf("the body is not well-formed XML: there is text outside the root element")
			}
		case xml.Directive:
			return nil, errDTD
		}
	}
	if body == nil {
		return nil, inputErrorf("the body has no XML element")
	}
	return body, nil
}

var errDTD = inputErrorf("the body has a document type declaration, which is never read: send the element alone")

func xmlTrouble(err error) error {
	var input *InputError
	if errors.As(err, &input) {
		return input
	}
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return inputErrorf("the body is not well-formed XML: %s (line %d)", syntax.Msg, syntax.Line)
	}
	return inputErrorf("the body is not well-formed XML: %s", err)
}

func readXML(d *xml.Decoder, start xml.StartElement, left *budget, depth int) (node, error) {
	if err := left.spend(); err != nil {
		return node{}, err
	}
	if depth > maxDepth {
		return node{}, inputErrorf("the body is nested deeper than %d levels", maxDepth)
	}
	n := node{kind: textValue}
	isNull := false
	for _, a := range start.Attr {
		switch {
		case a.Name.Space == namespaceXSI && a.Name.Local == "nil":
			isNull = a.Value == "true" || a.Value == "1"
		case a.Name.Space != "" || a.Name.Local == "xmlns":
			// Namespaces and what belongs to one are no fields.
		default:
			if err := left.spend(); err != nil {
				return node{}, err
			}
			n.members = append(n.members, member{name: "@" + a.Name.Local, node: node{kind: textValue, text: a.Value}})
		}
	}
	var text strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return node{}, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			child, err := readXML(d, t, left, depth+1)
			if err != nil {
				return node{}, err
			}
			n.members = append(n.members, member{name: t.Name.Local, node: child})
		case xml.CharData:
			text.Write(t)
		case xml.Directive:
			return node{}, errDTD
		case xml.EndElement:
			n.text = text.String()
			if len(n.members) > 0 {
				n.kind = objectValue
			}
			if isNull {
				n = node{kind: nullValue}
			}
			return n, nil
		}
	}
}
