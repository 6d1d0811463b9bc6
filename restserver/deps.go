package restserver

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
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
	Rooms     Rooms
	VCards    VCards
	Sessions  Sessions
	Messages  Messages
	Audit     Audit
	Health    Health
	Listeners Listeners
	// Authenticators accept callers besides the shared secret and the administrators'
	// passwords, while plugin.restapi.httpAuth is unset.
	Authenticators []Authenticator
	// Answered hears of every request: the pattern of its path, empty where there is nothing; its method, status, and how long it took. nil: nobody
	// wants to know.
	Answered func(route, method string, status int, took time.Duration)
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
	CreateRoom(ctx context.Context, by directory.Actor, roomName, service string, u directory.RoomUpdate) error
	UpdateRoom(ctx context.Context, by directory.Actor, identity string, u directory.RoomUpdate) error
	DeleteRoom(ctx context.Context, by directory.Actor, identity string, permit directory.RoomPermit) error
}

// Rooms is the chat rooms as they are at the moment: declared ones, and temporary ones that clients made. Rooms go by their identities in the directory.
type Rooms interface {
	Services() []muc.ServiceInfo
	Room(identity string) (muc.Info, bool)
	// Rooms lists those of a service by name.
	Rooms(service string) []muc.Info
	// Subjects gives the subjects that rooms have now, by their places in the list.
	Subjects(ctx context.Context, rooms []muc.Info) ([]string, error)
	Occupants(identity string) []room.Occupant
	// History gives a part of what was said, and how much there is to choose from.
	History(ctx context.Context, i muc.Info, p muc.HistoryPage) ([]muc.Said, int, error)
	// Banned picks those of a list who are banned from a room.
	Banned(i muc.Info, list []jid.JID) []jid.JID

	// Follow returns when occupants of a room have been told how it is declared now.
	Follow(identity string)
	// Say and SetSubject return when everybody in the room has been told, or with muc.ErrNotKept when nobody was.
	Say(ctx context.Context, identity, body string) error
	SetSubject(ctx context.Context, identity, subject string) error
	Invite(identity string, people []jid.JID, reason string) error
	// ChangeTemporary changes affiliations of a temporary room, and DestroyTemporary ends one. For one that is declared, by now perhaps,
	// they fail with muc.ErrDeclared.
	ChangeTemporary(identity string, u directory.RoomUpdate) error
	DestroyTemporary(identity string) error
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

// VCards has what people say of themselves (XEP-0054).
type VCards interface {
	// VCard gives a user's vCard, the element; nil: there is none, or no such user.
	VCard(ctx context.Context, username string) ([]byte, error)
	// SetVCard replaces a user's vCard, nil takes it away. directory.ErrNotFound: there is no such user.
	SetVCard(ctx context.Context, username string, card []byte) error
}

// Sessions is what clients are connected.
type Sessions interface {
	// Sessions lists the sessions of a user, or all of them for an empty name.
	Sessions(username string) []xmpp.SessionInfo
	// Kick closes a user's sessions and says how many there were.
	Kick(username string) int
}

// Messages sends in the name of the server, and knows what waits for whom.
type Messages interface {
	// Broadcast sends a headline to every session and says how many took it.
	Broadcast(body string) (int, error)
	// SendMessage sends a message to a user, now or later. directory.ErrNotFound: no such user. xmpp.ErrNotTaken: nobody is there, and it
	// cannot be kept.
	SendMessage(ctx context.Context, username, body string) error
	// Unread says how many messages wait for a user.
	Unread(ctx context.Context, username string) (int, error)
}

// Audit remembers who did what.
type Audit interface {
	// AppendAudit adds entries, all or none.
	AppendAudit(ctx context.Context, entries ...store.AuditEntry) error
	// ListAudit lists entries, newest first.
	ListAudit(ctx context.Context, f store.AuditFilter) ([]store.AuditEntry, error)
	// CountAudit says how many entries a filter picks, whatever its offset and limit.
	CountAudit(ctx context.Context, f store.AuditFilter) (int, error)
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
	_ Rooms     = (*muc.Service)(nil)
	_ VCards    = (*account.VCards)(nil)
	_ Sessions  = (*xmpp.Server)(nil)
	_ Messages  = (*xmpp.Server)(nil)
	_ Listeners = (*xmpp.Server)(nil)
	_ Audit     = (*store.Store)(nil)
)
