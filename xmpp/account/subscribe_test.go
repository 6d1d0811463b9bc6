package account

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

func sub(typ, to string) string {
	return "<presence type='" + typ + "' to='" + to + "@chat.example'/>"
}

// TestSubscribe is RFC 6121 §3.1 from request to approval, both ways, then §3.2 and §3.3, with what each side sees, in order.
func TestSubscribe(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")

	romeo.send(sub("subscribe", "juliet"))
	romeo.sees("push juliet none ask") // §3.1.2
	juliet.sees("presence romeo subscribe")
	juliet.hasRoster() // §3.1.3: a request is no contact
	romeo.send(sub("subscribe", "juliet"))
	juliet.sees() // §A.3.1: once is enough
	romeo.take()

	juliet.send(sub("subscribed", "romeo"))
	juliet.sees("push romeo from")                                                                  // §3.1.5
	romeo.sees("presence juliet subscribed", "push juliet to", "presence juliet/balcony available") // §3.1.6

	juliet.send(sub("subscribe", "romeo"))
	juliet.sees("push romeo from ask")
	romeo.sees("presence juliet subscribe")
	romeo.send(sub("subscribed", "juliet"))
	romeo.sees("push juliet both")
	juliet.sees("presence romeo subscribed", "push romeo both", "presence romeo/garden available")
	for name, contact := range map[string]string{"juliet": "romeo@chat.example", "romeo": "juliet@chat.example"} {
		if row, ok := w.store.row(name, contact); !ok || row.Subscription != SubscriptionBoth || row.Ask || row.PendingIn || row.Hidden {
			t.Errorf("%s has stored %+v", name, row)
		}
	}

	juliet.send(sub("unsubscribed", "romeo")) // §3.2
	juliet.sees("push romeo to")
	romeo.sees("presence juliet/balcony unavailable", "presence juliet unsubscribed", "push juliet from") // §3.2.2: unavailable first

	juliet.send(sub("unsubscribe", "romeo")) // §3.3
	juliet.seesInAnyOrder("push romeo none", "presence romeo/garden unavailable")
	romeo.sees("presence juliet unsubscribe", "push juliet none")
	juliet.hasRoster("romeo none")
	romeo.hasRoster("juliet none")
}

// TestSubscriptionsToAllResources: requests go to available resources, changes to interested ones (RFC 6121 §2.2, implementation note).
func TestSubscriptionsToAllResources(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	romeo := w.at("romeo/garden")
	both := w.at("juliet/both")
	available := w.connect("juliet@chat.example/available")
	available.send("<presence/>")
	interested := w.connect("juliet@chat.example/interested")
	interested.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	neither := w.connect("juliet@chat.example/neither")
	for _, c := range []*client{both, available, interested, neither} {
		c.take()
	}
	romeo.send(sub("subscribe", "juliet"))
	both.sees("presence romeo subscribe")
	available.sees("presence romeo subscribe")
	interested.sees()
	neither.sees()
	available.send(sub("subscribed", "romeo"))
	both.sees("push romeo from")
	interested.sees("push romeo from")
	available.sees()
	romeo.send(sub("unsubscribe", "juliet"))
	both.sees("presence romeo unsubscribe", "push romeo none")
	interested.sees("presence romeo unsubscribe", "push romeo none")
	available.sees("presence romeo unsubscribe")
	neither.sees()
}

// TestPendingRequests: RFC 6121 §3.1.3, a request waits for the user, payload included, at every login until it is answered.
func TestPendingRequests(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	romeo := w.at("romeo/garden")
	romeo.send("<presence type='subscribe' to='juliet@chat.example/somewhere'><status>Remember the ball?</status></presence>")
	for range 2 {
		juliet := w.connect("juliet@chat.example/balcony")
		juliet.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
		juliet.sees("result r")
		juliet.send("<presence/>")
		got := strings.Join(juliet.raw(), "\n")
		if !strings.Contains(got, "type='subscribe'") || !strings.Contains(got, "<status>Remember the ball?</status>") ||
			!strings.Contains(got, "from='romeo@chat.example'") {
			t.Errorf("no request: %s", got)
		}
		juliet.hasRoster()
		juliet.s.Closed()
		w.start() // it outlives the process
	}
	juliet := w.at("juliet/balcony")
	juliet.send(sub("unsubscribed", "romeo")) // §3.2.3: denied
	juliet.s.Closed()
	if row, ok := w.store.row("juliet", "romeo@chat.example"); ok {
		t.Errorf("a denied request left %+v", row)
	}
	if row, _ := w.store.row("romeo", "juliet@chat.example"); row.Ask || row.Subscription != SubscriptionNone {
		t.Errorf("the denial did not reach the roster of who asked: %+v", row)
	}
	juliet = w.connect("juliet@chat.example/balcony")
	juliet.send("<presence/>")
	juliet.sees("presence juliet/balcony available")
}

// TestRequestsAreBounded in size and number; strangers cannot fill a roster.
func TestRequestsAreBounded(t *testing.T) {
	names := []string{"juliet"}
	for i := range MaxPending + 1 {
		names = append(names, fmt.Sprintf("u%d", i))
	}
	w := newWorld(t, names...)
	for i := range MaxPending + 1 {
		c := w.connect(fmt.Sprintf("u%d@chat.example/x", i))
		c.send("<presence type='subscribe' to='juliet@chat.example'><status>" + strings.Repeat("x", MaxRequestPayload) + "</status></presence>")
		c.s.Closed()
	}
	rows, err := w.store.LoadRoster(t.Context(), "juliet")
	if err != nil || len(rows) != MaxPending {
		t.Errorf("%d requests are kept, %v", len(rows), err)
	}
	for _, r := range rows {
		if len(r.Request) > 0 || !r.PendingIn || !r.Hidden {
			t.Errorf("kept %+v", r)
			break
		}
	}
	w.idle()
}

// TestLostRequestHeals: RFC 6121 §3.1.2, a pending request is sent again when the user logs in.
func TestLostRequestHeals(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.remember("romeo", Item{JID: jid.MustParse("juliet@chat.example"), Ask: true})
	juliet := w.at("juliet/balcony")
	w.at("romeo/garden")
	juliet.sees("presence romeo subscribe")
	juliet.send(sub("subscribed", "romeo"))

	// And one whose answer got lost is answered for the contact (§3.1.3).
	w = newWorld(t, "juliet", "romeo")
	w.remember("romeo", Item{JID: jid.MustParse("juliet@chat.example"), Ask: true})
	w.remember("juliet", Item{JID: jid.MustParse("romeo@chat.example"), Subscription: SubscriptionFrom})
	juliet = w.at("juliet/balcony")
	romeo := w.at("romeo/garden")
	juliet.sees()
	romeo.hasRoster("juliet to")
}

// TestPreApproval: RFC 6121 §3.4.
func TestPreApproval(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
	juliet.send(sub("subscribed", "romeo"))
	juliet.sees("push romeo none approved")
	romeo.sees() // §3.4.2: not routed
	romeo.send(sub("subscribe", "juliet"))
	juliet.sees("push romeo from") // not asked
	romeo.sees("push juliet none ask", "presence juliet subscribed", "push juliet to", "presence juliet/balcony available")

	juliet.send(sub("subscribed", "nurse"))
	juliet.send(sub("unsubscribed", "nurse"))
	juliet.sees("push nurse none approved", "push nurse none")
}

// TestSecurity33SubscriptionTricks is the list's number 33.
func TestSecurity33SubscriptionTricks(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "eve")
	juliet, romeo, eve := w.at("juliet/balcony"), w.at("romeo/garden"), w.at("eve/den")

	// An approval that nobody asked for changes nothing on the other side (§A.3.3).
	eve.send(sub("subscribed", "juliet"))
	eve.send(sub("unsubscribe", "juliet"))
	eve.send(sub("unsubscribed", "juliet"))
	juliet.sees()
	juliet.hasRoster()
	eve.take()

	// Nobody subscribes to themselves.
	eve.send(sub("subscribe", "eve"))
	eve.sees()

	// A request is no permission: no presence leaks before the approval, nor to probes.
	romeo.send(sub("subscribe", "juliet"))
	juliet.take()
	romeo.take()
	juliet.send("<presence><show>away</show></presence>")
	romeo.sees()
	eve.sees()

	// Strangers' probes are answered alike, whoever is there or is not.
	w.declare("tybalt")
	for _, target := range []string{"juliet", "tybalt", "nobody"} {
		romeo.send("<presence type='probe' to='" + target + "@chat.example'/>")
		romeo.sees("presence " + target + " unsubscribed")
		romeo.send("<presence type='probe' to='" + target + "@chat.example/balcony'/>")
		romeo.sees("presence " + target + " unsubscribed")
	}
	romeo.hasRoster("juliet none ask") // and asking costs nothing

	// Accounts that do not exist take a request as silently as any other (§8.5.1).
	eve.send(sub("subscribe", "nobody"))
	eve.sees("push nobody none ask")
	eve.send(sub("subscribe", "tybalt"))
	eve.sees("push tybalt none ask")
	if rows, _ := w.store.LoadRoster(t.Context(), "nobody"); len(rows) > 0 {
		t.Errorf("a roster of nobody: %+v", rows)
	}

	eve.send("<presence type='subscribe' to='x@montague.example'/>")
	eve.sees("presence error remote-server-not-found")
	// juliet is there since eve approved her in advance (§3.4.2), although eve took that back.
	eve.hasRoster("juliet none", "nobody none ask", "tybalt none ask")
}

// TestRemovalCascade is RFC 6121 §2.5.2 from every subscription state.
func TestRemovalCascade(t *testing.T) {
	for _, c := range []struct {
		mine, theirs Item
		they         []string // see
		left         string   // in their roster
	}{
		{Item{Subscription: SubscriptionBoth}, Item{Subscription: SubscriptionBoth},
			[]string{"presence juliet/balcony unavailable", "presence juliet unsubscribe", "push juliet to", "presence juliet unsubscribed", "push juliet none"}, "juliet none"},
		{Item{Subscription: SubscriptionTo}, Item{Subscription: SubscriptionFrom},
			[]string{"presence juliet unsubscribe", "push juliet none"}, "juliet none"},
		{Item{Subscription: SubscriptionFrom}, Item{Subscription: SubscriptionTo},
			[]string{"presence juliet/balcony unavailable", "presence juliet unsubscribed", "push juliet none"}, "juliet none"},
		{Item{}, Item{}, nil, "juliet none"},
		{Item{Ask: true}, Item{PendingIn: true}, []string{"presence juliet unsubscribe"}, "juliet none"},
	} {
		w := newWorld(t, "juliet", "romeo")
		c.mine.JID, c.theirs.JID = jid.MustParse("romeo@chat.example"), jid.MustParse("juliet@chat.example")
		w.remember("juliet", c.mine)
		w.remember("romeo", c.theirs)
		juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
		juliet.take()
		romeo.take()
		juliet.send(fmt.Sprintf(setItem, "<item jid='romeo@chat.example' subscription='remove'/>"))
		got := juliet.take()
		if len(got) < 2 || got[0] != "result s" || got[1] != "push romeo remove" {
			t.Errorf("%+v: juliet saw %q", c.mine, got)
		}
		romeo.sees(c.they...)
		romeo.hasRoster(c.left)
		juliet.hasRoster()
	}
}

// TestRemovalKeepsARequest: removing a contact does not answer what the contact asked.
func TestRemovalKeepsARequest(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.remember("juliet", Item{JID: jid.MustParse("romeo@chat.example"), Name: "Romeo", PendingIn: true})
	juliet := w.at("juliet/balcony")
	juliet.send(fmt.Sprintf(setItem, "<item jid='romeo@chat.example' subscription='remove'/>"))
	juliet.sees("result s", "push romeo remove")
	juliet.hasRoster()
	row, ok := w.store.row("juliet", "romeo@chat.example")
	if !ok || !row.PendingIn || !row.Hidden || row.Name != "" {
		t.Errorf("stored %+v", row)
	}
}
