package account

import (
	"encoding/base32"
	"encoding/binary"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// What is remembered of the changes of rosters, so that a client that knows a roster as it was lately gets what has changed and not all of
// it (RFC 6121 §2.6.3). It is kept in memory only: who finds nothing here sends the whole roster, which is right as well.
const (
	maxChanges   = 32   // of one roster
	maxHistories = 4096 // of rosters that nobody has in memory
)

// change is one change of a roster: what was changed, and the version until then.
type change struct {
	before  [2]uint64
	contact jid.JID
}

// history is what changed in a roster that nobody has in memory, and the version that led to.
type history struct {
	changes []change
	after   [2]uint64
}

// note remembers a change that has just been made. The user is locked and loaded.
func (u *user) note(before [2]uint64, contact jid.JID) {
	if len(u.changes) == maxChanges {
		u.changes = u.changes[:copy(u.changes, u.changes[1:])]
	}
	u.changes = append(u.changes, change{before: before, contact: contact})
}

// since gives what has changed since a version, each contact at its last change; false when that is not known. The version after
// an element is the one before the next: somebody who has heard of the elements up to there, with what the contacts are now, has nothing to
// ask for but the changes after it.
func (u *user) since(version string) ([]change, bool) {
	from, ok := parseVersion(version)
	if !ok {
		return nil, false
	}
	// Of equal versions, which stand for equal rosters, the last one.
	for i := len(u.changes) - 1; i >= 0; i-- {
		if u.changes[i].before == from {
			return u.changes[i:], true
		}
	}
	return nil, false
}

// lastOf reports whether a contact does not change again in what follows.
func lastOf(changes []change, i int) bool {
	for _, c := range changes[i+1:] {
		if c.contact == changes[i].contact {
			return false
		}
	}
	return true
}

// versionOf is how a digest of a roster shows.
func versionOf(digest [2]uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], digest[0])
	binary.BigEndian.PutUint64(b[8:], digest[1])
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}

func parseVersion(version string) (digest [2]uint64, ok bool) {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(version)
	if err != nil || len(b) != 16 {
		return digest, false
	}
	return [2]uint64{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, true
}

// remember keeps the changes of a user who goes out of memory. r.mu is held, and nobody has the user.
func (r *Rosters) remember(u *user) {
	if !u.loaded || u.anonymous || len(u.changes) == 0 {
		return
	}
	if len(r.histories) >= maxHistories {
		for name := range r.histories { // whichever comes: it costs somebody a whole roster once
			delete(r.histories, name)
			break
		}
	}
	r.histories[u.username] = history{changes: u.changes, after: u.digest}
}

// recall takes the changes back, if they led to the roster as it is now. The user is locked and has just been loaded.
func (r *Rosters) recall(u *user) {
	r.mu.Lock()
	h, ok := r.histories[u.username]
	delete(r.histories, u.username)
	r.mu.Unlock()
	if ok && h.after == u.digest {
		u.changes = h.changes
	}
}
