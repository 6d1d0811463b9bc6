package room

import (
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// readForm reads a form of a type; a form without fields may do without one (XEP-0045 §10.1.2).
func readForm(x xmlstream.Element, formType string) (*stanza.Form, *stanza.Error) {
	f, fault := stanza.ParseForm(x, stanza.DefaultFormLimits())
	switch {
	case fault != nil:
		return nil, fault
	case len(f.Fields) > 0 && f.FormType() != formType:
		return nil, stanza.NewError(stanza.ConditionBadRequest, "this form has to be of the type "+formType)
	}
	return f, nil
}
