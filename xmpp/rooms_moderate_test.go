package xmpp

import (
	"slices"
	"testing"
)

// XEP-0045 §8.2: who is kicked is told, with the reason, then the others; whom nobody may kick stays.
func TestXEP0045Section8_2Kicking(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	third.enter("$coven/thirdwitch")
	p.forget()
	first.admin("set", "$coven", "<item nick='thirdwitch' role='none'><reason>Avaunt, you cullion!</reason></item>", "result")
	third.sees("presence $coven/thirdwitch unavailable none none jid=~hag66/pda actor=firstwitch reason=Avaunt, you cullion! 110 307")
	first.sees("presence $coven/thirdwitch unavailable none none jid=~hag66/pda actor=firstwitch reason=Avaunt, you cullion! 307")
	second.sees("presence $coven/thirdwitch unavailable none none actor=firstwitch reason=Avaunt, you cullion! 307")
	third.enter("$coven/thirdwitch") // a kick is no ban
	p.forget()
	third.admin("set", "$coven", "<item nick='secondwitch' role='none'/>", "auth forbidden")
	first.admin("set", "$coven", "<item nick='nobody' role='none'/>", "cancel item-not-found")

	// A moderator may not kick an owner.
	first.admin("set", "$coven", "<item nick='secondwitch' role='moderator'/>", "result")
	p.forget()
	second.admin("set", "$coven", "<item nick='firstwitch' role='none'/>", "cancel not-allowed")
	first.sees()
	second.admin("set", "$coven", "<item nick='thirdwitch' role='none'/>", "result")
	third.sees("presence $coven/thirdwitch unavailable none none jid=~hag66/pda actor=secondwitch 110 307")
}

// XEP-0045 §8.3 to §8.5, §7.13 and §8.6: voice in a moderated room, given and taken, by item and by request; and the list of those who have it.
func TestXEP0045Section8_3Voice(t *testing.T) {
	p, first, second, third := coven(t)
	first.configure("$coven", "muc#roomconfig_moderatedroom", "1")
	second.enter("$coven/secondwitch")
	third.enter("$coven/thirdwitch")
	third.sees("presence $coven/firstwitch owner moderator", "presence $coven/secondwitch none visitor",
		"presence $coven/thirdwitch none visitor jid=~hag66/pda 110", "message $coven groupchat subject=")
	p.forget()
	third.say("$coven", "me!") // §7.4
	third.sees("message $coven error auth forbidden")
	first.sees()

	first.admin("set", "$coven", "<item nick='thirdwitch' role='participant'><reason>A worthy witch indeed!</reason></item>", "result")
	third.sees("presence $coven/thirdwitch none participant jid=~hag66/pda actor=firstwitch reason=A worthy witch indeed! 110")
	second.sees("presence $coven/thirdwitch none participant actor=firstwitch reason=A worthy witch indeed!")
	p.forget()
	third.say("$coven", "me!")
	second.sees("message $coven/thirdwitch groupchat body=me!")

	list := first.admin("get", "$coven", "<item role='participant'/>", "").child("query")
	if got := list.all("item", "nick"); !slices.Equal(got, []string{"thirdwitch"}) {
		t.Errorf("voice list %q", got)
	}
	if got := list.all("item", "jid"); !slices.Equal(got, []string{"~hag66/pda"}) {
		t.Errorf("voice list %q", got)
	}
	third.asks("<iq type='get' to='$coven'><query xmlns='"+nsMUC+"#admin'><item role='participant'/></query></iq>", "auth forbidden")
	p.forget()

	first.admin("set", "$coven", "<item nick='thirdwitch' role='visitor'><reason>Not so worthy after all!</reason></item>", "result")
	third.sees("presence $coven/thirdwitch none visitor jid=~hag66/pda actor=firstwitch reason=Not so worthy after all! 110")
	p.forget()

	// §7.13, §8.6
	const request = "<message to='$coven'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + nsMUC + "#request</value></field>"
	third.send(request + "<field var='muc#role' type='list-single'><value>participant</value></field></x></message>")
	form := first.sees("message $coven form form")[0].child("x")
	for field, want := range map[string]string{"FORM_TYPE": nsMUC + "#request", "muc#role": "participant", "muc#jid": "~hag66/pda", "muc#roomnick": "thirdwitch", "muc#request_allow": "false"} {
		if got := form.values(field); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q", field, got)
		}
	}
	second.sees()
	first.send(request + "<field var='muc#role'><value>participant</value></field><field var='muc#jid'><value>~hag66/pda</value></field>" +
		"<field var='muc#roomnick'><value>thirdwitch</value></field><field var='muc#request_allow'><value>true</value></field></x></message>")
	second.sees("presence $coven/thirdwitch none participant actor=firstwitch")
	p.forget()

	// §10.2: moderation ends, and everybody has voice.
	first.configure("$coven", "muc#roomconfig_moderatedroom", "0")
	second.sees("presence $coven/secondwitch none participant jid=~wiccarocks/laptop 110", "message $coven groupchat 104")
}

// XEP-0045 §9.1 and §9.2: who is banned goes, with 301, cannot come back until the ban is lifted, and stands on the list.
func TestXEP0045Section9_1Banning(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	third.enter("$coven/thirdwitch")
	p.forget()
	first.admin("set", "$coven", "<item affiliation='outcast' jid='~hag66'><reason>Treason</reason></item>", "result")
	third.sees("presence $coven/thirdwitch unavailable outcast none jid=~hag66/pda actor=firstwitch reason=Treason 110 301")
	second.sees("presence $coven/thirdwitch unavailable outcast none actor=firstwitch reason=Treason 301")
	p.forget()
	third.enter("$coven/thirdwitch")
	third.sees("presence $coven/thirdwitch error auth forbidden")
	second.admin("set", "$coven", "<item affiliation='outcast' jid='~hag66'/>", "auth forbidden")
	first.admin("set", "$coven", "<item affiliation='outcast' jid='~crone1'/>", "cancel conflict") // himself
	list := first.admin("get", "$coven", "<item affiliation='outcast'/>", "").child("query")
	if got := list.all("item", "jid"); !slices.Equal(got, []string{"~hag66"}) {
		t.Errorf("ban list %q", got)
	}
	second.asks("<iq type='get' to='$coven'><query xmlns='"+nsMUC+"#admin'><item affiliation='outcast'/></query></iq>", "auth forbidden")
	first.admin("set", "$coven", "<item affiliation='none' jid='~hag66'/>", "result")
	third.enter("$coven/thirdwitch")
	first.sees("presence $coven/thirdwitch none participant jid=~hag66/pda")
	p.forget()
	// §9.2: a list is changed in one go, or not at all.
	first.admin("set", "$coven", "<item affiliation='outcast' jid='~hag66'/><item affiliation='outcast' jid='~crone1'/>", "cancel conflict")
	third.sees()
}

// XEP-0045 §9.3 to §9.5: members come and go; in a members-only room, who is no member any more leaves with 321.
func TestXEP0045Section9_3Membership(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	third.enter("$coven/thirdwitch")
	p.forget()
	first.admin("set", "$coven", "<item affiliation='member' jid='~hag66'><reason>A worthy witch indeed!</reason></item>", "result")
	third.sees("presence $coven/thirdwitch member participant jid=~hag66/pda actor=firstwitch reason=A worthy witch indeed! 110")
	second.sees("presence $coven/thirdwitch member participant actor=firstwitch reason=A worthy witch indeed!")
	p.forget()
	list := first.admin("get", "$coven", "<item affiliation='member'/>", "").child("query")
	if got := list.all("item", "jid"); !slices.Equal(got, []string{"~hag66"}) {
		t.Errorf("member list %q", got)
	}
	// §10.2: the room becomes members-only, and who is none leaves with 322.
	first.configure("$coven", "muc#roomconfig_membersonly", "1")
	second.sees("presence $coven/secondwitch unavailable none none jid=~wiccarocks/laptop 110 322")
	third.sees("presence $coven/secondwitch unavailable none none 322", "message $coven groupchat 104")
	p.forget()
	first.admin("set", "$coven", "<item affiliation='none' jid='~hag66'><reason>Not so worthy after all!</reason></item>", "result")
	third.sees("presence $coven/thirdwitch unavailable none none jid=~hag66/pda actor=firstwitch reason=Not so worthy after all! 110 321")
	first.sees("presence $coven/thirdwitch unavailable none none jid=~hag66/pda actor=firstwitch reason=Not so worthy after all! 321")
}

// XEP-0045 §9.6 to §9.8: moderators come and go, at the word of admins.
func TestXEP0045Section9_6Moderators(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	third.enter("$coven/thirdwitch")
	p.forget()
	first.admin("set", "$coven", "<item nick='thirdwitch' role='moderator'><reason>A worthy witch indeed!</reason></item>", "result")
	third.sees("presence $coven/thirdwitch none moderator jid=~hag66/pda actor=firstwitch reason=A worthy witch indeed! 110")
	second.sees("presence $coven/thirdwitch none moderator actor=firstwitch reason=A worthy witch indeed!")
	list := first.admin("get", "$coven", "<item role='moderator'/>", "").child("query")
	if got := list.all("item", "nick"); !slices.Equal(got, []string{"firstwitch", "thirdwitch"}) {
		t.Errorf("moderator list %q", got)
	}
	third.asks("<iq type='get' to='$coven'><query xmlns='"+nsMUC+"#admin'><item role='moderator'/></query></iq>", "auth forbidden")
	third.admin("set", "$coven", "<item nick='secondwitch' role='moderator'/>", "auth forbidden")
	third.admin("set", "$coven", "<item nick='firstwitch' role='participant'/>", "auth forbidden")
	// A moderator sees who is who from now on.
	p.forget()
	second.send("<presence to='$coven/secondwitch'><show>dnd</show></presence>")
	third.sees("presence $coven/secondwitch show=dnd none participant jid=~wiccarocks/laptop")
	first.admin("set", "$coven", "<item nick='thirdwitch' role='participant'/>", "result")
	p.forget()
	second.send("<presence to='$coven/secondwitch'/>")
	third.sees("presence $coven/secondwitch none participant")
}

// XEP-0045 §10.3 to §10.8: owners and admins come and go, at the word of owners; one owner stays.
func TestXEP0045Section10_3OwnersAndAdmins(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	first.admin("set", "$coven", "<item affiliation='admin' jid='~wiccarocks'><reason>A worthy witch indeed!</reason></item>", "result")
	second.sees("presence $coven/secondwitch admin moderator jid=~wiccarocks/laptop actor=firstwitch reason=A worthy witch indeed! 110")
	if got := first.admin("get", "$coven", "<item affiliation='admin'/>", "").child("query").all("item", "jid"); !slices.Equal(got, []string{"~wiccarocks"}) {
		t.Errorf("admin list %q", got)
	}
	second.admin("set", "$coven", "<item affiliation='owner' jid='~hag66'/>", "cancel not-allowed")
	second.admin("set", "$coven", "<item affiliation='none' jid='~crone1'/>", "cancel not-allowed")
	second.admin("set", "$coven", "<item affiliation='member' jid='~hag66'/>", "result")
	second.asks("<iq type='get' to='$coven'><query xmlns='"+nsMUC+"#owner'/></iq>", "auth forbidden")
	p.forget()
	first.admin("set", "$coven", "<item affiliation='none' jid='~wiccarocks'/>", "result")
	second.sees("presence $coven/secondwitch none participant jid=~wiccarocks/laptop actor=firstwitch 110")
	first.admin("set", "$coven", "<item affiliation='owner' jid='~hag66'/>", "result")
	third.enter("$coven/thirdwitch")
	first.awaits("presence $coven/secondwitch none participant jid=~wiccarocks/laptop actor=firstwitch", "presence $coven/thirdwitch owner moderator jid=~hag66/pda")
	if got := first.admin("get", "$coven", "<item affiliation='owner'/>", "").child("query").all("item", "jid"); !slices.Equal(got, []string{"~crone1", "~hag66"}) {
		t.Errorf("owner list %q", got)
	}
	p.forget()
	first.admin("set", "$coven", "<item affiliation='admin' jid='~hag66'/>", "result")
	third.sees("presence $coven/thirdwitch admin moderator jid=~hag66/pda actor=firstwitch 110")
	first.admin("set", "$coven", "<item affiliation='admin' jid='~crone1'/>", "cancel conflict") // §10.4: the last one
}

// XEP-0045 §10.1.3, §10.2: the form of a reserved room, what it says, and what becomes of it.
func TestXEP0045Section10_1_3ReservedRoom(t *testing.T) {
	p := newParlour(t, "crone1", "wiccarocks")
	first, second := p.guest("crone1/desktop"), p.guest("wiccarocks/laptop")
	first.enter("$coven/firstwitch")
	p.forget()
	form := first.ask("<iq type='get' to='$coven'><query xmlns='" + nsMUC + "#owner'/></iq>").child("query").child("x")
	if form.attr("type") != "form" || !slices.Equal(form.values("FORM_TYPE"), []string{nsMUC + "#roomconfig"}) || !slices.Equal(form.values("muc#roomconfig_roomowners"), []string{"~crone1"}) {
		t.Errorf("the form %+v", form)
	}
	second.asks("<iq type='get' to='$coven'><query xmlns='"+nsMUC+"#owner'/></iq>", "cancel item-not-found") // it is not there yet
	// muc#roomconfig_roomadmins, membership and a name come in one go.
	first.configure("$coven", "muc#roomconfig_roomname", "Coven", "muc#roomconfig_roomadmins", long("~wiccarocks"), "muc#roomconfig_membersonly", "1",
		"muc#roomconfig_maxusers", "10", "muc#roomconfig_presencebroadcast", "moderator participant")
	second.enter("$coven/secondwitch")
	second.sees("presence $coven/firstwitch owner moderator jid=~crone1/desktop", "presence $coven/secondwitch admin moderator jid=~wiccarocks/laptop 110",
		"message $coven groupchat subject=")
	form = first.ask("<iq type='get' to='$coven'><query xmlns='" + nsMUC + "#owner'/></iq>").child("query").child("x")
	for field, want := range map[string]string{"muc#roomconfig_roomname": "Coven", "muc#roomconfig_membersonly": "1", "muc#roomconfig_maxusers": "10", "muc#roomconfig_persistentroom": "0"} {
		if got := form.values(field); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q", field, got)
		}
	}
	info := second.ask("<iq type='get' to='$coven'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>").child("query")
	if got := info.all("identity", "name"); !slices.Equal(got, []string{"Coven"}) {
		t.Errorf("named %q", got)
	}
	// §10.2: nobody leaves a room without owners, and what cannot be is not taken.
	p.forget()
	for fields, want := range map[string]string{
		"<field var='muc#roomconfig_roomowners'/>":                             "cancel conflict",
		"<field var='muc#roomconfig_whois'><value>everybody</value></field>":   "modify not-acceptable",
		"<field var='muc#roomconfig_membersonly'><value>maybe</value></field>": "modify not-acceptable",
	} {
		first.asks("<iq type='set' to='$coven'><query xmlns='"+nsMUC+"#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>"+nsMUC+
			"#roomconfig</value></field>"+fields+"</x></query></iq>", want)
	}
	second.sees()
	// §10.1.3: who cancels the first configuration has made no room.
	first.enter("$cave/firstwitch")
	p.forget()
	first.asks("<iq type='set' to='$cave'><query xmlns='"+nsMUC+"#owner'><x xmlns='jabber:x:data' type='cancel'/></query></iq>", "result")
	first.sees("presence $cave/firstwitch unavailable none none jid=~crone1/desktop destroy 110")
	second.enter("$cave/secondwitch")
	second.sees("presence $cave/secondwitch owner moderator jid=~wiccarocks/laptop 110 201", "message $cave groupchat subject=")
}

// XEP-0045 §10.9
func TestXEP0045Section10_9Destroying(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	const destroy = "<iq type='set' to='$coven'><query xmlns='" + nsMUC + "#owner'><destroy jid='$cave'><reason>Macbeth doth come.</reason></destroy></query></iq>"
	second.asks(destroy, "auth forbidden")
	first.sees()
	first.asks(destroy, "result")
	first.sees("presence $coven/firstwitch unavailable none none jid=~crone1/desktop destroy jid=$cave reason=Macbeth doth come. 110")
	second.sees("presence $coven/secondwitch unavailable none none jid=~wiccarocks/laptop destroy jid=$cave reason=Macbeth doth come. 110")
	if rooms, occupants := p.server.rooms.Counts(); rooms != 0 || occupants != 0 {
		t.Errorf("%d rooms, %d occupants", rooms, occupants)
	}
	second.say("$coven", "anybody?")
	second.sees("message $coven error cancel item-not-found")
	third.enter("$coven/thirdwitch") // it is another one now
	third.sees("presence $coven/thirdwitch owner moderator jid=~hag66/pda 110 201", "message $coven groupchat subject=")
}
