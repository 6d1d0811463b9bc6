package restserver

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	couldNotCreateUser = "Could not create new user"
	// maxCreations is how many accounts one call creates: all or none have to be made, or taken back, while the caller waits.
	maxCreations = 1000
)

// listUsers is GET /users: by username, all of them, those with a property, or those whose username
// contains a text.
func listUsers(c *call) (answer, error) {
	users := c.server.Directory.Users()
	key, _ := c.query.get("propertyKey")
	search, _ := c.query.get("search")
	switch {
	case key != "":
		want, exact := c.query.get("propertyValue")
		users = having(users, key, want, exact)
	case search != "":
		search = foldSearch(search)
		users = filter(users, func(u *directory.User) bool { return strings.Contains(u.Username, search) })
	}
	return usersOf(c, users)
}

// having keeps the users with a property, and with one value of it if that matters.
func having(users []*directory.User, key, value string, exact bool) []*directory.User {
	return filter(users, func(u *directory.User) bool {
		have, ok := u.Property(key)
		return ok && (!exact || have == value)
	})
}

func usersOf(c *call, users []*directory.User) (answer, error) {
	return listOf(c, users, func(part []*directory.User) entity.Entity {
		list := make(entity.Users, len(part))
		for i, u := range part {
			list[i] = userEntity(u)
		}
		return list
	})
}

// foldSearch folds a text as usernames are folded (RFC 7622 §3.3); what could be in no username is
// folded as far as that goes.
func foldSearch(text string) string {
	if prepared, err := jid.PrepareLocal(text); err == nil {
		return prepared
	}
	return norm.NFC.String(strings.ToLower(text))
}

// filter keeps the list it was given: the directory shares it.
func filter[E any](list []E, keep func(E) bool) []E {
	var kept []E
	for _, e := range list {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

func userEntity(u *directory.User) entity.User {
	e := entity.User{Username: u.Username, Name: &u.DisplayName, Email: &u.Email}
	for _, p := range u.Properties {
		e.Properties = append(e.Properties, entity.Property(p))
	}
	return e
}

// getUser is GET /users/{username}.
func getUser(c *call) (answer, error) {
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	return ok(userEntity(u))
}

// createUsers is POST /users, with one user or with a list that is created whole or not at all.
func createUsers(c *call) (answer, error) {
	if c.body == nil {
		return answer{}, badRequest(couldNotCreateUser, "users")
	}
	list, several, err := c.body.Users()
	if err != nil {
		return answer{}, err
	}
	if len(list) == 0 {
		return answer{}, badRequest(couldNotCreateUser, "users")
	}
	if len(list) > maxCreations {
		return answer{}, badRequest(fmt.Sprintf("%s: a list takes at most %d, this one has %d: send it in parts", couldNotCreateUser, maxCreations, len(list)), "users")
	}
	users := make([]directory.NewUser, len(list))
	seen := make(map[string]bool, len(list))
	for i, e := range list {
		if users[i], err = c.newUser(e); err != nil {
			return answer{}, err
		}
		name := users[i].Username
		if _, taken := c.server.Directory.User(name); taken || seen[name] {
			return answer{}, problem(http.StatusConflict, userAlreadyExists, couldNotCreateUser, e.Username)
		}
		seen[name] = true
	}

	resource := list[0].Username
	if several {
		resource = "users"
	}
	if err := c.declareUsers(users, several, resource); err != nil {
		return answer{}, err
	}
	return created()
}

// declareUsers creates one account, or a list of them whole or not at all, and records it.
func (c *call) declareUsers(users []directory.NewUser, several bool, resource string) error {
	var err error
	if several {
		err = c.server.Proposer.CreateUsers(c.ctx, c.actor(), users)
	} else {
		err = c.server.Proposer.CreateUser(c.ctx, c.actor(), users[0])
	}
	if took(err) {
		deeds := make([]deed, len(users))
		for i := range users {
			u := &users[i]
			deeds[i] = deed{"created new user " + u.Username, userDetails(given(u.DisplayName), given(u.Email), &u.Properties, false)}
		}
		c.recordAll(deeds)
	}
	if err != nil {
		return explain(err, refusal{
			resource: resource,
			exists:   problem(http.StatusConflict, userAlreadyExists, couldNotCreateUser, resource),
			doing:    "created",
		})
	}
	return nil
}

func (c *call) newUser(e entity.User) (directory.NewUser, error) {
	username, valid := prepareUsername(e.Username, c.server.Domain)
	switch {
	case e.Unnamed:
		return directory.NewUser{}, badRequest(couldNotCreateUser+", because username is missing", "users")
	case strings.TrimSpace(e.Username) == "":
		return directory.NewUser{}, badRequest(couldNotCreateUser, "users")
	case !valid:
		return directory.NewUser{}, badRequest(couldNotCreateUser+": this can be no username, it is too long, of another server, "+
			"or has a character that usernames cannot have", e.Username)
	case e.Password == nil:
		return directory.NewUser{}, problem(http.StatusBadRequest, passwordIsNull, couldNotCreateUser+", because password is null", e.Username)
	case *e.Password == "":
		return directory.NewUser{}, badRequest(couldNotCreateUser+", because the password is empty", e.Username)
	}
	properties, err := userProperties(e)
	if err != nil {
		return directory.NewUser{}, err
	}
	return directory.NewUser{
		Username: username, DisplayName: text(e.Name), Email: text(e.Email), Password: *e.Password, Properties: properties,
	}, nil
}

// userProperties are the properties of a request, none when it has none.
func userProperties(e entity.User) ([]directory.Property, error) {
	list := make([]directory.Property, 0, len(e.Properties))
	seen := make(map[string]bool, len(e.Properties))
	for _, p := range e.Properties {
		if seen[p.Key] {
			return nil, badRequest(fmt.Sprintf("the property %q is there twice", p.Key), e.Username)
		}
		seen[p.Key] = true
		list = append(list, directory.Property(p))
	}
	slices.SortFunc(list, func(a, b directory.Property) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// text is a field that counts as unset when it is blank.
func text(s *string) string {
	if s == nil || strings.TrimSpace(*s) == "" {
		return ""
	}
	return *s
}

// updateUser is PUT /users/{username}: absent fields stay, properties are replaced. With another username in the body the account is renamed.
func updateUser(c *call) (answer, error) {
	u, missing := c.user()
	if c.body == nil {
		if missing != nil {
			return answer{}, missing
		}
		return done()
	}
	e, err := c.body.User()
	if err != nil {
		return answer{}, err
	}
	name := c.params["username"]
	if missing != nil {
		own, _ := prepareUsername(name, c.server.Domain)
		if other, _ := prepareUsername(e.Username, c.server.Domain); strings.TrimSpace(e.Username) != "" && other != own && own != "" {
			return answer{}, noSuchUser(name)
		}
		return answer{}, missing
	}
	if strings.TrimSpace(e.Username) != "" {
		switch other, valid := prepareUsername(e.Username, c.server.Domain); {
		case !valid:
			return answer{}, badRequest("Could not update the user: this can be no username, it is too long, of another server, "+
				"or has a character that usernames cannot have", e.Username)
		case other != u.Username:
			return renameUser(c, u, other, e)
		}
	}
	properties, err := userProperties(e)
	if err != nil {
		return answer{}, err
	}
	change := directory.UserUpdate{Properties: &properties}
	if e.Name != nil {
		change.DisplayName = new(text(e.Name))
	}
	if e.Email != nil {
		change.Email = new(text(e.Email))
	}
	if e.Password != nil {
		if *e.Password == "" {
			return answer{}, badRequest("Could not update the user, because the password is empty", name)
		}
		change.Password = e.Password
	}
	details := append(userDetails(change.DisplayName, change.Email, change.Properties, change.Password != nil), removedProperties(u, properties)...)
	if err := c.changeUser(u.Username, change, "edited user ", details...); err != nil {
		return answer{}, err
	}
	return done()
}

// noSuchUser is what the original says when somebody is to be renamed who isn't there.
func noSuchUser(name string) *failure {
	return problem(http.StatusNotFound, userNotFound, "Could not find user", name)
}

// renameUser gives an account another name. Its password stays, whatever the body has; name and email stay unless the body has them, and properties unless
// it has any.
func renameUser(c *call, u *directory.User, to string, e entity.User) (answer, error) {
	// One account comes and another goes: who may only change one, or one of a name, may not do that.
	if err := c.require([]Right{
		{Verb: "create", Resource: resourceUsers, Change: true}, {Verb: "delete", Resource: resourceUsers, Name: u.Username, Change: true},
	}, c.query); err != nil {
		return answer{}, err
	}
	var change directory.UserUpdate
	if name := text(e.Name); name != "" {
		change.DisplayName = &name
	}
	if email := text(e.Email); email != "" {
		change.Email = &email
	}
	properties, err := userProperties(e)
	if err != nil {
		return answer{}, err
	}
	var removed []string
	if len(properties) > 0 {
		change.Properties = &properties
		removed = removedProperties(u, properties)
	}
	left, err := c.server.Proposer.RenameUser(c.ctx, c.actor(), u.Username, to, change)
	if took(err) {
		details := append(userDetails(change.DisplayName, change.Email, change.Properties, false), removed...)
		details = append(details, detail("renamed from", u.Username))
		for _, where := range left {
			details = append(details, detail("left", where))
		}
		c.recordEnd(u.UID, "edited user "+to, details...)
	}
	if err != nil {
		return answer{}, explain(err, refusal{
			resource: e.Username,
			notFound: noSuchUser(c.params["username"]),
			exists:   problem(http.StatusConflict, userAlreadyExists, couldNotCreateUser, e.Username),
			doing:    "renamed",
		})
	}
	return done()
}

// changeUser proposes a change of an account, records it and words its errors.
func (c *call) changeUser(username string, change directory.UserUpdate, summary string, details ...string) error {
	if u, ok := c.server.Directory.User(username); ok && u.Admin && change.Password != nil {
		// Who knows the password of an administrator can do everything.
		if err := c.demand(Right{Verb: "update", Resource: resourceProperties, Change: true}); err != nil {
			return err
		}
	}
	err := c.server.Proposer.UpdateUser(c.ctx, c.actor(), username, change)
	if took(err) {
		c.record(summary+username, details...)
	}
	return c.userTrouble(err)
}

// userTrouble words an error of a change of an account.
func (c *call) userTrouble(err error) error {
	if err == nil {
		return nil
	}
	name := c.params["username"]
	return explain(err, refusal{resource: name, notFound: noUser(name)})
}

// deleteUser is DELETE /users/{username}.
func deleteUser(c *call) (answer, error) {
	u, err := c.user()
	if err != nil {
		return answer{}, err
	}
	err = c.server.Proposer.DeleteUser(c.ctx, c.actor(), u.Username)
	// What comes after the deletion, the purge of the data, can fail by itself.
	now, there := c.server.Directory.User(u.Username)
	if took(err) || (!there || now.UID != u.UID) && !errors.Is(err, directory.ErrNotFound) && !directory.Unanswered(err) {
		c.recordEnd(u.UID, "deleted user "+u.Username)
	}
	if err := c.userTrouble(err); err != nil {
		return answer{}, err
	}
	return done()
}

// userDetails tells what an entry about a user may tell: what is cleared has an empty value. Values of properties may be secrets, so
// only their keys are told.
func userDetails(name, email *string, properties *[]directory.Property, password bool) []string {
	var lines []string
	if name != nil {
		lines = append(lines, detail("name", *name))
	}
	if email != nil {
		lines = append(lines, detail("email", *email))
	}
	if properties != nil && len(*properties) > 0 {
		keys := make([]string, len(*properties))
		for i, p := range *properties {
			keys[i] = p.Key
		}
		lines = append(lines, detail("properties", strings.Join(keys, ", ")))
	}
	if password {
		lines = append(lines, detail("password", "changed"))
	}
	return lines
}

// given is a text of a new account; nil: it has none.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// removedProperties tells which properties a user has no more.
func removedProperties(u *directory.User, wanted []directory.Property) []string {
	var keys []string
	for _, p := range u.Properties {
		if !slices.ContainsFunc(wanted, func(w directory.Property) bool { return w.Key == p.Key }) {
			keys = append(keys, p.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return []string{detail("properties removed", strings.Join(keys, ", "))}
}
