package entity_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

func contains(s, sub string) bool { return strings.Contains(s, sub) }

func parse(t *testing.T, f entity.Format, body string) *entity.Body {
	t.Helper()
	b, err := entity.Parse(f, "", []byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if b == nil {
		t.Fatalf("%s: nothing", body)
	}
	return b
}

// Every notation that a client of any version writes is the same user.
func TestUserNotations(t *testing.T) {
	want := entity.User{Username: "mira", Password: ptr("s3cr3t!"), Properties: []entity.Property{{Key: "team", Value: "north"}, {Key: "desk", Value: "12"}}}
	bodies := map[string]entity.Format{
		// The oldest dialect, as libraries of 2015 to 2025 send it.
		`{"username":"mira","password":"s3cr3t!","name":null,"email":null,
 "properties":{"property":[{"@key":"team","@value":"north"},{"@key":"desk","@value":"12"}]}}`: entity.JSON,
		`{"username":"mira","password":"s3cr3t!","properties":[{"key":"team","value":"north"},{"key":"desk","value":"12"}]}`:                                               entity.JSON,
		`{"username":"mira","password":"s3cr3t!","properties":[{"value":"north","key":"team"},null,{"key":"desk","value":12}]}`:                                            entity.JSON,
		`{"username":"mira","password":"s3cr3t!","name":false,"property":[{"key":"team","value":"north"},{"@key":"desk","value":12}]}`:                                     entity.JSON,
		"\ufeff \n{\"username\":\"mira\",\"email\":null,\"password\":\"s3cr3t!\",\"properties\":[{\"key\":\"team\",\"value\":\"north\"},{\"key\":\"desk\",\"value\":12}]}": entity.JSON,
		`<user><username>mira</username><password>s3cr3t!</password><properties><property key="team" value="north"/><property value="12" key="desk"/></properties></user>`: entity.XML,
		"\n  <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><user> stray\n<properties>\n <property key=\"team\" value=\"north\"></property> x <property key=\"desk\" value=\"12\"/></properties>" +
			"<password>s3cr3t!</password><username>mi<!-- c -->ra</username></user>\n": entity.XML,
		`<user xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><username>mira</username><name xsi:nil="true"/><password><![CDATA[s3cr3t!]]></password>` +
			`<properties><property key="team" value="north"/><property key="desk" value="12"/></properties></user>`: entity.XML,
	}
	for body, f := range bodies {
		b := parse(t, f, body)
		got, err := b.User()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", body, got, err, want)
		}
		if u := b.Unknown(); len(u) != 0 {
			t.Errorf("%s: unknown %v", body, u)
		}
	}
}

func TestUserFields(t *testing.T) {
	for body, want := range map[string]entity.User{
		`{}`:                            {Unnamed: true},
		`{"username":null,"name":"jo"}`: {Unnamed: true, Name: ptr("jo")},
		`{"username":""}`:               {},
		// What a PHP client sends for "none", and what it sends for a list of none.
		`{"username":"jo","name":false,"properties":{}}`: {Username: "jo"},
		`{"username":"jo","name":true,"email":7}`:        {Username: "jo", Name: ptr("true"), Email: ptr("7")},
		`{"username":"jo","name":""}`:                    {Username: "jo", Name: ptr("")},
		`{"username":"jo","properties":null}`:            {Username: "jo"},
		// In a property, a boolean counts as its text.
		`{"username":"jo","properties":{"key":"a","value":false}}`:               {Username: "jo", Properties: []entity.Property{{Key: "a", Value: "false"}}},
		`{"username":"jo","properties":{"property":{"@key":"a","@value":null}}}`: {Username: "jo", Properties: []entity.Property{{Key: "a"}}},
		`{"username":"jo","properties":{"property":null}}`:                       {Username: "jo"},
		`{"username":"a","username":"jo"}`:                                       {Username: "jo"},
	} {
		got, err := parse(t, entity.JSON, body).User()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", body, got, err, want)
		}
	}
	got, err := parse(t, entity.XML, `<user><username>jo</username><name></name><email/><properties/></user>`).User()
	if want := (entity.User{Username: "jo", Name: ptr(""), Email: ptr("")}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestUnknownFieldsAreNamed(t *testing.T) {
	for body, f := range map[string]entity.Format{
		`{"username":"jo","age":3,"properties":[{"key":"a","value":"b","type":"c"}]}`:                                               entity.JSON,
		`<user xmlns:x="urn:x"><age/><username>jo</username><properties><property key="a" value="b" type="c"/></properties></user>`: entity.XML,
	} {
		b := parse(t, f, body)
		if _, err := b.User(); err != nil {
			t.Fatal(err)
		}
		got := b.Unknown()
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "@", "")
		}
		slices.Sort(got)
		if want := []string{"age", "property.type"}; !slices.Equal(got, want) {
			t.Errorf("%s: unknown %q, want %q", body, got, want)
		}
	}
}

func TestUsersNotations(t *testing.T) {
	for body, want := range map[string]struct {
		names   []string
		several bool
	}{
		`{"username":"a"}`: {[]string{"a"}, false},
		`{"users":[{"username":"a"},{"username":"b"}]}`: {[]string{"a", "b"}, true},
		`{"users":{"user":[{"username":"a"}]}}`:         {[]string{"a"}, true},
		`{"users":{"user":{"username":"a"}}}`:           {[]string{"a"}, true},
		`{"user":[{"username":"a"},{"username":"b"}]}`:  {[]string{"a", "b"}, true},
		`{"user":{"username":"a"}}`:                     {[]string{"a"}, true},
		`[{"username":"a"},{"username":"b"}]`:           {[]string{"a", "b"}, true},
		`{"users":[]}`:                                  {nil, true},
		`{"users":null}`:                                {nil, true},
		`<user><username>a</username></user>`:           {[]string{"a"}, false},
		`<users><user><username>a</username></user> <user><username>b</username></user></users>`: {[]string{"a", "b"}, true},
		`<users/>`: {nil, true},
	} {
		f := entity.JSON
		if body[0] == '<' {
			f = entity.XML
		}
		list, several, err := parse(t, f, body).Users()
		var names []string
		for _, u := range list {
			names = append(names, u.Username)
		}
		if err != nil || several != want.several || !slices.Equal(names, want.names) {
			t.Errorf("%s: %v, %v, %v", body, names, several, err)
		}
	}
}

func TestRosterItemNotations(t *testing.T) {
	friends := entity.RosterItem{JID: "tobias@chat.example", Nickname: ptr("Tobi"), Subscription: 3, Groups: []string{"Friends"}, HasGroups: true}
	bare := entity.RosterItem{JID: "tobias@chat.example"}
	for body, want := range map[string]entity.RosterItem{
		`{"jid":"tobias@chat.example","nickname":null,"subscriptionType":null,"groups":{"group":null}}`:         bare,
		`{"jid":"tobias@chat.example","nickname":false,"subscriptionType":"","groups":null}`:                    bare,
		`{"jid":"tobias@chat.example","subscriptionType":"0","groups":[]}`:                                      {JID: bare.JID, HasGroups: true},
		`{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":3,"groups":["Friends"]}`:             friends,
		`{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":"3","groups":{"group":"Friends"}}`:   friends,
		`{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":3.0,"groups":{"group":["Friends"]}}`: friends,
		`{"jid":"tobias@chat.example","name":"Tobi","subscriptionType":3,"group":"Friends"}`:                    friends,
		`{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":3,"groups":" Friends "}`:             friends,
		`<rosterItem><jid>tobias@chat.example</jid><nickname>Tobi</nickname><subscriptionType>3</subscriptionType><groups>
			<group> Friends </group></groups></rosterItem>`: friends,
		`<rosterItem><jid>tobias@chat.example</jid><subscriptionType>three</subscriptionType></rosterItem>`: bare,
		`<rosterItem><jid>tobias@chat.example</jid><groups/></rosterItem>`:                                  {JID: bare.JID, HasGroups: true},
		`<rosterItem><groups><group/></groups><jid>tobias@chat.example</jid></rosterItem>`:                  {JID: bare.JID, HasGroups: true},
	} {
		f := entity.JSON
		if body[0] == '<' {
			f = entity.XML
		}
		got, err := parse(t, f, body).RosterItem()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", body, got, err, want)
		}
	}
}

func TestSystemPropertyNotations(t *testing.T) {
	for body, want := range map[string]string{
		`{"@key":"site.motto","@value":"be kind"}`:                         "be kind",
		`{"key":"site.motto","value":"be kind"}`:                           "be kind",
		`{"key":"site.motto","value":30}`:                                  "30",
		`{"key":"site.motto","value":false}`:                               "false",
		`<property key="site.motto" value="be kind"/>`:                     "be kind",
		`<property><key>site.motto</key><value>be kind</value></property>`: "be kind",
	} {
		f := entity.JSON
		if body[0] == '<' {
			f = entity.XML
		}
		p, err := parse(t, f, body).SystemProperty()
		if err != nil || p.Key == nil || *p.Key != "site.motto" || p.Value == nil || *p.Value != want {
			t.Errorf("%s: %+v, %v", body, p, err)
		}
	}
	for body, f := range map[string]entity.Format{`{"key":"a"}`: entity.JSON, `{"key":"a","value":null}`: entity.JSON, `<property key="a"/>`: entity.XML} {
		if p, err := parse(t, f, body).SystemProperty(); err != nil || p.Value != nil {
			t.Errorf("%s: %+v, %v", body, p, err)
		}
	}
}

// Nothing, or null, is no body; an empty XML document is an error, as it always was.
func TestParseNothing(t *testing.T) {
	for _, body := range []string{"", " \n", "null", " null "} {
		if b, err := entity.Parse(entity.JSON, "", []byte(body)); b != nil || err != nil {
			t.Errorf("%q: %v, %v", body, b, err)
		}
	}
	if _, err := entity.Parse(entity.XML, "", nil); err == nil {
		t.Error("an empty XML body was taken")
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	deepXML := strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)
	for body, f := range map[string]entity.Format{
		`{"username":"a"`:                entity.JSON,
		`{"username":"a"} x`:             entity.JSON,
		`{"username":"a"}{}`:             entity.JSON,
		`{'username':'a'}`:               entity.JSON,
		`{"username":"a",}`:              entity.JSON,
		`["a",]`:                         entity.JSON,
		`[1,,2]`:                         entity.JSON,
		`{"a" 1}`:                        entity.JSON,
		`username=a`:                     entity.JSON,
		`{"username":"a` + "\xff" + `"}`: entity.JSON,
		`{"username":"a\u0000"}`:         entity.JSON,
		`{"username":"a\uffff"}`:         entity.JSON,
		deep:                             entity.JSON,
		`[` + strings.Repeat("0,", 200_000) + `0]`: entity.JSON,
		`<user><username>a</user>`:                 entity.XML,
		`<user>`:                                   entity.XML,
		`<user/><user/>`:                           entity.XML,
		`<user/>text`:                              entity.XML,
		`text<user/>`:                              entity.XML,
		`<user xmlns="urn:x"/>`:                    entity.XML,
		`<user a="1"`:                              entity.XML,
		`<user>&nbsp;</user>`:                      entity.XML,
		`<user>&#0;</user>`:                        entity.XML,
		`<user>` + "\x01" + `</user>`:              entity.XML,
		`<!DOCTYPE user [<!ENTITY a "b">]><user>&a;</user>`: entity.XML,
		`<!DOCTYPE user><user/>`:                            entity.XML,
		`<?xml version="1.0" encoding="UTF-16"?><user/>`:    entity.XML,
		deepXML: entity.XML,
		`<a>` + strings.Repeat("<b/>", 200_000) + `</a>`: entity.XML,
	} {
		_, err := entity.Parse(f, "", []byte(body))
		if len(body) > 60 {
			body = body[:60]
		}
		if _, input := errors.AsType[*entity.InputError](err); !input {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, body := range []string{`[]`, `"jo"`, `7`, `true`, `{"jid":{}}`, `{"jid":["a"]}`, `{"subscriptionType":[1]}`, `{"subscriptionType":"three"}`,
		`{"subscriptionType":true}`, `{"subscriptionType":1e300}`, `{"groups":[{"a":1}]}`, `{"groups":[["a"]]}`} {
		if i, err := parse(t, entity.JSON, body).RosterItem(); err == nil {
			t.Errorf("%s: %+v", body, i)
		}
	}
	for _, body := range []string{`"jo"`, `[7]`, `{"users":["jo"]}`, `{"username":"jo","properties":["a"]}`, `{"username":"jo","properties":[{"value":"a"}]}`,
		`{"username":{"a":1}}`, `{"username":["a"]}`} {
		if list, _, err := parse(t, entity.JSON, body).Users(); err == nil {
			t.Errorf("%s: %+v", body, list)
		}
	}
	for _, body := range []string{`<rosterItem/>`, `<User/>`, `<x/>`} {
		if list, _, err := parse(t, entity.XML, body).Users(); err == nil {
			t.Errorf("%s: %+v", body, list)
		}
	}
}

func TestParseCharset(t *testing.T) {
	for _, c := range []struct {
		format        entity.Format
		charset, body string
	}{
		{entity.JSON, "ISO-8859-1", "{\"username\":\"\xe4\"}"},
		{entity.JSON, "UTF-8", `{"username":"ä"}`},
		{entity.XML, "", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><user><username>\xe4</username></user>"},
		{entity.XML, "iso-8859-1", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><user><username>\xe4</username></user>"},
		{entity.XML, "utf-8", "<?xml version=\"1.0\" encoding=\"utf-8\"?><user><username>ä</username></user>"},
	} {
		b, err := entity.Parse(c.format, c.charset, []byte(c.body))
		if err != nil {
			t.Errorf("%q: %v", c.body, err)
			continue
		}
		if u, err := b.User(); err != nil || u.Username != "ä" {
			t.Errorf("%q: %q, %v", c.body, u.Username, err)
		}
	}
	if _, err := entity.Parse(entity.JSON, "utf-32", []byte("{}")); err == nil {
		t.Error("an unknown encoding was taken")
	}
}
