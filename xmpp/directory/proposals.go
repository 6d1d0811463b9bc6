package directory

import (
	"context"

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
	// PutContact sets an entry of the declared roster. With create it must not be there yet, else it must.
	PutContact(ctx context.Context, by Actor, username string, c Contact, create bool) error
	DeleteContact(ctx context.Context, by Actor, username string, contact jid.JID) error
	// PutProperty sets a system property, which has to be there already if mustExist is set.
	PutProperty(ctx context.Context, by Actor, key, value string, mustExist bool) error
	DeleteProperty(ctx context.Context, by Actor, key string) error
}
