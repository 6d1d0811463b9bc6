package xmpp

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	mjid "mellium.im/xmpp/jid"
	"mellium.im/xmpp/muc"
	"mellium.im/xmpp/stanza"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// XEP-0045 §7.4 and RFC 6120 §10.1: everybody sees one order of what is said, and each sender's messages in the order they were sent, while several talk at
// once.
func TestRoomKeepsOrder(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	third.enter("$coven/thirdwitch")
	p.forget()
	const count = 100
	speakers := map[string]*guest{"$coven/firstwitch": first, "$coven/secondwitch": second, "$coven/thirdwitch": third}
	done := make(chan struct{})
	for _, g := range speakers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range count {
				g.post(fmt.Sprintf("<message type='groupchat' to='$coven'><body>%d</body></message>", i))
			}
		}()
	}
	for range speakers {
		<-done
	}
	p.settle() // all is sent,
	p.settle() // all is received
	var heard []string
	for name, g := range speakers {
		var lines []string
		next := map[string]int{}
		for _, n := range g.take() {
			from := short(n.attr("from"))
			if want := fmt.Sprint(next[from]); n.child("body").Text != want {
				t.Fatalf("%s heard %s of %s, and not %s", name, n.child("body").Text, from, want)
			}
			next[from]++
			lines = append(lines, n.describe())
		}
		if len(lines) != count*len(speakers) {
			t.Fatalf("%s heard %d messages", name, len(lines))
		}
		if heard != nil && !slices.Equal(heard, lines) {
			t.Errorf("%s heard another order", name)
		}
		heard = lines
	}
}

// XEP-0198 §5 in a room: who has lost the connection is there until the session ends; who comes back has missed nothing.
func TestRoomOccupantHibernates(t *testing.T) {
	p := newParlour(t, "crone1", "wiccarocks", "hag66")
	first, second := p.guest("crone1/desktop"), p.guest("wiccarocks/laptop")
	first.create("$coven/firstwitch")
	second.enter("$coven/secondwitch")
	p.forget()
	waits := func() bool { list := p.server.Sessions("hag66"); return len(list) == 1 && list[0].Hibernating }
	c := p.raw("hag66")
	id := c.bind("train")
	c.send(long("<presence to='$coven/thirdwitch'><x xmlns='" + nsMUC + "'/></presence>"))
	got := c.expect("<subject/></message>")
	first.awaits("presence $coven/thirdwitch none participant jid=~hag66/train")
	second.awaits("presence $coven/thirdwitch none participant")
	c.cut()
	eventually(t, "the session to wait", waits)
	first.say("$coven", "one")
	second.say("$coven", "two")
	first.sees("message $coven/firstwitch groupchat body=one", "message $coven/secondwitch groupchat body=two")
	again := p.raw("hag66")
	again.resume(id, len(wholeStanza.FindAllString(got, -1)))
	if got := again.expect("two</body>") + again.expect("</message>"); !slices.Equal(texts(got), []string{"one", "two"}) {
		t.Errorf("after coming back: %q", got)
	}
	second.send("<message type='chat' to='$coven/thirdwitch'><body>psst</body></message>")
	again.expect("psst</body>")
	again.send(long("<message type='groupchat' to='$coven'><body>back</body></message>"))
	first.awaits("message $coven/thirdwitch groupchat body=back")
	again.cut()
	eventually(t, "the session to wait", waits)
	first.say("$coven", "three")
	first.sees("message $coven/firstwitch groupchat body=three")
	if n := p.server.Kick("hag66"); n != 1 {
		t.Errorf("%d sessions were ended", n)
	}
	first.awaits("presence $coven/thirdwitch unavailable none none jid=~hag66/train")
	if rooms, occupants := p.server.rooms.Counts(); rooms != 1 || occupants != 2 {
		t.Errorf("%d rooms, %d occupants", rooms, occupants)
	}

	// Nobody comes back in time.
	p.property(directory.KeyResumeTimeout, "1ms")
	last := p.raw("hag66")
	last.bind("train")
	last.send(long("<presence to='$coven/thirdwitch'><x xmlns='" + nsMUC + "'/></presence>"))
	last.expect("<subject/></message>")
	first.awaits("presence $coven/thirdwitch none participant jid=~hag66/train")
	last.cut()
	first.awaits("presence $coven/thirdwitch unavailable none none jid=~hag66/train")
	// Of what was not acknowledged, the private message waits for the account, as others do; what was said in the room does not, and nothing goes back
	// to it.
	later := p.guest("hag66/desk")
	later.send("<presence/>")
	later.awaits("presence ~hag66/desk", "message $coven/secondwitch chat body=psst delayed by chat.example")
	first.sees()
}

// XEP-0045 §16.1.2 (ghosts): an error that says that a session cannot be reached takes it out of the room; other errors do not.
func TestXEP0045RemovesGhosts(t *testing.T) {
	p, first, second, third := coven(t)
	second.enter("$coven/secondwitch")
	third.enter("$coven/thirdwitch")
	p.forget()
	bounce := func(condition string) string {
		return "<message type='error' to='$coven'><error type='cancel'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
	}
	third.send(bounce("not-acceptable"))
	first.sees()
	third.send(bounce("recipient-unavailable"))
	first.sees("presence $coven/thirdwitch unavailable none none jid=~hag66/pda 307 333")
	third.sees("presence $coven/thirdwitch unavailable none none jid=~hag66/pda 110 307 333")
	second.send("<presence type='error' to='$coven/firstwitch'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>")
	first.sees("presence $coven/secondwitch unavailable none none jid=~wiccarocks/laptop 307 333")
}

// XEP-0045 §11.2: when the server ends, occupants learn that before their streams do.
func TestXEP0045Section11_2Shutdown(t *testing.T) {
	p, first, second, _ := coven(t)
	second.enter("$coven/secondwitch")
	p.declare("lobby", nil)
	second.enter("$lobby/second")
	p.forget()
	p.stop()
	for _, g := range p.guests {
		g.over = true
		if err := <-g.served; err == nil || !strings.Contains(err.Error(), "system-shutdown") {
			t.Errorf("%s saw the end as %v", g.jid, err)
		}
		g.session.Conn().Close()
	}
	first.sees("presence $coven/firstwitch unavailable owner none jid=~crone1/desktop 110 332")
	nodes := second.take()
	got := []string{}
	for i := range nodes {
		got = append(got, nodes[i].describe())
	}
	slices.Sort(got) // rooms go in no order
	if want := []string{
		"presence $coven/secondwitch unavailable none none jid=~wiccarocks/laptop 110 332",
		"presence $lobby/second unavailable none none jid=~wiccarocks/laptop 110 332",
	}; !slices.Equal(got, want) {
		t.Errorf("saw %q", got)
	}
}

// The account goes, and so does the occupant.
func TestRoomLosesLockedUsers(t *testing.T) {
	p, first, second, _ := coven(t)
	second.enter("$coven/secondwitch")
	p.forget()
	locked := true
	if err := p.local.UpdateUser(t.Context(), by, "wiccarocks", directory.UserUpdate{Locked: &locked}); err != nil {
		t.Fatal(err)
	}
	second.over = true
	<-second.served
	first.awaits("presence $coven/secondwitch unavailable none none jid=~wiccarocks/laptop")
}

// TestIndependentRooms: the library reads the configuration and fills it in, invites and understands an invitation, and reads who is what.
func TestIndependentRooms(t *testing.T) {
	p := newParlour(t, "mira", "tobias")
	mira, tobias := p.guest("mira/desk"), p.guest("tobias/phone")
	ctx := patient(t)
	room := mjid.MustParse("club@conference." + domain)
	mira.enter("$club/mira")
	form, err := muc.GetConfig(ctx, room, mira.session)
	if err != nil {
		t.Fatalf("the configuration: %v", err)
	}
	for field, v := range map[string]any{"muc#roomconfig_roomname": "The club", "muc#roomconfig_membersonly": true} {
		if ok, err := form.Set(field, v); err != nil || !ok {
			t.Fatalf("%s: %v %v", field, ok, err)
		}
	}
	if err := muc.SetConfig(ctx, room, form, mira.session); err != nil {
		t.Fatalf("configuring: %v", err)
	}
	form, err = muc.GetConfig(ctx, room, mira.session)
	if err != nil {
		t.Fatalf("the configuration: %v", err)
	}
	if name, _ := form.GetString("muc#roomconfig_roomname"); name != "The club" {
		t.Errorf("named %q", name)
	}
	if members, _ := form.GetBool("muc#roomconfig_membersonly"); !members {
		t.Error("not members-only")
	}
	tobias.send("<presence/>")
	p.forget()
	tobias.enter("$club/tobias")
	tobias.sees("presence $club/tobias error auth registration-required")
	invitation := muc.Invitation{JID: tobias.session.LocalAddr(), Reason: "come in"}
	if err := mira.session.Send(ctx, stanza.Message{To: room, Type: stanza.NormalMessage}.Wrap(invitation.MarshalMediated())); err != nil {
		t.Fatal(err)
	}
	mira.ping()
	tobias.sees("message $club invite from=$club/mira reason=come in conference=$club")
	tobias.enter("$club/tobias")
	p.forget()
	for _, typ := range []struct {
		affiliation muc.Affiliation
		role        muc.Role
	}{{muc.AffiliationAdmin, muc.RoleModerator}, {muc.AffiliationMember, muc.RoleParticipant}} {
		mira.admin("set", "$club", "<item affiliation='"+typ.affiliation.String()+"' jid='~tobias'/>", "result")
		p.settle()
		nodes := tobias.take()
		if len(nodes) != 1 {
			t.Fatalf("%+v", nodes)
		}
		item := nodes[0].child("x").child("item")
		if item.attr("affiliation") != typ.affiliation.String() || item.attr("role") != typ.role.String() {
			t.Errorf("%+v", item)
		}
	}
}
