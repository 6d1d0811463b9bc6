package restserver_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/restserver"
)

// serve runs the handler as the program does.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := restserver.NewHTTPServer(ln.Addr().String(), h, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// exchange sends raw bytes and returns the whole answer.
func exchange(t *testing.T, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// On the wire: no body where there is none, no body for HEAD with the length of GET's, paths as they
// were sent.
func TestOnTheWire(t *testing.T) {
	w := newWorld(t)
	addr := serve(t, w.handler)
	const end = "Host: x\nConnection: close\nAuthorization: " + mainSecret + "\n"
	got := exchange(t, addr, "POST /plugins/restapi/v1/users HTTP/1.1\n"+end+"Content-Type: application/json\nContent-Length: 34\n\n"+`{"username":"mira","password":"x"}`)
	if !strings.HasPrefix(got, "HTTP/1.1 201 Created\r\n") || !strings.Contains(got, "\r\nContent-Length: 0\r\n") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("%q", got)
	}
	got = exchange(t, addr, "HEAD /plugins/restapi/v1/users/mira HTTP/1.1\n"+end+"\n")
	body := prolog + "<user><username>mira</username><name></name><properties/></user>"
	if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\n") || !strings.Contains(got, "\r\nContent-Type: application/xml\r\n") {
		t.Errorf("%q", got)
	}
	got = exchange(t, addr, "GET /plugins/restapi/v1/users/mira HTTP/1.1\n"+end+"\n")
	if !strings.HasSuffix(got, "\r\n\r\n"+body) {
		t.Errorf("%q", got)
	}
	// Bodies that nobody reads, also with GET; paths that a cleaning server would redirect.
	for request, status := range map[string]string{
		"GET /plugins/restapi/v1/users HTTP/1.1\n" + end + "Content-Length: 2\n\n[]":                   "200 OK",
		"POST /plugins/restapi/v1/lockouts/mira HTTP/1.1\n" + end + "Content-Type: x\n\n":              "201 Created",
		"GET /plugins/restapi/v1//users HTTP/1.1\n" + end + "\n":                                       "404 Not Found",
		"GET /plugins/restapi/v1/system/../users HTTP/1.1\n" + end + "\n":                              "404 Not Found",
		"GET /plugins/restapi/v1/system/properties/a%2Fb HTTP/1.1\n" + end + "\n":                      "404 Not Found",
		"GET http://chat.example/plugins/restapi/v1/users HTTP/1.1\n" + end + "\n":                     "200 OK",
		"OPTIONS /plugins/restapi/v1/users HTTP/1.1\nHost: x\nConnection: close\n\n":                   "200 OK",
		"GET /plugins/restapi/v1/system/liveness HTTP/1.0\n\n":                                         "200 OK",
		"PUT /plugins/restapi/v1/users/mira HTTP/1.1\n" + end + "Content-Type: application/json\n\n":   "200 OK",
		"GET /plugins/restapi/v1/system/liveness/../../users HTTP/1.1\nHost: x\nConnection: close\n\n": "401 Unauthorized",
	} {
		if got := exchange(t, addr, request); !strings.HasPrefix(got, "HTTP/1.1 "+status+"\r\n") && !strings.HasPrefix(got, "HTTP/1.0 "+status+"\r\n") {
			t.Errorf("%q: %q", request, got)
		}
	}
}

func TestHTTPServerBounds(t *testing.T) {
	s := restserver.NewHTTPServer("127.0.0.1:0", http.NotFoundHandler(), nil)
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("a bound is missing: %+v", s)
	}
	w := newWorld(t)
	got := exchange(t, serve(t, w.handler), "GET /plugins/restapi/v1/users HTTP/1.1\nHost: x\nX-Much: "+strings.Repeat("a", 60<<10)+"\n\n")
	if !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("%.100q", got)
	}
}

func TestOverTLS(t *testing.T) {
	w := newWorld(t)
	s := httptest.NewUnstartedServer(nil)
	s.Config = restserver.NewHTTPServer("", w.handler, nil)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	client := s.Client()
	client.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS13
	r, err := http.NewRequest(http.MethodGet, s.URL+users, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", mainSecret)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || string(body) != prolog+"<users/>" || resp.ProtoMajor != 2 {
		t.Errorf("%s %d %s", resp.Proto, resp.StatusCode, body)
	}
}
