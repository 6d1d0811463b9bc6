package e2e

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"fmt"
	"net"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/roster"
	"mellium.im/xmpp/stanza"

	"github.com/chat-operator/chat-operator/hack/internal/chat"
)

// chatClient is one logged-in client.
type chatClient struct {
	session  *xmpp.Session
	incoming chan incoming
	ended    chan struct{}
	err      error // how the stream ended; set before ended is closed
}

// incoming is a stanza that the server sent unasked.
type incoming struct {
	XMLName xml.Name
	From    string `xml:"from,attr"`
	Type    string `xml:"type,attr"`
	ID      string `xml:"id,attr"`
	Body    string `xml:"body"`
	Subject string `xml:"subject"`
	Error   struct {
		Text       string `xml:"text"`
		Conditions []struct {
			XMLName xml.Name
		} `xml:",any"`
	} `xml:"error"`
	Room struct {
		Destroy *struct{} `xml:"destroy"`
		Invite  *struct {
			From   string `xml:"from,attr"`
			Reason string `xml:"reason"`
		} `xml:"invite"`
		Item struct {
			Affiliation string `xml:"affiliation,attr"`
			Role        string `xml:"role,attr"`
		} `xml:"item"`
		Status []struct {
			Code string `xml:"code,attr"`
		} `xml:"status"`
	} `xml:"http://jabber.org/protocol/muc#user x"`
	Roster struct {
		Items []struct {
			JID          string   `xml:"jid,attr"`
			Name         string   `xml:"name,attr"`
			Subscription string   `xml:"subscription,attr"`
			Ask          string   `xml:"ask,attr"`
			Groups       []string `xml:"group"`
		} `xml:"item"`
	} `xml:"jabber:iq:roster query"`
}

// login logs a user in over STARTTLS with SCRAM-SHA-256-PLUS, sends initial presence and ends with the spec.
func (s *server) login(username, password string) *chatClient {
	GinkgoHelper()
	c, err := s.tryLogin(username, password, sasl.ScramSha256Plus)
	Expect(err).NotTo(HaveOccurred(), "log in as %s", username)
	c.available()
	return c
}

// tryLogin negotiates a session with the one mechanism given, over STARTTLS.
func (s *server) tryLogin(username, password string, mechanism sasl.Mechanism) (*chatClient, error) {
	return s.connect(username, password, mechanism, false)
}

func (s *server) connect(username, password string, mechanism sasl.Mechanism, directTLS bool) (*chatClient, error) {
	ctx, done := chat.Patience(limit)
	defer done()
	addr := s.xmpp
	if directTLS {
		addr = s.xmpps
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	session, err := chat.Open(ctx, conn, chat.Login{
		Username: username, Domain: s.domain, Password: password, Mechanism: mechanism, DirectTLS: directTLS,
		TLS: &tls.Config{ServerName: s.domain, RootCAs: s.certs.roots, MinVersion: tls.VersionTLS13},
	})
	if err != nil {
		return nil, err
	}
	c := &chatClient{session: session, incoming: make(chan incoming, 1000), ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = session.Serve(xmpp.HandlerFunc(c.handle))
	}()
	DeferCleanup(c.close)
	return c, nil
}

// handle passes on what arrives and confirms roster pushes.
func (c *chatClient) handle(t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	var in incoming
	if err := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), t)).Decode(&in); err != nil {
		return err
	}
	if in.XMLName.Local == "iq" && in.Type == "set" {
		if err := t.Encode(stanza.IQ{Type: stanza.ResultIQ, ID: in.ID}); err != nil {
			return err
		}
	}
	c.incoming <- in
	return nil
}

// close ends the stream in order.
func (c *chatClient) close() {
	_ = c.session.Close()
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second): // the server may be gone
	}
	_ = c.session.Conn().Close()
}

func (c *chatClient) send(kind func(context.Context) error) {
	GinkgoHelper()
	ctx, done := chat.Patience(limit)
	defer done()
	Expect(kind(ctx)).To(Succeed())
}

// available sends initial presence.
func (c *chatClient) available() {
	GinkgoHelper()
	c.send(func(ctx context.Context) error { return c.session.Send(ctx, stanza.Presence{}.Wrap(nil)) })
}

// presence sends a presence of some type to a bare address.
func (c *chatClient) presence(kind stanza.PresenceType, username string) {
	GinkgoHelper()
	c.send(func(ctx context.Context) error {
		return c.session.Send(ctx, stanza.Presence{Type: kind, To: address(username)}.Wrap(nil))
	})
}

// say sends a chat message to a bare address.
func (c *chatClient) say(username, text string) {
	GinkgoHelper()
	c.send(func(ctx context.Context) error {
		return c.session.Encode(ctx, struct {
			stanza.Message
			Body string `xml:"body"`
		}{stanza.Message{Type: stanza.ChatMessage, To: address(username), ID: fmt.Sprintf("m%d", time.Now().UnixNano())}, text})
	})
}

// roster asks for the contact list.
func (c *chatClient) roster() map[string]roster.Item {
	GinkgoHelper()
	ctx, done := chat.Patience(limit)
	defer done()
	iter := roster.Fetch(ctx, c.session)
	items := map[string]roster.Item{}
	for iter.Next() {
		items[iter.Item().JID.String()] = iter.Item()
	}
	Expect(iter.Err()).NotTo(HaveOccurred())
	Expect(iter.Close()).To(Succeed())
	return items
}

// setRoster writes a contact.
func (c *chatClient) setRoster(item roster.Item) {
	GinkgoHelper()
	c.send(func(ctx context.Context) error { return roster.Set(ctx, c.session, item) })
}

// next waits for the first stanza that satisfies want and drops those before it.
func (c *chatClient) next(what string, want func(incoming) bool) incoming {
	GinkgoHelper()
	timeout := time.After(limit)
	var seen []string
	for {
		select {
		case in := <-c.incoming:
			if want(in) {
				return in
			}
			seen = append(seen, fmt.Sprintf("%s %s from %s", in.XMLName.Local, in.Type, in.From))
		case <-c.ended:
			if len(c.incoming) > 0 {
				continue // what came before the end
			}
			Fail(fmt.Sprintf("the stream ended (%v) before %s; seen: %q", c.err, what, seen))
		case <-timeout:
			Fail(fmt.Sprintf("no %s within %s; seen: %q", what, limit, seen))
		}
	}
}

// hear waits for a message with that body.
func (c *chatClient) hear(text string) incoming {
	GinkgoHelper()
	return c.next(fmt.Sprintf("message %q", text), func(in incoming) bool { return in.XMLName.Local == "message" && in.Body == text })
}

// see waits for a presence of some type from a user; "" means available.
func (c *chatClient) see(kind, username string) incoming {
	GinkgoHelper()
	return c.next(fmt.Sprintf("presence %q from %s", kind, username), func(in incoming) bool {
		from, err := jid.Parse(in.From)
		return err == nil && in.XMLName.Local == "presence" && in.Type == kind && from.Bare().Equal(address(username))
	})
}

// drained returns what is there already.
func (c *chatClient) drained() []incoming {
	var all []incoming
	for {
		select {
		case in := <-c.incoming:
			all = append(all, in)
		default:
			return all
		}
	}
}

func address(username string) jid.JID { return jid.MustParse(username + "@" + domain) }
