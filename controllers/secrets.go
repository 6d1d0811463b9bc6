package controllers

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/auth"
)

// secretSelector leaves out Secrets that hold no credentials of ours and are many
// or big: Helm's releases above all.
func secretSelector() fields.Selector {
	return fields.AndSelectors(
		fields.OneTermNotEqualSelector("type", "helm.sh/release.v1"),
		fields.OneTermNotEqualSelector("type", string(corev1.SecretTypeServiceAccountToken)),
		fields.OneTermNotEqualSelector("type", string(corev1.SecretTypeDockerConfigJson)),
		fields.OneTermNotEqualSelector("type", string(corev1.SecretTypeDockercfg)),
	)
}

// keepOfSecret reduces a Secret to what is needed before it enters the cache: its
// identity, whom it belongs to, and the keys that credentials are under. Values
// of other Secrets of the namespace never stay in memory.
func keepOfSecret(obj any) (any, error) {
	s, ok := obj.(*corev1.Secret)
	if !ok {
		return obj, nil
	}
	kept := &corev1.Secret{
		TypeMeta: s.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Namespace:         unique.Make(s.Namespace).Value(),
			Name:              s.Name,
			UID:               s.UID,
			ResourceVersion:   s.ResourceVersion,
			CreationTimestamp: s.CreationTimestamp,
			DeletionTimestamp: s.DeletionTimestamp,
			Labels:            labelsOfSecret(s.Labels),
		},
		Type: s.Type,
	}
	if owner := metav1.GetControllerOf(s); owner != nil {
		kept.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	if confirmed, ok := s.Annotations[v1alpha1.ConfirmPurgeAnnotation]; ok {
		kept.Annotations = map[string]string{v1alpha1.ConfirmPurgeAnnotation: confirmed}
	}
	for _, key := range []string{v1alpha1.PasswordKey, v1alpha1.ScramSHA256Key, v1alpha1.ScramSHA1Key, v1alpha1.RESTSecretKey, v1alpha1.RESTScopeKey} {
		if v, ok := s.Data[key]; ok {
			if kept.Data == nil {
				kept.Data = make(map[string][]byte, 2)
			}
			kept.Data[key] = v
		}
	}
	return kept, nil
}

// onlyManaged are the labels of what this program manages, shared by thousands of Secrets.
var onlyManaged = map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}

// labelsOfSecret keeps the labels that this program reads.
func labelsOfSecret(all map[string]string) map[string]string {
	managed, rest := all[v1alpha1.ManagedByLabel], all[v1alpha1.RESTSecretLabel]
	switch {
	case rest != "" && managed != "":
		return map[string]string{v1alpha1.ManagedByLabel: managed, v1alpha1.RESTSecretLabel: rest}
	case rest != "":
		return map[string]string{v1alpha1.RESTSecretLabel: rest}
	case managed == v1alpha1.ManagedBy:
		return onlyManaged
	default:
		return nil
	}
}

// credential makes what logging in needs of a Secret. The error says why the
// Secret cannot be used, and never holds anything of it.
func credential(s *corev1.Secret, saltKey []byte) (*auth.Secret, error) {
	sha256Text, has256 := s.Data[v1alpha1.ScramSHA256Key]
	sha1Text, has1 := s.Data[v1alpha1.ScramSHA1Key]
	if has256 || has1 {
		var c auth.Credential
		var err error
		if has256 {
			if c.SHA256, err = auth.ParseVerifier(auth.SHA256, string(sha256Text)); err != nil {
				return nil, fmt.Errorf("key %s: %w", v1alpha1.ScramSHA256Key, err)
			}
		}
		if has1 {
			if c.SHA1, err = auth.ParseVerifier(auth.SHA1, string(sha1Text)); err != nil {
				return nil, fmt.Errorf("key %s: %w", v1alpha1.ScramSHA1Key, err)
			}
		}
		return auth.NewVerifierSecret(c), nil
	}
	password, ok := s.Data[v1alpha1.PasswordKey]
	if !ok {
		return nil, errors.New("it has neither a key password nor the keys scram-sha-256 and scram-sha-1")
	}
	if bytes.HasSuffix(password, []byte("\n")) {
		// Who makes a Secret of a file that an editor wrote; programs that read the Secret would stumble over it, too.
		return nil, fmt.Errorf("key %s: the password ends in a line end, which no password can hold: make the Secret without it, for example by printf or --from-literal",
			v1alpha1.PasswordKey)
	}
	if _, err := auth.PreparePassword(string(password)); err != nil {
		return nil, fmt.Errorf("key %s: %w", v1alpha1.PasswordKey, err)
	}
	return auth.NewPasswordSecret(string(password), salt(saltKey, s.Name, password)), nil
}

// salt depends on the installation, the Secret's name and its content, so that
// all replicas derive the same verifiers, today and after a restart, while no
// two accounts with one password have the same.
func salt(key []byte, name string, content []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(name))
	mac.Write([]byte{0})
	mac.Write(content)
	return mac.Sum(nil)[:auth.SaltSize]
}
