package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// TestOneRoster: declared contacts and those that a client made are one roster; what is declared wins, and what is beneath comes back.
func TestOneRoster(t *testing.T) {
	w := newWorld(t)
	w.declare("juliet", "romeo@chat.example both", "nurse@chat.example to")
	w.remember("juliet", Item{JID: jid.MustParse("tybalt@chat.example"), Name: "Cousin", Subscription: SubscriptionTo})
	w.remember("juliet", Item{JID: jid.MustParse("romeo@chat.example"), Name: "My Romeo", Subscription: SubscriptionNone})
	juliet := w.at("juliet/balcony")
	juliet.hasRoster("nurse to", "romeo both", "tybalt to")
	items, err := w.rosters.Roster(t.Context(), "juliet")
	if err != nil || len(items) != 3 {
		t.Fatalf("%+v, %v", items, err)
	}
	if r := items[1]; !r.Declared || r.Name != "Declared" || !slices.Equal(r.Groups, []string{"Staff"}) || items[2].Declared {
		t.Errorf("%+v", items)
	}
	w.declare("juliet", "nurse@chat.example to")
	juliet.awaits("push romeo none")
	items, _ = w.rosters.Roster(t.Context(), "juliet")
	if r := items[1]; r.Declared || r.Name != "My Romeo" {
		t.Errorf("beneath the declaration was %+v", r)
	}
}

// TestDeclaredChanges: a changed declaration is pushed, and presence follows it, while everybody is online.
func TestDeclaredChanges(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.declare("romeo", "juliet@chat.example from") // juliet may see romeo
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
	juliet.take()
	romeo.take()

	w.declare("juliet", "romeo@chat.example to")
	juliet.awaits("push romeo to", "presence romeo/garden available") // the presence of the contact arrives
	w.declare("juliet", "romeo@chat.example both")
	juliet.awaits("push romeo both")
	romeo.awaits("presence juliet/balcony available") // one's own goes there
	w.declare("juliet", "romeo@chat.example to")
	romeo.awaits("presence juliet/balcony unavailable")
	juliet.awaits("push romeo to")
	w.declare("juliet")
	juliet.awaits("push romeo remove")
	romeo.sees()

	// What does not concern the roster is not pushed.
	u, _ := w.dir.User("juliet")
	other := *u
	other.DisplayName = "Juliet Capulet"
	w.dir.PutUser(other)
	w.declare("juliet", "nurse@chat.example none")
	juliet.awaits("push nurse none")
}

// TestClientChangesDeclared: a client's change of a declared contact goes where it is declared, and comes back from there.
func TestClientChangesDeclared(t *testing.T) {
	w := newWorld(t)
	w.declare("juliet", "romeo@chat.example both")
	w.declare("romeo", "juliet@chat.example both")
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
	juliet.take()

	juliet.send(fmt.Sprintf(setItem, "<item jid='romeo@chat.example' name='Love'><group>Secret</group></item>"))
	var got []string
	eventually(t, "result and push", func() bool { got = append(got, juliet.take()...); return len(got) >= 2 })
	slices.Sort(got)
	if !slices.Equal(got, []string{"push romeo both", "result s"}) {
		t.Errorf("%q", got)
	}
	u, _ := w.dir.User("juliet")
	if c := u.Contacts[0]; c.Name != "Love" || !slices.Equal(c.Groups, []string{"Secret"}) || c.Subscription != directory.SubscriptionBoth {
		t.Errorf("declared: %+v", c)
	}
	if rows, _ := w.store.LoadRoster(t.Context(), "juliet"); len(rows) > 0 {
		t.Errorf("remembered as well: %+v", rows)
	}

	juliet.send(fmt.Sprintf(setItem, "<item jid='romeo@chat.example' subscription='remove'/>"))
	got = nil
	eventually(t, "result and push", func() bool {
		got = append(got, juliet.take()...)
		return slices.Contains(got, "result s") && slices.Contains(got, "push romeo remove")
	})
	if u, _ := w.dir.User("juliet"); len(u.Contacts) > 0 {
		t.Errorf("declared: %+v", u.Contacts)
	}
	// The other side is declared, too, and follows (RFC 6121 §2.5.2).
	eventually(t, "romeo's declaration to follow", func() bool {
		u, _ := w.dir.User("romeo")
		return len(u.Contacts) == 1 && u.Contacts[0].Subscription == directory.SubscriptionNone
	})
	eventually(t, "romeo to hear of it", func() bool { items, _ := romeo.roster(); return slices.Equal(items, []string{"juliet none"}) })
}

// TestRefusals: who declares a contact decides; the client hears who that is, or when to come back, and nothing changes.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, condition, typ, says string
		err                        error
	}{
		{"declared elsewhere", "not-allowed", "cancel", "flux", &directory.ManagedError{Field: "spec.roster", Manager: "flux"}},
		{"declared elsewhere, wrapped", "not-allowed", "cancel", "flux", fmt.Errorf("contact: %w", &directory.ManagedError{Field: "spec.roster", Manager: "flux"})},
		{"policy", "not-allowed", "cancel", "inBandPolicy", &directory.ManagedError{Field: "spec.roster", Policy: true}},
		{"API server away", "resource-constraint", "wait", "later", &directory.UnavailableError{RetryAfter: time.Second}},
		{"too many", "resource-constraint", "wait", "in a minute", directory.ErrTooManyRequests},
		{"conflict", "resource-constraint", "wait", "again", directory.ErrConflict},
		{"timeout", "resource-constraint", "wait", "later", context.DeadlineExceeded},
		{"limit", "resource-constraint", "cancel", "1000", &directory.LimitError{Field: "spec.roster", Limit: 1000}},
		{"invalid", "not-acceptable", "modify", "too long", &directory.InvalidError{Field: "spec.roster", Message: "the name is too long"}},
		{"unknown", "internal-server-error", "wait", "later", errors.New("a secret detail")},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "romeo")
			w.declare("juliet", "romeo@chat.example both")
			w.remember("romeo", Item{JID: jid.MustParse("juliet@chat.example"), Subscription: SubscriptionBoth})
			juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
			juliet.take()
			romeo.take()
			w.gate.say(c.err)
			for _, xml := range []string{
				fmt.Sprintf(setItem, "<item jid='romeo@chat.example' name='Love'/>"),
				fmt.Sprintf(setItem, "<item jid='romeo@chat.example' subscription='remove'/>"),
				sub("unsubscribe", "romeo"),
				sub("unsubscribed", "romeo"),
			} {
				juliet.send(xml)
				got := juliet.raw()
				if len(got) != 1 || !strings.Contains(got[0], "<"+c.condition+" ") || !strings.Contains(got[0], "<error type='"+c.typ+"'") || !strings.Contains(got[0], c.says) {
					t.Errorf("%s: %q", xml, got)
				}
				if strings.Contains(strings.Join(got, ""), "secret detail") {
					t.Error("an inner error reached the client")
				}
			}
			juliet.hasRoster("romeo both")
			romeo.sees()
			romeo.hasRoster("juliet both")
		})
	}
}

// TestSubscriptionOfDeclared: the subscription stanzas of a declared contact change the declaration (RFC 6121 appendix A all the same).
func TestSubscriptionOfDeclared(t *testing.T) {
	w := newWorld(t, "romeo")
	w.declare("juliet", "romeo@chat.example none")
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")

	// Asking is not declared, it is remembered.
	juliet.send(sub("subscribe", "romeo"))
	juliet.sees("push romeo none ask")
	romeo.sees("presence juliet subscribe")
	if row, _ := w.store.row("juliet", "romeo@chat.example"); !row.Ask || !row.Hidden {
		t.Errorf("remembered: %+v", row)
	}
	if len(w.gate.asked) > 0 {
		t.Errorf("proposed: %q", w.gate.asked)
	}
	// The answer is.
	romeo.send(sub("subscribed", "juliet"))
	eventually(t, "the declaration to change", func() bool {
		u, _ := w.dir.User("juliet")
		return u.Contacts[0].Subscription == directory.SubscriptionTo
	})
	eventually(t, "juliet's roster", func() bool { items, _ := juliet.roster(); return slices.Equal(items, []string{"romeo to"}) })
	eventually(t, "nothing remembered of it", func() bool { _, ok := w.store.row("juliet", "romeo@chat.example"); return !ok })
	juliet.take()
	romeo.take()

	// Approving a contact's request.
	romeo.send(sub("subscribe", "juliet"))
	juliet.awaits("presence romeo subscribe")
	juliet.send(sub("subscribed", "romeo"))
	eventually(t, "the declaration to be both", func() bool {
		u, _ := w.dir.User("juliet")
		return u.Contacts[0].Subscription == directory.SubscriptionBoth
	})
	romeo.hasRoster("juliet both")
	if row, ok := w.store.row("juliet", "romeo@chat.example"); ok {
		t.Errorf("remembered: %+v", row)
	}
}

// TestRefusedAnswer: when a declaration refuses what a contact answered, it stays as it is, and the question is not asked again and again.
func TestRefusedAnswer(t *testing.T) {
	w := newWorld(t, "romeo")
	w.declare("juliet", "romeo@chat.example none")
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
	juliet.send(sub("subscribe", "romeo"))
	juliet.take()
	romeo.take()
	w.gate.say(&directory.ManagedError{Field: "spec.roster", Manager: "flux"})
	romeo.send(sub("subscribed", "juliet"))
	// romeo's own side is his: he lets juliet see him.
	var got []string
	eventually(t, "the push", func() bool { got = append(got, juliet.take()...); return len(got) >= 2 })
	slices.Sort(got)
	if !slices.Equal(got, []string{"presence romeo/garden available", "push romeo none"}) {
		t.Errorf("juliet saw %q", got)
	}
	juliet.hasRoster("romeo none")
	if _, ok := w.store.row("juliet", "romeo@chat.example"); ok {
		t.Error("the question is still remembered")
	}
}

// TestService: what REST does.
func TestService(t *testing.T) {
	by := directory.Actor{Via: "REST", Name: "admin"}
	w := newWorld(t, "juliet", "romeo", "nurse")
	w.befriend("juliet", "romeo")
	w.remember("juliet", Item{JID: jid.MustParse("eve@chat.example"), PendingIn: true, Hidden: true})
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
	juliet.take()
	romeo.take()

	if _, err := w.rosters.Roster(t.Context(), "nobody"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("the roster of nobody: %v", err)
	}
	if items, err := w.rosters.Roster(t.Context(), "juliet"); err != nil || len(items) != 1 { // a request is no contact
		t.Errorf("%+v, %v", items, err)
	}
	for _, c := range []struct{ user, contact string }{{"nobody", "romeo@chat.example"}, {"juliet", "nurse@chat.example"}, {"juliet", "eve@chat.example"}} {
		if err := w.rosters.Remove(t.Context(), by, c.user, jid.MustParse(c.contact)); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("removing %s of %s: %v", c.contact, c.user, err)
		}
	}
	if err := w.rosters.Remove(t.Context(), by, "juliet", jid.MustParse("romeo@chat.example/garden")); err != nil {
		t.Fatal(err)
	}
	juliet.seesInAnyOrder("push romeo remove", "presence romeo/garden unavailable")
	romeo.sees("presence juliet/balcony unavailable", "presence juliet unsubscribe", "push juliet to", "presence juliet unsubscribed", "push juliet none")

	// A declared contact goes where it is declared; a refusal comes back as it is.
	w.declare("nurse", "juliet@chat.example both")
	w.gate.say(&directory.ManagedError{Field: "spec.roster", Manager: "flux"})
	var managed *directory.ManagedError
	if err := w.rosters.Remove(t.Context(), by, "nurse", jid.MustParse("juliet@chat.example")); !errors.As(err, &managed) {
		t.Errorf("%v", err)
	}
	w.gate.say(nil)
	if err := w.rosters.Remove(t.Context(), by, "nurse", jid.MustParse("juliet@chat.example")); err != nil {
		t.Error(err)
	}
	if items, err := w.rosters.Roster(t.Context(), "nurse"); err != nil || len(items) > 0 {
		t.Errorf("%+v, %v", items, err)
	}
}

// TestSet: a contact is changed where it lives, with the presence that follows from its subscription, and never made.
func TestSet(t *testing.T) {
	by := directory.Actor{Via: "REST", Name: "admin"}
	w := newWorld(t, "juliet", "romeo", "nurse")
	w.befriend("juliet", "romeo")
	w.remember("juliet", Item{JID: jid.MustParse("eve@chat.example"), PendingIn: true, Hidden: true})
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
	juliet.take()
	romeo.take()
	contact := func(address string, s Subscription, groups ...string) directory.Contact {
		return directory.Contact{JID: jid.MustParse(address), Name: "Love", Subscription: s, Groups: groups}
	}

	if err := w.rosters.Set(t.Context(), by, "juliet", contact("romeo@chat.example", SubscriptionTo, "b", "a")); err != nil {
		t.Fatal(err)
	}
	juliet.sees("push romeo to")
	romeo.sees("presence juliet/balcony unavailable")
	rows, err := w.store.LoadRoster(t.Context(), "juliet")
	if err != nil || !slices.ContainsFunc(rows, func(it Item) bool {
		return it.JID == jid.MustParse("romeo@chat.example") && it.Name == "Love" && slices.Equal(it.Groups, []string{"a", "b"}) && it.Subscription == SubscriptionTo
	}) {
		t.Errorf("%+v, %v", rows, err)
	}
	if u, _ := w.dir.User("juliet"); len(u.Contacts) > 0 {
		t.Errorf("declared as well: %+v", u.Contacts)
	}

	w.declare("nurse", "juliet@chat.example both")
	if err := w.rosters.Set(t.Context(), by, "nurse", contact("juliet@chat.example", SubscriptionNone)); err != nil {
		t.Fatal(err)
	}
	if u, _ := w.dir.User("nurse"); u.Contacts[0].Name != "Love" || u.Contacts[0].Subscription != SubscriptionNone {
		t.Errorf("declared: %+v", u.Contacts)
	}

	for _, c := range []struct{ user, contact string }{{"nobody", "romeo@chat.example"}, {"juliet", "nurse@chat.example"}, {"juliet", "eve@chat.example"}} {
		if err := w.rosters.Set(t.Context(), by, c.user, contact(c.contact, SubscriptionBoth)); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("changing %s of %s: %v", c.contact, c.user, err)
		}
	}
	var invalid *directory.InvalidError
	for _, groups := range [][]string{{""}, {"a", "a"}} {
		if err := w.rosters.Set(t.Context(), by, "juliet", contact("romeo@chat.example", SubscriptionTo, groups...)); !errors.As(err, &invalid) {
			t.Errorf("groups %q: %v", groups, err)
		}
	}
}

// TestForget: an account that goes away disappears from all rosters.
func TestForget(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "nurse", "eve")
	w.befriend("juliet", "romeo")
	w.remember("nurse", Item{JID: jid.MustParse("juliet@chat.example"), Subscription: SubscriptionTo})
	w.remember("eve", Item{JID: jid.MustParse("juliet@chat.example"), PendingIn: true, Hidden: true})
	romeo := w.at("romeo/garden")
	if err := w.rosters.Forget(t.Context(), "juliet"); err != nil {
		t.Fatal(err)
	}
	romeo.sees("push juliet remove")
	romeo.hasRoster()
	if holders, _ := w.store.Holders(t.Context(), jid.MustParse("juliet@chat.example")); len(holders) > 0 {
		t.Errorf("still in the rosters of %q", holders)
	}
}

// TestRenamed: an account that has another name is a contact under that one, and clients see one go and another come (RFC 6121 §2.1.6).
func TestRenamed(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "nurse", "eve", "julia")
	w.befriend("juliet", "romeo")
	w.remember("nurse", Item{JID: jid.MustParse("juliet@chat.example"), Name: "J", Subscription: SubscriptionTo})
	w.remember("nurse", Item{JID: jid.MustParse("julia@chat.example"), Name: "there already", Subscription: SubscriptionFrom})
	w.remember("eve", Item{JID: jid.MustParse("juliet@chat.example"), PendingIn: true, Hidden: true})
	romeo, nurse := w.at("romeo/garden"), w.at("nurse/door")
	for range 2 { // again changes nothing
		if err := w.rosters.Renamed(t.Context(), "juliet", "julia"); err != nil {
			t.Fatal(err)
		}
	}
	romeo.sees("push julia both", "push juliet remove")
	romeo.hasRoster("julia both")
	nurse.sees("push julia both", "push juliet remove")
	if holders, _ := w.store.Holders(t.Context(), jid.MustParse("juliet@chat.example")); len(holders) > 0 {
		t.Errorf("still in the rosters of %q", holders)
	}
	if holders, _ := w.store.Holders(t.Context(), jid.MustParse("julia@chat.example")); len(holders) != 3 {
		t.Errorf("in the rosters of %q", holders)
	}
}
