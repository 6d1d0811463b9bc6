package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/auth"
)

// What cannot get better is not tried again: each login that is refused counts towards the limit of the account.
func TestCheckTriesAgainOnlyWhatIsTemporary(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("XMPP at there: %w", &net.OpError{Op: "dial", Net: "tcp", Err: err})
	}
	refused := func(condition string) error {
		return &refusedError{conditions: []string{condition}, said: []string{"failure", condition}}
	}
	for name, c := range map[string]struct {
		err            error
		now, installed bool // whether it is tried again, and whether it is with --just-installed
	}{
		"connection refused":     {dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), true, true},
		"timeout":                {dial(context.DeadlineExceeded), true, true},
		"name service is away":   {dial(&net.DNSError{IsTemporary: true}), true, true},
		"no such host":           {dial(&net.DNSError{IsNotFound: true}), false, true},
		"no port":                {dial(&net.AddrError{Err: "missing port in address"}), false, false},
		"closed":                 {errEnded, true, true},
		"too many logins":        {refused("temporary-auth-failure"), true, true},
		"shutting down":          {refused("system-shutdown"), true, true},
		"wrong password":         {refused("not-authorized"), false, true},
		"locked account":         {refused("account-disabled"), false, false},
		"another domain":         {refused("host-unknown"), false, false},
		"a port for direct TLS":  {&directTLSError{"5223"}, false, false},
		"REST is starting":       {&answerError{503, "503 Service Unavailable"}, true, true},
		"REST's secret is wrong": {&answerError{401, "401 Unauthorized"}, false, true},
		"no file":                {fmt.Errorf("a secret cannot be read: %w", fs.ErrNotExist), false, false},
		"another certificate":    {errors.New("this is another server"), false, false},
	} {
		if got := temporary(c.err); got != c.now {
			t.Errorf("%s: temporary is %t", name, got)
		}
		if got := temporary(c.err) || notKnownYet(c.err); got != c.installed {
			t.Errorf("%s: tried again with --just-installed is %t", name, got)
		}
	}
	for text, want := range map[string]string{
		(&refusedError{
			conditions: []string{auth.TemporaryAuthFailure, "text"},
			said:       []string{"failure", "temporary-auth-failure", "text Too many logins have failed. Try again in 64 seconds."},
		}).Error(): "too many logins with this account or from this address have failed, and for a while the server refuses even the right password: wait, and end what " +
			"logs in with a wrong one (the server answers: failure, temporary-auth-failure, text Too many logins have failed. Try again in 64 seconds.)",
		(&answerError{429, "429 Too Many Requests"}).Error(): "too many calls from this address came with a wrong secret, and for a while none is looked at: wait (the answer is 429 Too Many Requests)",
	} {
		if text != want {
			t.Errorf("got %q, want %q", text, want)
		}
	}
	if text := refused(auth.NotAuthorized).Error(); !strings.Contains(text, "the password is wrong, or there is no such account") {
		t.Error(text)
	}
}

func TestCheckEndsAtOnce(t *testing.T) {
	address, connections := serve(t, func(conn net.Conn) {
		fmt.Fprint(conn, "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:error>"+
			"<host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
	})
	if got := checkFails(t, address); !strings.Contains(got, "another domain") || connections.Load() != 1 {
		t.Errorf("%s, after %d connections", got, connections.Load())
	}
	if got := checkFails(t, "127.0.0.1"); !strings.Contains(got, "HOST:PORT") {
		t.Error(got)
	}
	if got := checkFails(t, "127.0.0.1:5222", "--just-instaled"); got != "there is no flag --just-instaled; it resembles --just-installed. Run `chat-operator check --help` for what there is" {
		t.Error(got)
	}
}

// serve answers each connection in a way that a test gives, and counts them.
func serve(t *testing.T, answer func(net.Conn)) (address string, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int32{}
	var under sync.WaitGroup
	under.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			under.Go(func() {
				defer conn.Close()
				answer(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		under.Wait()
	})
	return listener.Addr().String(), connections
}

func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	certFile, keyFile, err := xmpp.SelfSigned(t.TempDir(), "chat.example", time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

// upToTLS is a server's part of a stream until TLS begins (RFC 6120 §5.4.2).
func upToTLS(conn net.Conn) bool {
	in := xml.NewDecoder(conn)
	for {
		token, err := in.Token()
		if err != nil {
			return false
		}
		start, ok := token.(xml.StartElement)
		switch {
		case ok && start.Name.Local == "stream":
			fmt.Fprint(conn, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='chat.example' id='1' version='1.0'>"+
				"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>")
		case ok && start.Name.Local == "starttls":
			fmt.Fprint(conn, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			return true
		}
	}
}

// checkFails runs the command, which has to fail at its first attempt.
func checkFails(t *testing.T, address string, more ...string) string {
	t.Helper()
	var out bytes.Buffer
	err := runCheck(t.Context(), append([]string{"--xmpp", address, "--domain", "chat.example", "--user", "mira", "--password-file", "none", "--timeout", "1m"}, more...), &out)
	if err == nil || out.Len() > 0 {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return err.Error()
}

// A server that speaks TLS 1.2 at most says so with an alert.
func TestCheckDoesNotRepeatTLSThatCannotSucceed(t *testing.T) {
	pair, err := tls.LoadX509KeyPair(selfSigned(t))
	if err != nil {
		t.Fatal(err)
	}
	address, connections := serve(t, func(conn net.Conn) {
		if upToTLS(conn) {
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12}).HandshakeContext(t.Context())
		}
	})
	if got := checkFails(t, address); !strings.Contains(got, "protocol version not supported: this program speaks TLS 1.3 alone") || connections.Load() != 1 {
		t.Errorf("%s, after %d connections", got, connections.Load())
	}
}

// Port 5223 closes a stream that begins without TLS, as a server does that is about to end: only the first is said at once.
func TestCheckNamesThePortForDirectTLS(t *testing.T) {
	pair, err := tls.LoadX509KeyPair(selfSigned(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		address, _ := serve(t, func(conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}, MaxVersion: version}).HandshakeContext(t.Context())
		})
		if got := checkFails(t, address); !strings.Contains(got, "speaks TLS at once") || !strings.Contains(got, "5222") {
			t.Error(got)
		}
	}
	// One that closes every connection is tried again.
	address, _ := serve(t, func(conn net.Conn) { _, _ = bufio.NewReader(conn).ReadString('>') })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &untilLine{part: "Trying again: XMPP at " + address + ": the server closed the connection", found: stop}
	err = runCheck(ctx, []string{"--xmpp", address, "--domain", "chat.example", "--user", "mira", "--password-file", "none"}, out)
	if err == nil || ctx.Err() == nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// untilLine is an output that says when a text was written to it.
type untilLine struct {
	bytes.Buffer
	part  string
	found func()
}

func (u *untilLine) Write(p []byte) (int, error) {
	n, err := u.Buffer.Write(p)
	if strings.Contains(u.String(), u.part) {
		u.found()
	}
	return n, err
}

func TestCheckPreparesTheUsername(t *testing.T) {
	c := &check{domain: "chat.example"}
	for name, want := range map[string]string{"mira": "mira", "Mira": "mira", "mira@chat.example": "mira", "Mira@Chat.Example": "mira"} {
		if got, err := c.username(name); err != nil || got != want {
			t.Errorf("%q is %q, %v", name, got, err)
		}
	}
	for name, part := range map[string]string{
		"mira@localhost": "is not of domain chat.example", "mira@": "the part before the @", "@chat.example": "is no username", "mi ra": "is no username",
		"mira@chat.example/phone": "the part before the @",
	} {
		if _, err := c.username(name); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A file without a secret is no login that failed.
func TestCheckSendsNoEmptySecret(t *testing.T) {
	for _, content := range []string{"", "\n", "\r\n"} {
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readSecret(file); err == nil || !strings.Contains(err.Error(), file+" is empty") {
			t.Errorf("%q is read as %q, %v", content, got, err)
		}
	}
}

func TestCheckTakesOneLineEndOff(t *testing.T) {
	for content, want := range map[string]string{"a word\n": "a word", "a word\r\n": "a word", "a word": "a word", " a word ": " a word ", "a word\n\n": "a word\n"} {
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readSecret(file); err != nil || got != want {
			t.Errorf("%q is read as %q, %v", content, got, err)
		}
	}
}
