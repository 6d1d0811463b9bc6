package entity

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
)

// namespaceVCard is that of vCards (XEP-0054).
const namespaceVCard = "vcard-temp"

// namespacePrefixXML is what the prefix xml stands for in every document.
const namespacePrefixXML = "http://www.w3.org/XML/1998/namespace"

// VCard is a vCard: the element vCard of XEP-0054, without a prolog. The original has it as XML only.
type VCard struct{ element []byte }

// ReadVCard reads a document whose root is a vCard, in its namespace or in none. Comments and the like are left out.
func ReadVCard(charset string, data []byte) (VCard, error) {
	data, err := decodeCharset(charset, data)
	if err != nil {
		return VCard{}, err
	}
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\uFEFF")))
	d := newXMLDecoder(data, charset != "")
	left := &budget{left: maxNodes}
	w := xmlWriter{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return VCard{}, xmlTrouble(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(w.buf) > 0 || t.Name.Local != "vCard" || t.Name.Space != "" && t.Name.Space != namespaceVCard {
				return VCard{}, inputErrorf("the body has to be one element vCard of the namespace %s", namespaceVCard)
			}
			if err := copyXML(d, &w, t, "", left, 1); err != nil {
				return VCard{}, xmlTrouble(err)
			}
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return VCard{}, inputErrorf("the body is not well-formed XML: there is text outside the root element")
			}
		case xml.Directive:
			return VCard{}, errDTD
		}
	}
	if len(w.buf) == 0 {
		return VCard{}, inputErrorf("the body has no XML element")
	}
	return VCard{element: w.buf}, nil
}

// copyXML writes an element and what is in it. outer is the default namespace around it; what is in no namespace is in that of vCards.
func copyXML(d *xml.Decoder, w *xmlWriter, start xml.StartElement, outer string, left *budget, depth int) error {
	if err := left.spend(); err != nil {
		return err
	}
	if depth > maxDepth {
		return inputErrorf("the body is nested deeper than %d levels", maxDepth)
	}
	space := start.Name.Space
	if space == "" {
		space = namespaceVCard
	}
	w.start(start.Name.Local)
	if space != outer {
		w.attribute("xmlns", space)
	}
	for i, a := range start.Attr {
		switch {
		case a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns":
			continue // what an element needs is declared on it
		case a.Name.Space == "":
			w.attribute(a.Name.Local, a.Value)
		case a.Name.Space == namespacePrefixXML:
			w.attribute("xml:"+a.Name.Local, a.Value)
		default:
			prefix := "a" + strconv.Itoa(i)
			w.attribute("xmlns:"+prefix, a.Name.Space)
			w.attribute(prefix+":"+a.Name.Local, a.Value)
		}
		if err := left.spend(); err != nil {
			return err
		}
	}
	for {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := copyXML(d, w, t, space, left, depth+1); err != nil {
				return err
			}
		case xml.CharData:
			if len(t) > 0 {
				w.finishTag()
				w.escape(string(t), false)
			}
		case xml.Directive:
			return errDTD
		case xml.EndElement:
			w.end(start.Name.Local)
			return nil
		}
	}
}

// Bytes is the element.
func (v VCard) Bytes() []byte { return v.element }

// writeXML takes the place of the prolog.
func (v VCard) writeXML(w *xmlWriter) { w.buf = append(w.buf[:0], v.element...) }

func (v VCard) writeJSON(w *jsonWriter) { w.quote(string(v.element)) }
