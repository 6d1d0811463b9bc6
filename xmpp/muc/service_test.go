package muc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "chat.example"

// newService is a service without sessions: what it sends goes nowhere.
func newService() *Service {
	dir := directory.New(domain)
	return New(Config{Switchboard: core.New(core.Config{Directory: dir}), Directory: dir, Key: []byte("installation")})
}

func declared(name string) directory.Room {
	return directory.Room{
		Ref: directory.Ref{Name: name, UID: "uid-" + name, Created: time.Unix(1, 0)}, RoomName: name, Service: directory.DefaultRoomService, Listed: true, Persistent: true,
		PresenceBroadcast: []directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor},
	}
}

func read(t *testing.T, from, xml string) *stanza.Stanza {
	t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	st, bad := stanza.Parse(e, nil)
	if bad != nil {
		t.Fatal(bad)
	}
	st.From = jid.MustParse(from)
	return &st
}

func enter(t *testing.T, s *Service, from, at string) {
	t.Helper()
	s.Receive(nil, read(t, from, "<presence xmlns='jabber:client' to='"+at+"'><x xmlns='"+nsMUC+"'/></presence>"))
}

func leave(t *testing.T, s *Service, from, at string) {
	t.Helper()
	s.Receive(nil, read(t, from, "<presence xmlns='jabber:client' to='"+at+"' type='unavailable'/>"))
}

// XEP-0059 §2: pages of seven rooms, a to g.
func TestXEP0059Section2Pages(t *testing.T) {
	s := newService()
	for _, name := range []string{"d", "b", "a", "g", "c", "f", "e"} {
		s.dir.PutRoom(declared(name))
	}
	const host = "@conference." + domain
	for _, c := range []struct{ set, rooms, first, index, last, count string }{
		{"", "abcdefg", "", "", "", ""},
		{"<set/>", "abcdefg", "a", "0", "g", "7"},
		{"<set><max>3</max></set>", "abc", "a", "0", "c", "7"},
		{"<set><max>3</max><after>c" + host + "</after></set>", "def", "d", "3", "f", "7"},
		{"<set><max>3</max><after>f" + host + "</after></set>", "g", "g", "6", "g", "7"},
		{"<set><max>3</max><after>g" + host + "</after></set>", "", "", "", "", "7"},
		{"<set><max>3</max><after>cc" + host + "</after></set>", "def", "d", "3", "f", "7"}, // that room is gone
		{"<set><max>3</max><before/></set>", "efg", "e", "4", "g", "7"},                     // §2.5: the last page
		{"<set><max>3</max><before>e" + host + "</before></set>", "bcd", "b", "1", "d", "7"},
		{"<set><max>3</max><before>a" + host + "</before></set>", "", "", "", "", "7"},
		{"<set><max>2</max><index>4</index></set>", "ef", "e", "4", "f", "7"}, // §2.6
		{"<set><max>2</max><index>40</index></set>", "", "", "", "", "7"},
		{"<set><max>0</max></set>", "", "", "", "", "7"}, // §2.7: the count alone
	} {
		request := "<iq xmlns='jabber:client' type='get' id='1' to='conference." + domain + "'><query xmlns='" + stanza.NSDiscoItems + "'>" +
			strings.ReplaceAll(c.set, "<set>", "<set xmlns='"+stanza.NSRSM+"'>") + "</query></iq>"
		request = strings.ReplaceAll(request, "<set/>", "<set xmlns='"+stanza.NSRSM+"'/>")
		st := read(t, "mira@"+domain+"/x", request)
		payload, bad := s.list(st, st.FirstChild())
		if bad != nil {
			t.Errorf("%s: %v", c.set, bad)
			continue
		}
		e, err := xmlstream.Parse(payload, xmlstream.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i := range e.Children() {
			if i.Is(stanza.NSDiscoItems, "item") {
				got += strings.TrimSuffix(string(i.Attr("jid")), host)
			}
		}
		set := e.Child(stanza.NSRSM, "set")
		text := func(name string) string {
			return strings.TrimSuffix(string(set.Child(stanza.NSRSM, name).Text()), host)
		}
		if index := string(set.Child(stanza.NSRSM, "first").Attr("index")); got != c.rooms || text("first") != c.first || index != c.index ||
			text("last") != c.last || text("count") != c.count {
			t.Errorf("%s: rooms %q, first %q at %q, last %q, count %q", c.set, got, text("first"), index, text("last"), text("count"))
		}
	}
	for _, set := range []string{"<max>many</max>", "<index>-1</index>"} {
		st := read(t, "mira@"+domain+"/x", "<iq xmlns='jabber:client' type='get' id='1' to='conference."+domain+"'><query xmlns='"+stanza.NSDiscoItems+"'><set xmlns='"+
			stanza.NSRSM+"'>"+set+"</set></query></iq>")
		if _, bad := s.list(st, st.FirstChild()); bad == nil || bad.Condition != stanza.ConditionBadRequest {
			t.Errorf("%s: %v", set, bad)
		}
	}
}

// More rooms than fit into an answer come in pages, whether asked for or not.
func TestLongListsArePages(t *testing.T) {
	s := newService()
	for i := range maxItems + 1 {
		s.dir.PutRoom(declared(fmt.Sprintf("room-%03d", i)))
	}
	st := read(t, "mira@"+domain+"/x", "<iq xmlns='jabber:client' type='get' id='1' to='conference."+domain+"'><query xmlns='"+stanza.NSDiscoItems+"'/></iq>")
	payload, bad := s.list(st, st.FirstChild())
	if bad != nil {
		t.Fatal(bad)
	}
	if n := strings.Count(string(payload), "<item "); n != maxItems || !strings.Contains(string(payload), fmt.Sprintf("<count>%d</count>", maxItems+1)) {
		t.Errorf("%d rooms in %s", n, payload)
	}
}

// Rooms that are not listed are for those who belong there (XEP-0045 §6.3).
func TestHiddenRooms(t *testing.T) {
	s := newService()
	s.dir.PutUser(directory.User{Ref: directory.Ref{Name: "root", UID: "root"}, Username: "root", Admin: true})
	s.dir.PutGroup(directory.Group{Ref: directory.Ref{Name: "staff", UID: "staff"}, GroupName: "staff", Members: []jid.JID{jid.MustParse("nora@" + domain)}})
	d := declared("lobby")
	d.Listed = false
	d.Affiliations = []directory.Affiliation{
		{JID: jid.MustParse("mira@" + domain), Affiliation: directory.AffiliationMember},
		{JID: jid.MustParse("tobias@" + domain), Affiliation: directory.AffiliationOutcast},
		{JID: jid.MustParse("partner.example"), Affiliation: directory.AffiliationMember},
	}
	slices.SortFunc(d.Affiliations, func(a, b directory.Affiliation) int { return a.JID.Compare(b.JID) })
	look := func(who string, want bool) {
		t.Helper()
		if got := len(s.visible("conference."+domain, jid.MustParse(who+"/x"))) > 0; got != want {
			t.Errorf("%s sees it: %v", who, got)
		}
	}
	for _, loaded := range []bool{false, true} {
		put := func(groups []directory.GroupAffiliation) {
			d.GroupAffiliations = groups
			s.dir.PutRoom(d)
			s.dirty.room(d.Identity())
			s.apply()
		}
		if loaded {
			enter(t, s, "mira@"+domain+"/y", "lobby@conference."+domain+"/mira")
		}
		put(nil)
		look("mira@"+domain, true)
		look("tobias@"+domain, false)
		look("nora@"+domain, false)
		look("paul@"+domain, false)
		look("paul@partner.example", true)
		look("root@"+domain, true)
		put([]directory.GroupAffiliation{{Group: "staff", Affiliation: directory.AffiliationAdmin}})
		look("nora@"+domain, true)
		look("paul@"+domain, false)
		look("tobias@"+domain, false)
	}
}

// What has changed is taken note of without repetitions, and signalled at least once after the last note.
func TestDirtyList(t *testing.T) {
	d := dirty{signal: make(chan struct{}, 1)}
	d.room("lobby@conference")
	d.room("lobby@conference")
	d.group("staff")
	d.user("mira")
	d.services()
	<-d.signal
	n := d.take()
	if !slices.Equal(n.rooms, []string{"lobby@conference"}) || !slices.Equal(n.groups, []string{"staff"}) || !slices.Equal(n.users, []string{"mira"}) || !n.hosts {
		t.Errorf("%+v", n)
	}
	if n := d.take(); n.rooms != nil || n.groups != nil || n.users != nil || n.hosts {
		t.Errorf("taken twice: %+v", n)
	}
	select {
	case <-d.signal:
		t.Error("signalled for nothing")
	default:
	}
	d.room("lobby@conference")
	select {
	case <-d.signal:
	default:
		t.Error("not signalled")
	}
}

// A user's rooms count for as long as they are there and temporary, however they end.
func TestQuota(t *testing.T) {
	s := newService()
	if err := s.dir.PutProperty(directory.SystemProperty{Ref: directory.Ref{Name: "quota", UID: "quota"}, Key: directory.KeyRoomsOfUser, Value: "2"}); err != nil {
		t.Fatal(err)
	}
	s.dir.PutUser(directory.User{Ref: directory.Ref{Name: "root", UID: "root"}, Username: "root", Admin: true})
	mira, maker := "mira@"+domain+"/x", jid.MustParse("mira@"+domain)
	at := func(name string) jid.JID { return jid.MustParse(name + "@conference." + domain) }
	check := func(what string, rooms, made int) {
		t.Helper()
		if n, _ := s.Counts(); n != rooms || s.made[maker] != made {
			t.Errorf("%s: %d rooms, %d of mira", what, n, s.made[maker])
		}
	}
	enter(t, s, mira, at("one").String()+"/mira")
	enter(t, s, mira, at("two").String()+"/mira")
	check("two made", 2, 2)
	if _, bad := s.create(at("three"), jid.MustParse(mira)); bad == nil || bad.Condition != stanza.ConditionResourceConstraint {
		t.Errorf("a third room: %v", bad)
	}
	leave(t, s, mira, at("one").String()+"/mira")
	check("one left", 1, 1)
	// A nickname that cannot be: nobody gets in, so there is no room.
	enter(t, s, mira, at("three").String()+"/mira  mira")
	check("one not entered", 1, 1)
	// One that is declared is not hers any more, and stays when she leaves.
	d := declared("two")
	s.dir.PutRoom(d)
	s.dirty.room(d.Identity())
	s.apply()
	check("one declared", 1, 0)
	leave(t, s, mira, at("two").String()+"/mira")
	check("the declared one left", 1, 0)
	for _, name := range []string{"a", "b", "c"} {
		enter(t, s, "root@"+domain+"/x", at(name).String()+"/root")
	}
	if s.made[jid.MustParse("root@"+domain)] != 3 {
		t.Error("a quota for administrators")
	}
	s.Shutdown()
	check("over", 0, 0)
	if len(s.made) != 0 {
		t.Errorf("%v", s.made)
	}
}

// A room that is declared while it waits for its maker's configuration waits no longer.
func TestDeclaredWhileLocked(t *testing.T) {
	s := newService()
	enter(t, s, "mira@"+domain+"/x", "lobby@conference."+domain+"/mira")
	d := declared("lobby")
	s.dir.PutRoom(d)
	s.dirty.room(d.Identity())
	s.apply()
	enter(t, s, "tobias@"+domain+"/x", "lobby@conference."+domain+"/tobias")
	if _, n := s.Counts(); n != 2 {
		t.Errorf("%d occupants", n)
	}
}

// A room that takes its time does not keep another waiting.
func TestBusyRoom(t *testing.T) {
	s := newService()
	s.dir.PutRoom(declared("busy"))
	s.dir.PutRoom(declared("quiet"))
	enter(t, s, "mira@"+domain+"/x", "busy@conference."+domain+"/mira")
	busy := s.find(jid.MustParse("busy@conference." + domain))
	busy.mu.Lock()
	enter(t, s, "tobias@"+domain+"/x", "quiet@conference."+domain+"/tobias")
	quiet := s.find(jid.MustParse("quiet@conference." + domain))
	if quiet == nil || !s.Holds(jid.MustParse("tobias@"+domain+"/x"), quiet.addr) {
		t.Error("nobody got into the other room")
	}
	busy.mu.Unlock()
}

// Nothing that only an occupant would send takes a room into memory.
func TestNoRoomForNothing(t *testing.T) {
	s := newService()
	s.dir.PutRoom(declared("lobby"))
	const at = "lobby@conference." + domain
	leave(t, s, "mira@"+domain+"/x", at)
	for _, xml := range []string{
		"<message xmlns='jabber:client' type='error' to='" + at + "'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
		"<iq xmlns='jabber:client' type='result' id='1' to='" + at + "'/>",
		"<presence xmlns='jabber:client' type='probe' to='" + at + "'/>",
	} {
		s.Receive(nil, read(t, "mira@"+domain+"/x", xml))
	}
	if n, _ := s.Counts(); n != 0 {
		t.Errorf("%d rooms", n)
	}
	s.Shutdown()
	enter(t, s, "mira@"+domain+"/x", at+"/mira")
	if n, _ := s.Counts(); n != 0 {
		t.Errorf("%d rooms after the end", n)
	}
}
