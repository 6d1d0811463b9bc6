package account

import (
	"bytes"
	"context"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Feature is the roster as a protocol feature (RFC 6121 §2).
func (r *Rosters) Feature() core.Feature {
	return core.Feature{
		Name:        "roster",
		ServerVars:  []string{stanza.NSRoster},
		AccountVars: []string{stanza.NSRoster},
		Handlers: []core.Handler{
			{Target: core.ToAccount, Type: stanza.IQGet, Space: stanza.NSRoster, Local: "query", Refusal: stanza.ConditionForbidden, Handle: r.get},
			{Target: core.ToAccount, Type: stanza.IQSet, Space: stanza.NSRoster, Local: "query", Refusal: stanza.ConditionForbidden, Handle: r.set},
		},
	}
}

// StreamFeatures is what rosters add to the stream features after authentication (RFC 6121 §2.6.1, §3.4).
func StreamFeatures(dst []byte) []byte {
	b := xmlstream.NewBuilder(dst)
	b.Open(stanza.NSRosterVer, "ver").Close()
	return b.Open(stanza.NSPreApproval, "sub").Close().Bytes()
}

// get answers a roster get (RFC 6121 §2.1.3) and makes the resource an interested one (§2.2). It answers under the lock, so that
// no push overtakes the result.
func (r *Rosters) get(_ context.Context, q *core.IQ) {
	u := r.lock(q.Account)
	defer r.unlock(u)
	if q.Session != nil {
		if res := u.resource(q.Session); res != nil {
			res.interested = true
		}
	}
	if err := r.ensure(u); err != nil {
		q.Fail(r.storeFailed(u, err))
		return
	}
	// RFC 6121 §2.6.3: an empty result says that the client's copy is right, or that what follows makes it so.
	ver, versioned := q.Payload.Attr("ver"), q.Payload.Attr("ver") != nil
	if versioned && string(ver) == u.version() {
		q.Result(nil)
		return
	}
	if changes, known := u.since(string(ver)); known && q.Session != nil {
		q.Result(nil)
		for i := range changes {
			if !lastOf(changes, i) {
				continue
			}
			after := u.version()
			if i+1 < len(changes) {
				after = versionOf(changes[i+1].before)
			}
			it := u.item(changes[i].contact)
			r.pushTo(q.Session, pushPayload(&it, it.Hidden, after))
		}
		return
	}
	items := u.items()
	b := xmlstream.NewBuilder(make([]byte, 0, 128*(len(items)+1))).Open(stanza.NSRoster, "query")
	if versioned {
		b.Attr("ver", u.version())
	}
	for i := range items {
		appendItem(b, &items[i], false)
	}
	q.Result(b.Close().Bytes())
}

// set answers a roster set (RFC 6121 §2.1.5): a contact is added or changed (§2.3, §2.4), or removed (§2.5).
func (r *Rosters) set(ctx context.Context, q *core.IQ) {
	wish, remove, bad := readItem(q.Payload)
	if bad != nil {
		q.Fail(bad)
		return
	}
	own := q.From.Bare()
	if wish.JID == own {
		q.Fail(stanza.NewError(stanza.ConditionNotAllowed, "An account cannot be its own contact."))
		return
	}
	actor := xmppActor(q.Session, q.Account)
	var err error
	if remove {
		err = r.remove(ctx, actor, q.Account, wish.JID, func() { q.Result(nil) })
	} else {
		err = r.put(ctx, actor, q.Account, wish, asClient, func() { q.Result(nil) })
	}
	if err != nil {
		q.Fail(r.refusal(q.Account, err))
	}
}

// readItem reads the one item of a roster set and holds it to RFC 6121 §2.1.5, §2.3.3.
func readItem(query xmlstream.Element) (wish Item, remove bool, bad *stanza.Error) {
	e := query.FirstChild()
	if !e.Valid() || !e.Is(stanza.NSRoster, "item") || e.NextSibling().Valid() {
		return wish, false, stanza.NewError(stanza.ConditionBadRequest, "A roster set has exactly one item.")
	}
	address := e.Attr("jid")
	if address == nil {
		return wish, false, stanza.NewError(stanza.ConditionBadRequest, "The item has no jid.")
	}
	contact, err := jid.ParseBytes(bytes.TrimSpace(address))
	if err != nil {
		return wish, false, stanza.NewError(stanza.ConditionJIDMalformed, err.Error())
	}
	wish.JID = contact.Bare()
	if string(e.Attr("subscription")) == "remove" {
		return wish, true, nil
	}
	wish.Name = string(e.Attr("name"))
	if len(wish.Name) > MaxNameBytes {
		return wish, false, stanza.NewError(stanza.ConditionNotAcceptable, "The name is longer than 1023 bytes.")
	}
	for c := range e.Children() {
		if !c.Is(stanza.NSRoster, "group") {
			continue
		}
		group := string(c.Text())
		switch {
		case group == "":
			return wish, false, stanza.NewError(stanza.ConditionNotAcceptable, "A group has no name.")
		case len(group) > MaxGroupBytes:
			return wish, false, stanza.NewError(stanza.ConditionNotAcceptable, "A group's name is longer than 1023 bytes.")
		case slices.Contains(wish.Groups, group):
			return wish, false, stanza.NewError(stanza.ConditionBadRequest, "The item names a group twice.")
		case len(wish.Groups) == MaxGroups:
			return wish, false, stanza.NewError(stanza.ConditionNotAcceptable, "The item names more than 50 groups.")
		}
		wish.Groups = append(wish.Groups, group)
	}
	slices.Sort(wish.Groups)
	return wish, false, nil
}

// putMode says what a put may do.
type putMode bool

const (
	asClient putMode = false // name and groups, of a contact that is added when it is not there (RFC 6121 §2.3, §2.4)
	asAdmin  putMode = true  // the subscription as well, of a contact that is there
)

// put sets name and groups of a contact where it lives. done is called under the lock, before the push, once nothing can fail any more.
func (r *Rosters) put(ctx context.Context, by directory.Actor, username string, wish Item, mode putMode, done func()) error {
	for range maxMoves {
		moved, err := r.tryPut(ctx, by, username, &wish, mode, done)
		if err != nil || !moved {
			return err
		}
	}
	return directory.ErrConflict
}

// maxMoves bounds how often an operation starts over because a contact became declared, or ceased to be, meanwhile.
const maxMoves = 5

func (r *Rosters) tryPut(ctx context.Context, by directory.Actor, username string, wish *Item, mode putMode, done func()) (moved bool, err error) {
	u := r.lock(username)
	defer r.unlock(u)
	if err := r.ensure(u); err != nil {
		return false, err
	}
	old, own := u.item(wish.JID), u.own(wish.JID)
	mine := *wish
	mine.personal(u.sight.relation(wish.JID))
	if own.Declared {
		// The proposal comes back as an event of the directory, which takes the lock.
		declared := directory.Contact{JID: wish.JID, Name: mine.Name, Subscription: own.Subscription, Groups: mine.Groups}
		if mode == asAdmin {
			declared.Subscription = wish.Subscription
		}
		err = r.unlocked(u, func() error { return r.proposer.PutContact(ctx, by, username, declared, false) })
		if isGone(err) {
			return true, nil
		}
		if err == nil {
			done()
			err = r.ensure(u)
		}
		return false, err
	}
	next := own
	next.Name, next.Groups, next.Hidden = mine.Name, mine.Groups, false
	switch {
	case mode == asAdmin && old.Hidden:
		return false, directory.ErrNotFound
	case mode == asAdmin:
		// What has been decided is not asked for any more.
		next.Subscription = wish.Subscription
		next.Ask = next.Ask && !next.Subscription.SeesContact()
		next.Approved = next.Approved && !next.Subscription.SeenByContact()
		if next.Subscription.SeenByContact() {
			next.PendingIn, next.Request = false, nil
		}
	}
	if own.Hidden {
		if full := r.full(u); full != nil {
			return false, full
		}
	}
	if err := r.write(ctx, u, &next); err != nil {
		return false, err
	}
	done()
	if mode == asAdmin {
		r.changed(u, &old, true)
	} else {
		if r.recorder != nil {
			r.recorder.ContactPut(by, username, directory.Contact{JID: next.JID, Subscription: next.Subscription}, old.Hidden)
		}
		now := u.item(wish.JID)
		r.push(u, &now, false)
	}
	return false, nil
}

// full says why a client may not add another contact; nil when it may.
func (r *Rosters) full(u *user) error {
	limit := r.dir.Int(directory.KeyMaxContacts)
	if u.listed < limit {
		return nil
	}
	r.meter.Refuse(meter.RosterEntries)
	return &directory.LimitError{Field: "roster", Limit: limit}
}

// remove takes a contact out of the roster, wherever it lives, and ends both subscriptions (RFC 6121 §2.5.2). done is called as put does.
func (r *Rosters) remove(ctx context.Context, by directory.Actor, username string, contact jid.JID, done func()) error {
	own, err := jid.New(username, r.sb.Domain(), "")
	if err != nil {
		return err
	}
	defer r.pairs.lock(own, contact)()
	for range maxMoves {
		moved, err := r.tryRemove(ctx, by, username, contact, done)
		if err != nil || !moved {
			return err
		}
	}
	return directory.ErrConflict
}

func (r *Rosters) tryRemove(ctx context.Context, by directory.Actor, username string, contact jid.JID, done func()) (moved bool, err error) {
	u := r.lock(username)
	defer r.unlock(u)
	if err := r.ensure(u); err != nil {
		return false, err
	}
	if it := u.item(contact); it.Hidden {
		return false, directory.ErrNotFound
	}
	if shared := u.shared(contact); shared != nil {
		return false, shared
	}
	old := u.own(contact)
	if old.Declared {
		err := r.unlocked(u, func() error { return r.proposer.DeleteContact(ctx, by, username, contact) })
		if isGone(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if err := r.ensure(u); err != nil {
			return false, err
		}
	}
	// What a client remembered of it goes, too; a request that has no answer yet stays one (RFC 6121 §3.1.3).
	now := u.item(contact)
	if row, had := u.row(contact); had {
		rest := Item{JID: contact, PendingIn: row.PendingIn, Request: row.Request, Hidden: true}
		if err := r.writeRow(ctx, u, rest, true); err != nil {
			return false, err
		}
	}
	done()
	if r.recorder != nil && !old.Declared { // else the proposer has
		r.recorder.ContactRemoved(by, username, contact)
	}
	r.changed(u, &now, false)
	if old.Subscription.SeesContact() || old.Ask {
		r.sendSubscription(u, stanza.PresenceUnsubscribe, contact)
	}
	if old.Subscription.SeenByContact() {
		r.sendSubscription(u, stanza.PresenceUnsubscribed, contact)
	}
	return false, nil
}

// unlocked runs something that may take long without the user's lock, which it has before and after: state read before has to be read again.
func (r *Rosters) unlocked(u *user, f func() error) error {
	u.mu.Unlock()
	defer u.mu.Lock()
	return f()
}

// sendSubscription sends a subscription stanza in the user's name, after the user's lock is given back. The pair is locked.
func (r *Rosters) sendSubscription(u *user, t stanza.Type, contact jid.JID) {
	from := u.jid
	if contact.Domain() == r.sb.Domain() {
		u.later(func() { r.receive(&stanza.Stanza{Kind: stanza.Presence, Type: t, From: from, To: contact}) })
	}
}
