package entity_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

func formatOf(body string) entity.Format {
	if body[0] == '<' {
		return entity.XML
	}
	return entity.JSON
}

func TestGroupNotations(t *testing.T) {
	want := entity.Group{Name: "Ops", Description: "People on call", Admins: []string{"mira@chat.example"}, HasAdmins: true,
		Members: []string{"tobias", "ada@other.example"}, HasMembers: true, Shared: true}
	for _, body := range []string{
		`{"name":"Ops","description":"People on call","admins":["mira@chat.example"],"members":["tobias","ada@other.example"],"shared":true}`,
		// The oldest dialect: two levels, a list of one as its value, every scalar a string.
		`{"name":"Ops","description":"People on call","admins":{"admin":"mira@chat.example"},"members":{"member":["tobias","ada@other.example"]},"shared":"true"}`,
		`{"name":"Ops","description":"People on call","admin":"mira@chat.example","member":["tobias",null,"ada@other.example"],"shared":1}`,
		`<group><members><member>tobias</member> <member> ada@other.example </member></members><shared>1</shared>` +
			`<admins>stray<admin>mira@chat.example</admin></admins><name>Ops</name><description>People on call</description></group>`,
	} {
		b := parse(t, formatOf(body), body)
		got, err := b.Group()
		if err != nil || !reflect.DeepEqual(got, want) || len(b.Unknown()) > 0 {
			t.Errorf("%s\n got %+v, %v, unknown %q\nwant %+v", body, got, err, b.Unknown(), want)
		}
	}
	for body, want := range map[string]entity.Group{
		`{}`: {},
		`{"name":"Ops","description":false,"admins":[],"members":null,"shared":false}`:                       {Name: "Ops", HasAdmins: true},
		`{"name":"Ops","description":null,"admins":{"admin":null},"members":{"member":[]},"shared":"false"}`: {Name: "Ops", HasMembers: true},
		`{"name":7,"shared":"","members":""}`:                                                                {Name: "7", HasMembers: true},
		`{"name":"Ops","shared":null}`:                                                                       {Name: "Ops"},
		`<group><name>Ops</name><members/><shared>perhaps</shared></group>`:                                  {Name: "Ops", HasMembers: true},
		`<group><name>Ops</name><shared>TRUE</shared></group>`:                                               {Name: "Ops", Shared: true},
	} {
		if got, err := parse(t, formatOf(body), body).Group(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", body, got, err, want)
		}
	}
	// The old readme's name of the flag never was on the wire.
	b := parse(t, entity.JSON, `{"name":"Ops","isshared":true}`)
	if g, err := b.Group(); err != nil || g.Shared || !slices.Equal(b.Unknown(), []string{"isshared"}) {
		t.Errorf("%+v, %v, unknown %q", g, err, b.Unknown())
	}
	for _, body := range []string{`[]`, `"Ops"`, `{"name":["Ops"]}`, `{"name":"Ops","members":[["a"]]}`, `{"name":"Ops","members":[{"a":"b"}]}`, `{"name":"Ops","shared":"perhaps"}`,
		`{"name":"Ops","shared":[true]}`, `<groups/>`, `<user/>`} {
		var input *entity.InputError
		if _, err := parse(t, formatOf(body), body).Group(); !errors.As(err, &input) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestUserGroupsNotations(t *testing.T) {
	for body, want := range map[string][]string{
		`{"groupnames":["Ops","Night Shift"]}`:                                   {"Ops", "Night Shift"},
		`{"groupname":["Night Shift","Ops"]}`:                                    {"Night Shift", "Ops"},
		`{"groupnames":["Ops","Night Shift"],"groupname":["Ops","Night Shift"]}`: {"Ops", "Night Shift"},
		`{"groupname":"Ops"}`:                                                    {"Ops"},
		`{"groupnames":"Ops"}`:                                                   {"Ops"},
		`{"groupnames":{"groupname":["Ops"]}}`:                                   {"Ops"},
		`["Ops","Night Shift"]`:                                                  {"Ops", "Night Shift"},
		`["Ops",null,""," "]`:                                                    {"Ops"},
		`[]`:                                                                     nil,
		`{}`:                                                                     nil,
		`{"groupnames":null,"groupname":"Ops"}`:                                  {"Ops"},
		`{"groupnames":[7]}`:                                                     {"7"},
		`<groups><groupname>Ops</groupname><groupname>Night Shift</groupname></groups>`:           {"Ops", "Night Shift"},
		"<groups>\n <groupname> Ops </groupname>\n <groupname>Night Shift</groupname>\n</groups>": {"Ops", "Night Shift"},
		`<groups/>`: nil,
	} {
		b := parse(t, formatOf(body), body)
		got, err := b.UserGroups()
		if err != nil || !slices.Equal(got, want) || len(b.Unknown()) > 0 {
			t.Errorf("%s\n got %q, %v, unknown %q\nwant %q", body, got, err, b.Unknown(), want)
		}
	}
	for _, body := range []string{`"Ops"`, `7`, `{"groupnames":[["a"]]}`, `[{"a":"b"}]`, `<group/>`, `<groupnames/>`} {
		var input *entity.InputError
		if _, err := parse(t, formatOf(body), body).UserGroups(); !errors.As(err, &input) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
