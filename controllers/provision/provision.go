// Package provision makes every change to declared state that comes from inside:
// through REST, or from a chat client. It creates, changes and deletes resources
// and Secrets, refuses what somebody declared outside, and returns when a change is
// in force in this process. It also makes the Secrets that the operator owes:
// generated passwords and the installation's own keys.
//
// It writes no status, and keeps no state of its own: a process that dies half way
// leaves an orphaned Secret at worst, which the sweep takes away.
package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

const (
	// activeWithin is how long a proposal waits for its change to take effect here.
	activeWithin = 5 * time.Second
	// requestTimeout bounds one request to the API server.
	requestTimeout = 5 * time.Second
	// maxTries is how often a change is tried anew when others change the same resource.
	maxTries = 5
	// retryAfter is told to those who come while the API server is away.
	retryAfter = 5 * time.Second
)

// Identities is what is remembered of names, so that nobody inherits a stranger's data.
type Identities interface {
	GetIdentity(ctx context.Context, kind, name string) (store.Identity, bool, error)
	PutIdentity(ctx context.Context, id store.Identity) error
	DeleteIdentity(ctx context.Context, kind, name string) error
	ListIdentities(ctx context.Context, kind string) ([]store.Identity, error)
	PurgeAccount(ctx context.Context, username string) error
	PurgeRoom(ctx context.Context, identity, successor string) error
	// MoveAccount gives everything that is remembered of a user of the domain to another name, and forgets the old one's row if it is of that life.
	MoveAccount(ctx context.Context, from, to, uid, domain string) error
}

// Config is what a Provisioner works with.
type Config struct {
	// Live reads from and writes to the API server itself, never a cache.
	Live client.Client
	// Namespace is the chat server's.
	Namespace string
	Directory *directory.Directory
	// Identities may be nil where nothing is remembered.
	Identities Identities
	Log        logr.Logger
	// Forget takes a user who was deleted through this program out of the remembered
	// rosters of others; nil: there are none.
	Forget func(ctx context.Context, username string) error
	// Renamed has the remembered rosters of others name a user as it is called now; nil: there are none.
	Renamed func(ctx context.Context, from, to string) error
	// End ends the sessions of a user; nil: there are none.
	End func(username string)
	// Key seals what this program writes into resources for itself.
	Key []byte
	// Clock is the real one if nil.
	Clock clock.PassiveClock
}

// Provisioner carries proposals out. It is safe for concurrent use.
type Provisioner struct {
	live       client.Client
	namespace  string
	directory  *directory.Directory
	identities Identities
	log        logr.Logger
	clock      clock.PassiveClock
	names      *nameLocks
	forget     func(ctx context.Context, username string) error
	renamed    func(ctx context.Context, from, to string) error
	end        func(username string)
	key        []byte
	limits     *limits
	lookups    *lookups
	deletions  *deletions
	unfinished func()
}

// OnUnfinished has somebody called whenever a deletion leaves something to FinishDeletions. Called once, before anything else.
func (p *Provisioner) OnUnfinished(f func()) { p.unfinished = f }

var _ directory.Proposer = (*Provisioner)(nil)

// New makes a Provisioner.
func New(c Config) *Provisioner {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.Forget == nil {
		c.Forget = func(context.Context, string) error { return nil }
	}
	if c.End == nil {
		c.End = func(string) {}
	}
	if c.Renamed == nil {
		c.Renamed = func(context.Context, string, string) error { return nil }
	}
	return &Provisioner{
		live:       client.WithFieldOwner(c.Live, FieldManager),
		namespace:  c.Namespace,
		directory:  c.Directory,
		identities: c.Identities,
		log:        c.Log,
		clock:      c.Clock,
		names:      newNameLocks(),
		forget:     c.Forget,
		renamed:    c.Renamed,
		end:        c.End,
		key:        c.Key,
		limits:     newLimits(c.Clock, func() int { return c.Directory.Int(directory.KeyChanges) }),
		lookups:    newLookups(),
		deletions:  newDeletions(c.Clock),
		unfinished: func() {},
	}
}

func (p *Provisioner) named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: p.namespace, Name: name}
}

// get reads an object from the API server.
func (p *Provisioner) get(ctx context.Context, name string, obj client.Object) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return p.live.Get(ctx, p.named(name), obj)
}

func (p *Provisioner) create(ctx context.Context, obj client.Object) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := p.live.Create(ctx, obj)
	if _, secret := obj.(*corev1.Secret); secret {
		return err // it declares nothing as long as nobody names it
	}
	return unanswered(err)
}

func (p *Provisioner) patch(ctx context.Context, obj client.Object, patch client.Patch) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return unanswered(p.live.Patch(ctx, obj, patch))
}

// remove deletes exactly that life of an object; one that is gone already is no error.
func (p *Provisioner) remove(ctx context.Context, obj client.Object) error {
	uid := obj.GetUID()
	return p.removeIf(ctx, obj, client.Preconditions{UID: &uid})
}

// removeAsIs deletes an object only if nothing about it has changed.
func (p *Provisioner) removeAsIs(ctx context.Context, obj client.Object) error {
	uid, version := obj.GetUID(), obj.GetResourceVersion()
	return p.removeIf(ctx, obj, client.Preconditions{UID: &uid, ResourceVersion: &version})
}

func (p *Provisioner) removeIf(ctx context.Context, obj client.Object, condition client.Preconditions) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if _, secret := obj.(*corev1.Secret); secret {
		return client.IgnoreNotFound(p.live.Delete(ctx, obj, condition))
	}
	p.deletions.note(obj.GetUID())
	err := unanswered(client.IgnoreNotFound(p.live.Delete(ctx, obj, condition)))
	if err != nil {
		// Where nobody said what became of it, whoever watches says that it is gone, if it is.
		p.deletions.take(obj.GetUID())
	}
	return err
}

// await bounds a wait for a change to take effect here.
func await(ctx context.Context, wait func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, activeWithin)
	defer cancel()
	return wait(ctx)
}

// Unreachable says whether an error means that the API server could not be
// asked, or did not say what became of the request.
func Unreachable(err error) bool {
	if err == nil {
		return false
	}
	if apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) {
		return true
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) ||
		utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		utilnet.IsHTTP2ConnectionLost(err)
}

// unansweredError is that of a write of which nobody said what became of it.
type unansweredError struct{ error }

func (e unansweredError) Unwrap() error { return e.error }

// unanswered marks the error of a write that may have been done all the same.
func unanswered(err error) error {
	var op *net.OpError
	if !Unreachable(err) || apierrors.IsTooManyRequests(err) || errors.As(err, &op) && op.Op == "dial" {
		return err
	}
	return unansweredError{err}
}

// answered is the error of a write that has been found out not to have been done.
func answered(err error) error {
	if open, ok := errors.AsType[unansweredError](err); ok {
		return open.error
	}
	return err
}

// explain turns an answer of the API server into one of the directory's errors.
func explain(err error, kind, name string) error {
	switch {
	case err == nil:
		return nil
	case Unreachable(err):
		_, open := errors.AsType[unansweredError](err)
		return &directory.UnavailableError{Unanswered: open, RetryAfter: retryAfter, Err: fmt.Errorf("the Kubernetes API server cannot be reached: %w", err)}
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s %q: %w", kind, name, directory.ErrNotFound)
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("%s %q: %w", kind, name, directory.ErrExists)
	case apierrors.IsConflict(err):
		return fmt.Errorf("%s %q: %w", kind, name, directory.ErrConflict)
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		return invalid(err)
	}
	return fmt.Errorf("%s %q: %w", kind, name, err)
}

// invalid tells which field admission refused.
func invalid(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		if details := status.Status().Details; details != nil {
			for _, cause := range details.Causes {
				if cause.Field != "" {
					return &directory.InvalidError{Field: cause.Field, Message: cause.Message}
				}
			}
		}
		return &directory.InvalidError{Field: "spec", Message: status.Status().Message}
	}
	return &directory.InvalidError{Field: "spec", Message: err.Error()}
}
