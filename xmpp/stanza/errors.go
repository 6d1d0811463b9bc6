package stanza

import (
	"errors"

	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// ErrorType says what the sender can do about an error (RFC 6120 §8.3.2).
type ErrorType string

// The error types.
const (
	Auth     ErrorType = "auth"
	Cancel   ErrorType = "cancel"
	Continue ErrorType = "continue"
	Modify   ErrorType = "modify"
	Wait     ErrorType = "wait"
)

// Condition is a defined condition of a stanza error (RFC 6120 §8.3.3).
type Condition string

// The conditions.
const (
	ConditionBadRequest            Condition = "bad-request"
	ConditionConflict              Condition = "conflict"
	ConditionFeatureNotImplemented Condition = "feature-not-implemented"
	ConditionForbidden             Condition = "forbidden"
	ConditionGone                  Condition = "gone"
	ConditionInternalServerError   Condition = "internal-server-error"
	ConditionItemNotFound          Condition = "item-not-found"
	ConditionJIDMalformed          Condition = "jid-malformed"
	ConditionNotAcceptable         Condition = "not-acceptable"
	ConditionNotAllowed            Condition = "not-allowed"
	ConditionNotAuthorized         Condition = "not-authorized"
	ConditionPolicyViolation       Condition = "policy-violation"
	ConditionRecipientUnavailable  Condition = "recipient-unavailable"
	ConditionRedirect              Condition = "redirect"
	ConditionRegistrationRequired  Condition = "registration-required"
	ConditionRemoteServerNotFound  Condition = "remote-server-not-found"
	ConditionRemoteServerTimeout   Condition = "remote-server-timeout"
	ConditionResourceConstraint    Condition = "resource-constraint"
	ConditionServiceUnavailable    Condition = "service-unavailable"
	ConditionSubscriptionRequired  Condition = "subscription-required"
	ConditionUndefinedCondition    Condition = "undefined-condition"
	ConditionUnexpectedRequest     Condition = "unexpected-request"
)

// defaultType is the error type that RFC 6120 §8.3.3 gives a condition; the first one where it leaves a choice. It is also
// what tells the defined conditions from others.
func (c Condition) defaultType() (ErrorType, bool) {
	switch c {
	case ConditionBadRequest, ConditionJIDMalformed, ConditionNotAcceptable, ConditionPolicyViolation, ConditionRedirect:
		return Modify, true
	case ConditionForbidden, ConditionNotAuthorized, ConditionRegistrationRequired, ConditionSubscriptionRequired:
		return Auth, true
	case ConditionRecipientUnavailable, ConditionRemoteServerTimeout, ConditionResourceConstraint, ConditionUnexpectedRequest:
		return Wait, true
	case ConditionConflict, ConditionFeatureNotImplemented, ConditionGone, ConditionInternalServerError, ConditionItemNotFound,
		ConditionNotAllowed, ConditionRemoteServerNotFound, ConditionServiceUnavailable, ConditionUndefinedCondition:
		return Cancel, true
	}
	return Cancel, false
}

// Error is a stanza error (RFC 6120 §8.3).
type Error struct {
	Type      ErrorType
	Condition Condition
	Text      string // for people; optional
	URI       string // where to go instead, for gone and redirect (RFC 6120 §8.3.3.5, §8.3.3.14)
	App       []byte // an application-specific condition, serialized for the default namespace jabber:client; optional
}

// NewError is an error with the type that RFC 6120 §8.3.3 gives its condition; text may be empty.
func NewError(cond Condition, text string) *Error {
	t, _ := cond.defaultType()
	return &Error{Type: t, Condition: cond, Text: text}
}

func (e *Error) Error() string {
	if e.Text == "" {
		return string(e.Condition)
	}
	return string(e.Condition) + ": " + e.Text
}

// Append writes the error element.
func (e *Error) Append(dst []byte) []byte {
	b := xmlstream.NewBuilder(dst)
	b.Open(NSClient, "error").Attr("type", string(e.Type))
	b.Open(NSStanzas, string(e.Condition)).Text(e.URI).Close()
	if e.Text != "" {
		b.Open(NSStanzas, "text").Attr("xml:lang", "en").Text(e.Text).Close()
	}
	return b.Raw(e.App).Close().Bytes()
}

// ParseError reads the error of a stanza of type error; nil if it has none. A condition that isn't defined, or is missing,
// reads as undefined-condition, and a missing or unknown type as the condition's own (RFC 6120 §8.3.2).
func ParseError(s *Stanza) *Error {
	el := s.Child(NSClient, "error")
	if !el.Valid() {
		return nil
	}
	e := &Error{Condition: ConditionUndefinedCondition}
	for c := range el.Children() {
		switch {
		case string(c.Space()) != NSStanzas:
			if e.App == nil {
				e.App = c.Append(nil)
			}
		case string(c.Local()) == "text":
			if e.Text == "" {
				e.Text = string(c.Text())
			}
		default:
			if _, defined := Condition(c.Local()).defaultType(); defined && e.Condition == ConditionUndefinedCondition {
				e.Condition = Condition(c.Local())
				e.URI = string(c.Text())
			}
		}
	}
	e.Type, _ = e.Condition.defaultType()
	switch t := ErrorType(el.Attr("type")); t {
	case Auth, Cancel, Continue, Modify, Wait:
		e.Type = t
	}
	return e
}

// Conditions of stream errors (RFC 6120 §4.9.3).
const (
	StreamBadFormat              = "bad-format"
	StreamBadNamespacePrefix     = "bad-namespace-prefix"
	StreamConflict               = "conflict"
	StreamConnectionTimeout      = "connection-timeout"
	StreamHostGone               = "host-gone"
	StreamHostUnknown            = "host-unknown"
	StreamImproperAddressing     = "improper-addressing"
	StreamInternalServerError    = "internal-server-error"
	StreamInvalidFrom            = "invalid-from"
	StreamInvalidNamespace       = "invalid-namespace"
	StreamInvalidXML             = "invalid-xml"
	StreamNotAuthorized          = "not-authorized"
	StreamNotWellFormed          = "not-well-formed"
	StreamPolicyViolation        = "policy-violation"
	StreamRemoteConnectionFailed = "remote-connection-failed"
	StreamReset                  = "reset"
	StreamResourceConstraint     = "resource-constraint"
	StreamRestrictedXML          = "restricted-xml"
	StreamSeeOtherHost           = "see-other-host"
	StreamSystemShutdown         = "system-shutdown"
	StreamUndefinedCondition     = "undefined-condition"
	StreamUnsupportedEncoding    = "unsupported-encoding"
	StreamUnsupportedFeature     = "unsupported-feature"
	StreamUnsupportedStanzaType  = "unsupported-stanza-type"
	StreamUnsupportedVersion     = "unsupported-version"
)

// StreamError is an error that ends a stream (RFC 6120 §4.9).
type StreamError struct {
	Condition string
	Text      string // for people; optional
	Host      string // where to go instead, for see-other-host (RFC 6120 §4.9.3.19)
	App       []byte // an application-specific condition, serialized for the default namespace jabber:client; optional
}

// NewStreamError is a stream error with a condition and, unless it is empty, a text.
func NewStreamError(condition, text string) *StreamError {
	return &StreamError{Condition: condition, Text: text}
}

// StreamErrorOf is the stream error that answers a fault in the XML; nil if err isn't one.
func StreamErrorOf(err error) *StreamError {
	var e *xmlstream.Error
	if errors.As(err, &e) {
		return &StreamError{Condition: e.Condition, Text: e.Detail}
	}
	return nil
}

func (e *StreamError) Error() string {
	if e.Text == "" {
		return e.Condition
	}
	return e.Condition + ": " + e.Text
}

// Append writes the error element with the prefix stream, which the stream header has to bind (RFC 6120 §4.8.5).
func (e *StreamError) Append(dst []byte) []byte {
	b := xmlstream.NewBuilder(append(dst, "<stream:error>"...))
	b.Open(NSStreamErrors, e.Condition).Text(e.Host).Close()
	if e.Text != "" {
		b.Open(NSStreamErrors, "text").Attr("xml:lang", "en").Text(e.Text).Close()
	}
	return append(b.Raw(e.App).Bytes(), "</stream:error>"...)
}
