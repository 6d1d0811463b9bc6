package restserver_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/restserver"
)

type httpRequest = http.Request

// methods of each path, as the reference's tables have them, with HEAD wherever GET is.
var methods = map[string]string{
	"/users":                                       "GET, HEAD, POST, OPTIONS",
	"/users/mira":                                  "GET, HEAD, PUT, DELETE, OPTIONS",
	"/users/mira/groups":                           "GET, HEAD, POST, DELETE, OPTIONS",
	"/users/mira/groups/Ops":                       "POST, DELETE, OPTIONS",
	"/groups":                                      "GET, HEAD, POST, OPTIONS",
	"/groups/Ops":                                  "GET, HEAD, PUT, DELETE, OPTIONS",
	"/userservice":                                 "GET, HEAD, POST, OPTIONS",
	"/users/mira/roster":                           "GET, HEAD, POST, PUT, OPTIONS",
	"/users/mira/roster/a@b":                       "GET, HEAD, PUT, DELETE, OPTIONS",
	"/chatrooms":                                   "GET, HEAD, POST, OPTIONS",
	"/chatrooms/bulk":                              "POST, GET, HEAD, PUT, DELETE, OPTIONS",
	"/chatrooms/atrium":                            "GET, HEAD, PUT, DELETE, OPTIONS",
	"/chatrooms/atrium/participants":               "GET, HEAD, OPTIONS",
	"/chatrooms/atrium/occupants":                  "GET, HEAD, OPTIONS",
	"/chatrooms/atrium/chathistory":                "GET, HEAD, OPTIONS",
	"/chatrooms/atrium/invite":                     "POST, OPTIONS",
	"/chatrooms/atrium/invite/mira":                "POST, OPTIONS",
	"/chatrooms/atrium/owners":                     "GET, HEAD, PUT, POST, OPTIONS",
	"/chatrooms/atrium/admins":                     "GET, HEAD, PUT, POST, OPTIONS",
	"/chatrooms/atrium/members":                    "GET, HEAD, PUT, POST, OPTIONS",
	"/chatrooms/atrium/outcasts":                   "GET, HEAD, PUT, POST, OPTIONS",
	"/chatrooms/atrium/members/mira":               "POST, DELETE, OPTIONS",
	"/chatrooms/atrium/owners/group/Night%20Shift": "POST, DELETE, OPTIONS",
	"/chatservices":                                "GET, HEAD, POST, OPTIONS",
	"/messages/rooms/atrium":                       "POST, OPTIONS",
	"/users/mira/vcard":                            "GET, HEAD, PUT, DELETE, OPTIONS",
	"/messages/users":                              "POST, OPTIONS",
	"/messages/users/mira":                         "POST, OPTIONS",
	"/archive/messages/unread/a@b":                 "GET, HEAD, OPTIONS",
	"/logs/security":                               "GET, HEAD, OPTIONS",
	"/clustering/status":                           "GET, HEAD, OPTIONS",
	"/clustering/nodes":                            "GET, HEAD, OPTIONS",
	"/clustering/nodes/a":                          "GET, HEAD, OPTIONS",
	"/lockouts":                                    "GET, HEAD, OPTIONS",
	"/lockouts/mira":                               "GET, HEAD, POST, DELETE, OPTIONS",
	"/sessions":                                    "GET, HEAD, OPTIONS",
	"/sessions/mira":                               "GET, HEAD, DELETE, OPTIONS",
	"/system/properties":                           "GET, HEAD, POST, OPTIONS",
	"/system/properties/a":                         "GET, HEAD, POST, PUT, DELETE, OPTIONS",
	"/system/statistics/sessions":                  "GET, HEAD, OPTIONS",
	"/system/liveness":                             "GET, HEAD, OPTIONS",
	"/system/liveness/deadlock":                    "GET, HEAD, OPTIONS",
	"/system/liveness/properties":                  "GET, HEAD, OPTIONS",
	"/system/readiness":                            "GET, HEAD, OPTIONS",
	"/system/readiness/server":                     "GET, HEAD, OPTIONS",
	"/system/readiness/cluster":                    "GET, HEAD, OPTIONS",
	"/system/readiness/plugins":                    "GET, HEAD, OPTIONS",
	"/system/readiness/connections":                "GET, HEAD, OPTIONS",
	"/openapi.yaml":                                "GET, HEAD, OPTIONS",
	"/openapi.json":                                "GET, HEAD, OPTIONS",
}

func wantCORS(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      "*",
		"Access-Control-Allow-Headers":     "origin, content-type, accept, authorization",
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "GET, POST, PUT, DELETE, OPTIONS, HEAD",
	} {
		if got := h.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// A body that is worth compressing is kept apart in caches.
	vary := ""
	if n, _ := strconv.Atoi(h.Get("Content-Length")); n >= 1024 {
		vary = "Accept-Encoding"
	}
	for name, want := range map[string]string{"Access-Control-Max-Age": "", "Access-Control-Expose-Headers": "", "Vary": vary} {
		if got := strings.Join(h.Values(name), ","); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestOptionsAndMethods(t *testing.T) {
	w := newWorld(t)
	for path, allow := range methods {
		for _, p := range []string{path, path + "/"} {
			got := w.want(200, "", "OPTIONS", p, "", authorization(""), header("Origin", "https://app.example"))
			if got.Header().Get("Allow") != allow || got.Header().Get("Content-Length") != "0" {
				t.Errorf("OPTIONS %s: %v", p, got.Header())
			}
			wantCORS(t, got.Header())
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get"} {
				got := w.send(method, p, "")
				wantCORS(t, got.Header())
				if isAllowed := slices.Contains(strings.Split(allow, ", "), method); isAllowed == (got.Code == 405) {
					t.Errorf("%s %s: %d", method, p, got.Code)
				}
				if got.Code == 405 && (got.Header().Get("Allow") != allow || method != "HEAD" && !entityLike(got.Body.String(), "MethodNotAllowedException")) {
					t.Errorf("%s %s: %v %s", method, p, got.Header(), got.Body)
				}
				if got.Code >= 300 && got.Code < 400 {
					t.Errorf("%s %s redirects", method, p)
				}
			}
		}
	}
}

// The letter case counts, an empty segment matches nothing, dots are names like any other.
func TestPathsThatAreNot(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	for _, path := range []string{"/Users", "/users//", "//users", "/users//mira", "/users/mira//", "/users/mira/roster//", "/users/mira/x", "/users/mira/roster/a/b", "/users/../users",
		"/./users", "/users/%2e%2e/mira/x", "/users%2Fmira", "/users%2F", "/%2Fusers", "/users;x=1", "/sessions/mira/x", "/system", "/system/", "/system/liveness/x", "/lockouts/mira/x", "", "/", "/users/%FF",
		"/system/Liveness", "/chatrooms/atrium/friends", "/chatrooms/atrium/Members", "/chatrooms/atrium/member/mira", "/chatrooms/atrium/members/groups/Ops",
		"/chatrooms/atrium/members/group/Ops/x", "/messages/rooms"} {
		w.wantError(404, "NotFoundException", "there is nothing at this path", mustPath(t, path), "GET", path, "")
	}
	// What is escaped without need is the same path.
	for _, path := range []string{"/%75sers/mira", "/users/%6D%69ra", "/users/mira/"} {
		if got := w.send("GET", path, ""); got.Code != 200 {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	for _, base := range []string{"/plugins/restapi/V1/users", "/Plugins/restapi/v1/users", "/plugins/restapi/v1users", "/users", "/plugins/restapi/v1/../v1/users", "/plugins//restapi/v1/users"} {
		got := w.send("GET", "", "", func(r *httpRequest) { r.URL.Path, r.URL.RawPath = base, "" })
		if got.Code != 404 || !entityLike(got.Body.String(), "NotFoundException") {
			t.Errorf("%s: %d %s", base, got.Code, got.Body)
		}
		// Nothing is told to those who aren't admitted.
		if got := w.send("GET", "", "", authorization(""), func(r *httpRequest) { r.URL.Path, r.URL.RawPath = base, "" }); got.Code != 401 {
			t.Errorf("%s: %d", base, got.Code)
		}
	}
}

// mustPath is the decoded path, which errors name; characters that aren't UTF-8 show as such.
func mustPath(t *testing.T, path string) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, restserver.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ToValidUTF8(r.URL.Path, "\uFFFD")
}

// HEAD has the status and the headers of GET, and no body.
func TestHead(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	for path := range methods {
		if !strings.Contains(methods[path], "GET") {
			continue
		}
		for _, a := range []string{formatXML, formatJSON, "", "text/plain"} {
			get, head := w.send("GET", path, "", accept(a)), w.send("HEAD", path, "", accept(a))
			if head.Code != get.Code || head.Body.Len() != 0 {
				t.Errorf("HEAD %s: %d, GET %d, body %q", path, head.Code, get.Code, head.Body)
			}
			for name := range get.Header() {
				if get.Header().Get(name) != head.Header().Get(name) {
					t.Errorf("%s: %s is %q for GET, %q for HEAD", path, name, get.Header().Get(name), head.Header().Get(name))
				}
			}
		}
	}
}
