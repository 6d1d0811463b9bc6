package account

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// populate declares users u0, u1, ...
func (w *world) populate(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("u", i)
		w.declare(names[i])
	}
	return names
}

// TestSharedStart: with nobody there, nothing is made of groups, however many users come into one by its selector.
func TestSharedStart(t *testing.T) {
	w := newWorld(t)
	w.group("all", "Everybody")
	w.change("all", func(g *directory.Group) { g.Selector = &directory.Selector{} })
	w.populate(2000)
	if n := len(w.rosters.shares.now.Load().circles); n > 0 {
		t.Errorf("%d circles were made for nobody", n)
	}
	if n := len(w.rosters.shares.dirty); n != 1 {
		t.Errorf("%d notes were taken of one group", n)
	}
	c := w.at("u7/1")
	if items, _ := c.roster(); len(items) != 1999 {
		t.Errorf("a roster has %d contacts", len(items))
	}
	w.declare("late")
	c.awaits("push late both")
}

// TestSharedSize: what a group of many costs a user who is online is no list of its own.
func TestSharedSize(t *testing.T) {
	w := newWorld(t)
	users := w.populate(1000)
	w.group("Help Desk", "Everybody", users[:500]...)
	w.at("u999/1").s.Closed() // what everybody has in common is there
	const online = 30
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	come := func(users []string) (clients []*client, each int64) {
		before := heap()
		for _, name := range users {
			clients = append(clients, w.at(name+"/1"))
		}
		return clients, (int64(heap()) - int64(before)) / int64(len(users))
	}
	clients, each := come(users[600 : 600+online])
	w.group("Help Desk", "Nobody", users[:500]...)
	for _, c := range clients {
		c.s.Closed()
	}
	_, without := come(users[700 : 700+online])
	t.Logf("a user who is there costs %d bytes with a group of 500, and %d without", each, without)
	if each > without+8<<10 {
		t.Errorf("a user who sees 500 contacts costs %d bytes, and %d one who sees none", each, without)
	}
	w.group("Help Desk", "Everybody", users[:500]...)
	clients, _ = come(users[600 : 600+online])
	began := time.Now()
	w.group("Help Desk", "Everybody", users[1:501]...)
	for _, c := range clients {
		c.awaits("push u0 remove", "push u500 to")
	}
	t.Logf("one member for another, told to %d users: %v", online, time.Since(began))
}

// TestSharedBulk: more changes than one may be sent at once come in turns, each once, and the version is right only after the last; a
// client that confirms what it gets (XEP-0198) is not given more than it may leave unconfirmed.
func TestSharedBulk(t *testing.T) {
	w := newWorld(t)
	users := w.populate(2600)
	plain, managed := w.at("u0/plain"), w.at("u0/managed")
	managed.send("<enable xmlns='urn:xmpp:sm:3'/>")
	managed.raw()
	plain.take()
	other := w.at("u2599/1")
	plain.take()
	w.group("all", "OnlyGroup", users...)
	got := map[string]int{}
	var last string
	there, confirmed := 0, 0
	eventually(t, "all pushes and the presence of the one who is there", func() bool {
		for _, xml := range plain.raw() {
			if st := read(t, xml); st.FirstChild().Valid() {
				got[string(st.FirstChild().FirstChild().Attr("jid"))]++
				last = string(st.FirstChild().Attr("ver"))
			} else if short(st.From) == "u2599/1" {
				there++
			}
		}
		for _, xml := range managed.raw() {
			if strings.HasPrefix(xml, "<iq") || strings.HasPrefix(xml, "<presence") {
				confirmed++
			}
		}
		managed.send(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", confirmed))
		return len(got) == len(users)-1 && there > 0 && confirmed >= len(users)
	})
	for contact, n := range got {
		if n != 1 {
			t.Errorf("%s was pushed %d times", contact, n)
		}
	}
	if managed.closed || managed.s.Ended() {
		t.Error("the client that confirms was given too much")
	}
	plain.raw()
	if items, ver := plain.roster(); ver != last || len(items) != len(users)-1 {
		t.Errorf("%d contacts in version %q, after the pushes %q", len(items), ver, last)
	}
	eventually(t, "the other's pushes", func() bool { items, _ := other.roster(); return len(items) == len(users)-1 })
}

// TestSharedTooMany: a roster has to fit into one stanza, so that of a huge group only so many are shown, the first by address.
func TestSharedTooMany(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	members := []string{"juliet", "romeo"}
	for i := range maxPeople {
		members = append(members, fmt.Sprintf("x%05d@far.example", i))
	}
	w.group("all", "OnlyGroup", members...)
	c := w.rosters.shares.current().circles["all"]
	if n := len(c.people); n != maxPeople || !c.has(jid.MustParse("juliet@chat.example")) || c.has(jid.MustParse("x04999@far.example")) {
		t.Errorf("%d people, from %s to %s", n, c.people[0].jid, c.people[n-1].jid)
	}
}

// BenchmarkSharedChange changes one member of a group of 1,000 that everybody sees, in a domain of 10,000 users of whom 1,000 are there.
func BenchmarkSharedChange(b *testing.B) {
	w := newWorld(b)
	users := w.populate(10_000)
	w.group("Help Desk", "Everybody", users[:1000]...)
	told := make(chan struct{}, 1<<20)
	const online = 300
	for i := range online {
		c := w.at(users[5000+i] + "/1")
		c.mu.Lock()
		c.taken = func(string) { c.sent = nil; told <- struct{}{} }
		c.mu.Unlock()
	}
	n := 0
	for b.Loop() {
		n++
		w.group("Help Desk", "Everybody", append(slices.Clone(users[:999]), users[1000+n%2])...)
		for range 2 * online {
			<-told
		}
	}
}

// BenchmarkSharedRoster asks for a roster of 1,000 contacts that come from a group.
func BenchmarkSharedRoster(b *testing.B) {
	w := newWorld(b)
	users := w.populate(10_000)
	w.group("Help Desk", "Everybody", users[:1000]...)
	c := w.at("u5000/1")
	b.ReportAllocs()
	for b.Loop() {
		c.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
		c.raw()
	}
}
