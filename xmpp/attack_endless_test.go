package xmpp

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// A gigabyte is what the attacks here would like to send. Of that the server takes its limit, what it throws away unread while it says good-bye,
// and what both ends' network buffers hold.
const (
	gigabyte  = 1 << 30
	mostTaken = 16 << 20
)

// pour writes a start and then the same bytes over and over, until the server has had enough, and says how many were taken.
func (c *raw) pour(start, more string, most int) (taken int) {
	chunk := strings.Repeat(more, 1+8192/len(more))
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	n, err := io.WriteString(c.conn, start)
	for taken = n; err == nil && taken < most; taken += n {
		n, err = io.WriteString(c.conn, chunk)
	}
	return taken
}

// endless is input that never comes to its end: a beginning, and what follows it over and over. It ends in the stream error policy-violation where
// no other is named.
type endless struct{ name, start, more, condition string }

// endlessStanzas are about a stream that is open, endlessHeaders about its header.
func endlessStanzas() []endless {
	return []endless{
		{"attribute", "<message to='", "a", ""},
		{"tag name", "<m", "a", ""},
		{"text", "<message><body>", "a", ""},
		{"entities", "<message><body>", "&amp;", ""},
		{"CDATA", "<message><![CDATA[", "a", ""},
		{"white space between stanzas", "", " ", ""},
		{"white space in a stanza", "<message>", "\n", ""},
		{"comment", "<!--", "a", "restricted-xml"},
		{"stanza of children", "<message>", "<a/>", ""},
		{"stanza of text and children", "<message>", "<body>Hello, hello, hello, hello, hello, hello, hello, hello</body>\n", ""},
		{"stanza of levels", "<message>", "<a>", ""},
	}
}

func endlessHeaders() []endless {
	return []endless{
		{"header's attribute", "<stream:stream xmlns='jabber:client' to='", "a", ""},
		{"header's name", "<stream:stream", "m", ""},
		{"header's declarations", "<stream:stream ", "xmlns:a='b' ", "not-well-formed"}, // the same one, 800 times
		{"white space first", "", " ", ""},
		{"XML declaration", "<?xml version='1.0'", " ", ""},
		{"comment first", "<!--", "a", "restricted-xml"},
	}
}

// TestAttack04Endless: what has no end is refused at the limit, without another byte.
func TestAttack04Endless(t *testing.T) {
	h := generous(t)
	for _, e := range entrances() {
		t.Run(e.name, func(t *testing.T) {
			limit := h.dir.Int(directory.KeyStanzaBytesBeforeLogin)
			if e.auth {
				limit = h.dir.Int(directory.KeyStanzaBytes)
			}
			try := func(s endless, open func(*testing.T, *host) *raw) {
				if s.condition == "" {
					s.condition = "policy-violation"
				}
				c := open(t, h)
				c.send(s.start + strings.Repeat(s.more, 1+(limit+1024)/len(s.more))[:limit+1024])
				c.dies(s.name, s.condition)
				c = open(t, h)
				if n := c.pour(s.start, s.more, gigabyte); n >= mostTaken {
					t.Errorf("%s: %d bytes were taken", s.name, n)
				}
				c.tcp.Close()
			}
			leaves(t, 8<<20, func() {
				for _, s := range endlessStanzas() {
					try(s, e.open)
				}
				if e.auth {
					return
				}
				for _, s := range endlessHeaders() {
					try(s, e.connect)
				}
			})
		})
	}
}

// TestAttack04Limit: the limit is exact. One byte less than announced is fine, one more is not (XEP-0478).
func TestAttack04Limit(t *testing.T) {
	h := generous(t)
	for size, condition := range map[int]string{16384: "", 16385: "policy-violation"} {
		c := entrance{mode: stream.DirectTLS, tls: true}.open(t, h)
		c.send(authHead + strings.Repeat("A", size-len(authHead)-len("</auth>")) + "</auth>")
		if condition != "" {
			c.dies("one byte too many", condition)
		} else {
			c.expect("<malformed-request/>")
		}
	}
	mira := h.user(t, "mira")
	frame := "<message to='mira@chat.example/main' type='headline' id='big'><body></body></message>"
	mira.send(strings.Replace(frame, "></body>", ">"+strings.Repeat("x", 262144-len(frame))+"</body>", 1))
	mira.expect("x</body>")
	mira.send(strings.Replace(frame, "></body>", ">"+strings.Repeat("x", 262145-len(frame))+"</body>", 1))
	mira.dies("one byte too many", "policy-violation")
}

// million is an attack of a million parts, each of which may have its number in place of @. It is made as it is sent, since most of it never is.
type million struct{ start, part, end string }

// pieces are what is sent, some thousand bytes at a time.
func (m million) pieces(send func(string) bool) {
	var b strings.Builder
	b.WriteString(m.start)
	for i := range 1_000_000 {
		b.WriteString(strings.ReplaceAll(m.part, "@", strconv.Itoa(i)))
		if b.Len() >= 8192 {
			if !send(b.String()) {
				return
			}
			b.Reset()
		}
	}
	b.WriteString(m.end)
	send(b.String())
}

// TestAttack05Million: a stanza, or a header, of a million levels, attributes, declarations or children. The first few of them are read.
func TestAttack05Million(t *testing.T) {
	h := generous(t)
	stanzas := map[string]million{
		"levels":                   {"", "<a>", ""},
		"levels with declarations": {"", "<a xmlns:n@='urn:@'>", ""},
		"attributes":               {"<message", " a@=''", "/>"},
		"declarations":             {"<message", " xmlns:n@='urn:@'", "/>"},
		"default declarations":     {"", "<a xmlns='urn:@'>", ""},
		"children":                 {"<message>", "<a/>", "</message>"},
		"empty CDATA sections":     {"<message>", "<![CDATA[]]>", "</message>"},
		"references":               {"<message><body>", "&#65;", "</body></message>"},
	}
	headers := map[string]million{
		"header's attributes":   {"<stream:stream", " a@=''", ">"},
		"header's declarations": {"<stream:stream", " xmlns:n@='urn:@'", ">"},
	}
	for _, e := range entrances() {
		t.Run(e.name, func(t *testing.T) {
			leaves(t, 8<<20, func() {
				for name, s := range stanzas {
					e.open(t, h).overruns(h, name, s)
				}
				if e.auth {
					return
				}
				for name, s := range headers {
					e.connect(t, h).overruns(h, name, s)
				}
			})
		})
	}
}

// overruns sends more than the server reads, and expects that it is a violation of policy. The stream error that says so may be lost to the client,
// whose bytes arrive at a connection that is closed; the server's count of violations is not.
func (c *raw) overruns(h *host, what string, attack million) {
	c.t.Helper()
	violations := h.server.meter.Refusals(meter.StanzaShape)
	before := violations.Value()
	c.conn.SetDeadline(time.Now().Add(patience))
	if c.read != "" {
		c.t.Errorf("%s: %q came before", what, c.read)
	}
	taken := make(chan int, 1)
	go func() {
		n := 0
		for piece := range attack.pieces {
			m, err := io.WriteString(c.conn, piece)
			n += m
			if err != nil {
				break
			}
		}
		taken <- n
	}()
	got, err := io.ReadAll(c.conn)
	c.tcp.Close()
	n := <-taken
	if len(got) > 0 && !strings.Contains(string(got), "<policy-violation ") || len(got) == 0 && (err == nil || errors.Is(err, io.EOF)) {
		c.t.Errorf("%s: %q, %v", what, got, err)
	}
	eventually(c.t, "the violation is counted: "+what, func() bool { return violations.Value() == before+1 })
	if n >= mostTaken {
		c.t.Errorf("%s: %d bytes were taken", what, n)
	}
}

func TestAttack05Counts(t *testing.T) {
	h := generous(t)
	many := func(n int, f string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(f, "#", strconv.Itoa(i)))
		}
		return b.String()
	}
	leaves(t, 4<<20, func() {
		everywhere(t, h, map[string]string{
			many(2000, "<a>"):                                         "policy-violation",
			"<message " + many(1000, "a#='' ") + "/>":                 "policy-violation",
			"<message " + many(500, "xmlns:n#='urn:#' ") + "/>":       "policy-violation",
			many(40, "<a xmlns:n#='urn:#'>"):                          "policy-violation",
			"<message>" + many(5000, "<a/>") + "</message>":           "policy-violation",
			"<message to='a' to='b'/>":                                "not-well-formed",
			"<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='' q:b=''/>":      "not-well-formed",
			"<a xmlns:p='urn:x' xmlns:q='urn:&#120;' p:b='' q:b=''/>": "not-well-formed",
		})
	})
	// The depth is a property; it holds for whoever logs in from then on.
	h.set(directory.KeyStanzaDepth, "8")
	c := h.user(t, "mira")
	deep := func(n int) string {
		return "<iq type='get' id='deep' to='" + domain + "'>" + strings.Repeat("<a>", n-1) + strings.Repeat("</a>", n-1) + "</iq>"
	}
	c.send(deep(8))
	c.expect("id='deep'")
	c.send(deep(9))
	c.dies("nine levels", "policy-violation")
}
