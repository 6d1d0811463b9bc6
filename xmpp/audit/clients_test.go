package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// written runs c for what waits.
func written(t *testing.T, c *audit.Clients) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Run(ctx)
}

// What clients do is written together, in the words that REST uses; what REST does is left to its handlers.
func TestClients(t *testing.T) {
	log := &memory{}
	c := audit.NewClients(audit.Config{Log: log, Domain: domain, Node: "chat-0"})
	tobias := jid.MustParse("tobias@" + domain)
	c.ContactPut(client, "mira", directory.Contact{JID: tobias}, true)
	c.ContactPut(client, "mira", directory.Contact{JID: tobias, Subscription: directory.SubscriptionBoth}, false)
	c.ContactRemoved(client, "mira", tobias)
	c.VCardPut(client, "mira", false)
	c.VCardPut(client, "mira", true)
	c.ContactRemoved(directory.Actor{Via: audit.ViaREST, Name: "root"}, "mira", tobias)
	c.LoginFailed("mira", "SCRAM-SHA-1", "not-authorized", "192.0.2.7:40000")
	if log.writes != 0 {
		t.Error("somebody waited for the store")
	}
	written(t, c)
	if log.writes != 1 {
		t.Errorf("%d writes", log.writes)
	}
	for _, e := range log.entries {
		if e.Username != "mira" || e.Via != "XMPP" || e.Address != "192.0.2.7" || e.Node != "chat-0" || e.Time.IsZero() {
			t.Errorf("%+v", e)
		}
	}
	(&world{t: t, log: log}).want(nil,
		"added roster item for mira: jid = tobias@chat.example, subscription = none", "updated roster item for mira: jid = tobias@chat.example, subscription = both",
		"deleted roster item from mira: jid = tobias@chat.example", "updated vCard of mira", "deleted vCard of mira",
		"failed authentication as mira: mechanism = SCRAM-SHA-1, reason = not-authorized")
}

// Failures beyond a hundred get no entry, and what waits is bounded while the store takes nothing.
func TestClientsAreBounded(t *testing.T) {
	log := &memory{}
	var said strings.Builder
	c := audit.NewClients(audit.Config{Log: log, Domain: domain, Errors: slog.New(slog.NewTextHandler(&said, nil))})
	for range 1000 {
		c.LoginFailed("", "PLAIN", "not-authorized", "192.0.2.7:1")
	}
	written(t, c)
	if n := len(log.entries); n != 100 {
		t.Errorf("%d entries for 1000 failures", n)
	}
	log.entries = nil
	for range 5000 {
		c.VCardPut(client, "mira", false)
	}
	written(t, c)
	if len(log.entries) != 4096 || !strings.Contains(said.String(), "entries=904") {
		t.Errorf("%d entries, and %s", len(log.entries), said.String())
	}
	log.err = errors.New("disk on fire")
	c.VCardPut(client, "mira", false)
	written(t, c)
	if !strings.Contains(said.String(), "updated vCard of mira") {
		t.Errorf("the program's log lacks what could not be written: %s", said.String())
	}
}
