package transfer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// with names the Secret that a user logs in by.
func with(secret string) v1alpha1.ChatUserSpec {
	return v1alpha1.ChatUserSpec{Credentials: &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: secret}}}
}

// putManifest adds a manifest to an export, or puts it in the place of one.
func putManifest(t *testing.T, at, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(at, "manifests", name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A Secret that several users name is made once, and all of them are.
func TestImportOfASharedSecret(t *testing.T) {
	from := newInstallation(t)
	from.declare(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "shared"}, StringData: map[string]string{"password": "one for all"}},
		user("athos", with("shared")), user("porthos", with("shared")), user("aramis", with("shared")),
	)
	from.remember(func(*store.Store) {})
	at := from.exportTo("export")
	to := newInstallation(t)
	for _, want := range []string{"to be made", "made"} {
		args := []string{at}
		if want == "to be made" {
			args = []string{"--dry-run", at}
		}
		report, err := to.importFrom(args...)
		if err != nil {
			t.Error(err)
		}
		contains(t, report, "ChatUser: 3 "+want, "Secret: 1 "+want)
	}
	if n := to.declaredCount(); n != 3 {
		t.Errorf("%d users were made", n)
	}
}

// Who names a Secret that the API server does not take is not made either, and is not counted as if.
func TestImportOfAnInvalidSecret(t *testing.T) {
	at := chatter(t).exportTo("export")
	putManifest(t, at, "bad-secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: bad}\ntype: kubernetes.io/tls\ndata: {password: eA==}\n")
	for _, name := range []string{"bad", "worse"} {
		putManifest(t, at, name+".yaml", "apiVersion: chat-operator.io/v1alpha1\nkind: ChatUser\nmetadata: {name: "+name+"}\nspec: {credentials: {secretRef: {name: bad}}}\n")
	}
	to := newInstallation(t)
	report, err := to.importFrom(at)
	if err == nil || !strings.Contains(err.Error(), "3 things could not be read in") {
		t.Errorf("got %v", err)
	}
	contains(t, report, `Secret "bad" failed`, `ChatUser "bad" failed, since the Secret "bad" that it names did`, `ChatUser "worse" failed, since`,
		"ChatUser: 3 made, 2 failed", "Secret: 4 made, 1 failed")
}

// A Secret may be written as people write it, with stringData.
func TestReplaceBySecretsInClear(t *testing.T) {
	from := chatter(t)
	at := from.exportTo("export")
	putManifest(t, at, "secrets/romeo.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: romeo}\nstringData: {password: Montague}\n")
	if report, err := from.importFrom("--on-conflict", "replace", at); err != nil || !strings.Contains(report, "Secret: 3 there already, 1 replaced") {
		t.Errorf("got %v\n%s", err, report)
	}
	var secret corev1.Secret
	if err := from.Get(t.Context(), keyIn(from.namespace, "romeo"), &secret); err != nil {
		t.Fatal(err)
	}
	if got := string(secret.Data["password"]); got != "Montague" || len(secret.Data) != 1 {
		t.Errorf("the Secret has %q", secret.Data)
	}
}

// A Secret that nothing in the export names is not the export's to make or to replace, but for shared secrets of the REST API.
func TestImportOfSecretsThatNothingNames(t *testing.T) {
	at := chatter(t).exportTo("export")
	putManifest(t, at, "tls.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: chat-tls}\ndata: {tls.key: eA==}\n")
	putManifest(t, at, "rest.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: app, labels: {"+v1alpha1.RESTSecretLabel+": \"true\"}}\ndata: {rest-secret: eA==}\n")
	to := newInstallation(t)
	to.declare(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "chat-tls"}, StringData: map[string]string{"tls.key": "the key of the server"}})
	report, err := to.importFrom("--on-conflict", "replace", at)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, report, `Secret "chat-tls" is left out, since nothing in the export names it`, "Secret: 5 made, 1 left out")
	var secret corev1.Secret
	if err := to.Get(t.Context(), keyIn(to.namespace, "chat-tls"), &secret); err != nil || string(secret.Data["tls.key"]) != "the key of the server" {
		t.Errorf("the Secret is %v, %v", secret, err)
	}
	if err := to.Get(t.Context(), keyIn(to.namespace, "app"), &secret); err != nil {
		t.Error(err)
	}
}

// A Secret goes with what names it: where that is left out, it is not made, and not counted as if.
func TestImportOfSecretsOfWhatIsLeftOut(t *testing.T) {
	from := chatter(t)
	zoe := with("zoe")
	zoe.Username = new("zoë")
	from.declare(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "zoe"}, StringData: map[string]string{"password": "Z"}}, user("zoe", zoe))
	at := from.exportTo("export")
	to := newInstallation(t)
	to.declare(user("another", v1alpha1.ChatUserSpec{Username: new("zoë")}))
	report, err := to.importFrom("--only=resources", "--on-conflict", "skip", at)
	if err != nil {
		t.Fatal(err, report)
	}
	contains(t, report, `ChatUser "zoe" is in conflict`, `Secret "zoe" is left out, since all that names it is`, "Secret: 4 made, 1 left out")
	var secret corev1.Secret
	if err := to.Get(t.Context(), keyIn(to.namespace, "zoe"), &secret); !apierrors.IsNotFound(err) {
		t.Errorf("the Secret is there: %v", err)
	}
}

// A Secret that stays when its user goes is told of, and nothing else comes of that.
func TestImportOfASecretThatGetsNoOwner(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	live := to.Client
	to.Client = ownerless{live}
	report, err := to.importFrom(at)
	to.Client = live
	if err == nil || !strings.Contains(err.Error(), "1 thing could not be read in") {
		t.Errorf("got %v", err)
	}
	contains(t, report, `Secret "juliet-4fk2" was made, but would stay when ChatUser "juliet" goes: giving it its owner: `, "Secret: 4 made, 1 failed", "ChatUser: 3 made\n")
	if got := to.export()["personal/chat.example/juliet.xml"]; !strings.Contains(got, "paris") {
		t.Errorf("juliet has %s", got)
	}
}

// ownerless is an API server that lets Secrets be made, and not changed.
type ownerless struct{ client.Client }

func (o ownerless) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if _, ok := obj.(*corev1.Secret); ok {
		return apierrors.NewForbidden(corev1.Resource("secrets"), obj.GetName(), errors.New("a policy of the cluster"))
	}
	return o.Client.Patch(ctx, obj, patch, opts...)
}
