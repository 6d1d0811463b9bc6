package core

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Who is there in the rows of RFC 6121 §8.5.4, table 1. Romeo is the one written to; a name says resource and priority, "-" as priority that the
// resource is connected but has sent no presence.
var situations = map[string][]string{
	"no such account":               nil, // the address is nobody@
	"no resource":                   {},
	"connected only":                {"garden:-"},
	"negative":                      {"garden:-1"},
	"one non-negative":              {"garden:0"},
	"several non-negative":          {"garden:5", "orchard:5", "hall:1", "cellar:-1"},
	"non-negative and unavailable":  {"garden:3", "hall:-"},
	"negative, full matches it":     {"phone:-1", "garden:2"},
	"unavailable, full matches it":  {"phone:-", "garden:2"},
	"non-negative, full matches it": {"phone:1", "garden:2"},
}

// TestMessageDelivery is RFC 6121 §8.5.4, table 1, with the choices it leaves: O is the mailbox, and an error where there is none
// (§8.5.2.2.1); "most available" are all resources of the highest priority; S,E is an error, and silence for headlines.
func TestMessageDelivery(t *testing.T) {
	const sender = "service-unavailable" // the sender gets this error, and nobody gets the message
	const silence = ""
	const mailbox = "mailbox"
	for _, c := range []struct {
		section   string
		situation string
		to        string // resource; "" is the bare address
		normal, chat, groupchat, headline,
		failure string // type error
	}{
		{"§8.5.1", "no such account", "", sender, sender, sender, silence, silence},
		{"§8.5.1", "no such account", "phone", sender, sender, sender, silence, silence},

		{"§8.5.2.2.1", "no resource", "", mailbox, mailbox, sender, silence, silence},
		{"§8.5.3.2.1", "no resource", "phone", sender, mailbox, sender, silence, silence},

		// A connected resource is not an available one.
		{"§8.5.2.2.1", "connected only", "", mailbox, mailbox, sender, silence, silence},
		{"§8.5.3.1", "unavailable, full matches it", "phone", "phone", "phone", "phone", "phone", "phone"},

		{"§8.5.2.1.1", "negative", "", mailbox, mailbox, sender, silence, silence},
		{"§8.5.3.1", "negative, full matches it", "phone", "phone", "phone", "phone", "phone", "phone"},
		{"§8.5.3.2.1", "negative", "phone", sender, mailbox, sender, silence, silence},

		{"§8.5.2.1.1", "one non-negative", "", "garden", "garden", sender, "garden", silence},
		{"§8.5.3.1", "non-negative, full matches it", "phone", "phone", "phone", "phone", "phone", "phone"},
		{"§8.5.3.2.1", "one non-negative", "phone", sender, "garden", sender, silence, silence},

		{"§8.5.2.1.1", "several non-negative", "", "garden orchard", "garden orchard", sender, "garden hall orchard", silence},
		{"§8.5.3.2.1", "several non-negative", "phone", sender, "garden orchard", sender, silence, silence},
		{"§8.5.2.1.1", "non-negative and unavailable", "", "garden", "garden", sender, "garden", silence},
	} {
		for typ, expected := range map[string]string{
			"": c.normal, "normal": c.normal, "something-else": c.normal, // §5.2.2: unknown types are normal
			"chat": c.chat, "groupchat": c.groupchat, "headline": c.headline, "error": c.failure,
		} {
			for _, with := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/to=%q/type=%q/mailboxes=%v", c.section, c.situation, c.to, typ, with), func(t *testing.T) {
					b := newBoard(t, "juliet", "romeo")
					post := &postOffice{}
					if with {
						b.UseMailboxes(post)
					}
					expected := expected
					if expected == mailbox && !with {
						expected = sender
					}
					juliet := b.connect("juliet", "balcony")
					peers := map[string]*peer{}
					to := "romeo@" + domain
					if situations[c.situation] == nil {
						to = "nobody@" + domain
					}
					for _, who := range situations[c.situation] {
						resource, priority, _ := strings.Cut(who, ":")
						if priority == "-" {
							peers[resource] = b.connect("romeo", resource)
						} else {
							peers[resource] = b.online("romeo", resource, priority)
						}
					}
					if c.to != "" {
						to += "/" + c.to
					}
					attr := ""
					if typ != "" {
						attr = " type='" + typ + "'"
					}
					payload := "<body>Wherefore?</body>"
					if typ == "error" {
						payload = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
					}
					juliet.send("<message to='" + to + "' id='m1'" + attr + ">" + payload + "</message>")

					var got []string
					for _, name := range []string{"cellar", "garden", "hall", "orchard", "phone"} {
						p := peers[name]
						if p == nil {
							continue
						}
						list := p.take()
						if len(list) > 1 {
							t.Errorf("%s got it %d times", name, len(list))
						}
						for _, xml := range list {
							got = append(got, name)
							m := parsed(t, xml)
							want(t, "from", m.From.String(), "juliet@"+domain+"/balcony") // RFC 6120 §8.1.2.1
							want(t, "to", m.To.String(), to)                              // RFC 6120 §8.1.1.1: as the sender wrote it
							want(t, "payload", unstamped(t, &m), payload)
						}
					}
					answers := juliet.take()
					for _, l := range post.letters {
						got = append(got, mailbox)
						want(t, "mailbox", l.Username, "romeo")
						m := parsed(t, string(l.Stanza))
						want(t, "to", m.To.String(), to)
						// XEP-0203 §4: the domain says when it got it.
						want(t, "payload", string(m.AppendPayload(nil)), payload+"<stanza-id xmlns='urn:xmpp:sid:0' id='"+string(m.Child("urn:xmpp:sid:0", "stanza-id").Attr("id"))+
							"' by='romeo@chat.example'/><delay xmlns='urn:xmpp:delay' from='chat.example' stamp='2031-04-05T06:07:08.000Z'/>")
					}
					if expected == sender {
						want(t, "recipients", len(got), 0)
						if len(answers) != 1 {
							t.Fatalf("the sender got %d answers: %q", len(answers), answers)
						}
						want(t, "condition", errorOf(t, answers[0]), sender)
						reply := parsed(t, answers[0])
						want(t, "the error's from", reply.From.String(), to) // RFC 6120 §8.3.1
						want(t, "the error's id", string(reply.ID), "m1")
						return
					}
					want(t, "recipients", strings.Join(got, " "), expected)
					want(t, "answers to the sender", len(answers), 0)
				})
			}
		}
	}
}

// postOffice keeps every letter, unless somebody is there.
type postOffice struct{ letters []*Letter }

func (p *postOffice) Keep(l *Letter, reachable func() bool) bool {
	if reachable() {
		return false
	}
	p.letters = append(p.letters, l)
	l.Settle(nil)
	return true
}

// TestPresenceDelivery is what RFC 6121 §8.5 says of directed presence.
func TestPresenceDelivery(t *testing.T) {
	for _, c := range []struct {
		section, situation, to, typ, expected string
	}{
		{"§8.5.1", "no such account", "", "", ""},
		{"§8.5.1", "no such account", "phone", "unavailable", ""},
		{"§8.5.1", "no such account", "", "error", ""},
		{"§8.5.2.2.2", "no resource", "", "", ""},
		{"§8.5.2.2.2", "no resource", "", "unavailable", ""},
		{"§8.5.3.2.2", "no resource", "phone", "", ""},
		{"§8.5.2.2.2", "connected only", "", "", ""},
		{"§8.5.3.1", "negative, full matches it", "phone", "", "phone"},
		{"§8.5.3.1", "negative, full matches it", "phone", "unavailable", "phone"},
		{"§8.5.3.2.2", "negative", "phone", "", ""},
		{"§8.5.2.1.2", "negative", "", "", "garden"},
		{"§8.5.2.1.2", "several non-negative", "", "", "cellar garden hall orchard"},
		{"§8.5.2.1.2", "several non-negative", "", "unavailable", "cellar garden hall orchard"},
		{"§8.5.2.1.2", "non-negative and unavailable", "", "", "garden"},
		{"§8.5.3.1", "non-negative, full matches it", "phone", "", "phone"},
		{"§8.5.3.1", "unavailable, full matches it", "phone", "", "phone"},
		{"§8.5.3.2.2", "one non-negative", "phone", "", ""},
		{"§8.5.3.2.2", "one non-negative", "phone", "unavailable", ""},
		{"RFC 6120 §8.3.1", "one non-negative", "", "error", ""},
		{"§8.5.3.1", "non-negative, full matches it", "phone", "error", "phone"},
	} {
		t.Run(fmt.Sprintf("%s/%s/to=%q/type=%q", c.section, c.situation, c.to, c.typ), func(t *testing.T) {
			b := newBoard(t, "juliet", "romeo")
			juliet := b.connect("juliet", "balcony")
			to := "romeo@" + domain
			if situations[c.situation] == nil {
				to = "nobody@" + domain
			}
			var names []string
			peers := map[string]*peer{}
			for _, who := range situations[c.situation] {
				resource, priority, _ := strings.Cut(who, ":")
				if priority == "-" {
					peers[resource] = b.connect("romeo", resource)
				} else {
					peers[resource] = b.online("romeo", resource, priority)
				}
			}
			if c.to != "" {
				to += "/" + c.to
			}
			attr := ""
			if c.typ != "" {
				attr = " type='" + c.typ + "'"
			}
			payload := "<show>away</show>"
			if c.typ == "error" {
				payload = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
			}
			juliet.send("<presence to='" + to + "'" + attr + ">" + payload + "</presence>")
			for _, name := range []string{"cellar", "garden", "hall", "orchard", "phone"} {
				if p := peers[name]; p != nil && len(p.take()) == 1 {
					names = append(names, name)
				}
			}
			want(t, "recipients", strings.Join(names, " "), c.expected)
			want(t, "answers to the sender", len(juliet.take()), 0)
		})
	}
}

// TestSubscriptionsGoToTheService: RFC 6121 §3.1.2 has subscriptions sent between bare addresses, whatever the client wrote.
func TestSubscriptionsGoToTheService(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	juliet := b.connect("juliet", "balcony")
	romeo := b.online("romeo", "garden", "1")
	for _, typ := range []string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"} {
		juliet.send("<presence to='romeo@chat.example/garden' type='" + typ + "'/>")
	}
	juliet.send("<presence to='romeo@chat.example/garden' type='probe'/>")
	want(t, "what the service got", b.rosters.routed, []string{
		"subscribe juliet@chat.example romeo@chat.example",
		"subscribed juliet@chat.example romeo@chat.example",
		"unsubscribe juliet@chat.example romeo@chat.example",
		"unsubscribed juliet@chat.example romeo@chat.example",
		"probe juliet@chat.example/balcony romeo@chat.example/garden",
	})
	want(t, "what the client got", len(romeo.take()), 0)

	juliet.send("<presence type='subscribe' id='s'/>")
	want(t, "a subscription to nobody", errorOf(t, juliet.take()[0]), "bad-request")
}

// TestIQDelivery is RFC 6121 §8.5.1, §8.5.2.1.3, §8.5.2.2.3, §8.5.3.1, §8.5.3.2.3, and RFC 6120 §8.4 and §10.5.
func TestIQDelivery(t *testing.T) {
	const unknown = "<x xmlns='urn:example:unknown'/>"
	for _, c := range []struct {
		name, to, typ, payload string
		reply                  string // condition, "result", or "" for none
		delivered              bool   // to romeo/garden
	}{
		{"§8.5.1 no such account, bare", "nobody@chat.example", "get", unknown, "service-unavailable", false},
		{"§8.5.1 no such account, full", "nobody@chat.example/x", "set", unknown, "service-unavailable", false},
		{"§8.5.1 no such account, result", "nobody@chat.example/x", "result", "", "", false},
		{"§8.5.2.1.3 account, unknown request", "romeo@chat.example", "get", unknown, "service-unavailable", false},
		{"§8.5.2.1.3 account, result", "romeo@chat.example", "result", "", "", false},
		{"§8.5.2.2.3 account that is offline", "tybalt@chat.example", "get", unknown, "service-unavailable", false},
		{"§8.5.2.2.3 account that is offline, result", "tybalt@chat.example", "result", "", "", false},
		{"§8.5.2.1.3 account with negative priority", "benvolio@chat.example", "get", unknown, "service-unavailable", false},
		{"§8.5.3.2.3 resource of an account that is offline", "tybalt@chat.example/phone", "set", unknown, "service-unavailable", false},
		{"§8.5.3.2.3 another resource, negative priority", "benvolio@chat.example/hall", "get", unknown, "service-unavailable", false},
		{"§8.5.3.1 resource", "romeo@chat.example/garden", "get", unknown, "", true},
		{"§8.5.3.1 resource, set", "romeo@chat.example/garden", "set", unknown, "", true},
		{"§8.5.3.1 resource, result", "romeo@chat.example/garden", "result", "", "", true},
		{"§8.5.3.2.3 no such resource", "romeo@chat.example/hall", "get", unknown, "service-unavailable", false},
		{"§8.5.3.2.3 no such resource, error", "romeo@chat.example/hall", "error", "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", "", false},
		{"RFC 6120 §8.4 own account, unknown request", "juliet@chat.example", "get", unknown, "service-unavailable", false},
		{"RFC 6120 §10.3.3 no to, unknown request", "", "get", unknown, "service-unavailable", false},
		{"RFC 6120 §10.3.3 no to, known request", "", "get", "<ping xmlns='urn:xmpp:ping'/>", "result", false},
		{"RFC 6120 §10.3.3 no to, result", "", "result", "", "", false},
		{"RFC 6120 §10.5.1 server, unknown request", "chat.example", "get", unknown, "service-unavailable", false},
		{"RFC 6120 §10.5.1 server, known request", "chat.example", "get", "<ping xmlns='urn:xmpp:ping'/>", "result", false},
		{"RFC 6120 §10.5.1 server, wrong type", "chat.example", "set", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable", false},
		{"RFC 6120 §10.5.1 server, result", "chat.example", "result", "", "", false},
		{"RFC 6120 §10.5.2 resource of the server", "chat.example/x", "get", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable", false},
		{"RFC 6120 §10.4 other domain", "romeo@montague.example", "get", unknown, "remote-server-not-found", false},
		{"RFC 6120 §10.4 other domain, result", "romeo@montague.example", "result", "", "", false},
		{"RFC 6121 §2.1.6 forged roster push", "romeo@chat.example/garden", "set", "<query xmlns='jabber:iq:roster'><item jid='eve@chat.example'/></query>", "forbidden", false},
		{"RFC 6121 §2.1.5 somebody else's roster", "romeo@chat.example", "set", "<query xmlns='jabber:iq:roster'><item jid='eve@chat.example'/></query>", "forbidden", false},
		{"RFC 6121 §2.1.5 nobody's roster", "nobody@chat.example", "set", "<query xmlns='jabber:iq:roster'><item jid='eve@chat.example'/></query>", "forbidden", false},
		{"XEP-0012 §4 a stranger's client", "romeo@chat.example/garden", "get", "<query xmlns='jabber:iq:last'/>", "forbidden", false},
		{"XEP-0012 §4 nobody's client", "nobody@chat.example/x", "get", "<query xmlns='jabber:iq:last'/>", "forbidden", false},
		{"XEP-0012 §4 an answer", "romeo@chat.example/garden", "result", "<query xmlns='jabber:iq:last' seconds='1'/>", "", true},
		{"XEP-0199 somebody else's account", "romeo@chat.example", "get", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable", false},
		{"XEP-0199 nobody's account", "nobody@chat.example", "get", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBoard(t, "juliet", "romeo", "tybalt", "benvolio")
			b.online("benvolio", "phone", "-1")
			juliet, romeo := b.connect("juliet", "balcony"), b.online("romeo", "garden", "1")
			to := ""
			if c.to != "" {
				to = " to='" + c.to + "'"
			}
			juliet.send("<iq id='q1'" + to + " type='" + c.typ + "'>" + c.payload + "</iq>")
			if got := romeo.take(); c.delivered {
				want(t, "stanzas for the resource", len(got), 1)
				q := parsed(t, got[0])
				want(t, "from", q.From.String(), "juliet@chat.example/balcony")
				want(t, "payload", string(q.AppendPayload(nil)), c.payload)
			} else {
				want(t, "stanzas for the resource", len(got), 0)
			}
			answers := juliet.take()
			if c.reply == "" {
				want(t, "answers", len(answers), 0)
				return
			}
			if len(answers) != 1 {
				t.Fatalf("the sender got %d answers: %q", len(answers), answers)
			}
			reply := parsed(t, answers[0])
			want(t, "id", string(reply.ID), "q1")
			if c.reply == "result" {
				want(t, "type", reply.Type, stanza.IQResult)
			} else {
				want(t, "condition", errorOf(t, answers[0]), c.reply)
			}
		})
	}
}

// TestMessagesElsewhere: RFC 6120 §10.3.1 (no 'to'), §10.4 (other domains), §10.5.1 (the server).
func TestMessagesElsewhere(t *testing.T) {
	for _, c := range []struct{ name, to, typ, condition string }{
		{"other domain", "romeo@montague.example", "chat", "remote-server-not-found"},
		{"other domain, headline", "romeo@montague.example", "headline", "remote-server-not-found"},
		{"other domain, error", "romeo@montague.example", "error", ""},
		{"subdomain", "room@conference.chat.example", "groupchat", "remote-server-not-found"},
		{"server", "chat.example", "chat", "service-unavailable"},
		{"server, headline", "chat.example", "headline", ""},
		{"server, error", "chat.example", "error", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBoard(t, "juliet")
			juliet := b.online("juliet", "balcony", "0")
			payload := "<body>x</body>"
			if c.typ == "error" {
				payload = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
			}
			juliet.send("<message to='" + c.to + "' type='" + c.typ + "'>" + payload + "</message>")
			answers := juliet.take()
			if c.condition == "" {
				want(t, "answers", len(answers), 0)
				return
			}
			want(t, "answers", len(answers), 1)
			want(t, "condition", errorOf(t, answers[0]), c.condition)
		})
	}
	b := newBoard(t, "juliet")
	balcony, chamber := b.online("juliet", "balcony", "0"), b.online("juliet", "chamber", "0")
	balcony.send("<message type='chat'><body>note to self</body></message>")
	for _, p := range []*peer{balcony, chamber} {
		got := p.take()
		if len(got) != 1 {
			t.Fatalf("%s got %d messages", p.s.JID(), len(got))
		}
		m := parsed(t, got[0])
		want(t, "to", m.To.String(), "juliet@chat.example")
	}
}

// TestUndelivered: what a resource no longer takes is not lost without a word.
func TestUndelivered(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	juliet, romeo := b.connect("juliet", "balcony"), b.online("romeo", "garden", "1")
	romeo.full = true
	for _, to := range []string{"romeo@chat.example", "romeo@chat.example/garden"} {
		juliet.send("<message to='" + to + "' type='chat'><body>x</body></message>")
		want(t, "condition", errorOf(t, juliet.take()[0]), "service-unavailable")
	}
	juliet.send("<iq to='romeo@chat.example/garden' type='get' id='1'><x xmlns='urn:x'/></iq>")
	want(t, "condition", errorOf(t, juliet.take()[0]), "service-unavailable")
}

// TestOrder: RFC 6120 §10.1, stanzas between two addresses arrive in the order in which they were sent.
func TestOrder(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	juliet, romeo := b.connect("juliet", "balcony"), b.online("romeo", "garden", "1")
	for i := range 200 {
		kind := []string{"<message to='romeo@chat.example/garden' id='%d'/>", "<presence to='romeo@chat.example/garden' id='%d'/>",
			"<iq type='get' to='romeo@chat.example/garden' id='%d'><x xmlns='urn:x'/></iq>"}[i%3]
		juliet.send(fmt.Sprintf(kind, i))
	}
	got := romeo.take()
	want(t, "stanzas", len(got), 200)
	for i, xml := range got {
		st := parsed(t, xml)
		want(t, "id", string(st.ID), fmt.Sprint(i))
	}
}

// TestStreamLanguage: RFC 6120 §8.1.5: a stanza without a language of its own is in that of its client's stream; one that has one keeps it.
func TestStreamLanguage(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	juliet, romeo := b.connect("juliet", "balcony"), b.online("romeo", "garden", "0")
	for _, c := range []struct{ stream, own, want string }{
		{"de", "", " xml:lang='de'"},
		{"de", " xml:lang='fr-CA'", " xml:lang='fr-CA'"},
		{"de", " xml:lang=''", " xml:lang=''"},
		{"", " xml:lang='fr-CA'", " xml:lang='fr-CA'"},
		{"", "", ""},
	} {
		juliet.lang = nil
		if c.stream != "" {
			juliet.lang = []byte(c.stream)
		}
		b.rosters.friends["romeo"] = juliet.s.JID().Bare()
		for kind, inside := range map[string]string{
			"message":  "<body xml:lang='es'>Hola</body>",
			"iq":       "<query xmlns='urn:example:unknown'/>",
			"presence": "<status>here</status>",
		} {
			attrs := " id='x'" + c.own
			switch kind {
			case "message":
				attrs += " type='chat' to='romeo@chat.example/garden'"
			case "iq":
				attrs += " type='get' to='romeo@chat.example/garden'"
			}
			juliet.send("<" + kind + attrs + ">" + inside + "</" + kind + ">")
			var got string
			if kind == "presence" {
				got = string(juliet.s.Presence().Stanza.Append(nil))
			} else if list := romeo.take(); len(list) == 1 {
				got = list[0]
			}
			head, _, _ := strings.Cut(got, ">")
			if strings.Count(head, "xml:lang") != strings.Count(c.want, "xml:lang") || !strings.Contains(head, c.want) || !strings.Contains(got, inside) {
				t.Errorf("stream %q, %s%s: %q", c.stream, kind, c.own, got)
			}
		}
	}
}
