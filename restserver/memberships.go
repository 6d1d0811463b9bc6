package restserver

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// maxMemberships is how many groups one call puts somebody into, or takes him out of, while its caller waits.
const maxMemberships = 1000

// listUserGroups is GET /users/{username}/groups: also those that a label selector puts the user into.
func listUserGroups(c *call) (answer, error) {
	name := c.params["username"]
	if _, host, foreign := strings.Cut(name, "@"); foreign {
		if prepared, err := jid.PrepareDomain(host); err != nil || prepared != c.server.Domain {
			return answer{}, problem(http.StatusBadRequest, groupNotFound, "this server knows the groups of its own users only", name)
		}
	}
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	address, err := jid.New(u.Username, c.server.Domain, "")
	if err != nil {
		return answer{}, err
	}
	return listOf(c, c.server.Directory.GroupsOf(address), func(part []string) entity.Entity { return entity.UserGroups(part) })
}

// member is who the path is about: somebody of this server or of another, whether there is such a user or not.
func (c *call) member() (jid.JID, error) {
	name := c.params["username"]
	j, err := c.server.memberAddress(name)
	if err != nil {
		return jid.JID{}, explain(err, refusal{resource: name})
	}
	return j, nil
}

// addToGroup is POST /users/{username}/groups/{group}.
func addToGroup(c *call) (answer, error) {
	j, err := c.member()
	if err != nil {
		return answer{}, err
	}
	if err := c.join(j, c.params["group"]); err != nil {
		return answer{}, err
	}
	return created()
}

// addToGroups is POST /users/{username}/groups.
func addToGroups(c *call) (answer, error) {
	if err := c.eachGroup(c.join); err != nil {
		return answer{}, err
	}
	return created()
}

// removeFromGroup is DELETE /users/{username}/groups/{group}, also for somebody who isn't in it.
func removeFromGroup(c *call) (answer, error) {
	j, err := c.member()
	if err != nil {
		return answer{}, err
	}
	if err := c.leave(j, c.params["group"]); err != nil {
		return answer{}, err
	}
	return done()
}

// removeFromGroups is DELETE /users/{username}/groups.
func removeFromGroups(c *call) (answer, error) {
	if err := c.eachGroup(c.leave); err != nil {
		return answer{}, err
	}
	return done()
}

// eachGroup does something to the membership of the path's user in the groups of the body; a body of nothing means none.
func (c *call) eachGroup(do func(j jid.JID, group string) error) error {
	j, err := c.member()
	if err != nil || c.body == nil {
		return err
	}
	groups, err := c.body.UserGroups()
	if err != nil {
		return err
	}
	return each(j, groups, do)
}

// each does something to the membership in several groups. One that is missing or refused doesn't stop the others; the first is
// reported. What is the matter with the server ends it: the others would wait in vain.
func each(j jid.JID, groups []string, do func(j jid.JID, group string) error) error {
	if len(groups) > maxMemberships {
		return badRequest(fmt.Sprintf("one call takes at most %d groups, this one has %d: send them in parts", maxMemberships, len(groups)), j.String())
	}
	var first error
	for _, group := range groups {
		err := do(j, group)
		if first == nil {
			first = err
		}
		f, isFailure := errors.AsType[*failure](err)
		if err != nil && (!isFailure || f.status >= http.StatusInternalServerError && f.status != http.StatusGatewayTimeout) { // which is done, and only late
			break
		}
	}
	return first
}

// join makes somebody a plain member of a group, which is created if it is missing.
func (c *call) join(j jid.JID, group string) error {
	if strings.TrimSpace(group) == "" {
		return badRequest("a group without a name cannot be created", group)
	}
	if g, exists := c.server.Directory.Group(group); exists && c.server.picks(g, j) && !among(g.Admins, j) {
		return nil // a member already
	}
	made, err := c.server.Proposer.EnsureGroup(c.ctx, c.actor(), group, directory.GroupUpdate{AddMembers: []jid.JID{j}, RemoveAdmins: []jid.JID{j}})
	if took(err) {
		deeds := []deed{{"added group member to " + group, []string{detail("member", j.String())}}}
		if made {
			deeds = append([]deed{{summary: "created new group " + group}}, deeds...)
		}
		c.recordAll(deeds)
	}
	if err != nil {
		return explain(err, refusal{resource: group, notFound: noGroup(group)})
	}
	return nil
}

// leave takes somebody off the lists of a group.
func (c *call) leave(j jid.JID, group string) error {
	g, exists := c.server.Directory.Group(group)
	switch {
	case !exists:
		return noGroup(group)
	case c.server.picks(g, j):
		return pickedBySelector(j, group)
	}
	err := c.server.Proposer.UpdateGroup(c.ctx, c.actor(), group, directory.GroupUpdate{RemoveMembers: []jid.JID{j}, RemoveAdmins: []jid.JID{j}})
	if took(err) {
		c.record("updated group membership for "+group, detail("removed", j.String()))
	}
	if err != nil {
		return explain(err, refusal{resource: group, notFound: noGroup(group)})
	}
	return nil
}
