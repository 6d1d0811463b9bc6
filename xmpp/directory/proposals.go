package directory

import (
	"context"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Actor is who asks for a change, for permission and the audit log.
type Actor struct {
	// Via is the way in: "REST" or "XMPP".
	Via string
	// Name is a username, or the name of a shared secret.
	Name string
	// Address is the network address the request came from.
	Address string
	// Overrides says that the wish is about what was declared outside as well: that was so when it was made, whatever the setting for REST says by now.
	Overrides bool
}

// NewUser is a user to be declared.
type NewUser struct {
	// Username is the prepared local part.
	Username    string
	DisplayName string
	Email       string
	// Password never rests anywhere: verifiers derived from it do.
	Password   string
	Properties []Property
}

// UserUpdate changes what is not nil, and leaves the rest.
type UserUpdate struct {
	DisplayName *string
	Email       *string
	Password    *string
	Properties  *[]Property
	Locked      *bool
	Admin       *bool
}

// RoomUpdate changes what is not nil, and leaves the rest.
type RoomUpdate struct {
	DisplayName, Description, Subject *string
	MaxOccupants                      *int
	// Password is kept in a Secret of its own; empty: none is needed any more.
	Password *string

	Listed, Persistent, MembersOnly, Moderated, Archived *bool
	RegistrationEnabled, NicknameRestricted              *bool
	CanChangeSubject, CanInvite, CanChangeNickname       *bool

	WhoSeesJIDs       *WhoSeesJIDs
	PrivateMessages   *PrivateMessages
	PresenceBroadcast *[]RoomRole
	// Affiliations are changes: an empty affiliation takes the entry away. Other entries stay.
	Affiliations      []Affiliation
	GroupAffiliations []GroupAffiliation
	// CreatedAt is when a room that is created by this came into being; zero: now. A change of one that is there leaves it.
	CreatedAt time.Time
	// Permit is asked whether the room may be changed as it is at that moment, each time that others were quicker; nil: it may.
	Permit RoomPermit
}

// RoomPermit says why somebody may not do to a room, as it is now, what is wished for.
type RoomPermit func(now RoomState) error

// RoomState is what permission to change a room depends on.
type RoomState struct {
	Persistent, RegistrationEnabled, CanInvite bool
	Affiliations                               []Affiliation
	GroupAffiliations                          []GroupAffiliation
}

// State is what permission to change the room depends on.
func (r *Room) State() RoomState {
	return RoomState{
		Persistent: r.Persistent, RegistrationEnabled: r.RegistrationEnabled, CanInvite: r.CanInvite,
		Affiliations: r.Affiliations, GroupAffiliations: r.GroupAffiliations,
	}
}

// GroupUpdate changes what is not nil, and leaves the rest. Of lists it names what comes and what goes, so that nothing is lost when two
// change a group at once.
type GroupUpdate struct {
	DisplayName, Description  *string
	AddMembers, RemoveMembers []jid.JID
	AddAdmins, RemoveAdmins   []jid.JID
	Properties                *[]Property
	SharedRoster              *SharedRoster
}

// Proposer takes wishes to change declarations. Each method returns once the change
// is in force in this process, or with one of this package's errors. Callers declare the subset
// they use; the whole is here for those who implement it.
type Proposer interface {
	// CreateUser returns only when the account can log in here.
	CreateUser(ctx context.Context, by Actor, u NewUser) error
	// CreateUsers makes all of them or none.
	CreateUsers(ctx context.Context, by Actor, users []NewUser) error
	UpdateUser(ctx context.Context, by Actor, username string, u UserUpdate) error
	DeleteUser(ctx context.Context, by Actor, username string) error
	// RenameUser gives an account another name, with all that belongs to it, and has whatever names it name it so. The update changes the account at the
	// same time; its password is left out. What names the account and may not be changed from here stays, and is listed, a sentence each.
	RenameUser(ctx context.Context, by Actor, username, to string, u UserUpdate) (left []string, err error)
	// PutContact sets an entry of the declared roster. With create it must not be there yet, else it must.
	PutContact(ctx context.Context, by Actor, username string, c Contact, create bool) error
	DeleteContact(ctx context.Context, by Actor, username string, contact jid.JID) error
	// PutProperty sets a system property, which has to be there already if mustExist is set.
	PutProperty(ctx context.Context, by Actor, key, value string, mustExist bool) error
	DeleteProperty(ctx context.Context, by Actor, key string) error
	// CreateRoom declares a room. What the update leaves nil has its default.
	CreateRoom(ctx context.Context, by Actor, roomName, service string, u RoomUpdate) error
	// UpdateRoom changes the room in force of an identity (see [RoomIdentity]).
	UpdateRoom(ctx context.Context, by Actor, identity string, u RoomUpdate) error
	DeleteRoom(ctx context.Context, by Actor, identity string, permit RoomPermit) error
	// CreateGroup declares a group. What the update takes away is ignored.
	CreateGroup(ctx context.Context, by Actor, name string, u GroupUpdate) error
	UpdateGroup(ctx context.Context, by Actor, name string, u GroupUpdate) error
	// EnsureGroup is UpdateGroup for a group that need not be there: then it is declared, and created says so.
	EnsureGroup(ctx context.Context, by Actor, name string, u GroupUpdate) (created bool, err error)
	DeleteGroup(ctx context.Context, by Actor, name string) error
}
