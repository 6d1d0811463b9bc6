package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// admin may do everything.
func admin(t *testing.T) client.Client {
	t.Helper()
	c, err := controllers.NewLiveClient(cluster.env.Admin.Config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The summary names the database, and says whether it is new; where there is a server already, that is worth a note.
func TestImportNamesTheDatabase(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	database := filepath.Join(to.dataDir, "chat.db")
	for _, c := range []struct {
		args []string
		want string
		warn bool
	}{
		{[]string{"--dry-run", at}, "would go into namespace \"" + to.namespace + "\" and the database " + database + ", which is new\n", false},
		{[]string{at}, "Read into namespace \"" + to.namespace + "\" and the database " + database + ", which is new\n", false},
		{[]string{at}, "and the database " + database + "\n", false},
		{[]string{"--only", "resources", at}, "Read into namespace \"" + to.namespace + "\"\n", false},
		{[]string{"--only", "data", "--data-dir", t.TempDir(), at}, "chat.db, which is new\n", true},
	} {
		report, err := to.importFrom(c.args...)
		if err != nil {
			t.Fatal(err, report)
		}
		contains(t, report, c.want)
		if strings.Contains(report, "in another folder") != c.warn {
			t.Errorf("%v tells:\n%s", c.args, report)
		}
	}
}

// Half an import is no advice to who wants the other half.
func TestImportOfDataBesideARunningServer(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	to.remember(func(*store.Store) {
		_, err := to.importFrom("--only", "data", at)
		if !errors.Is(err, store.ErrInUse) || strings.Contains(err.Error(), "--only=resources") {
			t.Errorf("got %v", err)
		}
		if _, err = to.importFrom(at); err == nil || !strings.Contains(err.Error(), "--only=resources") {
			t.Errorf("got %v", err)
		}
	})
}

// Resources are of a domain too, where a server has reported it.
func TestImportOfResourcesForAnotherDomain(t *testing.T) {
	to := newInstallation(t)
	ines := user("ines", v1alpha1.ChatUserSpec{})
	to.declare(ines)
	ines.Status.JID = new("ines@other.example")
	if err := admin(t).Status().Update(t.Context(), ines); err != nil {
		t.Fatal(err)
	}
	_, err := to.importFrom("--only", "resources", "testdata/openfire-users.xml")
	if err == nil || !strings.Contains(err.Error(), "has the domain other.example") || to.declaredCount() != 1 {
		t.Errorf("got %v", err)
	}
}

// Users of another server who are read in once more are there already: the same password has the same verifiers.
func TestImportOfUsersOnceMore(t *testing.T) {
	to := newInstallation(t)
	for _, want := range []string{"made", "there already"} {
		report, err := to.importFrom("testdata/openfire-users.xml")
		if err != nil {
			t.Fatal(err, report)
		}
		contains(t, report, want)
		if strings.Contains(report, "conflict") || want != "made" && strings.Contains(report, "made") {
			t.Errorf("the report is:\n%s", report)
		}
	}
	// Another password is a conflict.
	content, err := os.ReadFile("testdata/openfire-users.xml")
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "users.xml")
	if err := os.WriteFile(changed, []byte(strings.ReplaceAll(string(content), "iamcool", "iamcooler")), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := to.importFrom(changed)
	if err == nil {
		t.Error("another password is none")
	}
	contains(t, report, `Secret "mira-login" is in conflict`)
}

// A namespace that is not there is told once.
func TestImportIntoNoNamespace(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	to.Client, to.namespace = admin(t), "nowhere"
	report, err := to.importFrom(at)
	if err == nil || err.Error() != `there is no namespace "nowhere": make it first, or name another one with --namespace` || strings.Contains(report, "failed") {
		t.Errorf("got %v\n%s", err, report)
	}
	if _, err := os.Stat(filepath.Join(to.dataDir, "chat.db")); err == nil {
		t.Error("a database was made")
	}
}
