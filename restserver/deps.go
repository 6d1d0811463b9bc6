package restserver

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Config is what the installation decides once.
type Config struct {
	// Domain is the chat server's domain.
	Domain string
	// Node names this process in the audit log.
	Node string
	// Secret gives the installation's shared secret; it may change while the server
	// runs. It is in force while the property plugin.restapi.secret is empty.
	Secret func() string
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
	// Authenticators accept callers besides the shared secret and the administrators'
	// passwords, while plugin.restapi.httpAuth is unset.
	Authenticators []Authenticator
	// Log is where the server logs; nil: nowhere.
	Log *slog.Logger
}

// Directory is declared state as it is in force here.
type Directory interface {
	User(username string) (*directory.User, bool)
	Users() []*directory.User
	Account(username string) (auth.Account, bool)
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
	PutContact(ctx context.Context, by directory.Actor, username string, c directory.Contact, create bool) error
	PutProperty(ctx context.Context, by directory.Actor, key, value string, mustExist bool) error
	DeleteProperty(ctx context.Context, by directory.Actor, key string) error
}

// Rosters has every user's contacts, declared ones and those that clients made.
type Rosters interface {
	Roster(ctx context.Context, username string) ([]account.Item, error)
	// Remove takes a contact away wherever it lives.
	Remove(ctx context.Context, by directory.Actor, username string, contact jid.JID) error
}

// Sessions is what clients are connected.
type Sessions interface {
	// Sessions lists the sessions of a user, or all of them for an empty name.
	Sessions(username string) []Session
	// Kick closes a user's sessions and says how many there were.
	Kick(username string) int
}

// Session describes one bound session.
type Session struct {
	JID       jid.JID
	Anonymous bool
	// Remote sessions are on another node.
	Remote bool
	// Available: the session has sent available presence. Show and Status are of
	// that presence (RFC 6121 §4.7).
	Available    bool
	Show, Status string
	Priority     int
	// Address is the client's network address, empty when it isn't known.
	Address             string
	Since, LastActivity time.Time
	Secure              bool
}

// Audit remembers who did what.
type Audit interface {
	AppendAudit(ctx context.Context, e AuditEntry) error
}

// AuditEntry is one line of the audit log. It never holds a secret.
type AuditEntry struct {
	Time             time.Time
	Username         string
	Node             string
	Summary, Details string
	Via, Address     string
}

// Health tells how the process is. The errors say what is wrong in a sentence.
type Health interface {
	// Live fails when only a restart would help.
	Live(ctx context.Context) error
	// Ready fails while clients would be turned away.
	Ready(ctx context.Context) error
	// Accepting fails when the listener for clients, with TLS from the first byte or
	// without, should accept connections and doesn't. One that is off is no failure.
	Accepting(ctx context.Context, encrypted bool) error
}
