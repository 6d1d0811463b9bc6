package controllers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// translateRoom makes the directory's entry of a ChatRoom. With an InvalidName
// there is no entry; other problems leave out only what they are about.
func translateRoom(r *v1alpha1.ChatRoom, domain string) (directory.Room, []problem) {
	name, err := jid.PrepareLocal(r.EffectiveRoomName())
	if err != nil {
		return directory.Room{}, invalidName("room name", r.EffectiveRoomName(), err)
	}
	affiliations, problems := affiliations(r.Spec.Affiliations, domain)
	var password *directory.SecretKey
	if r.Spec.PasswordSecretRef != nil {
		password = &directory.SecretKey{Name: r.Spec.PasswordSecretRef.Name, Key: v1alpha1.PasswordKey}
	}
	room := directory.NewRoom(name, r.EffectiveService())
	room.Ref = ref(r)
	set(&room.DisplayName, r.Spec.DisplayName)
	set(&room.Description, r.Spec.Description)
	room.Subject = r.Spec.Subject
	room.MaxOccupants = int(value(r.Spec.MaxOccupants))
	room.PasswordSecret = password
	set(&room.Listed, r.Spec.Listed)
	set(&room.Persistent, r.Spec.Persistent)
	set(&room.MembersOnly, r.Spec.MembersOnly)
	set(&room.Moderated, r.Spec.Moderated)
	set(&room.Archived, r.Spec.Archived)
	set(&room.RegistrationEnabled, r.Spec.RegistrationEnabled)
	set(&room.NicknameRestricted, r.Spec.NicknameRestricted)
	set(&room.CanChangeSubject, r.Spec.CanChangeSubject)
	set(&room.CanInvite, r.Spec.CanInvite)
	set(&room.CanChangeNickname, r.Spec.CanChangeNickname)
	set(&room.WhoSeesJIDs, (*directory.WhoSeesJIDs)(r.Spec.WhoSeesJIDs))
	set(&room.PrivateMessages, (*directory.PrivateMessages)(r.Spec.PrivateMessages))
	if r.Spec.PresenceBroadcast != nil {
		room.PresenceBroadcast = presenceBroadcast(r.Spec.PresenceBroadcast)
	}
	room.Affiliations = affiliations
	room.GroupAffiliations = groupAffiliations(r.Spec.GroupAffiliations)
	room.InBandPolicy = directory.InBandPolicy(value(r.Spec.InBandPolicy))
	set(&room.DeletionPolicy, (*directory.DeletionPolicy)(r.Spec.DeletionPolicy))
	room.Managed, room.CreatedAt, room.ModifiedAt = managed(r), createdAt(r), modifiedAt(r, &r.Status.CommonStatus)
	return room, problems
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// presenceBroadcast gives the roles sorted; of an empty list there are none.
func presenceBroadcast(roles []v1alpha1.PresenceRole) []directory.RoomRole {
	list := make([]directory.RoomRole, 0, len(roles))
	for _, role := range roles {
		list = append(list, directory.RoomRole(role))
	}
	slices.Sort(list)
	return list
}

// affiliations prepares the addresses of a room's affiliations. Of entries that
// only preparation shows to be the same, the more restrictive holds.
func affiliations(declared []v1alpha1.RoomAffiliation, domain string) ([]directory.Affiliation, []problem) {
	if len(declared) == 0 {
		return nil, nil
	}
	var problems []problem
	list := make([]directory.Affiliation, 0, len(declared))
	at := make(map[jid.JID]int, len(declared))
	for i, a := range declared {
		path := fmt.Sprintf("spec.affiliations[%d].jid", i)
		j, err := directory.ParseBare(a.JID)
		if err != nil {
			problems = append(problems, invalidValue(path, "%q is no address: %v. Correct or remove the entry.", a.JID, err))
			continue
		}
		if j.Local() == "" && j.Domain() != domain && !strings.Contains(j.Domain(), ".") {
			// Groups list members so, and people copy that.
			problems = append(problems, invalidValue(path, "%q is a host, not a user: write %s@%s. Correct the entry.", a.JID, a.JID, domain))
			continue
		}
		entry := directory.Affiliation{JID: j, Affiliation: directory.AffiliationName(a.Affiliation)}
		if first, ok := at[j]; ok {
			problems = append(problems, invalidValue(path,
				"%q is the same address as another entry of the list: remove one of them. Until then, the more restrictive one holds.", a.JID))
			if power(entry.Affiliation) < power(list[first].Affiliation) {
				list[first] = entry
			}
			continue
		}
		at[j] = len(list)
		list = append(list, entry)
	}
	slices.SortFunc(list, func(a, b directory.Affiliation) int { return a.JID.Compare(b.JID) })
	return list, problems
}

func groupAffiliations(declared []v1alpha1.RoomGroupAffiliation) []directory.GroupAffiliation {
	if len(declared) == 0 {
		return nil
	}
	list := make([]directory.GroupAffiliation, 0, len(declared))
	for _, a := range declared {
		list = append(list, directory.GroupAffiliation{Group: a.Group, Affiliation: directory.AffiliationName(a.Affiliation)})
	}
	slices.SortFunc(list, func(a, b directory.GroupAffiliation) int { return strings.Compare(a.Group, b.Group) })
	return list
}

// power orders affiliations by what they permit.
func power(a directory.AffiliationName) int {
	switch a {
	case directory.AffiliationOutcast:
		return 0
	case directory.AffiliationMember:
		return 1
	case directory.AffiliationAdmin:
		return 2
	}
	return 3
}
