package restserver_test

import (
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

func TestRosterRoundTrip(t *testing.T) {
	item := strings.TrimSuffix(strings.TrimPrefix(golden(t, "roster.xml"), prolog+"<roster>"), "</roster>")
	for _, body := range []string{
		item,
		`{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":3,"groups":["Friends"]}`,
		`{"jid":"Tobias","name":"Tobi","subscriptionType":"3","groups":{"group":"Friends"}}`,
		`{"jid":"tobias@chat.example/phone","nickname":"Tobi","subscriptionType":3,"groups":["Friends","Friends"]}`,
	} {
		w := newWorld(t)
		w.create("mira", "x")
		w.want(200, prolog+`<roster/>`, "GET", "/users/mira/roster", "")
		w.want(200, `{"rosterItem":[]}`, "GET", "/users/mira/roster", "", accept(formatJSON))
		w.want(201, "", "POST", "/users/mira/roster", body)
		w.want(200, golden(t, "roster.xml"), "GET", "/users/Mira/roster/", "")
		got := w.want(200, golden(t, "roster.json"), "GET", "/users/mira/roster", "", accept(formatJSON))
		if total := got.Header().Get("X-Total-Count"); total != "1" {
			t.Errorf("X-Total-Count %q", total)
		}
		w.wantError(409, "UserAlreadyExistsException", "Could not create roster item", "", "POST", "/users/mira/roster", body)
		w.want(200, "", "DELETE", "/users/mira/roster/tobias%40chat.example", "")
		w.wantError(404, "RosterItemNotFound", "Roster Item could not deleted", "tobias@chat.example", "DELETE", "/users/mira/roster/tobias@chat.example", "")
		w.wantAudit("added roster item for mira", "deleted roster item from mira")
		if want := "jid = tobias@chat.example\nsubscription = both"; w.audit.entries[0].Details != want {
			t.Errorf("audit details %q", w.audit.entries[0].Details)
		}
	}
}

func TestRosterUpdate(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	show := func(want string) {
		t.Helper()
		w.want(200, `{"rosterItem":[`+want+`]}`, "GET", "/users/mira/roster", "", accept(formatJSON))
	}
	w.want(201, "", "POST", "/users/mira/roster", `{"jid":"tobias","nickname":"Tobi","subscriptionType":3,"groups":["b","a"]}`)
	show(`{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":3,"groups":["a","b"]}`)
	// Nickname and groups stay when absent; a subscription that is absent means none.
	w.want(200, "", "PUT", "/users/mira/roster/tobias@chat.example", `{"jid":"other@x"}`)
	show(`{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":0,"groups":["a","b"]}`)
	w.want(200, "", "PUT", "/users/mira/roster/tobias", `{"nickname":"","subscriptionType":1,"groups":[]}`)
	show(`{"jid":"tobias@chat.example","subscriptionType":1,"groups":[]}`)
	// The address may stand in the body alone.
	w.want(200, "", "PUT", "/users/mira/roster", `<rosterItem><jid>tobias@chat.example</jid><subscriptionType>2</subscriptionType></rosterItem>`)
	show(`{"jid":"tobias@chat.example","subscriptionType":2,"groups":[]}`)
	w.wantError(404, "UserNotFoundException", "Could not update the roster", "nobody@chat.example", "PUT", "/users/mira/roster/nobody@chat.example", `{"subscriptionType":1}`)
	w.wantError(400, "IllegalArgumentException", "JID is null", "JID", "PUT", "/users/mira/roster", `{"subscriptionType":1}`)
	// -1 removes.
	w.want(200, "", "PUT", "/users/mira/roster/tobias@chat.example", `{"subscriptionType":-1}`)
	show(``)
	w.want(201, "", "POST", "/users/mira/roster", `{"jid":"tobias"}`)
	w.want(201, "", "POST", "/users/mira/roster", `{"jid":"tobias","subscriptionType":-1}`)
	w.want(201, "", "POST", "/users/mira/roster", `{"jid":"tobias","subscriptionType":-1}`)
	show(``)
	const updated, deleted = "updated roster item for mira", "deleted roster item from mira"
	w.wantAudit("added roster item for mira", updated, updated, updated, deleted, "added roster item for mira", deleted)
}

// Contacts that a client made are shown, changed and removed like declared ones; what only carries a
// pending request is none.
func TestRosterClientMade(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	w.rosters.made["mira"] = []account.Item{
		{JID: jid.MustParse("zed@chat.example"), Name: "Zed", Subscription: account.SubscriptionTo, Groups: []string{"Work"}},
		{JID: jid.MustParse("ann@chat.example"), Subscription: account.SubscriptionBoth},
		{JID: jid.MustParse("asks@chat.example"), Hidden: true, PendingIn: true},
	}
	w.want(200, `{"rosterItem":[{"jid":"ann@chat.example","subscriptionType":3,"groups":[]},{"jid":"zed@chat.example","nickname":"Zed","subscriptionType":1,"groups":["Work"]}]}`,
		"GET", "/users/mira/roster", "", accept(formatJSON))
	w.want(200, "", "PUT", "/users/mira/roster/zed@chat.example", `{"subscriptionType":3}`)
	w.want(200, "", "DELETE", "/users/mira/roster/ann@chat.example", "")
	w.want(200, `{"rosterItem":[{"jid":"zed@chat.example","nickname":"Zed","subscriptionType":3,"groups":["Work"]}]}`,
		"GET", "/users/mira/roster", "", accept(formatJSON))
	// Changed where they live: nothing was declared by that.
	if u, _ := w.directory.User("mira"); len(u.Contacts) != 0 {
		t.Errorf("declared: %+v", u.Contacts)
	}
	w.wantAudit("updated roster item for mira", "deleted roster item from mira")
	w.wantError(409, "UserAlreadyExistsException", "Could not create roster item", "", "POST", "/users/mira/roster", `{"jid":"zed@chat.example","subscriptionType":3}`)
	w.wantError(404, "UserNotFoundException", "Could not update the roster", "asks@chat.example", "PUT", "/users/mira/roster/asks@chat.example", `{"subscriptionType":3}`)
	w.wantError(404, "RosterItemNotFound", "Roster Item could not deleted", "asks@chat.example", "DELETE", "/users/mira/roster/asks@chat.example", "")
	w.want(201, "", "POST", "/users/mira/roster", `{"jid":"asks@chat.example","subscriptionType":3}`)
}

// Contacts that are there through shared groups are shown without those groups, which cannot be given or taken.
func TestRosterShared(t *testing.T) {
	const refused = "SharedGroupException"
	w := newWorld(t)
	w.create("mira", "x")
	w.rosters.headings = []string{"Night Shift", "Staff"}
	w.rosters.made["mira"] = []account.Item{
		{JID: jid.MustParse("ann@chat.example"), Subscription: account.SubscriptionBoth, Groups: []string{"Staff"}, Shared: []string{"Staff"}},
		{JID: jid.MustParse("zed@chat.example"), Name: "Zed", Subscription: account.SubscriptionTo, Groups: []string{"Friends", "Staff"}, Shared: []string{"Staff"}},
	}
	shown := `{"rosterItem":[{"jid":"ann@chat.example","subscriptionType":3,"groups":[]},{"jid":"zed@chat.example","nickname":"Zed","subscriptionType":1,"groups":["Friends"]}]}`
	w.want(200, shown, "GET", "/users/mira/roster", "", accept(formatJSON))
	w.wantError(409, "UserAlreadyExistsException", "Could not create roster item", "", "POST", "/users/mira/roster", `{"jid":"ann"}`)
	w.wantError(400, refused, "Could not create roster item", "", "POST", "/users/mira/roster", `{"jid":"new","groups":["Friends","Night Shift"]}`)
	w.wantError(400, refused, "Could not update the roster", "zed@chat.example", "PUT", "/users/mira/roster/zed", `{"subscriptionType":1,"groups":["Friends"]}`)
	w.wantError(400, refused, "Could not update the roster", "zed@chat.example", "PUT", "/users/mira/roster/zed", `{"subscriptionType":1,"groups":["Staff","Night Shift"]}`)
	w.wantError(400, refused, "Could not delete the roster item", "zed@chat.example", "DELETE", "/users/mira/roster/zed", "")
	w.wantError(400, refused, "Could not delete the roster item", "zed@chat.example", "PUT", "/users/mira/roster/zed", `{"subscriptionType":-1}`)
	w.want(200, shown, "GET", "/users/mira/roster", "", accept(formatJSON))
	w.want(200, "", "PUT", "/users/mira/roster/zed", `{"nickname":"Z","subscriptionType":3,"groups":["Staff","Work"]}`)
	w.want(200, "", "PUT", "/users/mira/roster/zed", `{"subscriptionType":1}`)
	w.want(201, "", "POST", "/users/mira/roster", `{"jid":"new","groups":["Friends"]}`)
	w.wantAudit("updated roster item for mira", "updated roster item for mira", "added roster item for mira")
}

func TestRosterRefusals(t *testing.T) {
	const illegal = "IllegalArgumentException"
	w := newWorld(t)
	w.create("mira", "x")
	// The original says 200 and 201 here; an unknown user has no roster.
	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "GET", "/users/nobody7/roster", "")
	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "POST", "/users/nobody7/roster", `{"jid":"a@b"}`)
	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "PUT", "/users/nobody7/roster/a@b", `{"jid":"a@b"}`)
	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "DELETE", "/users/nobody7/roster/a@b", "")
	for _, body := range []string{`{}`, `{"jid":null}`, `{"jid":""}`, `{"jid":" "}`, `<rosterItem/>`, `null`} {
		w.wantError(400, illegal, "JID is null", "JID", "POST", "/users/mira/roster", body)
	}
	w.wantError(400, illegal, "JID is null", "JID", "POST", "/users/mira/roster", "")
	w.wantError(400, illegal, "Could not update the roster, because the body has no roster item", "a@b", "PUT", "/users/mira/roster/a@b", "", header("Content-Type", formatJSON))
	w.wantError(400, illegal, "subscriptionType has to be -1 (remove), 0 (none), 1 (to), 2 (from) or 3 (both)", "a@b", "PUT", "/users/mira/roster/a@b", `{"subscriptionType":9}`)
	for _, body := range []string{`{"jid":"a@b","subscriptionType":4}`, `{"jid":"a@b","subscriptionType":-2}`, `{"jid":"a@b","subscriptionType":"both"}`,
		`{"jid":"a@b@c@d"}`, `{"jid":"@chat.example"}`, `{"jid":"a b"}`, `{"jid":"a@"}`, `{"jid":"a@b..c"}`, `{"jid":"/x"}`} {
		if got := w.send("POST", "/users/mira/roster", body); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
			t.Errorf("%s: %d %s", body, got.Code, got.Body)
		}
	}
	if got := w.send("DELETE", "/users/mira/roster/a%20b", ""); got.Code != 400 || !entityLike(got.Body.String(), illegal) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	// As for clients.
	for _, body := range []string{`{"jid":"mira"}`, `{"jid":"Mira@chat.example/phone","subscriptionType":3}`} {
		w.wantError(400, illegal, "an account cannot be its own contact", "mira@chat.example", "POST", "/users/mira/roster", body)
	}
	w.refuse(&directory.ManagedError{Field: "spec.roster", Manager: "flux"})
	if got := w.send("POST", "/users/mira/roster", `{"jid":"a@b"}`); got.Code != 409 || !entityLike(got.Body.String(), "ManagedByOther") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	w.refuse(directory.ErrExists)
	w.wantError(409, "UserAlreadyExistsException", "Could not create roster item", "", "POST", "/users/mira/roster", `{"jid":"a@b"}`)
	w.wantAudit()
}

// A bare name is a user of this server; this server and what is below it are domains.
func TestRosterAddresses(t *testing.T) {
	for sent, want := range map[string]string{
		"Tobias":                   "tobias@chat.example",
		"jane.doe":                 "jane.doe@chat.example",
		"tobias@Other.Example/x":   "tobias@other.example",
		"irc.chat.example":         "irc.chat.example",
		"Chat.Example":             "chat.example",
		"a\\\\40b@gateway.example": "a\\\\40b@gateway.example",
	} {
		w := newWorld(t)
		w.create("mira", "x")
		w.want(201, "", "POST", "/users/mira/roster", `{"jid":"`+sent+`"}`)
		w.want(200, `{"rosterItem":[{"jid":"`+want+`","subscriptionType":0,"groups":[]}]}`, "GET", "/users/mira/roster", "", accept(formatJSON))
	}
}

// One contact can be got, too, under any spelling of its address.
func TestGetContact(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	w.want(201, "", "POST", "/users/mira/roster", `{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":3,"groups":["Friends"]}`)
	want := prolog + "<rosterItem><jid>tobias@chat.example</jid><nickname>Tobi</nickname><subscriptionType>3</subscriptionType><groups><group>Friends</group></groups></rosterItem>"
	for _, address := range []string{"tobias@chat.example", "Tobias", "tobias%40chat.example"} {
		w.want(200, want, "GET", "/users/mira/roster/"+address, "")
	}
	w.wantError(404, "RosterItemNotFound", "Could not find roster item", "nobody@chat.example", "GET", "/users/mira/roster/nobody@chat.example", "")
	w.wantError(404, "RosterItemNotFound", "Could not find roster item", "a b", "GET", "/users/mira/roster/a%20b", "")
	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "GET", "/users/nobody7/roster/tobias", "")
}
