package xmpp

import (
	"slices"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

const (
	discoInfo  = "http://jabber.org/protocol/disco#info"
	discoItems = "http://jabber.org/protocol/disco#items"
)

func (g *guest) disco(at, what string) *node {
	g.t.Helper()
	n := g.ask("<iq type='get' to='" + at + "'><query xmlns='" + what + "'/></iq>")
	if n.attr("type") != "result" || n.attr("from") != long(at) {
		g.t.Errorf("%s of %s: %+v", what, at, n)
	}
	return n.child("query")
}

// XEP-0045 §6.1 to §6.3: the service is found at the server, tells what it is, and lists its rooms.
func TestXEP0045Section6_1Service(t *testing.T) {
	p, first, second, _ := coven(t)
	if got := first.disco(domain, discoItems).all("item", "jid"); !slices.Equal(got, []string{"$"}) {
		t.Errorf("services %q", got)
	}
	info := second.disco("$", discoInfo)
	id := info.child("identity")
	if id.attr("category") != "conference" || id.attr("type") != "text" || id.attr("name") == "" || !slices.Contains(info.all("feature", "var"), nsMUC) {
		t.Errorf("the service says %+v", info)
	}
	if got := second.disco("$", discoItems).all("item", "jid"); !slices.Equal(got, []string{"$coven"}) {
		t.Errorf("rooms %q", got)
	}
	// A hidden room is for those who belong there or are in it (§6.3: the service may decide).
	first.configure("$coven", "muc#roomconfig_publicroom", "0")
	p.declare("lobby", func(r *directory.Room) { r.DisplayName = "The lobby" })
	items := second.disco("$", discoItems)
	if got := items.all("item", "jid"); !slices.Equal(got, []string{"$lobby"}) || items.child("item").attr("name") != "The lobby" {
		t.Errorf("rooms %+v", items)
	}
	if got := first.disco("$", discoItems).all("item", "jid"); !slices.Equal(got, []string{"$coven", "$lobby"}) {
		t.Errorf("rooms of the owner %q", got)
	}
	second.enter("$coven/secondwitch")
	if got := second.disco("$", discoItems).all("item", "jid"); !slices.Equal(got, []string{"$coven", "$lobby"}) {
		t.Errorf("rooms of an occupant %q", got)
	}
	// A room that is not configured yet is not there (§10.1.3).
	first.enter("$cave/firstwitch")
	if got := first.disco("$", discoItems).all("item", "jid"); slices.Contains(got, "$cave") {
		t.Errorf("rooms %q", got)
	}
	// RFC 6120 §8.4, XEP-0199
	first.asks("<iq type='get' to='$'><query xmlns='urn:example:unknown'/></iq>", "cancel service-unavailable")
	first.asks("<iq type='get' to='$'><ping xmlns='urn:xmpp:ping'/></iq>", "result")
	first.asks("<iq type='get' to='$'><query xmlns='"+discoInfo+"' node='nothing'/></iq>", "cancel item-not-found")
	first.send("<message to='$'><body>hello?</body></message>")
	if nodes := first.take(); nodes[len(nodes)-1].describe() != "message $ error cancel service-unavailable" {
		t.Errorf("%+v", nodes)
	}
}

// XEP-0045 §6.3 and XEP-0059: long lists come in pages.
func TestXEP0045Section6_3Pages(t *testing.T) {
	p := newParlour(t, "crone1")
	for _, name := range strings.Fields("forres cawdor birnam glamis") {
		p.declare(name, nil)
	}
	g := p.guest("crone1/desktop")
	page := func(set string) (items []string, count string) {
		q := g.ask("<iq type='get' to='$'><query xmlns='" + discoItems + "'><set xmlns='http://jabber.org/protocol/rsm'>" + set + "</set></query></iq>").child("query")
		return q.all("item", "jid"), q.child("set").child("count").Text
	}
	if items, count := page("<max>3</max>"); !slices.Equal(items, []string{"$birnam", "$cawdor", "$forres"}) || count != "4" {
		t.Errorf("%q of %s", items, count)
	}
	if items, count := page("<max>3</max><after>$forres</after>"); !slices.Equal(items, []string{"$glamis"}) || count != "4" {
		t.Errorf("%q of %s", items, count)
	}
}

// XEP-0045 §6.4 to §6.6: what a room says of itself, and who is in it.
func TestXEP0045Section6_4Room(t *testing.T) {
	p, first, second, third := coven(t)
	info := second.disco("$coven", discoInfo)
	features := info.all("feature", "var")
	for _, f := range []string{nsMUC, "muc_open", "muc_public", "muc_semianonymous", "muc_temporary", "muc_unmoderated", "muc_unsecured", "urn:xmpp:occupant-id:0", "urn:xmpp:sid:0"} {
		if !slices.Contains(features, f) {
			t.Errorf("%s is missing in %q", f, features)
		}
	}
	form := info.child("x")
	if !slices.Equal(form.values("FORM_TYPE"), []string{nsMUC + "#roominfo"}) || !slices.Equal(form.values("muc#roominfo_occupants"), []string{"1"}) {
		t.Errorf("%+v", form)
	}
	first.configure("$coven", "muc#roomconfig_membersonly", "1", "muc#roomconfig_moderatedroom", "1", "muc#roomconfig_publicroom", "0", "muc#roomconfig_whois", "anyone",
		"muc#roomconfig_passwordprotectedroom", "1", "muc#roomconfig_roomsecret", "x")
	features = second.disco("$coven", discoInfo).all("feature", "var")
	for _, f := range []string{"muc_membersonly", "muc_hidden", "muc_nonanonymous", "muc_moderated", "muc_passwordprotected"} {
		if !slices.Contains(features, f) {
			t.Errorf("%s is missing in %q", f, features)
		}
	}
	second.asks("<iq type='get' to='$cave'><query xmlns='"+discoInfo+"'/></iq>", "cancel item-not-found")

	// §6.5: who is in a members-only room is nothing for strangers.
	if got := second.disco("$coven", discoItems).all("item", "jid"); len(got) != 0 {
		t.Errorf("occupants %q", got)
	}
	first.configure("$coven", "muc#roomconfig_membersonly", "0", "muc#roomconfig_publicroom", "1", "muc#roomconfig_passwordprotectedroom", "0")
	second.enter("$coven/secondwitch")
	if got := third.disco("$coven", discoItems).all("item", "jid"); !slices.Equal(got, []string{"$coven/firstwitch", "$coven/secondwitch"}) {
		t.Errorf("occupants %q", got)
	}
	// §6.6: an occupant answers itself, and to occupants only.
	p.forget()
	second.asks("<iq type='get' to='$coven/firstwitch'><query xmlns='"+discoInfo+"'/></iq>", "cancel service-unavailable") // the library's word
	if n := first.take(); len(n) != 1 || n[0].describe() != "iq $coven/secondwitch get {"+discoInfo+"}query" {
		t.Errorf("asked %+v", n)
	}
	third.asks("<iq type='get' to='$coven/firstwitch'><query xmlns='"+discoInfo+"'/></iq>", "modify bad-request")
	first.sees()
}

// A property makes another service, while the server runs; its rooms are rooms like others. When the property goes, so do the occupants.
func TestRoomServiceByProperty(t *testing.T) {
	p, first, second, _ := coven(t)
	first.asks("<iq type='get' to='$@workshop'><query xmlns='"+discoInfo+"'/></iq>", "cancel remote-server-not-found")
	p.property(directory.RoomServicePrefix+"workshop", "The workshop")
	items := first.disco(domain, discoItems)
	if got := items.all("item", "jid"); !slices.Equal(got, []string{"$", "$@workshop"}) || !slices.Contains(items.all("item", "name"), "The workshop") {
		t.Errorf("services %+v", items)
	}
	if name := first.disco("$@workshop", discoInfo).child("identity").attr("name"); name != "The workshop" {
		t.Errorf("named %q", name)
	}
	p.declare("lathe", func(r *directory.Room) { r.Service = "workshop" })
	first.enter("$lathe@workshop/first")
	first.sees("presence $lathe@workshop/first none participant jid=~crone1/desktop 110", "message $lathe@workshop groupchat subject=")
	second.create("$coven@workshop/secondwitch") // a room of that name is another one there
	if got := first.disco("$@workshop", discoItems).all("item", "jid"); !slices.Equal(got, []string{"$coven@workshop", "$lathe@workshop"}) {
		t.Errorf("rooms %q", got)
	}
	if got := first.disco("$", discoItems).all("item", "jid"); !slices.Equal(got, []string{"$coven"}) {
		t.Errorf("rooms %q", got)
	}
	p.forget()
	if err := p.local.DeleteProperty(t.Context(), by, directory.RoomServicePrefix+"workshop"); err != nil {
		t.Fatal(err)
	}
	first.awaits("presence $lathe@workshop/first unavailable none none jid=~crone1/desktop 110 332")
	second.awaits("presence $coven@workshop/secondwitch unavailable owner none jid=~wiccarocks/laptop 110 332")
	first.say("$lathe@workshop", "anybody?")
	first.sees("message $lathe@workshop error cancel remote-server-not-found")
	if rooms, _ := p.server.rooms.Counts(); rooms != 1 {
		t.Errorf("%d rooms", rooms)
	}
}

// The property xmpp.muc.create says who may make rooms, xmpp.muc.rooms-of-user how many (XEP-0045 §7.2.11 and §10.1: not-allowed).
func TestXEP0045Section10_1WhoMayCreate(t *testing.T) {
	p := newParlour(t, "crone1", "wiccarocks")
	first, second := p.guest("crone1/desktop"), p.guest("wiccarocks/laptop")
	admin := true
	if err := p.local.UpdateUser(t.Context(), by, "crone1", directory.UserUpdate{Admin: &admin}); err != nil {
		t.Fatal(err)
	}
	p.property(directory.KeyRoomCreation, directory.RoomCreationAdmins)
	second.enter("$coven/secondwitch")
	second.sees("presence $coven/secondwitch error cancel not-allowed")
	first.create("$coven/firstwitch")
	p.property(directory.KeyRoomCreation, directory.RoomCreationNobody)
	first.enter("$cave/firstwitch")
	first.sees("presence $cave/firstwitch error cancel not-allowed")
	p.declare("lobby", nil)
	second.enter("$lobby/secondwitch")
	second.sees("presence $lobby/secondwitch none participant jid=~wiccarocks/laptop 110", "message $lobby groupchat subject=")
	p.property(directory.KeyRoomCreation, directory.RoomCreationAnyone)
	p.property(directory.KeyRoomsOfUser, "1")
	second.create("$cave/secondwitch")
	second.enter("$heath/secondwitch")
	second.sees("presence $heath/secondwitch error wait resource-constraint")
	second.send("<presence to='$cave/secondwitch' type='unavailable'/>")
	second.take()
	second.enter("$heath/secondwitch")
	second.sees("presence $heath/secondwitch owner moderator jid=~wiccarocks/laptop 110 201", "message $heath groupchat subject=")
}

// XEP-0307: a name for a room that is nobody else's, for those who may create rooms.
func TestXEP0307UniqueRoomNames(t *testing.T) {
	p := newParlour(t, "crone1")
	first := p.guest("crone1/desktop")
	name := func() string {
		return first.ask("<iq type='get' to='$'><unique xmlns='http://jabber.org/protocol/muc#unique'/></iq>").child("unique").Text
	}
	one, other := name(), name()
	if len(one) < 20 || one == other {
		t.Errorf("the names are %q and %q", one, other)
	}
	if got := first.disco("$", discoInfo).all("feature", "var"); !slices.Contains(got, "http://jabber.org/protocol/muc#unique") {
		t.Errorf("features %q", got)
	}
	p.property(directory.KeyRoomCreation, directory.RoomCreationNobody)
	first.asks("<iq type='get' to='$'><unique xmlns='http://jabber.org/protocol/muc#unique'/></iq>", "cancel not-allowed")
}
