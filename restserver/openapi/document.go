// Package openapi describes the REST API as an OpenAPI 3.0.1 document: what the entities are, and what can be done with them.
//
// The operations come from the table that routes requests; the entities stand here, as they go over the wire.
package openapi

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Prefix is the path of the server that all paths of the document are relative to.
const Prefix = "/plugins"

// Operation is one method of a path.
type Operation struct {
	Method string
	// Path is absolute; a segment in braces is a parameter.
	Path             string
	ID, Tag, Summary string
	// Public operations need no authentication.
	Public bool
	Query  []Parameter
	// Takes and Answers name schemas; empty: no entity.
	Takes, Answers string
	// Status of a success; 0: 201 for a POST, else 200.
	Status int
	// Empty says that a success can also be 204.
	Empty bool
	// Media is the media type of an answer that is no entity.
	Media string
	// Conditional operations can be bound to a state of what they change, by If-Match.
	Conditional bool
	// Errors are statuses and the exceptions that they come with: "404 UserNotFoundException".
	Errors []string
	// Without are those of every operation that this one cannot have.
	Without []string
}

// Parameter is one of the query string.
type Parameter struct {
	Name, Description string
	Kind              string // string, integer or boolean
	Initial           string // the default; empty: none
}

// Access is how callers may authenticate.
type Access uint8

// The ways that plugin.restapi.httpAuth knows.
const (
	Any Access = iota
	Basic
	Secret
)

// Names of the security schemes; the first two are the original's.
const (
	schemeSecret = "Secret key auth"
	schemeBasic  = "Admin Console account"
	schemeBearer = "Kubernetes bearer token"
)

// Document is a description of the API.
type Document struct{ root tree }

// JSON is the document as JSON, YAML as YAML.
func (d Document) JSON() []byte { return asJSON(d.root) }

// YAML is the document as YAML.
func (d Document) YAML() []byte { return asYAML(d.root) }

// New makes the document of some operations, in their order.
func New(version string, access Access, operations []Operation) Document {
	var paths object
	for i := range operations {
		o := &operations[i]
		path := strings.TrimPrefix(o.Path, Prefix)
		at := slices.IndexFunc(paths, func(m member) bool { return m.name == path })
		if at < 0 {
			at = len(paths)
			paths = append(paths, member{path, object{}})
		}
		methods, _ := paths[at].value.(object)
		paths[at].value = append(methods, member{strings.ToLower(o.Method), o.tree()})
	}
	var entities object
	for _, s := range schemas() {
		entities = append(entities, member{s.name, s.tree()})
	}
	slices.SortFunc(entities, func(a, b member) int { return strings.Compare(a.name, b.name) })
	var tagList []tree
	for _, t := range tags() {
		tagList = append(tagList, object{{"name", t.Name}, {"description", t.Description}})
	}
	schemes, security := access.schemes()
	return Document{object{
		{"openapi", "3.0.1"},
		{"info", object{
			{"title", "chat-operator REST API"},
			{"description", "The REST API of Openfire, served by chat-operator. Requests and answers are XML or JSON; without an Accept header answers are XML. " +
				"Where a path has GET beside PUT or DELETE, the answer to GET has an ETag, and a change with If-Match is made only while that still holds (412 otherwise)."},
			{"license", object{{"name", "Apache License 2.0"}, {"url", "https://www.apache.org/licenses/LICENSE-2.0"}}},
			{"version", cmp.Or(version, "development")},
		}},
		{"servers", []tree{object{{"url", Prefix}}}},
		{"security", security},
		{"tags", tagList},
		{"paths", paths},
		{"components", object{{"schemas", entities}, {"securitySchemes", schemes}}},
	}}
}

// schemes are the ways to authenticate, any of which will do.
func (a Access) schemes() (schemes object, security []tree) {
	add := func(name string, scheme object) {
		schemes = append(schemes, member{name, scheme})
		security = append(security, object{{name, []tree{}}})
	}
	if a != Basic {
		add(schemeSecret, object{{"type", "apiKey"}, {"description", "A shared secret as the header's whole value."}, {"name", "Authorization"}, {"in", "header"}})
	}
	if a != Secret {
		add(schemeBasic, object{{"type", "http"}, {"description", "The name and password of an administrator of the server."}, {"scheme", "basic"}})
	}
	if a == Any {
		add(schemeBearer, object{{"type", "http"}, {"description", "A token that the Kubernetes API server knows, such as one of a ServiceAccount."}, {"scheme", "bearer"}})
	}
	return schemes, security
}

// Tag groups operations.
type Tag struct{ Name, Description string }

func tags() []Tag {
	return []Tag{
		{"Users", "Accounts, their contacts and locks"},
		{"User Group", "Groups of accounts"},
		{"Chat room", "Chat rooms, and who may do what in them"},
		{"Chat service", "Services of chat rooms"},
		{"Message", "Messages from the server"},
		{"Message Archive", "Messages that wait"},
		{"Client Sessions", "Who is connected"},
		{"Statistics", "Numbers"},
		{"Security Audit Log", "Who did what"},
		{"System", "Settings and health"},
		{"Clustering", "The servers of a cluster"},
		{"UserService (deprecated)", "The interface of the oldest programs"},
	}
}

// tree is the operation as the document has it.
func (o *Operation) tree() tree {
	var parameters []tree
	for _, segment := range strings.Split(o.Path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			parameters = append(parameters, pathParameter(strings.TrimSuffix(name, "}")))
		}
	}
	for _, q := range o.query() {
		parameters = append(parameters, q.tree())
	}
	t := object{{"tags", []tree{o.Tag}}}.with("summary", o.Summary).with("operationId", o.ID).with("parameters", parameters)
	if o.Takes != "" {
		t = append(t, member{"requestBody", object{{"content", content(o.Takes)}, {"required", true}}})
	}
	t = append(t, member{"responses", o.responses()})
	if o.Public {
		t = append(t, member{"security", []tree{}})
	}
	return t
}

// query are the parameters, with those that every list has.
func (o *Operation) query() []Parameter {
	list := slices.Clone(o.Query)
	if !isList(o.Answers) {
		return list
	}
	for _, p := range []Parameter{
		{Name: "offset", Kind: "integer", Description: "How many entries to leave out at the beginning."},
		{Name: "limit", Kind: "integer", Description: "How many entries to give at most. The header X-Total-Count says how many there are."},
	} {
		if !slices.ContainsFunc(list, func(have Parameter) bool { return have.Name == p.Name }) {
			list = append(list, p)
		}
	}
	return list
}

func (p *Parameter) tree() tree {
	s := object{{"type", p.Kind}}
	switch {
	case p.Initial == "":
	case p.Kind == "boolean":
		s = append(s, member{"default", p.Initial == "true"})
	case p.Kind == "integer":
		n := 0
		_, _ = fmt.Sscan(p.Initial, &n)
		s = append(s, member{"default", n})
	default:
		s = append(s, member{"default", p.Initial})
	}
	return object{{"name", p.Name}, {"in", "query"}}.with("description", p.Description).with("schema", s)
}

func pathParameter(name string) tree {
	about := map[string]string{
		"username": "The username, in any letter case.", "jid": "An address; a bare name is an account of this server.",
		"groupname": "The group's name, exactly.", "roomname": "The room's name, in any letter case.", "key": "The property's key, exactly.",
	}[strings.ToLower(name)]
	s := object{{"type", "string"}}
	if name == "affiliations" {
		s = append(s, member{"enum", []tree{"owners", "admins", "members", "outcasts"}})
	}
	return object{{"name", name}, {"in", "path"}}.with("description", about).with("required", true).with("schema", s)
}

// isList says whether a schema is one list and nothing else, under whatever names.
func isList(name string) bool {
	s, ok := find(name)
	return ok && (s.oneList || len(s.fields) == 1 && s.fields[0].kind == kindList)
}

func find(name string) (schema, bool) {
	list := schemas()
	i := slices.IndexFunc(list, func(s schema) bool { return s.name == name })
	if i < 0 {
		return schema{}, false
	}
	return list[i], true
}

// content is an entity in the formats that it has.
func content(name string) object {
	s, _ := find(name)
	entity := object{{"schema", object{{"$ref", schemaPath + name}}}}
	if s.media != "" {
		return object{{s.media, entity}}
	}
	return object{{"application/xml", entity}, {"application/json", entity}}
}

// responses are a success and every error, those of all operations too.
func (o *Operation) responses() object {
	status := o.Status
	if status == 0 {
		status = http.StatusOK
		if o.Method == http.MethodPost {
			status = http.StatusCreated
		}
	}
	success := object{{"description", http.StatusText(status)}}
	switch {
	case o.Media != "":
		success = append(success, member{"content", object{{o.Media, object{{"schema", object{{"type", "string"}}}}}}})
	case o.Answers != "":
		if isList(o.Answers) {
			success = append(success, member{"headers", object{{"X-Total-Count", object{
				{"description", "How many entries there are, whatever part of them was asked for."}, {"schema", object{{"type", "integer"}}},
			}}}})
		}
		success = append(success, member{"content", content(o.Answers)})
	}
	all := object{{fmt.Sprint(status), success}}
	if o.Empty {
		all = append(all, member{fmt.Sprint(http.StatusNoContent), object{{"description", http.StatusText(http.StatusNoContent)}}})
	}

	errors := slices.Clone(o.Errors)
	if !o.Public {
		errors = append(errors, "401 RequestNotAuthorised", "403 UserServiceDisabled", "403 RequestNotAuthorised", "429 TooManyRequestsException", "503 ServiceUnavailableException")
	}
	if isList(o.Answers) { // of its offset and limit
		errors = append(errors, "400 IllegalArgumentException")
	}
	if o.Takes != "" {
		errors = append(errors, "400 IllegalArgumentException", "413 PayloadTooLargeException", "415 NotSupportedException")
	}
	if o.Conditional {
		errors = append(errors, "412 PreconditionFailedException")
	}
	if o.Answers != "" {
		errors = append(errors, "406 NotAcceptableException")
	}
	if o.Method != http.MethodGet && !o.Public {
		errors = append(errors, "409 ManagedByOther", "409 ConflictException", "504 NotYetActiveException")
	}
	errors = slices.DeleteFunc(errors, func(e string) bool { return slices.Contains(o.Without, e) })
	slices.SortStableFunc(errors, func(a, b string) int { return strings.Compare(statusOf(a), statusOf(b)) })
	for len(errors) > 0 {
		status := statusOf(errors[0])
		var names []string
		for len(errors) > 0 && statusOf(errors[0]) == status {
			if name := strings.TrimSpace(strings.TrimPrefix(errors[0], status)); !slices.Contains(names, name) {
				names = append(names, name)
			}
			errors = errors[1:]
		}
		all = append(all, member{status, object{{"description", strings.Join(names, ", ")}, {"content", content("ErrorResponse")}}})
	}
	return all
}

// statusOf is the status that an error's line begins with.
func statusOf(line string) string {
	status, _, _ := strings.Cut(line, " ")
	return status
}
