package entity

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value kinds. An XML element without attributes and children is a textValue, any
// other an objectValue whose attributes are members named "@name", so that the rules
// for JSON of either notation serve XML too.
type kind uint8

const (
	nullValue kind = iota
	booleanValue
	numberValue
	textValue
	listValue
	objectValue
)

// node is one value of a request.
type node struct {
	kind kind
	// text is the string, the number's digits, "true" or "false", or an XML element's
	// own character data.
	text    string
	items   []node
	members []member
}

type member struct {
	name string
	node node
}

func (n node) has(names ...string) bool {
	return n.kind == objectValue && slices.ContainsFunc(n.members, func(m member) bool { return slices.Contains(names, m.name) })
}

// blank says whether a list item counts as nothing: null, the false that PHP
// programs send, white space, or an empty object that isn't an entity.
func (n node) blank() bool {
	switch n.kind {
	case nullValue:
		return true
	case booleanValue:
		return n.text == "false"
	case textValue:
		return strings.TrimSpace(n.text) == ""
	case objectValue:
		return len(n.members) == 0 && strings.TrimSpace(n.text) == ""
	default:
		return false
	}
}

// InputError says what is wrong with a request's body, in a sentence for whoever
// wrote the client.
type InputError struct{ Message string }

func (e *InputError) Error() string { return e.Message }

func inputErrorf(format string, args ...any) *InputError {
	return &InputError{Message: fmt.Sprintf(format, args...)}
}

// Body is a request's body as values.
type Body struct {
	format  Format
	root    string // the root element; empty for JSON
	value   node
	unknown []string
}

// Unknown lists the fields that the last reading met and didn't know, as paths.
func (b *Body) Unknown() []string { return b.unknown }

func (b *Body) rootIs(name string) bool { return b.format == XML && b.root == name }

func (b *Body) decoder() *decoder { return &decoder{body: b} }

func (b *Body) finish(d *decoder) error {
	b.unknown = d.unknown
	if d.err != nil {
		return d.err
	}
	return nil
}

// decoder collects the first error and the unknown fields of one reading.
type decoder struct {
	body    *Body
	err     *InputError
	unknown []string
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = inputErrorf(format, args...)
	}
}

// root reads the body as one entity.
func (d *decoder) root(name string) *object {
	b := d.body
	switch {
	case b.format == XML && b.root != name:
		d.fail("the root element has to be <%s>, not <%s>", name, b.root)
	case b.format == JSON && b.value.kind != objectValue:
		d.fail("the body has to be a JSON object with the fields of a %s", name)
	}
	return &object{decoder: d, node: b.value, used: make([]bool, len(b.value.members))}
}

// listRoot reads the body as a list of entities: wrapped, or a bare JSON array.
func (d *decoder) listRoot(list, item string) []*object {
	b := d.body
	var items []node
	switch {
	case b.format == XML && b.root != list:
		d.fail("the root element has to be <%s>, not <%s>", list, b.root)
	case b.format == XML || b.value.kind == listValue:
		items, _ = expand(b.value, item)
	default:
		o := d.root(list)
		items, _ = o.list(list, item)
		o.done()
	}
	objects := make([]*object, len(items))
	for i, n := range items {
		objects[i] = (&object{decoder: d}).sub(n, item)
	}
	return objects
}

// object reads the fields of one entity, and knows which it has seen.
type object struct {
	*decoder
	path string
	node node
	used []bool
}

// sub is a list item as an entity.
func (o *object) sub(n node, name string) *object {
	if n.kind != objectValue && !(n.kind == textValue && o.body.format == XML) {
		o.fail("a %s has to be an object with fields", name)
	}
	return &object{decoder: o.decoder, path: o.path + name + ".", node: n, used: make([]bool, len(n.members))}
}

// find returns the member of the first of the names that isn't null; of members of
// one name the last counts. Names may stand with the "@" that the oldest notation gives
// attributes.
func (o *object) find(names ...string) (node, bool) {
	var found node
	ok := false
	for _, name := range names {
		for i, m := range o.node.members {
			if strings.TrimPrefix(m.name, "@") != name {
				continue
			}
			o.used[i] = true
			if !ok {
				found = m.node
			}
		}
		ok = ok || found.kind != nullValue
	}
	return found, ok
}

// literal reads a string; numbers and booleans count as their text.
func (o *object) literal(names ...string) *string {
	n, ok := o.find(names...)
	if !ok {
		return nil
	}
	if n.kind == listValue || n.kind == objectValue && o.body.format == JSON {
		o.fail("the field %q has to be a string", o.path+names[0])
		return nil
	}
	return &n.text
}

// text reads a string, where a JSON false means that there is none.
func (o *object) text(names ...string) *string {
	if n, ok := o.find(names...); ok && n.kind == booleanValue && n.text == "false" {
		return nil
	}
	return o.literal(names...)
}

// integer reads a number; absent and empty mean 0. XML has always taken a number
// that cannot be read for 0, JSON refuses it.
func (o *object) integer(name string) int {
	n, ok := o.find(name)
	if !ok {
		return 0
	}
	s := strings.TrimSpace(n.text)
	switch {
	case n.kind == booleanValue || n.kind == listValue || n.kind == objectValue && o.body.format == JSON:
	case s == "":
		return 0
	default:
		if i, err := strconv.Atoi(s); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<31 {
			return int(f)
		}
	}
	if o.body.format == JSON {
		o.fail("the field %q has to be a whole number", o.path+name)
	}
	return 0
}

// boolean reads a flag; absent and empty mean false. XML takes whatever else cannot be read for false, too, JSON refuses it.
func (o *object) boolean(name string) bool {
	n, ok := o.find(name)
	if !ok {
		return false
	}
	if n.kind != listValue && n.kind != objectValue || o.body.format == XML {
		switch strings.ToLower(strings.TrimSpace(n.text)) {
		case "true", "1":
			return true
		case "false", "0", "":
			return false
		}
	}
	if o.body.format == JSON {
		o.fail("the field %q has to be true or false", o.path+name)
	}
	return false
}

// dateLayouts are those of dates as texts, with or without a fraction.
var dateLayouts = []string{time.RFC3339, "2006-01-02T15:04:05Z0700"}

// date reads a date: milliseconds since 1970, or ISO 8601, where one without an offset is in the server's zone. Absent, 0 and what cannot be read are no date.
func (o *object) date(name string) time.Time {
	n, ok := o.find(name)
	s := strings.TrimSpace(n.text)
	if !ok || n.kind != numberValue && n.kind != textValue || s == "" {
		return time.Time{}
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		if ms == 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms).UTC()
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	if t, err := time.ParseInLocation("2006-01-02T15:04:05", s, time.Local); err == nil {
		return t.UTC()
	}
	return time.Time{}
}

// list reads a list in any of its notations. present is false when there is none
// at all, so that "leave it" differs from "make it empty".
func (o *object) list(list, item string) (items []node, present bool) {
	for _, name := range []string{list, item} {
		for i, m := range o.node.members {
			if m.name != name {
				continue
			}
			o.used[i] = true
			more, some := expand(m.node, item)
			items, present = append(items, more...), present || some
		}
		if present {
			break
		}
	}
	return items, present
}

// expand turns what stands for a list into its items: an array, a single value, or
// an object that wraps either under the item's name.
func expand(n node, item string) (items []node, present bool) {
	switch n.kind {
	case nullValue:
		return nil, false
	case booleanValue:
		if n.text == "false" {
			return nil, false
		}
	case listValue:
		for _, i := range n.items {
			if !i.blank() {
				items = append(items, i)
			}
		}
		return items, true
	case objectValue:
		if !n.has(item) {
			break
		}
		for _, m := range n.members {
			if m.name == item {
				more, some := expand(m.node, item)
				items, present = append(items, more...), present || some
			}
		}
		return items, present
	}
	if n.blank() {
		return nil, true
	}
	return []node{n}, true
}

// strings reads a list of strings; blanks around an item are no part of it.
func (o *object) strings(list, item string) (values []string, present bool) {
	items, present := o.list(list, item)
	for _, n := range items {
		if n.kind == listValue || n.kind == objectValue && o.body.format == JSON {
			o.fail("the field %q has to be a list of strings", o.path+list)
			return nil, present
		}
		values = append(values, strings.TrimSpace(n.text))
	}
	return values, present
}

// done ends the reading of an object: what nobody asked for is unknown.
func (o *object) done() {
	for i, m := range o.node.members {
		if !o.used[i] && len(o.unknown) < maxUnknown {
			o.unknown = append(o.unknown, o.path+m.name)
		}
	}
}

// maxUnknown bounds what a body can have to say about its unknown fields.
const maxUnknown = 16
