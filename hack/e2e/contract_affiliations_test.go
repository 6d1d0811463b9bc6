package e2e

import (
	"slices"
	"strings"
)

func (c *contract) affiliations() {
	// The address of the group Ops: its name in base32hex, and the MD5 of it.
	const opsAddress = "9to76@chat.example/526bb9ac8b1b62d0e97d02ee2ff71de0"
	c.inBoth("gives and takes affiliations with rooms", func(f format) {
		c.run(f,
			row{"POST", "/groups", groupBody("Ops", "", "", "ines"), 201, none},
			row{"POST", "/chatrooms", newAtrium.with("<memberGroups><memberGroup>Ops</memberGroup></memberGroups>", "").with(`["Ops"]`, "[]"), 201, none},
			row{"GET", "/chatrooms/atrium/owners", none, 200, addressList("owners", "owner", "mira@chat.example")},
		)
		for _, a := range []struct{ list, item, before string }{{"admins", "admin", ""}, {"members", "member", "tobias@chat.example"}, {"outcasts", "outcast", ""}, {"owners", "owner", "mira@chat.example"}} {
			path := "/chatrooms/atrium/" + a.list
			listed := func(addresses string) both { return addressList(a.list, a.item, addresses) }
			missing := func(method, rest string, send both) []row {
				return []row{
					{method, "/chatrooms/cellar/" + a.list + rest, send, 404, noSuchRoom},
					{method, path + rest + "?servicename=workshop", send, 404, noSuchService},
				}
			}
			keep := ""
			if a.list == "owners" {
				keep = " mira@chat.example"
			}
			conflict := failure("NotAllowedException", "Could not delete affiliation", "…")
			rows := []row{
				{"GET", path, none, 200, listed(a.before)},
				{"POST", path, none, 400, failure("IllegalArgumentException", "…", "atrium")},
				{"POST", path, listed("otto"), 201, none},
				{"POST", path + "/", listed("ines@chat.example").with("<"+a.list+">", " <"+a.list+">"), 201, none},
				{"GET", path + "/", none, 200, listed(join("ines@chat.example", a.before, "otto@chat.example"))},
				{"GET", path + "?limit=x", none, 400, failure("IllegalArgumentException", "…", "limit")},
				{"GET", path + "?limit=1", none, 200, listed("ines@chat.example")},
				{"POST", path, addressList(a.list, a.item, "@chat.example"), 400, failure("IllegalArgumentException", "Unable to parse value as jid: @chat.example", "atrium")},
				{"PUT", path, addressList(a.list, a.item, "@chat.example"), 400, failure("IllegalArgumentException", "Unable to parse value as jid: @chat.example", "atrium")},
				{"PUT", path, none, 400, failure("IllegalArgumentException", "…", "atrium")},
				{"PUT", path, listed("ines@chat.example pia@chat.example" + keep), 201, none},
				{"GET", path, none, 200, listed(join("ines@chat.example", keep, "pia@chat.example"))},
				{"PUT", path, listed("ines@chat.example" + keep), 201, none},

				{"POST", path + "/otto", none, 201, none},
				{"POST", path + "/otto@chat.example", both{"", "[]"}, 201, none},
				{"POST", path + "/ot%20to", none, 400, failure("IllegalArgumentException", "…", "atrium")},
				{"DELETE", path + "/ot%20to", none, 400, failure("IllegalArgumentException", "…", "atrium")},
				{"GET", path, none, 200, listed(join("ines@chat.example", keep, "otto@chat.example"))},
				{"DELETE", path + "/otto%40chat.example", none, 200, none},
				{"DELETE", path + "/otto", none, 409, conflict},
				{"DELETE", path + "/ines", none, 200, none},

				{"POST", path + "/Ops", none, 201, none},
				{"GET", path, none, 200, listed(keep + " " + opsAddress)},
				{"DELETE", path + "/Ops", none, 200, none},
				{"POST", path + "/group/Ops", none, 201, none},
				{"POST", path + "/group/Ops/", none, 201, none},
				{"DELETE", path + "/group/Ops", none, 200, none},
				{"DELETE", path + "/group/Ops", none, 409, conflict},
				{"GET", path, none, 200, listed(keep)},
			}
			rows = append(rows, missing("GET", "", none)...)
			rows = append(rows, missing("PUT", "", listed("otto"))...)
			rows = append(rows, missing("POST", "", listed("otto"))...)
			for _, method := range []string{"POST", "DELETE"} {
				rows = append(rows, missing(method, "/otto", none)...)
				rows = append(rows, missing(method, "/group/Ops", none)...)
				rows = append(rows, row{method, "/chatrooms/at%20rium/" + a.list + "/group/Ops", none, 400, noRoomName})
			}
			c.run(f, rows...)
		}

		// Another affiliation is replaced, but not that of the last owner.
		rows := []row{
			{"POST", "/chatrooms/atrium/outcasts/ines", none, 201, none},
			{"POST", "/chatrooms/atrium/members/ines", none, 201, none},
			{"DELETE", "/chatrooms/atrium/outcasts/ines", none, 409, failure("NotAllowedException", "Could not delete affiliation", "ines")},
			{"GET", "/chatrooms/atrium/members", none, 200, addressList("members", "member", "ines@chat.example")},
			{"GET", "/chatrooms/atrium/outcasts", none, 200, addressList("outcasts", "outcast", "")},
			{"PUT", "/chatrooms/atrium/owners", addressList("owners", "owner", ""), 409, failure("NotAllowedException", "Could not apply modification to list of owner", "atrium")},
			{"DELETE", "/chatrooms/atrium/owners/mira", none, 409, failure("NotAllowedException", "Could not delete affiliation", "mira")},
		}
		for _, list := range []string{"admin", "member", "outcast"} {
			rows = append(rows,
				row{"POST", "/chatrooms/atrium/" + list + "s/mira", none, 409, failure("NotAllowedException", "Could not apply modification to list of "+list, "atrium")},
				row{"POST", "/chatrooms/atrium/" + list + "s", addressList(list+"s", list, "mira"), 409, failure("NotAllowedException", "Could not apply modification to list of "+list, "atrium")},
				row{"PUT", "/chatrooms/atrium/" + list + "s", addressList(list+"s", list, "mira"), 409, failure("NotAllowedException", "Could not apply modification to list of "+list, "atrium")},
			)
		}
		// Neither is that of a group.
		rows = append(rows,
			row{"POST", "/chatrooms/atrium/owners/group/Ops", none, 201, none},
			row{"DELETE", "/chatrooms/atrium/owners/mira", none, 200, none},
			row{"POST", "/chatrooms/atrium/members/group/Ops", none, 409, failure("NotAllowedException", "Could not apply modification to list of member", "atrium")},
			row{"DELETE", "/chatrooms/atrium/owners/group/Ops", none, 409, failure("NotAllowedException", "Could not delete affiliation", "Ops")},
			row{"GET", "/chatrooms/atrium/guests", none, 404, failure("NotFoundException", "…", "/plugins/restapi/v1/chatrooms/atrium/guests")},
			row{"DELETE", "/chatrooms/atrium", none, 200, none},
		)
		c.run(f, rows...)
	})
}

// join puts lists of addresses of this server together, as answers have them: by name.
func join(lists ...string) string {
	all := strings.Fields(strings.Join(lists, " "))
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (c *contract) invitations() {
	c.inBoth("invites to rooms", func(f format) {
		one := fields("mucInvitation", "reason", "Come by")
		several := both{
			`<mucInvitations><reason>Come by</reason><jidsToInvite><jid>mira@chat.example</jid><jid>Ops</jid></jidsToInvite></mucInvitations>`,
			`{"reason":"Come by","jidsToInvite":["mira@chat.example","Ops"]}`,
		}
		c.run(f,
			row{"POST", "/groups", groupBody("Ops", "", "", "ines"), 201, none},
			row{"POST", "/chatrooms", newDen, 201, none},
			row{"POST", "/chatrooms/den/outcasts/otto", none, 201, none},
			row{"POST", "/chatrooms/den/invite/tobias", one, 200, none},
			row{"POST", "/chatrooms/den/invite/tobias@chat.example", both{"<mucInvitation/>", "{}"}, 200, none},
			row{"POST", "/chatrooms/den/invite/Ops", none, 200, none},
			row{"POST", "/chatrooms/den/invite/to%20bias", one, 400, failure("IllegalArgumentException", "…", "den")},
			row{"POST", "/chatrooms/den/invite/otto", one, 403, failure("NotAllowedException", "Could not invite user", "otto")},
			row{"POST", "/chatrooms/cellar/invite/tobias", one, 404, noSuchRoom},
			row{"POST", "/chatrooms/den/invite/tobias?servicename=workshop", one, 404, noSuchService},

			row{"POST", "/chatrooms/den/invite", several, 200, none},
			row{"POST", "/chatrooms/den/invite/", several.with("<mucInvitations>", "<mucInvitation>").with("</mucInvitations>", "</mucInvitation>"), 200, none},
			row{"POST", "/chatrooms/den/invite", one.with("mucInvitation", "mucInvitations").with("/mucInvitation", "/mucInvitations"), 400, failure("IllegalArgumentException", "…", "den")},
			row{"POST", "/chatrooms/den/invite", several.with("mira@chat.example", "otto"), 403, failure("NotAllowedException", "Could not invite user", "otto")},
			row{"POST", "/chatrooms/cellar/invite", several, 404, noSuchRoom},
			row{"POST", "/chatrooms/den/invite?servicename=workshop", several, 404, noSuchService},
			row{"DELETE", "/chatrooms/den", none, 200, none},
		)
	})
}
