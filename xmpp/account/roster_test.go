package account

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const setItem = "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>%s</query></iq>"

// TestRosterSet: RFC 6121 §2.3 (adding), §2.4 (updating), §2.5 (deleting), and pushes to interested resources only (§2.1.6, §2.2).
func TestRosterSet(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	balcony, chamber := w.at("juliet/balcony"), w.at("juliet/chamber")
	deaf := w.connect("juliet@chat.example/deaf") // available, but never asked for the roster
	deaf.send("<presence/>")
	stranger := w.at("romeo/garden")
	for _, c := range []*client{balcony, chamber, deaf, stranger} {
		c.take()
	}

	w.store.onPut = func(_ string, it Item) { // §2.3.2: stored before anybody is told
		for _, c := range []*client{balcony, chamber} {
			if got := c.raw(); len(got) > 0 {
				t.Errorf("told before it was stored: %q", got)
			}
		}
	}
	balcony.send(fmt.Sprintf(setItem, "<item jid='Nurse@chat.example/x' name='Nurse' subscription='both' ask='subscribe'><group>Servants</group><group>Friends</group></item>"))
	w.store.onPut = nil
	balcony.sees("result s", "push nurse none") // §2.1.2: clients do not set subscription and ask
	chamber.sees("push nurse none")
	deaf.sees()
	stranger.sees()
	row, _ := w.store.row("juliet", "nurse@chat.example")
	if row.Name != "Nurse" || fmt.Sprint(row.Groups) != "[Friends Servants]" || row.Hidden {
		t.Errorf("stored: %+v", row)
	}

	chamber.send(fmt.Sprintf(setItem, "<item jid='nurse@chat.example' name='Angelica'/>"))
	chamber.sees("result s", "push nurse none")
	balcony.sees("push nurse none")
	if row, _ := w.store.row("juliet", "nurse@chat.example"); row.Name != "Angelica" || len(row.Groups) != 0 {
		t.Errorf("stored: %+v", row)
	}

	balcony.send(fmt.Sprintf(setItem, "<item jid='nurse@chat.example' subscription='remove'/>"))
	balcony.sees("result s", "push nurse remove")
	chamber.sees("push nurse remove")
	if _, there := w.store.row("juliet", "nurse@chat.example"); there {
		t.Error("still stored")
	}
	balcony.send(fmt.Sprintf(setItem, "<item jid='nurse@chat.example' subscription='remove'/>"))
	balcony.sees("iq error item-not-found") // §2.5.3
}

// TestRosterSetRefused: RFC 6121 §2.1.5 and §2.3.3.
func TestRosterSetRefused(t *testing.T) {
	groups := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<group>g%d</group>", i)
		}
		return b.String()
	}
	for _, c := range []struct{ item, condition string }{
		{"", "bad-request"},
		{"<item jid='a@x.example'/><item jid='b@x.example'/>", "bad-request"},
		{"<item xmlns='urn:x' jid='a@x.example'/>", "bad-request"},
		{"<item name='x'/>", "bad-request"},
		{"<item jid='a@b@c/'/>", "jid-malformed"},
		{"<item jid='a@x.example'><group>A</group><group>A</group></item>", "bad-request"},
		{"<item jid='a@x.example'><group></group></item>", "not-acceptable"},
		{"<item jid='a@x.example'><group>" + strings.Repeat("x", 1024) + "</group></item>", "not-acceptable"},
		{"<item jid='a@x.example' name='" + strings.Repeat("x", 1024) + "'/>", "not-acceptable"},
		{"<item jid='a@x.example'>" + groups(51) + "</item>", "not-acceptable"},
		{"<item jid='juliet@chat.example'/>", "not-allowed"},
	} {
		w := newWorld(t, "juliet")
		juliet := w.at("juliet/balcony")
		juliet.send(fmt.Sprintf(setItem, c.item))
		if got := juliet.take(); len(got) != 1 || got[0] != "iq error "+c.condition {
			t.Errorf("%.60s: %q, want %s", c.item, got, c.condition)
		}
		juliet.hasRoster()
	}
	w := newWorld(t, "juliet")
	juliet := w.at("juliet/balcony")
	juliet.send(fmt.Sprintf(setItem, "<item jid='a@x.example' name='"+strings.Repeat("x", 1023)+"'>"+groups(50)+"</item>"))
	juliet.sees("result s", "push a@x.example none")
}

// TestRosterOfOthers: RFC 6121 §2.1.5, nobody reads or changes somebody else's roster, and nobody learns whether there is one.
func TestRosterOfOthers(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.befriend("juliet", "romeo")
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
	juliet.take()
	for _, who := range []string{"juliet", "nobody"} {
		for _, typ := range []string{"get", "set"} {
			romeo.send("<iq type='" + typ + "' id='x' to='" + who + "@chat.example'><query xmlns='jabber:iq:roster'><item jid='eve@x.example'/></query></iq>")
			romeo.sees("iq error forbidden")
		}
	}
	juliet.sees()
	juliet.hasRoster("romeo both")
}

// TestRosterLimit: a roster has an end, and says so.
func TestRosterLimit(t *testing.T) {
	w := newWorld(t, "juliet")
	for i := range w.dir.Int(directory.KeyMaxContacts) {
		w.remember("juliet", Item{JID: jid.MustParse(fmt.Sprintf("c%d@x.example", i))})
	}
	juliet := w.at("juliet/balcony")
	juliet.send(fmt.Sprintf(setItem, "<item jid='more@x.example'/>"))
	juliet.sees("iq error resource-constraint")
	juliet.send("<presence type='subscribe' to='more@chat.example'/>")
	juliet.sees("presence error resource-constraint")
	juliet.send(fmt.Sprintf(setItem, "<item jid='c7@x.example' name='Seven'/>"))
	juliet.sees("result s", "push c7@x.example none")
	// The limit is a property, and in force at once.
	if err := w.dir.PutProperty(directory.SystemProperty{Ref: directory.Ref{Name: "p", UID: "p"}, Key: directory.KeyMaxContacts, Value: "1001"}); err != nil {
		t.Fatal(err)
	}
	juliet.send(fmt.Sprintf(setItem, "<item jid='more@x.example'/>"))
	juliet.sees("result s", "push more@x.example none")
	juliet.send(fmt.Sprintf(setItem, "<item jid='evenmore@x.example'/>"))
	juliet.sees("iq error resource-constraint")
}

// TestRosterVersion: RFC 6121 §2.6. Equal rosters have equal versions, also after a restart, and different ones different.
func TestRosterVersion(t *testing.T) {
	w := newWorld(t, "juliet")
	juliet := w.at("juliet/balcony")
	_, empty := juliet.roster()
	juliet.send(fmt.Sprintf(setItem, "<item jid='nurse@x.example' name='Nurse'/>"))
	pushed := juliet.raw()[1]
	_, one := juliet.roster()
	if one == empty || one == "" || !strings.Contains(pushed, one) {
		t.Errorf("versions %q and %q, pushed %s", empty, one, pushed)
	}
	get := func(ver string) string {
		juliet.send("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='" + ver + "'/></iq>")
		return juliet.raw()[0]
	}
	if got := get(one); strings.Contains(got, "query") || !strings.Contains(got, "type='result'") {
		t.Errorf("the version is right, but: %s", got)
	}
	for _, ver := range []string{strings.Repeat("A", 25) + "Q", "", "made-up"} {
		if got := get(ver); !strings.Contains(got, "nurse@x.example") || !strings.Contains(got, one) {
			t.Errorf("ver=%q: %s", ver, got)
		}
	}
	seen := map[string]bool{empty: true, one: true}
	for _, item := range []string{"name='Angelica'", "name='Angelica' subscription='x'"} {
		juliet.send(fmt.Sprintf(setItem, "<item jid='nurse@x.example' "+item+"><group>G</group></item>"))
		_, ver := juliet.roster()
		if item == "name='Angelica'" && seen[ver] {
			t.Errorf("%s did not change the version", item)
		}
		seen[ver] = true
	}
	_, before := juliet.roster()
	juliet.s.Closed()
	w.start()
	juliet = w.at("juliet/balcony")
	if _, after := juliet.roster(); after != before {
		t.Errorf("a restart changed the version from %q to %q", before, after)
	}
	juliet.send(fmt.Sprintf(setItem, "<item jid='nurse@x.example' subscription='remove'/>"))
	if _, ver := juliet.roster(); ver != empty {
		t.Errorf("an empty roster has version %q, had %q", ver, empty)
	}
}

// TestBrokenStore: what cannot be stored is not pushed, and the client hears to try again.
func TestBrokenStore(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet, romeo := w.at("juliet/balcony"), w.at("romeo/garden")
	w.store.mu.Lock()
	w.store.broken = true
	w.store.mu.Unlock()
	juliet.send(fmt.Sprintf(setItem, "<item jid='nurse@x.example'/>"))
	got := juliet.raw()
	if len(got) != 1 || !strings.Contains(got[0], "internal-server-error") || !strings.Contains(got[0], "type='wait'") {
		t.Errorf("%q", got)
	}
	if strings.Contains(strings.Join(got, ""), errBroken.Error()) {
		t.Error("the client sees the store's error")
	}
	juliet.send("<presence type='subscribe' to='romeo@chat.example'/>")
	juliet.sees("presence error internal-server-error")
	romeo.sees()
	juliet.hasRoster()
	w.store.mu.Lock()
	w.store.broken = false
	w.store.mu.Unlock()
	juliet.send(fmt.Sprintf(setItem, "<item jid='nurse@x.example'/>"))
	juliet.sees("result s", "push nurse@x.example none")
}
