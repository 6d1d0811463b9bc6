package e2e

import "strings"

var (
	newOps = both{
		prolog + `<group><name>Ops</name><description>People on call</description><admins><admin>mira@chat.example</admin></admins><members><member>tobias</member></members><shared>false</shared></group>`,
		`{"name":"Ops","description":"People on call","admins":["mira@chat.example"],"members":["tobias"],"shared":false}`,
	}
	ops = both{
		`<group><name>Ops</name><description>People on call</description><admins><admin>mira@chat.example</admin></admins><members><member>tobias@chat.example</member></members><shared>false</shared></group>`,
		`{"name":"Ops","description":"People on call","admins":["mira@chat.example"],"members":["tobias@chat.example"],"shared":false}`,
	}
	noSuchGroup = failure("GroupNotFoundException", "Could not find group", "Day Shift")
)

// groupBody is one as the API shows it, with addresses of this server.
func groupBody(name, description, admins, members string) both {
	g := both{"<group><name>" + name + "</name>", `{"name":"` + name + `",`}
	if description != "" {
		g.xml += "<description>" + description + "</description>"
		g.json += `"description":"` + description + `",`
	}
	for _, list := range []struct{ name, item, of string }{{"admins", "admin", admins}, {"members", "member", members}} {
		one := addressList(list.name, list.item, list.of)
		g.xml += one.xml
		g.json += one.json[1:len(one.json)-1] + ","
	}
	return both{g.xml + "<shared>false</shared></group>", g.json + `"shared":false}`}
}

// groupsOf is the answer to which groups somebody is in. The older key is there as well.
func groupsOf(names ...string) both {
	if len(names) == 0 {
		return both{"<groups/>", `{"groupnames":[],"groupname":[]}`}
	}
	var b both
	for _, n := range names {
		b.xml += "<groupname>" + n + "</groupname>"
		b.json += `,"` + n + `"`
	}
	return both{"<groups>" + b.xml + "</groups>", `{"groupnames":[` + b.json[1:] + `],"groupname":[` + b.json[1:] + `]}`}
}

func (c *contract) groups() {
	c.inBoth("creates, shows, lists, changes and deletes groups", func(f format) {
		c.run(f,
			row{"GET", "/groups", none, 200, both{"<groups/>", `{"groups":[]}`}},
			row{"POST", "/groups", none, 400, failure("IllegalArgumentException", "Could not create new group", "groups")},
			row{"POST", "/groups", both{`<group><name></name></group>`, `{"name":""}`}, 400, failure("IllegalArgumentException", "Could not create new group", "groups")},
			row{"POST", "/groups", both{`<group><description>x</description></group>`, `{"description":"x"}`}, 400,
				failure("IllegalArgumentException", "Could not create new group", "groups")},
			row{"POST", "/groups", both{`<group><name> </name></group>`, `{"name":" "}`}, 409, failure("GroupAlreadyExistsException", "Could not create a group", " ")},
			row{"POST", "/groups", both{
				`<group><name>Ops</name><members><member>mi ra</member></members></group>`, `{"name":"Ops","members":["mi ra"]}`}, 400,
				failure("IllegalArgumentException", "Cannot parse a member value as a JID: …", "Ops")},
			row{"POST", "/groups", both{
				`<group><name>Ops</name><admins><admin>@chat.example</admin></admins></group>`, `{"name":"Ops","admins":["@chat.example"]}`}, 400,
				failure("IllegalArgumentException", "Cannot parse a admin value as a JID: …", "Ops")},
			row{"POST", "/groups", newOps, 201, none},
			row{"POST", "/groups", newOps, 409, failure("GroupAlreadyExistsException", "Could not create a group", "Ops")},
			row{"GET", "/groups/Ops", none, 200, ops},
			row{"HEAD", "/groups/Ops/", none, 200, ops},
			row{"GET", "/groups/ops", none, 404, failure("GroupNotFoundException", "Could not find group", "ops")},
			row{"POST", "/groups/", both{
				`<group><name>Night Shift</name><description></description></group>`, `{"name":"Night Shift","description":""}`}, 201, none},
			row{"GET", "/groups/Night%20Shift", none, 200, groupBody("Night Shift", "", "", "")},
			row{"POST", "/groups", both{`<group><name>a/b;c</name></group>`, `{"name":"a/b;c"}`}, 201, none},
			row{"GET", "/groups/a%2Fb;c", none, 200, groupBody("a/b;c", "", "", "")},
			row{"DELETE", "/groups/a%2Fb;c", none, 200, none},

			row{"GET", "/groups", none, 200, both{
				`<groups><group><name>Night Shift</name><shared>false</shared></group><group><name>Ops</name><description>People on call</description><shared>false</shared></group></groups>`,
				`{"groups":[{"name":"Night Shift","shared":false},{"name":"Ops","description":"People on call","shared":false}]}`}},
			row{"GET", "/groups?offset=2", none, 200, both{"<groups/>", `{"groups":[]}`}},
			row{"GET", "/groups?offset=-1", none, 400, failure("IllegalArgumentException", "…", "offset")},

			row{"PUT", "/groups/Ops", none, 400, failure("IllegalArgumentException", "Could not update new group", "groups")},
			row{"PUT", "/groups/Ops", both{`<group><name></name></group>`, `{"name":""}`}, 400, failure("IllegalArgumentException", "Could not update new group", "groups")},
			row{"PUT", "/groups/Ops", both{`<group><name>Night Shift</name></group>`, `{"name":"Night Shift"}`}, 400,
				failure("IllegalArgumentException", "…", "Ops != Night Shift")},
			row{"PUT", "/groups/Ops", both{`<group><name>Ops</name><members><member>mi ra</member></members></group>`, `{"name":"Ops","members":["mi ra"]}`}, 400,
				failure("IllegalArgumentException", "Cannot parse a member value as a JID: …", "Ops")},
			row{"PUT", "/groups/Day%20Shift", both{`<group><name>Day Shift</name></group>`, `{"name":"Day Shift"}`}, 404, noSuchGroup},
			// Lists that are absent stay, those that are there replace; an absent description is none.
			row{"PUT", "/groups/Ops", both{`<group><name>Ops</name></group>`, `{"name":"Ops"}`}, 200, none},
			row{"GET", "/groups/Ops", none, 200, groupBody("Ops", "", "mira@chat.example", "tobias@chat.example")},
			row{"PUT", "/groups/Ops", both{
				`<group><name>Ops</name><description>All day</description><admins/><members><member>mira</member><member>guest@other.example</member></members></group>`,
				`{"name":"Ops","description":"All day","admins":[],"members":["mira","guest@other.example"]}`}, 200, none},
			row{"GET", "/groups/Ops", none, 200, groupBody("Ops", "All day", "", "guest@other.example mira@chat.example")},

			row{"DELETE", "/groups/Ops", none, 200, none},
			row{"DELETE", "/groups/Ops", none, 404, failure("GroupNotFoundException", "Could not find group", "Ops")},
			row{"GET", "/groups/Day%20Shift", none, 404, noSuchGroup},
		)
	})
}

func (c *contract) memberships() {
	c.inBoth("puts people into groups and takes them out", func(f format) {
		both2 := both{
			`<groups><groupname>Ops</groupname><groupname>Night Shift</groupname></groups>`, `{"groupnames":["Ops","Night Shift"]}`,
		}
		c.run(f,
			row{"POST", "/users", newMira, 201, none},
			row{"GET", "/users/mira/groups", none, 200, groupsOf()},
			row{"POST", "/users/mira/groups/", both2, 201, none},
			row{"GET", "/users/mira/groups/", none, 200, groupsOf("Night Shift", "Ops")},
			row{"GET", "/users/mira%40chat.example/groups", none, 200, groupsOf("Night Shift", "Ops")},
			row{"GET", "/groups/Ops", none, 200, groupBody("Ops", "", "", "mira@chat.example")},
			row{"GET", "/users/nobody7/groups", none, 404, noSuchUser},
			row{"GET", "/users/mira/groups?limit=x", none, 400, failure("IllegalArgumentException", "…", "limit")},
			row{"GET", "/users/guest@other.example/groups", none, 400, failure("GroupNotFoundException", "…", "guest@other.example")},
			row{"POST", "/users/mira/groups", none, 201, none},

			row{"POST", "/users/mira/groups/Day%20Shift", none, 201, none},
			row{"POST", "/users/mira/groups/Day%20Shift", both{"", `"Day Shift"`}, 201, none},
			row{"POST", "/users/guest@other.example/groups/Day%20Shift", none, 201, none},
			row{"GET", "/groups/Day%20Shift", none, 200, groupBody("Day Shift", "", "", "guest@other.example mira@chat.example")},
			row{"POST", "/users/mi%20ra/groups/Ops", none, 400, noSuchName},
			row{"POST", "/users/mi%20ra/groups", both2, 400, noSuchName},
			row{"DELETE", "/users/mi%20ra/groups/Ops", none, 400, noSuchName},

			row{"DELETE", "/users/mira/groups/Day%20Shift", none, 200, none},
			row{"DELETE", "/users/mira/groups/Day%20Shift", none, 200, none},
			row{"DELETE", "/users/guest@other.example/groups/Day%20Shift", none, 200, none},
			row{"DELETE", "/groups/Day%20Shift", none, 200, none},
			row{"DELETE", "/users/mira/groups/Day%20Shift", none, 404, noSuchGroup},
			// The missing one is reported once the others are done.
			row{"DELETE", "/users/mira/groups", both{
				`<groups><groupname>Day Shift</groupname><groupname>Ops</groupname></groups>`, `{"groupnames":["Day Shift","Ops"]}`}, 404, noSuchGroup},
			row{"GET", "/users/mira/groups", none, 200, groupsOf("Night Shift")},
			row{"DELETE", "/users/mira/groups", none, 200, none},
			row{"DELETE", "/users/mira/groups", both{`<groups><groupname>Night Shift</groupname></groups>`, `{"groupname":"Night Shift"}`}, 200, none},
			row{"GET", "/users/mira/groups", none, 200, groupsOf()},
		)
	})
}

func (c *contract) rosters() {
	item := func(jid, nickname, subscription, groups string) both {
		list, called := both{"<groups/>", "[]"}, none
		if nickname != "" {
			called = both{"<nickname>" + nickname + "</nickname>", `"nickname":"` + nickname + `",`}
		}
		if groups != "" {
			list = both{"<groups><group>" + groups + "</group></groups>", `["` + groups + `"]`}
		}
		return both{
			"<rosterItem><jid>" + jid + "</jid>" + called.xml + "<subscriptionType>" + subscription + "</subscriptionType>" + list.xml + "</rosterItem>",
			`{"jid":"` + jid + `",` + called.json + `"subscriptionType":` + subscription + `,"groups":` + list.json + `}`,
		}
	}
	rosterOf := func(items ...both) both {
		if len(items) == 0 {
			return both{"<roster/>", `{"rosterItem":[]}`}
		}
		var b both
		for _, i := range items {
			b.xml += i.xml
			b.json += "," + i.json
		}
		return both{"<roster>" + b.xml + "</roster>", `{"rosterItem":[` + b.json[1:] + `]}`}
	}
	c.inBoth("keeps rosters", func(f format) {
		friend := item("tobias@chat.example", "Tobi", "3", "Friends")
		missing := failure("UserNotFoundException", "Could not update the roster", "nobody7@chat.example")
		c.run(f,
			row{"POST", "/users", newMira, 201, none},
			row{"GET", "/users/mira/roster", none, 200, rosterOf()},
			row{"GET", "/users/nobody7/roster", none, 404, noSuchUser},
			row{"POST", "/users/nobody7/roster", friend, 404, noSuchUser},
			row{"POST", "/users/mi%20ra/roster", friend, 400, noSuchName},
			row{"POST", "/users/mira/roster", none, 400, failure("IllegalArgumentException", "JID is null", "JID")},
			row{"POST", "/users/mira/roster", both{`<rosterItem><nickname>x</nickname></rosterItem>`, `{"nickname":"x"}`}, 400,
				failure("IllegalArgumentException", "JID is null", "JID")},
			row{"POST", "/users/mira/roster", item("tobias@chat.example", "Tobi", "4", ""), 400, failure("IllegalArgumentException", "…", "tobias@chat.example")},
			row{"POST", "/users/mira/roster", item("to bias@chat.example", "Tobi", "3", ""), 400, failure("IllegalArgumentException", "…", "to bias@chat.example")},
			row{"POST", "/users/mira/roster", friend, 201, none},
			row{"POST", "/users/mira/roster", friend, 409, failure("UserAlreadyExistsException", "Could not create roster item", "")},
			row{"POST", "/users/mira/roster", both{`<rosterItem><jid>ines</jid></rosterItem>`, `{"jid":"ines"}`}, 201, none},
			row{"GET", "/users/mira/roster", none, 200, rosterOf(item("ines@chat.example", "", "0", ""), friend)},
			row{"GET", "/users/mira/roster?limit=x", none, 400, failure("IllegalArgumentException", "…", "limit")},
			row{"GET", "/users/mira/roster/tobias@chat.example", none, 200, friend},
			row{"GET", "/users/mira/roster/nobody7@chat.example", none, 404, failure("RosterItemNotFound", "…", "nobody7@chat.example")},
			row{"GET", "/users/nobody7/roster/tobias@chat.example", none, 404, noSuchUser},

			row{"PUT", "/users/mira/roster/nobody7@chat.example", friend, 404, missing},
			row{"PUT", "/users/nobody7/roster/tobias@chat.example", friend, 404, noSuchUser},
			row{"PUT", "/users/mira/roster/tobias@chat.example", item("x", "Tobi", "9", ""), 400, failure("IllegalArgumentException", "…", "…")},
			// What is absent stays, but the subscription, which is none then.
			row{"PUT", "/users/mira/roster/tobias@chat.example", both{`<rosterItem><nickname>Toby</nickname></rosterItem>`, `{"nickname":"Toby"}`}, 200, none},
			row{"GET", "/users/mira/roster/tobias@chat.example", none, 200, item("tobias@chat.example", "Toby", "0", "Friends")},
			row{"PUT", "/users/mira/roster/tobias@chat.example", item("somebody@else.example", "Tobi", "1", "Work"), 200, none},
			row{"GET", "/users/mira/roster/tobias@chat.example", none, 200, item("tobias@chat.example", "Tobi", "1", "Work")},
			row{"PUT", "/users/mira/roster", friend, 200, none},
			row{"PUT", "/users/mira/roster", none, 400, failure("IllegalArgumentException", "JID is null", "JID")},
			row{"PUT", "/users/mira/roster", item("nobody7@chat.example", "No", "0", ""), 404, missing},
			row{"PUT", "/users/nobody7/roster", friend, 404, noSuchUser},
			row{"GET", "/users/mira/roster/tobias@chat.example", none, 200, friend},

			row{"DELETE", "/users/mira/roster/nobody7@chat.example", none, 404,
				failure("RosterItemNotFound", "Roster Item could not deleted", "nobody7@chat.example")},
			row{"DELETE", "/users/nobody7/roster/tobias@chat.example", none, 404, noSuchUser},
			row{"DELETE", "/users/mira/roster/to%20bias@chat.example", none, 400, failure("IllegalArgumentException", "…", "to bias@chat.example")},
			row{"DELETE", "/users/mira/roster/tobias@chat.example", none, 200, none},
			row{"PUT", "/users/mira/roster/ines@chat.example", item("ines@chat.example", "", "-1", ""), 200, none},
			row{"GET", "/users/mira/roster", none, 200, rosterOf()},
		)

		// Contacts that a shared group brings, under its name.
		c.run(f,
			row{"POST", "/users", newTobias, 201, none},
			row{"POST", "/groups", both{
				`<group><name>Ops</name><members><member>mira</member><member>tobias</member></members><shared>true</shared></group>`,
				`{"name":"Ops","members":["mira","tobias"],"shared":true}`}, 201, none},
			row{"GET", "/users/mira/roster", none, 200, rosterOf(item("tobias@chat.example", "", "3", ""))},
			row{"POST", "/users/mira/roster", item("ines@chat.example", "Ines", "0", "Ops"), 400,
				failure("SharedGroupException", "Could not create roster item", "")},
			row{"PUT", "/users/mira/roster/tobias@chat.example", item("tobias@chat.example", "Tobi", "3", "Friends"), 400,
				failure("SharedGroupException", "Could not update the roster", "tobias@chat.example")},
			row{"PUT", "/users/mira/roster", item("tobias@chat.example", "Tobi", "3", "Friends"), 400,
				failure("SharedGroupException", "Could not update the roster", "tobias@chat.example")},
			row{"DELETE", "/users/mira/roster/tobias@chat.example", none, 400,
				failure("SharedGroupException", "Could not delete the roster item", "tobias@chat.example")},
		)
	})
}

// addressList is a list of addresses, separated by blanks, in an element of its own.
func addressList(name, item, addresses string) both {
	fields := strings.Fields(addresses)
	if len(fields) == 0 {
		return both{"<" + name + "/>", `{"` + name + `":[]}`}
	}
	var b both
	for _, one := range fields {
		b.xml += "<" + item + ">" + one + "</" + item + ">"
		b.json += `,"` + one + `"`
	}
	return both{"<" + name + ">" + b.xml + "</" + name + ">", `{"` + name + `":[` + b.json[1:] + `]}`}
}
