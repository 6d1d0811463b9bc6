package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// terminal is the side of a terminal at which a person sits; what a program opens as its terminal is the other.
type terminal struct {
	t       *testing.T
	keys    *os.File
	program *os.File

	mu   sync.Mutex
	seen bytes.Buffer
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { keys.Close() })
	number, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err := errors.Join(err, unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)); err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	x := &terminal{t: t, keys: keys, program: program}
	go func() { _, _ = io.Copy(x, keys) }()
	return x
}

func (x *terminal) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.Write(p)
}

func (x *terminal) shows() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

// echoes says whether the terminal shows what is typed.
func (x *terminal) echoes() bool {
	x.t.Helper()
	mode, err := unix.IoctlGetTermios(int(x.program.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// types waits for a prompt, and until nothing that is typed would show, and types a line.
func (x *terminal) types(prompt, line string) {
	x.t.Helper()
	deadline := time.After(time.Minute)
	for !strings.HasSuffix(x.shows(), prompt) || x.echoes() {
		select {
		case <-deadline:
			x.t.Errorf("no prompt %q: %q", prompt, x.shows())
			return
		case <-time.After(time.Millisecond):
		}
	}
	fmt.Fprint(x.keys, line)
}

func TestPasswdAsksTwiceAndShowsNothing(t *testing.T) {
	w := newWorld(t)
	w.objects[pods] = pod
	w.answer("GET /users/tobias", `{"username":"tobias","name":"","properties":[]}`)
	const secretWord = "a word that nobody prints"
	passwd := func(ctx context.Context, x *terminal, person func()) error {
		var sits sync.WaitGroup
		sits.Go(person)
		defer sits.Wait()
		o := newOptions(genericiooptions.IOStreams{In: x.program, Out: x.program, ErrOut: x.program})
		cmd := newCommand(o)
		cmd.SetArgs([]string{"passwd", "tobias", "--kubeconfig=" + w.kubeconfig})
		return cmd.ExecuteContext(ctx)
	}
	t.Run("the same twice", func(t *testing.T) {
		body, x := w.takes("PUT /users/tobias", 200), newTerminal(t)
		err := passwd(t.Context(), x, func() {
			x.types("New password of tobias: ", secretWord+"\n")
			x.types("Once more: ", secretWord+"\n")
		})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(*body, `"password":"`+secretWord+`"`) || strings.Contains(x.shows(), secretWord) || !x.echoes() {
			t.Errorf("the server is sent %s, the terminal shows %q", *body, x.shows())
		}
	})
	t.Run("not the same", func(t *testing.T) {
		x := newTerminal(t)
		w.answers["PUT /users/tobias"] = nil
		err := passwd(t.Context(), x, func() {
			x.types("New password of tobias: ", secretWord+"\n")
			x.types("Once more: ", "a ward\n")
		})
		if err == nil || !strings.Contains(err.Error(), "the two differ") {
			t.Error(err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		x := newTerminal(t)
		ctx, interrupt := context.WithCancel(t.Context())
		err := passwd(ctx, x, func() {
			x.types("New password of tobias: ", "half a wo")
			interrupt()
		})
		if !errors.Is(err, context.Canceled) || !x.echoes() {
			t.Errorf("%v; shows what is typed: %t", err, x.echoes())
		}
	})
}
