package provision

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

const (
	kindProperty = "SystemProperty"
	maxKey       = 255
)

// PutProperty sets a system property, which has to be there already if mustExist
// is set, and returns when it is in force here.
func (p *Provisioner) PutProperty(ctx context.Context, by directory.Actor, key, value string, mustExist bool) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	if key == "" || len([]rune(key)) > maxKey || strings.ContainsFunc(key, unicode.IsControl) {
		return &directory.InvalidError{Field: "key", Message: "a property key has 1 to 255 characters, none of them a control character"}
	}
	if err := directory.ValidateSetting(key, value); err != nil {
		return err
	}
	now, err := p.writeProperty(ctx, by, key, value, mustExist)
	if err != nil {
		return err
	}
	return await(ctx, func(ctx context.Context) error {
		return p.directory.WaitProperty(ctx, key, string(now.UID), now.Generation)
	})
}

// writeProperty creates or changes a property. Those who do so through this process take turns: as many as like can do so at once, and none has to give up.
func (p *Provisioner) writeProperty(ctx context.Context, by directory.Actor, key, value string, mustExist bool) (now *v1alpha1.SystemProperty, err error) {
	unlock := p.LockName(directory.KindProperty, key)
	defer unlock()
	// What is only changed has to be found; to create what is there all the same is refused, which finds it as well.
	name, held, err := p.propertyResource(ctx, key, mustExist)
	if err != nil {
		return nil, err
	}
	if !held && mustExist {
		return nil, fmt.Errorf("property %q: %w", key, directory.ErrNotFound)
	}
	if !held {
		now = &v1alpha1.SystemProperty{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: p.namespace, Name: name,
				Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
			},
			Spec: v1alpha1.SystemPropertySpec{Key: &key, Value: &value},
		}
		err = p.create(ctx, now)
		held = apierrors.IsAlreadyExists(err) // somebody was quicker: then it is a change
	}
	if held {
		now, err = change(ctx, p, wish[*v1alpha1.SystemProperty]{
			by: by, kind: kindProperty, name: name,
			obj:    func() *v1alpha1.SystemProperty { return &v1alpha1.SystemProperty{} },
			policy: func(s *v1alpha1.SystemProperty) *v1alpha1.InBandPolicy { return s.Spec.InBandPolicy },
			edit: func(s *v1alpha1.SystemProperty) ([]fieldpath.Path, error) {
				if s.EffectiveKey() != key {
					return nil, fmt.Errorf("property %q: SystemProperty %q is that of another key, %q: %w", key, name, s.EffectiveKey(), directory.ErrExists)
				}
				if s.Spec.ValueFrom == nil && s.Spec.Value != nil && *s.Spec.Value == value {
					return nil, nil
				}
				paths := []fieldpath.Path{specPath("value")}
				if s.Spec.ValueFrom != nil {
					paths = append(paths, specPath("valueFrom"))
				}
				s.Spec.Value, s.Spec.ValueFrom = &value, nil
				return paths, nil
			},
		})
		return now, err
	}
	return now, explain(err, kindProperty, key)
}

// DeleteProperty deletes a system property and returns when it is gone here.
func (p *Provisioner) DeleteProperty(ctx context.Context, by directory.Actor, key string) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	name, held, err := p.propertyResource(ctx, key, true)
	if err != nil {
		return err
	}
	if !held {
		return fmt.Errorf("property %q: %w", key, directory.ErrNotFound)
	}
	for range maxTries {
		var property v1alpha1.SystemProperty
		if err := p.get(ctx, name, &property); err != nil {
			return explain(err, kindProperty, key)
		}
		if property.EffectiveKey() != key {
			return fmt.Errorf("property %q: %w", key, directory.ErrNotFound)
		}
		if err := p.permitDelete(by, &property, property.Spec.InBandPolicy); err != nil {
			return err
		}
		err := p.removeAsIs(ctx, &property)
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return explain(err, kindProperty, key)
		}
		return await(ctx, func(ctx context.Context) error {
			return p.directory.WaitGone(ctx, directory.KindProperty, key, string(property.UID))
		})
	}
	return fmt.Errorf("property %q: %w", key, directory.ErrConflict)
}

// propertyResource finds the resource that declares a property, or the name that
// one would have; live: also at the API server, in case the projection lags.
func (p *Provisioner) propertyResource(ctx context.Context, key string, live bool) (name string, held bool, err error) {
	if holder, ok := p.directory.Holder(directory.KindProperty, key); ok {
		return holder.Name, true, nil
	}
	name = v1alpha1.EncodeName(key)
	if !live || !p.lookups.allow() {
		return name, false, nil
	}
	var property v1alpha1.SystemProperty
	err = p.get(ctx, name, &property)
	switch {
	case apierrors.IsNotFound(err):
		return name, false, nil
	case err != nil:
		return "", false, explain(err, kindProperty, key)
	}
	return name, property.EffectiveKey() == key, nil
}
