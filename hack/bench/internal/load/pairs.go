package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/stats"
)

// ring is how many messages of a pair may be under way.
const ring = 1 << 13

// Pairs are sessions that talk, each to one other.
type Pairs struct {
	course
	target *Target
	pairs  []*pair
	wg     sync.WaitGroup
}

// pair is one that writes and one that reads.
type pair struct {
	from, to *client.Conn
	window   chan struct{}

	// The sender's.
	text   []byte
	at, id int // where in text the number and its copy stand
	sent   atomic.Uint64

	due [ring]atomic.Int64 // when message n was to be sent, by n modulo ring, in nanoseconds of the clock

	// The reader's.
	received atomic.Uint64
	took     []float64 // microseconds
}

const digits = 10

// text is a message as chat clients write it, of some 400 bytes.
const (
	textHead = "<message to='%s' type='chat' id='m0000000000'>"
	textTail = "<body>The lift at gate 4 is stuck again &amp; maintenance knows; please send everybody over the stairs.</body>" +
		"<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>" +
		"<markable xmlns='urn:xmpp:chat-markers:0'/><origin-id xmlns='urn:xmpp:sid:0' id='m0000000000'/></message>"
)

func newPair(from, to *client.Conn, jid string, window int) *pair {
	p := &pair{from: from, to: to, window: make(chan struct{}, window)}
	head := fmt.Appendf(nil, textHead, jid)
	p.at = len(head) - len("0000000000'>")
	p.text = append(head, textTail...)
	p.id = len(p.text) - len("0000000000'/></message>")
	return p
}

// send writes the next message, in one write, as a client does.
func (p *pair) send(due time.Duration) error {
	n := p.sent.Load()
	if n-p.received.Load() >= ring {
		return errors.New("more than 8,192 messages of one pair are under way: the server does not keep up")
	}
	number(p.text[p.at:p.at+digits], n)
	number(p.text[p.id:p.id+digits], n)
	p.due[n%ring].Store(int64(due))
	p.sent.Store(n + 1)
	return p.from.Write(p.text)
}

// StartPairs logs 2n accounts in and begins to read.
func (t *Target) StartPairs(ctx context.Context, n, window int) (*Pairs, error) {
	sessions, _, err := t.Login(ctx, 0, 2*n)
	if err != nil {
		return nil, err
	}
	p := &Pairs{target: t}
	p.begin()
	for i := range n {
		one := newPair(sessions[2*i], sessions[2*i+1], t.JID(2*i+1), window)
		p.pairs = append(p.pairs, one)
		p.wg.Go(func() { p.fail(one.read(p)) })
	}
	return p, nil
}

// read takes messages until the connection ends: all of them, each once, in the order in which they were sent.
func (p *pair) read(all *Pairs) error {
	for {
		e, err := p.to.Next()
		if err != nil {
			return fmt.Errorf("%s: %w", p.to.JID, err)
		}
		if !e.Is("message") {
			if e.Is("stream:error") {
				return fmt.Errorf("%s: %s", p.to.JID, e.Raw())
			}
			continue
		}
		id := e.Attr("id")
		if len(id) < 2 {
			return fmt.Errorf("%s: a message without its id: %s", p.to.JID, e.Raw())
		}
		n, err := strconv.ParseUint(string(id[1:]), 10, 64)
		if want := p.received.Load(); err != nil || n != want {
			return fmt.Errorf("%s: message %d was to come, there came %s", p.to.JID, want, e.Raw())
		}
		if due := time.Duration(p.due[n%ring].Load()); int64(due) >= all.since.Load() {
			p.took = append(p.took, float64((all.clock()-due).Nanoseconds())/1000)
		}
		p.received.Add(1)
		select {
		case p.window <- struct{}{}:
		default: // no window is in use
		}
	}
}

// Stop ends all sessions; once is enough.
func (p *Pairs) Stop() {
	if p.ending.Swap(true) {
		return
	}
	var all Sessions
	for _, one := range p.pairs {
		all = append(all, one.from)
		if err := one.to.Finish(); err != nil {
			one.to.Abort()
		}
	}
	p.wg.Wait()
	for _, one := range p.pairs {
		one.to.Abort()
	}
	all.Close()
}

func (p *Pairs) received() (n int) {
	for _, one := range p.pairs {
		n += int(one.received.Load())
	}
	return n
}

// missing are the messages that were sent and have not arrived.
func (p *Pairs) missing() (n int) {
	for _, one := range p.pairs {
		n += int(one.sent.Load() - one.received.Load())
	}
	return n
}

// Closed sends as fast as the window of each pair lets it: what has not arrived takes a place in it.
func (p *Pairs) Closed(ctx context.Context, warm, d time.Duration) (Cost, error) {
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for _, one := range p.pairs {
		for len(one.window) < cap(one.window) {
			one.window <- struct{}{}
		}
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-one.window:
				}
				if err := one.send(0); err != nil {
					p.fail(err)
					return
				}
			}
		})
	}
	var cost Cost
	err := p.wait(ctx, warm)
	if err == nil {
		before := p.received()
		cost, err = p.target.measure(0, func() error { return p.wait(ctx, d) })
		cost.Units = p.received() - before
	}
	close(stop)
	senders.Wait()
	return cost, errors.Join(err, p.drain(ctx, 10*time.Second, p.missing))
}

// Latency is how long messages took.
type Latency struct {
	Micros []float64 // of each message, sorted
	Late   []float64 // by how much the generator itself was behind the timetable, sorted
	Cost   Cost
}

// Open sends by timetable, whatever the server does: message k is due at k/rate, and its time runs from there, so that a server that
// stops for a while is charged for every message that had to wait, and not only for the one that was under way.
func (p *Pairs) Open(ctx context.Context, rate int, warm, d time.Duration) (Latency, error) {
	var l Latency
	skip := int(warm.Seconds() * float64(rate))
	total := skip + int(d.Seconds()*float64(rate))
	t := timetable{begin: p.clock() + 10*time.Millisecond, step: time.Second / time.Duration(rate), total: total, skip: skip, clock: p.clock}
	p.since.Store(int64(t.due(skip)))
	sent := make(chan error, 1)
	go func() {
		sent <- t.keep(ctx, func(k int, due time.Duration) error {
			return p.pairs[k%len(p.pairs)].send(due)
		})
	}()
	if err := p.wait(ctx, warm); err != nil {
		return l, errors.Join(err, <-sent)
	}
	var err error
	l.Cost, err = p.target.measure(total-skip, func() error {
		select {
		case err := <-sent:
			return err
		case err := <-p.failed:
			return errors.Join(err, <-sent)
		}
	})
	err = errors.Join(err, p.drain(ctx, 20*time.Second, p.missing))
	p.since.Store(never)
	for _, one := range p.pairs {
		l.Micros = append(l.Micros, one.took...)
		one.took = nil
	}
	l.Late = t.late
	slices.Sort(l.Micros)
	slices.Sort(l.Late)
	return l, err
}

// Quantile is the quantile of the messages' times in milliseconds.
func (l Latency) Quantile(q float64) float64 { return stats.Quantile(l.Micros, q) / 1000 }
