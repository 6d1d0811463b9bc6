package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// refusedError is what a server answers instead of what it was asked for.
type refusedError struct {
	conditions []string // RFC 6120 §4.9.3, §6.5
	said       []string
}

func (e *refusedError) has(condition string) bool { return slices.Contains(e.conditions, condition) }

func (e *refusedError) Error() string {
	said := "the server answers: " + strings.Join(e.said, ", ")
	switch {
	case e.has(auth.NotAuthorized):
		return "the password is wrong, or there is no such account, or somebody between here and the server ends TLS (" + said + ")"
	case e.has(auth.AccountDisabled):
		return "the account is locked (" + said + ")"
	case e.has(auth.TemporaryAuthFailure):
		return "too many logins with this account or from this address have failed, and for a while the server refuses even the right password: wait, and end what logs in " +
			"with a wrong one (" + said + ")"
	case e.has(stanza.StreamHostUnknown):
		return "the server has another domain than that of --domain (" + said + ")"
	}
	return said
}

// answerError is an answer of REST that is not the one to a call that worked.
type answerError struct {
	status int
	text   string
}

func (e *answerError) Error() string {
	switch e.status {
	case http.StatusUnauthorized:
		return "the secret is not the one that opens it, or it is closed to this address (the answer is " + e.text + ")"
	case http.StatusTooManyRequests:
		return "too many calls from this address came with a wrong secret, and for a while none is looked at: wait (the answer is " + e.text + ")"
	}
	return "the answer is " + e.text
}

// errEnded is the end of a stream that nobody has closed.
var errEnded = errors.New("the server closed the connection")

// ended names the end of a stream, which is in the middle of a document of XML.
func ended(err error) error {
	var syntax *xml.SyntaxError
	if errors.Is(err, io.EOF) || errors.As(err, &syntax) && syntax.Msg == "unexpected EOF" {
		return errEnded
	}
	return err
}

// isAlert says whether TLS ended with an alert (RFC 8446 §6.2), of the server or for it. Package crypto/tls has no type for those of a connection over TCP.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

// handshakeFailed says of the alert for a version that only one side speaks which one that is here.
func handshakeFailed(err error) error {
	if isAlert(err) && strings.Contains(err.Error(), "protocol version") {
		return fmt.Errorf("TLS: %w: this program speaks TLS 1.3 alone", err)
	}
	return fmt.Errorf("TLS: %w", err)
}

// directTLSError is a port that speaks TLS from the first byte (XEP-0368).
type directTLSError struct{ port string }

func (e *directTLSError) Error() string {
	return fmt.Sprintf("port %s speaks TLS at once, as the one for direct TLS does (mostly 5223): give the one for STARTTLS, mostly 5222", e.port)
}

// temporary says whether it may be otherwise in a moment: the server is starting, is being replaced, or has too much to do.
func temporary(err error) bool {
	var refused *refusedError
	var answer *answerError
	var direct *directTLSError
	var address *net.AddrError
	var lookup *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		return slices.ContainsFunc([]string{
			auth.TemporaryAuthFailure, stanza.StreamSystemShutdown, stanza.StreamResourceConstraint, stanza.StreamInternalServerError,
			stanza.StreamConnectionTimeout, stanza.StreamReset,
		}, refused.has)
	case errors.As(err, &answer):
		return slices.Contains([]int{
			http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		}, answer.status)
	case errors.As(err, &direct), errors.As(err, &address), isAlert(err):
		return false
	case errors.As(err, &lookup):
		return !lookup.IsNotFound
	}
	return errors.As(err, &op) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errEnded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// notKnownYet says whether the name of the server, or the login, is not known.
func notKnownYet(err error) bool {
	var refused *refusedError
	var answer *answerError
	var lookup *net.DNSError
	switch {
	case errors.As(err, &refused):
		return refused.has(auth.NotAuthorized)
	case errors.As(err, &answer):
		return answer.status == http.StatusNotFound || answer.status == http.StatusUnauthorized
	case errors.As(err, &lookup):
		return lookup.IsNotFound
	}
	return false
}
