package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func newPurge(o *options) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "purge USER",
		Short: "Delete a user and everything the server remembers of it, at once",
		Long: `Deletes the ChatUser and purges what the server remembers of it: contacts, waiting messages, vCard. Nothing brings that back. With
kubectl delete the data is kept for a while instead (property accounts.purgeDelay), for whoever declares the account again.

An account that is declared by somebody else (a manifest in Git, Helm) has to be deleted there.`,
		Example:           "  kubectl chat purge tobias",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeUsers(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			username := localPart(args[0])
			return o.withServer(cmd.Context(), func(ctx context.Context, k *kubernetes, s *chatServer) error {
				if err := s.get(ctx, path("users", username), nil, nil); err != nil {
					if isRefusal(err, http.StatusNotFound) {
						return fmt.Errorf("%w. The data of one that is deleted already is purged after accounts.purgeDelay; to purge it now, declare the account again first", noSuchUser(username))
					}
					return err
				}
				if !yes {
					if err := o.confirm(ctx, username, k.namespace); err != nil {
						return err
					}
				}
				if _, err := s.do(ctx, request{method: http.MethodDelete, path: path("users", username)}, nil); err != nil {
					if isRefusal(err, http.StatusConflict) {
						return fmt.Errorf("%q is not deleted from here: %w", username, err)
					}
					return err
				}
				fmt.Fprintf(o.Out, "%s: deleted, and its data purged\n", show(username))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "Do not ask")
	return cmd
}

// confirm wants the name typed.
func (o *options) confirm(ctx context.Context, username, namespace string) error {
	if terminal, ok := o.In.(*os.File); ok && !term.IsTerminal(int(terminal.Fd())) {
		return errors.New("there is no terminal to ask whether that is meant: give --yes if it is")
	}
	fmt.Fprintf(o.ErrOut, "This deletes user %s of namespace %s with all data, for good. Type the username to go on: ", show(username), namespace)
	typed, err := interruptible(ctx, func() (string, error) { return bufio.NewReader(o.In).ReadString('\n') })
	if err != nil || strings.TrimSpace(typed) != username {
		return errors.New("that is not the username: nothing was deleted")
	}
	return nil
}
