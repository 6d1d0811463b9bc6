package openapi

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// tree is a part of a document: an object, a list, or a value that JSON has a notation for.
type tree any

// object is a document's mapping; its members keep their order.
type object []member

type member struct {
	name  string
	value tree
}

// with appends a member unless its value is nothing: nil, an empty text, object or list.
func (o object) with(name string, value tree) object {
	switch v := value.(type) {
	case nil:
		return o
	case string:
		if v == "" {
			return o
		}
	case object:
		if len(v) == 0 {
			return o
		}
	case []tree:
		if len(v) == 0 {
			return o
		}
	}
	return append(o, member{name, value})
}

// asJSON writes a document as JSON.
func asJSON(t tree) []byte {
	var b strings.Builder
	writeJSON(&b, t)
	return []byte(b.String())
}

func writeJSON(b *strings.Builder, t tree) {
	switch v := t.(type) {
	case object:
		b.WriteByte('{')
		for i, m := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quoted(m.name))
			b.WriteByte(':')
			writeJSON(b, m.value)
		}
		b.WriteByte('}')
	case []tree:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	default:
		b.WriteString(scalar(v))
	}
}

// asYAML writes a document as YAML 1.2 in block style, which people can read.
func asYAML(t tree) []byte {
	var b strings.Builder
	writeYAML(&b, t, "")
	return []byte(strings.TrimPrefix(b.String(), "\n"))
}

// writeYAML writes a value behind a key or a dash; what has several lines begins on the next one.
func writeYAML(b *strings.Builder, t tree, indent string) {
	switch v := t.(type) {
	case object:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteByte('\n')
		for _, m := range v {
			b.WriteString(indent)
			b.WriteString(yamlText(m.name))
			b.WriteByte(':')
			writeYAML(b, m.value, indent+"  ")
		}
	case []tree:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteByte('\n')
		for _, item := range v {
			b.WriteString(indent)
			b.WriteByte('-')
			if o, ok := item.(object); ok && len(o) > 0 {
				// The first member stands behind the dash.
				var inner strings.Builder
				writeYAML(&inner, o, indent+"  ")
				b.WriteByte(' ')
				b.WriteString(strings.TrimPrefix(inner.String(), "\n"+indent+"  "))
				continue
			}
			writeYAML(b, item, indent+"  ")
		}
	case string:
		b.WriteByte(' ')
		b.WriteString(yamlText(v))
		b.WriteByte('\n')
	default:
		b.WriteByte(' ')
		b.WriteString(scalar(v))
		b.WriteByte('\n')
	}
}

// plainText is what needs no quotes in YAML, to be on the safe side: words of letters, which are neither a truth value, nor nothing, nor a number.
var plainText = regexp.MustCompile(`^[A-Za-z/$#][A-Za-z0-9_/{}.-]*( [A-Za-z0-9_/-]+)*$`)

// yamlText is a text in YAML: double quotes hold whatever JSON's hold (YAML 1.2 §1.3).
func yamlText(s string) string {
	switch strings.ToLower(s) {
	case "y", "yes", "n", "no", "true", "false", "on", "off", "null":
		return quoted(s)
	}
	if strings.HasPrefix(s, "#") || !plainText.MatchString(s) {
		return quoted(s)
	}
	return s
}

func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return quoted(v)
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	}
	return "null"
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // cannot be: any string has a notation
	}
	return string(b)
}
