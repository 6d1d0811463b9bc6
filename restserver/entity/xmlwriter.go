package entity

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// xmlWriter appends XML as the original writes it: no line breaks, no indentation,
// no namespace, and an element without children as an empty-element tag.
type xmlWriter struct {
	buf []byte
	// open is true while a start tag still lacks its ">".
	open bool
}

// start begins an element that holds attributes or other elements. With nothing
// between it and its end it becomes <name/>.
func (w *xmlWriter) start(name string) {
	w.finishTag()
	w.buf = append(w.buf, '<')
	w.buf = append(w.buf, name...)
	w.open = true
}

func (w *xmlWriter) end(name string) {
	if w.open {
		w.buf = append(w.buf, '/', '>')
		w.open = false
		return
	}
	w.buf = append(w.buf, '<', '/')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '>')
}

func (w *xmlWriter) finishTag() {
	if w.open {
		w.buf = append(w.buf, '>')
		w.open = false
	}
}

func (w *xmlWriter) attribute(name, value string) {
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '=', '"')
	w.escape(value, true)
	w.buf = append(w.buf, '"')
}

// text writes an element that holds a string; an empty one is <name></name>.
func (w *xmlWriter) text(name, value string) {
	w.start(name)
	w.finishTag()
	w.escape(value, false)
	w.end(name)
}

// optional writes a string that is left out when it is empty.
func (w *xmlWriter) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *xmlWriter) integer(name string, n int) { w.text(name, strconv.Itoa(n)) }

func (w *xmlWriter) boolean(name string, b bool) { w.text(name, strconv.FormatBool(b)) }

// date writes local time of the server with its offset, "Z" for UTC, and three
// digits of fraction unless they are all zero.
func (w *xmlWriter) date(name string, t time.Time) { w.text(name, formatDate(t)) }

// strings writes a wrapped list of strings.
func (w *xmlWriter) strings(list, item string, values []string) {
	w.start(list)
	for _, v := range values {
		w.text(item, v)
	}
	w.end(list)
}

// xmlList writes a list of entities inside one element.
func xmlList[E Entity](w *xmlWriter, root string, list []E) {
	w.start(root)
	for _, e := range list {
		e.writeXML(w)
	}
	w.end(root)
}

func (w *xmlWriter) escape(s string, inAttribute bool) {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '&':
				w.buf = append(w.buf, "&amp;"...)
			case c == '<':
				w.buf = append(w.buf, "&lt;"...)
			case c == '>':
				w.buf = append(w.buf, "&gt;"...)
			case c == '\r':
				w.buf = append(w.buf, "&#xD;"...)
			case c == '"' && inAttribute:
				w.buf = append(w.buf, "&quot;"...)
			case c == '\t' && inAttribute:
				w.buf = append(w.buf, "&#x9;"...)
			case c == '\n' && inAttribute:
				w.buf = append(w.buf, "&#xA;"...)
			case c < 0x20 && c != '\t' && c != '\n':
				w.buf = append(w.buf, "\uFFFD"...)
			default:
				w.buf = append(w.buf, c)
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if !xmlCharacter(r) || r == utf8.RuneError && size == 1 {
			r = utf8.RuneError
		}
		w.buf = utf8.AppendRune(w.buf, r)
		i += size
	}
}

// xmlCharacter says whether XML 1.0 §2.2 allows the character at all.
func xmlCharacter(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

func formatDate(t time.Time) string {
	t = t.Local().Truncate(time.Millisecond)
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05Z07:00")
	}
	return t.Format("2006-01-02T15:04:05.000Z07:00")
}
