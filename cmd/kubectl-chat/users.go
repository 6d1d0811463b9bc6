package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// user is a declared account, and what is live of it.
type user struct {
	Username string `json:"username"`
	Name     string `json:"name,omitempty"`
	JID      string `json:"jid,omitempty"`
	Resource string `json:"resource"`
	Admin    bool   `json:"admin"`
	Locked   bool   `json:"locked"`
	// Ready is True, False or Unknown.
	Ready   string `json:"ready"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	// Sessions is left out when the server could not be asked.
	Sessions  *int      `json:"sessions,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

// users are the declared accounts of the namespace, by username.
func (k *kubernetes) users(ctx context.Context, selector string) ([]user, error) {
	var list v1alpha1.ChatUserList
	if err := k.list(ctx, "chatusers", selector, &list); err != nil {
		return nil, err
	}
	users := make([]user, len(list.Items))
	for i := range list.Items {
		u := &list.Items[i]
		users[i] = user{
			Username: u.EffectiveUsername(), Name: value(u.Spec.DisplayName), JID: value(u.Status.JID), Resource: u.Name,
			Admin: value(u.Spec.Admin), Locked: value(u.Spec.Locked), CreatedAt: u.CreationTimestamp.Time,
		}
		if at := u.Status.CreatedAt; at != nil {
			users[i].CreatedAt = at.Time
		}
		users[i].Ready, users[i].Reason, users[i].Message, _ = readiness(u.Status.Conditions)
	}
	slices.SortStableFunc(users, func(a, b user) int {
		return cmp.Or(cmp.Compare(a.Username, b.Username), a.CreatedAt.Compare(b.CreatedAt))
	})
	return users, nil
}

func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

func newUsers(o *options) *cobra.Command {
	var out output
	var selector string
	cmd := &cobra.Command{
		Use:     "users [USER...]",
		Aliases: []string{"user"},
		Short:   "List accounts, and who of them is online",
		Example: "  kubectl chat users\n  kubectl chat users --selector team=night --output wide",
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := out.check(); err != nil {
				return err
			}
			ctx := cmd.Context()
			k, err := o.kubernetes()
			if err != nil {
				return err
			}
			list, err := k.users(ctx, selector)
			if err != nil {
				return err
			}
			if list, err = named(list, names, "user", func(u user) string { return u.Username }); err != nil {
				return err
			}
			if len(list) == 0 {
				if out.forPeople() {
					fmt.Fprintf(o.ErrOut, "No users in namespace %s.\n", k.namespace)
				}
				return out.print(o.Out, out.listUsers(nil))
			}
			if out.format != formatName {
				o.addSessions(ctx, k, list)
			}
			return out.print(o.Out, out.listUsers(list))
		},
		ValidArgsFunction: o.completeUsers(-1),
	}
	cmd.Flags().StringVarP(&selector, "selector", "l", "", "Only ChatUsers with these labels, such as team=night")
	out.addFlags(cmd, o)
	return cmd
}

// addSessions counts the sessions of each user. A server that cannot be asked is no reason not to show what is declared.
func (o *options) addSessions(ctx context.Context, k *kubernetes, list []user) {
	s, err := o.connect(ctx, k)
	if err != nil {
		o.warn("who is online is unknown", err)
		return
	}
	defer s.close()
	sessions, err := s.sessions(ctx, "")
	if err != nil {
		o.warn("who is online is unknown", err)
		return
	}
	count := map[string]int{}
	for _, s := range sessions {
		count[s.Username]++
	}
	for i := range list {
		// Of two resources that claim one name only one has it.
		if n := count[list[i].Username]; list[i].Reason != v1alpha1.ReasonNameConflict {
			list[i].Sessions = &n
		}
	}
}

func (o *options) warn(what string, err error) {
	fmt.Fprintf(o.ErrOut, "warning: %s: %s\n", what, show(err.Error()))
}

// named keeps those of a list that were asked for, each of which has to be there.
func named[T any](list []T, names []string, kind string, nameOf func(T) string) ([]T, error) {
	if len(names) == 0 {
		return list, nil
	}
	var kept []T
	for _, name := range names {
		found := false
		for _, one := range list {
			if n := nameOf(one); n == name || n == localPart(name) {
				kept, found = append(kept, one), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no %s %q: `kubectl chat %[1]ss` lists those that there are", kind, name)
		}
	}
	return kept, nil
}

func (p *output) listUsers(list []user) *listing {
	l := &listing{table: table{heads: []string{"USERNAME", "NAME", "ADMIN", "LOCKED", "READY", "ONLINE", "AGE", "+JID", "+SESSIONS", "+REASON"}}, items: list}
	if list == nil {
		l.items = []user{}
	}
	for _, u := range list {
		online, sessions := unknown, unknown
		if u.Sessions != nil {
			online, sessions = yesNo(*u.Sessions > 0), strconv.Itoa(*u.Sessions)
		}
		l.names = append(l.names, "chatuser."+v1alpha1.Group+"/"+u.Resource)
		l.rows = append(l.rows, []string{
			u.Username, u.Name, yesNo(u.Admin), yesNo(u.Locked), u.Ready, online, p.age(u.CreatedAt), u.JID, sessions, u.Reason,
		})
	}
	return l
}
