package e2e

import (
	. "github.com/onsi/gomega"
)

// managed is what a manifest declares and REST must not change: each call says so, and does nothing.
func (c *contract) managed() {
	c.inBoth("leaves alone what is managed elsewhere", func(f format) {
		c.apply(`
apiVersion: chat-operator.io/v1alpha1
kind: ChatUser
metadata: {name: mira}
spec: {inBandPolicy: Deny, roster: [{jid: tobias@chat.example, subscription: Both}]}
---
apiVersion: chat-operator.io/v1alpha1
kind: ChatUser
metadata: {name: otto}
spec: {inBandPolicy: Deny, locked: true}
---
apiVersion: chat-operator.io/v1alpha1
kind: ChatGroup
metadata: {name: ops}
spec: {inBandPolicy: Deny, members: [mira]}
---
apiVersion: chat-operator.io/v1alpha1
kind: ChatRoom
metadata: {name: atrium}
spec: {inBandPolicy: Deny, displayName: The Atrium, affiliations: [{jid: mira@chat.example, affiliation: Owner}, {jid: tobias@chat.example, affiliation: Member}], groupAffiliations: [{group: ops, affiliation: Member}]}
---
apiVersion: chat-operator.io/v1alpha1
kind: SystemProperty
metadata: {name: a.motto}
spec: {inBandPolicy: Deny, value: be kind}
---
apiVersion: chat-operator.io/v1alpha1
kind: SystemProperty
metadata: {name: xmpp.muc.service.workshop.hidden}
spec: {inBandPolicy: Deny, value: "true"}
`)
		c.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatuser/mira", "chatuser/otto", "chatgroup/ops", "chatroom/atrium", "systemproperty/a.motto")
		generations := func() string {
			return c.kubectl("get", "chatusers,chatgroups,chatrooms,systemproperties", "--output=jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation}\n{end}")
		}
		before := generations()
		refused := failure("ManagedByOther", "…", "…")
		contact := fields("rosterItem", "jid", "ines@chat.example", "nickname", "Ines")
		list := addressList("members", "member", "ines")
		room := fields("chatRoom", "roomName", "atrium", "naturalName", "Mine")
		var rows []row
		for _, r := range []struct {
			method, path string
			send         both
		}{
			{"PUT", "/users/mira", fields("user", "name", "M")},
			{"PUT", "/users/mira", fields("user", "username", "mia")},
			{"DELETE", "/users/mira", none},
			{"POST", "/lockouts/mira", none},
			{"DELETE", "/lockouts/otto", none},
			{"POST", "/users/mira/roster", contact},
			{"PUT", "/users/mira/roster", fields("rosterItem", "jid", "tobias@chat.example", "nickname", "T")},
			{"PUT", "/users/mira/roster/tobias@chat.example", contact},
			{"DELETE", "/users/mira/roster/tobias@chat.example", none},
			{"POST", "/users/otto/groups", both{"<groups><groupname>ops</groupname></groups>", `{"groupnames":["ops"]}`}},
			{"POST", "/users/otto/groups/ops", none},
			{"DELETE", "/users/mira/groups", both{"<groups><groupname>ops</groupname></groups>", `{"groupnames":["ops"]}`}},
			{"DELETE", "/users/mira/groups/ops", none},
			{"PUT", "/groups/ops", groupBody("ops", "Mine", "", "")},
			{"DELETE", "/groups/ops", none},
			{"PUT", "/chatrooms/atrium", room},
			{"DELETE", "/chatrooms/atrium", none},
			{"POST", "/chatrooms/atrium/members", list},
			{"PUT", "/chatrooms/atrium/members", list},
			{"POST", "/chatrooms/atrium/members/ines", none},
			{"DELETE", "/chatrooms/atrium/members/tobias", none},
			{"POST", "/chatrooms/atrium/admins/group/ops", none},
			{"DELETE", "/chatrooms/atrium/members/group/ops", none},
			{"POST", "/chatservices", fields("chatService", "serviceName", "workshop")},
			{"POST", "/chatrooms?servicename=workshop", room},
			{"POST", "/chatrooms/bulk?servicename=workshop", rooms(room)},
			{"POST", "/system/properties", property("a.motto", "mine")},
			{"POST", "/system/properties/a.motto", property("a.motto", "mine")},
			{"PUT", "/system/properties/a.motto", property("a.motto", "mine")},
			{"DELETE", "/system/properties/a.motto", none},
		} {
			rows = append(rows, row{r.method, r.path, r.send, 409, refused})
		}
		c.run(f, rows...)
		Expect(generations()).To(Equal(before))

		// It is a matter of the resource, or of all.
		c.run(f, row{"POST", "/system/properties", property("plugin.restapi.overrideManaged", "true"), 201, none})
		c.kubectl("patch", "chatgroup", "ops", "--type=merge", `--patch={"spec":{"inBandPolicy":"Force"}}`)
		Eventually(func() int {
			return c.call("PUT", "/groups/ops", map[string]any{"name": "ops", "description": "mine"}).Status
		}, limit).Should(Equal(200))
	})
}
