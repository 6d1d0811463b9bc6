package xmpp

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"mellium.im/sasl"
	"mellium.im/xmlstream"
	mjid "mellium.im/xmpp/jid"
	"mellium.im/xmpp/ping"
	"mellium.im/xmpp/stanza"

	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/store/storetest"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(killFolder); folder != "" {
		if err := servedToBeKilled(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const domain = "chat.example"

var by = directory.Actor{Via: "REST", Name: "test"}

func passwordOf(name string) string { return "the password of " + name }

// host is a server with everything below it: a directory, a SQLite store, listeners on real sockets.
type host struct {
	t           *testing.T
	dir         *directory.Directory
	local       *directory.Local
	path        string
	certificate tls.Certificate
	proxies     []netip.Prefix // trusted, from the next start on

	store  *store.Store
	server *Server
	stop   func()
}

func newHost(t *testing.T, users ...string) *host {
	t.Helper()
	h := &host{t: t, dir: directory.New(domain), path: filepath.Join(t.TempDir(), "chat.db")}
	storetest.Empty(t, h.path)
	h.local = directory.NewLocal(h.dir)
	for _, u := range users {
		if err := h.local.CreateUser(t.Context(), by, directory.NewUser{Username: u, Password: passwordOf(u)}); err != nil {
			t.Fatal(err)
		}
	}
	h.dir.MarkSynced()
	certFile, keyFile, err := SelfSigned(t.TempDir(), domain, time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if h.certificate, err = LoadCertificate(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *host) config() Config {
	return Config{
		Domain: domain, TLS: &tls.Config{Certificates: []tls.Certificate{h.certificate}}, InstallationKey: []byte("installation"), Version: "1.2.3",
		Listeners: []Listener{
			{Addr: "127.0.0.1:0", Mode: stream.StartTLS, ProxiesFrom: h.proxies, Flag: "--xmpp-bind-address"},
			{Addr: "127.0.0.1:0", Mode: stream.DirectTLS, ProxiesFrom: h.proxies, Flag: "--xmpps-bind-address"},
		},
	}
}

func auditing(data *store.Store, log *slog.Logger) audit.Config {
	return audit.Config{Log: data, Domain: domain, Node: "chat-0", Errors: log}
}

// proposer is the local one, recorded as in the program.
func (h *host) proposer(data *store.Store, log *slog.Logger) directory.Proposer {
	return audit.Proposals(h.local, auditing(data, log))
}

// start opens the store and serves, as a process does that starts anew.
func (h *host) start() {
	h.t.Helper()
	log := slog.New(slog.NewTextHandler(h.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	data, err := store.Open(context.Background(), h.path, log)
	if err != nil {
		h.t.Fatal(err)
	}
	h.store = data
	if h.server, err = New(h.config(), Deps{Directory: h.dir, Proposer: h.proposer(data, log), Roster: data, Offline: data, Journal: data, Last: data, VCards: data, Rooms: data,
		Audit: audit.NewClients(auditing(data, log)), Log: log}); err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.server.Run(ctx) }()
	h.stop = func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("the server ended with: %v", err)
		}
		data.Close()
		h.stop = func() {}
	}
	eventually(h.t, "the listeners", func() bool {
		return h.server.Accepting(stream.StartTLS) == nil && h.server.Accepting(stream.DirectTLS) == nil
	})
}

// TestStory is what the server is for: two people log in, find each other, chat, and find each other again after a restart.
func TestStory(t *testing.T) {
	h := newHost(t, "mira", "tobias")
	mira, tobias := h.login("mira", stream.StartTLS), h.login("tobias", stream.DirectTLS)
	for _, p := range []*peer{mira, tobias} {
		if got := p.contacts(); len(got) > 0 {
			t.Errorf("%s starts with %q", p.name, got)
		}
		p.presence("", "")
		p.awaits("presence " + p.name + "/ available")
	}

	mira.presence(stanza.SubscribePresence, "tobias")
	mira.awaits("push tobias none")
	tobias.awaits("presence mira subscribe")
	tobias.presence(stanza.SubscribedPresence, "mira")
	mira.awaits("presence tobias subscribed", "push tobias to", "presence tobias/ available")
	tobias.presence(stanza.SubscribePresence, "mira")
	mira.awaits("presence tobias subscribe")
	mira.presence(stanza.SubscribedPresence, "tobias")
	tobias.awaits("presence mira subscribed", "push mira both", "presence mira/ available")

	mira.chat(mjid.MustParse("tobias@"+domain), "Hello <Tobias> & co \U0001F44B")
	tobias.awaits("message mira/ Hello <Tobias> & co \U0001F44B")
	tobias.chat(mira.session.LocalAddr(), "Hi")
	mira.awaits("message tobias/ Hi")

	if list := h.server.Sessions(""); len(list) != 2 || h.server.CountSessions() != 2 {
		t.Errorf("sessions: %+v", list)
	} else if s := list[0]; s.Username != "mira" || s.JID.String() != mira.session.LocalAddr().String() || s.Resource != s.JID.Resource() ||
		!s.Available || !s.Secure || s.Anonymous || !strings.HasPrefix(s.RemoteAddr, "127.0.0.1:") || s.Created.IsZero() || s.LastActivity.Before(s.Created) {
		t.Errorf("session: %+v", s)
	}

	tobias.leave()
	mira.awaits("presence tobias/ unavailable")
	h.stop()
	if err := mira.ended(); err == nil || !strings.Contains(err.Error(), "system-shutdown") { // RFC 6120 §4.9.3.20
		t.Errorf("the shutdown was seen as %v", err)
	}

	h.start()
	mira, tobias = h.login("mira", stream.DirectTLS), h.login("tobias", stream.StartTLS)
	if got := mira.contacts(); !slices.Equal(got, []string{"tobias both"}) {
		t.Errorf("after a restart mira has %q", got)
	}
	if got := tobias.contacts(); !slices.Equal(got, []string{"mira both"}) {
		t.Errorf("after a restart tobias has %q", got)
	}
	tobias.presence("", "")
	tobias.awaits("presence tobias/ available")
	mira.presence("", "")
	mira.awaits("presence tobias/ available")
	tobias.awaits("presence mira/ available")
	mira.leave()
	tobias.leave()
}

// TestLockAndCredentials: a lock ends the sessions at once, a removal too; a new password leaves them alone.
func TestLockAndCredentials(t *testing.T) {
	h := newHost(t, "mira", "tobias")
	lock := func(locked bool) {
		if err := h.local.UpdateUser(t.Context(), by, "mira", directory.UserUpdate{Locked: &locked}); err != nil {
			t.Fatal(err)
		}
	}
	mira, tobias := h.login("mira", stream.StartTLS), h.login("tobias", stream.StartTLS)
	next := "another password"
	if err := h.local.UpdateUser(t.Context(), by, "mira", directory.UserUpdate{Password: &next}); err != nil {
		t.Fatal(err)
	}
	mira.chat(mjid.MustParse("mira@"+domain), "still here?")
	if got := mira.contacts(); len(got) > 0 { // it is: the stream answers
		t.Errorf("%q", got)
	}
	if _, err := h.dial("mira", passwordOf("mira"), stream.StartTLS, sasl.ScramSha256); err == nil {
		t.Error("the old password still opens the door")
	}
	lock(true)
	if err := mira.ended(); err == nil || !strings.Contains(err.Error(), "not-authorized") {
		t.Errorf("the lock was seen as %v", err)
	}
	if _, err := h.dial("mira", next, stream.StartTLS, sasl.ScramSha256); err == nil {
		t.Error("a locked account can log in")
	}
	lock(false)
	again, err := h.dial("mira", next, stream.StartTLS, sasl.ScramSha256)
	if err != nil {
		t.Fatalf("after unlocking: %v", err)
	}
	if err := h.local.DeleteUser(t.Context(), by, "mira"); err != nil {
		t.Fatal(err)
	}
	if err := again.ended(); err == nil || !strings.Contains(err.Error(), "not-authorized") {
		t.Errorf("the removal was seen as %v", err)
	}
	if n := h.server.Kick("tobias"); n != 1 {
		t.Errorf("kicked %d", n)
	}
	// The stream error that programs of the original expect: not-authorized, for a kick as for a lock.
	if err := tobias.ended(); err == nil || !strings.Contains(err.Error(), "not-authorized") {
		t.Errorf("the kick was seen as %v", err)
	}
	eventually(t, "no sessions", func() bool { return h.server.CountSessions() == 0 })
}

// TestDeclaredRoster over real sockets: what is declared is in the client's roster, and a change of it arrives.
func TestDeclaredRoster(t *testing.T) {
	h := newHost(t, "mira", "tobias")
	put := func(user, contact string, create bool) {
		c := directory.Contact{JID: jid.MustParse(contact + "@" + domain), Name: "Declared", Subscription: directory.SubscriptionBoth}
		if err := h.local.PutContact(t.Context(), by, user, c, create); err != nil {
			t.Fatal(err)
		}
	}
	put("mira", "tobias", true)
	mira, tobias := h.login("mira", stream.StartTLS), h.login("tobias", stream.StartTLS)
	if got := mira.contacts(); !slices.Equal(got, []string{"tobias both"}) {
		t.Errorf("mira has %q", got)
	}
	tobias.contacts()
	mira.presence("", "")
	mira.awaits("presence mira/ available")
	tobias.presence("", "")
	tobias.awaits("presence tobias/ available")
	put("tobias", "mira", true)
	tobias.awaits("push mira both", "presence mira/ available")
	mira.awaits("presence tobias/ available")
	if err := h.server.Rosters().Remove(t.Context(), by, "mira", jid.MustParse("tobias@"+domain)); err != nil {
		t.Fatal(err)
	}
	mira.awaits("push tobias remove")
	tobias.awaits("push mira none", "presence mira/ unavailable")
	mira.leave()
	tobias.leave()
}

// TestIndependentRequests: what the library asks on its own (XEP-0199, RFC 6120 §8.4).
func TestIndependentRequests(t *testing.T) {
	h := newHost(t, "mira")
	mira := h.login("mira", stream.StartTLS)
	ctx := patient(t)
	if err := ping.Send(ctx, mira.session, mjid.MustParse(domain)); err != nil {
		t.Errorf("ping: %v", err)
	}
	unknown := stanza.IQ{Type: stanza.GetIQ, To: mjid.MustParse(domain)}.Wrap(
		xmlstream.Wrap(nil, xml.StartElement{Name: xml.Name{Space: "urn:example:unknown", Local: "x"}}))
	answer := struct {
		stanza.IQ
		Error stanza.Error `xml:"error"`
	}{}
	if err := mira.session.UnmarshalIQ(ctx, unknown, &answer); err != nil && !errors.As(err, &answer.Error) {
		t.Fatal(err)
	}
	if answer.Error.Condition != stanza.ServiceUnavailable {
		t.Errorf("an unknown request: %+v", answer.Error)
	}
	mira.leave()
}

// TestAnonymousSwitch: the property xmpp.auth.anonymous opens and closes that door while the server runs.
func TestAnonymousSwitch(t *testing.T) {
	h := newHost(t)
	if _, err := h.dial("x", "", stream.StartTLS, sasl.Anonymous); err == nil {
		t.Fatal("anonymous logins are on by themselves")
	}
	if err := h.local.PutProperty(t.Context(), by, directory.KeyAnonymous, "true", false); err != nil {
		t.Fatal(err)
	}
	guest, err := h.dial("x", "", stream.StartTLS, sasl.Anonymous)
	if err != nil {
		t.Fatal(err)
	}
	if list := h.server.Sessions(""); len(list) != 1 || !list[0].Anonymous {
		t.Errorf("%+v", list)
	}
	if got := guest.contacts(); len(got) > 0 {
		t.Errorf("%q", got)
	}
	guest.leave()
}

// TestPortInUse names the address and the option that sets it.
func TestPortInUse(t *testing.T) {
	h := newHost(t)
	taken := h.server.Addr(stream.DirectTLS).String()
	cfg := h.config()
	cfg.Listeners[1].Addr = taken
	second, err := New(cfg, Deps{Directory: h.dir, Proposer: h.local, Roster: h.store})
	if err != nil {
		t.Fatal(err)
	}
	err = second.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), taken) || !strings.Contains(err.Error(), "--xmpps-bind-address") || !strings.Contains(err.Error(), "another program") {
		t.Errorf("%v", err)
	}
	if second.Addr(stream.StartTLS) != nil {
		t.Error("the other listener was opened")
	}
}

// TestWaitsForTheDirectory: nobody is let in before all that is declared is known.
func TestWaitsForTheDirectory(t *testing.T) {
	dir := directory.New(domain)
	h := newHost(t)
	cfg := h.config()
	cfg.Listeners = []Listener{{Addr: "127.0.0.1:0", Mode: stream.StartTLS}}
	s, err := New(cfg, Deps{Directory: dir, Proposer: directory.NewLocal(dir), Roster: h.store})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if err := s.Accepting(stream.StartTLS); err == nil {
		t.Error("it says that it accepts clients")
	}
	if at := s.Addr(stream.StartTLS); at != nil {
		t.Errorf("it listens at %s", at)
	}
	dir.MarkSynced()
	eventually(t, "the listener", func() bool { return s.Accepting(stream.StartTLS) == nil })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s.Accepting(stream.StartTLS) == nil {
		t.Error("it says that it still accepts clients")
	}

	// And it can be told to stop while it waits.
	if s, err = New(cfg, Deps{Directory: directory.New(domain), Proposer: h.local, Roster: h.store}); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}

// TestWarmer: verifiers of plain passwords are there before anybody logs in, also for a password that comes later.
func TestWarmer(t *testing.T) {
	h := newHost(t)
	put := func(name, password string) *auth.Secret {
		s := auth.NewPasswordSecret(password, []byte("salt of "+name))
		h.dir.PutSecret(name, password, s)
		h.dir.PutUser(directory.User{Ref: directory.Ref{Name: name, UID: name}, Username: name, SecretName: name})
		return s
	}
	for _, s := range []*auth.Secret{put("one", "first"), put("two", "first"), put("one", "second")} {
		if s.Ready() {
			t.Log("derived already")
		}
	}
	for _, name := range []string{"one", "two"} {
		eventually(t, "the verifiers of "+name, func() bool { a, _ := h.dir.Account(name); return a.Secret.Ready() })
	}
}

// TestConfiguration: what cannot work is refused with a sentence.
func TestConfiguration(t *testing.T) {
	dir := directory.New(domain)
	h := newHost(t)
	deps := Deps{Directory: dir, Proposer: directory.NewLocal(dir), Roster: h.store}
	for _, c := range []struct {
		change func(c *Config, d *Deps)
		says   string
	}{
		{func(c *Config, _ *Deps) { c.Domain = "other.example" }, "other.example"},
		{func(c *Config, _ *Deps) { c.TLS = nil }, "certificate"},
		{func(c *Config, _ *Deps) { c.TLS = &tls.Config{} }, "certificate"},
		{func(_ *Config, d *Deps) { d.Roster = nil }, "roster store"},
	} {
		cfg, d := h.config(), deps
		c.change(&cfg, &d)
		if _, err := New(cfg, d); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("want an error about %q, got %v", c.says, err)
		}
	}
}

// TestLoadCertificate names the file that is wrong.
func TestLoadCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, err := SelfSigned(dir, domain, time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	garbage, missing := filepath.Join(dir, "garbage.pem"), filepath.Join(dir, "missing.pem")
	if err := os.WriteFile(garbage, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ cert, key, says string }{
		{missing, keyFile, missing}, {certFile, missing, missing}, {garbage, keyFile, garbage}, {certFile, garbage, garbage},
	} {
		if _, err := LoadCertificate(c.cert, c.key); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with %s: %v", c.cert, c.key, err)
		}
	}
}
