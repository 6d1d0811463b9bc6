//go:build cluster

package suite

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	messages chan message
	ended    chan struct{}
	err      error // how the stream ended; set before ended is closed
}

type message struct {
	stanza.Message
	Body string `xml:"body"`
}

// insecure trusts whatever certificate there is: without another one given, the server makes one for itself.
func (s *server) insecure() *tls.Config {
	return &tls.Config{ServerName: s.domain, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
}

// login logs a user in through the Service and sends initial presence.
func (s *server) login(name string) *chatClient {
	GinkgoHelper()
	c, err := s.tryLogin(name, passwordOf(name))
	Expect(err).NotTo(HaveOccurred(), "log in as %s", name)
	ctx, done := chat.Patience(limit)
	defer done()
	Expect(c.session.Send(ctx, stanza.Presence{}.Wrap(nil))).To(Succeed())
	return c
}

func (s *server) tryLogin(name, password string) (*chatClient, error) {
	ctx, done := chat.Patience(limit)
	defer done()
	conn, err := s.dial(ctx, "xmpp")
	if err != nil {
		return nil, err
	}
	session, err := chat.Open(ctx, conn, chat.Login{
		Username: name, Domain: s.domain, Password: password, Mechanism: sasl.ScramSha256Plus, TLS: s.insecure(),
	})
	if err != nil {
		return nil, err
	}
	c := &chatClient{session: session, messages: make(chan message, 1000), ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = session.Serve(xmpp.HandlerFunc(c.handle))
	}()
	DeferCleanup(func() {
		_ = session.Close()
		_ = session.Conn().Close()
		<-c.ended
	})
	return c, nil
}

func (c *chatClient) handle(t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	if start.Name.Local != "message" {
		return nil
	}
	var m message
	if err := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), t)).Decode(&m); err != nil {
		return err
	}
	c.messages <- m
	return nil
}

// say sends a message to a user of the server.
func (c *chatClient) say(s *server, name, text string) {
	GinkgoHelper()
	ctx, done := chat.Patience(limit)
	defer done()
	to := jid.MustParse(name + "@" + s.domain)
	Expect(c.session.Encode(ctx, message{stanza.Message{Type: stanza.ChatMessage, To: to}, text})).To(Succeed())
}

// hear waits for a message with that text.
func (c *chatClient) hear(text string) {
	GinkgoHelper()
	timeout := time.After(limit)
	for {
		select {
		case m := <-c.messages:
			if m.Body == text {
				return
			}
		case <-c.ended:
			Fail(fmt.Sprintf("the stream ended (%v) before %q", c.err, text))
		case <-timeout:
			Fail(fmt.Sprintf("no message %q within %s", text, limit))
		}
	}
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

// addContact writes a contact into the list, which is kept on the volume.
func (c *chatClient) addContact(address, nickname string) {
	GinkgoHelper()
	ctx, done := chat.Patience(limit)
	defer done()
	Expect(roster.Set(ctx, c.session, roster.Item{JID: jid.MustParse(address), Name: nickname})).To(Succeed())
}

// answer is what REST answered.
type answer struct {
	Status int
	Body   string
}

// call calls REST through the Service with the shared secret: "rest" without encryption, "rest-tls" with TLS.
func (s *server) call(port, method, path string, body any) answer {
	GinkgoHelper()
	a, err := s.tryCall(port, method, path, body)
	Expect(err).NotTo(HaveOccurred())
	return a
}

func (s *server) tryCall(port, method, path string, body any) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	secret, err := kube.CoreV1().Secrets(s.namespace).Get(ctx, "chat-operator", metav1.GetOptions{})
	if err != nil {
		return answer{}, err
	}
	var content []byte
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	scheme := map[string]string{"rest": "http", "rest-tls": "https"}[port]
	req, err := http.NewRequestWithContext(ctx, method, scheme+"://"+s.domain+"/plugins/restapi/v1"+path, bytes.NewReader(content))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", string(secret.Data["rest-secret"]))
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx, port) },
		TLSClientConfig: s.insecure(),
	}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(out)}, err
}
