package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/auth"
)

// NewRoom is a room of which a declaration says nothing but its name: with all defaults.
func NewRoom(roomName, service string) Room {
	return Room{
		RoomName: roomName, Service: service, DisplayName: roomName,
		Listed: true, Persistent: true, Archived: true, RegistrationEnabled: true, CanChangeNickname: true,
		WhoSeesJIDs: JIDsModerators, PrivateMessages: PrivateAnyone,
		PresenceBroadcast: []RoomRole{RoleModerator, RoleParticipant, RoleVisitor},
		DeletionPolicy:    DeletionDelete,
	}
}

// CreateRoom implements Proposer.
func (l *Local) CreateRoom(ctx context.Context, _ Actor, roomName, service string, u RoomUpdate) error {
	identity := RoomIdentity(roomName, service)
	unlock, err := l.begin("CreateRoom", identity)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, taken := l.dir.Room(identity); taken {
		return fmt.Errorf("the room %q %w", identity, ErrExists)
	}
	r := NewRoom(roomName, service)
	r.Ref, r.Managed = l.newRef(identity), true
	r.CreatedAt, r.ModifiedAt = r.Created, r.Created
	if !u.CreatedAt.IsZero() {
		r.CreatedAt = u.CreatedAt
	}
	l.changeRoom(&r, u)
	l.dir.PutRoom(r)
	return nil
}

// UpdateRoom implements Proposer.
func (l *Local) UpdateRoom(ctx context.Context, _ Actor, identity string, u RoomUpdate) error {
	unlock, err := l.begin("UpdateRoom", identity)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	have, ok := l.dir.Room(identity)
	if !ok {
		return fmt.Errorf("the room %q was %w", identity, ErrNotFound)
	}
	if u.Permit != nil {
		if err := u.Permit(have.State()); err != nil {
			return err
		}
	}
	r := *have
	l.changeRoom(&r, u)
	r.Generation++
	r.ModifiedAt = time.Now()
	l.dir.PutRoom(r)
	return nil
}

// DeleteRoom implements Proposer.
func (l *Local) DeleteRoom(ctx context.Context, _ Actor, identity string, permit RoomPermit) error {
	unlock, err := l.begin("DeleteRoom", identity)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	r, ok := l.dir.Room(identity)
	if !ok {
		return fmt.Errorf("the room %q was %w", identity, ErrNotFound)
	}
	if permit != nil {
		if err := permit(r.State()); err != nil {
			return err
		}
	}
	l.dir.DeleteRoom(r.Name, r.UID)
	return nil
}

// changeRoom edits a room that nobody else has seen yet.
func (l *Local) changeRoom(r *Room, u RoomUpdate) {
	set(&r.DisplayName, u.DisplayName)
	set(&r.Description, u.Description)
	if u.Subject != nil {
		r.Subject = u.Subject
	}
	set(&r.MaxOccupants, u.MaxOccupants)
	set(&r.Listed, u.Listed)
	set(&r.Persistent, u.Persistent)
	set(&r.MembersOnly, u.MembersOnly)
	set(&r.Moderated, u.Moderated)
	set(&r.Archived, u.Archived)
	set(&r.RegistrationEnabled, u.RegistrationEnabled)
	set(&r.NicknameRestricted, u.NicknameRestricted)
	set(&r.CanChangeSubject, u.CanChangeSubject)
	set(&r.CanInvite, u.CanInvite)
	set(&r.CanChangeNickname, u.CanChangeNickname)
	set(&r.WhoSeesJIDs, u.WhoSeesJIDs)
	set(&r.PrivateMessages, u.PrivateMessages)
	set(&r.PresenceBroadcast, u.PresenceBroadcast)
	for _, a := range u.Affiliations {
		r.Affiliations = slices.DeleteFunc(slices.Clone(r.Affiliations), func(have Affiliation) bool { return have.JID == a.JID })
		if a.Affiliation != "" {
			r.Affiliations = append(r.Affiliations, a)
		}
	}
	slices.SortFunc(r.Affiliations, func(a, b Affiliation) int { return a.JID.Compare(b.JID) })
	for _, a := range u.GroupAffiliations {
		r.GroupAffiliations = slices.DeleteFunc(slices.Clone(r.GroupAffiliations), func(have GroupAffiliation) bool { return have.Group == a.Group })
		if a.Affiliation != "" {
			r.GroupAffiliations = append(r.GroupAffiliations, a)
		}
	}
	slices.SortFunc(r.GroupAffiliations, func(a, b GroupAffiliation) int { return strings.Compare(a.Group, b.Group) })
	switch {
	case u.Password == nil:
	case *u.Password == "":
		r.PasswordSecret = nil
	default:
		l.uid++
		secret := SecretKey{Name: fmt.Sprintf("%s-%d", r.Name, l.uid), Key: "password"}
		l.keepPassword(secret, *u.Password)
		r.PasswordSecret = &secret
	}
}

// keepPassword makes a Secret that a room is to name.
func (l *Local) keepPassword(secret SecretKey, password string) {
	l.passwords.Store(secret, password)
	l.dir.PutSecret(secret.Name, "1", auth.NewPasswordSecret(password, nil))
}

// Password is a [Passwords] of what rooms were given through this proposer.
func (l *Local) Password(secret SecretKey) (string, bool) {
	v, ok := l.passwords.Load(secret)
	password, _ := v.(string)
	return password, ok
}
