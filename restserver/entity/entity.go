// Package entity holds the wire types of the REST API: what goes out, byte for
// byte in XML and in JSON, and one tolerant grammar for what comes in.
//
// What goes out is one dialect, the newest. What comes in may be XML or any JSON
// dialect that libraries of the last ten years write: lists as arrays, as a single
// value or wrapped in an object, attributes with or without "@", numbers and
// booleans as strings. A request is read in two steps: [Parse] turns bytes into a
// [Body], which knows only values; a method of Body such as [Body.User] reads the
// entity from it.
package entity

import "time"

// Format is one of the two formats of the API.
type Format uint8

// The formats.
const (
	XML Format = iota
	JSON
)

// ContentType is the media type as it stands in an answer: without parameters,
// the bytes are UTF-8.
func (f Format) ContentType() string {
	if f == JSON {
		return "application/json"
	}
	return "application/xml"
}

// Entity is something that can be an answer. Field order differs between the two
// formats for some entities, so each writes itself twice.
type Entity interface {
	writeXML(*xmlWriter)
	writeJSON(*jsonWriter)
}

// fieldWriter is what both formats can write. Entities whose fields stand in one order in both are written through it.
type fieldWriter interface {
	text(name, value string)
	// optional leaves the field out when it is empty.
	optional(name, value string)
	integer(name string, n int)
	boolean(name string, b bool)
	date(name string, t time.Time)
	// strings writes a list; item is the name of one entry where entries have names.
	strings(list, item string, values []string)
}

// xmlProlog is how every XML answer begins; the root follows directly.
const xmlProlog = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`

// Marshal writes an entity as a whole answer.
func Marshal(f Format, e Entity) []byte {
	if f == JSON {
		w := jsonWriter{buf: make([]byte, 0, 256)}
		e.writeJSON(&w)
		return w.buf
	}
	w := xmlWriter{buf: append(make([]byte, 0, 384), xmlProlog...)}
	e.writeXML(&w)
	return w.buf
}
