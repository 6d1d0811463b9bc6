package xmpp

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// TestAttack11Proxies: behind a trusted proxy each client is throttled for itself, and known by its own address; from anybody else the word of a
// proxy counts for nothing.
func TestAttack11Proxies(t *testing.T) {
	h := newHost(t, "mira", "tobias")
	h.stop()
	h.proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.8/32")}
	h.start()
	h.set(directory.KeyFailedLoginsAddress, "0")
	h.set(directory.KeyFailedLoginDelay, "24h")
	for _, mode := range []stream.Mode{stream.StartTLS, stream.DirectTLS} {
		dial := func(from, header string) *raw {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			tcp, err := d.DialContext(t.Context(), "tcp", h.server.Addr(mode).String())
			if err != nil {
				t.Skipf("there is no second address here: %v", err)
			}
			t.Cleanup(func() { tcp.Close() })
			c := &raw{t: t, tcp: tcp, conn: tcp}
			c.send(header)
			return c
		}
		through := func(client string) *raw {
			c := dial("127.0.0.8", "PROXY TCP4 "+client+" 198.51.100.7 56324 5222\r\n")
			if mode == stream.StartTLS {
				c.send(streamHeader)
				c.expect("</stream:features>")
				c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
				c.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			}
			c.secure(h)
			c.send(streamHeader)
			c.expect("</stream:features>")
			return c
		}
		// The villain is another one in each mode.
		villain, good := "192.0.2.1", "192.0.2.2"
		if mode == stream.DirectTLS {
			villain, good = "192.0.2.3", "192.0.2.4"
		}
		guess := func(condition string) {
			c := through(villain)
			c.send(plain("mira", "guess"))
			c.fails("a guess", condition)
			c.tcp.Close()
		}
		// As in TestAttack24Lockout: the first wait is to be one that no busy machine sees the end of.
		h.set(directory.KeyFailedLogins, "1000")
		for range 12 {
			guess("not-authorized")
		}
		h.set(directory.KeyFailedLogins, "3")
		guess("not-authorized")
		guess("temporary-auth-failure")
		c := through(good)
		c.logIn("mira")
		if list := h.server.Sessions("mira"); len(list) != 1 || list[0].RemoteAddr != good+":56324" {
			t.Errorf("sessions: %+v", list)
		}
		c.send("</stream:stream>")
		c.rest()
		eventually(t, "the session is over", func() bool { return h.server.CountSessions() == 0 })

		liar := dial("127.0.0.66", "PROXY TCP4 192.0.2.77 198.51.100.7 56324 5222\r\n"+streamHeader)
		if got := liar.rest(); strings.Contains(got, "stream:features") {
			t.Errorf("a proxy that is not trusted was understood: %q", got)
		}
	}
}
