package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// OfflineMessage is a message that waits for its account.
type OfflineMessage struct {
	Username string
	ID       int64 // unique for the account; the order in which messages are given back
	Received time.Time
	Stanza   []byte // whole, as the client will get it
}

// OfflineStore remembers messages for accounts that nobody is there for. An implementation returns from a write once the write would
// survive a crash, and may be called by many goroutines at once.
type OfflineStore interface {
	// PutOffline adds messages in one transaction and says of each whether it was kept: an account has at most room(username) messages, which is
	// asked within the transaction and is 0 for one that is gone. One that is there already, by id, is kept as it is.
	PutOffline(ctx context.Context, list []OfflineMessage, room func(username string) int) (kept []bool, err error)
	// LoadOffline gives an account's messages with the lowest ids: at most so many, and no more once they have so many bytes.
	LoadOffline(ctx context.Context, username string, most, mostBytes int) ([]OfflineMessage, error)
	// CountOffline says how many messages of an account that were received since a time there are.
	CountOffline(ctx context.Context, username string, since time.Time) (int, error)
	// DeleteOffline removes messages of an account; those that aren't there are no error.
	DeleteOffline(ctx context.Context, username string, ids []int64) error
	// PruneOffline removes all messages received before a time.
	PruneOffline(ctx context.Context, before time.Time) (int64, error)
}

// Bounds of what is under way.
const (
	putBatch      = 256       // messages of one write
	maxPutWaiting = 4096      // messages that wait to be written; beyond, senders wait
	maxPutBytes   = 16 << 20  // and their bytes
	giveBatch     = 200       // messages given back at once
	giveBytes     = 128 << 10 // and their bytes, but for one large message
	maxLive       = 10000     // messages of an account that somebody is there for, while older ones are given back
	pruneEvery    = time.Hour
	// A client that has not acknowledged for so long no longer keeps live messages from its account. It has to be longer than
	// a client that is there takes to answer.
	holdPatience = 15 * time.Second
)

// OfflineConfig is what Offline needs.
type OfflineConfig struct {
	Directory *directory.Directory
	Store     OfflineStore
	Meter     *meter.Meter // counts refusals; nil counts nothing
	Log       *slog.Logger
	Now       func() time.Time // nil: time.Now
}

// Offline keeps messages for accounts that nobody is there for, and gives them back (XEP-0160). It implements core.Mailboxes.
//
// What is to be kept queues up in memory, and one goroutine writes all that has queued up in one transaction; a message counts as handled once
// that is done. So a sender does not wait for each of its messages, and thousands of them share one commit.
//
// While messages are given back to a session, all of the account's that are not delivered yet go through the store, so that no later one
// overtakes them.
type Offline struct {
	dir   *directory.Directory
	store OfflineStore
	meter *meter.Meter
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	room    sync.Cond // waiting has become shorter
	waiting []*core.Letter
	bytes   int
	stopped bool
	boxes   map[string]*box // accounts that messages are on their way for, in or out
	signal  chan struct{}
	givers  sync.WaitGroup

	patience time.Duration   // holdPatience, but for tests
	ctx      context.Context // of those who give back; it ends with Run's
	cancel   context.CancelFunc
}

// box is what is under way for one account; guarded by Offline.mu.
type box struct {
	username string
	pending  int             // letters that are not written yet
	written  uint64          // letters that were written, or refused
	idle     chan struct{}   // closed when pending falls to 0; nil when nobody waits for that
	target   *core.Session   // whom messages are being given back to
	others   []*core.Session // who came meanwhile
	running  bool            // somebody is at it
	stuck    bool            // the target acknowledges nothing, and live messages have stopped waiting for it
}

var _ core.Mailboxes = (*Offline)(nil)

// NewOffline makes the service. It keeps and gives back while Run runs.
func NewOffline(cfg OfflineConfig) *Offline {
	o := &Offline{
		dir: cfg.Directory, store: cfg.Store, meter: cfg.Meter, log: cfg.Log, now: cfg.Now,
		boxes: make(map[string]*box), signal: make(chan struct{}, 1), patience: holdPatience,
	}
	o.room.L = &o.mu
	o.ctx, o.cancel = context.WithCancel(context.Background())
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	if o.now == nil {
		o.now = time.Now
	}
	return o
}

// Keep implements core.Mailboxes.
func (o *Offline) Keep(l *core.Letter, reachable func() bool) bool {
	o.mu.Lock()
	for !o.stopped && (len(o.waiting) >= maxPutWaiting || o.bytes >= maxPutBytes) {
		o.room.Wait()
	}
	if reachable() {
		o.mu.Unlock()
		return false
	}
	if o.stopped {
		o.mu.Unlock()
		l.Settle(notNow())
		return true
	}
	o.box(l.Username).pending++
	o.waiting = append(o.waiting, l)
	o.bytes += len(l.Stanza)
	o.mu.Unlock()
	select {
	case o.signal <- struct{}{}:
	default: // one signal covers all that waits
	}
	return true
}

// notNow is what a sender hears when the store fails: the message can be sent again.
func notNow() *stanza.Error {
	return stanza.NewError(stanza.ConditionResourceConstraint, "The message cannot be kept at the moment. Try again later.")
}

// box gives what is under way for an account. o.mu is held.
func (o *Offline) box(username string) *box {
	b := o.boxes[username]
	if b == nil {
		b = &box{username: username}
		o.boxes[username] = b
	}
	return b
}

// tidy forgets a box that nothing is under way for. o.mu is held.
func (o *Offline) tidy(b *box) {
	if b.pending == 0 && b.target == nil && o.boxes[b.username] == b {
		delete(o.boxes, b.username)
	}
}

// Run writes, gives back, and removes what is too old, until ctx ends. What was accepted by then is still written.
func (o *Offline) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, o.cancel)()
	var pruning sync.WaitGroup
	pruning.Go(func() { o.prune(ctx) })
	defer pruning.Wait()
	for {
		select {
		case <-ctx.Done():
			o.mu.Lock()
			o.stopped = true
			o.room.Broadcast()
			o.mu.Unlock()
			o.writeAll()
			o.cancel()
			o.givers.Wait()
			return
		case <-o.signal:
			o.writeAll()
		}
	}
}

// writeAll writes until nothing waits.
func (o *Offline) writeAll() {
	for {
		o.mu.Lock()
		n := min(len(o.waiting), putBatch)
		batch := slices.Clone(o.waiting[:n])
		rest := copy(o.waiting, o.waiting[n:])
		clear(o.waiting[rest:])
		o.waiting = o.waiting[:rest]
		for _, l := range batch {
			o.bytes -= len(l.Stanza)
		}
		o.room.Broadcast()
		o.mu.Unlock()
		if n == 0 {
			return
		}
		o.writeBatch(batch)
	}
}

func (o *Offline) writeBatch(batch []*core.Letter) {
	list := make([]OfflineMessage, len(batch))
	for i, l := range batch {
		list[i] = OfflineMessage{Username: l.Username, ID: l.ID, Received: l.At, Stanza: l.Stanza}
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	kept, err := o.store.PutOffline(ctx, list, o.capacity)
	if err != nil {
		o.log.Error("messages for accounts that are offline could not be kept; their senders are told", "messages", len(batch), "error", err.Error())
	}
	o.mu.Lock()
	for _, l := range batch {
		b := o.boxes[l.Username]
		b.pending--
		b.written++
		if b.pending == 0 && b.idle != nil {
			close(b.idle)
			b.idle = nil
		}
		o.tidy(b)
	}
	o.mu.Unlock()
	for i, l := range batch {
		switch {
		case err != nil:
			o.meter.Refuse(meter.Storage)
			l.Settle(notNow())
		case !kept[i]:
			l.Settle(stanza.NewError(stanza.ConditionServiceUnavailable, "")) // XEP-0160 §2
		default:
			l.Settle(nil)
		}
	}
}

// capacity is how many messages an account may have.
func (o *Offline) capacity(username string) int {
	if _, ok := o.dir.User(username); !ok {
		return 0 // what was left of it is being purged
	}
	most := o.dir.Int(directory.KeyOfflineMessages)
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.boxes[username]; b != nil && b.target != nil && !b.stuck {
		most += maxLive // somebody is there, and takes them in a moment
	}
	return most
}

// Count says how many messages wait for an account.
func (o *Offline) Count(ctx context.Context, username string) (int, error) {
	n, err := o.store.CountOffline(ctx, username, o.oldest())
	if err != nil {
		return 0, fmt.Errorf("counting the offline messages of %q: %w", username, err)
	}
	return n, nil
}

// oldest is when a message was received that is only just not too old to be given back.
func (o *Offline) oldest() time.Time {
	if age := o.dir.Duration(directory.KeyOfflineAge); age > 0 {
		return o.now().Add(-age)
	}
	return time.Time{}
}

// hold is called before a session becomes receptive: from now on, what is kept already comes before what is sent to the account. nothing has
// to follow.
func (o *Offline) hold(s *core.Session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.box(s.Username())
	switch {
	case b.target == s || slices.Contains(b.others, s):
	case b.target == nil:
		b.target = s
		s.SetHold(core.HoldTarget)
	default:
		b.others = append(b.others, s)
		if !b.stuck {
			s.SetHold(core.HoldWaiting)
		}
	}
}

// nothing looks whether there is anything to give back to a session that has just become receptive, and ends the holding where there is not,
// which is mostly so. Otherwise giveBack has to follow.
func (o *Offline) nothing(s *core.Session) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.boxes[s.Username()]
	if b == nil || b.target != s || b.running || b.pending > 0 {
		return false
	}
	b.running = true
	written := b.written
	o.mu.Unlock()
	list, err := o.load(b.username, 1)
	o.mu.Lock()
	if err != nil || len(list) == 0 && b.pending == 0 && b.written == written {
		o.release(b)
		return true
	}
	b.running = false
	return false
}

// giveBack begins to give an account's messages to a session that has become receptive; what was sent to the session so far comes before.
func (o *Offline) giveBack(s *core.Session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.box(s.Username())
	if b.target == nil {
		b.target = s
		s.SetHold(core.HoldTarget)
	}
	if b.running || b.target != s {
		return // whoever is at it, or about to, comes to this session if need be
	}
	if o.stopped {
		o.release(b)
		return
	}
	b.running = true
	o.givers.Go(func() { o.give(o.ctx, b) })
}

// release ends giving back: live messages are delivered from now on. o.mu is held.
func (o *Offline) release(b *box) {
	b.target.SetHold(core.NoHold)
	for _, s := range b.others {
		s.SetHold(core.NoHold)
	}
	b.target, b.others, b.running, b.stuck = nil, nil, false, false
	o.tidy(b)
}

// give goes on until all is given back, to another session of the account where one ends.
func (o *Offline) give(ctx context.Context, b *box) {
	for {
		o.mu.Lock()
		s := b.target
		if !s.Receptive() && !o.next(b) {
			o.release(b)
			o.mu.Unlock()
			return
		}
		s = b.target
		written := b.written
		o.mu.Unlock()
		list, err := o.load(b.username, giveBatch)
		end := err != nil
		switch {
		case end:
		case len(list) == 0:
			if o.caughtUp(ctx, b, written) {
				return
			}
		default:
			switch o.hand(ctx, b, s, list) {
			case handed:
			case lost:
				// What it did not get is still there, for the next one.
				o.mu.Lock()
				end = ctx.Err() != nil || !o.next(b)
				o.mu.Unlock()
			case failed:
				end = true
			}
		}
		if end {
			o.mu.Lock()
			o.release(b)
			o.mu.Unlock()
			return
		}
	}
}

// outcome is how handing a batch over ended.
type outcome uint8

const (
	handed outcome = iota
	lost           // the session is gone, or going
	failed         // the store fails: what is left waits for the next presence
)

// next chooses another session to give back to; false when there is none. o.mu is held.
func (o *Offline) next(b *box) bool {
	i := slices.IndexFunc(b.others, (*core.Session).Receptive)
	if i < 0 {
		return false
	}
	b.target.SetHold(core.NoHold)
	b.target, b.stuck = b.others[i], false
	b.others = slices.Delete(b.others, i, i+1)
	b.target.SetHold(core.HoldTarget)
	return true
}

// caughtUp ends giving back when nothing has been added since the store was found empty, or else waits for what is being written.
func (o *Offline) caughtUp(ctx context.Context, b *box, written uint64) bool {
	o.mu.Lock()
	if b.pending == 0 {
		defer o.mu.Unlock()
		if b.written != written {
			return false
		}
		o.release(b)
		return true
	}
	if b.idle == nil {
		b.idle = make(chan struct{})
	}
	idle := b.idle
	o.mu.Unlock()
	select {
	case <-idle:
		return false
	case <-ctx.Done():
		o.mu.Lock()
		defer o.mu.Unlock()
		o.release(b)
		return true
	}
}

func (o *Offline) load(username string, most int) ([]OfflineMessage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	// A batch has to fit into what may wait for a slow client.
	bytes := min(giveBytes, o.dir.Int(directory.KeyOutputBytes)/4)
	list, err := o.store.LoadOffline(ctx, username, most, bytes)
	for i := range list {
		if bytes -= len(list[i].Stanza); bytes < 0 && i > 0 {
			list = list[:i] // a large one goes alone
			break
		}
	}
	if err != nil {
		o.log.Error("offline messages cannot be given back at the moment; they are at the next presence", "user", username, "error", err.Error())
	}
	return list, err
}

// hand gives a batch to a session and removes it once the session has it.
func (o *Offline) hand(ctx context.Context, b *box, s *core.Session, list []OfflineMessage) outcome {
	oldest := o.oldest()
	// A client that enables acknowledgements meanwhile acknowledges only what comes after that.
	_, managed := s.Sent()
	ids, stored := make([]int64, len(list)), make([]core.Stored, 0, len(list))
	for i := range list {
		ids[i] = list[i].ID
		if !list[i].Received.Before(oldest) {
			stored = append(stored, core.Stored{ID: list[i].ID, Stanza: list[i].Stanza})
		}
	}
	if !s.SendStored(stored) {
		return lost
	}
	if !managed && !s.AwaitWritten() || !o.handedOver(ctx, b, s) {
		return lost
	}
	deadline, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := o.store.DeleteOffline(deadline, b.username, ids); err != nil {
		o.log.Error("offline messages were given back and cannot be removed; they come once more", "user", b.username, "error", err.Error())
		return failed
	}
	return handed
}

// handedOver waits until the client has what was sent to it: until it acknowledges, where it does that (XEP-0198), else until all is written.
func (o *Offline) handedOver(ctx context.Context, b *box, s *core.Session) bool {
	mark, managed := s.Sent()
	if !managed {
		return s.AwaitWritten()
	}
	begun := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		// Ended first: a session that has ended gets no further acknowledgement.
		ended := s.Ended()
		if s.Acknowledged(mark) {
			return true
		}
		if ended {
			return false
		}
		if time.Since(begun) > o.patience {
			o.unhold(b)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

// unhold lets live messages pass, because a client does not acknowledge what is given back to it.
func (o *Offline) unhold(b *box) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b.stuck {
		return
	}
	b.stuck = true
	b.target.SetHold(core.NoHold)
	for _, s := range b.others {
		s.SetHold(core.NoHold)
	}
}

// prune removes what is too old, now and then.
func (o *Offline) prune(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if age := o.dir.Duration(directory.KeyOfflineAge); age > 0 {
			n, err := o.store.PruneOffline(ctx, o.now().Add(-age))
			switch {
			case err != nil && !errors.Is(err, context.Canceled):
				o.log.Error("old offline messages could not be removed; it is tried again within the hour", "error", err.Error())
			case n > 0:
				o.log.Info("removed offline messages that were too old", "messages", n)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
