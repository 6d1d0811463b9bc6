package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
)

// roomService is the domain of the rooms of every server.
const roomService = "conference."

// roomRing is how many messages of one sender may be under way in a room.
const roomRing = 1 << 10

// Room is a chat room with the sessions of accounts in it, all of whom read, and some of whom write as well.
type Room struct {
	course
	target    *Target
	addr      string
	occupants []*occupant
	senders   []*sender
	readers   sync.WaitGroup
}

// occupant is one session in the room.
type occupant struct {
	room   *Room
	conn   *client.Conn
	joined chan struct{} // closed when the room has said that this session is in it
	ready  chan struct{} // the owner's: closed when the room has been unlocked
	full   chan struct{} // closed when all occupants have been seen
	in     bool          // joined is closed
	seen   int           // occupants

	received atomic.Uint64
	next     []uint64  // of each sender, the message to come
	took     []float64 // microseconds
}

// sender is an occupant that writes. A message is through when every occupant has it, its sender among them.
type sender struct {
	conn   *client.Conn
	index  int
	text   []byte
	at, id int // where in text the number and its copy stand
	window chan struct{}
	sent   atomic.Uint64
	done   atomic.Uint64 // messages that are through
	left   [roomRing]atomic.Int32
	due    [roomRing]atomic.Int64 // when message n was to be sent, by n modulo the ring's size, in nanoseconds of the clock
}

// senderDigits are those of a sender's number in the id of a message.
const senderDigits = 3

func newSender(conn *client.Conn, index int, addr string, window int) *sender {
	s := &sender{conn: conn, index: index, window: make(chan struct{}, window)}
	head := fmt.Appendf(nil, "<message to='%s' type='groupchat' id='m%0*d.0000000000'>", addr, senderDigits, index)
	s.at = len(head) - len("0000000000'>")
	s.text = append(head, textTail...)
	s.id = len(s.text) - len("0000000000'/></message>")
	return s
}

// send writes the next message to a room of so many occupants.
func (s *sender) send(due time.Duration, occupants int) error {
	n := s.sent.Load()
	if n-s.done.Load() >= roomRing {
		return errors.New("more than 1,024 messages of one occupant are under way: the server does not keep up")
	}
	number(s.text[s.at:s.at+digits], n)
	number(s.text[s.id:s.id+digits], n)
	s.left[n%roomRing].Store(int32(occupants))
	s.due[n%roomRing].Store(int64(due))
	s.sent.Store(n + 1)
	return s.conn.Write(s.text)
}

// number writes n with leading zeros.
func number(b []byte, n uint64) {
	for i := len(b) - 1; i >= 0; i, n = i-1, n/10 {
		b[i] = byte('0' + n%10)
	}
}

// Joining is what filling a room took.
type Joining struct{ Cost }

// Enter logs n accounts in, from account from on, and has them enter a room, a few at a time. It ends when every one of them has seen every
// other. The first makes the room; the first of them write later, as many as senders says, each with a window of messages under way.
func (t *Target) Enter(ctx context.Context, name string, from, n, senders, window int) (*Room, Joining, error) {
	sessions, _, err := t.Login(ctx, from, n)
	if err != nil {
		return nil, Joining{}, err
	}
	r := &Room{target: t, addr: name + "@" + roomService + t.Client.Domain}
	r.begin()
	for i, conn := range sessions {
		r.occupants = append(r.occupants, &occupant{
			room: r, conn: conn, joined: make(chan struct{}), ready: make(chan struct{}), full: make(chan struct{}), next: make([]uint64, senders),
		})
		if i < senders {
			r.senders = append(r.senders, newSender(conn, i, r.addr, window))
		}
	}
	for _, o := range r.occupants {
		r.readers.Go(func() { r.fail(o.read()) })
	}
	var j Joining
	if j.Cost, err = t.measure(n, func() error { return r.fill(ctx) }); err != nil {
		r.Abandon()
		return nil, j, fmt.Errorf("%d occupants enter %s: %w", n, r.addr, err)
	}
	return r, j, nil
}

// fill has everybody enter: first the owner, whose wish to have the room as it is unlocks it (XEP-0045 §10.1.2).
func (r *Room) fill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := r.join(ctx, 0); err != nil {
		return err
	}
	if err := r.occupants[0].conn.Write(unlock(r.addr, "unlock")); err != nil {
		return err
	}
	if err := r.await(ctx, r.occupants[0].ready, "the room is not unlocked"); err != nil {
		return err
	}
	err := each(len(r.occupants)-1, parallel, func(i int) error { return r.join(ctx, i+1) })
	for i, o := range r.occupants {
		if err == nil {
			err = r.await(ctx, o.full, fmt.Sprintf("occupant %d has not seen all others", i))
		}
	}
	return err
}

func (r *Room) join(ctx context.Context, i int) error {
	o := r.occupants[i]
	if err := o.conn.Write(enter(r.addr, i)); err != nil {
		return err
	}
	return r.await(ctx, o.joined, fmt.Sprintf("occupant %d is not in the room", i))
}

func enter(addr string, nick int) []byte {
	return fmt.Appendf(nil, "<presence to='%s/nick%05d'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>", addr, nick)
}

func unlock(addr, id string) []byte {
	return fmt.Appendf(nil, "<iq type='set' id='%s' to='%s'><query xmlns='http://jabber.org/protocol/muc#owner'>"+
		"<x xmlns='jabber:x:data' type='submit'/></query></iq>", id, addr)
}

// await waits for something that the readers will see.
func (r *Room) await(ctx context.Context, what <-chan struct{}, missing string) error {
	select {
	case <-what:
		return nil
	case err := <-r.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", missing, ctx.Err())
	}
}

// read takes what the session gets until its connection ends: each message once, and those of one sender in the order in which they were sent.
func (o *occupant) read() error {
	for {
		e, err := o.conn.Next()
		if err != nil {
			return fmt.Errorf("%s: %w", o.conn.JID, err)
		}
		switch string(e.Name()) {
		case "message":
			err = o.message(e)
		case "presence":
			err = o.presence(e)
		case "iq":
			if string(e.Attr("id")) == "unlock" {
				if string(e.Attr("type")) != "result" {
					return fmt.Errorf("unlocking the room was answered with %s", e.Raw())
				}
				close(o.ready)
			}
		case "stream:error":
			err = errors.New(string(e.Raw()))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o.conn.JID, err)
		}
	}
}

func (o *occupant) presence(e client.Element) error {
	from := e.Attr("from")
	if !bytes.HasPrefix(from, []byte(o.room.addr+"/")) {
		return nil
	}
	switch kind := string(e.Attr("type")); kind {
	case "":
	case "unavailable":
		return nil
	default:
		return fmt.Errorf("entering the room was answered with %s", e.Raw())
	}
	if selfPresence(e) && !o.in {
		o.in = true
		close(o.joined)
	}
	if o.seen++; o.seen == len(o.room.occupants) {
		close(o.full)
	}
	return nil
}

// selfPresence tells whether a presence is that of the one who gets it (XEP-0045 §7.2.3), in whichever quotes.
func selfPresence(e client.Element) bool {
	return e.Contains("code='110'") || e.Contains(`code="110"`)
}

func (o *occupant) message(e client.Element) error {
	id := e.Attr("id")
	if len(id) != len("m")+senderDigits+len(".")+digits || id[0] != 'm' {
		if string(e.Attr("type")) == "error" {
			return errors.New(string(e.Raw()))
		}
		return nil // the subject, or what the room has to say itself
	}
	from, err := strconv.Atoi(string(id[1 : 1+senderDigits]))
	n, err2 := strconv.ParseUint(string(id[2+senderDigits:]), 10, 64)
	if err != nil || err2 != nil || from >= len(o.next) || n != o.next[from] || string(e.Attr("type")) != "groupchat" {
		return fmt.Errorf("what came was not the next message of its sender: %s", e.Raw())
	}
	o.next[from]++
	s := o.room.senders[from]
	if due := time.Duration(s.due[n%roomRing].Load()); int64(due) >= o.room.since.Load() {
		o.took = append(o.took, float64((o.room.clock()-due).Nanoseconds())/1000)
	}
	o.received.Add(1)
	if s.left[n%roomRing].Add(-1) == 0 {
		s.done.Add(1)
		select {
		case s.window <- struct{}{}:
		default: // no window is in use
		}
	}
	return nil
}

// Abandon cuts all connections. Whoever wants the room left in an orderly way would wait for as many presences as entering it took.
func (r *Room) Abandon() {
	r.ending.Store(true)
	for _, o := range r.occupants {
		o.conn.Abort()
	}
	r.readers.Wait()
}

func (r *Room) received() (n int) {
	for _, o := range r.occupants {
		n += int(o.received.Load())
	}
	return n
}

// missing are the messages that were sent and have not come to all occupants.
func (r *Room) missing() (n int) {
	for _, s := range r.senders {
		n += int(s.sent.Load() - s.done.Load())
	}
	return n
}

// flood has the senders send as fast as their windows let them, until what it returns is called.
func (r *Room) flood() (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	for _, s := range r.senders {
		for len(s.window) < cap(s.window) {
			s.window <- struct{}{}
		}
		wg.Go(func() {
			for {
				select {
				case <-end:
					return
				case <-s.window:
				}
				if err := s.send(0, len(r.occupants)); err != nil {
					r.fail(err)
					return
				}
			}
		})
	}
	return func() {
		close(end)
		wg.Wait()
	}
}

// Closed floods the room and counts what is delivered.
func (r *Room) Closed(ctx context.Context, warm, d time.Duration) (Cost, error) {
	stop := r.flood()
	var cost Cost
	err := r.wait(ctx, warm)
	if err == nil {
		before := r.received()
		cost, err = r.target.measure(0, func() error { return r.wait(ctx, d) })
		cost.Units = r.received() - before
	}
	stop()
	return cost, errors.Join(err, r.drain(ctx, 30*time.Second, r.missing))
}

// Open sends by timetable, whatever the server does, rate messages a second; see [Pairs.Open]. The times are those of deliveries.
func (r *Room) Open(ctx context.Context, rate float64, warm, d time.Duration) (Latency, error) {
	skip := int(warm.Seconds() * rate)
	total := skip + max(1, int(d.Seconds()*rate))
	t := timetable{begin: r.clock() + 10*time.Millisecond, step: time.Duration(float64(time.Second) / rate), total: total, skip: skip, clock: r.clock}
	r.since.Store(int64(t.due(skip)))
	sent := make(chan error, 1)
	go func() {
		sent <- t.keep(ctx, func(k int, due time.Duration) error {
			return r.senders[k%len(r.senders)].send(due, len(r.occupants))
		})
	}()
	var l Latency
	cost, err := r.target.measure(total*len(r.occupants), func() error {
		select {
		case err := <-sent:
			return err
		case err := <-r.failed:
			return errors.Join(err, <-sent)
		}
	})
	l.Cost = cost
	err = errors.Join(err, r.drain(ctx, 30*time.Second, r.missing))
	r.since.Store(never)
	for _, o := range r.occupants {
		l.Micros = append(l.Micros, o.took...)
		o.took = nil
	}
	l.Late = t.late
	slices.Sort(l.Micros)
	slices.Sort(l.Late)
	return l, err
}

// Flood has the senders of the room send as fast as they can while something else is done.
func (r *Room) Flood(ctx context.Context, while func() error) error {
	stop := r.flood()
	err := while()
	stop()
	return errors.Join(err, r.drain(ctx, 30*time.Second, r.missing))
}
