package archive

import (
	"context"
	"log/slog"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Archive is one archive for somebody who may read it.
type Archive struct {
	Store Store
	Log   *slog.Logger
	Owner int64
	// JID is the address of the archive, which results come from.
	JID jid.JID
	// Oldest is the least id that is given: what is older has run out, though it may be there still.
	Oldest int64
	// Most and MostBytes bound one page.
	Most, MostBytes int
	// With says which messages are with, or from, somebody (XEP-0313 §4.1.1).
	With func(jid.JID) (Filter, *stanza.Error)
	// Show gives a message as the asking entity may see it: a whole message element, for the default namespace jabber:client.
	Show func(*Message) []byte
}

// Filter picks messages; the zero value picks all.
type Filter struct {
	Peer, Account *string // at most one
	// None picks none.
	None bool
}

// Asks reports whether a request is one for an archive.
func Asks(request xmlstream.Element) bool {
	return request.Is(NS, "query") || request.Is(NS, "metadata")
}

// Answer answers a request. The messages that it asks for go out by send, in their order, before Answer returns the reply; send says whether it is
// worth going on.
func (a *Archive) Answer(ctx context.Context, st *stanza.Stanza, send func(*stanza.Stanza) bool) *stanza.Stanza {
	q := st.FirstChild()
	var (
		payload []byte
		bad     *stanza.Error
	)
	switch {
	case st.Type == stanza.IQGet && q.Is(NS, "query"):
		payload = form()
	case st.Type == stanza.IQGet && q.Is(NS, "metadata"):
		payload, bad = a.metadata(ctx)
	case st.Type == stanza.IQSet && q.Is(NS, "query"):
		payload, bad = a.query(ctx, st, q, send)
	default:
		bad = stanza.NewError(stanza.ConditionFeatureNotImplemented, "")
	}
	if bad != nil {
		return stanza.ErrorReply(st, bad)
	}
	return stanza.Result(st, payload)
}

// failed is the answer when the store fails.
func (a *Archive) failed(err error) *stanza.Error {
	a.Log.Error("an archive cannot be read", "archive", a.JID.String(), "error", err.Error())
	return stanza.NewError(stanza.ConditionResourceConstraint, "The archive cannot be read at the moment. Try again later.")
}

func notThere() *stanza.Error {
	return stanza.NewError(stanza.ConditionItemNotFound, "There is no message of this id in the archive.")
}

// scope is a query for everything that is there.
func (a *Archive) scope() Query { return Query{Owner: a.Owner, After: max(a.Oldest-1, 0)} }

// metadata tells of the first and the last message (XEP-0313 §5).
func (a *Archive) metadata(ctx context.Context) ([]byte, *stanza.Error) {
	b := xmlstream.NewBuilder(nil).Open(NS, "metadata")
	for _, end := range []struct {
		name string
		last bool
	}{{"start", false}, {"end", true}} {
		q := a.scope()
		q.Most, q.MostBytes, q.Last = 1, 1, end.last
		list, err := a.Store.Messages(ctx, q)
		if err != nil {
			return nil, a.failed(err)
		}
		for i := range list {
			b.Open(NS, end.name).Attr("id", id(list[i].ID)).Attr("timestamp", stanza.Stamp(list[i].Time)).Close()
		}
	}
	return b.Bytes(), nil
}

func id(n int64) string { return string(core.AppendID(nil, n)) }

// message finds the message of an id that a client wrote (XEP-0313 §4.1.3, §4.3.2): it has to be there.
func (a *Archive) message(ctx context.Context, id string) (Message, *stanza.Error) {
	n, ok := core.ParseID([]byte(id))
	if !ok || n < a.Oldest {
		return Message{}, notThere()
	}
	m, ok, err := a.Store.Message(ctx, a.Owner, n)
	switch {
	case err != nil:
		return Message{}, a.failed(err)
	case !ok:
		return Message{}, notThere()
	}
	return m, nil
}

// bound is the number of an id that a client wrote; 0 when it wrote none.
func (a *Archive) bound(ctx context.Context, id string) (int64, *stanza.Error) {
	if id == "" {
		return 0, nil
	}
	m, bad := a.message(ctx, id)
	return m.ID, bad
}

// results are a page.
type results struct {
	list         []Message
	index, count int // -1: not said
	complete     bool
}

// query answers a query (XEP-0313 §4).
func (a *Archive) query(ctx context.Context, st *stanza.Stanza, element xmlstream.Element, send func(*stanza.Stanza) bool) ([]byte, *stanza.Error) {
	r, bad := parse(element)
	if bad != nil {
		return nil, bad
	}
	q, none, bad := a.restrict(ctx, r)
	if bad != nil {
		return nil, bad
	}
	res := &results{complete: true}
	switch {
	case r.hasIDs:
		res, bad = a.byIDs(ctx, r, &q, none)
	case !none:
		res, bad = a.find(ctx, r, q)
	}
	if bad != nil {
		return nil, bad
	}
	for i := range res.list {
		m := &res.list[i]
		if r.flip {
			m = &res.list[len(res.list)-1-i]
		}
		if !send(a.result(st.From, r.queryID, m)) {
			break
		}
	}
	b := xmlstream.NewBuilder(nil).Open(NS, "fin")
	if res.complete {
		b.Attr("complete", "true")
	}
	page := stanza.Page{Index: res.index, Count: res.count}
	if n := len(res.list); n > 0 {
		page.First, page.Last = id(res.list[0].ID), id(res.list[n-1].ID)
	}
	page.Append(b)
	return b.Bytes(), nil
}

// restrict makes a query of the form: what is asked for of all pages. none: nothing can match.
func (a *Archive) restrict(ctx context.Context, r *request) (q Query, none bool, bad *stanza.Error) {
	q = a.scope()
	if !r.with.IsZero() {
		f, bad := a.With(r.with)
		if bad != nil {
			return q, false, bad
		}
		q.Peer, q.Account, none = f.Peer, f.Account, f.None
	}
	narrow(&q, r.after, r.before)
	after, bad := a.bound(ctx, r.afterID)
	if bad != nil {
		return q, none, bad
	}
	before, bad := a.bound(ctx, r.beforeID)
	narrow(&q, after, before)
	return q, none, bad
}

// find gives a page of what matches a query.
func (a *Archive) find(ctx context.Context, r *request, all Query) (*results, *stanza.Error) {
	after, bad := a.bound(ctx, r.page.After)
	if bad != nil {
		return nil, bad
	}
	before, bad := a.bound(ctx, r.page.Before)
	if bad != nil {
		return nil, bad
	}
	count := func(q Query, most int) (int, *stanza.Error) {
		q.Most = most
		n, err := a.Store.CountMessages(ctx, q)
		if err != nil {
			return 0, a.failed(err)
		}
		return n, nil
	}
	if r.page.Max == 0 { // XEP-0059 §2.7
		n, bad := count(all, maxCounted)
		return &results{count: n, complete: n == 0}, bad
	}
	q := all
	narrow(&q, after, before)
	q.Most, q.MostBytes, q.Last = a.Most, a.MostBytes, r.page.Backwards
	if r.page.Max > 0 {
		q.Most = min(q.Most, r.page.Max)
	}
	switch {
	case r.page.Index > maxIndex:
		return nil, stanza.NewError(stanza.ConditionFeatureNotImplemented, "Pages so far into an archive are found by the id of a message, or by time.")
	case r.page.Index > 0:
		q.Skip = r.page.Index
	}
	res := &results{index: -1, count: -1}
	var err error
	if res.list, err = a.Store.Messages(ctx, q); err != nil {
		return nil, a.failed(err)
	}
	if len(res.list) == 0 {
		res.complete = true
	} else {
		// Is there more in the direction of the page?
		rest := q
		if q.Last {
			rest.Before = res.list[0].ID
		} else {
			rest.After = res.list[len(res.list)-1].ID
		}
		more, bad := count(rest, 1)
		if bad != nil {
			return nil, bad
		}
		res.complete = more == 0
	}
	total, bad := count(all, maxCount+1)
	if bad != nil || total > maxCount {
		return res, bad
	}
	res.count = total
	if len(res.list) > 0 {
		all.Before = res.list[0].ID
		res.index, bad = count(all, maxCount)
	}
	return res, bad
}

// byIDs gives messages of which the client knows the ids (XEP-0313 §4.1.3).
func (a *Archive) byIDs(ctx context.Context, r *request, q *Query, none bool) (*results, *stanza.Error) {
	if len(r.ids) > a.Most {
		return nil, stanza.NewError(stanza.ConditionNotAcceptable, "These are more messages than a page has. Ask for a part of them.")
	}
	var list []Message
	for _, id := range r.ids {
		m, bad := a.message(ctx, id)
		if bad != nil {
			return nil, bad
		}
		if !none && q.matches(&m) {
			list = append(list, m)
		}
	}
	list = byID(list)
	all := len(list)
	after, bad := a.bound(ctx, r.page.After)
	if bad != nil {
		return nil, bad
	}
	before, bad := a.bound(ctx, r.page.Before)
	if bad != nil {
		return nil, bad
	}
	narrow(q, after, before)
	kept, index := list[:0:0], 0
	for _, m := range list {
		switch {
		case q.matches(&m):
			kept = append(kept, m)
		case len(kept) == 0:
			index++
		}
	}
	most := a.Most
	if r.page.Max >= 0 {
		most = min(most, r.page.Max)
	}
	res := &results{count: all}
	res.list, res.complete = part(kept, r.page, most, a.MostBytes)
	if len(res.list) > 0 {
		for kept[0].ID != res.list[0].ID {
			kept, index = kept[1:], index+1
		}
	}
	res.index = index
	return res, nil
}

// matches is what the store does for pages.
func (q *Query) matches(m *Message) bool {
	return m.ID > q.After && (q.Before == 0 || m.ID < q.Before) && (q.Peer == nil || *q.Peer == m.Peer) && (q.Account == nil || *q.Account == m.Account)
}

// result is the message that carries one archived message (XEP-0313 §4.2).
func (a *Archive) result(to jid.JID, queryID []byte, m *Message) *stanza.Stanza {
	b := xmlstream.NewBuilder(make([]byte, 0, len(m.XML)+512)).Open(NS, "result")
	if queryID != nil {
		b.Attr("queryid", string(queryID))
	}
	b.Attr("id", id(m.ID))
	stanza.Forwarded{Delay: stanza.Delay{Stamp: m.Time}, XML: a.Show(m)}.Append(b)
	return &stanza.Stanza{Kind: stanza.Message, Type: stanza.MessageNormal, From: a.JID, To: to, Payload: b.Bytes()}
}
