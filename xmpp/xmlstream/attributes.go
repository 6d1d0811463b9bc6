package xmlstream

import "bytes"

// attributes parses from behind the name of a start tag to its end. Namespace declarations come into scope at depth.
func (p *parser) attributes(i int, depth int16) (next int, closed bool, err error) {
	count := 0
	d := &p.doc
	for {
		before := i
		if i, err = p.space(i); err != nil {
			return 0, false, err
		}
		switch d.raw[i] {
		case '>':
			return i + 1, false, nil
		case '/':
			for i+1 == len(d.raw) {
				if err := p.more(); err != nil {
					return 0, false, err
				}
			}
			if d.raw[i+1] != '>' {
				return 0, false, malformed("a slash in a start tag isn't followed by >")
			}
			return i + 2, true, nil
		}
		if i == before {
			return 0, false, malformed("there is no white space before an attribute")
		}
		if count++; count > p.lim.MaxAttributes {
			return 0, false, policy("an element has more attributes than this server accepts")
		}
		var a attr
		if a.prefix, a.name, i, err = p.qname(i); err != nil {
			return 0, false, err
		}
		if i, err = p.space(i); err != nil {
			return 0, false, err
		}
		if d.raw[i] != '=' {
			return 0, false, malformed("an attribute has no value")
		}
		if i, err = p.space(i + 1); err != nil {
			return 0, false, err
		}
		if q := d.raw[i]; q != '\'' && q != '"' {
			return 0, false, malformed("an attribute's value isn't quoted")
		}
		standard := a.prefix.len == 0 && string(d.bytes(a.name)) == "xmlns"
		if !standard && (a.prefix.len != 5 || string(d.bytes(a.prefix)) != "xmlns") {
			if a.value, i, err = p.attrValue(i, isAttr); err != nil {
				return 0, false, err
			}
			d.attrs = append(d.attrs, a)
			continue
		}
		if a.value, i, err = p.attrValue(i, isURI); err != nil {
			return 0, false, err
		}
		if standard {
			a.name = span{}
		}
		if err = p.declare(a.name, a.value, depth); err != nil {
			return 0, false, err
		}
	}
}

// declare brings a namespace declaration into scope (Namespaces in XML 1.0 §3, §5).
func (p *parser) declare(prefix, name span, depth int16) error {
	d := &p.doc
	pre, uri := d.bytes(prefix), d.bytes(name)
	switch {
	case string(pre) == "xmlns":
		return malformed("the prefix xmlns can't be declared")
	case string(pre) == "xml":
		if string(uri) != NSXML {
			return malformed("the prefix xml can't stand for another namespace")
		}
		return p.declareOnce(prefix, spaceXML, depth, false)
	case string(uri) == NSXML || string(uri) == NSXMLNS:
		return malformed("a reserved namespace can't be given another prefix")
	case len(pre) > 0 && len(uri) == 0:
		return malformed("a namespace prefix can't stand for no namespace")
	}
	if name.off < 0 && !plainURI(uri) { // what wasn't decoded consists of such bytes
		return policy("a namespace name contains a character that no URI contains")
	}
	if len(p.bindings)-p.headBindings >= p.lim.MaxNamespaces {
		return policy("there are more namespace declarations in scope than this server accepts")
	}
	space := int32(spaceNone)
	if len(uri) > 0 {
		space = int32(len(d.spaces))
		d.spaces = append(d.spaces, name)
	}
	return p.declareOnce(prefix, space, depth, string(uri) == NSClient)
}

// plainURI reports whether a namespace name has no ASCII characters but those of URIs (RFC 3986 §2), which is what it has to
// be (Namespaces in XML 1.0 §2.1). Parsers rely on it: they glue namespaces to names with a character that no URI contains,
// as Expat does for its callers, and end in an error where one does.
func plainURI(uri []byte) bool {
	for _, c := range uri {
		if c < 0x80 && class[c]&isURI == 0 && c != '&' && c != '\'' {
			return false
		}
	}
	return true
}

// declareOnce adds a binding and refuses a second one of the same prefix on one element.
func (p *parser) declareOnce(prefix span, space int32, depth int16, client bool) error {
	pre := p.doc.bytes(prefix)
	for j := len(p.bindings) - 1; j >= 0 && p.bindings[j].depth == depth; j-- {
		if bytes.Equal(p.doc.bytes(p.bindings[j].prefix), pre) {
			return malformed("an element declares a namespace prefix twice")
		}
	}
	p.bindings = append(p.bindings, binding{prefix: prefix, space: space, depth: depth, client: client})
	return nil
}

// resolve finds the namespace that a prefix stands for and records on nd whose declaration it relies on. Without a prefix
// an element is in the default namespace.
func (p *parser) resolve(nd *node, prefix span, element bool) (int32, error) {
	d := &p.doc
	if prefix.len == 0 {
		for j := len(p.bindings) - 1; j >= 0; j-- {
			if b := &p.bindings[j]; b.prefix.len == 0 {
				if b.client {
					nd.client = min(nd.client, b.depth)
				} else {
					nd.foreign = min(nd.foreign, b.depth)
				}
				return b.space, nil
			}
		}
		nd.foreign = 0 // no default namespace anywhere: that, too, comes from outside
		return spaceNone, nil
	}
	pre := d.bytes(prefix)
	if string(pre) == "xml" {
		return spaceXML, nil
	}
	for j := len(p.bindings) - 1; j >= 0; j-- {
		if b := &p.bindings[j]; b.prefix.len == prefix.len && bytes.Equal(d.bytes(b.prefix), pre) {
			nd.foreign = min(nd.foreign, b.depth)
			return b.space, nil
		}
	}
	if element && nd.depth == 0 {
		return 0, &Error{BadNamespacePrefix, "the stream header's prefix isn't declared"} // RFC 6120 §4.9.3.2
	}
	return 0, malformed("a namespace prefix isn't declared") // RFC 6120 §11.3
}

// resolveAttrs resolves the prefixes of an element's attributes and refuses two with one expanded name (Namespaces in XML
// 1.0 §6.3).
func (p *parser) resolveAttrs(nd *node) error {
	d := &p.doc
	attrs := d.attrs[nd.attr:]
	for k := range attrs {
		a := &attrs[k]
		if a.prefix.len > 0 {
			var err error
			if a.space, err = p.resolve(nd, a.prefix, false); err != nil {
				return err
			}
		}
		for j := range attrs[:k] {
			o := &attrs[j]
			if o.name.len == a.name.len && d.raw[o.name.off] == d.raw[a.name.off] &&
				bytes.Equal(d.bytes(o.name), d.bytes(a.name)) && d.sameSpace(o.space, a.space) {
				return malformed("an element has an attribute twice")
			}
		}
	}
	return nil
}

func (d *document) sameSpace(a, b int32) bool {
	return a == b || bytes.Equal(d.bytes(d.spaces[a]), d.bytes(d.spaces[b]))
}
