package restserver_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/restserver"
)

func TestAccept(t *testing.T) {
	for header, want := range map[string]string{
		"":                                  formatXML,
		" , ,":                              formatXML, // a list of no types
		"*/*":                               formatXML,
		"application/*":                     formatXML,
		"application/xml":                   formatXML,
		"application/json":                  formatJSON,
		"APPLICATION/JSON":                  formatJSON,
		"application/json;charset=utf-8":    formatJSON,
		"application/json, text/plain, */*": formatJSON, // axios, got
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": formatXML, // a browser
		"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2":            formatXML, // java.net.HttpURLConnection
		"application/json, application/xml":                               formatJSON,
		"application/xml, application/json":                               formatXML,
		"application/json;q=0.5, application/xml;q=0.4":                   formatJSON,
		"application/json;q=0.5, application/xml":                         formatXML,
		"application/json;q=0.5, */*;q=0.5":                               formatJSON,
		"application/json;q=0.4, */*;q=0.5":                               formatXML,
		"application/xml;q=0, */*":                                        formatJSON,
		"application/json;q=0, */*":                                       formatXML,
		"*/*, application/json":                                           formatJSON,
		"text/plain, application/json":                                    formatJSON,
		"text/plain":                                                      "",
		"text/html, text/*":                                               "",
		"text/xml":                                                        "",
		"image/*":                                                         "",
		"application/json;q=0":                                            "",
		"*/*;q=0":                                                         "",
		"nonsense":                                                        "",
	} {
		w := newWorld(t)
		got := w.send("GET", "/users", "", accept(header))
		status := 200
		if want == "" {
			status, want = 406, formatXML
			if !entityLike(got.Body.String(), "NotAcceptableException") {
				t.Errorf("%q: %s", header, got.Body)
			}
		}
		if got.Code != status || got.Header().Get("Content-Type") != want {
			t.Errorf("%q: %d %s, want %d %s", header, got.Code, got.Header().Get("Content-Type"), status, want)
		}
		// An error is negotiated like a success.
		if got := w.send("GET", "/users/nobody7", "", accept(header)); got.Header().Get("Content-Type") != want {
			t.Errorf("%q: error in %s, want %s", header, got.Header().Get("Content-Type"), want)
		}
		// Answers without a body suit everybody.
		w.want(201, "", "POST", "/users", `{"username":"mira","password":"x"}`, accept(header))
		w.want(200, "", "DELETE", "/users/mira", "", accept(header))
	}
}

// Where the caller states no preference and no success has a body, an error is in the format that the
// caller itself wrote.
func TestErrorFormat(t *testing.T) {
	for _, c := range []struct{ method, accept, contentType, body, want string }{
		{"POST", "", formatJSON, `{}`, formatJSON},
		{"POST", "*/*", formatJSON, `{}`, formatJSON},
		{"POST", "text/plain", formatJSON, `{}`, formatJSON},
		{"POST", "", formatXML, `<user/>`, formatXML},
		{"POST", formatXML, formatJSON, `{}`, formatXML},
		{"POST", formatJSON, formatXML, `<user/>`, formatJSON},
		{"POST", "application/json, text/plain, */*", formatXML, `<user/>`, formatJSON},
		{"GET", "*/*", formatJSON, ``, formatXML},
		{"GET", "", formatJSON, ``, formatXML},
	} {
		w := newWorld(t)
		path := "/users"
		if c.method == "GET" {
			path = "/users/nobody7"
		}
		got := w.send(c.method, path, c.body, accept(c.accept), header("Content-Type", c.contentType))
		if got.Code < 400 || got.Header().Get("Content-Type") != c.want {
			t.Errorf("%+v: %d %s", c, got.Code, got.Header().Get("Content-Type"))
		}
	}
}

func TestContentTypes(t *testing.T) {
	const user, userXML = `{"username":"mira","password":"x"}`, `<user><username>mira</username><password>x</password></user>`
	for _, c := range []struct {
		contentType, body string
		status            int
	}{
		{"application/json", user, 201},
		{"application/json; charset=utf-8", user, 201},
		{"application/json;charset=\"UTF-8\"", user, 201},
		{"Application/JSON", user, 201},
		{"application/json; odd=", user, 201},
		{"application/xml", userXML, 201},
		{"application/xml;charset=UTF-8", userXML, 201},
		{"text/xml", userXML, 415},
		{"text/plain", user, 415},
		{"application/x-www-form-urlencoded", "username=mira&password=x", 415},
		{"multipart/form-data; boundary=x", "--x--", 415},
		{"application/vnd.api+json", user, 415},
		{"json", user, 415},
		{"", user, 415},
		{"text/plain", "", 415},
		{"", "", 400},
		{"application/json", "", 400},
		{"application/xml", "", 400},
		{"application/xml", user, 400},
		{"application/json", userXML, 400},
	} {
		for _, chunked := range []bool{false, true} {
			w := newWorld(t)
			got := w.send("POST", "/users", c.body, header("Content-Type", c.contentType), func(r *httpRequest) {
				if chunked {
					r.ContentLength, r.Body = -1, io.NopCloser(strings.NewReader(c.body))
				}
			})
			if got.Code != c.status {
				t.Errorf("%q %s: %d %s", c.contentType, c.body, got.Code, got.Body)
			}
			if c.status == 415 && !entityLike(got.Body.String(), "NotSupportedException") || c.status == 400 && !entityLike(got.Body.String(), "IllegalArgumentException") {
				t.Errorf("%q: %s", c.contentType, got.Body)
			}
		}
	}
	w := newWorld(t)
	if got := w.send("POST", "/users", user, header("Content-Encoding", "gzip")); got.Code != 415 {
		t.Errorf("gzip: %d", got.Code)
	}
	// Where no entity is taken, body and type are never looked at.
	w.create("mira", "x")
	for _, kind := range []string{"", "text/plain", formatXML, formatJSON, "nonsense"} {
		for _, body := range []string{"", "[]", `"x"`, "<", "{"} {
			for method, path := range map[string]string{"GET": "/users", "POST": "/lockouts/mira", "DELETE": "/lockouts/mira"} {
				if got := w.send(method, path, body, header("Content-Type", kind)); got.Code >= 300 {
					t.Errorf("%s %s %q %q: %d", method, path, kind, body, got.Code)
				}
			}
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBodySize(t *testing.T) {
	w := newWorld(t)
	const most = 1 << 20
	const ofLists = 8 << 20
	fill := func(n int) string {
		const head, tail = `{"username":"mira","password":"x","comment":"`, `"}`
		return head + strings.Repeat("a", n-len(head)-len(tail)) + tail
	}
	w.want(201, "", "POST", "/users", fill(most+1))
	w.wantError(413, "PayloadTooLargeException", "the body is larger than 1048576 bytes", restserver.Base+"/users/mira", "PUT", "/users/mira", fill(most+1))
	w.want(200, "", "PUT", "/users/mira", fill(most))
	for _, path := range []string{"/users", "/chatrooms/bulk"} {
		w.wantError(413, "PayloadTooLargeException", "the body is larger than 8388608 bytes", restserver.Base+path, "POST", path, fill(ofLists+1))
	}
	got := w.send("POST", "/users", "", header("Content-Type", formatJSON), func(r *http.Request) { r.Body = io.NopCloser(failing{}) })
	if got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
		t.Errorf("a body that breaks off: %d %s", got.Code, got.Body)
	}
}
