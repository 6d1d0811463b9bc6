package muc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// managed enables stream management (XEP-0198).
func (c *client) managed() {
	c.w.t.Helper()
	c.send("<enable xmlns='urn:xmpp:sm:3'/>")
	c.until("<enabled")
}

// drain forgets what came.
func (c *client) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = nil
}

// What was said goes out when it is in the archive, and is acknowledged then, in the order in which it was decided; other rooms don't wait for it.
func TestNothingIsSeenBeforeItIsStored(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	w.declare("hall", "2", nil)
	hall := strings.Replace(lounge, "lounge", "hall", 1)
	mira, tobias, jana := w.login("mira"), w.login("tobias"), w.login("jana")
	mira.managed()
	for _, room := range []string{lounge, hall} {
		mira.enter(room, "Mira")
		tobias.enter(room, "Tobias")
	}
	mira.drain()
	tobias.drain()
	release := w.hold("lounge@conference")
	mira.say(lounge, "first")
	mira.say(lounge, "second")
	jana.send("<presence to='" + lounge + "/Jana'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	mira.say(lounge, "third")
	tobias.send("<presence type='unavailable' to='" + lounge + "/Tobias'/>")

	mira.say(hall, "elsewhere")
	tobias.until(">elsewhere<")
	mira.until(">elsewhere<")
	mira.send("<r xmlns='urn:xmpp:sm:3'/>") // which is answered later
	asked := make(chan []string)
	go func() {
		results, _ := jana.ask(lounge, "")
		asked <- results
	}()
	select {
	case got := <-asked:
		t.Errorf("a query does not wait for what was said before: %q", got)
	default:
	}
	if strings.Contains(mira.seen(), "<a ") {
		t.Error("what is not stored was acknowledged")
	}
	for _, c := range []*client{mira, tobias, jana} {
		if got := c.seen(); strings.Contains(got, "lounge") {
			t.Errorf("%s saw %s", c.s.JID(), got)
		}
	}
	release()
	equal(t, "jana asked for", bodies(<-asked), "first", "second", "third")
	got := mira.until("<a xmlns='urn:xmpp:sm:3'")
	equal(t, "mira got", bodies(got), "first", "second", "third")
	equal(t, "tobias got", bodies(tobias.until("type='unavailable'")), "first", "second", "third")
}

// jana's history was decided before the third message and so comes before it, with the first two in it.
func TestWhoEntersMeanwhileMissesNothing(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	mira, jana := w.login("mira"), w.login("jana")
	mira.enter(lounge, "Mira")
	release := w.hold("lounge@conference")
	mira.say(lounge, "first")
	jana.send("<presence to='" + lounge + "/Jana'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	mira.say(lounge, "second")
	release()
	came := jana.until(">second<")
	equal(t, "jana got", bodies(came), "first", "second")
	if first := came[len(came)-3]; !strings.Contains(first, ">first<") || !strings.Contains(first, "<delay") {
		t.Errorf("the history is %q", came)
	}
}

// A message that cannot be stored did not happen: its author is told to try again, nobody else sees anything of it.
func TestWhatCannotBeStoredIsRefused(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", func(r *directory.Room) { member("mira")(r) })
	mira, tobias, jana := w.login("mira"), w.login("tobias"), w.login("jana")
	mira.managed()
	mira.enter(lounge, "Mira")
	jana.enter(lounge, "Jana")
	mira.send(subject("Before"))
	jana.until(">Before<")
	if got := mira.reserve("mi"); !strings.Contains(got, "result") {
		t.Fatal(got)
	}
	mira.say(lounge, "kept")
	jana.until(">kept<")
	mira.until(">kept<")

	release := w.hold("lounge@conference")
	w.store.failing(errors.New("the disk is on fire"))
	for i := range 3 {
		mira.say(lounge, fmt.Sprint("lost ", i))
	}
	mira.send(subject("Lost"))
	mira.send(subject("Lost, too"))
	jana.send("<iq type='set' id='card' to='" + lounge + "'>" + avatar + "</iq>")
	// tobias comes while it is not known yet.
	tobias.send("<presence to='" + lounge + "/Tobias'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	release()
	for _, id := range []string{"lost 0", "lost 1", "lost 2", "s", "s"} {
		got := mira.last(" id='" + id + "'")
		if !strings.Contains(got, "type='error'") || !strings.Contains(got, "<resource-constraint") || !strings.Contains(got, "type='wait'") || strings.Contains(got, "fire") {
			t.Errorf("mira gets %s", got)
		}
	}
	if got := jana.last(" id='card'"); !strings.Contains(got, "<resource-constraint") {
		t.Errorf("jana gets %s", got)
	}
	if got := mira.reserve("other"); !strings.Contains(got, "<resource-constraint") || strings.Contains(mira.seen(), " id='reg'") {
		t.Errorf("mira gets %s, %s", got, mira.seen())
	}
	if got := mira.reserved(); !strings.Contains(got, "<username>mi</username>") {
		t.Errorf("mira has %s", got)
	}
	equal(t, "tobias got", bodies(tobias.until("<subject")), "kept")
	if got := jana.seen(); strings.Contains(got, "lost") || strings.Contains(got, "Lost") {
		t.Errorf("jana saw %s", got)
	}
	mira.send("<r xmlns='urn:xmpp:sm:3'/>") // what was refused is dealt with
	mira.until("<a xmlns='urn:xmpp:sm:3'")

	w.store.failing(nil)
	mira.say(lounge, "again")
	jana.until(">again<")
	mira.until(">again<")
	other := w.login("root")
	came := other.enter(lounge, "Root")
	equal(t, "the history", bodies(came), "kept", "again")
	if last := came[len(came)-1]; !strings.Contains(last, ">Before<") {
		t.Errorf("the subject is %s", last)
	}
	other.send("<iq type='get' id='card' to='" + lounge + "'><vCard xmlns='vcard-temp'/></iq>")
	if got := other.last(" id='card'"); strings.Contains(got, "PHOTO") {
		t.Errorf("the picture is %s", got)
	}
	results, _ := other.ask(lounge, "")
	equal(t, "the archive", bodies(results), "kept", "again")
}

// What was said when the server is asked to stop is stored, and told, before it stops.
func TestShutdownWaitsForTheStore(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	mira := w.login("mira")
	mira.enter(lounge, "Mira")
	release := w.hold("lounge@conference")
	mira.say(lounge, "at the last moment")
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.rooms.Shutdown()
	}()
	select {
	case <-stopped:
		t.Error("the rooms are gone before they have stored what was said")
	default:
	}
	release()
	<-stopped
	equal(t, "mira got", bodies(mira.until("<status code='332'/>")), "at the last moment")
	w.restart()
	equal(t, "the history", bodies(w.login("mira").enter(lounge, "Mira")), "at the last moment")
}

// A room that has too much under way tells its clients to wait; it does not grow for ever.
func TestRoomsHoldNoMoreThanTheyMay(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	var clients []*client
	for i := range 5 {
		c := w.login([]string{"mira", "tobias", "jana", "root", "mira"}[i])
		c.enter(lounge, fmt.Sprint("n", i/4*10+i%4))
		clients = append(clients, c)
	}
	release := w.hold("lounge@conference")
	sent := 0
	refused := func() bool {
		for _, c := range clients {
			if strings.Contains(c.seen(), "resource-constraint") {
				return true
			}
		}
		return false
	}
	for _, c := range clients {
		for range 500 {
			c.say(lounge, "x")
			sent++
		}
	}
	if sent != 2500 || !refused() {
		t.Errorf("%d messages are held", sent)
	}
	release()
	w.login("root").ask(lounge, "") // which waits for what was said before
	clients[0].say(lounge, "end")
	eventually(t, "for the end", func() bool { return strings.Contains(clients[0].seen(), ">end<") })
	if n := strings.Count(clients[0].seen(), "type='groupchat'") - strings.Count(clients[0].seen(), "type='error'"); n < 2048 {
		t.Errorf("%d messages came through", n)
	}
}

// mailbox keeps letters that are not stored before the test says so.
type mailbox struct {
	mu      sync.Mutex
	letters []*core.Letter
}

func (m *mailbox) Keep(l *core.Letter, _ func() bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = append(m.letters, l)
	return true
}

func (m *mailbox) take() []*core.Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.letters
	m.letters = nil
	return list
}

// slow is a proposer that can be made to wait.
type slow struct {
	*directory.Local
	gate chan struct{} // nil: it does not
}

func (s *slow) UpdateRoom(ctx context.Context, by directory.Actor, identity string, u directory.RoomUpdate) error {
	if s.gate != nil {
		<-s.gate
	}
	return s.Local.UpdateRoom(ctx, by, identity, u)
}

// Record makes the store a journal that tells what was noted down, and waits while a test holds it.
func (f *faulty) Record(ctx context.Context, add []core.Note, remove []core.NoteKey) error {
	f.mu.Lock()
	gate := f.gates[0]
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	f.mu.Lock()
	for i := range add {
		f.notes = append(f.notes, string(add[i].Stanza))
	}
	f.mu.Unlock()
	return f.Store.Record(ctx, add, remove)
}

// XEP-0198 §4: what a room passes on to one person is handled when that person has it, or it is noted down or in the mailbox.
func TestWhatIsPassedOnIsAcknowledgedWhenItIsKept(t *testing.T) {
	const request = "<r xmlns='urn:xmpp:sm:3'/>"
	told := func(h int) string { return fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", h) }
	invitation := func(who string) string {
		return "<message to='" + lounge + "' id='i-" + who + "'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='" + who + "@" + domain + "'/></x></message>"
	}
	w := newWorld(t)
	w.stop()
	w.mail = &mailbox{}
	w.start()
	w.declare("lounge", "1", nil)
	mira, tobias := w.login("mira"), w.login("tobias")
	for _, c := range []*client{mira, tobias} {
		c.managed()
	}
	mira.enter(lounge, "Mira")
	tobias.enter(lounge, "Tobias")
	mira.send(request)
	mira.until(told(1))
	unacknowledged := func(step string) {
		t.Helper()
		mira.send(request)
		mira.mu.Lock()
		defer mira.mu.Unlock()
		for _, xml := range mira.got {
			if strings.Contains(xml, "<a ") {
				t.Errorf("%s: %s", step, xml)
			}
		}
	}

	gate := make(chan struct{})
	w.store.mu.Lock()
	w.store.gates[0] = gate
	w.store.mu.Unlock()
	mira.send("<message to='" + lounge + "/Tobias' type='chat' id='pm'><body>between us</body></message>")
	tobias.until("between us")
	unacknowledged("a private message that is in a queue")
	w.store.mu.Lock()
	delete(w.store.gates, 0)
	w.store.mu.Unlock()
	close(gate)
	mira.until(told(2))
	w.store.mu.Lock()
	if len(w.store.notes) != 1 || !strings.Contains(w.store.notes[0], "from='"+lounge+"/Mira'") || !strings.Contains(w.store.notes[0], "between us") {
		t.Errorf("noted down: %q", w.store.notes)
	}
	w.store.mu.Unlock()

	// Somebody who is not there.
	mira.send(invitation("jana"))
	unacknowledged("an invitation that is not stored")
	letters := w.mail.take()
	if len(letters) != 1 || letters[0].Username != "jana" {
		t.Fatalf("in the mailboxes: %v", letters)
	}
	letters[0].Settle(nil)
	mira.until(told(3))

	// Behind a message that the room is storing.
	release := w.hold("lounge@conference")
	tobias.say(lounge, "stored first")
	mira.send(invitation("root"))
	unacknowledged("an invitation that waits in the room")
	release()
	eventually(t, "the letter", func() bool {
		letters = append(letters, w.mail.take()...)
		return len(letters) == 2
	})
	unacknowledged("an invitation that waits in the mailbox")
	letters[1].Settle(nil)
	mira.until(told(4))

	w.declare("council", "2", func(r *directory.Room) {
		r.MembersOnly = true
		r.Affiliations = append(r.Affiliations, directory.Affiliation{JID: jid.MustParse("mira@" + domain), Affiliation: directory.AffiliationAdmin})
	})
	council := strings.Replace(lounge, "lounge", "council", 1)
	mira.enter(council, "Mira")
	mira.send(request)
	mira.until(told(5))
	proposal := make(chan struct{})
	w.proposer.gate = proposal
	mira.send(strings.Replace(invitation("jana"), lounge, council, 1))
	unacknowledged("an invitation that is being proposed")
	close(proposal)
	eventually(t, "the letter", func() bool {
		letters = append(letters, w.mail.take()...)
		return len(letters) == 3
	})
	unacknowledged("an invitation that waits in the mailbox after the proposal")
	letters[2].Settle(nil)
	mira.until(told(6))
}

// RFC 6120 §10.1: private messages and what the room sends besides stay in their order, also while the room is storing.
func TestPassedOnKeepsItsPlace(t *testing.T) {
	w := newWorld(t)
	w.stop()
	w.mail = &mailbox{}
	w.start()
	w.declare("lounge", "1", nil)
	mira, tobias := w.login("mira"), w.login("tobias")
	mira.managed()
	mira.enter(lounge, "Mira")
	tobias.enter(lounge, "Tobias")
	mira.drain()
	tobias.drain()
	private := func(body string) {
		mira.send("<message to='" + lounge + "/Tobias' type='chat' id='" + body + "'><body>" + body + "</body></message>")
	}
	release := w.hold("lounge@conference")
	mira.say(lounge, "stored")
	private("first")
	private("second")
	mira.send("<presence type='unavailable' to='" + lounge + "/Mira'/>")
	release()
	came := strings.Join(tobias.until("type='unavailable'"), "")
	last := -1
	for _, part := range []string{">stored<", ">first<", ">second<", "type='unavailable'"} {
		at := strings.Index(came, part)
		if at < last || at < 0 {
			t.Errorf("%s is not where it belongs in %s", part, came)
		}
		last = at
	}
}
