package archive

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// NS is the namespace of the protocol, and the type of its form.
const NS = "urn:xmpp:mam:2"

// Features are what service discovery says of an address with an archive (XEP-0313 §7).
func Features() []string { return []string{NS, NS + "#extended"} }

// Bounds of what one request makes the store do.
const (
	// maxCount is how far messages are counted only to say how many there are. Beyond, a page does not tell.
	maxCount = 5000
	// maxCounted is how far they are counted for a client that asks for nothing else.
	maxCounted = 1 << 20
	maxQueryID = 256
	// maxIndex is how far into an archive a page is found by its index.
	maxIndex = 100_000
)

// fields are the query form's (XEP-0313 §4.1).
const (
	fieldWith     = "with"
	fieldStart    = "start"
	fieldEnd      = "end"
	fieldBeforeID = "before-id"
	fieldAfterID  = "after-id"
	fieldIDs      = "ids"
)

// request is a query that was read and makes sense.
type request struct {
	queryID []byte // nil: none
	with    jid.JID
	// after and before bound the ids by time.
	after, before     int64
	afterID, beforeID string
	ids               []string
	hasIDs            bool
	page              stanza.PageRequest
	flip              bool
}

// parse reads a query element.
func parse(q xmlstream.Element) (*request, *stanza.Error) {
	if q.Attr("node") != nil {
		return nil, stanza.NewError(stanza.ConditionFeatureNotImplemented, "This archive has no nodes.") // XEP-0442
	}
	r := &request{queryID: q.Attr("queryid"), flip: q.Child(NS, "flip-page").Valid()}
	if len(r.queryID) > maxQueryID {
		return nil, stanza.NewError(stanza.ConditionPolicyViolation, "A queryid of this length would be repeated in every result.")
	}
	var bad *stanza.Error
	if r.page, bad = stanza.ParsePage(q.Child(stanza.NSRSM, "set")); bad != nil {
		return nil, bad
	}
	x := q.Child(stanza.NSDataForms, "x")
	if !x.Valid() {
		return r, nil
	}
	f, bad := stanza.ParseForm(x, stanza.DefaultFormLimits())
	switch {
	case bad != nil:
		return nil, bad
	case f.Type != stanza.FormSubmit || f.FormType() != NS:
		return nil, stanza.NewError(stanza.ConditionBadRequest, "A query is a submitted form of the type "+NS+".")
	}
	for i := range f.Fields {
		if bad := r.field(&f.Fields[i]); bad != nil {
			return nil, bad
		}
	}
	return r, nil
}

// field takes one field of the form. An empty one says nothing.
func (r *request) field(f *stanza.FormField) *stanza.Error {
	value := ""
	if len(f.Values) > 0 {
		value = f.Values[0]
	}
	var text *string
	switch f.Var {
	case "FORM_TYPE":
		return nil
	case fieldIDs:
		r.ids, r.hasIDs = f.Values, len(f.Values) > 0
		return nil
	case fieldAfterID:
		text = &r.afterID
	case fieldBeforeID:
		text = &r.beforeID
	case fieldWith, fieldStart, fieldEnd:
	default: // XEP-0313 §4.1.5
		return stanza.NewError(stanza.ConditionFeatureNotImplemented, "Archives cannot be searched by "+strconv.Quote(f.Var)+".")
	}
	if len(f.Values) > 1 {
		return stanza.NewError(stanza.ConditionBadRequest, "The field "+f.Var+" has one value.")
	}
	if value == "" {
		return nil
	}
	if text != nil {
		*text = value
		return nil
	}
	if f.Var == fieldWith {
		j, err := jid.Parse(value)
		if err != nil {
			return stanza.NewError(stanza.ConditionJIDMalformed, "with: "+err.Error())
		}
		r.with = j
		return nil
	}
	at, ok := stanza.ParseStamp([]byte(value))
	if !ok {
		return stanza.NewError(stanza.ConditionBadRequest, "The field "+f.Var+" has to be a time such as 2006-01-02T15:04:05Z.")
	}
	// Results tell their time to the millisecond, so this is how exactly they can be asked for.
	at = at.Truncate(time.Millisecond)
	if f.Var == fieldStart {
		r.after = core.FirstID(at) - 1
	} else {
		r.before = max(core.FirstID(at.Add(time.Millisecond)), 1) // 1: nothing
	}
	return nil
}

// narrow bounds a query by an id that is not to be included itself.
func narrow(q *Query, after, before int64) {
	q.After = max(q.After, after)
	if before > 0 && (q.Before == 0 || before < q.Before) {
		q.Before = before
	}
}

// form is the query form, which tells what can be searched by (XEP-0313 §4.1.5).
func form() []byte {
	b := xmlstream.NewBuilder(nil).Open(NS, "query")
	w := stanza.OpenForm(b, stanza.FormToFill, NS, "", "")
	w.Field(fieldWith, "jid-single", "")
	for _, name := range []string{fieldStart, fieldEnd, fieldBeforeID, fieldAfterID} {
		w.Field(name, "text-single", "")
	}
	w.OpenField(fieldIDs, "list-multi", "")
	b.Open(nsValidate, "validate").Attr("datatype", "xs:string").Open(nsValidate, "open").Close().Close().Close()
	w.Close()
	return b.Bytes()
}

const nsValidate = "http://jabber.org/protocol/xdata-validate" // XEP-0122

// part takes the page that is asked for out of messages that are all there is.
func part(list []Message, p stanza.PageRequest, most, mostBytes int) (page []Message, complete bool) {
	list = list[min(max(p.Index, 0), len(list)):]
	n, size := 0, 0
	for n < min(most, len(list)) {
		m := &list[n]
		if p.Backwards {
			m = &list[len(list)-1-n]
		}
		if size += len(m.XML); size > mostBytes && n > 0 {
			break
		}
		n++
	}
	if p.Backwards {
		return list[len(list)-n:], n == len(list)
	}
	return list[:n], n == len(list)
}

// byID orders messages, each once.
func byID(list []Message) []Message {
	slices.SortFunc(list, func(a, b Message) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(list, func(a, b Message) bool { return a.ID == b.ID })
}
