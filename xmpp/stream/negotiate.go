package stream

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// negotiation takes a connection from its first byte to a bound resource. All of it is gone once that is reached.
type negotiation struct {
	c        *Conn
	cfg      *Config
	limits   *Limits // what is announced holds
	from     netip.Addr
	channel  auth.Channel
	login    login
	exchange auth.Exchange // that succeeded
	username string
	greeted  bool // the stream header of this stream was sent
	proxied  bool // a PROXY header comes first
	mute     bool // a TLS handshake is under way or has failed: nothing can be said
}

// How a negotiation ends, apart from stream errors.
var (
	errSilent   = errors.New("the connection is not one to say anything on")
	errFarewell = errors.New("the client closed its stream")
)

// negotiate runs the negotiation. Where it succeeds, a fresh goroutine goes on, whose stack has not been through a TLS handshake.
func (c *Conn) negotiate(from netip.Addr, proxied bool) {
	n := &negotiation{c: c, cfg: &c.ln.cfg, limits: c.ln.cfg.Limits(), from: from, proxied: proxied}
	bound := n.run()
	n.cfg.Gate.leave(n.from)
	if bound {
		go c.serve(false)
		return
	}
	c.finish()
	c.ln.wg.Done()
}

// run negotiates and says whether a resource is bound. If not, the stream is closed and nothing is left to do but to release the connection.
func (n *negotiation) run() (bound bool) {
	defer func() {
		if r := recover(); r != nil {
			n.fail(n.c.panicked())
			// A session that was bound ends as any other does: with finish.
			bound = false
		}
	}()
	if err := n.streams(); err != nil {
		n.fail(err)
		return false
	}
	return true
}

// streams goes through the streams that make up a negotiation: in the clear, inside TLS, and after SASL (RFC 6120 §4.3.3).
func (n *negotiation) streams() error {
	c := n.c
	if n.proxied {
		if err := n.proxy(); err != nil {
			return err
		}
	}
	c.in = xmlstream.NewReader(c.raw, n.limits.Before)
	c.in.Borrow(&c.ln.readers)
	if n.cfg.Mode == DirectTLS {
		if err := n.handshake(); err != nil {
			return err
		}
	}
	for {
		n.greeted = false
		if err := n.header(); err != nil {
			return err
		}
		var err error
		switch {
		case !n.channel.Secure:
			err = n.startTLS()
		case n.exchange == nil:
			err = n.authenticate()
		default:
			return n.bind()
		}
		if err != nil {
			return err
		}
	}
}

// handshake makes the connection a TLS one. What was read in the clear and not used is dropped: it could have been put there by
// somebody else and would count as the client's (RFC 6120 §5.4.3.3).
func (n *negotiation) handshake() error {
	c := n.c
	n.mute = true
	t := tls.Server(c.raw, c.ln.tls)
	// The negotiation's deadline bounds it.
	if err := t.HandshakeContext(context.Background()); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			n.late()
		}
		n.cfg.Log.Debug("a TLS handshake failed", "remote", c.raw.RemoteAddr().String(), "error", err)
		return errSilent
	}
	cs := t.ConnectionState()
	n.channel = auth.TLSChannel(&cs, c.ln.endPointBinding(c.raw.cert))
	n.channel.Source = n.from
	c.raw.cert = nil
	c.conn = t
	c.in.Reset(t)
	n.mute, n.greeted = false, false
	return nil
}

// header reads the client's stream header and answers it with this side's, followed by the features (RFC 6120 §4.2, §4.3.2).
func (n *negotiation) header() error {
	e, err := n.c.in.Open()
	if err != nil {
		return n.readError(err)
	}
	n.c.lang = language(e.AttrNS(xmlstream.NSXML, "lang"))
	reply := n.greeting(e.Attr("from"))
	if failure := n.checkHeader(e); failure != nil {
		if err := n.write(reply); err != nil {
			return err
		}
		return failure
	}
	return n.write(n.features(reply))
}

// checkHeader looks at what a stream header has to say (RFC 6120 §4.7, §4.8).
func (n *negotiation) checkHeader(e xmlstream.Element) *stanza.StreamError {
	if string(e.Space()) != stanza.NSStream || string(n.c.in.ContentSpace()) != stanza.NSClient {
		return stanza.NewStreamError(stanza.StreamInvalidNamespace, // §4.9.3.10
			"A client's stream is in the namespace http://etherx.jabber.org/streams, with jabber:client as default.")
	}
	if string(e.Local()) != "stream" {
		return stanza.NewStreamError(stanza.StreamBadFormat, "A stream begins with the element stream.") // §4.9.3.1
	}
	to := e.Attr("to")
	if len(to) == 0 {
		return stanza.NewStreamError(stanza.StreamImproperAddressing, "The stream header does not say whom it is for.") // §4.9.3.7
	}
	// After SASL, too: who has logged in at one domain must not come out at another.
	if domain, err := jid.PrepareDomain(string(to)); err != nil || domain != n.cfg.Domain {
		return stanza.NewStreamError(stanza.StreamHostUnknown, "This server does not serve that domain.") // §4.9.3.6
	}
	if !supportedVersion(string(e.Attr("version"))) {
		return stanza.NewStreamError(stanza.StreamUnsupportedVersion, "This server speaks XMPP 1.0.") // §4.9.3.25
	}
	return nil
}

// supportedVersion accepts 1.0 and later: the lower of both sides' versions is spoken, which is 1.0. None stands for 0.9 (RFC 6120 §4.7.5).
func supportedVersion(s string) bool {
	major, minor, ok := strings.Cut(s, ".")
	if !ok {
		return false
	}
	m, err := strconv.ParseUint(major, 10, 16)
	_, err2 := strconv.ParseUint(minor, 10, 16)
	return err == nil && err2 == nil && m >= 1
}

// greeting makes this side's stream header (RFC 6120 §4.7): with a new id, and addressed to who the client says to be, which means
// nothing. §4.7.2 has clients give a bare JID and get it back; those that give a full one want that back.
func (n *negotiation) greeting(from []byte) []byte {
	n.greeted = true
	return newHeader(n.cfg.Domain, from)
}

func newHeader(domain string, from []byte) []byte {
	b := make([]byte, 0, 1024)
	b = append(b, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='"...)
	var id [16]byte
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	b = base64.RawURLEncoding.AppendEncode(b, id[:])
	b = append(b, "' from='"...)
	b = xmlstream.AppendEscapedAttr(b, []byte(domain))
	if len(from) > 0 {
		if j, err := jid.ParseBytes(from); err == nil {
			b = append(b, "' to='"...)
			b = xmlstream.AppendEscapedAttr(b, []byte(j.String()))
		}
	}
	return append(b, "' version='1.0' xml:lang='en'>"...)
}

// features appends what can be negotiated next (RFC 6120 §4.3.2). Everything is mandatory until a resource is bound.
func (n *negotiation) features(b []byte) []byte {
	b = append(b, "<stream:features>"...)
	switch {
	case !n.channel.Secure:
		b = append(b, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"...)
	case n.exchange == nil:
		if len(n.channel.Bindings) > 0 { // XEP-0440 §2
			b = append(b, "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"...)
			for _, binding := range n.channel.Bindings {
				b = append(append(append(b, "<channel-binding type='"...), binding.Type...), "'/>"...)
			}
			b = append(b, "</sasl-channel-binding>"...)
		}
		b = append(b, "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"...)
		for _, m := range n.cfg.Auth.Mechanisms(n.channel) {
			b = append(append(append(b, "<mechanism>"...), m...), "</mechanism>"...)
		}
		b = append(b, "</mechanisms>"...)
	default:
		b = append(b, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"...)
		// RFC 3921 §3; optional since RFC 6121 did away with it, but older clients insist.
		b = append(b, "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"...)
		if n.resumer() != nil { // XEP-0198 §2
			b = append(b, "<sm xmlns='urn:xmpp:sm:3'/>"...)
		}
		if n.cfg.Features != nil {
			b = append(b, n.cfg.Features()...)
		}
	}
	switch { // in the clear there is nothing to send that could be long
	case !n.channel.Secure:
	case n.exchange == nil:
		b = announce(b, n.limits.Before.MaxBytes, 0)
	default:
		b = announce(b, n.limits.After.MaxBytes, n.limits.IdleTimeout)
	}
	return append(b, "</stream:features>"...)
}

// startTLS waits for the client to ask for TLS, the only thing that it may do in the clear (RFC 6120 §5.4).
func (n *negotiation) startTLS() error {
	for {
		e, err := n.c.in.Next()
		if err != nil {
			return n.readError(err)
		}
		switch {
		case e.Is(stanza.NSTLS, "starttls"):
			if err := n.write([]byte("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")); err != nil {
				return err
			}
			return n.handshake()
		case string(e.Space()) == stanza.NSSASL:
			// RFC 6120 §6.5.4
			reply, tooMany := n.login.refuse(&auth.SASLError{Condition: auth.EncryptionRequired, Text: "Log in after STARTTLS."})
			if err := n.write(reply); err != nil {
				return err
			}
			if tooMany {
				return errTooManyTries()
			}
		default:
			return notAuthorized("STARTTLS has to come first.")
		}
	}
}

// authenticate goes through SASL (RFC 6120 §6.4) until somebody has logged in.
func (n *negotiation) authenticate() error {
	c := n.c
	for {
		e, err := c.in.Next()
		if err != nil {
			return n.readError(err)
		}
		switch {
		case string(e.Space()) == stanza.NSSASL:
			reply, outcome := n.login.step(n.cfg.Auth, n.channel, e)
			if err := n.write(reply); err != nil {
				return err
			}
			if (outcome == loginFailed || outcome == loginTooMany) && n.login.result == meter.Refused && n.cfg.LoginFailed != nil {
				n.cfg.LoginFailed(n.login.claimed, n.login.mechanism, n.login.reason, c.raw.RemoteAddr().String())
			}
			switch outcome {
			case loginGoesOn:
				continue
			case loginFailed:
				n.cfg.Meter.Login(n.login.mechanism, n.login.result)
				n.cfg.Log.Info("a login was refused", "remote", c.raw.RemoteAddr().String(), "mechanism", n.login.mechanism, "reason", n.login.reason)
				continue
			case loginTooMany:
				n.cfg.Meter.Login(n.login.mechanism, n.login.result)
				n.cfg.Meter.Refuse(meter.LoginTries)
				n.cfg.Log.Info("a login was refused for the last time", "remote", c.raw.RemoteAddr().String(), "mechanism", n.login.mechanism, "reason", n.login.reason)
				return errTooManyTries()
			}
			n.exchange, n.username, c.mechanism = n.login.exchange, n.login.username, n.login.mechanism
			n.cfg.Meter.Login(c.mechanism, meter.LoggedIn)
			n.login = login{}
			// RFC 6120 §6.4.6: a new stream. What the client sent before it could know about the success is dropped.
			c.in.Reset(c.conn)
			n.limits = n.cfg.Limits()
			c.in.SetLimits(n.limits.After)
			return nil
		case string(e.Space()) == stanza.NSTLS:
			// RFC 6120 §5.4.2.2; XEP-0368: STARTTLS must not be used inside TLS.
			if err := n.write([]byte("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")); err != nil {
				return err
			}
			return errFarewell
		default:
			return notAuthorized("Log in first.")
		}
	}
}

func notAuthorized(text string) *stanza.StreamError {
	return stanza.NewStreamError(stanza.StreamNotAuthorized, text) // RFC 6120 §4.9.3.12
}

func errTooManyTries() *stanza.StreamError {
	return stanza.NewStreamError(stanza.StreamPolicyViolation, "Too many failed logins.") // RFC 6120 §6.4.5
}

// write writes on the negotiating goroutine, the only one that writes before a resource is bound.
func (n *negotiation) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if _, err := n.c.conn.Write(b); err != nil {
		return errSilent
	}
	return nil
}

// late counts a client that has not logged in in time, unless it was asked to go.
func (n *negotiation) late() {
	n.c.mu.Lock()
	asked := n.c.ending
	n.c.mu.Unlock()
	if !asked {
		n.cfg.Meter.Refuse(meter.LoginTime)
	}
}

// readError says how a failed read ends the stream.
func (n *negotiation) readError(err error) error {
	if failure := stanza.StreamErrorOf(err); failure != nil {
		n.c.ln.countViolation(failure)
		return failure
	}
	switch {
	case errors.Is(err, xmlstream.ErrClosed):
		return errFarewell
	case errors.Is(err, os.ErrDeadlineExceeded):
		n.late()
		return stanza.NewStreamError(stanza.StreamConnectionTimeout, "Logging in took too long.") // RFC 6120 §4.9.3.4
	}
	return errSilent
}

// fail ends the stream: with the cause given to Close if there was one, else with err.
func (n *negotiation) fail(err error) {
	c := n.c
	c.mu.Lock()
	if c.ending {
		err = errFarewell
		if c.cause != nil {
			err = c.cause
		}
	}
	c.state = closing
	c.release()
	c.raw.by(time.Now().Add(c.ln.cfg.CloseTimeout))
	c.mu.Unlock()
	var failure *stanza.StreamError
	switch {
	case errors.As(err, &failure):
		n.cfg.Log.Debug("a stream ended before it was bound", "remote", c.raw.RemoteAddr().String(), "error", failure)
	case !errors.Is(err, errFarewell):
		return
	}
	if n.mute {
		return
	}
	var b []byte
	if !n.greeted { // RFC 6120 §4.9.1.2: an error at the very start comes after this side's header, too
		b = n.greeting(nil)
	}
	if failure != nil {
		b = failure.Append(b)
	}
	if n.write(append(b, endTag...)) == nil {
		c.goodbye()
		c.drain()
	}
}
