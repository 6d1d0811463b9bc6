package restserver_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// seed is a request that the fuzzer begins with.
type seed struct {
	method, path string
	// kind is the media type of body, which is empty where there is none.
	kind, body string
}

// seeds are a request of each operation without a body, and, where it takes one, with everything that its schema has, in both formats. A route that is added is
// among them by itself.
func seeds(t testing.TB) (list []seed) {
	t.Helper()
	w := newWorld(t)
	got := w.send("GET", "/openapi.json", "")
	var d description
	if err := json.Unmarshal(got.Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			o := d.Paths[path][method]
			for _, at := range seedPaths(path) {
				list = append(list, d.requests(strings.ToUpper(method), at, o)...)
			}
		}
	}
	// Pages for people, which the document leaves out.
	for _, path := range []string{"/plugins/restapi/docs", "/plugins/restapi/docs/index.html", "/plugins/restapi/docs/openapi.json", "/plugins/userService/properties/team", "/plugins/userService/properties/team/North"} {
		list = append(list, seed{method: "GET", path: path})
	}
	for _, kind := range strings.Fields("add delete update enable disable add_roster update_roster delete_roster grouplist usergrouplist") {
		for _, method := range []string{"GET", "POST"} {
			list = append(list, seed{method: method, path: "/userservice?type=" + kind + "&username=mira&password=x&name=M&email=a@b&groups=Ops,North&item_jid=tobias@chat.example&item_name=T&subscription=3&secret=" + mainSecret})
		}
	}
	return list
}

// seedPaths are those of the fuzzer for a documented path: where it is for the API, where it is for the stand-alone plugin, and of each list of affiliations.
func seedPaths(path string) []string {
	names := map[string]string{"username": "mira", "jid": "tobias@chat.example", "roomName": "atrium", "group": "Ops", "groupname": "Ops", "key": "a.motto"}
	var filled []string
	for _, word := range []string{"owners", "admins", "members", "outcasts"} {
		names["affiliations"] = word
		one := parameterInPath.ReplaceAllStringFunc(path, func(p string) string {
			if name, ok := names[strings.Trim(p, "{}")]; ok {
				return name
			}
			return "a"
		})
		filled = append(filled, "/plugins"+one)
	}
	filled = slices.Compact(filled)
	if rest, ok := strings.CutPrefix(path, "/restapi/v1"); ok && slices.Contains([]string{"/users", "/users/{username}", "/users/{username}/groups", "/users/{username}/roster",
		"/users/{username}/roster/{jid}", "/lockouts/{username}", "/userservice"}, rest) {
		filled = append(filled, strings.Replace(filled[0], "/restapi/v1", "/userService", 1))
	}
	return filled
}

func (d description) requests(method, path string, o described) []seed {
	query := url.Values{}
	known := map[string]string{
		"servicename": "conference", "type": "all", "connectionType": "SOCKET_C2S", "before": "2031-04-05T06:07:08+02:00", "propertyKey": "", "username": "", "search": "a",
		"offset": "0", "startTime": "0", "endTime": "0",
	}
	for _, p := range o.Parameters {
		if p.In != "query" {
			continue
		}
		value, ok := known[p.Name]
		if !ok {
			value = map[string]string{"integer": "5", "boolean": "true", "string": "a"}[p.Schema.Type]
		}
		query.Set(p.Name, value)
	}
	list := []seed{{method: method, path: path}}
	if len(query) > 0 {
		list = append(list, seed{method: method, path: path + "?" + query.Encode()})
	}
	if o.RequestBody == nil {
		return list
	}
	reference := o.RequestBody.Content[formatXML].Schema.Ref
	name := strings.TrimPrefix(reference, "#/components/schemas/")
	s := d.Components.Schemas[name]
	if name == "AffiliatedEntities" {
		// Its fields are names of one list, that of the path.
		word := path[strings.LastIndex(path, "/")+1:]
		s.Properties, s.XML.Name = map[string]shape{word: s.Properties[word]}, word
	}
	var b bytes.Buffer
	value, _ := d.seedValue(s, "").(map[string]any)
	switch name {
	case "VCard": // in XML alone
		return append(list, seed{method, path, formatXML, `<vCard xmlns="vcard-temp"><FN>Mira</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO></vCard>`})
	case "AffiliatedEntities":
		d.writeEntries(&b, s.XML.Name, s.Properties[s.XML.Name], value[s.XML.Name])
	default:
		d.writeXML(&b, s.XML.Name, s, value)
	}
	text, _ := json.Marshal(value) // of strings, numbers and truths
	others := strings.NewReplacer()
	if method == http.MethodPost { // of what is not there yet
		others = strings.NewReplacer("atrium", "den", "Ops", "Night", "mira", "zora", "tobias", "vera")
	}
	return append(list, seed{method, path, formatJSON, others.Replace(string(text))}, seed{method, path, formatXML, others.Replace(b.String())})
}

// seedValue is a value that has everything that a schema has.
func (d description) seedValue(s shape, field string) any {
	known := map[string]any{
		"username": "mira", "jid": "tobias@chat.example", "roomName": "atrium", "key": "a.motto", "serviceName": "lab", "groupname": "Ops", "groupnames": "Ops",
		"owners": "mira@chat.example", "admins": "ada@other.example", "members": "tobias", "outcasts": "zoe@chat.example", "broadcastPresenceRoles": "visitor",
		"adminGroups": "North", "memberGroups": "South", "outcastGroups": "West", "subscriptionType": 3, "maxUsers": 40,
	}
	switch value, ok := known[field]; {
	case s.Ref != "":
		return d.seedValue(d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")], field)
	case s.Type == "array":
		return []any{d.seedValue(*s.Items, field)}
	case s.Type == "object":
		o := map[string]any{}
		for name, p := range s.Properties {
			o[name] = d.seedValue(p, name)
		}
		return o
	case ok:
		return value
	case s.Type == "integer":
		return 1933128428123
	case s.Type == "boolean":
		return true
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	return "Ops"
}

// writeXML writes a value as its schema says.
func (d description) writeXML(b *bytes.Buffer, name string, s shape, value any) {
	if s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	fields, ok := value.(map[string]any)
	if !ok {
		text, _ := json.Marshal(value)
		b.WriteString("<" + name + ">")
		_ = xml.EscapeText(b, bytes.Trim(text, `"`)) // into memory
		b.WriteString("</" + name + ">")
		return
	}
	b.WriteString("<" + name)
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		if text, ok := fields[field].(string); ok && s.Properties[field].XML.Attribute {
			b.WriteString(" " + field + `="` + text + `"`)
		}
	}
	b.WriteString(">")
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		switch p := s.Properties[field]; {
		case p.Type == "array":
			d.writeEntries(b, field, p, fields[field])
		case !p.XML.Attribute:
			d.writeXML(b, field, p, fields[field])
		}
	}
	b.WriteString("</" + name + ">")
}

// writeEntries writes a list, within an element of its own where it has one.
func (d description) writeEntries(b *bytes.Buffer, field string, p shape, value any) {
	entries, _ := value.([]any)
	name := p.Items.XML.Name
	if p.Items.Ref != "" {
		name = d.Components.Schemas[strings.TrimPrefix(p.Items.Ref, "#/components/schemas/")].XML.Name
	}
	if p.XML.Wrapped {
		b.WriteString("<" + field + ">")
		defer b.WriteString("</" + field + ">")
	}
	for _, e := range entries {
		d.writeXML(b, name, *p.Items, e)
	}
}

// Every seed gets as far as its operation: it has its path, its method and its format, and where it has a body, that is read.
func TestSeeds(t *testing.T) {
	asked := map[string]bool{}
	for _, s := range seeds(t) {
		asked[s.method+" "+s.path+" "+s.kind] = true
		w := newFuzzWorld(t)
		got := w.fuzz(s.method, s.path, "", s.kind, mainSecret, "", []byte(s.body))
		body := got.Body.String()
		if got.Code == 405 || got.Code == 415 || got.Code == 401 || strings.Contains(body, "there is nothing at this path") || strings.Contains(body, "not well-formed") || strings.Contains(w.log.String(), "a field that is ignored") {
			t.Errorf("%+v: %d %s\n%s", s, got.Code, body, w.log)
		}
	}
	for _, want := range []string{"POST /plugins/restapi/v1/chatrooms/bulk application/xml", "PUT /plugins/restapi/v1/chatrooms/atrium/outcasts application/json", "DELETE /plugins/userService/lockouts/mira "} {
		if !asked[want] {
			t.Errorf("no seed %s", want)
		}
	}
}
