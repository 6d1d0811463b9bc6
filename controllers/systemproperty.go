package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// systemProperties is what is particular about SystemProperties: values that come from
// Secrets. The cache keeps only the keys of credentials, so such a value is
// read from the API server, when the reference or the Secret's version changes.
type systemProperties struct {
	directory *directory.Directory
	client    client.Reader // the cache
	live      client.Reader // the API server

	// mu is held through a put as well, so that a value that was read late
	// never overwrites a newer state of the property.
	mu       sync.Mutex
	resolved map[string]resolution // by resource name
}

// resolution is a value that was read from a Secret.
type resolution struct {
	uid       types.UID
	reference v1alpha1.SecretKeyReference
	version   string
	value     string
	// missing says what the Secret lacks; the last value stays in force.
	missing string
	// ok says that there has been a value.
	ok bool
}

func (k *systemProperties) projector(namespace string) *projector[*v1alpha1.SystemProperty] {
	return &projector[*v1alpha1.SystemProperty]{
		kind: directory.KindProperty, directory: k.directory, queue: newReportQueue(namespace),
		put: func(p *v1alpha1.SystemProperty) string {
			k.mu.Lock()
			defer k.mu.Unlock()
			if p.Spec.ValueFrom == nil {
				delete(k.resolved, p.Name)
				k.put(p, value(p.Spec.Value), false)
			} else if r, ok := k.resolution(p); ok && r.ok {
				k.put(p, r.value, true)
			}
			// Otherwise what was in force before stays so until the Secret was read.
			return p.EffectiveKey()
		},
		remove: func(name, uid string) {
			k.mu.Lock()
			defer k.mu.Unlock()
			delete(k.resolved, name)
			k.directory.DeleteProperty(name, uid)
		},
		secret: func(p *v1alpha1.SystemProperty) string {
			if p.Spec.ValueFrom == nil {
				return ""
			}
			return p.Spec.ValueFrom.SecretKeyRef.Name
		},
		identity: (*v1alpha1.SystemProperty).EffectiveKey,
	}
}

func (k *systemProperties) subject() subject[*v1alpha1.SystemProperty] {
	return subject[*v1alpha1.SystemProperty]{
		name:    "SystemProperty",
		new:     func() *v1alpha1.SystemProperty { return &v1alpha1.SystemProperty{} },
		status:  func(p *v1alpha1.SystemProperty) *v1alpha1.CommonStatus { return &p.Status.CommonStatus },
		resolve: k.resolve,
		decide:  k.decide,
	}
}

// put takes a property in. A value that cannot take effect is kept and served back;
// the directory leaves the last good one in force, and decide reports it.
func (k *systemProperties) put(p *v1alpha1.SystemProperty, text string, secret bool) {
	_ = k.directory.PutProperty(directory.SystemProperty{
		Ref: ref(p), Key: p.EffectiveKey(), Value: text, Secret: secret,
		Managed: managed(p), CreatedAt: createdAt(p), ModifiedAt: modifiedAt(p, &p.Status.CommonStatus),
	})
}

// resolve reads the value of a property that takes it from a Secret, if the Secret
// or the reference changed, and puts it in force.
func (k *systemProperties) resolve(ctx context.Context, p *v1alpha1.SystemProperty) error {
	if p.Spec.ValueFrom == nil {
		return nil
	}
	reference := p.Spec.ValueFrom.SecretKeyRef
	key := client.ObjectKey{Namespace: p.Namespace, Name: reference.Name}
	var cached corev1.Secret
	err := k.client.Get(ctx, key, &cached)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	version := string(cached.UID) + "/" + cached.ResourceVersion
	k.mu.Lock()
	r, known := k.resolution(p)
	k.mu.Unlock()
	if known && r.version == version {
		return nil
	}
	if !known {
		r = resolution{uid: p.UID, reference: reference}
	}
	r.version, r.missing = version, ""
	var secret corev1.Secret
	if err == nil {
		err = k.live.Get(ctx, key, &secret)
	}
	data, has := secret.Data[reference.Key]
	switch {
	case apierrors.IsNotFound(err):
		r.missing = fmt.Sprintf("Secret %q does not exist yet: create it with a key %q.", reference.Name, reference.Key)
	case err != nil:
		return fmt.Errorf("reading Secret %q: %w", reference.Name, err)
	case !has:
		r.missing = fmt.Sprintf("Secret %q has no key %q: add it, or name another in spec.valueFrom.secretKeyRef.key.", reference.Name, reference.Key)
	default:
		r.value, r.ok = string(data), true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// The property may have changed or gone meanwhile; then this was for nothing.
	var now v1alpha1.SystemProperty
	if err := k.client.Get(ctx, client.ObjectKeyFromObject(p), &now); err != nil || now.UID != p.UID || now.Generation != p.Generation {
		return client.IgnoreNotFound(err)
	}
	if k.resolved == nil {
		k.resolved = map[string]resolution{}
	}
	k.resolved[p.Name] = r
	if r.missing == "" {
		k.put(p, r.value, true)
	}
	return nil
}

func (k *systemProperties) decide(_ context.Context, p *v1alpha1.SystemProperty) ([]metav1.Condition, error) {
	key := p.EffectiveKey()
	p.Status.Key = &key
	in := propertyInputs{Claim: claimOn(k.directory, directory.KindProperty, key, key, p)}
	text := value(p.Spec.Value)
	if p.Spec.ValueFrom != nil {
		k.mu.Lock()
		r, _ := k.resolution(p)
		k.mu.Unlock()
		in.Missing, text = r.missing, r.value
		if in.Missing != "" && in.Claim.Holder == "" {
			// It is not in the directory for want of a value, which says it all.
			in.Claim.Own = true
		}
	}
	in.Invalid = directory.ValidateSetting(key, text)
	if in.Invalid != nil && p.Spec.ValueFrom != nil {
		// What a Secret holds is not repeated where everybody reads.
		in.Invalid = fmt.Errorf("%s: the value in Secret %q, key %q, is not one that this property takes",
			key, p.Spec.ValueFrom.SecretKeyRef.Name, p.Spec.ValueFrom.SecretKeyRef.Key)
	}
	s, known := directory.SettingOf(key)
	in.Known, in.Live = known, s.Live
	if !known {
		in.Similar, in.Ours = directory.SimilarSetting(key)
	}
	return decideProperty(in), nil
}

// resolution is what was read for exactly that reference of that life of a
// property. Called with mu held.
func (k *systemProperties) resolution(p *v1alpha1.SystemProperty) (resolution, bool) {
	r, ok := k.resolved[p.Name]
	if !ok || p.Spec.ValueFrom == nil || r.uid != p.UID || r.reference != p.Spec.ValueFrom.SecretKeyRef {
		return resolution{}, false
	}
	return r, true
}

// resolveAll reads all values that come from Secrets before anything is served.
// What cannot be read now is read by the reports, which try again.
func (k *systemProperties) resolveAll(ctx context.Context) error {
	var list v1alpha1.SystemPropertyList
	if err := k.client.List(ctx, &list); err != nil {
		return err
	}
	var failed error
	for i := range list.Items {
		if err := k.resolve(ctx, &list.Items[i]); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}
