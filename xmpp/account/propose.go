package account

import (
	"context"
	"errors"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// proposal is a subscription stanza that changes a declared contact.
type proposal struct {
	username string
	stanza   *stanza.Stanza
}

func (r *Rosters) enqueue(p proposal) {
	select {
	case r.proposals <- p:
	default:
		// The contact's next stanza, or the user's next login, asks again.
		r.log.Warn("a change of a declared contact was dropped: too many of them wait", "user", p.username)
	}
}

// propose carries such changes out, one after another, until ctx ends.
func (r *Rosters) propose(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-r.proposals:
			r.carryOut(ctx, p)
		}
	}
}

func (r *Rosters) carryOut(ctx context.Context, p proposal) {
	ctx, cancel := context.WithTimeout(ctx, core.HandlerTimeout)
	defer cancel()
	defer r.pairs.lock(p.stanza.From.Bare(), p.stanza.To.Bare())()
	u := r.lock(p.username)
	defer r.unlock(u)
	if err := r.ensure(u); err != nil {
		r.logStore(u, err)
		return
	}
	// What it does is worked out again: the contact may have changed while the proposal waited.
	r.inbound(ctx, u, p.stanza, true)
}

// xmppActor is who asks when a client does.
func xmppActor(s *core.Session, username string) directory.Actor {
	by := directory.Actor{Via: "XMPP", Name: username}
	if s != nil {
		by.Address = s.Info().RemoteAddr
	}
	return by
}

// isGone reports that a contact is not declared (any more).
func isGone(err error) bool { return errors.Is(err, directory.ErrNotFound) }

// logStore logs that remembered contacts could not be read or written.
func (r *Rosters) logStore(u *user, err error) {
	r.log.Error("the roster could not be read or written", "user", u.username, "error", err.Error())
}

// ErrFull says that a store has no room for what it was to write. It can be tried again.
var ErrFull = errors.New("there is no space left")

// noRoom is what a client hears when its change cannot be stored because the store has no room.
func (r *Rosters) noRoom() *stanza.Error {
	r.meter.Refuse(meter.Storage)
	return stanza.NewError(stanza.ConditionResourceConstraint, "The change cannot be kept at the moment. Try again later.")
}

// storeFailed is what a client hears of that.
func (r *Rosters) storeFailed(u *user, err error) *stanza.Error {
	r.logStore(u, err)
	if errors.Is(err, ErrFull) {
		return r.noRoom()
	}
	e := stanza.NewError(stanza.ConditionInternalServerError, "The roster cannot be read or written at the moment. Try again later.")
	e.Type = stanza.Wait
	return e
}

// refusal turns an error of a roster operation into what a client hears: who manages a contact, what is wrong, or to wait.
func (r *Rosters) refusal(username string, err error) *stanza.Error {
	var (
		managed     *directory.ManagedError
		unavailable *directory.UnavailableError
		invalid     *directory.InvalidError
		limit       *directory.LimitError
		shared      *SharedError
	)
	switch {
	case errors.As(err, &managed):
		return stanza.NewError(stanza.ConditionNotAllowed, "This contact is managed elsewhere. "+managed.Error()+".")
	case errors.As(err, &shared):
		return stanza.NewError(stanza.ConditionNotAllowed, shared.Error()+".")
	case errors.As(err, &invalid):
		return stanza.NewError(stanza.ConditionNotAcceptable, invalid.Error())
	case errors.As(err, &limit):
		e := stanza.NewError(stanza.ConditionResourceConstraint, limit.Error())
		e.Type = stanza.Cancel // waiting does not make room
		return e
	case errors.Is(err, directory.ErrNotFound):
		return stanza.NewError(stanza.ConditionItemNotFound, "")
	case errors.Is(err, directory.ErrExists):
		return stanza.NewError(stanza.ConditionConflict, "")
	case errors.As(err, &unavailable), errors.Is(err, context.DeadlineExceeded):
		return stanza.NewError(stanza.ConditionResourceConstraint, "Managed contacts cannot be changed at the moment. Try again later.")
	case errors.Is(err, directory.ErrTooManyRequests):
		r.meter.Refuse(meter.Changes)
		return stanza.NewError(stanza.ConditionResourceConstraint, "Too many changes in a short time. Try again in a minute.")
	case errors.Is(err, directory.ErrConflict):
		return stanza.NewError(stanza.ConditionResourceConstraint, "Others changed this contact at the same time. Try again.")
	case errors.Is(err, directory.ErrNotYetActive):
		return stanza.NewError(stanza.ConditionResourceConstraint, "The change is written and takes effect shortly.")
	}
	r.log.Error("a roster operation failed", "user", username, "error", err.Error())
	if errors.Is(err, ErrFull) {
		return r.noRoom()
	}
	e := stanza.NewError(stanza.ConditionInternalServerError, "The roster cannot be changed at the moment. Try again later.")
	e.Type = stanza.Wait
	return e
}
