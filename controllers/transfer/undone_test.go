package transfer

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// When everybody was deleted by mistake, nothing is said to be made, and what helps is named first: the resources alone, beside the server.
func TestImportAfterADeletion(t *testing.T) {
	i := chatter(t)
	at := i.exportTo("export")
	if err := admin(t).DeleteAllOf(t.Context(), &v1alpha1.ChatUser{}, client.InNamespace(i.namespace)); err != nil {
		t.Fatal(err)
	}
	i.remember(func(s *store.Store) { // as a server does that sees it
		for _, username := range []string{"juliet", "nurse", "romeo"} {
			if err := s.PutIdentity(t.Context(), store.Identity{Kind: "user", Name: username, UID: "gone", Resource: username, DeletionPolicy: "Delete", State: store.Pending, Since: when}); err != nil {
				t.Fatal(err)
			}
		}
	})
	report, err := i.importFrom(at)
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("got %v", err)
	}
	said := err.Error()
	contains(t, said, "3 names were deleted here", "nothing was changed", "--only=resources")
	if strings.Index(said, "--only=resources") > strings.Index(said, "--on-conflict") {
		t.Errorf("what helps is not named first: %s", said)
	}
	contains(t, report, "ChatUser: 3 to be made", "deleted names: 3 in conflict")
	if strings.Contains(report, "3 made") || i.declaredCount() != 3 {
		t.Errorf("%d resources are there:\n%s", i.declaredCount(), report)
	}
	// As it says, beside a server that has the database.
	i.remember(func(*store.Store) {
		report, err := i.importFrom("--only=resources", at)
		if err != nil {
			t.Error(err)
		}
		contains(t, report, "ChatUser: 3 made")
	})
	if n := i.declaredCount(); n != 6 {
		t.Errorf("%d resources are there", n)
	}
}

// cut is a client that loses the API server with the first room.
type cut struct{ client.Client }

var errCut = errors.New("connection refused")

func (c *cut) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	if _, ok := o.(*v1alpha1.ChatRoom); ok {
		return errCut
	}
	return c.Client.Create(ctx, o, options...)
}

// What nobody came to is not said to be made, neither resources nor what the server were to remember.
func TestImportThatIsCutShort(t *testing.T) {
	at := chatter(t).exportTo("export")
	to := newInstallation(t)
	to.Client = &cut{to.Client}
	report, err := to.importFrom(at)
	if !errors.Is(err, errCut) {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(report, "contacts:") || strings.Contains(report, "offline messages:") || strings.Contains(report, "ChatRoom: 1 made") {
		t.Errorf("what was not done is told:\n%s", report)
	}
	contains(t, report, "ChatRoom: 1 failed")
}
