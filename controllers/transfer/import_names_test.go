package transfer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// Notes of deletions that are under way are no names with data: an import takes none, and purges nothing because of one.
func TestImportBesideDeletionsUnderWay(t *testing.T) {
	at := chatter(t).exportTo("export")
	line := `{"kind":"group references","name":"terrace","resource":"terrace","deletion_policy":"Delete","state":"Pending","since":1}` + "\n"
	if err := os.WriteFile(filepath.Join(at, "data/identity-000009.jsonl"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	to := newInstallation(t)
	to.remember(func(s *store.Store) {
		if err := s.PutIdentity(t.Context(), store.Identity{Kind: "group references", Name: "terrace", UID: "g", Resource: "terrace", State: store.Leaving, Since: when}); err != nil {
			t.Fatal(err)
		}
		terrace, err := s.OpenRoom(t.Context(), "terrace", "r")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.WriteRoom(t.Context(), terrace.Owner, []muc.Write{
			{Message: &archive.Message{ID: 5, Time: when, Peer: "x", XML: []byte("<message type='groupchat'><body>stays</body></message>")}},
		}); err != nil {
			t.Fatal(err)
		}
	})
	report, err := to.importFrom("--on-conflict", "replace", at)
	if err == nil || !strings.Contains(report, `"group references"`) || strings.Contains(report, "purged") {
		t.Errorf("got %v\n%s", err, report)
	}
	if got := to.export()["data/archive-000001.jsonl"]; !strings.Contains(got, "stays") {
		t.Errorf("a room was purged: %s", got)
	}
}

// What is kept of a deleted name is only purged for somebody who has come.
func TestReplaceKeepsWhatNobodyReplaces(t *testing.T) {
	at := chatter(t).exportTo("export")
	putManifest(t, at, "secrets/romeo.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: romeo}\ntype: kubernetes.io/tls\ndata: {password: eA==}\n")
	to := newInstallation(t)
	to.remember(func(s *store.Store) {
		if err := s.PutIdentity(t.Context(), store.Identity{
			Kind: "user", Name: "romeo", UID: "old", Resource: "romeo", State: store.Pending, DeletionPolicy: "Delete", Since: when,
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.PutItem(t.Context(), "romeo", account.Item{JID: jid.MustParse("rosaline@chat.example")}); err != nil {
			t.Fatal(err)
		}
	})
	report, err := to.importFrom("--on-conflict", "replace", at)
	if err == nil {
		t.Error("a Secret without what its type needs was taken")
	}
	contains(t, report, `What is kept of the user "romeo" stays`, "deleted names: 1 left out")
	if got := to.export()["personal/chat.example/romeo.xml"]; !strings.Contains(got, "rosaline") {
		t.Errorf("what was kept is gone: %s", got)
	}
}

// Without the resources, nobody comes for a name that was deleted here: what is kept of it stays, and is not mixed with what the export has.
func TestReplaceDataOfANameThatNobodyDeclares(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	to.declare(user("juliet", v1alpha1.ChatUserSpec{}))
	to.remember(func(s *store.Store) {
		for _, name := range []string{"juliet", "romeo"} {
			if err := s.PutIdentity(t.Context(), store.Identity{
				Kind: "user", Name: name, UID: "old", Resource: name, State: store.Pending, DeletionPolicy: "Delete", Since: when,
			}); err != nil {
				t.Fatal(err)
			}
			if err := s.PutItem(t.Context(), name, account.Item{JID: jid.MustParse("rosaline@chat.example")}); err != nil {
				t.Fatal(err)
			}
		}
	})
	report, err := to.importFrom("--only=data", "--on-conflict", "replace", at)
	if err != nil {
		t.Fatal(err, report)
	}
	contains(t, report, `What is kept of the user "romeo" stays, and the export's is left out: it was deleted here, and no resource declares it`, "deleted names: 1 replaced, 1 left out")
	files := to.export()
	if got := files["personal/chat.example/romeo.xml"]; !strings.Contains(got, "rosaline") {
		t.Errorf("what was kept is gone: %s", got)
	}
	if got := files["personal/chat.example/juliet.xml"]; strings.Contains(got, "rosaline") || !strings.Contains(got, "paris") {
		t.Errorf("juliet, whom a resource declares, has %s", got)
	}
}
