package entity

import "time"

// AuditEntry is a line of the audit log: root "log". Its fields stand in another order in each format.
type AuditEntry struct {
	ID       int64
	Username string
	Time     time.Time // seconds are shown
	Summary  string
	Node     string
	Details  string // left out when empty
}

func (e AuditEntry) writeXML(w *xmlWriter) {
	w.start("log")
	w.optional("details", e.Details)
	w.integer("logId", int(e.ID))
	w.text("node", e.Node)
	w.text("summary", e.Summary)
	w.integer("timestamp", int(e.Time.Unix()))
	w.text("username", e.Username)
	w.end("log")
}

func (e AuditEntry) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.integer("logId", int(e.ID))
	w.text("username", e.Username)
	w.integer("timestamp", int(e.Time.Unix()))
	w.text("summary", e.Summary)
	w.text("node", e.Node)
	w.optional("details", e.Details)
	w.end('}')
}

// AuditLog is a list of entries: root "logs".
type AuditLog []AuditEntry

func (l AuditLog) writeXML(w *xmlWriter) { xmlList(w, "logs", l) }

func (l AuditLog) writeJSON(w *jsonWriter) { jsonList(w, "logs", l) }
