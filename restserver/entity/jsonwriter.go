package entity

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// jsonWriter appends JSON as the original's library writes it: no white space,
// only what must be escaped is.
type jsonWriter struct {
	buf []byte
}

// begin opens an object or an array; end closes it.
func (w *jsonWriter) begin(bracket byte) {
	w.separate()
	w.buf = append(w.buf, bracket)
}

func (w *jsonWriter) end(bracket byte) { w.buf = append(w.buf, bracket) }

// separate puts the comma before whatever follows a finished value.
func (w *jsonWriter) separate() {
	if len(w.buf) == 0 {
		return
	}
	switch w.buf[len(w.buf)-1] {
	case '{', '[', ':':
	default:
		w.buf = append(w.buf, ',')
	}
}

func (w *jsonWriter) key(name string) {
	w.separate()
	w.quote(name)
	w.buf = append(w.buf, ':')
}

func (w *jsonWriter) text(name, value string) {
	w.key(name)
	w.quote(value)
}

// optional writes a string that is left out when it is empty.
func (w *jsonWriter) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *jsonWriter) integer(name string, n int) {
	w.key(name)
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
}

func (w *jsonWriter) boolean(name string, b bool) {
	w.key(name)
	w.buf = strconv.AppendBool(w.buf, b)
}

// date writes milliseconds since 1970 as a number.
func (w *jsonWriter) date(name string, t time.Time) {
	w.key(name)
	w.buf = strconv.AppendInt(w.buf, t.UnixMilli(), 10)
}

func (w *jsonWriter) strings(list, _ string, values []string) {
	w.key(list)
	w.begin('[')
	for _, v := range values {
		w.separate()
		w.quote(v)
	}
	w.end(']')
}

// jsonItems writes a list under a key.
func jsonItems[E Entity](w *jsonWriter, key string, list []E) {
	w.key(key)
	w.begin('[')
	for _, e := range list {
		e.writeJSON(w)
	}
	w.end(']')
}

// jsonList writes a list as a whole answer: an object with one key.
func jsonList[E Entity](w *jsonWriter, key string, list []E) {
	w.begin('{')
	jsonItems(w, key, list)
	w.end('}')
}

func (w *jsonWriter) quote(s string) {
	const hex = "0123456789ABCDEF"
	w.buf = append(w.buf, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			w.buf = utf8.AppendRune(w.buf, r)
			i += size
			continue
		}
		i++
		switch {
		case c == '"' || c == '\\':
			w.buf = append(w.buf, '\\', c)
		case c == '\b':
			w.buf = append(w.buf, '\\', 'b')
		case c == '\t':
			w.buf = append(w.buf, '\\', 't')
		case c == '\n':
			w.buf = append(w.buf, '\\', 'n')
		case c == '\f':
			w.buf = append(w.buf, '\\', 'f')
		case c == '\r':
			w.buf = append(w.buf, '\\', 'r')
		case c < 0x20:
			w.buf = append(w.buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
		default:
			w.buf = append(w.buf, c)
		}
	}
	w.buf = append(w.buf, '"')
}
