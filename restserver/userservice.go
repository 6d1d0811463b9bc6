package restserver

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// userServiceParameters are those of the legacy user service.
var userServiceParameters = []queryParameter{
	{name: "type", kind: "string", description: "add, delete, update, enable, disable, add_roster, update_roster, delete_roster, grouplist or usergrouplist."},
	{name: "secret", kind: "string", description: "The shared secret."},
	{name: "username", kind: "string", description: "The account; needed by all types but grouplist."},
	{name: "password", kind: "string", description: "add, update."},
	{name: "name", kind: "string", description: "The name that people see, or the contact's nickname."},
	{name: "email", kind: "string", description: "add, update."},
	{name: "item_jid", kind: "string", description: "The contact's address; needed by the types of contacts."},
	{name: "subscription", kind: "integer", description: "-1 takes the contact away, 0 none, 1 to, 2 from, 3 both.", initial: "0"},
	{name: "groups", kind: "string", description: "Names, separated by commas."},
}

// userService is the oldest interface, at /userservice: everything is a parameter, and every answer has status 200. Who may call, and whether a
// request makes sense, is checked here in the order that its programs know.
func userService(c *call) (answer, error) {
	a, err := c.serveUser()
	if err == nil {
		return a, nil
	}
	f := explain(err, refusal{resource: c.request.URL.Path})
	c.logCause(f)
	text := f.message
	switch f.exception {
	case illegalArgument, userNotFound, userAlreadyExists, notAuthorised, serviceDisabled, sharedGroup:
		text = f.exception
	}
	return userServiceAnswer(entity.UserServiceError(text))
}

func userServiceAnswer(line []byte) (answer, error) {
	return answer{status: http.StatusOK, raw: line, media: "text/xml;charset=UTF-8"}, nil
}

// parameters of a call of the user service.
type parameters struct{ query }

func (p parameters) text(name string) string {
	value, _ := p.get(name)
	return value
}

// given is a value, nil when there is no such parameter.
func (p parameters) given(name string) *string {
	if value, ok := p.get(name); ok {
		return &value
	}
	return nil
}

// groups are the names of the parameter of that name, each once, as they are between the commas.
func (p parameters) groups() ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(p.text("groups"), ",") {
		switch {
		case name == "" || slices.Contains(names, name):
		case strings.TrimSpace(name) == "" || len(names) == maxMemberships:
			return nil, badRequest("groups has to be names of groups, separated by commas", "groups")
		default:
			names = append(names, name)
		}
	}
	return names, nil
}

// rights are what a type that is about an account needs.
func (p parameters) rights(kind, username string) []Right {
	if kind == "usergrouplist" {
		return []Right{{Verb: "list", Resource: resourceGroups}}
	}
	verb := "update"
	switch kind {
	case "add":
		verb, username = "create", ""
	case "delete":
		verb = "delete"
	}
	rights := []Right{{Verb: verb, Resource: resourceUsers, Name: username, Change: true}}
	if (kind == "add" || kind == "update") && p.given("groups") != nil {
		// Those that aren't there are made.
		rights = append(rights, Right{Verb: "create", Resource: resourceGroups, Change: true}, Right{Verb: "update", Resource: resourceGroups, Change: true})
	}
	return rights
}

// parameters reads the query and a form; of a name that is in both, the query counts.
func (c *call) parameters() (parameters, error) {
	p, err := parseQuery(c.request.URL.RawQuery)
	if err != nil {
		return parameters{}, err
	}
	kind, _, _ := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	if c.request.Method != http.MethodPost || kind != "application/x-www-form-urlencoded" {
		return parameters{p}, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, c.request.Body, maxBody))
	if err != nil {
		return parameters{}, badRequest("the form could not be read, or is larger than "+strconv.Itoa(maxBody)+" bytes", c.request.URL.Path)
	}
	form, err := parseQuery(string(body))
	for name, values := range form {
		p[name] = append(p[name], values...)
	}
	return parameters{p}, err
}

// serveUser makes the checks, then does what the type says.
func (c *call) serveUser() (answer, error) {
	path := c.request.URL.Path
	if !allowed(c.from, c.server.Directory.Strings(directory.KeyRESTAllowedIPs)) {
		return answer{}, unauthorised(path)
	}
	if !c.server.Directory.Bool(directory.KeyRESTEnabled) {
		return answer{}, problem(http.StatusForbidden, serviceDisabled, "the REST API is switched off: see the property "+directory.KeyRESTEnabled, path)
	}
	p, err := c.parameters()
	if err != nil {
		return answer{}, err
	}
	secret := p.text("secret")
	if secret == "" {
		return answer{}, unauthorised(path)
	}
	if err := c.server.authenticate(c, secret, []Authenticator{c.server.secrets}); err != nil {
		return answer{}, err
	}

	kind := p.text("type")
	if kind == "grouplist" {
		if err := c.require([]Right{{Verb: "list", Resource: resourceGroups}}, p.query); err != nil {
			return answer{}, err
		}
		groups := c.server.Directory.Groups()
		names := make([]string, len(groups))
		for i, g := range groups {
			names[i] = g.GroupName
		}
		return userServiceAnswer(entity.UserServiceGroups(names))
	}
	username, err := jid.PrepareLocal(jid.EscapeLocal(strings.ToLower(strings.TrimSpace(p.text("username")))))
	switch {
	case err != nil || username == "":
		return answer{}, badRequest("username is missing, or can be none", "username")
	case kind == "":
		return answer{}, badRequest("type is missing", "type")
	}
	c.params = map[string]string{"username": username}
	if err := c.require(p.rights(kind, username), p.query); err != nil {
		return answer{}, err
	}
	if kind == "usergrouplist" {
		u, err := c.user()
		if err != nil {
			return answer{}, err
		}
		address, err := jid.New(u.Username, c.server.Domain, "")
		if err != nil {
			return answer{}, err
		}
		return userServiceAnswer(entity.UserServiceGroups(c.server.Directory.GroupsOf(address)))
	}
	do, known := userServiceChanges[kind]
	switch {
	case !known && c.request.Method == http.MethodPost:
		return answer{status: http.StatusNoContent}, nil
	case !known:
		return done()
	case c.request.Method == http.MethodHead:
		// Who asks for the head of an answer wants nothing done.
	default:
		if err := do(c, p); err != nil {
			return answer{}, err
		}
	}
	return userServiceAnswer(entity.UserServiceOK())
}

// userServiceChanges are the types that change something.
var userServiceChanges = map[string]func(*call, parameters) error{
	"add":           addUser,
	"delete":        func(c *call, _ parameters) error { return second(deleteUser(c)) },
	"update":        changeUser,
	"enable":        func(c *call, _ parameters) error { return second(unlockUser(c)) },
	"disable":       func(c *call, _ parameters) error { return second(lockUser(c)) },
	"add_roster":    func(c *call, p parameters) error { return c.serveContact(p, c.declareContact) },
	"update_roster": func(c *call, p parameters) error { return c.serveContact(p, c.changeContact) },
	"delete_roster": func(c *call, p parameters) error {
		return c.serveContact(p, func(r contactCall) error {
			if !r.exists {
				return nil
			}
			return c.dropContact(r.user.Username, r.address)
		})
	},
}

func second(_ answer, err error) error { return err }

// addUser creates an account and puts it into groups.
func addUser(c *call, p parameters) error {
	username := c.params["username"]
	groups, err := p.groups()
	if err != nil {
		return err
	}
	if p.text("password") == "" {
		return badRequest("password is missing", "password")
	}
	u, err := c.newUser(entity.User{Username: username, Name: p.given("name"), Email: p.given("email"), Password: p.given("password")})
	if err != nil {
		return err
	}
	address, err := jid.New(username, c.server.Domain, "")
	if err != nil {
		return err
	}
	made := c.declareUsers([]directory.NewUser{u}, false, username)
	if made != nil && !late(made) {
		return made
	}
	return both(made, each(address, groups, c.join))
}

// late says of an error that the change is made, and only not in force yet: what is to follow it can follow.
func late(err error) bool {
	f, is := errors.AsType[*failure](err)
	return is && f.status == http.StatusGatewayTimeout
}

// both tells of a change of an account that may be late, and of that of its groups after it.
func both(account, groups error) error {
	if account == nil || groups == nil || late(groups) {
		return cmp.Or(account, groups)
	}
	f := *explain(account, refusal{})
	f.message += "; and its groups: " + explain(groups, refusal{}).message
	f.cause = errors.Join(f.cause, groups)
	return &f
}

// changeUser sets what is given; given groups become those that the account is in.
func changeUser(c *call, p parameters) error {
	u, err := c.user()
	if err != nil {
		return err
	}
	address, err := jid.New(u.Username, c.server.Domain, "")
	if err != nil {
		return err
	}
	var joins, leaves []string
	if p.given("groups") != nil {
		wanted, err := p.groups()
		if err != nil {
			return err
		}
		have := c.server.Directory.GroupsOf(address)
		joins = filter(wanted, func(name string) bool { return !slices.Contains(have, name) })
		leaves = filter(have, func(name string) bool { return !slices.Contains(wanted, name) })
		for _, name := range leaves {
			if g, exists := c.server.Directory.Group(name); exists && c.server.picks(g, address) {
				return pickedBySelector(address, name)
			}
		}
	}
	change := directory.UserUpdate{Password: p.given("password")}
	if change.Password != nil && *change.Password == "" {
		return badRequest("the password is empty", "password")
	}
	if name := p.given("name"); name != nil {
		change.DisplayName = new(text(name))
	}
	if email := p.given("email"); email != nil {
		change.Email = new(text(email))
	}
	var changed error
	if change != (directory.UserUpdate{}) {
		details := userDetails(change.DisplayName, change.Email, nil, change.Password != nil)
		if changed = c.changeUser(u.Username, change, "edited user ", details...); changed != nil && !late(changed) {
			return changed
		}
	}
	return both(changed, errors.Join(each(address, joins, c.join), each(address, leaves, c.leave)))
}

// serveContact reads the parameters of a contact, all of which replace what was there.
func (c *call) serveContact(p parameters, do func(contactCall) error) error {
	item := p.text("item_jid")
	subscription := 0
	if text := p.text("subscription"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < subscriptionRemove || n > int(directory.SubscriptionBoth) {
			return badRequest("subscription has to be -1, 0, 1, 2 or 3", "subscription")
		}
		subscription = n
	}
	if item == "" {
		return badRequest("item_jid is missing", "item_jid")
	}
	u, err := c.user()
	if err != nil {
		return err
	}
	groups, err := p.groups()
	if err != nil {
		return err
	}
	r, err := c.contactCall(u, entity.RosterItem{JID: item, Nickname: new(p.text("name")), Subscription: subscription, Groups: groups, HasGroups: true}, item)
	if err != nil {
		return err
	}
	return do(r)
}
