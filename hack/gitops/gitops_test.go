// Package gitops holds the ownership rule against the engines that GitOps tools are made of: what a room's owner may change is neither undone by
// the next sync, nor shown as a difference, nor in its way.
package gitops

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/fluxcd/pkg/ssa"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/kube-openapi/pkg/util/proto"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/hack/testenv"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

const domain = "chat.example"

// manifest is what is in git: of the room's configuration only what the tool's people care about.
const manifest = `
apiVersion: chat-operator.io/v1alpha1
kind: ChatRoom
metadata: {name: ops}
spec:
  displayName: Operations
  membersOnly: true
  affiliations:
  - {jid: mira@chat.example, affiliation: Owner}
  - {jid: tobias@chat.example, affiliation: Member}
`

var (
	owner = directory.Actor{Via: "XMPP", Name: "mira"}
	room  = "ops@conference"
)

// allowed is what the manifest does not speak of, and refused what it does. With client-side apply lists are declared whole.
func allowed(lists bool) directory.RoomUpdate {
	u := directory.RoomUpdate{Description: new("on call"), Moderated: new(true), MaxOccupants: new(30)}
	if lists {
		u.Affiliations = []directory.Affiliation{
			{JID: jid.MustParse("ines@chat.example"), Affiliation: directory.AffiliationMember},
			{JID: jid.MustParse("spam.example"), Affiliation: directory.AffiliationOutcast},
		}
	}
	return u
}

// world is an API server, and an operator in a namespace of it.
type world struct {
	config    *rest.Config
	client    client.Client
	namespace string
	provision *provision.Provisioner
}

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	m.Run()
}

func start(t *testing.T) *world {
	t.Helper()
	env, err := testenv.Start(testenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	w := &world{config: env.Admin.Config}
	if w.client, err = env.Client(env.Admin); err != nil {
		t.Fatal(err)
	}
	if w.namespace, err = env.NewNamespace(t.Context(), "gitops"); err != nil {
		t.Fatal(err)
	}
	user, err := env.OperatorUser(t.Context(), w.namespace)
	if err != nil {
		t.Fatal(err)
	}
	declared := directory.New(domain)
	data, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "chat.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	live, err := controllers.NewLiveClient(user.Config)
	if err != nil {
		t.Fatal(err)
	}
	installation, err := controllers.LoadInstallation(t.Context(), live, w.namespace, "chat-operator", logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	w.provision = provision.New(provision.Config{Live: live, Namespace: w.namespace, Directory: declared, Identities: data, Log: logr.Discard()})
	manager, err := controllers.NewManager(user.Config, controllers.ManagerOptions{
		Namespace: w.namespace, MetricsBindAddress: "0", Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	if _, err = controllers.Setup(ctx, manager, controllers.Options{
		Namespace: w.namespace, SecretName: "chat-operator", Directory: declared, Store: data, Provision: w.provision,
		InstallationKey: installation.Key, Endpoint: provision.Endpoint{Host: domain, Port: 5222}, Log: logr.Discard(),
	}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = data.Close()
	})
	<-declared.Synced()
	return w
}

// desired is the manifest as a tool reads it.
func (w *world) desired(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), u); err != nil {
		t.Fatal(err)
	}
	u.SetNamespace(w.namespace)
	return u
}

func (w *world) live(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	u := w.desired(t)
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
		t.Fatal(err)
	}
	return u
}

// changes has the room's owner change it: what nobody declared goes through, what the tool declares is refused in its name.
func (w *world) changes(t *testing.T, manager string, lists bool) {
	t.Helper()
	if err := w.provision.UpdateRoom(t.Context(), owner, room, allowed(lists)); err != nil {
		t.Fatal("what nobody declared is refused: ", err)
	}
	for what, u := range map[string]directory.RoomUpdate{
		"a field":        {MembersOnly: new(false)},
		"an entry":       {Affiliations: []directory.Affiliation{{JID: jid.MustParse("tobias@chat.example"), Affiliation: directory.AffiliationOutcast}}},
		"an entry to go": {Affiliations: []directory.Affiliation{{JID: jid.MustParse("tobias@chat.example")}}},
	} {
		var managed *directory.ManagedError
		if err := w.provision.UpdateRoom(t.Context(), owner, room, u); !errors.As(err, &managed) || managed.Manager != manager {
			t.Errorf("%s: %v, want a refusal in the name of %q", what, err, manager)
		}
	}
}

// stays checks that the room is still what its owner made of it.
func (w *world) stays(t *testing.T, before *unstructured.Unstructured) {
	t.Helper()
	now := w.live(t)
	was, _ := json.Marshal(before.Object["spec"])
	is, _ := json.Marshal(now.Object["spec"])
	if string(was) != string(is) || now.GetGeneration() != before.GetGeneration() {
		t.Errorf("a sync changed the room from\n%s to\n%s", was, is)
	}
}

// Flux applies by server-side apply with its own manager, when a dry run says that something has drifted.
func TestFlux(t *testing.T) {
	w := start(t)
	const manager = "kustomize-controller"
	flux := ssa.NewResourceManager(w.client, nil, ssa.Owner{Field: manager, Group: "kustomize.toolkit.fluxcd.io"})
	sync := func() *ssa.ChangeSetEntry {
		t.Helper()
		entry, err := flux.Apply(t.Context(), w.desired(t), ssa.DefaultApplyOptions())
		if err != nil {
			t.Fatal("a sync fails: ", err)
		}
		return entry
	}
	if e := sync(); e.Action != ssa.CreatedAction {
		t.Fatalf("the first sync: %s", e.Action)
	}
	w.ready(t)
	w.changes(t, manager, true)
	before := w.live(t)
	entry, _, _, err := flux.Diff(t.Context(), w.desired(t), ssa.DefaultDiffOptions())
	if err != nil || entry.Action != ssa.UnchangedAction {
		t.Errorf("the difference: %v %v", entry, err)
	}
	if e := sync(); e.Action != ssa.UnchangedAction {
		t.Errorf("the next sync: %s", e.Action)
	}
	w.stays(t, before)
}

// dryRunner asks the API server what an apply would make of an object, as Argo CD does, but without forcing conflicts.
type dryRunner struct{ w *world }

func (d dryRunner) Run(ctx context.Context, obj *unstructured.Unstructured, manager string) (string, error) {
	obj = obj.DeepCopy()
	if err := d.w.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner(manager), client.DryRunAll); err != nil {
		return "", err
	}
	b, err := obj.MarshalJSON()
	return string(b), err
}

// Argo CD compares by an apply in dry-run mode, or, for client-side apply, three states.
func TestArgoCD(t *testing.T) {
	const manager = "argocd-controller"
	t.Run("server-side apply", func(t *testing.T) {
		w := start(t)
		sync := func() {
			t.Helper()
			if err := w.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(w.desired(t)), client.FieldOwner(manager)); err != nil {
				t.Fatal("a sync fails: ", err)
			}
		}
		sync()
		w.ready(t)
		w.changes(t, manager, true)
		before := w.live(t)
		result, err := diff.Diff(w.desired(t), before, diff.WithServerSideDiff(true), diff.WithManager(manager),
			diff.WithServerSideDryRunner(dryRunner{w}), diff.WithGVKParser(w.parser(t)), diff.WithIgnoreMutationWebhook(true), diff.WithLogr(logr.Discard()))
		w.same(t, result, err)
		sync()
		w.stays(t, before)
	})
	t.Run("client-side apply", func(t *testing.T) {
		w := start(t)
		// What `kubectl apply`, which Argo CD runs, leaves behind.
		u := w.desired(t)
		applied, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		u.SetAnnotations(map[string]string{diff.AnnotationLastAppliedConfig: string(applied)})
		if err := w.client.Create(t.Context(), u, client.FieldOwner(manager)); err != nil {
			t.Fatal(err)
		}
		w.ready(t)
		w.changes(t, manager, false)
		result, err := diff.Diff(w.desired(t), w.live(t), diff.WithLogr(logr.Discard()))
		w.same(t, result, err)
	})
}

// same checks that a comparison finds nothing.
func (w *world) same(t *testing.T, result *diff.DiffResult, err error) {
	t.Helper()
	switch {
	case err != nil:
		t.Fatal(err)
	case result.Modified:
		t.Errorf("there is a difference:\nlive      %s\npredicted %s", result.NormalizedLive, result.PredictedLive)
	}
}

// parser knows the types of the API server.
func (w *world) parser(t *testing.T) *managedfields.GvkParser {
	t.Helper()
	d, err := discovery.NewDiscoveryClientForConfig(w.config)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := d.OpenAPISchema()
	if err != nil {
		t.Fatal(err)
	}
	models, err := proto.NewOpenAPIData(doc)
	if err != nil {
		t.Fatal(err)
	}
	parser, err := managedfields.NewGVKParser(models, false)
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// ready waits until the room's status says so, through a watch.
func (w *world) ready(t *testing.T) {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("chat-operator.io/v1alpha1")
	list.SetKind("ChatRoomList")
	watcher, err := w.client.(client.WithWatch).Watch(t.Context(), list, client.InNamespace(w.namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	for e := range watcher.ResultChan() {
		u, ok := e.Object.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, c := range conditions {
			if m, ok := c.(map[string]any); ok && m["type"] == "Ready" && m["status"] == "True" {
				return
			}
		}
	}
	t.Fatal("the room does not become ready")
}
