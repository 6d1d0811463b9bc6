package core

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
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
