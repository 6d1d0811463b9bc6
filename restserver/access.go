package restserver

import (
	"context"
	"net/http"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// Principal is who calls.
type Principal struct {
	// Name is what the audit log shows: a username, "secret:" and a secret's name, "kubernetes:" and a Kubernetes user's. No
	// username contains a colon (RFC 7622 §3.3.1).
	Name string
	// Allows says whether the caller has a right; nil: all of them. An error means that nobody can tell at the moment.
	Allows func(context.Context, Right) (bool, error)
	// ByName says that a right may be one to a single name, which who lacks it for all may still have.
	ByName bool
}

// Authenticator knows one way to prove who one is.
type Authenticator interface {
	// Authenticate judges the value of an Authorization header. ok is false when it
	// isn't proof of anything here; an error means that nobody can tell at the moment.
	Authenticate(ctx context.Context, authorization string) (who Principal, ok bool, err error)
}

// Explainer is an Authenticator that can say why it accepts nobody at the moment.
type Explainer interface {
	// Explain is asked once nobody has accepted an Authorization header. Its answer, a sentence without an end, is empty unless the
	// header is of the kind that it would otherwise accept; it goes to callers that nobody knows.
	Explain(authorization string) string
}

// actor is the caller as the proposer and the audit log see it.
func (c *call) actor() directory.Actor {
	return directory.Actor{Via: viaREST, Name: c.who.Name, Address: c.addressText()}
}

const viaREST = audit.ViaREST

// admit makes the checks that come before any handler, in the order that clients
// of the original know. What isn't public by the route table needs all of them, a
// path that doesn't exist as well.
func (s *Server) admit(c *call) error {
	path := c.request.URL.Path
	if c.route != nil && c.route.public {
		return nil
	}
	select {
	case <-s.Directory.Synced():
	default:
		// Until then nobody knows who may call and from where, and "there is no such user" would
		// be a lie that programs act on.
		f := problem(http.StatusServiceUnavailable, serviceUnavailable, "the declared resources have not all been read yet: try again in a moment", path)
		f.retryAfter = time.Second
		return f
	}
	ownChecks := c.route != nil && c.route.ownChecks
	if !s.Directory.Bool(directory.KeyRESTEnabled) && !(ownChecks && c.route.outside()) {
		return problem(http.StatusForbidden, serviceDisabled, "the REST API is switched off: see the property "+directory.KeyRESTEnabled, path)
	}
	if c.request.Method == http.MethodOptions || ownChecks {
		return nil
	}
	if !allowed(c.from, s.Directory.Strings(directory.KeyRESTAllowedIPs)) {
		return unauthorised(path)
	}
	authorization := c.request.Header.Get("Authorization")
	if authorization == "" {
		return unauthorised(path)
	}
	if err := s.authenticate(c, authorization, s.authenticators()); err != nil {
		return err
	}
	return s.authorize(c)
}

// unauthorised doesn't say what was wrong, and has no WWW-Authenticate: browsers would
// show their password box in front of a program that has its own.
func unauthorised(path string) *failure {
	return problem(http.StatusUnauthorized, notAuthorised, "the request is not authorized: send the Authorization header of an administrator or the shared secret, from an allowed address", path)
}

// authenticate tries some ways to prove who calls. An address that failed too often waits
// before anything is compared: a right guess in between must not be told from a wrong one.
func (s *Server) authenticate(c *call, authorization string, ways []Authenticator) error {
	path := c.request.URL.Path
	if wait := s.throttle.wait(c.from, time.Now()); wait > 0 {
		f := problem(http.StatusTooManyRequests, "TooManyRequestsException", "too many failed attempts from this address: try again later", path)
		f.retryAfter = wait
		return f
	}
	for _, a := range ways {
		who, ok, err := a.Authenticate(c.ctx, authorization)
		if err != nil {
			f := problem(http.StatusServiceUnavailable, serviceUnavailable, "credentials cannot be checked at the moment: try again later", path)
			f.retryAfter, f.cause = time.Second, err
			return f
		}
		if ok {
			c.who = who
			return nil
		}
	}
	s.throttle.fail(c.from, time.Now())
	c.recordFailedAuthentication(s.admins.claimed(authorization))
	f := unauthorised(path)
	for _, a := range ways {
		if e, ok := a.(Explainer); ok {
			if why := e.Explain(authorization); why != "" {
				f.message += "; " + why
			}
		}
	}
	return f
}

// authenticators lists what plugin.restapi.httpAuth allows now, the cheapest first.
func (s *Server) authenticators() []Authenticator {
	switch s.Directory.String(directory.KeyRESTAuth) {
	case "":
		return append(append([]Authenticator{s.secrets}, s.Authenticators...), s.admins)
	case "basic":
		return []Authenticator{s.admins}
	default:
		// As in the original: what isn't "basic" is the shared secret.
		return []Authenticator{s.secrets}
	}
}
