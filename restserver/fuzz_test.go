package restserver_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// FuzzRequest sends anything to anywhere: the answer is never a server error and never a redirect,
// what isn't a success is the error entity, and what is one parses.
func FuzzRequest(f *testing.F) {
	for i, s := range seeds(f) {
		f.Add(s.method, s.path, []string{formatJSON, formatXML}[i%2], s.kind, mainSecret, "", []byte(s.body))
		f.Add([]string{"PATCH", "OPTIONS", "HEAD"}[i%3], s.path, "", s.kind, "", "", []byte(s.body))
	}
	add := func(method, path, accepted, kind string, body []byte) {
		f.Add(method, path, accepted, kind, mainSecret, "", body)
	}
	// Paths that nobody has meant.
	for _, path := range []string{
		"/users/mira%2F", "/users/ada@other.example/groups/Ops", "/users?search=%zz&offset=-1", "/users/%00", "/users/..%2f", "/nothing", "/users?propertyKey=a&propertyValue=&limit=99999999999999999999",
		"/logs/security?username=mira&offset=0&limit=5&startTime=1&endTime=2", "/system/properties/plugin.restapi.secret", "/system/readiness/connections?connectionType=SOCKET_C2S&encrypted=x",
		"/userservice?type=update&username=mira&groups=a,b&secret=" + mainSecret, "/plugins/restapi/userservice?type=add_roster&username=mira&item_jid=a@b&subscription=x&secret=" + mainSecret,
		"/plugins/userService/userservice?type=usergrouplist&secret=" + mainSecret, "/plugins/userService/properties/a%2Fb/%ff",
		"/chatrooms?servicename=lab&search=%20&type=all&limit=1", "/chatrooms/bulk?servicename=..", "/chatrooms/atrium?expandGroups=true&sendInvitations=true", "/chatrooms/a%2Fb",
		"/chatrooms/atrium/occupants?offset=9", "/chatrooms/atrium/chathistory?before=2031-04-05T06:07:08+02:00&limit=3&offset=1", "/chatrooms/atrium/chathistory?before=-9223372036854775808",
		"/chatrooms/atrium/members/9pkmeq3k419mgqb6eg@chat.example%2Fcc29", "/chatrooms/atrium/outcasts/group/%F0%9F%8C%99",
	} {
		for i, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			add(method, path, []string{"", "*/*", formatXML + ";q=0", "x"}[i], []string{formatJSON, formatXML, "", "text/plain"}[i], []byte(`{"username":"mira","password":"x"}`))
		}
	}
	for _, form := range []string{"type=add&username=a+b@c&password=x&groups=a,,%20b&name=%26", "type=delete_roster&username=mira&item_jid=%00", "type=&username=%ff", "type=update&username=mira&groups=" + strings.Repeat("a,", 99)} {
		f.Add("POST", "/userservice?secret="+mainSecret, "", "application/x-www-form-urlencoded", "", "", []byte(form))
	}
	// Bodies in the dialects of older programs, and what isn't any.
	for _, body := range []string{
		`{"jid":"tobias","subscriptionType":3}`, `{"key":"a","value":false}`, `{"users":[{"username":"a","password":"b"}]}`, `<users><user><username>a</username><password>b</password></user></users>`,
		`<rosterItem><jid>a@b</jid></rosterItem>`, `{"groupnames":["Ops","North"],"groupname":"Ops"}`, `["Ops"]`, `{"name":"Ops","members":["mira","ada@other.example"],"admins":{"admin":"tobias"},"shared":"true"}`,
		`<groups><groupname>Ops</groupname></groups>`, `[[[`, `{"username":"zora"}`, `{"username":{"a":[1,2]}}`, `<!DOCTYPE a>`, `<vCard xmlns="vcard-temp"><FN a:b="c" xmlns:a="d">Mira</FN></vCard>`, `null`, "\xef\xbb\xbf{}",
		`{"roomName":"atrium","owners":{"owner":"mira"},"memberGroups":["Ops",null],"broadcastPresenceRoles":"visitor","maxUsers":1e9,"allowPM":false}`, `<chatRooms><chatRoom><roomName>a</roomName></chatRoom><chatRoom/></chatRooms>`,
		`{"chatRooms":[{"roomName":"a","subject":"b","password":"c"},{"roomName":"\u0000"}]}`, `{"reason":"x","jidsToInvite":["mira","Ops","@","a@b@c","chat.example"]}`, `["mira","/","@chat.example",""]`,
	} {
		kind := formatJSON
		if strings.HasPrefix(body, "<") {
			kind = formatXML
		}
		for _, path := range []string{
			"/users", "/users/mira", "/users/mira/roster", "/users/mira/groups", "/users/mira/vcard", "/messages/users", "/messages/users/mira", "/groups", "/groups/Ops", "/system/properties", "/system/properties/a",
			"/chatrooms", "/chatrooms/bulk", "/chatrooms/atrium", "/chatrooms/atrium/members", "/chatrooms/atrium/invite", "/chatservices", "/messages/rooms/atrium",
		} {
			add("POST", path, "", kind, []byte(body))
			f.Add("PUT", path, formatJSON, kind, "Basic "+body, `W/"`+body[:2]+`", *`, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, method, target, accepted, contentType, authorization, condition string, body []byte) {
		w := newFuzzWorld(t)
		got := w.fuzz(method, target, accepted, contentType, authorization, condition, body)
		switch {
		case got == nil:
			t.Skip()
		case got.Code < 200 || got.Code >= 500 || got.Code >= 300 && got.Code < 400 && !(got.Code == http.StatusNotModified && condition != ""):
			t.Errorf("status %d: %s\n%s", got.Code, got.Body, w.log)
		case method == http.MethodHead:
			if got.Body.Len() > 0 {
				t.Errorf("HEAD with a body: %s", got.Body)
			}
		case got.Code >= 400:
			wantErrorEntity(t, got)
		case got.Body.Len() > 0:
			wantWellFormed(t, got)
		}
		wantCORS(t, got.Header())
		if got.Code == http.StatusOK && authorization == "" && method == http.MethodGet && strings.HasPrefix(target, "/users") {
			t.Error("answered without authorization")
		}
	})
}

// newFuzzWorld is one in which there is something of each kind.
func newFuzzWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.create("mira", "x")
	w.selectNorth("zoe", "North")
	w.group("Ops", "mira")
	by := directory.Actor{}
	if err := w.local.CreateRoom(t.Context(), by, "atrium", "conference", directory.RoomUpdate{
		Affiliations: []directory.Affiliation{
			{JID: jid.MustParse("mira@" + domain), Affiliation: directory.AffiliationOwner}, {JID: jid.MustParse("tobias@" + domain), Affiliation: directory.AffiliationMember},
		},
		GroupAffiliations: []directory.GroupAffiliation{{Group: "Ops", Affiliation: directory.AffiliationMember}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.local.PutContact(t.Context(), by, "mira", directory.Contact{JID: jid.MustParse("tobias@" + domain)}, true); err != nil {
		t.Fatal(err)
	}
	w.set("a.motto", "be kind")
	return w
}

// fuzz sends a request, below the API's base unless its target says otherwise; it gives nothing for one whose line net/http answers itself.
func (w *world) fuzz(method, target, accepted, contentType, authorization, condition string, body []byte) *httptest.ResponseRecorder {
	if !strings.HasPrefix(target, "/plugins/") {
		target = restserver.Base + target
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || len(body) > 1<<16 {
		return nil
	}
	r := httptest.NewRequest(http.MethodGet, "/", bytes.NewReader(body))
	r.Method, r.URL = method, u
	r.Header = http.Header{"Accept": {accepted}, "Content-Type": {contentType}, "Authorization": {authorization}}
	if condition != "" {
		r.Header["If-Match"], r.Header["If-None-Match"] = []string{condition}, []string{condition}
	}
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	return got
}

func wantWellFormed(t *testing.T, got *httptest.ResponseRecorder) {
	t.Helper()
	switch kind := got.Header().Get("Content-Type"); kind {
	case formatJSON:
		if !json.Valid(got.Body.Bytes()) {
			t.Errorf("not JSON: %q", got.Body)
		}
	case "application/yaml":
		var any struct{}
		if err := yaml.Unmarshal(got.Body.Bytes(), &any); err != nil {
			t.Errorf("not YAML: %v", err)
		}
	case "text/html; charset=utf-8":
	case formatXML, "text/xml;charset=UTF-8":
		var any struct{}
		if err := xml.Unmarshal(got.Body.Bytes(), &any); err != nil {
			t.Errorf("not XML: %v: %q", err, got.Body)
		}
	default:
		t.Errorf("Content-Type %q", kind)
	}
}

func wantErrorEntity(t *testing.T, got *httptest.ResponseRecorder) {
	t.Helper()
	var e struct {
		XMLName                      xml.Name `json:"-" xml:"error"`
		Exception, Message, Resource *string
	}
	var x struct {
		XMLName   xml.Name `xml:"error"`
		Exception *string  `xml:"exception"`
		Message   *string  `xml:"message"`
		Resource  *string  `xml:"resource"`
	}
	var err error
	if got.Header().Get("Content-Type") == formatJSON {
		err = json.Unmarshal(got.Body.Bytes(), &e)
	} else {
		err = xml.Unmarshal(got.Body.Bytes(), &x)
		e.Exception, e.Message, e.Resource = x.Exception, x.Message, x.Resource
	}
	if err != nil || e.Exception == nil || *e.Exception == "" || e.Message == nil || *e.Message == "" || e.Resource == nil {
		t.Errorf("status %d without the error entity: %v: %q", got.Code, err, got.Body)
	}
}
