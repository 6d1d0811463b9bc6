package xmlstream

import "errors"

// The stream error conditions of RFC 6120 §4.9.3 that reading XML can lead to.
const (
	BadFormat           = "bad-format"
	BadNamespacePrefix  = "bad-namespace-prefix"
	NotWellFormed       = "not-well-formed"
	PolicyViolation     = "policy-violation"
	RestrictedXML       = "restricted-xml"
	UnsupportedEncoding = "unsupported-encoding"
)

// ErrClosed is what Reader.Next returns once the other side has closed its stream with the end tag (RFC 6120 §4.4).
var ErrClosed = errors.New("the stream was closed by its end tag")

// Error is a fault in what was received. Nothing more can be read from the stream after one.
type Error struct {
	Condition string // the stream error of RFC 6120 §4.9.3 that answers it
	Detail    string // a sentence for people
}

func (e *Error) Error() string { return e.Condition + ": " + e.Detail }

func malformed(detail string) error  { return &Error{NotWellFormed, detail} }
func restricted(detail string) error { return &Error{RestrictedXML, detail} }
func policy(detail string) error     { return &Error{PolicyViolation, detail} }
