package directory

import (
	"slices"
	"sync"

	"github.com/chat-operator/chat-operator/xmpp/auth"
)

// Directory is the projection of what is declared. All methods may be used by
// several goroutines at once.
//
// Locks: mu is the one writer lock, held through a write, its watchers and the waking of
// waiters. Readers never take it: they use the locks inside the indexes, which
// nobody holds for longer than a map operation. So a watcher may read, and must
// not write or wait.
type Directory struct {
	domain string
	synced chan struct{}
	once   sync.Once

	users      *claims[*User]
	groups     *claims[*Group]
	rooms      *claims[*Room]
	properties *claims[*SystemProperty]
	members    *memberships
	secrets    *index[storedSecret]
	settings   *settings
	passwords  Passwords

	mu sync.Mutex
	// secretUsers has the users in force that name a Secret, whether it is there or not.
	secretUsers secretNames
	// secretRooms has the rooms in force that name one.
	secretRooms secretNames
	waiters     map[waitKey][]*waiter
	watchers    watchers
}

// storedSecret is a credential and the version it was last seen at.
type storedSecret struct {
	version string
	secret  *auth.Secret
}

// New makes an empty directory of a chat domain.
func New(domain string) *Directory {
	return &Directory{
		domain:      domain,
		synced:      make(chan struct{}),
		users:       newClaims[*User](),
		groups:      newClaims[*Group](),
		rooms:       newClaims[*Room](),
		properties:  newClaims[*SystemProperty](),
		members:     newMemberships(),
		secrets:     newIndex[storedSecret](),
		settings:    newSettings(),
		secretUsers: secretNames{},
		secretRooms: secretNames{},
		waiters:     map[waitKey][]*waiter{},
	}
}

// Domain is the XMPP domain that the directory describes.
func (d *Directory) Domain() string { return d.domain }

// MarkSynced says that everything declared so far has been put. It may be called again.
func (d *Directory) MarkSynced() { d.once.Do(func() { close(d.synced) }) }

// Synced is closed once everything declared so far has been put.
func (d *Directory) Synced() <-chan struct{} { return d.synced }

// PutUser takes the declared state of a user in.
func (d *Directory) PutUser(u User) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake(KindUser, d.users.put(&u, d.userChanged))
}

// DeleteUser removes the user that a resource declared. A uid that is not
// the present one belongs to an earlier life, and is ignored; an empty one means any.
func (d *Directory) DeleteUser(name, uid string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake(KindUser, d.users.delete(name, uid, d.userChanged))
}

// userChanged keeps the join with Secrets, and tells the watchers.
func (d *Directory) userChanged(old, next *User) {
	var before, after string
	if old != nil {
		before = old.SecretName
	}
	if next != nil {
		after = next.SecretName
	}
	credential := false
	switch {
	case old == nil:
		d.secretUsers.link(after, next.Username)
	case next == nil:
		d.secretUsers.unlink(before, old.Username)
	case before != after:
		d.secretUsers.unlink(before, old.Username)
		d.secretUsers.link(after, next.Username)
		was, _ := d.Secret(before)
		is, _ := d.Secret(after)
		credential = !sameSecret(was, is)
	}
	d.watchers.tell(event(KindUser, old, next, credential))
	d.reselect(old, next)
}

// PutSecret takes a credential in. A Secret with the same content as before only moves the
// version on: what was derived from it stays, and nobody is told.
func (d *Directory) PutSecret(name, version string, s *auth.Secret) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, _ := d.secrets.get(name)
	same := sameSecret(old.secret, s)
	if same {
		s = old.secret
	}
	d.secrets.set(name, storedSecret{version: version, secret: s})
	if !same {
		d.credentialChanged(name)
	}
	d.wake(kindSecret, []string{name})
}

// DeleteSecret removes a credential: users that name it cannot log in.
func (d *Directory) DeleteSecret(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.secrets.get(name); !ok {
		return
	}
	d.secrets.remove(name)
	d.credentialChanged(name)
	d.wake(kindSecret, []string{name})
}

// credentialChanged tells the watchers of every user and every room in force that names the Secret.
func (d *Directory) credentialChanged(name string) {
	for _, username := range d.secretUsers[name] {
		if u, ok := d.users.holders.get(username); ok {
			d.watchers.tell(event(KindUser, u, u, true))
		}
	}
	for _, identity := range d.secretRooms[name] {
		if r, ok := d.rooms.holders.get(identity); ok {
			d.watchers.tell(event(KindRoom, r, r, true))
		}
	}
}

// sameSecret compares the content of two credentials, either of which may be missing.
func sameSecret(a, b *auth.Secret) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a == b || a.Same(b)
}

// PutGroup takes the declared state of a group in.
func (d *Directory) PutGroup(g Group) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake(KindGroup, d.groups.put(&g, d.groupChanged))
}

// DeleteGroup removes the group that a resource declared; see DeleteUser about uid.
func (d *Directory) DeleteGroup(name, uid string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake(KindGroup, d.groups.delete(name, uid, d.groupChanged))
}

// PutRoom takes the declared state of a room in.
func (d *Directory) PutRoom(r Room) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake(KindRoom, d.rooms.put(&r, d.roomChanged))
}

// DeleteRoom removes the room that a resource declared; see DeleteUser about uid.
func (d *Directory) DeleteRoom(name, uid string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake(KindRoom, d.rooms.delete(name, uid, d.roomChanged))
}

// PutProperty takes the declared state of a system property in. The error, an
// *InvalidError, says why a value cannot take effect: then the last good one
// stays in force, though the entry is kept and served back as it is.
func (d *Directory) PutProperty(p SystemProperty) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake(KindProperty, d.properties.put(&p, d.propertyChanged))
	return ValidateSetting(p.Key, p.Value)
}

// DeleteProperty removes the system property that a resource declared; see
// DeleteUser about uid. The setting's default is in force again.
func (d *Directory) DeleteProperty(name, uid string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake(KindProperty, d.properties.delete(name, uid, d.propertyChanged))
}

// propertyChanged brings the effective value up to date before anybody is told.
func (d *Directory) propertyChanged(old, next *SystemProperty) {
	if next == nil {
		d.settings.reset(old.Key)
	} else {
		d.settings.apply(next.Key, next.Value)
	}
	d.watchers.tell(event(KindProperty, old, next, false))
}

// User returns the user in force of a prepared username. The entry is shared: treat it
// as immutable.
func (d *Directory) User(username string) (*User, bool) { return d.users.holders.get(username) }

// Group returns the group in force of that name, to be treated as immutable.
func (d *Directory) Group(name string) (*Group, bool) { return d.groups.holders.get(name) }

// Room returns the room in force of that identity (see [RoomIdentity]), to be treated as immutable.
func (d *Directory) Room(identity string) (*Room, bool) { return d.rooms.holders.get(identity) }

// Property returns the system property in force of that key.
func (d *Directory) Property(key string) (SystemProperty, bool) {
	p, ok := d.properties.holders.get(key)
	if !ok {
		return SystemProperty{}, false
	}
	return *p, true
}

// UserByResource returns what the resource of that name declares, whether it is in force or not.
func (d *Directory) UserByResource(name string) (*User, bool) { return d.users.resources.get(name) }

// GroupByResource returns what the resource of that name declares, whether it is in force or not.
func (d *Directory) GroupByResource(name string) (*Group, bool) { return d.groups.resources.get(name) }

// RoomByResource returns what the resource of that name declares, whether it is in force or not.
func (d *Directory) RoomByResource(name string) (*Room, bool) { return d.rooms.resources.get(name) }

// PropertyByResource returns what the resource of that name declares, whether it is in force or not.
func (d *Directory) PropertyByResource(name string) (*SystemProperty, bool) {
	return d.properties.resources.get(name)
}

// Holder says which resource holds an identity.
func (d *Directory) Holder(kind Kind, identity string) (Ref, bool) {
	switch kind {
	case KindUser:
		return holder(d.users, identity)
	case KindGroup:
		return holder(d.groups, identity)
	case KindRoom:
		return holder(d.rooms, identity)
	case KindProperty:
		return holder(d.properties, identity)
	}
	return Ref{}, false
}

func holder[E entry](c *claims[E], identity string) (Ref, bool) {
	e, ok := c.holders.get(identity)
	if !ok {
		return Ref{}, false
	}
	return *e.Resource(), true
}

// Claimants lists the resources that claim an identity, the holder first.
func (d *Directory) Claimants(kind Kind, identity string) []Ref {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch kind {
	case KindUser:
		return claimants(d.users, identity)
	case KindGroup:
		return claimants(d.groups, identity)
	case KindRoom:
		return claimants(d.rooms, identity)
	case KindProperty:
		return claimants(d.properties, identity)
	}
	return nil
}

func claimants[E entry](c *claims[E], identity string) []Ref {
	e, ok := c.holders.get(identity)
	if !ok {
		return nil
	}
	refs := []Ref{*e.Resource()}
	for _, r := range c.rivals[identity] {
		refs = append(refs, *r.Resource())
	}
	return refs
}

// Secret returns a credential by the name of its Secret.
func (d *Directory) Secret(name string) (*auth.Secret, bool) {
	s, _ := d.secrets.get(name)
	return s.secret, s.secret != nil
}

// Account joins a user with its credential for a login. While the Secret that
// the user names is not there, the account's Secret is nil: nobody can log in yet.
func (d *Directory) Account(username string) (auth.Account, bool) {
	u, ok := d.User(username)
	if !ok {
		return auth.Account{}, false
	}
	s, _ := d.Secret(u.SecretName)
	return auth.Account{Username: u.Username, Secret: s, Locked: u.Locked}, true
}

// Lookup is Account under the name that auth.Accounts gives it.
func (d *Directory) Lookup(username string) (auth.Account, bool) { return d.Account(username) }

var _ auth.Accounts = (*Directory)(nil)

// UsersOfSecret lists the users in force that name a Secret, whether it is there or not.
func (d *Directory) UsersOfSecret(name string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.secretUsers[name])
}

// Users lists the users in force by username. The list is shared: do not change it.
func (d *Directory) Users() []*User { return d.users.all() }

// Groups lists the groups in force by name. The list is shared: do not change it.
func (d *Directory) Groups() []*Group { return d.groups.all() }

// Rooms lists the rooms in force by identity. The list is shared: do not change it.
func (d *Directory) Rooms() []*Room { return d.rooms.all() }

// Properties lists the system properties in force by key. The list is shared: do not change it.
func (d *Directory) Properties() []*SystemProperty { return d.properties.all() }

// Counts says how many entries of each kind are in force.
func (d *Directory) Counts() map[Kind]int {
	return map[Kind]int{
		KindUser:     d.users.holders.len(),
		KindGroup:    d.groups.holders.len(),
		KindRoom:     d.rooms.holders.len(),
		KindProperty: d.properties.holders.len(),
	}
}
