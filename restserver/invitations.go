package restserver

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
)

// invite is POST /chatrooms/{roomName}/invite/{jid}: a user, or everybody in a group, is invited by the room.
func invite(c *call) (answer, error) {
	return c.withInvitation(func(info muc.Info, i entity.Invitation) (answer, error) {
		return c.invitePeople(info, []string{c.params["jid"]}, i.Reason)
	})
}

// inviteSeveral is POST /chatrooms/{roomName}/invite: the body says whom.
func inviteSeveral(c *call) (answer, error) {
	return c.withInvitation(func(info muc.Info, i entity.Invitation) (answer, error) {
		if len(i.JIDs) == 0 {
			return answer{}, badRequest("the body has to say in jidsToInvite who is invited", c.params["roomName"])
		}
		return c.invitePeople(info, i.JIDs, i.Reason)
	})
}

func (c *call) withInvitation(then func(muc.Info, entity.Invitation) (answer, error)) (answer, error) {
	info, err := c.room()
	if err != nil {
		return answer{}, err
	}
	var i entity.Invitation
	if c.body != nil {
		if i, err = c.body.Invitation(); err != nil {
			return answer{}, explain(err, refusal{resource: c.params["roomName"]})
		}
	}
	return then(info, i)
}

// maxInvited bounds the names of one call.
const maxInvited = 1000

// invitePeople invites all of them or nobody. Who is banned is not invited by name; of a group, the others are.
func (c *call) invitePeople(info muc.Info, names []string, reason string) (answer, error) {
	name := c.params["roomName"]
	if len(names) > maxInvited {
		return answer{}, badRequest(fmt.Sprintf("one call invites at most %d, this one names %d: send them in parts", maxInvited, len(names)), name)
	}
	targets := make([]target, 0, len(names))
	var people []jid.JID
	for _, one := range names {
		t, err := c.server.nameTarget(one, info.Room)
		if err != nil || t.group == "" && t.jid.Local() == "" {
			return answer{}, badRequest(noAddress(one).Error(), name)
		}
		if t.group == "" {
			people = append(people, t.jid)
		}
		targets = append(targets, t)
	}
	if banned := c.server.Rooms.Banned(info, people); len(banned) > 0 {
		i := slices.IndexFunc(targets, func(t target) bool { return t.jid == banned[0] })
		return answer{}, problem(http.StatusForbidden, notAllowed, "Could not invite user", names[i])
	}
	if err := c.server.Rooms.Invite(info.Identity(), c.server.guests(info, targets), reason); err != nil {
		return answer{}, c.keptTrouble(err)
	}
	deeds := make([]deed, len(targets))
	for i, t := range targets {
		deeds[i] = deed{"invited " + t.String() + " to MUC room " + info.RoomName, []string{detail("service", info.Service)}}
	}
	c.recordAll(deeds)
	return done()
}

// guests are the people of targets who are not banned.
func (s *Server) guests(info muc.Info, targets []target) []jid.JID {
	people := s.people(targets)
	banned := s.Rooms.Banned(info, people)
	return slices.DeleteFunc(people, func(j jid.JID) bool { return slices.Contains(banned, j) })
}

// inviteAffiliated invites those whom an update makes owners, admins or members, and tells them so. That a change has been made does not depend on its
// invitations, so a failure is for the log.
func (c *call) inviteAffiliated(identity string, u directory.RoomUpdate) {
	info, ok := c.server.Rooms.Room(identity)
	if !ok {
		return
	}
	state := after(directory.RoomState{}, &u)
	for _, a := range []struct {
		name directory.AffiliationName
		what string
	}{{directory.AffiliationOwner, "an owner"}, {directory.AffiliationAdmin, "an admin"}, {directory.AffiliationMember, "a member"}} {
		var targets []target
		for _, t := range targetsOf(&u) {
			if t.in(state) == a.name {
				targets = append(targets, t)
			}
		}
		guests := c.server.guests(info, targets)
		if len(guests) == 0 {
			continue
		}
		if err := c.server.Rooms.Invite(identity, guests, "You are now "+a.what+" of the room "+info.DisplayName+"."); err != nil {
			c.server.Log.Warn("invitations to a room were not sent", "room", identity, "error", err.Error())
		}
	}
}
