package controllers

import (
	"fmt"
	"slices"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// translateUser makes the directory's entry of a ChatUser. With an InvalidName
// there is no entry; other problems leave out only what they are about.
func translateUser(u *v1alpha1.ChatUser, domain string) (directory.User, []problem) {
	username, err := jid.PrepareLocal(u.EffectiveUsername())
	if err != nil {
		return directory.User{}, invalidName("username", u.EffectiveUsername(), err)
	}
	own, err := jid.New(username, domain, "")
	if err != nil {
		return directory.User{}, invalidName("username", u.EffectiveUsername(), err)
	}
	contacts, problems := contacts(own, u.Spec.Roster)
	return directory.User{
		Ref:            ref(u),
		Username:       username,
		DisplayName:    value(u.Spec.DisplayName),
		Email:          value(u.Spec.Email),
		Locked:         value(u.Spec.Locked),
		Admin:          value(u.Spec.Admin),
		Properties:     properties(u.Spec.Properties),
		Contacts:       contacts,
		SecretName:     credentialKey(u),
		Labels:         u.Labels,
		InBandPolicy:   directory.InBandPolicy(value(u.Spec.InBandPolicy)),
		DeletionPolicy: directory.DeletionPolicy(or(u.Spec.DeletionPolicy, v1alpha1.DeletionPolicyDelete)),
		Managed:        managed(u),
		CreatedAt:      createdAt(u),
		ModifiedAt:     modifiedAt(u, &u.Status.CommonStatus),
	}, problems
}

// credentialSecret is the name of the Secret that holds a user's credentials.
func credentialSecret(u *v1alpha1.ChatUser) string {
	if u.Spec.Credentials != nil {
		return u.Spec.Credentials.SecretRef.Name
	}
	return provision.GeneratedSecretName(u.Name)
}

// credentialKey is the name under which the directory knows a user's credentials.
// That of a generated Secret speaks of this life of the user: a Secret of the same
// name that somebody else made, or that an earlier life left behind, is not taken for it.
func credentialKey(u *v1alpha1.ChatUser) string {
	if u.Spec.Credentials != nil {
		return u.Spec.Credentials.SecretRef.Name
	}
	return provision.GeneratedKey(string(u.UID))
}

// contacts prepares a declared roster, in which the user's own address has no place. Of entries that only preparation shows to
// be the same, the one that shares less presence holds.
func contacts(own jid.JID, roster []v1alpha1.Contact) ([]directory.Contact, []problem) {
	if len(roster) == 0 {
		return nil, nil
	}
	var problems []problem
	list := make([]directory.Contact, 0, len(roster))
	at := make(map[jid.JID]int, len(roster))
	for i, c := range roster {
		path := fmt.Sprintf("spec.roster[%d].jid", i)
		j, err := directory.ParseBare(c.JID)
		if err != nil {
			problems = append(problems, invalidValue(path, "%q is no address: %v. Correct or remove the entry.", c.JID, err))
			continue
		}
		if j == own {
			problems = append(problems, invalidValue(path, "%q is the user's own address, and nobody is their own contact. Remove the entry.", c.JID))
			continue
		}
		subscription, _ := directory.ParseSubscription(string(or(c.Subscription, v1alpha1.SubscriptionNone)))
		entry := directory.Contact{JID: j, Name: value(c.Nickname), Subscription: subscription, Groups: c.Groups}
		if first, ok := at[j]; ok {
			problems = append(problems, invalidValue(path,
				"%q is the same address as another entry of the list: remove one of them. Until then, the one that shares less holds.", c.JID))
			if sharing(subscription) < sharing(list[first].Subscription) {
				list[first] = entry
			}
			continue
		}
		at[j] = len(list)
		list = append(list, entry)
	}
	slices.SortFunc(list, func(a, b directory.Contact) int { return a.JID.Compare(b.JID) })
	return list, problems
}

// sharing orders subscriptions by how much they give away, the user's own presence first.
func sharing(s directory.Subscription) int {
	switch s {
	case directory.SubscriptionNone:
		return 0
	case directory.SubscriptionTo:
		return 1
	case directory.SubscriptionFrom:
		return 2
	}
	return 3
}
