package restserver_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// words are the four affiliations as paths, lists and declarations have them.
var words = []struct{ list, item, name string }{
	{"owners", "owner", "Owner"}, {"admins", "admin", "Admin"}, {"members", "member", "Member"}, {"outcasts", "outcast", "Outcast"},
}

const noRoom, noSuchRoom = "RoomNotFoundException", "Chat room does not exist or is not accessible."

// One person is given an affiliation, and it is taken away, in each of its forms.
func TestSingleAffiliation(t *testing.T) {
	for _, a := range words {
		for _, name := range []string{"tobias", "Tobias@Chat.Example", "tobias%40chat.example", "tobias@chat.example%2Fphone"} {
			w := newWorld(t)
			w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","owners":["mira"]}`)
			path := "/chatrooms/Atrium/" + a.list + "/" + name
			w.want(201, "", "POST", path, "")
			w.want(201, "", "POST", path, "", header("Content-Type", "text/plain")) // has it already
			if got, want := w.declared("atrium@conference"), "mira@chat.example:Owner tobias@chat.example:"+a.name; got != want {
				t.Errorf("%s: got %s, want %s", path, got, want)
			}
			list := prolog + "<" + a.list + ">" + "<" + a.item + ">tobias@chat.example</" + a.item + "></" + a.list + ">"
			json := `{"` + a.list + `":["tobias@chat.example"]}`
			if a.name == "Owner" {
				list = strings.Replace(list, "<owners>", "<owners><owner>mira@chat.example</owner>", 1)
				json = strings.Replace(json, "[", `["mira@chat.example",`, 1)
			}
			w.want(200, list, "GET", "/chatrooms/atrium/"+a.list, "")
			w.want(200, json, "GET", "/chatrooms/atrium/"+a.list+"/", "", accept(formatJSON))
			w.want(200, "", "DELETE", path, "")
			given := strings.NewReplacer("%40", "@", "%2F", "/").Replace(name)
			w.wantError(409, "NotAllowedException", "Could not delete affiliation", given, "DELETE", path, "")
			w.wantAudit("created new MUC room atrium", "set MUC affiliation to "+a.item+" for tobias@chat.example in atrium",
				"set MUC affiliation to none for tobias@chat.example in atrium")
		}
	}
}

// Another affiliation is replaced; who has another one cannot lose this; the last owner stays.
func TestAffiliationsExclude(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","owners":["mira"],"members":["tobias"]}`)
	w.want(201, "", "POST", "/chatrooms/atrium/outcasts/tobias", "")
	w.wantError(409, "NotAllowedException", "Could not delete affiliation", "tobias", "DELETE", "/chatrooms/atrium/members/tobias", "")
	w.wantError(409, "NotAllowedException", "Could not delete affiliation", "mira", "DELETE", "/chatrooms/atrium/owners/mira", "")
	w.wantError(409, "NotAllowedException", "Could not apply modification to list of member", "atrium", "POST", "/chatrooms/atrium/members/mira", "")
	w.wantError(409, "NotAllowedException", "Could not apply modification to list of admin", "atrium", "POST", "/chatrooms/atrium/admins", `["ines","mira"]`)
	w.wantError(409, "NotAllowedException", "Could not apply modification to list of owner", "atrium", "PUT", "/chatrooms/atrium/owners", `{"owners":[]}`)
	if got, want := w.declared("atrium@conference"), "mira@chat.example:Owner tobias@chat.example:Outcast"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// With a group of owners that has somebody in it, a person need not be one.
	w.group("Nobody")
	w.group("Ops", "ines")
	w.want(201, "", "POST", "/chatrooms/atrium/owners/group/Nobody", "")
	w.wantError(409, "NotAllowedException", "Could not delete affiliation", "mira", "DELETE", "/chatrooms/atrium/owners/mira", "")
	w.want(201, "", "POST", "/chatrooms/atrium/owners/Ops", "")
	w.want(200, "", "DELETE", "/chatrooms/atrium/owners/mira", "")
	w.wantError(409, "NotAllowedException", "Could not delete affiliation", "Ops", "DELETE", "/chatrooms/atrium/owners/group/Ops", "")
	w.wantError(400, "IllegalArgumentException", "Unable to parse value as jid: a b", "atrium", "POST", "/chatrooms/atrium/members/a%20b", "")
	w.wantError(400, "IllegalArgumentException", "Unable to parse value as jid: a@b@c", "atrium", "DELETE", "/chatrooms/atrium/members/a@b@c", "")
}

// The one-segment form means a group where there is one of that name, and lists show it by its address.
func TestGroupAffiliation(t *testing.T) {
	w := newWorld(t)
	w.group("Night Shift", "ines")
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","owners":["mira"]}`)
	w.want(201, "", "POST", "/chatrooms/atrium/members/Night%20Shift", "")
	w.want(201, "", "POST", "/chatrooms/atrium/admins/group/later", "") // that is not there yet
	if got, want := w.declared("atrium@conference"), "mira@chat.example:Owner Night Shift:Member later:Admin"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// base32hex (RFC 4648 §7) and MD5 of "Night Shift", as basenc --base32hex and md5sum give them.
	const shown = "9pkmeq3k419mgqb6eg@chat.example/cc29b2b6f0f21d20ba085bd4de3f4dc7"
	w.want(200, `{"members":["`+shown+`"]}`, "GET", "/chatrooms/atrium/members", "", accept(formatJSON))
	// What was shown is read back.
	w.want(201, "", "PUT", "/chatrooms/atrium/members", `["`+shown+`","pia"]`)
	w.want(201, "", "POST", "/chatrooms/atrium/outcasts", `<outcasts><outcast>`+strings.ToUpper(shown)+`</outcast></outcasts>`)
	if got, want := w.declared("atrium@conference"), "mira@chat.example:Owner pia@chat.example:Member Night Shift:Outcast later:Admin"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.want(200, "", "DELETE", "/chatrooms/atrium/outcasts/Night%20Shift", "")
	w.want(200, "", "DELETE", "/chatrooms/atrium/admins/later", "")
	w.wantError(409, "NotAllowedException", "Could not delete affiliation", "later", "DELETE", "/chatrooms/atrium/admins/group/later", "")
	w.wantAudit("created new MUC room atrium", "set MUC affiliation to member for Night Shift in atrium", "set MUC affiliation to admin for later in atrium",
		"set MUC affiliation to member for pia@chat.example in atrium", "set MUC affiliation to outcast for Night Shift in atrium",
		"set MUC affiliation to none for Night Shift in atrium", "set MUC affiliation to none for later in atrium")
}

func TestAffiliationLists(t *testing.T) {
	const illegal = "IllegalArgumentException"
	for _, a := range words[1:] {
		w := newWorld(t)
		w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","owners":["mira"]}`)
		path := "/chatrooms/atrium/" + a.list
		w.want(200, prolog+"<"+a.list+"/>", "GET", path, "")
		w.want(201, "", "POST", path, `{"`+a.list+`":["tobias","Ines@Chat.Example"]}`)
		w.want(201, "", "POST", path, `<`+a.list+`><`+a.item+`>pia@other.example</`+a.item+`><`+a.item+`>tobias</`+a.item+`></`+a.list+`>`)
		w.want(200, `{"`+a.list+`":["ines@chat.example","tobias@chat.example","pia@other.example"]}`, "GET", path, "", accept(formatJSON))
		if got := w.send("GET", path+"?offset=1&limit=1", "", accept(formatJSON)); got.Body.String() != `{"`+a.list+`":["tobias@chat.example"]}` || got.Header().Get("X-Total-Count") != "3" {
			t.Errorf("%s: %v", got.Body, got.Header())
		}
		w.want(201, "", "PUT", path, `{"`+a.item+`":"tobias"}`)
		w.want(200, `{"`+a.list+`":["tobias@chat.example"]}`, "GET", path, "", accept(formatJSON))
		w.want(201, "", "PUT", path, `<`+a.list+`/>`)
		w.want(200, `{"`+a.list+`":[]}`, "GET", path, "", accept(formatJSON))
		w.wantError(400, illegal, "the body has to be a list of "+a.list, "atrium", "PUT", path, "")
		w.wantError(400, illegal, "the body has no list of "+a.list, "atrium", "POST", path, `{"owners":["mira"]}`)
		w.wantError(400, illegal, "Unable to parse value as jid: a b", "atrium", "POST", path, `["pia","a b"]`)
		if got := w.send("PUT", path, `<owners/>`); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		if got := w.declared("atrium@conference"); got != "mira@chat.example:Owner" {
			t.Error(got)
		}
	}
}

// What many do to one room at once, all of them have done.
func TestAffiliationsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"atrium","owners":["mira"],"members":["gone0","gone1","gone2","gone3"]}`)
	var calls sync.WaitGroup
	for i := range 16 {
		calls.Go(func() {
			switch i % 4 {
			case 0:
				w.want(200, "", "DELETE", fmt.Sprintf("/chatrooms/atrium/members/gone%d", i/4), "")
			case 1:
				w.want(201, "", "POST", fmt.Sprintf("/chatrooms/atrium/admins/a%d", i), "")
			case 2:
				w.want(201, "", "POST", "/chatrooms/atrium/outcasts", fmt.Sprintf(`["o%d"]`, i))
			case 3:
				w.want(201, "", "POST", fmt.Sprintf("/chatrooms/atrium/members/group/g%d", i), "")
			}
		})
	}
	calls.Wait()
	got := w.declared("atrium@conference")
	if len(strings.Fields(got)) != 1+4+4+4 || strings.Contains(got, "gone") {
		t.Errorf("%s", got)
	}
	// Of two owners, one stays, whoever is quicker.
	w.want(201, "", "POST", "/chatrooms/atrium/owners/tobias", "")
	var mu sync.Mutex
	statuses := map[int]int{}
	for _, name := range []string{"mira", "tobias"} {
		calls.Go(func() {
			code := w.send("DELETE", "/chatrooms/atrium/owners/"+name, "").Code
			mu.Lock()
			defer mu.Unlock()
			statuses[code]++
		})
	}
	calls.Wait()
	if statuses[200] != 1 || statuses[409] != 1 {
		t.Errorf("%v", statuses)
	}
}
