package muc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// What administrators of the server do to rooms, besides changing what is declared of them.

var (
	// ErrDeclared says that a room is not temporary, or no longer: what is declared of it is changed by a [directory.Proposer].
	ErrDeclared = errors.New("the room is declared")
	// ErrNotKept says that something cannot be stored at the moment, and has not happened.
	ErrNotKept = errors.New("this cannot be kept at the moment")
)

// act has a room deal with an event. A declared room comes into memory for that.
func (s *Service) act(identity string, event func(*entry, *room.Room) ([]room.Output, error)) error {
	addr, err := s.address(identity)
	if err != nil || !s.Serves(addr.Domain()) {
		return fmt.Errorf("room %q: %w", identity, directory.ErrNotFound)
	}
	for {
		e := s.find(addr)
		d, declared := s.dir.Room(identity)
		if e == nil {
			if !declared {
				return fmt.Errorf("room %q: %w", identity, directory.ErrNotFound)
			}
			if loaded, bad := s.load(addr, d); bad != nil {
				return fmt.Errorf("room %q: %s: %w", identity, bad.Text, ErrNotKept)
			} else {
				e = loaded
			}
		}
		var failed error
		if s.with(e, func(r *room.Room) (out []room.Output) {
			if e.declared != nil && !declared {
				failed = fmt.Errorf("room %q: %w", identity, directory.ErrNotFound) // its occupants are about to hear of it
				return nil
			}
			out, failed = event(e, r)
			return out
		}) {
			return failed
		}
	}
}

// actAndKeep is act for what has to be stored: it returns when everybody has been told, or with ErrNotKept when nobody was.
func (s *Service) actAndKeep(ctx context.Context, identity string, event func(*room.Room) []room.Output) error {
	outcome := make(chan error, 1)
	err := s.act(identity, func(e *entry, r *room.Room) ([]room.Output, error) {
		if e.keeping.full() {
			return nil, ErrNotKept
		}
		e.keeping.outcome = outcome
		return event(r), nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-outcome:
		if err != nil {
			return fmt.Errorf("room %q: %w: %w", identity, ErrNotKept, err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Say says something to everybody in a room, as the room itself: no more than a client could.
func (s *Service) Say(ctx context.Context, identity, body string) error {
	if most := s.dir.Int(directory.KeyStanzaBytes); len(xmlstream.AppendEscapedText(nil, []byte(body))) > most {
		return &directory.InvalidError{Field: "body", Message: fmt.Sprintf("it has more than the %d bytes that a stanza may have (%s)", most, directory.KeyStanzaBytes)}
	}
	return s.actAndKeep(ctx, identity, func(r *room.Room) []room.Output {
		return r.Say(room.Notice{Body: body, Time: s.now(), ID: s.sb.NewID()}, nil)
	})
}

// SetSubject gives a room a subject, as the room itself.
func (s *Service) SetSubject(ctx context.Context, identity, subject string) error {
	return s.actAndKeep(ctx, identity, func(r *room.Room) []room.Output {
		if plain(r.Subject()) == subject {
			return nil
		}
		return r.SetSubject(room.Declared{Subject: subject, Time: s.now(), ID: s.sb.NewID()}, nil)
	})
}

// invitesAtOnce is how many invitations a room sends before others get to it.
const invitesAtOnce = 100

// Invite invites people, as the room itself (XEP-0045 §7.8.2). Who is not there finds it among the messages that were kept.
func (s *Service) Invite(identity string, people []jid.JID, reason string) error {
	for some := range slices.Chunk(people, invitesAtOnce) {
		err := s.act(identity, func(_ *entry, r *room.Room) (out []room.Output, _ error) {
			for _, j := range some {
				out = r.Invite(j.Bare(), reason, out)
			}
			return out, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ChangeTemporary changes the affiliations of a temporary room, as UpdateRoom of a [directory.Proposer] does those of a declared one. It fails with
// ErrDeclared for a room that is declared.
func (s *Service) ChangeTemporary(identity string, u directory.RoomUpdate) error {
	return s.actTemporary(identity, u.Permit, func(e *entry, r *room.Room) []room.Output {
		now := s.asDeclared(e)
		list, groups := slices.Clone(now.Affiliations), slices.Clone(now.GroupAffiliations)
		for _, a := range u.Affiliations {
			list = slices.DeleteFunc(list, func(have directory.Affiliation) bool { return have.JID == a.JID })
			if a.Affiliation != "" {
				list = append(list, a)
			}
		}
		for _, a := range u.GroupAffiliations {
			groups = slices.DeleteFunc(groups, func(have directory.GroupAffiliation) bool { return have.Group == a.Group })
			if a.Affiliation != "" {
				groups = append(groups, a)
			}
		}
		cfg := *r.Config()
		cfg.Affiliations = s.affiliations(list, groups)
		return r.Reconfigured(&cfg, nil)
	})
}

// DestroyTemporary ends a temporary room. It fails with ErrDeclared for a room that is declared.
func (s *Service) DestroyTemporary(identity string) error {
	return s.actTemporary(identity, nil, func(_ *entry, r *room.Room) []room.Output {
		return r.Destroyed(room.Destruction{Reason: "The room was removed."}, nil)
	})
}

func (s *Service) actTemporary(identity string, permit directory.RoomPermit, event func(*entry, *room.Room) []room.Output) error {
	if _, declared := s.dir.Room(identity); declared {
		return ErrDeclared
	}
	return s.act(identity, func(e *entry, r *room.Room) ([]room.Output, error) {
		if e.declared != nil {
			return nil, ErrDeclared
		}
		if permit != nil {
			if err := permit(s.asDeclared(e).State()); err != nil {
				return nil, err
			}
		}
		return event(e, r), nil
	})
}
