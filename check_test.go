package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

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
		"no TLS that suits both": {&net.OpError{Op: "remote error", Err: tls.AlertError(70)}, false, false},
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
	if text := refused(auth.NotAuthorized).Error(); !strings.Contains(text, "the password is wrong, or there is no such account") {
		t.Error(text)
	}
}

func TestCheckEndsAtOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var connections atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			fmt.Fprint(conn, "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:error>"+
				"<host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
			conn.Close()
		}
	}()
	run := func(xmpp string) string {
		var out bytes.Buffer
		err := runCheck(t.Context(), []string{"--xmpp", xmpp, "--domain", "chat.example", "--user", "mira", "--password-file", "none"}, &out)
		if err == nil || out.Len() > 0 {
			t.Fatal(err, out.String())
		}
		return err.Error()
	}
	if got := run(listener.Addr().String()); !strings.Contains(got, "another domain") || connections.Load() != 1 {
		t.Errorf("%s, after %d connections", got, connections.Load())
	}
	if got := run("127.0.0.1"); !strings.Contains(got, "HOST:PORT") {
		t.Error(got)
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
