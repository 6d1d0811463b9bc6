package core

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

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
