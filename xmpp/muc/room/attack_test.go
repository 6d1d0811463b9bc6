package room

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// The attacks on rooms, by their numbers in the security tests' list.

// standing is an affiliation with a role that goes with it (XEP-0045 §5.1.2: admins and owners are moderators).
type standing struct {
	a Affiliation
	r Role
}

func standings() []standing {
	return []standing{
		{None, Visitor}, {None, Participant}, {None, Moderator}, {Member, Visitor}, {Member, Participant}, {Member, Moderator},
		{Admin, Moderator}, {Owner, Moderator},
	}
}

// stage is a moderated room with an actor and a target of these standings, and a founder who owns it.
func stage(t *testing.T, actor, target standing) *world {
	c := plain()
	c.Moderated = true
	c.Affiliations = NewAffiliations([]Entry{
		{jid.MustParse("founder@shakespeare.lit"), Owner},
		{jid.MustParse("actor@shakespeare.lit"), actor.a}, {jid.MustParse("target@shakespeare.lit"), target.a},
	}, nil)
	w := newWorld(t, c, Options{})
	w.join("founder@shakespeare.lit/a", "founder")
	w.join("actor@shakespeare.lit/a", "actor")
	w.join("target@shakespeare.lit/a", "target")
	for nick, s := range map[string]standing{"actor": actor, "target": target} {
		o := w.r.named(nick)
		if o != nil && o.role != s.r {
			w.do(func(out []Output) []Output { return w.r.setRole(o, s.r, "", "", out) })
		}
	}
	return w
}

// XEP-0045 §5.1.3 and the use cases that it sums up, written down from the text and not from the code.
func specRole(actor, target standing, to Role) bool {
	if actor.r != Moderator {
		return false
	}
	admin := actor.a >= Admin
	switch {
	case target.r == to:
		return true // nothing changes
	case to == NoRole && target.r == Moderator: // "Exit room or be kicked by an admin or owner"
		return admin && actor.a >= target.a
	case to == NoRole: // §8.2: not by a moderator with a lower affiliation
		return actor.a >= target.a
	case target.r == Visitor && to == Participant: // "Moderator grants voice"; nobody can have a higher standing to lose
		return actor.a >= target.a
	case target.r == Participant && to == Visitor: // §8.4: not from an affiliation at or above the moderator's level
		return target.a < actor.a && target.a < Admin
	case to == Moderator: // "Admin or owner grants moderator status"
		return admin
	case target.r == Moderator: // §9.7: never from an admin or owner
		return admin && target.a < Admin
	}
	return false
}

// XEP-0045 §5.2.2: a row is the affiliation that is, a column the one that is to be; who may.
func specAffiliation(actor, from, to Affiliation) bool {
	table := map[Affiliation]map[Affiliation]Affiliation{
		Outcast: {None: Admin, Member: Admin, Admin: Owner, Owner: Owner},
		None:    {Outcast: Admin, Member: Admin, Admin: Owner, Owner: Owner},
		Member:  {Outcast: Admin, None: Admin, Admin: Owner, Owner: Owner},
		Admin:   {Outcast: Owner, None: Owner, Member: Owner, Owner: Owner},
		Owner:   {Outcast: Owner, None: Owner, Member: Owner, Admin: Owner},
	}
	if from == to {
		return actor >= Admin
	}
	return actor >= table[from][to]
}

// 37: the matrix of privileges, every role.
func TestAttack37Roles(t *testing.T) {
	for _, actor := range standings() {
		for _, target := range standings() {
			for to := NoRole; to <= Moderator; to++ {
				w := stage(t, actor, target)
				got := w.admin("actor@shakespeare.lit/a", fmt.Sprintf("<item nick='target' role='%s'/>", to))
				want := target.r
				allowed := specRole(actor, target, to)
				if allowed {
					want = to
				}
				is := NoRole
				if o := w.r.named("target"); o != nil {
					is = o.role
				}
				if refused := condition(got, "actor@shakespeare.lit/a"); is != want || (refused == "") != allowed {
					t.Errorf("%v %v makes %v %v a %v: now %v (%q), want %v", actor.a, actor.r, target.a, target.r, to, is, refused, want)
				}
			}
		}
	}
}

// 37: the matrix of privileges, every affiliation; for targets inside and outside of the room.
func TestAttack37Affiliations(t *testing.T) {
	for _, actor := range standings() {
		for from := Outcast; from <= Owner; from++ {
			for to := Outcast; to <= Owner; to++ {
				for _, inside := range []bool{true, false} {
					target := standing{from, defaultRole(from, true)}
					if inside && from == Outcast {
						continue
					}
					var w *world
					if inside {
						w = stage(t, actor, target)
					} else {
						w = stage(t, actor, standing{None, Visitor})
						c := w.r.Config().With(nil, []Entry{{jid.MustParse("elsewhere@shakespeare.lit"), from}})
						w.do(func(out []Output) []Output { return w.r.Reconfigured(c, out) })
					}
					name := map[bool]string{true: "target@shakespeare.lit", false: "elsewhere@shakespeare.lit"}[inside]
					got := w.admin("actor@shakespeare.lit/a", fmt.Sprintf("<item jid='%s' affiliation='%s'/>", name, to))
					want := from
					allowed := specAffiliation(actor.a, from, to)
					if allowed {
						want = to
					}
					is := w.r.Config().Affiliations.Of(jid.MustParse(name))
					if refused := condition(got, "actor@shakespeare.lit/a"); is != want || (refused == "") != allowed {
						t.Errorf("%v %v makes %v a %v: now %v (%q), want %v", actor.a, actor.r, from, to, is, refused, want)
					}
					if o := w.r.named("target"); inside && allowed && (o == nil) != (to == Outcast) {
						t.Errorf("%v makes %v a %v: in the room is %v", actor.a, from, to, o)
					}
				}
			}
		}
	}
}

// 37: nobody bans or demotes the last owner, not even an administrator of the service from a client (§10.4).
func TestAttack37LastOwner(t *testing.T) {
	for _, to := range []string{"none", "outcast", "member", "admin"} {
		c := plain()
		c.Affiliations = NewAffiliations(entries("crone1@shakespeare.lit", "owner"), nil)
		w := newWorld(t, c, Options{})
		w.join("crone1@shakespeare.lit/desktop", "firstwitch")
		got := w.admin("crone1@shakespeare.lit/desktop", "<item jid='crone1@shakespeare.lit' affiliation='"+to+"'/>")
		if cond := condition(got, "crone1@shakespeare.lit/desktop"); cond != "conflict" {
			t.Errorf("%s: %q", to, cond)
		}
		w.sendAs("boss@shakespeare.lit/a", "<iq type='set' id='a' to='coven@chat.shakespeare.lit'><query xmlns='"+nsAdmin+
			"'><item jid='crone1@shakespeare.lit' affiliation='"+to+"'/></query></iq>", true)
		if a := w.r.Config().Affiliations.Of(jid.MustParse("crone1@shakespeare.lit")); a != Owner {
			t.Errorf("%s: %v", to, a)
		}
	}
}

// 38: forged senders, private messages and ids; subjects of visitors; nicknames.
func TestAttack38Forgery(t *testing.T) {
	c := plain()
	c.Moderated = true
	c.Affiliations = NewAffiliations(entries("crone1@shakespeare.lit", "owner", "wiccarocks@shakespeare.lit", "member"), nil)
	w := newWorld(t, c, Options{Memory: Memory{Nicks: []ReservedNick{{jid.MustParse("crone1@shakespeare.lit"), "queen"}}}})
	crone, wicca, hag := "crone1@shakespeare.lit/desktop", "wiccarocks@shakespeare.lit/laptop", "hag66@shakespeare.lit/pda"
	w.join(crone, "firstwitch")
	w.join(wicca, "secondwitch")
	w.join(hag, "thirdwitch")

	// A visitor neither speaks nor sets the subject (§7.4, §8.1).
	for _, xml := range []string{"<body>x</body>", "<subject>x</subject>"} {
		if cond := condition(w.send(hag, "<message type='groupchat' to='coven@chat.shakespeare.lit'>"+xml+"</message>"), hag); cond != "forbidden" {
			t.Errorf("%s: %q", xml, cond)
		}
	}
	// Somebody who isn't inside neither.
	for to, want := range map[string]string{"coven@chat.shakespeare.lit": "not-acceptable", "coven@chat.shakespeare.lit/firstwitch": "not-acceptable"} {
		if cond := condition(w.send("x@shakespeare.lit/a", "<message to='"+to+"' type='"+map[bool]string{true: "chat", false: "groupchat"}[strings.Contains(to, "/")]+"'><body>x</body></message>"),
			"x@shakespeare.lit/a"); cond != want {
			t.Errorf("%s: %q", to, cond)
		}
	}
	// What only the room may say is taken out: all of it, at any depth, in any prefix.
	id := w.r.occupantID(jid.MustParse("crone1@shakespeare.lit"))
	forged := "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='" + id + "'/><o:occupant-id xmlns:o='urn:xmpp:occupant-id:0' id='" + id + "'/>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='coven@chat.shakespeare.lit' id='forged'/><s:stanza-id xmlns:s='urn:xmpp:sid:0' by='COVEN@chat.shakespeare.lit' id='forged'/>" +
		"<a xmlns='urn:a'><occupant-id xmlns='urn:xmpp:occupant-id:0' id='" + id + "'/><b>kept</b><o:stanza-id xmlns:o='urn:xmpp:sid:0' by='coven@chat.shakespeare.lit' id='forged'/></a>" +
		"<c xmlns='urn:c'><d xmlns=''><e><occupant-id xmlns='urn:xmpp:occupant-id:0' id='" + id + "'/></e><f>kept</f></d></c>" +
		"<x xmlns='" + nsUser + "'><item affiliation='owner' role='moderator'/></x><delay xmlns='urn:xmpp:delay' from='coven@chat.shakespeare.lit' stamp='2000-01-01T00:00:00Z'/>"
	for _, to := range []string{"coven@chat.shakespeare.lit' type='groupchat", "coven@chat.shakespeare.lit/firstwitch' type='chat"} {
		for _, d := range w.send(wicca, "<message to='"+to+"'><body>x</body>"+forged+"</message>") {
			s := d.String()
			if strings.Contains(s, id) || strings.Contains(s, "forged") || strings.Contains(s, "owner") || strings.Contains(s, "2000-01-01") || strings.Count(s, "kept") != 2 {
				t.Errorf("%s", s)
			}
			if n := strings.Count(s, nsOccupantID); n != 1 {
				t.Errorf("%d occupant ids: %s", n, s)
			}
		}
	}
	for _, d := range w.send(wicca, "<presence to='coven@chat.shakespeare.lit/secondwitch'>"+forged+"</presence>") {
		if s := d.String(); strings.Contains(s, id) || strings.Contains(s, "forged") || strings.Contains(s, "owner") {
			t.Errorf("%s", s)
		}
	}
	// Nicknames: taken by spelling that prepares to the same, reserved, or no nickname at all.
	for nick, want := range map[string]string{"firstwitch": "conflict", "queen": "conflict", "ｆｉｒｓｔwitch": ""} {
		w.send("y@shakespeare.lit/a", "<presence type='unavailable' to='coven@chat.shakespeare.lit/y'/>")
		if cond := condition(w.join("y@shakespeare.lit/a", nick), "y@shakespeare.lit/a"); cond != want {
			t.Errorf("nickname %q: %q", nick, cond)
		}
	}
	for _, nick := range []string{"firstwitch ", "first  witch"} {
		if cond := condition(w.join("q@shakespeare.lit/a", nick), "q@shakespeare.lit/a"); cond != "not-acceptable" {
			t.Errorf("nickname %q: %q", nick, cond)
		}
	}
	// Decomposed and composed are one nickname (RFC 7622 §3.4, OpaqueString: NFC).
	w.join("z@shakespeare.lit/a", "w\u00e9")
	if cond := condition(w.join("q@shakespeare.lit/a", "we\u0301"), "q@shakespeare.lit/a"); cond != "conflict" {
		t.Errorf("another spelling of a nickname: %q", cond)
	}
	for _, nick := range []string{"\u0007", "a\u200bb", "a\u202eb", "\u0000"} {
		if _, err := coven().WithResource(nick); err == nil {
			t.Errorf("%q is a nickname", nick)
		}
	}
	// The form of a voice request that approves itself.
	grant := "<message to='coven@chat.shakespeare.lit'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + formRequest +
		"</value></field><field var='muc#roomnick'><value>thirdwitch</value></field><field var='muc#request_allow'><value>1</value></field></x></message>"
	if cond := condition(w.send(hag, grant), hag); cond != "forbidden" || w.r.named("thirdwitch").role != Visitor {
		t.Errorf("voice: %q", cond)
	}
	// An invitation by somebody outside learns no password.
	pw := w.r.Config().With(&Change{Password: ptr("cauldronburn")}, nil)
	w.do(func(out []Output) []Output { return w.r.Reconfigured(pw, out) })
	for _, d := range w.send("x@shakespeare.lit/a", "<message to='coven@chat.shakespeare.lit'><x xmlns='"+nsUser+"'><invite to='x@shakespeare.lit'/></x></message>") {
		if strings.Contains(d.String(), "cauldronburn") {
			t.Errorf("%s", d)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// 39: affiliation lists are for those of XEP-0045 §5.2.1 alone.
func TestAttack39Lists(t *testing.T) {
	for _, open := range []bool{true, false} {
		for _, actor := range append(standings(), standing{Outcast, NoRole}) {
			for list := Outcast; list <= Owner; list++ {
				if list == None {
					continue
				}
				w := stage(t, actor, standing{None, Visitor})
				if open {
					c := w.r.Config().With(&Change{WhoSeesJIDs: ptr(directory.JIDsAnyone)}, nil)
					w.do(func(out []Output) []Output { return w.r.Reconfigured(c, out) })
				}
				got := w.send("actor@shakespeare.lit/a", fmt.Sprintf("<iq type='get' id='l' to='%s'><query xmlns='%s'><item affiliation='%s'/></query></iq>", coven(), nsAdmin, list))
				// Members get the list of members, admins and owners where addresses are open; outcasts are for admins (§9.2).
				want := actor.a >= Admin || actor.a == Member && open && list >= Member
				if cond := condition(got, "actor@shakespeare.lit/a"); (cond == "") != want || cond != "" && cond != "forbidden" {
					t.Errorf("%v reads the %v list (open: %v): %q", actor.a, list, open, cond)
				}
			}
		}
	}
}

// 39: what somebody who is no moderator can get out of a semi-anonymous room has no real address in it.
func TestAttack39RealJIDs(t *testing.T) {
	w := stage(t, standing{None, Visitor}, standing{Member, Participant})
	ask := func(to, payload string) string { return "<iq type='get' id='q' to='" + to + "'>" + payload + "</iq>" }
	requests := []string{
		ask("coven@chat.shakespeare.lit", "<query xmlns='http://jabber.org/protocol/disco#info'/>"),
		ask("coven@chat.shakespeare.lit", "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
		ask("coven@chat.shakespeare.lit", "<query xmlns='"+nsAdmin+"'><item role='participant'/></query>"),
		ask("coven@chat.shakespeare.lit", "<query xmlns='"+nsOwner+"'/>"),
		ask("coven@chat.shakespeare.lit", "<vCard xmlns='vcard-temp'/>"),
		ask("coven@chat.shakespeare.lit", "<query xmlns='jabber:iq:register'/>"),
		"<presence to='coven@chat.shakespeare.lit/target'><x xmlns='" + nsMUC + "'/></presence>",
		"<message to='coven@chat.shakespeare.lit/target' type='chat'><body>x</body></message>",
		"<message to='coven@chat.shakespeare.lit'><x xmlns='" + nsUser + "'><invite to='coven@chat.shakespeare.lit/target'/></x></message>",
		"<presence to='coven@chat.shakespeare.lit/actor'><x xmlns='" + nsMUC + "'/></presence>",
	}
	for _, xml := range requests {
		for _, d := range w.send("actor@shakespeare.lit/a", xml) {
			if d.to.Local() == "actor" && (strings.Contains(d.String(), "target@") || strings.Contains(d.String(), "founder@")) {
				t.Errorf("%s\ngives %s", xml, d)
			}
		}
	}
	// A vCard's answer comes from the account, and goes on without it.
	passed := w.send("actor@shakespeare.lit/a", ask("coven@chat.shakespeare.lit/target", "<vCard xmlns='vcard-temp'/>"))
	if len(passed) != 1 || passed[0].to != jid.MustParse("target@shakespeare.lit") {
		t.Fatalf("%v", passed)
	}
	answer := func(id string) []delivery {
		return w.send("target@shakespeare.lit", "<iq type='result' id='"+id+"' to='coven@chat.shakespeare.lit/actor'><vCard xmlns='vcard-temp'><FN>T</FN></vCard></iq>")
	}
	id := string(passed[0].el.Attr("id"))
	if got := answer(id); len(got) != 1 || string(got[0].el.Attr("id")) != "q" || string(got[0].el.Attr("from")) != "coven@chat.shakespeare.lit/target" || strings.Contains(got[0].String(), "target@") {
		t.Errorf("%v", got)
	}
	// 32: what nobody asked has no answer.
	for _, id := range []string{"1." + strings.Repeat("A", 12) + ".q", "q", "", id + "x"} {
		if got := answer(id); len(got) != 0 {
			t.Errorf("%q: %v", id, got)
		}
	}
}

// 40: a ban, by address and by domain, acts on who is inside; so does a room that becomes one of members.
func TestAttack40Removed(t *testing.T) {
	tests := []struct {
		name   string
		change *Change
		list   []Entry
		code   string
	}{
		{"banned", nil, entries("target@shakespeare.lit", "outcast"), "301 110"},
		{"banned by domain", nil, []Entry{{jid.MustParse("shakespeare.lit"), Outcast}, {jid.MustParse("actor@shakespeare.lit"), Member}}, "301 110"},
		{"members only", &Change{MembersOnly: ptr(true)}, nil, "322 110"},
	}
	for _, test := range tests {
		w := stage(t, standing{Member, Participant}, standing{None, Visitor})
		if test.name == "banned by domain" {
			// The target has an entry of None, which would hold against the domain's.
			c := *w.r.Config()
			c.Affiliations = NewAffiliations(entries("founder@shakespeare.lit", "owner", "actor@shakespeare.lit", "member"), nil)
			w.do(func(out []Output) []Output { return w.r.Reconfigured(&c, out) })
		}
		c := w.r.Config().With(test.change, test.list)
		got := w.do(func(out []Output) []Output { return w.r.Reconfigured(c, out) })
		if w.r.named("target") != nil || w.r.named("actor") == nil || w.r.named("founder") == nil {
			t.Errorf("%s: %v", test.name, w.r.Occupants())
		}
		i := slices.IndexFunc(got, func(d delivery) bool { return d.to.Local() == "target" })
		if i < 0 || codes(got[i]) != test.code {
			t.Errorf("%s: %v", test.name, got)
		}
		if cond := condition(w.join("target@shakespeare.lit/a", "target"), "target@shakespeare.lit/a"); cond == "" {
			t.Errorf("%s: can enter again", test.name)
		}
		back := w.r.Config().With(&Change{MembersOnly: ptr(false)}, []Entry{{jid.MustParse("target@shakespeare.lit"), None}, {jid.MustParse("shakespeare.lit"), None}})
		w.do(func(out []Output) []Output { return w.r.Reconfigured(back, out) })
		if cond := condition(w.join("target@shakespeare.lit/a", "target"), "target@shakespeare.lit/a"); cond != "" {
			t.Errorf("%s: stays out: %s", test.name, cond)
		}
	}
}

// 41: forms with unknown, oversized and senseless fields; a join after the room's end.
func TestAttack41Forms(t *testing.T) {
	field := func(name, value string) string {
		return "<field var='" + name + "'><value>" + value + "</value></field>"
	}
	tests := []struct{ fields, want string }{
		{field("muc#roomconfig_nosuch", "1"), ""},
		{field("muc#roomconfig_roomname", strings.Repeat("x", 256)), "not-acceptable"},
		{field("muc#roomconfig_roomname", strings.Repeat("ж", 255)), ""},
		{field("muc#roomconfig_roomdesc", strings.Repeat("x", 20000)), "not-acceptable"},
		{field("muc#roomconfig_roomdesc", strings.Repeat("x", 2049)), "not-acceptable"},
		{field("muc#roomconfig_whois", "everybody"), "not-acceptable"},
		{field("muc#roomconfig_allowpm", "some"), "not-acceptable"},
		{field("muc#roomconfig_maxusers", "-1"), "not-acceptable"},
		{field("muc#roomconfig_maxusers", "99999999999999999999"), "not-acceptable"},
		{field("muc#roomconfig_membersonly", "maybe"), "not-acceptable"},
		{field("muc#roomconfig_presencebroadcast", "king"), "not-acceptable"},
		{field("muc#roomconfig_passwordprotectedroom", "1"), "not-acceptable"},
		{field("muc#roomconfig_roomowners", "not an address@"), "not-acceptable"},
		{field("muc#roomconfig_roomowners", "other@shakespeare.lit"), ""},
		{"<field var='muc#roomconfig_roomowners'/>", "conflict"},
		{strings.Repeat(field("muc#a", "1"), 101), "not-acceptable"},
	}
	for _, test := range tests {
		c := plain()
		c.Affiliations = NewAffiliations(entries("crone1@shakespeare.lit", "owner"), nil)
		w := newWorld(t, c, Options{})
		got := w.send("crone1@shakespeare.lit/a", "<iq type='set' id='c' to='coven@chat.shakespeare.lit'><query xmlns='"+nsOwner+"'><x xmlns='jabber:x:data' type='submit'>"+
			field("FORM_TYPE", formConfig)+test.fields+"</x></query></iq>")
		if cond := condition(got, "crone1@shakespeare.lit/a"); cond != test.want {
			t.Errorf("%.100s: %q, want %q", test.fields, cond, test.want)
		}
	}
	w := stage(t, standing{None, Visitor}, standing{None, Visitor})
	w.do(func(out []Output) []Output { return w.r.Destroyed(Destruction{}, out) })
	if cond := condition(w.join("x@shakespeare.lit/a", "x"), "x@shakespeare.lit/a"); cond != "item-not-found" {
		t.Errorf("a destroyed room: %q", cond)
	}
}

// 42: occupant ids are stable, one a user, and differ from room to room (XEP-0421 §4).
func TestAttack42OccupantIDs(t *testing.T) {
	c := plain()
	user := jid.MustParse("hag66@shakespeare.lit")
	room := func(key string) *Room { return New(Options{Address: coven(), Config: &c, Key: []byte(key)}) }
	a, again, b := room("a"), room("a"), room("b")
	if a.occupantID(user) != again.occupantID(user) {
		t.Error("not stable")
	}
	if a.occupantID(user) == b.occupantID(user) || a.occupantID(user) == a.occupantID(jid.MustParse("hag67@shakespeare.lit")) {
		t.Error("not unlinkable")
	}
	w := newWorld(t, c, Options{})
	ids := map[string]bool{}
	for _, from := range []string{"hag66@shakespeare.lit/pda", "hag66@shakespeare.lit/desktop"} {
		for _, d := range w.join(from, "third"+jid.MustParse(from).Resource()) {
			if d.to.String() == from && codes(d) == "110" {
				ids[string(d.el.Child(nsOccupantID, "occupant-id").Attr("id"))] = true
			}
		}
	}
	if len(ids) != 1 {
		t.Errorf("one user has %d ids", len(ids))
	}
}
