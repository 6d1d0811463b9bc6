package xmpp

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// raw is a client that says nothing but what a test has it say, and so can break off anywhere.
type raw struct {
	t    *testing.T
	tcp  net.Conn
	conn net.Conn
	read string // received and not yet looked at
}

const streamHeader = "<?xml version='1.0'?><stream:stream to='" + domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

// raw takes a client to where it binds a resource or resumes a session.
func (h *host) raw(name string) *raw {
	h.t.Helper()
	tcp, err := net.Dial("tcp", h.server.Addr(stream.DirectTLS).String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { tcp.Close() })
	roots := x509.NewCertPool()
	roots.AddCert(h.certificate.Leaf)
	c := &raw{t: h.t, tcp: tcp, conn: tls.Client(tcp, &tls.Config{RootCAs: roots, ServerName: domain, NextProtos: []string{"xmpp-client"}})}
	c.send(streamHeader)
	c.expect("</stream:features>")
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
		base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+passwordOf(name))) + "</auth>")
	c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	c.send(streamHeader)
	if got := c.expect("</stream:features>"); !strings.Contains(got, "<sm xmlns='urn:xmpp:sm:3'/>") {
		h.t.Fatalf("stream management is not offered: %q", got)
	}
	return c
}

func (c *raw) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("cannot send: %v", err)
	}
}

// more reads what comes next.
func (c *raw) more() error {
	buf := make([]byte, 4096)
	c.conn.SetReadDeadline(time.Now().Add(patience))
	n, err := c.conn.Read(buf)
	c.read += string(buf[:n])
	if n > 0 {
		return nil
	}
	return err
}

// expect reads up to s and returns everything up to its end.
func (c *raw) expect(s string) string {
	c.t.Helper()
	for {
		if before, after, ok := strings.Cut(c.read, s); ok {
			c.read = after
			return before + s
		}
		if err := c.more(); err != nil {
			c.t.Fatalf("waiting for %q: %v after %q", s, err, c.read)
		}
	}
}

// rest reads to the end of the connection.
func (c *raw) rest() string {
	c.t.Helper()
	for {
		if err := c.more(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.t.Fatalf("the connection stays open after %q", c.read)
			}
			return c.read
		}
	}
}

// cut breaks the connection, as a train that enters a tunnel does.
func (c *raw) cut() {
	if t, ok := c.tcp.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.tcp.Close()
}

// bind binds a resource, enables stream management, and gives the id of the session.
func (c *raw) bind(resource string) (id string) {
	c.t.Helper()
	c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	c.expect("</bind></iq>")
	c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	m := regexp.MustCompile(`^<enabled xmlns='urn:xmpp:sm:3' id='([^']+)' resume='true' max='[0-9]+'/>$`).FindStringSubmatch(c.expect("/>"))
	if m == nil {
		c.t.Fatal("stream management is not enabled")
	}
	return m[1]
}

func contactOf(name string) directory.Contact {
	return directory.Contact{JID: jid.MustParse(name + "@" + domain), Subscription: directory.SubscriptionBoth}
}

// resume resumes a session and gives how many stanzas of the client the server has handled.
func (c *raw) resume(id string, h int) int {
	c.t.Helper()
	c.send(fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", id, h))
	got := c.expect("/>")
	m := regexp.MustCompile(`^<resumed xmlns='urn:xmpp:sm:3' previd='([^']+)' h='([0-9]+)'/>$`).FindStringSubmatch(got)
	if m == nil || m[1] != id {
		c.t.Fatalf("resuming is answered with %q", got)
	}
	n, err := strconv.Atoi(m[2])
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

var (
	wholeStanza = regexp.MustCompile(`(?s)<(?:message|iq|presence)[ >/].*?(?:</(?:message|iq|presence)>)`)
	bodyText    = regexp.MustCompile(`<body>([^<]*)</body>`)
)

func texts(s string) []string {
	out := []string{}
	for _, m := range bodyText.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}

// XEP-0198 §5 over real sockets: a connection that breaks off after any number of bytes, on either side, and is resumed, gives every stanza
// once and in order, both ways.
func TestXEP0198Section5CutAndResumed(t *testing.T) {
	h := newHost(t, "mira", "tobias")
	tobias := h.raw("tobias")
	tobias.bind("desk")
	tobias.send("<presence/>")
	tobias.expect("<presence")
	const count = 5
	const step = 61
	length := 1
	for cut := 0; cut < length; cut += step {
		var mine []string
		wanted := []string{}
		out := ""
		for i := range count {
			text := fmt.Sprintf("%d-%d", cut, i)
			wanted = append(wanted, text)
			mine = append(mine, "<message to='tobias@"+domain+"/desk' type='chat'><body>"+text+"</body></message>")
			out += mine[i]
		}
		mira := h.raw("mira")
		id := mira.bind("train")
		for _, text := range wanted {
			tobias.send("<message to='mira@" + domain + "/train' type='chat'><body>" + text + "</body></message>")
		}
		mira.send(out[:min(cut, len(out))])
		length = len(out)
		for len(mira.read) < cut {
			if strings.Count(mira.read, "</message>") == count {
				break
			}
			if err := mira.more(); err != nil {
				t.Fatalf("%v after %d bytes", err, len(mira.read))
			}
		}
		in := mira.read[:min(cut, len(mira.read))]
		length = max(length, len(mira.read))
		mira.cut()

		got := texts(strings.Join(wholeStanza.FindAllString(in, -1), ""))
		again := h.raw("mira")
		handled := again.resume(id, len(got))
		for _, m := range mine[handled:] {
			again.send(m)
		}
		for len(got) < count {
			got = append(got, texts(again.expect("</message>"))...)
		}
		there := []string{}
		for len(there) < count {
			there = append(there, texts(tobias.expect("</message>"))...)
		}
		if !slices.Equal(got, wanted) || !slices.Equal(there, wanted) {
			t.Fatalf("cut at %d: mira got %q, tobias %q", cut, got, there)
		}
		// Nothing comes after that: the next thing on the stream is the answer to this.
		again.send(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/><iq type='get' id='end' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>", count, domain))
		if rest := again.expect("id='end'"); len(texts(rest)) > 0 {
			t.Fatalf("cut at %d: twice: %q", cut, rest)
		}
		again.send("</stream:stream>")
		again.rest()
		again.cut()
	}
	if length < 300 {
		t.Errorf("only %d bytes", length)
	}
}

// XEP-0198 §3 and §5: what goes wrong before there is a session does not end the stream, and a resource can be bound after it.
func TestXEP0198Section5FailureBeforeBinding(t *testing.T) {
	h := newHost(t, "mira")
	c := h.raw("mira")
	c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	c.expect("<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
	c.send("<resume xmlns='urn:xmpp:sm:3' previd='some-long-sm-id' h='0'/>")
	c.expect("<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
	c.bind("one")
	// RFC 3921 §3: an old client's session request counts as the stanza that it is.
	c.send("<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq><r xmlns='urn:xmpp:sm:3'/>")
	if got := c.expect("h='1'/>"); !strings.Contains(got, "type='result'") {
		t.Errorf("the session request is answered with %q", got)
	}
}

// A session that waits for its client is there for its contacts, is listed, and answers to what administrators do.
func TestXEP0198Section7UnfinishedStream(t *testing.T) {
	h := newHost(t, "mira", "tobias")
	tobias := h.login("tobias", stream.DirectTLS)
	if err := h.local.PutContact(t.Context(), by, "tobias", contactOf("mira"), true); err != nil {
		t.Fatal(err)
	}
	if err := h.local.PutContact(t.Context(), by, "mira", contactOf("tobias"), true); err != nil {
		t.Fatal(err)
	}
	tobias.presence("", "")
	mira := h.raw("mira")
	id := mira.bind("train")
	mira.send("<presence><priority>3</priority></presence>")
	tobias.awaits("presence mira/ available")
	mira.cut()
	eventually(t, "the session to wait", func() bool { list := h.server.Sessions("mira"); return len(list) == 1 && list[0].Hibernating })
	if s := h.server.Sessions("mira")[0]; !s.Available || s.Priority != 3 || s.RemoteAddr == "" || !s.Secure || h.server.CountSessions() != 2 {
		t.Errorf("the session that waits: %+v", s)
	}

	// The server asks for acknowledgement by itself, once for what it writes at once.
	again := h.raw("mira")
	again.resume(id, 1) // her own presence
	again.expect("<r xmlns='urn:xmpp:sm:3'/>")
	// §5: a connection that is still there is closed.
	third := h.raw("mira")
	third.resume(id, 1)
	if got := again.rest(); !strings.Contains(got, "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>") {
		t.Errorf("the old connection ends with %q", got)
	}
	// §6
	third.send("<a xmlns='urn:xmpp:sm:3' h='77'/>")
	got := third.rest()
	if !strings.Contains(got, "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><handled-count-too-high xmlns='urn:xmpp:sm:3' h='77' send-count='") {
		t.Errorf("too high a count ends the stream with %q", got)
	}
	tobias.awaits("presence mira/ unavailable")

	// Nobody comes back in time.
	if err := h.local.PutProperty(t.Context(), by, directory.KeyResumeTimeout, "50ms", false); err != nil {
		t.Fatal(err)
	}
	last := h.raw("mira")
	last.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>")
	tobias.awaits("presence mira/ available")
	last.cut()
	tobias.awaits("presence mira/ unavailable")
	eventually(t, "the session to end", func() bool { return len(h.server.Sessions("mira")) == 0 })

	if err := h.local.PutProperty(t.Context(), by, directory.KeyResumeTimeout, "1h", true); err != nil {
		t.Fatal(err)
	}
	kicked := h.raw("mira")
	id = kicked.bind("phone")
	kicked.send("<presence/>")
	tobias.awaits("presence mira/ available")
	kicked.cut()
	eventually(t, "the session to wait", func() bool { list := h.server.Sessions("mira"); return len(list) == 1 && list[0].Hibernating })
	if n := h.server.Kick("mira"); n != 1 {
		t.Errorf("%d sessions were ended", n)
	}
	tobias.awaits("presence mira/ unavailable")
	c := h.raw("mira")
	c.send("<resume xmlns='urn:xmpp:sm:3' previd='" + id + "' h='0'/>")
	if got := c.expect("</failed>"); !strings.Contains(got, "<item-not-found") {
		t.Errorf("after being ended: %q", got)
	}
}

// Number 27: what a session holds that nobody comes back for waits for the account, once and in order: after its time, after somebody ended it, after
// its client has logged out, and when the server ends.
func TestSecurity27QueuesGoOffline(t *testing.T) {
	for name, end := range map[string]func(h *host, c *raw){
		"timeout": func(h *host, c *raw) {
			if err := h.local.PutProperty(h.t.Context(), by, directory.KeyResumeTimeout, "1ms", false); err != nil {
				h.t.Fatal(err)
			}
			c.cut()
		},
		"kick":    func(h *host, _ *raw) { h.server.Kick("mira") },
		"log-out": func(_ *host, c *raw) { c.send("</stream:stream>") },
		"restart": func(h *host, c *raw) {
			c.cut()
			eventually(h.t, "the session to wait", func() bool { return h.server.Sessions("mira")[0].Hibernating })
			h.stop()
			h.start()
		},
		"restart with the client still there": func(h *host, _ *raw) { h.stop(); h.start() },
		"lock": func(h *host, _ *raw) {
			for _, locked := range []bool{true, false} {
				if err := h.local.UpdateUser(h.t.Context(), by, "mira", directory.UserUpdate{Locked: &locked}); err != nil {
					h.t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "mira", "tobias")
			mira := h.raw("mira")
			id := mira.bind("train")
			mira.send("<presence/>")
			mira.expect("<presence")
			tobias := h.raw("tobias")
			tobias.bind("desk")
			wanted := []string{}
			for i := range 5 {
				wanted = append(wanted, fmt.Sprint("number ", i))
				tobias.send("<message to='mira@" + domain + "/train' type='chat'><body>" + wanted[i] + "</body></message>")
			}
			tobias.send("<r xmlns='urn:xmpp:sm:3'/>")
			tobias.expect("<a xmlns='urn:xmpp:sm:3' h='5'/>")
			mira.expect(wanted[4])
			// Her own presence and the first two.
			mira.send("<a xmlns='urn:xmpp:sm:3' h='3'/><iq type='get' id='seen' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
			mira.expect("id='seen'")
			end(h, mira)
			eventually(t, "the session to end", func() bool { return len(h.server.Sessions("mira")) == 0 })

			again := h.raw("mira")
			again.send("<resume xmlns='urn:xmpp:sm:3' previd='" + id + "' h='3'/>")
			again.expect("</failed>")
			again.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><presence/>")
			var got []string
			all := ""
			for len(got) < 3 {
				all += again.expect("</message>")
				got = texts(all)
			}
			if !slices.Equal(got, wanted[2:]) || strings.Count(all, "<delay ") != 3 || strings.Count(all, "<stanza-id ") != 3 {
				t.Errorf("mira got %q", all)
			}
			again.send("<iq type='get' id='end' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
			if rest := again.expect("id='end'"); strings.Contains(rest, "<body>") {
				t.Errorf("and then %q", rest)
			}
		})
	}
}
