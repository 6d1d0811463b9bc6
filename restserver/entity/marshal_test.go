package entity_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

// The files in testdata are bytes that the original sent, not what this package
// made: nothing rewrites them.
func golden(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMain(m *testing.M) {
	// The examples come from a server two hours east of UTC.
	time.Local = time.FixedZone("", 2*60*60)
	os.Exit(m.Run())
}

func ptr(s string) *string { return &s }

func mira() entity.User {
	return entity.User{Username: "mira", Name: ptr("Mira Okafor"), Email: ptr("mira@mail.example"), Password: ptr("s3cr3t!"),
		Properties: []entity.Property{{Key: "team", Value: "north"}}}
}

func TestMarshalGolden(t *testing.T) {
	for name, e := range map[string]entity.Entity{
		"user":     mira(),
		"property": entity.Property{Key: "site.motto", Value: "be kind"},
		"error":    entity.Error{Exception: "UserNotFoundException", Message: "Could not get user", Resource: "nobody7"},
		"roster": entity.Roster{{JID: "tobias@chat.example", Nickname: ptr("Tobi"), Subscription: 3,
			Groups: []string{"Friends"}}},
		"group": entity.Group{Name: "Ops", Description: "People on call", Admins: []string{"mira@chat.example"}, HasAdmins: true,
			Members: []string{"tobias@chat.example"}, HasMembers: true},
		// The answer of the reference's §7.2 with both keys.
		"user-groups":    entity.UserGroups{"Ops", "Night Shift"},
		"logs":           entity.AuditLog{{ID: 41, Username: "mira", Time: time.UnixMilli(1933128428999), Summary: "locked out user tobias", Node: "chat1.example", Details: "…"}},
		"archive":        entity.Unread{JID: "tobias@chat.example", Count: 4},
		"clustering":     entity.Clustering{Status: "Disabled"},
		"cluster-node":   entity.ClusterNode{HostName: "chat1.example (192.0.2.1)", NodeID: "0f3a…", Joined: time.UnixMilli(1933128428123), Senior: true},
		"sessions-count": entity.SessionsCount{Local: 3, Cluster: 7},
		"sessions": entity.Sessions{{SessionID: "tobias@chat.example/phone", Username: "tobias", Resource: "phone", Node: "Local",
			SessionStatus: "Authenticated", PresenceStatus: "Away", PresenceMessage: "lunch", Priority: 5,
			HostAddress: "192.0.2.44", HostName: "192.0.2.44",
			CreationDate: time.UnixMilli(1933128428123), LastActionDate: time.UnixMilli(1933129800250), Secure: true}},
	} {
		for f, ext := range map[entity.Format]string{entity.XML: ".xml", entity.JSON: ".json"} {
			if got, want := string(entity.Marshal(f, e)), golden(t, name+ext); got != want {
				t.Errorf("%s\n got %s\nwant %s", name+ext, got, want)
			}
		}
	}
}

const prolog = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`

// Empty and absent things, by the rules of XML out and JSON out.
func TestMarshalEmpty(t *testing.T) {
	for _, c := range []struct {
		entity    entity.Entity
		xml, json string
	}{
		{entity.Users(nil), `<users/>`, `{"users":[]}`},
		{entity.Roster(nil), `<roster/>`, `{"rosterItem":[]}`},
		{entity.Properties(nil), `<properties/>`, `{"property":[]}`},
		{entity.Sessions(nil), `<sessions/>`, `{"sessions":[]}`},
		{entity.AuditLog(nil), `<logs/>`, `{"logs":[]}`},
		{entity.AuditLog{{ID: 1, Time: time.Unix(2, 0)}},
			`<logs><log><logId>1</logId><node></node><summary></summary><timestamp>2</timestamp><username></username></log></logs>`,
			`{"logs":[{"logId":1,"username":"","timestamp":2,"summary":"","node":""}]}`},
		{entity.ClusterNodes(nil), `<clusterNodes/>`, `{"clusterNodes":[]}`},
		{entity.Lockouts(nil), `<lockouts/>`, `{"lockouts":[]}`},
		{entity.Groups(nil), `<groups/>`, `{"groups":[]}`},
		{entity.UserGroups(nil), `<groups/>`, `{"groupnames":[],"groupname":[]}`},
		{entity.Groups{{Name: "Ops", Shared: true}},
			`<groups><group><name>Ops</name><shared>true</shared></group></groups>`,
			`{"groups":[{"name":"Ops","shared":true}]}`},
		{entity.Group{Name: "Ops", HasAdmins: true, HasMembers: true},
			`<group><name>Ops</name><admins/><members/><shared>false</shared></group>`,
			`{"name":"Ops","admins":[],"members":[],"shared":false}`},
		{entity.Users{{Username: "jo"}},
			`<users><user><username>jo</username><name></name><properties/></user></users>`,
			`{"users":[{"username":"jo","name":"","properties":[]}]}`},
		{entity.RosterItem{JID: "a@b"},
			`<rosterItem><jid>a@b</jid><subscriptionType>0</subscriptionType><groups/></rosterItem>`,
			`{"jid":"a@b","subscriptionType":0,"groups":[]}`},
		{entity.Properties{{Key: "a"}, {Key: "b", Value: "c"}},
			`<properties><property key="a" value=""/><property key="b" value="c"/></properties>`,
			`{"property":[{"key":"a","value":""},{"key":"b","value":"c"}]}`},
		{entity.Error{Exception: "X"},
			`<error><exception>X</exception><message></message><resource></resource></error>`,
			`{"resource":"","message":"","exception":"X"}`},
		{entity.Lockouts{{Username: "jo", Locked: true}, {Username: "ky"}},
			`<lockouts><lockout><username>jo</username><locked>true</locked></lockout><lockout><username>ky</username><locked>false</locked></lockout></lockouts>`,
			`{"lockouts":[{"username":"jo","locked":true},{"username":"ky","locked":false}]}`},
	} {
		if got := string(entity.Marshal(entity.XML, c.entity)); got != prolog+c.xml {
			t.Errorf("got %s, want %s", got, prolog+c.xml)
		}
		if got := string(entity.Marshal(entity.JSON, c.entity)); got != c.json {
			t.Errorf("got %s, want %s", got, c.json)
		}
	}
}

func TestMarshalEscapes(t *testing.T) {
	e := entity.Property{Key: "<&>\"'\t\n\r", Value: "ж\u2028\x01\xff\\/"}
	if got, want := string(entity.Marshal(entity.XML, e)),
		prolog+`<property key="&lt;&amp;&gt;&quot;'&#x9;&#xA;&#xD;" value="ж`+"\u2028\uFFFD\uFFFD"+`\/"/>`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := string(entity.Marshal(entity.JSON, e)),
		`{"key":"<&>\"'\t\n\r","value":"ж`+"\u2028"+`\u0001`+"\uFFFD"+`\\/"}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	text := entity.Error{Message: "a\"<&>\r\n\t]]>"}
	if got, want := string(entity.Marshal(entity.XML, text)),
		prolog+"<error><exception></exception><message>a\"&lt;&amp;&gt;&#xD;\n\t]]&gt;</message><resource></resource></error>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The fraction has three digits or isn't there; UTC is "Z".
func TestMarshalDates(t *testing.T) {
	defer func(zone *time.Location) { time.Local = zone }(time.Local)
	at := time.Date(2031, 4, 5, 4, 7, 8, 0, time.UTC)
	for _, c := range []struct {
		zone *time.Location
		time time.Time
		want string
	}{
		{time.FixedZone("", 7200), at.Add(120 * time.Millisecond), "2031-04-05T06:07:08.120+02:00"},
		{time.FixedZone("", 7200), at, "2031-04-05T06:07:08+02:00"},
		{time.FixedZone("", -12600), at.Add(999999), "2031-04-05T00:37:08-03:30"},
		{time.UTC, at.Add(time.Millisecond), "2031-04-05T04:07:08.001Z"},
	} {
		time.Local = c.zone
		got := string(entity.Marshal(entity.XML, entity.Session{CreationDate: c.time}))
		if want := "<creationDate>" + c.want + "</creationDate>"; !contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
