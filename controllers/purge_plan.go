package controllers

import (
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// The brake on purging: a single mistake (a prune with the wrong label, a
// namespace restored without its users) must not destroy many people's data only because
// nobody looked for a week.
const (
	// brakeShare is the share of all accounts, in percent, that has to be pending
	// for the brake to hold.
	brakeShare = 10
	// brakeCount is the number of accounts that has to be pending as well: in a
	// small installation one account is more than ten percent.
	brakeCount = 10
)

// pendingPurge is a name whose declaration is gone and whose data is still there.
type pendingPurge struct {
	Kind directory.Kind
	Name string
	// Since is when the declaration was found gone.
	Since time.Time
	// Retain names are never purged, and count for nothing.
	Retain bool
	// Account says that it counts as an account for the brake.
	Account bool
}

// purgePlan is what there is to do about the pending names at one moment.
type purgePlan struct {
	// Purge lists what is due and may be purged now.
	Purge []pendingPurge
	// Held lists what is due but held by the brake, until somebody confirms it.
	Held []pendingPurge
	// Confirm is the time to confirm in order to release everything that the brake looks at.
	Confirm time.Time
	// Next is when the next name falls due; zero when none will.
	Next time.Time
}

// planPurges decides what to purge at a moment. Accounts is the number of declared
// accounts; confirmed releases the brake for everything that was deleted up to
// that time.
//
// The brake is judged only when something falls due, and over everything that is
// pending and not confirmed, due or not: a big mistake is noticed by its first
// account, not by its tenth.
func planPurges(pending []pendingPurge, accounts int, delay time.Duration, confirmed, now time.Time) purgePlan {
	var plan purgePlan
	var due []pendingPurge
	counted, total := 0, accounts
	for _, p := range pending {
		if p.Account {
			total++
		}
		if p.Retain {
			continue
		}
		if p.Account && p.Since.After(confirmed) {
			counted++
			if p.Since.After(plan.Confirm) {
				plan.Confirm = p.Since
			}
		}
		if at := p.Since.Add(delay); at.After(now) {
			if plan.Next.IsZero() || at.Before(plan.Next) {
				plan.Next = at
			}
			continue
		}
		due = append(due, p)
	}
	brake := counted >= brakeCount && counted*100 > total*brakeShare
	for _, p := range due {
		if brake && p.Account && p.Since.After(confirmed) {
			plan.Held = append(plan.Held, p)
			continue
		}
		plan.Purge = append(plan.Purge, p)
	}
	return plan
}
