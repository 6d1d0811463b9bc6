package entity

// User is an account: root "user". The password is read and never written.
type User struct {
	Username string
	// Unnamed says that a request has no username, not even an empty one.
	Unnamed bool
	// Name, Email and Password are nil when a request doesn't have them.
	Name, Email, Password *string
	// Properties of a request without them are none: they replace the old ones.
	Properties []Property
}

// Property is a key and its value, as users and the system have them.
type Property struct {
	Key, Value string
}

func (u User) fields(w fieldWriter) {
	w.text("username", u.Username)
	// The name is always there, an address only when there is one.
	w.text("name", value(u.Name))
	w.optional("email", value(u.Email))
}

func (u User) writeXML(w *xmlWriter) {
	w.start("user")
	u.fields(w)
	xmlList(w, "properties", u.Properties)
	w.end("user")
}

func (u User) writeJSON(w *jsonWriter) {
	w.begin('{')
	u.fields(w)
	jsonItems(w, "properties", u.Properties)
	w.end('}')
}

// Users is a list of accounts: root "users".
type Users []User

func (l Users) writeXML(w *xmlWriter) { xmlList(w, "users", l) }

func (l Users) writeJSON(w *jsonWriter) { jsonList(w, "users", l) }

// User reads one account.
func (b *Body) User() (User, error) {
	d := b.decoder()
	o := d.root("user")
	u := readUser(o)
	return u, b.finish(d)
}

// Users reads one account, or the list of accounts that creates all or none.
// several says which it was.
func (b *Body) Users() (list []User, several bool, err error) {
	d := b.decoder()
	if b.rootIs("users") || b.value.kind == listValue || b.value.has("users", "user") {
		for _, item := range d.listRoot("users", "user") {
			list = append(list, readUser(item))
		}
		return list, true, b.finish(d)
	}
	u := readUser(d.root("user"))
	return []User{u}, false, b.finish(d)
}

func readUser(o *object) User {
	username := o.text("username")
	u := User{
		Username: value(username),
		Unnamed:  username == nil,
		Name:     o.text("name"),
		Email:    o.text("email"),
		Password: o.text("password"),
	}
	items, _ := o.list("properties", "property")
	for _, item := range items {
		p := readProperty(o.sub(item, "property"))
		u.Properties = append(u.Properties, Property{Key: value(p.Key), Value: value(p.Value)})
		if value(p.Key) == "" {
			o.fail("a property of the user has no key")
		}
	}
	o.done()
	return u
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
