// Package audit writes down who did what, wherever it came in.
//
// What is done through REST is recorded by the handler that did it, which knows what its caller asked for; programs know the wording from there. All
// other wishes to change a declaration pass through [Proposals], what chat clients change of what only the store has, and failed logins, go to [Clients],
// and what comes from Kubernetes itself is noticed by the controllers, who use the words of this package. Each of them leaves the ways of the others alone, so that nothing is written down twice.
//
// Nothing in an entry is a secret: a password is "changed", and of values that may be one, only the keys are told.
package audit

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// Ways in.
const (
	ViaREST       = "REST"
	ViaXMPP       = "XMPP"
	ViaKubernetes = "Kubernetes"
)

// Log keeps entries; *store.Store is one.
type Log interface {
	// AppendAudit adds entries, all or none.
	AppendAudit(ctx context.Context, entries ...store.AuditEntry) error
}

// ReadableLog is a log in which entries can be looked up.
type ReadableLog interface {
	Log
	// ListAudit lists entries, newest first.
	ListAudit(ctx context.Context, f store.AuditFilter) ([]store.AuditEntry, error)
}

// Config is what recording takes.
type Config struct {
	// Log is where entries go.
	Log Log
	// Domain is the chat server's: its users are recorded by their usernames.
	Domain string
	// Node names this process.
	Node string
	// UID gives the UID of the resource that declares something, empty when none does. Nil: nobody knows.
	UID func(directory.Kind, string) string
	// Errors is where an entry goes that cannot be written; nil: nowhere.
	Errors *slog.Logger
}

// timeout bounds how long a change waits for its entries.
const timeout = 5 * time.Second

// deed is something that has happened: a summary in the wording of Openfire's log, and "name = value" lines.
type deed struct {
	summary string
	details []string
}

// record writes an entry a deed, in one go. ended is the UID of the resource that has gone by it, if one has.
func (c *Config) record(ctx context.Context, by directory.Actor, ended string, deeds ...deed) {
	if len(deeds) == 0 {
		return
	}
	entries := make([]store.AuditEntry, len(deeds))
	for i, d := range deeds {
		entries[i] = c.entry(by, d)
	}
	entries[0].Ended = ended
	c.append(ctx, entries)
}

// append writes entries, in one go.
func (c *Config) append(ctx context.Context, entries []store.AuditEntry) {
	// The deed is done, also when whoever did it has gone away meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := c.Log.AppendAudit(ctx, entries...); err != nil && c.Errors != nil {
		for i := range entries {
			c.Errors.Error("an audit entry could not be written", "summary", entries[i].Summary, "by", entries[i].Username, "via", entries[i].Via, "error", err)
		}
	}
}

func (c *Config) entry(by directory.Actor, d deed) store.AuditEntry {
	return store.AuditEntry{
		Time: time.Now(), Username: c.name(by), Node: c.Node, Summary: d.summary, Details: strings.Join(d.details, "\n"), Via: by.Via, Address: host(by.Address),
	}
}

// Ending is a change by which a resource goes, of that UID.
type Ending struct {
	By      directory.Actor
	Summary string
	Details []string
	UID     string
}

// RecordOnce records what somebody asked for that was finished later by somebody else, unless it has been recorded since it was begun. A line of its
// details tells it from others.
func (c *Config) RecordOnce(ctx context.Context, done Ending, begun time.Time, line string) error {
	e := c.entry(done.By, deed{done.Summary, done.Details})
	e.Ended = done.UID
	if log, ok := c.Log.(ReadableLog); ok {
		// Whoever gives a resource its time may have another clock.
		recorded, err := log.ListAudit(ctx, store.AuditFilter{Username: e.Username, From: begun.Add(-time.Minute)})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(recorded, func(have store.AuditEntry) bool {
			lines := strings.Split(have.Details, "\n")
			return have.Summary == e.Summary && slices.Contains(lines, line) && !slices.Contains(lines, unknownResult)
		}) {
			return nil
		}
	}
	return c.Log.AppendAudit(ctx, e)
}

// name is who did it: a user of this server by the username, which is what the log is filtered by.
func (c *Config) name(by directory.Actor) string {
	if local, domain, ok := strings.Cut(by.Name, "@"); ok && domain == c.Domain {
		return local
	}
	return by.Name
}

// host is a network address without its port.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

// Detail is one line of an entry's details; a value must not be able to fake another.
func Detail(name, value string) string {
	return name + " = " + strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(value)
}
