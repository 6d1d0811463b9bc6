package stream

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// maxBindTries bounds how often a client may ask for a resource that it does not get.
const maxBindTries = 10

// bind gives the client its resource (RFC 6120 §7). Nothing else is done before that.
func (n *negotiation) bind() error {
	c := n.c
	for range maxBindTries {
		e, err := c.in.Next()
		if err != nil {
			return n.readError(err)
		}
		request := e.Child(stanza.NSBind, "bind")
		if !e.Is(stanza.NSClient, "iq") || string(e.Attr("type")) != "set" || !request.Valid() {
			return notAuthorized("Bind a resource first.") // §7.1
		}
		id := e.Attr("id")
		if len(id) == 0 {
			return stanza.NewStreamError(stanza.StreamBadFormat, "An IQ needs an id.") // §8.2.3
		}
		resource, refusal := wantedResource(request)
		if refusal == nil {
			if refusal = n.bindSession(resource, id); refusal == nil {
				return nil
			}
		}
		reply := xmlstream.NewBuilder(nil)
		reply.Open(stanza.NSClient, "iq").Attr("type", "error").Attr("id", string(id)).Raw(refusal.Append(nil))
		if err := n.write(reply.Bytes()); err != nil {
			return err
		}
	}
	return stanza.NewStreamError(stanza.StreamPolicyViolation, "Too many failed attempts to bind a resource.")
}

// wantedResource returns the prepared resource that the client asks for; empty when it leaves the choice to the server (RFC 6120 §7.6).
func wantedResource(request xmlstream.Element) (string, *stanza.Error) {
	text := request.Child(stanza.NSBind, "resource").Text()
	if len(text) == 0 {
		return "", nil
	}
	resource, err := jid.PrepareResource(string(text))
	if err != nil {
		return "", stanza.NewError(stanza.ConditionBadRequest, "This is not a valid resource.") // §7.7.2.1
	}
	return resource, nil
}

// bindSession makes the session and puts the answer before whatever was sent to the session meanwhile.
func (n *negotiation) bindSession(resource string, id []byte) *stanza.Error {
	c := n.c
	c.mu.Lock()
	c.state = binding
	c.mu.Unlock()
	session, refusal := n.cfg.Backend.Bind(c, n.username, resource)

	c.mu.Lock()
	defer c.mu.Unlock()
	if refusal != nil {
		c.state = negotiating
		c.release()
		return refusal
	}
	c.session = session
	reply := xmlstream.NewBuilder(nil)
	reply.Open(stanza.NSClient, "iq").Attr("type", "result").Attr("id", string(id)).
		Open(stanza.NSBind, "bind").Open(stanza.NSBind, "jid").Text(session.JID().String())
	waiting := c.out
	c.out = nil
	buf := c.takeBuffer()
	buf.b = append(buf.b, reply.Bytes()...)
	if waiting != nil {
		buf.b = append(buf.b, waiting.b...)
		c.ln.giveBack(waiting)
	}
	c.state = open
	c.raw.by(time.Time{})
	c.wake()
	if c.ending {
		// Close was called while the session was made: the client learns of its resource, and at once that it is gone.
		c.ending = false
		c.close(c.cause)
	}
	return nil
}

// legacySession answers the session request of RFC 3921 §3, which means nothing any more; nil for everything else.
func legacySession(e xmlstream.Element, domain string) []byte {
	if !e.Is(stanza.NSClient, "iq") || !e.FirstChild().Is(stanza.NSSession, "session") || string(e.Attr("type")) != "set" {
		return nil
	}
	id, to := e.Attr("id"), e.Attr("to")
	if len(id) == 0 || len(to) > 0 && string(to) != domain {
		return nil
	}
	reply := xmlstream.NewBuilder(nil)
	reply.Open(stanza.NSClient, "iq").Attr("type", "result").Attr("id", string(id))
	if len(to) > 0 {
		reply.Attr("from", domain)
	}
	return reply.Bytes()
}
