package restserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// What is created by one format is read by both, byte for byte as the original writes it.
func TestRoomRoundTrip(t *testing.T) {
	for _, body := range []string{golden(t, "chatroom.json"), golden(t, "chatroom.xml")} {
		w := newWorld(t)
		w.group("Ops", "ines")
		got := w.want(201, "", "POST", "/chatrooms", body)
		if got.Header().Get("Content-Length") != "0" || got.Header().Get("Location") != "" {
			t.Errorf("headers of 201: %v", got.Header())
		}
		w.dated("atrium@conference")
		w.want(200, golden(t, "chatroom.json"), "GET", "/chatrooms/atrium", "", accept(formatJSON))
		w.want(200, golden(t, "chatroom.xml"), "GET", "/chatrooms/atrium", "", accept(formatXML))
		w.want(200, golden(t, "chatroom.xml"), "GET", "/chatrooms/Atrium/?servicename=Conference", "")
		w.want(200, `{"chatRooms":[`+golden(t, "chatroom.json")+`]}`, "GET", "/chatrooms", "", accept(formatJSON))
		w.want(200, prolog+`<chatRooms>`+strings.TrimPrefix(golden(t, "chatroom.xml"), prolog)+`</chatRooms>`, "GET", "/chatrooms", "")
		// What was read can be written back, and changes nothing.
		before := *w.room("atrium@conference")
		w.want(200, "", "PUT", "/chatrooms/atrium", golden(t, "chatroom.json"))
		w.dated("atrium@conference")
		w.want(200, golden(t, "chatroom.xml"), "GET", "/chatrooms/atrium", "")
		if after := w.room("atrium@conference"); after.UID != before.UID {
			t.Error("it is another room")
		}
		w.wantError(409, "AlreadyExistsException", "Could not create the channel", "atrium", "POST", "/chatrooms", body)
		w.want(200, "", "DELETE", "/chatrooms/atrium", "")
		w.wantError(404, "RoomNotFoundException", "Chat room does not exist or is not accessible.", "atrium", "GET", "/chatrooms/atrium", "")
		w.wantError(404, "RoomNotFoundException", "Chat room does not exist or is not accessible.", "atrium", "DELETE", "/chatrooms/atrium", "")
		w.wantAudit("created new MUC room atrium", "updated MUC room atrium", "destroyed MUC room atrium")
		e := w.audit.entries[0]
		if want := "service = conference\nnaturalName = The Atrium\ndescription = Open floor\nsubject = Plants\nowners = mira@chat.example\nmembers = Ops, tobias@chat.example"; e.Details != want {
			t.Errorf("audit details %q, want %q", e.Details, want)
		}
	}
}

// The oldest dialect, as libraries still send it.
func TestRoomOldDialect(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","naturalName":"Atrium","description":"","maxUsers":"0","persistent":"true","publicRoom":"true",
 "broadcastPresenceRoles":{"broadcastPresenceRole":["moderator","participant"]},"owners":{"owner":"mira@chat.example"},"admins":{"admin":null}}`)
	got := w.send("GET", "/chatrooms/atrium", "", accept(formatJSON))
	want := `{"roomName":"atrium","naturalName":"Atrium","maxUsers":0,"persistent":true,"publicRoom":true,"registrationEnabled":false,"canAnyoneDiscoverJID":false,` +
		`"canOccupantsChangeSubject":false,"canOccupantsInvite":false,"canChangeNickname":false,"logEnabled":false,"loginRestrictedToNickname":false,"membersOnly":false,` +
		`"moderated":false,"broadcastPresenceRoles":["moderator","participant"],"owners":["mira@chat.example"],"admins":[],"members":[],"outcasts":[],"ownerGroups":[],` +
		`"adminGroups":[],"memberGroups":[],"outcastGroups":[],"allowPM":"anyone"}`
	if body := datesOfRooms.ReplaceAllString(got.Body.String(), ""); body != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

// A body that says nothing but the name makes a temporary, unlisted, unlogged room that belongs to the administrator.
func TestRoomDefaults(t *testing.T) {
	for _, body := range []string{`{"roomName":"Atrium"}`, `<chatRoom><roomName> atrium </roomName></chatRoom>`, `{"roomName":"atrium","owners":[],"allowPM":"whoever","maxUsers":""}`} {
		w := newWorld(t)
		w.want(201, "", "POST", "/chatrooms", body)
		got := w.send("GET", "/chatrooms/atrium", "")
		want := prolog + `<chatRoom><roomName>atrium</roomName><naturalName>atrium</naturalName><maxUsers>0</maxUsers><persistent>false</persistent><publicRoom>false</publicRoom>` +
			`<registrationEnabled>false</registrationEnabled><canAnyoneDiscoverJID>false</canAnyoneDiscoverJID><canOccupantsChangeSubject>false</canOccupantsChangeSubject>` +
			`<canOccupantsInvite>false</canOccupantsInvite><canChangeNickname>false</canChangeNickname><logEnabled>false</logEnabled>` +
			`<loginRestrictedToNickname>false</loginRestrictedToNickname><membersOnly>false</membersOnly><moderated>false</moderated><broadcastPresenceRoles/>` +
			`<owners><owner>admin@chat.example</owner></owners><admins/><members/><outcasts/><ownerGroups/><adminGroups/><memberGroups/><outcastGroups/><allowPM>anyone</allowPM></chatRoom>`
		if body := datesOfRooms.ReplaceAllString(got.Body.String(), ""); body != want {
			t.Errorf("got %s, want %s", body, want)
		}
		w.want(200, `{"chatRooms":[]}`, "GET", "/chatrooms", "", accept(formatJSON))
		if got := w.send("GET", "/chatrooms?type=all", "", accept(formatJSON)); names(got.Body.String(), "roomName") != "atrium" {
			t.Errorf("%s", got.Body)
		}
	}
}

func TestCreateRoomRefusals(t *testing.T) {
	const illegal, could = "IllegalArgumentException", "Could not create the channel"
	w := newWorld(t)
	for _, body := range []string{`{}`, `{"roomName":null}`, `{"roomName":" "}`, `{"roomName":false}`, `<chatRoom/>`} {
		w.wantError(400, illegal, could+", because roomName is missing", "chatrooms", "POST", "/chatrooms", body)
	}
	w.wantError(400, illegal, could+", because the body has no room", "chatrooms", "POST", "/chatrooms", "null")
	w.wantError(400, illegal, could+", because the body has no room", "chatrooms", "POST", "/chatrooms", "")
	w.wantError(400, illegal, could+": maxUsers cannot be negative, and 0 means no limit", "atrium", "POST", "/chatrooms", `{"roomName":"atrium","maxUsers":-1}`)
	w.wantError(400, illegal, could+": broadcastPresenceRoles are moderator, participant and visitor", "atrium", "POST", "/chatrooms", `{"roomName":"atrium","broadcastPresenceRoles":["guest"]}`)
	w.wantError(400, illegal, could+": Unable to parse value as jid: a b", "atrium", "POST", "/chatrooms", `{"roomName":"atrium","owners":["a b"]}`)
	w.wantError(400, illegal, could+": Unable to parse value as jid: a@b@c", "atrium", "POST", "/chatrooms", `{"roomName":"atrium","outcasts":["a@b@c"]}`)
	for _, name := range []string{"a b", "a&b", "a'b", "a/b", "a:b", "a<b", "a>b", "a@b", "atrium@conference.chat.example", strings.Repeat("x", 1024)} {
		if got := w.send("POST", "/chatrooms", `{"roomName":"`+name+`"}`); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
			t.Errorf("%q: %d %s", name, got.Code, got.Body)
		}
	}
	for _, body := range []string{`{`, `<chatRoom>`, `<room/>`, `[]`, `{"roomName":["a"]}`, `{"roomName":"a","maxUsers":"x"}`, `{"roomName":"a","persistent":"perhaps"}`, `{"roomName":"a","owners":[{"a":1}]}`} {
		if got := w.send("POST", "/chatrooms", body); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
			t.Errorf("%s: %d %s", body, got.Code, got.Body)
		}
	}
	// One person, or one group, in two lists.
	w.group("Ops")
	for _, lists := range []string{`"owners":["mira"],"outcasts":["mira@chat.example"]`, `"ownerGroups":["Ops"],"memberGroups":["Ops"]`, `"admins":["Mira@Chat.Example/phone"],"memberGroups":["mira@chat.example"]`} {
		w.wantError(409, "NotAllowedException", could, "Atrium", "POST", "/chatrooms", `{"roomName":"Atrium",`+lists+`}`)
	}
	// The owner of a room without any is admin (§7.5), and so is in two lists here.
	for _, list := range []string{`"admins":["admin"]`, `"members":["Admin@chat.example"]`, `"outcasts":["admin@chat.example"]`, `"memberGroups":["admin"]`} {
		w.wantError(409, "NotAllowedException", could, "atrium", "POST", "/chatrooms", `{"roomName":"atrium",`+list+`}`)
		w.wantError(409, "NotAllowedException", "Could not update the channel", "atrium", "PUT", "/chatrooms/atrium", `{"roomName":"atrium",`+list+`}`)
	}
	w.wantError(400, illegal, "this can be no name of a chat service, which is one label of a host name: letters, digits and hyphens", "work shop", "POST", "/chatrooms?servicename=Work%20Shop", `{"roomName":"a"}`)
	if n := len(w.directory.Rooms()); n != 0 {
		t.Errorf("%d rooms exist", n)
	}
	w.wantAudit()
	// What the original refuses since it has become stricter, and old clients send.
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","loginRestrictedToNickname":true,"members":["tobias"]}`)
}

// What an answer expands is bounded: the members of a group may be many, and are told as often as rooms name it.
func TestExpandedGroupsAreBounded(t *testing.T) {
	w := newWorld(t)
	everybody := make([]string, 2000)
	for i := range everybody {
		everybody[i] = fmt.Sprint("u", i)
	}
	w.group("Everybody", everybody...)
	for i := range 51 {
		w.want(201, "", "POST", "/chatrooms", fmt.Sprintf(`{"roomName":"r%02d","publicRoom":true,"memberGroups":["Everybody"]}`, i))
	}
	for _, path := range []string{"/chatrooms", "/chatrooms?expandGroups=true&limit=50", "/chatrooms?expandGroups=true&offset=1", "/chatrooms/r00?expandGroups=true"} {
		if got := w.send("GET", path, ""); got.Code != 200 {
			t.Errorf("%s: %d %.300s", path, got.Code, got.Body)
		}
	}
	w.wantError(400, "IllegalArgumentException", "with expandGroups, an answer names at most 100000 members of groups: ask for fewer rooms at once with limit and offset, or for the groups themselves",
		"chatrooms", "GET", "/chatrooms?expandGroups=true", "")
}

// Where clients may not create rooms, they may be created for administrators.
func TestRoomCreationIsPermittedToItsFirstOwner(t *testing.T) {
	for _, who := range []string{"admins", "nobody"} {
		w := newWorld(t)
		w.set("xmpp.muc.create", who)
		w.create("mira", "x")
		w.create("root", "x")
		w.update("root", directory.UserUpdate{Admin: new(true)})
		w.wantError(403, "NotAllowedException", "Could not create the channel", "a", "POST", "/chatrooms", `{"roomName":"a","owners":["mira","root"]}`)
		w.wantError(403, "NotAllowedException", "Could not update the channel", "a", "PUT", "/chatrooms/a", `{"roomName":"a","owners":["root@elsewhere.example"]}`)
		w.want(201, "", "POST", "/chatrooms", `{"roomName":"a","owners":["root","mira"]}`)
		w.want(201, "", "POST", "/chatrooms", `{"roomName":"b"}`)
	}
}

// Bare names are completed, group addresses are groups, and what a room shows is read back as what it is.
func TestRoomEntries(t *testing.T) {
	w := newWorld(t)
	w.group("Ops", "ines", "mira")
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","owners":["Mira","mira@chat.example"],"admins":["pia@other.example/x"],"ownerGroups":["tobias@chat.example"],
"memberGroups":["Ops","nobody"],"outcasts":["chat.example"]}`)
	if got, want := w.declared("atrium@conference"), "chat.example:Outcast mira@chat.example:Owner nobody@chat.example:Member tobias@chat.example:Owner pia@other.example:Admin Ops:Member"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// In a room there may be a domain and a group that are nobody else's.
	if err := w.local.UpdateRoom(context.Background(), directory.Actor{}, "atrium@conference", directory.RoomUpdate{
		GroupAffiliations: []directory.GroupAffiliation{{Group: "Gone Group", Affiliation: directory.AffiliationAdmin}},
	}); err != nil {
		t.Fatal(err)
	}
	body := w.send("GET", "/chatrooms/atrium", "", accept(formatJSON)).Body.String()
	before := w.declared("atrium@conference")
	w.want(200, "", "PUT", "/chatrooms/atrium", body)
	if got := w.declared("atrium@conference"); got != before {
		t.Errorf("got %s, want %s", got, before)
	}
	got := w.send("GET", "/chatrooms/atrium?expandGroups=true", "", accept(formatJSON)).Body.String()
	if !strings.Contains(got, `"members":["ines@chat.example","mira@chat.example","nobody@chat.example"]`) || !strings.Contains(got, `"memberGroups":["Ops"]`) {
		t.Errorf("expanded: %s", got)
	}
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"cellar","publicRoom":true,"memberGroups":["Ops"]}`)
	if got := w.send("GET", "/chatrooms?expandGroups=true&search=cellar", "", accept(formatJSON)).Body.String(); !strings.Contains(got, `"members":["ines@chat.example","mira@chat.example"]`) {
		t.Errorf("expanded in a list: %s", got)
	}
	for _, path := range []string{"/chatrooms/atrium?expandGroups=yes", "/chatrooms/atrium?expandGroups=false"} {
		if got := w.send("GET", path, "", accept(formatJSON)).Body.String(); got == "" || strings.Contains(got, "ines") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestUpdateRoom(t *testing.T) {
	const illegal, could = "IllegalArgumentException", "Could not update the channel"
	w := newWorld(t)
	// A missing room is created.
	w.want(200, "", "PUT", "/chatrooms/atrium", `{"roomName":"ATRIUM","naturalName":"Atrium","owners":["mira"],"members":["tobias"],"password":"sesame","persistent":true,"publicRoom":true}`)
	if got := w.send("GET", "/chatrooms/atrium", "", accept(formatJSON)).Body.String(); !strings.Contains(got, `"password":"sesame"`) {
		t.Errorf("%s", got)
	}
	secret := w.room("atrium@conference").PasswordSecret
	// A password that stays is not written anew.
	w.want(200, "", "PUT", "/chatrooms/atrium", `<chatRoom><roomName>atrium</roomName><password>sesame</password><members><member>ines</member></members><owners><owner>mira</owner></owners></chatRoom>`)
	if got := w.room("atrium@conference"); *got.PasswordSecret != *secret || got.Persistent || got.Listed || got.DisplayName != "atrium" {
		t.Errorf("%+v", got)
	}
	if got, want := w.declared("atrium@conference"), "ines@chat.example:Member mira@chat.example:Owner"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.want(200, "", "PUT", "/chatrooms/atrium", `{"roomName":"atrium"}`)
	if got := w.room("atrium@conference"); got.PasswordSecret != nil || w.declared("atrium@conference") != "admin@chat.example:Owner" {
		t.Errorf("%+v", got)
	}
	for _, body := range []string{`{}`, `{"roomName":"other"}`, `<chatRoom/>`, `{"roomName":"a b"}`} {
		w.wantError(400, illegal, "the room names of the path and of the body differ, and rooms cannot be renamed", "atrium", "PUT", "/chatrooms/atrium", body)
	}
	w.wantError(400, illegal, could+", because the body has no room", "atrium", "PUT", "/chatrooms/atrium", "")
	w.wantError(409, "NotAllowedException", could, "atrium", "PUT", "/chatrooms/atrium", `{"roomName":"atrium","owners":["mira"],"members":["mira"]}`)
	w.wantError(409, "NotAllowedException", could, "atrium", "PUT", "/chatrooms/atrium", `{"roomName":"atrium","members":["admin"]}`)
	if got := w.send("PUT", "/chatrooms/a%20b", `{"roomName":"a b"}`); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if strings.Contains(w.audit.text(), "sesame") || strings.Contains(w.log.String(), "sesame") {
		t.Error("the audit log or the log tells the password")
	}
	const updated = "updated MUC room atrium"
	w.wantAudit("created new MUC room atrium", updated, updated)
}

// A room may have owners by a group alone.
func TestRoomOwnedByGroup(t *testing.T) {
	w := newWorld(t)
	w.group("Ops", "ines")
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","ownerGroups":["Ops"]}`)
	w.want(200, "", "PUT", "/chatrooms/atrium", w.send("GET", "/chatrooms/atrium", "", accept(formatJSON)).Body.String())
	if got := w.declared("atrium@conference"); got != "Ops:Owner" {
		t.Error(got)
	}
}

// A room that has no owner stays without one unless somebody is named.
func TestRoomWithoutOwner(t *testing.T) {
	w := newWorld(t)
	if err := w.local.CreateRoom(context.Background(), directory.Actor{}, "atrium", "conference", directory.RoomUpdate{}); err != nil {
		t.Fatal(err)
	}
	w.want(200, "", "PUT", "/chatrooms/atrium", `{"roomName":"atrium","members":["mira"]}`)
	if got := w.declared("atrium@conference"); got != "mira@chat.example:Member" {
		t.Error(got)
	}
}

func TestRoomsOfServices(t *testing.T) {
	const noService = "Chat service does not exist or is not accessible."
	w := newWorld(t)
	for path, method := range map[string]string{
		"/chatrooms": "GET", "/chatrooms/atrium": "GET", "/chatrooms/atrium/": "DELETE", "/chatrooms/atrium/participants": "GET", "/chatrooms/atrium/occupants": "GET",
		"/chatrooms/atrium/chathistory": "GET", "/chatrooms/atrium/invite": "POST", "/chatrooms/atrium/invite/mira": "POST", "/chatrooms/atrium/owners": "GET",
		"/chatrooms/atrium/members": "PUT", "/chatrooms/atrium/admins": "POST", "/chatrooms/atrium/admins/mira": "POST", "/chatrooms/atrium/outcasts/mira": "DELETE",
		"/chatrooms/atrium/members/group/Ops": "POST", "/chatrooms/atrium/owners/group/Ops": "DELETE", "/messages/rooms/atrium": "POST",
	} {
		body := ""
		if method == "POST" || method == "PUT" {
			body = `{"body":"hello","jidsToInvite":["mira"],"members":["mira"]}`
		}
		w.wantError(404, "MUCServiceNotFoundException", noService, "workshop", method, path+"?servicename=Workshop", body)
		if path != "/chatrooms" {
			w.wantError(404, "RoomNotFoundException", "Chat room does not exist or is not accessible.", "atrium", method, path, body)
		}
	}
	// Creating a room creates its service.
	w.want(201, "", "POST", "/chatrooms?servicename=Workshop", `{"roomName":"atrium","publicRoom":true}`)
	w.want(200, "", "PUT", "/chatrooms/bench?servicename=lab", `{"roomName":"bench"}`)
	w.want(200, `{"chatService":[{"serviceName":"conference","description":"Chat rooms","hidden":false},{"serviceName":"lab","description":"lab","hidden":false},`+
		`{"serviceName":"workshop","description":"workshop","hidden":false}]}`, "GET", "/chatservices", "", accept(formatJSON))
	if got := w.send("GET", "/chatrooms?servicename=WORKSHOP", "", accept(formatJSON)); names(got.Body.String(), "roomName") != "atrium" {
		t.Errorf("%s", got.Body)
	}
	w.want(200, `{"chatRooms":[]}`, "GET", "/chatrooms", "", accept(formatJSON))
	w.wantAudit("created MUC service workshop", "created new MUC room atrium", "created MUC service lab", "created new MUC room bench")
}

func TestListRooms(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		`{"roomName":"zoo","naturalName":"The Big Zoo","publicRoom":true}`, `{"roomName":"atrium","naturalName":"Sunny Hall","publicRoom":true}`,
		`{"roomName":"cellar","naturalName":"Secret Sunny Place"}`, `{"roomName":"bulk","publicRoom":true}`,
	} {
		w.want(201, "", "POST", "/chatrooms", body)
	}
	for path, want := range map[string]string{
		"/chatrooms":                           "atrium bulk zoo",
		"/chatrooms/":                          "atrium bulk zoo",
		"/chatrooms?type=":                     "atrium bulk zoo",
		"/chatrooms?type=public":               "atrium bulk zoo",
		"/chatrooms?type=all":                  "atrium bulk cellar zoo",
		"/chatrooms?type=private":              "",
		"/chatrooms?type=ALL":                  "",
		"/chatrooms?search=":                   "atrium bulk zoo",
		"/chatrooms?search=TRI":                "atrium",
		"/chatrooms?search=sunny":              "atrium",
		"/chatrooms?search=sunny&type=all":     "atrium cellar",
		"/chatrooms?search=big%20zoo":          "zoo",
		"/chatrooms?search=g%20z":              "zoo",
		"/chatrooms?search=*":                  "",
		"/chatrooms?offset=1":                  "bulk zoo",
		"/chatrooms?limit=1":                   "atrium",
		"/chatrooms?limit=0":                   "",
		"/chatrooms?offset=1&limit=1&type=all": "bulk",
	} {
		got := w.send("GET", path, "", accept(formatJSON))
		if have := names(got.Body.String(), "roomName"); got.Code != 200 || have != want {
			t.Errorf("%s: %d %q, want %q", path, got.Code, have, want)
		}
	}
	if got := w.send("GET", "/chatrooms?type=all&limit=1", ""); got.Header().Get("X-Total-Count") != "4" {
		t.Errorf("X-Total-Count %q", got.Header().Get("X-Total-Count"))
	}
	w.want(200, prolog+`<chatRooms/>`, "GET", "/chatrooms?search=nothing", "")
	for _, q := range []string{"offset=x", "limit=-1"} {
		if got := w.send("GET", "/chatrooms?"+q, ""); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
			t.Errorf("%s: %d %s", q, got.Code, got.Body)
		}
	}
	// A room may have the name of a path.
	if got := w.send("GET", "/chatrooms/bulk", "", accept(formatJSON)); names(got.Body.String(), "roomName") != "bulk" {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	w.want(200, "", "PUT", "/chatrooms/bulk", `{"roomName":"bulk"}`)
	w.want(200, "", "DELETE", "/chatrooms/bulk", "")
	w.wantError(404, "RoomNotFoundException", "Chat room does not exist or is not accessible.", "a b", "GET", "/chatrooms/a%20b", "")
}

// Every error of the proposer has its answer.
func TestRoomProposerErrors(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","owners":["mira","ines"],"members":["tobias"]}`)
	// What a GitOps tool declares is changed there, and nothing is done.
	w.refuse(&directory.ManagedError{Field: "spec.affiliations", Manager: "flux"})
	before := w.declared("atrium@conference")
	const managed = `spec.affiliations is declared by \"flux\": change it there`
	for path, c := range map[string][3]string{
		"/chatrooms/atrium":                  {"PUT", `{"roomName":"atrium"}`, "atrium"},
		"/chatrooms/atrium/":                 {"DELETE", "", "atrium"},
		"/chatrooms/atrium/admins/pia":       {"POST", "", "atrium"},
		"/chatrooms/atrium/owners/mira":      {"DELETE", "", "mira"},
		"/chatrooms/atrium/members":          {"PUT", `[]`, "atrium"},
		"/chatrooms/atrium/members/":         {"POST", `["pia"]`, "atrium"},
		"/chatrooms/atrium/admins/group/Ops": {"POST", "", "atrium"},
	} {
		w.want(409, errorJSON("ManagedByOther", managed, c[2]), c[0], path, c[1], accept(formatJSON))
	}
	if got := w.declared("atrium@conference"); got != before {
		t.Errorf("got %s, want %s", got, before)
	}
	w.refuse(directory.ErrExists)
	w.wantError(409, "AlreadyExistsException", "Could not create the channel", "den", "POST", "/chatrooms", `{"roomName":"den"}`)
	// The name is not to be had, though no room of it is there.
	w.wantError(403, "NotAllowedException", "Could not update the channel", "den", "PUT", "/chatrooms/den", `{"roomName":"den"}`)
	w.refuse(directory.ErrNotFound)
	w.wantError(404, "RoomNotFoundException", "Chat room does not exist or is not accessible.", "atrium", "DELETE", "/chatrooms/atrium", "")
	w.wantError(404, "RoomNotFoundException", "Chat room does not exist or is not accessible.", "atrium", "PUT", "/chatrooms/atrium", `{"roomName":"atrium"}`)
	w.wantError(404, "RoomNotFoundException", "Chat room does not exist or is not accessible.", "atrium", "POST", "/chatrooms/atrium/members/pia", "")
	w.refuse(&directory.InvalidError{Field: "spec.maxOccupants", Message: "Invalid value: 1073741824: spec.maxOccupants in body should be less than or equal to 100000"})
	w.wantError(400, "IllegalArgumentException", "maxUsers: Invalid value: 1073741824: maxUsers in body should be less than or equal to 100000", "atrium",
		"PUT", "/chatrooms/atrium", `{"roomName":"atrium","maxUsers":99999999999}`)
	w.refuse(&directory.InvalidError{Field: "spec.displayName", Message: "Too long: may not be more than 255 bytes"})
	w.wantError(400, "IllegalArgumentException", "naturalName: Too long: may not be more than 255 bytes", "den", "POST", "/chatrooms", `{"roomName":"den"}`)
	w.refuse(&directory.LimitError{Field: "spec.affiliations", Limit: 2000})
	w.wantError(400, "IllegalArgumentException", "owners, admins, members and outcasts takes at most 2000 entries", "atrium", "POST", "/chatrooms/atrium/members/pia", "")
	w.refuse(&directory.UnavailableError{})
	w.wantError(503, "ServiceUnavailableException", "declarations cannot be changed at the moment: try again later", "den", "POST", "/chatrooms", `{"roomName":"den"}`)
	w.wantAudit("created new MUC room atrium")
	w.refuse(directory.ErrNotYetActive)
	w.want(504, errorJSON("NotYetActiveException", "created, not yet active: it will be in force shortly", "den"), "POST", "/chatrooms", `{"roomName":"den"}`, accept(formatJSON))
	w.wantAudit("created new MUC room atrium", "created new MUC room den")
}

// roomPurgeFails deletes, and then cannot purge.
type roomPurgeFails struct{ restserver.Proposer }

func (p roomPurgeFails) DeleteRoom(ctx context.Context, by directory.Actor, identity string, permit directory.RoomPermit) error {
	if err := p.Proposer.DeleteRoom(ctx, by, identity, permit); err != nil {
		return err
	}
	return errors.New("the disk is full")
}

// A room that is gone was deleted, whatever failed after that.
func TestRoomDeletionIsRecordedThoughThePurgeFails(t *testing.T) {
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) { d.Proposer = roomPurgeFails{d.Proposer} })
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium"}`)
	if got := w.send("DELETE", "/chatrooms/atrium", ""); got.Code != 500 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	w.wantAudit("created new MUC room atrium", "destroyed MUC room atrium")
}

// A right to look at rooms shows no passwords, and a right to rooms makes no service.
func TestRoomsByScope(t *testing.T) {
	w := newWorld(t, func(c *restserver.Config, _ *restserver.Deps) {
		c.Secrets = func() []restserver.NamedSecret {
			return []restserver.NamedSecret{{Name: "viewer", Value: "viewer", Scope: scope(t, "read-only")}, {Name: "rooms", Value: "rooms", Scope: scope(t, "rooms")}}
		}
	})
	viewer, rooms := authorization("viewer"), authorization("rooms")
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","publicRoom":true,"password":"sesame"}`, rooms)
	for _, path := range []string{"/chatrooms", "/chatrooms/atrium"} {
		for secret, shown := range map[string]bool{"viewer": false, "rooms": true, mainSecret: true} {
			got := w.send("GET", path, "", authorization(secret))
			if got.Code != 200 || strings.Contains(got.Body.String(), "<password>sesame</password>") != shown {
				t.Errorf("%s with %s: %d %s", path, secret, got.Code, got.Body)
			}
		}
	}
	for _, call := range [][3]string{{"POST", "/chatrooms", `{"roomName":"den"}`}, {"PUT", "/chatrooms/den", `{"roomName":"den"}`}, {"POST", "/chatrooms/bulk", `[{"roomName":"den"}]`}} {
		w.want(403, errorJSON("RequestNotAuthorised", "secret:rooms may not do this: it takes the right to create systemproperties", restserver.Base+call[1]),
			call[0], call[1]+"?servicename=lab", call[2], rooms, accept(formatJSON))
	}
	for _, path := range []string{"/chatrooms/bulk", "/chatrooms/atrium"} {
		if got := w.send("DELETE", path, "", viewer); got.Code != 403 {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	if len(w.rooms.Services()) != 1 || len(w.directory.Rooms()) != 1 {
		t.Errorf("%v, %d rooms", w.rooms.Services(), len(w.directory.Rooms()))
	}
}

// A room that is created has the date that the body gives it, in whatever way it is written, and keeps it.
func TestRoomCreationDate(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]string{
		"a": `{"roomName":"a","creationDate":1933128428123,"modificationDate":1}`,
		"b": `{"roomName":"b","creationDate":"1933128428123"}`,
		"c": `{"roomName":"c","creationDate":"2031-04-05T06:07:08.123+0200"}`,
		"d": `<chatRoom><roomName>d</roomName><creationDate>2031-04-05T06:07:08.123+02:00</creationDate></chatRoom>`,
	} {
		w.want(201, "", "POST", "/chatrooms", body)
		w.want(200, "", "PUT", "/chatrooms/"+name, `{"roomName":"`+name+`","description":"changed","creationDate":5}`)
		if got := w.room(name + "@conference").CreatedAt; !got.Equal(time.UnixMilli(1933128428123)) {
			t.Errorf("%s: %v", body, got)
		}
	}
	// What is no date is none.
	for name, date := range map[string]string{"e": `null`, "f": `""`, "g": `"soon"`, "h": `{}`, "i": `true`, "j": `99999999999999999999`} {
		w.want(201, "", "POST", "/chatrooms", `{"roomName":"`+name+`","creationDate":`+date+`}`)
		if got := time.Since(w.room(name + "@conference").CreatedAt); got < 0 || got > time.Minute {
			t.Errorf("%s: %v", date, got)
		}
	}
}
