package xmpp

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// coven is the room of the examples of XEP-0045: crone1 made it and is the owner.
func coven(t *testing.T) (p *parlour, first, second, third *guest) {
	t.Helper()
	p = newParlour(t, "crone1", "wiccarocks", "hag66")
	first, second, third = p.guest("crone1/desktop"), p.guest("wiccarocks/laptop"), p.guest("hag66/pda")
	first.create("$coven/firstwitch")
	return p, first, second, third
}

// XEP-0045 §7.2.2, §7.2.15, §10.1.1 and §10.1.2: who enters gets the presence of everybody, then the own one, then the subject; the others are told.
// Real addresses are for moderators (§7.2.4).
func TestXEP0045Section7_2_2PresenceOfOccupants(t *testing.T) {
	p := newParlour(t, "crone1", "wiccarocks", "hag66")
	first, second, third := p.guest("crone1/desktop"), p.guest("wiccarocks/laptop"), p.guest("hag66/pda")
	first.enter("$coven/firstwitch")
	first.sees("presence $coven/firstwitch owner moderator jid=~crone1/desktop 110 201", "message $coven groupchat subject=")

	second.enter("$coven/secondwitch") // §7.2.10: not before its owner has accepted or configured it
	second.sees("presence $coven/secondwitch error cancel item-not-found")
	first.asks("<iq type='set' to='$coven'><query xmlns='"+nsMUC+"#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>", "result")

	second.enter("$coven/secondwitch")
	second.sees("presence $coven/firstwitch owner moderator",
		"presence $coven/secondwitch none participant jid=~wiccarocks/laptop 110", "message $coven groupchat subject=")
	first.sees("presence $coven/secondwitch none participant jid=~wiccarocks/laptop")

	third.enter("$coven/thirdwitch")
	third.sees("presence $coven/firstwitch owner moderator", "presence $coven/secondwitch none participant",
		"presence $coven/thirdwitch none participant jid=~hag66/pda 110", "message $coven groupchat subject=")
	first.sees("presence $coven/thirdwitch none participant jid=~hag66/pda")
	second.sees("presence $coven/thirdwitch none participant")
}

// XEP-0045 §7.2.1: a room is entered with a nickname.
func TestXEP0045Section7_2_1NoNickname(t *testing.T) {
	_, first, second, third := coven(t)
	second.enter("$coven")
	second.sees("presence $coven error modify jid-malformed")
	first.sees()
	// Clients tell by this element that what failed is entering, as in the examples of §7.2; so says the service where there is no room, too.
	second.enter("$coven/firstwitch")
	third.send("<presence to='$cove'><x xmlns='" + nsMUC + "'/></presence>")
	for _, n := range slices.Concat(second.sees("presence $coven/firstwitch error cancel conflict"), third.sees("presence $cove error cancel item-not-found")) {
		if n.child("x").XMLName.Space != nsMUC {
			t.Errorf("%+v", n)
		}
	}
	// A client that sent no presence of the protocol to a room that is not there makes none, and learns so.
	second.send("<presence to='$cove/secondwitch'/>")
	second.sees("presence $cove/secondwitch error cancel item-not-found")
}

// XEP-0045 §7.2.3 and §10.2.1: in a non-anonymous room everybody sees real addresses, and is warned of that: 100 on entering, 172 and 173 when it changes.
func TestXEP0045Section7_2_3NonAnonymousRooms(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	first.configure("$coven", "muc#roomconfig_whois", "anyone")
	first.sees("message $coven groupchat 172")
	second.sees("message $coven groupchat 172")
	third.enter("$coven/thirdwitch")
	third.sees("presence $coven/firstwitch owner moderator jid=~crone1/desktop", "presence $coven/secondwitch none participant jid=~wiccarocks/laptop",
		"presence $coven/thirdwitch none participant jid=~hag66/pda 100 110", "message $coven groupchat subject=")
	second.sees("presence $coven/thirdwitch none participant jid=~hag66/pda")
	p.forget()
	first.configure("$coven", "muc#roomconfig_whois", "moderators")
	third.sees("message $coven groupchat 173")
}

// XEP-0045 §7.2.5
func TestXEP0045Section7_2_5PasswordProtectedRooms(t *testing.T) {
	p, first, second, _ := coven(t)
	first.configure("$coven", "muc#roomconfig_passwordprotectedroom", "1", "muc#roomconfig_roomsecret", "cauldronburn")
	p.forget()
	second.enter("$coven/secondwitch")
	second.sees("presence $coven/secondwitch error auth not-authorized")
	second.send("<presence to='$coven/secondwitch'><x xmlns='" + nsMUC + "'><password>cauldron</password></x></presence>")
	second.sees("presence $coven/secondwitch error auth not-authorized")
	first.sees()
	second.send("<presence to='$coven/secondwitch'><x xmlns='" + nsMUC + "'><password>cauldronburn</password></x></presence>")
	second.sees("presence $coven/firstwitch owner moderator",
		"presence $coven/secondwitch none participant jid=~wiccarocks/laptop 110", "message $coven groupchat subject=")
	first.sees("presence $coven/secondwitch none participant jid=~wiccarocks/laptop")
}

// XEP-0045 §7.2.6 and §9.3: only members get into a members-only room.
func TestXEP0045Section7_2_6MembersOnlyRooms(t *testing.T) {
	p, first, second, third := coven(t)
	first.configure("$coven", "muc#roomconfig_membersonly", "1")
	first.admin("set", "$coven", "<item affiliation='member' jid='~hag66'/>", "result")
	p.forget()
	second.enter("$coven/secondwitch")
	second.sees("presence $coven/secondwitch error auth registration-required")
	third.enter("$coven/thirdwitch")
	third.sees("presence $coven/firstwitch owner moderator", "presence $coven/thirdwitch member participant jid=~hag66/pda 110", "message $coven groupchat subject=")
}

// XEP-0045 §7.2.7
func TestXEP0045Section7_2_7BannedUsers(t *testing.T) {
	p, first, second, _ := coven(t)
	first.admin("set", "$coven", "<item affiliation='outcast' jid='~wiccarocks'/>", "result")
	p.forget()
	second.enter("$coven/secondwitch")
	second.sees("presence $coven/secondwitch error auth forbidden")
	first.sees()
}

// XEP-0045 §7.2.8: a nickname is one user's; her other clients may come in under it.
func TestXEP0045Section7_2_8NicknameConflict(t *testing.T) {
	p, first, second, _ := coven(t)
	second.enter("$coven/firstwitch")
	second.sees("presence $coven/firstwitch error cancel conflict")
	first.sees()

	phone := p.guest("crone1/phone")
	phone.enter("$coven/firstwitch")
	phone.sees("presence $coven/firstwitch owner moderator jid=~crone1/phone 110", "message $coven groupchat subject=")
	p.forget()
	second.enter("$coven/secondwitch")
	p.forget()

	// Everything goes to both.
	second.say("$coven", "Hail!")
	for _, g := range []*guest{first, phone, second} {
		g.sees("message $coven/secondwitch groupchat body=Hail!")
	}
	second.send("<message type='chat' to='$coven/firstwitch'><body>psst</body></message>")
	first.sees("message $coven/secondwitch chat body=psst")
	phone.sees("message $coven/secondwitch chat body=psst")

	// One of them leaves, and the others see the other one's presence from then on.
	phone.send("<presence type='unavailable' to='$coven/firstwitch'/>")
	phone.sees("presence $coven/firstwitch unavailable owner none jid=~crone1/phone 110")
	second.sees("presence $coven/firstwitch owner moderator")
	first.send("<presence type='unavailable' to='$coven/firstwitch'/>")
	second.sees("presence $coven/firstwitch unavailable owner none")
}

// XEP-0045 §7.2.9: a full room says so, except to its owners and admins.
func TestXEP0045Section7_2_9MaxUsers(t *testing.T) {
	p, first, second, third := coven(t)
	first.configure("$coven", "muc#roomconfig_maxusers", "2")
	second.enter("$coven/secondwitch")
	p.forget()
	third.enter("$coven/thirdwitch")
	third.sees("presence $coven/thirdwitch error wait service-unavailable")
	first.admin("set", "$coven", "<item affiliation='admin' jid='~hag66'/>", "result")
	p.forget()
	third.enter("$coven/thirdwitch")
	first.sees("presence $coven/thirdwitch admin moderator jid=~hag66/pda")
}

// XEP-0045 §7.2.13: the last messages come after the presence and before the subject, each with the sender's address and the time.
func TestXEP0045Section7_2_13DiscussionHistory(t *testing.T) {
	_, first, second, _ := coven(t)
	before := time.Now().Add(-time.Minute)
	first.send("<message id='hysf1v37' type='groupchat' to='$coven'><body>Harpier cries: 'tis time, 'tis time.</body></message>")
	first.say("$coven", "Thrice the brinded cat hath mew'd.")
	first.send("<message type='groupchat' to='$coven'><subject>Fire Burn</subject></message>")
	first.sees("message $coven/firstwitch groupchat body=Harpier cries: 'tis time, 'tis time.", "message $coven/firstwitch groupchat body=Thrice the brinded cat hath mew'd.",
		"message $coven/firstwitch groupchat subject=Fire Burn")

	const (
		others  = "presence $coven/firstwitch owner moderator"
		self    = "presence $coven/secondwitch none participant jid=~wiccarocks/laptop 110"
		one     = "message $coven/firstwitch groupchat body=Harpier cries: 'tis time, 'tis time. delayed by $coven"
		two     = "message $coven/firstwitch groupchat body=Thrice the brinded cat hath mew'd. delayed by $coven"
		subject = "message $coven/firstwitch groupchat subject=Fire Burn delayed by $coven"
	)
	second.enter("$coven/secondwitch")
	for _, n := range second.sees(others, self, one, two, subject)[2:4] {
		if n.attr("id") == "" && strings.Contains(n.child("body").Text, "Harpier") || n.child("stanza-id").attr("by") != long("$coven") {
			t.Errorf("%+v", n)
		}
		if stamp, err := time.Parse("2006-01-02T15:04:05Z", n.child("delay").attr("stamp")); err != nil || stamp.Before(before) || stamp.After(time.Now()) {
			t.Errorf("stamped %v, %v", stamp, err)
		}
	}
	// §7.2.14: who enters may want less.
	for wish, want := range map[string][]string{
		"maxstanzas='1'":               {others, self, two, subject},
		"maxstanzas='0'":               {others, self, subject},
		"maxchars='0'":                 {others, self, subject},
		"maxchars='65000'":             {others, self, one, two, subject},
		"seconds='180'":                {others, self, one, two, subject},
		"since='1970-01-01T00:00:00Z'": {others, self, one, two, subject},
		"since='2999-01-01T00:00:00Z'": {others, self, subject},
	} {
		second.send("<presence to='$coven/secondwitch' type='unavailable'/>")
		second.sees("presence $coven/secondwitch unavailable none none jid=~wiccarocks/laptop 110")
		second.send("<presence to='$coven/secondwitch'><x xmlns='" + nsMUC + "'><history " + wish + "/></x></presence>")
		second.sees(want...)
	}
}

// XEP-0045 §7.2.15 and §8.1: the subject goes to everybody, and to who enters later. Who may change it, the room decides.
func TestXEP0045Section8_1ModifyingTheSubject(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	second.send("<message type='groupchat' to='$coven'><subject>Fire Burn and Cauldron Bubble!</subject></message>")
	first.sees("message $coven/secondwitch groupchat subject=Fire Burn and Cauldron Bubble!")
	second.sees("message $coven/secondwitch groupchat subject=Fire Burn and Cauldron Bubble!")
	first.configure("$coven", "muc#roomconfig_changesubject", "0")
	p.forget()
	second.send("<message type='groupchat' to='$coven'><subject>Dinner</subject></message>")
	second.sees("message $coven error auth forbidden")
	first.sees()
	third.enter("$coven/thirdwitch")
	third.sees("presence $coven/firstwitch owner moderator", "presence $coven/secondwitch none participant",
		"presence $coven/thirdwitch none participant jid=~hag66/pda 110", "message $coven/secondwitch groupchat subject=Fire Burn and Cauldron Bubble! delayed by $coven")
}

// XEP-0045 §7.14: who leaves is told so, and the others, with what was said. Whose session ends has left as well.
func TestXEP0045Section7_14ExitingARoom(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	third.enter("$coven/thirdwitch")
	p.forget()
	third.send("<presence to='$coven/thirdwitch' type='unavailable'><status>gone where the goblins go</status></presence>")
	third.sees("presence $coven/thirdwitch unavailable status=gone where the goblins go none none jid=~hag66/pda 110")
	first.sees("presence $coven/thirdwitch unavailable status=gone where the goblins go none none jid=~hag66/pda")
	second.sees("presence $coven/thirdwitch unavailable status=gone where the goblins go none none")
	third.say("$coven", "still here?")
	third.sees("message $coven error modify not-acceptable")

	// RFC 6121 §4.6.3: presence that goes to everybody goes to rooms, too. It is the user's own, so nothing says that something went wrong.
	third.enter("$coven/thirdwitch")
	p.forget()
	third.send("<presence type='unavailable'><status>good night</status></presence>")
	first.sees("presence $coven/thirdwitch unavailable status=good night none none jid=~hag66/pda")
	third.sees("presence $coven/thirdwitch unavailable status=good night none none jid=~hag66/pda 110")
	second.take()

	// A connection that breaks off, and a stream that is closed.
	third.enter("$coven/thirdwitch")
	p.forget()
	third.cut()
	first.awaits("presence $coven/thirdwitch unavailable none none jid=~hag66/pda")
	second.quit()
	first.awaits("presence $coven/secondwitch unavailable none none jid=~wiccarocks/laptop")
	eventually(t, "an empty room", func() bool { rooms, occupants := p.server.rooms.Counts(); return rooms == 1 && occupants == 1 })

	// The last one takes the room along: it is temporary.
	first.send("<presence to='$coven/firstwitch' type='unavailable'/>")
	first.sees("presence $coven/firstwitch unavailable owner none jid=~crone1/desktop 110")
	if rooms, occupants := p.server.rooms.Counts(); rooms != 0 || occupants != 0 {
		t.Errorf("%d rooms, %d occupants", rooms, occupants)
	}
}
