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
		if string(e.Space()) == nsManagement && n.resumer() != nil {
			if resumed, err := n.manage(e); resumed || err != nil {
				return err
			}
			continue
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
			if refusal, err = n.bindSession(resource, id); refusal == nil {
				return err
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

// bindSession makes the session and answers the client.
func (n *negotiation) bindSession(resource string, id []byte) (*stanza.Error, error) {
	c := n.c
	if err := n.stillValid(nil); err != nil { // a session is not to displace another for nothing
		return nil, err
	}
	c.mu.Lock()
	c.state = binding
	c.mu.Unlock()
	session, refusal := n.cfg.Backend.Bind(c, n.username, resource)

	if refusal != nil {
		c.unbound()
		return refusal, nil
	}
	if err := n.stillValid(session); err != nil {
		return nil, err
	}
	reply := xmlstream.NewBuilder(nil)
	reply.Open(stanza.NSClient, "iq").Attr("type", "result").Attr("id", string(id)).
		Open(stanza.NSBind, "bind").Open(stanza.NSBind, "jid").Text(session.JID().String())
	c.bound(session, reply.Bytes())
	return nil, nil
}

// stillValid looks at the account again: whoever logs in and then waits must not end up in the account that somebody else was given under the same
// name, nor keep a door open through a change of the password. It is asked last once there is a session, which changes of the account would
// end from then on; nothing that was sent to it leaves.
func (n *negotiation) stillValid(s Session) error {
	if n.exchange.Valid() {
		return nil
	}
	n.c.session, n.c.ended = s, true
	return notAuthorized("The account has changed since you logged in. Log in again.")
}

// unbound goes back to negotiating: there is no session.
func (c *Conn) unbound() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = negotiating
	c.release()
}

// bound opens the stream for a session. The answer to the client comes before whatever was sent to the session meanwhile.
func (c *Conn) bound(session Session, reply []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session
	waiting := c.out
	c.out = nil
	buf := c.takeBuffer()
	buf.b = append(buf.b, reply...)
	if waiting != nil {
		buf.b = append(buf.b, waiting.b...)
		c.ln.giveBack(waiting)
	}
	c.state = open
	c.arrival, c.idle = time.Now().UnixNano(), c.ln.cfg.Limits().IdleTimeout
	c.raw.metered = c
	c.raw.shallow()
	c.raw.by(time.Time{})
	c.patience = 0
	c.wake()
	if c.ending {
		// Close was called while the session was made: the client learns of its resource, and at once that it is gone.
		c.ending = false
		c.close(c.cause)
	}
}
