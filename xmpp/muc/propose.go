package muc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// Proposer is what the service needs to change declarations: the part of [directory.Proposer] that is about rooms.
type Proposer interface {
	CreateRoom(ctx context.Context, by directory.Actor, roomName, service string, u directory.RoomUpdate) error
	UpdateRoom(ctx context.Context, by directory.Actor, identity string, u directory.RoomUpdate) error
	DeleteRoom(ctx context.Context, by directory.Actor, identity string, permit directory.RoomPermit) error
}

// proposals are the wishes of rooms whose configuration rests in a declaration, or is to. Each room's are carried out one after another, in the
// order in which they were made, and without the room's lock.
type proposals struct {
	signal chan struct{}

	mu    sync.Mutex
	rooms []*entry // that have wishes, and nobody who carries them out
}

func (p *proposals) add(e *entry) {
	p.mu.Lock()
	p.rooms = append(p.rooms, e)
	p.mu.Unlock()
	select {
	case p.signal <- struct{}{}:
	default: // one signal covers everything
	}
}

func (p *proposals) take() []*entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.rooms
	p.rooms = nil
	return list
}

// propose takes note of a wish for Run. The room's lock is held.
func (s *Service) propose(e *entry, w *room.Wish) {
	e.wishes = append(e.wishes, w)
	if k := &e.keeping; k.session != nil && k.stanza.Kind == stanza.Message {
		if e.causes == nil {
			e.causes = make(map[uint64]cause)
		}
		st := &stanza.Stanza{Kind: k.stanza.Kind, Type: k.stanza.Type, ID: bytes.Clone(k.stanza.ID), From: k.stanza.From, To: k.stanza.To}
		e.causes[w.ID] = cause{session: k.session, ticket: k.session.Accept(), stanza: st}
	}
	if !e.proposing {
		e.proposing = true
		s.proposals.add(e)
	}
}

// cause is a message that a wish came of, such as an invitation to a room for members: it is handled when the wish is.
type cause struct {
	session *core.Session
	ticket  uint64
	stanza  *stanza.Stanza // without its content
}

// answer is finish for what comes of a wish, unless event puts it off.
func (s *Service) answer(e *entry, w *room.Wish, event func(*room.Room) (out []room.Output, putOff bool)) {
	var c cause
	s.finish(e, func(r *room.Room) []room.Output {
		if c = e.causes[w.ID]; c.session != nil {
			e.keeping.by(c.session, c.stanza)
			e.keeping.ticket = c.ticket
		}
		out, putOff := event(r)
		if putOff {
			c = cause{}
		} else {
			delete(e.causes, w.ID)
		}
		return out
	})
	if c.session != nil {
		c.session.Settled(c.ticket)
	}
}

// carryOut proposes what a room's clients wish for until there is nothing left. All are answered, also when the room is over by then.
func (s *Service) carryOut(ctx context.Context, e *entry) {
	for {
		w, state := e.nextWish()
		if w == nil {
			return
		}
		if !state.gone && !state.declared && !lasting(w) {
			s.answer(e, w, func(*room.Room) (out []room.Output, putOff bool) {
				if e.declared != nil { // since a moment ago
					e.wishes = slices.Insert(e.wishes, 0, w)
					return nil, true
				}
				return s.grantHere(e, w, nil), false
			})
			continue
		}
		err := fmt.Errorf("room %s: %w", e.addr, directory.ErrNotFound)
		if !state.gone {
			err = s.carryOutOne(ctx, e, w, state)
		}
		if err == nil {
			s.adopt(e)
		}
		// What has come true is told before the wish is answered, and not only when the directory's own word arrives.
		s.with(e, func(r *room.Room) []room.Output { return s.redeclare(e, r) })
		s.answer(e, w, func(r *room.Room) (out []room.Output, putOff bool) {
			return r.WishDone(w.ID, s.refusal(e, err), nil), false
		})
	}
}

// state is how a room is when a wish is proposed.
type state struct {
	declared, gone bool
	config         *room.Config
}

// nextWish gives the room's next wish, and how the room is now.
func (e *entry) nextWish() (*room.Wish, state) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.wishes) == 0 {
		e.wishes, e.proposing = nil, false
		return nil, state{}
	}
	w := e.wishes[0]
	e.wishes = e.wishes[1:]
	return w, state{declared: e.declared != nil, gone: e.gone, config: e.room.Config()}
}

func (s *Service) carryOutOne(ctx context.Context, e *entry, w *room.Wish, now state) error {
	cfg := now.config
	ctx, cancel := context.WithTimeout(ctx, core.HandlerTimeout)
	defer cancel()
	by := directory.Actor{Via: "XMPP", Name: w.By.Bare().String()}
	if w.By.Domain() == s.sb.Domain() {
		by.Name = w.By.Local()
	}
	by.Address = s.sb.RemoteAddr(w.By)
	identity := s.identity(e.addr)
	permit := func(r directory.RoomState) error {
		c := *cfg
		c.RegistrationEnabled, c.CanInvite = r.RegistrationEnabled, r.CanInvite
		c.Affiliations = s.affiliations(r.Affiliations, r.GroupAffiliations)
		if bad := w.Permitted(&c, s.admin(w.By)); bad != nil {
			return &refused{bad}
		}
		return nil
	}
	switch {
	case now.declared && w.Destroy:
		return s.proposer.DeleteRoom(ctx, by, identity, permit)
	case now.declared:
		u, err := update(w.Change)
		if err != nil {
			return err
		}
		if u.Affiliations, err = entries(cfg.Affiliations, w.Affiliations); err != nil {
			return err
		}
		u.Permit = permit
		return s.proposer.UpdateRoom(ctx, by, identity, u)
	}
	// A temporary room becomes a lasting one, as it is with the change.
	if bad := w.Permitted(cfg, s.admin(w.By)); bad != nil {
		return &refused{bad}
	}
	if w.Change.Lang != nil || w.Change.Contacts != nil || w.Change.History != nil {
		return &refused{stanza.NewError(stanza.ConditionNotAcceptable, unkept)}
	}
	u := whole(cfg.With(w.Change, w.Affiliations))
	return s.proposer.CreateRoom(ctx, by, e.addr.Local(), s.service(e.addr), u)
}

const unkept = "A lasting room has no language, no contacts and no number of messages of its own: leave these fields as they are."

// refused is a refusal that the client hears word for word.
type refused struct{ e *stanza.Error }

func (r *refused) Error() string { return r.e.Text }

// update makes the change of a declaration of what a client wants changed.
func update(c *room.Change) (u directory.RoomUpdate, err error) {
	if c == nil {
		return u, nil
	}
	if c.Lang != nil || c.Contacts != nil || c.History != nil {
		return u, &refused{stanza.NewError(stanza.ConditionNotAcceptable, unkept)}
	}
	return directory.RoomUpdate{
		DisplayName: c.Name, Description: c.Description, MaxOccupants: c.MaxOccupants, Password: c.Password,
		Listed: c.Listed, Persistent: c.Persistent, MembersOnly: c.MembersOnly, Moderated: c.Moderated, Archived: c.Archived,
		RegistrationEnabled: c.RegistrationEnabled, NicknameRestricted: c.NicknameRestricted,
		CanChangeSubject: c.CanChangeSubject, CanInvite: c.CanInvite, CanChangeNickname: c.CanChangeNickname,
		WhoSeesJIDs: c.WhoSeesJIDs, PrivateMessages: c.PrivateMessages, PresenceBroadcast: c.PresenceBroadcast,
	}, nil
}

// whole is the declaration of a room that was temporary.
func whole(c *room.Config) directory.RoomUpdate {
	u := directory.RoomUpdate{
		DisplayName: &c.Name, Description: &c.Description, MaxOccupants: &c.MaxOccupants, Password: &c.Password,
		Listed: &c.Listed, Persistent: &c.Persistent, MembersOnly: &c.MembersOnly, Moderated: &c.Moderated, Archived: &c.Archived,
		RegistrationEnabled: &c.RegistrationEnabled, NicknameRestricted: &c.NicknameRestricted,
		CanChangeSubject: &c.CanChangeSubject, CanInvite: &c.CanInvite, CanChangeNickname: &c.CanChangeNickname,
		WhoSeesJIDs: &c.WhoSeesJIDs, PrivateMessages: &c.PrivateMessages, PresenceBroadcast: &c.PresenceBroadcast,
	}
	if c.Name == "" {
		u.DisplayName = nil // the default: the room's own name
	}
	for _, e := range c.Affiliations.Entries() {
		if name := affiliationName(e.Affiliation); name != "" {
			u.Affiliations = append(u.Affiliations, directory.Affiliation{JID: e.JID, Affiliation: name})
		}
	}
	return u
}

// entries are the changes of a declaration's list. What somebody is by a group or a host can be overruled by another affiliation, but not
// by none: that would be no entry.
func entries(now *room.Affiliations, changes []room.Entry) ([]directory.Affiliation, error) {
	list := make([]directory.Affiliation, 0, len(changes))
	for _, c := range changes {
		if c.Affiliation == room.None && now.Of(c.JID) != room.None && !slices.ContainsFunc(now.Entries(), func(e room.Entry) bool { return e.JID == c.JID.Bare() }) {
			return nil, &refused{stanza.NewError(stanza.ConditionNotAllowed, c.JID.Bare().String()+" has the affiliation by a group or a host: change that, or give another affiliation.")}
		}
		list = append(list, directory.Affiliation{JID: c.JID.Bare(), Affiliation: affiliationName(c.Affiliation)})
	}
	return list, nil
}

// affiliationName is how declarations write an affiliation; empty: none.
func affiliationName(a room.Affiliation) directory.AffiliationName {
	switch a {
	case room.Owner:
		return directory.AffiliationOwner
	case room.Admin:
		return directory.AffiliationAdmin
	case room.Member:
		return directory.AffiliationMember
	case room.Outcast:
		return directory.AffiliationOutcast
	}
	return ""
}

// refusal turns the error of a proposal into what the client hears: who manages the room, what is wrong, or to wait.
func (s *Service) refusal(e *entry, err error) *stanza.Error {
	var (
		own         *refused
		managed     *directory.ManagedError
		unavailable *directory.UnavailableError
		invalid     *directory.InvalidError
		limit       *directory.LimitError
	)
	wait := func(text string) *stanza.Error { return stanza.NewError(stanza.ConditionResourceConstraint, text) }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own.e
	case errors.As(err, &managed):
		return stanza.NewError(stanza.ConditionNotAllowed, "This part of the room is managed elsewhere. "+managed.Error()+".")
	case errors.As(err, &invalid):
		return stanza.NewError(stanza.ConditionNotAcceptable, invalid.Error())
	case errors.As(err, &limit):
		bad := wait(limit.Error())
		bad.Type = stanza.Cancel // waiting does not make room
		return bad
	case errors.Is(err, directory.ErrNotFound):
		return stanza.NewError(stanza.ConditionItemNotFound, "This room is not there any more.")
	case errors.Is(err, directory.ErrExists):
		return stanza.NewError(stanza.ConditionConflict, "There is a lasting room of this name already, or what was said in one is kept for whoever declares it again. Take another name.")
	case errors.As(err, &unavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return wait("Lasting rooms cannot be changed at the moment. Try again later.")
	case errors.Is(err, directory.ErrTooManyRequests):
		s.meter.Refuse(meter.Changes)
		return wait("Too many changes in a short time. Try again in a minute.")
	case errors.Is(err, directory.ErrConflict):
		return wait("Others changed this room at the same time. Try again.")
	case errors.Is(err, directory.ErrNotYetActive):
		return wait("The change is written and takes effect shortly.")
	}
	s.log.Error("a change of a room failed", "room", e.addr.String(), "error", err.Error())
	bad := stanza.NewError(stanza.ConditionInternalServerError, "The room cannot be changed at the moment. Try again later.")
	bad.Type = stanza.Wait
	return bad
}

// errStays says that a room that everybody had left is persistent by now, or that somebody has entered it again.
var errStays = errors.New("the room stays")

// occupied reports whether somebody is in a room.
func (s *Service) occupied(addr jid.JID) bool {
	e := s.find(addr)
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.gone && e.room.Len() > 0
}

// abandon is how long the service tries to have the declaration of a room deleted that everybody has left.
const abandon = time.Minute

// left has the declaration of a room deleted that says that the room goes with its last occupant. Whoever declared it from outside keeps it.
func (s *Service) left(ctx context.Context, addr jid.JID) {
	ctx, cancel := context.WithTimeout(ctx, abandon)
	defer cancel()
	err := s.proposer.DeleteRoom(ctx, directory.Actor{Via: "server"}, s.identity(addr), func(r directory.RoomState) error {
		if r.Persistent || s.occupied(addr) {
			return errStays
		}
		return nil
	})
	var managed *directory.ManagedError
	switch {
	case err == nil, errors.Is(err, directory.ErrNotFound), errors.As(err, &managed), errors.Is(err, errStays), ctx.Err() != nil:
	default:
		s.log.Warn("a room that is not persistent was left, and its ChatRoom cannot be deleted now; it is when the room is left again",
			"room", addr.String(), "error", err.Error())
	}
}
