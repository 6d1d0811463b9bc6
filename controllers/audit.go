package controllers

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// AuditStore keeps the audit log, and what it has taken note of.
type AuditStore interface {
	ListAudited(ctx context.Context) (list map[string]store.Audited, begun bool, err error)
	BeginAudited(ctx context.Context) error
	RecordAudited(ctx context.Context, entries []store.AuditEntry, resources []store.Audited) error
	audit.ReadableLog
}

const (
	// auditBatch bounds what is written at once.
	auditBatch = 500
	// retryAudit is how long to wait after the store failed; auditTimeout is what the last write has when the process stops.
	retryAudit, auditTimeout = 5 * time.Second, 5 * time.Second
)

// auditor records what comes through Kubernetes and was not done by this program, whose own changes are recorded where they are wished for. It hears of
// every state of a resource that the directory takes, and remembers in the store which it has heard of: what changed or went while no process ran is
// recorded at the next start, and nothing twice. What was there before the first start is not recorded.
//
// An event handler does not wait for the store: what it has to say is written by Start.
type auditor struct {
	store     AuditStore
	directory *directory.Directory
	// deleted says whether this program deleted a resource.
	deleted func(types.UID) bool
	node    string
	clock   clock.WithTicker
	log     logr.Logger

	wake chan struct{}

	mu    sync.Mutex
	begun bool
	// known are the resources of the time before this process that have not been seen yet; nil once all that are there have.
	known map[string]store.Audited
	// leaving are resources that wait for somebody's finalizer: they are gone, as far as chat is concerned.
	leaving map[types.UID]struct{}
	steps   []auditStep
}

// auditStep is one resource to be taken note of, with its entry if there is one.
type auditStep struct {
	resource store.Audited
	entry    *store.AuditEntry
}

func newAuditor(ctx context.Context, o *Options) (*auditor, error) {
	known, begun, err := o.Audit.ListAudited(ctx)
	if err != nil {
		return nil, err
	}
	return &auditor{
		store: o.Audit, directory: o.Directory, deleted: o.Provision.Deleted, node: o.Node, clock: o.Clock, log: o.Log.WithName("audit"),
		wake: make(chan struct{}, 1), begun: begun, known: known, leaving: map[types.UID]struct{}{},
	}, nil
}

// added hears of a resource that appears. Initial ones were there when the watch began.
func (a *auditor) added(kind directory.Kind, identity string, o client.Object, initial bool) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.GetDeletionTimestamp() != nil {
		a.leaving[o.GetUID()] = struct{}{} // if it was known, it is recorded as one that went
		return
	}
	uid := string(o.GetUID())
	before, known := a.known[uid]
	delete(a.known, uid)
	if known && before.Generation == o.GetGeneration() {
		return
	}
	resource := audited(kind, identity, o)
	if initial && !a.begun {
		a.step(resource, nil)
		return
	}
	change := audit.Created
	if known || o.GetGeneration() > 1 && initial {
		change = audit.Changed
	}
	writer, foreign := foreignWriter(parseWriters(before.Writers), o.GetManagedFields(), !initial)
	if !foreign {
		a.step(resource, nil)
		return
	}
	a.step(resource, a.entry(kind, identity, change, o, writer, nil))
}

// updated hears of a resource that changed. What leaves its declaration alone, a status for instance, has the same generation.
func (a *auditor) updated(kind directory.Kind, identity string, old, o client.Object) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.GetDeletionTimestamp() != nil {
		if _, left := a.leaving[o.GetUID()]; !left {
			a.leaving[o.GetUID()] = struct{}{}
			a.gone(kind, identity, o)
		}
		return
	}
	if old.GetUID() != o.GetUID() {
		// Another life of the name; the end of the first was missed.
		a.gone(kind, identity, old)
	} else if old.GetGeneration() == o.GetGeneration() {
		return
	}
	resource := audited(kind, identity, o)
	if old.GetUID() != o.GetUID() {
		if writer, foreign := foreignWriter(nil, o.GetManagedFields(), true); foreign {
			a.step(resource, a.entry(kind, identity, audit.Created, o, writer, nil))
		} else {
			a.step(resource, nil)
		}
		return
	}
	writer, foreign := foreignWriter(old.GetManagedFields(), o.GetManagedFields(), true)
	if !foreign {
		a.step(resource, nil)
		return
	}
	a.step(resource, a.entry(kind, identity, audit.Changed, o, writer, changedFields(old, o)))
}

// removed hears of a resource that is gone.
func (a *auditor) removed(kind directory.Kind, identity string, o client.Object) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, left := a.leaving[o.GetUID()]; left {
		delete(a.leaving, o.GetUID())
		return
	}
	a.gone(kind, identity, o)
}

// gone records that a resource went, unless this program deleted it. a.mu is held.
func (a *auditor) gone(kind directory.Kind, identity string, o client.Object) {
	resource := audited(kind, identity, o)
	resource.Gone = true
	delete(a.known, resource.UID)
	if a.deleted(o.GetUID()) {
		a.step(resource, nil)
		return
	}
	a.step(resource, a.entry(kind, identity, audit.Deleted, o, metav1.ManagedFieldsEntry{}, nil))
}

// step has something written. a.mu is held.
func (a *auditor) step(resource store.Audited, entry *store.AuditEntry) {
	a.steps = append(a.steps, auditStep{resource, entry})
	select {
	case a.wake <- struct{}{}:
	default: // one signal covers everything
	}
}

func audited(kind directory.Kind, identity string, o client.Object) store.Audited {
	return store.Audited{
		UID: string(o.GetUID()), Kind: kind.String(), Name: o.GetName(), Identity: named(identity, o.GetName()),
		Generation: o.GetGeneration(), Writers: formatWriters(writersOf(o.GetManagedFields())),
	}
}

// named is what a resource without a valid chat name is called.
func named(identity, name string) string {
	if identity == "" {
		return name
	}
	return identity
}

// entry says what became of a resource: who wrote it, by field manager and time, and which state it is. Who deleted one, Kubernetes does not tell.
func (a *auditor) entry(kind directory.Kind, identity string, change audit.Change, o client.Object, writer metav1.ManagedFieldsEntry, fields []string) *store.AuditEntry {
	details := audit.Service(kind, identity)
	if writer.Manager != "" {
		details = append(details, audit.Detail("field manager", writer.Manager))
	}
	if writer.Time != nil {
		details = append(details, audit.Detail("time", writer.Time.UTC().Format(time.RFC3339)))
	}
	details = append(details, audit.Detail("resource", o.GetName()), audit.Detail("generation", fmt.Sprint(o.GetGeneration())))
	if len(fields) > 0 {
		details = append(details, audit.Detail("fields", strings.Join(fields, ", ")))
	}
	return &store.AuditEntry{
		Time: a.clock.Now(), Username: writer.Manager, Node: a.node, Summary: audit.Summary(kind, change, named(identity, o.GetName())),
		Details: strings.Join(details, "\n"), Via: audit.ViaKubernetes,
	}
}

// changedFields names the fields of the spec that differ, sorted; their values are nobody's business here.
func changedFields(old, o client.Object) []string {
	before, after := spec(old), spec(o)
	var names []string
	for name, value := range after {
		if have, ok := before[name]; !ok || !reflect.DeepEqual(have, value) {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func spec(o client.Object) map[string]any {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil
	}
	s, _ := fields["spec"].(map[string]any)
	return s
}

func (a *auditor) NeedLeaderElection() bool { return false }

// Start writes until the context ends, and then once more.
func (a *auditor) Start(ctx context.Context) error {
	select {
	case <-a.directory.Synced():
	case <-ctx.Done():
		return nil // what was heard of is heard of again at the next start
	}
	a.settle()
	for {
		wait := a.write(ctx)
		var again <-chan time.Time
		if wait > 0 {
			again = a.clock.After(wait)
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
			defer cancel()
			a.write(last)
			return nil
		case <-a.wake:
			gathered(ctx)
		case <-again:
		}
	}
}

// settle records what was known and is not there any more, once all that is there has been seen.
func (a *auditor) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.known {
		kind, ok := kindOf(r.Kind)
		if !ok {
			continue
		}
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: r.Name, UID: types.UID(r.UID), Generation: r.Generation}}
		a.gone(kind, r.Identity, o)
	}
	a.known = nil
}

func kindOf(text string) (directory.Kind, bool) {
	for _, k := range directory.Kinds() {
		if k.String() == text {
			return k, true
		}
	}
	return 0, false
}

// write writes all there is, and says how long to wait before the next try when that fails.
func (a *auditor) write(ctx context.Context) (wait time.Duration) {
	for {
		a.mu.Lock()
		batch := slices.Clone(a.steps[:min(len(a.steps), auditBatch)])
		begun := a.begun
		a.mu.Unlock()
		var err error
		switch {
		case len(batch) > 0:
			err = a.store.RecordAudited(ctx, entriesOf(batch), resourcesOf(batch))
		case begun:
			return 0
		default:
			err = a.store.BeginAudited(ctx)
		}
		if err != nil {
			if ctx.Err() == nil {
				a.log.Error(err, "Could not record what came through Kubernetes; trying again", "changes", len(batch), "in", retryAudit)
			}
			return retryAudit
		}
		a.mu.Lock()
		a.steps = slices.Delete(a.steps, 0, len(batch))
		a.begun = a.begun || len(batch) == 0
		a.mu.Unlock()
	}
}

func entriesOf(batch []auditStep) (list []store.AuditEntry) {
	for _, s := range batch {
		if s.entry != nil {
			list = append(list, *s.entry)
		}
	}
	return list
}

func resourcesOf(batch []auditStep) (list []store.Audited) {
	for _, s := range batch {
		list = append(list, s.resource)
	}
	return list
}
