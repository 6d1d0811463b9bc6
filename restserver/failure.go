package restserver

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Names that clients' exception tables contain. Those of the second group are for
// answers that the original gives without an entity.
const (
	illegalArgument     = "IllegalArgumentException"
	passwordIsNull      = "PasswordIsNull"
	userAlreadyExists   = "UserAlreadyExistsException"
	userNotFound        = "UserNotFoundException"
	rosterItemNotFound  = "RosterItemNotFound"
	sharedGroup         = "SharedGroupException"
	groupAlreadyExists  = "GroupAlreadyExistsException"
	groupNotFound       = "GroupNotFoundException"
	propertyNotFound    = "PropertyNotFoundException"
	clusterNodeNotFound = "ClusterNodeNotFoundException"
	roomNotFound        = "RoomNotFoundException"
	serviceNotFound     = "MUCServiceNotFoundException"
	notAllowed          = "NotAllowedException"
	alreadyExists       = "AlreadyExistsException"
	notAuthorised       = "RequestNotAuthorised"
	serviceDisabled     = "UserServiceDisabled"

	managedByOther     = "ManagedByOther"
	serviceUnavailable = "ServiceUnavailableException"
)

// failure is an answer that isn't a success.
type failure struct {
	status     int
	exception  string
	message    string
	resource   string
	allow      string
	retryAfter time.Duration
	cause      error // what only the log may know
}

func (f *failure) Error() string { return f.message }

func problem(status int, exception, message, resource string) *failure {
	return &failure{status: status, exception: exception, message: message, resource: resource}
}

func badRequest(message, resource string) *failure {
	return problem(http.StatusBadRequest, illegalArgument, message, resource)
}

// refusal says how an operation words the errors that depend on it.
type refusal struct {
	resource string
	notFound *failure
	exists   *failure
	// room says that it is about one: what a room shows as its name has another word.
	room bool
	// doing starts the sentence of a change that isn't in force yet: "created", "changed".
	doing string
}

// took says of a change's error that the change is made: what is written but not in force yet counts.
func took(err error) bool { return err == nil || errors.Is(err, directory.ErrNotYetActive) }

// explain turns any error into an answer: this is the only such table.
func explain(err error, r refusal) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*directory.ManagedError](err); ok {
		return problem(http.StatusConflict, managedByOther, e.Error(), r.resource)
	}
	if e, ok := errors.AsType[*directory.InvalidError](err); ok {
		return badRequest(r.inWords(e.Error()), r.resource)
	}
	if e, ok := errors.AsType[*directory.LimitError](err); ok {
		return badRequest(r.inWords(e.Error()), r.resource)
	}
	if e, ok := errors.AsType[*entity.InputError](err); ok {
		return badRequest(e.Error(), r.resource)
	}
	if e, ok := errors.AsType[*jid.Error](err); ok {
		return badRequest(e.Error(), r.resource)
	}
	if e, ok := errors.AsType[*directory.UnavailableError](err); ok {
		// The cause names addresses of the cluster, which are nobody's business here.
		f := problem(http.StatusServiceUnavailable, serviceUnavailable,
			"declarations cannot be changed at the moment: try again later", r.resource)
		f.retryAfter, f.cause = max(e.RetryAfter, time.Second), err
		return f
	}
	switch {
	case errors.Is(err, directory.ErrNotFound):
		if r.notFound != nil {
			return r.notFound
		}
		return problem(http.StatusNotFound, "NotFoundException", err.Error(), r.resource)
	case errors.Is(err, directory.ErrExists):
		if r.exists != nil {
			return r.exists
		}
		return problem(http.StatusConflict, alreadyExists, err.Error(), r.resource)
	case errors.Is(err, directory.ErrConflict):
		return problem(http.StatusConflict, "ConflictException", "others are changing the same thing: try again", r.resource)
	case errors.Is(err, directory.ErrTooManyRequests):
		f := problem(http.StatusTooManyRequests, "TooManyRequestsException", "too many changes: try again later", r.resource)
		f.retryAfter = time.Second
		return f
	case errors.Is(err, directory.ErrNotYetActive):
		doing := r.doing
		if doing == "" {
			doing = "written"
		}
		f := problem(http.StatusGatewayTimeout, "NotYetActiveException", doing+", not yet active: it will be in force shortly", r.resource)
		f.cause = err
		return f
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		f := problem(http.StatusServiceUnavailable, serviceUnavailable, "this took too long: try again later", r.resource)
		f.retryAfter, f.cause = time.Second, err
		return f
	}
	f := problem(http.StatusInternalServerError, "InternalServerErrorException", "the server failed: its log says why", r.resource)
	f.cause = err
	return f
}

// specField is a field of a resource, as declarations have it.
var specField = regexp.MustCompile(`\bspec\.([A-Za-z]+)`)

// restFields are the words of requests for what declarations call otherwise. In lists of people these have four fields, declarations one.
var restFields = map[string]string{
	"displayName": "name", "groupName": "name", "maxOccupants": "maxUsers",
	"affiliations":      "owners, admins, members and outcasts",
	"groupAffiliations": "ownerGroups, adminGroups, memberGroups and outcastGroups",
}

// inWords names fields as the caller has sent them.
func (r refusal) inWords(text string) string {
	return specField.ReplaceAllStringFunc(text, func(field string) string {
		field = strings.TrimPrefix(field, "spec.")
		if r.room && field == "displayName" {
			return "naturalName"
		}
		return cmp.Or(restFields[field], field)
	})
}
