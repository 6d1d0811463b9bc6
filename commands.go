package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/controllers/transfer"
)

// command runs the subcommand that the arguments begin with, and gives the exit status; false: they begin with none.
func command(args []string) (status int, ok bool) {
	if len(args) == 0 {
		return 0, false
	}
	run, ok := transfer.Commands(controllers.NewLiveClient)[args[0]]
	if !ok {
		return 0, false
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	ctrl.SetLogger(logr.Discard()) // a command tells a person itself
	if err := limitMemory(slog.New(slog.DiscardHandler), commandShare); err != nil {
		fmt.Fprintln(os.Stderr, "chat-operator "+args[0]+":", err)
		return 1, true
	}
	err := run(ctx, args[1:], transfer.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	var usage *transfer.UsageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0, true
	case errors.As(err, &usage):
		status = 2
	default:
		status = 1
	}
	fmt.Fprintln(os.Stderr, "chat-operator "+args[0]+":", err)
	return status, true
}
