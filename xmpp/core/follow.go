package core

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

const (
	// followedRate is how many stanzas of followed users are logged in a second, altogether.
	followedRate = 100
	// maxFollowedText bounds what a client chose that is logged, such as an id.
	maxFollowedText = 128
	// maxFollowedNames bounds the elements of one stanza that are named.
	maxFollowedNames = 8
)

// followed are the users whose stanzas are logged: what they are, and never what is in them.
type followed struct {
	users map[string]struct{}
	log   *slog.Logger

	mu      sync.Mutex
	second  int64
	logged  int
	skipped int
}

// readFollowed takes the property xmpp.trace.users over.
func (sb *Switchboard) readFollowed() {
	names := sb.dir.Strings(directory.KeyTraceUsers)
	old := sb.followed.Load()
	if len(names) == 0 {
		if old != nil {
			sb.followed.Store(nil)
			sb.log.Info("No stanzas are logged any more")
		}
		return
	}
	next := &followed{users: make(map[string]struct{}, len(names)), log: sb.log}
	for _, name := range names {
		if name, err := jid.PrepareLocal(name); err == nil {
			next.users[name] = struct{}{}
		}
	}
	if old != nil && len(old.users) == len(next.users) {
		same := true
		for name := range next.users {
			_, has := old.users[name]
			same = same && has
		}
		if same {
			return
		}
	}
	sb.followed.Store(next)
	sb.log.Info("The stanzas of some users are logged, without their content", "property", directory.KeyTraceUsers, "users", names)
}

// Followed is how many users' stanzas are logged.
func (sb *Switchboard) Followed() int {
	if f := sb.followed.Load(); f != nil {
		return len(f.users)
	}
	return 0
}

// follows says who logs the stanzas of the session; nil: nobody.
func (s *Session) follows() *followed {
	f := s.sb.followed.Load()
	if f == nil {
		return nil
	}
	if _, ok := f.users[s.username]; !ok || s.anonymous {
		return nil
	}
	return f
}

// followOut logs a stanza that is sent to the client, in as many parts as it comes.
func (s *Session) followOut(parts ...[]byte) {
	f := s.follows()
	if f == nil || !f.admit() {
		return
	}
	var whole []byte
	for _, p := range parts {
		whole = append(whole, p...)
	}
	root, err := readBack(whole)
	if err != nil {
		return
	}
	if st, _ := stanza.Parse(root, nil); st.Kind != 0 {
		f.note(s, "out", &st, len(whole))
	}
}

// followIn logs a stanza that the client sent.
func (s *Session) followIn(st *stanza.Stanza) {
	if f := s.follows(); f != nil && st.Kind != 0 && f.admit() {
		f.note(s, "in", st, 0)
	}
}

// admit says whether one more may be logged in this second. What was not is counted, and said with the next that is.
func (f *followed) admit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now().Unix(); now != f.second {
		f.second, f.logged = now, 0
		if f.skipped > 0 {
			f.log.Warn("Not all stanzas of the users that are followed were logged: there are too many", "property", directory.KeyTraceUsers, "skipped", f.skipped)
			f.skipped = 0
		}
	}
	if f.logged >= followedRate {
		f.skipped++
		return false
	}
	f.logged++
	return true
}

// note logs what a stanza is. Its texts, its attributes and those of its elements stay out of the log: there are messages, passwords and tokens in them.
func (f *followed) note(s *Session, direction string, st *stanza.Stanza, size int) {
	var names []string
	for c := st.FirstChild(); c.Valid() && len(names) < maxFollowedNames; c = c.NextSibling() {
		names = append(names, cutText(string(c.Local())+" "+string(c.Space())))
	}
	attributes := []slog.Attr{
		slog.String("direction", direction), slog.String("user", s.username), slog.String("session", s.jid.String()),
		slog.String("stanza", st.Kind.String()), slog.String("type", st.Type.String()), slog.String("id", cutText(string(st.ID))),
		slog.String("from", st.From.String()), slog.String("to", st.To.String()), slog.Any("elements", names),
	}
	if size > 0 {
		attributes = append(attributes, slog.Int("bytes", size))
	}
	if st.Type == stanza.TypeError {
		if e := stanza.ParseError(st); e != nil {
			attributes = append(attributes, slog.String("condition", string(e.Condition)))
		}
	}
	f.log.LogAttrs(context.Background(), slog.LevelInfo, "stanza", attributes...)
}

func cutText(s string) string {
	if len(s) > maxFollowedText {
		return cutUTF8(s, maxFollowedText) + "…"
	}
	return s
}
