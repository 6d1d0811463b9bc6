package restserver_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

const (
	unauthorised        = "the request is not authorized: send the Authorization header of an administrator or the shared secret, from an allowed address"
	tooManyAttempts     = "too many failed attempts from this address: try again later"
	notAuthorised       = "RequestNotAuthorised"
	users               = restserver.Base + "/users"
	propertyAuth        = "plugin.restapi.httpAuth"
	propertySecret      = "plugin.restapi.secret"
	propertyAllowed     = "plugin.restapi.allowedIPs"
	propertyEnabled     = "plugin.restapi.enabled"
	propertyServiceLogs = "plugin.restapi.serviceLoggingEnabled"
)

// staffed is a world with an administrator, a plain user and a locked administrator.
func staffed(t *testing.T, change ...func(*restserver.Config, *restserver.Deps)) *world {
	w := newWorld(t, change...)
	yes := true
	w.create("root", "pa:ss wörd")
	w.update("root", directory.UserUpdate{Admin: &yes})
	w.create("mira", "mira")
	w.create("old", "old")
	w.update("old", directory.UserUpdate{Admin: &yes, Locked: &yes})
	return w
}

func TestAuthenticationMatrix(t *testing.T) {
	good := basic("root", "pa:ss wörd")
	bare := strings.TrimPrefix(good, "Basic ")
	modes := map[string]*world{}
	for name, mode := range map[string]string{"both": "", "basic": "basic", "secret": "secret"} {
		modes[name] = staffed(t)
		modes[name].set(propertyAuth, mode)
	}
	for i, c := range []struct {
		authorization string
		accepted      string // by which modes
	}{
		{good, "both basic"},
		{bare, "both basic"},
		{"basic " + bare, "both basic"},
		{"BASIC  " + bare, "both basic"},
		{strings.TrimRight(good, "="), "both basic"},
		{basic("ROOT", "pa:ss wörd"), "both basic"},
		{basic("root@chat.example", "pa:ss wörd"), "both basic"},
		{mainSecret, "both secret"},

		{"", ""},
		{basic("root", "wrong"), ""},
		{basic("root", ""), ""},
		{basic("root@other.example", "pa:ss wörd"), ""},
		{basic("a@b@c", "x"), ""},
		{basic("mira", "mira"), ""}, // no administrator
		{basic("old", "old"), ""},   // locked
		{basic("nobody7", "x"), ""},
		{basic("a b", "x"), ""},
		{basic("", ""), ""},
		{"Basic", ""},
		{"Basic ", ""},
		{"Basic !!!", ""},
		{"Basic " + base64.StdEncoding.EncodeToString([]byte("root")), ""},
		{"Basic " + base64.StdEncoding.EncodeToString([]byte{0xff, ':', 0xff}), ""},
		{"Bearer " + mainSecret, ""},
		{"Basic " + mainSecret, ""},
		{mainSecret + "x", ""},
		{mainSecret[:len(mainSecret)-1], ""},
		{strings.ToUpper(mainSecret), ""},
		{"Digest username=\"root\"", ""},
	} {
		for mode, w := range modes {
			for range 2 { // the second time, the password is remembered
				// From an address of its own, so that failures do not slow down what comes after them.
				got := w.send("GET", "/users/mira", "", authorization(c.authorization), from("203.0.113."+strconv.Itoa(i)))
				want := 401
				if strings.Contains(c.accepted, mode) {
					want = 200
				}
				if got.Code != want {
					t.Errorf("mode %q, %q: %d, want %d", mode, c.authorization, got.Code, want)
				}
				if want == 401 && !strings.Contains(got.Body.String(), notAuthorised) {
					t.Errorf("mode %q, %q: %s", mode, c.authorization, got.Body)
				}
				if got.Header().Get("WWW-Authenticate") != "" {
					t.Error("WWW-Authenticate would open the browser's password box")
				}
			}
		}
	}
}

func TestUnauthorisedEntity(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/users", "/users/mira", "/nothing/here", "/system/livenessx", "/userservicex"} {
		w.wantError(401, notAuthorised, unauthorised, restserver.Base+path, "GET", path, "", authorization(""))
		w.wantError(401, notAuthorised, unauthorised, restserver.Base+path, "PATCH", path, "", authorization(""))
	}
	w.set(propertyEnabled, "false")
	w.wantError(403, "UserServiceDisabled", "the REST API is switched off: see the property plugin.restapi.enabled", users, "GET", "/users", "")
	w.wantError(403, "UserServiceDisabled", "the REST API is switched off: see the property plugin.restapi.enabled", users, "OPTIONS", "/users", "", authorization(""))
	w.set(propertyEnabled, "true")
	w.want(200, prolog+`<users/>`, "GET", "/users", "")
}

// Before everything declared is known, who may call isn't either: a list of allowed addresses, a replaced
// secret or a switched-off API must not be without effect for the first moment of a process.
func TestNothingIsAnsweredBeforeItIsKnown(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	fresh := directory.New(domain)
	handler := restserver.New(restserver.Config{Domain: domain, Secret: func() string { return mainSecret }}, restserver.Deps{
		Directory: fresh, Proposer: w.local, Rosters: w.rosters, Sessions: w.sessions, Audit: w.audit, Health: w.health, Listeners: w.health,
	})
	w.handler = handler
	const message = "the declared resources have not all been read yet: try again in a moment"
	for _, method := range []string{"GET", "DELETE", "OPTIONS"} {
		path := "/users/mira"
		w.wantError(503, "ServiceUnavailableException", message, restserver.Base+path, method, path, "")
		w.wantError(503, "ServiceUnavailableException", message, restserver.Base+path, method, path, "", authorization(""))
	}
	if got := w.send("GET", "/users", "").Header().Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After %q", got)
	}
	w.want(200, "", "GET", "/system/liveness", "", authorization(""))
	fresh.MarkSynced()
	w.want(200, prolog+`<users/>`, "GET", "/users", "")
	w.wantAudit()
}

// A remembered password counts only for the credential it was right for, and only while the account
// is an administrator's and not locked.
func TestRememberedPassword(t *testing.T) {
	w := staffed(t)
	root := authorization(basic("root", "pa:ss wörd"))
	status := func(want int, a request) {
		t.Helper()
		if got := w.send("GET", "/users/mira", "", a); got.Code != want {
			t.Errorf("got %d, want %d", got.Code, want)
		}
	}
	yes, no, other := true, false, "other"
	status(200, root)
	status(401, authorization(basic("root", "other")))
	w.update("root", directory.UserUpdate{Locked: &yes})
	status(401, root)
	w.update("root", directory.UserUpdate{Locked: &no, Admin: &no})
	status(401, root)
	w.update("root", directory.UserUpdate{Admin: &yes})
	status(200, root)
	w.update("root", directory.UserUpdate{Password: &other})
	status(401, root)
	status(200, authorization(basic("root", "other")))
}

// The property replaces the installation's secret, live; an empty secret admits nobody.
func TestSharedSecretProperty(t *testing.T) {
	installation := mainSecret
	w := newWorld(t, func(c *restserver.Config, _ *restserver.Deps) { c.Secret = func() string { return installation } })
	status := func(want int, value string) {
		t.Helper()
		if got := w.send("GET", "/users", "", authorization(value)); got.Code != want {
			t.Errorf("%q: got %d, want %d", value, got.Code, want)
		}
	}
	status(200, mainSecret)
	w.set(propertySecret, "rotated\n") // the line end of a file that became a Secret
	status(200, "rotated")
	status(401, mainSecret)
	w.want(200, "", "DELETE", "/system/properties/"+propertySecret, "", authorization("rotated"))
	status(200, mainSecret)
	status(401, "rotated")
	installation = ""
	status(401, "")
	status(401, mainSecret)
	w.wantAudit("failed authentication", "deleted server property "+propertySecret, "failed authentication", "failed authentication")
	if e := w.audit.entries[1]; e.Username != propertySecret {
		t.Errorf("audit entry %+v", e)
	}
}

// tokens accepts one bearer token, as a reviewer of tokens would.
type tokens struct {
	err error
	why string // what it says of tokens that it doesn't accept
}

func (a tokens) Explain(authorization string) string {
	if !strings.HasPrefix(authorization, "Bearer ") {
		return ""
	}
	return a.why
}

func (a tokens) Authenticate(_ context.Context, authorization string) (restserver.Principal, bool, error) {
	return restserver.Principal{Name: "system:serviceaccount:ops:bot"}, authorization == "Bearer tok", a.err
}

func TestFurtherAuthenticators(t *testing.T) {
	reviewer := &tokens{}
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) {
		d.Authenticators = []restserver.Authenticator{reviewer}
	})
	w.want(201, "", "POST", "/users", `{"username":"mira","password":"x"}`, authorization("Bearer tok"))
	if e := w.audit.entries[0]; e.Username != "system:serviceaccount:ops:bot" {
		t.Errorf("audit entry %+v", e)
	}
	reviewer.err = errors.New("dial tcp 10.9.8.7:6443")
	w.wantError(503, "ServiceUnavailableException", "credentials cannot be checked at the moment: try again later", users, "GET", "/users", "", authorization("Bearer tok"))
	reviewer.err = nil
	reviewer.why = "tokens are not accepted here"
	w.want(401, errorXML(notAuthorised, unauthorised+"; tokens are not accepted here", users), "GET", "/users", "", authorization("Bearer other"))
	w.want(401, errorXML(notAuthorised, unauthorised, users), "GET", "/users", "", authorization("other"))
	w.set(propertyAuth, "secret")
	w.want(401, errorXML(notAuthorised, unauthorised, users), "GET", "/users", "", authorization("Bearer tok"))
}

func TestAllowedAddresses(t *testing.T) {
	for _, c := range []struct {
		property, address string
		ok                bool
	}{
		{"", "203.0.113.9", true},
		{"203.0.113.9", "203.0.113.9", true},
		{" 192.0.2.1 , 203.0.113.9 ", "203.0.113.9", true},
		{"203.0.113.9", "203.0.113.10", false},
		{"203.0.113.0/24", "203.0.113.10", true},
		{"203.0.113.77/24", "203.0.113.10", true},
		{"203.0.113.0/24", "203.0.114.10", false},
		{"203.0.113.9", "::ffff:203.0.113.9", true},
		{"2001:db8::/32", "2001:db8:1::1", true},
		{"2001:db8::1", "2001:db8:0:0::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"0.0.0.0/0", "2001:db9::1", false},
	} {
		w := newWorld(t)
		w.set(propertyAllowed, c.property)
		want := 401
		if c.ok {
			want = 200
		}
		if got := w.send("GET", "/users", "", from(c.address)); got.Code != want {
			t.Errorf("%q, %s: %d, want %d", c.property, c.address, got.Code, want)
		}
		// Preflight requests carry no credentials and come before this check.
		if got := w.send("OPTIONS", "/users", "", from(c.address), authorization("")); got.Code != 200 {
			t.Errorf("OPTIONS: %d", got.Code)
		}
	}
}

// X-Forwarded-For counts when a configured proxy sent it, and no further than to the first hop that
// isn't one.
func TestForwardedFor(t *testing.T) {
	proxies := func(c *restserver.Config, _ *restserver.Deps) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	}
	for _, c := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"203.0.113.9", []string{"192.0.2.7"}, "203.0.113.9"}, // anybody can send it
		{"10.1.1.1", []string{"192.0.2.7"}, "192.0.2.7"},
		{"fd00::1", []string{"192.0.2.7"}, "192.0.2.7"},
		{"10.1.1.1", []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7"},
		{"10.1.1.1", []string{"198.51.100.1", "192.0.2.7, 10.2.2.2"}, "192.0.2.7"},
		{"10.1.1.1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"10.1.1.1", []string{"192.0.2.7:4711"}, "192.0.2.7"},
		{"10.1.1.1", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"10.1.1.1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"10.1.1.1", nil, "10.1.1.1"},
		{"10.1.1.1", []string{"192.0.2.7, nonsense"}, "unknown"},
		{"10.1.1.1", []string{"192.0.2.7,"}, "unknown"},
	} {
		w := newWorld(t, proxies)
		changes := []request{from(c.peer), header("X-Forwarded-For", "")}
		for _, f := range c.forwarded {
			changes = append(changes, func(r *httpRequest) { r.Header.Add("X-Forwarded-For", f) })
		}
		w.send("DELETE", "/system/properties/x", "", changes...)
		w.send("POST", "/users", `{"username":"mira","password":"x"}`, changes...)
		if got := w.audit.entries[0].Address; got != c.want {
			t.Errorf("peer %s, %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
		// What a proxy garbled is in no network.
		w.set(propertyAllowed, "10.0.0.0/8,192.0.2.7,2001:db8::7,203.0.113.9")
		want := 200
		if c.want == "unknown" {
			want = 401
		}
		if got := w.send("GET", "/users", "", changes...); got.Code != want {
			t.Errorf("peer %s, %q: %d, want %d", c.peer, c.forwarded, got.Code, want)
		}
	}
}

// An address that fails too often waits, also for a right guess; others don't notice.
func TestFailedAttemptsSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes, in which another attempt would be allowed
		w := staffed(t)
		failed := 0
		for range 100 {
			got := w.send("GET", "/users", "", authorization("guess"), from("203.0.113.9"))
			if got.Code == 429 {
				if after, err := strconv.Atoi(got.Header().Get("Retry-After")); err != nil || after < 1 || after > 60 {
					t.Errorf("Retry-After %q", got.Header().Get("Retry-After"))
				}
				break
			}
			failed++
			if got.Code != 401 {
				t.Fatalf("status %d", got.Code)
			}
		}
		if failed < 5 || failed > 50 {
			t.Errorf("%d attempts were judged", failed)
		}
		w.wantError(429, "TooManyRequestsException", tooManyAttempts, users, "GET", "/users", "", from("203.0.113.9"))
		w.wantError(401, notAuthorised, unauthorised, users, "GET", "/users", "", from("203.0.113.9"), authorization(""))
		if got := w.send("GET", "/users", "", from("203.0.113.10")); got.Code != 200 {
			t.Errorf("another address: %d", got.Code)
		}
		// Only what was judged is in the log, without what was tried.
		if n := len(w.audit.summaries()); n != failed {
			t.Errorf("%d audit entries for %d failures", n, failed)
		}
		if strings.Contains(w.audit.text()+w.log.String(), "guess") {
			t.Error("the log repeats what was tried")
		}
	})
}

// Failures side by side are paid for as well, and successes cost nothing.
func TestSuccessesAreFree(t *testing.T) {
	w := staffed(t)
	for range 300 {
		if got := w.send("GET", "/users", ""); got.Code != 200 {
			t.Fatalf("status %d", got.Code)
		}
	}
}

// Whoever has many addresses cannot fill the disk with failures; what is left out is counted.
func TestFailuresDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fail := func(n int) {
			for i := range n {
				w.send("GET", "/users", "", authorization("guess"), from("203.0.113."+strconv.Itoa(i%250)))
			}
		}
		fail(500)
		if n := len(w.audit.entries); n < 50 || n > 100 {
			t.Errorf("%d entries", n)
		}
		left := 500 - len(w.audit.entries)
		time.Sleep(time.Minute)
		fail(1)
		if got, want := w.audit.entries[len(w.audit.entries)-1].Details, "method = GET\nfurther failures before = "+strconv.Itoa(left); got != want {
			t.Errorf("details %q, want %q", got, want)
		}
		if n := strings.Count(w.log.String(), "failed to authenticate"); n != len(w.audit.entries) {
			t.Errorf("%d lines in the log, %d entries", n, len(w.audit.entries))
		}
	})
}

func TestFailedAuthenticationAudit(t *testing.T) {
	w := staffed(t)
	w.send("POST", "/users", `{}`, authorization(basic("Root", "wrong-password")))
	w.send("GET", "/users", "", authorization(basic("my-password-in-the-wrong-box", "x")))
	w.send("GET", "/users", "", authorization("wrong-secret"))
	w.send("GET", "/users", "", authorization(""))
	w.wantAudit("failed authentication as root", "failed authentication", "failed authentication")
	if e := w.audit.entries[0]; e.Username != "root" || e.Address != "192.0.2.1" || e.Via != "REST" || e.Details != "method = POST" {
		t.Errorf("%+v", e)
	}
	if text := w.audit.text() + w.log.String(); strings.Contains(text, "wrong-") || strings.Contains(text, "my-password") {
		t.Errorf("the log repeats what was tried: %s", text)
	}
}

func TestServiceLogging(t *testing.T) {
	w := newWorld(t)
	w.send("GET", "/users?search=a", "")
	if w.log.Len() != 0 {
		t.Errorf("logged: %s", w.log)
	}
	w.set(propertyServiceLogs, "true")
	w.send("GET", "/users/nobody7?search=a", "")
	if got := w.log.String(); !strings.Contains(got, "path="+users+"/nobody7 status=404 by=rest-secret from=192.0.2.1") || strings.Contains(got, mainSecret) {
		t.Errorf("logged: %s", got)
	}
}
