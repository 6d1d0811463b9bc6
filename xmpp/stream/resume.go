package stream

import (
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// nsManagement is stream management (XEP-0198), which is the session's matter but for what comes before there is one.
const nsManagement = "urn:xmpp:sm:3"

// resumer is the backend where its sessions can be resumed.
func (n *negotiation) resumer() Resumer {
	r, _ := n.cfg.Backend.(Resumer)
	return r
}

// manage takes an element of stream management in place of a request to bind a resource, and says whether a session was resumed.
func (n *negotiation) manage(e xmlstream.Element) (resumed bool, err error) {
	if !e.Is(nsManagement, "resume") {
		// XEP-0198 §3: it is enabled for a resource.
		b := xmlstream.NewBuilder(nil).Open(nsManagement, "failed").Open(stanza.NSStanzas, string(stanza.ConditionUnexpectedRequest))
		return false, n.write(b.Close().Close().Bytes())
	}
	if err := n.stillValid(nil); err != nil { // a session is not to lose its connection for nothing
		return false, err
	}
	c := n.c
	c.mu.Lock()
	c.state = binding
	c.mu.Unlock()
	session, reply, failure := n.resumer().Resume(c, n.username, e)
	if session == nil {
		c.unbound()
		if failure != nil {
			return false, failure
		}
		return false, n.write(reply)
	}
	if err := n.stillValid(session); err != nil {
		return false, err
	}
	c.bound(session, reply)
	return true, nil
}
