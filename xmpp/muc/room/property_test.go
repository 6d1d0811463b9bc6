package room

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// seen is the roster of a room as one session's client has it, from nothing but the stanzas that it got.
type seen map[string]string

// TestProperties drives rooms with random events and holds them to what has to be true after each of them:
// one affiliation an address, one occupant a nickname, no client's doing removes the last owner, everybody sees the same
// occupants, and nobody but moderators sees a real address in a semi-anonymous room.
func TestProperties(t *testing.T) {
	rounds, events := 150, 120
	if testing.Short() {
		rounds = 20
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { driveRandomly(t, rand.New(rand.NewPCG(uint64(seed), 45)), events) })
	}
}

// driveRandomly returns everything that anybody got.
func driveRandomly(t *testing.T, rnd *rand.Rand, events int) string {
	all := &strings.Builder{}
	users := []string{"ann", "bob", "cat", "dan", "eve", "fay"}
	nicks := []string{"n0", "n1", "n2", "n3", "n4", "n5", "n6"}
	affiliations := []string{"owner", "admin", "member", "none", "outcast"}
	pick := func(list []string) string { return list[rnd.IntN(len(list))] }
	session := func() string { return pick(users) + "@shakespeare.lit/" + pick([]string{"a", "b"}) }

	c := plain()
	c.Affiliations = NewAffiliations(entries("ann@shakespeare.lit", "owner", "bob@shakespeare.lit", "admin"), nil)
	w := newWorld(t, c, Options{})
	views := map[string]seen{}
	log := []string{}
	for range events {
		before, roles := *w.r.Config(), map[string]Role{}
		for _, o := range w.r.occupants {
			for _, s := range o.sessions {
				roles[s.jid.String()] = o.role
			}
		}
		client := true
		var what string
		var got []delivery
		from := session()
		stanzaOf := func(xml string) { what = from + " > " + xml; got = w.send(from, xml) }
		switch rnd.IntN(16) {
		case 0, 1, 2, 3:
			stanzaOf("<presence to='" + coven().String() + "/" + pick(nicks) + "'><x xmlns='" + nsMUC + "'/></presence>")
		case 4:
			stanzaOf("<presence type='unavailable' to='" + coven().String() + "/" + pick(nicks) + "'/>")
		case 5:
			stanzaOf("<presence to='" + coven().String() + "/" + pick(nicks) + "'><show>dnd</show></presence>")
		case 6:
			stanzaOf("<message type='groupchat' to='" + coven().String() + "'><body>x</body></message>")
		case 7:
			stanzaOf("<message type='chat' to='" + coven().String() + "/" + pick(nicks) + "'><body>x</body></message>")
		case 8, 9:
			what = from + " role"
			got = w.admin(from, "<item nick='"+pick(nicks)+"' role='"+pick([]string{"none", "visitor", "participant", "moderator"})+"'/>")
		case 10, 11:
			what = from + " affiliation"
			got = w.admin(from, "<item jid='"+pick(users)+"@shakespeare.lit' affiliation='"+pick(affiliations)+"'/><item jid='"+pick(users)+"@shakespeare.lit' affiliation='"+pick(affiliations)+"'/>")
		case 12:
			what = "gone " + from
			got = w.do(func(out []Output) []Output { return w.r.Gone(jid.MustParse(from), out) })
		case 13: // somebody changes the declaration
			client = false
			next := before
			switch rnd.IntN(6) {
			case 0:
				next.Moderated = !next.Moderated
			case 1:
				next.MembersOnly = !next.MembersOnly
			case 2:
				next.WhoSeesJIDs = directory.JIDsAnyone
			case 3:
				next.WhoSeesJIDs = directory.JIDsModerators
			case 4:
				next.PresenceBroadcast = [][]directory.RoomRole{
					{directory.RoleModerator}, {directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor}, {},
				}[rnd.IntN(3)]
			default:
				next = *next.With(nil, entries(pick(users)+"@shakespeare.lit", pick(affiliations), "ann@shakespeare.lit", "owner"))
			}
			what = fmt.Sprintf("reconfigured %+v", next)
			got = w.do(func(out []Output) []Output { return w.r.Reconfigured(&next, out) })
		case 14:
			client = false
			admin := rnd.IntN(2) == 0
			what = fmt.Sprintf("%s is an administrator: %v", from, admin)
			got = w.do(func(out []Output) []Output { return w.r.AdminChanged(jid.MustParse(from).Bare(), admin, out) })
		case 15:
			stanzaOf("<iq type='get' id='i' to='" + coven().String() + "/" + pick(nicks) + "'><query xmlns='" + stanza.NSDiscoInfo + "'/></iq>")
		}
		log = append(log, what)
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("%s\nafter\n%s", fmt.Sprintf(format, args...), strings.Join(log, "\n"))
		}
		for _, d := range got {
			all.WriteString(d.String() + "\n")
			watch(views, d)
			leak := d.to.Bare().String()
			if before.anonymous() && w.r.Config().anonymous() && roles[d.to.String()] != Moderator && roleOf(w.r, d.to) != Moderator && string(d.el.Local()) != "iq" {
				for _, u := range users {
					if u += "@shakespeare.lit"; u != leak && strings.Contains(d.String(), u) {
						fail("a real address gets to somebody who is no moderator: %s", d)
					}
				}
			}
		}
		checkRoom(w, views, before, client, fail)
	}
	return all.String()
}

// The same events give the same outputs, byte for byte.
func TestDeterministic(t *testing.T) {
	run := func() string { return driveRandomly(t, rand.New(rand.NewPCG(7, 7)), 300) }
	if a, b := run(), run(); a != b || a == "" {
		t.Error("two runs differ")
	}
}

func roleOf(r *Room, full jid.JID) Role {
	if o := r.find(full); o != nil {
		return o.role
	}
	return NoRole
}

// watch keeps a client's view: presence of a nickname, and its own exit.
func watch(views map[string]seen, d delivery) {
	if string(d.el.Local()) != "presence" || string(d.el.Attr("type")) == "error" {
		return
	}
	to, nick := d.to.String(), jid.MustParse(string(d.el.Attr("from"))).Resource()
	self := strings.Contains(" "+codes(d)+" ", " 110 ")
	item := d.el.Child(nsUser, "x").Child(nsUser, "item")
	switch {
	case string(d.el.Attr("type")) != "unavailable":
		if views[to] == nil {
			views[to] = seen{}
		}
		views[to][nick] = string(item.Attr("affiliation")) + " " + string(item.Attr("role"))
	case self && item.Attr("nick") == nil:
		delete(views, to)
	default:
		delete(views[to], nick)
	}
}

func checkRoom(w *world, views map[string]seen, before Config, client bool, fail func(string, ...any)) {
	names, sessions := map[string]bool{}, map[string]bool{}
	truth := seen{}
	for _, o := range w.r.occupants {
		if names[o.nick()] {
			fail("two occupants are called %s", o.nick())
		}
		names[o.nick()] = true
		if a := w.r.affiliation(o.user, o.admin); a != o.affiliation || a == Outcast || w.r.cfg.MembersOnly && a < Member {
			fail("%s is in the room as %v, and is %v", o.user, o.affiliation, a)
		}
		if o.affiliation >= Admin && o.role != Moderator || o.role == NoRole {
			fail("%s is %v and %v", o.nick(), o.affiliation, o.role)
		}
		if o.told {
			truth[o.nick()] = o.affiliation.String() + " " + o.role.String()
		}
		if o.told != w.r.cfg.broadcasts(o.role) {
			fail("%s is told of: %v", o.nick(), o.told)
		}
		for _, s := range o.sessions {
			if sessions[s.jid.String()] {
				fail("%s is in the room twice", s.jid)
			}
			sessions[s.jid.String()] = true
		}
	}
	for _, o := range w.r.occupants {
		for _, s := range o.sessions {
			want := maps.Clone(truth)
			want[o.nick()] = o.affiliation.String() + " " + o.role.String()
			if !maps.Equal(want, views[s.jid.String()]) {
				fail("%s sees %v, there is %v", s.jid, views[s.jid.String()], want)
			}
		}
	}
	for j := range views {
		if !sessions[j] {
			fail("%s believes to be in the room", j)
		}
	}
	all, moderators := w.r.recipients()
	for i, j := range all {
		if (roleOf(w.r, j) == Moderator) != (i < moderators) {
			fail("recipient %d of %d moderators, %s, is a %v", i, moderators, j, roleOf(w.r, j))
		}
	}
	if len(all) != len(sessions) {
		fail("%d recipients of %d sessions", len(all), len(sessions))
	}
	if client && before.Affiliations.has(Owner) && !w.r.Config().Affiliations.has(Owner) {
		fail("the last owner is gone")
	}
	list := w.r.Config().Affiliations.Entries()
	for i := 1; i < len(list); i++ {
		if list[i-1].JID == list[i].JID {
			fail("%s has two affiliations", list[i].JID)
		}
	}
}

// Big rooms keep maps and small ones don't: both find the same.
func TestPropertiesBigRoom(t *testing.T) {
	w := newWorld(t, plain(), Options{})
	for i := range 3 * indexed {
		w.join(fmt.Sprintf("u%d@shakespeare.lit/a", i), fmt.Sprintf("n%d", i))
	}
	for i := range 3*indexed - 2 {
		if o := w.r.named(fmt.Sprintf("n%d", i)); o == nil || w.r.find(jid.MustParse(fmt.Sprintf("u%d@shakespeare.lit/a", i))) != o {
			t.Fatalf("%d is not found", i)
		}
		w.send(fmt.Sprintf("u%d@shakespeare.lit/a", i), "<presence to='coven@chat.shakespeare.lit/m"+fmt.Sprint(i)+"'/>")
		w.send(fmt.Sprintf("u%d@shakespeare.lit/a", i), "<presence type='unavailable' to='coven@chat.shakespeare.lit/m"+fmt.Sprint(i)+"'/>")
		all, _ := w.r.recipients()
		if len(all) != 3*indexed-1-i || w.r.Len() != len(all) {
			t.Fatalf("%d recipients after %d have left", len(all), i+1)
		}
	}
}

func TestAffiliations(t *testing.T) {
	set := func(list ...string) Members {
		m := members{}
		for _, s := range list {
			m[jid.MustParse(s)] = true
		}
		return m
	}
	a := NewAffiliations(entries("a@x.lit", "member", "x.lit", "outcast", "n@x.lit", "none"), []GroupEntry{
		{"members", Member, set("g@y.lit", "o@y.lit", "b@y.lit", "a@x.lit")}, {"out", Outcast, set("b@y.lit", "o@y.lit")},
		{"owners", Owner, set("o@y.lit", "a@x.lit")}, {"admins", Admin, set("o@y.lit", "d@y.lit")},
	})
	for who, want := range map[string]Affiliation{
		"a@x.lit/r": Member, // its own entry
		"z@x.lit":   Outcast, "n@x.lit": None, "o@y.lit": Owner, "d@y.lit": Admin, "b@y.lit": Outcast, "g@y.lit": Member, "q@y.lit": None,
	} {
		if got := a.Of(jid.MustParse(who)); got != want {
			t.Errorf("%s: %v, want %v", who, got, want)
		}
	}
	if list := a.List(Member); len(list) != 2 {
		t.Errorf("%v", list)
	}
	// An entry taken away under a group's affiliation stays, as one of none.
	if b := a.With(entries("a@x.lit", "none", "q@y.lit", "none")); b.Of(jid.MustParse("a@x.lit")) != None || b.Of(jid.MustParse("q@y.lit")) != None || len(b.Entries()) != 3 {
		t.Errorf("%v", b.Entries())
	}
}

type members map[jid.JID]bool

func (m members) Contains(j jid.JID) bool { return m[j] }
func (m members) All() iter.Seq[jid.JID] {
	return func(yield func(jid.JID) bool) {
		for j := range m {
			if !yield(j) {
				return
			}
		}
	}
}

// FuzzStanza lets an owner in a room send anything.
func FuzzStanza(f *testing.F) {
	for _, s := range []string{
		"<iq type='set' id='1' to='coven@chat.shakespeare.lit'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_roomowners'><value>a@b</value></field></x></query></iq>",
		"<iq type='set' id='1' to='coven@chat.shakespeare.lit'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='b' role='none'/><item nick='a' role='visitor'/></query></iq>",
		"<iq type='set' id='1' to='coven@chat.shakespeare.lit'><query xmlns='jabber:iq:register'><remove/></query></iq>",
		"<iq type='result' id='1.AAAAAAAAAAAA.x' to='coven@chat.shakespeare.lit/b'/>",
		"<message to='coven@chat.shakespeare.lit' type='groupchat'><a xmlns=''><occupant-id xmlns='urn:xmpp:occupant-id:0'/>t</a></message>",
		"<message to='coven@chat.shakespeare.lit'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='c@d'><reason>x</reason></invite></x></message>",
		"<presence to='coven@chat.shakespeare.lit/c'><x xmlns='http://jabber.org/protocol/muc'><history seconds='-1' maxchars='99999999999' since='x'/></x></presence>",
		"<iq type='set' id='1' to='coven@chat.shakespeare.lit'><vCard xmlns='vcard-temp'><PHOTO><BINVAL>AA==</BINVAL></PHOTO></vCard></iq>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, xml string) {
		e, err := parseElement(xml)
		if err != nil {
			return
		}
		s, fault := stanza.Parse(e, nil)
		if fault != nil || s.To.Bare() != coven() {
			return
		}
		c := plain()
		c.Affiliations = NewAffiliations(entries("a@shakespeare.lit", "owner", "b@shakespeare.lit", "owner"), nil)
		w := newWorld(t, c, Options{})
		w.join("a@shakespeare.lit/a", "a")
		w.join("b@shakespeare.lit/b", "b")
		s.From = jid.MustParse("a@shakespeare.lit/a")
		for range 2 {
			w.do(func(out []Output) []Output { return w.r.Stanza(Sender{From: s.From, Time: w.now, ID: "f"}, &s, out) }) // parses all that comes out
		}
		if !w.r.Over() && !w.r.Config().Affiliations.has(Owner) {
			t.Fatal("there is no owner left")
		}
	})
}
