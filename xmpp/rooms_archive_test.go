package xmpp

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	mjid "mellium.im/xmpp/jid"

	"mellium.im/xmpp/history"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func archivedRoom(r *directory.Room) {
	r.Archived, r.Affiliations = true, affiliations("owner crone1")
}

// fetch asks a room's archive by the library, and gives the messages as lines in the order they came, their ids, and what the library reads off the end.
func (g *guest) fetch(at string, q history.Query) (lines, ids []string, end history.Result) {
	g.t.Helper()
	g.in.forget()
	ctx := patient(g.t)
	end, err := history.Fetch(ctx, q, mjid.MustParse(long(at)), g.session)
	if err != nil {
		g.t.Fatalf("%s cannot read the archive: %v", g.jid, err)
	}
	for _, n := range g.take() {
		result := n.child("result")
		forwarded := result.child("forwarded")
		if n.attr("from") != long(at) || result.attr("queryid") != q.ID || forwarded.child("delay").attr("stamp") == "" {
			g.t.Errorf("%s got %+v", g.jid, n)
		}
		lines, ids = append(lines, forwarded.child("message").describe()), append(ids, result.attr("id"))
	}
	return lines, ids, end
}

// XEP-0313 as an independent client sees it: an archived room gives back what was said, page by page, also after a restart of the server.
func TestXEP0313RoomArchive(t *testing.T) {
	p := newParlour(t, "crone1", "wiccarocks", "hag66")
	p.declare("coven", archivedRoom)
	first, second := p.guest("crone1/desktop"), p.guest("wiccarocks/laptop")
	first.enter("$coven/firstwitch")
	second.enter("$coven/secondwitch")
	begun := time.Now()
	var all []string
	for i := range 25 {
		who, nick := first, "firstwitch"
		if i%2 == 1 {
			who, nick = second, "secondwitch"
		}
		who.say("$coven", fmt.Sprint("line ", i))
		all = append(all, fmt.Sprintf("message $coven/%s groupchat body=line %d", nick, i))
		p.settle()
	}
	p.forget()

	check := func(third *guest) {
		t.Helper()
		lines, ids, end := third.fetch("$coven", history.Query{ID: "q1", Limit: 10})
		if !slices.Equal(lines, all[:10]) || end.Complete || end.Unstable || end.Set.First.ID != ids[0] || end.Set.Last != ids[9] {
			t.Errorf("the first page is %q, %+v", lines, end)
		}
		lines, more, end := third.fetch("$coven", history.Query{ID: "q2", Limit: 20, PageID: ids[9]})
		if !slices.Equal(lines, all[10:]) || !end.Complete {
			t.Errorf("the second page is %q, %+v", lines, end)
		}
		ids = append(ids, more...)
		if lines, _, _ = third.fetch("$coven", history.Query{ID: "q3", Limit: 3, Last: true}); !slices.Equal(lines, all[22:]) {
			t.Errorf("the last page is %q", lines)
		}
		flipped := slices.Clone(all[19:22])
		slices.Reverse(flipped)
		if lines, _, _ = third.fetch("$coven", history.Query{ID: "q4", Limit: 3, Last: true, PageID: ids[22], Reverse: true}); !slices.Equal(lines, flipped) {
			t.Errorf("the page before it, flipped, is %q", lines)
		}
		if lines, _, _ = third.fetch("$coven", history.Query{ID: "q5", Limit: 50, AfterID: ids[3], BeforeID: ids[6]}); !slices.Equal(lines, all[4:6]) {
			t.Errorf("a range is %q", lines)
		}
		if lines, _, _ = third.fetch("$coven", history.Query{ID: "q6", Limit: 50, With: mjid.MustParse(long("$coven/secondwitch"))}); len(lines) != 12 || lines[0] != all[1] {
			t.Errorf("with one occupant: %q", lines)
		}
		if lines, _, _ = third.fetch("$coven", history.Query{ID: "q7", Limit: 50, Start: begun.Add(-time.Minute), End: time.Now().Add(time.Minute)}); !slices.Equal(lines, all) {
			t.Errorf("of a time: %q", lines)
		}
		if lines, _, _ = third.fetch("$coven", history.Query{ID: "q8", Limit: 50, End: begun.Add(-time.Minute)}); len(lines) > 0 {
			t.Errorf("of a time before: %q", lines)
		}
		third.asks("<iq type='set' to='$coven'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><after>nothing</after></set></query></iq>", "cancel item-not-found")
		meta := third.ask("<iq type='get' to='$coven'><metadata xmlns='urn:xmpp:mam:2'/></iq>").child("metadata")
		if meta.child("start").attr("id") != ids[0] || meta.child("end").attr("id") != ids[24] {
			t.Errorf("the metadata is %+v", meta)
		}
		info := third.ask("<iq type='get' to='$coven'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>").child("query")
		if vars := info.all("feature", "var"); !slices.Contains(vars, "urn:xmpp:mam:2") || !slices.Contains(vars, "urn:xmpp:mam:2#extended") ||
			!slices.Equal(info.child("x").values("muc#roomconfig_enablearchiving"), []string{"1"}) {
			t.Errorf("the room says of itself %q", vars)
		}
	}
	third := p.guest("hag66/pda")
	check(third)

	// Live messages have the ids of the archive (XEP-0313 §3.3).
	third.enter("$coven/thirdwitch")
	p.forget()
	first.say("$coven", "live")
	all = append(all, "message $coven/firstwitch groupchat body=live")
	live := third.sees("message $coven/firstwitch groupchat body=live")[0]
	if _, ids, _ := third.fetch("$coven", history.Query{ID: "live", Limit: 1, Last: true}); !slices.Equal(ids, []string{live.child("stanza-id").attr("id")}) {
		t.Errorf("%+v is %q in the archive", live, ids)
	}
	all = all[:25]

	p.stop()
	for _, g := range p.guests {
		g.over = true
	}
	p.guests = nil
	p.start()
	third = p.guest("hag66/pda")
	all = append(all, "message $coven/firstwitch groupchat body=live")
	if lines, _, end := third.fetch("$coven", history.Query{ID: "again", Limit: 50}); !slices.Equal(lines, all) || !end.Complete {
		t.Errorf("after a restart the archive has %q", lines)
	}
	// XEP-0045 §7.2.13: history comes from the archive.
	third.enter("$coven/thirdwitch")
	want := []string{"presence $coven/thirdwitch none participant jid=~hag66/pda 110 170"}
	for _, line := range all {
		want = append(want, line+" delayed by $coven")
	}
	third.sees(append(want, "message $coven groupchat subject=")...)
}

// XEP-0313 §6.1.2 and XEP-0425: who is let in reads, who may see addresses sees them, and what was moderated is gone.
func TestXEP0313AccessAndModeration(t *testing.T) {
	p := newParlour(t, "crone1", "wiccarocks", "hag66")
	p.declare("coven", func(r *directory.Room) {
		archivedRoom(r)
		r.MembersOnly, r.Affiliations = true, affiliations("owner crone1", "member wiccarocks")
	})
	first, second, third := p.guest("crone1/desktop"), p.guest("wiccarocks/laptop"), p.guest("hag66/pda")
	first.enter("$coven/firstwitch")
	second.enter("$coven/secondwitch")
	p.forget()
	second.say("$coven", "inappropriate")
	id := first.sees("message $coven/secondwitch groupchat body=inappropriate")[0].child("stanza-id").attr("id")

	third.asks("<iq type='set' to='$coven'><query xmlns='urn:xmpp:mam:2'/></iq>", "auth forbidden")
	third.asks("<iq type='get' to='$coven'><metadata xmlns='urn:xmpp:mam:2'/></iq>", "auth forbidden")
	if lines, _, _ := second.fetch("$coven", history.Query{ID: "m", Limit: 5}); !slices.Equal(lines, []string{"message $coven/secondwitch groupchat body=inappropriate"}) {
		t.Errorf("a member reads %q", lines)
	}
	if lines, _, _ := first.fetch("$coven", history.Query{ID: "o", Limit: 5}); len(lines) != 1 || !strings.Contains(lines[0], "jid=~wiccarocks") {
		t.Errorf("an owner reads %q", lines)
	}
	second.asks("<iq type='set' to='$coven'><moderate xmlns='urn:xmpp:message-moderate:1' id='"+id+"'><retract xmlns='urn:xmpp:message-retract:1'/></moderate></iq>", "auth forbidden")
	first.asks("<iq type='set' to='$coven'><moderate xmlns='urn:xmpp:message-moderate:1' id='"+id+"'><retract xmlns='urn:xmpp:message-retract:1'/></moderate></iq>", "result")
	if lines, ids, _ := second.fetch("$coven", history.Query{ID: "t", Limit: 5}); len(ids) != 2 || ids[0] != id || lines[0] != "message $coven/secondwitch groupchat {urn:xmpp:message-retract:1}retracted" {
		t.Errorf("after that there is %q", lines)
	}
	// Who is not a member any more reads nothing.
	p.declare("coven", func(r *directory.Room) { archivedRoom(r); r.MembersOnly = true })
	eventually(t, "the membership to end", func() bool {
		return second.ask("<iq type='get' to='$coven'><metadata xmlns='urn:xmpp:mam:2'/></iq>").attr("type") == "error"
	})
}
