package room

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

const crone, hag = "crone1@shakespeare.lit/desktop", "hag66@shakespeare.lit/pda"

func owned(list ...string) Config {
	c := plain()
	c.Affiliations = NewAffiliations(entries(append([]string{"crone1@shakespeare.lit", "owner"}, list...)...), nil)
	return c
}

// 31: the archive is for who may enter, and real addresses in it for moderators, admins and owners.
func TestAttack31Archive(t *testing.T) {
	tests := []struct {
		name   string
		change Change
		user   string
		admin  bool
		want   stanza.Condition
	}{
		{"open room", Change{}, hag, false, ""},
		{"banned", Change{}, "out@shakespeare.lit/a", false, "forbidden"},
		{"banned, but administers the service", Change{}, "out@shakespeare.lit/a", true, ""},
		{"members only", Change{MembersOnly: ptr(true)}, hag, false, "forbidden"},
		{"members only, a member", Change{MembersOnly: ptr(true)}, "m@shakespeare.lit/a", false, ""},
		{"password", Change{Password: ptr("x")}, hag, false, "forbidden"},
		{"password, an occupant", Change{Password: ptr("x")}, crone, false, ""},
		{"password, a member", Change{Password: ptr("x")}, "m@shakespeare.lit/a", false, ""},
	}
	for _, test := range tests {
		w := newWorld(t, *ptr(owned("out@shakespeare.lit", "outcast", "m@shakespeare.lit", "member")).With(&test.change, nil), Options{})
		fault := w.r.MayRead(jid.MustParse(test.user), test.admin)
		if (fault == nil) != (test.want == "") || fault != nil && fault.Condition != test.want {
			t.Errorf("%s: %v", test.name, fault)
		}
	}
	w := newWorld(t, owned(), Options{Locked: true})
	if w.r.MayRead(jid.MustParse(hag), false) == nil || w.r.MayRead(jid.MustParse(crone), false) != nil {
		t.Error("a locked room is its owner's")
	}
	w = stage(t, standing{None, Moderator}, standing{Member, Participant})
	for user, want := range map[string]bool{"actor": true, "target": false, "founder": true, "stranger": false} {
		if got := w.r.SeesJIDs(jid.MustParse(user+"@shakespeare.lit/a"), false); got != want {
			t.Errorf("%s sees real addresses: %v", user, got)
		}
	}
	open := w.r.Config().With(&Change{WhoSeesJIDs: ptr(directory.JIDsAnyone)}, nil)
	w.do(func(out []Output) []Output { return w.r.Reconfigured(open, out) })
	if !w.r.SeesJIDs(jid.MustParse("target@shakespeare.lit/a"), false) {
		t.Error("everybody sees real addresses in a non-anonymous room")
	}
}

// What the service reads.
func TestViews(t *testing.T) {
	w := newWorld(t, owned("m@shakespeare.lit", "member"), Options{})
	w.join(crone, "firstwitch")
	w.join("crone1@shakespeare.lit/phone", "firstwitch")
	w.join(hag, "thirdwitch")
	w.send(hag, "<message type='groupchat' to='coven@chat.shakespeare.lit'><body>x</body></message>")
	list := w.r.Occupants()
	if len(list) != 2 || list[0].Nick != "firstwitch" || len(list[0].Sessions) != 2 || list[0].Affiliation != Owner || list[0].Role != Moderator ||
		list[1].User != jid.MustParse("hag66@shakespeare.lit") || w.r.Len() != 2 {
		t.Errorf("%+v", list)
	}
	if o, ok := w.r.Occupant("thirdwitch"); !ok || o.Address.String() != "coven@chat.shakespeare.lit/thirdwitch" {
		t.Errorf("%+v", o)
	}
	if _, ok := w.r.Occupant("nobody"); ok || !w.r.Has(jid.MustParse(hag)) || w.r.Has(jid.MustParse("hag66@shakespeare.lit/x")) {
		t.Error("who is there")
	}
	if h := w.r.History(); len(h) != 1 || h[0].Real != jid.MustParse("hag66@shakespeare.lit") || w.r.Subject() != nil || w.r.Locked() || w.r.Pending() || w.r.Over() {
		t.Errorf("%+v", h)
	}
	hidden := w.r.Config().With(&Change{Listed: ptr(false)}, nil)
	for who, want := range map[string]bool{hag: true, "m@shakespeare.lit/a": true, "x@shakespeare.lit/a": false} {
		if !w.r.Lists(jid.MustParse(who), false) {
			t.Errorf("%s does not find a public room", who)
		}
		v := New(Options{Address: coven(), Config: hidden, Key: []byte("k")})
		if who != hag && v.Lists(jid.MustParse(who), false) != want {
			t.Errorf("%s finds a hidden room: %v", who, !want)
		}
	}
	got := w.do(func(out []Output) []Output { return w.r.Invite(jid.MustParse("hecate@shakespeare.lit"), "come", out) })
	if len(got) != 1 || !strings.Contains(got[0].String(), "<invite from='coven@chat.shakespeare.lit'><reason>come</reason></invite>") {
		t.Errorf("%v", got)
	}
}

// A room goes on where it was left (subject, history, nicknames, avatar).
func TestMemory(t *testing.T) {
	c := owned()
	c.History = 2
	w := newWorld(t, c, Options{})
	w.join(crone, "firstwitch")
	for i := range 3 {
		w.send(crone, fmt.Sprintf("<message type='groupchat' id='m%d' to='coven@chat.shakespeare.lit'><body>it&apos;s %d</body></message>", i, i))
	}
	w.send(crone, "<message type='groupchat' to='coven@chat.shakespeare.lit'><subject>Fire &amp; Bubble</subject></message>")
	again := newWorld(t, c, Options{Memory: Memory{Subject: w.r.Subject(), History: w.r.History(), Nicks: []ReservedNick{{jid.MustParse("crone1@shakespeare.lit"), "queen"}},
		VCard: []byte("<vCard xmlns='vcard-temp'><PHOTO><BINVAL>YWJj</BINVAL></PHOTO></vCard>")}})
	got := again.join(hag, "thirdwitch")
	var text []string
	for _, d := range got {
		if string(d.el.Local()) == "message" {
			text = append(text, string(d.el.Child(stanza.NSClient, "body").Text())+string(d.el.Child(stanza.NSClient, "subject").Text()))
		}
	}
	if want := "it's 1|it's 2|Fire & Bubble"; strings.Join(text, "|") != want {
		t.Errorf("%q, want %q", text, want)
	}
	if cond := condition(again.join("x@shakespeare.lit/a", "queen"), "x@shakespeare.lit/a"); cond != "conflict" {
		t.Errorf("%q", cond)
	}
	// XEP-0153 §3.1: the SHA-1 of the image, here of "abc" (FIPS 180-1, appendix A).
	info := again.send(hag, "<iq type='get' id='i' to='coven@chat.shakespeare.lit'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	if !strings.Contains(info[0].String(), "a9993e364706816aba3e25717850c26c9cd0d89d") {
		t.Errorf("%v", info)
	}
}

// Wishes that wait: what happens meanwhile, and how many there may be.
func TestWishes(t *testing.T) {
	c := owned()
	c.Persistent = false
	w := newWorld(t, c, Options{Locked: true})
	w.hold = true
	w.join(crone, "firstwitch")
	submit := "<iq type='set' id='c' to='coven@chat.shakespeare.lit'><query xmlns='" + nsOwner + "'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" +
		formConfig + "</value></field><field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>"
	if got := w.send(crone, submit); len(got) != 0 || len(w.held) != 1 || !w.r.Pending() {
		t.Fatalf("%v %v", got, w.held)
	}
	// The creator goes before the answer: the room has to wait for it.
	w.send(crone, "<presence type='unavailable' to='coven@chat.shakespeare.lit/firstwitch'/>")
	if w.r.Over() {
		t.Fatal("the room has ended with a wish under way")
	}
	got := w.do(func([]Output) []Output { w.answer(w.held[0]); return nil })
	if w.r.Over() || w.r.Locked() || len(got) != 1 || string(got[0].el.Attr("type")) != "result" {
		t.Errorf("%v", got)
	}

	// The same with an answer that says no: nothing keeps the room.
	w = newWorld(t, c, Options{Locked: true})
	w.hold = true
	w.join(crone, "firstwitch")
	w.send(crone, submit)
	w.send(crone, "<presence type='unavailable' to='coven@chat.shakespeare.lit/firstwitch'/>")
	w.refuse = stanza.NewError(stanza.ConditionNotAllowed, "no")
	got = w.do(func([]Output) []Output { w.answer(w.held[0]); return nil })
	if !w.r.Over() || condition(got, crone) != "not-allowed" {
		t.Errorf("%v", got)
	}

	// Permission is judged anew on the configuration of the moment.
	w = newWorld(t, owned("wiccarocks@shakespeare.lit", "admin"), Options{})
	w.hold = true
	w.join("wiccarocks@shakespeare.lit/a", "secondwitch")
	w.admin("wiccarocks@shakespeare.lit/a", "<item jid='hag66@shakespeare.lit' affiliation='outcast'/>")
	demoted := w.r.Config().With(nil, entries("wiccarocks@shakespeare.lit", "member"))
	w.do(func(out []Output) []Output { return w.r.Reconfigured(demoted, out) })
	got = w.do(func([]Output) []Output { w.answer(w.held[0]); return nil })
	if condition(got, "wiccarocks@shakespeare.lit/a") != "forbidden" || w.r.Config().Affiliations.Of(jid.MustParse(hag)) != None {
		t.Errorf("%v", got)
	}

	// Two want one nickname: who asks first gets it.
	w = newWorld(t, owned(), Options{})
	w.hold = true
	register := "<iq type='set' id='r' to='coven@chat.shakespeare.lit'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" +
		formRegister + "</value></field><field var='muc#register_roomnick'><value>queen</value></field></x></query></iq>"
	w.send(hag, register)
	if got := w.send("x@shakespeare.lit/a", register); condition(got, "x@shakespeare.lit/a") != "conflict" || len(w.held) != 1 {
		t.Errorf("%v", got)
	}
	for i := range 2 * maxWishes {
		got = w.admin(crone, fmt.Sprintf("<item jid='u%d@shakespeare.lit' affiliation='member'/>", i))
	}
	if condition(got, crone) != "resource-constraint" || len(w.held) != maxWishes {
		t.Errorf("%d wishes wait: %v", len(w.held), got)
	}
}

// An invitation never takes anything from anybody.
func TestInvitationsDemoteNobody(t *testing.T) {
	c := owned("a@x.lit", "admin", "m@x.lit", "member", "b@x.lit", "outcast", "inviter@x.lit", "member")
	wish := func(by, user string) *Wish {
		return &Wish{By: jid.MustParse(by), Cause: CauseInvite, Affiliations: entries(user, "member")}
	}
	for _, test := range []struct {
		by, user string
		want     stanza.Condition
	}{
		{"inviter@x.lit/a", "n@x.lit", ""}, {"inviter@x.lit/a", "m@x.lit", ""}, {"inviter@x.lit/a", "a@x.lit", "conflict"},
		{"inviter@x.lit/a", "b@x.lit", "forbidden"}, {"a@x.lit/a", "b@x.lit", ""}, {"n@x.lit/a", "o@x.lit", "forbidden"}, {"b@x.lit/a", "b@x.lit", "forbidden"},
	} {
		fault := wish(test.by, test.user).Permitted(&c, false)
		if (fault == nil) != (test.want == "") || fault != nil && fault.Condition != test.want {
			t.Errorf("%s invites %s: %v", test.by, test.user, fault)
		}
	}
}

// XEP-0045 §5.1.2: the default roles.
func TestDefaultRoles(t *testing.T) {
	for _, test := range []struct {
		moderated bool
		want      [5]Role // none, member, admin, owner; outcast
	}{
		{true, [5]Role{Visitor, Participant, Moderator, Moderator, NoRole}},
		{false, [5]Role{Participant, Participant, Moderator, Moderator, NoRole}},
	} {
		for i, a := range []Affiliation{None, Member, Admin, Owner, Outcast} {
			if got := defaultRole(a, test.moderated); got != test.want[i] {
				t.Errorf("%v (moderated: %v): %v", a, test.moderated, got)
			}
		}
	}
}

// Errors on entering come in the order in which they say least: who is banned learns nothing of a password (§7.2).
func TestEnterOrder(t *testing.T) {
	c := owned("out@x.lit", "outcast")
	c.Password, c.MembersOnly, c.MaxOccupants = "x", true, 1
	w := newWorld(t, c, Options{})
	for user, want := range map[string]string{"out@x.lit/a": "forbidden", "none@x.lit/a": "registration-required", crone: "not-authorized"} {
		if got := condition(w.join(user, "firstwitch"), user); got != want {
			t.Errorf("%s: %q", user, got)
		}
	}
}

// Presence that is too large for everybody who ever enters is refused.
func TestLargePresence(t *testing.T) {
	w := newWorld(t, owned(), Options{})
	w.join(crone, "firstwitch")
	got := w.send(crone, "<presence to='coven@chat.shakespeare.lit/firstwitch'><status>"+strings.Repeat("x", maxPresence)+"</status></presence>")
	if condition(got, crone) != "not-acceptable" || len(got) != 1 {
		t.Errorf("%d deliveries", len(got))
	}
}

// A message of the history is as old as it says, whatever the clock's zone.
func TestDelayIsUTC(t *testing.T) {
	w := newWorld(t, owned(), Options{})
	w.now = w.now.In(time.FixedZone("east", 3600*9))
	w.join(crone, "firstwitch")
	w.send(crone, "<message type='groupchat' to='coven@chat.shakespeare.lit'><body>x</body></message>")
	for _, d := range w.join(hag, "thirdwitch") {
		if e := d.el.Child(stanza.NSDelay, "delay"); e.Valid() && string(e.Attr("stamp")) != "2026-11-24T12:00:02Z" {
			t.Errorf("%s", d)
		}
	}
}

// What a room keeps is bounded, however large the messages are.
func TestKeptIsBounded(t *testing.T) {
	w := newWorld(t, owned(), Options{})
	w.join(crone, "firstwitch")
	for range 12 {
		w.send(crone, "<message type='groupchat' to='coven@chat.shakespeare.lit'><body>"+strings.Repeat("x", 60<<10)+"</body></message>")
	}
	size := 0
	for _, p := range w.r.History() {
		size += len(p.XML)
	}
	if size > maxKept || size < maxKept/2 || size != w.r.kept {
		t.Errorf("%d bytes are kept, counted as %d", size, w.r.kept)
	}
	w.send(crone, "<message type='groupchat' to='coven@chat.shakespeare.lit'><retract xmlns='urn:xmpp:message-retract:1' id='"+w.r.History()[0].ID+"'/></message>")
	none := w.r.Config().With(&Change{History: ptr(0)}, nil)
	w.do(func(out []Output) []Output { return w.r.Reconfigured(none, out) })
	if len(w.r.History()) != 0 || w.r.kept != 0 {
		t.Errorf("%d bytes are counted of an empty history", w.r.kept)
	}
	long := "<message type='groupchat' to='coven@chat.shakespeare.lit'><subject>" + strings.Repeat("x", maxSubject) + "</subject></message>"
	if cond := condition(w.send(crone, long), crone); cond != "not-acceptable" || w.r.Subject() != nil {
		t.Errorf("%q", cond)
	}
}
