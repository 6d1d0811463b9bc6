package stream

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// dial opens a connection from an address of the loopback network.
func dial(t *testing.T, from string, to net.Addr) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(t.Context(), "tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// What a trusted proxy says before the TLS of HTTP is where the caller is. Whoever is not trusted is not believed, and whoever is has to say it.
func TestBehindProxies(t *testing.T) {
	var logged strings.Builder
	served := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) }))
	served.Listener = BehindProxies(served.Listener, []netip.Prefix{netip.MustParsePrefix("127.0.0.8/31")}, slog.New(slog.NewTextHandler(&logged, nil)))
	served.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	served.StartTLS()
	t.Cleanup(served.Close)
	config := served.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "example.com"
	caller := func(from, header string) (string, error) {
		conn := dial(t, from, served.Listener.Addr())
		defer conn.Close()
		if _, err := io.WriteString(conn, header); err != nil {
			return "", err
		}
		client := tls.Client(conn, config)
		if err := client.HandshakeContext(t.Context()); err != nil {
			return "", err
		}
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"); err != nil {
			return "", err
		}
		answer, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		return string(b), err
	}
	const client = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 9091\r\n"
	for _, test := range []struct{ from, header, want string }{
		{"127.0.0.9", client, "192.0.2.1:56324"},
		{"127.0.0.8", v2(1, 0x21, six), "[2001:db8::1]:56324"},
		{"127.0.0.9", "PROXY UNKNOWN\r\n", "127.0.0.9:"},
		{"127.0.0.9", v2(0, 0, ""), "127.0.0.9:"},
		{"127.0.0.10", "", "127.0.0.10:"},
	} {
		if got, err := caller(test.from, test.header); err != nil || !strings.HasPrefix(got, test.want) {
			t.Errorf("from %s with %q, the caller is at %s (%v), want %s", test.from, test.header, got, err, test.want)
		}
	}
	for _, test := range []struct{ from, header string }{{"127.0.0.10", client}, {"127.0.0.9", ""}, {"127.0.0.9", "PROXY TCP4 192.0.2.1\r\n"}} {
		if got, err := caller(test.from, test.header); err == nil {
			t.Errorf("from %s with %q, the caller is at %s", test.from, test.header, got)
		}
	}
	served.Close() // nobody writes to the log any more
	if n := strings.Count(logged.String(), "did not begin with a PROXY header"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, logged.String())
	}
}

// A proxy that says nothing holds up nobody else.
func TestBehindASilentProxy(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := BehindProxies(inner, []netip.Prefix{netip.MustParsePrefix("127.0.0.8/31")}, slog.New(slog.DiscardHandler))
	defer ln.Close()
	dial(t, "127.0.0.8", ln.Addr())
	dial(t, "127.0.0.10", ln.Addr())
	for range 2 {
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if BehindProxies(inner, nil, nil) != inner {
		t.Error("without a proxy there is something before the socket")
	}
}
