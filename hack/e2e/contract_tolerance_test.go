package e2e

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// standAlone is the REST face of the older user service plugin, below its own path.
func (c *contract) standAlone() {
	c.inBoth("is also where the stand-alone user service was", func(f format) {
		const base = "/plugins/userService"
		contact := both{
			"<rosterItem><jid>tobias@chat.example</jid><nickname>Tobi</nickname><subscriptionType>3</subscriptionType><groups><group>Friends</group></groups></rosterItem>",
			`{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":3,"groups":["Friends"]}`,
		}
		groups := both{"<groups><groupname>Ops</groupname></groups>", `{"groupnames":["Ops"]}`}
		c.run(f,
			row{"GET", base + "/users", none, 200, noUsers},
			row{"POST", base + "/users", newMira, 201, none},
			row{"POST", base + "/users", newMira, 409, failure("UserAlreadyExistsException", "Could not create new user", "mira")},
			row{"GET", base + "/users/mira", none, 200, both{miraXML, miraJSON}},
			row{"GET", base + "/users/nobody7", none, 404, noSuchUser},
			row{"GET", base + "/properties/team", none, 200, oneMira},
			row{"GET", base + "/properties/team/north", none, 200, oneMira},
			row{"GET", base + "/properties/team/south", none, 200, noUsers},
			row{"GET", base + "/properties/desk", none, 200, noUsers},
			row{"PUT", base + "/users/mira", newMira, 200, none},
			row{"PUT", base + "/users/nobody7", both{"<user/>", "{}"}, 404, noSuchUser},
			row{"POST", base + "/lockouts/mira", none, 201, none},
			row{"DELETE", base + "/lockouts/mira", none, 200, none},
			row{"DELETE", base + "/lockouts/nobody7", none, 404, noSuchUser},
			row{"POST", base + "/users/mira/groups", groups, 201, none},
			row{"GET", base + "/users/mira/groups", none, 200, groupsOf("Ops")},
			row{"DELETE", base + "/users/mira/groups", groups, 200, none},
			row{"GET", base + "/users/mira/roster", none, 200, both{"<roster/>", `{"rosterItem":[]}`}},
			row{"POST", base + "/users/mira/roster", contact, 201, none},
			row{"PUT", base + "/users/mira/roster/tobias@chat.example", contact, 200, none},
			row{"DELETE", base + "/users/mira/roster/tobias@chat.example", none, 200, none},
			row{"DELETE", base + "/users/mira/roster/tobias@chat.example", none, 404,
				failure("RosterItemNotFound", "Roster Item could not deleted", "tobias@chat.example")},
			row{"DELETE", base + "/users/mira", none, 200, none},
			row{"GET", base + "/groups", none, 404, failure("NotFoundException", "…", base+"/groups")},
		)
		req := c.request(f, row{method: "GET", path: base + "/users"})
		req.Header.Del("Authorization")
		Expect(c.check(f, req, 401, f.whole(failure("RequestNotAuthorised", "…", base+"/users")), f.media)).To(BeEmpty())
	})
}

// tolerance is what programs really send: older forms, and what is no form at all.
func (c *contract) tolerance() {
	It("reads the JSON of all versions of the original, and writes that of the last", func() {
		c.reset()
		rooms := both{"", `{"roomName":"atrium","naturalName":"Atrium","description":"","maxUsers":"0","persistent":"true","publicRoom":"true",` +
			`"broadcastPresenceRoles":{"broadcastPresenceRole":["moderator","participant"]},"owners":{"owner":"mira@chat.example"},"admins":{"admin":null}}`}
		shown := den.with(`"roomName":"den","naturalName":"Den","description":"Small"`, `"roomName":"atrium","naturalName":"Atrium"`).with(`"persistent":false`, `"persistent":true`).
			with(`"publicRoom":false`, `"publicRoom":true`).with(`"broadcastPresenceRoles":[]`, `"broadcastPresenceRoles":["moderator","participant"]`).with(`admin@chat.example`, `mira@chat.example`)
		send := func(text string) both { return both{"", text} }
		c.run(inJSON,
			row{"POST", "/users", send(`{"username":"mira","password":"s3cr3t!","name":null,"email":null,"properties":{"property":[{"@key":"team","@value":"north"},{"@key":"desk","@value":"12"}]}}`), 201, none},
			row{"GET", "/users/mira", none, 200, send(`{"username":"mira","name":"","properties":[{"key":"desk","value":"12"},{"key":"team","value":"north"}]}`)},
			row{"PUT", "/users/mira", send(`{"name":false,"nobodyKnows":{"this":[1]},"properties":{"property":{"@key":"desk","@value":12}}}`), 200, none},
			row{"GET", "/users/mira", none, 200, send(`{"username":"mira","name":"","properties":[{"key":"desk","value":"12"}]}`)},
			row{"POST", "/users/mira/roster", send(`{"jid":"tobias@chat.example","nickname":null,"subscriptionType":null,"groups":{"group":null}}`), 201, none},
			row{"GET", "/users/mira/roster", none, 200, send(`{"rosterItem":[{"jid":"tobias@chat.example","subscriptionType":0,"groups":[]}]}`)},
			row{"PUT", "/users/mira/roster/tobias@chat.example", send(`{"name":"Tobi","subscriptionType":"3","groups":{"group":"Friends"}}`), 200, none},
			row{"GET", "/users/mira/roster", none, 200, send(`{"rosterItem":[{"jid":"tobias@chat.example","nickname":"Tobi","subscriptionType":3,"groups":["Friends"]}]}`)},
			row{"POST", "/users/mira/groups", send(`{"groupname":["Night Shift","Ops"]}`), 201, none},
			row{"POST", "/users/mira/groups", send(`["Day Shift"]`), 201, none},
			row{"GET", "/users/mira/groups", none, 200, groupsOf("Day Shift", "Night Shift", "Ops")},
			row{"POST", "/groups", send(`{"name":"Old","description":"x","members":{"member":"mira"},"admins":{"admin":null}}`), 201, none},
			row{"GET", "/groups/Old", none, 200, groupBody("Old", "x", "", "mira@chat.example")},
			row{"POST", "/chatrooms", rooms, 201, none},
			row{"GET", "/chatrooms/atrium", none, 200, shown},
			row{"POST", "/chatrooms/atrium/members", send(`{"member":["tobias"]}`), 201, none},
			row{"PUT", "/chatrooms/atrium/members", send(`["ines"]`), 201, none},
			row{"GET", "/chatrooms/atrium/members", none, 200, addressList("members", "member", "ines@chat.example")},
			row{"POST", "/chatrooms/bulk", send(`{"chatRoom":{"roomName":"den"}}`), 200, both{"", `{"success":[` + bulkResult("den", "Success", "Room was successfully created").json + `],"failure":[],"other":[]}`}},
			row{"POST", "/system/properties", send(`{"@key":"site.motto","@value":"be kind"}`), 201, none},
			row{"GET", "/system/properties/site.motto", none, 200, property("site.motto", "be kind")},
			row{"POST", "/users", send(`[]`), 400, failure("IllegalArgumentException", "…", "…")},
			row{"POST", "/users", send(`"mira"`), 400, failure("IllegalArgumentException", "…", "…")},
		)
	})

	It("reads XML with what does not belong into it", func() {
		c.reset()
		send := func(text string) both { return both{text, ""} }
		c.run(inXML,
			row{"POST", "/users", send("\n  " + prolog + "<user>\n  <username>mira</username> stray <password>x</password><nobody><knows/></nobody>\n</user>\n"), 201, none},
			row{"GET", "/users/mira", none, 200, send("<user><username>mira</username><name></name><properties/></user>")},
			row{"POST", "/groups", send("<group><members>\n <member> mira </member>\n</members><name>Ops</name></group>"), 201, none},
			row{"GET", "/groups/Ops", none, 200, groupBody("Ops", "", "", "mira@chat.example")},
			row{"POST", "/users", send(`<person><username>otto</username><password>x</password></person>`), 400, failure("IllegalArgumentException", "…", "…")},
			row{"POST", "/users", send(`<!DOCTYPE user [<!ENTITY e SYSTEM "file:///etc/passwd">]><user><username>otto</username><password>&e;</password></user>`), 400,
				failure("IllegalArgumentException", "…", "…")},
		)
	})

	It("answers in the format that the caller likes best, errors too", func() {
		c.reset()
		c.run(inXML, row{"POST", "/users", newMira, 201, none})
		mira, missing := both{miraXML, miraJSON}, noSuchUser
		for accept, f := range map[string]format{
			"":                                  inXML,
			"*/*":                               inXML,
			"application/*":                     inXML,
			"application/json":                  inJSON,
			"application/json, text/plain, */*": inJSON,
			"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": inXML,
			"application/xml;q=0.5, application/json":                         inJSON,
		} {
			for path, want := range map[string]both{"/users/mira": mira, "/users/nobody7": missing} {
				req := c.request(f, row{method: "GET", path: path})
				req.Header.Del("Accept")
				if accept != "" {
					req.Header.Set("Accept", accept)
				}
				code := 200
				if strings.HasSuffix(path, "7") {
					code = 404
				}
				Expect(c.check(f, req, code, f.whole(want), f.media)).To(BeEmpty(), accept)
			}
		}
		// What has no answer has it in any format, and what takes nothing takes anything.
		for _, r := range []struct {
			method, path, media, body string
			status                    int
		}{
			{"POST", "/lockouts/mira", "application/xml", "", 201},
			{"DELETE", "/lockouts/mira", "text/plain", "[]", 200},
			{"DELETE", "/sessions/mira", "application/json", `"x"`, 200},
			{"DELETE", "/users/mira", "application/json", "[]", 200},
		} {
			req := c.request(inXML, row{method: r.method, path: r.path})
			body(req, r.media, r.body)
			req.Header.Set("Accept", "text/plain")
			Expect(c.check(inXML, req, r.status, "", "")).To(BeEmpty(), r.path)
		}
	})
}
