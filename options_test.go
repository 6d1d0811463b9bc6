package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whoever mistypes a command is told which there are.
func TestCommandsAreNamed(t *testing.T) {
	_, err := parseOptions([]string{"chek"}, io.Discard)
	for _, command := range []string{"check", "export", "import"} {
		if err == nil || !strings.Contains(err.Error(), command) {
			t.Errorf("%v does not name %s", err, command)
		}
		if !strings.Contains(usage, "\n  "+command) {
			t.Errorf("--help does not list %s", command)
		}
	}
}

// What would fail for ever, or with words of a library, is refused at once.
func TestOptionsThatAreRefused(t *testing.T) {
	for option, want := range map[string]string{
		"--log-level=warning": "choose debug, info, warn or error",
		"--namepsace=chat":    "there is no flag --namepsace; it resembles --namespace. Run `chat-operator --help` for what there is",
		"--secret-name=":      "--secret-name \"\" is no name of a Secret",
		"--secret-name=a/b":   "--secret-name \"a/b\" is no name of a Secret",
		"--namespace=a/b":     "--namespace \"a/b\" is no name of a namespace",
	} {
		if _, err := parseOptions([]string{option}, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", option, err)
		}
	}
}

func TestVersionIsTold(t *testing.T) {
	for _, word := range []string{"version", "--version", "-version"} {
		var out bytes.Buffer
		if _, err := parseOptions([]string{word}, &out); !errors.Is(err, flag.ErrHelp) || out.String() != "chat-operator version "+version+"\n" {
			t.Errorf("%s: %v %q", word, err, out.String())
		}
	}
}

// A start that fails since a port is taken writes nothing.
func TestTakenPortLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, set := range map[string]func(*options, string){
		"XMPP":          func(o *options, at string) { o.xmpp = at },
		"XMPP over TLS": func(o *options, at string) { o.xmpps = at },
		"metrics":       func(o *options, at string) { o.metrics = at },
		"REST":          func(o *options, at string) { o.rest = at },
		"REST over TLS": func(o *options, at string) { o.restTLS = at },
		"probes":        func(o *options, at string) { o.probes = at },
		"profiles":      func(o *options, at string) { o.profiles = at },
	} {
		o := &options{domain: "chat.example", dataDir: filepath.Join(t.TempDir(), "data"), xmpp: off, xmpps: off, metrics: off, rest: off, restTLS: off, probes: off, profiles: off}
		set(o, taken.Addr().String())
		var logged bytes.Buffer
		if err := run(t.Context(), o, slog.New(slog.NewJSONHandler(&logged, nil))); err == nil || !strings.Contains(err.Error(), "another program listens there") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(o.dataDir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %s is there: %v", name, o.dataDir, err)
		}
	}
}

// Behind something that passes TLS through, callers of REST are told apart by the PROXY header, as clients of XMPP are.
func TestRESTBehindAProxyForTLS(t *testing.T) {
	if _, err := parseOptions([]string{"--rest-tls-trusted-proxies=gateway"}, io.Discard); err == nil || !strings.Contains(err.Error(), "--rest-tls-trusted-proxies") {
		t.Errorf("got %v", err)
	}
	o := &options{rest: "127.0.0.1:0", restTLS: "127.0.0.1:0", restTLSProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	list, err := o.listenForREST(t.Context(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var callers []string
	for _, ln := range list {
		defer ln.Close()
		var d net.Dialer
		conn, err := d.DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "PROXY TCP4 192.0.2.1 198.51.100.7 56324 9091\r\n"); err != nil {
			t.Fatal(err)
		}
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		host, _, _ := net.SplitHostPort(accepted.RemoteAddr().String())
		callers = append(callers, host)
	}
	if want := []string{"127.0.0.1", "192.0.2.1"}; !slices.Equal(callers, want) {
		t.Errorf("the callers are %v, want %v: without TLS, X-Forwarded-For tells", callers, want)
	}
}
