package account

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Last says when an account was there last.
type Last struct {
	Username string
	Since    time.Time // when its last available resource ceased to be available
	Status   string    // what that said as it went
}

// LastStore remembers when accounts were there last.
type LastStore interface {
	// PutLast replaces what is remembered of these accounts, in one transaction.
	PutLast(ctx context.Context, list []Last) error
	// GetLast gives what is remembered of an account.
	GetLast(ctx context.Context, username string) (Last, bool, error)
}

// LastConfig is what LastSeen needs.
type LastConfig struct {
	Switchboard *core.Switchboard
	Directory   *directory.Directory
	Store       LastStore
	Log         *slog.Logger
	Now         func() time.Time // nil: time.Now
}

// LastSeen notes down when accounts were there last and tells those who may know (XEP-0012). Who goes does not wait for it to be
// written: Run does that, everybody who left meanwhile in one transaction.
type LastSeen struct {
	cfg LastConfig

	mu      sync.Mutex
	leaving map[string]Last // not written yet
	signal  chan struct{}
}

// maxLastStatus bounds what is kept of a status.
const maxLastStatus = 1024

// NewLastSeen makes the service.
func NewLastSeen(cfg LastConfig) *LastSeen {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &LastSeen{cfg: cfg, leaving: make(map[string]Last), signal: make(chan struct{}, 1)}
}

// left notes that the last available resource of an account is gone; p is its last presence.
func (l *LastSeen) left(username string, p *stanza.Stanza) {
	last := Last{Username: username, Since: l.cfg.Now()}
	if c := p.Child(stanza.NSClient, "status"); c.Valid() {
		if text := bytes.TrimSpace(c.Text()); len(text) <= maxLastStatus {
			last.Status = string(text)
		}
	}
	l.mu.Lock()
	l.leaving[username] = last
	l.mu.Unlock()
	select {
	case l.signal <- struct{}{}:
	default: // one signal covers all of them
	}
}

// Run writes until ctx ends, and then once more.
func (l *LastSeen) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			l.write()
			return
		case <-l.signal:
			l.write()
		}
	}
}

func (l *LastSeen) write() {
	l.mu.Lock()
	leaving := maps.Clone(l.leaving)
	l.mu.Unlock()
	list := make([]Last, 0, len(leaving))
	for name, one := range leaving {
		if _, ok := l.cfg.Directory.User(name); ok { // else it is being purged
			list = append(list, one)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if len(list) > 0 {
		if err := l.cfg.Store.PutLast(ctx, list); err != nil {
			l.cfg.Log.Error("when accounts were there last could not be noted down", "accounts", len(list), "error", err.Error())
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, one := range leaving {
		if l.leaving[name] == one { // else it left once more meanwhile
			delete(l.leaving, name)
		}
	}
}

// Feature is last activity of accounts as a protocol feature (XEP-0012 §3). Who may not see an account's presence is refused, alike for those
// that do not exist.
func (l *LastSeen) Feature() core.Feature {
	return core.Feature{
		Name:        "last activity of accounts",
		AccountVars: []string{stanza.NSLast},
		Handlers: []core.Handler{{
			Target: core.ToAccount, Type: stanza.IQGet, Space: stanza.NSLast, Local: "query",
			Access: core.Subscribers, Refusal: stanza.ConditionForbidden, Handle: l.get,
		}},
	}
}

func (l *LastSeen) get(ctx context.Context, q *core.IQ) {
	answer := func(seconds int64, status string) {
		q.Result(xmlstream.NewBuilder(nil).Open(stanza.NSLast, "query").Attr("seconds", strconv.FormatInt(max(0, seconds), 10)).Text(status).Close().Bytes())
	}
	for _, s := range l.cfg.Switchboard.Sessions(q.Account) {
		if s.Available() {
			answer(0, "")
			return
		}
	}
	l.mu.Lock()
	last, known := l.leaving[q.Account]
	l.mu.Unlock()
	if !known {
		var err error
		if last, known, err = l.cfg.Store.GetLast(ctx, q.Account); err != nil {
			l.cfg.Log.Error("when an account was there last could not be read", "user", q.Account, "error", err.Error())
			q.Fail(stanza.NewError(stanza.ConditionInternalServerError, "This cannot be read at the moment. Try again later."))
			return
		}
	}
	if !known { // it never was there
		q.Fail(stanza.NewError(stanza.ConditionItemNotFound, ""))
		return
	}
	answer(int64(l.cfg.Now().Sub(last.Since)/time.Second), last.Status)
}
