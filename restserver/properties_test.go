package restserver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func TestPropertyRoundTrip(t *testing.T) {
	for _, c := range []struct{ path, body string }{
		{"/system/properties", `{"key":"site.motto","value":"be kind"}`},
		{"/system/properties", `{"@key":"site.motto","@value":"be kind"}`},
		{"/system/properties", `<property key="site.motto" value="be kind"/>`},
		{"/system/properties/site.motto", `{"key":"site.motto","value":"be kind"}`},
		{"/system/properties/site.motto", `{"value":"be kind"}`},
	} {
		w := newWorld(t)
		w.wantError(404, "PropertyNotFoundException", "Could not find property", "site.motto", "GET", "/system/properties/site.motto", "")
		w.want(201, "", "POST", c.path, c.body)
		w.want(201, "", "POST", c.path, c.body) // sets what exists, too
		w.want(200, golden(t, "property.xml"), "GET", "/system/properties/site.motto", "")
		w.want(200, golden(t, "property.json"), "GET", "/system/properties/site.motto/", "", accept(formatJSON))
		w.want(200, "", "PUT", "/system/properties/site.motto", `{"key":"site.motto","value":false}`)
		w.want(200, `{"key":"site.motto","value":"false"}`, "GET", "/system/properties/site.motto", "", accept(formatJSON))
		w.want(200, "", "DELETE", "/system/properties/site.motto", "")
		w.wantError(404, "PropertyNotFoundException", "Could not find property", "site.motto", "DELETE", "/system/properties/site.motto", "")
		const set = "set server property site.motto"
		w.wantAudit(set, set, "Updated server property site.motto", "deleted server property site.motto")
		if got := w.audit.entries[0].Details; got != "site.motto = be kind" {
			t.Errorf("audit details %q", got)
		}
	}
}

func TestPropertyRefusals(t *testing.T) {
	const illegal, none = "IllegalArgumentException", "PropertyNotFoundException"
	w := newWorld(t)
	w.set("site.motto", "be kind")
	w.wantError(400, illegal, "the key of the path and of the body differ", "site.motto", "PUT", "/system/properties/site.motto", `{"key":"site.Motto","value":"x"}`)
	// Whether it is there is looked at first, and the entity's key is told.
	w.wantError(404, none, "Could not find property for update", "other", "PUT", "/system/properties/gone", `{"key":"other","value":"x"}`)
	w.wantError(404, none, "Could not find property for update", "gone", "PUT", "/system/properties/gone", `{"value":"x"}`)
	w.wantError(404, none, "Could not find property for update", "gone", "PUT", "/system/properties/gone", "")
	w.wantError(400, illegal, "the property has no key", "key", "POST", "/system/properties", `{"value":"x"}`)
	w.wantError(400, illegal, "the property has no value: send an empty one or delete it", "a", "POST", "/system/properties", `{"key":"a"}`)
	w.wantError(400, illegal, "the body has to be a property with key and value", "", "POST", "/system/properties", "")
	w.wantError(400, illegal, "the body has to be a property with key and value", "site.motto", "PUT", "/system/properties/site.motto", "")
	if got := w.send("POST", "/system/properties", `{"key":"plugin.restapi.enabled","value":"maybe"}`); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	w.want(200, prolog+`<property key="plugin.restapi.enabled" value="true"/>`, "GET", "/system/properties/plugin.restapi.enabled", "")
	w.wantAudit()
}

// Names are exact, in any script, with slashes, semicolons, pluses and blanks.
func TestPropertyKeysInPaths(t *testing.T) {
	for path, key := range map[string]string{
		"a%2Fb": "a/b", "a;b=c": "a;b=c", "a+b": "a+b", "a%20b": "a b", "%D0%94%D0%B6": "Дж", "Case": "Case", "..": "..", "%2e%2e%2fx": "../x", "a%25b": "a%b", "a&b=c": "a&b=c", "{key}": "{key}", "@": "@",
	} {
		w := newWorld(t)
		w.want(201, "", "POST", "/system/properties", fmt.Sprintf(`{"key":%q,"value":"1"}`, key))
		got := w.send("GET", "/system/properties/"+path, "", accept(formatJSON))
		if want := fmt.Sprintf(`{"key":%q,"value":"1"}`, key); got.Code != 200 || got.Body.String() != want {
			t.Errorf("%s: %d %s, want %s", path, got.Code, got.Body, want)
		}
		if got := w.send("HEAD", "/system/properties/"+path, ""); got.Code != 200 || got.Body.Len() != 0 || got.Header().Get("Content-Length") == "0" {
			t.Errorf("HEAD %s: %d %s %v", path, got.Code, got.Body, got.Header())
		}
	}
}

// The list has what is stored and what is honoured, in order; all that it shows can be got, and changed.
func TestListProperties(t *testing.T) {
	w := newWorld(t)
	w.set("site.motto", "be kind")
	w.set("xmpp.auth.anonymous", "true")
	want := map[string]string{"site.motto": "be kind"}
	for _, s := range directory.Settings() {
		want[s.Key] = s.Default
	}
	want["xmpp.auth.anonymous"] = "true"
	var keys []string
	for k := range want {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var all []string
	for _, k := range keys {
		all = append(all, fmt.Sprintf(`{"key":%q,"value":%q}`, k, want[k]))
		w.want(200, all[len(all)-1], "GET", "/system/properties/"+k, "", accept(formatJSON))
	}
	got := w.want(200, `{"property":[`+strings.Join(all, ",")+`]}`, "GET", "/system/properties", "", accept(formatJSON))
	if total := got.Header().Get("X-Total-Count"); total != fmt.Sprint(len(all)) {
		t.Errorf("X-Total-Count %q", total)
	}
	w.want(200, `{"property":[`+all[1]+`]}`, "GET", "/system/properties?offset=1&limit=1", "", accept(formatJSON))
	// One that has its default may be changed, and deleting it restores the default.
	w.want(200, "", "PUT", "/system/properties/accounts.purgeDelay", `{"key":"accounts.purgeDelay","value":"1h"}`)
	w.want(200, "", "DELETE", "/system/properties/accounts.purgeDelay", "")
	w.want(200, `{"key":"accounts.purgeDelay","value":"168h"}`, "GET", "/system/properties/accounts.purgeDelay", "", accept(formatJSON))
}

// A secret is shown nowhere, and writing the mask back changes nothing.
func TestSecretProperties(t *testing.T) {
	const key = "plugin.restapi.secret"
	w := newWorld(t)
	w.want(201, "", "POST", "/system/properties", `{"key":"`+key+`","value":"t0p-s3cret"}`)
	if err := w.directory.PutProperty(directory.SystemProperty{Ref: directory.Ref{Name: "ldap", UID: "1"}, Key: "ldap.password", Value: "hidden-value", Secret: true}); err != nil {
		t.Fatal(err)
	}
	now := authorization("t0p-s3cret")
	w.want(200, `{"key":"`+key+`","value":"********"}`, "GET", "/system/properties/"+key, "", accept(formatJSON), now)
	w.want(200, `{"key":"ldap.password","value":"********"}`, "GET", "/system/properties/ldap.password", "", accept(formatJSON), now)
	for _, kind := range []string{formatJSON, formatXML} {
		if got := w.send("GET", "/system/properties", "", accept(kind), now).Body.String(); strings.Contains(got, "t0p-s3cret") || strings.Contains(got, "hidden-value") || strings.Count(got, "********") != 2 {
			t.Errorf("the list: %s", got)
		}
	}
	w.want(200, "", "PUT", "/system/properties/"+key, `{"key":"`+key+`","value":"********"}`, now)
	if got := w.directory.String(key); got != "t0p-s3cret" {
		t.Errorf("the mask became the secret: %q", got)
	}
	w.wantAudit("set server property " + key)
	if text := w.audit.text() + w.log.String(); strings.Contains(text, "t0p-s3cret") {
		t.Errorf("the audit log tells the secret: %s", text)
	}
}

// The audit log doesn't keep what sounds like a secret, though the server doesn't know the key.
func TestPropertyThatSoundsSecret(t *testing.T) {
	w := newWorld(t)
	for _, key := range []string{"xmpp.gateway.Password", "bot.access-token", "hook.secretKey", "irc.passwd"} {
		w.want(201, "", "POST", "/system/properties", `{"key":"`+key+`","value":"t0p-s3cret"}`)
		w.want(200, `{"key":"`+key+`","value":"t0p-s3cret"}`, "GET", "/system/properties/"+key, "", accept(formatJSON))
	}
	if text := w.audit.text() + w.log.String(); strings.Contains(text, "t0p-s3cret") {
		t.Errorf("the audit log tells the secret: %s", text)
	}
}

// While nothing can be declared, each change of a property says so and when to come again, and nothing is told as done; what is known is still shown.
func TestPropertiesWhileTheAPIServerIsAway(t *testing.T) {
	w := newWorld(t)
	w.set("site.motto", "be kind")
	body := map[string]string{formatJSON: `{"key":"site.motto","value":"be quick"}`, formatXML: `<property key="site.motto" value="be quick"/>`}
	for _, away := range []struct {
		err     error
		message string
		after   string
	}{
		{&directory.UnavailableError{RetryAfter: 5 * time.Second, Err: errors.New("dial tcp 10.9.8.7:6443")}, "declarations cannot be changed at the moment: try again later", "5"},
		{context.DeadlineExceeded, "this took too long: try again later", "1"}, // the API server is there, and slow
	} {
		w.refuse(away.err)
		for _, kind := range []string{formatJSON, formatXML} {
			for _, c := range []struct{ method, path, body string }{
				{"POST", "/system/properties", body[kind]}, {"POST", "/system/properties/site.motto", body[kind]}, {"PUT", "/system/properties/site.motto", body[kind]},
				{"DELETE", "/system/properties/site.motto", ""},
				{"PUT", "/system/properties/plugin.restapi.serviceLoggingEnabled", strings.NewReplacer("site.motto", "plugin.restapi.serviceLoggingEnabled", "be quick", "true").Replace(body[kind])},
			} {
				resource := "site.motto"
				if strings.HasSuffix(c.path, "Enabled") {
					resource = "plugin.restapi.serviceLoggingEnabled"
				}
				w.wantError(503, "ServiceUnavailableException", away.message, resource, c.method, c.path, c.body)
				if got := w.send(c.method, c.path, c.body).Header().Get("Retry-After"); got != away.after {
					t.Errorf("%s %s: Retry-After %q, want %q", c.method, c.path, got, away.after)
				}
			}
		}
		w.want(200, `{"key":"site.motto","value":"be kind"}`, "GET", "/system/properties/site.motto", "", accept(formatJSON))
		w.want(200, prolog+`<property key="plugin.restapi.serviceLoggingEnabled" value="false"/>`, "GET", "/system/properties/plugin.restapi.serviceLoggingEnabled", "")
	}
	w.wantAudit()
	// What is wrong about a request is said all the same.
	w.wantError(404, "PropertyNotFoundException", "Could not find property", "other", "DELETE", "/system/properties/other", "")
	w.wantError(400, "IllegalArgumentException", "the key of the path and of the body differ", "site.motto", "PUT", "/system/properties/site.motto", `{"key":"other","value":"x"}`)
}
