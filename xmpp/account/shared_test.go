package account

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// group declares a group: "Everybody", "OnlyGroup", "Nobody", or "OnlyGroup A, B" for one that is visible to others.
func (w *world) group(name, sharing string, members ...string) {
	w.t.Helper()
	mode, others, _ := strings.Cut(sharing, " ")
	g := directory.Group{
		Ref: directory.Ref{Name: name, UID: "uid-" + name, Created: time.Unix(1, 0)}, GroupName: name, DisplayName: name,
		SharedRoster: directory.SharedRoster{Mode: directory.SharedRosterMode(mode)},
	}
	if others != "" {
		g.SharedRoster.VisibleTo = strings.Split(others, ", ")
	}
	for _, m := range members {
		if !strings.Contains(m, "@") {
			m += "@" + domain
		}
		g.Members = append(g.Members, jid.MustParse(m))
	}
	slices.SortFunc(g.Members, jid.JID.Compare)
	w.dir.PutGroup(g)
}

// change puts a group as it is but for what f does.
func (w *world) change(name string, f func(*directory.Group)) {
	g, ok := w.dir.Group(name)
	if !ok {
		w.t.Fatalf("no group %q", name)
	}
	next := *g
	f(&next)
	w.dir.PutGroup(next)
}

// groups gives the roster with names and groups: "jid subscription name [group, ...]".
func (c *client) groups() []string {
	c.t.Helper()
	c.raw()
	c.send("<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>")
	out := []string{}
	for _, xml := range c.raw() {
		e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
		if err != nil {
			c.t.Fatal(err)
		}
		for it := range e.Child(stanza.NSRoster, "query").Children() {
			out = append(out, itemLine(it)+" "+string(it.Attr("name"))+" "+fmt.Sprint(headings(it)))
		}
	}
	return out
}

func headings(item xmlstream.Element) []string {
	list := []string{}
	for g := range item.Children() {
		list = append(list, string(g.Text()))
	}
	return list
}

func (c *client) hasGroups(expected ...string) {
	c.t.Helper()
	if got := c.groups(); !slices.Equal(got, expected) {
		c.t.Errorf("%s has the roster\n  %s\nwant\n  %s", c.full, strings.Join(got, "\n  "), strings.Join(expected, "\n  "))
	}
}

// named gives a user a display name.
func (w *world) named(username, name string) {
	u, _ := w.dir.User(username)
	next := *u
	next.DisplayName = name
	w.dir.PutUser(next)
}

// TestSharedOnlyGroup: the members of a group are in each other's rosters, under its name, and see each other's presence (RFC 6121 §2.1.2.5 "both",
// §4.2.2, §4.3, §4.5.2); nobody else is concerned.
func TestSharedOnlyGroup(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "nurse", "paris")
	w.named("romeo", "Romeo Montague")
	w.group("Nachtschicht · 夜勤", "OnlyGroup", "juliet", "romeo", "nurse", "ghost", "friar@far.example")
	juliet := w.at("juliet/balcony")
	juliet.hasGroups("nurse both  [Nachtschicht · 夜勤]", "romeo both Romeo Montague [Nachtschicht · 夜勤]", "friar@far.example both  [Nachtschicht · 夜勤]")
	romeo := w.at("romeo/garden")
	juliet.sees("presence romeo/garden available")
	paris := w.at("paris/tomb")
	juliet.sees()
	paris.hasRoster()
	// Initial presence brings that of the contacts (§4.3).
	nurse := w.connect("nurse@chat.example/house")
	nurse.send("<presence/>")
	nurse.seesInAnyOrder("presence juliet/balcony available", "presence romeo/garden available", "presence nurse/house available")
	juliet.sees("presence nurse/house available")
	romeo.sees("presence nurse/house available")
	// Probes are answered to members and to nobody else (§4.3.2).
	nurse.send("<presence type='probe' to='juliet@chat.example'/>")
	nurse.sees("presence juliet/balcony available")
	paris.send("<presence type='probe' to='juliet@chat.example'/>")
	paris.sees("presence juliet unsubscribed")
	if !w.rosters.Subscribed("juliet", jid.MustParse("romeo@chat.example/any")) || w.rosters.Subscribed("juliet", jid.MustParse("paris@chat.example")) {
		t.Error("who is subscribed to juliet is wrong")
	}
	juliet.take()
	nurse.send("<presence type='unavailable'/>")
	juliet.sees("presence nurse/house unavailable")
	romeo.s.Closed()
	juliet.sees("presence romeo/garden unavailable")
	for _, c := range []*client{juliet, nurse, paris} {
		c.s.Closed()
	}
	w.idle()
}

// TestSharedVisibleTo: who sees a group that does not see his has its members as contacts with "to"; they give him their presence without having
// him as a contact, and where both see each other it is "both".
func TestSharedVisibleTo(t *testing.T) {
	w := newWorld(t, "boss", "ann", "bob", "eve")
	w.group("management", "Nobody", "boss")
	w.group("staff", "OnlyGroup management", "ann", "bob")
	boss, ann := w.at("boss/1"), w.at("ann/1")
	boss.take()
	boss.hasGroups("ann to  [staff]", "bob to  [staff]")
	ann.hasGroups("bob both  [staff]")
	bob := w.at("bob/1")
	boss.sees("presence bob/1 available")
	ann.sees("presence bob/1 available")
	bob.take()
	boss.send("<presence><show>away</show></presence>")
	boss.take()
	bob.sees()
	bob.send("<presence type='probe' to='boss@chat.example'/>")
	bob.sees("presence boss unsubscribed")
	boss.take()
	bob.s.Closed()
	boss.sees("presence bob/1 unavailable")
	ann.take()
	// The other way as well.
	w.group("management", "OnlyGroup staff", "boss")
	ann.awaits("push boss both", "presence boss/1 available")
	boss.awaits("push ann both", "push bob both")
	ann.hasGroups("bob both  [staff]", "boss both  [management]")
	w.group("management", "Nobody", "boss")
	ann.awaitsAll("push boss remove", "presence boss/1 unavailable")
	boss.awaits("push ann to", "push bob to")
}

// TestSharedEverybody: all users of the domain have the members as contacts, and the members see each other.
func TestSharedEverybody(t *testing.T) {
	w := newWorld(t, "help1", "help2", "ann", "bob")
	w.group("Help Desk", "Everybody", "help1", "help2")
	help1, ann := w.at("help1/1"), w.at("ann/1")
	ann.hasGroups("help1 to  [Help Desk]", "help2 to  [Help Desk]")
	help1.take()
	help1.hasGroups("help2 both  [Help Desk]")
	help2 := w.at("help2/1")
	ann.sees("presence help2/1 available")
	help1.sees("presence help2/1 available")
	help2.take()
	help2.send("<presence><show>dnd</show></presence>")
	ann.sees("presence help2/1 available")
	ann.send("<presence><show>dnd</show></presence>")
	help1.take()
	help2.take()
	help2.sees()
	help2.s.Closed()
	ann.take()
	help1.take()
	w.group("Help Desk", "Everybody", "help1")
	ann.awaits("push help2 remove")
	w.group("Help Desk", "Everybody", "help1", "bob")
	ann.awaits("push bob to")
	bob := w.at("bob/1")
	ann.awaits("presence bob/1 available")
	bob.take()
	bob.hasGroups("help1 both  [Help Desk]")
	w.dir.DeleteGroup("Help Desk", "")
	ann.awaitsAll("presence bob/1 unavailable", "push bob remove", "presence help1/1 unavailable", "push help1 remove")
}

// TestSharedChanges: a changed group is pushed to those who are online at once, and presence follows (RFC 6121 §2.1.6).
func TestSharedChanges(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "nurse")
	w.group("house", "OnlyGroup", "juliet")
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
	quiet := w.connect("juliet@chat.example/quiet") // never asked for the roster (§2.2), and is not available
	juliet.take()
	romeo.take()

	w.group("house", "OnlyGroup", "juliet", "romeo")
	juliet.awaits("push romeo both", "presence romeo/garden available")
	romeo.awaits("push juliet both", "presence juliet/balcony available")
	w.change("house", func(g *directory.Group) { g.DisplayName = "The House" })
	juliet.awaits("push romeo both")
	romeo.awaits("push juliet both")
	juliet.hasGroups("romeo both  [The House]")
	w.named("romeo", "Romeo")
	juliet.awaits("push romeo both")
	juliet.hasGroups("romeo both Romeo [The House]")
	// A second group of the same people is one more heading, and leaving one of them no end.
	w.group("garden", "OnlyGroup", "juliet", "romeo")
	juliet.awaits("push romeo both")
	romeo.awaits("push juliet both")
	juliet.hasGroups("romeo both Romeo [The House garden]")
	w.change("house", func(g *directory.Group) { g.Description = "what rosters do not show" })
	w.group("house", "OnlyGroup", "juliet")
	juliet.awaits("push romeo both")
	romeo.awaits("push juliet both")
	w.group("garden", "Nobody", "juliet", "romeo")
	juliet.awaitsAll("presence romeo/garden unavailable", "push romeo remove")
	romeo.awaitsAll("presence juliet/balcony unavailable", "push juliet remove")
	juliet.hasRoster()

	// Members by label: the label makes the contact.
	w.change("house", func(g *directory.Group) {
		g.Members, g.Selector = nil, &directory.Selector{MatchLabels: map[string]string{"house": "capulet"}}
	})
	label := func(name, house string) {
		u, _ := w.dir.User(name)
		next := *u
		next.Labels = map[string]string{"house": house}
		w.dir.PutUser(next)
	}
	label("juliet", "capulet")
	label("romeo", "capulet")
	juliet.awaits("push romeo both", "presence romeo/garden available")
	romeo.awaits("push juliet both", "presence juliet/balcony available")
	label("romeo", "montague")
	juliet.awaitsAll("presence romeo/garden unavailable", "push romeo remove")
	romeo.awaitsAll("presence juliet/balcony unavailable", "push juliet remove")
	label("nurse", "capulet")
	juliet.awaits("push nurse both")
	// Accounts that go are contacts no more, and are again when they come back.
	w.dir.DeleteUser("nurse", "")
	juliet.awaits("push nurse remove")
	w.declare("nurse")
	label("nurse", "capulet")
	juliet.awaits("push nurse both")
	quiet.sees()
}

// TestSharedAndPersonal: a contact that is there for several reasons shows the stronger subscription and all groups, the user's own name first; what is
// beneath stays and comes back.
func TestSharedAndPersonal(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "nurse")
	w.named("romeo", "Romeo Montague")
	w.remember("juliet", Item{JID: jid.MustParse("romeo@chat.example"), Name: "Love", Subscription: SubscriptionFrom, Groups: []string{"Secret"}})
	w.remember("juliet", Item{JID: jid.MustParse("paris@chat.example"), Subscription: SubscriptionNone, Ask: true})
	w.declare("juliet", "nurse@chat.example none")
	w.group("house", "OnlyGroup", "juliet", "romeo", "nurse")
	juliet := w.at("juliet/balcony")
	juliet.hasGroups("nurse both Declared [Staff house]", "paris none ask  []", "romeo both Love [Secret house]")

	// The name and groups that a client gives are its own; a group that it leaves out stays.
	juliet.send(fmt.Sprintf(setItem, "<item jid='romeo@chat.example' name='R'><group>house</group><group>Top</group></item>"))
	juliet.sees("result s", "push romeo both")
	juliet.hasGroups("nurse both Declared [Staff house]", "paris none ask  []", "romeo both R [Top house]")
	juliet.send(fmt.Sprintf(setItem, "<item jid='romeo@chat.example' name='Romeo Montague'/>"))
	juliet.sees("result s", "push romeo both")
	if row, ok := w.store.row("juliet", "romeo@chat.example"); !ok || row.Name != "" || len(row.Groups) > 0 || row.Shared != nil || row.Subscription != SubscriptionFrom {
		t.Errorf("remembered: %+v, %v", row, ok)
	}
	w.named("romeo", "Romeo M.")
	juliet.awaits("push romeo both")
	juliet.hasGroups("nurse both Declared [Staff house]", "paris none ask  []", "romeo both Romeo M. [house]")
	// The declared contact's own part goes where it is declared, without the group's.
	juliet.send(fmt.Sprintf(setItem, "<item jid='nurse@chat.example' name='N'><group>house</group><group>Old</group></item>"))
	juliet.awaitsAll("result s", "push nurse both")
	if u, _ := w.dir.User("juliet"); len(u.Contacts) != 1 || u.Contacts[0].Name != "N" || !slices.Equal(u.Contacts[0].Groups, []string{"Old"}) || u.Contacts[0].Subscription != SubscriptionNone {
		t.Errorf("declared: %+v", u.Contacts)
	}

	// Whom a group puts there cannot be taken out (and the text names the group), whatever else there is of the contact.
	for _, contact := range []string{"romeo", "nurse"} {
		juliet.send(fmt.Sprintf(setItem, "<item jid='"+contact+"@chat.example' subscription='remove'/>"))
		out := juliet.raw()
		if st := read(t, out[0]); len(out) != 1 || st.Type != stanza.TypeError || stanza.ParseError(&st).Condition != stanza.ConditionNotAllowed || !strings.Contains(out[0], "house") {
			t.Errorf("the answer to a removal of %s: %q", contact, out)
		}
	}
	var shared *SharedError
	if err := w.rosters.Remove(t.Context(), directory.Actor{}, "juliet", jid.MustParse("romeo@chat.example")); !errors.As(err, &shared) || shared.Group != "house" {
		t.Errorf("removal: %v", err)
	}
	w.dir.DeleteGroup("house", "")
	juliet.awaits("push nurse none", "push romeo from")
	juliet.hasGroups("nurse none N [Old]", "paris none ask  []", "romeo from  []")
}

// awaitsAll is awaits in whatever order: which of two people hears first is not said.
func (c *client) awaitsAll(expected ...string) {
	c.t.Helper()
	got := []string{}
	for end := time.Now().Add(patience); len(got) < len(expected) && time.Now().Before(end); time.Sleep(time.Millisecond) {
		got = append(got, c.take()...)
	}
	slices.Sort(got)
	slices.Sort(expected)
	if !slices.Equal(got, expected) {
		c.t.Errorf("%s saw\n  %s\nwant\n  %s", c.full, strings.Join(got, "\n  "), strings.Join(expected, "\n  "))
	}
}

// TestSharedSubscriptions: what a group has settled is granted at once, not remembered, and not ended by a stanza (RFC 6121 §3, appendix A).
func TestSharedSubscriptions(t *testing.T) {
	w := newWorld(t, "boss", "ann", "bob")
	w.group("management", "Nobody", "boss")
	w.group("staff", "OnlyGroup management", "ann", "bob")
	boss, ann, bob := w.at("boss/1"), w.at("ann/1"), w.at("bob/1")
	for _, c := range []*client{boss, ann, bob} {
		c.take()
	}
	sub := func(c *client, typ, to string) { c.send("<presence type='" + typ + "' to='" + to + "@chat.example'/>") }
	sub(boss, "subscribe", "ann")
	boss.sees("presence ann subscribed", "presence ann/1 available")
	ann.sees()
	sub(boss, "unsubscribe", "ann")
	boss.sees("presence error not-allowed")
	sub(ann, "unsubscribed", "boss")
	ann.sees("presence error not-allowed")
	sub(ann, "subscribed", "boss")
	ann.sees()
	boss.sees()
	if n := len(w.store.rows["boss"]) + len(w.store.rows["ann"]); n > 0 {
		t.Errorf("%d rows are remembered", n)
	}
	// The other direction is open, and is asked for.
	sub(ann, "subscribe", "boss")
	ann.sees("push boss from ask")
	boss.sees("presence ann subscribe")
	sub(boss, "subscribed", "ann")
	boss.sees("push ann both")
	ann.sees("presence boss subscribed", "push boss both", "presence boss/1 available")
	// It ends alone, too.
	ann.send(fmt.Sprintf(setItem, "<item jid='boss@chat.example' subscription='remove'/>"))
	ann.sees("result s", "push boss remove", "presence boss/1 unavailable")
	boss.sees("presence ann unsubscribe", "push ann to")
	// An open request is answered by a group.
	sub(ann, "subscribe", "boss")
	ann.take()
	boss.take()
	w.group("all", "Everybody", "boss")
	ann.awaits("push boss both", "presence boss/1 available")
	boss.awaits("push ann both", "push bob both")
	boss.s.Closed()
	boss = w.connect("boss@chat.example/2")
	boss.send("<presence/>")
	boss.seesInAnyOrder("presence boss/2 available", "presence ann/1 available", "presence bob/1 available")
}

// TestSharedVersions: RFC 6121 §2.6: the version is another when a group changes what a roster shows, and the same when it does not, also after a
// restart; a client gets what has changed, or all.
func TestSharedVersions(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "nurse", "paris")
	juliet := w.at("juliet/balcony")
	_, empty := juliet.roster()
	w.group("house", "OnlyGroup", "juliet", "nurse")
	juliet.awaits("push nurse both")
	_, one := juliet.roster()
	w.group("house", "OnlyGroup", "juliet", "nurse", "paris", "romeo")
	juliet.awaits("push paris both", "push romeo both")
	_, three := juliet.roster()
	if empty == one || one == three {
		t.Errorf("versions %q, %q, %q", empty, one, three)
	}
	check := func(ver, what string, expected ...string) []string {
		t.Helper()
		lines, versions := juliet.since(ver)
		if !slices.Equal(lines, expected) {
			t.Errorf("%s: %q, want %q", what, lines, expected)
		}
		return versions
	}
	versions := check(one, "since one", "push paris both", "push romeo both")
	check(versions[0], "broken off after one", "push romeo both")
	check(versions[1], "the last version")
	check(three, "nothing new")
	// A group of others, and what rosters do not show.
	w.group("others", "OnlyGroup", "paris", "romeo")
	w.change("house", func(g *directory.Group) { g.Description = "changed" })
	if _, ver := juliet.roster(); ver != three {
		t.Errorf("a version became %q from %q", ver, three)
	}
	juliet.s.Closed()
	w.start()
	juliet = w.at("juliet/balcony")
	check(three, "after a restart")
	check(one, "an earlier version after a restart", "all", "nurse both", "paris both", "romeo both")
	juliet.s.Closed()
	w.group("house", "OnlyGroup", "juliet", "nurse")
	juliet = w.at("juliet/balcony")
	check(three, "a change while nobody was there", "all", "nurse both")
	check(one, "back as it was")
}

// TestSharedGone: those who see somebody's presence hear of its end, also when his membership or his account goes at the same time.
func TestSharedGone(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "nurse")
	w.group("house", "OnlyGroup", "juliet", "romeo", "nurse")
	juliet, romeo, nurse := w.at("juliet/1"), w.at("romeo/1"), w.at("nurse/1")
	juliet.take()
	w.dir.DeleteUser("romeo", "")
	juliet.awaitsAll("presence romeo/1 unavailable", "push romeo remove")
	_ = romeo
	// The membership ends, and the session before anybody has worked that out.
	u := w.rosters.lock("juliet") // holds up the worker
	w.group("house", "OnlyGroup", "juliet")
	w.rosters.unlock(u)
	nurse.s.Closed()
	juliet.awaitsAll("presence nurse/1 unavailable", "push nurse remove")
}
