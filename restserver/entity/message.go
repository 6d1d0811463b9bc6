package entity

// Message reads the text of a message: root "message".
func (b *Body) Message() (string, error) {
	d := b.decoder()
	o := d.root("message")
	body := value(o.text("body"))
	o.done()
	return body, b.finish(d)
}

// Unread is how many messages wait for an account: root "archive".
type Unread struct {
	JID   string
	Count int
}

func (u Unread) fields(w fieldWriter) {
	w.text("jid", u.JID)
	w.integer("count", u.Count)
}

func (u Unread) writeXML(w *xmlWriter) {
	w.start("archive")
	u.fields(w)
	w.end("archive")
}

func (u Unread) writeJSON(w *jsonWriter) {
	w.begin('{')
	u.fields(w)
	w.end('}')
}
