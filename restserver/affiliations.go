package restserver

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/muc"
)

// Affiliations are changed entry by entry, and whether they may be is judged by the room as it is at that moment: what two programs do to one room
// at once, both have done.

// affiliation is the one of the path, which has no other words.
func (c *call) affiliation() affiliationWord {
	i := slices.IndexFunc(affiliationWords, func(a affiliationWord) bool { return a.list == c.params["affiliations"] })
	return affiliationWords[max(i, 0)]
}

// listAffiliation is GET /chatrooms/{roomName}/{affiliations}.
func listAffiliation(c *call) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	a := c.affiliation()
	var list []string
	for _, one := range info.Affiliations {
		if one.Affiliation == a.name {
			list = append(list, one.JID.String())
		}
	}
	for _, one := range info.GroupAffiliations {
		if one.Affiliation == a.name {
			list = append(list, c.server.groupAddress(one.Group))
		}
	}
	return listOf(c, list, func(part []string) entity.Entity { return entity.Affiliated{List: a.list, Item: a.item, JIDs: part} })
}

// maxNamed is the most that a room can name of people, and more than it can of groups; no call is looked at that names more.
const maxNamed = 2000

// addAffiliations is POST /chatrooms/{roomName}/{affiliations}.
func addAffiliations(c *call) (answer, error) { return changeList(c, false) }

// replaceAffiliations is PUT /chatrooms/{roomName}/{affiliations}: who is not named does not have that affiliation any more.
func replaceAffiliations(c *call) (answer, error) { return changeList(c, true) }

func changeList(c *call, replace bool) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	name, a := c.params["roomName"], c.affiliation()
	if c.body == nil {
		return answer{}, badRequest("the body has to be a list of "+a.list, name)
	}
	entries, present, err := c.body.Affiliated(a.list, a.item)
	switch {
	case err != nil:
		return answer{}, explain(err, refusal{resource: name})
	case !present:
		return answer{}, badRequest("the body has no list of "+a.list, name)
	}
	if len(entries) > maxNamed {
		return answer{}, badRequest(fmt.Sprintf("a list takes at most %d entries, this one has %d", maxNamed, len(entries)), name)
	}
	var u directory.RoomUpdate
	named := make(map[target]bool, len(entries))
	for _, entry := range entries {
		t, err := c.server.entryTarget(entry, info.Room)
		if err != nil {
			return answer{}, badRequest(err.Error(), name)
		}
		if !named[t] {
			named[t] = true
			t.change(&u, a.name)
		}
	}
	if replace {
		for _, t := range targetsOf(&directory.RoomUpdate{Affiliations: info.Affiliations, GroupAffiliations: info.GroupAffiliations}) {
			if t.in(info.State()) == a.name && !named[t] {
				t.change(&u, "")
			}
		}
	}
	return c.give(info, u, a)
}

// addAffiliation is POST /chatrooms/{roomName}/{affiliations}/{jid}, for a group as well.
func addAffiliation(c *call) (answer, error) {
	return c.withTarget(func(info muc.Info, t target) (answer, error) { return c.giveOne(info, t) })
}

// addGroupAffiliation is POST /chatrooms/{roomName}/{affiliations}/group/{groupname}.
func addGroupAffiliation(c *call) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	return c.giveOne(info, target{group: c.params["groupname"]})
}

// removeAffiliation is DELETE /chatrooms/{roomName}/{affiliations}/{jid}, for a group as well.
func removeAffiliation(c *call) (answer, error) {
	return c.withTarget(func(info muc.Info, t target) (answer, error) { return c.take(info, t, c.params["jid"]) })
}

// removeGroupAffiliation is DELETE /chatrooms/{roomName}/{affiliations}/group/{groupname}.
func removeGroupAffiliation(c *call) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	group := c.params["groupname"]
	return c.take(info, target{group: group}, group)
}

// withTarget reads the room and the address of the path.
func (c *call) withTarget(then func(muc.Info, target) (answer, error)) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	t, err := c.server.nameTarget(c.params["jid"], info.Room)
	if err != nil {
		return answer{}, badRequest(err.Error(), c.params["roomName"])
	}
	return then(info, t)
}

func (c *call) giveOne(info muc.Info, t target) (answer, error) {
	var u directory.RoomUpdate
	a := c.affiliation()
	t.change(&u, a.name)
	return c.give(info, u, a)
}

// give carries out a change of affiliations that is about one of them.
func (c *call) give(info muc.Info, u directory.RoomUpdate, a affiliationWord) (answer, error) {
	name := c.params["roomName"]
	u.Permit = func(now directory.RoomState) error {
		if c.server.hasOwner(now) && !c.server.hasOwner(after(now, &u)) {
			return problem(http.StatusConflict, notAllowed, "Could not apply modification to list of "+a.item, name)
		}
		return nil
	}
	err := c.changeAffiliations(info, u)
	if took(err) && c.flag("sendInvitations") {
		c.inviteAffiliated(info.Identity(), news(info, u))
	}
	if err != nil {
		return answer{}, explain(err, refusal{resource: name, notFound: noRoom(name)})
	}
	return created()
}

// take ends an affiliation, which has to be exactly the one that the target has.
func (c *call) take(info muc.Info, t target, resource string) (answer, error) {
	a := c.affiliation()
	var u directory.RoomUpdate
	t.change(&u, "")
	u.Permit = func(now directory.RoomState) error {
		if t.in(now) != a.name || c.server.hasOwner(now) && !c.server.hasOwner(after(now, &u)) {
			return problem(http.StatusConflict, notAllowed, "Could not delete affiliation", resource)
		}
		return nil
	}
	if err := c.changeAffiliations(info, u); err != nil {
		return answer{}, explain(err, refusal{resource: resource, notFound: noRoom(c.params["roomName"])})
	}
	return done()
}

// changeAffiliations changes a room where its affiliations rest, and records what has become another.
func (c *call) changeAffiliations(info muc.Info, u directory.RoomUpdate) error {
	err := muc.ErrDeclared
	if info.Temporary() {
		err = c.server.Rooms.ChangeTemporary(info.Identity(), u)
	}
	if errors.Is(err, muc.ErrDeclared) {
		if err = c.server.Proposer.UpdateRoom(c.ctx, c.actor(), info.Identity(), u); took(err) {
			c.server.Rooms.Follow(info.Identity())
		}
	}
	if !took(err) {
		return err
	}
	var deeds []deed
	next := after(directory.RoomState{}, &u)
	for _, t := range targetsOf(&u) {
		to := t.in(next)
		if t.in(info.State()) == to {
			continue
		}
		word := "none"
		if i := slices.IndexFunc(affiliationWords, func(a affiliationWord) bool { return a.name == to }); i >= 0 {
			word = affiliationWords[i].item
		}
		deeds = append(deeds, deed{fmt.Sprintf("set MUC affiliation to %s for %s in %s", word, t, info.RoomName), []string{detail("service", info.Service)}})
	}
	if len(deeds) > 0 {
		c.recordAll(deeds)
	}
	return err
}

// news is the part of an update that gives somebody another affiliation than before.
func news(info muc.Info, u directory.RoomUpdate) directory.RoomUpdate {
	var part directory.RoomUpdate
	now, next := info.State(), after(directory.RoomState{}, &u)
	for _, t := range targetsOf(&u) {
		if to := t.in(next); to != t.in(now) {
			t.change(&part, to)
		}
	}
	return part
}
