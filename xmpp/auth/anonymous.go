package auth

import "unicode/utf8"

// maxTrace is the longest trace data, in characters (RFC 4505 §2).
const maxTrace = 255

// anonymousExchange is ANONYMOUS (RFC 4505) as XEP-0175 uses it. Trace data is checked and forgotten: it must not be used for anything but
// tracing, and nothing here traces.
type anonymousExchange struct{ done bool }

func (x *anonymousExchange) Username() string { return "" }

func (x *anonymousExchange) Claimed() string { return "" }

func (x *anonymousExchange) Valid() bool { return x.done }

func (x *anonymousExchange) Step(in []byte) ([]byte, bool, *SASLError) {
	if x.done {
		return nil, false, malformed("The exchange is over.")
	}
	x.done = true
	if !utf8.Valid(in) || utf8.RuneCount(in) > maxTrace {
		return nil, false, malformed("Trace data has to be at most 255 characters of UTF-8.")
	}
	return nil, true, nil
}
