package account

import "github.com/chat-operator/chat-operator/xmpp/stanza"

// The nine states of RFC 6121 appendix A are Subscription, Ask ("pending out") and PendingIn together; Approved is its
// pre-approval. The two functions here are the tables A.2 and A.3: what becomes of the item, and what is done with the stanza.

// outbound is a subscription stanza that the user sends (RFC 6121 §A.2). route says whether it goes on to the contact.
func outbound(it *Item, t stanza.Type) (route bool) {
	switch t {
	case stanza.PresenceSubscribe: // §A.2.1
		if !it.Subscription.SeesContact() {
			it.Ask = true
		}
		it.Hidden = false
		return true
	case stanza.PresenceUnsubscribe: // §A.2.2
		it.Subscription &^= SubscriptionTo
		it.Ask = false
		return true
	case stanza.PresenceSubscribed: // §A.2.3
		switch {
		case it.PendingIn:
			it.Subscription |= SubscriptionFrom
			it.answered()
			it.Hidden = false
			return true
		case !it.Subscription.SeenByContact(): // §3.4.2: a request is approved before it comes
			it.Approved = true
			it.Hidden = false
		}
		return false
	case stanza.PresenceUnsubscribed: // §A.2.4
		route = it.PendingIn || it.Subscription.SeenByContact()
		it.Subscription &^= SubscriptionFrom
		it.answered()
		return route
	}
	return false
}

// answered forgets a request, and an approval given in advance, which count once.
func (it *Item) answered() {
	it.PendingIn, it.Request, it.Approved = false, nil, false
}

// inboundOutcome is what is done with a subscription stanza that came for the user.
type inboundOutcome struct {
	deliver bool // clients get it
	approve bool // the server answers with subscribed for the user
}

// inbound is a subscription stanza that a contact sends (RFC 6121 §A.3). request is its payload.
func inbound(it *Item, t stanza.Type, request []byte) inboundOutcome {
	switch t {
	case stanza.PresenceSubscribe: // §A.3.1
		switch {
		case it.Subscription.SeenByContact(): // the contact may have lost the answer
			return inboundOutcome{approve: true}
		case it.Approved: // §3.4.2
			it.Subscription |= SubscriptionFrom
			it.answered()
			return inboundOutcome{approve: true}
		case it.PendingIn:
			return inboundOutcome{}
		}
		it.PendingIn, it.Request = true, request
		return inboundOutcome{deliver: true}
	case stanza.PresenceUnsubscribe: // §A.3.2
		if !it.PendingIn && !it.Subscription.SeenByContact() {
			return inboundOutcome{}
		}
		it.Subscription &^= SubscriptionFrom
		it.PendingIn, it.Request = false, nil
		return inboundOutcome{deliver: true}
	case stanza.PresenceSubscribed: // §A.3.3
		if !it.Ask {
			return inboundOutcome{}
		}
		it.Subscription |= SubscriptionTo
		it.Ask = false
		return inboundOutcome{deliver: true}
	case stanza.PresenceUnsubscribed: // §A.3.4
		if !it.Ask && !it.Subscription.SeesContact() {
			return inboundOutcome{}
		}
		it.Subscription &^= SubscriptionTo
		it.Ask = false
		return inboundOutcome{deliver: true}
	}
	return inboundOutcome{}
}
