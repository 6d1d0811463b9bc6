package transfer

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// here is an address as it is on this server: prepared, and of its domain where it was of the other server's.
func (c *conversion) here(text string) (jid.JID, error) {
	j, err := jid.Parse(strings.TrimSpace(text))
	if err != nil || c.from == "" {
		return j, err
	}
	domain := j.Domain()
	if domain == c.from {
		domain = c.domain
	} else if service, ok := strings.CutSuffix(domain, "."+c.from); ok {
		domain = service + "." + c.domain
	}
	return jid.New(j.Local(), domain, j.Resource())
}

// address is a bare address as it is here.
func (c *conversion) address(text string) (string, error) {
	j, err := c.here(text)
	if err != nil {
		return "", err
	}
	c.countDomain(j.Domain())
	return j.Bare().String(), nil
}

// Namespaces of elements with addresses in what waits for somebody.
const (
	nsConference = "jabber:x:conference"
	nsMUCUser    = "http://jabber.org/protocol/muc#user"
)

// addressed are the attributes that are addresses. An id that a server gave a message (XEP-0359) is not among them: it was given by that server, and
// says nothing here.
var addressed = map[xml.Name][]string{
	{Space: nsClient, Local: "message"}:  {"to", "from"},  // RFC 6120 §8.1, also inside of a forwarded one (XEP-0297)
	{Space: nsDelay, Local: "delay"}:     {"from"},        // XEP-0203 §3
	{Space: nsConference, Local: "x"}:    {"jid"},         // XEP-0249 §2
	{Space: nsMUCUser, Local: "invite"}:  {"from", "to"},  // XEP-0045 §7.8.2
	{Space: nsMUCUser, Local: "decline"}: {"from", "to"},  // XEP-0045 §7.8.2
	{Space: nsVCard, Local: "JABBERID"}:  {addressedText}, // XEP-0054 §3
}

// addressedText stands for the text of an element.
const addressedText = ""

// move makes the addresses of the other server in messages and in the vCard of a person addresses of this one.
func (c *conversion) move(p *person) {
	if c.from == "" || c.from == c.domain {
		return
	}
	for i := range p.messages {
		c.moveElement(&p.messages[i].stanza, "An offline message", p.username)
	}
	if p.vcard != nil {
		c.moveElement(&p.vcard, "The vCard", p.username)
	}
}

// moveElement does that in one canonical element. What is no address stays as it is.
func (c *conversion) moveElement(element *[]byte, what, whose string) {
	x := newXMLReader(bytes.NewReader(*element))
	x.DefaultSpace = nsClient
	x.rewrite = func(element xml.Name, attribute, value string) string {
		for _, one := range addressed[element] {
			if one != attribute {
				continue
			}
			if j, err := c.here(value); err == nil {
				return j.String()
			}
		}
		return value
	}
	start, err := x.root()
	if err == nil {
		var moved []byte
		if moved, err = x.element(start, nsClient, ""); err == nil {
			*element = moved
			return
		}
	}
	c.notes.add(fmt.Sprintf("%s of %s keeps addresses of %s: %v", what, whose, c.from, err))
}
