package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Properties of Openfire that tell something of others.
const (
	openfireDomain = "xmpp.domain"
	openfireAdmins = "admin.authorizedJIDs"
)

// convertOpenfireREST makes an export of what a running Openfire tells of itself: users with their contacts and vCards, groups, rooms, chat
// services and properties. It does not tell passwords, nor who is locked out.
func (c *conversion) convertOpenfireREST(ctx context.Context, o *openfire, allProperties bool) error {
	var properties restProperties
	if err := o.get(ctx, &properties, nil, "system", "properties"); err != nil {
		return err
	}
	values := map[string]string{}
	for _, p := range properties.Properties {
		values[p.Key] = p.Value
	}
	if c.from == "" {
		c.from, _ = jid.PrepareDomain(values[openfireDomain])
	}
	if c.domain == "" {
		if c.domain = c.from; c.domain == "" {
			return &UsageError{errors.New("this Openfire does not tell its domain: give --domain")}
		}
	}
	if c.from == "" {
		c.from = c.domain
	}
	c.begin()
	fellows, err := c.restGroups(ctx, o)
	if err != nil {
		return err
	}
	if err := c.restUsers(ctx, o, c.admins(values), fellows); err != nil {
		return err
	}
	if err := c.restRooms(ctx, o); err != nil {
		return err
	}
	c.restProperties(properties.Properties, allProperties)
	c.notes.add("Openfire's REST API tells neither passwords nor who is locked out: lock those accounts again")
	return c.finish()
}

// admins are the usernames of the administrators: who stands in the property, or "admin" while there is none.
func (c *conversion) admins(values map[string]string) map[string]bool {
	list := map[string]bool{}
	for _, one := range strings.Split(values[openfireAdmins], ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if !strings.Contains(one, "@") {
			one += "@" + c.from
		}
		address, err := c.address(one)
		local, domain, _ := strings.Cut(address, "@")
		if err == nil && domain == c.domain {
			list[local] = true
		}
	}
	if len(list) == 0 {
		list["admin"] = true
	}
	return list
}

// fellows say which people have each other as contacts because they are in one shared group.
type fellows map[string][]map[string]bool // the groups of each address, as sets of addresses

func (f fellows) add(group []string) {
	set := make(map[string]bool, len(group))
	for _, one := range group {
		if !set[one] {
			set[one] = true
			f[one] = append(f[one], set)
		}
	}
}

func (f fellows) are(one, other string) bool {
	return slices.ContainsFunc(f[one], func(group map[string]bool) bool { return group[other] })
}

func (c *conversion) restUsers(ctx context.Context, o *openfire, admins map[string]bool, shared fellows) error {
	var users restUsers
	if err := o.get(ctx, &users, nil, "users"); err != nil {
		return err
	}
	c.progress.begin("users", len(users.Users))
	vcards := true
	for i := range users.Users {
		from := &users.Users[i]
		u := &foreignUser{person: &person{username: from.Username}, name: from.Name, email: from.Email}
		if local, err := jid.PrepareLocal(from.Username); err == nil {
			u.admin = admins[local]
		}
		for _, p := range from.Properties {
			if slices.ContainsFunc(u.properties, func(known v1alpha1.Property) bool { return known.Key == p.Key }) {
				continue
			}
			u.properties = append(u.properties, v1alpha1.Property{Key: p.Key, Value: optional(p.Value)})
		}
		var roster restRoster
		if err := o.get(ctx, &roster, nil, "users", url.PathEscape(from.Username), "roster"); err != nil && !errors.Is(err, errNotThere) {
			return err
		}
		for _, item := range roster.Items {
			if item.Subscription < 0 || item.Subscription >= len(subscriptions) {
				continue
			}
			// Openfire lists contacts of shared groups among the others, and without groups; here they come from the ChatGroup again.
			if address, err := c.address(item.JID); err == nil && len(item.Groups) == 0 && shared.are(u.username+"@"+c.domain, address) {
				continue
			}
			slices.Sort(item.Groups)
			u.contacts = append(u.contacts, contact{
				jid: item.JID, name: item.Nickname, subscription: int64(item.Subscription), groups: slices.Compact(item.Groups),
			})
		}
		if vcards {
			card, err := o.fetch(ctx, nil, "users", url.PathEscape(from.Username), "vcard")
			switch {
			case errors.Is(err, errNotThere):
			case err != nil:
				return err
			default:
				u.vcard = c.vcard(card, from.Username)
			}
		}
		if err := c.user(u); err != nil {
			return err
		}
		c.progress.step()
	}
	return nil
}

// vcard gives a vCard as the store has it; nil when that is none.
func (c *conversion) vcard(card []byte, username string) []byte {
	x := newXMLReader(bytes.NewReader(card))
	start, err := x.root()
	if err == nil && (start.Name.Space != nsVCard || start.Name.Local != "vCard") {
		err = fmt.Errorf("it begins with %s", start.Name.Local)
	}
	if err == nil {
		card, err = x.element(start, nsClient, "")
	}
	if err != nil {
		c.notes.add(fmt.Sprintf("The vCard of %s is left out: %v", username, err))
		return nil
	}
	return card
}

func (c *conversion) restGroups(ctx context.Context, o *openfire) (fellows, error) {
	var groups restGroups
	if err := o.get(ctx, &groups, nil, "groups"); err != nil {
		return nil, err
	}
	shared := fellows{}
	c.progress.begin("groups", len(groups.Groups))
	for _, one := range groups.Groups {
		var g restGroup
		err := o.get(ctx, &g, nil, "groups", url.PathEscape(one.Name))
		if errors.Is(err, errNotThere) {
			c.notes.add(fmt.Sprintf("The group %q is left out, since it went while Openfire was read", one.Name))
			continue
		}
		if err != nil {
			return nil, err
		}
		if n := utf8.RuneCountInString(g.Name); n > maxName {
			c.notes.add(fmt.Sprintf("The group %.40q is left out, since its name has more than %d characters", g.Name, maxName))
			continue
		}
		resource := &v1alpha1.ChatGroup{}
		resource.Name = v1alpha1.EncodeName(g.Name)
		if resource.Name != g.Name {
			resource.Spec.GroupName = &g.Name
		}
		resource.Spec.Description = optional(g.Description)
		resource.Spec.Members = c.members(g.Members, g.Name)
		resource.Spec.Admins = c.members(g.Admins, g.Name)
		if g.Shared {
			resource.Spec.SharedRoster = &v1alpha1.SharedRoster{Mode: v1alpha1.SharedRosterOnlyGroup}
			shared.add(c.addresses(slices.Concat(g.Members, g.Admins)))
		}
		c.fitGroup(&resource.Spec, g.Name)
		c.mark(resource, time.Time{})
		c.resources.add(resource)
		c.progress.step()
	}
	return shared, nil
}

// addresses are those of members, as far as they are some.
func (c *conversion) addresses(members []string) (list []string) {
	for _, one := range members {
		if !strings.Contains(one, "@") {
			one += "@" + c.from
		}
		if address, err := c.address(one); err == nil {
			list = append(list, address)
		}
	}
	return list
}

// members are written as ChatGroups have them: usernames of this server, and addresses of others.
func (c *conversion) members(list []string, group string) (members []string) {
	for _, one := range list {
		if !strings.Contains(one, "@") {
			one += "@" + c.from
		}
		address, err := c.address(one)
		if err != nil {
			c.notes.add(fmt.Sprintf("The member %q of the group %q is left out: %v", one, group, err))
			continue
		}
		if local, domain, _ := strings.Cut(address, "@"); domain == c.domain {
			address = local
		}
		if !slices.Contains(members, address) {
			members = append(members, address)
		}
	}
	return members
}

func (c *conversion) restRooms(ctx context.Context, o *openfire) error {
	services := []string{v1alpha1.DefaultRoomService}
	var listed restServices
	if err := o.get(ctx, &listed, nil, "chatservices"); err != nil && !errors.Is(err, errNotThere) {
		return err
	}
	for _, s := range listed.Services {
		name := strings.ToLower(s.Name)
		if name == v1alpha1.DefaultRoomService {
			continue
		}
		services = append(services, name)
		text := strings.TrimSpace(s.Description)
		if text == "" {
			text = name
		}
		c.property(directory.RoomServicePrefix+name, text)
		if s.Hidden {
			c.property(directory.RoomServicePrefix+name+directory.RoomServiceHidden, "true")
		}
	}
	for _, service := range services {
		var rooms restRooms
		err := o.get(ctx, &rooms, url.Values{"type": {"all"}, "servicename": {service}}, "chatrooms")
		if errors.Is(err, errNotThere) {
			continue
		}
		if err != nil {
			return err
		}
		c.progress.begin("rooms of "+service, len(rooms.Rooms))
		for i := range rooms.Rooms {
			c.room(&rooms.Rooms[i], service)
			c.progress.step()
		}
	}
	return nil
}

// room adds a lasting room. What is as ChatRooms have it by default is not spelled out.
func (c *conversion) room(r *restRoom, service string) {
	local, err := jid.PrepareLocal(strings.TrimSpace(r.Name))
	if err != nil {
		c.notes.add(fmt.Sprintf("The room %q is left out, since that is no name of a room: %v", r.Name, err))
		return
	}
	if !r.Persistent {
		c.notes.add(fmt.Sprintf("The room %q is left out, since it is temporary", v1alpha1.RoomIdentity(local, service)))
		return
	}
	resource := &v1alpha1.ChatRoom{}
	resource.Name = v1alpha1.EncodeRoomName(local, service)
	s := &resource.Spec
	if resource.Name != local {
		s.RoomName = &local
	}
	if service != v1alpha1.DefaultRoomService {
		s.Service, s.RoomName = &service, &local
	}
	if r.NaturalName != local {
		s.DisplayName = optional(r.NaturalName)
	}
	s.Description, s.Subject = optional(r.Description), optional(r.Subject)
	if r.MaxUsers > 0 {
		s.MaxOccupants = &r.MaxUsers
	}
	for _, flag := range []struct {
		into          **bool
		value, normal bool
	}{
		{&s.Listed, r.Public, true}, {&s.RegistrationEnabled, r.Registration, true}, {&s.CanChangeSubject, r.OccupantsChange, false},
		{&s.CanInvite, r.OccupantsInvite, false}, {&s.CanChangeNickname, r.ChangeNickname, true}, {&s.Archived, r.Log, true},
		{&s.NicknameRestricted, r.RestrictedToNickname, false}, {&s.MembersOnly, r.MembersOnly, false}, {&s.Moderated, r.Moderated, false},
	} {
		if flag.value != flag.normal {
			*flag.into = &flag.value
		}
	}
	if r.AnyoneDiscovers {
		s.WhoSeesJIDs = new(v1alpha1.WhoSeesJIDsAnyone)
	}
	switch strings.ToLower(r.AllowPM) {
	case "participants":
		s.PrivateMessages = new(v1alpha1.PrivateMessagesParticipants)
	case "moderators":
		s.PrivateMessages = new(v1alpha1.PrivateMessagesModerators)
	case "none":
		s.PrivateMessages = new(v1alpha1.PrivateMessagesNone)
	}
	s.PresenceBroadcast = presenceRoles(r.Broadcast)
	c.affiliations(resource, r)
	c.fitRoom(s, local)
	created, _ := time.Parse(time.RFC3339, r.Created) // one that is none is not carried
	c.mark(resource, created)
	if r.Password != "" {
		secret := provision.RoomPasswordSecret(resource.Name+"-password", resource.Name, r.Password)
		if c.declared {
			secret.Labels, secret.Annotations, secret.Type = nil, nil, ""
		}
		c.resources.add(secret)
		s.PasswordSecretRef = &v1alpha1.LocalSecretReference{Name: secret.Name}
	}
	c.resources.add(resource)
}

// presenceRoles are the roles whose presence is told; nil when those are all.
func presenceRoles(words []string) []v1alpha1.PresenceRole {
	roles := []v1alpha1.PresenceRole{}
	for _, role := range []v1alpha1.PresenceRole{v1alpha1.PresenceRoleModerator, v1alpha1.PresenceRoleParticipant, v1alpha1.PresenceRoleVisitor} {
		if slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(word, string(role)) }) {
			roles = append(roles, role)
		}
	}
	if len(roles) == 3 {
		return nil
	}
	return roles
}

// affiliations gives each person and each group the highest of the affiliations that a room lists them with, but for those who are banned.
func (c *conversion) affiliations(resource *v1alpha1.ChatRoom, r *restRoom) {
	people, groups := map[string]bool{}, map[string]bool{}
	for _, list := range []struct {
		affiliation    v1alpha1.Affiliation
		people, groups []string
	}{
		{v1alpha1.AffiliationOwner, r.Owners, r.OwnerGroups},
		{v1alpha1.AffiliationAdmin, r.Admins, r.AdminGroups},
		{v1alpha1.AffiliationOutcast, r.Outcasts, r.OutcastGroups},
		{v1alpha1.AffiliationMember, r.Members, r.MemberGroups},
	} {
		for _, one := range list.people {
			address, err := c.address(one)
			if err != nil {
				c.notes.add(fmt.Sprintf("The %s %q of the room %q is left out: %v", strings.ToLower(string(list.affiliation)), one, r.Name, err))
				continue
			}
			if people[address] {
				continue
			}
			people[address] = true
			resource.Spec.Affiliations = append(resource.Spec.Affiliations, v1alpha1.RoomAffiliation{JID: address, Affiliation: list.affiliation})
		}
		for _, group := range list.groups {
			if groups[group] {
				continue
			}
			groups[group] = true
			resource.Spec.GroupAffiliations = append(resource.Spec.GroupAffiliations, v1alpha1.RoomGroupAffiliation{Group: group, Affiliation: list.affiliation})
		}
	}
}

// restProperties adds the properties that this server acts on, and the others if they are wanted. Openfire gives secret values in clear: those are
// never taken.
func (c *conversion) restProperties(list []restProperty, all bool) {
	left := 0
	for _, p := range list {
		setting, known := directory.SettingOf(p.Key)
		switch {
		case p.Key == openfireDomain, p.Key == openfireAdmins: // which have become the domain and the administrators
		case known && setting.Secret:
			c.notes.add(fmt.Sprintf("The property %s is left out, since its value is secret: programs go on with it when it is under the key rest-secret of the installation's Secret", p.Key))
		case known:
			if err := directory.ValidateSetting(p.Key, p.Value); err != nil {
				c.notes.add(fmt.Sprintf("The property %s is left out: %v", p.Key, err))
				continue
			}
			if p.Value != setting.Default {
				c.property(p.Key, p.Value)
			}
		case !all || secretive(p.Key) || len(p.Value) > maxPropertySize, utf8.RuneCountInString(p.Key) > maxPropertyKey:
			left++
		default:
			c.property(p.Key, p.Value)
		}
	}
	if left > 0 {
		c.notes.add(fmt.Sprintf("%d properties of Openfire are left out, since this server does not act on them, or they may be secret", left))
	}
}

// secretive says whether a property may be one that is not for everybody's eyes.
func secretive(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc([]string{"password", "passwd", "secret", "token", "private", "credential", "key"}, func(word string) bool { return strings.Contains(key, word) })
}

func (c *conversion) property(key, value string) {
	resource := &v1alpha1.SystemProperty{}
	resource.Name = v1alpha1.EncodeName(key)
	if resource.Name != key {
		resource.Spec.Key = &key
	}
	resource.Spec.Value = &value
	c.mark(resource, time.Time{})
	c.resources.add(resource)
}
