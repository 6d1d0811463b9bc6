package core

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Config is what a switchboard needs.
type Config struct {
	Directory *directory.Directory // its domain is the one that is served
	Log       *slog.Logger
	// MaxSessions bounds the sessions of one user; 0 leaves that to the property xmpp.limits.sessions.
	MaxSessions int
	// MaxUnacked and MaxUnackedBytes bound what one session may leave unacknowledged, MaxHibernating the sessions of one user that wait for
	// their clients to come back (XEP-0198); 0 means DefaultMaxUnacked and so on.
	MaxUnacked, MaxUnackedBytes, MaxHibernating int
	// Grace is how long recipients have to acknowledge a message before it is noted down because its sender asks; 0 means DefaultGrace.
	Grace time.Duration
	// Meter counts what is refused because of a limit; nil counts nothing.
	Meter *meter.Meter
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Presences keeps who may see whose presence, and passes it on. Package account implements it. Methods are called on the
// goroutine of the client that caused them, and must not keep a stanza.
type Presences interface {
	// Broadcast handles presence without 'to', available or unavailable (RFC 6121 §4.2, §4.4, §4.5). next is what the resource
	// is from now on, nil for unavailable.
	Broadcast(s *Session, p *stanza.Stanza, next *Presence)
	// Directed takes note of presence that is about to be sent to somebody (RFC 6121 §4.6), or refuses it.
	Directed(s *Session, p *stanza.Stanza) *stanza.Error
	// Outbound handles subscribe, subscribed, unsubscribe and unsubscribed of a client: from and to are bare (RFC 6121 §3).
	Outbound(s *Session, p *stanza.Stanza)
	// Inbound handles these four for an account of this domain, whoever sent them (RFC 6121 §3); the account may not exist.
	Inbound(p *stanza.Stanza)
	// Probe answers a presence probe to an account of this domain (RFC 6121 §4.3.2); the account may not exist.
	Probe(p *stanza.Stanza)
	// Subscribed reports whether somebody may see an account's presence, the account itself included.
	Subscribed(username string, who jid.JID) bool
	// Gone is told once that a session is over, with Ended already true (RFC 6121 §4.5.2, §4.6.3).
	Gone(s *Session)
}

// Switchboard connects the sessions of one domain.
type Switchboard struct {
	domain string
	host   jid.JID
	dir    *directory.Directory
	log    *slog.Logger
	meter  *meter.Meter
	limit  int
	now    func() time.Time

	maxUnacked, maxUnackedBytes, maxHibernating int

	table       *table
	lastID      atomic.Int64 // of messages, in microseconds
	idSalt      int64        // tells this process's ids from others': 12 bits
	buffers     sync.Pool    // of *[]byte
	queues      sync.Pool    // of *unacked
	flights     sync.Pool    // of *flights
	ledger      ledger
	traces      traces
	former      atomic.Pointer[former]   // nil a while after the start
	followed    atomic.Pointer[followed] // nil: nobody's stanzas are logged
	resumptions resumptions
	sleepers    sleepers

	serving atomic.Bool        // Run runs
	beats   chan chan struct{} // which it closes

	// Set by Install before the first session, and not changed afterwards.
	presences Presences
	mailboxes Mailboxes // nil: nothing is kept
	hosts     []Hosts
	handlers  map[handlerKey]*Handler
	info      discoInfo

	// Sessions that a directory event ended, whose contacts have yet to be told: events must not wait.
	departing struct {
		mu     sync.Mutex
		list   []*Session
		signal chan struct{}
	}
}

// New makes a switchboard. Install completes it.
func New(cfg Config) *Switchboard {
	sb := &Switchboard{
		domain: cfg.Directory.Domain(),
		host:   jid.MustParse(cfg.Directory.Domain()),
		dir:    cfg.Directory,
		log:    cfg.Log,
		meter:  cfg.Meter,
		limit:  cfg.MaxSessions,
		now:    cfg.Now,
		table:  newTable(),
		idSalt: int64(mathrand.IntN(1 << 12)),
	}
	if sb.log == nil {
		sb.log = slog.New(slog.DiscardHandler)
	}
	if sb.now == nil {
		sb.now = time.Now
	}
	orDefault := func(n, def int) int {
		if n <= 0 {
			return def
		}
		return n
	}
	sb.maxUnacked = orDefault(cfg.MaxUnacked, DefaultMaxUnacked)
	sb.maxUnackedBytes = orDefault(cfg.MaxUnackedBytes, DefaultMaxUnackedBytes)
	sb.maxHibernating = orDefault(cfg.MaxHibernating, DefaultMaxHibernating)
	sb.departing.signal = make(chan struct{}, 1)
	sb.sleepers.signal = make(chan struct{}, 1)
	sb.beats = make(chan chan struct{})
	sb.ledger.signal, sb.ledger.grace = make(chan struct{}, 1), cfg.Grace
	if cfg.Grace <= 0 {
		sb.ledger.grace = DefaultGrace
	}
	return sb
}

// Install gives the switchboard its services: who handles presence, and what is answered. It is called once, before the first Bind.
// Two features that claim one request are an error of the program, and named.
func (sb *Switchboard) Install(p Presences, features ...Feature) error {
	handlers, err := compileHandlers(features)
	if err != nil {
		return err
	}
	sb.presences, sb.handlers, sb.info = p, handlers, compileInfo(features)
	return nil
}

// Watch begins to end the sessions of accounts that are locked or go away, until cancel is called. It has to be called before the
// first Bind.
func (sb *Switchboard) Watch() (cancel func()) {
	cancel = sb.dir.Watch(sb.directoryChanged)
	sb.readFollowed() // what changed before
	return cancel
}

// Run tells the contacts of those whose sessions a directory event or a full queue has ended, and ends hibernating sessions when their time is
// over, until ctx ends.
func (sb *Switchboard) Run(ctx context.Context) {
	if sb.ledger.journal != nil {
		var noting sync.WaitGroup
		defer noting.Wait()
		noting.Go(func() { sb.runLedger(ctx) })
	}
	sb.serving.Store(true)
	defer sb.serving.Store(false)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			sb.departGone()
			return
		case <-sb.departing.signal:
			sb.departGone()
			continue
		case answered := <-sb.beats:
			close(answered)
			continue
		case <-sb.sleepers.signal:
		case <-timer.C:
		}
		if wait := sb.expire(); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// directoryChanged closes what has lost its account. A changed credential leaves sessions alone.
func (sb *Switchboard) directoryChanged(e directory.Event) {
	if e.Kind == directory.KindProperty {
		sb.readFollowed()
	}
	if e.Kind != directory.KindUser {
		return
	}
	old, next := e.Users()
	if next != nil && !next.Locked && (old == nil || old.UID == next.UID) {
		return
	}
	list := sb.table.sessions(e.Identity)
	if len(list) == 0 {
		return
	}
	text := "The account was removed."
	if next != nil && next.Locked {
		text = "The account is locked."
	}
	for _, s := range list {
		if !s.anonymous && s.detach() {
			s.closeConn(&stanza.StreamError{Condition: stanza.StreamNotAuthorized, Text: text})
			sb.departLater(s)
		}
	}
}

// departLater leaves it to Run to tell everybody that a session is over.
func (sb *Switchboard) departLater(s *Session) {
	sb.departing.mu.Lock()
	sb.departing.list = append(sb.departing.list, s)
	sb.departing.mu.Unlock()
	select {
	case sb.departing.signal <- struct{}{}:
	default: // one signal covers the whole list
	}
}

func (sb *Switchboard) departGone() {
	sb.departing.mu.Lock()
	list := sb.departing.list
	sb.departing.list = nil
	sb.departing.mu.Unlock()
	for _, s := range list {
		s.depart()
	}
}

// Domain is the domain that is served.
func (sb *Switchboard) Domain() string { return sb.domain }

// Host is the domain as an address.
func (sb *Switchboard) Host() jid.JID { return sb.host }

// Bind makes a session of an authenticated connection (RFC 6120 §7). An empty username stands for a client without an account,
// which gets one for as long as it is there (XEP-0175). An empty resource leaves the choice to the server (§7.6).
func (sb *Switchboard) Bind(conn Conn, username, resource string) (*Session, *stanza.Error) {
	s := &Session{sb: sb, conn: conn, username: username, created: sb.now()}
	if username == "" {
		s.anonymous = true
		s.username = sb.freeUsername()
	}
	chosen := resource == ""
	for range 8 {
		if chosen {
			resource = strings.ToLower(rand.Text()[:12])
		}
		full, err := jid.New(s.username, sb.domain, resource)
		if err != nil {
			// RFC 6120 §7.7.2.1
			return nil, stanza.NewError(stanza.ConditionBadRequest, "The resource cannot be used: "+reason(err)+".")
		}
		s.jid = full
		displaced, how := sb.table.insert(s, sb.maxSessions(), func(old *Session) verdict { return sb.resolveConflict(old, chosen) })
		switch how {
		case refusedFull:
			// RFC 6120 §7.6.2.1
			return nil, stanza.NewError(stanza.ConditionResourceConstraint, "The account has too many sessions. Close one and try again.")
		case refusedConflict:
			if chosen {
				continue
			}
			// RFC 6120 §7.7.2.2
			return nil, stanza.NewError(stanza.ConditionConflict, "Another session has bound this resource. Choose another one.")
		}
		if displaced != nil {
			displaced.end(&stanza.StreamError{Condition: stanza.StreamConflict, Text: "Another client took over this resource."})
		}
		// A directory event that came before the insertion did not see this session, so look again.
		if !s.anonymous && !sb.mayLogIn(s.username) {
			s.detach()
			s.depart()
			return nil, stanza.NewError(stanza.ConditionNotAllowed, "The account is locked or was removed.")
		}
		return s, nil
	}
	return nil, stanza.NewError(stanza.ConditionInternalServerError, "")
}

func (sb *Switchboard) maxSessions() int {
	if sb.limit > 0 {
		return sb.limit
	}
	return sb.dir.Int(directory.KeyMaxSessions)
}

func (sb *Switchboard) mayLogIn(username string) bool {
	u, ok := sb.dir.User(username)
	return ok && !u.Locked
}

// freeUsername makes a name for a session without an account.
func (sb *Switchboard) freeUsername() string {
	for {
		name := strings.ToLower(rand.Text())
		if _, taken := sb.dir.User(name); !taken {
			return name
		}
	}
}

// resolveConflict applies the property xmpp.session.conflict-limit (RFC 6120 §7.7.2.2): 0 ends the old session, n does so at the n-th
// further attempt, -1 never. It runs under the table's lock.
func (sb *Switchboard) resolveConflict(old *Session, chosenByServer bool) verdict {
	if chosenByServer {
		return newGoes // a name that the server made up must not cost anybody a session
	}
	if old.Hibernating() {
		return oldGoes // its client is not there; most likely it is this one
	}
	limit := sb.dir.Int(directory.KeyConflictLimit)
	if limit < 0 {
		return newGoes
	}
	old.conflicts++
	if old.conflicts > limit {
		return oldGoes
	}
	return newGoes
}

// reason gives what is wrong with an address without the part's name, which the caller says.
func reason(err error) string {
	var fault *jid.Error
	if errors.As(err, &fault) {
		return fault.Reason
	}
	return err.Error()
}

// Sessions gives a user's sessions, oldest first. The slice must not be changed.
func (sb *Switchboard) Sessions(username string) []*Session { return sb.table.sessions(username) }

// Firsts gives the oldest session of each user who has one, in no order.
func (sb *Switchboard) Firsts() iter.Seq[*Session] { return sb.table.firsts }

// All gives every session, ordered by address.
func (sb *Switchboard) All() []*Session { return sb.table.all() }

// Count is the number of sessions.
func (sb *Switchboard) Count() int { return int(sb.table.total.Load()) }

// Hibernating is how many of them wait for their clients to come back.
func (sb *Switchboard) Hibernating() int { return sb.sleepers.count() }

// Kick ends a user's sessions with a stream error and says how many there were.
func (sb *Switchboard) Kick(username string, e *stanza.StreamError) int {
	n := 0
	for _, s := range sb.table.sessions(username) {
		if s.end(e) {
			n++
		}
	}
	return n
}

// Exists reports whether there is an account, locked ones and those of anonymous sessions included.
func (sb *Switchboard) Exists(username string) bool {
	if _, ok := sb.dir.User(username); ok {
		return true
	}
	return len(sb.table.sessions(username)) > 0
}
