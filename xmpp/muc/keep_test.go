package muc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
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
	acknowledged := make(chan struct{})
	go func() {
		defer close(acknowledged)
		mira.send("<r xmlns='urn:xmpp:sm:3'/>")
	}()
	asked := make(chan []string)
	go func() {
		results, _ := jana.ask(lounge, "")
		asked <- results
	}()
	select {
	case <-acknowledged:
		t.Error("what is not stored was acknowledged")
	case got := <-asked:
		t.Errorf("a query does not wait for what was said before: %q", got)
	case <-t.Context().Done():
	default:
	}
	for _, c := range []*client{mira, tobias, jana} {
		if got := c.seen(); strings.Contains(got, "lounge") {
			t.Errorf("%s saw %s", c.s.JID(), got)
		}
	}
	release()
	<-acknowledged
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
