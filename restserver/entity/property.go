package entity

// SystemProperty is a system property as a request has it: root "property". What
// is nil was not there.
type SystemProperty struct {
	Key, Value *string
}

func (p Property) writeXML(w *xmlWriter) {
	w.start("property")
	w.attribute("key", p.Key)
	w.attribute("value", p.Value)
	w.end("property")
}

func (p Property) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.text("key", p.Key)
	w.text("value", p.Value)
	w.end('}')
}

// Properties is a list of system properties: root "properties", in JSON "property".
type Properties []Property

func (l Properties) writeXML(w *xmlWriter) { xmlList(w, "properties", l) }

func (l Properties) writeJSON(w *jsonWriter) { jsonList(w, "property", l) }

// SystemProperty reads a system property.
func (b *Body) SystemProperty() (SystemProperty, error) {
	d := b.decoder()
	p := readProperty(d.root("property"))
	return p, b.finish(d)
}

// readProperty reads a pair; a number or a boolean counts as its text here, false
// as well.
func readProperty(o *object) SystemProperty {
	p := SystemProperty{Key: o.literal("key"), Value: o.literal("value")}
	o.done()
	return p
}
