package controllers

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// translateGroup makes the directory's entry of a ChatGroup. Problems leave out only what they are about.
func translateGroup(g *v1alpha1.ChatGroup, domain string) (directory.Group, []problem) {
	members, problems := memberList("spec.members", g.Spec.Members, domain)
	admins, more := memberList("spec.admins", g.Spec.Admins, domain)
	problems = append(problems, more...)
	shared := directory.SharedRoster{Mode: directory.SharedNobody}
	if s := g.Spec.SharedRoster; s != nil {
		shared = directory.SharedRoster{Mode: directory.SharedRosterMode(s.Mode), VisibleTo: s.VisibleTo}
	}
	name := g.EffectiveGroupName()
	return directory.Group{
		Ref:          ref(g),
		GroupName:    name,
		DisplayName:  or(g.Spec.DisplayName, name),
		Description:  value(g.Spec.Description),
		Members:      members,
		Admins:       admins,
		Selector:     selector(g.Spec.Selector),
		Properties:   properties(g.Spec.Properties),
		SharedRoster: shared,
		InBandPolicy: directory.InBandPolicy(value(g.Spec.InBandPolicy)),
		Managed:      managed(g),
		CreatedAt:    createdAt(g),
		ModifiedAt:   modifiedAt(g, &g.Status.CommonStatus),
	}, problems
}

// memberList prepares a set of usernames and addresses.
func memberList(path string, names []string, domain string) ([]jid.JID, []problem) {
	if len(names) == 0 {
		return nil, nil
	}
	var problems []problem
	list := make([]jid.JID, 0, len(names))
	seen := make(map[jid.JID]struct{}, len(names))
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		j, err := directory.ParseMember(name, domain)
		if err != nil {
			problems = append(problems, invalidValue(at, "%q is neither a username nor an address: %v. Correct or remove the entry.", name, err))
			continue
		}
		if _, ok := seen[j]; ok {
			problems = append(problems, invalidValue(at, "%q is the same user as another entry of the list: remove one of them.", name))
			continue
		}
		seen[j] = struct{}{}
		list = append(list, j)
	}
	slices.SortFunc(list, jid.JID.Compare)
	return list, problems
}

func selector(s *metav1.LabelSelector) *directory.Selector {
	if s == nil {
		return nil
	}
	out := &directory.Selector{MatchLabels: s.MatchLabels}
	for _, r := range s.MatchExpressions {
		out.MatchExpressions = append(out.MatchExpressions, directory.Requirement{
			Key: r.Key, Operator: directory.SelectorOperator(r.Operator), Values: r.Values,
		})
	}
	return out
}
