package stream

import (
	"bytes"
	"encoding/base64"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// login is the SASL profile of RFC 6120 §6.4: the elements around the messages of package auth.
type login struct {
	exchange  auth.Exchange // nil between attempts
	mechanism string
	username  string // once it succeeded
	claimed   string // whom the last failure claimed to be, if there is such an account
	reason    string // its condition, and
	result    meter.Result
	failures  int
}

type loginOutcome uint8

const (
	loginGoesOn loginOutcome = iota
	loginFailed
	loginTooMany
	loginDone
)

// step takes an element of the SASL namespace and returns the answer.
func (l *login) step(server *auth.Server, channel auth.Channel, e xmlstream.Element) ([]byte, loginOutcome) {
	message, refusal := l.message(server, channel, e)
	if refusal == nil {
		var out []byte
		var done bool
		if out, done, refusal = l.exchange.Step(message); refusal == nil {
			if !done {
				return saslElement("challenge", out), loginGoesOn
			}
			l.username = l.exchange.Username()
			return saslElement("success", out), loginDone
		}
	}
	reply, tooMany := l.refuse(refusal)
	if tooMany {
		return reply, loginTooMany
	}
	return reply, loginFailed
}

// message returns the SASL message in an element, nil for an auth element without one, after starting the exchange that it asks for.
func (l *login) message(server *auth.Server, channel auth.Channel, e xmlstream.Element) ([]byte, *auth.SASLError) {
	switch string(e.Local()) {
	case "auth":
		if l.exchange != nil {
			return nil, &auth.SASLError{Condition: auth.MalformedRequest, Text: "Another exchange was under way."}
		}
		mechanism := string(e.Attr("mechanism"))
		exchange, refusal := server.Start(mechanism, channel)
		if refusal != nil {
			l.mechanism = "" // what it was called is the client's word, and not for the log
			return nil, refusal
		}
		// One of the names that the server offers, so that it does not keep the client's copy.
		l.exchange, l.mechanism = exchange, mechanism
		if len(e.Text()) == 0 {
			return nil, nil
		}
	case "response":
		if l.exchange == nil {
			return nil, &auth.SASLError{Condition: auth.MalformedRequest, Text: "No exchange is under way."}
		}
	case "abort": // RFC 6120 §6.4.4, §6.5.1
		return nil, &auth.SASLError{Condition: auth.Aborted}
	default:
		return nil, &auth.SASLError{Condition: auth.MalformedRequest, Text: "This element is not one that a client sends."}
	}
	return decodeSASL(e.Text())
}

// decodeSASL decodes the content of an auth or response element: strict base64, or "=" for a message of no bytes (RFC 6120 §6.4.2).
func decodeSASL(text []byte) ([]byte, *auth.SASLError) {
	if len(text) == 0 || len(text) == 1 && text[0] == '=' {
		return []byte{}, nil
	}
	message := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	count, err := base64.StdEncoding.Strict().Decode(message, text)
	if err != nil || bytes.ContainsAny(text, "\r\n") {
		return nil, &auth.SASLError{Condition: auth.IncorrectEncoding, Text: "A SASL message has to be in base64."} // RFC 6120 §6.5.5
	}
	return message[:count], nil
}

// refuse ends the attempt and returns the failure element (RFC 6120 §6.4.5), and whether that was one too many.
func (l *login) refuse(e *auth.SASLError) (reply []byte, tooMany bool) {
	l.claimed = ""
	if l.exchange != nil {
		l.claimed = l.exchange.Claimed()
	}
	l.exchange, l.reason = nil, e.Condition
	switch {
	case e.Limited():
		l.result = meter.Limited
	case e.Condition == auth.NotAuthorized || e.Condition == auth.AccountDisabled || e.Condition == auth.InvalidAuthzid:
		l.result = meter.Refused
	default:
		l.result = meter.Failed
	}
	l.failures++
	b := xmlstream.NewBuilder(nil)
	b.Open(stanza.NSSASL, "failure").Open(stanza.NSSASL, e.Condition).Close()
	if e.Text != "" {
		b.Open(stanza.NSSASL, "text").Attr("xml:lang", "en").Text(e.Text).Close()
	}
	return b.Bytes(), l.failures >= maxTries
}

// saslElement wraps a message of the server. No message makes an empty element; one of no bytes does not occur in any mechanism here.
func saslElement(name string, message []byte) []byte {
	b := make([]byte, 0, 96+base64.StdEncoding.EncodedLen(len(message)))
	b = append(append(append(b, '<'), name...), " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"...)
	if len(message) == 0 {
		return append(b, "/>"...)
	}
	b = append(b, '>')
	b = base64.StdEncoding.AppendEncode(b, message)
	return append(append(append(b, "</"...), name...), '>')
}
