package restserver

import (
	"cmp"
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

func rosterEntity(i *account.Item) entity.RosterItem {
	return entity.RosterItem{JID: i.JID.String(), Nickname: &i.Name, Subscription: int(i.Subscription), Groups: i.Groups}
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
	if c.body == nil {
		return entity.RosterItem{}, badRequest("JID is null", "JID")
	}
	e, err := c.body.RosterItem()
	if err != nil {
		return e, err
	}
	if e.Subscription < subscriptionRemove || e.Subscription > int(directory.SubscriptionBoth) {
		return e, badRequest("subscriptionType has to be -1 (remove), 0 (none), 1 (to), 2 (from) or 3 (both)", e.JID)
	}
	return e, nil
}

// addContact is POST /users/{username}/roster. Only this user's side is made: programs make both
// halves by two calls.
func addContact(c *call) (answer, error) {
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	e, err := c.readContact()
	if err != nil {
		return answer{}, err
	}
	if text(&e.JID) == "" {
		return answer{}, badRequest("JID is null", "JID")
	}
	address, err := c.server.contactAddress(e.JID)
	if err != nil {
		return answer{}, explain(err, refusal{resource: e.JID})
	}
	_, exists, err := c.contact(u.Username, address)
	switch {
	case err != nil:
		return answer{}, err
	case e.Subscription == subscriptionRemove && exists:
		if err := c.dropContact(u.Username, address); err != nil {
			return answer{}, err
		}
		return created()
	case e.Subscription == subscriptionRemove:
		return created()
	case exists:
		return answer{}, contactExists()
	}
	contact := directory.Contact{
		JID: address, Name: text(e.Nickname), Subscription: directory.Subscription(e.Subscription), Groups: sorted(e.Groups),
	}
	if err := c.putContact(u.Username, contact, true, "added roster item for "); err != nil {
		return answer{}, err
	}
	return created()
}

func contactExists() *failure {
	return problem(http.StatusConflict, userAlreadyExists, couldNotCreateItem, "")
}

// updateContact is PUT /users/{username}/roster/{jid}, and without the address in the path, where the
// body's counts.
func updateContact(c *call) (answer, error) {
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	e, err := c.readContact()
	if err != nil {
		return answer{}, err
	}
	name, inPath := c.params["jid"]
	if !inPath {
		name = e.JID
	}
	if text(&name) == "" {
		return answer{}, badRequest("JID is null", "JID")
	}
	address, err := c.server.contactAddress(name)
	if err != nil {
		return answer{}, explain(err, refusal{resource: name})
	}
	item, exists, err := c.contact(u.Username, address)
	switch {
	case err != nil:
		return answer{}, err
	case !exists:
		return answer{}, problem(http.StatusNotFound, userNotFound, couldNotUpdate, name)
	case e.Subscription == subscriptionRemove:
		if err := c.dropContact(u.Username, address); err != nil {
			return answer{}, err
		}
		return done()
	}
	contact := directory.Contact{JID: address, Name: item.Name, Subscription: directory.Subscription(e.Subscription), Groups: item.Groups}
	if e.Nickname != nil {
		contact.Name = text(e.Nickname)
	}
	if e.HasGroups {
		contact.Groups = sorted(e.Groups)
	}
	// A contact that a client made becomes a declared one by this: somebody outside said how it has to be.
	if err := c.putContact(u.Username, contact, !item.Declared, "updated roster item for "); err != nil {
		return answer{}, err
	}
	return done()
}

func (c *call) putContact(username string, contact directory.Contact, create bool, summary string) error {
	err := c.server.Proposer.PutContact(c.ctx, c.actor(), username, contact, create)
	if took(err) {
		c.record(summary+username, detail("jid", contact.JID.String()), detail("subscription", contact.Subscription.String()))
	}
	if err != nil {
		return explain(err, refusal{
			resource: contact.JID.String(),
			exists:   contactExists(),
			notFound: problem(http.StatusNotFound, userNotFound, couldNotUpdate, contact.JID.String()),
		})
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
