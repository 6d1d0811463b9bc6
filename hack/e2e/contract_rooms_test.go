package e2e

import "strings"

// Rooms as the original's documentation writes them.
var (
	newAtrium = both{
		prolog + `<chatRoom><roomName>Atrium</roomName><naturalName>The Atrium</naturalName><description>Open floor</description><subject>Plants</subject><creationDate>2031-04-05T06:07:08.123+02:00</creationDate><modificationDate>2031-04-06T09:00:00.500</modificationDate><maxUsers>40</maxUsers><persistent>true</persistent><publicRoom>true</publicRoom><registrationEnabled>true</registrationEnabled><canAnyoneDiscoverJID>true</canAnyoneDiscoverJID><canOccupantsChangeSubject>false</canOccupantsChangeSubject><canOccupantsInvite>false</canOccupantsInvite><canChangeNickname>true</canChangeNickname><logEnabled>true</logEnabled><loginRestrictedToNickname>false</loginRestrictedToNickname><membersOnly>false</membersOnly><moderated>false</moderated><broadcastPresenceRoles><broadcastPresenceRole>moderator</broadcastPresenceRole><broadcastPresenceRole>participant</broadcastPresenceRole></broadcastPresenceRoles><owners><owner>mira@chat.example</owner></owners><admins/><members><member>tobias@chat.example</member></members><outcasts/><memberGroups><memberGroup>Ops</memberGroup></memberGroups><allowPM>anyone</allowPM></chatRoom>`,
		`{"roomName":"Atrium","naturalName":"The Atrium","description":"Open floor","subject":"Plants","creationDate":1933128428123,"modificationDate":1933225200500,"maxUsers":40,"persistent":true,"publicRoom":true,"registrationEnabled":true,"canAnyoneDiscoverJID":true,"canOccupantsChangeSubject":false,"canOccupantsInvite":false,"canChangeNickname":true,"logEnabled":true,"loginRestrictedToNickname":false,"membersOnly":false,"moderated":false,"broadcastPresenceRoles":["moderator","participant"],"owners":["mira@chat.example"],"admins":[],"members":["tobias@chat.example"],"outcasts":[],"ownerGroups":[],"adminGroups":[],"memberGroups":["Ops"],"outcastGroups":[],"allowPM":"anyone"}`,
	}
	atrium = both{
		`<chatRoom><roomName>atrium</roomName><naturalName>The Atrium</naturalName><description>Open floor</description><subject>Plants</subject><creationDate>{date}</creationDate><modificationDate>{date}</modificationDate><maxUsers>40</maxUsers><persistent>true</persistent><publicRoom>true</publicRoom><registrationEnabled>true</registrationEnabled><canAnyoneDiscoverJID>true</canAnyoneDiscoverJID><canOccupantsChangeSubject>false</canOccupantsChangeSubject><canOccupantsInvite>false</canOccupantsInvite><canChangeNickname>true</canChangeNickname><logEnabled>true</logEnabled><loginRestrictedToNickname>false</loginRestrictedToNickname><membersOnly>false</membersOnly><moderated>false</moderated><broadcastPresenceRoles><broadcastPresenceRole>moderator</broadcastPresenceRole><broadcastPresenceRole>participant</broadcastPresenceRole></broadcastPresenceRoles><owners><owner>mira@chat.example</owner></owners><admins/><members><member>tobias@chat.example</member></members><outcasts/><ownerGroups/><adminGroups/><memberGroups><memberGroup>Ops</memberGroup></memberGroups><outcastGroups/><allowPM>anyone</allowPM></chatRoom>`,
		`{"roomName":"atrium","naturalName":"The Atrium","description":"Open floor","subject":"Plants","creationDate":{date},"modificationDate":{date},"maxUsers":40,"persistent":true,"publicRoom":true,"registrationEnabled":true,"canAnyoneDiscoverJID":true,"canOccupantsChangeSubject":false,"canOccupantsInvite":false,"canChangeNickname":true,"logEnabled":true,"loginRestrictedToNickname":false,"membersOnly":false,"moderated":false,"broadcastPresenceRoles":["moderator","participant"],"owners":["mira@chat.example"],"admins":[],"members":["tobias@chat.example"],"outcasts":[],"ownerGroups":[],"adminGroups":[],"memberGroups":["Ops"],"outcastGroups":[],"allowPM":"anyone"}`,
	}
	// What the old documentation calls the least that a room needs.
	newDen = both{
		`<chatRoom><roomName>den</roomName><naturalName>Den</naturalName><description>Small</description></chatRoom>`,
		`{"roomName":"den","naturalName":"Den","description":"Small"}`,
	}
	den = both{
		`<chatRoom><roomName>den</roomName><naturalName>Den</naturalName><description>Small</description><creationDate>{date}</creationDate><modificationDate>{date}</modificationDate><maxUsers>0</maxUsers><persistent>false</persistent><publicRoom>false</publicRoom><registrationEnabled>false</registrationEnabled><canAnyoneDiscoverJID>false</canAnyoneDiscoverJID><canOccupantsChangeSubject>false</canOccupantsChangeSubject><canOccupantsInvite>false</canOccupantsInvite><canChangeNickname>false</canChangeNickname><logEnabled>false</logEnabled><loginRestrictedToNickname>false</loginRestrictedToNickname><membersOnly>false</membersOnly><moderated>false</moderated><broadcastPresenceRoles/><owners><owner>admin@chat.example</owner></owners><admins/><members/><outcasts/><ownerGroups/><adminGroups/><memberGroups/><outcastGroups/><allowPM>anyone</allowPM></chatRoom>`,
		`{"roomName":"den","naturalName":"Den","description":"Small","creationDate":{date},"modificationDate":{date},"maxUsers":0,"persistent":false,"publicRoom":false,"registrationEnabled":false,"canAnyoneDiscoverJID":false,"canOccupantsChangeSubject":false,"canOccupantsInvite":false,"canChangeNickname":false,"logEnabled":false,"loginRestrictedToNickname":false,"membersOnly":false,"moderated":false,"broadcastPresenceRoles":[],"owners":["admin@chat.example"],"admins":[],"members":[],"outcasts":[],"ownerGroups":[],"adminGroups":[],"memberGroups":[],"outcastGroups":[],"allowPM":"anyone"}`,
	}

	noSuchRoom    = failure("RoomNotFoundException", "Chat room does not exist or is not accessible.", "cellar")
	noSuchService = failure("MUCServiceNotFoundException", "Chat service does not exist or is not accessible.", "workshop")
	noRoomName    = failure("IllegalArgumentException", "…", "at rium")
)

// rooms is a list of rooms.
func rooms(list ...both) both {
	if len(list) == 0 {
		return both{"<chatRooms/>", `{"chatRooms":[]}`}
	}
	var b both
	for _, one := range list {
		b.xml += strings.TrimPrefix(one.xml, prolog)
		b.json += "," + one.json
	}
	return both{"<chatRooms>" + b.xml + "</chatRooms>", `{"chatRooms":[` + b.json[1:] + `]}`}
}

// with is a body with another text in the place of one that is in it in both formats.
func (b both) with(old, new string) both {
	return both{strings.Replace(b.xml, old, new, 1), strings.Replace(b.json, old, new, 1)}
}

// bulkResult is what became of one room of a bulk.
func bulkResult(name, kind, message string) both {
	return both{
		"<result><roomName>" + name + "</roomName><resultType>" + kind + "</resultType><message>" + message + "</message></result>",
		`{"roomName":"` + name + `","resultType":"` + kind + `","message":"` + message + `"}`,
	}
}

// fields is a body of fields that are texts, by their names.
func fields(root string, pairs ...string) both {
	b := both{"<" + root + ">", "{"}
	for i := 0; i < len(pairs); i += 2 {
		b.xml += "<" + pairs[i] + ">" + pairs[i+1] + "</" + pairs[i] + ">"
		if i > 0 {
			b.json += ","
		}
		b.json += `"` + pairs[i] + `":"` + pairs[i+1] + `"`
	}
	return both{b.xml + "</" + root + ">", b.json + "}"}
}

func (c *contract) rooms() {
	c.inBoth("creates, shows, lists, replaces and deletes rooms", func(f format) {
		illegal := func(resource string) both { return failure("IllegalArgumentException", "…", resource) }
		tower := fields("chatRoom", "roomName", "tower", "naturalName", "High Up", "publicRoom", "true")
		c.run(f,
			row{"POST", "/groups", groupBody("Ops", "", "", "ines@chat.example otto@chat.example"), 201, none},
			row{"GET", "/chatrooms", none, 200, rooms()},
			row{"GET", "/chatrooms?servicename=workshop", none, 404, noSuchService},
			row{"POST", "/chatrooms", none, 400, illegal("chatrooms")},
			row{"POST", "/chatrooms", both{"<chatRoom/>", "{}"}, 400, illegal("chatrooms")},
			row{"POST", "/chatrooms", fields("chatRoom", "roomName", "at rium"), 400, noRoomName},
			row{"POST", "/chatrooms", newAtrium, 201, none},
			row{"POST", "/chatrooms", newAtrium, 409, failure("AlreadyExistsException", "Could not create the channel", "Atrium")},
			row{"POST", "/chatrooms/", newDen, 201, none},
			row{"GET", "/chatrooms/atrium", none, 200, atrium},
			row{"HEAD", "/chatrooms/atrium", none, 200, atrium},
			row{"GET", "/chatrooms/Atrium/?servicename=Conference", none, 200, atrium},
			row{"GET", "/chatrooms/den", none, 200, den},
			row{"GET", "/chatrooms/cellar", none, 404, noSuchRoom},
			row{"GET", "/chatrooms/at%20rium", none, 404, failure("RoomNotFoundException", "Chat room does not exist or is not accessible.", "at rium")},
			row{"GET", "/chatrooms/atrium?servicename=workshop", none, 404, noSuchService},
			row{"GET", "/chatrooms/atrium?expandGroups=true", none, 200, both{
				strings.Replace(atrium.xml, "<members><member>tobias@", "<members><member>ines@chat.example</member><member>otto@chat.example</member><member>tobias@", 1),
				strings.Replace(atrium.json, `"members":["tobias@`, `"members":["ines@chat.example","otto@chat.example","tobias@`, 1)}},

			// One address with two affiliations; a room that is not in the list of roles' words.
			row{"POST", "/chatrooms", both{
				`<chatRoom><roomName>cellar</roomName><owners><owner>mira</owner></owners><members><member>mira@chat.example</member></members></chatRoom>`,
				`{"roomName":"cellar","owners":["mira"],"members":["mira@chat.example"]}`}, 409,
				failure("NotAllowedException", "Could not create the channel", "cellar")},
			row{"POST", "/chatrooms", both{
				`<chatRoom><roomName>cellar</roomName><owners><owner>mi ra</owner></owners></chatRoom>`, `{"roomName":"cellar","owners":["mi ra"]}`}, 400, illegal("cellar")},
			row{"POST", "/chatrooms", both{
				`<chatRoom><roomName>cellar</roomName><broadcastPresenceRoles><broadcastPresenceRole>guest</broadcastPresenceRole></broadcastPresenceRoles></chatRoom>`,
				`{"roomName":"cellar","broadcastPresenceRoles":["guest"]}`}, 400, illegal("cellar")},

			row{"GET", "/chatrooms", none, 200, rooms(atrium)},
			row{"GET", "/chatrooms?type=public", none, 200, rooms(atrium)},
			row{"GET", "/chatrooms?type=all", none, 200, rooms(atrium, den)},
			row{"GET", "/chatrooms?type=every", none, 200, rooms()},
			row{"GET", "/chatrooms?type=all&search=DE", none, 200, rooms(den)},
			row{"GET", "/chatrooms?type=all&search=the%20a", none, 200, rooms(atrium)},
			row{"GET", "/chatrooms?type=all&search=cellar", none, 200, rooms()},
			row{"GET", "/chatrooms?type=all&offset=1", none, 200, rooms(den)},
			row{"GET", "/chatrooms?limit=-1", none, 400, illegal("limit")},
			// A room may have the name of the bulk; nobody made it here.
			row{"GET", "/chatrooms/bulk", none, 404, failure("RoomNotFoundException", "Chat room does not exist or is not accessible.", "bulk")},
		)

		// A replacement is whole; a room that is missing is made.
		c.run(f,
			row{"PUT", "/chatrooms/atrium", none, 400, illegal("atrium")},
			row{"PUT", "/chatrooms/atrium", newDen, 400, illegal("atrium")},
			row{"PUT", "/chatrooms/atrium", both{`<chatRoom><naturalName>x</naturalName></chatRoom>`, `{"naturalName":"x"}`}, 400, illegal("atrium")},
			row{"PUT", "/chatrooms/at%20rium", newAtrium, 400, noRoomName},
			row{"PUT", "/chatrooms/atrium", both{
				`<chatRoom><roomName>atrium</roomName><owners><owner>mira</owner></owners><outcasts><outcast>mira</outcast></outcasts></chatRoom>`,
				`{"roomName":"atrium","owners":["mira"],"outcasts":["mira"]}`}, 409,
				failure("NotAllowedException", "Could not update the channel", "atrium")},
			row{"GET", "/chatrooms/atrium", none, 200, atrium},
			row{"PUT", "/chatrooms/atrium", fields("chatRoom", "roomName", "ATRIUM", "naturalName", "Den", "description", "Small"), 200, none},
			row{"GET", "/chatrooms/atrium", none, 200, den.with("den", "atrium")},
			row{"PUT", "/chatrooms/tower", tower, 200, none},
			row{"GET", "/chatrooms?search=tow", none, 200, rooms(den.with("den", "tower").with("Den", "High Up").
				with("<publicRoom>false", "<publicRoom>true").with(`"publicRoom":false`, `"publicRoom":true`).
				with("<description>Small</description>", "").with(`"description":"Small",`, ""))},
			// The old documentation's whole example: members, and a nickname that they are restricted to.
			row{"POST", "/chatrooms", both{
				`<chatRoom><roomName>cellar</roomName><loginRestrictedToNickname>true</loginRestrictedToNickname><members><member>tobias@chat.example</member></members></chatRoom>`,
				`{"roomName":"cellar","loginRestrictedToNickname":true,"members":["tobias@chat.example"]}`}, 201, none},

			row{"DELETE", "/chatrooms/cellar", none, 200, none},
			row{"DELETE", "/chatrooms/cellar", none, 404, noSuchRoom},
			row{"DELETE", "/chatrooms/at%20rium", none, 400, noRoomName},
			row{"DELETE", "/chatrooms/tower", none, 200, none},
			row{"DELETE", "/chatrooms/atrium?servicename=workshop", none, 404, noSuchService},
			row{"DELETE", "/chatrooms/Atrium", none, 200, none},
			row{"DELETE", "/chatrooms/den", none, 200, none},
			row{"GET", "/chatrooms?type=all", none, 200, rooms()},
		)
	})

	c.inBoth("creates rooms for administrators alone where that is so", func(f format) {
		mine := both{`<chatRoom><roomName>den</roomName><owners><owner>mira</owner></owners></chatRoom>`, `{"roomName":"den","owners":["mira"]}`}
		c.run(f,
			row{"POST", "/system/properties", property("xmpp.muc.create", "admins"), 201, none},
			row{"POST", "/chatrooms", mine, 403, failure("NotAllowedException", "Could not create the channel", "den")},
			row{"PUT", "/chatrooms/den", mine, 403, failure("NotAllowedException", "Could not update the channel", "den")},
			row{"DELETE", "/system/properties/xmpp.muc.create", none, 200, none},
			row{"POST", "/chatrooms", mine, 201, none},
		)
	})

	c.inBoth("creates rooms in bulk, and tells of each", func(f format) {
		created := bulkResult("Atrium", "Success", "Room was successfully created")
		wrong := bulkResult("at rium", "Failure", "…IllegalArgumentException…")
		there := bulkResult("den", "Success", "…already existed…")
		c.run(f,
			row{"POST", "/chatrooms/bulk", none, 400, failure("IllegalArgumentException", "…", "chatrooms")},
			row{"POST", "/chatrooms/bulk", both{"<chatRooms/>", `{"chatRooms":[]}`}, 200, both{"<results><success/><failure/><other/></results>", `{"success":[],"failure":[],"other":[]}`}},
			row{"POST", "/chatrooms/bulk", both{"<rooms/>", `{"rooms":[]}`}, 400, failure("IllegalArgumentException", "…", "…")},
			row{"POST", "/chatrooms", newDen, 201, none},
			row{"POST", "/chatrooms/bulk", rooms(newAtrium, fields("chatRoom", "roomName", "at rium"), newDen), 200, both{
				"<results><success>" + created.xml + there.xml + "</success><failure>" + wrong.xml + "</failure><other/></results>",
				`{"success":[` + created.json + "," + there.json + `],"failure":[` + wrong.json + `],"other":[]}`}},
			row{"GET", "/chatrooms/atrium", none, 200, atrium.with("<memberGroups><memberGroup>Ops</memberGroup></memberGroups>", "<memberGroups/>").
				with(`"memberGroups":["Ops"]`, `"memberGroups":[]`).
				with("<member>tobias", "<member>ops@chat.example</member><member>tobias").with(`["tobias`, `["ops@chat.example","tobias`)},
		)
	})

	c.inBoth("makes chat services, also by the way", func(f format) {
		service := func(name, description, hidden string) both {
			return both{"<chatService><serviceName>" + name + "</serviceName><description>" + description + "</description><hidden>" + hidden + "</hidden></chatService>",
				`{"serviceName":"` + name + `","description":"` + description + `","hidden":` + hidden + `}`}
		}
		services := func(list ...both) both {
			var b both
			for _, one := range list {
				b.xml += one.xml
				b.json += "," + one.json
			}
			return both{"<chatServices>" + b.xml + "</chatServices>", `{"chatService":[` + b.json[1:] + `]}`}
		}
		usual := service("conference", "…", "false")
		result := bulkResult("den", "Success", "Room was successfully created")
		c.run(f,
			row{"GET", "/chatservices", none, 200, services(usual)},
			row{"POST", "/chatservices", none, 400, failure("IllegalArgumentException", "…", "chatservices")},
			row{"POST", "/chatservices", both{"<chatService/>", "{}"}, 400, failure("IllegalArgumentException", "…", "chatservices")},
			row{"POST", "/chatservices", service("work shop", "x", "false"), 400, failure("IllegalArgumentException", "…", "work shop")},
			row{"POST", "/chatservices", service("Workshop", "Small rooms", "false"), 201, none},
			row{"POST", "/chatservices", service("workshop", "Small rooms", "false"), 409,
				failure("AlreadyExistsException", "Could not create the chat service", "workshop")},
			row{"POST", "/chatservices", service("attic", "Old rooms", "true"), 201, none},
			row{"GET", "/chatservices", none, 200, services(service("attic", "Old rooms", "true"), usual, service("workshop", "Small rooms", "false"))},
			row{"POST", "/chatrooms?servicename=Garage", newDen, 201, none},
			row{"PUT", "/chatrooms/den?servicename=shed", newDen, 200, none},
			row{"POST", "/chatrooms/bulk?servicename=barn", rooms(newDen), 200, both{
				"<results><success>" + result.xml + "</success><failure/><other/></results>", `{"success":[` + result.json + `],"failure":[],"other":[]}`}},
			row{"GET", "/chatservices?limit=3", none, 200, services(service("attic", "Old rooms", "true"), service("barn", "barn", "false"), usual)},
			row{"GET", "/chatservices?offset=3", none, 200, services(service("garage", "garage", "false"), service("shed", "shed", "false"), service("workshop", "Small rooms", "false"))},
			row{"GET", "/chatrooms/den?servicename=barn", none, 200, den},
		)
	})
}
