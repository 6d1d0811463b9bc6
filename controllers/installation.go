package controllers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// Keys of the installation's own Secret.
const (
	// InstallationKey makes salts and decoys that agree between replicas and restarts.
	InstallationKey = "installation-key"
	// RESTSecretKey is the shared secret of the REST API, while no property gives another.
	RESTSecretKey = v1alpha1.RESTSecretKey
)

const (
	installationKeySize = 32
	restSecretSize      = 16 // characters, as the original makes them
)

// Installation is what an installation made for itself at its first start.
type Installation struct {
	// Key is the installation key.
	Key []byte
	// RESTSecret is the shared secret of the REST API.
	RESTSecret string
}

// LoadInstallation reads the installation's Secret, and makes it at the first start. It
// waits for an API server that is away, and fails when a person has to help.
func LoadInstallation(ctx context.Context, live client.Client, namespace, name string, log logr.Logger) (Installation, error) {
	const (
		pause   = time.Second
		timeout = 10 * time.Second
		// Rights that were given together with this process take a moment to arrive.
		rightsWithin = 5 * time.Second
	)
	begun := time.Now()
	for {
		attempt, cancel := context.WithTimeout(ctx, timeout)
		installation, err := loadInstallation(attempt, live, namespace, name)
		cancel()
		if err == nil {
			return installation, nil
		}
		var status apierrors.APIStatus
		temporary := !errors.As(err, &status) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
			apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) ||
			apierrors.IsForbidden(err) && time.Since(begun) < rightsWithin
		if errors.Is(err, errBadInstallation) || !temporary {
			return Installation{}, err
		}
		log.Info("Waiting for the Kubernetes API server", "reason", err.Error())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return Installation{}, context.Cause(ctx)
		}
	}
}

var errBadInstallation = errors.New("cannot be used")

func loadInstallation(ctx context.Context, live client.Client, namespace, name string) (Installation, error) {
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: namespace, Name: name}
	err := live.Get(ctx, key, &secret)
	if apierrors.IsNotFound(err) {
		fresh := make([]byte, installationKeySize)
		rand.Read(fresh) // never fails: crypto/rand ends the process instead
		secret = corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: name,
				Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
			},
			Data: map[string][]byte{
				InstallationKey: fresh,
				RESTSecretKey:   []byte(rand.Text()[:restSecretSize]),
			},
		}
		err = live.Create(ctx, &secret, client.FieldOwner(v1alpha1.FieldManager))
		if apierrors.IsAlreadyExists(err) { // another replica was quicker
			err = live.Get(ctx, key, &secret)
		} else if apierrors.IsNotFound(err) {
			return Installation{}, fmt.Errorf("namespace %q does not exist: create it, or name another with --namespace: %w", namespace, err)
		}
	}
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return Installation{}, fmt.Errorf("the operator may not use Secrets of namespace %q: apply config/rbac there: %w", namespace, err)
	}
	if err != nil {
		return Installation{}, fmt.Errorf("reading the installation's Secret %q of namespace %q: %w", name, namespace, err)
	}
	if len(secret.Data[InstallationKey]) < 16 || len(secret.Data[RESTSecretKey]) == 0 {
		return Installation{}, fmt.Errorf(
			"Secret %q of namespace %q %w: it needs a key %s with at least 16 bytes and a key %s; delete it to have both made anew",
			name, namespace, errBadInstallation, InstallationKey, RESTSecretKey)
	}
	return Installation{Key: secret.Data[InstallationKey], RESTSecret: string(secret.Data[RESTSecretKey])}, nil
}
