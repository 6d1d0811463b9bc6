package xmpp

import (
	"encoding/base64"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// beforeLogin are the entrances at which somebody may log in.
func beforeLogin() []entrance {
	list := entrances()
	return []entrance{list[1], list[2]}
}

func authElement(mechanism, message string) string {
	return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mechanism + "'>" + base64.StdEncoding.EncodeToString([]byte(message)) + "</auth>"
}

func responseElement(message string) string {
	return "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString([]byte(message)) + "</response>"
}

// fails expects a SASL failure and gives all of it.
func (c *raw) fails(what, condition string) string {
	c.t.Helper()
	got := c.expect("</failure>")
	if !strings.HasPrefix(got, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><"+condition+"/>") {
		c.t.Errorf("%.80q: want the failure %s, got %q", what, condition, got)
	}
	return got
}

func TestAttack12BeforeLogin(t *testing.T) {
	h := generous(t, "tobias")
	tobias := h.user(t, "tobias")
	tobias.send("<presence/>")
	tobias.expect("<presence")
	tobias.expect(">")
	stanzas := []string{
		"<message to='tobias@chat.example'><body>hi</body></message>",
		"<presence to='tobias@chat.example/main'/>",
		"<presence type='subscribe' to='tobias@chat.example'/>",
		"<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>",
		"<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
		"<iq type='get' id='p' to='chat.example'><ping xmlns='urn:xmpp:ping'/></iq>",
	}
	early := append([]string{bindMain, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", "<r xmlns='urn:xmpp:sm:3'/>"}, stanzas...)
	for _, e := range entrances() {
		if e.auth {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			for _, s := range early {
				c := e.open(t, h)
				c.send(s)
				c.dies(s, "not-authorized")
			}
		})
	}
	// Logged in, without a resource: RFC 6120 §7.1.
	for _, s := range stanzas {
		c := h.raw("mira")
		c.send(s)
		c.dies(s, "not-authorized")
	}
	c := h.raw("mira")
	c.send("<resume xmlns='urn:xmpp:sm:3' previd='AAAAAAAAAAAAAAAAAAAAAA' h='0'/>")
	if got := c.expect("</failed>"); !strings.Contains(got, "<item-not-found ") {
		t.Errorf("resuming nobody's session: %s", got)
	}
	c.send("<enable xmlns='urn:xmpp:sm:3'/>")
	if got := c.expect("</failed>"); !strings.Contains(got, "<unexpected-request ") {
		t.Errorf("enabling without a resource: %s", got)
	}
	tobias.quiet("what was sent without a login")
	if n := h.server.CountSessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// TestAttack13Injection: what comes along with a request for TLS, or with a login, does not count as said inside or after it.
func TestAttack13Injection(t *testing.T) {
	h := generous(t, "tobias")
	c := entrances()[0].open(t, h)
	c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + streamHeader + plain("tobias", passwordOf("tobias")) + streamHeader + bindMain)
	c.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	if c.read == "" { // what was injected arrives in place of a TLS handshake where it was not dropped
		c.secure(h)
		if _, err := c.conn.Write([]byte(streamHeader)); err == nil {
			for !strings.Contains(c.read, "</stream:features>") {
				if c.more() != nil {
					break
				}
			}
			if strings.Contains(c.read, "<success") || strings.Contains(c.read, "urn:ietf:params:xml:ns:xmpp-bind") {
				t.Errorf("after TLS: %q", c.read)
			}
		}
	}
	if h.server.CountSessions() != 0 {
		t.Fatal("what was said in the clear has logged somebody in")
	}
	for _, e := range beforeLogin() {
		c := e.open(t, h)
		c.send(plain("mira", passwordOf("mira")) + streamHeader + strings.Replace(bindMain, "main", "injected", 1))
		c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
		c.send(streamHeader)
		c.expect("</stream:features>")
		c.send(bindMain)
		if got := c.expect("</bind></iq>"); strings.Contains(got, "injected") {
			t.Errorf("%s: %s", e.name, got)
		}
		c.quiet("after a login")
		c.tcp.Close()
	}
}

func TestAttack14Identities(t *testing.T) {
	h := generous(t, "tobias")
	password := passwordOf("mira")
	for _, e := range beforeLogin() {
		t.Run(e.name, func(t *testing.T) {
			for message, condition := range map[string]string{
				"tobias@chat.example\x00mira\x00" + password:        "invalid-authzid",
				"tobias\x00mira\x00" + password:                     "invalid-authzid",
				"mira@other.example\x00mira\x00" + password:         "invalid-authzid",
				"mira@chat.example/main\x00mira\x00" + password:     "invalid-authzid",
				"chat.example\x00mira\x00" + password:               "invalid-authzid",
				"\x00mira\x00" + password + "\x00":                  "malformed-request",
				"\x00mira\x00tobias\x00" + password:                 "malformed-request",
				"\x00\x00" + password:                               "malformed-request",
				"\x00mira\x00":                                      "malformed-request",
				"mira\x00" + password:                               "malformed-request",
				"\x00mi\xffra\x00" + password:                       "malformed-request",
				"\x00mira@chat.example\x00" + password:              "not-authorized",
				"\x00mira \x00" + password:                          "not-authorized",
				"\x00m\u00ecra\x00" + password:                      "not-authorized",
				"\x00" + strings.Repeat("m", 5000) + "\x00password": "not-authorized",
				"": "malformed-request",
			} {
				c := e.open(t, h)
				c.send(authElement("PLAIN", message))
				if message == "" { // no initial response: an empty challenge, to be answered
					c.expect("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
					c.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</response>")
				}
				c.fails(message, condition)
				c.tcp.Close()
			}
			for _, text := range []string{"!", "AA=A", "AAAAA", "=="} {
				c := e.open(t, h)
				c.send(authHead + text + "</auth>")
				c.fails(text, "incorrect-encoding")
				c.tcp.Close()
			}
			c := e.open(t, h)
			c.send(authElement("PLAIN", "mira@chat.example\x00mira\x00"+password))
			c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
			c.tcp.Close()
		})
	}
}

func TestAttack15SASLState(t *testing.T) {
	h := generous(t)
	for _, e := range beforeLogin() {
		t.Run(e.name, func(t *testing.T) {
			c := e.open(t, h)
			for _, mechanism := range []string{"EXTERNAL", "DIGEST-MD5", "ANONYMOUS", "scram-sha-1"} {
				c.send(authElement(mechanism, "x"))
				c.fails(mechanism, "invalid-mechanism")
			}
			c.send(authElement("SCRAM-SHA-1", "n,,n=mira,r=abc"))
			c.expect("</challenge>")
			c.send(plain("mira", passwordOf("mira"))) // another mechanism in the middle of an exchange
			c.fails("a second auth", "malformed-request")
			c.dies("the fifth failure", "policy-violation")

			c = e.open(t, h)
			c.send(responseElement("x"))
			c.fails("a response to nothing", "malformed-request")
			c.send(authElement("SCRAM-SHA-1", "n,,n=mira,r=abc"))
			c.expect("</challenge>")
			c.send("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
			c.fails("an abort", "aborted")
			c.send(responseElement("c=biws,r=abc,p=AAAA"))
			c.fails("going on after an abort", "malformed-request")
			c.send("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
			c.fails("what only servers say", "malformed-request")
			c.tcp.Close()

			c = e.open(t, h)
			c.send(plain("mira", passwordOf("mira")))
			c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
			c.send(streamHeader)
			c.expect("</stream:features>")
			c.send(plain("mira", passwordOf("mira")))
			c.dies("a login after the login", "not-authorized")
		})
	}
	c := entrances()[0].open(t, h)
	for range 4 {
		c.send(plain("mira", passwordOf("mira")))
		c.fails("PLAIN in the clear", "encryption-required")
	}
	c.send(plain("mira", passwordOf("mira")))
	c.fails("PLAIN in the clear", "encryption-required")
	c.dies("the fifth", "policy-violation")
	c = h.user(t, "mira")
	c.send(plain("mira", passwordOf("mira")))
	c.dies("a login on a bound stream", "unsupported-stanza-type")
}

var challenge = regexp.MustCompile(`<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>([^<]+)</challenge>`)

// TestAttack16UnknownUsers: who does not exist, or is locked, looks like who has another password.
func TestAttack16UnknownUsers(t *testing.T) {
	h := generous(t, "locked")
	locked := true
	if err := h.local.UpdateUser(t.Context(), by, "locked", directory.UserUpdate{Locked: &locked}); err != nil {
		t.Fatal(err)
	}
	shape := regexp.MustCompile(`^r=abc[!-+--~]+,s=([A-Za-z0-9+/]+=*),i=(\d+)$`)
	nonce := regexp.MustCompile(`^r=([^,]+)`)
	ask := func(name string) (salt, verdict string) {
		c := beforeLogin()[1].open(t, h)
		defer c.tcp.Close()
		c.send(authElement("SCRAM-SHA-256", "n,,n="+name+",r=abc"))
		b, err := base64.StdEncoding.DecodeString(challenge.FindStringSubmatch(c.expect("</challenge>"))[1])
		if err != nil {
			t.Fatal(err)
		}
		m := shape.FindStringSubmatch(string(b))
		if m == nil {
			t.Fatalf("%s: %q", name, b)
		}
		c.send(responseElement("c=biws,r=" + nonce.FindStringSubmatch(string(b))[1] + ",p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))))
		return fmt.Sprint(len(m[1]), " ", m[2], " ") + m[1], c.fails(name, "not-authorized")
	}
	salts := map[string]bool{}
	var verdict string
	for _, name := range []string{"mira", "locked", "nobody", "nobodyelse"} {
		salt, got := ask(name)
		again, _ := ask(name)
		if salt != again {
			t.Errorf("%s: the salt changes from %s to %s", name, salt, again)
		}
		if verdict == "" {
			verdict = got
		}
		if got != verdict {
			t.Errorf("%s: %q instead of %q", name, got, verdict)
		}
		salts[salt] = true
	}
	if len(salts) != 4 {
		t.Errorf("salts: %v", salts)
	}
	nobody, _ := ask("nobody")
	h.stop()
	h.start()
	if again, _ := ask("nobody"); again != nobody {
		t.Error("a restart changes the salt of who does not exist")
	}
	for _, name := range []string{"mira", "locked", "nobody"} {
		c := beforeLogin()[0].open(t, h)
		c.send(plain(name, "wrong"))
		if got := c.fails(name, "not-authorized"); got != verdict {
			t.Errorf("%s: %q instead of %q", name, got, verdict)
		}
		c.tcp.Close()
	}
}

func TestAttack19Restart(t *testing.T) {
	h := generous(t)
	elsewhere := strings.Replace(streamHeader, domain, "other.example", 1)
	for _, e := range beforeLogin() {
		c := e.open(t, h)
		c.send(plain("mira", passwordOf("mira")))
		c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
		c.send(elsewhere)
		c.dies("another domain after the login", "host-unknown")

		c = e.open(t, h)
		c.send(plain("mira", passwordOf("mira")))
		c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
		c.send(strings.Replace(streamHeader, "<stream:stream ", "<stream:stream from='admin@chat.example' ", 1))
		c.expect("</stream:features>")
		c.send(bindMain)
		if got := c.expect("</bind></iq>"); !strings.Contains(got, "<jid>mira@chat.example/main</jid>") {
			t.Errorf("%s: the header's word counts: %s", e.name, got)
		}
		c.tcp.Close()
	}
}

func TestAttack20Hosts(t *testing.T) {
	h := generous(t)
	for _, e := range entrances() {
		if e.auth {
			continue
		}
		for _, to := range []string{"other.example", "chat.example.other.example", "xn--chat-example", "mira@chat.example/x", "127.0.0.1"} {
			c := e.connect(t, h)
			c.send(strings.Replace(streamHeader, domain, to, 1))
			got := c.rest()
			c.tcp.Close()
			if strings.Contains(got, "<stream:features>") || !strings.Contains(got, "<stream:error>") || !strings.Contains(got, "from='"+domain+"'") {
				t.Errorf("%s: a stream to %s: %q", e.name, to, got)
			}
		}
	}
}

func TestAttack23Resources(t *testing.T) {
	h := generous(t, "tobias")
	h.set(directory.KeyMaxSessions, "3")
	tobias := h.user(t, "tobias")
	bind := func(c *raw, resource string) string {
		c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
		return c.expect("</iq>")
	}
	const odd, shown = "&quot;&apos;/&gt;&lt;iq type=&apos;set&apos;/&gt;", `"'/><iq type='set'/>`
	c := h.raw("mira")
	if got := bind(c, odd); strings.Count(got, "<iq") != 1 || !strings.Contains(got, "/&gt;&lt;iq ") {
		t.Errorf("a resource of markup: %s", got)
	}
	c.send("<message to='tobias@chat.example/main'><body>hi</body></message>")
	if got := tobias.expect("</message>"); strings.Contains(got, shown) || strings.Count(got, "<iq") != 0 || !strings.Contains(got, "/&gt;&lt;iq ") {
		t.Errorf("its messages: %s", got)
	}
	for resource, condition := range map[string]string{strings.Repeat("x", 1024): "bad-request", strings.Repeat("\u20ac", 400): "bad-request", "a\u0007": "", "\u200e\ufffd\u0378": "bad-request"} {
		c := h.raw("mira")
		if condition == "" { // no XML
			c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource)
			c.dies(resource, "not-well-formed")
			continue
		}
		if got := bind(c, resource); !strings.Contains(got, "<"+condition+" ") {
			t.Errorf("%.20q: %s", resource, got)
		}
		c.tcp.Close()
	}
	for _, resource := range []string{"one", "two"} {
		if got := bind(h.raw("mira"), resource); !strings.Contains(got, "type='result'") {
			t.Fatalf("%s: %s", resource, got)
		}
	}
	for i := range 20 {
		c := h.raw("mira")
		if got := bind(c, fmt.Sprint(i)); !strings.Contains(got, "<resource-constraint ") {
			t.Fatalf("session %d: %s", 4+i, got)
		}
		c.tcp.Close()
	}
	if n := h.server.CountSessions(); n != 4 {
		t.Errorf("%d sessions", n)
	}
	tobias.quiet("somebody else's sessions")
}

// TestAttack24Lockout: guessing is slowed down where it comes from, and its victim is not kept out.
func TestAttack24Lockout(t *testing.T) {
	h := newHost(t, "mira", "tobias")
	h.set(directory.KeyFailedLogins, "1000")
	h.set(directory.KeyFailedLoginsAddress, "0")
	h.set(directory.KeyFailedLoginDelay, "24h")
	from := func(address string) *raw {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		tcp, err := d.DialContext(t.Context(), "tcp", h.server.Addr(stream.DirectTLS).String())
		if err != nil {
			t.Skipf("there is no second address here: %v", err)
		}
		t.Cleanup(func() { tcp.Close() })
		c := &raw{t: t, tcp: tcp}
		c.secure(h)
		c.send(streamHeader)
		c.expect("</stream:features>")
		return c
	}
	const villain = "127.0.0.66"
	guess := func(name, condition string) {
		c := from(villain)
		c.send(plain(name, "guess"))
		c.fails("a guess at "+name, condition)
		c.tcp.Close()
	}
	// The first wait is a second, and each failure doubles it: those before a limit make its first wait one that no busy machine sees the end of.
	for range 12 {
		guess("mira", "not-authorized")
	}
	h.set(directory.KeyFailedLogins, "3")
	guess("mira", "not-authorized")
	for range 3 {
		guess("mira", "temporary-auth-failure")
	}
	c := from(villain)
	c.send(plain("mira", passwordOf("mira")))
	c.fails("the right password, from where it was guessed", "temporary-auth-failure")
	c.send(authElement("SCRAM-SHA-256", "n,,n=mira,r=abc"))
	c.fails("another mechanism", "temporary-auth-failure")
	c.tcp.Close()
	from("127.0.0.1").logIn("mira")
	from(villain).logIn("tobias") // so far there is nothing against other accounts
	h.set(directory.KeyFailedLoginsAddress, "1000")
	for i := range 12 {
		guess(fmt.Sprint("user", i), "not-authorized")
	}
	h.set(directory.KeyFailedLoginsAddress, "3")
	guess("oneofmany", "not-authorized")
	guess("yetanother", "temporary-auth-failure")
	from(villain).logIn("tobias") // who has logged in from there is not held up by others
	from("127.0.0.1").logIn("mira")
}
