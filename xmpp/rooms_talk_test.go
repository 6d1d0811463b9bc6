package xmpp

import "testing"

// XEP-0045 §7.4: a message goes to every occupant, the sender included, with its id and the sender's nickname. Who is not in the room cannot speak.
func TestXEP0045Section7_4MessageToAllOccupants(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	first.send("<message id='hysf1v37' type='groupchat' to='$coven'><body>Harpier cries</body></message>")
	for _, g := range []*guest{first, second} {
		if n := g.sees("message $coven/firstwitch groupchat body=Harpier cries"); n[0].attr("id") != "hysf1v37" {
			t.Errorf("%+v", n)
		}
	}
	third.say("$coven", "me too")
	third.sees("message $coven error modify not-acceptable")
	first.sees()
	// §7.4, §15.2: a room takes no other kind of message.
	first.send("<message type='chat' to='$coven'><body>Harpier cries</body></message>")
	first.sees("message $coven error modify bad-request")
	// What only servers may say does not get through (XEP-0203 §4, XEP-0359 §6, XEP-0421 §4).
	second.send("<message type='groupchat' to='$coven'><body>forged</body><delay xmlns='urn:xmpp:delay' from='$coven' stamp='2002-10-13T23:58:37Z'/>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='$coven' id='x'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='x'/></message>")
	n := first.sees("message $coven/secondwitch groupchat body=forged")
	if ids := n[0].all("stanza-id", "id"); len(ids) != 1 || ids[0] == "x" {
		t.Errorf("stanza ids %q", ids)
	}
	if ids := n[0].all("occupant-id", "id"); len(ids) != 1 || ids[0] == "x" {
		t.Errorf("occupant ids %q", ids)
	}
}

// XEP-0045 §7.5
func TestXEP0045Section7_5PrivateMessage(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	second.send("<message type='chat' to='$coven/firstwitch'><body>I'll give thee a wind.</body><x xmlns='" + nsMUC + "#user'/></message>")
	if n := first.sees("message $coven/secondwitch chat body=I'll give thee a wind."); n[0].child("x").XMLName.Space != nsMUC+"#user" {
		t.Errorf("%+v", n)
	}
	second.sees()
	second.send("<message type='groupchat' to='$coven/firstwitch'><body>no</body></message>")
	second.sees("message $coven/firstwitch error modify bad-request")
	second.send("<message type='chat' to='$coven/nobody'><body>no</body></message>")
	second.sees("message $coven/nobody error cancel item-not-found")
	third.send("<message type='chat' to='$coven/firstwitch'><body>no</body></message>")
	third.sees("message $coven/firstwitch error modify not-acceptable")
	first.sees()
	first.configure("$coven", "muc#roomconfig_allowpm", "moderators")
	p.forget()
	second.send("<message type='chat' to='$coven/firstwitch'><body>no</body></message>")
	second.sees("message $coven/firstwitch error auth forbidden")
	first.send("<message type='chat' to='$coven/secondwitch'><body>yes</body></message>")
	second.sees("message $coven/firstwitch chat body=yes")
}

// XEP-0045 §7.6
func TestXEP0045Section7_6ChangingNickname(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	third.enter("$coven/thirdwitch")
	p.forget()
	third.send("<presence to='$coven/oldhag'/>")
	third.sees("presence $coven/thirdwitch unavailable none participant jid=~hag66/pda nick=oldhag 110 303",
		"presence $coven/oldhag none participant jid=~hag66/pda 110")
	first.sees("presence $coven/thirdwitch unavailable none participant jid=~hag66/pda nick=oldhag 303",
		"presence $coven/oldhag none participant jid=~hag66/pda")
	second.sees("presence $coven/thirdwitch unavailable none participant nick=oldhag 303", "presence $coven/oldhag none participant")
	third.send("<presence to='$coven/firstwitch'/>")
	third.sees("presence $coven/firstwitch error cancel conflict")
	first.sees()
	first.configure("$coven", "x-muc#roomconfig_canchangenick", "0")
	p.forget()
	third.send("<presence to='$coven/thirdwitch'/>")
	third.sees("presence $coven/thirdwitch error modify not-acceptable")
	// Whatever the nickname is by now, the end of the session ends it.
	third.cut()
	first.awaits("presence $coven/oldhag unavailable none none jid=~hag66/pda")
}

// XEP-0045 §7.7
func TestXEP0045Section7_7ChangingAvailability(t *testing.T) {
	p, first, second, _ := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	second.send("<presence to='$coven/secondwitch'><show>xa</show><status>gone where the goblins go</status></presence>")
	first.sees("presence $coven/secondwitch show=xa status=gone where the goblins go none participant jid=~wiccarocks/laptop")
	second.sees("presence $coven/secondwitch show=xa status=gone where the goblins go none participant jid=~wiccarocks/laptop 110")
}

// XEP-0045 §7.8.1, XEP-0249: a direct invitation is between users; a mediated one (§7.8.2) goes through the room, as does its refusal.
func TestXEP0045Section7_8Invitations(t *testing.T) {
	p, first, second, third := coven(t)
	first.send("<message to='~hag66/pda'><x xmlns='jabber:x:conference' jid='$coven' reason='Hey Hecate!'/></message>")
	third.sees("message ~crone1/desktop conference=$coven")

	third.send("<presence/>") // what goes to the account goes to available resources (RFC 6121 §8.5.2)
	p.forget()
	first.send("<message to='$coven'><x xmlns='" + nsMUC + "#user'><invite to='~hag66'><reason>Hey Hecate, this is the place!</reason></invite></x></message>")
	third.sees("message $coven invite from=$coven/firstwitch reason=Hey Hecate, this is the place! conference=$coven")
	third.send("<message to='$coven'><x xmlns='" + nsMUC + "#user'><decline to='$coven/firstwitch'><reason>Sorry, I'm too busy right now.</reason></decline></x></message>")
	first.sees("message $coven decline from=~hag66 reason=Sorry, I'm too busy right now.")
	third.sees()

	// The password comes along, and who is invited to a members-only room becomes a member.
	first.configure("$coven", "muc#roomconfig_passwordprotectedroom", "1", "muc#roomconfig_roomsecret", "cauldronburn", "muc#roomconfig_membersonly", "1")
	p.forget()
	first.send("<message to='$coven'><x xmlns='" + nsMUC + "#user'><invite to='~hag66'/></x></message>")
	third.sees("message $coven invite from=$coven/firstwitch password cauldronburn conference=$coven")
	third.send("<presence to='$coven/thirdwitch'><x xmlns='" + nsMUC + "'><password>cauldronburn</password></x></presence>")
	third.sees("presence $coven/firstwitch owner moderator", "presence $coven/thirdwitch member participant jid=~hag66/pda 110", "message $coven groupchat subject=")
	first.take()

	// Not everybody may invite, and nobody who is outside.
	second.send("<message to='$coven'><x xmlns='" + nsMUC + "#user'><invite to='~hag66'/></x></message>")
	second.sees("message $coven error modify not-acceptable")
	first.configure("$coven", "muc#roomconfig_allowinvites", "0")
	p.forget()
	third.send("<message to='$coven'><x xmlns='" + nsMUC + "#user'><invite to='~wiccarocks'/></x></message>")
	third.sees("message $coven error auth forbidden")
	second.sees()
}

// XEP-0045 §7.8.2 and XEP-0160: an invitation waits for who is not there.
func TestXEP0045Section7_8_2InvitationWaits(t *testing.T) {
	p, first, _, third := coven(t)
	third.quit()
	eventually(t, "the session to end", func() bool { return len(p.server.Sessions("hag66")) == 0 })
	first.send("<message to='$coven'><body>come</body><x xmlns='" + nsMUC + "#user'><invite to='~hag66'/></x></message>")
	first.sees()
	later := p.guest("hag66/pda")
	later.send("<presence/>")
	later.awaits("presence ~hag66/pda", "message $coven invite from=$coven/firstwitch conference=$coven delayed by chat.example")
}

// XEP-0045 §7.10 and §7.12: who registers with a room becomes a member of it and has a nickname of her own.
func TestXEP0045Section7_10Registering(t *testing.T) {
	p, first, second, third := coven(t)
	third.enter("$coven/thirdwitch")
	p.forget()
	form := third.ask("<iq type='get' to='$coven'><query xmlns='jabber:iq:register'/></iq>").child("query").child("x")
	if form.attr("type") != "form" || form.values("FORM_TYPE")[0] != nsMUC+"#register" || len(form.values("muc#register_roomnick")) != 0 {
		t.Errorf("%+v", form)
	}
	submit := func(nick string) string {
		return "<iq type='set' to='$coven'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + nsMUC +
			"#register</value></field><field var='muc#register_roomnick'><value>" + nick + "</value></field></x></query></iq>"
	}
	third.asks(submit("thirdwitch"), "result")
	first.sees("presence $coven/thirdwitch member participant jid=~hag66/pda")
	third.sees("presence $coven/thirdwitch member participant jid=~hag66/pda 110")
	if n := third.ask("<iq type='get' to='$coven'><query xmlns='jabber:iq:register'/></iq>").child("query"); n.child("registered").XMLName.Local == "" ||
		n.child("username").Text != "thirdwitch" {
		t.Errorf("%+v", n)
	}
	// §7.12
	const reserved = "<iq type='get' to='$coven'><query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/></iq>"
	if got := third.ask(reserved).child("query").all("identity", "name"); len(got) != 1 || got[0] != "thirdwitch" {
		t.Errorf("reserved %q", got)
	}
	if got := second.ask(reserved).child("query").all("identity", "name"); len(got) != 0 {
		t.Errorf("reserved %q", got)
	}
	second.asks(submit("thirdwitch"), "cancel conflict")
	third.send("<presence to='$coven/thirdwitch' type='unavailable'/>")
	p.forget()
	second.enter("$coven/thirdwitch") // §7.2.8
	second.sees("presence $coven/thirdwitch error cancel conflict")
	first.configure("$coven", "x-muc#roomconfig_registration", "0")
	second.asks(submit("other"), "cancel not-allowed")
	// XEP-0077 §3.2
	third.asks("<iq type='set' to='$coven'><query xmlns='jabber:iq:register'><remove/></query></iq>", "result")
	second.enter("$coven/thirdwitch")
	first.sees("message $coven groupchat 104", "presence $coven/thirdwitch none participant jid=~wiccarocks/laptop")
}

// XEP-0410: a client learns whether it is still in the room.
func TestXEP0410SelfPing(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	ping := func(nick string) string {
		return "<iq type='get' to='$coven/" + nick + "'><ping xmlns='urn:xmpp:ping'/></iq>"
	}
	second.asks(ping("secondwitch"), "result")
	second.asks(ping("nobody"), "cancel item-not-found")
	third.asks(ping("thirdwitch"), "modify not-acceptable")
	third.asks("<iq type='get' to='$cave/thirdwitch'><ping xmlns='urn:xmpp:ping'/></iq>", "modify not-acceptable") // a room that is not there any more
	// Another occupant is asked itself, under the nickname: this client's library answers what it does not know with an error (RFC 6120 §8.4).
	second.asks(ping("firstwitch"), "cancel service-unavailable")
	if n := first.take(); len(n) != 1 || n[0].describe() != "iq $coven/secondwitch get {urn:xmpp:ping}ping" {
		t.Errorf("%+v", n)
	}
}

// XEP-0421: all that comes from one user has the same id in a room, and another one in another room.
func TestXEP0421OccupantIDs(t *testing.T) {
	p, first, second, third := coven(t)
	third.create("$cove/third")
	ids := map[string]bool{}
	see := func(nodes []node) string {
		for i := range nodes {
			if id := nodes[i].child("occupant-id").attr("id"); id != "" {
				ids[id] = true
				return id
			}
		}
		t.Errorf("no occupant id in %+v", nodes)
		return ""
	}
	second.enter("$coven/secondwitch")
	id := see(first.sees("presence $coven/secondwitch none participant jid=~wiccarocks/laptop"))
	second.send("<presence to='$coven/other'/>")
	p.forget()
	second.say("$coven", "hail")
	if again := see(first.sees("message $coven/other groupchat body=hail")); again != id {
		t.Error("the id depends on the nickname")
	}
	second.send("<presence to='$coven/other' type='unavailable'/>")
	p.forget()
	second.enter("$coven/secondwitch")
	if again := see(first.sees("presence $coven/secondwitch none participant jid=~wiccarocks/laptop")); again != id {
		t.Error("the id depends on the visit")
	}
	second.enter("$cove/secondwitch")
	if other := see(third.sees("presence $cove/secondwitch none participant jid=~wiccarocks/laptop")); other == id {
		t.Error("the id tells who is who in another room")
	}
	if len(ids) != 2 {
		t.Errorf("ids %v", ids)
	}
}
