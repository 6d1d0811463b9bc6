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
		installation, _, err := loadInstallation(attempt, live, live, namespace, name, nil)
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

// loadInstallation makes the Secret with that installation key, if it has to; nil: with a new one. made says whether it did.
func loadInstallation(ctx context.Context, live client.Reader, writer client.Writer, namespace, name string, fresh []byte) (_ Installation, made bool, err error) {
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: namespace, Name: name}
	err = live.Get(ctx, key, &secret)
	if apierrors.IsNotFound(err) {
		if fresh == nil {
			fresh = make([]byte, installationKeySize)
			rand.Read(fresh) // never fails: crypto/rand ends the process instead
		}
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
		err = writer.Create(ctx, &secret, client.FieldOwner(v1alpha1.FieldManager))
		made = err == nil
		if apierrors.IsAlreadyExists(err) { // another replica was quicker
			err = live.Get(ctx, key, &secret)
		} else if apierrors.IsNotFound(err) {
			return Installation{}, false, fmt.Errorf("namespace %q does not exist: create it, or name another with --namespace: %w", namespace, err)
		}
	}
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return Installation{}, false, fmt.Errorf("the operator may not use Secrets of namespace %q: apply config/rbac there: %w", namespace, err)
	}
	if err != nil {
		return Installation{}, false, fmt.Errorf("reading the installation's Secret %q of namespace %q: %w", name, namespace, err)
	}
	if len(secret.Data[InstallationKey]) < 16 || len(secret.Data[RESTSecretKey]) == 0 {
		return Installation{}, false, fmt.Errorf(
			"Secret %q of namespace %q %w: it needs a key %s with at least 16 bytes and a key %s; delete it to have both made anew",
			name, namespace, errBadInstallation, InstallationKey, RESTSecretKey)
	}
	return Installation{Key: secret.Data[InstallationKey], RESTSecret: string(secret.Data[RESTSecretKey])}, made, nil
}

// installationKeeper makes the installation's Secret anew when somebody deletes it: with the same installation key, on which salts depend, and another shared
// secret of REST, since the old one may have been deleted for having leaked.
type installationKeeper struct {
	live            client.Reader
	writer          client.Writer
	namespace, name string
	key             []byte
	log             logr.Logger

	gone chan struct{} // has a value once the Secret has gone
}

// remakeAfter is what whoever replaces the Secret is given for that, and how long it takes to the next attempt.
const remakeAfter = time.Second

func (k *installationKeeper) NeedLeaderElection() bool { return false }

// seen is told of each Secret that goes. It does not block.
func (k *installationKeeper) seen(name string) {
	if name != k.name {
		return
	}
	select {
	case k.gone <- struct{}{}:
	default:
	}
}

// Start runs until ctx ends.
func (k *installationKeeper) Start(ctx context.Context) error {
	for {
		select {
		case <-k.gone:
		case <-ctx.Done():
			return nil
		}
		for again := true; again; {
			select {
			case <-time.After(remakeAfter):
			case <-ctx.Done():
				return nil
			}
			again = k.remake(ctx)
		}
	}
}

// remake says whether it has to be tried again.
func (k *installationKeeper) remake(ctx context.Context) (again bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, made, err := loadInstallation(ctx, k.live, k.writer, k.namespace, k.name, k.key)
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return false
	case errors.Is(err, errBadInstallation): // somebody's, which is not overwritten
		k.log.Error(err, "The Secret in place of the installation's, which was deleted, is left as it is: this process goes on with the keys that it has, and the next start fails", "secret", k.name)
		return false
	case err != nil:
		k.log.Error(err, "The installation's Secret was deleted and cannot be made anew; trying again", "secret", k.name, "in", remakeAfter)
		return true
	case made:
		k.log.Info("The installation's Secret was deleted and is made anew, with another shared secret of the REST API", "secret", k.name)
	}
	return false
}
