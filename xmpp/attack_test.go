package xmpp

// Attacks on the server from outside, by the numbers under which the security reference lists them. Where a test of a package below proves
// the whole of it, it stands here by its name; what only shows over real sockets follows in attack_*_test.go. Every attack on what comes before a
// login runs against every way in: entrances.
//
//	 1 DOCTYPE and entities           TestAttack01Doctype; xmlstream: TestRefusals (11.1), TestEntityBombsCostNothing
//	 2 comments, encodings            TestAttack02Prolog; xmlstream: TestStreamHeader, TestRefusals (11.1)
//	 3 invalid characters             TestAttack03Characters; xmlstream: TestRefusals (2.2, 4.1, 11.6), TestFragmentation
//	 4 endless input                  TestAttack04Endless, TestAttack04Limit; xmlstream: TestEndlessInputStopsAtTheLimit, TestEndlessHeaderStopsAtTheLimit, TestWhiteSpace
//	 5 depth and numbers              TestAttack05Counts, TestAttack05Million; xmlstream: TestCounts
//	 6 half-open connections          TestAttack06HalfOpen, TestAttack06TenThousand; stream: TestNegotiationTimeout, TestChurn, TestMaxUnauthenticated, TestConnectionsOfAddress
//	 7 slow reader                    TestAttack07SlowReader; stream: TestSlowClient, TestSlowClientHearsWhy, TestShutdownWithDeafClients
//	 8 compression, renegotiation     TestAttack08Compression; stream: TestTLS
//	 9 fuzzing, panics                xmlstream: FuzzReader, FuzzHeader, FuzzBuilder; jid: FuzzJID, FuzzEscape; stanza: FuzzStanza; auth: FuzzExchange, FuzzParseVerifier; stream: TestPanic*, FuzzProxyHeader
//	10 unknown namespaces             TestAttack10UnknownNamespaces; xmlstream: TestUnknownNamespacesLeaveNothing
//	11 rates                          TestAttack11Rates, TestAttack11Proxies; stream: TestFastClient, TestFlood, TestConnectionsOfAddress, TestProxied, TestProxyHeader*; auth: TestGuard*
//	12 stanzas before login           TestAttack12BeforeLogin; stream: TestNothingBeforeLogin
//	13 injection                      TestAttack13Injection; stream: TestInjectionBeforeTLS, TestInjectionBeforeSuccess
//	14 authzid, odd payloads          TestAttack14Identities; auth: TestPlain, TestMalformedFirst, TestPreparePassword
//	15 SASL state                     TestAttack15SASLState; stream: TestSASLErrors, TestTooManyTries
//	16 which accounts exist           TestAttack16UnknownUsers; auth: TestDecoys, TestOneErrorForAll, TestLockedAccount
//	17 SCRAM messages                 auth: TestMalformedFirst, TestMalformedFinal, TestChannelBindings, TestPublishedExchanges
//	18 channel binding                auth: TestChannelBindings, TestForwardedBinding; stream: TestChannelBindingOverTheWire, TestBindingsAnnounced
//	19 restart at another domain      TestAttack19Restart; stream: TestRestartAtAnotherDomain, TestGreeting
//	20 unknown hosts, rotation        TestAttack20Hosts; stream: TestHeaderErrors, TestCertificateRotation
//	23 resources                      TestAttack23Resources; core: TestConflict, TestResources, TestSessionCap, TestConcurrentBinds
//	24 lockout                        TestAttack24Lockout; auth: TestSecurity24NobodyLocksOthersOut, TestGuardIsBounded
//	25, 26, 27 stream management      core: TestSecurity25*, TestSecurity26*, TestSecurity27*
//	28 forged server elements         TestAttack28Forgeries; core: TestSecurity28Forgeries
//	29 forged pushes                  TestAttack29Pushes; core: TestInvalidFrom, TestIQDelivery; account: TestRosterOfOthers
//	30 carbons                        TestAttack30Carbons: the server makes none, and passes none on
//	32 guessed ids                    TestAttack32GuessedIDs
//	33 subscription tricks            TestAttack33Presence; account: TestSecurity33SubscriptionTricks, TestPreApproval, TestProbes
//	34 blocking                       TestAttack34OfflineAndUnknownAlike: nobody can be blocked yet; what a blocked contact will hear is what these hear
//	36 disco of accounts              TestAttack36Disco; core: TestSecurity36AccountDisco
//	49 odd names                      TestAttack49Names; directory: TestOldestClaimantHoldsTheName; api and controllers have the rest
//	50 secrets in logs                TestAttack50Logs; stream: every test looks for the password in the log

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

const (
	bindMain = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>main</resource></bind></iq>"
	authHead = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
)

// entrance is a place at which a client can stand.
type entrance struct {
	name string
	mode stream.Mode
	tls  bool // inside TLS
	auth bool // logged in as mira, with a resource
}

// entrances are all listeners, before TLS, inside it, and behind the login.
func entrances() []entrance {
	return []entrance{
		{"STARTTLS, in the clear", stream.StartTLS, false, false},
		{"STARTTLS, inside", stream.StartTLS, true, false},
		{"direct TLS", stream.DirectTLS, true, false},
		{"STARTTLS, logged in", stream.StartTLS, true, true},
		{"direct TLS, logged in", stream.DirectTLS, true, true},
	}
}

// connect opens a connection on which nothing has been said yet, or, inside of STARTTLS, nothing but what that takes.
func (e entrance) connect(t *testing.T, h *host) *raw {
	t.Helper()
	tcp, err := net.Dial("tcp", h.server.Addr(e.mode).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	c := &raw{t: t, tcp: tcp, conn: tcp}
	if !e.tls {
		return c
	}
	if e.mode == stream.StartTLS {
		c.send(streamHeader)
		c.expect("</stream:features>")
		c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		c.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	}
	c.secure(h)
	return c
}

func (c *raw) secure(h *host) {
	roots := x509.NewCertPool()
	roots.AddCert(h.certificate.Leaf)
	c.conn = tls.Client(c.tcp, &tls.Config{RootCAs: roots, ServerName: domain, NextProtos: []string{"xmpp-client"}})
}

// open is connect and a stream on top, up to the login and a resource where the entrance is behind those.
func (e entrance) open(t *testing.T, h *host) *raw {
	t.Helper()
	c := e.connect(t, h)
	c.send(streamHeader)
	c.expect("</stream:features>")
	if e.auth {
		c.logIn("mira")
	}
	return c
}

func plain(name, password string) string {
	return authHead + base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+password)) + "</auth>"
}

// logIn logs in and binds the resource "main".
func (c *raw) logIn(name string) {
	c.t.Helper()
	c.send(plain(name, passwordOf(name)))
	c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	c.send(streamHeader)
	c.expect("</stream:features>")
	c.send(bindMain)
	c.expect("</bind></iq>")
}

// user is somebody logged in over direct TLS.
func (h *host) user(t *testing.T, name string) *raw {
	t.Helper()
	c := entrance{mode: stream.DirectTLS, tls: true}.open(t, h)
	c.logIn(name)
	return c
}

// dies expects one stream error, the closing tag and the end (RFC 6120 §4.9.1.1).
func (c *raw) dies(what, condition string) {
	c.t.Helper()
	got := c.rest()
	c.tcp.Close()
	if !strings.Contains(got, "<stream:error><"+condition+" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>") ||
		!strings.HasSuffix(got, "</stream:error></stream:stream>") || strings.Count(got, "<stream:error>") != 1 {
		c.t.Errorf("%.80q: want the stream error %s, got %q", what, condition, got)
	}
}

// quiet makes sure that nothing came but the answer to a ping: what was sent before has had no visible effect.
func (c *raw) quiet(what string) {
	c.t.Helper()
	c.send("<iq type='get' id='quiet' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	got := c.expect("id='quiet'")
	if !strings.HasPrefix(got, "<iq ") || strings.Count(got, "<") != 1 {
		c.t.Errorf("%s: %q came", what, got)
	}
	c.expect(">")
}

// set sets a property.
func (h *host) set(key, value string) {
	h.t.Helper()
	if err := h.local.PutProperty(h.t.Context(), by, key, value, false); err != nil {
		h.t.Fatal(err)
	}
}

// generous lifts the limits that a test of something else would run into, since all its clients have one address.
func generous(t *testing.T, users ...string) *host {
	t.Helper()
	h := newHost(t, append([]string{"mira"}, users...)...)
	h.set(directory.KeyFailedLogins, "0")
	h.set(directory.KeyFailedLoginsAddress, "0")
	return h
}

// heap is the memory in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// leaves asserts that what f does leaves no more memory behind than a bound.
func leaves(t *testing.T, bound int64, f func()) {
	t.Helper()
	before := heap()
	f()
	var grown int64
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if grown = heap() - before; grown <= bound {
			return
		}
	}
	t.Errorf("%d bytes more are in use, at most %d were expected", grown, bound)
}
