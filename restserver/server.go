package restserver

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/restserver/openapi"
	"github.com/chat-operator/chat-operator/xmpp/audit"
)

// Base is the path below which the API is.
const Base = "/plugins/restapi/v1"

// changeTimeout bounds a change; it is shorter than what the caller's connection is given.
const changeTimeout = 45 * time.Second

// Server answers the API.
type Server struct {
	Config
	Deps
	routes   routeTable
	secrets  secretAuthenticator
	admins   *adminAuthenticator
	throttle *throttle
	failures *audit.Failures
	warned   *warnings
	services locks // taken by who creates a chat service, by its name
	// documents are the OpenAPI documents, by how callers may authenticate.
	documents map[openapi.Access]func() document
	// conditional keeps changes of one thing apart that depend on how it is.
	conditional locks
}

// New makes the handler of the API. It keeps no goroutine.
func New(cfg Config, deps Deps) http.Handler {
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Secret == nil {
		cfg.Secret = func() string { return "" }
	}
	if cfg.Secrets == nil {
		cfg.Secrets = func() []NamedSecret { return nil }
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails, by its documentation
	s := &Server{
		Config:   cfg,
		Deps:     deps,
		secrets:  secretAuthenticator{directory: deps.Directory, installation: cfg.Secret, named: cfg.Secrets},
		admins:   newAdminAuthenticator(deps.Directory, cfg.Domain, key),
		throttle: newThrottle(failuresInBurst, failuresPerSecond),
		failures: audit.NewFailures(),
		warned:   newWarnings(),
	}
	s.routes = newRouteTable(s.table())
	s.documents = s.describe()
	s.conditional, s.services = newLocks(), newLocks()
	return s
}

// call is one request on its way.
type call struct {
	ctx     context.Context
	request *http.Request
	server  *Server
	// route and params are what the path matched; route is nil when it matched nothing.
	route  *route
	params map[string]string
	query  query
	// from is the caller's address; the zero value when a proxy doesn't say.
	from netip.Addr
	who  Principal
	// format of the answer's entity, and of an error's.
	format entity.Format
	// status is that of the answer, once there is one.
	status int
	// body is nil when the request has none.
	body *entity.Body
	// document is the body of an operation that reads XML itself, in the encoding that charset names.
	document []byte
	charset  string
	expanded expansion
	judged   judgement
}

// answer is what a handler gives back.
type answer struct {
	status int
	entity entity.Entity // nil: no body
	total  int           // X-Total-Count of a list
	isList bool
	allow  string
	// raw is a body that is no entity, in the media type.
	raw   []byte
	media string
	// policy is the Content-Security-Policy of a page.
	policy string
}

func ok(e entity.Entity) (answer, error) { return answer{status: http.StatusOK, entity: e}, nil }

func done() (answer, error) { return answer{status: http.StatusOK}, nil }

func created() (answer, error) { return answer{status: http.StatusCreated}, nil }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{ctx: r.Context(), request: r, server: s, from: s.callerAddress(r)}
	if s.Answered != nil {
		began := time.Now()
		defer func() {
			path := ""
			if c.route != nil {
				path = c.route.absolute()
			}
			s.Answered(path, r.Method, c.status, time.Since(began))
		}()
	}
	a, err := s.serve(c, w)
	if err != nil {
		c.fail(w, explain(err, refusal{resource: r.URL.Path}))
	} else {
		c.succeed(w, a)
	}
}

// serve runs the checks in their order, then the handler.
func (s *Server) serve(c *call, w http.ResponseWriter) (a answer, err error) {
	defer func() {
		if trouble := recover(); trouble != nil {
			if trouble == http.ErrAbortHandler { //nolint:errorlint // net/http panics with the value itself
				panic(trouble)
			}
			// A fault of this program must not end the sessions of everybody.
			s.Log.Error("a REST handler failed", "method", c.request.Method, "path", c.request.URL.Path,
				"error", trouble, "stack", string(debug.Stack()))
			a, err = answer{}, errors.New("a handler panicked")
		}
	}()

	// Errors before negotiation are in the format that the caller most likely reads.
	c.format = c.errorFormat()
	c.route, c.params = s.routes.match(sentPath(c.request.URL))
	c.route, c.params = c.route.forMethod(c.request.Method, c.params)
	if err := s.admit(c); err != nil {
		return answer{}, err
	}
	if c.route == nil {
		return answer{}, problem(http.StatusNotFound, "NotFoundException", "there is nothing at this path", c.request.URL.Path)
	}
	if c.request.Method == http.MethodOptions {
		return answer{status: http.StatusOK, allow: c.route.allow()}, nil
	}
	op := c.route.operation(c.request.Method)
	if op == nil {
		f := problem(http.StatusMethodNotAllowed, "MethodNotAllowedException",
			c.request.Method+" is not a method of this path: use "+c.route.allow(), c.request.URL.Path)
		f.allow = c.route.allow()
		return answer{}, f
	}
	if err := c.negotiate(op); err != nil {
		return answer{}, err
	}
	if c.query, err = parseQuery(c.request.URL.RawQuery); err != nil && !c.route.ownChecks {
		return answer{}, err
	}
	if op.takes {
		if err := c.readBody(w, op); err != nil {
			return answer{}, err
		}
	}
	if c.route.ownChecks || c.request.Method != http.MethodGet && c.request.Method != http.MethodHead {
		// A change that has begun is finished and recorded, also when its caller hangs up.
		var cancel context.CancelFunc
		c.ctx, cancel = context.WithTimeout(context.WithoutCancel(c.ctx), changeTimeout)
		defer cancel()
	}
	unlock, err := c.precondition()
	if err != nil {
		return answer{}, err
	}
	defer unlock()
	a, err = op.handle(c)
	c.warnUnknown()
	return a, err
}
