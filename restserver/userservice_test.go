package restserver_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	userServicePath   = "/plugins/restapi/v1/userservice"
	lineOK            = "<result>ok</result>\n"
	lineIllegal       = "<error>IllegalArgumentException</error>\n"
	lineNotAuthorised = "<error>RequestNotAuthorised</error>\n"
	lineNoUser        = "<error>UserNotFoundException</error>\n"
	lineExists        = "<error>UserAlreadyExistsException</error>\n"
	lineDisabled      = "<error>UserServiceDisabled</error>\n"
	lineShared        = "<error>SharedGroupException</error>\n"
)

// at sends a request to a path outside the API's base.
func at(target string) request {
	return func(r *httpRequest) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			panic(err)
		}
		r.URL = u
	}
}

// ask calls the user service by GET, with parameters as a query without the secret.
func (w *world) ask(query string, changes ...request) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.send("GET", "", "", append([]request{at(userServicePath + "?secret=" + mainSecret + "&" + query), authorization("")}, changes...)...)
}

// wantLine asks by GET and compares the line.
func (w *world) wantLine(want, query string) {
	w.t.Helper()
	got := w.ask(query)
	wantUserService(w.t, got, query, want)
}

func wantUserService(t testing.TB, got *httptest.ResponseRecorder, what, want string) {
	t.Helper()
	if got.Code != 200 || got.Body.String() != want || got.Header().Get("Content-Type") != "text/xml;charset=UTF-8" {
		t.Errorf("%s\n got %d %q %q\nwant %q", what, got.Code, got.Header().Get("Content-Type"), got.Body, want)
	}
}

// Three paths, by GET and by POST, with parameters in the query, in a form, or in both.
func TestUserServicePaths(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, path := range []string{userServicePath, "/plugins/restapi/userservice", "/plugins/userService/userservice", userServicePath + "/"} {
		w := newWorld(t)
		post := func(target, body, kind string) *httptest.ResponseRecorder {
			return w.send("POST", "", body, at(target), authorization(""), header("Content-Type", kind), accept(formatJSON))
		}
		const secret = "secret=" + mainSecret
		wantUserService(t, w.send("GET", "", "", at(path+"?type=add&username=a&password=x&"+secret), authorization("")), path, lineOK)
		wantUserService(t, post(path, "type=add&username=b&password=x+%26+y&"+secret, form), path, lineOK)
		wantUserService(t, post(path+"?type=add&"+secret, "username=c&password=x&type=delete&secret=wrong", form+"; charset=UTF-8"), path, lineOK)
		wantUserService(t, post(path+"?type=add&username=d&password=x&"+secret, "username=e", "text/plain"), path, lineOK)
		wantUserService(t, post(path+"?type=add&username=f&password=x&"+secret, "", ""), path, lineOK)
		var names []string
		for _, u := range w.directory.Users() {
			names = append(names, u.Username)
		}
		if want := []string{"a", "b", "c", "d", "f"}; !slices.Equal(names, want) || !w.canLogIn("b", "x & y") {
			t.Errorf("%s: users %q", path, names)
		}
		if e := w.audit.entries[0]; e.Summary != "created new user a" || e.Username != "rest-secret" {
			t.Errorf("audit entry %+v", e)
		}
		got := w.send("OPTIONS", "", "", at(path), authorization(""))
		if got.Code != 200 || got.Header().Get("Allow") != "GET, HEAD, POST, OPTIONS" {
			t.Errorf("OPTIONS %s: %d %v", path, got.Code, got.Header())
		}
		wantCORS(t, got.Header())
		wantCORS(t, w.send("GET", "", "", at(path), header("Origin", "https://app.example")).Header())
		if got := w.send("PUT", "", "", at(path)); got.Code != 405 || !entityLike(got.Body.String(), "MethodNotAllowedException") {
			t.Errorf("PUT %s: %d %s", path, got.Code, got.Body)
		}
		// What is asked for the head alone isn't done.
		head := w.send("HEAD", "", "", at(path+"?type=delete&username=a&"+secret))
		if _, there := w.directory.User("a"); head.Code != 200 || head.Body.Len() > 0 || !there {
			t.Errorf("HEAD %s: %d, the account is there: %v", path, head.Code, there)
		}
	}
	w := newWorld(t)
	for _, path := range []string{"/plugins/restapi/v1/userservice/x", "/plugins/restapi/userservice2", "/plugins/userservice/userservice", "/plugins/restapi/v1/x/userservice",
		"/plugins/restapi/v2/userservice"} {
		if got := w.send("GET", "", "", at(path+"?type=grouplist&secret="+mainSecret)); got.Code != 404 || !entityLike(got.Body.String(), "NotFoundException") {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
}

// The checks, and which of several mistakes is told.
func TestUserServiceChecks(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	get := func(query string, changes ...request) *httptest.ResponseRecorder {
		return w.send("GET", "", "", append([]request{at("/plugins/userService/userservice?" + query)}, changes...)...)
	}
	// The secret is a parameter: the header that opens everything else opens nothing here.
	for _, query := range []string{"", "type=grouplist", "type=grouplist&secret=", "type=grouplist&secret=" + mainSecret + "x", "type=grouplist&Secret=" + mainSecret} {
		wantUserService(t, get(query), query, lineNotAuthorised)
	}
	wantUserService(t, get("type=grouplist&secret="+mainSecret, authorization("")), "the secret alone", "<result></result>\n")
	if got := w.audit.summaries(); !slices.Equal(got, []string{"failed authentication"}) {
		t.Errorf("audit log %q", got)
	}
	// Whatever httpAuth says, and the secret is what was set.
	w.set(directory.KeyRESTAuth, "basic")
	w.set(directory.KeyRESTSecret, "another secret")
	wantUserService(t, get("type=grouplist&secret="+mainSecret), "an old secret", lineNotAuthorised)
	wantUserService(t, get("type=grouplist&secret=another+secret"), "basic", "<result></result>\n")
	w.set(directory.KeyRESTSecret, mainSecret)
	for _, query := range []string{"type=usergrouplist", "type=add", "type=add&username=", "type=add&username=+", "type=nonsense", "", "username=mira", "username=mira&type=",
		"type=add&username=new", "type=add&username=new&password=", "type=update&username=mira&password=", "type=add&username=" + strings.Repeat("x", 1024) + "&password=x",
		"type=add_roster&username=mira", "type=add_roster&username=mira&item_jid=", "type=update_roster&username=nobody7", "type=delete_roster&username=mira",
		"type=add_roster&username=mira&item_jid=a@b&subscription=4", "type=update_roster&username=mira&item_jid=a@b&subscription=-2", "type=add_roster&username=mira&item_jid=a@b&subscription=both",
		"type=add_roster&username=mira&item_jid=a@b@c", "type=add&username=new&password=x&groups=a,+,b", "type=add&username=new&password=x&groups=" + strings.Repeat("a", 300) + strings.Repeat(",b", 2) + "," + many(1001)} {
		wantUserService(t, get("secret="+mainSecret+"&"+query), query, lineIllegal)
	}
	for _, query := range []string{"type=add&username=%zz&secret=" + mainSecret, "type=add&username=%FF&secret=" + mainSecret} {
		wantUserService(t, get(query), query, lineIllegal)
	}
	w.wantAudit("failed authentication", "failed authentication")

	// Allowed addresses come first, then whether the API is on, then the secret.
	w.set(directory.KeyRESTAllowedIPs, "198.51.100.7")
	wantUserService(t, get("type=grouplist&secret="+mainSecret, from("192.0.2.1")), "an address", lineNotAuthorised)
	w.set(directory.KeyRESTEnabled, "false")
	wantUserService(t, get("type=grouplist&secret="+mainSecret, from("192.0.2.1")), "an address, disabled", lineNotAuthorised)
	for _, path := range []string{"/plugins/userService/userservice", "/plugins/restapi/userservice"} {
		wantUserService(t, w.send("GET", "", "", at(path+"?type=grouplist&secret=wrong"), from("198.51.100.7")), "disabled", lineDisabled)
	}
	got := w.send("GET", "", "", at(userServicePath+"?type=grouplist&secret="+mainSecret), from("192.0.2.1"))
	if got.Code != 403 || !entityLike(got.Body.String(), "UserServiceDisabled") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

func many(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "g" + strings.Repeat("x", i%7) + string(rune('а'+i%1000))
	}
	return url.QueryEscape(strings.Join(names, ","))
}

// Whoever guesses secrets waits, and a right guess is not told from a wrong one.
func TestUserServiceThrottle(t *testing.T) {
	w := newWorld(t)
	var got string
	for range 200 {
		got = w.send("GET", "", "", at(userServicePath+"?type=grouplist&secret=guess"), authorization("")).Body.String()
		if got != lineNotAuthorised {
			break
		}
	}
	const wait = "<error>too many failed attempts from this address: try again later</error>\n"
	if got != wait {
		t.Fatal(got)
	}
	w.wantLine(wait, "type=grouplist")
	if got := w.ask("type=grouplist", from("198.51.100.7")); got.Body.String() != "<result></result>\n" {
		t.Errorf("another address: %s", got.Body)
	}
}

func TestUserServiceUnknownType(t *testing.T) {
	w := newWorld(t)
	for method, status := range map[string]int{"GET": 200, "POST": 204} {
		got := w.send(method, "", "", at(userServicePath+"?type=rename&username=mira&secret="+mainSecret))
		if got.Code != status || got.Body.Len() > 0 || got.Header().Get("Content-Type") != "" {
			t.Errorf("%s: %d %v %q", method, got.Code, got.Header(), got.Body)
		}
	}
}

func TestUserServiceUsers(t *testing.T) {
	w := newWorld(t)
	show := func(path, want string) {
		t.Helper()
		w.want(200, want, "GET", path, "", accept(formatJSON))
	}
	w.want(201, "", "POST", "/groups", `{"name":"Ops"}`)
	w.wantLine(lineOK, "type=add&username=+Mira+&password=s3cr3t%21&name=Mira+Okafor&email=mira@mail.example&groups=Ops,,Night+Shift,Ops")
	show("/users/mira", `{"username":"mira","name":"Mira Okafor","email":"mira@mail.example","properties":[]}`)
	show("/users/mira/groups", `{"groupnames":["Night Shift","Ops"],"groupname":["Night Shift","Ops"]}`)
	show("/groups/Night%20Shift", `{"name":"Night Shift","admins":[],"members":["mira@chat.example"],"shared":false}`)
	if g, _ := w.directory.Group("Night Shift"); !w.canLogIn("mira", "s3cr3t!") || g.DisplayName != "Night Shift" {
		t.Errorf("%+v", g)
	}
	w.wantLine(lineExists, "type=add&username=MIRA&password=x")
	// Entries of groups are as they are between the commas.
	w.wantLine(lineOK, "type=add&username=ben&password=x&groups=a,+b")
	show("/users/ben/groups", `{"groupnames":[" b","a"],"groupname":[" b","a"]}`)

	w.wantLine(lineOK, "type=update&username=mira&name=M.")
	show("/users/mira", `{"username":"mira","name":"M.","email":"mira@mail.example","properties":[]}`)
	w.wantLine(lineOK, "type=update&username=mira&email=&password=new")
	show("/users/mira", `{"username":"mira","name":"M.","properties":[]}`)
	if w.canLogIn("mira", "s3cr3t!") || !w.canLogIn("mira", "new") {
		t.Error("the password is not the new one")
	}
	show("/users/mira/groups", `{"groupnames":["Night Shift","Ops"],"groupname":["Night Shift","Ops"]}`)
	w.wantLine(lineOK, "type=update&username=mira&groups=Ops,Day")
	show("/users/mira/groups", `{"groupnames":["Day","Ops"],"groupname":["Day","Ops"]}`)
	w.wantLine(lineOK, "type=update&username=mira&groups=")
	show("/users/mira/groups", `{"groupnames":[],"groupname":[]}`)
	w.wantLine(lineOK, "type=update&username=mira")

	w.wantLine(lineOK, "type=disable&username=mira")
	if w.canLogIn("mira", "new") {
		t.Error("a locked account can log in")
	}
	w.wantLine(lineOK, "type=enable&username=mira")
	w.wantLine(lineOK, "type=enable&username=mira")
	if !w.canLogIn("mira", "new") {
		t.Error("an unlocked account cannot log in")
	}
	w.wantLine(lineOK, "type=delete&username=mira")
	for _, kind := range []string{"delete", "update", "update&groups=a", "enable", "disable", "usergrouplist", "add_roster&item_jid=a@b", "update_roster&item_jid=a@b", "delete_roster&item_jid=a@b"} {
		w.wantLine(lineNoUser, "username=mira&type="+kind)
	}
	w.wantAudit("created new group Ops", "created new user mira", "added group member to Ops", "created new group Night Shift", "added group member to Night Shift",
		"created new user ben", "created new group a", "added group member to a", "created new group  b", "added group member to  b",
		"edited user mira", "edited user mira", "created new group Day", "added group member to Day", "updated group membership for Night Shift",
		"updated group membership for Day", "updated group membership for Ops", "locked out user mira", "unlocked user mira", "unlocked user mira", "deleted user mira")
	if text := w.audit.text(); strings.Contains(text, "s3cr3t!") || strings.Contains(text, "new\n") {
		t.Errorf("audit log: %s", text)
	}
}

// Names are escaped as XEP-0106 has it, in this service alone; then prepared.
func TestUserServiceEscapes(t *testing.T) {
	for sent, want := range map[string]string{
		"a b@c":              `a\20b\40c`,
		"D'Artagnan":         `d\27artagnan`,
		" ЖАННА ":            "жанна",
		`c:\net`:             `c\3a\net`,
		"mira@chat.example":  `mira\40chat.example`,
		`space \20 cadet "&`: `space\20\5c20\20cadet\20\22\26`,
	} {
		w := newWorld(t)
		w.wantLine(lineOK, "type=add&password=x&username="+url.QueryEscape(sent))
		if users := w.directory.Users(); len(users) != 1 || users[0].Username != want {
			t.Errorf("%q: %v", sent, users)
		}
		w.wantLine("<result></result>\n", "type=usergrouplist&username="+url.QueryEscape(sent))
		w.wantLine(lineOK, "type=delete&username="+url.QueryEscape(sent))
	}
}

func TestUserServiceContacts(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	w.rosters.headings = []string{"Staff"}
	show := func(want string) {
		t.Helper()
		w.want(200, `{"rosterItem":[`+want+`]}`, "GET", "/users/mira/roster", "", accept(formatJSON))
	}
	const mira = "username=mira&item_jid=tobias@chat.example&type="
	w.wantLine(lineOK, mira+"add_roster&name=Tobi&subscription=3&groups=Friends,Work")
	show(`{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":3,"groups":["Friends","Work"]}`)
	w.wantLine(lineExists, mira+"add_roster")
	// All is replaced, and what is absent is cleared.
	w.wantLine(lineOK, mira+"update_roster&groups=Work")
	show(`{"jid":"tobias@chat.example","subscriptionType":0,"groups":["Work"]}`)
	w.wantLine(lineOK, mira+"update_roster&name=T&subscription=1")
	show(`{"jid":"tobias@chat.example","nickname":"T","subscriptionType":1,"groups":[]}`)
	w.wantLine(lineShared, mira+"update_roster&groups=Staff")
	w.wantLine(lineShared, "type=add_roster&username=mira&item_jid=new@chat.example&groups=Staff")
	w.wantLine(lineNoUser, "type=update_roster&username=mira&item_jid=zed@chat.example")
	w.wantLine(lineIllegal, "type=add_roster&username=mira&item_jid=mira")
	w.wantLine(lineOK, mira+"delete_roster")
	w.wantLine(lineOK, mira+"delete_roster")
	show("")
	w.rosters.made["mira"] = []account.Item{{JID: jid.MustParse("zed@chat.example"), Groups: []string{"Staff"}, Shared: []string{"Staff"}}}
	w.wantLine(lineShared, "type=delete_roster&username=mira&item_jid=zed")
	w.wantAudit("added roster item for mira", "updated roster item for mira", "updated roster item for mira", "deleted roster item from mira")
}

func TestUserServiceGroups(t *testing.T) {
	w := newWorld(t)
	w.wantLine("<result></result>\n", "type=grouplist")
	w.want(201, "", "POST", "/groups", `{"name":"Ops","members":["mira"]}`)
	w.want(201, "", "POST", "/groups", `{"name":"Night <&> Shift"}`)
	w.selectNorth("mira", "North")
	w.wantLine("<result><groupname>Night &lt;&amp;&gt; Shift</groupname><groupname>North</groupname><groupname>Ops</groupname></result>\n", "type=grouplist&username=nobody7")
	w.wantLine("<result><groupname>North</groupname><groupname>Ops</groupname></result>\n", "type=usergrouplist&username=Mira")
	// Out of a group that picks her by label nobody takes her here, and nothing else is changed then either.
	w.wantLine("<error>spec.selector of the group picks mira@chat.example by the labels of the user: change the labels or the selector</error>\n",
		"type=update&username=mira&name=M&groups=Day")
	w.wantLine(lineOK, "type=update&username=mira&groups=North")
	w.wantLine("<result><groupname>North</groupname></result>\n", "type=usergrouplist&username=mira")
}

// What has no name of its own is told in its sentence, and a cause never.
func TestUserServiceTroubles(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	for want, err := range map[string]error{
		`spec.locked is declared by &quot;flux&quot;: change it there`:  &directory.ManagedError{Field: "spec.locked", Manager: "flux"},
		"written, not yet active: it will be in force shortly":          directory.ErrNotYetActive,
		"declarations cannot be changed at the moment: try again later": &directory.UnavailableError{Err: errors.New("10.9.8.7 is away")},
		"the server failed: its log says why":                           errors.New("10.9.8.7 burns"),
		"IllegalArgumentException":                                      &directory.InvalidError{Field: "spec.email", Message: "no"},
		"UserNotFoundException":                                         directory.ErrNotFound,
	} {
		w.refuse(err)
		w.wantLine("<error>"+want+"</error>\n", "type=disable&username=mira")
	}
	if !strings.Contains(w.log.String(), "10.9.8.7 burns") {
		t.Errorf("the log says nothing: %s", w.log)
	}
}

// tardy makes accounts and changes them, and says that this is not in force yet.
type tardy struct{ restserver.Proposer }

func (p tardy) CreateUser(ctx context.Context, by directory.Actor, u directory.NewUser) error {
	return errors.Join(p.Proposer.CreateUser(ctx, by, u), directory.ErrNotYetActive)
}

func (p tardy) UpdateUser(ctx context.Context, by directory.Actor, username string, u directory.UserUpdate) error {
	return errors.Join(p.Proposer.UpdateUser(ctx, by, username, u), directory.ErrNotYetActive)
}

// An account that is made and not in force yet comes into its groups all the same, and what becomes of them is told.
func TestUserServiceGroupsOfLateAccounts(t *testing.T) {
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Proposer = tardy{d.Proposer} })
	w.wantLine("<error>created, not yet active: it will be in force shortly</error>\n", "type=add&username=mira&password=x&groups=Ops,Day")
	w.wantLine("<result><groupname>Day</groupname><groupname>Ops</groupname></result>\n", "type=usergrouplist&username=mira")
	w.wantLine("<error>written, not yet active: it will be in force shortly</error>\n", "type=update&username=mira&name=M&groups=Night")
	w.wantLine("<result><groupname>Night</groupname></result>\n", "type=usergrouplist&username=mira")
	w.local.Refuse = func(method, _ string) error {
		if strings.HasSuffix(method, "Group") {
			return &directory.ManagedError{Field: "spec.members", Manager: "flux"}
		}
		return nil
	}
	w.wantLine("<error>created, not yet active: it will be in force shortly; and its groups: spec.members is declared by &quot;flux&quot;: change it there</error>\n",
		"type=add&username=tobias&password=x&groups=Ops")
}

func TestUserServiceRace(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	lines := make([]string, 8)
	for i := range lines {
		wg.Go(func() { lines[i] = w.ask("type=add&username=mira&password=x&groups=Ops").Body.String() })
	}
	wg.Wait()
	slices.Sort(lines)
	if want := append(slices.Repeat([]string{lineExists}, 7), lineOK); !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}

// The REST face of the older plugin: the same handlers, and users by property.
func TestStandAlonePaths(t *testing.T) {
	w := newWorld(t)
	const base = "/plugins/userService"
	send := func(method, path, body string, changes ...request) *httptest.ResponseRecorder {
		return w.send(method, "", body, append([]request{at(base + path), accept(formatJSON)}, changes...)...)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/users", `<user><username>mira</username><password>x</password><properties><property key="team" value="north"/></properties></user>`, 201, ""},
		{"GET", "/users/mira", "", 200, `{"username":"mira","name":"","properties":[{"key":"team","value":"north"}]}`},
		{"PUT", "/users/mira", `{"name":"M","properties":[{"key":"team","value":"a/b"}]}`, 200, ""},
		{"GET", "/users?search=mi", "", 200, `{"users":[{"username":"mira","name":"M","properties":[{"key":"team","value":"a/b"}]}]}`},
		{"GET", "/properties/team", "", 200, `{"users":[{"username":"mira","name":"M","properties":[{"key":"team","value":"a/b"}]}]}`},
		{"GET", "/properties/team/a%2Fb/", "", 200, `{"users":[{"username":"mira","name":"M","properties":[{"key":"team","value":"a/b"}]}]}`},
		{"GET", "/properties/team/north", "", 200, `{"users":[]}`},
		{"GET", "/properties/Team", "", 200, `{"users":[]}`},
		{"POST", "/users/mira/groups", `{"groupname":["Ops"]}`, 201, ""},
		{"GET", "/users/mira/groups", "", 200, `{"groupnames":["Ops"],"groupname":["Ops"]}`},
		{"DELETE", "/users/mira/groups", `{"groupname":["Ops"]}`, 200, ""},
		{"POST", "/users/mira/roster", `{"jid":"tobias"}`, 201, ""},
		{"PUT", "/users/mira/roster/tobias", `{"nickname":"T"}`, 200, ""},
		{"GET", "/users/mira/roster", "", 200, `{"rosterItem":[{"jid":"tobias@chat.example","nickname":"T","subscriptionType":0,"groups":[]}]}`},
		{"DELETE", "/users/mira/roster/tobias", "", 200, ""},
		{"POST", "/lockouts/mira", "", 201, ""},
		{"DELETE", "/lockouts/mira", "", 200, ""},
		{"DELETE", "/users/mira", "", 200, ""},
		{"GET", "/users/mira", "", 404, errorJSON("UserNotFoundException", "Could not get user", "mira")},
		{"POST", "/properties/team", "", 405, errorJSON("MethodNotAllowedException", "POST is not a method of this path: use GET, HEAD, OPTIONS", base+"/properties/team")},
		{"GET", "/groups", "", 404, errorJSON("NotFoundException", "there is nothing at this path", base+"/groups")},
	} {
		got := send(c.method, c.path, c.body)
		if got.Code != c.status || got.Body.String() != c.want {
			t.Errorf("%s %s\n got %d %s\nwant %d %s", c.method, c.path, got.Code, got.Body, c.status, c.want)
		}
		wantCORS(t, got.Header())
	}
	if got := send("GET", "/users", "", authorization("")); got.Code != 401 {
		t.Errorf("without authorization: %d", got.Code)
	}
	w.set(directory.KeyRESTEnabled, "false")
	if got := send("GET", "/properties/team", ""); got.Code != 403 || !entityLike(got.Body.String(), "UserServiceDisabled") {
		t.Errorf("disabled: %d %s", got.Code, got.Body)
	}
}

// Whoever has a secret of its own does here what its scope says and no more.
func TestUserServiceScopes(t *testing.T) {
	secrets := []restserver.NamedSecret{
		{Name: "all", Value: "secret-of-all"},
		{Name: "viewer", Value: "secret-of-viewer", Scope: scope(t, "read-only")},
		{Name: "accounts", Value: "secret-of-accounts", Scope: scope(t, "users")},
		{Name: "members", Value: "secret-of-members", Scope: scope(t, "groups")},
	}
	for query, by := range map[string]string{
		"type=grouplist":                                "all viewer members",
		"type=usergrouplist&username=mira":              "all viewer members",
		"type=add&username=new&password=x":              "all accounts",
		"type=add&username=new&password=x&groups=a":     "all",
		"type=update&username=mira&name=M":              "all accounts",
		"type=update&username=mira&groups=":             "all",
		"type=delete&username=mira":                     "all accounts",
		"type=enable&username=mira":                     "all accounts",
		"type=disable&username=mira":                    "all accounts",
		"type=add_roster&username=mira&item_jid=a@b":    "all accounts",
		"type=update_roster&username=mira&item_jid=c@d": "all accounts",
		"type=delete_roster&username=mira&item_jid=a@b": "all accounts",
		"type=nonsense&username=mira":                   "all accounts",
	} {
		for _, s := range secrets {
			w := newWorld(t, func(c *restserver.Config, _ *restserver.Deps) {
				c.Secrets = func() []restserver.NamedSecret { return secrets }
			})
			w.create("mira", "x")
			if err := w.local.PutContact(t.Context(), directory.Actor{}, "mira", directory.Contact{JID: jid.MustParse("c@d")}, true); err != nil {
				t.Fatal(err)
			}
			got := w.send("GET", "", "", at("/plugins/restapi/userservice?"+query+"&secret="+s.Value), authorization("")).Body.String()
			if may := slices.Contains(strings.Fields(by), s.Name); may == (got == lineNotAuthorised) || may && strings.HasPrefix(got, "<error>") {
				t.Errorf("%s with %q: %s", query, s.Name, got)
			}
			if users := w.directory.Users(); got == lineNotAuthorised && (len(users) != 1 || users[0].Generation != 2) {
				t.Errorf("%s with %q was done: %+v", query, s.Name, users[0])
			}
		}
	}
}

// Until everything declared is known, nobody knows who may call.
func TestUserServiceBeforeSync(t *testing.T) {
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Directory = directory.New(domain) })
	if got := w.ask("type=grouplist"); got.Code != 503 || !entityLike(got.Body.String(), "ServiceUnavailableException") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}
