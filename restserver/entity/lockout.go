package entity

// Lockout tells whether an account is locked: root "lockout". The original never
// says; this is an addition.
type Lockout struct {
	Username string
	Locked   bool
}

func (l Lockout) writeXML(w *xmlWriter) {
	w.start("lockout")
	w.text("username", l.Username)
	w.boolean("locked", l.Locked)
	w.end("lockout")
}

func (l Lockout) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.text("username", l.Username)
	w.boolean("locked", l.Locked)
	w.end('}')
}

// Lockouts is a list of locked accounts: root "lockouts".
type Lockouts []Lockout

func (l Lockouts) writeXML(w *xmlWriter) {
	w.start("lockouts")
	for _, o := range l {
		o.writeXML(w)
	}
	w.end("lockouts")
}

func (l Lockouts) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.key("lockouts")
	w.begin('[')
	for _, o := range l {
		o.writeJSON(w)
	}
	w.end(']')
	w.end('}')
}
