package transfer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// belongings hand out what belongs to a person, one by one: a mailbox may be larger than the memory that there is.
type belongings struct {
	// contacts is asked twice, and tells the same each time.
	contacts func(each func(*contact) error) error
	card     func() ([]byte, error) // canonical; nil: none
	messages func(each func(*message) error) error
}

// belongings are those that the person has in memory.
func (p *person) belongings() belongings {
	return belongings{
		contacts: func(each func(*contact) error) error { return eachOf(p.contacts, each) },
		card:     func() ([]byte, error) { return p.vcard, nil },
		messages: func(each func(*message) error) error { return eachOf(p.messages, each) },
	}
}

func eachOf[T any](list []T, each func(*T) error) error {
	for i := range list {
		if err := each(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

// writeDocument writes the file of a person (XEP-0227 §4) with what belongs to them.
func writeDocument(w io.Writer, p *person, has belongings) error {
	b := []byte("<?xml version='1.0' encoding='UTF-8'?>\n<user")
	b = attr(b, "xmlns", nsPie)
	b = attr(b, "xmlns:o", nsOwn)
	b = attr(b, "name", p.username)
	if p.password != "" {
		b = attr(b, "password", p.password)
	}
	b = append(b, ">\n"...)
	b = appendScram(b, auth.SHA256, p.credential.SHA256)
	b = appendScram(b, auth.SHA1, p.credential.SHA1)
	flush := func() error {
		_, err := w.Write(b)
		b = b[:0]
		return err
	}
	begun := false
	err := has.contacts(func(c *contact) error {
		if c.onlyPending() {
			return nil
		}
		if !begun {
			b = append(attr(append(b, "  <query"...), "xmlns", nsRoster), ">\n"...)
			begun = true
		}
		b = appendItem(b, c)
		return flush()
	})
	if err != nil {
		return err
	}
	if begun {
		b = append(b, "  </query>\n"...)
	}
	if err := has.contacts(func(c *contact) error {
		if !c.pendingIn {
			return nil
		}
		b = appendPending(b, c)
		return flush()
	}); err != nil {
		return err
	}
	card, err := has.card()
	if err != nil {
		return err
	}
	if card != nil {
		b = append(append(append(b, "  "...), card...), '\n')
	}
	begun = false
	if err := has.messages(func(m *message) error {
		if !begun {
			b = append(b, "  <offline-messages>\n"...)
			begun = true
		}
		b = append(b, "    <message"...)
		b = attr(b, "xmlns", nsClient)
		b = attr(b, "o:id", strconv.FormatInt(m.id, 10))
		b = attr(b, "o:received", strconv.FormatInt(m.received, 10))
		b = append(append(b, bytes.TrimPrefix(m.stanza, []byte("<message"))...), '\n')
		return flush()
	}); err != nil {
		return err
	}
	if begun {
		b = append(b, "  </offline-messages>\n"...)
	}
	b = append(b, "</user>\n"...)
	return flush()
}

func appendItem(b []byte, c *contact) []byte {
	b = attr(append(b, "    <item"...), "jid", c.jid)
	if c.name != "" {
		b = attr(b, "name", c.name)
	}
	b = attr(b, "subscription", subscriptions[c.subscription])
	for _, flag := range []struct {
		set         bool
		name, value string
	}{{c.ask, "ask", "subscribe"}, {c.approved, "approved", "true"}, {c.hidden, "o:hidden", "true"}, {c.declared, "o:declared", "true"}} {
		if flag.set {
			b = attr(b, flag.name, flag.value)
		}
	}
	if len(c.groups) == 0 {
		return append(b, "/>\n"...)
	}
	b = append(b, '>')
	for _, g := range c.groups {
		b = append(xmlstream.AppendEscapedText(append(b, "<group>"...), []byte(g)), "</group>"...)
	}
	return append(b, "</item>\n"...)
}

func appendPending(b []byte, c *contact) []byte {
	b = append(b, "  <presence"...)
	b = attr(b, "xmlns", nsClient)
	b = attr(b, "type", "subscribe")
	b = attr(b, "from", c.jid)
	if len(c.request) == 0 {
		return append(b, "/>\n"...)
	}
	return append(append(append(b, '>'), c.request...), "</presence>\n"...)
}

func appendScram(b []byte, h auth.Hash, v auth.Verifier) []byte {
	if v.IsZero() {
		return b
	}
	b = attr(append(b, "  <scram-credentials"...), "xmlns", nsPieScram)
	b = attr(b, "mechanism", h.String())
	b64 := base64.StdEncoding
	return fmt.Appendf(b, "><iter-count>%d</iter-count><salt>%s</salt><server-key>%s</server-key><stored-key>%s</stored-key></scram-credentials>\n",
		v.Iterations, b64.EncodeToString(v.Salt), b64.EncodeToString(v.ServerKey), b64.EncodeToString(v.StoredKey))
}

func attr(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), `="`...)
	return append(xmlstream.AppendEscapedAttrString(b, value), '"')
}
