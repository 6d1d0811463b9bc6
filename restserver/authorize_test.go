package restserver_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func scope(t *testing.T, text string) restserver.Scope {
	t.Helper()
	s, err := restserver.ParseScope(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseScope(t *testing.T) {
	for _, bad := range []string{"everything", "read-only,user", "Users", "*"} {
		if _, err := restserver.ParseScope(bad); err == nil || !strings.Contains(err.Error(), "use read-only, users, groups, rooms") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Several secrets are in force at once: one can be replaced while the others go on, and each does what its scope says and no more.
func TestNamedSecrets(t *testing.T) {
	secrets := []restserver.NamedSecret{
		{Name: "all", Value: "secret-of-all"},
		{Name: "viewer", Value: "secret-of-viewer", Scope: scope(t, "read-only")},
		{Name: "accounts", Value: "secret-of-accounts", Scope: scope(t, "users")},
		{Name: "members", Value: "secret-of-members", Scope: scope(t, "groups, rooms\n")},
		{Name: "looker", Value: "secret-of-looker", Scope: scope(t, "read-only,users")},
		{Name: "empty"},
	}
	w := newWorld(t, func(c *restserver.Config, _ *restserver.Deps) {
		c.Secrets = func() []restserver.NamedSecret { return secrets }
	})
	w.create("mira", "x")
	for _, c := range []struct {
		call string
		by   string // who may
	}{
		{"GET /users", "all viewer accounts looker"},
		{"HEAD /users/mira", "all viewer accounts looker"},
		{"GET /sessions", "all viewer accounts looker"},
		{"GET /lockouts/mira", "all viewer accounts looker"},
		{"POST /lockouts/mira", "all accounts"},
		{"DELETE /lockouts/mira", "all accounts"},
		{"DELETE /sessions/mira", "all accounts"},
		{"GET /users/mira/roster", "all viewer accounts looker"},
		{"DELETE /users/mira/roster/a@b", "all accounts"},
		{"GET /system/properties", "all viewer"},
		{"DELETE /system/properties/a", "all"},
		{"GET /openapi.json", "all viewer accounts members looker"},
		{"GET /not/there", "all viewer accounts members looker"},
		{"PATCH /users", "all viewer accounts members looker"}, // not a method, for anybody
	} {
		method, path, _ := strings.Cut(c.call, " ")
		for _, s := range secrets {
			got := w.send(method, path, "", authorization(s.Value))
			may := slices.Contains(strings.Fields(c.by), s.Name)
			switch {
			case s.Value == "":
				if got.Code != 401 {
					t.Errorf("%s with nothing: %d", c.call, got.Code)
				}
			case may == (got.Code == 403), got.Code == 401:
				t.Errorf("%s with %q: %d", c.call, s.Name, got.Code)
			case !may && method != "HEAD" && !entityLike(got.Body.String(), notAuthorised):
				t.Errorf("%s with %q: %s", c.call, s.Name, got.Body)
			}
		}
	}
	w.want(403, errorXML(notAuthorised, "secret:accounts may not do this: it takes the right to delete systemproperties", restserver.Base+"/system/properties/a"),
		"DELETE", "/system/properties/a", "", authorization("secret-of-accounts"))
	last := w.audit.entries[len(w.audit.entries)-1]
	if last.Username != "secret:accounts" || last.Summary != "refused call" ||
		last.Details != "method = DELETE\npath = "+restserver.Base+"/system/properties/a\nreason = it takes the right to delete systemproperties" {
		t.Errorf("%+v", last)
	}

	// One is replaced; the main one still counts.
	secrets = []restserver.NamedSecret{{Name: "all", Value: "another"}, secrets[1]}
	for value, want := range map[string]int{"another": 200, "secret-of-all": 401, "secret-of-viewer": 200, "secret-of-accounts": 401, mainSecret: 200} {
		if got := w.send("GET", "/users", "", authorization(value)); got.Code != want {
			t.Errorf("%s: %d, want %d", value, got.Code, want)
		}
	}
	w.set(propertyAuth, "basic")
	if got := w.send("GET", "/users", "", authorization("another")); got.Code != 401 {
		t.Errorf("with httpAuth basic: %d", got.Code)
	}
	if text := w.audit.text() + w.log.String(); strings.Contains(text, "secret-of") {
		t.Errorf("a secret is in the log: %s", text)
	}
}

// holder has exactly the rights named, as a Kubernetes user has.
type holder struct {
	rights []string
	asked  []string
	err    error
}

func (h *holder) Authenticate(_ context.Context, authorization string) (restserver.Principal, bool, error) {
	return restserver.Principal{Name: "kubernetes:bot", Allows: func(_ context.Context, r restserver.Right) (bool, error) {
		one := r.Verb + " " + r.Resource
		h.asked = append(h.asked, strings.TrimSuffix(one+" "+r.Name, " "))
		return slices.Contains(h.rights, one), h.err
	}}, authorization == "Bearer tok", nil
}

// Each call needs the rights that doing the same with kubectl would take.
func TestRightsOfCalls(t *testing.T) {
	h := &holder{}
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Authenticators = []restserver.Authenticator{h} })
	for call, want := range map[string]string{
		"GET /users":                             "list chatusers",
		"POST /users":                            "create chatusers",
		"GET /users/Mira@chat.example":           "get chatusers mira",
		"HEAD /users/mira":                       "get chatusers mira",
		"PUT /users/mira":                        "update chatusers mira",
		"DELETE /users/mira":                     "delete chatusers mira",
		"GET /users/mira/roster":                 "get chatusers mira",
		"POST /users/mira/roster":                "update chatusers mira",
		"PUT /users/mira/roster/a@b":             "update chatusers mira",
		"DELETE /users/mira/roster/a@b":          "update chatusers mira",
		"GET /lockouts":                          "list chatusers",
		"POST /lockouts/mira":                    "update chatusers mira",
		"DELETE /lockouts/mira":                  "update chatusers mira",
		"GET /sessions":                          "list chatusers",
		"GET /sessions/mira":                     "get chatusers mira",
		"DELETE /sessions/mira":                  "update chatusers mira",
		"GET /system/properties":                 "list systemproperties",
		"POST /system/properties":                "create systemproperties, update systemproperties",
		"GET /system/properties/a.B":             "get systemproperties a.B",
		"POST /system/properties/a.B":            "create systemproperties, update systemproperties a.B",
		"PUT /system/properties/a.B":             "update systemproperties a.B",
		"DELETE /system/properties/a.B":          "delete systemproperties a.B",
		"GET /system/statistics/sessions":        "list chatusers",
		"GET /users/mira/groups":                 "list chatgroups",
		"POST /users/mira/groups":                "create chatgroups, update chatgroups",
		"POST /users/mira/groups/Ops":            "create chatgroups, update chatgroups Ops",
		"DELETE /users/mira/groups/Ops":          "update chatgroups Ops",
		"GET /users/mira/vcard":                  "get chatusers mira",
		"GET /groups":                            "list chatgroups",
		"POST /groups":                           "create chatgroups",
		"PUT /groups/Ops":                        "update chatgroups Ops",
		"DELETE /groups/Ops":                     "delete chatgroups Ops",
		"GET /chatrooms":                         "list chatrooms",
		"POST /chatrooms":                        "create chatrooms",
		"POST /chatrooms/bulk":                   "create chatrooms, update chatrooms",
		"GET /chatrooms/Atrium":                  "get chatrooms atrium",
		"PUT /chatrooms/atrium?servicename=Work": "create chatrooms, update chatrooms atrium@work",
		"DELETE /chatrooms/atrium":               "delete chatrooms atrium",
		"GET /chatrooms/atrium/occupants":        "get chatrooms atrium",
		"GET /chatrooms/atrium/members":          "get chatrooms atrium",
		"POST /chatrooms/atrium/members/a@b":     "update chatrooms atrium",
		"POST /chatrooms/atrium/invite/a@b":      "update chatrooms atrium",
		"DELETE /chatrooms/atrium/members/group/Ops?servicename=conference": "update chatrooms atrium",
		"GET /chatservices":                                      "list chatrooms",
		"POST /chatservices":                                     "create systemproperties",
		"POST /messages/users":                                   "update chatusers",
		"GET /logs/security":                                     "update systemproperties",
		"GET /archive/messages/unread/a@b":                       "get chatusers a@b",
		"GET /archive/messages/unread/Mira":                      "get chatusers mira",
		"GET /archive/messages/unread/mira@chat.example%2Fphone": "get chatusers mira",
		"GET /clustering/status":                                 "list systemproperties",
		"GET /openapi.json":                                      "",
	} {
		method, path, _ := strings.Cut(call, " ")
		*h = holder{}
		if got := w.send("OPTIONS", path, "", authorization("")); got.Code == 404 || !strings.Contains(got.Header().Get("Allow"), method) {
			continue // not served
		}
		bearer := authorization("Bearer tok")
		if want == "" {
			if got := w.send(method, path, "", bearer); got.Code != 200 || len(h.asked) > 0 {
				t.Errorf("%s: %d %v", call, got.Code, h.asked)
			}
			continue
		}
		// With nothing, then with all but the last, then with all of them.
		all := strings.Split(want, ", ")
		for i := range all {
			h.asked = nil
			got := w.send(method, path, "", bearer)
			if got.Code != 403 || !slices.Equal(h.asked, all[:i+1]) {
				t.Errorf("%s with %v: %d, asked for %q, want %q", call, h.rights, got.Code, h.asked, all[:i+1])
			}
			h.rights = append(h.rights, strings.Join(strings.Fields(all[i])[:2], " "))
		}
		if got := w.send(method, path, "", bearer); got.Code == 403 || got.Code == 401 {
			t.Errorf("%s with %v: %d", call, h.rights, got.Code)
		}
		h.err = errors.New("dial tcp 10.9.8.7:6443")
		if got := w.send(method, path, "", bearer); got.Code != 503 || strings.Contains(got.Body.String(), "10.9.8.7") {
			t.Errorf("%s while nobody can tell: %d %s", call, got.Code, got.Body)
		}
	}
}

// Of every call it is said what it needs: what is forgotten would be closed to scopes and roles.
func TestEveryCallHasItsRights(t *testing.T) {
	h := &holder{}
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Authenticators = []restserver.Authenticator{h} })
	for path, methods := range describe(t, w).Paths {
		for method, o := range methods {
			if o.Security != nil || !strings.HasPrefix(path, "/restapi/v1/") || strings.HasSuffix(path, "/openapi.json") {
				continue
			}
			h.asked = nil
			got := w.send(strings.ToUpper(method), fill(path), "", authorization("Bearer tok"))
			if got.Code != 403 || len(h.asked) == 0 {
				t.Errorf("%s %s: %d, no right is asked for", method, path, got.Code)
			}
		}
	}
}

// The paths of the older user service plugin need the same rights.
func TestRightsAtOtherPaths(t *testing.T) {
	h := &holder{}
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Authenticators = []restserver.Authenticator{h} })
	for path, want := range map[string]string{
		"/plugins/userService/users": "list chatusers", "/plugins/userService/users/mira": "get chatusers mira",
		"/plugins/userService/properties/team": "list chatusers", "/plugins/userService/properties/team/north": "list chatusers",
	} {
		h.asked = nil
		got := w.send("GET", "", "", authorization("Bearer tok"), func(r *httpRequest) { r.URL.Path, r.URL.RawPath = path, "" })
		if got.Code != 403 || !slices.Equal(h.asked, []string{want}) {
			t.Errorf("%s: %d, asked for %q", path, got.Code, h.asked)
		}
	}
}

// To rename an account is to make one and to delete one.
func TestRightsOfRenaming(t *testing.T) {
	h := &holder{rights: []string{"update chatusers"}}
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Authenticators = []restserver.Authenticator{h} })
	w.create("mira", "x")
	bearer := authorization("Bearer tok")
	w.want(200, "", "PUT", "/users/mira", `{"username":"Mira","name":"M"}`, bearer)
	for _, right := range []string{"create chatusers", "delete chatusers"} {
		if got := w.send("PUT", "/users/mira", `{"username":"mara"}`, bearer); got.Code != 403 || !strings.Contains(got.Body.String(), right) {
			t.Errorf("without %s: %d %s", right, got.Code, got.Body)
		}
		h.rights = append(h.rights, right)
	}
	if got := w.send("PUT", "/users/mira", `{"username":"mara"}`, bearer); got.Code != 200 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// Who may change accounts may not become an administrator by the password of one, and who may only read does not read who did what.
func TestScopesAndAdministrators(t *testing.T) {
	secrets := []restserver.NamedSecret{
		{Name: "viewer", Value: "secret-of-viewer", Scope: scope(t, "read-only")},
		{Name: "accounts", Value: "secret-of-accounts", Scope: scope(t, "users")},
	}
	w := newWorld(t, func(c *restserver.Config, _ *restserver.Deps) {
		c.Secrets = func() []restserver.NamedSecret { return secrets }
	})
	w.create("root", "x")
	w.create("mira", "x")
	if err := w.local.UpdateUser(t.Context(), directory.Actor{}, "root", directory.UserUpdate{Admin: new(true)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body, secret string
		status                     int
	}{
		{"PUT", "/users/root", `{"password":"mine"}`, "secret-of-accounts", 403},
		{"PUT", "/users/root", `{"name":"Root"}`, "secret-of-accounts", 200},
		{"PUT", "/users/mira", `{"password":"mine"}`, "secret-of-accounts", 200},
		{"PUT", "/users/root", `{"password":"theirs"}`, mainSecret, 200},
		{"GET", "/logs/security", "", "secret-of-viewer", 403},
		{"GET", "/logs/security", "", mainSecret, 200},
	} {
		if got := w.send(c.method, c.path, c.body, authorization(c.secret)); got.Code != c.status {
			t.Errorf("%s %s by %s: %d %s", c.method, c.path, c.secret, got.Code, got.Body)
		}
	}
	if got := w.send("GET", "/userservice?type=update&username=root&password=mine&secret=secret-of-accounts", "", authorization("")); strings.Contains(got.Body.String(), "ok") {
		t.Errorf("by the user service: %s", got.Body)
	}
	if w.canLogIn("root", "mine") || !w.canLogIn("mira", "mine") {
		t.Error("the wrong passwords were changed")
	}
}

// namedHolder has the rights that are named, each for everything or for one name.
type namedHolder struct {
	holder
	everything bool
}

func (h *namedHolder) Authenticate(_ context.Context, authorization string) (restserver.Principal, bool, error) {
	return restserver.Principal{Name: "kubernetes:bot", ByName: !h.everything, Allows: func(_ context.Context, r restserver.Right) (bool, error) {
		one := strings.TrimSuffix(r.Verb+" "+r.Resource+" "+r.Name, " ")
		h.asked = append(h.asked, one)
		return slices.Contains(h.rights, r.Verb+" "+r.Resource) || slices.Contains(h.rights, one), h.err
	}}, authorization == "Bearer tok", nil
}

// Passwords of rooms are shown to those who may change them, which is asked once where they may change all.
func TestQuestionsAboutPasswordsOfRooms(t *testing.T) {
	h := &namedHolder{}
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Authenticators = []restserver.Authenticator{h} })
	for i := range 251 {
		w.want(201, "", "POST", "/chatrooms", `{"roomName":"r`+strconv.Itoa(i)+`","publicRoom":true,"password":"sesame`+strconv.Itoa(i)+`"}`)
	}
	for _, c := range []struct {
		rights           []string
		path             string
		status           int
		shown, questions int
	}{
		{[]string{"list chatrooms", "update chatrooms"}, "/chatrooms", 200, 251, 2},
		{[]string{"list chatrooms", "update chatrooms r7"}, "/chatrooms?limit=250&search=r", 200, 1, 252},
		{[]string{"list chatrooms"}, "/chatrooms?limit=3", 200, 0, 5},
		{[]string{"list chatrooms", "update chatrooms r7"}, "/chatrooms", 400, 0, 252},
		{[]string{"get chatrooms r7", "update chatrooms r7"}, "/chatrooms/r7", 200, 1, 3},
		{[]string{"get chatrooms"}, "/chatrooms/r7", 200, 0, 3},
	} {
		h.rights, h.asked = c.rights, nil
		got := w.send("GET", c.path, "", authorization("Bearer tok"))
		if n := strings.Count(got.Body.String(), "sesame"); got.Code != c.status || n != c.shown || len(h.asked) != c.questions {
			t.Errorf("%s with %q: %d, %d passwords, %d questions", c.path, c.rights, got.Code, n, len(h.asked))
		}
		if c.status == 400 && !strings.Contains(got.Body.String(), "limit and offset") {
			t.Errorf("%s: %s", c.path, got.Body)
		}
	}
	// Where there are no rights to a name, the answer for all is the one for each, a secret's for instance.
	h.rights, h.asked, h.everything = []string{"list chatrooms"}, nil, true
	if got := w.send("GET", "/chatrooms", "", authorization("Bearer tok")); got.Code != 200 || strings.Contains(got.Body.String(), "sesame") || len(h.asked) != 2 {
		t.Errorf("%d, asked %d questions", got.Code, len(h.asked))
	}
}

// What a call may name is bounded before anything is compared.
func TestBoundsOfLists(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","persistent":true}`)
	many := func(n int, entry string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = strings.ReplaceAll(entry, "%", strconv.Itoa(i))
		}
		return strings.Join(list, ",")
	}
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/chatrooms", `{"roomName":"hall","members":[` + many(2001, `"u%@chat.example"`) + `]}`},
		{"PUT", "/chatrooms/atrium", `{"roomName":"atrium","memberGroups":[` + many(2001, `"g%"`) + `]}`},
		{"POST", "/chatrooms/atrium/members", `{"members":[` + many(2001, `"u%@chat.example"`) + `]}`},
		{"POST", "/chatrooms/atrium/invite", `{"jidsToInvite":[` + many(1001, `"u%@chat.example"`) + `]}`},
		{"POST", "/chatrooms/bulk", `{"chatRooms":[` + many(1001, `{"roomName":"r%"}`) + `]}`},
	} {
		if got := w.send(c.method, c.path, c.body); got.Code != 400 || !strings.Contains(got.Body.String(), "at most") {
			t.Errorf("%s %s: %d %.200s", c.method, c.path, got.Code, got.Body)
		}
	}
}
