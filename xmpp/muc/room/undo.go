package room

import (
	"bytes"
	"slices"
	"time"
)

// Memory is what the room would be given by Options.Memory to go on as it is, but for the history. It must not be changed.
func (r *Room) Memory() Memory { return Memory{Subject: r.subject, Nicks: r.nicks, VCard: r.vcard} }

// Undo says that something could not be stored, so that it did not happen: nobody was told of it, and its author was told why.
type Undo struct {
	// Message is the id of a message that was to be archived; empty: none.
	Message string
	// Subject, Nick and VCard are what was to be remembered.
	Remember
	// Before is the room's Memory before the event.
	Before Memory
}

// Undo takes back what could not be stored, as far as nothing else has taken its place since.
func (r *Room) Undo(u Undo) {
	if u.Message != "" {
		for i := range r.history {
			if r.history[i].ID == u.Message {
				r.kept -= len(r.history[i].XML)
				r.history = slices.Concat(r.history[:i], r.history[i+1:])
				break
			}
		}
	}
	if u.Subject != nil && r.subject == u.Subject {
		r.subject = u.Before.Subject
	}
	if u.VCard != nil && bytes.Equal(r.vcard, u.VCard) {
		r.setVCard(u.Before.VCard)
	}
	if u.Nick == nil {
		return
	}
	if nick, _ := r.reservedBy(u.Nick.User); nick == u.Nick.Nick {
		back := ReservedNick{User: u.Nick.User}
		for _, n := range u.Before.Nicks {
			if n.User == back.User && r.mayUse(n.Nick, n.User) == nil {
				back = n
			}
		}
		r.reserve(back, nil)
	}
}

// Expire takes messages out of the history that are older than what may be kept.
func (r *Room) Expire(before time.Time) {
	drop := 0
	for drop < len(r.history) && r.history[drop].Time.Before(before) {
		r.kept -= len(r.history[drop].XML)
		drop++
	}
	clear(r.history[:drop])
	r.history = r.history[drop:]
}
