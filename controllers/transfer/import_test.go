package transfer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// exportTo makes an export and gives its path.
func (i *installation) exportTo(name string, args ...string) string {
	i.t.Helper()
	at := filepath.Join(i.t.TempDir(), name)
	var messages strings.Builder
	if err := i.command("export", Streams{Err: &messages}, append([]string{"-o", at}, args...)...); err != nil {
		i.t.Fatal(err, messages.String())
	}
	return at
}

// importFrom reads something in and gives what the command said.
func (i *installation) importFrom(args ...string) (string, error) {
	i.t.Helper()
	var out, messages strings.Builder
	err := i.command("import", Streams{Out: &out, Err: &messages}, args...)
	return out.String(), err
}

// equalExports compares two exports file by file.
func equalExports(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, content := range want {
		if other, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if other != content {
			t.Errorf("%s differs:\n%s\nwant:\n%s", name, other, content)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is new", name)
		}
	}
}

// An export that is read into an empty namespace gives an equal export, by folder, by archive and by the standard input.
func TestImportedExportsAreEqual(t *testing.T) {
	from := chatter(t)
	want := from.export()
	for _, name := range []string{"folder", "backup.tar.gz", "backup.tar"} {
		t.Run(name, func(t *testing.T) {
			at := from.exportTo(name)
			to := newInstallation(t)
			before, err := to.importFrom("--dry-run", at)
			if err != nil {
				t.Fatal(err, before)
			}
			if empty := to.declaredCount(); empty != 0 {
				t.Errorf("a dry run made %d resources", empty)
			}
			if _, err := os.Stat(filepath.Join(to.dataDir, "chat.db")); err == nil {
				t.Error("a dry run made a database")
			}
			report, err := to.importFrom(at)
			if err != nil {
				t.Fatal(err, report)
			}
			equalExports(t, to.export(), want)
			// Once more, there is nothing to do.
			if again, err := to.importFrom(at); err != nil || strings.Contains(again, "made") || strings.Contains(again, "conflict") {
				t.Errorf("the second time: %v\n%s", err, again)
			}
			equalExports(t, to.export(), want)
		})
	}
}

// declaredCount is how many chat resources there are.
func (i *installation) declaredCount() int {
	i.t.Helper()
	r, err := readNamespace(i.t.Context(), i.Client, i.namespace)
	if err != nil {
		i.t.Fatal(err)
	}
	return len(r.Users) + len(r.Groups) + len(r.Rooms) + len(r.Properties)
}

func TestImportFromTheStandardInput(t *testing.T) {
	from := chatter(t)
	var archive, messages bytes.Buffer
	if err := from.command("export", Streams{Out: &archive, Err: &messages}); err != nil {
		t.Fatal(err, messages.String())
	}
	to := newInstallation(t)
	var out bytes.Buffer
	if err := to.command("import", Streams{In: &archive, Out: &out, Err: &messages}, "-"); err != nil {
		t.Fatal(err, out.String())
	}
	equalExports(t, to.export(), from.export())
}

// Secrets that were made for users have them as their owners again, so that they go when those go.
func TestImportedSecretsHaveOwners(t *testing.T) {
	from := chatter(t)
	var nurse v1alpha1.ChatUser
	if err := from.Get(t.Context(), keyIn(from.namespace, "nurse"), &nurse); err != nil {
		t.Fatal(err)
	}
	from.declare(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:            provision.GeneratedSecretName("nurse"),
			Labels:          map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, v1alpha1.UserLabel: "nurse"},
			OwnerReferences: []metav1.OwnerReference{provision.OwnedBy(&nurse, "ChatUser")},
		},
		Type: provision.TypeBinding, StringData: map[string]string{"password": "generated"},
	})
	to := newInstallation(t)
	if report, err := to.importFrom(from.exportTo("export")); err != nil {
		t.Fatal(err, report)
	}
	if err := to.Get(t.Context(), keyIn(to.namespace, "nurse"), &nurse); err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := to.Get(t.Context(), keyIn(to.namespace, "nurse-credentials"), &secret); err != nil {
		t.Fatal(err)
	}
	if provision.OwnerOf(&secret) != string(nurse.UID) || string(secret.Data["password"]) != "generated" {
		t.Errorf("the generated Secret is %v", secret)
	}
	if err := to.Get(t.Context(), keyIn(to.namespace, "juliet-4fk2"), &secret); err != nil {
		t.Fatal(err)
	}
	if owner := metav1.GetControllerOf(&secret); owner == nil || owner.Name != "juliet" {
		t.Errorf("the Secret of juliet belongs to %v", owner)
	}
}

// Names and uids in the store are those of the new resources, so that a server finds nothing to restore or to purge when it starts.
func TestImportedNamesAreActive(t *testing.T) {
	from := chatter(t)
	to := newInstallation(t)
	if report, err := to.importFrom(from.exportTo("export")); err != nil {
		t.Fatal(err, report)
	}
	var orchard v1alpha1.ChatRoom
	if err := to.Get(t.Context(), keyIn(to.namespace, "orchard"), &orchard); err != nil {
		t.Fatal(err)
	}
	to.remember(func(s *store.Store) {
		row, ok, err := s.GetIdentity(t.Context(), directory.KindRoom.String(), "orchard@conference")
		if err != nil || !ok || row.UID != string(orchard.UID) || row.State != store.Active || !row.Since.Equal(when) {
			t.Errorf("the room's name is %v, %v", row, err)
		}
		room, uid, err := s.LookUpRoom(t.Context(), "orchard@conference")
		if err != nil || uid != string(orchard.UID) || room.Subject == nil || room.Subject.Plain != "Balconies" {
			t.Errorf("the room is %v of %s, %v", room, uid, err)
		}
	})
}

func TestImportConflicts(t *testing.T) {
	from := chatter(t)
	at := from.exportTo("export")
	// there is an installation in which things are different already.
	there := func(t *testing.T) *installation {
		to := newInstallation(t)
		to.declare(
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "chat-operator"}, StringData: map[string]string{"installation-key": "another key of this installation", "rest-secret": "another sixteen!"}},
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "orchard"}, StringData: map[string]string{"password": "another"}},
			user("juliet", v1alpha1.ChatUserSpec{DisplayName: new("Another Juliet")}),
		)
		to.remember(func(s *store.Store) {
			if err := s.PutItem(t.Context(), "juliet", account.Item{JID: jid.MustParse("romeo@montague.example"), Name: "Him"}); err != nil {
				t.Fatal(err)
			}
			if err := s.PutIdentity(t.Context(), store.Identity{Kind: "user", Name: "romeo", UID: "old", Resource: "romeo", State: store.Pending, DeletionPolicy: "Delete", Since: when}); err != nil {
				t.Fatal(err)
			}
			if err := s.PutItem(t.Context(), "romeo", account.Item{JID: jid.MustParse("rosaline@chat.example")}); err != nil {
				t.Fatal(err)
			}
		})
		return to
	}
	juliet := func(t *testing.T, i *installation) string {
		t.Helper()
		var u v1alpha1.ChatUser
		if err := i.Get(t.Context(), keyIn(i.namespace, "juliet"), &u); err != nil {
			t.Fatal(err)
		}
		return *u.Spec.DisplayName
	}
	t.Run("fail", func(t *testing.T) {
		to := there(t)
		before := to.export()
		report, err := to.importFrom(at)
		var conflict *ConflictError
		if !errors.As(err, &conflict) || conflict.Count != 4 {
			t.Errorf("got %v\n%s", err, report)
		}
		for _, want := range []string{`ChatUser "juliet" is in conflict`, "jid romeo@montague.example", `The user "romeo" is in conflict`} {
			if !strings.Contains(report, want) {
				t.Errorf("the report lacks %q:\n%s", want, report)
			}
		}
		equalExports(t, to.export(), before)
	})
	t.Run("skip", func(t *testing.T) {
		to := there(t)
		report, err := to.importFrom("--on-conflict", "skip", at)
		if err != nil {
			t.Fatal(err, report)
		}
		contains(t, report, `ChatRoom "orchard" is left out, since the Secret "orchard" that it names is another one`, "archived messages: 1 made, 2 left out")
		if n := strings.Count(report, "jid romeo@montague.example"); n != 1 {
			t.Errorf("a conflict is told %d times:\n%s", n, report)
		}
		files := to.export()
		if got := juliet(t, to); got != "Another Juliet" {
			t.Errorf("juliet is %s", got)
		}
		if got := files["personal/chat.example/juliet.xml"]; !strings.Contains(got, `name="Him"`) || !strings.Contains(got, "paris@chat.example") {
			t.Errorf("what was there stays, and the rest comes: %s", got)
		}
		if got := files["personal/chat.example/romeo.xml"]; !strings.Contains(got, "rosaline") {
			t.Errorf("what waits to be purged is changed: %s", got)
		}
	})
	t.Run("replace", func(t *testing.T) {
		to := there(t)
		if report, err := to.importFrom("--on-conflict", "replace", at); err != nil {
			t.Fatal(err, report)
		}
		if got := juliet(t, to); got != "Juliet Capulet" {
			t.Errorf("juliet is %s", got)
		}
		got, want := to.export(), from.export()
		if !strings.Contains(got["manifests/secrets/chat-operator.yaml"], "YW5vdGhlc") {
			t.Error("the keys of the installation were replaced")
		}
		delete(got, "manifests/secrets/chat-operator.yaml")
		delete(want, "manifests/secrets/chat-operator.yaml")
		equalExports(t, got, want)
	})
}

// What a server has kept as clients wrote it is what its export says in its own way.
func TestImportIntoTheSource(t *testing.T) {
	from := chatter(t)
	from.remember(func(s *store.Store) {
		_, vcard := s.PutVCard(t.Context(), "nurse", []byte("<vCard  xmlns='vcard-temp' ><FN>Nurse &quot;Angelica&quot;</FN><NOTE></NOTE></vCard>"), func() bool { return true })
		for _, err := range []error{
			vcard, s.PutItem(t.Context(), "nurse", account.Item{
				JID: jid.MustParse("peter@chat.example"), Groups: []string{"Servants", "Friends"}, PendingIn: true,
				Request: []byte("<status>My fan,\t&#39;Peter&#39;</status><nick xmlns='http://jabber.org/protocol/nick'></nick>"),
			}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	at := from.exportTo("export")
	report, err := from.importFrom(at)
	if err != nil {
		t.Fatal(err, report)
	}
	for _, word := range []string{"made", "replaced", "conflict", "failed"} {
		if strings.Contains(report, word) {
			t.Errorf("something is %s:\n%s", word, report)
		}
	}
	contains(t, report, "vCards: 2 there already")
}

// While a server has the database, data cannot be read in, and nothing else happens either; resources can.
func TestImportBesideARunningServer(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	to.remember(func(*store.Store) {
		if report, err := to.importFrom(at); !errors.Is(err, store.ErrInUse) || to.declaredCount() != 0 {
			t.Errorf("got %v\n%s", err, report)
		}
		if report, err := to.importFrom("--only", "resources", at); err != nil || to.declaredCount() != 6 {
			t.Errorf("got %v\n%s", err, report)
		}
		if report, err := to.importFrom("--dry-run", at); err != nil {
			t.Errorf("got %v\n%s", err, report)
		}
	})
}

// What the API server does not take is told by name, and everything else comes.
func TestImportOfInvalidResources(t *testing.T) {
	at := chatter(t).exportTo("export")
	bad := "apiVersion: chat-operator.io/v1alpha1\nkind: ChatUser\nmetadata: {name: bad}\nspec: {email: \"" + strings.Repeat("x", 400) + "\"}\n"
	if err := os.WriteFile(filepath.Join(at, "manifests", "bad.yaml"), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	to := newInstallation(t)
	for _, args := range [][]string{{"--dry-run", at}, {at}} {
		report, err := to.importFrom(args...)
		if err == nil || !strings.Contains(report, `ChatUser "bad" failed`) || !strings.Contains(report, "spec.email") {
			t.Errorf("got %v\n%s", err, report)
		}
	}
	if n := to.declaredCount(); n != 6 {
		t.Errorf("%d resources were made", n)
	}
}

func TestImportForAnotherDomain(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	if _, err := to.importFrom("--domain", "other.example", at); err == nil || !strings.Contains(err.Error(), "chat.example") {
		t.Errorf("got %v", err)
	}
	// The way that a server names which is started with another domain than that of its database.
	report, err := to.importFrom("--domain", "other.example", "--source-domain", "chat.example", filepath.Join(at, "personal", "server-data.xml"))
	if err != nil {
		t.Fatal(err, report)
	}
	files := readFolder(t, to.exportTo("other", "--domain", "other.example"))
	if got := files["personal/other.example/juliet.xml"]; !strings.Contains(got, `jid="nurse@other.example"`) || strings.Contains(got, `="nurse@chat.example"`) {
		t.Errorf("juliet has %s", got)
	}
	// A database is of the domain that was read into it.
	for _, args := range [][]string{{"--dry-run", at}, {at}} {
		if _, err := to.importFrom(args...); err == nil || !strings.Contains(err.Error(), "the database is that of the domain other.example") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
