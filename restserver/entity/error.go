package entity

// Error is the body of every answer that isn't a success: root "error". Clients
// look for the name of the exception.
type Error struct {
	Exception, Message, Resource string
}

func (e Error) writeXML(w *xmlWriter) {
	w.start("error")
	w.text("exception", e.Exception)
	w.text("message", e.Message)
	w.text("resource", e.Resource)
	w.end("error")
}

func (e Error) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.text("resource", e.Resource)
	w.text("message", e.Message)
	w.text("exception", e.Exception)
	w.end('}')
}
