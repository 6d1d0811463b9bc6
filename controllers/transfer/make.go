package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
)

// workers is how many requests are under way at once: the API server answers one after a commit of etcd, which many share.
const workers = 8

// requestTimeout bounds one request.
const requestTimeout = 30 * time.Second

// makeResources makes what the plan says. One that the API server refuses is reported, and the others go on; when it cannot be reached, nothing does.
func (m *importer) makeResources(ctx context.Context, units []unit) error {
	m.progress.begin("resources", len(units))
	defer m.progress.end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan []unit)
	var mu sync.Mutex // over progress and blocked
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for queue := range work {
				err := m.makeQueue(ctx, queue, func(u unit, first bool, err error) {
					mu.Lock()
					defer mu.Unlock()
					m.progress.step()
					if err != nil && first && u.main != nil {
						if identity, ok := chatName(u.main.object); ok && !m.there.has(u.main.object) {
							m.blocked[identity] = "its resource could not be made"
						}
					}
				})
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, queue := range queues(units) {
		select {
		case work <- queue:
		case <-ctx.Done():
		}
	}
	close(work)
	all.Wait()
	return context.Cause(ctx)
}

// nothingMade takes back what the plan counts and nobody has come to, since something else failed before.
func (m *importer) nothingMade(units []unit) {
	m.report.forgetData()
	seen := map[*step]bool{}
	for _, u := range units {
		for _, s := range append(u.secrets[:len(u.secrets):len(u.secrets)], u.main) {
			if s == nil || seen[s] || s.tried || s.without || s.action == leave {
				continue
			}
			seen[s] = true
			m.report.take(kindOf(s.object), s.action)
			m.report.add(kindOf(s.object), func(t *tally) { t.unreached++ }, "")
		}
	}
}

// makeUnit makes a resource and its Secrets.
func (m *importer) makeUnit(ctx context.Context, u unit) error {
	for _, s := range u.secrets {
		if err := m.makeOne(ctx, s); err != nil {
			m.without(u.main, s)
			return err
		}
	}
	if u.main == nil {
		return nil
	}
	if err := m.makeOne(ctx, u.main); err != nil {
		return err
	}
	if m.dryRun || u.main.action == leave {
		return nil
	}
	for _, s := range u.secrets {
		if s.owner != u.main.object {
			continue
		}
		err := m.own(ctx, u.main.object, s)
		if err == nil {
			continue
		}
		m.report.fail("Secret", "Secret %q was made, but would stay when %s %q goes: %v", s.object.GetName(), kindOf(u.main.object), u.main.object.GetName(), err)
		if !isRefused(err) {
			return err
		}
	}
	return nil
}

// isRefused says that the API server was reached, and did not want to.
func isRefused(err error) bool {
	var refused apierrors.APIStatus
	return errors.As(err, &refused) || errors.Is(err, errTakesName)
}

// without counts a resource as failed that is not made, since a Secret that it names was not.
func (m *importer) without(main, secret *step) {
	if main == nil || main.action == leave {
		return
	}
	what := kindOf(main.object)
	m.report.fail(what, "%s %q failed, since the Secret %q that it names did", what, main.object.GetName(), secret.object.GetName())
	m.report.take(what, main.action)
	main.without = true
}

// makeOne does what a step says, once.
func (m *importer) makeOne(ctx context.Context, s *step) error {
	s.once.Do(func() { s.tried, s.err = true, m.carryOut(ctx, s) })
	return s.err
}

func (m *importer) carryOut(ctx context.Context, s *step) error {
	if s.action == leave {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	o, what := s.object, kindOf(s.object)
	o.SetNamespace(m.namespace)
	var err error
	if s.action == create {
		err = m.create(ctx, s)
	} else {
		err = m.replace(ctx, s)
	}
	if err != nil {
		m.report.fail(what, "%s %q failed: %v", what, o.GetName(), err)
		m.report.take(what, s.action)
		return fmt.Errorf("%s %q: %w", what, o.GetName(), err)
	}
	return nil
}

func (m *importer) createOptions() []client.CreateOption {
	options := []client.CreateOption{client.FieldOwner(v1alpha1.FieldManager)}
	if m.dryRun {
		options = append(options, client.DryRunAll)
	}
	return options
}

// replace puts labels, annotations and content in the place of what is there, unless somebody has changed it since the plan.
func (m *importer) replace(ctx context.Context, s *step) error {
	content, err := json.Marshal(s.object)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(content, &fields); err != nil {
		return err
	}
	// A JSON patch, since a merge would keep what is not in the export.
	patch := []map[string]any{}
	add := func(path string, value any) {
		patch = append(patch, map[string]any{"op": "add", "path": path, "value": value})
	}
	patch = append(patch,
		map[string]any{"op": "test", "path": "/metadata/uid", "value": s.uid},
		map[string]any{"op": "test", "path": "/metadata/resourceVersion", "value": s.version})
	if secret, ok := s.object.(*corev1.Secret); ok {
		add("/data", secret.Data)
	} else {
		add("/spec", fields["spec"])
	}
	add("/metadata/labels", orEmpty(s.object.GetLabels()))
	add("/metadata/annotations", orEmpty(s.object.GetAnnotations()))
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	options := []client.PatchOption{client.FieldOwner(v1alpha1.FieldManager)}
	if m.dryRun {
		options = append(options, client.DryRunAll)
	}
	return m.live.Patch(ctx, s.object, client.RawPatch(types.JSONPatchType, body), options...)
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// own gives a Secret that was made for a user or a room that as its owner, so that it goes when that goes.
func (m *importer) own(ctx context.Context, owner client.Object, s *step) error {
	secret, ok := s.object.(*corev1.Secret)
	kind := kindOf(owner)
	if !ok || s.action != create || secret.Labels[v1alpha1.ManagedByLabel] != v1alpha1.ManagedBy ||
		secret.Type != provision.TypeBinding && secret.Type != provision.TypeVerifiers && secret.Type != provision.TypeRoomPassword {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             secret.UID,
		"ownerReferences": []metav1.OwnerReference{provision.OwnedBy(owner, kind)},
	}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	target := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: secret.Name}}
	if err := m.live.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(v1alpha1.FieldManager)); err != nil {
		return fmt.Errorf("giving it its owner: %w", err)
	}
	return nil
}
