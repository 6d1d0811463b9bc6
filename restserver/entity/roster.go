package entity

// RosterItem is a contact: root "rosterItem".
type RosterItem struct {
	JID string
	// Nickname is nil when a request doesn't have it.
	Nickname *string
	// Subscription is -1 remove, 0 none, 1 to, 2 from, 3 both; a request without it
	// means none.
	Subscription int
	Groups       []string
	// HasGroups tells a request with an empty list from one without any.
	HasGroups bool
}

func (i RosterItem) fields(w fieldWriter) {
	w.text("jid", i.JID)
	w.optional("nickname", value(i.Nickname))
	w.integer("subscriptionType", i.Subscription)
	w.strings("groups", "group", i.Groups)
}

func (i RosterItem) writeXML(w *xmlWriter) {
	w.start("rosterItem")
	i.fields(w)
	w.end("rosterItem")
}

func (i RosterItem) writeJSON(w *jsonWriter) {
	w.begin('{')
	i.fields(w)
	w.end('}')
}

// Roster is a user's contacts: root "roster", in JSON "rosterItem".
type Roster []RosterItem

func (l Roster) writeXML(w *xmlWriter) { xmlList(w, "roster", l) }

func (l Roster) writeJSON(w *jsonWriter) { jsonList(w, "rosterItem", l) }

// RosterItem reads a contact. "name" is an alias of "nickname": several libraries
// send it.
func (b *Body) RosterItem() (RosterItem, error) {
	d := b.decoder()
	o := d.root("rosterItem")
	i := RosterItem{
		JID:          value(o.text("jid")),
		Nickname:     o.text("nickname", "name"),
		Subscription: o.integer("subscriptionType"),
	}
	i.Groups, i.HasGroups = o.strings("groups", "group")
	o.done()
	return i, b.finish(d)
}
