package restserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// route is a path and what can be done with it.
type route struct {
	// path is relative to the base unless it begins with a slash; a segment in braces is a parameter.
	path string
	// public routes need no authentication and answer even when the API is off.
	public bool
	// ownChecks leaves it to the handler who may call, and how the query is read.
	ownChecks  bool
	operations []operation
	// words are the only values that parameters have; those without any have all.
	words map[string][]string
	// also is what the path means to methods that this route doesn't have.
	also *route

	segments []string
}

// operation is one method of a route.
type operation struct {
	method string
	handle func(*call) (answer, error)
	// takes says that a request's body is read, answers that a success has one.
	takes, answers bool
	// optional says that a body of nothing is none, whatever the Content-Type says.
	optional bool
	// xmlOnly says that the entity is XML whatever the request likes better, and is read by the handler.
	xmlOnly bool
	// most is how many bytes the body may have; 0: as most do.
	most int
	doc  doc
}

// doc is what the OpenAPI document says of an operation. Programs are generated from it: ids and schemas keep their names.
type doc struct {
	id      string // operationId
	tag     string
	summary string
	query   []queryParameter
	// takes and answers are names of schemas; empty: no entity.
	takes, answers string
	// status of a success, where it is neither 201 of a POST nor 200; media is the type of an answer that is no entity.
	status int
	media  string
	// empty says that a success may have nothing to answer: 204.
	empty bool
	// errors are statuses with the exceptions that they come with, such as "404 UserNotFoundException", besides those of every operation.
	errors []string
	// without are those of every operation that this one cannot have.
	without []string
}

// queryParameter is one of the query string.
type queryParameter struct {
	name, description string
	kind              string // string, integer or boolean
	initial           string // the default; empty: none
}

// operation finds a method. HEAD is answered wherever GET is.
func (r *route) operation(method string) *operation {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range r.operations {
		if r.operations[i].method == method {
			return &r.operations[i]
		}
	}
	return nil
}

// allow is the value of the Allow header.
func (r *route) allow() string {
	var methods []string
	for ; r != nil; r = r.also {
		for _, op := range r.operations {
			if slices.Contains(methods, op.method) {
				continue
			}
			methods = append(methods, op.method)
			if op.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
	}
	return strings.Join(append(methods, http.MethodOptions), ", ")
}

// outside says that a route is not below the base.
func (r *route) outside() bool { return r.absolute() == r.path }

// absolute is the path from the root.
func (r *route) absolute() string {
	if strings.HasPrefix(r.path, "/") {
		return r.path
	}
	return Base + "/" + r.path
}

// routeTable matches whole paths, first match first.
type routeTable []*route

func newRouteTable(routes []*route) routeTable {
	for _, r := range routes {
		r.segments = strings.Split(strings.TrimPrefix(r.absolute(), "/"), "/")
	}
	return routes
}

// sentPath is a path as it was sent. URL.EscapedPath alone would lose what "%2F" meant when other characters were sent without an escape that
// need one.
func sentPath(u *url.URL) string {
	if decoded, err := url.PathUnescape(u.RawPath); err == nil && u.RawPath != "" && decoded == u.Path {
		return u.RawPath
	}
	return u.EscapedPath()
}

// match finds the route of an escaped path. The path is cut at its slashes first and
// each segment decoded after that, so a name may contain a slash, a dot segment or
// a semicolon, and there is exactly one way to read a path: what is authorized is
// what is executed.
func (t routeTable) match(escaped string) (*route, map[string]string) {
	rest, ok := strings.CutPrefix(escaped, "/")
	if !ok {
		return nil, nil
	}
	segments := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil || decoded == "" || !utf8.ValidString(decoded) {
			return nil, nil
		}
		segments[i] = decoded
	}
	for _, r := range t {
		if params, ok := r.match(segments); ok {
			return r, params
		}
	}
	return nil, nil
}

func (r *route) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(r.segments) {
		return nil, false
	}
	var params map[string]string
	for i, want := range r.segments {
		if name, ok := parameter(want); ok {
			if words := r.words[name]; words != nil && !slices.Contains(words, segments[i]) {
				return nil, false
			}
			if params == nil {
				params = make(map[string]string, 2)
			}
			params[name] = segments[i]
		} else if want != segments[i] {
			return nil, false
		}
	}
	return params, true
}

// forMethod is the route that has a method: this one, or what its path also means.
func (r *route) forMethod(method string, params map[string]string) (*route, map[string]string) {
	if r == nil || r.also == nil || r.operation(method) != nil || r.also.operation(method) == nil {
		return r, params
	}
	params = make(map[string]string, 1)
	for i, segment := range r.also.segments {
		if name, ok := parameter(segment); ok {
			params[name] = r.segments[i]
		}
	}
	return r.also, params
}

func parameter(segment string) (name string, ok bool) {
	if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") {
		return segment[1 : len(segment)-1], true
	}
	return "", false
}

// query is a request's query string.
type query map[string][]string

// parseQuery reads a query string. Only "&" separates: a search text may contain
// a semicolon.
func parseQuery(raw string) (query, error) {
	q := query{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, badRequest("the query string is not properly percent-encoded UTF-8", "query")
		}
		q[name] = append(q[name], value)
	}
	return q, nil
}

// get returns the first value of a parameter, and whether there is one at all.
func (q query) get(name string) (string, bool) {
	if values := q[name]; len(values) > 0 {
		return values[0], true
	}
	return "", false
}
