package room

import (
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// form is a data form that was submitted (XEP-0004).
type form struct {
	kind   string
	fields []formField
}

type formField struct {
	name   string
	values []string
}

// Limits of a form that a client submits.
const (
	maxFields     = 100
	maxValues     = 1000
	maxFieldBytes = 16 << 10
)

// readForm reads a form of a type; a form without fields may do without one (XEP-0045 §10.1.2).
func readForm(x xmlstream.Element, formType string) (*form, *stanza.Error) {
	f := &form{kind: string(x.Attr("type"))}
	size := 0
	for e := range x.Children() {
		if !e.Is(stanza.NSDataForms, "field") || e.Attr("var") == nil {
			continue
		}
		ff := formField{name: string(e.Attr("var"))}
		for v := range e.Children() {
			if v.Is(stanza.NSDataForms, "value") {
				ff.values = append(ff.values, string(v.Text()))
				size += len(ff.values[len(ff.values)-1])
			}
		}
		if len(f.fields) == maxFields || len(ff.values) > maxValues || size > maxFieldBytes {
			return nil, stanza.NewError(stanza.ConditionNotAcceptable, "this form is larger than a room accepts")
		}
		f.fields = append(f.fields, ff)
	}
	if len(f.fields) > 0 && f.one("FORM_TYPE") != formType {
		return nil, stanza.NewError(stanza.ConditionBadRequest, "this form has to be of the type "+formType)
	}
	return f, nil
}

func (f *form) get(name string) ([]string, bool) {
	for i := range f.fields {
		if f.fields[i].name == name {
			return f.fields[i].values, true
		}
	}
	return nil, false
}

func (f *form) has(name string) bool { _, ok := f.get(name); return ok }

// one is a field's first value.
func (f *form) one(name string) string {
	if v, _ := f.get(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// parseBool reads a boolean (XEP-0004 §3.3).
func parseBool(s string) (value, ok bool) {
	switch s {
	case "1", "true":
		return true, true
	case "0", "false":
		return false, true
	}
	return false, false
}

// formWriter writes a data form.
type formWriter struct{ b *xmlstream.Builder }

func openForm(b *xmlstream.Builder, kind, formType, title, instructions string) formWriter {
	b.Open(stanza.NSDataForms, "x").Attr("type", kind)
	if title != "" {
		b.Open(stanza.NSDataForms, "title").Text(title).Close()
	}
	if instructions != "" {
		b.Open(stanza.NSDataForms, "instructions").Text(instructions).Close()
	}
	w := formWriter{b}
	w.field("FORM_TYPE", "hidden", "", formType)
	return w
}

func (w formWriter) field(name, kind, label string, values ...string) {
	w.choice(name, kind, label, nil, values...)
}

// choice writes a field with options, each of which is a label and a value.
func (w formWriter) choice(name, kind, label string, options [][2]string, values ...string) {
	w.b.Open(stanza.NSDataForms, "field").Attr("var", name).Attr("type", kind)
	if label != "" {
		w.b.Attr("label", label)
	}
	for _, v := range values {
		w.b.Open(stanza.NSDataForms, "value").Text(v).Close()
	}
	for _, o := range options {
		w.b.Open(stanza.NSDataForms, "option").Attr("label", o[0])
		w.b.Open(stanza.NSDataForms, "value").Text(o[1]).Close().Close()
	}
	w.b.Close()
}

func (w formWriter) boolean(name, label string, v bool) {
	value := "0"
	if v {
		value = "1"
	}
	w.field(name, "boolean", label, value)
}
