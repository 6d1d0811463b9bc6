package restserver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func golden(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("entity/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (w *world) canLogIn(username, password string) bool {
	a, ok := w.directory.Account(username)
	return ok && !a.Locked && a.Secret != nil && a.Secret.Credential().CheckPassword(password)
}

// What is created by one format is read by both, byte for byte as the original writes it.
func TestUserRoundTrip(t *testing.T) {
	for _, body := range []string{
		strings.Replace(golden(t, "user.json"), `"name"`, `"password":"s3cr3t!","name"`, 1),
		strings.Replace(golden(t, "user.xml"), "<name>", "<password>s3cr3t!</password><name>", 1),
	} {
		w := newWorld(t)
		got := w.want(201, "", "POST", "/users", body)
		if got.Header().Get("Content-Length") != "0" || got.Header().Get("Location") != "" {
			t.Errorf("headers of 201: %v", got.Header())
		}
		if !w.canLogIn("mira", "s3cr3t!") {
			t.Error("who was created cannot log in")
		}
		w.want(200, golden(t, "user.json"), "GET", "/users/mira", "", accept(formatJSON))
		w.want(200, golden(t, "user.xml"), "GET", "/users/mira", "", accept(formatXML))
		w.want(200, golden(t, "user.xml"), "GET", "/users/MIRA@Chat.Example/", "")
		w.want(200, `{"users":[`+golden(t, "user.json")+`]}`, "GET", "/users", "", accept(formatJSON))
		w.want(200, prolog+`<users>`+strings.TrimPrefix(golden(t, "user.xml"), prolog)+`</users>`, "GET", "/users", "")
		w.wantError(409, "UserAlreadyExistsException", "Could not create new user", "mira", "POST", "/users", body)
		w.want(200, "", "DELETE", "/users/mira", "")
		w.wantError(404, "UserNotFoundException", "Could not get user", "mira", "GET", "/users/mira", "")
		w.wantError(404, "UserNotFoundException", "Could not get user", "mira", "DELETE", "/users/mira", "")
		w.wantAudit("created new user mira", "deleted user mira")
		if strings.Contains(w.audit.text(), "s3cr3t!") || strings.Contains(w.log.String(), "s3cr3t!") {
			t.Error("the audit log or the log tells the password")
		}
		e := w.audit.entries[0]
		if e.Username != "rest-secret" || e.Via != "REST" || e.Address != "192.0.2.1" || e.Node != "chat-0" || e.Time.IsZero() {
			t.Errorf("audit entry %+v", e)
		}
		if want := "name = Mira Okafor\nemail = mira@mail.example\nproperties = team"; e.Details != want {
			t.Errorf("audit details %q, want %q", e.Details, want)
		}
	}
}

// The oldest dialect, as libraries still send it.
func TestCreateUserOldDialect(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/users", `{"username":"mira","password":"s3cr3t!","name":null,"email":null,
 "properties":{"property":[{"@key":"team","@value":"north"},{"@key":"desk","@value":"12"}]}}`)
	w.want(200, `{"username":"mira","name":"","properties":[{"key":"desk","value":"12"},{"key":"team","value":"north"}]}`,
		"GET", "/users/mira", "", accept(formatJSON))
}

func TestCreateUserRefusals(t *testing.T) {
	const illegal = "IllegalArgumentException"
	w := newWorld(t)
	for _, body := range []string{`{"username":"","password":"x"}`, `{"username":"  ","password":"x"}`, `<user><username/><password>x</password></user>`, `{"users":[]}`, `null`} {
		w.wantError(400, illegal, "Could not create new user", "users", "POST", "/users", body)
	}
	for _, body := range []string{`{}`, `{"name":"mira","password":"x"}`, `{"username":null,"password":"x"}`, `<user><password>x</password></user>`,
		`{"users":[{"username":"mira","password":"x"},{"password":"x"}]}`} {
		w.wantError(400, illegal, "Could not create new user, because username is missing", "users", "POST", "/users", body)
	}
	w.wantError(400, illegal, "Could not create new user", "users", "POST", "/users", "", header("Content-Type", formatJSON))
	w.wantError(400, illegal, "Could not create new user", "users", "POST", "/users", "")
	w.wantError(400, "PasswordIsNull", "Could not create new user, because password is null", "mira", "POST", "/users", `{"username":"mira"}`)
	w.wantError(400, "PasswordIsNull", "Could not create new user, because password is null", "mira", "POST", "/users", `{"username":"mira","password":false}`)
	w.wantError(400, illegal, "Could not create new user, because the password is empty", "mira", "POST", "/users", `{"username":"mira","password":""}`)
	// The characters that RFC 7622 §3.3.1 excludes, a blank, and another server's user.
	for _, name := range []string{"a b", `a\"b`, "a&b", "a'b", "a/b", "a:b", "a<b", "a>b", "mira@other.example", "a@b@chat.example", "@chat.example", strings.Repeat("x", 1024)} {
		got := w.send("POST", "/users", `{"username":"`+name+`","password":"x"}`)
		if got.Code != 400 || !entityLike(got.Body.String(), illegal) {
			t.Errorf("%q: %d %s", name, got.Code, got.Body)
		}
	}
	for _, body := range []string{`{`, `<user>`, `{"username":["mira"],"password":"x"}`, `<group/>`, `{"username":"mira","password":"x","properties":[{"key":"a","value":"1"},{"key":"a","value":"2"}]}`,
		`{"username":"mira","password":"x","properties":"a"}`, "\"mira\"", `<!DOCTYPE user><user><username>mira</username><password>x</password></user>`} {
		got := w.send("POST", "/users", body)
		if got.Code != 400 || !entityLike(got.Body.String(), illegal) {
			t.Errorf("%s: %d %s", body, got.Code, got.Body)
		}
	}
	if n := len(w.directory.Users()); n != 0 {
		t.Errorf("%d users exist", n)
	}
	w.wantAudit()
}

// Usernames are prepared (RFC 7622 §3.3), and escapes (XEP-0106) stay as they are.
func TestUsernamePreparation(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/users", `{"username":"Jane","password":"x"}`)
	w.want(201, "", "POST", "/users", `{"username":"mira\\20o","password":"x"}`)
	w.want(201, "", "POST", "/users", `{"username":"ЖАННА@chat.example","password":"x"}`)
	w.want(201, "", "POST", "/users", `{"username":"a+b;c=d","password":"x"}`)
	for _, path := range []string{"/users/jane", "/users/Jane", "/users/%6Aane", "/users/jane%40chat.example", "/users/mira%5C20o", "/users/%D0%B6анна", "/users/a+b;c=d", "/users/a%2Bb%3Bc=d"} {
		if got := w.send("GET", path, "", accept(formatJSON)); got.Code != 200 {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	w.wantError(409, "UserAlreadyExistsException", "Could not create new user", "JANE", "POST", "/users", `{"username":"JANE","password":"x"}`)
	// What can be no username is not there for a GET and a mistake for everything else.
	for _, path := range []string{"/users/a%20b", "/users/jane%40other.example", "/users/a%2Fb", "/users/%00"} {
		if got := w.send("GET", path, ""); got.Code != 404 || !entityLike(got.Body.String(), "UserNotFoundException") {
			t.Errorf("GET %s: %d %s", path, got.Code, got.Body)
		}
		if got := w.send("DELETE", path, ""); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
			t.Errorf("DELETE %s: %d %s", path, got.Code, got.Body)
		}
	}
}

// A list is created whole or not at all.
func TestCreateSeveralUsers(t *testing.T) {
	for _, body := range []string{
		`{"users":[{"username":"ann","password":"a"},{"username":"ben","password":"b"}]}`,
		`{"user":[{"username":"ann","password":"a"},{"username":"ben","password":"b"}]}`,
		`<users><user><username>ann</username><password>a</password></user><user><username>ben</username><password>b</password></user></users>`,
	} {
		w := newWorld(t)
		w.want(201, "", "POST", "/users", body)
		if !w.canLogIn("ann", "a") || !w.canLogIn("ben", "b") {
			t.Errorf("%s: they cannot log in", body)
		}
		w.wantAudit("created new user ann", "created new user ben")

		w = newWorld(t)
		w.create("ben", "old")
		w.wantError(409, "UserAlreadyExistsException", "Could not create new user", "ben", "POST", "/users", body)
		if _, exists := w.directory.User("ann"); exists || !w.canLogIn("ben", "old") {
			t.Error("a refused list changed something")
		}
		w.wantAudit()
	}
	w := newWorld(t)
	w.wantError(409, "UserAlreadyExistsException", "Could not create new user", "ANN", "POST", "/users",
		`{"users":[{"username":"ann","password":"a"},{"username":"ANN","password":"b"}]}`)
	w.wantError(400, "PasswordIsNull", "Could not create new user, because password is null", "ben", "POST", "/users",
		`{"users":[{"username":"ann","password":"a"},{"username":"ben"}]}`)
	if n := len(w.directory.Users()); n != 0 {
		t.Errorf("%d users exist", n)
	}
}

// Of eight creations of one name at the same time one wins, and only its password works.
func TestCreateUserRace(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	codes := make([]int, 8)
	for i := range codes {
		wg.Go(func() {
			codes[i] = w.send("POST", "/users", fmt.Sprintf(`{"username":"mira","password":"pw-%d"}`, i)).Code
		})
	}
	wg.Wait()
	winners := 0
	for i, code := range codes {
		switch code {
		case 201:
			winners++
		case 409:
		default:
			t.Errorf("status %d", code)
		}
		if w.canLogIn("mira", fmt.Sprintf("pw-%d", i)) != (code == 201) {
			t.Errorf("caller %d got %d, and its password works: %v", i, code, code != 201)
		}
	}
	if winners != 1 {
		t.Errorf("%d winners: %v", winners, codes)
	}
	w.wantAudit("created new user mira")
}

func TestUpdateUser(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/users", `{"username":"mira","password":"one","name":"Mira","email":"m@x","properties":[{"key":"a","value":"1"}]}`)
	show := func(want string) {
		t.Helper()
		w.want(200, want, "GET", "/users/mira", "", accept(formatJSON))
	}
	// Absent name, email and password stay; properties are always replaced.
	w.want(200, "", "PUT", "/users/mira", `{"properties":[{"key":"b","value":"2"}]}`)
	show(`{"username":"mira","name":"Mira","email":"m@x","properties":[{"key":"b","value":"2"}]}`)
	w.want(200, "", "PUT", "/users/mira", `<user><username>MIRA</username><name>M.</name></user>`)
	show(`{"username":"mira","name":"M.","email":"m@x","properties":[]}`)
	// Blank means unset, null and false mean absent.
	w.want(200, "", "PUT", "/users/mira", `{"username":"mira@chat.example","name":" ","email":null}`)
	show(`{"username":"mira","name":"","email":"m@x","properties":[]}`)
	w.want(200, "", "PUT", "/users/mira", `{"name":false,"email":""}`)
	show(`{"username":"mira","name":"","properties":[]}`)
	if !w.canLogIn("mira", "one") {
		t.Error("the password didn't stay")
	}
	w.want(200, "", "PUT", "/users/mira", `{"password":"two"}`)
	if w.canLogIn("mira", "one") || !w.canLogIn("mira", "two") {
		t.Error("the password wasn't changed")
	}
	// Nothing does nothing.
	w.want(200, "", "PUT", "/users/mira", "", header("Content-Type", formatJSON))
	w.want(200, "", "PUT", "/users/mira", "")
	w.wantError(400, "IllegalArgumentException", "Could not update the user, because the password is empty", "mira", "PUT", "/users/mira", `{"password":""}`)
	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "PUT", "/users/nobody7", `{"name":"x"}`)
	const edited = "edited user mira"
	w.wantAudit("created new user mira", edited, edited, edited, edited, edited)
	// What is cleared is told as well.
	for i, want := range map[int]string{2: "name = M.\nproperties removed = b", 3: "name = ", 4: "email = "} {
		if got := w.audit.entries[i].Details; got != want {
			t.Errorf("details of entry %d: %q, want %q", i, got, want)
		}
	}
	if text := w.audit.text(); strings.Contains(text, "two") || !strings.Contains(text, "password = changed") {
		t.Errorf("audit log: %s", text)
	}
	w.refuse(directory.ErrNotYetActive)
	w.wantError(504, "NotYetActiveException", "written, not yet active: it will be in force shortly", "mira", "PUT", "/users/mira", `{"name":"x"}`)
	w.refuse(directory.ErrNotFound)
	w.wantError(404, "UserNotFoundException", "Could not get user", "mira", "PUT", "/users/mira", `{"name":"x"}`)
	w.wantError(404, "UserNotFoundException", "Could not get user", "mira", "DELETE", "/users/mira", "")
	w.refuse(&directory.ManagedError{Field: "spec.displayName", Manager: "flux"})
	w.want(409, errorJSON("ManagedByOther", `spec.displayName is declared by \"flux\": change it there`, "mira"), "PUT", "/users/mira", `{"name":"x"}`, accept(formatJSON))
}

// A different username in the body renames (§8.2): the old password stays, name and email unless the body has them, and properties unless it has some.
func TestRenameUser(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/users", `{"username":"mira","password":"one","name":"Mira","email":"m@x","properties":[{"key":"a","value":"1"}]}`)
	w.want(201, "", "POST", "/users", `{"username":"tobias","password":"one"}`)
	w.want(201, "", "POST", "/users/tobias/roster", `{"jid":"mira@chat.example","nickname":"M","subscriptionType":3}`)
	w.wantError(409, "UserAlreadyExistsException", "Could not create new user", "tobias", "PUT", "/users/mira", `{"username":"tobias"}`)
	w.wantError(404, "UserNotFoundException", "Could not find user", "nobody7", "PUT", "/users/nobody7", `{"username":"jana"}`)
	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "PUT", "/users/nobody7", `{"username":"Nobody7"}`)
	for _, bad := range []string{"a b", "jana@other.example"} {
		if got := w.send("PUT", "/users/mira", `{"username":"`+bad+`"}`); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
			t.Errorf("%q: %d %s", bad, got.Code, got.Body)
		}
	}
	w.want(200, "", "PUT", "/users/mira", `{"username":"Jana@chat.example","name":" ","email":"j@x","password":"two","properties":[]}`)
	w.want(200, `{"username":"jana","name":"Mira","email":"j@x","properties":[{"key":"a","value":"1"}]}`, "GET", "/users/jana", "", accept(formatJSON))
	w.wantError(404, "UserNotFoundException", "Could not get user", "mira", "GET", "/users/mira", "")
	if !w.canLogIn("jana", "one") || w.canLogIn("jana", "two") || w.canLogIn("mira", "one") {
		t.Error("the old password is that of the new account, and of no other")
	}
	w.want(200, `{"rosterItem":[{"jid":"jana@chat.example","nickname":"M","subscriptionType":3,"groups":[]}]}`, "GET", "/users/tobias/roster", "", accept(formatJSON))
	w.want(200, "", "PUT", "/users/jana", `<user><username>mira</username><properties><property key="b" value="2"/></properties></user>`)
	w.want(200, `{"username":"mira","name":"Mira","email":"j@x","properties":[{"key":"b","value":"2"}]}`, "GET", "/users/mira", "", accept(formatJSON))
	if text := w.audit.text(); !strings.Contains(text, "edited user jana") || !strings.Contains(text, "renamed from = mira") || strings.Contains(text, "two") {
		t.Errorf("audit log: %s", text)
	}
	w.refuse(&directory.ManagedError{Field: "spec.displayName", Manager: "flux"})
	w.want(409, errorJSON("ManagedByOther", `spec.displayName is declared by \"flux\": change it there`, "jana"), "PUT", "/users/mira", `{"username":"jana"}`, accept(formatJSON))
}

func TestListUsers(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		`{"username":"zoë","password":"x","properties":[{"key":"team","value":"north"}]}`,
		`{"username":"ann","password":"x","properties":[{"key":"team","value":"south"}]}`,
		`{"username":"joanna","password":"x","properties":[{"key":"team","value":""}]}`,
		`{"username":"ben;x","password":"x"}`,
	} {
		w.want(201, "", "POST", "/users", body)
	}
	for path, want := range map[string]string{
		"/users":                                      "ann ben;x joanna zoë",
		"/users/":                                     "ann ben;x joanna zoë",
		"/users?search=":                              "ann ben;x joanna zoë",
		"/users?search=ann":                           "ann joanna",
		"/users?search=ANN":                           "ann joanna",
		"/users?search=ZO%C3%8B":                      "zoë",
		"/users?search=ZOE%CC%88":                     "zoë",
		"/users?search=ANN%20B":                       "",
		"/users?search=a*":                            "",
		"/users?search=n;x":                           "ben;x",
		"/users?propertyKey=team":                     "ann joanna zoë",
		"/users?propertyKey=team&search=zo":           "ann joanna zoë",
		"/users?propertyKey=team&propertyValue=north": "zoë",
		"/users?propertyKey=team&propertyValue=North": "",
		"/users?propertyKey=team&propertyValue=":      "joanna",
		"/users?propertyKey=Team":                     "",
		"/users?propertyValue=north":                  "ann ben;x joanna zoë",
		"/users?propertyKey=&search=zo":               "zoë",
		"/users?offset=1":                             "ben;x joanna zoë",
		"/users?limit=2":                              "ann ben;x",
		"/users?limit=0":                              "",
		"/users?offset=3&limit=5":                     "zoë",
		"/users?offset=9":                             "",
	} {
		got := w.send("GET", path, "", accept(formatJSON))
		var names []string
		for _, part := range strings.Split(got.Body.String(), `"username":"`)[1:] {
			name, _, _ := strings.Cut(part, `"`)
			names = append(names, name)
		}
		if got.Code != 200 || strings.Join(names, " ") != want {
			t.Errorf("%s: %d %q, want %q", path, got.Code, strings.Join(names, " "), want)
		}
		if strings.Contains(path, "set=") || strings.Contains(path, "limit=") {
			if total := got.Header().Get("X-Total-Count"); total != "4" {
				t.Errorf("%s: X-Total-Count %q", path, total)
			}
		}
	}
	w.want(200, `{"users":[]}`, "GET", "/users?search=nobody", "", accept(formatJSON))
	w.want(200, prolog+`<users/>`, "GET", "/users?search=nobody", "")
	for _, q := range []string{"offset=x", "limit=-1", "limit=1.5", "search=%zz", "search=%FF"} {
		if got := w.send("GET", "/users?"+q, ""); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
			t.Errorf("%s: %d %s", q, got.Code, got.Body)
		}
	}
}

// A list is as long as can be taken back while its caller waits.
func TestCreateTooManyUsers(t *testing.T) {
	w := newWorld(t)
	list := strings.TrimSuffix(strings.Repeat(`{"username":"x","password":"x"},`, 1001), ",")
	if got := w.send("POST", "/users", `{"users":[`+list+`]}`); got.Code != 400 || !strings.Contains(got.Body.String(), "at most 1000") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// purgeFails deletes, and then cannot purge.
type purgeFails struct{ restserver.Proposer }

func (p purgeFails) DeleteUser(ctx context.Context, by directory.Actor, username string) error {
	if err := p.Proposer.DeleteUser(ctx, by, username); err != nil {
		return err
	}
	return errors.New("the disk is full")
}

// An account that is gone was deleted, whatever failed after that.
func TestDeletionIsRecordedThoughThePurgeFails(t *testing.T) {
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Proposer = purgeFails{d.Proposer} })
	w.create("mira", "x")
	if got := w.send("DELETE", "/users/mira", ""); got.Code != 500 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	w.wantAudit("deleted user mira")
	w.create("tobias", "x")
	w.refuse(errors.New("no"))
	w.send("DELETE", "/users/tobias", "")
	w.wantAudit("deleted user mira")
}

// A creation whose caller hangs up is finished and recorded.
func TestCallerHangsUp(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.send("POST", "/users", `{"username":"mira","password":"x"}`, func(r *httpRequest) { *r = *r.WithContext(ctx) })
	if !w.canLogIn("mira", "x") {
		t.Error("half a creation")
	}
	w.wantAudit("created new user mira")
}

// Fields that nobody knows are ignored and mentioned once.
func TestUnknownFields(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.want(201, "", "POST", "/users", fmt.Sprintf(`{"username":"u%d","password":"x","isAdmin":true}`, i))
	}
	if n := strings.Count(w.log.String(), "isAdmin"); n != 1 {
		t.Errorf("mentioned %d times: %s", n, w.log)
	}
	if u, _ := w.directory.User("u0"); u.Admin {
		t.Error("a field nobody knows made an administrator")
	}
}
