// Package xmlstream reads and writes the XML of XMPP streams: the subset of XML 1.0 and Namespaces in XML 1.0 that RFC
// 6120 §11 allows, and nothing of XMPP beyond that.
//
// A Reader parses one stanza at a time, in place, into flat arrays that it uses again for the next one; an Element is a
// view into them. Reading a stanza and passing it on costs no allocation.
//
// Passing on raw bytes is an optimization and never the semantics: it is done where any parser must see in the bytes what
// this one saw, and where they mean the same in their new place. Everything else is written anew from the tree. See
// Element.Append.
package xmlstream

// Namespaces that XML and streams themselves are made of.
const (
	NSXML     = "http://www.w3.org/XML/1998/namespace"
	NSXMLNS   = "http://www.w3.org/2000/xmlns/"
	NSClient  = "jabber:client"
	NSStreams = "http://etherx.jabber.org/streams"
)

// span is a stretch of bytes. From zero on, off counts in the raw bytes of the stanza; below zero, ^off counts in the
// decoded bytes beside it.
type span struct{ off, len int32 }

// kind tells the nodes apart.
type kind uint8

const (
	elementNode kind = iota
	textNode
)

const (
	// rewrite: the raw bytes hold something that is read but never passed on as it came, because not every parser reads
	// it alike: CDATA, carriage returns (XML 1.0 §2.11), and white space other than spaces in attributes (§3.3.3).
	rewrite = 1 << iota
)

// outside is the depth recorded where no namespace binding was used: deeper than anything.
const outside = int16(1<<15 - 1)

// node is an element, or a run of character data, in document order. Index 0 is the root, so that 0 as a link is "none".
type node struct {
	begin, end           int32 // the whole of it in the raw bytes
	innerBegin, innerEnd int32 // an element's content in the raw bytes
	name                 span  // an element's local name; a text's decoded characters
	space                int32 // an element's namespace: index in document.spaces
	next, child          int32 // the next sibling, the first child; 0 is none
	attr                 int32 // index of the first attribute
	nattr                uint16
	depth                int16 // 1 is the stanza; bindings of the stream header have depth 0
	kind                 kind
	flags                uint8
	// The shallowest depths whose namespace bindings the element and all within it rely on: foreign for prefixes and for a
	// default namespace other than jabber:client, client for the default namespace jabber:client. An element can be moved
	// as raw bytes only if it brings with it all that it relies on, or finds it in its new place.
	foreign, client int16
}

// attr is an attribute that isn't a namespace declaration.
type attr struct {
	prefix, name, value span
	space               int32
}

// binding is one namespace declaration in scope.
type binding struct {
	prefix span
	space  int32
	depth  int16
	client bool // the namespace is jabber:client
}

// document holds what was parsed. Once parsing is over it is only read, so that a Clone may be used by many goroutines.
type document struct {
	raw    []byte // the stanza's bytes as received
	dec    []byte // decoded strings, after the ones that last as long as the stream
	nodes  []node
	attrs  []attr
	spaces []span // namespace names; 0 is no namespace, 1 is NSXML
}

func (d *document) bytes(s span) []byte {
	if s.off >= 0 {
		return d.raw[s.off : s.off+s.len : s.off+s.len]
	}
	o := ^s.off
	return d.dec[o : o+s.len : o+s.len]
}

const (
	spaceNone = 0
	spaceXML  = 1
)
