package restserver

import (
	"net/http"
	"slices"
	"strings"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	couldNotCreateGroup = "Could not create new group"
	couldNotUpdateGroup = "Could not update new group" // as the original words it
)

// listGroups is GET /groups: by name, without those who are in them.
func listGroups(c *call) (answer, error) {
	return listOf(c, c.server.Directory.Groups(), func(part []*directory.Group) entity.Entity {
		list := make(entity.Groups, len(part))
		for i, g := range part {
			list[i] = entity.Group{Name: g.GroupName, Description: g.Description, Shared: isShared(g)}
		}
		return list
	})
}

// isShared says whether the members of a group see each other in their rosters; who else does is more than the API can say.
func isShared(g *directory.Group) bool { return g.SharedRoster.Mode != directory.SharedNobody }

// getGroup is GET /groups/{group}. Those whom a label selector picks are members like others.
func getGroup(c *call) (answer, error) {
	g, err := c.group()
	if err != nil {
		return answer{}, err
	}
	members := filter(c.server.Directory.Members(g.GroupName), func(j jid.JID) bool { return !among(g.Admins, j) })
	return ok(entity.Group{
		Name: g.GroupName, Description: g.Description, Shared: isShared(g),
		Admins: addresses(g.Admins), HasAdmins: true, Members: addresses(members), HasMembers: true,
	})
}

// group finds the group of the path, whose name is exact.
func (c *call) group() (*directory.Group, error) {
	name := c.params["group"]
	g, exists := c.server.Directory.Group(name)
	if !exists {
		return nil, noGroup(name)
	}
	return g, nil
}

func noGroup(name string) *failure {
	return problem(http.StatusNotFound, groupNotFound, "Could not find group", name)
}

// addresses writes a list of members as answers do, by name.
func addresses(list []jid.JID) []string {
	names := make([]string, len(list))
	for i, j := range list {
		names[i] = j.String()
	}
	slices.Sort(names)
	return names
}

// createGroup is POST /groups.
func createGroup(c *call) (answer, error) {
	if c.body == nil {
		return answer{}, badRequest(couldNotCreateGroup, "groups")
	}
	e, err := c.body.Group()
	if err != nil {
		return answer{}, err
	}
	exists := problem(http.StatusConflict, groupAlreadyExists, "Could not create a group", e.Name)
	switch {
	case e.Name == "":
		return answer{}, badRequest(couldNotCreateGroup, "groups")
	case strings.TrimSpace(e.Name) == "":
		// As in the original: it refuses the name, and has no other word for that.
		return answer{}, exists
	}
	wish, err := c.readMembers(e)
	if err != nil {
		return answer{}, err
	}
	fresh := &directory.Group{SharedRoster: directory.SharedRoster{Mode: directory.SharedNobody}}
	update := wish.change(fresh, nil)
	update.Description, update.SharedRoster = new(text(&e.Description)), sharing(fresh, e.Shared)
	err = c.server.Proposer.CreateGroup(c.ctx, c.actor(), e.Name, update)
	if took(err) {
		c.record("created new group "+e.Name, groupDetails(update)...)
	}
	if err != nil {
		return answer{}, explain(err, refusal{resource: e.Name, exists: exists, doing: "created"})
	}
	return created()
}

// updateGroup is PUT /groups/{group}: the description and whether it is shared become what the body says, and so do members and admins where
// it has the list. What follows for each person is proposed one by one, so that others can change the group meanwhile.
func updateGroup(c *call) (answer, error) {
	name := c.params["group"]
	if c.body == nil {
		return answer{}, badRequest(couldNotUpdateGroup, "groups")
	}
	e, err := c.body.Group()
	switch {
	case err != nil:
		return answer{}, err
	case strings.TrimSpace(e.Name) == "":
		return answer{}, badRequest(couldNotUpdateGroup, "groups")
	case e.Name != name:
		return answer{}, badRequest("the name of the path and of the body differ, and groups cannot be renamed: create the new group and delete the old one",
			name+" != "+e.Name)
	}
	g, err := c.group()
	if err != nil {
		return answer{}, err
	}
	wish, err := c.readMembers(e)
	if err != nil {
		return answer{}, err
	}
	picked := c.server.picked(g)
	for _, j := range picked {
		if wish.dismisses(g, j) {
			return answer{}, pickedBySelector(j, name)
		}
	}
	update := wish.change(g, picked)
	update.Description, update.SharedRoster = new(text(&e.Description)), sharing(g, e.Shared)
	err = c.server.Proposer.UpdateGroup(c.ctx, c.actor(), name, update)
	if took(err) {
		details := groupDetails(update)
		if *update.Description == "" && g.Description != "" {
			details = append([]string{detail("description", "")}, details...)
		}
		c.record("edited group "+name, details...)
	}
	if err != nil {
		return answer{}, explain(err, refusal{resource: name, notFound: noGroup(name)})
	}
	return done()
}

// deleteGroup is DELETE /groups/{group}.
func deleteGroup(c *call) (answer, error) {
	g, err := c.group()
	if err != nil {
		return answer{}, err
	}
	err = c.server.Proposer.DeleteGroup(c.ctx, c.actor(), g.GroupName)
	if took(err) {
		c.recordEnd(g.UID, "deleted group "+g.GroupName)
	}
	if err != nil {
		return answer{}, explain(err, refusal{resource: g.GroupName, notFound: noGroup(g.GroupName)})
	}
	return done()
}

// sharing is the change that makes a group shared or not; nil: it is. A group that is shared with more than its members stays so.
func sharing(g *directory.Group, shared bool) *directory.SharedRoster {
	switch {
	case shared == isShared(g):
		return nil
	case shared:
		return &directory.SharedRoster{Mode: directory.SharedOnlyGroup}
	default:
		return &directory.SharedRoster{Mode: directory.SharedNobody}
	}
}

// groupDetails tells what an entry about a group may tell.
func groupDetails(u directory.GroupUpdate) []string {
	var lines []string
	if u.Description != nil && *u.Description != "" {
		lines = append(lines, detail("description", *u.Description))
	}
	for _, list := range []struct {
		name string
		of   []jid.JID
	}{{"members added", u.AddMembers}, {"members removed", u.RemoveMembers}, {"admins added", u.AddAdmins}, {"admins removed", u.RemoveAdmins}} {
		if len(list.of) > 0 {
			lines = append(lines, detail(list.name, strings.Join(addresses(list.of), ", ")))
		}
	}
	if u.SharedRoster != nil {
		lines = append(lines, detail("shared", string(u.SharedRoster.Mode)))
	}
	return lines
}

// memberWish is who shall be in a group. A list that is nil says nothing.
type memberWish struct{ admins, members map[jid.JID]bool }

// readMembers reads the two lists of a group. Who is in both is an admin.
func (c *call) readMembers(e entity.Group) (memberWish, error) {
	read := func(what string, names []string, present bool) (map[jid.JID]bool, error) {
		if !present {
			return nil, nil
		}
		list := make(map[jid.JID]bool, len(names))
		for _, name := range names {
			j, err := c.server.memberAddress(name)
			if err != nil {
				return nil, badRequest("Cannot parse a "+what+" value as a JID: "+name, e.Name)
			}
			list[j] = true
		}
		return list, nil
	}
	var w memberWish
	var err error
	if w.members, err = read("member", e.Members, e.HasMembers); err != nil {
		return w, err
	}
	if w.admins, err = read("admin", e.Admins, e.HasAdmins); err != nil {
		return w, err
	}
	for j := range w.admins {
		delete(w.members, j)
	}
	return w, nil
}

// dismisses says whether somebody is no member of a group any more. Where the wish has no admins, an admin is left alone.
func (w memberWish) dismisses(g *directory.Group, j jid.JID) bool {
	if w.members == nil || w.members[j] || w.admins[j] {
		return false
	}
	return w.admins != nil || !among(g.Admins, j)
}

// change says who comes and who goes, for a group as it is. Members whom its selector picks need not be named. Who becomes an admin is no
// plain member any more, and the reverse.
func (w memberWish) change(g *directory.Group, picked []jid.JID) directory.GroupUpdate {
	var u directory.GroupUpdate
	for j := range w.admins {
		if !among(g.Admins, j) {
			u.AddAdmins = append(u.AddAdmins, j)
		}
	}
	for _, j := range g.Admins {
		if w.admins != nil && !w.admins[j] || w.members[j] {
			u.RemoveAdmins = append(u.RemoveAdmins, j)
		}
	}
	for j := range w.members {
		if !among(g.Members, j) && !among(picked, j) {
			u.AddMembers = append(u.AddMembers, j)
		}
	}
	for _, j := range g.Members {
		// An admin whom somebody declared a member as well stays both.
		if w.dismisses(g, j) || w.admins[j] && !among(g.Admins, j) {
			u.RemoveMembers = append(u.RemoveMembers, j)
		}
	}
	slices.SortFunc(u.AddAdmins, jid.JID.Compare)
	slices.SortFunc(u.AddMembers, jid.JID.Compare)
	return u
}

// among says whether a sorted list has an address.
func among(list []jid.JID, j jid.JID) bool {
	_, there := slices.BinarySearchFunc(list, j, jid.JID.Compare)
	return there
}

// picked lists those whom the selector of a group picks, sorted.
func (s *Server) picked(g *directory.Group) []jid.JID {
	if g.Selector == nil {
		return nil
	}
	return filter(s.Directory.Members(g.GroupName), func(j jid.JID) bool { return s.picks(g, j) })
}

// picks says whether the selector of a group picks somebody, whether the group names him or not.
func (s *Server) picks(g *directory.Group, j jid.JID) bool {
	if g.Selector == nil || j.Domain() != s.Domain {
		return false
	}
	u, known := s.Directory.User(j.Local())
	return known && g.Selector.Matches(u.Labels)
}

func pickedBySelector(j jid.JID, group string) *failure {
	return problem(http.StatusConflict, managedByOther,
		"spec.selector of the group picks "+j.String()+" by the labels of the user: change the labels or the selector", group)
}
