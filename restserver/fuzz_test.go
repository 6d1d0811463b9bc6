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

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// FuzzRequest sends anything to anywhere: the answer is never a server error and never a redirect,
// what isn't a success is the error entity, and what is one parses.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{"/users", "/users/mira", "/users/mira%2F", "/users/mira/roster", "/users/mira/roster/tobias@chat.example", "/users/mira/vcard", "/messages/users", "/messages/users/mira", "/archive/messages/unread/mira@chat.example", "/logs/security?username=mira&offset=0&limit=5&startTime=1&endTime=2", "/clustering/status", "/clustering/nodes", "/clustering/nodes/a", "/users/mira/groups", "/users/ada@other.example/groups/Ops", "/groups", "/groups/Ops", "/lockouts", "/lockouts/mira", "/sessions", "/sessions/mira",
		"/system/properties", "/system/properties/plugin.restapi.secret", "/system/statistics/sessions", "/system/liveness", "/system/readiness/connections", "/userservice?type=update&username=mira&groups=a,b&secret=correct-horse-battery", "/plugins/restapi/userservice?type=add_roster&username=mira&item_jid=a@b&subscription=x&secret=correct-horse-battery",
		"/plugins/userService/userservice?type=usergrouplist&secret=correct-horse-battery", "/plugins/userService/users", "/plugins/userService/properties/a/b", "/plugins/userService/lockouts/mira",
		"/users?search=%zz&offset=-1", "/users/%00", "/users/..%2f", "/nothing",
		"/chatrooms", "/chatrooms?servicename=lab&search=%20&type=all&limit=1", "/chatrooms/bulk?servicename=..", "/chatrooms/atrium", "/chatrooms/atrium?expandGroups=true&sendInvitations=true", "/chatrooms/a%2Fb",
		"/chatrooms/atrium/participants", "/chatrooms/atrium/occupants?offset=9", "/chatrooms/atrium/chathistory?before=2031-04-05T06:07:08+02:00&limit=3&offset=1", "/chatrooms/atrium/chathistory?before=-9223372036854775808",
		"/chatrooms/atrium/invite", "/chatrooms/atrium/invite/mira", "/chatrooms/atrium/owners", "/chatrooms/atrium/members/tobias@chat.example", "/chatrooms/atrium/members/9pkmeq3k419mgqb6eg@chat.example%2Fcc29",
		"/chatrooms/atrium/outcasts/group/%F0%9F%8C%99", "/chatservices", "/messages/rooms/atrium"} {
		for i, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"} {
			f.Add(method, path, []string{"", "*/*", formatJSON, formatXML + ";q=0", "x"}[i%5], []string{formatJSON, formatXML, "", "text/plain"}[i%4], mainSecret, []byte(`{"username":"mira","password":"x"}`))
		}
	}
	for _, form := range []string{"type=add&username=a+b@c&password=x&groups=a,,%20b&name=%26", "type=delete_roster&username=mira&item_jid=%00", "type=&username=%ff", "type=update&username=mira&groups=" + strings.Repeat("a,", 99)} {
		f.Add("POST", "/userservice?secret="+mainSecret, "", "application/x-www-form-urlencoded", "", []byte(form))
	}
	for _, body := range []string{`{"jid":"tobias","subscriptionType":3}`, `{"key":"a","value":false}`, `{"users":[{"username":"a","password":"b"}]}`, `<user><username>a</username><password>b</password></user>`,
		`<rosterItem><jid>a@b</jid></rosterItem>`, `<property key="a" value="b"/>`, `{"groupnames":["Ops","North"],"groupname":"Ops"}`, `["Ops"]`, `{"name":"Ops","members":["mira","ada@other.example"],"admins":{"admin":"tobias"},"shared":"true"}`,
		`<group><name>Ops</name><members><member>mira</member></members></group>`, `<groups><groupname>Ops</groupname></groups>`, `[[[`, `{"username":{"a":[1,2]}}`, `<!DOCTYPE a>`, `<vCard xmlns="vcard-temp"><FN a:b="c" xmlns:a="d">Mira</FN></vCard>`, `null`, "\xef\xbb\xbf{}",
		`{"roomName":"atrium","owners":{"owner":"mira"},"memberGroups":["Ops",null],"broadcastPresenceRoles":"visitor","maxUsers":1e9,"allowPM":false}`, `<chatRooms><chatRoom><roomName>a</roomName></chatRoom><chatRoom/></chatRooms>`,
		`{"chatRooms":[{"roomName":"a","subject":"b","password":"c"},{"roomName":"\u0000"}]}`, `{"reason":"x","jidsToInvite":["mira","Ops","@","a@b@c","chat.example"]}`, `["mira","/","@chat.example",""]`,
		`<members><member>tobias</member></members>`, `{"serviceName":"lab","hidden":"true"}`, `{"body":"hello"}`} {
		kind := formatJSON
		if strings.HasPrefix(body, "<") {
			kind = formatXML
		}
		for _, path := range []string{"/users", "/users/mira", "/users/mira/roster", "/users/mira/groups", "/users/mira/vcard", "/messages/users", "/messages/users/mira", "/groups", "/groups/Ops", "/system/properties", "/system/properties/a",
			"/chatrooms", "/chatrooms/bulk", "/chatrooms/atrium", "/chatrooms/atrium/members", "/chatrooms/atrium/invite", "/chatservices", "/messages/rooms/atrium"} {
			f.Add("POST", path, "", kind, mainSecret, []byte(body))
			f.Add("PUT", path, formatJSON, kind, "Basic "+body, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, method, target, accepted, contentType, authorization string, body []byte) {
		if !strings.HasPrefix(target, "/plugins/") {
			target = restserver.Base + target
		}
		u, err := url.ParseRequestURI(target)
		if err != nil || len(body) > 1<<16 {
			t.Skip() // net/http answers such a request line itself
		}
		w := newWorld(t)
		w.create("mira", "x")
		w.selectNorth("zoe", "North")
		w.group("Ops", "mira")
		if err := w.local.CreateRoom(t.Context(), directory.Actor{}, "atrium", "conference", directory.RoomUpdate{
			Affiliations: []directory.Affiliation{{JID: jid.MustParse("mira@" + domain), Affiliation: directory.AffiliationOwner}},
		}); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", bytes.NewReader(body))
		r.Method, r.URL = method, u
		r.Header = http.Header{"Accept": {accepted}, "Content-Type": {contentType}, "Authorization": {authorization}}
		got := httptest.NewRecorder()
		w.handler.ServeHTTP(got, r)

		switch {
		case got.Code < 200 || got.Code >= 500 || got.Code >= 300 && got.Code < 400:
			t.Errorf("status %d: %s", got.Code, got.Body)
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
		if got.Code == http.StatusOK && authorization == "" && method == http.MethodGet && strings.HasPrefix(u.Path, restserver.Base+"/users") {
			t.Error("answered without authorization")
		}
	})
}

func wantWellFormed(t *testing.T, got *httptest.ResponseRecorder) {
	t.Helper()
	switch kind := got.Header().Get("Content-Type"); kind {
	case formatJSON:
		if !json.Valid(got.Body.Bytes()) {
			t.Errorf("not JSON: %q", got.Body)
		}
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
