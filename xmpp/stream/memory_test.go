package stream

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// idleSessions is how many sessions TestIdleMemory opens: fewer under the race detector, where handshakes take long.
func idleSessions() int {
	if raceEnabled {
		return 100
	}
	return 500
}

// TestIdleMemory measures what an idle session inside TLS costs this process: heap and stacks, buffers of the kernel aside. The clients are
// another process, so that they are not measured.
func TestIdleMemory(t *testing.T) {
	if os.Getenv("STREAM_TEST_CLIENT") != "" {
		openSessions(os.Getenv("STREAM_TEST_CLIENT"))
		return
	}
	if testing.Short() {
		t.Skip("opens many connections")
	}
	s := newServer(t, DirectTLS)
	measure := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	warm := s.connect(t)
	warm.bind("romeo", "warm")
	before := measure()

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestIdleMemory$")
	cmd.Env = append(os.Environ(), "STREAM_TEST_CLIENT="+s.Addr().String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
	}
	eventually(t, "all sessions are idle", func() bool { return s.backend.count() == idleSessions()+1 })
	eventually(t, "nobody writes any more", func() bool { return runtime.NumGoroutine() < idleSessions()+50 })
	limit := int64(13 << 10)
	if raceEnabled {
		limit *= 4
	}
	var each int64
	eventually(t, "an idle session takes little", func() bool {
		each = (int64(measure()) - int64(before)) / int64(idleSessions())
		return each <= limit
	})
	t.Logf("an idle session takes %d bytes", each)
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the clients: %v", err)
	}
	eventually(t, "all sessions are over", func() bool { return s.backend.count() == 1 })
}

// openSessions is the other process: it opens sessions, says so, and keeps them until its input ends.
func openSessions(addr string) {
	conns := make([]net.Conn, 0, idleSessions())
	for i := range idleSessions() {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: domain}) // a test on loopback
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		buf := make([]byte, 4096)
		talk := func(out, until string) {
			_, _ = io.WriteString(conn, out)
			for got := ""; !strings.Contains(got, until); {
				n, err := conn.Read(buf)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				got += string(buf[:n])
			}
		}
		talk(header, "</stream:features>")
		talk(plainMessage(username, password), "<success")
		talk(header, "</stream:features>")
		talk("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r"+strconv.Itoa(i)+"</resource></bind></iq>", "</iq>")
		talk("<message to='romeo@example.org'><body>one message each</body></message>", "</message>")
		_ = conn.SetDeadline(time.Time{})
		conns = append(conns, conn)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		c.Close()
	}
	os.Exit(0)
}
