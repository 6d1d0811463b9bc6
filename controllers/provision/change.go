package provision

import (
	"context"
	"encoding/json"
	"fmt"

	"gomodules.xyz/jsonpatch/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// wish is a change of one resource.
type wish[T client.Object] struct {
	by   directory.Actor
	kind string
	name string
	obj  func() T
	// policy reads the resource's inBandPolicy.
	policy func(T) *v1alpha1.InBandPolicy
	// edit makes the change, and says which paths it touches; none: there is nothing to do.
	edit func(T) ([]fieldpath.Path, error)
}

// change carries a wish out, if what nobody declared outside allows it: the live
// resource, permission on that very state, a patch that holds for that state
// alone. Others who change it at the same time make it start again. The result is the
// resource as it is now.
//
// Server-side apply of just the change would not do: it gives up what this
// manager owned and did not repeat, and takes nothing out of a list.
func change[T client.Object](ctx context.Context, p *Provisioner, w wish[T]) (T, error) {
	var none T
	for range maxTries {
		obj := w.obj()
		if err := p.get(ctx, w.name, obj); err != nil {
			return none, explain(err, w.kind, w.name)
		}
		edited := obj.DeepCopyObject().(T)
		paths, err := w.edit(edited)
		if err != nil || len(paths) == 0 {
			return obj, err
		}
		if err := p.permit(w.by, obj, w.policy(obj), paths); err != nil {
			return none, err
		}
		patch, err := patchBetween(obj, edited)
		if err != nil {
			return none, err
		}
		result := w.obj()
		result.SetName(w.name)
		result.SetNamespace(p.namespace)
		err = p.patch(ctx, result, client.RawPatch(types.JSONPatchType, patch))
		switch {
		case err == nil:
			return result, nil
		case apierrors.IsConflict(err):
			continue
		case apierrors.IsInvalid(err):
			// A test that fails and a value that is refused have one status: who
			// moved the resource on caused the first.
			again := w.obj()
			if err := p.get(ctx, w.name, again); err != nil {
				return none, explain(err, w.kind, w.name)
			}
			if again.GetResourceVersion() != obj.GetResourceVersion() {
				continue
			}
		}
		return none, explain(err, w.kind, w.name)
	}
	return none, fmt.Errorf("%s %q: %w", w.kind, w.name, directory.ErrConflict)
}

// permit refuses a change of what somebody declared outside, saying who and what.
func (p *Provisioner) permit(by directory.Actor, obj client.Object, policy *v1alpha1.InBandPolicy, paths []fieldpath.Path) error {
	if done, err := p.decidedByPolicy(by, policy, paths[0].String()); done {
		return err
	}
	if d, declared := DeclaredPath(obj, paths...); declared {
		return &directory.ManagedError{Field: fieldName(d.Field), Manager: d.Manager}
	}
	return nil
}

// permitDelete refuses to delete what a declarative manager has a part in: it
// would be made again.
func (p *Provisioner) permitDelete(by directory.Actor, obj client.Object, policy *v1alpha1.InBandPolicy) error {
	if done, err := p.decidedByPolicy(by, policy, ".metadata.name"); done {
		return err
	}
	if d, declared := DeclaredAnything(obj); declared {
		return &directory.ManagedError{Field: fieldName(d.Field), Manager: d.Manager, Deletion: true}
	}
	return nil
}

// decidedByPolicy says whether ownership need not be asked. A Deny holds against
// the setting that lets REST override managers: it was said of this one resource.
func (p *Provisioner) decidedByPolicy(by directory.Actor, policy *v1alpha1.InBandPolicy, field string) (bool, error) {
	switch {
	case policy != nil && *policy == v1alpha1.InBandPolicyDeny:
		return true, &directory.ManagedError{Field: fieldName(field), Policy: true}
	case policy != nil && *policy == v1alpha1.InBandPolicyForce:
		return true, nil
	}
	return p.overrides(by), nil
}

// overrides says whether somebody may change what was declared outside, where no policy of the resource says otherwise.
func (p *Provisioner) overrides(by directory.Actor) bool {
	return by.Overrides || by.Via == "REST" && p.directory.Bool(directory.KeyRESTOverride)
}

// fieldName writes a path as people do, without the dot in front.
func fieldName(path string) string {
	if len(path) > 1 && path[0] == '.' {
		return path[1:]
	}
	return path
}

// patchBetween is the JSON patch from one state to another that holds for the first alone.
func patchBetween(from, to client.Object) ([]byte, error) {
	before, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	after, err := json.Marshal(to)
	if err != nil {
		return nil, err
	}
	operations, err := jsonpatch.CreatePatch(before, after)
	if err != nil {
		return nil, err
	}
	tests := []jsonpatch.Operation{
		jsonpatch.NewOperation("test", "/metadata/uid", from.GetUID()),
		jsonpatch.NewOperation("test", "/metadata/resourceVersion", from.GetResourceVersion()),
	}
	return json.Marshal(append(tests, operations...))
}
