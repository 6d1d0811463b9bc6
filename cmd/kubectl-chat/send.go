package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// maxText is more than the server takes.
const maxText = 1 << 20

func newSend(o *options) *cobra.Command {
	var all bool
	var roomName string
	cmd := &cobra.Command{
		Use:   "send USER|--all|--room ROOM TEXT",
		Short: "Send a message to a user, to everybody who is connected, or into a room",
		Long: `Sends a message in the name of the server. A user who is not connected gets it at the next login; with --all only those get it who are
connected. Several words make one text, and - reads it from standard input.`,
		Example: "  kubectl chat send mira 'The build is done.'\n  kubectl chat send --all 'The server restarts at ten.'\n" +
			"  kubectl chat send --room lobby - <notice.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			to, words, err := recipient(args, all, roomName)
			if err != nil {
				return err
			}
			text, err := o.text(cmd.Context(), words)
			if err != nil {
				return err
			}
			return o.withServer(cmd.Context(), func(ctx context.Context, _ *kubernetes, s *chatServer) error {
				return o.send(ctx, s, to, text)
			})
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if all || roomName != "" {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return o.completeUsers(1)(cmd, args, word)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "To everybody who is connected")
	cmd.Flags().StringVar(&roomName, "room", "", "Into a room: ROOM or ROOM@SERVICE")
	_ = cmd.RegisterFlagCompletionFunc("room", o.completeRooms)
	return cmd
}

// destination is where a message goes: one of the three.
type destination struct {
	user, room string
	all        bool
}

func recipient(args []string, all bool, room string) (destination, []string, error) {
	switch {
	case all && room != "":
		return destination{}, nil, errors.New("--all and --room are two recipients: give one of them")
	case all:
		return destination{all: true}, args, nil
	case room != "":
		return destination{room: room}, args, nil
	case len(args) == 0:
		return destination{}, nil, errors.New("nobody is named: give a user, --all or --room ROOM, and then the text")
	}
	return destination{user: localPart(args[0])}, args[1:], nil
}

func (o *options) text(ctx context.Context, words []string) (string, error) {
	text := strings.Join(words, " ")
	if text == "-" {
		read, err := interruptible(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(o.In, maxText)) })
		if err != nil {
			return "", fmt.Errorf("reading the text from standard input: %w", err)
		}
		text = string(bytes.TrimRight(read, "\r\n"))
	}
	switch {
	case strings.TrimSpace(text) == "":
		return "", errors.New("the text is missing: give it after the recipient, or - to read it from standard input")
	case !utf8.ValidString(text):
		return "", errors.New("the text is not UTF-8")
	}
	return text, nil
}

func (o *options) send(ctx context.Context, s *chatServer, to destination, text string) error {
	r := request{method: http.MethodPost, body: map[string]string{"body": text}}
	var done string
	switch {
	case to.all:
		sessions, err := s.sessions(ctx, "")
		if err != nil {
			return err
		}
		r.path, done = path("messages", "users"), "sent to everybody who is connected ("+count(len(sessions), "session")+")"
	case to.room != "":
		room, service := splitRoom(to.room)
		r.path, r.query, done = path("messages", "rooms", room), url.Values{"servicename": {service}}, "sent into room "+to.room
	default:
		r.path, done = path("messages", "users", to.user), "sent to "+to.user
	}
	if _, err := s.do(ctx, r, nil); err != nil {
		if isRefusal(err, http.StatusNotFound) && to.user != "" {
			return noSuchUser(to.user)
		}
		if isRefusal(err, http.StatusNotFound) && to.room != "" {
			return fmt.Errorf("the chat server has no room %q: `kubectl chat rooms` lists those that there are", to.room)
		}
		return err
	}
	fmt.Fprintln(o.Out, show(done))
	return nil
}
