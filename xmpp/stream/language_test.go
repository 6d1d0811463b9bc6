package stream

import (
	"strings"
	"testing"
)

// TestLanguage: RFC 6120 §4.7.4: the language is that of the header of the stream that the session is on, if it is one.
func TestLanguage(t *testing.T) {
	s := newServer(t, DirectTLS)
	in := func(lang string) string { return strings.Replace(header, " to=", " xml:lang='"+lang+"' to=", 1) }
	for _, tt := range []struct{ first, second, want string }{
		{in("de"), in("fr-CA"), "fr-CA"},
		{in("de"), header, ""},
		{header, in("de"), "de"},
		{header, in("de-CH-1996"), "de-CH-1996"},
		{header, in(""), ""},
		{header, in("de_CH"), ""},
		{header, in("&apos;/>"), ""},
		{header, in("de-"), ""},
		{header, in("abcdefghi"), ""},
		{header, in(strings.Repeat("abc-", 9) + "de"), ""},
		{header, strings.Replace(header, " to=", " lang='de' to=", 1), ""},
	} {
		c := s.connect(t)
		c.send(tt.first)
		c.expect("</stream:features>")
		c.send(plainMessage(username, password))
		c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
		c.send(tt.second)
		c.expect("</stream:features>")
		c.send("<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>")
		c.expect("</bind></iq>")
		session := s.backend.session(t, username+"@example.org/x")
		if got := session.c.Lang(); string(got) != tt.want || tt.want == "" && got != nil {
			t.Errorf("%s: %q, want %q", tt.second, got, tt.want)
		}
		c.Conn.Close()
		waitClosed(t, session)
	}
}
