package restserver

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Right is something that an operation does, in terms of the declared resources. Who may do the same to the
// resources with kubectl may do it here.
type Right struct {
	// Verb and Resource are those of Kubernetes: "update", "chatusers".
	Verb, Resource string
	// Name is what the path names: a prepared username, a group, a room ("room@service" where the service is another than
	// conference), a key. Empty: none in particular.
	Name string
	// Change is false for what only reads.
	Change bool
}

// Resources that rights are about.
const (
	resourceUsers      = "chatusers"
	resourceGroups     = "chatgroups"
	resourceRooms      = "chatrooms"
	resourceProperties = "systemproperties"
)

// demand is what operations below a path need, by method: "verb resource", and all of several.
type demand struct {
	// path is a route's beginning; * stands for any parameter.
	path                   string
	get, post, put, remove string
}

// demands are looked through in their order. What acts on a person, such as a session or a message, is a change of that person; what
// is nobody's resource is asked for like the settings.
func demands() []demand {
	const (
		getUser, listUsers, updateUser    = "get chatusers", "list chatusers", "update chatusers"
		getGroup, updateGroup             = "get chatgroups", "update chatgroups"
		getRoom, updateRoom               = "get chatrooms", "update chatrooms"
		getProperty, listProperties       = "get systemproperties", "list systemproperties"
		createProperty                    = "create systemproperties"
		setGroup, setRoom, setPropertyAny = "create chatgroups, " + updateGroup, "create chatrooms, " + updateRoom, createProperty + ", update systemproperties"
	)
	return []demand{
		// A group that isn't there is made.
		{path: "users/*/groups", get: "list chatgroups", post: setGroup, put: setGroup, remove: updateGroup},
		{path: "users/*/*", get: getUser, post: updateUser, put: updateUser, remove: updateUser},
		{path: "users/*", get: getUser, put: updateUser, remove: "delete chatusers"},
		{path: "users", get: listUsers, post: "create chatusers"},
		{path: "lockouts/*", get: getUser, post: updateUser, put: updateUser, remove: updateUser},
		{path: "lockouts", get: listUsers},
		{path: "sessions/*", get: getUser, remove: updateUser},
		{path: "sessions", get: listUsers},
		{path: "system/statistics", get: listUsers},
		{path: "archive", get: getUser},
		{path: "messages/users", post: updateUser},
		{path: "messages/rooms", post: updateRoom},

		{path: "groups/*", get: getGroup, put: updateGroup, remove: "delete chatgroups"},
		{path: "groups", get: "list chatgroups", post: "create chatgroups"},

		{path: "chatrooms/bulk", get: getRoom, post: setRoom, put: setRoom, remove: "delete chatrooms"},
		{path: "chatrooms/*/*", get: getRoom, post: updateRoom, put: updateRoom, remove: updateRoom},
		{path: "chatrooms/*", get: getRoom, put: setRoom, remove: "delete chatrooms"},
		{path: "chatrooms", get: "list chatrooms", post: "create chatrooms"},
		// A service is a property.
		{path: "chatservices", get: "list chatrooms", post: createProperty},

		{path: "system/properties/*", get: getProperty, post: setPropertyAny, put: "update systemproperties", remove: "delete systemproperties"},
		{path: "system/properties", get: listProperties, post: setPropertyAny},
		{path: "clustering", get: listProperties},
		// Who did what is for those who run the server.
		{path: "logs", get: "update systemproperties"},
		{path: "openapi.json"},
		// Of the older user service plugin: accounts by their properties.
		{path: "properties", get: listUsers},
	}
}

// rights are what an operation needs. known is false when nobody has said so: only those whose rights have no bounds may do it then.
func (r *route) rights(method string, params map[string]string) (rights []Right, known bool) {
	path := strings.TrimPrefix(r.path, standAloneBase)
	for _, d := range demands() {
		if !d.covers(path) {
			continue
		}
		text := map[string]string{
			http.MethodGet: d.get, http.MethodHead: d.get, http.MethodPost: d.post, http.MethodPut: d.put, http.MethodDelete: d.remove,
		}[method]
		for one := range strings.SplitSeq(text, ", ") {
			verb, resource, ok := strings.Cut(one, " ")
			if !ok {
				continue
			}
			right := Right{Verb: verb, Resource: resource, Change: verb != "get" && verb != "list"}
			if verb != "create" && verb != "list" {
				right.Name = named(resource, params)
			}
			rights = append(rights, right)
		}
		return rights, len(rights) > 0 || d == demand{path: d.path}
	}
	return nil, false
}

func (d demand) covers(path string) bool {
	have, want := strings.Split(path, "/"), strings.Split(d.path, "/")
	if len(have) < len(want) {
		return false
	}
	for i, w := range want {
		if _, isParameter := parameter(have[i]); w != have[i] && !(w == "*" && isParameter || w == "*" && i > 1) {
			return false
		}
	}
	return true
}

// named finds the parameter that names a resource of some kind.
func named(resource string, params map[string]string) string {
	word := map[string]string{resourceUsers: "user", resourceGroups: "group", resourceRooms: "room", resourceProperties: "key"}[resource]
	for name, value := range params {
		if strings.Contains(strings.ToLower(name), word) {
			return value
		}
	}
	if resource == resourceUsers {
		// An address is that of a user, whatever the device.
		address, _, _ := strings.Cut(params["jid"], "/")
		return strings.TrimSpace(address)
	}
	return ""
}

// Scope bounds what the holder of a secret may do.
type Scope struct {
	// ReadOnly allows no change.
	ReadOnly bool
	// resources are those that may be used; nil: all.
	resources []string
}

// ParseScope reads a comma list of the words read-only, users, groups and rooms; empty: everything.
func ParseScope(text string) (Scope, error) {
	var s Scope
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		switch word {
		case "read-only":
			s.ReadOnly = true
		case "users":
			s.resources = append(s.resources, resourceUsers)
		case "groups":
			s.resources = append(s.resources, resourceGroups)
		case "rooms":
			s.resources = append(s.resources, resourceRooms)
		default:
			return Scope{}, fmt.Errorf("%q is no scope: use read-only, users, groups, rooms, or several of them with commas", word)
		}
	}
	return s, nil
}

// allows judges a right; it asks nobody.
func (s Scope) allows(_ context.Context, r Right) (bool, error) {
	return (s.resources == nil || slices.Contains(s.resources, r.Resource)) && !(s.ReadOnly && r.Change), nil
}

// bounded says whether there is anything that the scope does not allow.
func (s Scope) bounded() bool { return s.ReadOnly || s.resources != nil }

// authorize judges a caller whose rights are bounded. A path or a method that doesn't exist needs none: its answer tells nothing.
func (s *Server) authorize(c *call) error {
	if c.who.Allows == nil || c.route == nil || c.route.operation(c.request.Method) == nil {
		return nil
	}
	query, err := parseQuery(c.request.URL.RawQuery)
	if err != nil {
		return err
	}
	rights, known := c.route.rights(c.request.Method, c.params)
	if !known {
		return c.refuse("this call is not among those that a scope or a role can allow")
	}
	return c.require(rights, query)
}

// require judges whether the caller has all of some rights.
func (c *call) require(rights []Right, q query) error {
	if c.who.Allows == nil {
		return nil
	}
	for _, r := range rights {
		r.Name = c.server.identity(r, q)
		if err := c.demand(r); err != nil {
			return err
		}
	}
	return nil
}

// demand refuses a caller who lacks a right.
func (c *call) demand(r Right) error {
	if c.who.Allows == nil {
		return nil
	}
	allowed, err := c.who.Allows(c.ctx, r)
	if err != nil {
		return c.cannotAsk(err)
	}
	if !allowed {
		return c.refuse("it takes the right to " + r.Verb + " " + r.Resource)
	}
	return nil
}

func (c *call) cannotAsk(err error) *failure {
	f := problem(http.StatusServiceUnavailable, serviceUnavailable, "rights cannot be checked at the moment: try again later", c.request.URL.Path)
	f.retryAfter, f.cause = time.Second, err
	return f
}

// identity is what a right's name means here, whichever way it was spelt.
func (s *Server) identity(r Right, q query) string {
	switch {
	case r.Name == "":
	case r.Resource == resourceUsers:
		if username, valid := prepareUsername(r.Name, s.Domain); valid {
			return username
		}
	case r.Resource == resourceRooms:
		room := r.Name
		if prepared, err := jid.PrepareLocal(room); err == nil {
			room = prepared
		}
		if service, _ := q.get("servicename"); service != "" && !strings.EqualFold(service, "conference") {
			room += "@" + strings.ToLower(service)
		}
		return room
	}
	return r.Name
}

// refuse is the answer to somebody who is known and may not do this.
func (c *call) refuse(why string) error {
	c.recordRefusal(why)
	return problem(http.StatusForbidden, notAuthorised, c.who.Name+" may not do this: "+why, c.request.URL.Path)
}
