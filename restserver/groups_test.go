package restserver_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// What is created by one format is read by both, byte for byte as the original writes it; creating it again changes nothing.
func TestGroupRoundTrip(t *testing.T) {
	for _, body := range []string{
		golden(t, "group.json"),
		golden(t, "group.xml"),
		// Names of this server's users, in any letter case, and the oldest dialect.
		`{"name":"Ops","description":"People on call","admins":{"admin":"Mira"},"members":{"member":["tobias","TOBIAS@chat.example"]},"shared":"false"}`,
		// Who is in both lists is an admin.
		`{"name":"Ops","description":"People on call","admins":["mira"],"members":["tobias","mira@chat.example/phone"]}`,
	} {
		w := newWorld(t)
		w.want(200, prolog+`<groups/>`, "GET", "/groups", "")
		w.want(200, `{"groups":[]}`, "GET", "/groups", "", accept(formatJSON))
		w.wantError(404, "GroupNotFoundException", "Could not find group", "Ops", "GET", "/groups/Ops", "")
		w.want(201, "", "POST", "/groups/", body)
		w.want(200, golden(t, "group.xml"), "GET", "/groups/Ops", "")
		w.want(200, golden(t, "group.json"), "GET", "/groups/Ops/", "", accept(formatJSON))
		w.want(200, prolog+`<groups><group><name>Ops</name><description>People on call</description><shared>false</shared></group></groups>`, "GET", "/groups", "")
		got := w.want(200, `{"groups":[{"name":"Ops","description":"People on call","shared":false}]}`, "GET", "/groups", "", accept(formatJSON))
		if total := got.Header().Get("X-Total-Count"); total != "1" {
			t.Errorf("X-Total-Count %q", total)
		}
		w.wantError(409, "GroupAlreadyExistsException", "Could not create a group", "Ops", "POST", "/groups", `{"name":"Ops","members":["zed"]}`)
		w.want(200, golden(t, "group.json"), "GET", "/groups/Ops", "", accept(formatJSON))
		w.want(200, "", "DELETE", "/groups/Ops", "")
		w.wantError(404, "GroupNotFoundException", "Could not find group", "Ops", "DELETE", "/groups/Ops", "")
		w.wantAudit("created new group Ops", "deleted group Ops")
		if want := "description = People on call\nmembers added = tobias@chat.example\nadmins added = mira@chat.example"; w.audit.entries[0].Details != want {
			t.Errorf("audit details %q", w.audit.entries[0].Details)
		}
	}
}

// The least that can be sent, as the old readme shows it: without either list.
func TestCreateGroup(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/groups", `{"name":"Night Shift"}`)
	w.want(201, "", "POST", "/groups", `<group><name>дежурные/24;7</name><description>x</description><shared>true</shared></group>`)
	w.want(200, `{"name":"Night Shift","admins":[],"members":[],"shared":false}`, "GET", "/groups/Night%20Shift", "", accept(formatJSON))
	w.want(200, prolog+`<group><name>дежурные/24;7</name><description>x</description><admins/><members/><shared>true</shared></group>`,
		"GET", "/groups/%D0%B4ежурные%2F24;7", "")
	w.wantError(404, "GroupNotFoundException", "Could not find group", "night shift", "GET", "/groups/night%20shift", "")
	if g, _ := w.directory.Group("дежурные/24;7"); g.SharedRoster.Mode != directory.SharedOnlyGroup || g.DisplayName != g.GroupName {
		t.Errorf("%+v", g)
	}
	const illegal, exists = "IllegalArgumentException", "GroupAlreadyExistsException"
	for _, body := range []string{`{}`, `{"name":""}`, `{"name":null,"members":["a"]}`, `{"name":false}`, `<group/>`, `null`} {
		w.wantError(400, illegal, "Could not create new group", "groups", "POST", "/groups", body)
	}
	w.wantError(400, illegal, "Could not create new group", "groups", "POST", "/groups", "", header("Content-Type", formatJSON))
	w.wantError(400, illegal, "Could not create new group", "groups", "POST", "/groups", "")
	w.wantError(409, exists, "Could not create a group", "  ", "POST", "/groups", `{"name":"  "}`)
	for what, body := range map[string]string{
		"member value as a JID: a b@chat.example": `{"name":"Ops","members":["mira","a b@chat.example"]}`,
		"member value as a JID: a/b":              `{"name":"Ops","members":"a/b"}`,
		"member value as a JID: @chat.example":    `<group><name>Ops</name><members><member>@chat.example</member></members></group>`,
		"admin value as a JID: a@b@c":             `{"name":"Ops","admins":["a@b@c"]}`,
	} {
		w.wantError(400, illegal, "Cannot parse a "+what, "Ops", "POST", "/groups", body)
	}
	if n := len(w.directory.Groups()); n != 2 {
		t.Errorf("%d groups", n)
	}
	w.wantAudit("created new group Night Shift", "created new group дежурные/24;7")
	w.refuse(directory.ErrNotYetActive)
	w.wantError(504, "NotYetActiveException", "created, not yet active: it will be in force shortly", "Ops", "POST", "/groups", `{"name":"Ops"}`)
}

// showGroup compares what a GET of a group answers.
func (w *world) showGroup(name, want string) {
	w.t.Helper()
	w.want(200, want, "GET", "/groups/"+name, "", accept(formatJSON))
}

func TestUpdateGroup(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/groups", `{"name":"Ops","description":"on call","admins":["mira"],"members":["tobias","ada@other.example"],"shared":true}`)
	// Lists that are absent stay; description and shared are set.
	w.want(200, "", "PUT", "/groups/Ops", `{"name":"Ops","shared":true}`)
	w.showGroup("Ops", `{"name":"Ops","admins":["mira@chat.example"],"members":["ada@other.example","tobias@chat.example"],"shared":true}`)
	// Those that are there become exactly that.
	w.want(200, "", "PUT", "/groups/Ops", `<group><name>Ops</name><description>again</description><members><member>zed</member><member>tobias@chat.example</member></members></group>`)
	w.showGroup("Ops", `{"name":"Ops","description":"again","admins":["mira@chat.example"],"members":["tobias@chat.example","zed@chat.example"],"shared":false}`)
	// An admin who is made a member is a plain one then, and the reverse.
	w.want(200, "", "PUT", "/groups/Ops", `{"name":"Ops","members":["mira","zed"]}`)
	w.showGroup("Ops", `{"name":"Ops","admins":[],"members":["mira@chat.example","zed@chat.example"],"shared":false}`)
	w.want(200, "", "PUT", "/groups/Ops", `{"name":"Ops","admins":["zed"]}`)
	w.showGroup("Ops", `{"name":"Ops","admins":["zed@chat.example"],"members":["mira@chat.example"],"shared":false}`)
	w.want(200, "", "PUT", "/groups/Ops", `{"name":"Ops","admins":["zed"],"members":["zed","mira"]}`)
	w.showGroup("Ops", `{"name":"Ops","admins":["zed@chat.example"],"members":["mira@chat.example"],"shared":false}`)
	w.want(200, "", "PUT", "/groups/Ops", `{"name":"Ops","admins":[],"members":{"member":[]}}`)
	w.showGroup("Ops", `{"name":"Ops","admins":[],"members":[],"shared":false}`)

	const illegal = "IllegalArgumentException"
	w.wantError(400, illegal, "the name of the path and of the body differ, and groups cannot be renamed: create the new group and delete the old one", "Ops != ops",
		"PUT", "/groups/Ops", `{"name":"ops"}`)
	for _, body := range []string{`{}`, `{"name":""}`, `{"name":" "}`, `<group/>`, `null`} {
		w.wantError(400, illegal, "Could not update new group", "groups", "PUT", "/groups/Ops", body)
	}
	w.wantError(400, illegal, "Could not update new group", "groups", "PUT", "/groups/Ops", "")
	w.wantError(400, illegal, "Could not update new group", "groups", "PUT", "/groups/gone", "", header("Content-Type", formatJSON))
	w.wantError(404, "GroupNotFoundException", "Could not find group", "gone", "PUT", "/groups/gone", `{"name":"gone"}`)
	w.wantError(400, illegal, "Cannot parse a member value as a JID: a b", "Ops", "PUT", "/groups/Ops", `{"name":"Ops","members":["a b"]}`)
	w.wantError(400, illegal, "Cannot parse a admin value as a JID: @x", "Ops", "PUT", "/groups/Ops", `{"name":"Ops","admins":["@x"]}`)
	const edited = "edited group Ops"
	w.wantAudit("created new group Ops", edited, edited, edited, edited, edited, edited)
	if want := "description = \nmembers added = mira@chat.example\nmembers removed = tobias@chat.example\nadmins removed = mira@chat.example"; w.audit.entries[3].Details != want {
		t.Errorf("audit details %q", w.audit.entries[3].Details)
	}

	w.refuse(&directory.ManagedError{Field: `spec.members[="mira"]`, Manager: "flux"})
	managed := `spec.members[=\"mira\"] is declared by \"flux\": change it there`
	w.want(409, errorJSON("ManagedByOther", managed, "Ops"), "PUT", "/groups/Ops", `{"name":"Ops"}`, accept(formatJSON))
	w.want(409, errorJSON("ManagedByOther", managed, "Ops"), "DELETE", "/groups/Ops", "", accept(formatJSON))
	w.refuse(directory.ErrNotFound)
	w.wantError(404, "GroupNotFoundException", "Could not find group", "Ops", "PUT", "/groups/Ops", `{"name":"Ops"}`)
	w.wantError(404, "GroupNotFoundException", "Could not find group", "Ops", "DELETE", "/groups/Ops", "")
	w.refuse(errors.New("no"))
	for _, method := range []string{"PUT", "DELETE"} {
		if got := w.send(method, "/groups/Ops", `{"name":"Ops"}`); got.Code != 500 || !entityLike(got.Body.String(), "InternalServerErrorException") {
			t.Errorf("%s: %d %s", method, got.Code, got.Body)
		}
	}
}

// selectNorth makes a user with a label, and a group that picks it.
func (w *world) selectNorth(username, group string) {
	w.t.Helper()
	w.directory.PutUser(directory.User{Ref: directory.Ref{Name: username, UID: "u0"}, Username: username, Labels: map[string]string{"team": "north"}})
	w.directory.PutGroup(directory.Group{
		Ref: directory.Ref{Name: "declared", UID: "u1"}, GroupName: group, DisplayName: group,
		Admins: []jid.JID{jid.MustParse("ada@chat.example")}, Members: []jid.JID{jid.MustParse("ada@chat.example"), jid.MustParse("tobias@chat.example")},
		Selector: &directory.Selector{MatchLabels: map[string]string{"team": "north"}}, SharedRoster: directory.SharedRoster{Mode: directory.SharedEverybody},
	})
}

// Whom a label selector picks is a member like others, need not be named, and cannot be left out.
func TestGroupWithSelector(t *testing.T) {
	w := newWorld(t)
	w.selectNorth("mira", "North")
	shown := `{"name":"North","admins":["ada@chat.example"],"members":["mira@chat.example","tobias@chat.example"],"shared":true}`
	w.showGroup("North", shown)
	w.want(200, "", "PUT", "/groups/North", shown)
	w.showGroup("North", shown)
	g, _ := w.directory.Group("North")
	if len(g.Members) != 2 || g.SharedRoster.Mode != directory.SharedEverybody {
		t.Errorf("what was sent back as it was changed something: %+v", g)
	}
	const why = "spec.selector of the group picks mira@chat.example by the labels of the user: change the labels or the selector"
	w.wantError(409, "ManagedByOther", why, "North", "PUT", "/groups/North", `{"name":"North","members":[],"shared":true}`)
	w.showGroup("North", shown)
	w.want(200, "", "PUT", "/groups/North", `{"name":"North","admins":["mira"],"members":[]}`)
	w.showGroup("North", `{"name":"North","admins":["mira@chat.example"],"members":[],"shared":false}`)
	w.want(200, "", "PUT", "/groups/North", `{"name":"North","admins":[]}`)
	w.showGroup("North", `{"name":"North","admins":[],"members":["mira@chat.example"],"shared":false}`)
}

func TestListGroups(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"b", "C", "a"} {
		w.want(201, "", "POST", "/groups", `{"name":"`+name+`","members":["mira"]}`)
	}
	for path, want := range map[string]string{
		"/groups": "C a b", "/groups?offset=1": "a b", "/groups?limit=1": "C", "/groups?offset=1&limit=1": "a", "/groups?limit=0": "",
	} {
		got := w.send("GET", path, "", accept(formatJSON))
		var names []string
		for _, part := range strings.Split(got.Body.String(), `"name":"`)[1:] {
			name, _, _ := strings.Cut(part, `"`)
			names = append(names, name)
		}
		if got.Code != 200 || strings.Join(names, " ") != want || got.Header().Get("X-Total-Count") != "3" {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	if got := w.send("GET", "/groups?offset=x", ""); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// Of eight creations of one name at the same time one wins.
func TestCreateGroupRace(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	codes := make([]int, 8)
	for i := range codes {
		wg.Go(func() { codes[i] = w.send("POST", "/groups", `{"name":"Ops"}`).Code })
	}
	wg.Wait()
	count := map[int]int{}
	for _, code := range codes {
		count[code]++
	}
	if count[201] != 1 || count[409] != 7 {
		t.Errorf("answers: %v", codes)
	}
	w.wantAudit("created new group Ops")
}
