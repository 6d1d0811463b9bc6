package stream

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// RFC 6120 §9.1: the whole way, and what is offered in each phase (§4.3.2).
func TestNegotiation(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode, func(c *Config) {
			c.Features = func() []byte { return []byte("<ver xmlns='urn:xmpp:features:rosterver'/>") }
		})
		c := s.connect(t)
		if mode == StartTLS {
			c.send(header)
			got := c.expect("</stream:features>")
			want := "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
			if !strings.HasSuffix(got, want) {
				t.Fatalf("in the clear it offers %q", got)
			}
			c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			c.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			c.tls()
		}
		c.send(header)
		got := c.expect("</stream:features>")
		want := "<stream:features><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/><channel-binding type='tls-server-end-point'/></sasl-channel-binding>" +
			"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256-PLUS</mechanism><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-256</mechanism>" +
			"<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism><mechanism>ANONYMOUS</mechanism></mechanisms><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes></limits></stream:features>"
		if !strings.HasSuffix(got, want) {
			t.Fatalf("before SASL it offers %q", got)
		}
		c.send(plainMessage(username, password))
		c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
		c.send(header)
		got = c.expect("</stream:features>")
		want = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>" +
			"<ver xmlns='urn:xmpp:features:rosterver'/><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes></limits></stream:features>"
		if !strings.HasSuffix(got, want) {
			t.Fatalf("after SASL it offers %q", got)
		}
		// §7.6: without a resource the server makes one.
		c.send("<iq type='set' id='tn281v37'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
		c.expect("<iq type='result' id='tn281v37'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>juliet@example.org/made-here-1</jid></bind></iq>")
		// RFC 3921 §3: an IQ as any other.
		c.send("<iq type='set' id='s1' to='example.org'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
		c.expect("<iq type='set' id='s1' to='example.org'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
		c.send(" \n<message to='romeo@example.org'><body>hi</body></message>")
		c.expect("<message to='romeo@example.org'><body>hi</body></message>")

		info := s.backend.session(t, "juliet@example.org/made-here-1").c.Info()
		if !info.Secure || info.TLSVersion != tls.VersionTLS13 || info.Mechanism != auth.Plain || info.Received != 2 || info.Sent != 2 ||
			info.RemoteAddr != c.LocalAddr().String() || info.LastActivity.Before(info.Created) || time.Since(info.Created) > time.Minute {
			t.Fatalf("info is %+v", info)
		}
		// §4.4: the client closes, the server answers and closes the connection.
		session := s.backend.session(t, "juliet@example.org/made-here-1")
		c.send("</stream:stream>")
		if got := c.rest(); got != "</stream:stream>" {
			t.Fatalf("the closing tag is answered with %q", got)
		}
		waitClosed(t, session)
	})
}

// RFC 6120 §4.7: the attributes of the answering stream header.
func TestGreeting(t *testing.T) {
	s := newServer(t, StartTLS)
	ids := map[string]bool{}
	for range 3 {
		c := s.connect(t)
		// Any prefix will do (§4.8.5, Namespaces in XML), and who the client says to be is repeated (§4.7.2).
		c.send("<x:stream to='EXAMPLE.org' from='Juliet@example.org' version='1.0' xmlns='jabber:client' xmlns:x='http://etherx.jabber.org/streams'>")
		got := c.expect("<stream:features>")
		for _, want := range []string{"<?xml version='1.0'?><stream:stream ", " xmlns='jabber:client'", " xmlns:stream='http://etherx.jabber.org/streams'",
			" from='example.org'", " to='juliet@example.org'", " version='1.0'", " xml:lang='en'"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in %q", want, got)
			}
		}
		_, id, _ := strings.Cut(got, " id='")
		id, _, _ = strings.Cut(id, "'")
		if len(id) < 22 || ids[id] {
			t.Errorf("the stream id %q is short or not new (§4.7.3)", id)
		}
		ids[id] = true
	}
}

// RFC 6120 §4.9.3: what is wrong with a stream header, before and after TLS. The server's header comes first (§4.9.1.2).
func TestHeaderErrors(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode)
		for _, c := range []struct{ in, condition string }{
			{"<stream:stream version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "improper-addressing"},
			{"<stream:stream to='' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "improper-addressing"},
			{"<stream:stream to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "host-unknown"},
			{"<stream:stream to='a@example.org' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "host-unknown"},
			{"<stream:stream to='example.org' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "unsupported-version"},
			{"<stream:stream to='example.org' version='0.9' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "unsupported-version"},
			{"<stream:stream to='example.org' version='x' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "unsupported-version"},
			{"<stream:stream to='example.org' version='1.0' xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>", "invalid-namespace"},
			{"<stream:stream to='example.org' version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>", "invalid-namespace"},
			{"<stream:stream to='example.org' version='1.0' xmlns='jabber:client' xmlns:stream='http://wrong.namespace.example.org/'>", "invalid-namespace"},
			{"<stream to='example.org' version='1.0' xmlns='jabber:client'>", "invalid-namespace"},
			{"<stream:flow to='example.org' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "bad-format"},
			{"GET / HTTP/1.1\r\n\r\n", "not-well-formed"},
			{"<stream:stream to='example.org' version='1.0' xmlns='jabber:client'>", "bad-namespace-prefix"},
			{"<!DOCTYPE x [<!ENTITY a 'b'>]>" + header, "restricted-xml"},
			{"<!-- hello -->" + header, "restricted-xml"},
			{"<?xml version='1.0' encoding='ISO-8859-1'?>" + header[len("<?xml version='1.0'?>"):], "unsupported-encoding"},
			{"<stream:stream to='" + strings.Repeat("x", 20000) + "' version='1.0'>", "policy-violation"},
		} {
			peer := s.connect(t)
			peer.send(c.in)
			got := peer.expect("<stream:error>")
			if !strings.HasPrefix(got, "<?xml version='1.0'?><stream:stream ") || strings.Contains(got, "<stream:features>") {
				t.Fatalf("%.60q is answered with %q", c.in, got)
			}
			peer.read = append([]byte("<stream:error>"), peer.read...)
			peer.dies(c.condition)
		}
		// Versions from 1.0 on are spoken to in 1.0 (§4.7.5).
		peer := s.connect(t)
		peer.send(strings.Replace(header, "version='1.0' xmlns", "version='1.1' xmlns", 1))
		peer.expect(" version='1.0' xml:lang='en'><stream:features>")
	})
}

// RFC 6120 §4.9.3.12, §5.3.1, §6.3.2, §7.1: before each step nothing but that step.
func TestNothingBeforeLogin(t *testing.T) {
	stanzas := []string{
		"<message to='romeo@example.org'><body>hi</body></message>",
		"<presence/>",
		"<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
		"<enable xmlns='urn:xmpp:sm:3'/>",
		"<resume xmlns='urn:xmpp:sm:3' h='1' previd='x'/>",
		"<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
		"<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
		"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>",
	}
	bind := "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode)
		for _, in := range append(stanzas, bind) {
			c := s.connect(t)
			c.secure()
			c.send(in)
			c.dies("not-authorized")
			if mode == StartTLS {
				c = s.connect(t)
				c.send(header)
				c.expect("</stream:features>")
				c.send(in)
				c.dies("not-authorized")
			}
		}
		for _, in := range append(stanzas, "<iq type='get' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
			"<iq type='set' id='1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>") {
			c := s.connect(t)
			c.login(username)
			c.send(in)
			c.dies("not-authorized")
		}
		if s.backend.bound != 0 {
			t.Fatal("a session was bound")
		}
	})
}

// RFC 6120 §5.4.2, §6.5.4, XEP-0368 §2.
func TestStartTLSOnlyOnceAndFirst(t *testing.T) {
	s := newServer(t, StartTLS)
	c := s.connect(t)
	c.send(header)
	c.expect("</stream:features>")
	c.send(plainMessage(username, password))
	c.expect("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><encryption-required/>")
	both(t, func(t *testing.T, mode Mode) {
		c := newServer(t, mode).connect(t)
		c.secure()
		c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		if got := c.rest(); got != "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>" {
			t.Fatalf("STARTTLS inside TLS is answered with %q", got)
		}
	})
}

// RFC 6120 §5.4.3.3: what follows <starttls/> in the clear does not count inside TLS.
func TestInjectionBeforeTLS(t *testing.T) {
	s := newServer(t, StartTLS)
	c := s.connect(t)
	c.send(header)
	c.expect("</stream:features>")
	c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + header + plainMessage("romeo", password))
	c.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	c.tls()
	c.bindAfterTLS()
	if got := s.backend.session(t, "juliet@example.org/x").name; got != username {
		t.Fatalf("logged in as %q", got)
	}
}

func (c *client) bindAfterTLS() {
	c.t.Helper()
	c.send(header)
	if got := c.expect("</stream:features>"); strings.Contains(got, "success") || strings.Count(got, "<stream:stream") != 1 {
		c.t.Fatalf("what was sent in the clear was answered: %q", got)
	}
	c.send(plainMessage(username, password))
	c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	c.send(header)
	c.expect("</stream:features>")
	c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>")
	c.expect("</iq>")
}

// RFC 6120 §6.4.6: what follows <auth/> before its success does not count as authenticated.
func TestInjectionBeforeSuccess(t *testing.T) {
	s := newServer(t, DirectTLS)
	c := s.connect(t)
	c.secure()
	c.send(plainMessage(username, password) + header + "<iq type='set' id='evil'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	if got := c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"); strings.Contains(got, "evil") {
		t.Fatalf("got %q", got)
	}
	c.send(header)
	if got := c.expect("</stream:features>"); strings.Contains(got, "evil") || s.backend.count() != 0 {
		t.Fatalf("what came before the success was processed: %q", got)
	}
	c.send("<iq type='set' id='good'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	if got := c.expect("</iq>"); !strings.Contains(got, "id='good'") {
		t.Fatalf("got %q", got)
	}
}

// CVE-2018-10847: a login at one domain is none at another. The from of a header means nothing.
func TestRestartAtAnotherDomain(t *testing.T) {
	s := newServer(t, DirectTLS)
	c := s.connect(t)
	c.secure()
	c.send(plainMessage(username, password))
	c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	c.send(strings.Replace(header, "example.org", "example.com", 1))
	c.dies("host-unknown")

	c = s.connect(t)
	c.secure()
	c.send(plainMessage(username, password))
	c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	c.send(strings.Replace(header, "to='example.org'", "to='example.org' from='romeo@example.org'", 1))
	c.expect("</stream:features>")
	c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	c.expect("<jid>juliet@example.org/")
}

// RFC 6120 §6.4, §6.5
func TestSASLErrors(t *testing.T) {
	s := newServer(t, DirectTLS)
	const ns = " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
	first := base64.StdEncoding.EncodeToString([]byte("n,,n=juliet,r=abc"))
	for _, c := range []struct{ in, condition string }{
		{"<auth" + ns + " mechanism='DIGEST-MD5'/>", "invalid-mechanism"},
		{"<auth" + ns + "/>", "invalid-mechanism"},
		{"<auth" + ns + " mechanism='plain'/>", "invalid-mechanism"},
		{"<auth" + ns + " mechanism='PLAIN'>not base64</auth>", "incorrect-encoding"},
		{"<auth" + ns + " mechanism='PLAIN'>AGp1\nbGlldAB4</auth>", "incorrect-encoding"},
		{"<auth" + ns + " mechanism='PLAIN'>AAA</auth>", "incorrect-encoding"},
		{"<auth" + ns + " mechanism='PLAIN'>=</auth>", "malformed-request"},
		{plainMessage(username, "wrong"), "not-authorized"},
		{plainMessage("nobody", password), "not-authorized"},
		{plainMessage("locked", "wrong"), "not-authorized"},
		{plainMessage("locked", password), "account-disabled"},
		{fmt.Sprintf(authPlain, base64.StdEncoding.EncodeToString([]byte("romeo@example.org\x00juliet\x00"+password))), "invalid-authzid"},
		{"<response" + ns + ">" + first + "</response>", "malformed-request"},
		{"<abort" + ns + "/>", "aborted"},
		{"<success" + ns + "/>", "malformed-request"},
		// the abort of §6.4.4, a second auth in the middle, and then the answer to what is over
		{"<auth" + ns + " mechanism='SCRAM-SHA-256'>" + first + "</auth><abort" + ns + "/>", "aborted"},
		{"<auth" + ns + " mechanism='SCRAM-SHA-256'>" + first + "</auth><auth" + ns + " mechanism='PLAIN'/>", "malformed-request"},
		{"<auth" + ns + " mechanism='SCRAM-SHA-256'>" + first + "</auth><response" + ns + "/>", "malformed-request"},
	} {
		peer := s.connect(t)
		peer.secure()
		peer.send(c.in)
		got := peer.expect("</failure>"[:len("</failure")-1])
		if !strings.Contains(got, "<failure"+ns+"><"+c.condition+"/>") {
			t.Fatalf("%.80q is answered with %q, want %s", c.in, got, c.condition)
		}
		peer.expect(">")
		// §6.4.5: the stream stays, and the client may try again.
		peer.send(plainMessage(username, password))
		peer.expect("<success" + ns + "/>")
	}

	// §6.4.2: no initial response is answered with an empty challenge.
	peer := s.connect(t)
	peer.secure()
	peer.send("<auth" + ns + " mechanism='PLAIN'/>")
	peer.expect("<challenge" + ns + "/>")
	peer.send("<response" + ns + ">" + base64.StdEncoding.EncodeToString([]byte("\x00juliet\x00"+password)) + "</response>")
	peer.expect("<success" + ns + "/>")

	// The same answer, byte for byte, whether the account exists, is locked or the password is wrong.
	var answers []string
	for _, in := range []string{plainMessage(username, "wrong"), plainMessage("nobody", "wrong"), plainMessage("locked", "wrong")} {
		peer := s.connect(t)
		peer.secure()
		peer.send(in)
		answers = append(answers, peer.expect("</failure>"))
	}
	if answers[0] != answers[1] || answers[0] != answers[2] {
		t.Fatalf("answers differ: %q", answers)
	}
}

// RFC 6120 §6.4.5: after some failures the stream is closed.
func TestTooManyTries(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		s := newServer(t, mode)
		for _, in := range []string{
			plainMessage(username, "wrong"), "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
			"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='NONE'/>",
		} {
			c := s.connect(t)
			c.secure()
			for range maxTries - 1 {
				c.send(in)
				c.expect("</failure>")
			}
			c.send(in + plainMessage(username, password))
			c.expect("</failure>")
			c.dies("policy-violation")
		}
		if mode == StartTLS {
			c := s.connect(t)
			c.send(header)
			c.expect("</stream:features>")
			c.send(strings.Repeat("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>", 2*maxTries))
			c.dies("policy-violation")
		}
	})
}

// XEP-0175: no resource of an account, no name from the client.
func TestAnonymous(t *testing.T) {
	s := newServer(t, DirectTLS)
	c := s.connect(t)
	c.secure()
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	c.send(header)
	c.expect("</stream:features>")
	c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	c.expect("<jid>guest-1@example.org/made-here-1</jid>")
	if s.backend.session(t, "guest-1@example.org/made-here-1").name != "" {
		t.Fatal("an anonymous client has a name")
	}
}

// RFC 6120 §7.6, §7.7
// Time passes between a login and the binding of a resource, as much as the client likes. What the account is then counts, and not what it was: the
// name may belong to somebody else.
func TestAccountChangesBeforeBind(t *testing.T) {
	const bind = "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>"
	other := auth.NewPasswordSecret("of somebody else", []byte("0123456789abcdef"))
	for name, change := range map[string]func(m map[string]auth.Account){
		"removed":      func(m map[string]auth.Account) { delete(m, username) },
		"made anew":    func(m map[string]auth.Account) { m[username] = auth.Account{Username: username, Secret: other} },
		"locked":       func(m map[string]auth.Account) { a := m[username]; a.Locked = true; m[username] = a },
		"no more keys": func(m map[string]auth.Account) { m[username] = auth.Account{Username: username} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, DirectTLS)
			apply := func() {
				s.accounts.mu.Lock()
				defer s.accounts.mu.Unlock()
				change(s.accounts.m)
			}
			c := s.connect(t)
			c.login(username)
			apply()
			c.send(bind)
			c.dies("not-authorized")
			if s.backend.bound != 0 {
				t.Error("a session was made")
			}
		})
		t.Run(name+" while the session is made", func(t *testing.T) {
			s := newServer(t, DirectTLS)
			made := make(chan *session, 1)
			s.backend.onBind = func(c *Conn, one *session) *stanza.Error {
				s.accounts.mu.Lock()
				defer s.accounts.mu.Unlock()
				change(s.accounts.m)
				c.Send([]byte("<message id='for-somebody-else'/>"))
				made <- one
				return nil
			}
			c := s.connect(t)
			c.login(username)
			c.send(bind)
			got := c.rest()
			if strings.Contains(got, "<jid>") || strings.Contains(got, "for-somebody-else") || !strings.Contains(got, "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>") {
				t.Errorf("got %q", got)
			}
			c.Conn.Close() // the server waits for that, or for CloseTimeout
			waitClosed(t, <-made)
		})
	}
}

func TestBind(t *testing.T) {
	s := newServer(t, DirectTLS)
	refuse := true
	s.backend.onBind = func(_ *Conn, sess *session) *stanza.Error {
		if sess.jid.Resource() == "taken" && refuse {
			return stanza.NewError(stanza.ConditionConflict, "")
		}
		return nil
	}
	c := s.connect(t)
	c.login(username)
	bind := func(resource string) string {
		return "<iq type='set' id='&lt;1&apos;'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>"
	}
	// §7.7.2.1: a resource that is none; §7.7.2.2: one that cannot be had. Both leave the stream as it was.
	for resource, condition := range map[string]string{
		strings.Repeat("x", 1024): "bad-request",
		"a&#xE000;b":              "bad-request", // private use: not in PRECIS' FreeformClass
		"taken":                   "conflict",
	} {
		c.send(bind(resource))
		got := c.expect("</iq>")
		if !strings.HasPrefix(got, "<iq type='error' id='&lt;1") || !strings.Contains(got, "<"+condition+" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>") {
			t.Fatalf("the resource %.10q is answered with %q", resource, got)
		}
	}
	// Escaped on the way in and out; nothing of it can become an element.
	c.send(bind("&quot;/&gt;&lt;evil/&gt;"))
	if got := c.expect("</iq>"); strings.Contains(got, "<evil") || !strings.Contains(got, "<jid>juliet@example.org/") {
		t.Fatalf("got %q", got)
	}

	c = s.connect(t)
	c.login(username)
	c.send("<iq type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	c.dies("bad-format")

	c = s.connect(t)
	c.login(username)
	c.send(strings.Repeat(bind("taken"), maxBindTries))
	c.dies("policy-violation")
}

// What is sent to a session before its client knows that it exists comes after the answer that says so, in order.
func TestOutputDuringBind(t *testing.T) {
	s := newServer(t, DirectTLS)
	s.backend.onBind = func(c *Conn, sess *session) *stanza.Error {
		if sess.jid.Resource() == "taken" {
			c.Send([]byte("<message><body>lost</body></message>"))
			return stanza.NewError(stanza.ConditionConflict, "")
		}
		if !c.Send([]byte("<message><body>1</body></message>")) || !c.Send([]byte("<message><body>2</body></message>")) {
			t.Error("cannot send while the resource is bound")
		}
		if sess.jid.Resource() == "short" {
			c.Close(stanza.NewStreamError(stanza.StreamConflict, ""))
			if c.Send([]byte("<message><body>3</body></message>")) {
				// Accepted is fine, but then it has to arrive; it is not when Close came first.
				t.Log("accepted after Close")
			}
		}
		return nil
	}
	bind := func(resource string) string {
		return "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>"
	}
	c := s.connect(t)
	c.login(username)
	c.send(bind("taken") + bind("free"))
	got := c.expect("<body>2</body></message>")
	if strings.Contains(got, "lost") || strings.Index(got, "</bind></iq>") > strings.Index(got, "<body>1<") {
		t.Fatalf("got %q", got)
	}
	// The session ends before it has begun: its client still learns about it, and it is told once.
	c = s.connect(t)
	c.login(username)
	c.send(bind("short"))
	c.expect("<jid>juliet@example.org/short</jid></bind></iq><message><body>1</body></message><message><body>2</body></message>")
	c.dies("conflict")
	eventually(t, "the short session is over", func() bool { return s.backend.count() == 1 })
}

// §13.12 and the limits of the two phases.
func TestLimitsBeforeAndAfterLogin(t *testing.T) {
	s := newServer(t, DirectTLS, limit(func(l *Limits) { l.After.MaxBytes = 40000 }))
	big := func(n int) string { return "<message><body>" + strings.Repeat("x", n) + "</body></message>" }
	c := s.connect(t)
	c.secure()
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + strings.Repeat("A", 17000))
	c.dies("policy-violation")

	c = s.connect(t)
	c.bind(username, "x")
	c.send(big(39000))
	c.expect("</body></message>")
	c.send(big(41000))
	c.dies("policy-violation")
}

// Each fault in the XML has its stream error (RFC 6120 §4.9.3), and ends the session.
func TestXMLErrorsAfterLogin(t *testing.T) {
	s := newServer(t, DirectTLS)
	for in, condition := range map[string]string{
		"<message></presence>":                 "not-well-formed",
		"<message>&undefined;</message>":       "restricted-xml",
		"<!-- comment -->":                     "restricted-xml",
		"<?php ?>":                             "restricted-xml",
		"<x:y/>":                               "not-well-formed",
		"<message>\xff</message>":              "unsupported-encoding",
		"text":                                 "bad-format",
		strings.Repeat("<a>", 100):             "policy-violation",
		"<message a='1' a='2'/>":               "not-well-formed",
		"<message><body>&#0;</body></message>": "not-well-formed",
	} {
		c := s.connect(t)
		c.bind(username, "x")
		session := s.backend.session(t, "juliet@example.org/x")
		c.send("<message id='before'/>" + in)
		c.expect("<message id='before'/>")
		c.dies(condition)
		waitClosed(t, session)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Domain: domain, TLS: &tls.Config{}, Auth: auth.NewServer(auth.Config{}), Backend: &backend{}}
	if _, err := NewListener(nil, good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no domain":         func(c *Config) { c.Domain = "" },
		"unprepared domain": func(c *Config) { c.Domain = "EXAMPLE.org" },
		"no TLS":            func(c *Config) { c.TLS = nil },
		"no auth":           func(c *Config) { c.Auth = nil },
		"no backend":        func(c *Config) { c.Backend = nil },
	} {
		bad := good
		spoil(&bad)
		if _, err := NewListener(nil, bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
