package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

var errNotebook = errors.New("no room")

// noted is a board with a journal that writes, and a mailbox.
func noted(t testing.TB, n *notebook, users ...string) *board {
	t.Helper()
	b := newBoard(t, users...)
	if n.notes == nil {
		n.notes = map[string]Note{}
	}
	b.UseMailboxes(&mailbox{})
	b.UseJournal(n)
	b.ledger.grace = 0
	if err := b.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.running()
	return b
}

const request = "<r xmlns='urn:xmpp:sm:3'/>"

func answer(h int) string { return fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", h) }

// awaits waits until the client has been told a count, and gives everything that came by then.
func (p *peer) awaitsCount(h int) (seen []string) {
	p.t.Helper()
	eventually(p.t, answer(h), func() bool {
		seen = append(seen, p.take()...)
		return slices.Contains(seen, answer(h))
	})
	return seen
}

// XEP-0198 §4: a message that is only in the queue of a session counts once it is noted down, or its recipient has acknowledged it. The note goes with
// the acknowledgement.
func TestXEP0198Section4NotedBeforeItCounts(t *testing.T) {
	n := &notebook{}
	b := noted(t, n, "juliet", "romeo")
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	n.set(func() { n.gate, n.entered = make(chan struct{}), make(chan struct{}, 1) })
	juliet.send(chat("romeo@chat.example", "one"))
	juliet.send(chat("romeo@chat.example/orchard", "two"))
	juliet.send("<message to='romeo@chat.example' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
	juliet.send(request) // this does not wait
	<-n.entered
	want(t, "told before it is written", len(juliet.take()), 0)
	want(t, "delivered meanwhile", bodies(t, romeo.take()), []string{"one", "two"})
	gate := n.gate
	n.set(func() { n.gate = nil })
	close(gate)
	juliet.awaitsCount(3)
	want(t, "notes", n.list(), []string{"romeo 1 one", "romeo 2 two"})
	// Another that romeo acknowledges before juliet asks is not written.
	juliet.send(chat("romeo@chat.example", "three"))
	romeo.send(answer(4))
	eventually(t, "no notes", func() bool { return len(n.list()) == 0 })
	writes := n.writes
	juliet.send(request)
	want(t, "told", juliet.take(), []string{answer(4)})
	want(t, "writes", n.writes, writes)
}

// A recipient that is quick saves the write.
func TestNotesWaitForQuickRecipients(t *testing.T) {
	n := &notebook{}
	b := noted(t, n, "juliet", "romeo")
	b.ledger.grace = time.Hour
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	juliet.send(chat("romeo@chat.example", "one"))
	juliet.send(request)
	want(t, "told", len(juliet.take()), 0)
	romeo.send(answer(1))
	juliet.awaitsCount(1)
	want(t, "writes", n.writes, 0)
	// One that is not there is not waited for.
	romeo.lose()
	juliet.send(chat("romeo@chat.example", "two"))
	juliet.send(request)
	juliet.awaitsCount(2)
	want(t, "notes", n.list(), []string{"romeo 2 two"})
}

// While nothing can be noted down, a message counts when its recipient has it. Each request is answered.
func TestNotesFail(t *testing.T) {
	n := &notebook{broken: true}
	b := noted(t, n, "juliet", "romeo")
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	for i := range 3 {
		juliet.send(chat("romeo@chat.example", fmt.Sprint(i)))
		juliet.send(request)
	}
	eventually(t, "a failure", b.ledger.failing.Load)
	want(t, "told", len(juliet.take()), 0)
	romeo.send(answer(2))
	want(t, "told of two", juliet.awaitsCount(2), []string{answer(1), answer(2)})
	n.set(func() { n.broken = false })
	juliet.awaitsCount(3)
	want(t, "notes", n.list(), []string{"romeo 3 2"})
	want(t, "works again", b.ledger.failing.Load(), false)
}

// What is under way is bounded, also for a client that never asks: it is noted down unasked, and refused while that fails.
func TestFlightsAreBounded(t *testing.T) {
	n := &notebook{}
	b := noted(t, n, "juliet", "romeo", "mercutio")
	b.maxUnacked, b.maxUnackedBytes = 1<<20, 1<<30
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	b.enable(b.online("romeo", "orchard", "0"))
	for i := range maxFlights + 500 {
		juliet.send(chat("romeo@chat.example", fmt.Sprint(i)))
	}
	eventually(t, "notes", func() bool { return len(n.list()) > maxFlights/2 })
	n.set(func() { n.broken = true })
	refused := ""
	for i := 0; refused == ""; i++ {
		if i > 3*maxFlights {
			t.Fatal("nothing is refused")
		}
		juliet.send(chat("romeo@chat.example", fmt.Sprint("more ", i)))
		for _, xml := range juliet.take() {
			if xml != requestElement {
				refused = errorOf(t, xml)
			}
		}
	}
	want(t, "refused", refused, "resource-constraint")
}

// Of a message that several resources get, one acknowledgement is enough, and removes all notes.
func TestNotesOfCopies(t *testing.T) {
	n := &notebook{}
	b := noted(t, n, "juliet", "romeo")
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	orchard := b.enable(b.online("romeo", "orchard", "0"))
	hall := b.enable(b.online("romeo", "hall", "0"))
	juliet.send(chat("romeo@chat.example", "one"))
	juliet.send(request)
	juliet.awaitsCount(1)
	want(t, "notes", n.list(), []string{"romeo 1 one", "romeo 1 one"})
	hall.send(answer(1))
	eventually(t, "no notes", func() bool { return len(n.list()) == 0 })
	// A copy that is lost while another is left takes its own note along.
	juliet.send(chat("romeo@chat.example", "two"))
	juliet.send(request)
	juliet.awaitsCount(2)
	orchard.s.Closed()
	eventually(t, "one note", func() bool { return slices.Equal(n.list(), []string{"romeo 2 two"}) })
}

// What a session that ends has not delivered goes on, and its senders' counts follow it. Its places are kept for the client that comes back.
func TestNotesOfEndedSessions(t *testing.T) {
	n := &notebook{}
	b := noted(t, n, "juliet", "romeo")
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	next := b.enable(b.online("romeo", "hall", "-1"))
	juliet.send(chat("romeo@chat.example", "one"))
	juliet.send(chat("romeo@chat.example", "two"))
	romeo.s.Closed() // both go into the mailbox
	juliet.send(request)
	juliet.awaitsCount(2)
	want(t, "places", n.list(), []string{"romeo 1 ", "romeo 2 "})
	s, reply, failure := b.resume("romeo", romeo.id, 1)
	if s != nil || failure != nil || !strings.Contains(reply, "<item-not-found") || !strings.Contains(reply, "h='0'") {
		t.Errorf("resuming: %q %v", reply, failure)
	}
	want(t, "said", n.got, []string{"romeo 1"})
	// And what another resource gets instead is noted down for it.
	next.send("<presence/>")
	third := b.enable(b.online("romeo", "street", "9"))
	juliet.send(chat("romeo@chat.example", "three"))
	third.s.Closed()
	juliet.send(request)
	juliet.awaitsCount(3)
	eventually(t, "notes", func() bool { return slices.Contains(n.list(), fmt.Sprintf("romeo %d three", next.s.sm.Load().sent())) })
	next.send(answer(int(next.s.sm.Load().sent())))
	eventually(t, "no note of it", func() bool {
		return !slices.ContainsFunc(n.list(), func(s string) bool { return strings.HasSuffix(s, "three") })
	})
}

// slow is a connection that tells how far its output has got.
type slow struct {
	wire
	queued, taken uint64
}

func (s *slow) Send(b []byte) bool {
	s.mu.Lock()
	s.queued++
	s.mu.Unlock()
	return s.wire.Send(b)
}

func (s *slow) Output() (queued, written uint64, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued, s.taken, !s.closed
}

// A client without acknowledgements has a message once it is written, or its connection is over: nothing is noted down.
func TestUnacknowledgedOutputIsWaitedFor(t *testing.T) {
	n := &notebook{}
	b := noted(t, n, "juliet", "romeo")
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	c := &slow{}
	romeo, bad := b.Bind(c, "romeo", "orchard")
	if bad != nil {
		t.Fatal(bad)
	}
	romeo.SetPresence(&Presence{})
	juliet.send(chat("romeo@chat.example", "one"))
	juliet.send(request)
	juliet.send(chat("romeo@chat.example", "two"))
	juliet.send(request)
	want(t, "told", len(juliet.take()), 0)
	c.mu.Lock()
	c.taken = 1
	c.mu.Unlock()
	want(t, "told of one", juliet.awaitsCount(1), []string{answer(1)})
	c.Close(nil)
	juliet.awaitsCount(2)
	want(t, "writes", n.writes, 0)
}

// XEP-0198 §5: after a crash, a client that resumes says what it has got: its sender's resending does not bring it once more, nor does the mailbox. The
// same id with another content is another message.
func TestTracesAfterACrash(t *testing.T) {
	n := &notebook{file: &memoryFile{}}
	b := noted(t, n, "juliet", "romeo")
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	message := func(id, body string) string {
		return "<message to='romeo@chat.example' type='chat' id='" + id + "'><body>" + body + "</body></message>"
	}
	for i := range 20 { // more than fit into one record on the stack
		juliet.send(message(fmt.Sprint("m", i), fmt.Sprint(i)))
	}
	romeo.s.FlushingOn(romeo.wire, nil, 0)
	juliet.send(message("unsent", "20"))

	// The process is killed: nothing of it is left but the journal and the traces.
	after := noted(t, &notebook{file: n.file}, "juliet", "romeo")
	if _, reply, failure := after.resume("romeo", romeo.id, 10); failure != nil || !strings.Contains(reply, "<item-not-found") || strings.Contains(reply, "h=") {
		t.Errorf("resuming: %q %v", reply, failure)
	}
	if s, _, _ := after.resume("juliet", romeo.id, 21); s != nil {
		t.Error("another account resumes it")
	}
	again := after.enable(after.online("romeo", "hall", "0"))
	sender := after.enable(after.online("juliet", "window", "0"))
	for i := range 20 {
		sender.send(message(fmt.Sprint("m", i), fmt.Sprint(i)))
	}
	sender.send(strings.Replace(message("m3", "3"), "</message>", "<delay xmlns='urn:xmpp:delay' stamp='2031-04-05T06:07:08Z'/></message>", 1))
	sender.send(message("m3", "something else"))
	sender.send(message("unsent", "20"))
	want(t, "arrives", bodies(t, again.take()), []string{"10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "something else", "20"})
	// The mailbox gives nothing back that he has.
	if !again.s.SendStored([]Stored{
		{ID: 1, Stanza: []byte(strings.Replace(message("m4", "4"), "<message", "<message from='juliet@chat.example/window'", 1))},
		{ID: 2, Stanza: []byte(strings.Replace(message("m14", "14"), "<message", "<message from='juliet@chat.example/window'", 1))},
	}) {
		t.Error("the session takes nothing")
	}
	want(t, "given back", bodies(t, again.take()), []string{"14"})

	// Killed once more: what he has got is still known, though he does not say it again.
	third := noted(t, &notebook{file: n.file}, "juliet", "romeo")
	last := third.enable(third.online("romeo", "street", "0"))
	sender = third.enable(third.online("juliet", "door", "0"))
	sender.send(message("m5", "5"))
	sender.send(message("m15", "15"))
	want(t, "arrives", bodies(t, last.take()), []string{"15"})
	// A client that counts nothing sends nothing again: this is another message.
	third.online("juliet", "roof", "0").send(message("m5", "5"))
	want(t, "arrives", bodies(t, last.take()), []string{"5"})
}

// What was stored when the process was killed is not taken once more from a sender that had not heard so.
func TestEchoesAfterACrash(t *testing.T) {
	n := &notebook{}
	b := noted(t, n, "juliet", "romeo")
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	b.enable(b.online("romeo", "orchard", "0"))
	first := "<message to='romeo@chat.example/orchard' type='chat' id='m1'><body>one &amp; only</body><x xmlns='urn:x' b='2' a=\"1\"/></message>"
	juliet.send(first)
	juliet.send(request)
	juliet.awaitsCount(1)
	after := noted(t, &notebook{notes: n.notes}, "juliet", "romeo")
	romeo := after.online("romeo", "hall", "0")
	again := after.enable(after.online("juliet", "window", "0"))
	again.send(strings.Replace(first, "/orchard", "", 1))
	again.send(strings.Replace(first, "m1", "m2", 1))
	got := romeo.take()
	if len(got) != 0 && len(got) != 1 {
		t.Errorf("romeo got %q", got)
	}
	again.send(request)
	want(t, "told", again.awaitsCount(2)[0], answer(2))
	// A while later, an id is just an id.
	after.former.Load().until = time.Time{}
	again.send(strings.Replace(first, "/orchard", "", 1))
	want(t, "delivered", len(romeo.take()), 1)
}

// What is given back goes out once its places are noted down, and nothing overtakes it; a client that comes back meanwhile gets it once.
func TestStoredMessagesAreNotedFirst(t *testing.T) {
	for _, resumes := range []bool{false, true} {
		n := &notebook{}
		b := noted(t, n, "juliet", "romeo")
		juliet := b.online("juliet", "balcony", "0")
		romeo := b.enable(b.online("romeo", "orchard", "0"))
		n.set(func() { n.gate, n.entered = make(chan struct{}), make(chan struct{}, 1) })
		given := make(chan bool)
		go func() {
			given <- romeo.s.SendStored([]Stored{{ID: 7, Stanza: []byte(chat("romeo@chat.example", "kept"))}, {ID: 9, Stanza: []byte(chat("romeo@chat.example", "also"))}})
		}()
		<-n.entered
		juliet.send(chat("romeo@chat.example", "live"))
		want(t, "sent before it is noted down", len(romeo.take()), 0)
		if resumes {
			romeo.lose()
			romeo, _, _ = b.resume("romeo", romeo.id, 0)
			want(t, "resumed", bodies(t, romeo.take()), []string{"kept", "also", "live"})
		}
		gate := n.gate
		n.set(func() { n.gate = nil })
		close(gate)
		want(t, "given", <-given, true)
		want(t, "places", n.list(), []string{"romeo 1 ", "romeo 2 "})
		if resumes {
			want(t, "sent once", len(romeo.take()), 0)
			continue
		}
		want(t, "sent in order", bodies(t, romeo.take()), []string{"kept", "also", "live"})
	}
}

// The books of a message to a session that acknowledges cost no memory once it runs.
func TestBooksDoNotAllocate(t *testing.T) {
	b := newBoard(t, "juliet", "romeo")
	b.UseMailboxes(&postOffice{})
	b.UseJournal(&notebook{})
	b.traces.file = &memoryFile{}
	bind := func(name string) *Session {
		s, bad := b.Bind(discard{}, name, "x")
		if bad != nil {
			t.Fatal(bad)
		}
		if e := s.Receive(parsedElement(t, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")); e != nil {
			t.Fatal(e)
		}
		return s
	}
	juliet, romeo := bind("juliet"), bind("romeo")
	romeo.SetPresence(&Presence{})
	e := parsedElement(t, "<message type='chat' id='m1' to='romeo@chat.example'><body>"+strings.Repeat("x", 300)+"</body></message>")
	n := testing.AllocsPerRun(2000, func() {
		juliet.Receive(e)
		romeo.mu.Lock()
		defer romeo.mu.Unlock()
		m := romeo.sm.Load()
		if failure := romeo.acknowledge(m, uint32(m.acked)+1); failure != nil {
			t.Fatal(failure)
		}
	})
	if n > 0 && !raceEnabled { // which has pools lose things
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkManagedMessage is one chat message between two sessions with stream management, which is acknowledged.
func BenchmarkManagedMessage(b *testing.B) {
	bd := newBoard(b, "juliet", "romeo")
	bd.UseMailboxes(&postOffice{})
	bd.UseJournal(&notebook{})
	bd.traces.file = &memoryFile{}
	juliet, romeo := bd.enable(bd.online("juliet", "balcony", "0")).s, bd.enable(bd.online("romeo", "garden", "1")).s
	romeo.conn, juliet.conn = discard{}, discard{}
	st := parsedElement(b, "<message to='romeo@chat.example' type='chat' id='m1'><body>Wherefore art thou?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>")
	m := romeo.sm.Load()
	b.ReportAllocs()
	for b.Loop() {
		if e := juliet.Receive(st); e != nil {
			b.Fatal(e)
		}
		romeo.mu.Lock()
		_ = romeo.acknowledge(m, uint32(m.acked)+1)
		romeo.mu.Unlock()
	}
}

// Sessions that end with messages to each other do not wait for each other, nor does anybody for them.
func TestEndedSessionsDoNotWaitForEachOther(t *testing.T) {
	n := &notebook{broken: true} // so that nothing is noted before they end
	b := noted(t, n, "juliet", "romeo", "mercutio")
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	romeo := b.enable(b.online("romeo", "orchard", "0"))
	mercutio := b.enable(b.online("mercutio", "street", "0"))
	juliet.send(chat("romeo@chat.example", "one"))
	romeo.send(chat("juliet@chat.example", "two"))
	mercutio.send(chat("romeo@chat.example", "three"))
	mercutio.send(chat("juliet@chat.example", "four"))
	romeo.s.Closed()
	juliet.s.Closed()
	n.set(func() { n.broken = false })
	mercutio.send(request)
	mercutio.awaitsCount(2)
	eventually(t, "nobody is looked after any more", func() bool {
		b.ledger.mu.Lock()
		defer b.ledger.mu.Unlock()
		return len(b.ledger.list) == 0
	})
}

// Copies of one message belong together, and what a service passes on between them does not: the acknowledgement of one says nothing of the other.
func TestPassedOnBetweenCopies(t *testing.T) {
	n := &notebook{}
	b := noted(t, n, "juliet", "romeo", "nurse")
	juliet := b.enable(b.online("juliet", "balcony", "0"))
	home, away := b.enable(b.online("romeo", "home", "0")), b.enable(b.online("romeo", "away", "0"))
	nurse := b.enable(b.online("nurse", "door", "0"))
	mark := func(to *managed) flight { return flight{to: to.s, kind: managedFlight, mark: to.s.sm.Load().sent()} }
	home.s.Send([]byte("<message id='m'/>"))
	nurse.s.Send([]byte("<message id='passed'/>"))
	away.s.Send([]byte("<message id='m'/>"))
	first, between, second := mark(home), mark(nurse), mark(away)
	first.id, between.id, second.id = 1, 2, 1
	juliet.s.fly(first, true)
	juliet.s.fly(between, true)
	juliet.s.fly(second, false)
	home.send(answer(1))
	away.send(answer(1))
	books := &juliet.s.books
	books.mu.Lock()
	juliet.s.clearDelivered()
	if books.cleared == books.begun {
		t.Error("what the nurse has not acknowledged counts as delivered")
	}
	books.mu.Unlock()
	nurse.send(answer(1))
	books.mu.Lock()
	juliet.s.clearDelivered()
	want(t, "cleared", books.cleared, books.begun)
	books.mu.Unlock()
}

// A kept message follows its account to another name: its own address, and who vouches for its id (XEP-0359 §3).
func TestReaddress(t *testing.T) {
	old, now := jid.MustParse("mira@chat.example"), jid.MustParse("jana@chat.example")
	const kept = "<message from='tobias@chat.example/phone' id='1' to='mira@chat.example/x' type='chat' xml:lang='de'><body>an mira@chat.example</body>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' id='0abc' by='mira@chat.example'/><stanza-id xmlns='urn:xmpp:sid:0' id='2' by='room@conference.chat.example'/></message>"
	e, err := xmlstream.Parse(Readdress([]byte(kept), old, now), xmlstream.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	st, bad := stanza.Parse(e, nil)
	if bad != nil {
		t.Fatal(bad)
	}
	want(t, "to", st.To.String(), "jana@chat.example/x")
	want(t, "from", st.From.String(), "tobias@chat.example/phone")
	want(t, "id", string(st.ID), "1")
	want(t, "language", string(st.Lang), "de")
	want(t, "body", string(st.Child(stanza.NSClient, "body").Text()), "an mira@chat.example")
	var by []string
	for c := range e.Children() {
		if c.Is(stanza.NSStanzaID, "stanza-id") {
			by = append(by, string(c.Attr("by"))+" "+string(c.Attr("id")))
		}
	}
	want(t, "ids", by, []string{"jana@chat.example 0abc", "room@conference.chat.example 2"})
	want(t, "what is none", string(Readdress([]byte("<message"), old, now)), "<message")
}
