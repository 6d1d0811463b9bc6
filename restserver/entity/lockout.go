package entity

// Lockout tells whether an account is locked: root "lockout". The original never
// says; this is an addition.
type Lockout struct {
	Username string
	Locked   bool
}

func (l Lockout) fields(w fieldWriter) {
	w.text("username", l.Username)
	w.boolean("locked", l.Locked)
}

func (l Lockout) writeXML(w *xmlWriter) {
	w.start("lockout")
	l.fields(w)
	w.end("lockout")
}

func (l Lockout) writeJSON(w *jsonWriter) {
	w.begin('{')
	l.fields(w)
	w.end('}')
}

// Lockouts is a list of locked accounts: root "lockouts".
type Lockouts []Lockout

func (l Lockouts) writeXML(w *xmlWriter) { xmlList(w, "lockouts", l) }

func (l Lockouts) writeJSON(w *jsonWriter) { jsonList(w, "lockouts", l) }
