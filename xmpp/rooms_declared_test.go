package xmpp

import (
	"slices"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// lobby is a declared room with an owner, a member and somebody else in it.
func lobby(t *testing.T) (p *parlour, owner, member, guest *guest) {
	t.Helper()
	p = newParlour(t, "crone1", "wiccarocks", "hag66")
	p.declare("lobby", func(r *directory.Room) { r.Affiliations = affiliations("owner crone1", "member wiccarocks") })
	owner, member, guest = p.guest("crone1/desktop"), p.guest("wiccarocks/laptop"), p.guest("hag66/pda")
	owner.enter("$lobby/owner")
	member.enter("$lobby/member")
	guest.enter("$lobby/guest")
	p.forget()
	return p, owner, member, guest
}

// What is declared of a room holds at once, and its occupants see what a change means to them (XEP-0045 §9.1, §10.2, §8.3).
func TestDeclaredRoomChanges(t *testing.T) {
	p, owner, member, guest := lobby(t)
	guest.asks("<iq type='get' to='$lobby'><query xmlns='"+nsMUC+"#owner'/></iq>", "auth forbidden")
	if features := guest.disco("$lobby", discoInfo).all("feature", "var"); !slices.Contains(features, "muc_persistent") {
		t.Errorf("features %q", features)
	}
	all := func(r *directory.Room) { r.Affiliations = affiliations("owner crone1", "member wiccarocks") }

	// §10.2: the room becomes moderated.
	p.declare("lobby", func(r *directory.Room) { all(r); r.Moderated = true })
	guest.awaits("presence $lobby/guest none visitor jid=~hag66/pda 110", "message $lobby groupchat 104")
	owner.awaits("presence $lobby/guest none visitor jid=~hag66/pda", "message $lobby groupchat 104")
	p.declare("lobby", all)
	guest.awaits("presence $lobby/guest none participant jid=~hag66/pda 110", "message $lobby groupchat 104")
	p.forget()

	// §10.2: it becomes members-only.
	p.declare("lobby", func(r *directory.Room) { all(r); r.MembersOnly = true })
	guest.awaits("presence $lobby/guest unavailable none none jid=~hag66/pda 110 322")
	member.awaits("presence $lobby/guest unavailable none none 322", "message $lobby groupchat 104")
	guest.enter("$lobby/guest")
	guest.sees("presence $lobby/guest error auth registration-required")
	p.declare("lobby", all)
	member.awaits("message $lobby groupchat 104")
	guest.enter("$lobby/guest")
	p.forget()

	// §9.1: a ban.
	p.declare("lobby", func(r *directory.Room) {
		r.Affiliations = affiliations("owner crone1", "outcast hag66", "member wiccarocks")
	})
	guest.awaits("presence $lobby/guest unavailable outcast none jid=~hag66/pda 110 301")
	member.awaits("presence $lobby/guest unavailable outcast none 301")
	guest.enter("$lobby/guest")
	guest.sees("presence $lobby/guest error auth forbidden")
	p.declare("lobby", all)
	eventually(t, "the ban to be lifted", func() bool {
		guest.enter("$lobby/guest")
		return guest.take()[0].attr("type") != "error"
	})
	p.forget()

	// §9.5, §10.6
	p.declare("lobby", func(r *directory.Room) {
		r.Affiliations = affiliations("owner crone1", "admin hag66", "member wiccarocks")
	})
	guest.awaits("presence $lobby/guest admin moderator jid=~hag66/pda 110")
	p.forget()

	// The subject acts when it changes; what somebody has said since stays until then.
	dinner, supper := "Dinner", "Supper"
	p.declare("lobby", func(r *directory.Room) { all(r); r.Subject = &dinner })
	guest.awaits("presence $lobby/guest none participant jid=~hag66/pda 110", "message $lobby groupchat subject=Dinner")
	p.forget()
	guest.send("<message type='groupchat' to='$lobby'><subject>Breakfast</subject></message>")
	guest.sees("message $lobby/guest groupchat subject=Breakfast")
	p.declare("lobby", func(r *directory.Room) { all(r); r.Subject = &dinner; r.Description = "changed" })
	guest.awaits("message $lobby groupchat 104")
	p.declare("lobby", func(r *directory.Room) { all(r); r.Subject = &supper; r.Description = "changed" })
	guest.awaits("message $lobby groupchat subject=Supper")

	// XEP-0045 §10.9: the declaration is deleted.
	p.forget()
	p.dir.DeleteRoom("lobby", "uid of lobby")
	guest.awaits("presence $lobby/guest unavailable none none jid=~hag66/pda destroy reason=The room was removed. 110")
	owner.awaits("presence $lobby/owner unavailable none none jid=~crone1/desktop destroy reason=The room was removed. 110")
	guest.say("$lobby", "anybody?")
	guest.sees("message $lobby error cancel item-not-found")
}

// A room that nobody is in is what its declaration says when somebody enters; it stays when everybody has left, and so do its history and subject.
func TestDeclaredRoomStays(t *testing.T) {
	p, owner, member, guest := lobby(t)
	guest.say("$lobby", "hello")
	guest.send("<message type='groupchat' to='$lobby'><subject>Hello</subject></message>")
	for _, g := range []*named{{owner, "owner"}, {member, "member"}, {guest, "guest"}} {
		g.send("<presence type='unavailable' to='$lobby/" + g.nick + "'/>")
	}
	if rooms, occupants := p.server.rooms.Counts(); rooms != 1 || occupants != 0 {
		t.Errorf("%d rooms, %d occupants", rooms, occupants)
	}
	p.forget()
	guest.enter("$lobby/guest")
	guest.sees("presence $lobby/guest none participant jid=~hag66/pda 110", "message $lobby/guest groupchat body=hello delayed by $lobby",
		"message $lobby/guest groupchat subject=Hello delayed by $lobby")

	text := "Welcome <all>"
	p.declare("heath", func(r *directory.Room) { r.Subject, r.WhoSeesJIDs = &text, directory.JIDsAnyone })
	guest.enter("$heath/guest")
	guest.sees("presence $heath/guest none participant jid=~hag66/pda 100 110", "message $heath groupchat subject=Welcome <all> delayed by $heath")
	// Another resource of the same name is another room.
	p.declare("heath", func(r *directory.Room) { r.UID = "another" })
	guest.awaits("presence $heath/guest unavailable none none jid=~hag66/pda destroy reason=The room was removed. 110")
	guest.enter("$heath/guest")
	guest.sees("presence $heath/guest none participant jid=~hag66/pda 110", "message $heath groupchat subject=")
}

// named is a guest with the nickname in a room.
type named struct {
	*guest
	nick string
}

// A password that is kept in a Secret opens the room to nobody who does not know it.
func TestDeclaredRoomPassword(t *testing.T) {
	p, _, _, guest := lobby(t)
	p.declare("cave", func(r *directory.Room) { r.PasswordSecret = &directory.SecretKey{Name: "cave", Key: "password"} })
	guest.enter("$cave/guest")
	guest.sees("presence $cave/guest error auth not-authorized")
}

// Groups give affiliations, and who is in a group may change at any time.
func TestDeclaredRoomGroups(t *testing.T) {
	p, owner, member, guest := lobby(t)
	group := func(name string, members ...string) {
		g := directory.Group{Ref: directory.Ref{Name: name, UID: name}, GroupName: name}
		for _, m := range members {
			g.Members = append(g.Members, jid.MustParse(m+"@"+domain))
		}
		p.dir.PutGroup(g)
	}
	group("witches", "crone1", "wiccarocks")
	group("goblins")
	p.declare("heath", func(r *directory.Room) {
		r.MembersOnly = true
		r.Affiliations = affiliations("owner crone1")
		r.GroupAffiliations = []directory.GroupAffiliation{{Group: "goblins", Affiliation: directory.AffiliationOutcast}, {Group: "witches", Affiliation: directory.AffiliationMember}}
	})
	for _, g := range []*named{{owner, "owner"}, {member, "member"}} {
		g.enter("$heath/" + g.nick)
	}
	p.forget()
	guest.enter("$heath/guest")
	guest.sees("presence $heath/guest error auth registration-required")
	group("witches", "crone1", "hag66", "wiccarocks")
	eventually(t, "the new member to get in", func() bool {
		guest.enter("$heath/guest")
		return guest.take()[0].attr("type") != "error"
	})
	p.forget()
	group("witches", "crone1", "hag66") // §9.4
	member.awaits("presence $heath/member unavailable none none jid=~wiccarocks/laptop 110 321")
	guest.awaits("presence $heath/member unavailable none none 321")
	// An outcast's group is stronger than a member's, and an entry of one's own is stronger than any group.
	group("goblins", "crone1", "hag66")
	guest.awaits("presence $heath/guest unavailable outcast none jid=~hag66/pda 110 301")
	owner.awaits("presence $heath/member unavailable none none jid=~wiccarocks/laptop 321", "presence $heath/guest unavailable outcast none jid=~hag66/pda 301")
	p.dir.DeleteGroup("goblins", "goblins")
	p.forget()
	eventually(t, "the member to get in again", func() bool {
		guest.enter("$heath/guest")
		return guest.take()[0].attr("type") != "error"
	})
}

// A group may pick its members by their labels.
func TestDeclaredRoomGroupBySelector(t *testing.T) {
	p, owner, _, guest := lobby(t)
	p.dir.PutGroup(directory.Group{Ref: directory.Ref{Name: "night", UID: "night"}, GroupName: "night", Selector: &directory.Selector{MatchLabels: map[string]string{"shift": "night"}}})
	p.declare("lobby", func(r *directory.Room) {
		r.Affiliations = affiliations("owner crone1", "member wiccarocks")
		r.GroupAffiliations = []directory.GroupAffiliation{{Group: "night", Affiliation: directory.AffiliationAdmin}}
	})
	label := func(labels map[string]string) {
		u, ok := p.dir.User("hag66")
		if !ok {
			t.Fatal("no user")
		}
		next := *u
		next.Labels = labels
		p.dir.PutUser(next)
	}
	label(map[string]string{"shift": "night"})
	guest.awaits("presence $lobby/guest admin moderator jid=~hag66/pda 110")
	owner.awaits("presence $lobby/guest admin moderator jid=~hag66/pda")
	label(nil)
	guest.awaits("presence $lobby/guest none participant jid=~hag66/pda 110")
}

// An administrator of the service is an owner of every room, for as long as he is one.
func TestServiceAdministratorsOwnRooms(t *testing.T) {
	p, owner, _, guest := lobby(t)
	set := func(admin bool) {
		if err := p.local.UpdateUser(t.Context(), by, "hag66", directory.UserUpdate{Admin: &admin}); err != nil {
			t.Fatal(err)
		}
	}
	set(true)
	guest.awaits("presence $lobby/guest owner moderator jid=~hag66/pda 110")
	owner.awaits("presence $lobby/guest owner moderator jid=~hag66/pda")
	guest.admin("set", "$lobby", "<item nick='member' role='none'/>", "result")
	p.forget()
	set(false)
	guest.awaits("presence $lobby/guest none participant jid=~hag66/pda 110")
	guest.admin("set", "$lobby", "<item nick='owner' role='none'/>", "auth forbidden")
}

// A room that a client made becomes the declared one of that address, with those who are in it.
func TestDeclaringATemporaryRoom(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	p.declare("coven", func(r *directory.Room) { r.Affiliations = affiliations("owner wiccarocks") })
	first.awaits("presence $coven/firstwitch none participant jid=~crone1/desktop 110", "presence $coven/secondwitch owner moderator", "message $coven groupchat 104")
	second.awaits("presence $coven/firstwitch none participant", "presence $coven/secondwitch owner moderator jid=~wiccarocks/laptop 110", "message $coven groupchat 104")
	for _, g := range []*named{{first, "firstwitch"}, {second, "secondwitch"}} {
		g.send("<presence type='unavailable' to='$coven/" + g.nick + "'/>")
	}
	third.enter("$coven/thirdwitch")
	third.sees("presence $coven/thirdwitch none participant jid=~hag66/pda 110", "message $coven groupchat subject=")
}
