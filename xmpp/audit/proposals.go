package audit

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Proposals passes wishes on to a proposer and records those that came true, but for what comes through REST: its handlers do that themselves. What is
// written and not yet in force has come true. Where nobody said what became of a wish, it is recorded with that, whichever way it came: that this program
// made a change is in no other entry, but perhaps that a resource has gone.
func Proposals(to directory.Proposer, c Config) directory.Proposer { return &proposals{to, c} }

type proposals struct {
	directory.Proposer
	Config
}

// took says of a change's error that the change is made.
func took(err error) bool { return err == nil || errors.Is(err, directory.ErrNotYetActive) }

// settle records what has been done and gives the error back.
func (p *proposals) settle(ctx context.Context, by directory.Actor, err error, deeds ...deed) error {
	return p.end(ctx, by, "", err, deeds...)
}

// unknownResult is the detail of a wish of which nobody said what became of it.
const unknownResult = "result = unknown"

// end is settle for what a resource has gone by, of that UID: the log takes no note of its end any more.
func (p *proposals) end(ctx context.Context, by directory.Actor, uid string, err error, deeds ...deed) error {
	switch {
	case directory.Unanswered(err) && !took(err):
		for i := range deeds {
			deeds[i].details = append(deeds[i].details, unknownResult)
		}
		p.record(ctx, by, "", deeds...)
	case by.Via != ViaREST && took(err):
		p.record(ctx, by, uid, deeds...)
	}
	return err
}

// uid is that of the resource that declares something now.
func (p *proposals) uid(kind directory.Kind, identity string) string {
	if p.UID == nil {
		return ""
	}
	return p.UID(kind, identity)
}

// CreateUser implements directory.Proposer.
func (p *proposals) CreateUser(ctx context.Context, by directory.Actor, u directory.NewUser) error {
	return p.settle(ctx, by, p.Proposer.CreateUser(ctx, by, u), newUser(&u))
}

// CreateUsers implements directory.Proposer.
func (p *proposals) CreateUsers(ctx context.Context, by directory.Actor, users []directory.NewUser) error {
	deeds := make([]deed, len(users))
	for i := range users {
		deeds[i] = newUser(&users[i])
	}
	return p.settle(ctx, by, p.Proposer.CreateUsers(ctx, by, users), deeds...)
}

func newUser(u *directory.NewUser) deed {
	details := directory.UserUpdate{Properties: &u.Properties}
	if u.DisplayName != "" {
		details.DisplayName = &u.DisplayName
	}
	if u.Email != "" {
		details.Email = &u.Email
	}
	return deed{Summary(directory.KindUser, Created, u.Username), userDetails(details)}
}

// UpdateUser implements directory.Proposer.
func (p *proposals) UpdateUser(ctx context.Context, by directory.Actor, username string, u directory.UserUpdate) error {
	return p.settle(ctx, by, p.Proposer.UpdateUser(ctx, by, username, u), userDeeds(username, u)...)
}

// userDeeds are what an update does: a lockout has words of its own.
func userDeeds(username string, u directory.UserUpdate) (deeds []deed) {
	locked := u.Locked
	if u.Locked = nil; u != (directory.UserUpdate{}) || locked == nil {
		deeds = append(deeds, deed{Summary(directory.KindUser, Changed, username), userDetails(u)})
	}
	switch {
	case locked == nil:
	case *locked:
		deeds = append(deeds, deed{summary: "locked out user " + username})
	default:
		deeds = append(deeds, deed{summary: "unlocked user " + username})
	}
	return deeds
}

// userDetails tells what an entry about a user may tell. Values of properties may be secrets, so only their keys are told.
func userDetails(u directory.UserUpdate) []string {
	var l lines
	l.text("name", u.DisplayName)
	l.text("email", u.Email)
	if u.Properties != nil && len(*u.Properties) > 0 {
		l.list("properties", keys(*u.Properties))
	}
	l.flag("admin", u.Admin)
	l.password(u.Password)
	return l
}

func keys(properties []directory.Property) []string {
	names := make([]string, len(properties))
	for i := range properties {
		names[i] = properties[i].Key
	}
	return names
}

// RenameUser implements directory.Proposer.
func (p *proposals) RenameUser(ctx context.Context, by directory.Actor, username, to string, u directory.UserUpdate) (left []string, err error) {
	uid := p.uid(directory.KindUser, username)
	left, err = p.Proposer.RenameUser(ctx, by, username, to, u)
	u.Password = nil // it is left out
	details := append(userDetails(u), Detail("renamed from", username))
	for _, where := range left {
		details = append(details, Detail("left", where))
	}
	return left, p.end(ctx, by, uid, err, deed{Summary(directory.KindUser, Changed, to), details})
}

// DeleteUser implements directory.Proposer.
func (p *proposals) DeleteUser(ctx context.Context, by directory.Actor, username string) error {
	uid := p.uid(directory.KindUser, username)
	return p.end(ctx, by, uid, p.Proposer.DeleteUser(ctx, by, username), deed{summary: Summary(directory.KindUser, Deleted, username)})
}

// PutContact implements directory.Proposer.
func (p *proposals) PutContact(ctx context.Context, by directory.Actor, username string, c directory.Contact, create bool) error {
	return p.settle(ctx, by, p.Proposer.PutContact(ctx, by, username, c, create), putContact(username, c, create))
}

func putContact(username string, c directory.Contact, added bool) deed {
	summary := "updated roster item for "
	if added {
		summary = "added roster item for "
	}
	return deed{summary + username, []string{Detail("jid", c.JID.String()), Detail("subscription", c.Subscription.String())}}
}

// DeleteContact implements directory.Proposer.
func (p *proposals) DeleteContact(ctx context.Context, by directory.Actor, username string, contact jid.JID) error {
	return p.settle(ctx, by, p.Proposer.DeleteContact(ctx, by, username, contact), deleteContact(username, contact))
}

func deleteContact(username string, contact jid.JID) deed {
	return deed{"deleted roster item from " + username, []string{Detail("jid", contact.String())}}
}

// PutProperty implements directory.Proposer. Its value may be a secret.
func (p *proposals) PutProperty(ctx context.Context, by directory.Actor, key, value string, mustExist bool) error {
	change := Created
	if mustExist {
		change = Changed
	}
	return p.settle(ctx, by, p.Proposer.PutProperty(ctx, by, key, value, mustExist), deed{summary: Summary(directory.KindProperty, change, key)})
}

// DeleteProperty implements directory.Proposer.
func (p *proposals) DeleteProperty(ctx context.Context, by directory.Actor, key string) error {
	uid := p.uid(directory.KindProperty, key)
	return p.end(ctx, by, uid, p.Proposer.DeleteProperty(ctx, by, key), deed{summary: Summary(directory.KindProperty, Deleted, key)})
}

// CreateRoom implements directory.Proposer.
func (p *proposals) CreateRoom(ctx context.Context, by directory.Actor, roomName, service string, u directory.RoomUpdate) error {
	identity := directory.RoomIdentity(roomName, service)
	made := deed{Summary(directory.KindRoom, Created, identity), roomDetails(identity, &u)}
	return p.settle(ctx, by, p.Proposer.CreateRoom(ctx, by, roomName, service, u), append([]deed{made}, affiliationDeeds(identity, &u)...)...)
}

// UpdateRoom implements directory.Proposer.
func (p *proposals) UpdateRoom(ctx context.Context, by directory.Actor, identity string, u directory.RoomUpdate) error {
	deeds := affiliationDeeds(identity, &u)
	if details := roomDetails(identity, &u); len(details) > len(Service(directory.KindRoom, identity)) || len(deeds) == 0 {
		deeds = append([]deed{{Summary(directory.KindRoom, Changed, identity), details}}, deeds...)
	}
	return p.settle(ctx, by, p.Proposer.UpdateRoom(ctx, by, identity, u), deeds...)
}

// DeleteRoom implements directory.Proposer.
func (p *proposals) DeleteRoom(ctx context.Context, by directory.Actor, identity string, permit directory.RoomPermit) error {
	uid := p.uid(directory.KindRoom, identity)
	return p.end(ctx, by, uid, p.Proposer.DeleteRoom(ctx, by, identity, permit),
		deed{Summary(directory.KindRoom, Deleted, identity), Service(directory.KindRoom, identity)})
}

// roomDetails tells what changes about a room, but for affiliations.
func roomDetails(identity string, u *directory.RoomUpdate) []string {
	l := lines(Service(directory.KindRoom, identity))
	l.text("naturalName", u.DisplayName)
	l.text("description", u.Description)
	l.text("subject", u.Subject)
	if u.MaxOccupants != nil {
		l.add("maxUsers", strconv.Itoa(*u.MaxOccupants))
	}
	l.flag("publicRoom", u.Listed)
	l.flag("persistent", u.Persistent)
	l.flag("membersOnly", u.MembersOnly)
	l.flag("moderated", u.Moderated)
	l.flag("logEnabled", u.Archived)
	l.flag("registrationEnabled", u.RegistrationEnabled)
	l.flag("loginRestrictedToNickname", u.NicknameRestricted)
	l.flag("canOccupantsChangeSubject", u.CanChangeSubject)
	l.flag("canOccupantsInvite", u.CanInvite)
	l.flag("canChangeNickname", u.CanChangeNickname)
	l.text("whoSeesJIDs", (*string)(u.WhoSeesJIDs))
	l.text("privateMessages", (*string)(u.PrivateMessages))
	if u.PresenceBroadcast != nil {
		var roles []string
		for _, role := range *u.PresenceBroadcast {
			roles = append(roles, string(role))
		}
		l.list("broadcastPresenceRoles", roles)
	}
	l.password(u.Password)
	return l
}

// affiliationDeeds are the affiliations that an update gives or takes.
func affiliationDeeds(identity string, u *directory.RoomUpdate) (deeds []deed) {
	room, _, _ := strings.Cut(identity, "@")
	set := func(a directory.AffiliationName, who string) {
		word := strings.ToLower(string(a))
		if word == "" {
			word = "none"
		}
		deeds = append(deeds, deed{"set MUC affiliation to " + word + " for " + who + " in " + room, Service(directory.KindRoom, identity)})
	}
	for _, a := range u.Affiliations {
		set(a.Affiliation, a.JID.String())
	}
	for _, a := range u.GroupAffiliations {
		set(a.Affiliation, a.Group)
	}
	return deeds
}

// CreateGroup implements directory.Proposer.
func (p *proposals) CreateGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) error {
	return p.settle(ctx, by, p.Proposer.CreateGroup(ctx, by, name, u), deed{Summary(directory.KindGroup, Created, name), groupDetails(&u)})
}

// UpdateGroup implements directory.Proposer.
func (p *proposals) UpdateGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) error {
	return p.settle(ctx, by, p.Proposer.UpdateGroup(ctx, by, name, u), deed{Summary(directory.KindGroup, Changed, name), groupDetails(&u)})
}

// EnsureGroup implements directory.Proposer.
func (p *proposals) EnsureGroup(ctx context.Context, by directory.Actor, name string, u directory.GroupUpdate) (created bool, err error) {
	created, err = p.Proposer.EnsureGroup(ctx, by, name, u)
	change := Changed
	if created {
		change = Created
	}
	return created, p.settle(ctx, by, err, deed{Summary(directory.KindGroup, change, name), groupDetails(&u)})
}

// DeleteGroup implements directory.Proposer.
func (p *proposals) DeleteGroup(ctx context.Context, by directory.Actor, name string) error {
	uid := p.uid(directory.KindGroup, name)
	return p.end(ctx, by, uid, p.Proposer.DeleteGroup(ctx, by, name), deed{summary: Summary(directory.KindGroup, Deleted, name)})
}

func groupDetails(u *directory.GroupUpdate) []string {
	var l lines
	l.text("name", u.DisplayName)
	l.text("description", u.Description)
	for _, list := range []struct {
		name string
		of   []jid.JID
	}{{"members added", u.AddMembers}, {"members removed", u.RemoveMembers}, {"admins added", u.AddAdmins}, {"admins removed", u.RemoveAdmins}} {
		if len(list.of) > 0 {
			var names []string
			for _, j := range list.of {
				names = append(names, j.String())
			}
			l.list(list.name, names)
		}
	}
	if u.Properties != nil {
		l.list("properties", keys(*u.Properties))
	}
	if u.SharedRoster != nil {
		l.add("shared", string(u.SharedRoster.Mode))
	}
	return l
}

// lines are details of an entry; what an update leaves alone is not among them.
type lines []string

func (l *lines) add(name, value string) { *l = append(*l, Detail(name, value)) }

func (l *lines) text(name string, value *string) {
	if value != nil {
		l.add(name, *value)
	}
}

func (l *lines) flag(name string, value *bool) {
	if value != nil {
		l.add(name, strconv.FormatBool(*value))
	}
}

func (l *lines) list(name string, values []string) { l.add(name, strings.Join(values, ", ")) }

func (l *lines) password(value *string) {
	switch {
	case value == nil:
	case *value == "":
		l.add("password", "removed")
	default:
		l.add("password", "changed")
	}
}
