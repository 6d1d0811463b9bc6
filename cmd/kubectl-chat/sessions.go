package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// session is a client that is connected.
type session struct {
	JID          string    `json:"jid"`
	Username     string    `json:"username"`
	Resource     string    `json:"resource"`
	Presence     string    `json:"presence"`
	Message      string    `json:"message,omitempty"`
	Priority     int       `json:"priority"`
	Address      string    `json:"address,omitempty"`
	Encrypted    bool      `json:"encrypted"`
	Since        time.Time `json:"since"`
	LastActivity time.Time `json:"lastActivity"`
}

// sessions are those of one user, or all of them where no name is given.
func (s *chatServer) sessions(ctx context.Context, username string) ([]session, error) {
	var answer struct {
		Sessions []struct {
			SessionID       string `json:"sessionId"`
			Username        string `json:"username"`
			Resource        string `json:"resource"`
			PresenceStatus  string `json:"presenceStatus"`
			PresenceMessage string `json:"presenceMessage"`
			Priority        int    `json:"priority"`
			HostAddress     string `json:"hostAddress"`
			CreationDate    moment `json:"creationDate"`
			LastActionDate  moment `json:"lastActionDate"`
			Secure          bool   `json:"secure"`
		} `json:"sessions"`
	}
	at := path("sessions")
	if username != "" {
		at = path("sessions", username)
	}
	if err := s.get(ctx, at, nil, &answer); err != nil {
		return nil, err
	}
	list := make([]session, len(answer.Sessions))
	for i, a := range answer.Sessions {
		list[i] = session{
			JID: a.SessionID, Username: a.Username, Resource: a.Resource, Presence: a.PresenceStatus, Message: a.PresenceMessage, Priority: a.Priority,
			Address: a.HostAddress, Encrypted: a.Secure, Since: a.CreationDate.time(), LastActivity: a.LastActionDate.time(),
		}
	}
	slices.SortFunc(list, func(a, b session) int { return cmp.Or(cmp.Compare(a.Username, b.Username), cmp.Compare(a.JID, b.JID)) })
	return list, nil
}

func newSessions(o *options) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:     "sessions [USER...]",
		Aliases: []string{"session"},
		Short:   "List who is connected",
		Example: "  kubectl chat sessions\n  kubectl chat sessions mira --output json",
		RunE: func(cmd *cobra.Command, users []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return o.withServer(cmd.Context(), func(ctx context.Context, _ *kubernetes, s *chatServer) error {
				var list []session
				if len(users) == 0 {
					users = []string{""}
				}
				for _, user := range users {
					of, err := s.sessions(ctx, localPart(user))
					if err != nil {
						return err
					}
					if user != "" && len(of) == 0 {
						if err := s.knows(ctx, localPart(user)); err != nil {
							return err
						}
					}
					list = append(list, of...)
				}
				if len(list) == 0 && out.forPeople() {
					fmt.Fprintln(o.ErrOut, "Nobody is connected.")
				}
				return out.print(o.Out, out.listSessions(list))
			})
		},
		ValidArgsFunction: o.completeUsers(-1),
	}
	out.addFlags(cmd, o)
	return cmd
}

func (p *output) listSessions(list []session) *listing {
	l := &listing{table: table{heads: []string{"JID", "PRESENCE", "PRIORITY", "ADDRESS", "ENCRYPTED", "SINCE", "ACTIVE", "+MESSAGE"}}, items: list}
	if list == nil {
		l.items = []session{}
	}
	for _, s := range list {
		l.names = append(l.names, s.JID)
		l.rows = append(l.rows, []string{
			s.JID, s.Presence, strconv.Itoa(s.Priority), s.Address, yesNo(s.Encrypted), p.age(s.Since), p.age(s.LastActivity), s.Message,
		})
	}
	return l
}

// localPart takes what people copy for a name: the address of the user, or of a session.
func localPart(name string) string {
	local, _, _ := strings.Cut(name, "@")
	return local
}

// withServer does something with the chat server of the namespace.
func (o *options) withServer(ctx context.Context, do func(context.Context, *kubernetes, *chatServer) error) error {
	k, err := o.kubernetes()
	if err != nil {
		return err
	}
	s, err := o.connect(ctx, k)
	if err != nil {
		return err
	}
	defer s.close()
	return do(ctx, k, s)
}
