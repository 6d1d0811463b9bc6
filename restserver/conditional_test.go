package restserver_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// An entity has an ETag, each representation one of its own; a change that says what it was made for is made only while that still holds.
func TestIfMatch(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	w.set("a", "1")
	w.create("ada", "x")
	w.send("POST", "/users/ada/roster", `{"jid":"tobias@chat.example","nickname":"Tobi"}`)
	w.send("POST", "/chatrooms", `{"roomName":"bulk"}`)
	w.send("POST", "/groups", `{"name":"Ops"}`)
	w.send("POST", "/chatrooms", `{"roomName":"atrium","persistent":true,"creationDate":1,"modificationDate":1}`)
	for _, c := range []struct{ path, change string }{
		{"/groups/Ops", `{"name":"Ops","description":"%s"}`},
		{"/chatrooms/atrium", `{"roomName":"atrium","persistent":true,"creationDate":1,"modificationDate":1,"description":"%s"}`},
		{"/users/mira", `{"username":"mira","name":"%s"}`},
		{"/users/ada/roster/tobias@chat.example", `{"nickname":"%s","subscriptionType":3}`},
		{"/system/properties/a", `{"key":"a","value":"%s"}`},
		{"/chatrooms/bulk", `{"roomName":"bulk","naturalName":"%s"}`},
	} {
		tag := func(changes ...request) string {
			t.Helper()
			got := w.send("GET", c.path, "", changes...).Header().Get("ETag")
			if len(got) < 10 || got[0] != '"' || got[len(got)-1] != '"' {
				t.Fatalf("%s: ETag %q", c.path, got)
			}
			return got
		}
		change := func(value string) string { return fmt.Sprintf(c.change, value) }
		xml, json := tag(), tag(accept(formatJSON))
		if xml == json || tag() != xml || w.send("HEAD", c.path, "").Header().Get("ETag") != xml {
			t.Errorf("%s: %s %s", c.path, xml, json)
		}
		ifMatch := func(value string) request { return header("If-Match", value) }
		// What was seen in either format will do, and so does a list, and anything.
		w.want(200, "", "PUT", c.path, change("b"), ifMatch(json))
		if tag() == xml {
			t.Errorf("%s: another state, the same ETag", c.path)
		}
		w.wantError(412, "PreconditionFailedException", "this is not as If-Match says: get it again", restserver.Base+c.path, "PUT", c.path, change("c"), ifMatch(xml))
		w.want(200, "", "PUT", c.path, change("d"), ifMatch(`"other", `+tag()))
		w.want(200, "", "PUT", c.path, change("e"), ifMatch("*"))
		w.want(200, "", "PUT", c.path, change("f"))
		w.wantError(412, "PreconditionFailedException", "this is not as If-Match says: get it again", restserver.Base+c.path, "DELETE", c.path, "", ifMatch(json))
		if body := w.send("GET", c.path, "").Body.String(); !strings.Contains(body, "f") {
			t.Errorf("%s: %s", c.path, body)
		}

		// A reader that has it already isn't sent it again.
		got := w.send("GET", c.path, "", header("If-None-Match", tag()))
		if got.Code != 304 || got.Body.Len() != 0 || got.Header().Get("ETag") != tag() || got.Header().Get("Content-Type") != "" {
			t.Errorf("%s: %d %v %s", c.path, got.Code, got.Header(), got.Body)
		}
		if got := w.send("GET", c.path, "", header("If-None-Match", xml)); got.Code != 200 {
			t.Errorf("%s: %d", c.path, got.Code)
		}
		w.want(200, "", "DELETE", c.path, "", ifMatch(tag()))
		// What isn't there is in no state.
		for _, method := range []string{"PUT", "DELETE"} {
			if got := w.send(method, c.path, change("g"), ifMatch("*")); got.Code != 412 {
				t.Errorf("%s %s: %d", method, c.path, got.Code)
			}
		}
	}
	// Where nothing has an ETag, nothing can match one.
	if got := w.send("GET", "/users", "").Header().Get("ETag"); got != "" {
		t.Errorf("ETag of a list: %s", got)
	}
}

// slow lets everybody else go first before it changes anything.
type slow struct{ restserver.Proposer }

func (s slow) yield() {
	for range 1000 {
		runtime.Gosched()
	}
}

func (s slow) UpdateUser(ctx context.Context, by directory.Actor, username string, u directory.UserUpdate) error {
	s.yield()
	return s.Proposer.UpdateUser(ctx, by, username, u)
}

func (s slow) UpdateRoom(ctx context.Context, by directory.Actor, identity string, u directory.RoomUpdate) error {
	s.yield()
	return s.Proposer.UpdateRoom(ctx, by, identity, u)
}

// Of changes that depend on the same state, one is made, however its path is written.
func TestOnlyOneMatches(t *testing.T) {
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Proposer = slow{d.Proposer} })
	w.create("mira", "x")
	w.set("a b", "1")
	w.group("Ops")
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"straße","persistent":true}`)
	w.want(201, "", "POST", "/users/mira/roster", `{"jid":"tobias@chat.example"}`)
	for _, c := range []struct {
		paths []string
		body  string
	}{
		{[]string{"/users/mira", "/users/MIRA", "/users/mira%40chat.example", "/users/%6Dira@CHAT.example", "/users/\uff4dira"}, `{"name":"%d"}`},
		{[]string{"/users/mira/roster/tobias@chat.example", "/users/Mira@chat.example/roster/tobias", "/users/mira/roster/Tobias%40chat.example%2Fphone"}, `{"nickname":"%d"}`},
		{[]string{"/system/properties/a%20b", "/system/properties/%61%20b"}, `{"key":"a b","value":"v%d"}`},
		{[]string{"/groups/Ops", "/groups/%4Fps"}, `{"name":"Ops","description":"%d"}`},
		{[]string{"/chatrooms/straße", "/chatrooms/STRAßE?servicename=conference", "/chatrooms/stra%C3%9Fe?servicename=Conference"},
			`{"roomName":"straße","persistent":true,"description":"%d"}`},
	} {
		tag := w.send("GET", c.paths[0], "").Header().Get("ETag")
		var mu sync.Mutex
		var wg sync.WaitGroup
		codes := map[int]int{}
		for i := range 32 {
			wg.Go(func() {
				got := w.send("PUT", c.paths[i%len(c.paths)], fmt.Sprintf(c.body, i), header("If-Match", tag))
				mu.Lock()
				codes[got.Code]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if tag == "" || codes[200] != 1 || codes[412] != 31 {
			t.Errorf("%s: %v", c.paths[0], codes)
		}
	}
}

func TestGzip(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	plain := func(r *httptest.ResponseRecorder) string {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const large, small = "/system/properties", "/users/mira"
	want := w.send("GET", large, "").Body.String()
	for header1, compressed := range map[string]bool{
		"gzip": true, "gzip, deflate, br": true, "*": true, "GZIP;q=0.5": true, "br, *;q=0.1": true,
		"": false, "identity": false, "gzip;q=0": false, "*, gzip;q=0": false, "br": false, "gzip;q=x": false,
	} {
		got := w.send("GET", large, "", header("Accept-Encoding", header1))
		if (got.Header().Get("Content-Encoding") == "gzip") != compressed || got.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", header1, got.Header())
			continue
		}
		if n := fmt.Sprint(got.Body.Len()); got.Header().Get("Content-Length") != n {
			t.Errorf("%q: Content-Length %s of %s", header1, got.Header().Get("Content-Length"), n)
		}
		head := w.send("HEAD", large, "", header("Accept-Encoding", header1))
		if head.Header().Get("Content-Length") != got.Header().Get("Content-Length") || head.Body.Len() > 0 {
			t.Errorf("%q: HEAD %v", header1, head.Header())
		}
		if compressed && plain(got) != want || !compressed && got.Body.String() != want {
			t.Errorf("%q: another body", header1)
		}
	}
	if got := w.send("GET", small, "", header("Accept-Encoding", "gzip")); got.Header().Get("Content-Encoding") != "" || got.Header().Get("Vary") != "" {
		t.Errorf("a small body: %v", got.Header())
	}
	// The compressed representation has an ETag of its own, which a change may name.
	w.send("PUT", small, `{"name":"`+strings.Repeat("a", 900)+`","properties":[{"key":"`+strings.Repeat("b", 200)+`","value":""}]}`)
	got, other := w.send("GET", small, "", header("Accept-Encoding", "gzip")), w.send("GET", small, "")
	if got.Header().Get("Content-Encoding") != "gzip" || got.Header().Get("ETag") == other.Header().Get("ETag") {
		t.Errorf("%v %v", got.Header(), other.Header())
	}
	w.want(200, "", "PUT", small, `{"name":"x"}`, header("If-Match", got.Header().Get("ETag")))
}

// Listed origins get what they need, and others nothing; without a list everything is as the original has it.
func TestOrigins(t *testing.T) {
	w := newWorld(t)
	const property = "plugin.restapi.corsOrigins"
	wantCORS(t, w.send("GET", "/users", "", header("Origin", "https://app.example")).Header())
	w.set(property, "https://app.example, http://localhost:8080")
	for origin, listed := range map[string]bool{
		"https://app.example": true, "http://localhost:8080": true, "": false, "https://app.example.evil.example": false, "http://app.example": false, "null": false,
	} {
		for _, method := range []string{"GET", "OPTIONS", "PATCH"} {
			h := w.send(method, "/users", "", header("Origin", origin)).Header()
			if h.Get("Vary") != "Origin" {
				t.Errorf("%s from %q: %v", method, origin, h)
			}
			names := slices.Collect(maps.Keys(h))
			some := slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "Access-Control-") })
			if some != listed || listed && h.Get("Access-Control-Allow-Origin") != origin {
				t.Errorf("%s from %q: %v", method, origin, h)
			}
			if listed && (h.Get("Access-Control-Expose-Headers") != "ETag, Retry-After, X-Total-Count" || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "if-match")) {
				t.Errorf("%s from %q: %v", method, origin, h)
			}
		}
	}
	w.set(property, "")
	if h := w.send("GET", "/users", "", header("Origin", "https://app.example")).Header(); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Vary") != "" {
		t.Errorf("%v", h)
	}
	for _, bad := range []string{"app.example", "https://app.example/", "https://App.example", "ftp://app.example", "null", "https://*.example"} {
		if got := w.send("POST", "/system/properties", `{"key":"`+property+`","value":"`+bad+`"}`); got.Code != 400 {
			t.Errorf("%s: %d", bad, got.Code)
		}
	}
}

// HEAD is answered wherever GET is, OPTIONS everywhere and by anybody, with the methods that there are.
func TestHeadAndOptionsOfEveryRoute(t *testing.T) {
	d := describe(t, newWorld(t))
	w := newWorld(t)
	w.create("mira", "x")
	for path, methods := range d.Paths {
		at := func(r *httpRequest) { r.URL.Path, r.URL.RawPath = restserverPath(path), "" }
		var allow []string
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
			documented := method
			if method == "HEAD" {
				documented = "GET"
			}
			_, ok := methods[strings.ToLower(documented)]
			for other, more := range d.Paths { // "bulk" is the name of a room, too
				_, there := more[strings.ToLower(documented)]
				ok = ok || there && other != path && fits(other, path)
			}
			if ok {
				allow = append(allow, method)
			}
		}
		allow = append(allow, "OPTIONS")
		options := w.send("OPTIONS", "", "", at, authorization(""), accept("text/plain"), header("Origin", "https://app.example"))
		if got := options.Header().Get("Allow"); options.Code != 200 || options.Body.Len() > 0 || options.Header().Get("Content-Length") != "0" ||
			!slices.Equal(slices.Sorted(slices.Values(strings.Split(got, ", "))), slices.Sorted(slices.Values(allow))) {
			t.Errorf("OPTIONS %s: %d %v, want %v", path, options.Code, options.Header(), allow)
		}
		wantCORS(t, options.Header())
		for _, format := range []string{"", formatXML, formatJSON, "text/plain"} {
			get, head := w.send("GET", "", "", at, accept(format)), w.send("HEAD", "", "", at, accept(format))
			if head.Code != get.Code || head.Body.Len() > 0 || (get.Code == 405) == slices.Contains(allow, "GET") {
				t.Errorf("HEAD %s: %d with %d bytes, GET: %d", path, head.Code, head.Body.Len(), get.Code)
			}
			for name := range get.Header() {
				// GET's answer says in its text which method it was.
				if (name != "Content-Length" || get.Code != 405) && get.Header().Get(name) != head.Header().Get(name) {
					t.Errorf("%s: %s is %q for GET, %q for HEAD", path, name, get.Header().Get(name), head.Header().Get(name))
				}
			}
		}
	}
}

// fits says whether a path without parameters may be another one's.
func fits(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	return !strings.Contains(path, "{") && slices.EqualFunc(want, have, func(w, h string) bool { return w == h || strings.HasPrefix(w, "{") })
}

// restserverPath fills the parameters of a documented path.
func restserverPath(path string) string {
	if rest, ok := strings.CutPrefix(path, "/restapi/v1"); ok {
		return restserver.Base + fill(rest)
	}
	return "/plugins" + fill(path)
}
