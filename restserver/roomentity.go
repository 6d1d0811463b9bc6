package restserver

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
)

// affiliationWord is how one affiliation is written in paths, in lists and alone.
type affiliationWord struct {
	name       directory.AffiliationName
	list, item string
}

// affiliationWords are in the order in which the original gives affiliations.
var affiliationWords = []affiliationWord{
	{directory.AffiliationOwner, "owners", "owner"},
	{directory.AffiliationAdmin, "admins", "admin"},
	{directory.AffiliationMember, "members", "member"},
	{directory.AffiliationOutcast, "outcasts", "outcast"},
}

// roomEntity shows a room. Its lists of users have the members of its groups, too, if they are to be expanded.
func (c *call) roomEntity(i muc.Info, subject string) (entity.ChatRoom, error) {
	password := i.Password
	if password != "" {
		switch may, err := c.mayChange(i); {
		case err != nil:
			return entity.ChatRoom{}, err // without it, who puts back what was shown would open the room
		case !may:
			password = "" // whoever may look at declarations does not see their Secrets
		}
	}
	e := entity.ChatRoom{
		RoomName: i.RoomName, NaturalName: &i.DisplayName, Description: &i.Description, Password: &password, Subject: &subject,
		CreationDate: i.CreatedAt, ModificationDate: i.ModifiedAt, MaxUsers: i.MaxOccupants,
		Persistent: i.Persistent, PublicRoom: i.Listed, RegistrationEnabled: i.RegistrationEnabled,
		CanAnyoneDiscoverJID: i.WhoSeesJIDs == directory.JIDsAnyone, CanOccupantsChangeSubject: i.CanChangeSubject,
		CanOccupantsInvite: i.CanInvite, CanChangeNickname: i.CanChangeNickname, LogEnabled: i.Archived,
		LoginRestrictedToNickname: i.NicknameRestricted, MembersOnly: i.MembersOnly, Moderated: i.Moderated,
		AllowPM: strings.ToLower(string(cmp.Or(i.PrivateMessages, directory.PrivateAnyone))),
	}
	for _, role := range []directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor} {
		if slices.Contains(i.PresenceBroadcast, role) {
			e.BroadcastPresenceRoles = append(e.BroadcastPresenceRoles, strings.ToLower(string(role)))
		}
	}
	expand := c.flag("expandGroups")
	users := []*[]string{&e.Owners, &e.Admins, &e.Members, &e.Outcasts}
	groups := []*[]string{&e.OwnerGroups, &e.AdminGroups, &e.MemberGroups, &e.OutcastGroups}
	for n, a := range affiliationWords {
		var list []jid.JID
		for _, one := range i.Affiliations {
			if one.Affiliation == a.name {
				list = append(list, one.JID)
			}
		}
		for _, one := range i.GroupAffiliations {
			if one.Affiliation != a.name {
				continue
			}
			*groups[n] = append(*groups[n], one.Group)
			if expand {
				members, err := c.expand(one.Group)
				if err != nil {
					return entity.ChatRoom{}, err
				}
				list = append(list, members...)
			}
		}
		slices.SortFunc(list, jid.JID.Compare)
		for _, j := range slices.Compact(list) {
			*users[n] = append(*users[n], j.String())
		}
	}
	return e, nil
}

// maxExpanded is how many members of groups one answer names, each as often as a room names one of his groups.
const maxExpanded = 100_000

// expansion is what an answer has of groups' members.
type expansion struct {
	members map[string][]jid.JID
	named   int
}

// expand lists the members of a group, which is looked through once a call.
func (c *call) expand(group string) ([]jid.JID, error) {
	list, known := c.expanded.members[group]
	if !known {
		list = c.server.Directory.Members(group)
		if c.expanded.members == nil {
			c.expanded.members = map[string][]jid.JID{}
		}
		c.expanded.members[group] = list
	}
	if c.expanded.named += len(list); c.expanded.named > maxExpanded {
		return nil, badRequest(fmt.Sprintf("with expandGroups, an answer names at most %d members of groups: ask for fewer rooms at once with limit and offset, or for the groups themselves",
			maxExpanded), "chatrooms")
	}
	return list, nil
}

// maxJudged is how many rooms one answer shows to somebody whose right to change them has to be asked for room by room.
const maxJudged = 250

// judgement is what is known of a caller's right to change rooms.
type judgement struct {
	asked, all bool
	rooms      int
}

// mayChange says whether the caller may change a room. Most may change all of them or are asking for one, so that one question does for a list.
func (c *call) mayChange(i muc.Info) (bool, error) {
	if c.who.Allows == nil {
		return true, nil
	}
	r := Right{Verb: "update", Resource: resourceRooms, Change: true}
	if j := &c.judged; !j.asked {
		all, err := c.who.Allows(c.ctx, r)
		if err != nil {
			return false, c.cannotAsk(err)
		}
		j.asked, j.all = true, all
	}
	if c.judged.all || !c.who.ByName {
		return c.judged.all, nil
	}
	if c.judged.rooms++; c.judged.rooms > maxJudged {
		// Left out, the password would be taken away by whoever puts back what was shown.
		return false, badRequest(fmt.Sprintf("without the right to update all chatrooms, an answer shows at most %d rooms that have a password: ask for fewer at once with limit and offset",
			maxJudged), "chatrooms")
	}
	if r.Name = i.RoomName; i.Service != directory.DefaultRoomService {
		r.Name = i.Identity()
	}
	allowed, err := c.who.Allows(c.ctx, r)
	if err != nil {
		return false, c.cannotAsk(err)
	}
	return allowed, nil
}

// roomWish is what a body wants a room to be.
type roomWish struct {
	update directory.RoomUpdate
	// firstOwner is whom the room is created for; zero when the body names nobody.
	firstOwner jid.JID
}

// readRoom reads what a room is to be, all but its subject. Who has an affiliation now and is not named loses it.
func (c *call) readRoom(e entity.ChatRoom, local string, now *muc.Info, could string) (roomWish, error) {
	if e.MaxUsers < 0 {
		return roomWish{}, badRequest(could+": maxUsers cannot be negative, and 0 means no limit", e.RoomName)
	}
	roles := make([]directory.RoomRole, 0, len(e.BroadcastPresenceRoles))
	for _, word := range e.BroadcastPresenceRoles {
		i := slices.IndexFunc([]directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor},
			func(r directory.RoomRole) bool { return strings.EqualFold(string(r), word) })
		if i < 0 {
			return roomWish{}, badRequest(could+": broadcastPresenceRoles are moderator, participant and visitor", e.RoomName)
		}
		role := []directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor}[i]
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	w := roomWish{update: directory.RoomUpdate{
		DisplayName: new(cmp.Or(text(e.NaturalName), local)), Description: new(text(e.Description)), MaxOccupants: &e.MaxUsers,
		Listed: &e.PublicRoom, Persistent: &e.Persistent, MembersOnly: &e.MembersOnly, Moderated: &e.Moderated, Archived: &e.LogEnabled,
		RegistrationEnabled: &e.RegistrationEnabled, NicknameRestricted: &e.LoginRestrictedToNickname,
		CanChangeSubject: &e.CanOccupantsChangeSubject, CanInvite: &e.CanOccupantsInvite, CanChangeNickname: &e.CanChangeNickname,
		WhoSeesJIDs: new(directory.JIDsModerators), PrivateMessages: new(privateMessages(e.AllowPM)), PresenceBroadcast: &roles,
	}}
	if e.CanAnyoneDiscoverJID {
		w.update.WhoSeesJIDs = new(directory.JIDsAnyone)
	}
	// A password that stays is not written anew.
	if password := text(e.Password); now == nil && password != "" || now != nil && password != now.Password {
		w.update.Password = &password
	}
	err := c.readAffiliations(&w, e, now, could)
	return w, err
}

// privateMessages reads allowPM: words that nobody knows mean anyone, as they always have.
func privateMessages(word string) directory.PrivateMessages {
	for _, p := range []directory.PrivateMessages{directory.PrivateParticipants, directory.PrivateModerators, directory.PrivateNone} {
		if strings.EqualFold(string(p), word) {
			return p
		}
	}
	return directory.PrivateAnyone
}

// readAffiliations makes changes of the eight lists.
func (c *call) readAffiliations(w *roomWish, e entity.ChatRoom, now *muc.Info, could string) error {
	for _, list := range [][]string{e.Owners, e.Admins, e.Members, e.Outcasts, e.OwnerGroups, e.AdminGroups, e.MemberGroups, e.OutcastGroups} {
		if len(list) > maxNamed {
			return badRequest(fmt.Sprintf("%s: a list takes at most %d entries, one has %d", could, maxNamed, len(list)), e.RoomName)
		}
	}
	wanted := make(map[target]directory.AffiliationName)
	var have *directory.Room
	if now != nil {
		have = now.Room
	}
	want := func(entries []string, a directory.AffiliationName, read func(string, *directory.Room) (target, error)) error {
		for _, entry := range entries {
			t, err := read(entry, have)
			if err != nil {
				return badRequest(could+": "+err.Error(), e.RoomName)
			}
			if other, twice := wanted[t]; twice && other != a {
				return problem(http.StatusConflict, notAllowed, could, e.RoomName)
			}
			wanted[t] = a
			if a == directory.AffiliationOwner && w.firstOwner.IsZero() {
				w.firstOwner = t.jid
			}
		}
		return nil
	}
	for n, lists := range [][2][]string{{e.Owners, e.OwnerGroups}, {e.Admins, e.AdminGroups}, {e.Members, e.MemberGroups}, {e.Outcasts, e.OutcastGroups}} {
		a := affiliationWords[n].name
		if err := want(lists[0], a, c.server.entryTarget); err != nil {
			return err
		}
		if err := want(lists[1], a, c.server.groupTarget); err != nil {
			return err
		}
	}
	// A room is not left without an owner; one that never had any may stay so.
	if len(e.Owners)+len(e.OwnerGroups) == 0 && (now == nil || c.server.hasOwner(now.State())) {
		admin, err := jid.New("admin", c.server.Domain, "")
		if err != nil {
			return err
		}
		if _, twice := wanted[target{jid: admin}]; twice {
			return problem(http.StatusConflict, notAllowed, could, e.RoomName)
		}
		wanted[target{jid: admin}] = directory.AffiliationOwner
	}
	for t, a := range wanted {
		t.change(&w.update, a)
	}
	if now != nil {
		for _, a := range now.Affiliations {
			if t := (target{jid: a.JID}); wanted[t] == "" {
				t.change(&w.update, "")
			}
		}
		for _, a := range now.GroupAffiliations {
			if t := (target{group: a.Group}); wanted[t] == "" {
				t.change(&w.update, "")
			}
		}
	}
	slices.SortFunc(w.update.Affiliations, func(a, b directory.Affiliation) int { return a.JID.Compare(b.JID) })
	slices.SortFunc(w.update.GroupAffiliations, func(a, b directory.GroupAffiliation) int { return strings.Compare(a.Group, b.Group) })
	return nil
}
