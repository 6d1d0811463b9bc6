package muc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

const (
	register = "<query xmlns='jabber:iq:register'>"
	avatar   = "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO></vCard>"
)

func subject(text string) string {
	return "<message to='" + lounge + "' type='groupchat' id='s'><subject>" + text + "</subject></message>"
}

// reserve registers a nickname, in a room where everybody is a member who does.
func (c *client) reserve(nick string) string {
	c.w.t.Helper()
	c.send("<iq type='set' id='reg' to='" + lounge + "'>" + register + "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field>" +
		"<field var='muc#register_roomnick'><value>" + nick + "</value></field></x></query></iq>")
	return c.last(" id='reg'")
}

func (c *client) reserved() string {
	c.w.t.Helper()
	c.send("<iq type='get' id='reg' to='" + lounge + "'>" + register + "</query></iq>")
	return c.last(" id='reg'")
}

func member(name string) func(*directory.Room) {
	return func(r *directory.Room) {
		r.Affiliations = append(r.Affiliations, directory.Affiliation{JID: jid.MustParse(name + "@" + domain), Affiliation: directory.AffiliationMember})
	}
}

// What people made of a room is there after a restart, archived or not: subject, reserved nicknames, picture.
func TestRoomsRemember(t *testing.T) {
	for _, archived := range []bool{true, false} {
		t.Run(fmt.Sprint("archived ", archived), func(t *testing.T) {
			w := newWorld(t)
			w.declare("lounge", "1", func(r *directory.Room) { member("mira")(r); r.Archived = archived })
			mira, jana := w.login("mira"), w.login("jana")
			mira.enter(lounge, "Mira")
			jana.enter(lounge, "Jana")
			mira.send(subject("Tea"))
			jana.until("<subject>Tea</subject>")
			if got := mira.reserve("mi"); !strings.Contains(got, "type='result'") {
				t.Fatalf("registering: %s", got)
			}
			jana.send("<iq type='set' id='card' to='" + lounge + "'>" + avatar + "</iq>")
			jana.until("type='result'")
			w.restart()

			tobias, mira := w.login("tobias"), w.login("mira")
			came := tobias.enter(lounge, "Tobias")
			if last := came[len(came)-1]; !strings.Contains(last, "from='"+lounge+"/Mira'") || !strings.Contains(last, "<subject>Tea</subject>") || !strings.Contains(last, "<delay") {
				t.Errorf("the subject is %s", last)
			}
			tobias.send("<presence to='" + lounge + "/mi'/>")
			if got := tobias.last("type='error'"); !strings.Contains(got, "<conflict") {
				t.Errorf("a reserved nickname: %s", got)
			}
			if got := mira.reserved(); !strings.Contains(got, "<username>mi</username>") {
				t.Errorf("mira has %s", got)
			}
			tobias.send("<iq type='get' id='card' to='" + lounge + "'><vCard xmlns='vcard-temp'/></iq>")
			if got := tobias.last(" id='card'"); !strings.Contains(got, avatar) {
				t.Errorf("the picture is %s", got)
			}
		})
	}
}

// The declared subject has its effect when it changes, also while nobody looks. In between, what people set stays.
func TestDeclaredSubject(t *testing.T) {
	w := newWorld(t)
	declare := func(s string) {
		w.declare("lounge", "1", func(r *directory.Room) {
			if s != "" {
				r.Subject = &s
			}
		})
	}
	is := func(want string) {
		t.Helper()
		c := w.login("jana")
		came := c.enter(lounge, "Jana")
		if last := came[len(came)-1]; !strings.Contains(last, "<subject"+want) {
			t.Errorf("the subject is %s, want %s", last, want)
		}
		c.send("<presence type='unavailable' to='" + lounge + "/Jana'/>")
	}
	declare("Declared")
	is(">Declared<")
	w.restart()
	is(">Declared<")
	mira := w.login("mira")
	mira.enter(lounge, "Mira")
	mira.send(subject("Of people"))
	mira.until(">Of people<")
	w.restart()
	is(">Of people<")
	declare("Declared anew")
	eventually(t, "for the declared subject", func() bool {
		c := w.login("tobias")
		return strings.Contains(strings.Join(c.enter(lounge, "Tobias"), ""), "anew")
	})
	w.stop()
	declare("Declared while nobody looked")
	w.start()
	is(">Declared while nobody looked<")
	// Taken away, it does nothing; the same again is a change.
	mira = w.login("mira")
	mira.enter(lounge, "Mira")
	mira.send(subject("Of people"))
	mira.until(">Of people<")
	w.stop()
	declare("")
	w.start()
	is(">Of people<")
	w.stop()
	declare("Declared while nobody looked")
	w.start()
	is(">Declared while nobody looked<")
}

// A room that is made anew has nothing of the one before, unless the name's data is kept for it.
func TestRoomsMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	mira := w.login("mira")
	mira.enter(lounge, "Mira")
	mira.send(subject("Tea"))
	mira.say(lounge, "of the first")
	mira.until(">of the first<")
	w.dir.DeleteRoom("lounge", "1")
	mira.until("<destroy")
	w.declare("lounge", "2", nil)
	came := strings.Join(mira.enter(lounge, "Mira"), "")
	if results, _ := mira.ask(lounge, ""); len(results) > 0 || strings.Contains(came, "first") || strings.Contains(came, "Tea") {
		t.Errorf("the second has %s and %q", came, results)
	}
	mira.say(lounge, "of the second")
	mira.until(">of the second<")
	if err := w.store.PutIdentity(t.Context(), store.Identity{Kind: "room", Name: "lounge@conference", UID: "2", State: store.Pending}); err != nil {
		t.Fatal(err)
	}
	w.dir.DeleteRoom("lounge", "2")
	mira.until("<destroy")
	w.declare("lounge", "3", nil)
	equal(t, "what was kept", bodies(mira.enter(lounge, "Mira")), "of the second")
	// Purged while it is there, it begins anew.
	if err := w.store.PurgeRoom(t.Context(), "lounge@conference", ""); err != nil {
		t.Fatal(err)
	}
	mira.say(lounge, "of the third")
	mira.until(">of the third<")
	results, _ := mira.ask(lounge, "")
	equal(t, "after a purge", bodies(results), "of the third")
}

// A room that a client made is remembered from when it is declared.
func TestTemporaryRoomsThatAreDeclared(t *testing.T) {
	w := newWorld(t)
	mira := w.login("mira")
	mira.enter(lounge, "Mira")
	mira.send("<iq type='set' id='o' to='" + lounge + "'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
	mira.until(" id='o'")
	mira.send(subject("Tea"))
	mira.say(lounge, "off the record")
	mira.until(">off the record<")
	if _, reply := mira.ask(lounge, ""); !strings.Contains(reply, "service-unavailable") {
		t.Errorf("the archive of a temporary room says %s", reply)
	}
	w.store.failing(errors.New("the disk is on fire"))
	w.declare("lounge", "1", nil)
	w.store.failing(nil)
	w.dir.PutRoom(func() directory.Room {
		r, _ := w.dir.Room("lounge@conference")
		again := *r
		again.DisplayName = "Lounge"
		return again
	}())
	mira.until("<status code='170'/>")
	mira.say(lounge, "on the record")
	mira.until(">on the record<")
	w.restart()
	tobias := w.login("tobias")
	came := tobias.enter(lounge, "Tobias")
	equal(t, "the history", bodies(came), "on the record")
	if last := came[len(came)-1]; !strings.Contains(last, ">Tea<") {
		t.Errorf("the subject is %s", last)
	}
}

// Who cannot be told what a room remembers is not let in: it would be overwritten.
func TestRoomsThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	w.store.failing(errors.New("the disk is on fire"))
	mira := w.login("mira")
	mira.send("<presence to='" + lounge + "/Mira'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	if got := mira.last("type='error'"); !strings.Contains(got, "<resource-constraint") || !strings.Contains(got, "type='wait'") || strings.Contains(got, "fire") {
		t.Errorf("the answer is %s", got)
	}
	w.store.failing(nil)
	mira.enter(lounge, "Mira")
}

// Reserved nicknames go with the data of an account, or to its new name, in rooms that people are in as well: a restart has nothing else to tell.
func TestReservedNicknamesFollowTheirAccounts(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.store.ClaimDomain(ctx, domain); err != nil {
		t.Fatal(err)
	}
	w.declare("lounge", "1", func(r *directory.Room) { member("mira")(r); member("tobias")(r); member("anna")(r) })
	mira, tobias, jana := w.login("mira"), w.login("tobias"), w.login("jana")
	jana.enter(lounge, "Jana")
	mayBe := func(c *client, nick string, want bool) {
		t.Helper()
		c.send("<presence to='" + lounge + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
		if got := c.last("<presence"); strings.Contains(got, "<conflict") == want {
			t.Errorf("whether somebody may be %s is answered by %s, want %v", nick, got, want)
		}
		c.send("<presence type='unavailable' to='" + lounge + "/" + nick + "'/>")
		if want {
			c.until("<subject")
			c.until("type='unavailable'")
		}
	}
	mira.reserve("mi")
	tobias.reserve("tobi")
	anna := w.login("anna")

	// Nobody has waited for the store when the account goes: what was reserved last is written after the purge.
	if err := w.store.PurgeAccount(ctx, "mira"); err != nil {
		t.Fatal(err)
	}
	w.rooms.Forget("mira")
	mayBe(anna, "mi", true)
	mayBe(anna, "tobi", false)

	if err := w.store.MoveAccount(ctx, "tobias", "anna", "tobias", domain); err != nil {
		t.Fatal(err)
	}
	w.rooms.Renamed("tobias", "anna")
	mayBe(anna, "tobi", true)
	mayBe(w.login("tobias"), "tobi", false)

	w.restart()
	anna = w.login("anna")
	mayBe(anna, "mi", true)
	mayBe(anna, "tobi", true)
	if got := anna.reserved(); !strings.Contains(got, "<username>tobi</username>") {
		t.Errorf("anna has %s", got)
	}
	if got := w.login("mira").reserved(); strings.Contains(got, "<username>") {
		t.Errorf("mira has %s", got)
	}
}

// An account that goes while its room is being read into memory is not in it.
func TestReservedNicknamesOfRoomsBeingLoaded(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.store.ClaimDomain(ctx, domain); err != nil {
		t.Fatal(err)
	}
	w.declare("lounge", "1", member("mira"))
	w.login("mira").reserve("mi")
	w.restart()
	w.store.opened = func() {
		w.store.opened = nil
		if err := w.store.PurgeAccount(ctx, "mira"); err != nil {
			t.Error(err)
		}
		w.rooms.Forget("mira")
	}
	tobias := w.login("tobias")
	tobias.enter(lounge, "mi")
	if w.store.opened != nil {
		t.Error("the room was in memory already")
	}
}
