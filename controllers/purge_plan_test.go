package controllers

import (
	"fmt"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func TestPlanPurges(t *testing.T) {
	const delay = 7 * 24 * time.Hour
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	due := now.Add(-delay)
	accounts := func(n int, since time.Time) []pendingPurge {
		list := make([]pendingPurge, n)
		for i := range list {
			list[i] = pendingPurge{Kind: directory.KindUser, Name: fmt.Sprint("u", i), Since: since, Account: true}
		}
		return list
	}
	for _, tt := range []struct {
		name        string
		pending     []pendingPurge
		accounts    int
		confirmed   time.Time
		purge, held int
		next        time.Time
	}{
		{name: "nothing pending", accounts: 100},
		{name: "not due yet", pending: accounts(1, due.Add(time.Second)), accounts: 100, next: now.Add(time.Second)},
		{name: "due to the second", pending: accounts(1, due), accounts: 100, purge: 1},
		{name: "nine of nine are under the count", pending: accounts(9, due), purge: 9},
		{name: "ten of ten", pending: accounts(10, due), held: 10},
		{name: "ten of a hundred are not more than ten percent", pending: accounts(10, due), accounts: 90, purge: 10},
		{name: "ten of ninety-nine are", pending: accounts(10, due), accounts: 89, held: 10},
		{
			name:    "one is due, twenty are pending: the brake looks at all",
			pending: append(accounts(1, due), accounts(20, due.Add(time.Hour))...), accounts: 50, held: 1, next: now.Add(time.Hour),
		},
		{name: "not judged before something is due", pending: accounts(20, due.Add(time.Hour)), accounts: 50, next: now.Add(time.Hour)},
		{name: "confirmed up to the last", pending: accounts(20, due), accounts: 50, confirmed: due, purge: 20},
		{
			name: "confirmed an earlier mistake only", accounts: 10, confirmed: due.Add(-time.Hour),
			pending: append(accounts(20, due.Add(-time.Hour)), accounts(15, due)...), purge: 20, held: 15,
		},
		{
			name: "retained data is never purged and counts for nothing", accounts: 5,
			pending: []pendingPurge{{Kind: directory.KindUser, Name: "kept", Since: due.Add(-delay), Account: true, Retain: true}},
		},
		{
			name: "rooms pass the brake", accounts: 0,
			pending: append(accounts(10, due), pendingPurge{Kind: directory.KindRoom, Name: "r", Since: due}), purge: 1, held: 10,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := planPurges(tt.pending, tt.accounts, delay, tt.confirmed, now)
			if len(plan.Purge) != tt.purge || len(plan.Held) != tt.held || !plan.Next.Equal(tt.next) {
				t.Errorf("purge %d, held %d, next %v; want %d, %d, %v", len(plan.Purge), len(plan.Held), plan.Next, tt.purge, tt.held, tt.next)
			}
			if tt.held > 0 {
				// What the Event tells a person to write must release what it speaks of.
				released := planPurges(tt.pending, tt.accounts, delay, plan.Confirm, now)
				if len(released.Held) != 0 {
					t.Errorf("confirming %v still holds %d", plan.Confirm, len(released.Held))
				}
			}
		})
	}
}
