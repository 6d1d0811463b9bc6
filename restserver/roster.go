package restserver

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	couldNotCreateItem = "Could not create roster item"
	couldNotUpdate     = "Could not update the roster"
	couldNotDelete     = "Roster Item could not deleted" // as the original words it
	couldNotDeleteItem = "Could not delete the roster item"
)

// subscriptionRemove is the subscriptionType that takes a contact away.
const subscriptionRemove = -1

// getRoster is GET /users/{username}/roster.
func getRoster(c *call) (answer, error) {
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	items, err := c.server.Rosters.Roster(c.ctx, u.Username)
	if err != nil {
		return answer{}, err
	}
	// What only carries a pending request is no contact, to clients neither.
	items = filter(items, func(i account.Item) bool { return !i.Hidden })
	slices.SortFunc(items, func(a, b account.Item) int { return cmp.Compare(a.JID.String(), b.JID.String()) })
	return listOf(c, items, func(part []account.Item) entity.Entity {
		list := make(entity.Roster, len(part))
		for i := range part {
			list[i] = rosterEntity(&part[i])
		}
		return list
	})
}

// getContact is GET /users/{username}/roster/{jid}, which the original doesn't have: a change of one contact can depend on its ETag.
func getContact(c *call) (answer, error) {
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	name := c.params["jid"]
	missing := problem(http.StatusNotFound, rosterItemNotFound, "Could not find roster item", name)
	address, err := c.server.contactAddress(name)
	if err != nil {
		return answer{}, missing
	}
	item, exists, err := c.contact(u.Username, address)
	if err != nil {
		return answer{}, err
	}
	if !exists {
		return answer{}, missing
	}
	return ok(rosterEntity(&item))
}

// rosterEntity shows the groups that are the contact's own, and not those that come from shared groups.
func rosterEntity(i *account.Item) entity.RosterItem {
	groups := filter(i.Groups, func(g string) bool { return !slices.Contains(i.Shared, g) })
	return entity.RosterItem{JID: i.JID.String(), Nickname: &i.Name, Subscription: int(i.Subscription), Groups: groups}
}

// checkGroups holds the groups of a contact to what groups of the server say: a contact cannot be put into the roster group of a shared one,
// nor taken out of it.
func (c *call) checkGroups(username string, wish []string, shared []string, refused *failure) error {
	headings, err := c.server.Rosters.Headings(c.ctx, username)
	if err != nil {
		return err
	}
	for _, heading := range headings {
		if slices.Contains(wish, heading) != slices.Contains(shared, heading) {
			return refused
		}
	}
	return nil
}

// contact finds one contact of a user.
func (c *call) contact(username string, contact jid.JID) (account.Item, bool, error) {
	items, err := c.server.Rosters.Roster(c.ctx, username)
	if err != nil {
		return account.Item{}, false, err
	}
	i := slices.IndexFunc(items, func(i account.Item) bool { return i.JID == contact && !i.Hidden })
	if i < 0 {
		return account.Item{}, false, nil
	}
	return items[i], true, nil
}

// readContact reads the roster item of the body.
func (c *call) readContact() (entity.RosterItem, error) {
	name, inPath := c.params["jid"]
	switch {
	case c.body == nil && inPath:
		return entity.RosterItem{}, badRequest(couldNotUpdate+", because the body has no roster item", name)
	case c.body == nil:
		return entity.RosterItem{}, badRequest("JID is null", "JID")
	}
	e, err := c.body.RosterItem()
	if err != nil {
		return e, err
	}
	if e.Subscription < subscriptionRemove || e.Subscription > int(directory.SubscriptionBoth) {
		return e, badRequest("subscriptionType has to be -1 (remove), 0 (none), 1 (to), 2 (from) or 3 (both)", cmp.Or(name, e.JID))
	}
	return e, nil
}

// contactCall is what a POST and a PUT of a contact have in common.
type contactCall struct {
	user    *directory.User
	wish    entity.RosterItem
	address jid.JID
	// have is the contact as it is, declared or made by a client, if it exists.
	have   account.Item
	exists bool
}

func (c *call) readContactCall() (contactCall, error) {
	u, err := c.user()
	if err != nil {
		return contactCall{}, err
	}
	e, err := c.readContact()
	if err != nil {
		return contactCall{}, err
	}
	// The address may stand in the body alone; where the path has one, that counts.
	name, inPath := c.params["jid"]
	if !inPath {
		name = e.JID
	}
	return c.contactCall(u, e, name)
}

// contactCall looks at the contact that a call is about.
func (c *call) contactCall(u *directory.User, wish entity.RosterItem, name string) (contactCall, error) {
	if text(&name) == "" {
		return contactCall{}, badRequest("JID is null", "JID")
	}
	address, err := c.server.contactAddress(name)
	if err != nil {
		return contactCall{}, explain(err, refusal{resource: name})
	}
	have, exists, err := c.contact(u.Username, address)
	return contactCall{user: u, wish: wish, address: address, have: have, exists: exists}, err
}

// addContact is POST /users/{username}/roster: it declares a contact.
func addContact(c *call) (answer, error) {
	r, err := c.readContactCall()
	if err == nil {
		err = c.declareContact(r)
	}
	if err != nil {
		return answer{}, err
	}
	return created()
}

// declareContact declares a contact that isn't there. Only this user's side is made: programs make both halves by two calls.
func (c *call) declareContact(r contactCall) error {
	switch {
	case r.wish.Subscription == subscriptionRemove && r.exists:
		return c.dropContact(r.user.Username, r.address)
	case r.wish.Subscription == subscriptionRemove:
		return nil
	case r.exists:
		return contactExists()
	case r.address.Local() == r.user.Username && r.address.Domain() == c.server.Domain:
		return badRequest("an account cannot be its own contact", r.address.String())
	}
	if err := c.checkGroups(r.user.Username, r.wish.Groups, nil, problem(http.StatusBadRequest, sharedGroup, couldNotCreateItem, "")); err != nil {
		return err
	}
	return c.putContact("added roster item for ", r.user.Username, directory.Contact{
		JID: r.address, Name: text(r.wish.Nickname), Subscription: directory.Subscription(r.wish.Subscription), Groups: sorted(r.wish.Groups),
	}, func(contact directory.Contact) error {
		return c.server.Proposer.PutContact(c.ctx, c.actor(), r.user.Username, contact, true)
	})
}

func contactExists() *failure {
	return problem(http.StatusConflict, userAlreadyExists, couldNotCreateItem, "")
}

func noContactToUpdate(address jid.JID) *failure {
	return problem(http.StatusNotFound, userNotFound, couldNotUpdate, address.String())
}

// updateContact is PUT /users/{username}/roster/{jid}, and without the address in the path.
func updateContact(c *call) (answer, error) {
	r, err := c.readContactCall()
	if err == nil {
		err = c.changeContact(r)
	}
	if err != nil {
		return answer{}, err
	}
	return done()
}

// changeContact changes a contact where it lives.
func (c *call) changeContact(r contactCall) error {
	switch {
	case !r.exists:
		return noContactToUpdate(r.address)
	case r.wish.Subscription == subscriptionRemove:
		return c.dropContact(r.user.Username, r.address)
	}
	contact := directory.Contact{
		JID: r.address, Name: r.have.Name, Subscription: directory.Subscription(r.wish.Subscription), Groups: r.have.Groups,
	}
	if r.wish.Nickname != nil {
		contact.Name = text(r.wish.Nickname)
	}
	if r.wish.HasGroups {
		refused := problem(http.StatusBadRequest, sharedGroup, couldNotUpdate, r.address.String())
		if err := c.checkGroups(r.user.Username, r.wish.Groups, r.have.Shared, refused); err != nil {
			return err
		}
		contact.Groups = sorted(r.wish.Groups)
	}
	return c.putContact("updated roster item for ", r.user.Username, contact, func(contact directory.Contact) error {
		return c.server.Rosters.Set(c.ctx, c.actor(), r.user.Username, contact)
	})
}

// putContact has a contact written, records it and words the errors.
func (c *call) putContact(summary, username string, contact directory.Contact, put func(directory.Contact) error) error {
	err := put(contact)
	if took(err) {
		c.record(summary+username, detail("jid", contact.JID.String()), detail("subscription", contact.Subscription.String()))
	}
	if err != nil {
		return explain(err, refusal{resource: contact.JID.String(), exists: contactExists(), notFound: noContactToUpdate(contact.JID)})
	}
	return nil
}

// removeContact is DELETE /users/{username}/roster/{jid}.
func removeContact(c *call) (answer, error) {
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	name := c.params["jid"]
	address, err := c.server.contactAddress(name)
	if err != nil {
		return answer{}, explain(err, refusal{resource: name})
	}
	if _, exists, err := c.contact(u.Username, address); err != nil {
		return answer{}, err
	} else if !exists {
		return answer{}, noContact(address)
	}
	if err := c.dropContact(u.Username, address); err != nil {
		return answer{}, err
	}
	return done()
}

func noContact(address jid.JID) *failure {
	return problem(http.StatusNotFound, rosterItemNotFound, couldNotDelete, address.String())
}

func (c *call) dropContact(username string, address jid.JID) error {
	err := c.server.Rosters.Remove(c.ctx, c.actor(), username, address)
	if _, shared := errors.AsType[*account.SharedError](err); shared {
		return problem(http.StatusBadRequest, sharedGroup, couldNotDeleteItem, address.String())
	}
	if took(err) {
		c.record("deleted roster item from "+username, detail("jid", address.String()))
	}
	if err != nil {
		return explain(err, refusal{resource: address.String(), notFound: noContact(address)})
	}
	return nil
}

// sorted gives the groups of a contact in the order in which rosters keep them, each once.
func sorted(groups []string) []string {
	groups = slices.Clone(groups)
	slices.Sort(groups)
	return slices.Compact(groups)
}
