package transfer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// claimants are resources that claim one name of each kind, and the Secret of the user.
func claimants(suffix string) []client.Object {
	meta := metav1.ObjectMeta{Name: "dup-" + suffix}
	spec := with("pw-" + suffix)
	spec.Username = new("dup_user")
	return []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "pw-" + suffix}, Data: map[string][]byte{"password": []byte("password of " + suffix)}},
		user(meta.Name, spec),
		&v1alpha1.ChatGroup{ObjectMeta: meta, Spec: v1alpha1.ChatGroupSpec{GroupName: new("Dup")}},
		&v1alpha1.ChatRoom{ObjectMeta: meta, Spec: v1alpha1.ChatRoomSpec{RoomName: new("dup_room")}},
		&v1alpha1.SystemProperty{ObjectMeta: meta, Spec: v1alpha1.SystemPropertySpec{Key: new("site.Motto"), Value: new("of " + suffix)}},
	}
}

// contestedNames is an installation in which the older resource of each name comes last by its own name.
func contestedNames(t *testing.T) *installation {
	t.Helper()
	i := newInstallation(t)
	older := claimants("z")
	i.declare(older...)
	made := older[len(older)-1].GetCreationTimestamp()
	for probe := user("probe", v1alpha1.ChatUserSpec{}); !probe.CreationTimestamp.After(made.Time); {
		probe = user("probe", v1alpha1.ChatUserSpec{})
		probe.Namespace = i.namespace
		if err := i.Create(t.Context(), probe, client.DryRunAll); err != nil {
			t.Fatal(err)
		}
	}
	i.declare(claimants("a")...)
	i.remember(func(*store.Store) {})
	return i
}

// older fails unless the resources of z have the better claim: "the older resource holds the name", by its time in seconds, then by its name.
func (i *installation) older(kinds ...client.Object) {
	i.t.Helper()
	for _, kind := range kinds {
		var made [2]metav1.Time
		for n, name := range []string{"dup-z", "dup-a"} {
			if err := i.Get(i.t.Context(), keyIn(i.namespace, name), kind); err != nil {
				i.t.Fatal(err)
			}
			made[n] = kind.GetCreationTimestamp()
		}
		if !made[0].Before(&made[1]) {
			i.t.Errorf("%T: dup-z is of %v, dup-a of %v", kind, made[0], made[1])
		}
	}
}

// Who holds a name holds it where the export is read in, and an export has what is the holder's.
func TestWhoHoldsANameStaysTheSame(t *testing.T) {
	from := contestedNames(t)
	want := from.export()
	if index := want["export.yaml"]; strings.Count(index, "  resources:\n  - dup-z\n  - dup-a\n") != 4 {
		t.Errorf("the export does not tell who holds the names:\n%s", index)
	}
	for range 8 {
		if dup := from.export()["personal/chat.example/dup_user.xml"]; !strings.Contains(dup, `password="password of z"`) {
			t.Fatalf("the person is not the holder:\n%s", dup)
		}
	}
	at := from.exportTo("export")
	to := newInstallation(t)
	if report, err := to.importFrom(at); err != nil {
		t.Fatal(err, report)
	}
	to.older(&v1alpha1.ChatUser{}, &v1alpha1.ChatGroup{}, &v1alpha1.ChatRoom{}, &v1alpha1.SystemProperty{})
	equalExports(t, to.export(), want)
	if again, err := to.importFrom(at); err != nil || strings.Contains(again, "made") || strings.Contains(again, "conflict") {
		t.Errorf("the second time: %v\n%s", err, again)
	}

	// One that does not tell goes by when they were made.
	index, _, _ := strings.Cut(want["export.yaml"], "claims:")
	_, rest, _ := strings.Cut(want["export.yaml"], "data: ")
	if err := os.WriteFile(filepath.Join(at, "export.yaml"), []byte(index+"data: "+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	to = newInstallation(t)
	if report, err := to.importFrom("--only=resources", at); err != nil {
		t.Fatal(err, report)
	}
	to.older(&v1alpha1.ChatUser{}, &v1alpha1.ChatGroup{}, &v1alpha1.ChatRoom{})
}

// An import that was cut short between two that claim one name is given once more; one whose holder stays away makes no other the holder.
func TestImportOfAContestedNameInParts(t *testing.T) {
	at := contestedNames(t).exportTo("export")
	to := newInstallation(t)
	to.declare(claimants("z")...)
	if report, err := to.importFrom(at); err != nil || strings.Contains(report, "conflict") {
		t.Fatal(err, report)
	}
	to.older(&v1alpha1.ChatUser{}, &v1alpha1.ChatGroup{}, &v1alpha1.ChatRoom{}, &v1alpha1.SystemProperty{})

	to = newInstallation(t)
	to.Client = &unwilling{Client: to.Client}
	report, err := to.importFrom(at)
	if err == nil || !strings.Contains(err.Error(), "2 things could not be read in") {
		t.Errorf("got %v", err)
	}
	contains(t, report, `ChatUser "dup-z" failed: `, `ChatUser "dup-a" failed, since "dup-z" did`, "ChatUser: 2 failed")
	if err := to.Get(t.Context(), keyIn(to.namespace, "dup-a"), &v1alpha1.ChatUser{}); !apierrors.IsNotFound(err) {
		t.Errorf("dup-a has the name of dup-z: %v", err)
	}

	to = newInstallation(t)
	to.declare(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "pw-z"}, Data: map[string][]byte{"password": []byte("somebody else's")}})
	report, err = to.importFrom("--on-conflict=skip", at)
	if err != nil {
		t.Error(err)
	}
	contains(t, report, `ChatUser "dup-z" is left out, since the Secret`, `ChatUser "dup-a" is left out, since "dup-z", which holds its chat name, is`, "ChatUser: 2 left out")
}

// One that gets an earlier time than the holder, from another API server, is taken away again.
func TestImportOfAContestedNameByOtherClocks(t *testing.T) {
	at := contestedNames(t).exportTo("export")
	to := newInstallation(t)
	live := to.Client
	to.Client = &unwilling{Client: live, early: true}
	report, err := to.importFrom(at)
	if err == nil {
		t.Error("it is not told of")
	}
	contains(t, report, `ChatUser "dup-a" failed: it was taken away again, since it would have taken the chat name from "dup-z"`, "ChatUser: 1 made, 1 failed")
	if err := to.Get(t.Context(), keyIn(to.namespace, "dup-a"), &v1alpha1.ChatUser{}); !apierrors.IsNotFound(err) {
		t.Errorf("dup-a is there: %v", err)
	}
	to.Client = live
	if report, err := to.importFrom(at); err != nil {
		t.Fatal(err, report)
	}
	to.older(&v1alpha1.ChatUser{})
}

// unwilling is an API server that does not take the user dup-z, or says of the user dup-a that it is older than it can be.
type unwilling struct {
	client.Client
	early bool
}

func (u *unwilling) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	_, isUser := o.(*v1alpha1.ChatUser)
	if isUser && !u.early && o.GetName() == "dup-z" {
		return apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("chatusers").GroupResource(), o.GetName(), errors.New("a policy of the cluster"))
	}
	err := u.Client.Create(ctx, o, opts...)
	if isUser && u.early && o.GetName() == "dup-a" {
		o.SetCreationTimestamp(metav1.NewTime(o.GetCreationTimestamp().Add(-time.Hour)))
	}
	return err
}

// Two archives of the same things are equal to the byte, whenever and by whomever they are made.
func TestArchivesAreEqual(t *testing.T) {
	i := chatter(t)
	for _, name := range []string{"backup.tar.gz", "backup.tgz", "backup.tar"} {
		var archives [2][]byte
		for n := range archives {
			content, err := os.ReadFile(i.exportTo(name))
			if err != nil {
				t.Fatal(err)
			}
			archives[n] = content
		}
		if !bytes.Equal(archives[0], archives[1]) {
			t.Errorf("two archives %s differ", name)
		}
		if name != "backup.tar" {
			// RFC 1952 §2.3.1: no time stamp is available, and FLG says that there is neither a name nor a comment.
			if head := archives[0][:10]; head[3] != 0 || !bytes.Equal(head[4:8], []byte{0, 0, 0, 0}) {
				t.Errorf("%s begins with %x", name, head)
			}
			continue
		}
		for archive := tar.NewReader(bytes.NewReader(archives[0])); ; {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !header.ModTime.Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) || header.Uid != 0 || header.Gid != 0 || header.Uname != "" || header.Gname != "" ||
				header.Mode != 0o600 || !header.AccessTime.IsZero() || !header.ChangeTime.IsZero() {
				t.Errorf("%s is %+v", header.Name, header)
			}
		}
	}
}

// A folder that is named like an archive of another kind would be taken for one.
func TestExportRefusesOtherArchives(t *testing.T) {
	i := newInstallation(t)
	for _, name := range []string{"x.zip", "X.ZIP", "x.tar.xz", "x.gz"} {
		at := filepath.Join(t.TempDir(), name)
		var usage *UsageError
		err := i.command("export", Streams{Err: io.Discard}, "-o", at)
		if !errors.As(err, &usage) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		contains(t, err.Error(), ".tar.gz, .tgz or .tar")
		if _, err := os.Stat(at); err == nil {
			t.Errorf("%s was made", name)
		}
	}
}

// An import goes over the data twice, and its progress says which time it is.
func TestProgressOfAnImportNamesItsPasses(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	var messages strings.Builder
	if err := to.command("import", Streams{Out: io.Discard, Err: &messages}, at); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"comparing people: ", "comparing archived messages: ", "writing people: ", "writing archived messages: "} {
		if n := strings.Count("\n"+messages.String(), "\n"+line); n != 1 {
			t.Errorf("%q is told %d times:\n%s", line, n, messages.String())
		}
	}
}
