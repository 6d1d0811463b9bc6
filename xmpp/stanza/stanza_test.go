package stanza_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// element parses what a client would send on its stream.
func element(t testing.TB, s string) xmlstream.Element {
	t.Helper()
	e, err := xmlstream.Parse([]byte(s), xmlstream.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// parse parses a stanza without fault.
func parse(t testing.TB, s string) *stanza.Stanza {
	t.Helper()
	st, fault := stanza.Parse(element(t, s), nil)
	if fault != nil {
		t.Fatalf("%s: %v", s, fault)
	}
	return &st
}

func TestParse(t *testing.T) {
	tests := []struct {
		section, in string
		kind        stanza.Kind
		typ         stanza.Type
		fault       stanza.Condition // "" is none
	}{
		// RFC 6121 §5.2.2.
		{"message without type", "<message/>", stanza.Message, stanza.MessageNormal, ""},
		{"message normal", "<message type='normal'/>", stanza.Message, stanza.MessageNormal, ""},
		{"message chat", "<message type='chat'/>", stanza.Message, stanza.MessageChat, ""},
		{"message groupchat", "<message type='groupchat'/>", stanza.Message, stanza.MessageGroupchat, ""},
		{"message headline", "<message type='headline'/>", stanza.Message, stanza.MessageHeadline, ""},
		{"message error", "<message type='error'/>", stanza.Message, stanza.TypeError, ""},
		{"message of a type nobody knows", "<message type='shout'/>", stanza.Message, stanza.MessageNormal, ""},
		{"message of another kind's type", "<message type='get'/>", stanza.Message, stanza.MessageNormal, ""},
		{"message with empty type", "<message type=''/>", stanza.Message, stanza.MessageNormal, ""},
		{"case is significant", "<message type='Chat'/>", stanza.Message, stanza.MessageNormal, ""},

		// RFC 6121 §4.7.1.
		{"presence without type", "<presence/>", stanza.Presence, stanza.PresenceAvailable, ""},
		{"presence unavailable", "<presence type='unavailable'/>", stanza.Presence, stanza.PresenceUnavailable, ""},
		{"presence subscribe", "<presence type='subscribe'/>", stanza.Presence, stanza.PresenceSubscribe, ""},
		{"presence subscribed", "<presence type='subscribed'/>", stanza.Presence, stanza.PresenceSubscribed, ""},
		{"presence unsubscribe", "<presence type='unsubscribe'/>", stanza.Presence, stanza.PresenceUnsubscribe, ""},
		{"presence unsubscribed", "<presence type='unsubscribed'/>", stanza.Presence, stanza.PresenceUnsubscribed, ""},
		{"presence probe", "<presence type='probe'/>", stanza.Presence, stanza.PresenceProbe, ""},
		{"presence error", "<presence type='error'/>", stanza.Presence, stanza.TypeError, ""},
		{"presence of a type nobody knows", "<presence type='invisible'/>", stanza.Presence, 0, stanza.ConditionBadRequest},
		{"presence available has no type", "<presence type='available'/>", stanza.Presence, 0, stanza.ConditionBadRequest},
		{"presence with empty type", "<presence type=''/>", stanza.Presence, 0, stanza.ConditionBadRequest},

		// RFC 6120 §8.2.3.
		{"iq get", "<iq id='1' type='get'><a xmlns='b'/></iq>", stanza.IQ, stanza.IQGet, ""},
		{"iq set", "<iq id='1' type='set'> <a xmlns='b'/>\n</iq>", stanza.IQ, stanza.IQSet, ""},
		{"iq result", "<iq id='1' type='result'/>", stanza.IQ, stanza.IQResult, ""},
		{"iq result with a child", "<iq id='1' type='result'><a xmlns='b'/></iq>", stanza.IQ, stanza.IQResult, ""},
		{"iq error", "<iq id='1' type='error'><a xmlns='b'/><error type='wait'/></iq>", stanza.IQ, stanza.TypeError, ""},
		{"iq without type", "<iq id='1'><a xmlns='b'/></iq>", stanza.IQ, 0, stanza.ConditionBadRequest},
		{"iq of a type nobody knows", "<iq id='1' type='subscribe'><a xmlns='b'/></iq>", stanza.IQ, 0, stanza.ConditionBadRequest},
		{"iq without id", "<iq type='get'><a xmlns='b'/></iq>", stanza.IQ, stanza.IQGet, stanza.ConditionBadRequest},
		{"iq get without child", "<iq id='1' type='get'/>", stanza.IQ, stanza.IQGet, stanza.ConditionBadRequest},
		{"iq get with text alone", "<iq id='1' type='get'>a</iq>", stanza.IQ, stanza.IQGet, stanza.ConditionBadRequest},
		{"iq set with two children", "<iq id='1' type='set'><a xmlns='b'/><c xmlns='b'/></iq>", stanza.IQ, stanza.IQSet, stanza.ConditionBadRequest},
		{"iq result with two children", "<iq id='1' type='result'><a xmlns='b'/><c xmlns='b'/></iq>", stanza.IQ, stanza.IQResult, stanza.ConditionBadRequest},
		{"iq error without error", "<iq id='1' type='error'/>", stanza.IQ, stanza.TypeError, stanza.ConditionBadRequest},

		// RFC 6120 §8.1.1, §8.3.3.8.
		{"bad to", "<message to='@a'/>", stanza.Message, stanza.MessageNormal, stanza.ConditionJIDMalformed},
		{"empty to", "<message to=''/>", stanza.Message, stanza.MessageNormal, stanza.ConditionJIDMalformed},
		{"bad from", "<presence from='a@'/>", stanza.Presence, stanza.PresenceAvailable, stanza.ConditionJIDMalformed},
		{"bad to of an iq without type", "<iq to='@'/>", stanza.IQ, 0, stanza.ConditionJIDMalformed},

		// RFC 6120 §4.9.3.24: what isn't a stanza.
		{"another element", "<bogus/>", 0, 0, stanza.ConditionFeatureNotImplemented},
		{"another namespace", "<message xmlns='jabber:server'/>", 0, 0, stanza.ConditionFeatureNotImplemented},
		{"no namespace", "<message xmlns=''/>", 0, 0, stanza.ConditionFeatureNotImplemented},
		{"case of the name", "<Message/>", 0, 0, stanza.ConditionFeatureNotImplemented},
		{"by a prefix", "<c:message xmlns:c='jabber:client'/>", stanza.Message, stanza.MessageNormal, ""},
	}
	for _, tt := range tests {
		t.Run(tt.section, func(t *testing.T) {
			s, fault := stanza.Parse(element(t, tt.in), nil)
			if s.Kind != tt.kind || s.Type != tt.typ {
				t.Errorf("it is %v of type %q; want %v of type %q", s.Kind, s.Type, tt.kind, tt.typ)
			}
			switch {
			case fault == nil && tt.fault != "":
				t.Errorf("there is no fault; want %s", tt.fault)
			case fault != nil && fault.Condition != tt.fault:
				t.Errorf("the fault is %v; want %q", fault, tt.fault)
			}
		})
	}
}

func TestParseAttributes(t *testing.T) {
	var c jid.Cache
	s, fault := stanza.Parse(element(t, "<message from='Juliet@Example.com/Balcony' to='example.com' id='a&apos;b' xml:lang='en' lang='no'/>"), &c)
	if fault != nil {
		t.Fatal(fault)
	}
	if s.From != jid.MustParse("juliet@example.com/Balcony") || s.To != jid.MustParse("example.com") || string(s.ID) != "a'b" || string(s.Lang) != "en" {
		t.Errorf("%v %v %s %s", s.From, s.To, s.ID, s.Lang)
	}
	if c.Len() != 2 {
		t.Errorf("the cache remembers %d addresses; want 2", c.Len())
	}
	s, _ = stanza.Parse(element(t, "<message/>"), nil)
	if !s.From.IsZero() || !s.To.IsZero() || s.ID != nil || s.Lang != nil {
		t.Error("attributes that aren't there have values")
	}
	// So that the reply can go where it has to.
	s, fault = stanza.Parse(element(t, "<iq from='a@b/c' id='7' to='@' type='get'/>"), nil)
	if fault == nil || s.From != jid.MustParse("a@b/c") || string(s.ID) != "7" || s.Type != stanza.IQGet {
		t.Errorf("of a bad stanza there is left: %v %s %v", s.From, s.ID, s.Type)
	}
}

// What comes in goes out as it was, but for what a Stanza itself says.
func TestAppend(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"message", "<message to='a@b' type='chat' id='1'><body>x &amp; <![CDATA[y]]></body> </message>",
			"<message to='a@b' id='1' type='chat'><body>x &amp; y</body> </message>"},
		{"addresses prepared", "<message to='A@B/C' from='D@E'/>", "<message from='d@e' to='a@b/C'/>"},
		{"empty", "<presence></presence>", "<presence/>"},
		{"normal is the default", "<message type='normal'/>", "<message/>"},
		{"unknown types are normal", "<message type='x'/>", "<message/>"},
		{"text alone", "<message>x</message>", "<message>x</message>"},
		{"prefixes of the root", "<message xmlns:p='urn:p'><p:a p:b=''/></message>", "<message><a xmlns='urn:p' xmlns:ns0='urn:p' ns0:b=''/></message>"},
		{"jabber:client by prefix", "<c:message xmlns:c='jabber:client' xmlns='urn:x'><c:body/><y/></c:message>", "<message><body/><y xmlns='urn:x'/></message>"},
		{"language and id escaped", "<message xml:lang=\"a'b\" id='&lt;&#10;'/>", "<message id='&lt;&#xA;' xml:lang='a&apos;b'/>"},
		{"resource escaped", `<message to="a@b/&lt;'&quot;&amp;>"/>`, "<message to='a@b/&lt;&apos;&quot;&amp;&gt;'/>"},
		{"other attributes stay", "<message xmlns:p='urn:p' p:to='x' lang='y' a='b'/>", "<message xmlns:ns0='urn:p' ns0:to='x' lang='y' a='b'/>"},
		{"empty id", "<message id=''/>", "<message id=''/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, tt.in)
			if got := string(s.Append([]byte("."))); got != "."+tt.want {
				t.Errorf("got  %s\nwant .%s", got, tt.want)
			}
			if got := string(parse(t, tt.want).Append(nil)); got != tt.want {
				t.Errorf("again: %s", got)
			}
			if got := string(s.Clone().Append(nil)); got != tt.want {
				t.Errorf("the clone: %s", got)
			}
		})
	}
}

// What the server makes, and what it puts in place of what came.
func TestMade(t *testing.T) {
	s := &stanza.Stanza{Kind: stanza.Presence, Type: stanza.PresenceUnavailable, From: jid.MustParse("a@b/c")}
	if got := string(s.Append(nil)); got != "<presence from='a@b/c' type='unavailable'/>" {
		t.Error(got)
	}
	if s.FirstChild().Valid() || s.Child("", "").Valid() {
		t.Error("an empty stanza has a child")
	}
	s.Payload = []byte("<status>gone</status><x xmlns='urn:x'/>")
	if got := string(s.Append(nil)); got != "<presence from='a@b/c' type='unavailable'><status>gone</status><x xmlns='urn:x'/></presence>" {
		t.Error(got)
	}
	if got := string(s.Child(stanza.NSClient, "status").Text()); got != "gone" {
		t.Errorf("status is %q", got)
	}
	if !s.Child("urn:x", "x").Valid() || !s.FirstChild().Is(stanza.NSClient, "status") {
		t.Error("children of a made stanza aren't found")
	}
	in := parse(t, "<message><body>old</body></message>")
	in.Payload = []byte("<body>new</body>")
	if got := string(in.Append(nil)); got != "<message><body>new</body></message>" {
		t.Error(got)
	}
	if got := string(in.Child(stanza.NSClient, "body").Text()); got != "new" {
		t.Errorf("the body is %q", got)
	}
	in.Payload = []byte{}
	if got := string(in.Append(nil)); got != "<message/>" {
		t.Error(got)
	}
}

func TestReplies(t *testing.T) {
	get := parse(t, "<iq from='a@b/c' to='b' id='1&apos;' type='get'><query xmlns='urn:q'/></iq>")
	if got, want := string(stanza.Result(get, []byte("<query xmlns='urn:q'/>")).Append(nil)),
		"<iq from='b' to='a@b/c' id='1&apos;' type='result'><query xmlns='urn:q'/></iq>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := string(stanza.Result(get, nil).Append(nil)), "<iq from='b' to='a@b/c' id='1&apos;' type='result'/>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := string(stanza.ErrorReply(get, stanza.NewError(stanza.ConditionServiceUnavailable, "")).Append(nil)),
		"<iq from='b' to='a@b/c' id='1&apos;' type='error'><error type='cancel'>"+
			"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	message := parse(t, "<message from='a@b' type='chat'><body>x</body></message>")
	if got, want := string(stanza.ErrorReply(message, stanza.NewError(stanza.ConditionNotAcceptable, "no")).Append(nil)),
		"<message to='a@b' type='error'><error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"+
			"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no</text></error></message>"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// RFC 6120 §8.3.1: an error never answers an error, nor an IQ that answers.
	for _, in := range []string{
		"<message type='error'/>", "<presence type='error'/>", "<iq id='1' type='result'/>", "<iq id='1' type='error'><error/></iq>",
	} {
		if r := stanza.ErrorReply(parse(t, in), stanza.NewError(stanza.ConditionBadRequest, "")); r != nil {
			t.Errorf("%s is answered by %s", in, r.Append(nil))
		}
	}
	bogus, fault := stanza.Parse(element(t, "<bogus/>"), nil)
	if stanza.ErrorReply(&bogus, fault) != nil {
		t.Error("what isn't a stanza is answered by one")
	}
	// A bad type is no reason not to answer (RFC 6120 §8.2.3).
	bad, fault := stanza.Parse(element(t, "<iq from='a@b/c' id='1' type='x'/>"), nil)
	if r := stanza.ErrorReply(&bad, fault); r == nil || !strings.Contains(string(r.Append(nil)), "<bad-request ") {
		t.Errorf("%v", r)
	}
}

func TestPredicates(t *testing.T) {
	for in, want := range map[string][3]bool{
		"<iq id='1' type='get'><a/></iq>":       {true, false, false},
		"<iq id='1' type='set'><a/></iq>":       {true, false, false},
		"<iq id='1' type='result'/>":            {false, true, false},
		"<iq id='1' type='error'><error/></iq>": {false, true, false},
		"<message/>":                            {false, false, false},
		"<message type='error'/>":               {false, false, false},
		"<presence/>":                           {false, false, false},
		"<presence type='unavailable'/>":        {false, false, false},
		"<presence type='subscribe'/>":          {false, false, true},
		"<presence type='unsubscribed'/>":       {false, false, true},
		"<presence type='probe'/>":              {false, false, false},
	} {
		s := parse(t, in)
		if got := [3]bool{s.IsRequest(), s.IsReply(), s.IsSubscription()}; got != want {
			t.Errorf("%s: request, reply, subscription are %v; want %v", in, got, want)
		}
	}
}

func TestCloneOutlives(t *testing.T) {
	r := xmlstream.NewReader(strings.NewReader(header+chat+strings.Repeat("<presence id='zzzzzzzzzzzzzzzzz' xml:lang='zzzzzzz'><zzzzzzzzzzzzz/></presence>", 50)),
		xmlstream.DefaultLimits())
	if _, err := r.Open(); err != nil {
		t.Fatal(err)
	}
	e, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	s, fault := stanza.Parse(e, nil)
	if fault != nil {
		t.Fatal(fault)
	}
	want := string(s.Append(nil))
	c := s.Clone()
	for err == nil {
		_, err = r.Next()
	}
	if got := string(c.Append(nil)); got != want {
		t.Errorf("the clone became %s\nwant %s", got, want)
	}
	if !c.Child("urn:xmpp:receipts", "request").Valid() {
		t.Error("the clone's children aren't found")
	}
}

// RFC 6120 §8.3.3 gives each condition its error type.
func TestConditions(t *testing.T) {
	want := map[stanza.Condition]stanza.ErrorType{
		"bad-request": "modify", "conflict": "cancel", "feature-not-implemented": "cancel", "forbidden": "auth", "gone": "cancel",
		"internal-server-error": "cancel", "item-not-found": "cancel", "jid-malformed": "modify", "not-acceptable": "modify",
		"not-allowed": "cancel", "not-authorized": "auth", "policy-violation": "modify", "recipient-unavailable": "wait",
		"redirect": "modify", "registration-required": "auth", "remote-server-not-found": "cancel", "remote-server-timeout": "wait",
		"resource-constraint": "wait", "service-unavailable": "cancel", "subscription-required": "auth",
		"undefined-condition": "cancel", "unexpected-request": "wait",
	}
	for c, typ := range want {
		e := stanza.NewError(c, "why")
		if e.Type != typ {
			t.Errorf("%s has type %s; want %s", c, e.Type, typ)
		}
		back := stanza.ParseError(parse(t, "<message type='error'>"+string(e.Append(nil))+"</message>"))
		if back == nil || back.Type != typ || back.Condition != c || back.Text != "why" || back.App != nil || back.Error() != string(c)+": why" {
			t.Errorf("%s comes back as %+v", c, back)
		}
	}
}

func TestParseError(t *testing.T) {
	const ns = " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
	tests := []struct{ name, in, want string }{
		{"all of it", "<error type='wait'><gone" + ns + ">xmpp:b</gone><text" + ns + " xml:lang='de'>weg &amp; fort</text><app xmlns='urn:a'><b/></app></error>",
			"wait gone xmpp:b|weg & fort|<app xmlns='urn:a'><b/></app>"},
		{"in any order", "<error type='auth'><app xmlns='urn:a'/><text" + ns + ">a</text><forbidden" + ns + "/></error>", "auth forbidden |a|<app xmlns='urn:a'/>"},
		{"type missing", "<error><forbidden" + ns + "/></error>", "auth forbidden ||"},
		{"type unknown", "<error type='x'><forbidden" + ns + "/></error>", "auth forbidden ||"},
		{"condition unknown (§8.3.2)", "<error type='modify'><y" + ns + "/></error>", "modify undefined-condition ||"},
		{"condition missing", "<error type='modify'/>", "modify undefined-condition ||"},
		{"condition in another namespace", "<error type='modify'><forbidden/></error>", "modify undefined-condition ||<forbidden/>"},
		{"two conditions: the first", "<error type='modify'><conflict" + ns + "/><forbidden" + ns + "/></error>", "modify conflict ||"},
	}
	for _, tt := range tests {
		e := stanza.ParseError(parse(t, "<message type='error'>"+tt.in+"</message>"))
		if e == nil {
			t.Errorf("%s: none", tt.name)
			continue
		}
		if got := string(e.Type) + " " + string(e.Condition) + " " + e.URI + "|" + e.Text + "|" + string(e.App); got != tt.want {
			t.Errorf("%s: %s; want %s", tt.name, got, tt.want)
		}
	}
	if e := stanza.ParseError(parse(t, "<message type='error'><error xmlns='urn:x'/></message>")); e != nil {
		t.Errorf("without an error: %v", e)
	}
}

func TestErrorAppend(t *testing.T) {
	e := &stanza.Error{Type: stanza.Modify, Condition: stanza.ConditionRedirect, URI: "xmpp:a?b&c", Text: "<there>", App: []byte("<x xmlns='urn:x'/>")}
	want := "<error type='modify'><redirect xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:a?b&amp;c</redirect>" +
		"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>&lt;there&gt;</text><x xmlns='urn:x'/></error>"
	if got := string(e.Append(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var err error = stanza.NewError(stanza.ConditionConflict, "")
	if err.Error() != "conflict" {
		t.Error(err)
	}
}

// RFC 6120 §4.9.1, §4.9.2.
func TestStreamError(t *testing.T) {
	tests := []struct {
		e    *stanza.StreamError
		want string
	}{
		{stanza.NewStreamError(stanza.StreamConflict, ""), "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"},
		{stanza.NewStreamError(stanza.StreamSystemShutdown, "a & b"), "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" +
			"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>a &amp; b</text></stream:error>"},
		{&stanza.StreamError{Condition: stanza.StreamSeeOtherHost, Host: "[2001:db8::1]:5222", App: []byte("<x xmlns='urn:x'/>")},
			"<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>[2001:db8::1]:5222</see-other-host><x xmlns='urn:x'/></stream:error>"},
	}
	for _, tt := range tests {
		if got := string(tt.e.Append(nil)); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	_, err := xmlstream.Parse([]byte("<a>"), xmlstream.DefaultLimits())
	if e := stanza.StreamErrorOf(err); e == nil || e.Condition != stanza.StreamNotWellFormed || e.Text == "" || !strings.HasPrefix(e.Error(), e.Condition+": ") {
		t.Errorf("%v leads to %v", err, e)
	}
	if e := stanza.StreamErrorOf(errors.New("the network is down")); e != nil {
		t.Errorf("that leads to %v", e)
	}
}

func TestNoAllocations(t *testing.T) {
	from := jid.MustParse("romeo@example.com/orchard")
	for name, in := range map[string]string{
		"message":  chat,
		"presence": "<presence to='juliet@example.com' id='1'><show>away</show><status>à table</status></presence>",
		"iq":       "<iq to='жульета@пример.example/балкон' id='1' type='get' xml:lang='en'><ping xmlns='urn:xmpp:ping'/></iq>",
		"renewed":  strings.Replace(chat, "<body>", "<stream:x/><body><![CDATA[&]]>", 1),
	} {
		r := endless(t, in)
		var c jid.Cache
		out := make([]byte, 0, 1024)
		step := func() {
			e, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			s, fault := stanza.Parse(e, &c)
			if fault != nil {
				t.Fatal(fault)
			}
			s.From = from
			if !s.FirstChild().Valid() {
				t.Fatal("it has no child")
			}
			out = s.Append(out[:0])
		}
		step()
		if n := testing.AllocsPerRun(1000, step); n != 0 {
			t.Errorf("%s: %v allocations a stanza; want none", name, n)
		}
	}
}

// FuzzStanza holds what is passed on to what came.
func FuzzStanza(f *testing.F) {
	for _, s := range []string{
		chat, "<iq id='1' type='error'><error type='wait'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>a</gone></error></iq>",
		"<presence type='subscribe' from='A@B/C' to='ü@ü.de/ '/>", "<c:message xmlns:c='jabber:client' c:to='x' xmlns=''><a/></c:message>",
		"<message xml:lang='&#10;' id='&apos;' x='y'>a<![CDATA[b]]></message>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		e, err := xmlstream.Parse([]byte(in), xmlstream.DefaultLimits())
		if err != nil {
			return
		}
		s, fault := stanza.Parse(e, nil)
		if s.Kind == 0 {
			if fault == nil {
				t.Fatal("what isn't a stanza has no fault")
			}
			return
		}
		_ = stanza.ParseError(&s)
		if fault != nil {
			if r := stanza.ErrorReply(&s, fault); r != nil {
				checkReply(t, r)
			}
			return
		}
		out := s.Append(nil)
		e2, err := xmlstream.Parse(out, xmlstream.Limits{MaxBytes: 1 << 29, MaxAttributes: 100, MaxNamespaces: 1 << 20, MaxElements: 1 << 20})
		if err != nil {
			t.Fatalf("%q doesn't parse: %v", out, err)
		}
		s2, fault := stanza.Parse(e2, nil)
		if fault != nil {
			t.Fatalf("%q has a fault: %v", out, fault)
		}
		if s2.Kind != s.Kind || s2.Type != s.Type || s2.From != s.From || s2.To != s.To || string(s2.ID) != string(s.ID) ||
			string(s2.Lang) != string(s.Lang) || (s2.ID == nil) != (s.ID == nil) || string(s2.AppendPayload(nil)) != string(s.AppendPayload(nil)) {
			t.Fatalf("%q became %q", in, out)
		}
		if again := s2.Append(nil); string(again) != string(out) {
			t.Fatalf("%q, then %q", out, again)
		}
		if c := s.Clone(); string(c.Append(nil)) != string(out) {
			t.Fatalf("the clone of %q is %q", out, c.Append(nil))
		}
		if r := stanza.ErrorReply(&s, stanza.NewError(stanza.ConditionBadRequest, "x")); r != nil {
			checkReply(t, r)
		}
	})
}

func checkReply(t *testing.T, r *stanza.Stanza) {
	t.Helper()
	out := r.Append(nil)
	e, err := xmlstream.Parse(out, xmlstream.DefaultLimits())
	if err != nil {
		t.Fatalf("the reply %q doesn't parse: %v", out, err)
	}
	s, fault := stanza.Parse(e, nil)
	if s.Type != stanza.TypeError || stanza.ParseError(&s) == nil {
		t.Fatalf("the reply %q isn't an error", out)
	}
	if fault != nil && s.ID != nil {
		t.Fatalf("the reply %q has a fault: %v", out, fault)
	}
	if stanza.ErrorReply(&s, fault) != nil {
		t.Fatalf("the reply %q would be answered", out)
	}
}
