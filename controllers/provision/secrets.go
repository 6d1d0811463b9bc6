package provision

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// Types of the Secrets that this program makes.
const (
	// TypeBinding is that of generated passwords, in the shape of servicebinding.io.
	TypeBinding corev1.SecretType = "servicebinding.io/xmpp"
	// TypeVerifiers is that of Secrets that hold SCRAM verifiers and nothing else.
	TypeVerifiers corev1.SecretType = "chat-operator.io/scram-verifiers"
	// TypeRoomPassword is that of Secrets that hold what people have to know to enter a room.
	TypeRoomPassword corev1.SecretType = "chat-operator.io/room-password"
)

// forAnnotation is on issued Secrets and names the ChatUser or ChatRoom in full.
const forAnnotation = "chat-operator.io/for"

const (
	generatedSuffix = "-credentials"
	maxName         = 253
)

// GeneratedSecretName is the name of the Secret with the generated password of the
// ChatUser of that name.
func GeneratedSecretName(user string) string {
	if len(user)+len(generatedSuffix) <= maxName {
		return user + generatedSuffix
	}
	sum := sha256.Sum256([]byte(user))
	return strings.TrimRight(user[:200], "-.") + "-" + hex.EncodeToString(sum[:8]) + generatedSuffix
}

// GeneratedKey is the name under which the directory knows the generated credentials
// of a life of a ChatUser. No Secret can have such a name.
func GeneratedKey(uid string) string { return "generated/" + uid }

// OwnerOf is the uid of the ChatUser that a Secret was generated for, or empty.
func OwnerOf(s *corev1.Secret) string {
	owner := metav1.GetControllerOf(s)
	if owner == nil || owner.Kind != "ChatUser" || owner.APIVersion != v1alpha1.GroupVersion.String() || s.Type != TypeBinding {
		return ""
	}
	return string(owner.UID)
}

// UserLabel is the value of the label that says for which ChatUser a Secret was made.
func userLabel(user string) string {
	if len(user) <= 63 {
		return user
	}
	sum := sha256.Sum256([]byte(user))
	return hex.EncodeToString(sum[:16])
}

func ownLabels(user string) map[string]string {
	return map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.UserLabel: userLabel(user)}
}

// OwnedBy says that a Secret belongs to a chat resource and goes with it. It does not say blockOwnerDeletion: where the API server enforces who may (its plugin
// OwnerReferencesPermissionEnforcement, which OpenShift has on), that takes the right to update the finalizers of the owner, which this program neither has nor needs.
func OwnedBy(owner client.Object, kind string) metav1.OwnerReference {
	controller := true
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), Controller: &controller,
	}
}

// ForeignSecretError says that the name of a generated Secret is taken by one that
// somebody else made. It is never overwritten.
type ForeignSecretError struct{ Name string }

func (e *ForeignSecretError) Error() string {
	return fmt.Sprintf("Secret %q is in the way of the generated password and was not made for this user: "+
		"name it in spec.credentials.secretRef to use it, or delete it to have a password generated", e.Name)
}

// Endpoint is what a program needs to know to connect, besides its credentials.
type Endpoint struct {
	Host string
	Port int
}

// GeneratePassword makes the Secret of a ChatUser that names none. It does nothing
// when the Secret is there, and fails with a *ForeignSecretError when another is.
func (p *Provisioner) GeneratePassword(ctx context.Context, u *v1alpha1.ChatUser, address string, at Endpoint) error {
	username, _, _ := strings.Cut(address, "@")
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       p.namespace,
			Name:            GeneratedSecretName(u.Name),
			Labels:          ownLabels(u.Name),
			OwnerReferences: []metav1.OwnerReference{OwnedBy(u, "ChatUser")},
		},
		Type: TypeBinding,
		StringData: map[string]string{
			"type":               "xmpp",
			"provider":           "chat-operator",
			"host":               at.Host,
			"port":               fmt.Sprint(at.Port),
			"username":           username,
			v1alpha1.PasswordKey: rand.Text(),
			"jid":                address,
			"uri":                "xmpp:" + address,
		},
	}
	err := p.create(ctx, secret)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	var there corev1.Secret
	if err := p.get(ctx, secret.Name, &there); err != nil {
		return client.IgnoreNotFound(err)
	}
	switch owner := OwnerOf(&there); owner {
	case string(u.UID):
		return nil
	case "":
		return &ForeignSecretError{Name: secret.Name}
	}
	// An earlier life of the user left it, and it waits to be collected. Its
	// password must not open the new account.
	if err := p.remove(ctx, &there); err != nil {
		return err
	}
	secret.ResourceVersion = ""
	err = p.create(ctx, secret)
	if apierrors.IsAlreadyExists(err) {
		return nil // the next look at it tells whose it is
	}
	return err
}

// VerifierSecret is the Secret, of that name, with the SCRAM verifiers of a ChatUser as this program makes it.
func VerifierSecret(name, user string, c auth.Credential) *corev1.Secret {
	return issued(name, user, TypeVerifiers, ownLabels(user), verifierData(c))
}

// RoomPasswordSecret is the Secret, of that name, with the password of a ChatRoom as this program makes it.
func RoomPasswordSecret(name, room, password string) *corev1.Secret {
	return issued(name, room, TypeRoomPassword, map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
		map[string][]byte{v1alpha1.PasswordKey: []byte(password)})
}

func issued(name, of string, kind corev1.SecretType, labels map[string]string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: map[string]string{forAnnotation: of}},
		Type:       kind,
		Data:       data,
	}
}

// issueVerifiers makes a Secret of its own for a password that came in, holding SCRAM
// verifiers only.
func (p *Provisioner) issueVerifiers(ctx context.Context, user string, c auth.Credential) (*corev1.Secret, error) {
	return p.issue(ctx, VerifierSecret(issuedName(user), user, c))
}

// issueRoomPassword makes a Secret of its own for the password of a ChatRoom.
func (p *Provisioner) issueRoomPassword(ctx context.Context, room, password string) (*corev1.Secret, error) {
	return p.issue(ctx, RoomPasswordSecret(issuedName(room), room, password))
}

func (p *Provisioner) issue(ctx context.Context, secret *corev1.Secret) (*corev1.Secret, error) {
	secret.Namespace = p.namespace
	if err := p.create(ctx, secret); err != nil {
		return nil, err
	}
	return secret, nil
}

// issuedName is a fresh name for a Secret of its own.
func issuedName(of string) string {
	return issuedPrefix(of) + strings.ToLower(rand.Text()[:issuedRandom])
}

// issuedTo says whether issuedName makes such names for that user or room.
func issuedTo(name, of string) bool {
	rest, ok := strings.CutPrefix(name, issuedPrefix(of))
	return ok && len(rest) == issuedRandom
}

// issuedRandom is the length of what makes an issued name fresh.
const issuedRandom = 10

func issuedPrefix(of string) string {
	if len(of) > 200 {
		of = strings.TrimRight(of[:200], "-.")
	}
	return of + "-"
}

// verifierData has the verifiers that there are: those of other servers may be of one kind only.
func verifierData(c auth.Credential) map[string][]byte {
	data := make(map[string][]byte, 2)
	if !c.SHA256.IsZero() {
		data[v1alpha1.ScramSHA256Key] = []byte(c.SHA256.String(auth.SHA256))
	}
	if !c.SHA1.IsZero() {
		data[v1alpha1.ScramSHA1Key] = []byte(c.SHA1.String(auth.SHA1))
	}
	return data
}

// discard takes back a Secret that lost its purpose.
func (p *Provisioner) discard(ctx context.Context, secret *corev1.Secret) {
	// The caller may have gone; what it left must go all the same.
	if err := p.remove(context.WithoutCancel(ctx), secret); err != nil {
		p.log.Error(err, "Could not delete a Secret that is not needed; it is swept later", "secret", secret.Name)
	}
}

// errNotOurs says that a Secret was made by somebody else.
var errNotOurs = errors.New("not made by this program")

// rewriteSecret puts new verifiers into a Secret that this program made, and
// returns its new version. It fails with errNotOurs when somebody else made the
// Secret or declares its content, or when it isn't there.
func (p *Provisioner) rewriteSecret(ctx context.Context, name string, c auth.Credential) (version string, err error) {
	for range maxTries {
		var secret corev1.Secret
		err = p.get(ctx, name, &secret)
		if apierrors.IsNotFound(err) {
			return "", errNotOurs
		}
		if err != nil {
			return "", err
		}
		if secret.Labels[v1alpha1.ManagedByLabel] != v1alpha1.ManagedBy || (secret.Immutable != nil && *secret.Immutable) {
			return "", errNotOurs
		}
		if _, declared := DeclaredPath(&secret, fieldpath.MakePathOrDie("data")); declared {
			return "", errNotOurs
		}
		data := map[string]any{v1alpha1.PasswordKey: nil}
		for k, v := range verifierData(c) {
			data[k] = v
		}
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"uid": secret.UID, "resourceVersion": secret.ResourceVersion},
			"data":     data,
		})
		if err != nil {
			return "", err
		}
		changed := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name}}
		err = p.patch(ctx, &changed, client.RawPatch(types.MergePatchType, patch))
		if err == nil {
			return changed.ResourceVersion, nil
		}
		if !apierrors.IsConflict(err) {
			return "", err
		}
	}
	return "", fmt.Errorf("Secret %q: %w", name, directory.ErrConflict)
}
