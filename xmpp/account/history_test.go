package account

import (
	"fmt"
	"strings"
	"testing"
)

// since asks for the roster with a version and gives what the client applies: pushes, in order, or "all" and the items.
func (c *client) since(ver string) (lines, versions []string) {
	c.t.Helper()
	c.raw()
	c.send("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='" + ver + "'/></iq>")
	for i, xml := range c.raw() {
		st := read(c.t, xml)
		if i == 0 {
			if string(st.ID) != "v" {
				c.t.Fatalf("a push before the result: %s", xml)
			}
			if q := st.FirstChild(); q.Valid() {
				lines, versions = append(lines, "all"), append(versions, string(q.Attr("ver")))
				for it := range q.Children() {
					lines = append(lines, itemLine(it))
				}
			}
			continue
		}
		lines = append(lines, describe(c.t, c.full, xml))
		versions = append(versions, string(st.FirstChild().Attr("ver")))
	}
	return lines, versions
}

// TestRosterDifferences: RFC 6121 §2.6.3: a client that knows an earlier roster gets what has changed since, as pushes after an empty result, each
// with a version that is right when nothing further arrives.
func TestRosterDifferences(t *testing.T) {
	w := newWorld(t, "juliet")
	juliet := w.at("juliet/balcony")
	check := func(what string, got []string, expected ...string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(expected) {
			t.Errorf("%s: %q, want %q", what, got, expected)
		}
	}
	set := func(item string) {
		juliet.send(fmt.Sprintf(setItem, item))
		juliet.raw()
	}
	for i := range 5 {
		set(fmt.Sprintf("<item jid='c%d@chat.example'/>", i))
	}
	_, known := juliet.roster()
	set("<item jid='c1@chat.example' name='One'/>")
	set("<item jid='c2@chat.example' subscription='remove'/>")
	set("<item jid='new@chat.example'/>")
	set("<item jid='c1@chat.example' name='Once more'/>")
	_, now := juliet.roster()
	lines, versions := juliet.since(known)
	check("since a version", lines, "push c2 remove", "push new none", "push c1 none")
	check("the last version", versions[2:], now)
	// A client that got only the first of these asks again, and misses nothing.
	lines, _ = juliet.since(versions[0])
	check("broken off after one", lines, "push new none", "push c1 none")
	lines, _ = juliet.since(now)
	check("the same version", lines)
	// It outlives the session, but not what nobody noticed.
	juliet.s.Closed()
	juliet = w.at("juliet/balcony")
	lines, _ = juliet.since(known)
	check("in another session", lines, "push c2 remove", "push new none", "push c1 none")
	juliet.s.Closed()
	w.declare("juliet", "declared@chat.example both")
	juliet = w.at("juliet/balcony")
	lines, _ = juliet.since(known)
	check("after a declaration while nobody was there", lines, "all", "c0 none", "c1 none", "c3 none", "c4 none", "declared both", "new none")
	_, known = juliet.roster()
	w.declare("juliet", "declared@chat.example to")
	juliet.awaits("push declared to")
	lines, _ = juliet.since(known)
	check("a declaration", lines, "push declared to")
	// Too many changes are the whole roster.
	for i := range maxChanges + 1 {
		set(fmt.Sprintf("<item jid='c0@chat.example' name='%d'/>", i))
	}
	lines, _ = juliet.since(known)
	if lines[0] != "all" {
		t.Errorf("%d changes: %q", maxChanges+1, lines)
	}
	lines, _ = juliet.since(strings.ToLower(known))
	if lines[0] != "all" {
		t.Errorf("a version that is none: %q", lines)
	}
	w.idleHistories()
}

// idleHistories: what is remembered is bounded, and only of those who are not there.
func (w *world) idleHistories() {
	w.t.Helper()
	w.rosters.mu.Lock()
	defer w.rosters.mu.Unlock()
	for i := range maxHistories + 10 {
		u := newUser(fmt.Sprint("u", i), domain)
		u.loaded = true
		u.note([2]uint64{}, u.jid)
		w.rosters.remember(u)
	}
	if n := len(w.rosters.histories); n > maxHistories {
		w.t.Errorf("%d histories", n)
	}
	if _, ok := w.rosters.histories["juliet"]; ok {
		w.t.Error("the history of somebody who is there")
	}
}
