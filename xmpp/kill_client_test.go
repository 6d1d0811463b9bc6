package xmpp

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// wireClient is the connection of a client whose server is killed: it may break at any byte, and every method says so.
type wireClient struct {
	conn *tls.Conn
	in   *xml.Decoder
	mu   sync.Mutex // of writing
}

// element is whatever the server sends as a child of the stream.
type element struct {
	XMLName xml.Name
	ID      string    `xml:"id,attr"`
	Type    string    `xml:"type,attr"`
	From    string    `xml:"from,attr"`
	H       string    `xml:"h,attr"`
	Body    string    `xml:"body"`
	Delay   *struct{} `xml:"urn:xmpp:delay delay"`
	Error   *struct {
		Inner string `xml:",innerxml"`
	} `xml:"error"`
	Inner string `xml:",innerxml"`
}

// dialWire takes a client to where it binds a resource or resumes a session.
func dialWire(address, name string) (*wireClient, error) {
	tcp, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	c := &wireClient{conn: tls.Client(tcp, &tls.Config{InsecureSkipVerify: true, ServerName: domain, NextProtos: []string{"xmpp-client"}})}
	if err := c.login(name); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *wireClient) login(name string) error {
	if err := c.open(); err != nil {
		return err
	}
	err := c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
		base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+passwordOf(name))) + "</auth>")
	if err != nil {
		return err
	}
	if e, err := c.next(); err != nil || e.XMLName.Local != "success" {
		return fmt.Errorf("logging in as %s: %v %+v", name, err, e)
	}
	return c.open()
}

// open opens a stream and reads its features.
func (c *wireClient) open() error {
	if err := c.send(streamHeader); err != nil {
		return err
	}
	c.in = xml.NewDecoder(c.conn)
	c.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		t, err := c.in.Token()
		if err != nil {
			return err
		}
		if _, ok := t.(xml.StartElement); ok {
			break
		}
	}
	_, err := c.next()
	return err
}

func (c *wireClient) send(s string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := io.WriteString(c.conn, s)
	return err
}

// next reads one element. Its error is final.
func (c *wireClient) next() (e element, err error) {
	for {
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

func (c *wireClient) close() { c.conn.NetConn().Close() }

var errNotBound = errors.New("no resource was bound")

// begin resumes a session, or else binds a resource and enables stream management, if wanted. It gives the id of the session, and what the server says
// of the one before: how many stanzas it has handled, -1 if it does not say.
func (c *wireClient) begin(previous string, h uint32, managed bool) (id string, resumed bool, handled int, err error) {
	handled = -1
	c.conn.SetReadDeadline(time.Now().Add(patience))
	defer c.conn.SetReadDeadline(time.Time{})
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
		return "", false, handled, errors.Join(errNotBound, err)
	}
	if !managed {
		return "", false, handled, nil
	}
	if err := c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"); err != nil {
		return "", false, handled, err
	}
	e, err := c.next()
	if err != nil || e.XMLName.Local != "enabled" {
		return "", false, handled, fmt.Errorf("enabling is answered with %s: %w", e.XMLName.Local, errors.Join(errNotBound, err))
	}
	return e.ID, false, handled, nil
}

func isStanza(e element) bool {
	return strings.HasPrefix(e.XMLName.Space, "jabber:client") &&
		(e.XMLName.Local == "message" || e.XMLName.Local == "presence" || e.XMLName.Local == "iq")
}
