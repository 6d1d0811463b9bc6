package xmpp

import (
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	mellium "mellium.im/xmpp"
	mjid "mellium.im/xmpp/jid"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// The tests of rooms write addresses short, in what they send and in what they expect: ~mira is mira@chat.example, $coven is
// coven@conference.chat.example, $coven@workshop is coven@workshop.chat.example, and $ alone the service itself.

var shorthand = regexp.MustCompile(`\$([a-z0-9]*)(@[a-z]+)?|~([a-z0-9]+)`)

func long(s string) string {
	return shorthand.ReplaceAllStringFunc(s, func(one string) string {
		m := shorthand.FindStringSubmatch(one)
		if m[3] != "" {
			return m[3] + "@" + domain
		}
		service := cmp.Or(strings.TrimPrefix(m[2], "@"), "conference") + "." + domain
		if m[1] == "" {
			return service
		}
		return m[1] + "@" + service
	})
}

func short(address string) string {
	j, err := mjid.Parse(address)
	if err != nil {
		return address
	}
	s := j.Localpart()
	switch service, ok := strings.CutSuffix(j.Domainpart(), "."+domain); {
	case j.Domainpart() == domain && s != "":
		s = "~" + s
	case !ok:
		return address
	case service == "conference":
		s = "$" + s
	default:
		s = "$" + s + "@" + service
	}
	if r := j.Resourcepart(); r != "" {
		s += "/" + r
	}
	return s
}

// node is one XML element as the client's library reads it.
type node struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Nodes   []node     `xml:",any"`
}

func (n *node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// child gives an empty one where there is none.
func (n *node) child(local string) *node {
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == local {
			return &n.Nodes[i]
		}
	}
	return &node{}
}

// all lists the values of an attribute of the children of a name, sorted.
func (n *node) all(local, attr string) []string {
	list := []string{}
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == local {
			list = append(list, short(n.Nodes[i].attr(attr)))
		}
	}
	slices.Sort(list)
	return list
}

// values are those of a field of a data form.
func (n *node) values(field string) []string {
	list := []string{}
	for i := range n.Nodes {
		if n.Nodes[i].attr("var") == field {
			for j := range n.Nodes[i].Nodes {
				if v := &n.Nodes[i].Nodes[j]; v.XMLName.Local == "value" {
					list = append(list, short(v.Text))
				}
			}
		}
	}
	return list
}

const nsMUC = "http://jabber.org/protocol/muc"

// describe gives a stanza as one line: its kind, sender and type, then all that is in it. What nobody asks for in every test is left out: the ids of
// occupants and stanzas, what was said of entering, and the texts of errors.
func (n *node) describe() string {
	words := []string{n.XMLName.Local, short(n.attr("from"))}
	if typ := n.attr("type"); typ != "" && typ != "error" {
		words = append(words, typ)
	}
	quoted := func(name string, c *node) {
		if c.XMLName.Local != "" {
			words = append(words, name+"="+strings.TrimSpace(c.Text))
		}
	}
	address := func(name, value string) {
		if value != "" {
			words = append(words, name+"="+short(value))
		}
	}
	for i := range n.Nodes {
		c := &n.Nodes[i]
		switch c.XMLName.Space + " " + c.XMLName.Local {
		case "urn:xmpp:occupant-id:0 occupant-id", "urn:xmpp:sid:0 stanza-id", nsMUC + " x":
		case "jabber:client error":
			words = append(words, "error", c.attr("type"))
			for j := range c.Nodes {
				if c.Nodes[j].XMLName.Local != "text" {
					words = append(words, c.Nodes[j].XMLName.Local)
				}
			}
		case "urn:xmpp:delay delay":
			words = append(words, "delayed by "+short(c.attr("from")))
		case nsMUC + "#user x":
			words = append(words, c.describeUser()...)
		case "jabber:x:conference x":
			address("conference", c.attr("jid"))
		case "jabber:x:data x":
			words = append(words, "form "+c.attr("type"))
		case "jabber:client subject", "jabber:client body", "jabber:client show", "jabber:client status", "jabber:client priority":
			quoted(c.XMLName.Local, c)
		default:
			words = append(words, "{"+c.XMLName.Space+"}"+c.XMLName.Local)
		}
	}
	return strings.Join(words, " ")
}

// describeUser gives what the namespace muc#user says: items, invitations, then status codes in order.
func (n *node) describeUser() []string {
	var words, codes []string
	for i := range n.Nodes {
		c := &n.Nodes[i]
		switch c.XMLName.Local {
		case "item":
			words = append(words, c.attr("affiliation"), c.attr("role"))
		case "status":
			codes = append(codes, c.attr("code"))
			continue
		default:
			words = append(words, c.XMLName.Local)
		}
		for _, name := range []string{"from", "to", "jid", "nick"} {
			if v := c.attr(name); v != "" {
				words = append(words, name+"="+short(v))
			}
		}
		if actor := c.child("actor").attr("nick"); actor != "" {
			words = append(words, "actor="+actor)
		}
		for _, name := range []string{"reason", "password"} {
			if r := c.child(name); r.XMLName.Local != "" {
				words = append(words, name+"="+r.Text)
			}
		}
		if c.Text != "" {
			words = append(words, c.Text)
		}
	}
	slices.Sort(codes)
	return append(words, codes...)
}

// parlour is a server whose users meet in rooms.
type parlour struct {
	*host
	guests []*guest
}

func newParlour(t *testing.T, users ...string) *parlour {
	t.Helper()
	return &parlour{host: newHost(t, users...)}
}

// guest is a client, made with an independent library, that writes down every stanza it gets.
type guest struct {
	t       *testing.T
	in      *parlour
	session *mellium.Session
	jid     string // full
	served  chan error
	over    bool

	mu    sync.Mutex
	nodes []node
}

// guest logs somebody in, as "mira/desk".
func (p *parlour) guest(name string) *guest {
	p.t.Helper()
	user, resource, _ := strings.Cut(name, "/")
	addr := mjid.MustParse(user + "@" + domain + "/" + resource)
	s, err := p.connect(addr, passwordOf(user), stream.DirectTLS, sasl.Plain)
	if err != nil {
		p.t.Fatalf("%s cannot log in: %v", name, err)
	}
	g := &guest{t: p.t, in: p, session: s, jid: addr.String(), served: make(chan error, 1)}
	p.guests = append(p.guests, g)
	go func() { g.served <- s.Serve(mellium.HandlerFunc(g.handle)) }()
	return g
}

func (g *guest) handle(rw xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	n, err := readNode(xmlstream.MultiReader(xmlstream.Token(*start), rw))
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nodes = append(g.nodes, n)
	return nil
}

func readNode(r xml.TokenReader) (n node, err error) {
	err = xml.NewTokenDecoder(r).Decode(&n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// tokens reads what a test has written, for the library to write it again.
func tokens(s string) xml.TokenReader {
	d := xml.NewDecoder(strings.NewReader(long(s)))
	return xmlstream.RemoveAttr(func(_ xml.StartElement, a xml.Attr) bool { return a.Name.Local == "xmlns" })(d)
}

// send returns when the server has dealt with it, which answers in order.
func (g *guest) send(stanzas ...string) {
	g.t.Helper()
	g.post(stanzas...)
	g.ping()
}

func (g *guest) ping() {
	g.t.Helper()
	g.ask("<iq type='get' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
}

// post sends and does not wait.
func (g *guest) post(stanzas ...string) {
	g.t.Helper()
	ctx := patient(g.t)
	for _, s := range stanzas {
		if err := g.session.Send(ctx, tokens(s)); err != nil {
			g.t.Fatalf("%s cannot send %s: %v", g.jid, s, err)
		}
	}
}

// ask sends a request and gives the answer.
func (g *guest) ask(request string) *node {
	g.t.Helper()
	ctx := patient(g.t)
	r, err := g.session.SendIQ(ctx, tokens(request))
	if err != nil {
		g.t.Fatalf("%s gets no answer to %s: %v", g.jid, request, err)
	}
	defer r.Close()
	n, err := readNode(r)
	if err != nil {
		g.t.Fatalf("%s cannot read the answer to %s: %v", g.jid, request, err)
	}
	return &n
}

// asks sends a request whose answer has to be this, "result" for an empty result.
func (g *guest) asks(request, want string) {
	g.t.Helper()
	n := g.ask(request)
	got := n.describe()
	if _, got, _ = strings.Cut(got, " "); n.attr("type") != "error" {
		_, got, _ = strings.Cut(got, " ")
	} else {
		_, got, _ = strings.Cut(got, "error ")
	}
	if got != want {
		g.t.Errorf("%s asked %s:\n got %s\nwant %s", g.jid, request, got, want)
	}
}

// settle returns when everybody has read what came of what was sent: the answer to a ping comes after it, once what has to be stored first is.
func (p *parlour) settle() {
	p.t.Helper()
	p.server.rooms.AwaitStored()
	for _, g := range p.guests {
		if !g.over {
			g.ping()
		}
	}
}

// take gives what came since it was asked last.
func (g *guest) take() []node {
	g.mu.Lock()
	defer g.mu.Unlock()
	nodes := g.nodes
	g.nodes = nil
	return nodes
}

// sees requires that this came since it was asked last, in this order, and nothing else; and gives it.
func (g *guest) sees(want ...string) []node {
	g.t.Helper()
	g.in.settle()
	nodes := g.take()
	got := []string{}
	for i := range nodes {
		got = append(got, nodes[i].describe())
		to, err := mjid.Parse(nodes[i].attr("to"))
		if err != nil || to.Bare().String() != mjid.MustParse(g.jid).Bare().String() || to.Resourcepart() != "" && to.String() != g.jid {
			g.t.Errorf("%s got what is for %q: %s", g.jid, nodes[i].attr("to"), got[i])
		}
	}
	if !slices.Equal(got, want) {
		g.t.Errorf("%s saw\n  %s\nwant\n  %s", short(g.jid), strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return nodes
}

// awaits is sees for what does not come on the goroutine of a guest.
func (g *guest) awaits(want ...string) []node {
	g.t.Helper()
	eventually(g.t, g.jid+" to see something", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.nodes) >= len(want)
	}, func() string {
		out := ""
		for _, n := range g.take() {
			out += n.describe() + "\n"
		}
		return out
	})
	return g.sees(want...)
}

// forget passes over what everybody has seen so far.
func (p *parlour) forget() {
	p.t.Helper()
	p.settle()
	for _, g := range p.guests {
		g.take()
	}
}

// enter sends the presence that enters a room (XEP-0045 §7.2.2).
func (g *guest) enter(occupant string) {
	g.t.Helper()
	g.send("<presence to='" + occupant + "'><x xmlns='" + nsMUC + "'/></presence>")
}

// create makes an instant room (XEP-0045 §10.1.2).
func (g *guest) create(occupant string) {
	g.t.Helper()
	g.enter(occupant)
	at, _, _ := strings.Cut(occupant, "/")
	g.asks("<iq type='set' to='"+at+"'><query xmlns='"+nsMUC+"#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>", "result")
	g.in.forget()
}

// configure submits fields of the configuration form (XEP-0045 §10.2).
func (g *guest) configure(at string, fields ...string) {
	g.t.Helper()
	form := "<field var='FORM_TYPE'><value>" + nsMUC + "#roomconfig</value></field>"
	for i := 0; i < len(fields); i += 2 {
		form += "<field var='" + fields[i] + "'>"
		for v := range strings.FieldsSeq(fields[i+1]) {
			form += "<value>" + v + "</value>"
		}
		form += "</field>"
	}
	g.asks("<iq type='set' to='"+at+"'><query xmlns='"+nsMUC+"#owner'><x xmlns='jabber:x:data' type='submit'>"+form+"</x></query></iq>", "result")
}

// admin asks for items of muc#admin and requires an answer.
func (g *guest) admin(typ, at, items, want string) *node {
	g.t.Helper()
	request := "<iq type='" + typ + "' to='" + at + "'><query xmlns='" + nsMUC + "#admin'>" + items + "</query></iq>"
	if typ == "set" {
		g.asks(request, want)
		return nil
	}
	return g.ask(request)
}

// say sends a message to a room.
func (g *guest) say(at, body string) {
	g.t.Helper()
	g.send("<message type='groupchat' to='" + at + "'><body>" + body + "</body></message>")
}

// cut breaks the connection off.
func (g *guest) cut() {
	g.over = true
	g.session.Conn().Close()
	<-g.served
}

// quit closes the stream in order.
func (g *guest) quit() {
	g.t.Helper()
	g.over = true
	if err := g.session.Close(); err != nil {
		g.t.Errorf("%s quits: %v", g.jid, err)
	}
	<-g.served
	g.session.Conn().Close()
}

// declare puts a room with the defaults of declarations into the directory.
func (p *parlour) declare(name string, change func(*directory.Room)) {
	p.t.Helper()
	r := directory.Room{
		Ref: directory.Ref{Name: name, UID: "uid of " + name, Created: time.Unix(1, 0)}, RoomName: name, Service: "conference",
		Listed: true, Persistent: true, CanInvite: true, CanChangeSubject: true, CanChangeNickname: true,
		WhoSeesJIDs: directory.JIDsModerators, PrivateMessages: directory.PrivateAnyone,
		PresenceBroadcast: []directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor},
	}
	if change != nil {
		change(&r)
	}
	p.dir.PutRoom(r)
}

// affiliations are a declared room's, as "owner mira".
func affiliations(list ...string) (out []directory.Affiliation) {
	for _, one := range list {
		what, who, _ := strings.Cut(one, " ")
		out = append(out, directory.Affiliation{
			JID: jid.MustParse(who + "@" + domain), Affiliation: directory.AffiliationName(strings.ToUpper(what[:1]) + what[1:]),
		})
	}
	slices.SortFunc(out, func(a, b directory.Affiliation) int { return a.JID.Compare(b.JID) })
	return out
}

// property sets a SystemProperty.
func (p *parlour) property(key, value string) {
	p.t.Helper()
	if err := p.local.PutProperty(p.t.Context(), by, key, value, false); err != nil {
		p.t.Fatal(err)
	}
}
