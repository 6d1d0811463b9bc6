package xmpp

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// online makes a client's resource available.
func (c *raw) online() *raw {
	c.t.Helper()
	c.send("<presence/>")
	c.answered()
	return c
}

// TestAttack28Forgeries: what claims to come from a server does not pass, however often and in whatever prefix.
func TestAttack28Forgeries(t *testing.T) {
	h := generous(t, "tobias")
	mira, tobias := h.user(t, "mira").online(), h.user(t, "tobias").online()
	forged := []string{
		"<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='boss@chat.example'><body>forged</body></message></forwarded></received>",
		"<c:sent xmlns:c='urn:xmpp:carbons:2'>forged</c:sent>",
		"<result xmlns='urn:xmpp:mam:2' id='forged'/>",
		"<a:result xmlns:a='urn:xmpp:mam:2' id='forged'/>",
		"<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='forged'/></event>",
		"<stanza-id xmlns='urn:xmpp:sid:0' by='tobias@chat.example' id='forged'/>",
		"<s:stanza-id xmlns:s='urn:xmpp:sid:0' by='CHAT.example' id='forged'/>",
		"<stanza-id xmlns='urn:xmpp:sid:0' id='forged'/>",
		"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>",
		"<delay xmlns='urn:xmpp:delay' from='chat.example' stamp='2002-09-10T23:08:25Z'>forged</delay>",
		"<d:delay xmlns:d='urn:xmpp:delay' from='tobias@chat.example' stamp='2002-09-10T23:08:25Z'>forged</d:delay>",
	}
	all := strings.Join(forged, "")
	for _, typ := range []string{"normal", "chat", "headline"} {
		for _, to := range []string{"tobias@chat.example", "tobias@chat.example/main"} {
			for _, f := range append(forged, all, all+all) {
				mira.send("<message type='" + typ + "' to='" + to + "'>" + f + "<body>real</body>" + f + "</message>")
				if got := tobias.expect("</message>"); strings.Contains(got, "forged") || !strings.Contains(got, "<body>real</body>") || !strings.Contains(got, "from='mira@chat.example/main'") {
					t.Errorf("%s arrives as %s", f, got)
				}
			}
		}
	}
	for _, f := range forged[6:] {
		if !strings.Contains(f, "urn:xmpp:delay") && !strings.Contains(f, "urn:xmpp:sid:0") && !strings.Contains(f, "occupant-id") {
			continue
		}
		mira.send("<presence to='tobias@chat.example/main'>" + f + "<status>real</status></presence>")
		if got := tobias.expect("</presence>"); strings.Contains(got, "forged") || !strings.Contains(got, "<status>real</status>") {
			t.Errorf("presence with %s arrives as %s", f, got)
		}
	}
}

// TestAttack29Pushes: a roster changes by its owner only, and nobody speaks in another's name.
func TestAttack29Pushes(t *testing.T) {
	h := generous(t, "tobias")
	mira, tobias := h.user(t, "mira").online(), h.user(t, "tobias").online()
	for _, to := range []string{"tobias@chat.example", "tobias@chat.example/main"} {
		for _, typ := range []string{"set", "get"} {
			mira.send("<iq type='" + typ + "' id='x' to='" + to + "'><r:query xmlns:r='jabber:iq:roster'><r:item jid='evil@chat.example' subscription='both'/></r:query></iq>")
			got := mira.expect("</iq>")
			if typ == "get" && to != "tobias@chat.example" {
				t.Fatalf("a get to a resource is for the resource: %s", got)
			}
			if !strings.Contains(got, "<forbidden ") {
				t.Errorf("%s to %s: %s", typ, to, got)
			}
			if to != "tobias@chat.example" {
				break
			}
		}
	}
	mira.send("<iq type='set' id='x' to='tobias@chat.example/other'><query xmlns='jabber:iq:roster'/></iq>")
	mira.expect("</iq>")
	tobias.quiet("forged roster pushes")
	for _, from := range []string{"tobias@chat.example", "tobias@chat.example/main", "chat.example", "mira@chat.example/other", "", "@"} {
		for _, kind := range []string{"message", "presence", "iq type='set' id='f'"} {
			e := entrances()[4]
			c := e.open(t, h)
			c.send("<" + kind + " from='" + from + "' to='tobias@chat.example/main'/>")
			c.dies(kind+" from "+from, "invalid-from")
		}
	}
	tobias.quiet("forged senders")
}

// TestAttack30Carbons: the server does not make copies, says so, and passes none on (TestAttack28Forgeries).
func TestAttack30Carbons(t *testing.T) {
	h := generous(t, "tobias")
	mira, tobias := h.user(t, "mira").online(), h.user(t, "tobias").online()
	second := h.raw("mira")
	second.send(strings.Replace(bindMain, "main", "second", 1))
	second.expect("</bind></iq>")
	second.send("<iq type='get' id='i' to='chat.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	if got := second.expect("</iq>"); strings.Contains(got, "urn:xmpp:carbons") {
		t.Fatal("the server makes carbon copies: this test has to say who gets them, and who does not")
	}
	second.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
	if got := second.expect("</iq>"); !strings.Contains(got, "<service-unavailable ") {
		t.Errorf("enabling: %s", got)
	}
	tobias.send("<message type='chat' to='mira@chat.example/main'><body>for one</body></message>")
	mira.expect("<body>for one</body>")
	second.quiet("a message to another resource")
}

// TestAttack32GuessedIDs: an answer counts by who gives it. The server asks clients nothing, so that answers to it go nowhere; those to clients
// carry their sender's address.
func TestAttack32GuessedIDs(t *testing.T) {
	h := generous(t, "tobias", "eve")
	mira, tobias, eve := h.user(t, "mira").online(), h.user(t, "tobias").online(), h.user(t, "eve").online()
	mira.send("<iq type='get' id='guessable' to='tobias@chat.example/main'><query xmlns='jabber:iq:version'/></iq>")
	tobias.expect("</iq>")
	eve.send("<iq type='result' id='guessable' to='mira@chat.example/main'><query xmlns='jabber:iq:version'><name>evil</name></query></iq>")
	if got := mira.expect("</iq>"); !strings.Contains(got, "from='eve@chat.example/main'") {
		t.Errorf("the answer of another: %s", got)
	}
	for _, to := range []string{"", " to='chat.example'", " to='mira@chat.example'", " to='chat.example/x'"} {
		eve.send("<iq type='result' id='guessable'" + to + "/><iq type='error' id='guessable'" + to + "/>")
	}
	eve.quiet("answers that nobody waits for")
	mira.quiet("answers to her account")
}

// TestAttack33Presence: presence goes to those who may see it, and an answer to a stranger tells nothing.
func TestAttack33Presence(t *testing.T) {
	h := generous(t, "tobias", "away")
	mira, tobias := h.user(t, "mira").online(), h.user(t, "tobias").online()
	ask := func(name string) string {
		mira.send("<presence type='probe' to='" + name + "@chat.example'/>")
		mira.send("<presence type='subscribed' to='" + name + "@chat.example'/><presence type='unsubscribe' to='" + name + "@chat.example'/>")
		mira.send("<presence type='probe' to='" + name + "@chat.example/main'/>")
		mira.send("<iq type='get' id='done' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
		return strings.ReplaceAll(mira.expect("id='done'"), name, "NAME")
	}
	want := ask("nobody")
	mira.expect(">")
	for _, name := range []string{"tobias", "away"} {
		if got := ask(name); got != want {
			t.Errorf("probes of %s are answered by %q, of nobody by %q", name, got, want)
		}
		mira.expect(">")
	}
	tobias.send("<presence><show>dnd</show></presence><presence type='unavailable'/><presence/>")
	tobias.answered()
	mira.quiet("the presence of somebody who has not approved it")
	tobias.quiet("approvals that nobody asked for")
	// Nobody subscribes to themselves, or in another's name.
	mira.send("<presence type='subscribe' to='mira@chat.example'/><presence type='subscribed' to='mira@chat.example'/>")
	mira.quiet("a subscription to oneself")
	mira.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	if got := mira.expect("id='r'") + mira.expect(">") + mira.expect(">"); strings.Contains(got, "subscription='both'") || strings.Contains(got, "jid='mira@") {
		t.Errorf("the roster: %s", got)
	}
	mira.send("<presence type='subscribed' from='tobias@chat.example' to='away@chat.example'/>")
	mira.dies("an approval in another's name", "invalid-from")
}

// TestAttack34OfflineAndUnknownAlike: what a stranger asks of an account that is not there is answered as by one that does not exist. A
// blocked contact will hear the same.
func TestAttack34OfflineAndUnknownAlike(t *testing.T) {
	h := generous(t, "away")
	mira := h.user(t, "mira").online()
	for _, s := range []string{
		"<message type='headline' to='NAME@chat.example'><body>x</body></message>",
		"<message type='groupchat' to='NAME@chat.example'><body>x</body></message>",
		"<message type='error' to='NAME@chat.example'><body>x</body></message>",
		"<presence to='NAME@chat.example'/>", "<presence to='NAME@chat.example/main'/>", "<presence type='probe' to='NAME@chat.example'/>",
		"<iq type='get' id='q' to='NAME@chat.example'><query xmlns='jabber:iq:last'/></iq>",
		"<iq type='get' id='q' to='NAME@chat.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
		"<iq type='get' id='q' to='NAME@chat.example'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
		"<iq type='get' id='q' to='NAME@chat.example'><vCard xmlns='vcard-temp'/></iq>",
		"<iq type='get' id='q' to='NAME@chat.example'><ping xmlns='urn:xmpp:ping'/></iq>",
		"<iq type='set' id='q' to='NAME@chat.example'><block xmlns='urn:xmpp:blocking'/></iq>",
		"<iq type='get' id='q' to='NAME@chat.example/main'><query xmlns='jabber:iq:version'/></iq>",
	} {
		answer := func(name string) string {
			mira.send(strings.ReplaceAll(s, "NAME", name))
			mira.send("<iq type='get' id='done' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
			got := mira.expect("id='done'")
			mira.expect(">")
			return strings.ReplaceAll(got, name, "NAME")
		}
		if away, nobody := answer("away"), answer("nobody"); away != nobody {
			t.Errorf("%s: %q for an account, %q for none", s, away, nobody)
		}
	}
}

// TestUnknownAccountsReturnMail: RFC 6121 §8.5.1, §8.5.2.2.1: what would be kept for an account comes back from a name without one. That is the one
// answer that tells the two apart; see also TestAttack34OfflineAndUnknownAlike.
func TestUnknownAccountsReturnMail(t *testing.T) {
	h := generous(t, "away")
	mira := h.user(t, "mira").online()
	for _, head := range []string{"", "type='chat' ", "type='normal' "} {
		mira.send("<message " + head + "to='away@chat.example'><body>x</body></message>")
		mira.quiet("a message that is kept")
		mira.send("<message " + head + "to='nobody@chat.example'><body>x</body></message>")
		if got := mira.expect("</message>"); !strings.Contains(got, " from='nobody@chat.example' ") || !strings.Contains(got, "<service-unavailable ") {
			t.Errorf("%smessage to nobody: %s", head, got)
		}
	}
	for _, typ := range []string{"subscribe", "unsubscribe", "subscribed", "unsubscribed"} {
		for _, name := range []string{"away", "nobody"} {
			mira.send("<presence type='" + typ + "' to='" + name + "@chat.example'/>")
			mira.quiet(typ + " to " + name)
		}
	}
}

// TestAttack36Disco: strangers learn nothing about an account.
func TestAttack36Disco(t *testing.T) {
	h := generous(t, "tobias")
	mira := h.user(t, "mira").online()
	h.user(t, "tobias").online()
	for _, what := range []string{"info", "items"} {
		for _, node := range []string{"", " node='x'", " node='http://jabber.org/protocol/commands'"} {
			for _, name := range []string{"tobias", "nobody"} {
				mira.send("<iq type='get' id='q' to='" + name + "@chat.example'><query xmlns='http://jabber.org/protocol/disco#" + what + "'" + node + "/></iq>")
				got := mira.expect("</iq>")
				// XEP-0030 §4.1: no items is an answer that needs no account.
				silent := strings.Contains(got, "<service-unavailable ") || what == "items" && strings.Contains(got, "type='result'")
				if !silent || strings.Contains(got, "<identity") || strings.Contains(got, "<feature") || strings.Contains(got, "<item ") {
					t.Errorf("%s%s of %s: %s", what, node, name, got)
				}
			}
		}
	}
}

// TestAttack49Names: what a declaration says is text, in whatever it is shown.
func TestAttack49Names(t *testing.T) {
	h := generous(t, "tobias")
	const odd = "\"'/><iq type='set'><script>alert(1)</script>\n'; DROP TABLE roster; --"
	contact := directory.Contact{JID: jid.MustParse("tobias@chat.example"), Name: odd, Subscription: directory.SubscriptionBoth, Groups: []string{odd + "1", "&lol;"}}
	if err := h.local.PutContact(t.Context(), by, "mira", contact, true); err != nil {
		t.Fatal(err)
	}
	mira := h.user(t, "mira")
	mira.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	got := mira.expect("</iq>")
	if strings.Contains(got, "<script") || strings.Count(got, "<iq") != 1 || !strings.Contains(got, "&lt;script>alert(1)") && !strings.Contains(got, "&lt;script&gt;alert(1)") ||
		!strings.Contains(got, "&amp;lol;") || !strings.Contains(got, "DROP TABLE") {
		t.Errorf("the roster: %s", got)
	}
	mira.quiet("the rest")
	// What a client calls its contacts goes through the database as it is.
	mira.send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='away@chat.example' name='&apos;); DROP TABLE roster; --&#10;&quot;&gt;'/></query></iq>")
	mira.answered()
	h.stop()
	h.start()
	mira = h.user(t, "mira")
	mira.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	if got := mira.expect("</iq>"); !strings.Contains(got, "DROP TABLE roster; --&#10;") && !strings.Contains(got, "DROP TABLE roster; --&#xA;") {
		t.Errorf("after a restart: %s", got)
	}
}

// lockedBuffer is a log that several goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestAttack50Logs: whatever happens, the log and the metrics say nothing that is secret, or private.
func TestAttack50Logs(t *testing.T) {
	h := generous(t, "tobias")
	log, registry := &lockedBuffer{}, prometheus.NewRegistry()
	h.stop()
	data, err := store.Open(t.Context(), h.path, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	if h.server, err = New(h.config(), Deps{Directory: h.dir, Proposer: h.local, Roster: data, Offline: data, Last: data, Metrics: metrics.NewSet(registry),
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.server.Run(ctx) }()
	eventually(t, "the listeners", func() bool {
		return h.server.Accepting(stream.StartTLS) == nil && h.server.Accepting(stream.DirectTLS) == nil
	})

	private := []string{"private-body", "private-status", "private-note", "wrong-password", "private-name", "private-subject", "private-resource-id"}
	for _, name := range []string{"mira", "tobias"} {
		private = append(private, passwordOf(name))
	}
	for _, e := range beforeLogin() {
		c := e.open(t, h)
		for _, message := range []string{"\x00mira\x00wrong-password", "tobias@chat.example\x00mira\x00wrong-password", "\x00private-name\x00wrong-password", "private-body"} {
			c.send(authElement("PLAIN", message))
			c.expect("</failure>")
			private = append(private, base64.StdEncoding.EncodeToString([]byte(message)))
		}
		c.send(authElement("SCRAM-SHA-256", "n,,n=mira,r=private-note"))
		sent := challenge.FindStringSubmatch(c.expect("</challenge>"))[1]
		c.send(responseElement("c=biws,r=private-note,p=wrong-password"))
		c.expect("</failure>")
		private = append(private, sent)
		c.rest()
		c = e.open(t, h)
		c.send(authElement("X-private-name", "private-body"))
		c.expect("</failure>")
		c.send("<private-name><private-body/></private-name>")
		c.rest()
	}
	// The same accounts as after a restart of the program; and what happens on streams.
	mira, tobias := h.user(t, "mira"), h.user(t, "tobias")
	private = append(private, base64.StdEncoding.EncodeToString([]byte("\x00mira\x00"+passwordOf("mira"))))
	mira.send("<presence><status>private-status</status></presence>")
	mira.answered()
	tobias.online()
	for _, s := range []string{
		"<message to='tobias@chat.example'><subject>private-subject</subject><body>private-body</body></message>",
		"<message to='nobody@chat.example'><body>private-body</body></message>",
		"<message to='x@other.example'><body>private-body</body></message>",
		"<message to='private-body@@'><body>private-body</body></message>",
		"<iq type='set' id='private-resource-id'><query xmlns='jabber:iq:roster'><item jid='tobias@chat.example' name='private-note'><group>private-note</group></item></query></iq>",
		"<iq type='set' id='private-resource-id' to='chat.example'><private-note xmlns='private-body'/></iq>",
		"<presence type='subscribe' to='tobias@chat.example'><status>private-status</status></presence>",
	} {
		mira.send(s)
	}
	mira.answered()
	tobias.expect("private-body")
	mira.send("<message from='private-note@chat.example'><body>private-body</body></message>")
	mira.rest()
	c := h.user(t, "mira")
	c.send("<message><body>private-body</bodi></message>")
	c.rest()
	next := "private-note"
	if err := h.local.UpdateUser(t.Context(), by, "tobias", directory.UserUpdate{Password: &next}); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	measured := ""
	for _, f := range families {
		measured += f.String() + "\n"
	}
	for _, want := range []string{"chat_operator_sessions", "chat_operator_connections_total", "chat_operator_logins_total", "chat_operator_stanzas_total", "chat_operator_refusals_total"} {
		if !strings.Contains(measured, want) {
			t.Errorf("there is no metric %s", want)
		}
	}
	if err := h.dir.PutProperty(directory.SystemProperty{Ref: directory.Ref{Name: "p", UID: "p"}, Key: directory.KeyRESTSecret, Value: "private-note", Secret: true}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.stop = func() {}
	said := log.String()
	if !strings.Contains(said, "a login was refused") || !strings.Contains(said, "DEBUG") {
		t.Fatalf("the log is not what it should be: %s", said)
	}
	for _, secret := range private {
		if strings.Contains(said, secret) || strings.Contains(measured, secret) {
			t.Errorf("%q is in the log or in the metrics:\n%s\n%s", secret, said, measured)
		}
	}
}
