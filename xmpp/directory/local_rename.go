package directory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// RenameUser implements Proposer.
func (l *Local) RenameUser(ctx context.Context, _ Actor, username, to string, c UserUpdate) (left []string, err error) {
	unlock, err := l.begin("RenameUser", username)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	have, ok := l.dir.User(username)
	if !ok {
		return nil, fmt.Errorf("the user %q was %w", username, ErrNotFound)
	}
	now, err := jid.New(to, l.dir.Domain(), "")
	if err != nil {
		return nil, &InvalidError{Field: "username", Message: err.Error()}
	}
	if _, taken := l.dir.User(now.Local()); taken {
		return nil, fmt.Errorf("the user %q %w", now.Local(), ErrExists)
	}
	old, err := jid.New(username, l.dir.Domain(), "")
	if err != nil {
		return nil, err
	}
	u := *have
	u.Ref, u.Username, u.ModifiedAt = l.newRef(now.Local()), now.Local(), time.Now()
	set(&u.DisplayName, c.DisplayName)
	set(&u.Email, c.Email)
	if c.Properties != nil {
		u.Properties = sortProperties(*c.Properties)
	}
	l.dir.DeleteUser(have.Name, have.UID)
	l.dir.PutUser(u)
	l.nameAnew(old, now)
	return nil, nil
}

// nameAnew changes whatever names an account.
func (l *Local) nameAnew(old, now jid.JID) {
	for _, have := range l.dir.Users() {
		if i := slices.IndexFunc(have.Contacts, func(c Contact) bool { return c.JID == old }); i >= 0 {
			u := *have
			u.Contacts = slices.Clone(have.Contacts)
			u.Contacts[i].JID = now
			slices.SortFunc(u.Contacts, func(a, b Contact) int { return a.JID.Compare(b.JID) })
			u.Generation++
			l.dir.PutUser(u)
		}
	}
	for _, have := range l.dir.Groups() {
		g := *have
		member, admin := slices.Contains(g.Members, old), slices.Contains(g.Admins, old)
		if !member && !admin {
			continue
		}
		var c GroupUpdate
		if member {
			c.AddMembers, c.RemoveMembers = []jid.JID{now}, []jid.JID{old}
		}
		if admin {
			c.AddAdmins, c.RemoveAdmins = []jid.JID{now}, []jid.JID{old}
		}
		changeGroup(&g, c)
		g.Generation++
		l.dir.PutGroup(g)
	}
	for _, have := range l.dir.Rooms() {
		if i := slices.IndexFunc(have.Affiliations, func(a Affiliation) bool { return a.JID == old }); i >= 0 {
			r, next := *have, have.Affiliations[i]
			next.JID = now
			l.changeRoom(&r, RoomUpdate{Affiliations: []Affiliation{{JID: old}, next}})
			r.Generation++
			l.dir.PutRoom(r)
		}
	}
}
