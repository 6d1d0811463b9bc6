package account

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// TestPresenceLifeCycle is RFC 6121 §4.2 (initial), §4.3 (probes), §4.4 (changes), §4.5 (unavailable) between two friends and a stranger.
func TestPresenceLifeCycle(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "tybalt")
	w.befriend("juliet", "romeo")
	romeo, tybalt := w.at("romeo/garden"), w.at("tybalt/street")
	chamber := w.at("juliet/chamber")
	romeo.take()

	balcony := w.connect("juliet@chat.example/balcony")
	balcony.send("<presence id='p1'><show>away</show><priority>-1</priority></presence>")
	// Itself first (§4.2.2), its other resources and those of contacts next (§4.3.2).
	balcony.sees("presence juliet/balcony available", "presence juliet/chamber available", "presence romeo/garden available")
	chamber.sees("presence juliet/balcony available")
	for _, xml := range romeo.raw() {
		if !strings.Contains(xml, "from='juliet@chat.example/balcony'") || !strings.Contains(xml, "to='romeo@chat.example'") ||
			!strings.Contains(xml, "<show>away</show><priority>-1</priority>") || !strings.Contains(xml, "id='p1'") {
			t.Errorf("the broadcast: %s", xml)
		}
	}
	balcony.send("<presence><show>dnd</show></presence>")
	balcony.sees("presence juliet/balcony available") // no probes again
	chamber.sees("presence juliet/balcony available")
	romeo.sees("presence juliet/balcony available")
	tybalt.sees()

	balcony.send("<presence type='unavailable'><status>Good night</status></presence>")
	balcony.sees("presence juliet/balcony unavailable")
	chamber.sees("presence juliet/balcony unavailable")
	if got := romeo.raw(); len(got) != 1 || !strings.Contains(got[0], "Good night") {
		t.Errorf("romeo saw %q", got)
	}
	balcony.send("<presence type='unavailable'/>") // twice is no news
	romeo.sees()
	balcony.s.Closed()
	romeo.sees()

	chamber.s.Closed() // §4.5.2: a connection that breaks
	romeo.sees("presence juliet/chamber unavailable")
	tybalt.sees()
	for _, c := range []*client{romeo, tybalt} {
		c.s.Closed()
	}
	w.idle()
}

// TestOneWayPresence: presence flows in the direction of the subscription and no other.
func TestOneWayPresence(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.remember("juliet", Item{JID: jid.MustParse("romeo@chat.example"), Subscription: SubscriptionFrom})
	w.remember("romeo", Item{JID: jid.MustParse("juliet@chat.example"), Subscription: SubscriptionTo})
	juliet := w.at("juliet/balcony")
	romeo := w.connect("romeo@chat.example/garden")
	romeo.send("<presence/>")
	romeo.sees("presence romeo/garden available", "presence juliet/balcony available")
	juliet.sees()
	romeo.s.Closed()
	juliet.sees()

	// What only one side claims is not enough: whoever is seen decides.
	w.remember("eve", Item{JID: jid.MustParse("juliet@chat.example"), Subscription: SubscriptionBoth})
	w.declare("eve")
	eve := w.connect("eve@chat.example/den")
	eve.send("<presence/>")
	eve.sees("presence eve/den available")
}

// TestProbes is RFC 6121 §4.3.2 for a client that asks.
func TestProbes(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.befriend("juliet", "romeo")
	romeo := w.at("romeo/garden")
	probe := func(to string) { romeo.send("<presence type='probe' to='" + to + "'/>") }
	probe("juliet@chat.example")
	romeo.sees("presence juliet unavailable")
	w.at("juliet/balcony")
	w.at("juliet/chamber")
	romeo.take()
	probe("juliet@chat.example")
	romeo.sees("presence juliet/balcony available", "presence juliet/chamber available")
	probe("juliet@chat.example/chamber")
	romeo.sees("presence juliet/chamber available")
	probe("juliet@chat.example/cellar")
	romeo.sees("presence juliet/cellar unavailable")
	probe("romeo@chat.example")
	romeo.sees("presence romeo/garden available")
}

// TestDirectedPresence is RFC 6121 §4.6.3.
func TestDirectedPresence(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(c *client)
	}{
		{"unavailable", func(c *client) { c.send("<presence type='unavailable'/>") }},
		{"connection lost", func(c *client) { c.s.Closed() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "juliet", "romeo", "nurse", "friend")
			w.befriend("juliet", "friend")
			romeo, nurse, friend := w.at("romeo/garden"), w.at("nurse/hall"), w.at("friend/home")
			juliet := w.connect("juliet@chat.example/balcony")

			// Before initial presence, it is directed presence all the same.
			juliet.send("<presence to='romeo@chat.example/garden'/>")
			romeo.sees("presence juliet/balcony available")
			juliet.send("<presence/>")
			juliet.send("<presence to='nurse@chat.example'/>")
			juliet.send("<presence to='friend@chat.example'/>")
			nurse.sees("presence juliet/balcony available")
			friend.take()
			juliet.send("<presence><show>away</show></presence>") // a broadcast does not go to them
			romeo.sees()
			nurse.sees()
			friend.take()
			juliet.send("<presence to='nurse@chat.example' type='unavailable'/>") // told already
			nurse.sees("presence juliet/balcony unavailable")

			c.end(juliet)
			romeo.sees("presence juliet/balcony unavailable")
			nurse.sees()
			friend.sees("presence juliet/balcony unavailable") // once
		})
	}
	w := newWorld(t, "juliet", "romeo") // a session that never was available
	romeo := w.at("romeo/garden")
	juliet := w.connect("juliet@chat.example/balcony")
	juliet.send("<presence to='romeo@chat.example'/>")
	romeo.take()
	juliet.s.Closed()
	romeo.sees("presence juliet/balcony unavailable")
}

// TestDirectedPresenceIsBounded: a session cannot make the server remember the whole world.
func TestDirectedPresenceIsBounded(t *testing.T) {
	w := newWorld(t, "juliet")
	juliet := w.connect("juliet@chat.example/balcony")
	for i := range MaxDirected {
		juliet.send(fmt.Sprintf("<presence to='u%d@chat.example'/>", i))
	}
	juliet.sees()
	juliet.send("<presence to='one-more@chat.example'/>")
	juliet.sees("presence error resource-constraint")
	juliet.send("<presence to='u7@chat.example'/>")
	juliet.sees()
}

// TestTakeover: RFC 6120 §7.7.2.2, contacts see the old session go before the new one comes.
func TestTakeover(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.befriend("juliet", "romeo")
	romeo := w.at("romeo/garden")
	old := w.at("juliet/balcony")
	romeo.take()
	w.at("juliet/balcony")
	old.s.Closed()
	romeo.sees("presence juliet/balcony unavailable", "presence juliet/balcony available")
}

// TestLockedAccount: contacts see a locked account's sessions go.
func TestLockedAccount(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.befriend("juliet", "romeo")
	romeo, juliet := w.at("romeo/garden"), w.at("juliet/balcony")
	romeo.take()
	u, _ := w.dir.User("juliet")
	locked := *u
	locked.Locked = true
	w.dir.PutUser(locked)
	romeo.awaits("presence juliet/balcony unavailable")
	juliet.s.Closed()
	romeo.s.Closed()
	eventually(t, "nobody to be left in memory", func() bool {
		w.rosters.mu.Lock()
		defer w.rosters.mu.Unlock()
		return len(w.rosters.users) == 0
	})
}

// TestAnonymousSessions have a roster for as long as they live, in memory, and no subscriptions.
func TestAnonymousSessions(t *testing.T) {
	w := newWorld(t, "juliet")
	c := &client{t: t}
	s, bad := w.sb.Bind(c, "", "")
	if bad != nil {
		t.Fatal(bad)
	}
	c.s, c.full = s, s.JID().String()
	juliet := w.at("juliet/balcony")
	c.hasRoster()
	c.send("<presence/>")
	c.take()
	c.send(fmt.Sprintf(setItem, "<item jid='juliet@chat.example'/>"))
	c.sees("result s", "push juliet none")
	c.send(sub("subscribe", "juliet"))
	c.sees("presence error not-allowed")
	juliet.send("<presence type='subscribe' to='" + s.JID().Bare().String() + "'/>")
	c.send("<presence to='juliet@chat.example'/>")
	juliet.take()
	s.Closed()
	juliet.sees("presence " + short(s.JID()) + " unavailable")
	if rows, _ := w.store.LoadRoster(t.Context(), s.Username()); len(rows) > 0 {
		t.Errorf("stored for a session without an account: %+v", rows)
	}
}

// TestEverybodyAtOnce drives all of it from many goroutines: nobody waits for ever, and pairs agree in the end.
func TestEverybodyAtOnce(t *testing.T) {
	const n = 8
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("u%d", i)
	}
	w := newWorld(t, names...)
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			for round := range 6 {
				c := w.at(name + fmt.Sprintf("/r%d", round))
				for j := range n {
					if j == i {
						continue
					}
					for _, typ := range [][]string{{"subscribe", "subscribed"}, {"unsubscribe"}, {"subscribed", "subscribe"}, {"unsubscribed", "subscribe"}}[(i+j+round)%4] {
						c.send(sub(typ, names[j]))
					}
					if (i+j+round)%7 == 0 {
						c.send(fmt.Sprintf(setItem, "<item jid='"+names[j]+"@chat.example' subscription='remove'/>"))
					}
				}
				c.send("<presence type='unavailable'/>")
				c.s.Closed()
			}
		})
	}
	wg.Wait()
	w.idle()
	for _, a := range names {
		for _, b := range names {
			if a == b {
				continue
			}
			mine, _ := w.store.row(a, b+"@"+domain)
			theirs, _ := w.store.row(b, a+"@"+domain)
			if mine.Subscription.SeesContact() != theirs.Subscription.SeenByContact() {
				t.Errorf("%s has %s of %s, who has %s", a, mine.Subscription, b, theirs.Subscription)
			}
		}
	}
}

// TestOverflow: a session that is over gets no state that nobody would take away again.
func TestOverflow(t *testing.T) {
	w := newWorld(t, "juliet")
	juliet := w.connect("juliet@chat.example/balcony")
	juliet.s.Closed()
	w.rosters.Broadcast(juliet.s, &stanza.Stanza{Kind: stanza.Presence, Type: stanza.PresenceUnavailable}, nil)
	w.rosters.Directed(juliet.s, &stanza.Stanza{Kind: stanza.Presence, Type: stanza.PresenceAvailable, To: jid.MustParse("x@chat.example")})
	w.idle()
}
