package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"mellium.im/sasl"
	"mellium.im/xmpp/stanza"
)

// connectAs logs a user in who sends this presence, which the server answers before it returns.
func (c *contract) connectAs(username, password, presence string) (client *chatClient, resource string) {
	GinkgoHelper()
	client, err := c.tryLogin(username, password, sasl.ScramSha256Plus)
	Expect(err).NotTo(HaveOccurred())
	if presence != "" {
		client.raw(presence)
		// The server sends a client its own presence back (RFC 6121 §4.2.2).
		client.see("", username)
	}
	return client, client.session.LocalAddr().Resourcepart()
}

// occupants are what a room shows of those who are in it, and of what they have said.
func (c *contract) occupants() {
	c.inBoth("shows who is in a room, and what was said there", func(f format) {
		c.run(f,
			row{"POST", "/users", newMira, 201, none},
			row{"POST", "/users", newTobias, 201, none},
			row{"POST", "/chatrooms", newAtrium.with("<memberGroups><memberGroup>Ops</memberGroup></memberGroups>", "").with(`["Ops"]`, "[]"), 201, none},
			row{"GET", "/chatrooms/atrium/occupants", none, 200, both{"<occupants/>", `{"occupants":[]}`}},
			row{"GET", "/chatrooms/atrium/participants", none, 200, both{"<participants/>", `{"participants":[]}`}},
		)
		const room = "atrium@conference." + domain
		mira, miraAt := c.connectAs("mira", "s3cr3t!", "<presence/>")
		tobias, tobiasAt := c.connectAs("tobias", "t0p!", "<presence/>")
		Expect(mira.enter(room, "Mi").Type).To(BeEmpty())
		Expect(tobias.enter(room, "Tobi").Type).To(BeEmpty())
		tobias.raw(`<message to="` + room + `" type="groupchat"><body>tea?</body></message>`)
		tobias.hear("tea?")

		mi := both{
			"<occupant><affiliation>owner</affiliation><jid>" + room + "/Mi</jid><role>moderator</role><userAddress>mira@chat.example/" + miraAt + "</userAddress></occupant>",
			`{"jid":"` + room + `/Mi","userAddress":"mira@chat.example/` + miraAt + `","role":"moderator","affiliation":"owner"}`,
		}
		tobi := both{
			"<occupant><affiliation>member</affiliation><jid>" + room + "/Tobi</jid><role>participant</role><userAddress>tobias@chat.example/" + tobiasAt + "</userAddress></occupant>",
			`{"jid":"` + room + `/Tobi","userAddress":"tobias@chat.example/` + tobiasAt + `","role":"participant","affiliation":"member"}`,
		}
		// The archive knows users and not their devices.
		said := both{
			"<message><from>" + room + "/Tobi</from><type>groupchat</type><body>tea?</body><delay_stamp>{stamp}</delay_stamp><delay_from>tobias@chat.example</delay_from></message>",
			`{"from":"` + room + `/Tobi","type":"groupchat","body":"tea?","delay_stamp":"{stamp}","delay_from":"tobias@chat.example"}`,
		}
		history := both{"<messages>" + said.xml + "</messages>", `{"message":[` + said.json + `]}`}
		nothing := both{"<messages/>", `{"message":[]}`}
		c.run(f,
			row{"GET", "/chatrooms/atrium/occupants", none, 200, both{"<occupants>" + mi.xml + tobi.xml + "</occupants>", `{"occupants":[` + mi.json + "," + tobi.json + `]}`}},
			row{"GET", "/chatrooms/atrium/participants", none, 200, both{
				"<participants><participant><affiliation>member</affiliation><jid>" + room + "/Tobi</jid><role>participant</role></participant></participants>",
				`{"participants":[{"jid":"` + room + `/Tobi","role":"participant","affiliation":"member"}]}`}},
			row{"GET", "/chatrooms/atrium/chathistory", none, 200, history},
			row{"GET", "/chatrooms/atrium/chathistory?limit=1", none, 200, history},
			row{"GET", "/chatrooms/atrium/chathistory?limit=0", none, 200, nothing},
			row{"GET", "/chatrooms/atrium/chathistory?before=2001-02-03T04:05:06Z", none, 200, nothing},
			row{"GET", "/chatrooms/atrium/chathistory?before=noon", none, 400, failure("IllegalArgumentException", "…", "before")},
		)
		for _, view := range []string{"occupants", "participants", "chathistory"} {
			c.run(f,
				row{"GET", "/chatrooms/cellar/" + view, none, 404, noSuchRoom},
				row{"GET", "/chatrooms/atrium/" + view + "?limit=x", none, 400, failure("IllegalArgumentException", "…", "limit")},
				row{"GET", "/chatrooms/atrium/" + view + "?servicename=workshop", none, 404, noSuchService},
			)
		}

		message := fields("message", "body", "Closing soon")
		empty := failure("IllegalArgumentException", "Message content/body is null or empty", "")
		c.run(f,
			row{"POST", "/messages/rooms/atrium", message, 201, none},
			row{"POST", "/messages/rooms/atrium", fields("message", "body", ""), 400, empty},
			row{"POST", "/messages/rooms/cellar", message, 404, noSuchRoom},
			row{"POST", "/messages/rooms/atrium?servicename=workshop", message, 404, noSuchService},
		)
		Expect(tobias.hear("Closing soon").From).To(Equal(room))
		c.run(f,
			row{"DELETE", "/chatrooms/atrium", none, 200, none},
			row{"DELETE", "/users/mira", none, 200, none},
			row{"DELETE", "/users/tobias", none, 200, none},
		)
	})
}

func (c *contract) sessions() {
	c.inBoth("shows, counts and closes sessions", func(f format) {
		nobody := both{"<sessions/>", `{"sessions":[]}`}
		count := func(n string) both {
			return both{"<sessions><clusterSessions>" + n + "</clusterSessions><localSessions>" + n + "</localSessions></sessions>", `{"localSessions":` + n + `,"clusterSessions":` + n + `}`}
		}
		c.run(f,
			row{"POST", "/users", newMira, 201, none},
			row{"POST", "/users", newTobias, 201, none},
			row{"GET", "/sessions", none, 200, nobody},
			row{"GET", "/sessions/tobias", none, 200, nobody},
			row{"GET", "/sessions/nobody7", none, 200, nobody},
			row{"DELETE", "/sessions/tobias", none, 200, none},
			row{"DELETE", "/sessions/nobody7", none, 200, none},
			row{"GET", "/system/statistics/sessions", none, 200, count("0")},
		)
		tobias, at := c.connectAs("tobias", "t0p!", "<presence><show>away</show><status>lunch</status><priority>5</priority></presence>")
		mira, miraAt := c.connectAs("mira", "s3cr3t!", "")
		away := both{
			"<session><sessionId>tobias@chat.example/" + at + "</sessionId><username>tobias</username><resource>" + at + "</resource><node>Local</node><sessionStatus>Authenticated</sessionStatus><presenceStatus>Away</presenceStatus><presenceMessage>lunch</presenceMessage><priority>5</priority><hostAddress>127.0.0.1</hostAddress><hostName>127.0.0.1</hostName><creationDate>{date}</creationDate><lastActionDate>{date}</lastActionDate><secure>true</secure></session>",
			`{"sessionId":"tobias@chat.example/` + at + `","username":"tobias","resource":"` + at + `","node":"Local","sessionStatus":"Authenticated","presenceStatus":"Away","presenceMessage":"lunch","priority":5,"hostAddress":"127.0.0.1","hostName":"127.0.0.1","creationDate":{date},"lastActionDate":{date},"secure":true}`,
		}
		silent := both{
			"<session><sessionId>mira@chat.example/" + miraAt + "</sessionId><username>mira</username><resource>" + miraAt + "</resource><node>Local</node><sessionStatus>Authenticated</sessionStatus><presenceStatus>Online</presenceStatus><priority>0</priority><hostAddress>127.0.0.1</hostAddress><hostName>127.0.0.1</hostName><creationDate>{date}</creationDate><lastActionDate>{date}</lastActionDate><secure>true</secure></session>",
			`{"sessionId":"mira@chat.example/` + miraAt + `","username":"mira","resource":"` + miraAt + `","node":"Local","sessionStatus":"Authenticated","presenceStatus":"Online","priority":0,"hostAddress":"127.0.0.1","hostName":"127.0.0.1","creationDate":{date},"lastActionDate":{date},"secure":true}`,
		}
		list := func(sessions ...both) both {
			var b both
			for _, s := range sessions {
				b.xml += s.xml
				b.json += "," + s.json
			}
			return both{"<sessions>" + b.xml + "</sessions>", `{"sessions":[` + b.json[1:] + `]}`}
		}
		c.run(f,
			row{"GET", "/sessions", none, 200, list(silent, away)},
			row{"GET", "/sessions?offset=1", none, 200, list(away)},
			row{"GET", "/sessions/Tobias", none, 200, list(away)},
			row{"GET", "/sessions/Tobias?limit=x", none, 400, failure("IllegalArgumentException", "…", "limit")},
			row{"GET", "/system/statistics/sessions", none, 200, count("1")},
			row{"DELETE", "/sessions/Tobias", none, 200, none},
		)
		Eventually(tobias.ended, limit).Should(BeClosed())
		Expect(tobias.err).To(MatchError(ContainSubstring("not-authorized")))
		c.run(f, row{"GET", "/sessions", none, 200, list(silent)})
		mira.close()
		c.run(f,
			row{"DELETE", "/users/mira", none, 200, none},
			row{"DELETE", "/users/tobias", none, 200, none},
		)
	})
}

func (c *contract) messages() {
	c.inBoth("sends messages, and counts those that wait", func(f format) {
		message := fields("message", "body", "Back at nine")
		waiting := func(n string) both {
			return both{"<archive><jid>tobias@chat.example</jid><count>" + n + "</count></archive>", `{"jid":"tobias@chat.example","count":` + n + `}`}
		}
		c.run(f,
			row{"POST", "/users", newMira, 201, none},
			row{"POST", "/users", newTobias, 201, none},
			row{"GET", "/archive/messages/unread/tobias@chat.example", none, 200, waiting("0")},
		)
		mira, _ := c.connectAs("mira", "s3cr3t!", "<presence/>")
		c.run(f,
			row{"POST", "/messages/users", message, 201, none},
			row{"POST", "/messages/users", none, 400, failure("IllegalArgumentException", "Message content/body is null or empty", "")},
			row{"POST", "/messages/users", fields("message", "body", ""), 400, failure("IllegalArgumentException", "Message content/body is null or empty", "")},
			row{"POST", "/messages/users", both{"<message/>", "{}"}, 400, failure("IllegalArgumentException", "Message content/body is null or empty", "")},
		)
		heard := mira.hear("Back at nine")
		Expect(heard.Type).To(Equal(string(stanza.HeadlineMessage)))
		Expect(heard.From).To(Equal(domain))
		Expect(heard.Subject).To(BeEmpty())
		c.run(f,
			// What goes to everybody waits for nobody; what goes to one does.
			row{"GET", "/archive/messages/unread/tobias@chat.example", none, 200, waiting("0")},
			row{"POST", "/messages/users/Tobias", message, 201, none},
			row{"POST", "/messages/users/tobias", none, 400, failure("IllegalArgumentException", "Message content/body is null or empty", "tobias")},
			row{"POST", "/messages/users/nobody7", message, 404, noSuchUser},
			row{"POST", "/messages/users/mi%20ra", message, 400, noSuchName},
			row{"GET", "/archive/messages/unread/tobias@chat.example", none, 200, waiting("1")},
			row{"GET", "/archive/messages/unread/nobody7@chat.example", none, 200, both{
				"<archive><jid>nobody7@chat.example</jid><count>0</count></archive>", `{"jid":"nobody7@chat.example","count":0}`}},
			row{"GET", "/archive/messages/unread/tobias%20x@chat.example", none, 400, failure("IllegalArgumentException", "…", "tobias x@chat.example")},
			row{"DELETE", "/users/tobias", none, 200, none},
			row{"DELETE", "/users/mira", none, 200, none},
		)
		Eventually(mira.ended, limit).Should(BeClosed())
	})
}
