package transfer

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// Namespaces of XEP-0227 and of what it contains.
const (
	nsPie      = "urn:xmpp:pie:0"
	nsPieScram = "urn:xmpp:pie:0#scram"
	nsRoster   = "jabber:iq:roster"
	nsVCard    = "vcard-temp"
	nsDelay    = "urn:xmpp:delay"
	nsInclude  = "http://www.w3.org/2001/XInclude"
	// nsOwn has what this program knows beyond that. Others pass over it.
	nsOwn = "urn:chat-operator:export:1"
)

// person is what belongs to one user.
type person struct {
	username string
	// password and credential are how to log in; other servers take them from here, this one from its Secrets.
	password   string
	credential auth.Credential
	contacts   []contact
	messages   []message
	vcard      []byte // canonical, as the store has it
}

// contact is a row of a roster (RFC 6121 §2). The names of the fields are those of account.Item.
type contact struct {
	jid, name             string
	subscription          int64
	ask, approved, hidden bool
	groups                []string
	pendingIn             bool
	request               []byte // canonical
	declared              bool   // by the user's resource: for other servers only
}

// message waits for a user who is not there (XEP-0160). Without an id it comes from elsewhere.
type message struct {
	id, received int64
	stanza       []byte // canonical, for the default namespace jabber:client
}

// subscriptions are the words for what is stored as numbers (RFC 6121 §2.1.2.5).
var subscriptions = [...]string{"none", "to", "from", "both"}

// empty says that there is nothing to know but the name.
func (p *person) empty() bool {
	return p.password == "" && p.credential.IsZero() && len(p.contacts) == 0 && len(p.messages) == 0 && p.vcard == nil
}

// canonical reads an element as the store has it and writes it as it stands inside a XEP-0227 file.
func canonical(stored []byte, outer string) ([]byte, error) {
	x := newXMLReader(bytes.NewReader(stored))
	x.DefaultSpace = nsClient
	start, err := x.root()
	if err != nil {
		return nil, err
	}
	return x.element(start, outer, nsOwn)
}

// payload gives the elements inside a stanza, as the store keeps a request's.
func (x *xmlReader) payload() (all []byte, err error) {
	err = x.children(func(start xml.StartElement) error {
		one, err := x.element(start, nsClient, "")
		all = append(all, one...)
		return err
	})
	return all, err
}

// canonicalElement is canonical for an element of which an export is read back.
func canonicalElement(stored []byte) ([]byte, error) { return canonical(stored, nsClient) }

// canonicalPayload is canonical for the elements inside a stanza.
func canonicalPayload(stored []byte) ([]byte, error) {
	x := newXMLReader(io.MultiReader(strings.NewReader("<presence>"), bytes.NewReader(stored), strings.NewReader("</presence>")))
	x.DefaultSpace = nsClient
	if _, err := x.root(); err != nil {
		return nil, err
	}
	return x.payload()
}

// alikeIn says whether two values are the same XML. What cannot be read is like nothing else.
func alikeIn(form func([]byte) ([]byte, error)) func(a, b any) bool {
	return func(a, b any) bool {
		one, isBytes := a.([]byte)
		other, areBytes := b.([]byte)
		if !isBytes || !areBytes {
			return false
		}
		one, err := form(one)
		if err != nil {
			return false
		}
		other, err = form(other)
		return err == nil && bytes.Equal(one, other)
	}
}

// alikeGroups says whether two lists have the same groups, in whatever order.
func alikeGroups(a, b any) bool {
	var lists [2][]string
	for i, v := range []any{a, b} {
		text, _ := v.(string)
		if json.Unmarshal([]byte(text), &lists[i]) != nil {
			return false
		}
		slices.Sort(lists[i])
		lists[i] = slices.Compact(lists[i])
	}
	return slices.Equal(lists[0], lists[1])
}

// fromRoster makes a contact of a row.
func fromRoster(row store.Row) (contact, error) {
	c := contact{
		jid: row["jid"].(string), name: row["name"].(string), subscription: row["subscription"].(int64),
		ask: row["ask"].(bool), approved: row["approved"].(bool), hidden: row["hidden"].(bool), pendingIn: row["pending_in"].(bool),
	}
	if err := json.Unmarshal([]byte(row["group_names"].(string)), &c.groups); err != nil {
		return c, fmt.Errorf("the groups of %s: %w", c.jid, err)
	}
	if c.subscription < 0 || c.subscription >= int64(len(subscriptions)) {
		return c, fmt.Errorf("the subscription of %s is %d", c.jid, c.subscription)
	}
	request, _ := row["request"].([]byte)
	if len(request) == 0 {
		return c, nil
	}
	var err error
	if c.request, err = canonicalPayload(request); err != nil {
		return c, fmt.Errorf("the request of %s: %w", c.jid, err)
	}
	return c, nil
}

// row is the contact as the store has it.
func (c *contact) row(username string) store.Row {
	groups := []byte("[]")
	if len(c.groups) > 0 {
		groups, _ = json.Marshal(c.groups) //nolint:errchkjson // strings
	}
	var request any
	if len(c.request) > 0 {
		request = c.request
	}
	return store.Row{
		"username": username, "jid": c.jid, "name": c.name, "subscription": c.subscription, "ask": c.ask, "approved": c.approved,
		"hidden": c.hidden, "group_names": string(groups), "pending_in": c.pendingIn, "request": request,
	}
}

// onlyPending says that the contact is nothing but a request that waits, which XEP-0227 has an element of its own for.
func (c *contact) onlyPending() bool {
	return c.hidden && c.pendingIn && c.name == "" && c.subscription == 0 && !c.ask && !c.approved && len(c.groups) == 0
}

func (m *message) row(username string) store.Row {
	return store.Row{"username": username, "id": m.id, "received": m.received, "stanza": m.stanza}
}

// hearer hears what a document has that does not come in.
type hearer struct {
	// note hears what was passed over.
	note func(string)
	// lost hears what cannot be read of what the table keeps.
	lost func(table, why string)
}

// readPerson reads a user element whose start tag has been read. Own data that the element has is taken as it is. Where begin gives a function
// for the messages of the user, that takes each as it is read; else the person has them.
func (x *xmlReader) readPerson(start xml.StartElement, hear hearer, begin func(*person) func(*message) error) (*person, error) {
	p := &person{username: attribute(start, "", "name"), password: attribute(start, "", "password")}
	if p.username == "" {
		return nil, x.explain(errors.New("a user has no name"))
	}
	take := begin(p)
	if take == nil {
		take = func(m *message) error {
			p.messages = append(p.messages, *m)
			return nil
		}
	}
	at := map[string]int{}
	find := func(address string) *contact {
		i, ok := at[address]
		if !ok {
			i = len(p.contacts)
			at[address] = i
			p.contacts = append(p.contacts, contact{jid: address, hidden: true})
		}
		return &p.contacts[i]
	}
	err := x.children(func(child xml.StartElement) error {
		switch name := child.Name; {
		case name.Space == nsPieScram && name.Local == "scram-credentials":
			return x.readScram(child, p, hear.note)
		case name.Space == nsRoster && name.Local == "query":
			return x.children(func(item xml.StartElement) error { return x.readItem(item, find, hear) })
		case name.Space == nsClient && name.Local == "presence" && attribute(child, "", "type") == "subscribe":
			address, err := bareJID(attribute(child, "", "from"))
			if err != nil {
				hear.lost(tableRoster, "a request from an address that is none was left out: "+err.Error())
				return x.skip()
			}
			c := find(address)
			c.pendingIn = true
			c.request, err = x.payload()
			return err
		case name.Space == nsVCard && name.Local == "vCard":
			var err error
			p.vcard, err = x.element(child, nsClient, nsOwn)
			return err
		case name.Local == "offline-messages":
			return x.children(func(m xml.StartElement) error { return x.readMessage(m, take, hear) })
		default:
			hear.note(fmt.Sprintf("the element %s of the namespace %s is not known and was left out", name.Local, name.Space))
			return x.skip()
		}
	})
	p.contacts = slices.DeleteFunc(p.contacts, func(c contact) bool { return c.declared })
	return p, err
}

func (x *xmlReader) readItem(item xml.StartElement, find func(string) *contact, hear hearer) error {
	if item.Name.Local != "item" {
		return x.skip()
	}
	address, err := bareJID(attribute(item, "", "jid"))
	if err != nil {
		hear.lost(tableRoster, "a contact whose address is none was left out: "+err.Error())
		return x.skip()
	}
	word := attribute(item, "", "subscription")
	if word == "" {
		word = "none"
	}
	subscription := slices.Index(subscriptions[:], word)
	if subscription < 0 {
		hear.lost(tableRoster, fmt.Sprintf("the contact %s has the subscription %q and was left out", address, word))
		return x.skip()
	}
	c := find(address)
	c.name, c.subscription = attribute(item, "", "name"), int64(subscription)
	c.ask = attribute(item, "", "ask") == "subscribe"
	c.approved = attribute(item, "", "approved") == "true" || attribute(item, "", "approved") == "1"
	c.hidden = attribute(item, nsOwn, "hidden") == "true"
	c.declared = attribute(item, nsOwn, "declared") == "true"
	c.groups = nil
	err = x.children(func(group xml.StartElement) error {
		text, err := x.text()
		if text != "" && group.Name.Local == "group" {
			c.groups = append(c.groups, text)
		}
		return err
	})
	slices.Sort(c.groups)
	c.groups = slices.Compact(c.groups)
	return err
}

func (x *xmlReader) readMessage(start xml.StartElement, take func(*message) error, hear hearer) error {
	if start.Name.Local != "message" || start.Name.Space != nsClient {
		hear.note(fmt.Sprintf("the element %s of the namespace %s among the offline messages was left out", start.Name.Local, start.Name.Space))
		return x.skip()
	}
	var m message
	for name, into := range map[string]*int64{"id": &m.id, "received": &m.received} {
		if text := attribute(start, nsOwn, name); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return x.explain(fmt.Errorf("the attribute %s of a message is no number", name))
			}
			*into = n
		}
	}
	var err error
	if m.stanza, err = x.element(start, nsClient, nsOwn); err != nil {
		return err
	}
	// What the server could not read itself would be of no use to it.
	if _, err := parseKept(m.stanza); err != nil {
		hear.lost(tableOffline, "an offline message was left out: "+err.Error())
		return nil
	}
	return take(&m)
}

func (x *xmlReader) readScram(start xml.StartElement, p *person, note func(string)) error {
	fields := map[string]string{}
	if err := x.children(func(child xml.StartElement) (err error) {
		fields[child.Name.Local], err = x.text()
		return err
	}); err != nil {
		return err
	}
	mechanism := attribute(start, "", "mechanism")
	var hash auth.Hash
	var into *auth.Verifier
	switch mechanism {
	case auth.SHA256.String():
		hash, into = auth.SHA256, &p.credential.SHA256
	case auth.SHA1.String():
		hash, into = auth.SHA1, &p.credential.SHA1
	default:
		note(fmt.Sprintf("credentials for %q were left out: SCRAM-SHA-256 and SCRAM-SHA-1 are used", mechanism))
		return nil
	}
	v, err := verifier(hash, fields["iter-count"], fields["salt"], fields["stored-key"], fields["server-key"])
	if err != nil {
		note("the credentials for " + mechanism + " were left out: " + err.Error())
		return nil
	}
	*into = v
	return nil
}

// verifier checks what is written of a verifier by having it parsed in its usual form (RFC 5803).
func verifier(h auth.Hash, iterations, salt, storedKey, serverKey string) (auth.Verifier, error) {
	trim := strings.TrimSpace
	return auth.ParseVerifier(h, h.String()+"$"+trim(iterations)+":"+trim(salt)+"$"+trim(storedKey)+":"+trim(serverKey))
}

// bareJID prepares an address and takes its resource away.
func bareJID(text string) (string, error) {
	j, err := jid.Parse(text)
	if err != nil {
		return "", err
	}
	return j.Bare().String(), nil
}
