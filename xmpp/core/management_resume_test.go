package core

import (
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
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

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
	for end := time.Now().Add(time.Minute); len(seen) < senders*each; {
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
