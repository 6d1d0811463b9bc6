package restserver

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// Config is what the installation decides once.
type Config struct {
	// Domain is the chat server's domain.
	Domain string
	// Node names this process in the audit log.
	Node string
	// Version of the program, for the OpenAPI document.
	Version string
	// Secret gives the installation's shared secret; it may change while the server
	// runs. It is in force while the property plugin.restapi.secret is empty.
	Secret func() string
	// Secrets gives further shared secrets, which may change while the server runs; nil: none.
	Secrets func() []NamedSecret
	// TrustedProxies are the networks whose X-Forwarded-For header is believed.
	TrustedProxies []netip.Prefix
}

// Deps is everything that the server asks and tells.
type Deps struct {
	Directory Directory
	Proposer  Proposer
	Rosters   Rosters
	Sessions  Sessions
	Audit     Audit
	Health    Health
	Listeners Listeners
	// Authenticators accept callers besides the shared secret and the administrators'
	// passwords, while plugin.restapi.httpAuth is unset.
	Authenticators []Authenticator
	// Log is where the server logs; nil: nowhere.
	Log *slog.Logger
}

// Directory is declared state as it is in force here.
type Directory interface {
	// Synced is closed once everything declared is known here.
	Synced() <-chan struct{}

	User(username string) (*directory.User, bool)
	Users() []*directory.User
	Account(username string) (auth.Account, bool)
	Group(name string) (*directory.Group, bool)
	Groups() []*directory.Group
	// Members lists members and admins of a group, those that its label selector picks included.
	Members(group string) []jid.JID
	// GroupsOf lists the groups that a bare address is in, by name.
	GroupsOf(bare jid.JID) []string
	Property(key string) (directory.SystemProperty, bool)
	Properties() []*directory.SystemProperty

	// Effective values of the settings.
	Bool(key string) bool
	String(key string) string
	Strings(key string) []string
}

// Proposer takes the wish to change something declared. Each method returns once the
// change is in force here.
type Proposer interface {
	CreateUser(ctx context.Context, by directory.Actor, u directory.NewUser) error
	CreateUsers(ctx context.Context, by directory.Actor, users []directory.NewUser) error
	UpdateUser(ctx context.Context, by directory.Actor, username string, u directory.UserUpdate) error
	DeleteUser(ctx context.Context, by directory.Actor, username string) error
	RenameUser(ctx context.Context, by directory.Actor, username, to string, u directory.UserUpdate) (left []string, err error)
	PutContact(ctx context.Context, by directory.Actor, username string, c directory.Contact, create bool) error
	CreateGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) error
	UpdateGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) error
	// EnsureGroup is UpdateGroup for a group that need not be there.
	EnsureGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) (created bool, err error)
	DeleteGroup(ctx context.Context, by directory.Actor, name string) error
	PutProperty(ctx context.Context, by directory.Actor, key, value string, mustExist bool) error
	DeleteProperty(ctx context.Context, by directory.Actor, key string) error
}

// Rosters has every user's contacts, declared ones and those that clients made.
type Rosters interface {
	Roster(ctx context.Context, username string) ([]account.Item, error)
	// Headings lists the roster groups that a user sees because groups are shared.
	Headings(ctx context.Context, username string) ([]string, error)
	// Set gives a contact another name, subscription and groups, wherever it lives; it has to be there.
	Set(ctx context.Context, by directory.Actor, username string, c directory.Contact) error
	// Remove takes a contact away wherever it lives.
	Remove(ctx context.Context, by directory.Actor, username string, contact jid.JID) error
}

// Sessions is what clients are connected.
type Sessions interface {
	// Sessions lists the sessions of a user, or all of them for an empty name.
	Sessions(username string) []xmpp.SessionInfo
	// Kick closes a user's sessions and says how many there were.
	Kick(username string) int
}

// Audit remembers who did what.
type Audit interface {
	// AppendAudit adds entries, all or none.
	AppendAudit(ctx context.Context, entries ...store.AuditEntry) error
}

// Listeners tells whether clients are let in.
type Listeners interface {
	// Accepting fails when clients should be accepted in a mode and are not; a mode that
	// is off is no failure.
	Accepting(mode stream.Mode) error
}

// Health tells how the process is. The errors say what is wrong in a sentence.
type Health interface {
	// Live fails when only a restart would help.
	Live(ctx context.Context) error
	// Ready fails while clients would be turned away.
	Ready(ctx context.Context) error
}

// The program's own parts fit without anything in between.
var (
	_ Directory = (*directory.Directory)(nil)
	_ Proposer  = directory.Proposer(nil)
	_ Rosters   = (*account.Rosters)(nil)
	_ Sessions  = (*xmpp.Server)(nil)
	_ Listeners = (*xmpp.Server)(nil)
	_ Audit     = (*store.Store)(nil)
)
