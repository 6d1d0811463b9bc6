package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// managed is a client with stream management.
type managed struct {
	*peer
	b  *board
	id string
}

// enable enables stream management with resumption for a client.
func (b *board) enable(p *peer) *managed {
	b.t.Helper()
	p.take()
	p.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	got := p.take()
	if len(got) != 1 {
		b.t.Fatalf("enabling is answered with %q", got)
	}
	e := parsedElement(b.t, got[0])
	if !e.Is("urn:xmpp:sm:3", "enabled") || len(e.Attr("id")) == 0 {
		b.t.Fatalf("enabling is answered with %q", got)
	}
	return &managed{peer: p, b: b, id: string(e.Attr("id"))}
}

// lose breaks the connection.
func (m *managed) lose() { m.s.ClosedOn(m.wire, true) }

// resume tries to resume on a new connection; the peer is nil where that failed.
func (b *board) resume(username, id string, h uint32) (*managed, string, *stanza.StreamError) {
	b.t.Helper()
	w := &wire{}
	s, reply, failure := b.Resume(w, username, parsedElement(b.t, fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", id, h)))
	if s == nil {
		return nil, string(reply), failure
	}
	return &managed{peer: &peer{wire: w, t: b.t, s: s}, b: b, id: id}, string(reply), nil
}

func (b *board) property(key, value string) {
	b.dir.PutProperty(directory.SystemProperty{Ref: directory.Ref{Name: key, UID: key, Created: time.Unix(1, 0)}, Key: key, Value: value})
}

func (b *board) departed() []string {
	b.rosters.mu.Lock()
	defer b.rosters.mu.Unlock()
	return slices.Clone(b.rosters.gone)
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// running has the switchboard's own goroutine run for the test.
func (b *board) running() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	stop := b.Watch()
	b.t.Cleanup(func() { stop(); cancel(); <-done })
}

func bodies(t testing.TB, sent []string) []string {
	t.Helper()
	out := []string{}
	for _, x := range sent {
		e := parsedElement(t, x)
		if body := e.Child(stanza.NSClient, "body"); body.Valid() {
			out = append(out, string(body.Text()))
		}
	}
	return out
}

func chat(to, body string) string {
	return "<message to='" + to + "' type='chat'><body>" + body + "</body></message>"
}

const notFound = "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"

func TestXEP0198Section3Enabling(t *testing.T) {
	unexpected := "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
	b := newBoard(t, "romeo")
	p := b.connect("romeo", "orchard")
	for _, early := range []string{"<r xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='0'/>", "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>"} {
		p.send(early)
		want(t, early, p.take(), []string{unexpected})
	}
	p.send("<enable xmlns='urn:xmpp:sm:3'/>")
	want(t, "without resumption", p.take(), []string{"<enabled xmlns='urn:xmpp:sm:3'/>"})
	if e := p.receive("<enable xmlns='urn:xmpp:sm:3'/>"); e == nil || e.Condition != stanza.StreamPolicyViolation {
		t.Errorf("a second attempt: %v", e)
	}
	want(t, "a second attempt", p.take(), []string{unexpected})
	if e := p.receive("<enabled xmlns='urn:xmpp:sm:3'/>"); e == nil || e.Condition != stanza.StreamUnsupportedStanzaType {
		t.Errorf("an element of the server's: %v", e)
	}

	ids := map[string]bool{}
	for i, c := range []struct{ property, asked, resume, max string }{
		{"", "resume='true'", "true", "300"},
		{"", "resume='1' max='20'", "true", "20"},
		{"", "resume='1' max='9000'", "true", "300"},
		{"", "resume='1' max='-4'", "true", "300"},
		{"90s", "resume='true' max='100'", "true", "90"},
		{"0s", "resume='true'", "", ""},
		{"90s", "resume='false'", "", ""},
	} {
		if c.property != "" {
			b.property(directory.KeyResumeTimeout, c.property)
		}
		p := b.connect("romeo", "one")
		p.send("<enable xmlns='urn:xmpp:sm:3' " + c.asked + "/>")
		e := parsedElement(t, p.take()[0])
		if string(e.Attr("resume")) != c.resume || string(e.Attr("max")) != c.max || (c.resume == "") != (e.Attr("id") == nil) {
			t.Errorf("%d: resume %q, max %q, id %q", i, e.Attr("resume"), e.Attr("max"), e.Attr("id"))
		}
		if id := string(e.Attr("id")); id != "" {
			if ids[id] {
				t.Errorf("%q was given twice", id)
			}
			ids[id] = true
		}
	}
	guest := b.connect("", "x")
	guest.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	want(t, "an anonymous client", guest.take(), []string{"<enabled xmlns='urn:xmpp:sm:3'/>"})
}

func TestXEP0198Section4Acknowledgements(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	p := b.online("romeo", "orchard", "0")
	p.send(chat("juliet@chat.example", "before it counts"))
	romeo := b.enable(p)
	for i, in := range []string{
		chat("juliet@chat.example/balcony", "one"),
		"<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
		"<iq type='get' id='2'/>", // answered with an error: handled all the same
		"<presence/>",
	} {
		romeo.send(in)
		romeo.take()
		for range 2 { // asking is not counted
			romeo.send("<r xmlns='urn:xmpp:sm:3'/>")
			want(t, in, romeo.take(), []string{fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", i+1)})
		}
	}
	want(t, "what came of it", bodies(t, juliet.take()), []string{"before it counts", "one"})

	// Two replies are not acknowledged yet.
	m := romeo.s.sm.Load()
	want(t, "owed", m.queue.count(), 2)
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	want(t, "owed", m.queue.count(), 1)
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='1'/>") // nothing new
	want(t, "owed", m.queue.count(), 1)
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	if m.queue != nil {
		t.Error("an empty queue is kept")
	}
	for _, bad := range []string{"", "h=''", "h='-1'", "h='4294967296'", "h='two'"} {
		if e := romeo.receive("<a xmlns='urn:xmpp:sm:3' " + bad + "/>"); e == nil || e.Condition != stanza.StreamBadFormat {
			t.Errorf("%s: %v", bad, e)
		}
	}
}

// §4: a request goes out with everything that is written at once, and there are never two without an answer between them.
func TestXEP0198Section4RequestsOfTheServer(t *testing.T) {
	const r = "<r xmlns='urn:xmpp:sm:3'/>"
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	plain := b.connect("romeo", "plain")
	romeo := b.enable(b.online("romeo", "orchard", "1"))
	flushing := func() string { return string(romeo.s.FlushingOn(romeo.wire, []byte("<x/>"), 0)) }
	want(t, "nothing is owed", flushing(), "<x/>")
	want(t, "without stream management", string(plain.s.FlushingOn(plain.wire, nil, 0)), "")
	juliet.send(chat("romeo@chat.example", "1"))
	juliet.send(chat("romeo@chat.example", "2"))
	want(t, "two at once", flushing(), "<x/>"+r)
	juliet.send(chat("romeo@chat.example", "3"))
	want(t, "a request is under way", flushing(), "<x/>")
	if got := string(romeo.s.FlushingOn(&wire{}, nil, 0)); got != "" {
		t.Errorf("another connection asks %q", got)
	}
	romeo.take()
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	want(t, "the answer does not cover the third", romeo.take(), []string{r})
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	want(t, "a client that repeats itself", romeo.take(), []string{})
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='3'/>")
	want(t, "all is acknowledged", romeo.take(), []string{})
	want(t, "all is acknowledged", flushing(), "<x/>")
}

// §4: a client may answer before it has handled all that it was sent; it is asked again with what comes next, or it would never be, and its
// session would end because it acknowledges too little.
func TestXEP0198Section4PartialAnswers(t *testing.T) {
	const r = "<r xmlns='urn:xmpp:sm:3'/>"
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	romeo := b.enable(b.online("romeo", "orchard", "1"))
	flushing := func() string { return string(romeo.s.FlushingOn(romeo.wire, nil, 0)) }
	juliet.send(chat("romeo@chat.example", "1"))
	juliet.send(chat("romeo@chat.example", "2"))
	want(t, "two at once", flushing(), r)
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	juliet.send(chat("romeo@chat.example", "3"))
	want(t, "after an answer that covers one of two", flushing(), r)
	juliet.send(chat("romeo@chat.example", "4"))
	want(t, "a request is under way", flushing(), "")
}

// counted is a connection that tells how much was queued, as real ones do.
type counted struct {
	*wire
	queued uint64
}

func (c *counted) Send(b []byte) bool {
	c.queued++
	return c.wire.Send(b)
}

func (c *counted) SendParts(head, to, tail []byte, recipients int) bool {
	c.queued++
	return c.wire.SendParts(head, to, tail, recipients)
}

func (c *counted) Output() (queued, written uint64, open bool) { return c.queued, 0, true }

// §4: a request goes out with what was taken to be written. What is queued meanwhile comes after it, and is asked for when the client has answered:
// nothing else may come by which it would be.
func TestXEP0198Section4QueuedWhileWriting(t *testing.T) {
	const r = "<r xmlns='urn:xmpp:sm:3'/>"
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	romeo := b.enable(b.online("romeo", "orchard", "1"))
	c := &counted{wire: romeo.wire}
	romeo.s.mu.Lock()
	romeo.s.conn = c
	romeo.s.mu.Unlock()
	juliet.send(chat("romeo@chat.example", "1"))
	taken := c.queued
	juliet.send(chat("romeo@chat.example", "2"))
	want(t, "the request follows the first", string(romeo.s.FlushingOn(c, nil, taken)), r)
	want(t, "the second is written", string(romeo.s.FlushingOn(c, nil, c.queued)), "")
	romeo.take()
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	want(t, "after the answer, which knows nothing of the second", romeo.take(), []string{r})
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	want(t, "when all is acknowledged", romeo.take(), []string{})
}

func TestXEP0198Section4CountersWrap(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	m := romeo.s.sm.Load()
	m.handled.Store(math.MaxUint32)
	m.acked = math.MaxUint32 - 1
	for _, body := range []string{"1", "2", "3"} { // the third is number 1 after the wrap
		juliet.send(chat("romeo@chat.example", body))
	}
	romeo.send(chat("juliet@chat.example", "x")) // 2^32-1 becomes 0
	romeo.send(chat("juliet@chat.example", "y"))
	romeo.take()
	romeo.send("<r xmlns='urn:xmpp:sm:3'/>")
	want(t, "handled", romeo.take(), []string{"<a xmlns='urn:xmpp:sm:3' h='1'/>"})
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='4294967295'/>")
	want(t, "owed", m.queue.count(), 2)
	if e := romeo.receive("<a xmlns='urn:xmpp:sm:3' h='2'/>"); e == nil || e.Condition != stanza.StreamUndefinedCondition {
		t.Errorf("one too many: %v", e)
	}
	romeo.lose()
	again, reply, failure := b.resume("romeo", romeo.id, 0)
	if again == nil {
		t.Fatalf("%q %v", reply, failure)
	}
	want(t, "resumed", reply, "<resumed xmlns='urn:xmpp:sm:3' previd='"+romeo.id+"' h='1'/>")
	want(t, "sent again", bodies(t, again.take()), []string{"3"})
	again.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	if m.queue != nil {
		t.Error("the last is still owed")
	}
}

func TestXEP0198Section5Resumption(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	romeo := b.enable(b.online("romeo", "orchard", "7"))
	juliet.send(chat("romeo@chat.example", "seen"))
	juliet.send(chat("romeo@chat.example/orchard", "lost on the way"))
	romeo.lose()
	if !romeo.s.Hibernating() || !romeo.s.Available() || b.Count() != 2 || len(b.departed()) > 0 {
		t.Fatal("the session does not wait")
	}
	want(t, "Info while it waits", romeo.s.Info().RemoteAddr, "192.0.2.44:1234")
	romeo.take()
	juliet.send(chat("romeo@chat.example", "while away"))
	juliet.send("<iq type='get' id='9' to='romeo@chat.example/orchard'><ping xmlns='urn:xmpp:ping'/></iq>")
	want(t, "the old connection", romeo.take(), []string{})

	again, reply, failure := b.resume("romeo", romeo.id, 1)
	if again == nil {
		t.Fatalf("%q %v", reply, failure)
	}
	want(t, "resumed", reply, "<resumed xmlns='urn:xmpp:sm:3' previd='"+romeo.id+"' h='0'/>")
	got := again.take()
	want(t, "sent again", bodies(t, got), []string{"lost on the way", "while away"})
	if len(got) != 3 || !strings.HasPrefix(got[2], "<iq") || strings.Contains(strings.Join(got, ""), "<delay") {
		t.Errorf("sent again: %q", got)
	}
	if again.s != romeo.s || again.s.Hibernating() || again.s.Priority() != 7 {
		t.Error("it is not the session that it was")
	}
	again.send(chat("juliet@chat.example", "I am back"))
	want(t, "from the resumed session", bodies(t, juliet.take()), []string{"I am back"})

	// §5: a connection that is still there is closed with a conflict, and not listened to any more.
	third, _, _ := b.resume("romeo", romeo.id, 4)
	want(t, "the one before", again.over(), stanza.StreamConflict)
	if e := again.s.ReceiveOn(again.wire, parsedElement(t, chat("juliet@chat.example", "too late"))); e != nil {
		t.Errorf("an old connection: %v", e)
	}
	want(t, "from the old connection", bodies(t, juliet.take()), []string{})
	again.s.ClosedOn(again.wire, false)
	if third.s.Ended() || third.over() != "" {
		t.Error("the end of an old connection ended the session")
	}
	third.s.ClosedOn(third.wire, false)
	want(t, "departed", b.departed(), []string{"romeo@chat.example/orchard"})
	want(t, "sessions", b.Count(), 1)
}

func TestXEP0198Section5TimedOut(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	c := &clock{at: time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)}
	b.now = c.now
	juliet := b.online("juliet", "balcony", "0")
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	romeo.send("<presence/>")
	juliet.send("<iq type='get' id='9' to='romeo@chat.example/orchard'><ping xmlns='urn:xmpp:ping'/></iq>")
	juliet.send(chat("romeo@chat.example/orchard", "for the account"))
	juliet.send("<message to='romeo@chat.example' type='headline'><body>news</body></message>")
	juliet.send("<presence to='romeo@chat.example/orchard'/>")
	juliet.take()
	romeo.lose()
	next := b.online("romeo", "chamber", "-1") // takes nothing for the account yet
	c.move(4*time.Minute + 59*time.Second)
	if wait := b.expire(); wait != time.Second || romeo.s.Ended() {
		t.Errorf("it ends too early, or in %v", wait)
	}
	next.send("<presence><priority>1</priority></presence>")
	next.take()
	c.move(time.Second)
	if wait := b.expire(); wait != 0 || !romeo.s.Ended() || romeo.s.Hibernating() {
		t.Error("it does not end")
	}
	want(t, "departed", b.departed(), []string{"romeo@chat.example/orchard"})
	// §4: as if the resource had not been there.
	got := next.take()
	want(t, "the next resource", bodies(t, got), []string{"for the account", "news"})
	for _, x := range got {
		if !strings.Contains(x, "<delay xmlns='urn:xmpp:delay' from='chat.example' stamp='2031-04-05T06:07:08.000Z'/>") {
			t.Errorf("it does not tell when it was sent: %s", x)
		}
	}
	back := juliet.take()
	if len(back) != 1 || errorOf(t, back[0]) != string(stanza.ConditionServiceUnavailable) || !strings.Contains(back[0], "id='9'") {
		t.Errorf("the request is answered with %q", back)
	}
	p, reply, failure := b.resume("romeo", romeo.id, 0)
	if p != nil || failure != nil || reply != "<failed xmlns='urn:xmpp:sm:3' h='1'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>" {
		t.Errorf("too late: %q %v", reply, failure)
	}
	if _, reply, _ := b.resume("juliet", romeo.id, 0); reply != notFound {
		t.Errorf("somebody else learns %q", reply)
	}
}

// Run ends what nobody comes back for, by a timeout that changes without a restart.
func TestXEP0198Section5RunExpires(t *testing.T) {
	b := newBoard(t, "romeo")
	b.now = time.Now
	b.running()
	var all []*managed
	for i := range 4 {
		all = append(all, b.enable(b.connect("romeo", fmt.Sprint(i))))
	}
	b.property(directory.KeyResumeTimeout, "1h")
	all[0].lose()
	b.property(directory.KeyResumeTimeout, "60ms")
	all[1].lose()
	b.property(directory.KeyResumeTimeout, "1ms")
	all[2].lose()
	b.property(directory.KeyResumeTimeout, "0s")
	all[3].lose()
	if !all[3].s.Ended() {
		t.Error("it waits although nobody may come back")
	}
	eventually(t, "the end of two", func() bool { return all[1].s.Ended() && all[2].s.Ended() })
	eventually(t, "everybody to know", func() bool { return len(b.departed()) == 3 })
	if all[0].s.Ended() {
		t.Error("one ended too early")
	}
	b.Drain()
	if !all[0].s.Ended() || b.Count() != 0 {
		t.Error("it waits on although the server ends")
	}
}

func TestXEP0198Section6HandledCountTooHigh(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	for _, body := range []string{"1", "2"} {
		juliet.send(chat("romeo@chat.example", body))
	}
	want := func(e *stanza.StreamError, h int) {
		t.Helper()
		app := fmt.Sprintf("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='%d' send-count='2'/>", h)
		if e == nil || e.Condition != stanza.StreamUndefinedCondition || string(e.App) != app {
			t.Errorf("h=%d: %v", h, e)
		}
	}
	want(romeo.receive("<a xmlns='urn:xmpp:sm:3' h='3'/>"), 3)
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	want(romeo.receive("<a xmlns='urn:xmpp:sm:3' h='0'/>"), 0)
	romeo.lose()
	_, _, e := b.resume("romeo", romeo.id, 3)
	want(e, 3)
	if again, _, _ := b.resume("romeo", romeo.id, 2); again == nil {
		t.Error("a mistake of one connection cost the session")
	}
}

// §7: who closes the stream ends the session.
func TestXEP0198Section7Closure(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	other := b.online("romeo", "chamber", "0")
	romeo := b.enable(b.online("romeo", "orchard", "5"))
	juliet.send(chat("romeo@chat.example", "acknowledged"))
	juliet.send(chat("romeo@chat.example", "not acknowledged"))
	romeo.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	romeo.s.ClosedOn(romeo.wire, false)
	want(t, "departed", b.departed(), []string{"romeo@chat.example/orchard"})
	want(t, "the other resource", bodies(t, other.take()), []string{"not acknowledged"})
	if p, reply, _ := b.resume("romeo", romeo.id, 2); p != nil || !strings.Contains(reply, "item-not-found") {
		t.Errorf("after logging out: %q", reply)
	}
	if romeo.s.Send([]byte("<message/>")) {
		t.Error("it takes stanzas on")
	}
	// Without resumption, a lost connection is the end as well.
	p := b.connect("romeo", "orchard")
	p.send("<enable xmlns='urn:xmpp:sm:3'/>")
	p.s.Send([]byte(chat("romeo@chat.example/orchard", "lost")))
	p.s.ClosedOn(p.wire, true)
	want(t, "the other resource", bodies(t, other.take()), []string{"lost"})
}

func TestSecurity25ResumptionIDs(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	if len(resumptionID{})*8 < 128 {
		t.Error("an id is guessed too easily")
	}
	romeo.lose()
	// Somebody else's, guessed, nearly right, empty, and as an anonymous client.
	last := "A"
	if strings.HasSuffix(romeo.id, last) {
		last = "B"
	}
	for _, c := range []struct{ user, id string }{
		{"juliet", romeo.id}, {"", romeo.id}, {"romeo", romeo.id[:len(romeo.id)-1] + last}, {"romeo", romeo.id + "A"}, {"romeo", "guess"},
		{"romeo", strings.Repeat("A", 24)}, {"romeo", strings.Repeat("A", 4000)},
	} {
		p, reply, failure := b.resume(c.user, c.id, 0)
		if p != nil || failure != nil || reply != notFound {
			t.Errorf("%s resumes %q: %q %v", c.user, c.id, reply, failure)
		}
	}
	for _, bad := range []string{"previd='' h='0'", "h='0'", "previd='" + romeo.id + "'", "previd='" + romeo.id + "' h='x'"} {
		s, reply, failure := b.Resume(&wire{}, "romeo", parsedElement(t, "<resume xmlns='urn:xmpp:sm:3' "+bad+"/>"))
		if s != nil || failure != nil || !strings.Contains(string(reply), "<bad-request") {
			t.Errorf("%s: %q %v", bad, reply, failure)
		}
	}
	// From many sockets at once: one has the session in the end, and every other one knows that it has not.
	const sockets = 16
	results := make([]*managed, sockets)
	var wg sync.WaitGroup
	for i := range sockets {
		wg.Go(func() { results[i], _, _ = b.resume("romeo", romeo.id, 0) })
	}
	wg.Wait()
	open := 0
	for _, p := range results {
		if p != nil && p.over() == "" {
			open++
		}
	}
	want(t, "connections of one session", open, 1)
	// After logging out.
	romeo.s.end(nil)
	if p, _, _ := b.resume("romeo", romeo.id, 0); p != nil {
		t.Error("a session that is over was resumed")
	}
	b.resumptions.mu.Lock()
	defer b.resumptions.mu.Unlock()
	want(t, "ids that are kept", len(b.resumptions.live), 0)
}

// interrupting is a connection that something happens at with each stanza.
type interrupting struct {
	discard
	f func()
}

func (c interrupting) Send([]byte) bool { c.f(); return true }

// XEP-0198 §5: the count in <failed/> covers a stanza that was being dealt with when the session was ended, or its client would send it again.
func TestXEP0198Section5EndedInTheMiddle(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	juliet, bad := b.Bind(interrupting{f: func() { b.Kick("romeo", nil) }}, "juliet", "balcony")
	if bad != nil {
		t.Fatal(bad)
	}
	defer juliet.Closed()
	romeo.send(chat("juliet@chat.example/balcony", "1"))
	_, reply, _ := b.resume("romeo", romeo.id, 0)
	e := parsedElement(t, reply)
	want(t, "the answer", string(e.Local()), "failed")
	want(t, "handled", string(e.Attr("h")), "1")
}

// What is remembered of sessions that are over is bounded.
func TestSecurity25MemoryOfEndedSessions(t *testing.T) {
	b := newBoard(t, "romeo")
	for range maxRemembered + 10 {
		b.enable(b.connect("romeo", "x")).s.Closed()
	}
	want(t, "remembered", len(b.resumptions.past), maxRemembered)
	want(t, "remembered", len(b.resumptions.ring), maxRemembered)
}

func TestSecurity26RequestFlood(t *testing.T) {
	b := newBoard(t, "romeo")
	c := &clock{at: time.Unix(1e9, 0)}
	b.now = c.now
	b.meter = meter.New()
	romeo := b.enable(b.connect("romeo", "orchard"))
	ask := func() *stanza.StreamError { return romeo.receive("<r xmlns='urn:xmpp:sm:3'/>") }
	for range 1000 { // with every stanza: fine
		romeo.send("<presence/>")
		if e := ask(); e != nil {
			t.Fatal(e)
		}
	}
	n := 0
	for ask() == nil {
		if n++; n > 10*requestBurst {
			t.Fatal("a flood is answered")
		}
	}
	want(t, "counted", b.meter.Refusals(meter.Flood).Value(), uint64(1))
	c.move(time.Minute)
	if e := ask(); e != nil {
		t.Errorf("now and then it may: %v", e)
	}
}

func TestSecurity26QueueIsBounded(t *testing.T) {
	for name, limit := range map[string]func(*Switchboard){
		"stanzas": func(sb *Switchboard) { sb.maxUnacked = 5 },
		"bytes":   func(sb *Switchboard) { sb.maxUnackedBytes = 600 },
	} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, away %v", name, away), func(t *testing.T) {
				b := newBoard(t, "romeo", "juliet")
				limit(b.Switchboard)
				b.meter = meter.New()
				b.running()
				juliet := b.online("juliet", "balcony", "0")
				romeo := b.enable(b.online("romeo", "orchard", "9"))
				next := b.online("romeo", "chamber", "0")
				if away {
					romeo.lose()
				}
				expected := []string{}
				for i := range 20 {
					expected = append(expected, fmt.Sprint(i))
					juliet.send(chat("romeo@chat.example", fmt.Sprint(i)))
				}
				var got []string
				eventually(t, "all messages at the next resource", func() bool {
					got = append(got, bodies(t, next.take())...)
					return len(got) >= len(expected)
				})
				slices.SortFunc(got, func(a, b string) int { return len(a)*100 + strings.Compare(a, b) - len(b)*100 })
				want(t, "the next resource", got, expected)
				if !romeo.s.Ended() || !away && romeo.over() != stanza.StreamPolicyViolation {
					t.Errorf("the session is over: %v, its connection: %q", romeo.s.Ended(), romeo.over())
				}
				want(t, "juliet", juliet.take(), []string{})
				want(t, "counted", b.meter.Refusals(meter.Unacknowledged).Value(), uint64(1))
			})
		}
	}
}

func TestSecurity26HibernatingSessionsAreBounded(t *testing.T) {
	b := newBoard(t, "romeo")
	b.maxHibernating = 2
	b.meter = meter.New()
	c := &clock{at: time.Unix(1e9, 0)}
	b.now = c.now
	var all []*managed
	for i := range 5 {
		all = append(all, b.enable(b.connect("romeo", fmt.Sprint(i))))
	}
	for _, p := range all[:4] {
		p.lose()
		c.move(time.Second)
	}
	want(t, "the oldest went", b.departed(), []string{"romeo@chat.example/0", "romeo@chat.example/1"})
	if !all[2].s.Hibernating() || !all[3].s.Hibernating() || all[4].s.Ended() {
		t.Error("the wrong ones went")
	}
	want(t, "counted", b.meter.Refusals(meter.Hibernating).Value(), uint64(2))
	// A client that does not resume but binds its resource anew gets it, whatever the policy.
	b.property(directory.KeyConflictLimit, "-1")
	b.connect("romeo", "3")
	if !all[3].s.Ended() {
		t.Error("the resource is taken by a client that is not there")
	}
}

// The queue of a session that somebody ends goes on, and so does one whose account is locked; the session cannot be resumed.
func TestSecurity27EndedByOthers(t *testing.T) {
	for name, end := range map[string]func(b *board){
		"kicked":  func(b *board) { b.Kick("romeo", stanza.NewStreamError(stanza.StreamReset, "")) },
		"locked":  func(b *board) { b.declare("romeo", "uid-romeo", true) },
		"removed": func(b *board) { b.dir.DeleteUser("romeo", "uid-romeo") },
		"drained": func(b *board) { b.Drain() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, "romeo", "juliet")
			b.running()
			juliet := b.online("juliet", "balcony", "0")
			romeo := b.enable(b.online("romeo", "orchard", "0"))
			romeo.lose()
			juliet.send("<message to='romeo@chat.example/orchard' type='chat' id='m1'><body>hi</body></message>")
			juliet.take()
			end(b)
			eventually(t, "everybody to know", func() bool { return len(b.departed()) == 1 })
			// Nobody else is there to take it.
			var got []string
			eventually(t, "what becomes of the message", func() bool { got = append(got, juliet.take()...); return len(got) > 0 })
			if len(got) != 1 || errorOf(t, got[0]) != string(stanza.ConditionServiceUnavailable) || !strings.Contains(got[0], "id='m1'") {
				t.Errorf("the sender gets %q", got)
			}
			if p, _, _ := b.resume("romeo", romeo.id, 0); p != nil {
				t.Error("the session was resumed")
			}
			want(t, "sessions", b.Count(), 1)
			want(t, "sleepers", len(b.sleepers.list), 0)
		})
	}
}

// A message that several resources got is not delivered again while one of them has it, and is when none has.
func TestSecurity27CopiesAreNotDeliveredTwice(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	one := b.enable(b.online("romeo", "one", "5"))
	two := b.enable(b.online("romeo", "two", "5"))
	low := b.online("romeo", "low", "0")
	juliet.send(chat("romeo@chat.example", "to both"))
	one.lose()
	one.s.endAsleep()
	want(t, "the other resource", bodies(t, two.take()), []string{"to both"})
	want(t, "the lesser resource", bodies(t, low.take()), []string{})
	two.lose()
	two.s.endAsleep()
	want(t, "the lesser resource", bodies(t, low.take()), []string{"to both"})

	three := b.enable(b.online("romeo", "three", "5"))
	b.online("romeo", "plain", "5")
	low.take()
	juliet.send(chat("romeo@chat.example", "to both again"))
	three.lose()
	three.s.endAsleep()
	want(t, "the lesser resource", bodies(t, low.take()), []string{})
}

// What a client may send by a limit that was raised can be passed on as well.
func TestXEP0198Section4LargeStanzasGoOn(t *testing.T) {
	b := newBoard(t, "romeo")
	next := b.online("romeo", "chamber", "0")
	romeo := b.enable(b.connect("romeo", "orchard"))
	deep := "<body>look</body>" + strings.Repeat("<x>", 300) + strings.Repeat("<y/>", 5000) + strings.Repeat("z", 600<<10) + strings.Repeat("</x>", 300)
	romeo.s.Send([]byte("<message from='juliet@chat.example/x' to='romeo@chat.example/orchard' type='chat'>" + deep + "</message>"))
	romeo.s.Closed()
	if got := next.take(); len(got) != 1 || !strings.Contains(got[0], "zzz</x></x>") {
		t.Errorf("the next resource gets %d stanzas", len(got))
	}

	// Into the mailbox, too.
	next.s.Closed()
	var kept mailbox
	b.UseMailboxes(&kept)
	romeo = b.enable(b.connect("romeo", "orchard"))
	romeo.s.Send([]byte("<message from='juliet@chat.example/x' to='romeo@chat.example/orchard' type='chat'>" + deep + "</message>"))
	romeo.s.Closed()
	if len(kept.stanzas) != 1 || !strings.Contains(kept.stanzas[0], "zzz</x></x>") || strings.Count(kept.stanzas[0], "<delay ") != 1 {
		t.Errorf("the mailbox gets %d stanzas", len(kept.stanzas))
	}
}

// mailbox keeps everything at once.
type mailbox struct{ stanzas []string }

func (m *mailbox) Keep(l *Letter, reachable func() bool) bool {
	if reachable() {
		return false
	}
	m.stanzas = append(m.stanzas, string(l.Stanza))
	l.Settle(nil)
	return true
}

// What is still in the mailbox comes out of it once more, and from nowhere else.
func TestSecurity27StoredMessagesAreNotDeliveredTwice(t *testing.T) {
	b := newBoard(t, "romeo", "juliet")
	juliet := b.online("juliet", "balcony", "0")
	next := b.online("romeo", "chamber", "0")
	romeo := b.enable(b.online("romeo", "orchard", "5"))
	romeo.s.SendStored([]Stored{{ID: 1, Stanza: []byte(chat("romeo@chat.example", "from the mailbox"))}})
	juliet.send(chat("romeo@chat.example", "live"))
	romeo.lose()
	again, _, _ := b.resume("romeo", romeo.id, 0)
	want(t, "after resuming", bodies(t, again.take()), []string{"from the mailbox", "live"})
	again.s.Closed()
	want(t, "the next resource", bodies(t, next.take()), []string{"live"})
}

// cutAt gives the whole elements of a stream that was cut after n bytes.
func cutAt(t testing.TB, stream string, n int) []xmlstream.Element {
	t.Helper()
	const header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	r := xmlstream.NewReader(strings.NewReader(header+stream[:n]), xmlstream.DefaultLimits())
	if _, err := r.Open(); err != nil {
		t.Fatal(err)
	}
	var out []xmlstream.Element
	for {
		e, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(err)
			}
			return out
		}
		out = append(out, e.Clone())
	}
}

// A connection that is cut after any byte, of what the client sends as of what it gets, and then resumed, loses nothing and repeats nothing,
// also where the counters wrap meanwhile.
func TestXEP0198Section5CutAtEveryByte(t *testing.T) {
	var mine []string
	expected := []string{}
	var out strings.Builder
	for i := range 6 {
		mine = append(mine, chat("juliet@chat.example", fmt.Sprintf("&lt;%d&gt;", i)))
		expected = append(expected, fmt.Sprintf("<%d>", i))
		out.WriteString(mine[i])
		if i%2 == 1 {
			out.WriteString("<r xmlns='urn:xmpp:sm:3'/>")
		}
	}
	const handled, acked = math.MaxUint32 - 2, math.MaxUint32 - 3
	conversation := func(upTo func(fromClient, fromServer int) (int, int)) {
		b := newBoard(t, "romeo", "juliet")
		juliet := b.online("juliet", "balcony", "0")
		romeo := b.enable(b.online("romeo", "orchard", "0"))
		romeo.s.sm.Load().handled.Store(handled)
		romeo.s.sm.Load().acked = acked
		for _, m := range mine {
			juliet.send(strings.Replace(m, "juliet@chat.example", "romeo@chat.example/orchard", 1))
		}
		in := strings.Join(romeo.take(), "")
		toServer, toClient := upTo(out.Len(), len(in))
		for _, e := range cutAt(t, out.String(), toServer) {
			if failure := romeo.s.ReceiveOn(romeo.wire, e); failure != nil {
				t.Fatal(failure)
			}
		}
		seen := uint32(acked)
		got := []string{}
		for _, e := range cutAt(t, in, toClient) {
			got = append(got, string(e.Child(stanza.NSClient, "body").Text()))
			seen++
		}
		romeo.lose()
		again, reply, failure := b.resume("romeo", romeo.id, seen)
		if again == nil {
			t.Fatalf("cut at %d and %d: %q %v", toServer, toClient, reply, failure)
		}
		h, _ := handledCount(parsedElement(t, reply))
		for _, m := range mine[h-handled:] {
			again.send(m)
		}
		got = append(got, bodies(t, again.take())...)
		if there := bodies(t, juliet.take()); !slices.Equal(there, expected) || !slices.Equal(got, expected) {
			t.Fatalf("cut at %d and %d: the server got %q, the client %q", toServer, toClient, there, got)
		}
	}
	longest := 0
	for cut := 0; cut <= longest; cut++ {
		conversation(func(c, s int) (int, int) { longest = max(c, s); return min(cut, c), min(cut, s) })
		conversation(func(c, s int) (int, int) { return min(cut, c), max(0, s-cut) })
	}
	if longest < 500 {
		t.Errorf("only %d bytes", longest)
	}
}

// However often a connection breaks under load, and whether or not the server notices before its client is back: what everybody sends arrives once,
// in the order of each sender (RFC 6120 §10.1).
func TestXEP0198Section5ResumedUnderLoad(t *testing.T) {
	const senders, each = 4, 300
	b := newBoard(t, "romeo", "s0", "s1", "s2", "s3")
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	var sending sync.WaitGroup
	for i := range senders {
		p := b.online(fmt.Sprintf("s%d", i), "x", "0")
		sending.Go(func() {
			for n := range each {
				if e := p.receive(chat("romeo@chat.example", fmt.Sprintf("%d %d", i, n))); e != nil {
					t.Error(e)
				}
				if n%16 == 0 {
					time.Sleep(100 * time.Microsecond)
				}
			}
		})
	}
	rnd := rand.New(rand.NewPCG(1, 198)) //nolint:gosec // not a secret: the same every time
	var seen []string
	for end := time.Now().Add(20 * time.Second); len(seen) < senders*each; {
		if time.Now().After(end) {
			t.Fatalf("%d messages of %d came", len(seen), senders*each)
		}
		got := slices.DeleteFunc(romeo.take(), func(x string) bool { return x == requestElement })
		if rnd.IntN(3) == 0 {
			seen = append(seen, bodies(t, got)...)
			romeo.send(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", len(seen)))
			continue
		}
		seen = append(seen, bodies(t, got[:rnd.IntN(len(got)+1)])...)
		if rnd.IntN(2) == 0 {
			romeo.lose()
		}
		again, reply, failure := b.resume("romeo", romeo.id, uint32(len(seen))) //nolint:gosec // small
		if again == nil {
			t.Fatalf("%q %v", reply, failure)
		}
		romeo = again
	}
	sending.Wait()
	next := make([]int, senders)
	for _, body := range seen {
		var i, n int
		if _, err := fmt.Sscanf(body, "%d %d", &i, &n); err != nil || n != next[i] {
			t.Fatalf("%q came instead of number %d", body, next[i])
		}
		next[i]++
	}
	if left := romeo.take(); len(left) > 0 && left[0] != requestElement {
		t.Errorf("more came: %q", left)
	}
}

// A session with stream management costs no memory a stanza once it runs, and none while everything is acknowledged.
func TestManagedSessionsDoNotAllocate(t *testing.T) {
	b := newBoard(t, "romeo")
	s, bad := b.Bind(discard{}, "romeo", "orchard")
	if bad != nil {
		t.Fatal(bad)
	}
	if e := s.Receive(parsedElement(t, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")); e != nil {
		t.Fatal(e)
	}
	m := s.sm.Load()
	stanza := []byte(chat("romeo@chat.example/orchard", strings.Repeat("x", 400)))
	acknowledge := func(n uint32) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if e := s.acknowledge(m, uint32(m.acked)+n); e != nil {
			t.Fatal(e)
		}
	}
	s.Send(stanza) // one is always owed, so that the queue stays
	n := testing.AllocsPerRun(2000, func() {
		for range 4 {
			s.Send(stanza)
		}
		acknowledge(3)
		acknowledge(1)
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	if c := cap(m.queue.bytes); c > 64<<10 {
		t.Errorf("a queue of one stanza has grown to %d bytes", c)
	}
	acknowledge(1)
	if m.queue != nil {
		t.Error("the queue is kept")
	}
}
