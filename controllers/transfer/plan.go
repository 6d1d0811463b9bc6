package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// action is what is to be done about a resource.
type action int

const (
	leave action = iota
	create
	replace
)

// step is one resource and what is to be done about it.
type step struct {
	object client.Object
	action action
	// uid and version are those of what is replaced.
	uid, version string
	// owner is the resource of the bundle that a Secret was made for; nil: none.
	owner client.Object

	// Several resources may name one Secret: whichever is made first has the step taken, and err is what came of it.
	once  sync.Once
	tried bool
	// without says that it failed with a Secret that it names.
	without bool
	err     error

	// after is who has the better claim to the chat name; nil: nobody.
	after *directory.Ref
}

// unit is a resource with the Secrets that it names: those are made right before it, since Secrets that nothing names do not last.
type unit struct {
	secrets []*step
	main    *step // nil: Secrets that belong to nothing else
}

// plan compares the bundle with what is there. It changes nothing.
func (m *importer) plan(ctx context.Context) ([]unit, error) {
	units := m.planResources()
	if m.data {
		if err := m.blockWaiting(ctx); err != nil {
			return nil, err
		}
		if err := m.eachBatch(ctx, comparing, m.compareBatch); err != nil {
			return nil, err
		}
	}
	return units, nil
}

// kindOf names the kind of a resource, which clients take out of what they answer.
func kindOf(o client.Object) string {
	switch o.(type) {
	case *v1alpha1.ChatUser:
		return "ChatUser"
	case *v1alpha1.ChatGroup:
		return "ChatGroup"
	case *v1alpha1.ChatRoom:
		return "ChatRoom"
	case *v1alpha1.SystemProperty:
		return "SystemProperty"
	}
	return "Secret"
}

// planResources says what is to be done about each resource.
func (m *importer) planResources() []unit {
	if !m.resources {
		return nil
	}
	holders := m.holders()
	secrets := map[string]*step{}
	named := m.bundle.declared.named()
	for _, s := range sorted(m.bundle.declared.Secrets) {
		if !named[s.Name] && s.Name != m.secretName && s.Labels[v1alpha1.RESTSecretLabel] != "true" {
			m.report.add("Secret", func(t *tally) { t.left++ }, "Secret %q is left out, since nothing in the export names it", s.Name)
			continue
		}
		secrets[s.Name] = m.planOne(s, existing(m.there.Secrets, s.Name), "")
	}
	units := make([]unit, 0, m.bundle.declared.count())
	claimed, used, absent := map[string]bool{}, map[string]bool{}, map[client.Object]bool{}
	claims := m.bundle.claims()
	for _, o := range m.bundle.inOrder(claims) {
		identity, ok := chatName(o)
		rivals := claims[identity]
		if !ok {
			rivals = []client.Object{o}
		}
		holder := holders[identity]
		if comesBefore(rivals, holder, o) {
			holder = "" // it was made by an import that was cut short, and this one takes its turn
		}
		s := m.planOne(o, m.lookUp(o), holder)
		if first := rivals[0]; s.action == create && first != o && absent[first] {
			// Its name would be that of another one than it was.
			m.report.add(kindOf(o), func(t *tally) { t.left++; t.made-- }, "%s %q is left out, since %q, which holds its chat name, is", kindOf(o), o.GetName(), first.GetName())
			s.action = leave
		}
		u := unit{main: s}
		for _, name := range secretsOf(o) {
			secret := secrets[name]
			if secret == nil {
				continue
			}
			claimed[name] = true
			if secret.owner == nil || name == provision.GeneratedSecretName(o.GetName()) {
				secret.owner = o
			}
			if secret.action == leave && m.differs(secret) && s.action == create {
				// Its credentials would be those of somebody else.
				m.report.add(kindOf(o), func(t *tally) { t.left++; t.made-- }, "%s %q is left out, since the Secret %q that it names is another one", kindOf(o), o.GetName(), name)
				s.action = leave
			}
			if s.action != leave || m.there.has(o) {
				u.secrets = append(u.secrets, secret)
				used[name] = true
			}
		}
		if s.action == leave && !m.there.has(o) {
			absent[o] = true
			if rivals[0] == o {
				m.blocked[identity] = "its resource is left out"
			}
		}
		units = append(units, u)
	}
	// What nothing names has its reason in itself: the installation's own, shared secrets of the REST API.
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		switch s := secrets[name]; {
		case !claimed[name]:
			units = append(units, unit{secrets: []*step{s}})
		case !used[name] && s.action != leave:
			m.report.take("Secret", s.action)
			m.report.add("Secret", func(t *tally) { t.left++ }, "Secret %q is left out, since all that names it is", name)
			s.action = leave
		}
	}
	return units
}

// named are the Secrets that resources name, or that are made for them.
func (r *resources) named() map[string]bool {
	list := map[string]bool{}
	_ = r.each(func(_ string, o client.Object) error {
		for _, name := range secretsOf(o) {
			list[name] = true
		}
		return nil
	})
	return list
}

// holders are the resources in the namespace that have a chat name, by name.
func (m *importer) holders() map[name]string { return m.there.holders() }

func (r *resources) holders() map[name]string {
	list := map[name]string{}
	for identity, claimants := range r.claims() {
		list[identity] = claimants[0].GetName()
	}
	return list
}

// existing gives an object of a map as an interface that is nil when there is none.
func existing[T client.Object](list map[string]T, name string) client.Object {
	if o, ok := list[name]; ok {
		return o
	}
	return nil
}

// lookUp finds the resource of the same kind and name in the namespace.
func (m *importer) lookUp(o client.Object) client.Object { return m.there.find(o) }

func (r *resources) find(o client.Object) client.Object {
	switch o.(type) {
	case *v1alpha1.ChatUser:
		return existing(r.Users, o.GetName())
	case *v1alpha1.ChatGroup:
		return existing(r.Groups, o.GetName())
	case *v1alpha1.ChatRoom:
		return existing(r.Rooms, o.GetName())
	case *v1alpha1.SystemProperty:
		return existing(r.Properties, o.GetName())
	case *corev1.Secret:
		return existing(r.Secrets, o.GetName())
	}
	return nil
}

func (r *resources) has(o client.Object) bool { return r.find(o) != nil }

// differs says whether a Secret in the namespace is another one than the bundle's.
func (m *importer) differs(s *step) bool {
	there := m.there.find(s.object)
	return there != nil && !alike(s.object, there)
}

// planOne compares a resource with the one of its name, and with who has its chat name.
func (m *importer) planOne(o, there client.Object, holder string) *step {
	s, what := &step{object: o}, kindOf(o)
	switch {
	case there == nil && holder != "":
		m.report.add(what, func(t *tally) { t.conflicts++ }, "%s %q is in conflict: the resource %q has its chat name", what, o.GetName(), holder)
	case there == nil:
		s.action = create
		m.report.add(what, func(t *tally) { t.made++ }, "")
	case alike(o, there):
		m.report.add(what, func(t *tally) { t.same++ }, "")
	case what == "Secret" && o.GetName() == m.secretName:
		m.report.add(what, func(t *tally) { t.left++ }, "The keys of this installation, in Secret %q, stay as they are", o.GetName())
	case m.rule == onConflictReplace:
		s.action, s.uid, s.version = replace, string(there.GetUID()), there.GetResourceVersion()
		m.report.add(what, func(t *tally) { t.replaced++ }, "%s %q is there already and differs: the export's takes its place", what, o.GetName())
	default:
		m.report.add(what, func(t *tally) { t.conflicts++ }, "%s %q is in conflict: another one is there", what, o.GetName())
	}
	return s
}

// alike says whether two resources say the same, but for when they were made.
func alike(a, b client.Object) bool {
	return bytes.Equal(essence(a), essence(b))
}

func essence(o client.Object) []byte {
	o = o.DeepCopyObject().(client.Object)
	one := newResources()
	one.add(o)
	one.portable(func(string) {})
	annotations := o.GetAnnotations()
	delete(annotations, v1alpha1.CreatedAtAnnotation)
	if len(annotations) == 0 {
		o.SetAnnotations(nil)
	}
	content, err := manifest(o)
	if err != nil {
		return nil
	}
	return content
}

// secretsOf are the Secrets that a resource names, or that are made for it.
func secretsOf(o client.Object) []string {
	switch t := o.(type) {
	case *v1alpha1.ChatUser:
		if t.Spec.Credentials != nil {
			return []string{t.Spec.Credentials.SecretRef.Name}
		}
		return []string{provision.GeneratedSecretName(t.Name)}
	case *v1alpha1.ChatRoom:
		if t.Spec.PasswordSecretRef != nil {
			return []string{t.Spec.PasswordSecretRef.Name}
		}
	case *v1alpha1.SystemProperty:
		if t.Spec.ValueFrom != nil {
			return []string{t.Spec.ValueFrom.SecretKeyRef.Name}
		}
	}
	return nil
}

// blockWaiting looks for names of the export that were deleted here and whose data waits to be purged: two lives must not be mixed.
func (m *importer) blockWaiting(ctx context.Context) error {
	if len(m.waiting) == 0 {
		return nil
	}
	ours, keeping := map[name]bool{}, map[name]bool{}
	for _, u := range m.bundle.declared.Users {
		if identity, ok := chatName(u); ok {
			ours[identity] = true
		}
	}
	for _, r := range m.bundle.declared.Rooms {
		if identity, ok := chatName(r); ok {
			ours[identity] = true
		}
	}
	columns := m.columns(tableIdentity)
	if err := m.bundle.rows(tableIdentity, columns, func(row store.Row) error {
		identity := name{row["kind"].(string), row["name"].(string)}
		there, ok := m.waiting[identity]
		if !ok {
			return nil
		}
		ours[identity] = true
		keeping[identity] = row["state"] != string(store.Active)
		for _, c := range columns {
			if there[c.Name] != row[c.Name] {
				return nil
			}
		}
		delete(m.waiting, identity) // it is the same one, read in before
		return nil
	}); err != nil {
		return err
	}
	comes := m.holders()
	if m.resources {
		maps.Copy(comes, m.bundle.declared.holders())
	}
	for identity := range ours {
		if _, ok := m.waiting[identity]; !ok {
			continue
		}
		if _, ok := comes[identity]; m.rule == onConflictReplace && !ok && !keeping[identity] {
			m.report.add(deletedNames, func(t *tally) { t.left++ },
				"What is kept of the %s %q stays, and the export's is left out: it was deleted here, and no resource declares it", identity.kind, identity.name)
			m.blocked[identity] = "no resource declares it"
			continue
		}
		if m.rule == onConflictReplace {
			m.purged = append(m.purged, identity)
			m.report.add(deletedNames, func(t *tally) { t.replaced++ }, "The %s %q was deleted here: what is kept of it is purged", identity.kind, identity.name)
			continue
		}
		m.report.add(deletedNames, func(t *tally) { t.conflicts++ },
			"The %s %q is in conflict: it was deleted here, and what is kept of it waits to be purged", identity.kind, identity.name)
		m.blocked[identity] = "what is kept of another one waits to be purged"
	}
	return ctx.Err()
}

// purgeWaiting removes what is kept of deleted names whose place is taken.
func (m *importer) purgeWaiting(ctx context.Context) error {
	for _, identity := range m.purged {
		if why, ok := m.blocked[identity]; ok {
			m.report.add(deletedNames, func(t *tally) { t.replaced--; t.left++ }, "What is kept of the %s %q stays: of the export's, %s", identity.kind, identity.name, why)
			continue
		}
		var err error
		switch identity.kind {
		case directory.KindUser.String():
			err = m.store.PurgeAccount(ctx, identity.name)
		case directory.KindRoom.String():
			err = m.store.PurgeRoom(ctx, identity.name, "")
		default:
			err = errors.New("nothing is kept of names of that kind")
		}
		if err != nil {
			return fmt.Errorf("purging what is kept of the %s %q: %w", identity.kind, identity.name, err)
		}
	}
	return nil
}
