package account

import (
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// The nine states of RFC 6121 §A.1.
var states = map[string]Item{
	"None":                  {},
	"None + Pending Out":    {Ask: true},
	"None + Pending In":     {PendingIn: true},
	"None + Pending Out+In": {Ask: true, PendingIn: true},
	"To":                    {Subscription: SubscriptionTo},
	"To + Pending In":       {Subscription: SubscriptionTo, PendingIn: true},
	"From":                  {Subscription: SubscriptionFrom},
	"From + Pending Out":    {Subscription: SubscriptionFrom, Ask: true},
	"Both":                  {Subscription: SubscriptionBoth},
}

func nameOf(it Item) string {
	for name, s := range states {
		if s.Subscription == it.Subscription && s.Ask == it.Ask && s.PendingIn == it.PendingIn {
			return name
		}
	}
	return "a state that RFC 6121 does not know"
}

// TestOutboundStates is RFC 6121 §A.2: whether the stanza is routed, and the new state.
func TestOutboundStates(t *testing.T) {
	type row struct {
		route bool
		next  string
	}
	for section, table := range map[string]struct {
		typ  stanza.Type
		rows map[string]row
	}{
		"A.2.1": {stanza.PresenceSubscribe, map[string]row{
			"None":                  {true, "None + Pending Out"},
			"None + Pending Out":    {true, "None + Pending Out"},
			"None + Pending In":     {true, "None + Pending Out+In"},
			"None + Pending Out+In": {true, "None + Pending Out+In"},
			"To":                    {true, "To"},
			"To + Pending In":       {true, "To + Pending In"},
			"From":                  {true, "From + Pending Out"},
			"From + Pending Out":    {true, "From + Pending Out"},
			"Both":                  {true, "Both"},
		}},
		"A.2.2": {stanza.PresenceUnsubscribe, map[string]row{
			"None":                  {true, "None"},
			"None + Pending Out":    {true, "None"},
			"None + Pending In":     {true, "None + Pending In"},
			"None + Pending Out+In": {true, "None + Pending In"},
			"To":                    {true, "None"},
			"To + Pending In":       {true, "None + Pending In"},
			"From":                  {true, "From"},
			"From + Pending Out":    {true, "From"},
			"Both":                  {true, "From"},
		}},
		"A.2.3": {stanza.PresenceSubscribed, map[string]row{
			"None":                  {false, "None"},
			"None + Pending Out":    {false, "None + Pending Out"},
			"None + Pending In":     {true, "From"},
			"None + Pending Out+In": {true, "From + Pending Out"},
			"To":                    {false, "To"},
			"To + Pending In":       {true, "Both"},
			"From":                  {false, "From"},
			"From + Pending Out":    {false, "From + Pending Out"},
			"Both":                  {false, "Both"},
		}},
		"A.2.4": {stanza.PresenceUnsubscribed, map[string]row{
			"None":                  {false, "None"},
			"None + Pending Out":    {false, "None + Pending Out"},
			"None + Pending In":     {true, "None"},
			"None + Pending Out+In": {true, "None + Pending Out"},
			"To":                    {false, "To"},
			"To + Pending In":       {true, "To"},
			"From":                  {true, "None"},
			"From + Pending Out":    {true, "None + Pending Out"},
			"Both":                  {true, "To"},
		}},
	} {
		if len(table.rows) != len(states) {
			t.Fatalf("%s has %d rows", section, len(table.rows))
		}
		for state, expected := range table.rows {
			it := states[state]
			route := outbound(&it, table.typ)
			if route != expected.route || nameOf(it) != expected.next {
				t.Errorf("%s, %s: route %v and %s, want %v and %s", section, state, route, nameOf(it), expected.route, expected.next)
			}
		}
	}
}

// TestInboundStates is RFC 6121 §A.3: whether the stanza is delivered, and the new state.
func TestInboundStates(t *testing.T) {
	type row struct {
		deliver, approve bool
		next             string
	}
	for section, table := range map[string]struct {
		typ  stanza.Type
		rows map[string]row
	}{
		"A.3.1": {stanza.PresenceSubscribe, map[string]row{
			"None":                  {true, false, "None + Pending In"},
			"None + Pending Out":    {true, false, "None + Pending Out+In"},
			"None + Pending In":     {false, false, "None + Pending In"},
			"None + Pending Out+In": {false, false, "None + Pending Out+In"},
			"To":                    {true, false, "To + Pending In"},
			"To + Pending In":       {false, false, "To + Pending In"},
			"From":                  {false, true, "From"}, // §3.1.3: auto-reply
			"From + Pending Out":    {false, true, "From + Pending Out"},
			"Both":                  {false, true, "Both"},
		}},
		"A.3.2": {stanza.PresenceUnsubscribe, map[string]row{
			"None":                  {false, false, "None"},
			"None + Pending Out":    {false, false, "None + Pending Out"},
			"None + Pending In":     {true, false, "None"},
			"None + Pending Out+In": {true, false, "None + Pending Out"},
			"To":                    {false, false, "To"},
			"To + Pending In":       {true, false, "To"},
			"From":                  {true, false, "None"},
			"From + Pending Out":    {true, false, "None + Pending Out"},
			"Both":                  {true, false, "To"},
		}},
		"A.3.3": {stanza.PresenceSubscribed, map[string]row{
			"None":                  {false, false, "None"},
			"None + Pending Out":    {true, false, "To"},
			"None + Pending In":     {false, false, "None + Pending In"},
			"None + Pending Out+In": {true, false, "To + Pending In"},
			"To":                    {false, false, "To"},
			"To + Pending In":       {false, false, "To + Pending In"},
			"From":                  {false, false, "From"},
			"From + Pending Out":    {true, false, "Both"},
			"Both":                  {false, false, "Both"},
		}},
		"A.3.4": {stanza.PresenceUnsubscribed, map[string]row{
			"None":                  {false, false, "None"},
			"None + Pending Out":    {true, false, "None"},
			"None + Pending In":     {false, false, "None + Pending In"},
			"None + Pending Out+In": {true, false, "None + Pending In"},
			"To":                    {true, false, "None"},
			"To + Pending In":       {true, false, "None + Pending In"},
			"From":                  {false, false, "From"},
			"From + Pending Out":    {true, false, "From"},
			"Both":                  {true, false, "From"},
		}},
	} {
		if len(table.rows) != len(states) {
			t.Fatalf("%s has %d rows", section, len(table.rows))
		}
		for state, expected := range table.rows {
			it := states[state]
			got := inbound(&it, table.typ, nil)
			if got != (inboundOutcome{expected.deliver, expected.approve}) || nameOf(it) != expected.next {
				t.Errorf("%s, %s: %+v and %s, want %+v", section, state, got, nameOf(it), expected)
			}
		}
	}
}

// TestPreApprovalStates is RFC 6121 §3.4.2: an approval in advance is kept, used once, and can be taken back.
func TestPreApprovalStates(t *testing.T) {
	for _, state := range []string{"None", "None + Pending Out", "To"} {
		it := states[state]
		if outbound(&it, stanza.PresenceSubscribed); !it.Approved {
			t.Errorf("%s: not approved", state)
		}
		withdrawn := it
		if route := outbound(&withdrawn, stanza.PresenceUnsubscribed); withdrawn.Approved || route {
			t.Errorf("%s: after unsubscribed: %+v, routed %v", state, withdrawn, route)
		}
		got := inbound(&it, stanza.PresenceSubscribe, nil)
		if got != (inboundOutcome{approve: true}) || !it.Subscription.SeenByContact() || it.Approved || it.PendingIn {
			t.Errorf("%s: after subscribe: %+v %+v", state, got, it)
		}
	}
	for _, state := range []string{"From", "From + Pending Out", "Both"} {
		it := states[state]
		if outbound(&it, stanza.PresenceSubscribed); it.Approved {
			t.Errorf("%s: approved though there is nothing to approve", state)
		}
	}
}
