package stanza

import "github.com/chat-operator/chat-operator/xmpp/xmlstream"

// The types of data forms (XEP-0004 §3.1).
const (
	FormToFill = "form"
	FormSubmit = "submit"
	FormCancel = "cancel"
	FormResult = "result"
)

// Form is a data form that somebody sent (XEP-0004 §3.1).
type Form struct {
	Type   string // FormSubmit and so on, as it was sent
	Fields []FormField
}

// FormField is one field of a form that has a name (XEP-0004 §3.2).
type FormField struct {
	Var, Type string
	Values    []string
}

// FormLimits bound what is read of a form, which may come from anybody.
type FormLimits struct {
	Fields int // of the form
	Values int // of one field
	Bytes  int // of all values together
}

// DefaultFormLimits are for forms that people fill in.
func DefaultFormLimits() FormLimits { return FormLimits{Fields: 100, Values: 1000, Bytes: 16 << 10} }

// ParseForm reads a form. Fields without a name say something to people, and are left out (XEP-0004 §3.2). The error is not-acceptable, for a form
// that is larger than the limits; an element that isn't there gives an empty form.
func ParseForm(x xmlstream.Element, limits FormLimits) (*Form, *Error) {
	f := &Form{Type: string(x.Attr("type"))}
	size := 0
	for e := range x.Children() {
		name := e.Attr("var")
		if name == nil || !e.Is(NSDataForms, "field") {
			continue
		}
		field := FormField{Var: string(name), Type: string(e.Attr("type"))}
		for v := range e.Children() {
			if !v.Is(NSDataForms, "value") {
				continue
			}
			value := string(v.Text())
			if size += len(value); size > limits.Bytes || len(field.Values) == limits.Values {
				return nil, tooLarge()
			}
			field.Values = append(field.Values, value)
		}
		if len(f.Fields) == limits.Fields {
			return nil, tooLarge()
		}
		f.Fields = append(f.Fields, field)
	}
	return f, nil
}

func tooLarge() *Error {
	return NewError(ConditionNotAcceptable, "This form is larger than this server accepts.")
}

// Get gives a field's values; not ok: there is no such field.
func (f *Form) Get(name string) (values []string, ok bool) {
	for i := range f.Fields {
		if f.Fields[i].Var == name {
			return f.Fields[i].Values, true
		}
	}
	return nil, false
}

// Has reports whether there is a field.
func (f *Form) Has(name string) bool { _, ok := f.Get(name); return ok }

// First is a field's first value; empty when there is none.
func (f *Form) First(name string) string {
	if v, _ := f.Get(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// FormType is what the form is for (XEP-0068 §3.1).
func (f *Form) FormType() string { return f.First(fieldFormType) }

const fieldFormType = "FORM_TYPE"

// ParseBool reads the value of a boolean field (XEP-0004 §3.3).
func ParseBool(s string) (value, ok bool) {
	switch s {
	case "1", "true":
		return true, true
	case "0", "false":
		return false, true
	}
	return false, false
}

// FormWriter writes a data form inside whatever its builder has open.
type FormWriter struct{ b *xmlstream.Builder }

// OpenForm begins a form, which Close ends. formType is its FORM_TYPE (XEP-0068); empty texts are left out.
func OpenForm(b *xmlstream.Builder, kind, formType, title, instructions string) FormWriter {
	b.Open(NSDataForms, "x").Attr("type", kind)
	if title != "" {
		b.Open(NSDataForms, "title").Text(title).Close()
	}
	if instructions != "" {
		b.Open(NSDataForms, "instructions").Text(instructions).Close()
	}
	w := FormWriter{b}
	if formType != "" {
		w.Field(fieldFormType, "hidden", "", formType)
	}
	return w
}

// Close ends the form.
func (w FormWriter) Close() { w.b.Close() }

// Field writes a field with its values; type and label may be empty.
func (w FormWriter) Field(name, kind, label string, values ...string) {
	w.Choice(name, kind, label, nil, values...)
}

// Choice writes a field with options, each of which is a label and a value.
func (w FormWriter) Choice(name, kind, label string, options [][2]string, values ...string) {
	w.OpenField(name, kind, label)
	for _, v := range values {
		w.b.Open(NSDataForms, "value").Text(v).Close()
	}
	for _, o := range options {
		w.b.Open(NSDataForms, "option").Attr("label", o[0])
		w.b.Open(NSDataForms, "value").Text(o[1]).Close().Close()
	}
	w.b.Close()
}

// OpenField begins a field that has more than values inside; the builder's Close ends it.
func (w FormWriter) OpenField(name, kind, label string) {
	w.b.Open(NSDataForms, "field").Attr("var", name)
	if kind != "" {
		w.b.Attr("type", kind)
	}
	if label != "" {
		w.b.Attr("label", label)
	}
}

// Boolean writes a field that is true or false.
func (w FormWriter) Boolean(name, label string, v bool) {
	value := "0"
	if v {
		value = "1"
	}
	w.Field(name, "boolean", label, value)
}
