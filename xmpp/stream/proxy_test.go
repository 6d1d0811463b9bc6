package stream

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// v2 makes a header of version 2 of the PROXY protocol.
func v2(command, family byte, rest string) string {
	b := append([]byte(proxyV2), 0x20|command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(rest)))) + rest
}

const (
	four = "\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x14\x66"
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x14\x66"
)

// TestProxyHeader: the headers of both versions (§2.1, §2.2), read to their last byte and not beyond it. "-" stands for the connection's own address.
func TestProxyHeader(t *testing.T) {
	for header, want := range map[string]string{
		"PROXY TCP4 192.0.2.1 198.51.100.7 56324 5222\r\n":           "192.0.2.1:56324",
		"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": "255.255.255.255:65535",
		"PROXY TCP6 2001:db8::1 2001:db8::2 56324 5222\r\n":          "[2001:db8::1]:56324",
		"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.7 1 2\r\n":    "192.0.2.1:1",
		"PROXY UNKNOWN\r\n": "-",
		"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": "-",
		"PROXY UNKNOWN " + strings.Repeat("a", maxProxyV1-16) + "\r\n":  "-",
		v2(1, 0x11, four):                           "192.0.2.1:56324",
		v2(1, 0x21, six):                            "[2001:db8::1]:56324",
		v2(1, 0x11, four+"\x04\x00\x01x"):           "192.0.2.1:56324",
		v2(0, 0x11, four):                           "-",
		v2(0, 0x00, ""):                             "-",
		v2(1, 0x00, ""):                             "-",
		v2(1, 0x31, strings.Repeat("a", 216)):       "-", // a socket of a file system
		v2(1, 0x11, four+strings.Repeat("a", 4084)): "192.0.2.1:56324",
		"": "end",
		"PROXY TCP4 192.0.2.1 198.51.100.7 56324": "end",
		v2(1, 0x11, four)[:20]:                    "end",
		"PROXY":                                   "malformed",
		"<?xml version='1.0'?>":                   "malformed",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaa":              "malformed",
		"PROXY TCP4 192.0.2.1 198.51.100.7 56324 5222\n":               "malformed",
		"PROXY TCP4 192.0.2.1 198.51.100.7 56324 65536\r\n":            "malformed",
		"PROXY TCP4 192.0.2.1 198.51.100.7 -1 5222\r\n":                "malformed",
		"PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n":                  "malformed",
		"PROXY TCP4  192.0.2.1 198.51.100.7 56324 5222\r\n":            "malformed",
		"PROXY TCP4 2001:db8::1 2001:db8::2 56324 5222\r\n":            "malformed",
		"PROXY TCP6 192.0.2.1 198.51.100.7 56324 5222\r\n":             "malformed",
		"PROXY TCP6 fe80::1%eth0 2001:db8::2 56324 5222\r\n":           "malformed",
		"PROXY UDP4 192.0.2.1 198.51.100.7 56324 5222\r\n":             "malformed",
		"PROXY UNKNOWN " + strings.Repeat("a", maxProxyV1-15) + "\r\n": "malformed",
		"PROXY " + strings.Repeat("a", 1000):                           "malformed",
		v2(1, 0x11, four[:11]):                                         "malformed",
		v2(1, 0x21, four):                                              "malformed",
		v2(2, 0x11, four):                                              "malformed",
		v2(1, 0x11, four+strings.Repeat("a", 4085)):                    "malformed",
		strings.Replace(v2(1, 0x11, four), "\x21", "\x11", 1):          "malformed",
	} {
		const after = "<stream:stream>"
		whole := header + after
		if want == "end" {
			whole = header
		}
		r := strings.NewReader(whole)
		addr, err := readProxyHeader(iotest.OneByteReader(r))
		got := addr.String()
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			got = "end"
		case err == errProxyHeader:
			got = "malformed"
		case err == nil && !addr.IsValid():
			got = "-"
		}
		if got != want {
			t.Errorf("%q: %s, %v; want %s", header, got, err, want)
		}
		if rest, _ := io.ReadAll(r); err == nil && string(rest) != after {
			t.Errorf("%q: %q is left", header, rest)
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add("PROXY TCP4 192.0.2.1 198.51.100.7 56324 5222\r\n")
	f.Add("PROXY UNKNOWN\r\n<stream>")
	f.Add(v2(1, 0x11, four))
	f.Add(v2(1, 0x21, six+"\x04\x00\x01x"))
	f.Fuzz(func(t *testing.T, s string) {
		r := strings.NewReader(s)
		addr, err := readProxyHeader(r)
		if err != nil && addr.IsValid() || addr.IsValid() && addr.Addr().Zone() != "" {
			t.Errorf("%q: %v, %v", s, addr, err)
		}
		if n := len(s) - r.Len(); n > maxProxyV2+16 || n > maxProxyV1 && !strings.HasPrefix(s, proxyV2) {
			t.Errorf("%q: %d bytes were read", s, n)
		}
	})
}

// dialFrom opens a connection from an address of the loopback network and says something on it at once.
func (s *server) dialFrom(t *testing.T, from, first string) *client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(context.Background(), "tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, Conn: conn, s: s}
	c.send(first)
	return c
}

func proxies(networks ...string) func(*Config) {
	return func(c *Config) {
		for _, n := range networks {
			c.ProxiesFrom = append(c.ProxiesFrom, netip.MustParsePrefix(n))
		}
	}
}

// TestProxied: what a trusted proxy says is where the client is, for all that looks at that.
func TestProxied(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		m := meter.New()
		s := newServer(t, mode, proxies("127.0.0.8/31", "::1/128"), limit(func(l *Limits) { l.MaxUnauthenticatedAddress = 1 }), func(c *Config) { c.Meter = m })
		for header, want := range map[string]string{
			"PROXY TCP4 192.0.2.1 198.51.100.7 56324 5222\r\n": "192.0.2.1:56324",
			v2(1, 0x21, six):    "[2001:db8::1]:56324",
			"PROXY UNKNOWN\r\n": "127.0.0.9:",
			v2(0, 0, ""):        "127.0.0.9:",
		} {
			c := s.dialFrom(t, "127.0.0.9", header)
			if mode == DirectTLS {
				c.tls()
			}
			c.bind(username, "x")
			session := s.backend.session(t, username+"@example.org/x")
			if got := session.c.Info().RemoteAddr; !strings.HasPrefix(got, want) {
				t.Errorf("%q: the client is at %s, want %s", header, got, want)
			}
			c.send("</stream:stream>")
			c.expect("</stream:stream>")
			if rest := c.rest(); rest != "" {
				t.Errorf("%q after the end", rest)
			}
			waitClosed(t, session)
		}

		// Places are counted by client, and come back.
		one := "PROXY TCP4 192.0.2.1 198.51.100.7 1 5222\r\n"
		first := s.dialFrom(t, "127.0.0.9", one)
		eventually(t, "the first is counted", func() bool { _, ok := s.cfg.Gate.held()["192.0.2.1"]; return ok })
		second := s.dialFrom(t, "127.0.0.8", one)
		got := second.rest()
		second.Conn.Close()
		if mode == StartTLS && !strings.Contains(got, "<resource-constraint ") || mode == DirectTLS && got != "" {
			t.Errorf("the second: %q", got)
		}
		other := s.dialFrom(t, "127.0.0.9", "PROXY TCP4 192.0.2.2 198.51.100.7 1 5222\r\n")
		if mode == DirectTLS {
			other.tls()
		}
		other.bind("romeo", "x")
		if n := m.Refusals(meter.ConnectionsOfAddress).Value(); n != 1 {
			t.Errorf("%d refusals", n)
		}
		first.Conn.Close()
		eventually(t, "the place is free", func() bool { return s.cfg.Gate.Pending() == 0 && len(s.cfg.Gate.held()) == 0 })
	})
}

func (g *Gate) held() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[string]int{}
	for addr, n := range g.from {
		all[addr.String()] = n
	}
	return all
}

// TestProxyHeaderIsDemanded: who is trusted has to say where its client is, or else the client could.
func TestProxyHeaderIsDemanded(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		m := meter.New()
		s := newServer(t, mode, proxies("127.0.0.8/31"), func(c *Config) { c.Meter = m })
		for _, first := range []string{header, "PROXY TCP4 192.0.2.1\r\n" + header, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00"} {
			if got := s.dialFrom(t, "127.0.0.8", first).rest(); got != "" {
				t.Errorf("%q is answered by %q", first, got)
			}
		}
		if n := m.Refusals(meter.ProxyHeader).Value(); n != 3 {
			t.Errorf("%d refusals", n)
		}
		// A balancer that looks whether anybody is there.
		s.dialFrom(t, "127.0.0.8", "").Conn.Close()
		eventually(t, "all are gone", func() bool { return s.Connections() == 0 && s.cfg.Gate.Pending() == 0 })
		if n := m.Refusals(meter.ProxyHeader).Value(); n != 3 {
			t.Errorf("%d refusals", n)
		}
	})
}

// TestProxyHeaderOfStrangers: whoever is not trusted is not believed, and neither is anybody while no proxy is.
func TestProxyHeaderOfStrangers(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		for name, change := range map[string]func(*Config){"off": proxies(), "others are trusted": proxies("127.0.0.8/31", "10.0.0.0/8")} {
			t.Run(name, func(t *testing.T) {
				s := newServer(t, mode, change)
				for header, condition := range map[string]string{
					"PROXY TCP4 192.0.2.1 198.51.100.7 56324 5222\r\n": "not-well-formed", v2(1, 0x11, four): "unsupported-encoding",
				} {
					c := s.dialFrom(t, "127.0.0.10", header)
					if mode == StartTLS {
						c.dies(condition)
					} else if got := c.rest(); got != "" && got[0] != 21 { // a TLS alert at most
						t.Errorf("%q", got)
					}
				}
				s.connect(t).bind(username, "x") // without a header, as ever
			})
		}
	})
}

// TestProxyThatIsSilent: the time to log in counts from the connection, not from the header.
func TestProxyThatIsSilent(t *testing.T) {
	both(t, func(t *testing.T, mode Mode) {
		var limits atomic.Pointer[Limits]
		short := DefaultLimits()
		short.NegotiationTimeout = 100 * time.Millisecond
		limits.Store(short)
		s := newServer(t, mode, proxies("127.0.0.8/31"), func(c *Config) { c.Limits = limits.Load })
		for _, first := range []string{"", "PROXY", "PROXY TCP4 ", v2(1, 0x11, four)[:14]} {
			if got := s.dialFrom(t, "127.0.0.8", first).rest(); got != "" {
				t.Errorf("%q is answered by %q", first, got)
			}
		}
		limits.Store(patientLimits())
		waiting := s.dialFrom(t, "127.0.0.8", "PROXY ")
		eventually(t, "it is connected", func() bool { return s.Connections() == 1 })
		s.stop()
		waiting.rest()
	})
}
