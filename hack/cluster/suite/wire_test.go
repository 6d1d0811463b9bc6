//go:build cluster

package suite

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// wireClient is a client with stream management (XEP-0198), which the library has not. Its connection may break at any byte.
type wireClient struct {
	conn *tls.Conn
	raw  net.Conn
	in   *xml.Decoder
	mu   sync.Mutex // of writing
}

// element is whatever the server sends as a child of the stream.
type element struct {
	XMLName xml.Name
	ID      string `xml:"id,attr"`
	Type    string `xml:"type,attr"`
	H       string `xml:"h,attr"`
	Inner   string `xml:",innerxml"`
}

func (e element) stanza() bool {
	return e.XMLName.Local == "message" || e.XMLName.Local == "presence" || e.XMLName.Local == "iq"
}

// dialWire takes a client through the Service to where it binds a resource or resumes a session.
func (s *server) dialWire(ctx context.Context, name string) (*wireClient, error) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	raw, err := s.dial(ctx, "xmpps")
	if err != nil {
		return nil, err
	}
	config := s.insecure()
	config.NextProtos = []string{"xmpp-client"} // XEP-0368 §4
	c := &wireClient{conn: tls.Client(raw, config), raw: raw}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if err := c.login(name, s.domain); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

func (c *wireClient) login(name, domain string) error {
	if err := c.open(domain); err != nil {
		return err
	}
	secret := base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00" + passwordOf(name))) // RFC 4616 §2
	if err := c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + secret + "</auth>"); err != nil {
		return err
	}
	if e, err := c.next(); err != nil || e.XMLName.Local != "success" {
		return fmt.Errorf("logging in as %s is answered with %s %s: %w", name, e.XMLName.Local, e.Inner, err)
	}
	return c.open(domain)
}

// open opens a stream and reads its features.
func (c *wireClient) open(domain string) error {
	err := c.send("<stream:stream to='" + domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
	if err != nil {
		return err
	}
	c.in = xml.NewDecoder(c.conn)
	for {
		t, err := c.in.Token()
		if err != nil {
			return err
		}
		if _, ok := t.(xml.StartElement); ok {
			break
		}
	}
	_, err = c.next()
	return err
}

func (c *wireClient) send(text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, text)
	return err
}

// silence is how long a client waits for an answer before it takes its connection for dead: one to a Pod whose network is gone says nothing.
const silence = 10 * time.Second

// ask asks for an acknowledgement again and again, so that there is something to be answered, until the connection is closed.
func (c *wireClient) ask(ended <-chan struct{}) {
	ticker := time.NewTicker(silence / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
			_ = c.send("<r xmlns='urn:xmpp:sm:3'/>") // a broken connection shows when it is read
		}
	}
}

// next reads one element. Its error is final.
func (c *wireClient) next() (e element, err error) {
	for {
		if err := c.raw.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return e, err
		}
		t, err := c.in.Token()
		if err != nil {
			return e, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return e, c.in.DecodeElement(&e, &t)
		case xml.EndElement:
			return e, io.EOF
		}
	}
}

func (c *wireClient) close() { _ = c.raw.Close() }

// begin resumes a session (XEP-0198 §5), or else binds a resource and enables stream management with resumption (§3). It gives the id of the session,
// and how many stanzas of the one before the server has handled, -1 if it does not say.
func (c *wireClient) begin(previous string, h uint32) (id string, resumed bool, handled int, err error) {
	handled = -1
	if previous != "" {
		if err := c.send(fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", previous, h)); err != nil {
			return "", false, -1, err
		}
		e, err := c.next()
		if err != nil {
			return "", false, -1, err
		}
		if n, err := strconv.Atoi(e.H); err == nil {
			handled = n
		}
		switch e.XMLName.Local {
		case "resumed":
			return previous, true, handled, nil
		case "failed":
		default:
			return "", false, -1, fmt.Errorf("resuming is answered with %s %s", e.XMLName.Local, e.Inner)
		}
	}
	if err := c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"); err != nil {
		return "", false, handled, err
	}
	if e, err := c.next(); err != nil || e.Type != "result" {
		return "", false, handled, fmt.Errorf("binding is answered with %s %s: %w", e.XMLName.Local, e.Inner, err)
	}
	if err := c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"); err != nil {
		return "", false, handled, err
	}
	e, err := c.next()
	if err != nil || e.XMLName.Local != "enabled" {
		return "", false, handled, fmt.Errorf("enabling is answered with %s %s: %w", e.XMLName.Local, e.Inner, err)
	}
	return e.ID, false, handled, nil
}
