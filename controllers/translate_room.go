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
func translateRoom(r *v1alpha1.ChatRoom) (directory.Room, []problem) {
	name, err := jid.PrepareLocal(r.EffectiveRoomName())
	if err != nil {
		return directory.Room{}, invalidName("room name", r.EffectiveRoomName(), err)
	}
	affiliations, problems := affiliations(r.Spec.Affiliations)
	var password *directory.SecretKey
	if r.Spec.PasswordSecretRef != nil {
		password = &directory.SecretKey{Name: r.Spec.PasswordSecretRef.Name, Key: v1alpha1.PasswordKey}
	}
	return directory.Room{
		Ref:                 ref(r),
		RoomName:            name,
		Service:             r.EffectiveService(),
		DisplayName:         or(r.Spec.DisplayName, name),
		Description:         value(r.Spec.Description),
		Subject:             r.Spec.Subject,
		MaxOccupants:        int(value(r.Spec.MaxOccupants)),
		PasswordSecret:      password,
		Listed:              or(r.Spec.Listed, true),
		Persistent:          or(r.Spec.Persistent, true),
		MembersOnly:         value(r.Spec.MembersOnly),
		Moderated:           value(r.Spec.Moderated),
		Archived:            or(r.Spec.Archived, true),
		RegistrationEnabled: or(r.Spec.RegistrationEnabled, true),
		NicknameRestricted:  value(r.Spec.NicknameRestricted),
		CanChangeSubject:    value(r.Spec.CanChangeSubject),
		CanInvite:           value(r.Spec.CanInvite),
		CanChangeNickname:   or(r.Spec.CanChangeNickname, true),
		WhoSeesJIDs:         directory.WhoSeesJIDs(or(r.Spec.WhoSeesJIDs, v1alpha1.WhoSeesJIDsModerators)),
		PrivateMessages:     directory.PrivateMessages(or(r.Spec.PrivateMessages, v1alpha1.PrivateMessagesAnyone)),
		PresenceBroadcast:   presenceBroadcast(r.Spec.PresenceBroadcast),
		Affiliations:        affiliations,
		GroupAffiliations:   groupAffiliations(r.Spec.GroupAffiliations),
		InBandPolicy:        directory.InBandPolicy(value(r.Spec.InBandPolicy)),
		DeletionPolicy:      directory.DeletionPolicy(or(r.Spec.DeletionPolicy, v1alpha1.DeletionPolicyDelete)),
		Managed:             managed(r),
		CreatedAt:           createdAt(r),
		ModifiedAt:          modifiedAt(r, &r.Status.CommonStatus),
	}, problems
}

// presenceBroadcast tells an absent list (all roles) from an empty one (none).
func presenceBroadcast(roles []v1alpha1.PresenceRole) []directory.RoomRole {
	if roles == nil {
		return []directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor}
	}
	list := make([]directory.RoomRole, 0, len(roles))
	for _, role := range roles {
		list = append(list, directory.RoomRole(role))
	}
	slices.Sort(list)
	return list
}

// affiliations prepares the addresses of a room's affiliations. Of entries that
// only preparation shows to be the same, the more restrictive holds.
func affiliations(declared []v1alpha1.RoomAffiliation) ([]directory.Affiliation, []problem) {
	if len(declared) == 0 {
		return nil, nil
	}
	var problems []problem
	list := make([]directory.Affiliation, 0, len(declared))
	at := make(map[jid.JID]int, len(declared))
	for i, a := range declared {
		path := fmt.Sprintf("spec.affiliations[%d].jid", i)
		j, err := bareAddress(a.JID)
		if err != nil {
			problems = append(problems, invalidValue(path, "%q is no address: %v. Correct or remove the entry.", a.JID, err))
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
