// kubectl-chat is the kubectl plugin for a chat server: it shows declared users and rooms beside who is connected, and does what
// somebody on call needs. It reads declared things from the Kubernetes API and live ones from the server's REST API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
)

// version is set by the linker: -ldflags "-X main.version=...".
var version = "development"

// completer is the name under which kubectl calls a plugin for what may follow on its command line.
const completer = "kubectl_complete-chat"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// What goes wrong is said once, in a sentence, and not in the log lines of libraries as well.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)

	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	// Who presses Ctrl-C twice does not wait.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, streams, os.Args); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		report(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:forbidigo // main is where the process ends
	}
}

// report prints why a command failed. Texts of others may be in that.
func report(out io.Writer, err error) { fmt.Fprintf(out, "error: %s\n", show(err.Error())) }

// run does what a command line asks for; its first word is the name of the program.
func run(ctx context.Context, streams genericiooptions.IOStreams, args []string) error {
	words := args[1:]
	if strings.TrimSuffix(filepath.Base(args[0]), ".exe") == completer {
		words = append([]string{"__complete"}, words...)
	}
	root := newCommand(newOptions(streams))
	root.SetArgs(words)
	return root.ExecuteContext(ctx)
}
