package restserver_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
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
