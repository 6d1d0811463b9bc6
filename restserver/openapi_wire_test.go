package restserver_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a handler reads is what the schema has: no documented field is unknown to it, and others are.
func TestOpenAPIRequestBodies(t *testing.T) {
	w := newWorld(t)
	w.want(201, "", "POST", "/chatrooms", `{"roomName":"a"}`)
	d := describe(t, w)
	noticed, client := map[string]bool{}, int64(0)
	for path, methods := range d.Paths {
		for method, o := range methods {
			if o.RequestBody == nil {
				continue
			}
			reference := o.RequestBody.Content[formatJSON].Schema.Ref
			if reference == "" {
				continue // read as it is
			}
			schema := strings.TrimPrefix(reference, "#/components/schemas/")
			for _, strange := range []bool{false, true} {
				body, _ := sample(d, shape{Ref: reference}, 0).(map[string]any)
				if strange {
					body["notThere"] = "x"
				}
				text, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				if _, there := w.directory.User("mira"); !there { // a call has renamed her
					w.create("mira", "x")
				}
				// A client of its own, so that it is warned of every field.
				client++
				w.log.Reset()
				w.send(strings.ToUpper(method), fill(path), string(text), from("2001:db8::"+strconv.FormatInt(client, 16)))
				log := w.log.String()
				if strange {
					noticed[schema] = noticed[schema] || strings.Contains(log, "field=notThere")
				} else if strings.Contains(log, "a field that is ignored") {
					t.Errorf("%s %s: the document has fields that nobody reads: %s", method, path, log)
				}
			}
			if _, ok := noticed[schema]; !ok {
				noticed[schema] = false
			}
		}
	}
	for schema, was := range noticed {
		if !was {
			t.Errorf("%s: no operation was seen to read it", schema)
		}
	}
}

// sample makes a value with everything that a schema has.
func sample(d description, s shape, depth int) any {
	switch {
	case s.Ref != "":
		return sample(d, d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")], depth+1)
	case s.Type == "array":
		return []any{sample(d, *s.Items, depth)}
	case s.Type == "object":
		o := map[string]any{}
		for name, p := range s.Properties {
			o[name] = sample(d, p, depth)
		}
		return o
	case s.Type == "integer":
		return 1
	case s.Type == "boolean":
		return true
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	return "tobias"
}

// The examples that the entities are compared with have exactly what the schemas say, in both formats. Some fields are not in them.
func TestOpenAPISchemasFitTheWire(t *testing.T) {
	d := describe(t, newWorld(t))
	absent := map[string][]string{
		"MUCRoomEntity": {"password"}, "MUCRoomMessageEntity": {"to"}, "VCard": {},
	}
	// What this program adds, whose examples are in tests of the package entity.
	unexampled := []string{"LockoutEntity", "LockoutEntities", "VCard"}

	seen := map[string]map[string]bool{}
	for _, folder := range []string{"entity/testdata", "testdata/examples"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no examples in %s: %v", folder, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".xml")
			if err != nil {
				t.Fatal(err)
			}
			var document element
			if err := xml.Unmarshal(text, &document); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var value any
			if err := json.Unmarshal(raw, &value); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			var fits, reasons []string
			for name, s := range d.Components.Schemas {
				if s.XML.Name != document.XMLName.Local && !(name == "AffiliatedEntities" && s.Properties[document.XMLName.Local].Type == "array") {
					continue
				}
				have := map[string]map[string]bool{}
				if problem := fitJSON(d, shape{Ref: "#/components/schemas/" + name}, value, have); problem != "" {
					reasons = append(reasons, name+": "+problem)
					continue
				}
				if problem := fitXML(d, name, s, document); problem != "" {
					reasons = append(reasons, name+": "+problem)
					continue
				}
				fits = append(fits, name)
				for schema, fields := range have {
					if seen[schema] == nil {
						seen[schema] = map[string]bool{}
					}
					maps.Copy(seen[schema], fields)
				}
			}
			if len(fits) == 0 {
				t.Errorf("%s: fits no schema: %v", file, reasons)
			}
		}
	}
	for name, s := range d.Components.Schemas {
		fields, ok := seen[name]
		if !ok {
			if !slices.Contains(unexampled, name) {
				t.Errorf("%s: no example", name)
			}
			continue
		}
		for property, p := range s.Properties {
			if !fields[property] && !p.WriteOnly && !slices.Contains(absent[name], property) {
				t.Errorf("%s: no example has %s", name, property)
			}
		}
	}
}

// fitJSON says why a value isn't what a schema says; what it has of each schema goes into have.
func fitJSON(d description, s shape, value any, have map[string]map[string]bool) string {
	name := ""
	if s.Ref != "" {
		name = strings.TrimPrefix(s.Ref, "#/components/schemas/")
		s = d.Components.Schemas[name]
	}
	switch v := value.(type) {
	case map[string]any:
		if s.Type != "object" {
			return "an object where " + s.Type + " is due"
		}
		if have[name] == nil {
			have[name] = map[string]bool{}
		}
		for key, inner := range v {
			p, ok := s.Properties[key]
			if !ok || p.WriteOnly {
				return name + " has no " + key
			}
			have[name][key] = true
			if problem := fitJSON(d, p, inner, have); problem != "" {
				return key + ": " + problem
			}
		}
	case []any:
		if s.Type != "array" {
			return "a list where " + s.Type + " is due"
		}
		for _, inner := range v {
			if problem := fitJSON(d, *s.Items, inner, have); problem != "" {
				return problem
			}
		}
	case string:
		if s.Type != "string" || len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			return fmt.Sprintf("%q where %s %v is due", v, s.Type, s.Enum)
		}
	case float64:
		if s.Type != "integer" || s.Format == "int32" && v >= 1<<31 {
			return fmt.Sprintf("a number where %s %s is due", s.Type, s.Format)
		}
	case bool:
		if s.Type != "boolean" {
			return "a boolean where " + s.Type + " is due"
		}
	}
	return ""
}

// element is any element of XML.
type element struct {
	XMLName    xml.Name
	Attributes []xml.Attr `xml:",any,attr"`
	Children   []element  `xml:",any"`
}

func fitXML(d description, name string, s shape, e element) string {
	if name == "AffiliatedEntities" {
		for _, child := range e.Children {
			if want := s.Properties[e.XMLName.Local].Items.XML.Name; child.XMLName.Local != want {
				return child.XMLName.Local + " where " + want + " is due"
			}
		}
		return ""
	}
	nameOf := func(items shape) string {
		if items.Ref != "" {
			return d.Components.Schemas[strings.TrimPrefix(items.Ref, "#/components/schemas/")].XML.Name
		}
		return items.XML.Name
	}
	for _, a := range e.Attributes {
		if p, ok := s.Properties[a.Name.Local]; !ok || !p.XML.Attribute {
			return "no attribute " + a.Name.Local
		}
	}
	for _, child := range e.Children {
		found := false
		for key, p := range s.Properties {
			entries := []element{child}
			switch {
			case p.Type != "array":
				if key == child.XMLName.Local && !p.XML.Attribute && len(child.Children) == 0 {
					found = true
				}
				continue
			case p.XML.Wrapped && key == child.XMLName.Local:
				entries = child.Children
			case p.XML.Wrapped || nameOf(*p.Items) != child.XMLName.Local:
				continue
			}
			found = true
			for _, entry := range entries {
				if entry.XMLName.Local != nameOf(*p.Items) {
					return entry.XMLName.Local + " where " + nameOf(*p.Items) + " is due"
				}
				if p.Items.Ref != "" {
					inner := strings.TrimPrefix(p.Items.Ref, "#/components/schemas/")
					if problem := fitXML(d, inner, d.Components.Schemas[inner], entry); problem != "" {
						return problem
					}
				}
			}
		}
		if !found {
			return "no element " + child.XMLName.Local
		}
	}
	return ""
}
