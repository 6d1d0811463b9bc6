package account

import (
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// TestLastActivity: XEP-0012 §3: seconds since the last resource went and what it said then, 0 while one is there, nothing for those who may not
// see the presence, who cannot tell whether the account exists.
func TestLastActivity(t *testing.T) {
	w := newWorld(t, "juliet", "romeo", "tybalt")
	w.befriend("juliet", "romeo")
	juliet := w.at("juliet/balcony")
	ask := func(c *client, who string) string {
		t.Helper()
		c.take()
		c.send("<iq type='get' id='l' to='" + who + "@chat.example'><query xmlns='jabber:iq:last'/></iq>")
		st := read(t, c.raw()[0])
		if e := stanza.ParseError(&st); e != nil {
			return string(e.Condition)
		}
		q := st.Child("jabber:iq:last", "query")
		return string(q.Attr("seconds")) + " " + string(q.Text())
	}
	check := func(what, got, expected string) {
		t.Helper()
		if got != expected {
			t.Errorf("%s: %q, want %q", what, got, expected)
		}
	}
	check("never there", ask(juliet, "romeo"), "item-not-found")
	romeo := w.at("romeo/orchard")
	check("there", ask(juliet, "romeo"), "0 ")
	hall := w.at("romeo/hall")
	hall.send("<presence type='unavailable'><status>not the last</status></presence>")
	check("still there", ask(juliet, "romeo"), "0 ")
	romeo.send("<presence type='unavailable'><status>Heading Home</status></presence>")
	check("gone", ask(juliet, "romeo"), "0 Heading Home")
	eventually(t, "it to be written", func() bool { _, ok, _ := w.store.GetLast(t.Context(), "romeo"); return ok })
	w.start()
	w.store.set(func() {
		l := w.store.last["romeo"]
		l.Since = l.Since.Add(-903 * time.Second)
		w.store.last["romeo"] = l
	})
	juliet = w.at("juliet/balcony")
	check("gone, after a restart", ask(juliet, "romeo"), "903 Heading Home")
	tybalt := w.at("tybalt/street")
	check("a stranger", ask(tybalt, "romeo"), "forbidden")
	check("a stranger about nobody", ask(tybalt, "nobody"), "forbidden")
	// A connection that breaks is the end of presence, too (RFC 6121 §4.5.3).
	romeo = w.at("romeo/orchard")
	romeo.s.Closed()
	check("broken off", ask(juliet, "romeo"), "0 ")
}
