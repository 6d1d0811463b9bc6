package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// audits is an AuditStore in memory.
type audits struct {
	known   map[string]store.Audited
	begun   bool
	entries []store.AuditEntry
	err     error
}

func (s *audits) ListAudited(context.Context) (map[string]store.Audited, bool, error) {
	return maps.Clone(s.known), s.begun, s.err
}

func (s *audits) BeginAudited(context.Context) error {
	s.begun = true
	return s.err
}

func (s *audits) RecordAudited(_ context.Context, entries []store.AuditEntry, resources []store.Audited) error {
	if s.err != nil {
		return s.err
	}
	s.entries = append(s.entries, entries...)
	for _, r := range resources {
		if r.Gone {
			delete(s.known, r.UID)
		} else {
			s.known[r.UID] = r
		}
	}
	return nil
}

func (s *audits) AppendAudit(ctx context.Context, entries ...store.AuditEntry) error {
	return s.RecordAudited(ctx, entries, nil)
}

func (s *audits) ListAudit(context.Context, store.AuditFilter) ([]store.AuditEntry, error) {
	return s.entries, s.err
}

// auditing is one process after the other with one store.
type auditing struct {
	t       *testing.T
	store   *audits
	deleted map[types.UID]bool
	*auditor
}

func newAuditing(t *testing.T) *auditing {
	w := &auditing{t: t, store: &audits{known: map[string]store.Audited{}}, deleted: map[types.UID]bool{}}
	w.start()
	w.sync()
	return w
}

// start is a new process, which has seen nothing yet; sync says that it has.
func (w *auditing) start() {
	w.t.Helper()
	known, begun, err := w.store.ListAudited(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.auditor = &auditor{
		store: w.store, directory: directory.New("chat.example"), deleted: func(uid types.UID) bool { return w.deleted[uid] }, node: "chat-0",
		clock: clocktesting.NewFakeClock(time.Unix(1933128428, 0)), log: logr.Discard(), wake: make(chan struct{}, 1), begun: begun, known: known,
		leaving: map[types.UID]struct{}{},
	}
}

func (w *auditing) sync() {
	w.settle()
	w.write(w.t.Context())
}

// want compares what was recorded since the last call.
func (w *auditing) want(lines ...string) {
	w.t.Helper()
	w.write(w.t.Context())
	var got []string
	for _, e := range w.store.entries {
		got = append(got, e.Username+": "+e.Summary+": "+strings.ReplaceAll(e.Details, "\n", ", "))
		if e.Via != "Kubernetes" || e.Node != "chat-0" || !e.Time.Equal(time.Unix(1933128428, 0)) {
			w.t.Errorf("%+v", e)
		}
	}
	w.store.entries = nil
	if !slices.Equal(got, lines) {
		w.t.Errorf("recorded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

// userAt is a ChatUser in a generation, by its writers.
func userAt(uid string, generation int64, name string, writers ...metav1.ManagedFieldsEntry) *v1alpha1.ChatUser {
	return &v1alpha1.ChatUser{
		ObjectMeta: metav1.ObjectMeta{Name: "mira-okafor", UID: types.UID(uid), Generation: generation, ManagedFields: writers},
		Spec:       v1alpha1.ChatUserSpec{DisplayName: &name},
	}
}

const whatKubectlMade = "field manager = kubectl, time = 2031-04-05T06:07:01Z, resource = mira-okafor, generation = 1"

func TestAuditOfKubernetes(t *testing.T) {
	w := newAuditing(t)
	first := userAt("1", 1, "Mira", writer("kubectl", 1))
	w.added(directory.KindUser, "mira", first, false)
	w.want("kubectl: created new user mira: " + whatKubectlMade)
	// A status is nobody's change.
	w.updated(directory.KindUser, "mira", first, first)
	w.want()
	second := userAt("1", 2, "Mira Okafor", writer("kubectl", 1), writer("argocd", 2))
	second.Spec.Email = second.Spec.DisplayName
	w.updated(directory.KindUser, "mira", first, second)
	w.want("argocd: edited user mira: field manager = argocd, time = 2031-04-05T06:07:02Z, resource = mira-okafor, generation = 2, fields = displayName, email")
	// This program's own changes are recorded where they are wished for.
	third := userAt("1", 3, "M", writer("kubectl", 1), writer("argocd", 2), writer(v1alpha1.FieldManager, 3))
	w.updated(directory.KindUser, "mira", second, third)
	w.want()
	w.removed(directory.KindUser, "mira", third)
	w.want(": deleted user mira: resource = mira-okafor, generation = 3")
	own := userAt("2", 1, "Mira", writer(v1alpha1.FieldManager, 1))
	w.added(directory.KindUser, "mira", own, false)
	w.deleted["2"] = true
	w.removed(directory.KindUser, "mira", own)
	w.want()
	if len(w.store.known) > 0 {
		t.Errorf("still known: %v", w.store.known)
	}
	// A name that was given away between two looks.
	w.updated(directory.KindUser, "mira", userAt("3", 5, "x", writer("kubectl", 1)), userAt("4", 1, "y", writer("kubectl", 1)))
	w.want(": deleted user mira: resource = mira-okafor, generation = 5", "kubectl: created new user mira: "+whatKubectlMade)
	// Other kinds have words of their own; one without a valid chat name has that of its resource.
	room := &v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{Name: "atrium", UID: "5", Generation: 1, ManagedFields: []metav1.ManagedFieldsEntry{writer("kubectl", 1)}}}
	w.added(directory.KindRoom, "atrium@conference", room, false)
	w.added(directory.KindUser, "", userAt("6", 1, "x", writer("kubectl", 1)), false)
	w.want("kubectl: created new MUC room atrium: service = conference, field manager = kubectl, time = 2031-04-05T06:07:01Z, resource = atrium, generation = 1",
		"kubectl: created new user mira-okafor: "+whatKubectlMade)
}

// Somebody's finalizer holds a deletion up: the resource is gone when it is marked, and once.
func TestAuditOfFinalizers(t *testing.T) {
	w := newAuditing(t)
	u := userAt("1", 1, "Mira", writer("kubectl", 1))
	w.added(directory.KindUser, "mira", u, false)
	w.want("kubectl: created new user mira: " + whatKubectlMade)
	leaving := u.DeepCopy()
	leaving.DeletionTimestamp, leaving.Generation = &metav1.Time{Time: time.Unix(5, 0)}, 2
	w.updated(directory.KindUser, "mira", u, leaving)
	w.updated(directory.KindUser, "mira", leaving, leaving)
	w.want(": deleted user mira: resource = mira-okafor, generation = 2")
	w.start()
	w.added(directory.KindUser, "mira", leaving, true)
	w.sync()
	w.removed(directory.KindUser, "mira", leaving)
	w.want()
}

// What was there before the first start is not recorded, and no start records what one before it has. What happened in between is.
func TestAuditAcrossStarts(t *testing.T) {
	w := &auditing{t: t, store: &audits{known: map[string]store.Audited{}}, deleted: map[types.UID]bool{}}
	u := func(n int, generation int64, writers ...metav1.ManagedFieldsEntry) *v1alpha1.ChatUser {
		o := userAt(fmt.Sprint(n), generation, "x", writers...)
		o.Name = fmt.Sprint("u", n)
		return o
	}
	see := func(list ...*v1alpha1.ChatUser) {
		t.Helper()
		w.start()
		for _, o := range list {
			w.added(directory.KindUser, o.Name, o, true)
		}
		w.sync()
	}
	one, two, three := u(1, 1, writer("kubectl", 1)), u(2, 4, writer("kubectl", 1)), u(3, 1, writer("kubectl", 1))
	see(one, two, three)
	w.want()
	see(one, two, three)
	w.want()
	live := u(1, 2, writer("kubectl", 2))
	w.updated(directory.KindUser, "u1", one, live)
	w.want("kubectl: edited user u1: field manager = kubectl, time = 2031-04-05T06:07:02Z, resource = u1, generation = 2")
	see(live, two, three)
	w.want()

	// While nobody looked, one was changed by this program, two by a person, three went and four and five came.
	see(u(1, 3, writer("kubectl", 2), writer(v1alpha1.FieldManager, 5)), u(2, 5, writer("kubectl", 6)), u(4, 1, writer("argocd", 7)), u(5, 1, writer(v1alpha1.FieldManager, 7)))
	w.want("kubectl: edited user u2: field manager = kubectl, time = 2031-04-05T06:07:06Z, resource = u2, generation = 5",
		"argocd: created new user u4: field manager = argocd, time = 2031-04-05T06:07:07Z, resource = u4, generation = 1",
		": deleted user u3: resource = u3, generation = 1")
	see(u(1, 3, writer(v1alpha1.FieldManager, 5)), u(2, 5, writer("kubectl", 6)), u(4, 1, writer("argocd", 7)), u(5, 1, writer(v1alpha1.FieldManager, 7)))
	w.want()

	// A process that ends before it could write is made good by the next.
	w.store.err = errors.New("disk on fire")
	w.updated(directory.KindUser, "u4", u(4, 1, writer("argocd", 7)), u(4, 2, writer("argocd", 8)))
	if wait := w.write(t.Context()); wait <= 0 {
		t.Error("a failed write is not tried again")
	}
	w.store.err = nil
	see(u(1, 3, writer(v1alpha1.FieldManager, 5)), u(2, 5, writer("kubectl", 6)), u(4, 2, writer("argocd", 8)), u(5, 1, writer(v1alpha1.FieldManager, 7)))
	w.want("argocd: edited user u4: field manager = argocd, time = 2031-04-05T06:07:08Z, resource = u4, generation = 2")
}

// Thousands come in parts, and a store that fails for a while loses none and doubles none.
func TestAuditWritesInParts(t *testing.T) {
	w := newAuditing(t)
	w.store.err = errors.New("disk on fire")
	for i := range 1201 {
		w.added(directory.KindUser, fmt.Sprint(i), userAt(fmt.Sprint(i), 1, "x", writer("kubectl", 1)), false)
	}
	w.write(t.Context())
	w.store.err = nil
	w.write(t.Context())
	if len(w.store.entries) != 1201 || len(w.store.known) != 1201 || len(w.steps) > 0 {
		t.Errorf("%d entries, %d resources, %d steps left", len(w.store.entries), len(w.store.known), len(w.steps))
	}
}
