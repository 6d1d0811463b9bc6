package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

// lockout is whether an account is locked, and whether that was so before.
type lockout struct {
	Username string `json:"username"`
	Locked   bool   `json:"locked"`
	Changed  bool   `json:"changed"`
}

func newLock(o *options) *cobra.Command {
	cmd := o.lockCommand(true)
	cmd.Use, cmd.Short = "lock USER...", "Keep users out, and end their sessions"
	cmd.Long = `Locks accounts: nobody can log in to them, and their sessions end. All that they have is kept, and messages wait for them.

Where a manifest declares spec.locked (in Git, Helm), the server refuses and says whose it is: it is changed there.`
	cmd.Example = "  kubectl chat lock tobias\n  kubectl chat unlock tobias"
	return cmd
}

func newUnlock(o *options) *cobra.Command {
	cmd := o.lockCommand(false)
	cmd.Use, cmd.Short = "unlock USER...", "Let users in again who were locked out"
	cmd.Example = "  kubectl chat users --output wide\n  kubectl chat unlock tobias"
	return cmd
}

func (o *options) lockCommand(locked bool) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		ValidArgsFunction: o.completeUsers(-1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if len(names) == 0 {
				return errors.New("nobody is named: give the users, such as `" + cmd.CommandPath() + " tobias`")
			}
			return o.withServer(cmd.Context(), func(ctx context.Context, _ *kubernetes, s *chatServer) error {
				l := &listing{}
				items := []lockout{}
				var failed error
				for _, name := range names {
					var one lockout
					if one, failed = s.setLocked(ctx, localPart(name), locked); failed != nil {
						break
					}
					items, l.names = append(items, one), append(l.names, one.Username)
					if out.forPeople() {
						fmt.Fprintln(o.Out, show(one.String()))
					}
				}
				// What was done is told also where the rest failed.
				if !out.forPeople() && len(items) > 0 {
					l.items = items
					if err := out.print(o.Out, l); err != nil {
						return err
					}
				}
				return failed
			})
		},
	}
	out.addFlags(cmd, o)
	return cmd
}

// setLocked locks an account or opens it.
func (s *chatServer) setLocked(ctx context.Context, username string, locked bool) (lockout, error) {
	at := path("lockouts", username)
	var before struct {
		Locked bool `json:"locked"`
	}
	err := s.get(ctx, at, nil, &before)
	if err == nil && before.Locked != locked {
		method := http.MethodDelete
		if locked {
			method = http.MethodPost
		}
		_, err = s.do(ctx, request{method: method, path: at}, nil)
	}
	switch {
	case isRefusal(err, http.StatusNotFound):
		return lockout{}, noSuchUser(username)
	case isRefusal(err, http.StatusConflict):
		return lockout{}, fmt.Errorf("the lock of %q is not changed from here: %w", username, err)
	case err != nil:
		return lockout{}, err
	}
	return lockout{Username: username, Locked: locked, Changed: before.Locked != locked}, nil
}

func (l lockout) String() string {
	switch {
	case l.Locked && l.Changed:
		return l.Username + ": locked"
	case l.Locked:
		return l.Username + ": was locked already"
	case l.Changed:
		return l.Username + ": unlocked"
	}
	return l.Username + ": was not locked"
}
