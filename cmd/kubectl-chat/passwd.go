package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxPassword is more than the server takes.
const maxPassword = 64 << 10

func newPasswd(o *options) *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "passwd USER",
		Short: "Set the password of a user",
		Long: `Asks for a password, twice, and sets it. The server keeps verifiers of it (SCRAM) in a Secret, not the password itself.

Where a manifest (in Git, Helm) declares the password, that is the Secret in spec.credentials, or spec.inBandPolicy is Deny, the server
refuses and says by whom: the password is changed there. The password that the operator made for an account is replaced, and no longer
in the Secret that status.binding names; to have another one made, delete that Secret.`,
		Example:           "  kubectl chat passwd mira\n  openssl rand -base64 18 | kubectl chat passwd mira --stdin",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.completeUsers(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			username := localPart(args[0])
			return o.withServer(cmd.Context(), func(ctx context.Context, _ *kubernetes, s *chatServer) error {
				// Before anybody types anything.
				if err := s.knows(ctx, username); err != nil {
					return err
				}
				password, err := o.readPassword(ctx, username, fromStdin)
				if err != nil {
					return err
				}
				if err := s.setPassword(ctx, username, password); err != nil {
					return err
				}
				fmt.Fprintf(o.Out, "%s: password set\n", show(username))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&fromStdin, "stdin", false, "Read the password from the first line of standard input")
	return cmd
}

// setPassword changes the password alone. The API replaces the properties of an account with those of the body, so it gets those that it has,
// and only while they are still the same.
func (s *chatServer) setPassword(ctx context.Context, username, password string) error {
	const attempts = 5
	at := path("users", username)
	var err error
	for range attempts {
		var account struct {
			Properties []struct {
				Key   string `json:"key"`
				Value string `json:"value"`
			} `json:"properties"`
		}
		var header http.Header
		if header, err = s.do(ctx, request{method: http.MethodGet, path: at}, &account); err != nil {
			break
		}
		_, err = s.do(ctx, request{
			method: http.MethodPut, path: at, ifMatch: header.Get("ETag"),
			body: map[string]any{"password": password, "properties": account.Properties},
		}, nil)
		if !isRefusal(err, http.StatusPreconditionFailed) {
			break
		}
	}
	switch {
	case isRefusal(err, http.StatusNotFound):
		return noSuchUser(username)
	case isRefusal(err, http.StatusConflict):
		return fmt.Errorf("the password of %q is not changed from here: %w", username, err)
	}
	return err
}

// readPassword never prints what it reads.
func (o *options) readPassword(ctx context.Context, username string, fromStdin bool) (string, error) {
	if fromStdin {
		line, err := interruptible(ctx, func() (string, error) { return bufio.NewReader(io.LimitReader(o.In, maxPassword)).ReadString('\n') })
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the password from standard input: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return "", errors.New("standard input holds no password in its first line")
		}
		return line, nil
	}
	terminal, isFile := o.In.(*os.File)
	if !isFile || !term.IsTerminal(int(terminal.Fd())) {
		return "", errors.New("there is no terminal to ask for a password: give it on standard input, with --stdin")
	}
	first, err := o.askSecretly(ctx, int(terminal.Fd()), "New password of "+show(username)+": ")
	if err != nil {
		return "", err
	}
	if first == "" {
		return "", errors.New("nothing was typed: the password stays as it is")
	}
	again, err := o.askSecretly(ctx, int(terminal.Fd()), "Once more: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two differ: the password stays as it is")
	}
	return first, nil
}

// askSecretly asks on a terminal that does not show what is typed, and shows it again afterwards, also when somebody presses Ctrl-C.
func (o *options) askSecretly(ctx context.Context, terminal int, prompt string) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	fmt.Fprint(o.ErrOut, prompt)
	typed, err := interruptible(ctx, func() ([]byte, error) { return term.ReadPassword(terminal) })
	fmt.Fprintln(o.ErrOut)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", errors.Join(err, term.Restore(terminal, before)))
	}
	return string(typed), nil
}
