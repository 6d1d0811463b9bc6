package core

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

func (p *peer) ask(xml string) string {
	p.t.Helper()
	p.send(xml)
	list := p.take()
	if len(list) != 1 {
		p.t.Fatalf("%s got %d answers: %q", xml, len(list), list)
	}
	return list[0]
}

// vars reads a disco#info result.
func vars(t testing.TB, xml string) (identities, features []string) {
	t.Helper()
	st := parsed(t, xml)
	q := st.Child(stanza.NSDiscoInfo, "query")
	if !q.Valid() {
		t.Fatalf("not a disco#info result: %s", xml)
	}
	for c := range q.Children() {
		switch string(c.Local()) {
		case "identity":
			identities = append(identities, string(c.Attr("category"))+"/"+string(c.Attr("type"))+"//"+string(c.Attr("name")))
		case "feature":
			features = append(features, string(c.Attr("var")))
		}
	}
	return identities, features
}

// TestServerInfo: XEP-0030 §3.1, and XEP-0115 §5.1 computed from what the server itself says.
func TestServerInfo(t *testing.T) {
	b := newBoard(t, "juliet")
	juliet := b.connect("juliet", "balcony")
	ids, features := vars(t, juliet.ask("<iq type='get' id='1' to='chat.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"))
	want(t, "identities", ids, []string{"server/im//chat-operator"})
	for _, f := range []string{stanza.NSDiscoInfo, stanza.NSDiscoItems, stanza.NSPing, stanza.NSVersion, stanza.NSTime, stanza.NSLast, stanza.NSCaps} {
		if !slices.Contains(features, f) {
			t.Errorf("%s is not listed", f)
		}
	}
	if !slices.IsSorted(features) || len(slices.Compact(slices.Clone(features))) != len(features) {
		t.Errorf("not sorted, or twice: %q", features)
	}

	sum := sha1.Sum([]byte(strings.Join(ids, "<") + "<" + strings.Join(features, "<") + "<"))
	ver := base64.StdEncoding.EncodeToString(sum[:])
	caps := string(b.StreamFeatures(nil))
	if !strings.Contains(caps, "ver='"+ver+"'") && !strings.Contains(caps, `ver="`+ver+`"`) {
		t.Errorf("stream features %s do not have ver %s", caps, ver)
	}
	// XEP-0115 §6.2: the node in the request, and in the answer.
	node := capsNode + "#" + ver
	answer := juliet.ask("<iq type='get' id='1' to='chat.example'><query xmlns='http://jabber.org/protocol/disco#info' node='" + node + "'/></iq>")
	if st := parsed(t, answer); string(st.FirstChild().Attr("node")) != node {
		t.Errorf("no node in %s", answer)
	}
	_, again := vars(t, answer)
	want(t, "features", again, features)
	answer = juliet.ask("<iq type='get' id='1' to='chat.example'><query xmlns='http://jabber.org/protocol/disco#info' node='other'/></iq>")
	want(t, "unknown node", errorOf(t, answer), "item-not-found")
}

// TestSecurity36AccountDisco: XEP-0030 §8, strangers learn neither features nor resources nor whether the account exists.
func TestSecurity36AccountDisco(t *testing.T) {
	const info = "<iq type='get' id='1' to='%s'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
	const items = "<iq type='get' id='1' to='%s'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
	b := newBoard(t, "juliet", "romeo", "tybalt")
	b.rosters.friends["romeo"] = jid.MustParse("juliet@chat.example")
	juliet, tybalt := b.connect("juliet", "balcony"), b.connect("tybalt", "street")
	romeo := b.online("romeo", "garden", "-3")
	at := func(format, who string) string { return strings.Replace(format, "%s", who, 1) }

	for _, p := range []*peer{juliet, romeo} {
		ids, features := vars(t, p.ask(at(info, "romeo@chat.example")))
		want(t, "identities", ids, []string{"account/registered//"})
		if !slices.Contains(features, stanza.NSPing) {
			t.Errorf("features: %q", features)
		}
		if answer := p.ask(at(items, "romeo@chat.example")); !strings.Contains(answer, "romeo@chat.example/garden") {
			t.Errorf("no resource in %s", answer)
		}
	}
	// Byte for byte the same, apart from the address.
	for _, format := range []string{info, items} {
		mask := func(who string) string {
			return strings.ReplaceAll(tybalt.ask(at(format, who+"@chat.example")), who+"@", "*@")
		}
		want(t, "an account and none", mask("romeo"), mask("nobody"))
		want(t, "an account that is offline and none", mask("juliet"), mask("nobody"))
	}
	want(t, "info for strangers", errorOf(t, tybalt.ask(at(info, "romeo@chat.example"))), "service-unavailable")
	answer := tybalt.ask(at(items, "romeo@chat.example"))
	st := parsed(t, answer)
	if st.Type != stanza.IQResult || st.FirstChild().FirstChild().Valid() {
		t.Errorf("items for strangers: %s", answer)
	}
}

func TestSmallFeatures(t *testing.T) {
	b := newBoard(t, "juliet")
	juliet := b.connect("juliet", "balcony")
	for _, c := range []struct{ section, request, answer string }{
		{"XEP-0092 §2", "<query xmlns='jabber:iq:version'/>", "<query xmlns='jabber:iq:version'><name>chat-operator</name><version>1.2.3</version></query>"},
		{"XEP-0202 §3", "<time xmlns='urn:xmpp:time'/>", "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2031-04-05T06:07:08.000Z</utc></time>"},
		{"XEP-0012 §5", "<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:last' seconds='0'/>"},
		{"XEP-0199 §4", "<ping xmlns='urn:xmpp:ping'/>", ""},
		{"XEP-0030 §4", "<query xmlns='http://jabber.org/protocol/disco#items'/>", "<query xmlns='http://jabber.org/protocol/disco#items'/>"},
	} {
		st := parsed(t, juliet.ask("<iq type='get' id='1' to='chat.example'>"+c.request+"</iq>"))
		want(t, c.section, st.Type, stanza.IQResult)
		want(t, c.section, string(st.AppendPayload(nil)), c.answer)
	}
}

// TestEntityTimeOffset: XEP-0202 §3, tzo is the offset and utc is not moved by it.
func TestEntityTimeOffset(t *testing.T) {
	b := newBoard(t, "juliet")
	zone := time.FixedZone("", -(3*3600 + 30*60))
	if err := b.Install(b.rosters, EntityTime(func() time.Time { return time.Date(2031, 4, 5, 22, 0, 0, 5e6, zone) })); err != nil {
		t.Fatal(err)
	}
	juliet := b.connect("juliet", "balcony")
	answer := juliet.ask("<iq type='get' id='1' to='chat.example'><time xmlns='urn:xmpp:time'/></iq>")
	if !strings.Contains(answer, "<tzo>-03:30</tzo><utc>2031-04-06T01:30:00.005Z</utc>") {
		t.Error(answer)
	}
}

// TestHandlersAreUnique, and each request is answered.
func TestHandlers(t *testing.T) {
	b := newBoard(t)
	if err := b.Install(b.rosters, Ping(), Ping()); err == nil || !strings.Contains(err.Error(), "ping") {
		t.Errorf("two features for one request: %v", err)
	}
	b = newBoard(t, "juliet")
	silent := Feature{Name: "silent", Handlers: []Handler{{
		Target: ToServer, Type: stanza.IQGet, Space: "urn:x", Local: "x", Handle: func(context.Context, *IQ) {},
	}}}
	if err := b.Install(b.rosters, silent); err != nil {
		t.Fatal(err)
	}
	answer := b.connect("juliet", "balcony").ask("<iq type='get' id='1' to='chat.example'><x xmlns='urn:x'/></iq>")
	want(t, "a handler that forgets to answer", errorOf(t, answer), "internal-server-error")
}

// TestSecurity28Forgeries: what claims to come from a server does not pass, in whatever prefix and however often.
func TestSecurity28Forgeries(t *testing.T) {
	const carbon = "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='boss@chat.example'><body>pay</body></message></forwarded></received>"
	for _, c := range []struct{ name, payload, passes string }{
		{"plain", "<body>hi</body>", "<body>hi</body>"},
		{"carbon", "<body>hi</body>" + carbon, "<body>hi</body>"},
		{"carbons, several, prefixed", carbon + "<c:sent xmlns:c='urn:xmpp:carbons:2'/><body>hi</body>" + carbon, "<body>hi</body>"},
		{"private is the sender's to say", "<private xmlns='urn:xmpp:carbons:2'/><body>hi</body>", "<private xmlns='urn:xmpp:carbons:2'/><body>hi</body>"},
		{"archive", "<result xmlns='urn:xmpp:mam:2' id='1'/><body>hi</body>", "<body>hi</body>"},
		{"occupant id", "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/><body>hi</body>", "<body>hi</body>"},
		{"event", "<event xmlns='http://jabber.org/protocol/pubsub#event'/><body>hi</body>", "<body>hi</body>"},
		{"stanza ids of ours", "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@chat.example' id='1'/><s:stanza-id xmlns:s='urn:xmpp:sid:0' by='CHAT.example' id='2'/><body>hi</body>", "<body>hi</body>"},
		{"stanza id of another", "<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.example' id='1'/><body>hi</body>", "<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.example' id='1'/><body>hi</body>"},
		{"origin id", "<origin-id xmlns='urn:xmpp:sid:0' id='1'/><body>hi</body>", "<origin-id xmlns='urn:xmpp:sid:0' id='1'/><body>hi</body>"},
		{"delay in the server's name", "<delay xmlns='urn:xmpp:delay' from='chat.example' stamp='2002-09-10T23:08:25Z'/><body>hi</body>", "<body>hi</body>"},
		{"delay in nobody's name", "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/><body>hi</body>", "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/><body>hi</body>"},
		{"delay of another", "<delay xmlns='urn:xmpp:delay' from='muc.example' stamp='2002-09-10T23:08:25Z'/><body>hi</body>", "<delay xmlns='urn:xmpp:delay' from='muc.example' stamp='2002-09-10T23:08:25Z'/><body>hi</body>"},
		{"nothing else", carbon, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBoard(t, "juliet", "romeo")
			juliet, romeo := b.connect("juliet", "balcony"), b.online("romeo", "garden", "0")
			juliet.send("<message to='romeo@chat.example/garden' type='chat'>" + c.payload + "</message>")
			got := romeo.take()
			if c.passes == "" {
				want(t, "delivered", len(got), 0)
				want(t, "condition", errorOf(t, juliet.take()[0]), "not-acceptable")
				return
			}
			want(t, "delivered", len(got), 1)
			st := parsed(t, got[0])
			want(t, "payload", unstamped(t, &st), c.passes)
		})
	}
}

// BenchmarkMessage is the hot path: one chat message to one resource.
func BenchmarkMessage(b *testing.B) {
	bd := newBoard(b, "juliet", "romeo")
	juliet, romeo := bd.connect("juliet", "balcony"), bd.online("romeo", "garden", "1")
	_ = romeo
	romeo.s.conn, juliet.s.conn = discard{}, discard{}
	st := parsedElement(b, "<message to='romeo@chat.example' type='chat' id='m1'><body>Wherefore art thou?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>")
	b.ReportAllocs()
	for b.Loop() {
		if e := juliet.s.Receive(st); e != nil {
			b.Fatal(e)
		}
	}
}
