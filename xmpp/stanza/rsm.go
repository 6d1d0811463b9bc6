package stanza

import (
	"bytes"
	"strconv"

	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// PageRequest says which part of a result set is asked for (XEP-0059 §2).
type PageRequest struct {
	// Max is the greatest number of items wanted; -1: it was not said. 0 asks for their number only (§2.7).
	Max int
	// Index is the position of the first item wanted (§2.6); -1: it was not said.
	Index int
	// After is the item before the first one wanted (§2.2).
	After string
	// Before is the item after the last one wanted (§2.4). Without it, Backwards asks for the last page of all (§2.5).
	Before    string
	Backwards bool
}

// ParsePage reads a request's set element; one that isn't there asks for the first page. The error is bad-request.
func ParsePage(set xmlstream.Element) (PageRequest, *Error) {
	p := PageRequest{Max: -1, Index: -1}
	for e := range set.Children() {
		if string(e.Space()) != NSRSM {
			continue
		}
		var ok = true
		switch string(e.Local()) {
		case "max":
			p.Max, ok = count(e)
		case "index":
			p.Index, ok = count(e)
		case "after":
			p.After = string(e.Text())
		case "before":
			p.Before, p.Backwards = string(e.Text()), true
		}
		if !ok {
			return p, NewError(ConditionBadRequest, "The "+string(e.Local())+" of a result set has to be a whole number.")
		}
	}
	return p, nil
}

// count reads a number that is not negative and fits into 31 bits.
func count(e xmlstream.Element) (int, bool) {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(e.Text())), 10, 31)
	return int(n), err == nil //nolint:gosec // 31 bits
}

// Page describes the part of a result set that is given (XEP-0059 §2.1).
type Page struct {
	First, Last string // empty when there are no items
	// Index is the position of the first item in the whole set, Count the size of it; -1: it is not said.
	Index, Count int
}

// Append writes the set element.
func (p Page) Append(b *xmlstream.Builder) {
	b.Open(NSRSM, "set")
	if p.First != "" || p.Last != "" {
		b.Open(NSRSM, "first")
		if p.Index >= 0 {
			b.Attr("index", strconv.Itoa(p.Index))
		}
		b.Text(p.First).Close()
		b.Open(NSRSM, "last").Text(p.Last).Close()
	}
	if p.Count >= 0 {
		b.Open(NSRSM, "count").Text(strconv.Itoa(p.Count)).Close()
	}
	b.Close()
}
