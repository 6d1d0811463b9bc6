package xmpp

import "testing"

// XEP-0045 §7.2.2, §7.2.15, §10.1.1 and §10.1.2: who enters gets the presence of everybody, then the own one, then the subject; the others are told.
// Real addresses are for moderators (§7.2.3, §7.2.4).
func TestXEP0045Section7_2_2PresenceOfOccupants(t *testing.T) {
	p := newParlour(t, "crone1", "wiccarocks", "hag66")
	first, second, third := p.guest("crone1/desktop"), p.guest("wiccarocks/laptop"), p.guest("hag66/pda")
	first.enter("$coven/firstwitch")
	first.sees("presence $coven/firstwitch owner moderator jid=~crone1/desktop 110 201", "message $coven groupchat subject=")

	second.enter("$coven/secondwitch") // §10.1.1, §7.2.10: not before its owner has accepted or configured it
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
