package xmpp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// attackerEnv tells the test program that it is the attacker: what to attack, separated by commas, and how often.
const attackerEnv = "XMPP_TEST_ATTACKER"

// TestAttack06TenThousand: ten thousand connections that say nothing, half of a TLS hello or half of a stream header. Limits hold, and hold
// those back that they are for; without limits the time to log in ends them all. Nothing of them stays. The attacker is a process of its own, so
// that only the server is measured, and that each end has its own file descriptors.
func TestAttack06TenThousand(t *testing.T) {
	if at := os.Getenv(attackerEnv); at != "" {
		attack(at)
		return
	}
	count := 10_000
	if raceEnabled || testing.Short() {
		count = 1500
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if files.Cur < files.Max { // the attacker inherits it
		files.Cur = files.Max
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
			t.Fatal(err)
		}
	}
	if files.Cur < uint64(count)+500 {
		t.Skipf("needs %d file descriptors a process, and there are %d", count+500, files.Cur)
	}
	h := generous(t)
	mira := h.user(t, "mira")
	park(count) // the runtime keeps what describes a goroutine for the next one
	goroutines := runtime.NumGoroutine() + starting
	leaves(t, 1<<20, func() {
		// How long it takes to open so many at once depends on what else the machine does.
		wait := max(2*time.Second, 3*h.heldBack(t, count, mira)).Round(time.Second)
		for !h.timedOut(t, count, wait, mira) {
			if wait *= 4; wait > 2*time.Minute {
				t.Skip("the machine is too busy to open so many connections")
			}
		}
	})
	eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines }, stacks)
	if n := connected(h); n != 1 {
		t.Errorf("there are %d connections", n)
	}
	h.user(t, "mira").quiet("afterwards")
}

// heldBack lets the attacker run into limits, and says how long all its attempts took.
func (h *host) heldBack(t *testing.T, count int, mira *raw) time.Duration {
	t.Helper()
	limit, ofAddress := count/10, count/100
	h.set(directory.KeyMaxUnauthenticated, strconv.Itoa(limit))
	h.set(directory.KeyMaxUnauthenticatedAddress, strconv.Itoa(ofAddress))
	h.set(directory.KeyLoginTime, "10m") // none of those that are held makes room for another before all have tried
	total, address := h.server.meter.Refusals(meter.Connections), h.server.meter.Refusals(meter.ConnectionsOfAddress)
	totalBefore, addressBefore := total.Value(), address.Value()
	begin := time.Now()
	a := h.attacker(t, count)
	within(t, 3*time.Minute, "all attempts are judged", func() bool {
		refused := total.Value() - totalBefore + address.Value() - addressBefore
		if n := h.server.gate.Pending(); n > limit {
			t.Fatalf("%d connections are under negotiation, more than %d", n, limit)
		}
		return int(refused) == count-limit
	})
	took := time.Since(begin)
	if n := h.server.gate.Pending(); n != limit {
		t.Errorf("%d connections are under negotiation, want %d", n, limit)
	}
	if total.Value() == totalBefore || address.Value() == addressBefore {
		t.Errorf("refused: %d for all connections, %d for those of one address", total.Value()-totalBefore, address.Value()-addressBefore)
	}
	mira.quiet("who is logged in is served")
	a.stop()
	eventually(t, "the places are free", func() bool { return h.server.gate.Pending() == 0 })
	return took
}

// timedOut lets the attacker have all that it wants, for a while. It is false when that was over before all connections were open.
func (h *host) timedOut(t *testing.T, count int, wait time.Duration, mira *raw) bool {
	t.Helper()
	h.set(directory.KeyMaxUnauthenticated, "0")
	h.set(directory.KeyMaxUnauthenticatedAddress, "0")
	h.set(directory.KeyLoginTime, wait.String())
	defer h.set(directory.KeyLoginTime, "30s")
	late := h.server.meter.Refusals(meter.LoginTime)
	before := late.Value()
	a := h.attacker(t, count)
	atOnce := false
	within(t, wait+time.Minute, "all connections are open at once, or the first has timed out", func() bool {
		atOnce = h.server.gate.Pending() == count
		return atOnce || late.Value() > before
	})
	mira.quiet("who is logged in is served")
	a.ended()
	eventually(t, "the places are free", func() bool { return h.server.gate.Pending() == 0 })
	if n := late.Value() - before; int(n) != count {
		t.Errorf("%d connections took too long to log in, want %d", n, count)
	}
	return atOnce
}

// within is eventually for what may take longer.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// park makes goroutines, all of them at once, and lets them end.
func park(count int) {
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range count {
		all.Go(func() { <-stop })
	}
	close(stop)
	all.Wait()
}

// attacker is the other process.
type attacker struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
}

func (h *host) attacker(t *testing.T, count int) *attacker {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{t: t, cmd: exec.CommandContext(t.Context(), self, "-test.run=^TestAttack06TenThousand$")}
	a.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%s,%d", attackerEnv, h.server.Addr(stream.StartTLS), h.server.Addr(stream.DirectTLS), count))
	a.cmd.Stderr = os.Stderr
	stdin, err := a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.stdin, a.lines = stdin, bufio.NewScanner(stdout)
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return a
}

// ended waits until the server has closed all connections.
func (a *attacker) ended() {
	a.t.Helper()
	for a.lines.Scan() && a.lines.Text() != "all closed" {
	}
	if a.lines.Text() != "all closed" {
		a.t.Error("the attacker did not see all its connections end")
	}
	a.stop()
}

// stop ends the attacker, whose connections end with it.
func (a *attacker) stop() {
	a.t.Helper()
	a.stdin.Close()
	for a.lines.Scan() {
	}
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("the attacker: %v", err)
	}
}

// attack is the life of the attacker: it opens its connections, half of them from one address, and says when the server has closed the last
// one. It ends with its input.
func attack(at string) {
	targets := strings.Split(at, ",")
	count, err := strconv.Atoi(targets[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	next := make(chan int)
	var dialers, readers sync.WaitGroup
	for range 8 {
		dialers.Go(func() {
			for i := range next {
				conn, err := halfOpen(targets, i)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				readers.Go(func() {
					_, _ = io.Copy(io.Discard, conn) // a reset is as good an end as any
					conn.Close()
				})
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	dialers.Wait()
	readers.Wait()
	fmt.Println("all closed")
	select {}
}

func halfOpen(targets []string, i int) (net.Conn, error) {
	mode := stream.Mode(i / 2 % 2)
	from := net.IPv4(127, 0, 0, 2)
	if i%2 == 1 {
		from[len(from)-1] = byte(3 + i/2%40)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	conn, err := d.DialContext(context.Background(), "tcp", targets[mode])
	if err != nil {
		return nil, err
	}
	if i%3 > 0 { // a server that has closed the connection already takes none of it
		_, _ = io.WriteString(conn, firstHalf(mode))
	}
	return conn, nil
}

// firstHalf is half of what a client says first.
func firstHalf(mode stream.Mode) string {
	if mode == stream.DirectTLS {
		return "\x16\x03\x01\x02\x00\x01" // the beginning of a hello
	}
	return streamHeader[:60]
}

// connected is how many clients are connected, logged in or not.
func connected(h *host) int {
	return h.server.connections(stream.StartTLS) + h.server.connections(stream.DirectTLS)
}
