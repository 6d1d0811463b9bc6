package entity

// Group is a named set of users: root "group".
type Group struct {
	Name        string
	Description string
	Admins      []string
	Members     []string
	// HasAdmins and HasMembers tell an empty list from none: a list of groups shows neither, and a request without one
	// leaves it alone.
	HasAdmins, HasMembers bool
	// Shared puts the members into each other's rosters.
	Shared bool
}

func (g Group) fields(w fieldWriter) {
	w.text("name", g.Name)
	w.optional("description", g.Description)
	if g.HasAdmins {
		w.strings("admins", "admin", g.Admins)
	}
	if g.HasMembers {
		w.strings("members", "member", g.Members)
	}
	w.boolean("shared", g.Shared)
}

func (g Group) writeXML(w *xmlWriter) {
	w.start("group")
	g.fields(w)
	w.end("group")
}

func (g Group) writeJSON(w *jsonWriter) {
	w.begin('{')
	g.fields(w)
	w.end('}')
}

// Groups is a list of groups: root "groups".
type Groups []Group

func (l Groups) writeXML(w *xmlWriter) { xmlList(w, "groups", l) }

func (l Groups) writeJSON(w *jsonWriter) { jsonList(w, "groups", l) }

// Group reads a group.
func (b *Body) Group() (Group, error) {
	d := b.decoder()
	o := d.root("group")
	g := Group{
		Name:        value(o.text("name")),
		Description: value(o.text("description")),
		Shared:      o.boolean("shared"),
	}
	g.Admins, g.HasAdmins = o.strings("admins", "admin")
	g.Members, g.HasMembers = o.strings("members", "member")
	o.done()
	return g, b.finish(d)
}

// UserGroups are the names of the groups that a user is in: root "groups".
type UserGroups []string

func (l UserGroups) writeXML(w *xmlWriter) { w.strings("groups", "groupname", l) }

// Libraries written against the versions before 1.7.1 read the second key, newer ones the first.
func (l UserGroups) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.strings("groupnames", "groupname", l)
	w.strings("groupname", "groupname", l)
	w.end('}')
}

// UserGroups reads names of groups, under either key or as a bare JSON array.
func (b *Body) UserGroups() (UserGroups, error) {
	d := b.decoder()
	if b.format == JSON && b.value.kind == listValue {
		o := &object{decoder: d, node: node{kind: objectValue, members: []member{{name: "groupnames", node: b.value}}}, used: make([]bool, 1)}
		names, _ := o.strings("groupnames", "groupname")
		return names, b.finish(d)
	}
	o := d.root("groups")
	names, _ := o.strings("groupnames", "groupname")
	// Whoever sends back what was answered sends both.
	o.find("groupname")
	o.done()
	return names, b.finish(d)
}
