package restserver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// denied is what a resource says that may not be changed from inside at all.
const denied = "spec.members may not be changed from here: the resource's inBandPolicy is Deny"

func (w *world) groupsOf(address string) string {
	return strings.Join(w.directory.GroupsOf(jid.MustParse(address)), ",")
}

func TestUserGroups(t *testing.T) {
	for _, body := range []string{
		golden(t, "user-groups.json"),
		golden(t, "user-groups.xml"),
		`{"groupname":["Night Shift","Ops"]}`,
		`["Ops","Night Shift","Ops"]`,
	} {
		w := newWorld(t)
		w.create("mira", "x")
		w.want(200, prolog+`<groups/>`, "GET", "/users/mira/groups", "")
		w.want(200, `{"groupnames":[],"groupname":[]}`, "GET", "/users/mira/groups", "", accept(formatJSON))
		w.want(201, "", "POST", "/groups", `{"name":"Ops"}`)
		w.want(201, "", "POST", "/users/Mira/groups/", body)
		w.want(200, prolog+`<groups><groupname>Night Shift</groupname><groupname>Ops</groupname></groups>`, "GET", "/users/MIRA/groups/", "")
		got := w.want(200, `{"groupnames":["Night Shift","Ops"],"groupname":["Night Shift","Ops"]}`, "GET", "/users/mira@chat.example/groups", "", accept(formatJSON))
		if total := got.Header().Get("X-Total-Count"); total != "2" {
			t.Errorf("X-Total-Count %q", total)
		}
		w.showGroup("Night%20Shift", `{"name":"Night Shift","admins":[],"members":["mira@chat.example"],"shared":false}`)
		summaries := w.audit.summaries()
		if n := len(summaries); !slices.Contains(summaries, "created new group Night Shift") || !slices.Contains(summaries, "added group member to Ops") ||
			w.audit.entries[n-1].Details != "member = mira@chat.example" {
			t.Errorf("audit log %q", summaries)
		}
		w.want(200, "", "DELETE", "/users/mira/groups", body)
		w.want(200, `{"groupnames":[],"groupname":[]}`, "GET", "/users/mira/groups", "", accept(formatJSON))
		w.want(200, "", "DELETE", "/users/mira/groups", body) // also when not in it
	}
}

// Of several, the others are done before the missing one is reported.
func TestLeaveSeveralGroups(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	w.want(201, "", "POST", "/users/mira/groups", `{"groupnames":["a","b","c"]}`)
	w.wantError(404, "GroupNotFoundException", "Could not find group", "gone", "DELETE", "/users/mira/groups", `{"groupnames":["a","gone","missing","b"]}`)
	if got := w.groupsOf("mira@chat.example"); got != "c" {
		t.Errorf("in %s", got)
	}
	const left = "updated group membership for "
	// Twice, since errors are compared in both formats.
	if got := w.audit.summaries()[6:]; !slices.Equal(got, []string{left + "a", left + "b", left + "a", left + "b"}) {
		t.Errorf("audit log %q", got)
	}
	if got := w.audit.entries[6].Details; got != "removed = mira@chat.example" {
		t.Errorf("audit details %q", got)
	}
	// One that is managed elsewhere stops the others as little.
	w.want(201, "", "POST", "/users/mira/groups", `{"groupnames":["a","b"]}`)
	w.local.Refuse = func(_, group string) error {
		if group == "b" {
			return &directory.ManagedError{Field: "spec.members", Policy: true}
		}
		return nil
	}
	w.wantError(409, "ManagedByOther", denied, "b", "DELETE", "/users/mira/groups", `{"groupnames":["b","c"]}`)
	w.wantError(409, "ManagedByOther", denied, "b", "POST", "/users/mira/groups", `{"groupnames":["b","d"]}`)
	if got := w.groupsOf("mira@chat.example"); got != "a,b,d" {
		t.Errorf("in %s", got)
	}
	// What is the matter with the server is told at once.
	tried := 0
	w.local.Refuse = func(string, string) error { tried++; return &directory.UnavailableError{} }
	if got := w.send("DELETE", "/users/mira/groups", `{"groupnames":["a","b"]}`); got.Code != 503 || tried != 1 {
		t.Errorf("%d after %d tries", got.Code, tried)
	}
}

func TestMembership(t *testing.T) {
	w := newWorld(t)
	// Nobody looks whether there is such a user; members may be of other domains; what was sent with it isn't looked at.
	w.want(201, "", "POST", "/users/Nobody7/groups/Ops", "")
	w.want(201, "", "POST", "/users/ada@Other.Example/groups/Ops", `{`)
	w.want(201, "", "POST", "/users/ada%40other.example%2Fphone/groups/Ops/", "", header("Content-Type", formatXML))
	w.want(201, "", "POST", "/users/nobody7@chat.example/groups/Night%20Shift%2F24;7", `"x"`, header("Content-Type", "text/plain"))
	w.showGroup("Ops", `{"name":"Ops","admins":[],"members":["ada@other.example","nobody7@chat.example"],"shared":false}`)
	w.showGroup("Night%20Shift%2F24;7", `{"name":"Night Shift/24;7","admins":[],"members":["nobody7@chat.example"],"shared":false}`)
	// An admin who is added is a plain member then, and who is removed is off both lists.
	w.want(200, "", "PUT", "/groups/Ops", `{"name":"Ops","admins":["mira","tobias"]}`)
	w.want(201, "", "POST", "/users/mira/groups/Ops", "")
	w.showGroup("Ops", `{"name":"Ops","admins":["tobias@chat.example"],"members":["ada@other.example","mira@chat.example","nobody7@chat.example"],"shared":false}`)
	w.want(200, "", "DELETE", "/users/tobias/groups/Ops", "")
	w.want(200, "", "DELETE", "/users/ada@other.example/groups/Ops", `[]`)
	w.want(200, "", "DELETE", "/users/zed/groups/Ops", "")
	w.showGroup("Ops", `{"name":"Ops","admins":[],"members":["mira@chat.example","nobody7@chat.example"],"shared":false}`)
	w.wantError(404, "GroupNotFoundException", "Could not find group", "ops", "DELETE", "/users/mira/groups/ops", "")
	const added, updated = "added group member to ", "updated group membership for Ops"
	w.wantAudit("created new group Ops", added+"Ops", added+"Ops", added+"Ops", "created new group Night Shift/24;7", added+"Night Shift/24;7",
		"edited group Ops", added+"Ops", updated, updated, updated)
}

func TestMembershipRefusals(t *testing.T) {
	const illegal = "IllegalArgumentException"
	w := newWorld(t)
	w.create("mira", "x")
	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "GET", "/users/nobody7/groups", "")
	w.wantError(404, "UserNotFoundException", "Could not get user", "a b", "GET", "/users/a%20b/groups", "")
	w.wantError(400, "GroupNotFoundException", "this server knows the groups of its own users only", "ada@other.example", "GET", "/users/ada@other.example/groups", "")
	for _, name := range []string{"a%20b", "@chat.example", "a@b@c", "a%2Fb", "%00", "a@"} {
		for _, c := range []struct{ method, path string }{{"POST", "/Ops"}, {"DELETE", "/Ops"}, {"POST", ""}, {"DELETE", ""}} {
			got := w.send(c.method, "/users/"+name+"/groups"+c.path, `{"groupnames":["Ops"]}`)
			if got.Code != 400 || !entityLike(got.Body.String(), illegal) {
				t.Errorf("%s %s%s: %d %s", c.method, name, c.path, got.Code, got.Body)
			}
		}
	}
	w.wantError(400, illegal, "a group without a name cannot be created", " ", "POST", "/users/mira/groups/%20", "")
	// Nothing does nothing.
	for method, status := range map[string]int{"POST": 201, "DELETE": 200} {
		for _, body := range []string{`{}`, `[]`, `{"groupnames":null}`, `{"groupnames":[""," "]}`, `<groups/>`, `null`, ``} {
			w.want(status, "", method, "/users/mira/groups", body)
		}
		w.want(status, "", method, "/users/mira/groups", "", header("Content-Type", formatJSON))
		if got := w.send(method, "/users/mira/groups", "", header("Content-Type", formatXML)); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		for _, body := range []string{`"Ops"`, `{"groupnames":[["a"]]}`, `<group/>`, `{"groupnames":["` + strings.Repeat(`x","`, 1000) + `x"]}`} {
			if got := w.send(method, "/users/mira/groups", body); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
				t.Errorf("%s %.40s: %d %s", method, body, got.Code, got.Body)
			}
		}
	}
	if n := len(w.directory.Groups()); n != 0 {
		t.Errorf("%d groups", n)
	}
	w.wantAudit()
	w.want(201, "", "POST", "/users/mira/groups/Ops", "")
	w.refuse(&directory.ManagedError{Field: "spec.members", Policy: true})
	for _, method := range []string{"POST", "DELETE"} {
		w.wantError(409, "ManagedByOther", denied, "Ops", method, "/users/mira/groups/Ops", "")
	}
	w.refuse(directory.ErrConflict)
	w.wantError(409, "ConflictException", "others are changing the same thing: try again", "Ops", "POST", "/users/mira/groups/Ops", "")
	w.refuse(errors.New("no"))
	if got := w.send("POST", "/users/mira/groups/Ops", ""); got.Code != 500 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// A user's groups are also those that pick it by label, and there only the labels take it out.
func TestMembershipBySelector(t *testing.T) {
	w := newWorld(t)
	w.selectNorth("mira", "North")
	w.want(201, "", "POST", "/users/mira/groups/Ops", "")
	w.want(200, `{"groupnames":["North","Ops"],"groupname":["North","Ops"]}`, "GET", "/users/mira/groups", "", accept(formatJSON))
	w.want(201, "", "POST", "/users/mira/groups/North", "")
	if g, _ := w.directory.Group("North"); len(g.Members) != 2 {
		t.Errorf("who is a member by label was named: %v", g.Members)
	}
	const why = "spec.selector of the group picks mira@chat.example by the labels of the user: change the labels or the selector"
	w.wantError(409, "ManagedByOther", why, "North", "DELETE", "/users/mira/groups/North", "")
	w.wantError(409, "ManagedByOther", why, "North", "DELETE", "/users/mira/groups", `{"groupnames":["North","Ops"]}`)
	w.want(200, `{"groupnames":["North"],"groupname":["North"]}`, "GET", "/users/mira/groups", "", accept(formatJSON))
	w.want(200, "", "DELETE", "/users/tobias/groups/North", "")
}

// A hundred who join and leave one group at the same time lose nothing, though it doesn't even exist at first.
func TestMembershipRace(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			path := fmt.Sprintf("/users/u%02d/groups/Ops", i)
			if got := w.send("POST", path, ""); got.Code != 201 {
				t.Errorf("%d %s", got.Code, got.Body)
			}
			if i%2 == 1 {
				if got := w.send("DELETE", path, ""); got.Code != 200 {
					t.Errorf("%d %s", got.Code, got.Body)
				}
			}
		})
	}
	wg.Wait()
	members := w.directory.Members("Ops")
	if len(members) != 50 || members[49] != jid.MustParse("u98@chat.example") {
		t.Errorf("%d members: %v", len(members), members)
	}
	made := 0
	for _, summary := range w.audit.summaries() {
		if summary == "created new group Ops" {
			made++
		}
	}
	if made != 1 {
		t.Errorf("created %d times", made)
	}
}
