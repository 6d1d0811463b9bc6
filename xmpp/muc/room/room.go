package room

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Room is the state of one room. It is made by [New] and not for use by several goroutines at once.
type Room struct {
	addr  jid.JID
	cfg   *Config
	key   []byte
	extra []string

	// locked until its creator has configured it; entered once the creator has come in.
	locked, entered, ended bool

	subject *Subject // nil: there was never one
	nicks   []ReservedNick
	vcard   []byte
	avatar  string // what XEP-0153 makes of the vCard's photo
	history []Past // at most cfg.History, the oldest first
	kept    int    // bytes of XML in it

	occupants []*occupant
	// byNick and bySession are there in rooms with many occupants only.
	byNick    map[string]*occupant
	bySession map[jid.JID]*occupant
	// everybody are all sessions, the first moderators of them those of moderators; stale: no longer.
	everybody  []jid.JID
	moderators int
	stale      bool
	seq        uint32

	wishes   []*wish
	lastWish uint64
}

// New makes a room with nobody in it.
func New(o Options) *Room {
	r := &Room{addr: o.Address.Bare(), cfg: o.Config, key: o.Key, extra: o.Extra, locked: o.Locked, subject: o.Memory.Subject}
	r.nicks = slices.Clone(o.Memory.Nicks)
	r.setVCard(o.Memory.VCard)
	r.history = slices.Clone(o.Memory.History)
	for i := range r.history {
		r.kept += len(r.history[i].XML)
	}
	r.trim()
	return r
}

// Rekey gives the room another key for occupant ids, as when it becomes a lasting one: the old ids mean nobody any more.
func (r *Room) Rekey(key []byte) { r.key = key }

// Unlock lets others in than the maker, without whose word (XEP-0045 §10.1.3): the room's configuration was given elsewhere.
func (r *Room) Unlock() { r.locked = false }

// Stanza takes what a session, or somebody else, sent to the room or to an occupant of it. The stanza need not stay valid.
func (r *Room) Stanza(by Sender, s *stanza.Stanza, out []Output) []Output {
	if r.ended {
		return r.fail(s, stanza.NewError(stanza.ConditionItemNotFound, "this room does not exist any more"), out)
	}
	switch s.Kind {
	case stanza.Presence:
		return r.presence(&by, s, out)
	case stanza.Message:
		return r.message(&by, s, out)
	case stanza.IQ:
		return r.iq(&by, s, out)
	}
	return out
}

// Refusal answers a stanza to a room with an error; nil where none may be given. What was said of entering comes back: clients tell by it what failed, as in
// the examples of XEP-0045 §7.2.
func Refusal(s *stanza.Stanza, e *stanza.Error) *stanza.Stanza {
	reply := stanza.ErrorReply(s, e)
	if reply != nil && s.Kind == stanza.Presence && s.Child(nsMUC, "x").Valid() {
		reply.Payload = append([]byte("<x xmlns='"+nsMUC+"'/>"), reply.Payload...)
	}
	return reply
}

// fail answers a stanza with an error, where one may be given.
func (r *Room) fail(s *stanza.Stanza, e *stanza.Error, out []Output) []Output {
	reply := Refusal(s, e)
	if reply == nil {
		return out
	}
	return append(out, single(reply.To, reply.Kind, reply.Append(nil)))
}

// result answers a request.
func (r *Room) result(s *stanza.Stanza, payload []byte, out []Output) []Output {
	reply := stanza.Result(s, payload)
	return append(out, single(reply.To, stanza.IQ, reply.Append(nil)))
}

// affiliation is what somebody is to the room; who administers the service is an owner everywhere.
func (r *Room) affiliation(j jid.JID, admin bool) Affiliation {
	if admin {
		return Owner
	}
	return r.cfg.Affiliations.Of(j)
}

// occupantID is the id by which everybody knows a user's stanzas as of one user, and nobody knows the user (XEP-0421 §3).
func (r *Room) occupantID(user jid.JID) string {
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte(user.String()))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:20])
}

func sameSecret(given []byte, want string) bool {
	return subtle.ConstantTimeCompare(given, []byte(want)) == 1
}

// maxKept is how many bytes of history a room keeps in memory, though the last message in any case.
const maxKept = 256 << 10

// trim keeps the history within what is configured, and within what a room may cost.
func (r *Room) trim() {
	drop := max(len(r.history)-max(r.cfg.History, 0), 0)
	for i := range r.history[:drop] {
		r.kept -= len(r.history[i].XML)
	}
	for ; r.kept > maxKept && drop < len(r.history)-1; drop++ {
		r.kept -= len(r.history[drop].XML)
	}
	clear(r.history[:drop]) // so that nothing is held by what was
	r.history = r.history[drop:]
}

// cut limits a text that goes out to everybody.
func cut(text []byte) string {
	if len(text) > maxReason {
		text = bytes.ToValidUTF8(text[:maxReason], nil)
	}
	return string(text)
}

// Options are what a room begins with.
type Options struct {
	// Address is the room's bare JID.
	Address jid.JID
	Config  *Config
	// Key makes occupant ids (XEP-0421): secret, of this room alone, and the same for as long as the room is remembered.
	Key []byte
	// Locked rooms were just created by a client, an owner by Config, who enters first and has to configure them
	// (XEP-0045 §10.1).
	Locked bool
	Memory Memory
	// Extra are further features that the service gives its rooms, for disco#info.
	Extra []string
}

// Memory is what was remembered of the room.
type Memory struct {
	Subject *Subject
	Nicks   []ReservedNick
	VCard   []byte
	// History are the last messages, the oldest first; Config.History of them are enough.
	History []Past
}

// Past is a message of the room's history, as it was given to [Archive].
type Past struct {
	ID   string
	Time time.Time
	From jid.JID
	Real jid.JID
	XML  []byte
}

// Sender is what is known of who sent a stanza.
type Sender struct {
	// From is the full address that the stanza comes from, as the server stamped it.
	From jid.JID
	// Admin says that the sender administers the service: an owner of every room.
	Admin bool
	Time  time.Time
	// ID is fresh and unique: the stanza id of a message that results.
	ID string
}

// Destruction says what to tell occupants of a room that is destroyed (XEP-0045 §10.9).
type Destruction struct {
	Alternate jid.JID
	Reason    string
	Password  string
}

// Declared is a subject that somebody declared outside.
type Declared struct {
	Subject string
	Time    time.Time
	ID      string
}
