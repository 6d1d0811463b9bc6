package entity_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

func atrium() entity.ChatRoom {
	return entity.ChatRoom{
		RoomName: "atrium", NaturalName: ptr("The Atrium"), Description: ptr("Open floor"), Subject: ptr("Plants"),
		CreationDate: time.UnixMilli(1933128428123), ModificationDate: time.UnixMilli(1933225200500), MaxUsers: 40,
		Persistent: true, PublicRoom: true, RegistrationEnabled: true, CanAnyoneDiscoverJID: true, CanChangeNickname: true, LogEnabled: true,
		BroadcastPresenceRoles: []string{"moderator", "participant"},
		Owners:                 []string{"mira@chat.example"}, Members: []string{"tobias@chat.example"}, MemberGroups: []string{"Ops"}, AllowPM: "anyone",
	}
}

func TestMarshalRoomsGolden(t *testing.T) {
	for name, e := range map[string]entity.Entity{
		"chatroom": atrium(),
		"results":  entity.RoomResults{{RoomName: "atrium", Message: "Room was successfully created"}},
		"occupants": entity.Occupants{{JID: "atrium@conference.chat.example/Tobi", UserAddress: "tobias@chat.example/phone",
			Role: "participant", Affiliation: "member"}},
		"messages": entity.RoomMessages{{From: "atrium@conference.chat.example/Tobi", Type: "groupchat", Body: "tea?",
			DelayStamp: "2031-04-05T04:07:08.123Z", DelayFrom: "tobias@chat.example/phone"}},
		"members":     entity.Affiliated{List: "members", Item: "member", JIDs: []string{"tobias@chat.example"}},
		"chatservice": entity.ChatService{ServiceName: "workshop", Description: ptr("Small rooms")},
	} {
		for f, ext := range map[entity.Format]string{entity.XML: ".xml", entity.JSON: ".json"} {
			if got, want := string(entity.Marshal(f, e)), golden(t, name+ext); got != want {
				t.Errorf("%s\n got %s\nwant %s", name+ext, got, want)
			}
		}
	}
}

func TestMarshalRoomLists(t *testing.T) {
	for _, c := range []struct {
		entity    entity.Entity
		xml, json string
	}{
		{entity.ChatRooms(nil), `<chatRooms/>`, `{"chatRooms":[]}`},
		{entity.RoomResults(nil), `<results><success/><failure/><other/></results>`, `{"success":[],"failure":[],"other":[]}`},
		{entity.RoomResults{{RoomName: "a", Message: "no", Failed: true}},
			`<results><success/><failure><result><roomName>a</roomName><resultType>Failure</resultType><message>no</message></result></failure><other/></results>`,
			`{"success":[],"failure":[{"roomName":"a","resultType":"Failure","message":"no"}],"other":[]}`},
		{entity.Participants{{JID: "atrium@conference.chat.example/Tobi", Role: "participant", Affiliation: "member"}},
			`<participants><participant><affiliation>member</affiliation><jid>atrium@conference.chat.example/Tobi</jid><role>participant</role></participant></participants>`,
			`{"participants":[{"jid":"atrium@conference.chat.example/Tobi","role":"participant","affiliation":"member"}]}`},
		{entity.Participants(nil), `<participants/>`, `{"participants":[]}`},
		{entity.Occupants(nil), `<occupants/>`, `{"occupants":[]}`},
		{entity.RoomMessages(nil), `<messages/>`, `{"message":[]}`},
		{entity.Affiliated{List: "outcasts", Item: "outcast"}, `<outcasts/>`, `{"outcasts":[]}`},
		{entity.ChatServices(nil), `<chatServices/>`, `{"chatService":[]}`},
		{entity.ChatServices{{ServiceName: "workshop", Hidden: true}},
			`<chatServices><chatService><serviceName>workshop</serviceName><hidden>true</hidden></chatService></chatServices>`,
			`{"chatService":[{"serviceName":"workshop","hidden":true}]}`},
	} {
		if got := string(entity.Marshal(entity.XML, c.entity)); got != prolog+c.xml {
			t.Errorf("got %s, want %s", got, prolog+c.xml)
		}
		if got := string(entity.Marshal(entity.JSON, c.entity)); got != c.json {
			t.Errorf("got %s, want %s", got, c.json)
		}
	}
}

// Both formats and the oldest dialect say the same.
func TestReadChatRoom(t *testing.T) {
	want := atrium()
	want.CreationDate, want.ModificationDate = time.UnixMilli(1933128428123).UTC(), time.Time{} // when it is changed is now
	old := `{"roomName":"atrium","creationDate":"2031-04-05T06:07:08.123+0200","naturalName":"The Atrium","description":"Open floor","password":false,"subject":"Plants","maxUsers":"40","persistent":"true",
"publicRoom":"true","registrationEnabled":"1","canAnyoneDiscoverJID":"true","canOccupantsChangeSubject":"false","canOccupantsInvite":"","canChangeNickname":"true",
"logEnabled":"true","broadcastPresenceRoles":{"broadcastPresenceRole":["moderator","participant"]},"owners":{"owner":"mira@chat.example"},"admins":{"admin":null},
"member":"tobias@chat.example","memberGroups":{"memberGroup":"Ops"},"allowPM":"anyone"}`
	for _, c := range []struct {
		format entity.Format
		body   string
	}{{entity.XML, golden(t, "chatroom.xml")}, {entity.JSON, golden(t, "chatroom.json")}, {entity.JSON, old}} {
		b, err := entity.Parse(c.format, "", []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.ChatRoom()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v, want %+v", err, got, want)
		}
		if len(b.Unknown()) > 0 {
			t.Errorf("unknown: %q", b.Unknown())
		}
	}
}

func TestReadBulk(t *testing.T) {
	room := golden(t, "chatroom.json")
	element := strings.TrimPrefix(golden(t, "chatroom.xml"), prolog)
	for body, want := range map[string]int{
		`{"chatRooms":[` + room + `,{"roomName":"b"}]}`:          2,
		`{"chatRoom":[` + room + `]}`:                            1,
		`{"chatRooms":` + room + `}`:                             1,
		`{"chatRooms":{"chatRoom":[` + room + `,` + room + `]}}`: 2,
		`[` + room + `]`:                                         1,
		`[]`:                                                     0,
		`{"chatRooms":[]}`:                                       0,
		`<chatRooms/>`:                                           0,
		`<chatRooms>` + element + ` x ` + element + `</chatRooms>`: 2,
		`{"chatRooms":null}`:       -1,
		`{}`:                       -1,
		`{"rooms":[` + room + `]}`: -1,
	} {
		f := entity.JSON
		if body[0] == '<' {
			f = entity.XML
		}
		b, err := entity.Parse(f, "", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		list, present, err := b.ChatRooms()
		if err != nil || present != (want >= 0) || len(list) != max(want, 0) {
			t.Errorf("%s: %d rooms, present %v, %v", body, len(list), present, err)
		}
	}
	for _, body := range []string{`<chatRoom/>`, `{"chatRooms":["a"]}`, `"a"`} {
		f := entity.JSON
		if body[0] == '<' {
			f = entity.XML
		}
		b, err := entity.Parse(f, "", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.ChatRooms(); err == nil {
			t.Errorf("%s was read", body)
		}
	}
}

func TestReadRoomRequests(t *testing.T) {
	read := func(body string) *entity.Body {
		t.Helper()
		f := entity.JSON
		if body[0] == '<' {
			f = entity.XML
		}
		b, err := entity.Parse(f, "", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, body := range []string{golden(t, "mucinvitations.json"), golden(t, "mucinvitations.xml"),
		strings.ReplaceAll(golden(t, "mucinvitations.xml"), "mucInvitations", "mucInvitation"),
		`{"reason":"Come by","jidsToInvite":{"jid":["mira@chat.example","Ops"]}}`, `{"reason":"Come by","jid":["mira@chat.example","Ops"]}`} {
		got, err := read(body).Invitation()
		if want := (entity.Invitation{Reason: "Come by", JIDs: []string{"mira@chat.example", "Ops"}}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{golden(t, "mucinvitation.json"), golden(t, "mucinvitation.xml")} {
		if got, err := read(body).Invitation(); err != nil || got.Reason != "Come by" || got.JIDs != nil {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{golden(t, "members.json"), golden(t, "members.xml"), `{"member":["tobias@chat.example"]}`, `{"member":"tobias@chat.example"}`,
		`{"members":{"member":"tobias@chat.example"}}`, `["tobias@chat.example"]`} {
		if got, present, err := read(body).Affiliated("members", "member"); err != nil || !present || !reflect.DeepEqual(got, []string{"tobias@chat.example"}) {
			t.Errorf("%s: %q, %v, %v", body, got, present, err)
		}
	}
	for _, body := range []string{`<members/>`, `{"members":[]}`, `[]`} {
		if got, present, err := read(body).Affiliated("members", "member"); err != nil || !present || len(got) != 0 {
			t.Errorf("%s: %q, %v, %v", body, got, present, err)
		}
	}
	for _, body := range []string{`{}`, `{"owners":["a"]}`, `{"members":null}`} {
		if _, present, err := read(body).Affiliated("members", "member"); err != nil || present {
			t.Errorf("%s: %v, %v", body, present, err)
		}
	}
	if _, _, err := read(`<owners/>`).Affiliated("members", "member"); err == nil {
		t.Error("another list was read")
	}
	for _, body := range []string{golden(t, "chatservice.json"), golden(t, "chatservice.xml"), `{"serviceName":"workshop","description":"Small rooms","hidden":"false"}`} {
		got, err := read(body).ChatService()
		if want := (entity.ChatService{ServiceName: "workshop", Description: ptr("Small rooms")}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}
