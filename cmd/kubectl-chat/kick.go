package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func newKick(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "kick USER...",
		Short: "Close the sessions of users",
		Long: `Closes all sessions of each user. They may log in again at once: to keep somebody out, lock the account (kubectl chat lock).

The REST API closes all sessions of a user, not one of them.`,
		Example:           "  kubectl chat kick tobias",
		ValidArgsFunction: o.completeUsers(-1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 0 {
				return errors.New("nobody is named: give the users whose sessions are to be closed")
			}
			for _, name := range names {
				if isSession(name) {
					return fmt.Errorf("%s is one session, and the server closes all of a user or none: `kubectl chat kick %s` closes them", show(name), show(localPart(name)))
				}
			}
			return o.withServer(cmd.Context(), func(ctx context.Context, _ *kubernetes, s *chatServer) error {
				for _, name := range names {
					if err := o.kick(ctx, s, localPart(name)); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// kick tells how many sessions there were: the server's own answer says nothing.
func (o *options) kick(ctx context.Context, s *chatServer, username string) error {
	list, err := s.sessions(ctx, username)
	if err != nil {
		return err
	}
	if _, err := s.do(ctx, request{method: http.MethodDelete, path: path("sessions", username)}, nil); err != nil {
		return err
	}
	if len(list) > 0 {
		fmt.Fprintf(o.Out, "%s: %s closed\n", show(username), count(len(list), "session"))
		return nil
	}
	if err := s.knows(ctx, username); err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "%s: was not connected\n", show(username))
	return nil
}

// knows fails where there is no such account: without a session the API answers for one as for any other name.
func (s *chatServer) knows(ctx context.Context, username string) error {
	err := s.get(ctx, path("users", username), nil, nil)
	if isRefusal(err, http.StatusNotFound) {
		return noSuchUser(username)
	}
	return err
}

func noSuchUser(name string) error {
	return fmt.Errorf("the chat server has no user %q: `kubectl chat users` lists those that are declared, and whether they are ready", name)
}

// isSession says whether an address is that of one session (RFC 7622 §3.1: what follows the first slash is the resource).
func isSession(name string) bool {
	for _, r := range name {
		if r == '/' {
			return true
		}
	}
	return false
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
