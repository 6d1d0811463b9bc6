package xmpp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// ErrNotTaken says that nobody is there to take a message, and that it cannot be kept.
var ErrNotTaken = errors.New("nobody is there to take the message, and it cannot be kept")

// notice is a message from the server itself. It is no larger than what clients may send each other.
func (s *Server) notice(typ stanza.Type, body string) (*stanza.Stanza, error) {
	payload := xmlstream.NewBuilder(nil).Open(stanza.NSClient, "body").Text(body).Close().Bytes()
	if most := s.dir.Int(directory.KeyStanzaBytes); len(payload) > most {
		return nil, &directory.InvalidError{Field: "body", Message: fmt.Sprintf("a message has at most %d bytes", most)}
	}
	return &stanza.Stanza{Kind: stanza.Message, Type: typ, From: s.sb.Host(), ID: []byte(s.sb.NewID()), Payload: payload}, nil
}

// Broadcast sends a headline from the server to every session, also to those that have sent no presence, and says how many took it. Nobody
// gets it later.
func (s *Server) Broadcast(body string) (int, error) {
	m, err := s.notice(stanza.MessageHeadline, body)
	if err != nil {
		return 0, err
	}
	return s.sb.Announce(m), nil
}

// SendMessage sends a message from the server to a user (RFC 6121 §8.5). It returns when a client was handed it, or when it is stored for the
// next one. directory.ErrNotFound: no such user. ErrNotTaken: neither can be.
func (s *Server) SendMessage(ctx context.Context, username, body string) error {
	if _, ok := s.dir.User(username); !ok {
		return fmt.Errorf("the user %q was %w", username, directory.ErrNotFound)
	}
	to, err := jid.New(username, s.cfg.Domain, "")
	if err != nil {
		return err
	}
	m, err := s.notice(stanza.MessageNormal, body)
	if err != nil {
		return err
	}
	m.To = to
	err = s.sb.Post(ctx, m)
	if _, refused := errors.AsType[*stanza.Error](err); refused {
		return fmt.Errorf("sending to %q: %w", to, ErrNotTaken)
	}
	return err
}

// Unread says how many messages wait for a user who is offline; for one who is there, or does not exist, none do.
func (s *Server) Unread(ctx context.Context, username string) (int, error) {
	if _, ok := s.dir.User(username); !ok || s.offline == nil || slices.ContainsFunc(s.sb.Sessions(username), (*core.Session).Available) {
		return 0, nil
	}
	return s.offline.Count(ctx, username)
}
