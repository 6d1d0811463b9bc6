package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

const domain = "chat.example"

// memory is a log in memory.
type memory struct {
	entries []store.AuditEntry
	writes  int
	err     error
}

func (m *memory) AppendAudit(ctx context.Context, entries ...store.AuditEntry) error {
	if err := errors.Join(m.err, ctx.Err()); err != nil {
		return err
	}
	m.writes++
	m.entries = append(m.entries, entries...)
	return nil
}

// taken gives the entries since the last call, as "SUMMARY: DETAILS".
func (m *memory) taken() (list []string) {
	for _, e := range m.entries {
		line := e.Summary
		if e.Details != "" {
			line += ": " + strings.ReplaceAll(e.Details, "\n", ", ")
		}
		list = append(list, line)
	}
	m.entries = nil
	return list
}

type world struct {
	t        *testing.T
	log      *memory
	local    *directory.Local
	errors   strings.Builder
	proposer directory.Proposer
}

func newWorld(t *testing.T) *world {
	d := directory.New(domain)
	d.MarkSynced()
	w := &world{t: t, log: &memory{}, local: directory.NewLocal(d)}
	w.proposer = audit.Proposals(w.local, audit.Config{Log: w.log, Domain: domain, Node: "chat-0", Errors: slog.New(slog.NewTextHandler(&w.errors, nil))})
	return w
}

func (w *world) want(err error, lines ...string) {
	w.t.Helper()
	if got := w.log.taken(); err != nil || !slices.Equal(got, lines) {
		w.t.Errorf("recorded, with %v,\n%q, want\n%q", err, got, lines)
	}
}

var client = directory.Actor{Via: audit.ViaXMPP, Name: "mira", Address: "192.0.2.7:40000"}

// Every wish of a client that came true is recorded, in the wording of the reference's §9, without secrets.
func TestEveryProposalIsRecorded(t *testing.T) {
	w := newWorld(t)
	ctx, p := t.Context(), w.proposer
	yes, no, secret, name := true, false, "s3cr3t!", "The \n name"
	w.want(p.CreateUser(ctx, client, directory.NewUser{Username: "tobias", Password: secret, Email: "t@mail.example", Properties: []directory.Property{{Key: "team", Value: secret}}}),
		"created new user tobias: email = t@mail.example, properties = team")
	w.want(p.CreateUsers(ctx, client, []directory.NewUser{{Username: "a", Password: secret, DisplayName: "A"}, {Username: "b", Password: secret}}),
		"created new user a: name = A", "created new user b")
	w.want(p.UpdateUser(ctx, client, "a", directory.UserUpdate{Password: &secret, DisplayName: &name, Admin: &yes}), `edited user a: name = The \n name, admin = true, password = changed`)
	w.want(p.UpdateUser(ctx, client, "a", directory.UserUpdate{Locked: &yes}), "locked out user a")
	w.want(p.UpdateUser(ctx, client, "a", directory.UserUpdate{Locked: &no, Admin: &no}), "edited user a: admin = false", "unlocked user a")
	_, err := p.RenameUser(ctx, client, "b", "c", directory.UserUpdate{Password: &secret})
	w.want(err, "edited user c: renamed from = b")
	w.want(p.DeleteUser(ctx, client, "c"), "deleted user c")
	tobias := jid.MustParse("tobias@" + domain)
	w.want(p.PutContact(ctx, client, "a", directory.Contact{JID: tobias, Subscription: directory.SubscriptionBoth}, true),
		"added roster item for a: jid = tobias@chat.example, subscription = both")
	w.want(p.PutContact(ctx, client, "a", directory.Contact{JID: tobias}, false), "updated roster item for a: jid = tobias@chat.example, subscription = none")
	w.want(p.DeleteContact(ctx, client, "a", tobias), "deleted roster item from a: jid = tobias@chat.example")
	w.want(p.PutProperty(ctx, client, "site.password", secret, false), "set server property site.password")
	w.want(p.PutProperty(ctx, client, "site.password", secret, true), "Updated server property site.password")
	w.want(p.DeleteProperty(ctx, client, "site.password"), "deleted server property site.password")

	owner := []directory.Affiliation{{JID: tobias, Affiliation: directory.AffiliationOwner}}
	w.want(p.CreateRoom(ctx, client, "atrium", "conference", directory.RoomUpdate{Password: &secret, Persistent: &yes, Affiliations: owner}),
		"created new MUC room atrium: service = conference, persistent = true, password = changed",
		"set MUC affiliation to owner for tobias@chat.example in atrium: service = conference")
	const atrium = "atrium@conference"
	empty, many := "", 30
	w.want(p.UpdateRoom(ctx, client, atrium, directory.RoomUpdate{Password: &empty, Description: &empty, MaxOccupants: &many, PresenceBroadcast: &[]directory.RoomRole{directory.RoleModerator}}),
		"updated MUC room atrium: service = conference, description = , maxUsers = 30, broadcastPresenceRoles = Moderator, password = removed")
	w.want(p.UpdateRoom(ctx, client, atrium, directory.RoomUpdate{
		Affiliations:      []directory.Affiliation{{JID: tobias}},
		GroupAffiliations: []directory.GroupAffiliation{{Group: "Ops", Affiliation: directory.AffiliationMember}},
	}), "set MUC affiliation to none for tobias@chat.example in atrium: service = conference", "set MUC affiliation to member for Ops in atrium: service = conference")
	w.want(p.DeleteRoom(ctx, client, atrium, nil), "destroyed MUC room atrium: service = conference")

	w.want(p.CreateGroup(ctx, client, "Ops", directory.GroupUpdate{AddMembers: []jid.JID{tobias}}), "created new group Ops: members added = tobias@chat.example")
	w.want(p.UpdateGroup(ctx, client, "Ops", directory.GroupUpdate{RemoveMembers: []jid.JID{tobias}, AddAdmins: []jid.JID{tobias}, SharedRoster: &directory.SharedRoster{Mode: directory.SharedOnlyGroup},
		Properties: &[]directory.Property{{Key: "k", Value: secret}}}),
		"edited group Ops: members removed = tobias@chat.example, admins added = tobias@chat.example, properties = k, shared = OnlyGroup")
	w.want(p.DeleteGroup(ctx, client, "Ops"), "deleted group Ops")
	if strings.Contains(w.errors.String(), secret) {
		t.Errorf("a secret in the log: %s", w.errors.String())
	}
}

// Who, how, from where and when; several deeds of one wish are one write.
func TestEntries(t *testing.T) {
	w := newWorld(t)
	before := time.Now()
	if err := w.proposer.CreateUsers(t.Context(), client, []directory.NewUser{{Username: "a", Password: "x"}, {Username: "b", Password: "x"}}); err != nil || w.log.writes != 1 {
		t.Errorf("%v, in %d writes", err, w.log.writes)
	}
	e := w.log.entries[0]
	if e.Username != "mira" || e.Via != "XMPP" || e.Address != "192.0.2.7" || e.Node != "chat-0" || e.Time.Before(before) || e.Time.After(time.Now()) {
		t.Errorf("%+v", e)
	}
	// A user of this server is recorded by the username, others by their address.
	for name, want := range map[string]string{"tobias@chat.example": "tobias", "tobias@other.example": "tobias@other.example", "": ""} {
		w.log.entries = nil
		if err := w.proposer.UpdateUser(t.Context(), directory.Actor{Via: "XMPP", Name: name}, "a", directory.UserUpdate{DisplayName: &name}); err != nil || w.log.entries[0].Username != want {
			t.Errorf("%q is recorded as %+v, %v", name, w.log.entries, err)
		}
	}
}

// What REST does, its handlers record. What did not happen is recorded by nobody, what is not in force yet has happened.
func TestNotRecorded(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.proposer.CreateUser(ctx, directory.Actor{Via: audit.ViaREST, Name: "mira"}, directory.NewUser{Username: "a", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	w.want(nil)
	for _, err := range []error{directory.ErrNotFound, &directory.ManagedError{Field: "spec", Manager: "argocd"}, &directory.UnavailableError{}, context.DeadlineExceeded} {
		w.local.Refuse = func(string, string) error { return err }
		if got := w.proposer.DeleteUser(ctx, client, "a"); !errors.Is(got, err) {
			t.Errorf("%v, want %v", got, err)
		}
		w.want(nil)
	}
	w.local.Refuse = func(string, string) error { return fmt.Errorf("deleting: %w", directory.ErrNotYetActive) }
	if err := w.proposer.DeleteUser(ctx, client, "a"); !errors.Is(err, directory.ErrNotYetActive) {
		t.Error(err)
	}
	w.want(nil, "deleted user a")
}

// A log that cannot be written undoes nothing, and the program's own log has the entry; whoever hangs up is recorded all the same.
func TestRecordingFails(t *testing.T) {
	w := newWorld(t)
	w.log.err = errors.New("disk on fire")
	if err := w.proposer.CreateUser(t.Context(), client, directory.NewUser{Username: "a", Password: "s3cr3t!"}); err != nil {
		t.Error(err)
	}
	if log := w.errors.String(); !strings.Contains(log, "created new user a") || !strings.Contains(log, "disk on fire") || strings.Contains(log, "s3cr3t!") {
		t.Errorf("logged %s", log)
	}
	w.log.err = nil
	ctx, cancel := context.WithCancel(t.Context())
	w.local.Refuse = func(string, string) error { cancel(); return directory.ErrNotYetActive }
	if err := w.proposer.DeleteUser(ctx, client, "a"); !errors.Is(err, directory.ErrNotYetActive) {
		t.Error(err)
	}
	w.want(nil, "deleted user a")
}

// The words of the reference's §9.
func TestSummaries(t *testing.T) {
	for kind, want := range map[directory.Kind][3]string{
		directory.KindUser:     {"created new user x", "edited user x", "deleted user x"},
		directory.KindGroup:    {"created new group x", "edited group x", "deleted group x"},
		directory.KindRoom:     {"created new MUC room x", "updated MUC room x", "destroyed MUC room x"},
		directory.KindProperty: {"set server property x", "Updated server property x", "deleted server property x"},
	} {
		identity := "x"
		if kind == directory.KindRoom {
			identity = "x@conference"
		}
		for i, change := range []audit.Change{audit.Created, audit.Changed, audit.Deleted} {
			if got := audit.Summary(kind, change, identity); got != want[i] {
				t.Errorf("%q, want %q", got, want[i])
			}
		}
	}
}

// readable is a log that can be looked into.
type readable struct{ memory }

func (r *readable) ListAudit(_ context.Context, f store.AuditFilter) (list []store.AuditEntry, err error) {
	for _, e := range r.entries {
		if e.Username == f.Username && !e.Time.Before(f.From) {
			list = append(list, e)
		}
	}
	return list, r.err
}

// What somebody asked for is recorded once, whoever finishes it.
func TestRecordOnce(t *testing.T) {
	log := &readable{}
	c := audit.Config{Log: log, Domain: domain, Node: "chat-0"}
	begun := time.Now()
	line := audit.Detail("renamed from", "mira")
	e := audit.Ending{By: directory.Actor{Via: audit.ViaREST, Name: "root@" + domain, Address: "192.0.2.1:4711"}, Summary: "edited user jana", Details: []string{line, "left = x"}, UID: "7"}
	log.entries = []store.AuditEntry{
		{Time: begun.Add(-time.Hour), Username: "root", Summary: "edited user jana", Details: line}, // an earlier one
		{Time: begun, Username: "root", Summary: "edited user jana", Details: "name = Jana"},
		{Time: begun, Username: "tobias", Summary: "edited user jana", Details: line},
		{Time: begun, Username: "root", Summary: "edited user jana", Details: line + "\nresult = unknown"}, // when it was asked for
	}
	for range 2 {
		if err := c.RecordOnce(t.Context(), e, begun, line); err != nil {
			t.Fatal(err)
		}
	}
	if len(log.entries) != 5 {
		t.Fatalf("%+v", log.entries)
	}
	if got := log.entries[4]; got.Username != "root" || got.Via != "REST" || got.Address != "192.0.2.1" || got.Details != "renamed from = mira\nleft = x" || got.Ended != "7" {
		t.Errorf("%+v", got)
	}
	log.err = errors.New("disk on fire")
	if err := c.RecordOnce(t.Context(), e, begun, line); err == nil {
		t.Error("nothing is said of a log that cannot be read")
	}
}

// By what a resource goes, its end is told.
func TestEndsAreTold(t *testing.T) {
	log := &memory{}
	d := directory.New(domain)
	d.MarkSynced()
	local := directory.NewLocal(d)
	proposer := audit.Proposals(local, audit.Config{Log: log, Domain: domain, UID: func(kind directory.Kind, identity string) string {
		holder, _ := d.Holder(kind, identity)
		return holder.UID
	}})
	ctx := t.Context()
	if err := errors.Join(local.CreateUser(ctx, client, directory.NewUser{Username: "a", Password: "x"}), local.CreateGroup(ctx, client, "Ops", directory.GroupUpdate{}),
		local.CreateRoom(ctx, client, "den", "conference", directory.RoomUpdate{}), local.PutProperty(ctx, client, "k", "v", false)); err != nil {
		t.Fatal(err)
	}
	for identity, do := range map[string]struct {
		kind directory.Kind
		end  func() error
	}{
		"a":              {directory.KindUser, func() error { return proposer.DeleteUser(ctx, client, "a") }},
		"Ops":            {directory.KindGroup, func() error { return proposer.DeleteGroup(ctx, client, "Ops") }},
		"den@conference": {directory.KindRoom, func() error { return proposer.DeleteRoom(ctx, client, "den@conference", nil) }},
		"k":              {directory.KindProperty, func() error { return proposer.DeleteProperty(ctx, client, "k") }},
	} {
		holder, _ := d.Holder(do.kind, identity)
		if err := do.end(); err != nil {
			t.Fatal(err)
		}
		if last := log.entries[len(log.entries)-1]; last.Ended != holder.UID || holder.UID == "" {
			t.Errorf("%s: %+v", identity, last)
		}
	}
}

// away is a proposer whose answers are lost on the way, before or after the deed.
type away struct {
	directory.Proposer
	err error
}

func (a *away) UpdateUser(context.Context, directory.Actor, string, directory.UserUpdate) error {
	return a.err
}

func (a *away) DeleteUser(context.Context, directory.Actor, string) error { return a.err }

func (a *away) EnsureGroup(context.Context, directory.Actor, string, directory.GroupUpdate) (bool, error) {
	return true, a.err
}

// Every change by REST and XMPP is recorded (the reference's §13, Audit): also one of which nobody knows whether it was made.
func TestUnansweredWishes(t *testing.T) {
	log, ctx := &memory{}, t.Context()
	lost := &away{}
	proposer := audit.Proposals(lost, audit.Config{Log: log, Domain: domain, UID: func(directory.Kind, string) string { return "7" }})
	locked, name := true, "Mira"
	for _, via := range []string{audit.ViaREST, audit.ViaXMPP} {
		by := directory.Actor{Via: via, Name: "root@" + domain, Address: "192.0.2.1:4711"}
		lost.err = fmt.Errorf("user: %w", &directory.UnavailableError{Unanswered: true, Err: errors.New("the connection broke off")})
		if err := proposer.UpdateUser(ctx, by, "mira", directory.UserUpdate{DisplayName: &name, Locked: &locked}); !errors.Is(err, lost.err) {
			t.Errorf("%s: %v", via, err)
		}
		if err := proposer.DeleteUser(ctx, by, "mira"); !errors.Is(err, lost.err) {
			t.Errorf("%s: %v", via, err)
		}
		if created, err := proposer.EnsureGroup(ctx, by, "ops", directory.GroupUpdate{}); !created || !errors.Is(err, lost.err) {
			t.Errorf("%s: %v", via, err)
		}
		for _, e := range log.entries {
			if e.Username != "root" || e.Via != via || e.Address != "192.0.2.1" || e.Ended != "" {
				t.Errorf("%+v", e)
			}
		}
		want := []string{"edited user mira: name = Mira, result = unknown", "locked out user mira: result = unknown", "deleted user mira: result = unknown", "created new group ops: result = unknown"}
		if got := log.taken(); !slices.Equal(got, want) {
			t.Errorf("%s: recorded %q, want %q", via, got, want)
		}
		// What is written is known to be, whatever follows from it.
		lost.err = fmt.Errorf("%w: %w", directory.ErrNotYetActive, lost.err)
		if _, err := proposer.EnsureGroup(ctx, by, "ops", directory.GroupUpdate{}); !errors.Is(err, lost.err) {
			t.Errorf("%s: %v", via, err)
		}
		if got := log.taken(); slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, "unknown") }) {
			t.Errorf("%s: recorded %q", via, got)
		}
		// What was never sent has not been done.
		lost.err = &directory.UnavailableError{Err: errors.New("connection refused")}
		if err := proposer.DeleteUser(ctx, by, "mira"); !errors.Is(err, lost.err) || len(log.entries) != 0 {
			t.Errorf("%s: %v, recorded %v", via, err, log.taken())
		}
	}
}
