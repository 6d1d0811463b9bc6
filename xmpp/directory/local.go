package directory

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Local is a Proposer that writes straight into a Directory. It lets the core
// and the REST server be run without Kubernetes, in tests: nothing it makes
// outlives the process.
type Local struct {
	// Refuse, when set, is asked before a change with the method's name and its subject (a username or
	// a key); its error is returned instead of making the change.
	Refuse func(method, subject string) error
	// Iterations is how often passwords are hashed; 0: as often as the server does.
	Iterations int

	dir       *Directory
	passwords sync.Map // of rooms: string by SecretKey
	mu        sync.Mutex
	uid       int
}

var _ Proposer = (*Local)(nil)

// NewLocal makes a Proposer for a directory that nobody else writes to.
func NewLocal(d *Directory) *Local { return &Local{dir: d} }

func (l *Local) begin(method string, subjects ...string) (unlock func(), err error) {
	if l.Refuse != nil {
		for _, s := range subjects {
			if err := l.Refuse(method, s); err != nil {
				return nil, err
			}
		}
	}
	l.mu.Lock()
	return l.mu.Unlock, nil
}

func (l *Local) newRef(name string) Ref {
	l.uid++
	return Ref{Name: name, UID: "local-" + strconv.Itoa(l.uid), Generation: 1, Created: time.Now()}
}

// CreateUser implements Proposer.
func (l *Local) CreateUser(ctx context.Context, by Actor, u NewUser) error {
	return l.CreateUsers(ctx, by, []NewUser{u})
}

// CreateUsers implements Proposer.
func (l *Local) CreateUsers(ctx context.Context, _ Actor, users []NewUser) error {
	var names []string
	for _, u := range users {
		names = append(names, u.Username)
	}
	unlock, err := l.begin("CreateUser", names...)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	made := make([]User, 0, len(users))
	secrets := make([]*auth.Secret, 0, len(users))
	for i, u := range users {
		prepared, err := jid.PrepareLocal(u.Username)
		if err != nil {
			return &InvalidError{Field: "username", Message: err.Error()}
		}
		if _, taken := l.dir.User(prepared); taken || slices.Contains(names[:i], u.Username) {
			return fmt.Errorf("the user %q %w", prepared, ErrExists)
		}
		secret, err := l.derive(u.Password)
		if err != nil {
			return err
		}
		ref := l.newRef(prepared)
		made = append(made, User{
			Ref: ref, Username: prepared, DisplayName: u.DisplayName, Email: u.Email, Properties: sortProperties(u.Properties),
			SecretName: ref.Name + "-" + ref.UID, Managed: true, CreatedAt: ref.Created, ModifiedAt: ref.Created,
		})
		secrets = append(secrets, secret)
	}
	for i, u := range made {
		l.dir.PutSecret(u.SecretName, "1", secrets[i])
		l.dir.PutUser(u)
	}
	return nil
}

// UpdateUser implements Proposer.
func (l *Local) UpdateUser(ctx context.Context, _ Actor, username string, c UserUpdate) error {
	return l.change(ctx, "UpdateUser", username, func(u *User) error {
		if c.Password != nil {
			secret, err := l.derive(*c.Password)
			if err != nil {
				return err
			}
			l.dir.PutSecret(u.SecretName, strconv.FormatInt(u.Generation+1, 10), secret)
		}
		set(&u.DisplayName, c.DisplayName)
		set(&u.Email, c.Email)
		set(&u.Locked, c.Locked)
		set(&u.Admin, c.Admin)
		if c.Properties != nil {
			u.Properties = sortProperties(*c.Properties)
		}
		return nil
	})
}

// DeleteUser implements Proposer.
func (l *Local) DeleteUser(ctx context.Context, _ Actor, username string) error {
	unlock, err := l.begin("DeleteUser", username)
	if err != nil {
		return err
	}
	defer unlock()
	u, ok := l.dir.User(username)
	if !ok {
		return fmt.Errorf("the user %q was %w", username, ErrNotFound)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.dir.DeleteUser(u.Name, u.UID)
	l.dir.DeleteSecret(u.SecretName)
	return nil
}

// PutContact implements Proposer.
func (l *Local) PutContact(ctx context.Context, _ Actor, username string, c Contact, create bool) error {
	return l.change(ctx, "PutContact", username, func(u *User) error {
		i := slices.IndexFunc(u.Contacts, func(have Contact) bool { return have.JID == c.JID })
		switch {
		case create && i >= 0:
			return fmt.Errorf("the contact %q of %q %w", c.JID, username, ErrExists)
		case !create && i < 0:
			return fmt.Errorf("the contact %q of %q was %w", c.JID, username, ErrNotFound)
		case i >= 0:
			u.Contacts[i] = c
		default:
			u.Contacts = append(u.Contacts, c)
			slices.SortFunc(u.Contacts, func(a, b Contact) int { return a.JID.Compare(b.JID) })
		}
		return nil
	})
}

// DeleteContact implements Proposer.
func (l *Local) DeleteContact(ctx context.Context, _ Actor, username string, contact jid.JID) error {
	return l.change(ctx, "DeleteContact", username, func(u *User) error {
		i := slices.IndexFunc(u.Contacts, func(have Contact) bool { return have.JID == contact })
		if i < 0 {
			return fmt.Errorf("the contact %q of %q was %w", contact, username, ErrNotFound)
		}
		u.Contacts = slices.Delete(u.Contacts, i, i+1)
		return nil
	})
}

// PutProperty implements Proposer.
func (l *Local) PutProperty(ctx context.Context, _ Actor, key, value string, mustExist bool) error {
	unlock, err := l.begin("PutProperty", key)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	p, ok := l.dir.Property(key)
	if !ok && mustExist {
		return fmt.Errorf("the property %q was %w", key, ErrNotFound)
	}
	if err := ValidateSetting(key, value); err != nil {
		return err
	}
	if !ok {
		ref := l.newRef(key)
		p = SystemProperty{Ref: ref, Key: key, Managed: true, CreatedAt: ref.Created}
	}
	p.Generation++
	p.Value, p.ModifiedAt = value, time.Now()
	return l.dir.PutProperty(p)
}

// DeleteProperty implements Proposer.
func (l *Local) DeleteProperty(ctx context.Context, _ Actor, key string) error {
	unlock, err := l.begin("DeleteProperty", key)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	p, ok := l.dir.Property(key)
	if !ok {
		return fmt.Errorf("the property %q was %w", key, ErrNotFound)
	}
	l.dir.DeleteProperty(p.Name, p.UID)
	return nil
}

// change edits a copy of a user and puts it as the next generation.
func (l *Local) change(ctx context.Context, method, username string, edit func(*User) error) error {
	unlock, err := l.begin(method, username)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	have, ok := l.dir.User(username)
	if !ok {
		return fmt.Errorf("the user %q was %w", username, ErrNotFound)
	}
	u := *have
	u.Contacts = slices.Clone(have.Contacts)
	if err := edit(&u); err != nil {
		return err
	}
	u.Generation++
	u.ModifiedAt = time.Now()
	l.dir.PutUser(u)
	return nil
}

func (l *Local) derive(password string) (*auth.Secret, error) {
	if password == "" {
		return nil, &InvalidError{Field: "password", Message: "a password is needed"}
	}
	salt := make([]byte, 16)
	rand.Read(salt) // never fails, by its documentation
	credential, err := auth.Derive(password, salt, l.Iterations)
	if err != nil {
		return nil, &InvalidError{Field: "password", Message: err.Error()}
	}
	return auth.NewVerifierSecret(credential), nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func sortProperties(list []Property) []Property {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Property) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
	})
	return list
}
