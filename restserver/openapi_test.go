package restserver_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// description is an OpenAPI document, as far as the tests look at it.
type description struct {
	OpenAPI    string                          `json:"openapi"`
	Servers    []map[string]string             `json:"servers"`
	Tags       []struct{ Name string }         `json:"tags"`
	Paths      map[string]map[string]described `json:"paths"`
	Components struct {
		Schemas         map[string]shape          `json:"schemas"`
		SecuritySchemes map[string]map[string]any `json:"securitySchemes"`
	} `json:"components"`
	Security []map[string][]string `json:"security"`
}

type described struct {
	Tags                 []string
	OperationID, Summary string
	Parameters           []struct {
		Name, In string
		Required bool
		Schema   shape
	}
	RequestBody *struct{ Content map[string]media }
	Responses   map[string]struct {
		Description string
		Content     map[string]media
	}
	Security []map[string][]string
}

type media struct{ Schema shape }

type shape struct {
	Ref        string `json:"$ref"`
	Type       string
	Format     string
	Properties map[string]shape
	Required   []string
	Items      *shape
	Enum       []string
	WriteOnly  bool
	XML        struct {
		Name               string
		Attribute, Wrapped bool
	}
}

func describe(t *testing.T, w *world) description {
	t.Helper()
	got := w.send("GET", "/openapi.json", "")
	var d description
	if err := json.Unmarshal(got.Body.Bytes(), &d); got.Code != 200 || err != nil {
		t.Fatalf("%d %v: %.200s", got.Code, err, got.Body)
	}
	return d
}

func TestOpenAPIDocument(t *testing.T) {
	w := newWorld(t)
	y := w.send("GET", "/openapi.yaml", "", authorization(""))
	j := w.send("GET", "/openapi.json", "")
	if y.Code != 200 || y.Header().Get("Content-Type") != "application/yaml" || j.Header().Get("Content-Type") != formatJSON {
		t.Fatalf("%d %v, %d %v", y.Code, y.Header(), j.Code, j.Header())
	}
	asJSON, err := yaml.YAMLToJSON(y.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var fromYAML, fromJSON any
	if json.Unmarshal(asJSON, &fromYAML) != nil || json.Unmarshal(j.Body.Bytes(), &fromJSON) != nil || !reflect.DeepEqual(fromYAML, fromJSON) {
		t.Error("the YAML and the JSON differ")
	}
	d := describe(t, w)
	if d.OpenAPI != "3.0.1" || len(d.Servers) != 1 || d.Servers[0]["url"] != "/plugins" {
		t.Errorf("%s %v", d.OpenAPI, d.Servers)
	}
	// The YAML is there for everybody, also while the API is switched off; the JSON is not.
	if got := w.send("GET", "/openapi.json", "", authorization("")); got.Code != 401 {
		t.Errorf("openapi.json without authentication: %d", got.Code)
	}
	w.set(propertyEnabled, "false")
	if got := w.send("GET", "/openapi.yaml", "", authorization("")); got.Code != 200 {
		t.Errorf("openapi.yaml while switched off: %d", got.Code)
	}
	if got := w.send("GET", "/openapi.json", ""); got.Code != 403 {
		t.Errorf("openapi.json while switched off: %d", got.Code)
	}
}

// The document says how to authenticate, by plugin.restapi.httpAuth.
func TestOpenAPISecurity(t *testing.T) {
	w := staffed(t)
	for mode, c := range map[string]struct {
		authorization string
		schemes       []string
	}{
		"":       {mainSecret, []string{"Admin Console account", "Kubernetes bearer token", "Secret key auth"}},
		"secret": {mainSecret, []string{"Secret key auth"}},
		"basic":  {basic("root", "pa:ss wörd"), []string{"Admin Console account"}},
	} {
		w.set(propertyAuth, mode)
		var d description
		if err := json.Unmarshal(w.send("GET", "/openapi.json", "", authorization(c.authorization)).Body.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(d.Components.SecuritySchemes)); !slices.Equal(got, c.schemes) || len(d.Security) != len(c.schemes) {
			t.Errorf("mode %q: %v, %v", mode, got, d.Security)
		}
		for name, s := range d.Components.SecuritySchemes {
			want := map[string][3]any{"Secret key auth": {"apiKey", "header", "Authorization"}, "Admin Console account": {"http", nil, nil}, "Kubernetes bearer token": {"http", nil, nil}}[name]
			if got := [3]any{s["type"], s["in"], s["name"]}; got != want {
				t.Errorf("%s: %v", name, s)
			}
		}
	}
}

// Operation ids by method and path, from the reference (§6, §11): programs are generated from them. Names of parameters are {}.
var operationIDs = map[string]string{
	"get /users": "getUsers", "post /users": "createUser", "get /users/{}": "getUser", "put /users/{}": "updateUser", "delete /users/{}": "deleteUser",
	"get /users/{}/groups": "getUserGroups", "post /users/{}/groups": "addUserToGroups", "post /users/{}/groups/{}": "addUserToGroup",
	"delete /users/{}/groups/{}": "deleteUserFromGroup", "delete /users/{}/groups": "deleteUserFromGroups",
	"post /lockouts/{}": "disableUser", "delete /lockouts/{}": "enableUser",
	"get /users/{}/roster": "getUserRoster", "post /users/{}/roster": "createRoster", "put /users/{}/roster/{}": "updateRoster", "delete /users/{}/roster/{}": "deleteRoster",
	"get /users/{}/vcard": "getUserVcard", "put /users/{}/vcard": "setUserVcard", "delete /users/{}/vcard": "deleteUserVcard",
	"get /chatrooms": "getMUCRooms", "get /chatrooms/{}": "getMUCRoomJSON2", "post /chatrooms": "createMUCRoom", "post /chatrooms/bulk": "createMUCRooms",
	"put /chatrooms/{}": "updateMUCRoom", "delete /chatrooms/{}": "deleteMUCRoom", "get /chatrooms/{}/participants": "getMUCRoomParticipants",
	"get /chatrooms/{}/occupants": "getMUCRoomOccupants", "get /chatrooms/{}/chathistory": "getMUCRoomHistory",
	"post /chatrooms/{}/invite/{}": "inviteUserOrGroupToMUCRoom", "post /chatrooms/{}/invite": "inviteUsersAndOrGroupsToMUCRoom",
	"get /chatrooms/{}/{}": "getAffiliations", "put /chatrooms/{}/{}": "replaceMUCRoomAffiliation", "post /chatrooms/{}/{}": "addMUCRoomAffiliations",
	"post /chatrooms/{}/{}/{}": "addMUCRoomAffiliation", "post /chatrooms/{}/{}/group/{}": "addMUCRoomAffiliationGroup",
	"delete /chatrooms/{}/{}/{}": "deleteMUCRoomAffiliation", "delete /chatrooms/{}/{}/group/{}": "deleteMUCRoomAffiliationGroup",
	"get /chatservices": "getMUCServices", "post /chatservices": "createMUCService",
	"get /groups": "getGroups", "post /groups": "createGroup", "get /groups/{}": "getGroup", "put /groups/{}": "updateGroup", "delete /groups/{}": "deleteGroup",
	"get /sessions": "getAllSessions", "get /sessions/{}": "getUserSessions", "delete /sessions/{}": "kickSession",
	"post /messages/users": "sendBroadcastMessage", "get /logs/security": "getSecurityAuditLogs", "get /archive/messages/unread/{}": "getUnReadMessagesCount",
	"get /system/properties": "getSystemProperties", "get /system/properties/{}": "getSystemProperty", "post /system/properties": "createSystemProperty",
	"put /system/properties/{}": "updateSystemProperty", "delete /system/properties/{}": "deleteSystemProperty", "get /system/statistics/sessions": "getCCS",
	"get /system/liveness": "liveness", "get /system/liveness/deadlock": "livenessDeadlock", "get /system/liveness/properties": "livenessSystemProperties",
	"get /system/readiness": "readiness", "get /system/readiness/server": "readinessServerStart", "get /system/readiness/cluster": "readinessCluster",
	"get /system/readiness/plugins": "readinessPlugins", "get /system/readiness/connections": "readinessConnections",
	"get /clustering/status": "getClusteringStatus", "get /clustering/nodes": "getClusterNodes", "get /clustering/nodes/{}": "getClusterNode",
	"get /userservice": "userSerivceRequest", "post /userservice": "userSerivcePostRequest",
}

// Names of schemas, from the reference (§11).
const schemaNames = `UserEntity UserEntities UserProperty UserGroupsEntity RosterItemEntity RosterEntities GroupEntity GroupEntities MUCRoomEntity MUCRoomEntities
	MUCRoomMessageEntity MUCRoomMessageEntities MUCInvitationEntity MUCInvitationsEntity MUCServiceEntity MUCServiceEntities OccupantEntity OccupantEntities
	ParticipantEntity ParticipantEntities RoomCreationResultEntity RoomCreationResultEntities AffiliatedEntities SessionEntity SessionEntities SessionsCount
	MessageEntity MsgArchiveEntity SecurityAuditLog SecurityAuditLogs SystemProperty SystemProperties ClusteringEntity ClusterNodeEntity ClusterNodeEntities ErrorResponse`

const tagNames = `Clustering, User Group, Chat room, Chat service, Message, Message Archive, Security Audit Log, Client Sessions, Statistics, System, Users, UserService (deprecated)`

var parameterInPath = regexp.MustCompile(`\{[^}]*\}`)

func TestOpenAPIOperations(t *testing.T) {
	w := newWorld(t)
	d := describe(t, w)
	for name := range strings.FieldsSeq(schemaNames) {
		if _, ok := d.Components.Schemas[name]; !ok {
			t.Errorf("no schema %s", name)
		}
	}
	var tags []string
	for _, tag := range d.Tags {
		tags = append(tags, tag.Name)
	}
	for _, name := range strings.Split(tagNames, ", ") {
		if !slices.Contains(tags, name) {
			t.Errorf("no tag %s", name)
		}
	}
	ids := map[string]string{}
	for path, methods := range d.Paths {
		anonymous := parameterInPath.ReplaceAllString(strings.TrimPrefix(path, "/restapi/v1"), "{}")
		for method, o := range methods {
			name := method + " " + path
			if want, kept := operationIDs[method+" "+anonymous]; kept && o.OperationID != want {
				t.Errorf("%s: the id is %q, programs know it as %q", name, o.OperationID, want)
			}
			if o.OperationID == "" || o.Summary == "" {
				t.Errorf("%s: no id or no summary", name)
			}
			if other, taken := ids[o.OperationID]; taken {
				t.Errorf("%s and %s: both have the id %s", name, other, o.OperationID)
			}
			ids[o.OperationID] = name
			if len(o.Tags) != 1 || !slices.Contains(tags, o.Tags[0]) {
				t.Errorf("%s: tags %q", name, o.Tags)
			}
			var inPath []string
			for _, p := range o.Parameters {
				switch {
				case p.In == "path":
					inPath = append(inPath, "{"+p.Name+"}")
				case p.In != "query" || p.Schema.Type != "string" && p.Schema.Type != "integer" && p.Schema.Type != "boolean":
					t.Errorf("%s: parameter %+v", name, p)
				}
			}
			if want := parameterInPath.FindAllString(path, -1); !slices.Equal(inPath, want) {
				t.Errorf("%s: path parameters %v, want %v", name, inPath, want)
			}
			success := 0
			for status, r := range o.Responses {
				if !regexp.MustCompile(`^[2345]\d\d$`).MatchString(status) || r.Description == "" {
					t.Errorf("%s: answer %s %q", name, status, r.Description)
				}
				if status[0] == '2' {
					success++
				} else if len(r.Content) != 2 || !regexp.MustCompile(`^[A-Za-z]+(, [A-Za-z]+)*$`).MatchString(r.Description) {
					t.Errorf("%s: error %s: %q %v", name, status, r.Description, r.Content)
				}
			}
			if success == 0 {
				t.Errorf("%s: no success", name)
			}
		}
	}
	for _, s := range d.Components.Schemas {
		checkReferences(t, d, s)
	}
	for _, methods := range d.Paths {
		for _, o := range methods {
			if o.RequestBody != nil {
				for _, m := range o.RequestBody.Content {
					checkReferences(t, d, m.Schema)
				}
			}
			for _, r := range o.Responses {
				for _, m := range r.Content {
					checkReferences(t, d, m.Schema)
				}
			}
		}
	}
}

// checkReferences finds what is named and not there.
func checkReferences(t *testing.T, d description, s shape) {
	t.Helper()
	if s.Ref != "" {
		if _, ok := d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]; !ok {
			t.Errorf("there is no schema %s", s.Ref)
		}
	}
	if s.Items != nil {
		checkReferences(t, d, *s.Items)
	}
	for _, p := range s.Properties {
		checkReferences(t, d, p)
	}
}

// fill puts something into a path's parameters.
func fill(path string) string {
	known := map[string]string{"username": "mira", "jid": "tobias@chat.example", "affiliations": "members"}
	return parameterInPath.ReplaceAllStringFunc(strings.TrimPrefix(path, "/restapi/v1"), func(p string) string {
		if value, ok := known[strings.Trim(p, "{}")]; ok {
			return value
		}
		return "a"
	})
}

// What the document says is what the routes do: the methods, and whether there are entities.
func TestOpenAPIFollowsTheRoutes(t *testing.T) {
	w := newWorld(t)
	d := describe(t, w)
	for path, methods := range d.Paths {
		if !strings.HasPrefix(path, "/restapi/v1/") {
			continue
		}
		var allow []string
		for _, m := range strings.Split(w.send("OPTIONS", fill(path), "").Header().Get("Allow"), ", ") {
			if m != "HEAD" && m != "OPTIONS" {
				allow = append(allow, strings.ToLower(m))
			}
		}
		if path == "/restapi/v1/chatrooms/bulk" {
			// A room may be called that as well, and its methods are described for rooms.
			allow = slices.DeleteFunc(allow, func(m string) bool { return m != "post" })
		}
		if got := slices.Sorted(maps.Keys(methods)); !slices.Equal(got, slices.Sorted(slices.Values(allow))) {
			t.Errorf("%s: the document has %v, the route %v", path, got, allow)
		}
		for method, o := range methods {
			takes := w.send(strings.ToUpper(method), fill(path), "x", header("Content-Type", "text/plain")).Code == http.StatusUnsupportedMediaType
			if takes != (o.RequestBody != nil) {
				t.Errorf("%s %s: takes an entity: %v; the document: %v", method, path, takes, o.RequestBody != nil)
			}
			answers := w.send(strings.ToUpper(method), fill(path), "", accept("text/plain"), header("Content-Type", formatJSON)).Code == http.StatusNotAcceptable
			documented := false
			for status, r := range o.Responses {
				documented = documented || status[0] == '2' && r.Content[formatXML].Schema.Ref != ""
			}
			if answers != documented {
				t.Errorf("%s %s: answers with an entity: %v; the document: %v", method, path, answers, documented)
			}
			public := w.send(strings.ToUpper(method), fill(path), "", authorization("")).Code != http.StatusUnauthorized
			if public != (o.Security != nil && len(o.Security) == 0) {
				t.Errorf("%s %s: open to everybody: %v; the document: %v", method, path, public, o.Security)
			}
		}
	}
	// And no route is left out.
	for path := range methods {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(d.Paths)), func(p string) bool {
			pattern := regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString("^"+regexp.QuoteMeta(strings.TrimPrefix(p, "/restapi/v1"))+"$", "[^/]+")
			return regexp.MustCompile(pattern).MatchString(path)
		}) {
			t.Errorf("the document has nothing about %s", path)
		}
	}
}

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

// The page loads nothing from elsewhere, and runs nothing but what was meant.
func TestBrowsablePage(t *testing.T) {
	w := newWorld(t)
	w.set(propertyEnabled, "false")
	w.set(propertyAllowed, "198.51.100.1")
	at := func(path string) request { return func(r *httpRequest) { r.URL.Path, r.URL.RawPath = path, "" } }
	for _, path := range []string{"/plugins/restapi/docs", "/plugins/restapi/docs/", "/plugins/restapi/docs/index.html"} {
		got := w.send("GET", "", "", authorization(""), at(path), accept("text/html,application/xml;q=0.9,*/*;q=0.8"))
		body := got.Body.String()
		if got.Code != 200 || got.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(body, "<!DOCTYPE html>") {
			t.Fatalf("%s: %d %v", path, got.Code, got.Header())
		}
		policy := got.Header().Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || !strings.HasPrefix(policy, "default-src 'none'; script-src 'sha256-") ||
			!strings.Contains(policy, "; style-src 'sha256-") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("policy %s", policy)
		}
		for _, no := range []string{" src=", "@import", "url(", " style=", "http://", "https://", "innerHTML", "localStorage"} {
			if strings.Contains(body, no) {
				t.Errorf("the page has %q", no)
			}
		}
		if regexp.MustCompile(`<[^>]+ on[a-z]+=`).MatchString(body) {
			t.Error("the page has inline handlers")
		}
		if head := w.send("HEAD", "", "", authorization(""), at(path)); head.Code != 200 || head.Body.Len() != 0 {
			t.Errorf("HEAD: %d", head.Code)
		}
		if got := w.send("POST", "", "", authorization(""), at(path)); got.Code != 405 || got.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("POST: %d", got.Code)
		}
	}
	var d description
	if err := json.Unmarshal(w.send("GET", "", "", authorization(""), at("/plugins/restapi/docs/openapi.json")).Body.Bytes(), &d); err != nil || len(d.Paths) == 0 {
		t.Errorf("the page's document: %v", err)
	}
	if got := w.send("GET", "", "", at("/plugins/restapi/docs/other")); got.Code != 403 {
		t.Errorf("another path: %d", got.Code)
	}
}
