package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/servers"
)

// The occupants of the quiet room are a process of their own: beside the readers of a flood they would measure how long these take.
const (
	quietOccupants = 10
	quietRate      = 20 // messages a second
)

// serveQuiet is that process. For each line that it reads, which is a time, it measures for so long, and writes a line of JSON.
func serveQuiet(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("quiet", flag.ContinueOnError)
	addr := flags.String("addr", "", "address of the server")
	cert := flags.String("cert", "", "its certificate (PEM)")
	mechanism := flags.String("mechanism", "", "SCRAM-SHA-1 or SCRAM-SHA-256")
	pid := flags.Int("pid", 0, "process id of the server")
	from := flags.Int("from", 0, "first account")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pem, err := os.ReadFile(*cert)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	t := servers.NewTarget(*addr, roots, client.Mechanism(*mechanism), &client.KeyCache{})
	t.PID, t.Password, t.Accounts = *pid, os.Getenv(servers.RelayPassword), *from+quietOccupants
	room, _, err := t.Enter(ctx, "quiet", *from, quietOccupants, quietOccupants, 1)
	if err != nil {
		return err
	}
	defer room.Abandon()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		d, err := time.ParseDuration(lines.Text())
		if err != nil {
			return err
		}
		latency, err := room.Open(ctx, quietRate, 0, d)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(latency.Micros); err != nil {
			return err
		}
	}
	return lines.Err()
}

// quietRoom is the process as seen from here.
type quietRoom struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
}

func (v *visit) startQuiet(ctx context.Context) (*quietRoom, error) {
	t := v.target
	q := &quietRoom{cmd: exec.CommandContext(ctx, v.env.Self, "quiet", "-addr", t.Client.Addr, "-cert", v.env.CertFile(),
		"-mechanism", string(t.Client.Mechanism), "-pid", strconv.Itoa(t.PID), "-from", strconv.Itoa(v.plan.occupants))}
	q.cmd.Env = append(os.Environ(), servers.RelayPassword+"="+t.Password)
	q.cmd.Stderr = os.Stderr
	var err error
	if q.in, err = q.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := q.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	q.answers = json.NewDecoder(out)
	if err := q.cmd.Start(); err != nil {
		return nil, err
	}
	// Where that is allowed it goes before the generator, which shares its processor.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, q.cmd.Process.Pid, -20)
	return q, nil
}

// measure has messages sent in the quiet room for a time.
func (q *quietRoom) measure(d time.Duration) (l load.Latency, err error) {
	if _, err := fmt.Fprintln(q.in, d); err != nil {
		return l, err
	}
	if err := q.answers.Decode(&l.Micros); err != nil {
		return l, fmt.Errorf("the quiet room: %w", err)
	}
	return l, nil
}

func (q *quietRoom) stop() error { return errors.Join(q.in.Close(), q.cmd.Wait()) }
