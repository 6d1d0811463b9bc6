package stanza

import (
	"bytes"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Stanza is a message, presence or IQ: one that was received, as a view into the reader's memory, or one that the server
// makes. The addresses and the type belong to the Stanza and may be changed; what is inside is passed on as it is.
type Stanza struct {
	Kind     Kind
	Type     Type
	ID, Lang []byte // nil when absent
	From, To jid.JID

	// Refused says that it was answered with an error.
	Refused bool

	// Root is the parsed element; not valid for stanzas that the server made.
	Root xmlstream.Element
	// Payload is what is inside, serialized for the default namespace jabber:client. For a parsed stanza it is nil until
	// something sets it, and then it takes the place of Root's content.
	Payload []byte
}

// Parse reads a stanza from a child of a client's stream (RFC 6120 §8.1, §8.2). Where it finds a fault it returns the
// stanza error that answers it, and the Stanza as far as it could be read: enough to make the reply. An element that isn't
// a stanza at all has Kind 0: RFC 6120 §4.9.3.24 has the stream error unsupported-stanza-type for it.
//
// c may be nil. The Stanza is valid as long as e is: use Clone to keep it.
func Parse(e xmlstream.Element, c *jid.Cache) (Stanza, *Error) {
	s := Stanza{Root: e}
	switch {
	case string(e.Space()) != NSClient:
	case string(e.Local()) == "message":
		s.Kind = Message
	case string(e.Local()) == "presence":
		s.Kind = Presence
	case string(e.Local()) == "iq":
		s.Kind = IQ
	}
	if s.Kind == 0 {
		return s, NewError(ConditionFeatureNotImplemented, "this element is not a message, presence or iq")
	}
	s.ID = e.Attr("id")
	s.Lang = e.AttrNS(xmlstream.NSXML, "lang")
	var known bool
	s.Type, known = parseType(s.Kind, e.Attr("type"))

	var fault *Error
	if from := e.Attr("from"); from != nil {
		var err error
		if s.From, err = c.Parse(from); err != nil {
			fault = NewError(ConditionJIDMalformed, "from: "+err.Error())
		}
	}
	if to := e.Attr("to"); to != nil {
		var err error
		if s.To, err = c.Parse(to); err != nil {
			fault = NewError(ConditionJIDMalformed, "to: "+err.Error()) // RFC 6120 §8.1.1, §8.3.3.8
		}
	}
	switch {
	case fault != nil:
	case !known && s.Kind == IQ:
		fault = NewError(ConditionBadRequest, "an iq has to be of type get, set, result or error") // RFC 6120 §8.2.3
	case !known:
		fault = NewError(ConditionBadRequest, "this type of presence does not exist") // RFC 6121 §4.7.1
	case s.Kind == IQ:
		fault = s.checkIQ()
	}
	return s, fault
}

// checkIQ holds an IQ to RFC 6120 §8.2.3.
func (s *Stanza) checkIQ() *Error {
	if s.ID == nil {
		return NewError(ConditionBadRequest, "an iq needs an id")
	}
	first := s.Root.FirstChild()
	more := first.NextSibling().Valid()
	switch s.Type {
	case IQGet, IQSet:
		if !first.Valid() || more {
			return NewError(ConditionBadRequest, "an iq of type "+s.Type.String()+" needs exactly one child element")
		}
	case IQResult:
		if more {
			return NewError(ConditionBadRequest, "an iq of type result has at most one child element")
		}
	case TypeError:
		if !s.Root.Child(NSClient, "error").Valid() {
			return NewError(ConditionBadRequest, "an iq of type error needs an error element")
		}
	}
	return nil
}

// Append writes the whole stanza as it goes on a client's stream, where the default namespace is jabber:client. A parsed
// stanza keeps what attributes it has beyond those that a Stanza knows.
func (s *Stanza) Append(dst []byte) []byte {
	dst = append(append(dst, '<'), s.Kind.String()...)
	if !s.From.IsZero() {
		dst = appendAttr(dst, " from='", s.From.String())
	}
	if !s.To.IsZero() {
		dst = appendAttr(dst, " to='", s.To.String())
	}
	if s.ID != nil {
		dst = append(xmlstream.AppendEscapedAttr(append(dst, " id='"...), s.ID), '\'')
	}
	if t := s.Type.String(); t != "" && s.Type != MessageNormal { // normal is what no type means (RFC 6121 §5.2.2)
		dst = append(append(append(dst, " type='"...), t...), '\'')
	}
	if s.Lang != nil {
		dst = append(xmlstream.AppendEscapedAttr(append(dst, " xml:lang='"...), s.Lang), '\'')
	}
	dst = s.Root.AppendAttrs(dst, known)
	dst = append(dst, '>')
	open := len(dst)
	dst = s.AppendPayload(dst)
	if len(dst) == open {
		return append(dst[:open-1], "/>"...)
	}
	dst = append(append(dst, "</"...), s.Kind.String()...)
	return append(dst, '>')
}

// known tells the attributes that a Stanza holds itself.
func known(space, local []byte) bool {
	switch string(local) {
	case "from", "to", "id", "type":
		return len(space) == 0
	case "lang":
		return string(space) == xmlstream.NSXML
	}
	return false
}

func appendAttr(dst []byte, name, value string) []byte {
	return append(xmlstream.AppendEscapedAttrString(append(dst, name...), value), '\'')
}

// AppendPayload writes what is inside the stanza.
func (s *Stanza) AppendPayload(dst []byte) []byte {
	if s.Payload != nil || !s.Root.Valid() {
		return append(dst, s.Payload...)
	}
	return s.Root.AppendInner(dst)
}

// content is an element with the stanza's children, parsed on the spot where the server made them.
func (s *Stanza) content() xmlstream.Element {
	if s.Payload == nil {
		return s.Root
	}
	// Whatever it was that let this in, what is held already is not too large to be looked at.
	const most = 1 << 30
	e, err := xmlstream.ParseInner(s.Payload, xmlstream.Limits{MaxBytes: most, MaxDepth: most, MaxAttributes: most, MaxElements: most, MaxNamespaces: most})
	if err != nil {
		return xmlstream.Element{}
	}
	return e
}

// Child is the first child element of this name; one that isn't valid if there is none.
func (s *Stanza) Child(space, local string) xmlstream.Element { return s.content().Child(space, local) }

// FirstChild is the first child element: what a request asks for.
func (s *Stanza) FirstChild() xmlstream.Element { return s.content().FirstChild() }

// Clone is a copy that outlives the reader's next stanza.
func (s *Stanza) Clone() *Stanza {
	c := *s
	c.ID, c.Lang, c.Payload = bytes.Clone(s.ID), bytes.Clone(s.Lang), bytes.Clone(s.Payload)
	c.Root = s.Root.Clone()
	return &c
}

// IsRequest reports whether this is an IQ that has to be answered (RFC 6120 §8.2.3).
func (s *Stanza) IsRequest() bool { return s.Kind == IQ && (s.Type == IQGet || s.Type == IQSet) }

// IsReply reports whether this is an IQ that answers another.
func (s *Stanza) IsReply() bool { return s.Kind == IQ && (s.Type == IQResult || s.Type == TypeError) }

// IsSubscription reports whether this is presence that manages a subscription (RFC 6121 §3).
func (s *Stanza) IsSubscription() bool {
	return s.Kind == Presence && s.Type >= PresenceSubscribe && s.Type <= PresenceUnsubscribed
}

// Result is the IQ that answers a request with success (RFC 6120 §8.2.3); payload may be nil.
func Result(req *Stanza, payload []byte) *Stanza {
	return &Stanza{Kind: IQ, Type: IQResult, ID: bytes.Clone(req.ID), From: req.To, To: req.From, Payload: payload}
}

// ErrorReply is the stanza that answers another with an error (RFC 6120 §8.3.1). It is nil where no answer may be given: to
// an error, and to an IQ result, which wasn't a question.
func ErrorReply(req *Stanza, err *Error) *Stanza {
	if req.Kind == 0 || req.Type == TypeError || req.Type == IQResult {
		return nil
	}
	req.Refused = true
	return &Stanza{
		Kind: req.Kind, Type: TypeError, ID: bytes.Clone(req.ID), From: req.To, To: req.From, Payload: err.Append(nil),
	}
}
