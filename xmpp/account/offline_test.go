package account

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// chat sends a chat message with a body.
func (c *client) chat(to, body string) {
	c.t.Helper()
	c.send("<message to='" + to + "@" + domain + "' type='chat' id='" + body + "'><body>" + body + "</body></message>")
}

// bodies waits until so many messages have come and gives their bodies in order; errors show as "!condition".
func (c *client) bodies(n int) []string {
	c.t.Helper()
	out := []string{}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		for _, xml := range c.raw() {
			if !strings.HasPrefix(xml, "<message") {
				continue
			}
			if st := read(c.t, xml); st.Kind == stanza.Message {
				if e := stanza.ParseError(&st); e != nil {
					out = append(out, "!"+string(e.Condition))
				} else {
					out = append(out, string(st.Child(stanza.NSClient, "body").Text()))
				}
			}
		}
		if len(out) >= n {
			return out
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s got %q, want %d messages", c.full, out, n)
		}
	}
}

func read(t testing.TB, xml string) stanza.Stanza {
	t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	st, bad := stanza.Parse(e, nil)
	if bad != nil {
		t.Fatalf("%s: %v", xml, bad)
	}
	return st
}

func (w *world) property(key, value string) {
	w.t.Helper()
	if err := w.dir.PutProperty(directory.SystemProperty{Ref: directory.Ref{Name: key, UID: key, Created: time.Unix(1, 0)}, Key: key, Value: value}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) keeps(username string, n int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d messages for %s", n, username), func() bool { return w.store.kept(username) == n })
}

// arrive connects and sends presence, and leaves what comes then to be seen.
func (w *world) arrive(who string) *client {
	w.t.Helper()
	name, resource, _ := strings.Cut(who, "/")
	c := w.connect(name + "@" + domain + "/" + resource)
	c.send("<presence/>")
	return c
}

func (c *client) gets(expected ...string) {
	c.t.Helper()
	if got := c.bodies(len(expected)); !slices.Equal(got, expected) {
		c.t.Errorf("%s got %q, want %q", c.full, got, expected)
	}
}

// settled fails when the service still holds accounts that nothing is under way for.
func (w *world) settled() {
	w.t.Helper()
	eventually(w.t, "nothing under way", func() bool {
		w.offline.mu.Lock()
		defer w.offline.mu.Unlock()
		return len(w.offline.boxes) == 0 && len(w.offline.waiting) == 0 && w.offline.bytes == 0
	})
}

// TestOfflineMessages: XEP-0160 §2, XEP-0203 §4: kept, over a restart, and given back in order and once, with the time when they came.
func TestOfflineMessages(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet := w.at("juliet/balcony")
	before := time.Now().Truncate(time.Millisecond)
	for i := range 450 { // more than one batch
		juliet.chat("romeo", strconv.Itoa(i))
	}
	w.keeps("romeo", 450)
	if got := juliet.take(); len(got) > 0 {
		t.Errorf("the sender got %q", got)
	}
	w.start()
	romeo := w.connect("romeo@chat.example/orchard")
	romeo.send("<presence><priority>0</priority></presence>")
	var got []string
	eventually(t, "all messages", func() bool {
		for _, xml := range romeo.raw() {
			if strings.HasPrefix(xml, "<message") {
				got = append(got, xml)
			}
		}
		return len(got) >= 450
	})
	for i, xml := range got {
		m := read(t, xml)
		if string(m.Child(stanza.NSClient, "body").Text()) != strconv.Itoa(i) || m.From.String() != "juliet@chat.example/balcony" || m.To.String() != "romeo@chat.example" {
			t.Fatalf("message %d is %s", i, xml)
		}
		delay := m.Child(stanza.NSDelay, "delay")
		stamp, err := time.Parse(time.RFC3339Nano, string(delay.Attr("stamp")))
		if err != nil || string(delay.Attr("from")) != domain || stamp.Before(before) || stamp.After(time.Now()) || !strings.HasSuffix(string(delay.Attr("stamp")), "Z") {
			t.Fatalf("the delay of %s: %v", xml, err)
		}
		if id := m.Child(stanza.NSStanzaID, "stanza-id"); string(id.Attr("by")) != "romeo@chat.example" { // XEP-0359 §3
			t.Fatalf("no id of the account in %s", xml)
		}
	}
	w.keeps("romeo", 0)
	w.settled()
	// Live messages are live, and nothing comes twice.
	juliet = w.at("juliet/balcony")
	juliet.chat("romeo", "live")
	if got := romeo.raw(); len(got) != 1 || strings.Contains(got[0], "delay") {
		t.Errorf("a live message is %q", got)
	}
	again := w.arrive("romeo/hall")
	again.chat("romeo", "once")
	again.gets("once")
}

// TestOfflineFate: XEP-0160 §3 through RFC 6121 §8.5.2.2.1: what is kept, what comes back as an error, what is dropped.
func TestOfflineFate(t *testing.T) {
	for _, c := range []struct{ name, to, typ, payload, fate string }{
		{"chat", "romeo", "chat", "<body>x</body>", "kept"},
		{"no type", "romeo", "", "<body>x</body>", "kept"},
		{"to a resource", "romeo@chat.example/phone", "chat", "<body>x</body>", "kept"},
		{"receipt", "romeo", "chat", "<received xmlns='urn:xmpp:receipts' id='1'/>", "kept"},
		{"chat state", "romeo", "chat", "<paused xmlns='http://jabber.org/protocol/chatstates'/>", "service-unavailable"},
		{"no-store", "romeo", "chat", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>", "service-unavailable"},
		{"headline", "romeo", "headline", "<body>x</body>", ""},
		{"groupchat", "romeo", "groupchat", "<body>x</body>", "service-unavailable"},
		{"error", "romeo", "error", "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", ""},
		{"nobody", "nobody", "chat", "<body>x</body>", "service-unavailable"}, // RFC 6121 §8.5.1
		{"a guest", "guest", "chat", "<body>x</body>", "service-unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "juliet", "romeo")
			juliet := w.at("juliet/balcony")
			to := c.to
			if to == "guest" {
				s, err := w.sb.Bind(&client{t: t}, "", "")
				if err != nil {
					t.Fatal(err)
				}
				to = s.Username()
			}
			if !strings.Contains(to, "@") {
				to += "@" + domain
			}
			juliet.send("<message to='" + to + "' type='" + c.typ + "' id='m'>" + c.payload + "</message>")
			if c.fate == "kept" {
				w.keeps("romeo", 1)
			}
			w.settled()
			got := juliet.take()
			switch {
			case c.fate == "" || c.fate == "kept":
				if len(got) > 0 {
					t.Errorf("the sender got %q", got)
				}
			case !slices.Equal(got, []string{"message error " + c.fate}):
				t.Errorf("the sender got %q, want %s", got, c.fate)
			}
			if c.fate != "kept" && w.store.kept("romeo") > 0 {
				t.Error("it was kept")
			}
		})
	}
}

// TestOfflineBounds: XEP-0160 §2: a mailbox that is full says so. Number and age are properties that take effect at once.
func TestOfflineBounds(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.property(directory.KeyOfflineMessages, "2")
	juliet := w.at("juliet/balcony")
	for i := range 3 {
		juliet.chat("romeo", strconv.Itoa(i))
	}
	juliet.gets("!service-unavailable")
	w.keeps("romeo", 2)
	w.property(directory.KeyOfflineMessages, "3")
	juliet.chat("romeo", "3")
	w.keeps("romeo", 3)
	w.property(directory.KeyOfflineMessages, "0")
	w.store.set(func() { w.store.offline["romeo"][0].Received = time.Now().Add(-2 * time.Hour) })
	juliet.chat("romeo", "4")
	juliet.gets("!service-unavailable")
	w.property(directory.KeyOfflineAge, "1h")
	romeo := w.arrive("romeo/orchard")
	romeo.gets("1", "3")
	w.keeps("romeo", 0)

	// And what nobody comes for goes by itself.
	w.store.set(func() {
		w.store.offline["juliet"] = []OfflineMessage{{Username: "juliet", ID: 1, Received: time.Now().Add(-2 * time.Hour)}, {Username: "juliet", ID: 2, Received: time.Now()}}
	})
	w.start()
	w.keeps("juliet", 1)
}

// TestOfflinePriority: XEP-0160 §2, RFC 6121 §8.5.2.1.1: negative priorities get nothing that is meant for the account.
func TestOfflinePriority(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet, romeo := w.at("juliet/balcony"), w.connect("romeo@chat.example/orchard")
	romeo.send("<presence><priority>-1</priority></presence>")
	romeo.take()
	juliet.chat("romeo", "one")
	w.keeps("romeo", 1)
	w.settled()
	if got := romeo.take(); len(got) > 0 {
		t.Errorf("a negative priority got %q", got)
	}
	romeo.send("<presence><priority>5</priority></presence>")
	romeo.gets("one")
	w.settled()
	romeo.send("<presence type='unavailable'/>")
	juliet.chat("romeo", "two")
	w.keeps("romeo", 1)
	hall := w.arrive("romeo/hall")
	hall.gets("two")
}

// TestOfflineBrokenConnection: what a connection did not take until its end is still there, for the next one.
func TestOfflineBrokenConnection(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet := w.at("juliet/balcony")
	for i := range 300 {
		juliet.chat("romeo", strconv.Itoa(i))
	}
	w.keeps("romeo", 300)
	romeo := w.connect("romeo@chat.example/orchard")
	romeo.dies = 250 // in the second batch
	romeo.send("<presence/>")
	w.settled()
	romeo.s.Closed()
	juliet.chat("romeo", "300")
	w.settled()
	left := w.store.kept("romeo")
	if left != 101 {
		t.Fatalf("%d are left, want 101: the first batch was taken", left)
	}
	again := w.connect("romeo@chat.example/hall")
	again.send("<presence/>")
	got := again.bodies(left)
	for i, b := range got {
		if b != strconv.Itoa(200+i) {
			t.Fatalf("message %d is %s", i, b)
		}
	}
	w.keeps("romeo", 0)
}

// TestOfflineStoreFails: the sender of what could not be kept hears of it, and can try again.
func TestOfflineStoreFails(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet := w.at("juliet/balcony")
	w.store.set(func() { w.store.broken = true })
	juliet.chat("romeo", "one")
	juliet.gets("!resource-constraint")
	w.store.set(func() { w.store.broken = false })
	juliet.chat("romeo", "two")
	w.keeps("romeo", 1)
	w.arrive("romeo/orchard").gets("two")
}

// TestOfflineIsStoredBeforeItIsHandled: XEP-0198 §4: a message counts once it is in the store, and the sender does not wait for each.
func TestOfflineIsStoredBeforeItIsHandled(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet := w.at("juliet/balcony")
	juliet.send("<enable xmlns='urn:xmpp:sm:3'/>")
	juliet.raw()
	gate := make(chan struct{})
	w.store.set(func() { w.store.gate = gate })
	for i := range 100 {
		juliet.chat("romeo", strconv.Itoa(i)) // none of them waits
	}
	juliet.send("<r xmlns='urn:xmpp:sm:3'/>") // neither does this
	juliet.chat("romeo", "and one more")
	if got := juliet.raw(); len(got) > 0 {
		t.Fatalf("answered %q before anything was stored", got)
	}
	w.store.set(func() { w.store.gate = nil })
	close(gate)
	var got []string
	eventually(t, "the answer", func() bool { got = append(got, juliet.raw()...); return len(got) > 0 })
	if len(got) != 1 || got[0] != "<a xmlns='urn:xmpp:sm:3' h='100'/>" {
		t.Errorf("answered %q", got)
	}
	w.keeps("romeo", 101)
}

// TestOfflineAcknowledged: XEP-0198 §4: a client that acknowledges has a message once it says so; until then it stays in the store, and when the
// session ends without that, it is there once, for the next.
func TestOfflineAcknowledged(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet := w.at("juliet/balcony")
	juliet.chat("romeo", "one")
	juliet.chat("romeo", "two")
	w.keeps("romeo", 2)
	romeo := w.connect("romeo@chat.example/orchard")
	romeo.send("<enable xmlns='urn:xmpp:sm:3'/>")
	romeo.send("<presence/>") // comes back as the first stanza
	romeo.gets("one", "two")
	juliet.chat("romeo", "three") // waits its turn
	w.keeps("romeo", 3)
	romeo.s.Closed()
	w.settled()
	w.keeps("romeo", 3)
	hall := w.connect("romeo@chat.example/hall")
	hall.send("<enable xmlns='urn:xmpp:sm:3'/>")
	hall.send("<presence/>")
	hall.gets("one", "two", "three")
	hall.send("<a xmlns='urn:xmpp:sm:3' h='4'/>")
	w.keeps("romeo", 0)
	w.settled()
	juliet.chat("romeo", "live")
	hall.gets("live")
}

// TestOfflineEnabledMeanwhile: XEP-0198 §3: stanzas count from the answer to <enable/> on, so an acknowledgement says nothing of what was given back
// before that: it stays until it is written.
func TestOfflineEnabledMeanwhile(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet := w.at("juliet/balcony")
	juliet.chat("romeo", "one")
	juliet.chat("romeo", "two")
	w.keeps("romeo", 2)
	romeo := w.connect("romeo@chat.example/orchard")
	romeo.broken.Store(true)
	enabled := make(chan struct{})
	romeo.taken = func(stanza string) {
		if strings.Contains(stanza, "<body>one</body>") {
			go func() {
				defer close(enabled)
				romeo.send("<enable xmlns='urn:xmpp:sm:3'/>")
			}()
		}
		if strings.Contains(stanza, "<body>") {
			time.Sleep(5 * time.Millisecond) // who waits for a mutex for so long gets it next
		}
	}
	romeo.send("<presence/>")
	<-enabled
	w.settled()
	w.keeps("romeo", 2)
}

// TestOfflineSecondResource: who comes while messages are given back to another gets the live ones after that, and takes over when the other goes.
func TestOfflineSecondResource(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet := w.at("juliet/balcony")
	juliet.chat("romeo", "one")
	w.keeps("romeo", 1)
	first := w.connect("romeo@chat.example/first")
	first.send("<enable xmlns='urn:xmpp:sm:3'/>")
	first.send("<presence/>")
	first.gets("one")
	second := w.at("romeo/second")
	juliet.chat("romeo", "two")
	w.keeps("romeo", 2)
	if got := second.take(); len(got) > 0 {
		t.Errorf("the second resource got %q", got)
	}
	first.s.Closed()
	second.gets("one", "two")
	w.keeps("romeo", 0)
	w.settled()
	juliet.chat("romeo", "three")
	second.gets("three")
}

// TestOfflineUnacknowledged: a client that never acknowledges does not keep live messages from its account, and what it has not acknowledged stays.
func TestOfflineUnacknowledged(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.offline.mu.Lock()
	w.offline.patience = 10 * time.Millisecond
	w.offline.mu.Unlock()
	juliet := w.at("juliet/balcony")
	juliet.chat("romeo", "kept")
	w.keeps("romeo", 1)
	romeo := w.connect("romeo@chat.example/orchard")
	romeo.send("<enable xmlns='urn:xmpp:sm:3'/>")
	romeo.send("<presence/>")
	romeo.gets("kept")
	eventually(t, "live messages to pass", func() bool {
		w.offline.mu.Lock()
		defer w.offline.mu.Unlock()
		b := w.offline.boxes["romeo"]
		return b != nil && b.stuck
	})
	second := w.at("romeo/second")
	juliet.chat("romeo", "live")
	romeo.gets("live")
	second.gets("live")
	if n := w.store.kept("romeo"); n != 1 {
		t.Errorf("%d are kept", n)
	}
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='2'/>") // its own presence, and the message
	w.keeps("romeo", 0)
	w.settled()
}

// TestOfflineBatchesFit: a batch is no more than what may wait for a slow client, or one message.
func TestOfflineBatchesFit(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	limit := w.dir.Int(directory.KeyOutputBytes) / 4
	w.store.set(func() {
		for i, size := range []int{10, 20, limit, 30, 3 * limit, 40} {
			w.store.offline["romeo"] = append(w.store.offline["romeo"], OfflineMessage{Username: "romeo", ID: int64(i), Received: time.Now(), Stanza: make([]byte, size)})
		}
	})
	var sizes []int
	for w.store.kept("romeo") > 0 {
		list, err := w.offline.load("romeo", giveBatch)
		if err != nil || len(list) == 0 {
			t.Fatal(len(list), err)
		}
		sizes = append(sizes, len(list))
		for _, m := range list {
			if err := w.store.DeleteOffline(t.Context(), "romeo", []int64{m.ID}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(sizes, []int{2, 1, 1, 1, 1}) {
		t.Errorf("batches of %v", sizes)
	}
}

// TestOfflineFullWhileGivenBack: live messages that wait for older ones are not refused because a mailbox is full, or nothing is kept at all.
func TestOfflineFullWhileGivenBack(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	w.property(directory.KeyOfflineMessages, "1")
	juliet := w.at("juliet/balcony")
	juliet.chat("romeo", "one")
	w.keeps("romeo", 1)
	romeo := w.connect("romeo@chat.example/orchard")
	romeo.send("<enable xmlns='urn:xmpp:sm:3'/>")
	romeo.send("<presence/>")
	romeo.gets("one")
	juliet.chat("romeo", "two")
	w.keeps("romeo", 2)
	w.property(directory.KeyOfflineMessages, "0")
	juliet.chat("romeo", "three")
	w.keeps("romeo", 3)
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	romeo.gets("two", "three")
	if got := juliet.take(); len(got) > 0 {
		t.Errorf("the sender got %q", got)
	}
}

// TestOfflineOfRemovedAccount: what is under way to an account as it goes is not left behind for another of its name.
func TestOfflineOfRemovedAccount(t *testing.T) {
	w := newWorld(t, "juliet", "romeo")
	juliet := w.at("juliet/balcony")
	gate := make(chan struct{})
	w.store.set(func() { w.store.gate = gate })
	juliet.chat("romeo", "one")
	w.dir.DeleteUser("romeo", "uid-romeo")
	close(gate)
	juliet.gets("!service-unavailable")
	if n := w.store.kept("romeo"); n > 0 {
		t.Errorf("%d are kept", n)
	}
}

// TestOrderAcrossPresence: RFC 6120 §10.1: what one address sends another arrives in order, all of it, once, while the receiver comes and goes.
func TestOrderAcrossPresence(t *testing.T) {
	const senders, receivers, count = 4, 3, 400
	var names []string
	for i := range max(senders, receivers) {
		names = append(names, fmt.Sprintf("s%d", i), fmt.Sprintf("r%d", i))
	}
	w := newWorld(t, names...)
	w.property(directory.KeyOfflineMessages, "100000")
	var sending, receiving sync.WaitGroup
	done := make(chan struct{})
	clients := make([]*client, receivers)
	for i := range receivers {
		c := w.connect(fmt.Sprintf("r%d@%s/x", i, domain))
		clients[i] = c
		receiving.Go(func() {
			for {
				c.send("<presence/>")
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
				select {
				case <-done:
					return
				default:
				}
				c.send([]string{"<presence type='unavailable'/>", "<presence><priority>-1</priority></presence>"}[rand.IntN(2)])
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
			}
		})
	}
	for i := range senders {
		c := w.connect(fmt.Sprintf("s%d@%s/x", i, domain))
		sending.Go(func() {
			for n := range count {
				for r := range receivers {
					c.chat(fmt.Sprintf("r%d", r), strconv.Itoa(n))
				}
				if n%20 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	sending.Wait()
	close(done)
	receiving.Wait()
	for r, c := range clients {
		w.keeps(fmt.Sprintf("r%d", r), 0)
		w.settled()
		next := map[string]int{}
		for _, xml := range c.raw() {
			m := read(t, xml)
			if m.Kind != stanza.Message {
				continue
			}
			if got := string(m.Child(stanza.NSClient, "body").Text()); got != strconv.Itoa(next[m.From.Local()]) {
				t.Fatalf("%s got %s from %s, want %d", c.full, got, m.From, next[m.From.Local()])
			}
			next[m.From.Local()]++
		}
		for i := range senders {
			if n := next[fmt.Sprintf("s%d", i)]; n != count {
				t.Errorf("%s got %d of %d messages of s%d", c.full, n, count, i)
			}
		}
	}
}
