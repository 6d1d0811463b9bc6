package gitops

import (
	"fmt"
	"os"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const script = "../../config/argocd/health.lua"

// verdicts are what Flux (kstatus) and Argo CD (the script) say of a state.
type verdicts struct {
	flux status.Status
	argo string // a code of Argo CD
}

var (
	good     = verdicts{status.CurrentStatus, "Healthy"}
	underway = verdicts{status.InProgressStatus, "Progressing"}
	stalled  = verdicts{status.FailedStatus, "Degraded"}
	leaving  = verdicts{status.TerminatingStatus, "Progressing"}
)

// TestHealth: the tools see each kind in each of its states as it is, by the status that the operator writes.
func TestHealth(t *testing.T) {
	w := start(t)
	for _, kind := range []struct {
		name string
		// good and rival claim the same name; waiting is named by the reason it waits for, broken by what is wrong with it.
		good, rival     string
		waiting, broken map[string]string
	}{
		{
			name: "ChatUser", good: `{username: good_one, displayName: Mira}`, rival: `{username: good_one}`,
			waiting: map[string]string{"SecretNotFound": `{credentials: {secretRef: {name: nowhere}}}`},
			broken:  map[string]string{"InvalidName": `{username: "mi\u2028ra"}`},
		},
		{
			name: "ChatGroup", good: `{groupName: good_one, members: [mira]}`, rival: `{groupName: good_one}`,
			broken: map[string]string{"InvalidValue": `{members: ["bad\u2028"]}`},
		},
		{
			name: "ChatRoom", good: `{roomName: good_one, displayName: Lobby}`, rival: `{roomName: good_one}`,
			waiting: map[string]string{"SecretNotFound": `{passwordSecretRef: {name: nowhere}}`, "ServiceNotFound": `{service: nowhere}`},
			broken:  map[string]string{"InvalidValue": `{affiliations: [{jid: "bad\u2028@chat.example", affiliation: Member}]}`},
		},
		{
			name: "SystemProperty", good: `{key: good_one, value: hello}`, rival: `{key: good_one, value: other}`,
			waiting: map[string]string{"SecretNotFound": `{valueFrom: {secretKeyRef: {name: nowhere, key: value}}}`},
			broken:  map[string]string{"InvalidValue": `{value: perhaps}`},
		},
	} {
		t.Run(kind.name, func(t *testing.T) {
			made := w.declare(t, kind.name, "good", kind.good)
			judge(t, "as it was created", made, underway)
			now := w.says(t, made, "Active")
			judge(t, "in force", now, good)

			before := now.DeepCopy()
			if err := w.client.Patch(t.Context(), now, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"inBandPolicy":"Force"}}`))); err != nil {
				t.Fatal(err)
			}
			if now.GetGeneration() == before.GetGeneration() {
				t.Fatal("the patch changes nothing")
			}
			status, _, _ := unstructured.NestedMap(before.Object, "status")
			if err := unstructured.SetNestedMap(now.Object, status, "status"); err != nil {
				t.Fatal(err)
			}
			judge(t, "changed, and not looked at", now, underway)
			judge(t, "changed, and in force", w.says(t, made, "Active"), good)

			judge(t, "the younger of two", w.says(t, w.declare(t, kind.name, "rival", kind.rival), "NameConflict"), stalled)
			for reason, spec := range kind.waiting {
				judge(t, "it waits: "+reason, w.says(t, w.declare(t, kind.name, "waits", spec), reason), underway)
				w.remove(t, kind.name, "waits")
			}
			for reason, spec := range kind.broken {
				// Of a property, the name is what counts here: that of one with values of its own.
				judge(t, "it is wrong: "+reason, w.says(t, w.declare(t, kind.name, "xmpp.auth.anonymous", spec), reason), stalled)
			}

			w.remove(t, kind.name, "good")
			w.says(t, w.named(kind.name, "rival"), "Active")
			w.remove(t, kind.name, "rival")
			held := w.declare(t, kind.name, "held", kind.good)
			w.says(t, held, "Active")
			if err := w.client.Patch(t.Context(), held, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/hold"]}}`))); err != nil {
				t.Fatal(err)
			}
			w.remove(t, kind.name, "held")
			if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(held), held); err != nil {
				t.Fatal(err)
			}
			judge(t, "being deleted", held, leaving)
			if err := w.client.Patch(t.Context(), held, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestArgoConfig: the patch for Argo CD has the script for every kind.
func TestArgoConfig(t *testing.T) {
	b, err := os.ReadFile("../../config/argocd/argocd-cm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var patch struct{ Data map[string]string }
	if err := yaml.Unmarshal(b, &patch); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"ChatUser", "ChatGroup", "ChatRoom", "SystemProperty"} {
		if patch.Data["resource.customizations.health.chat-operator.io_"+kind] != string(want) {
			t.Errorf("the health of %s is not config/argocd/health.lua", kind)
		}
	}
}

// declare creates a resource and returns it as the API server answered.
func (w *world) declare(t *testing.T, kind, name, spec string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(fmt.Appendf(nil, "{apiVersion: chat-operator.io/v1alpha1, kind: %s, metadata: {name: %s, namespace: %s}, spec: %s}",
		kind, name, w.namespace, spec), u); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u
}

func (w *world) named(kind, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("chat-operator.io/v1alpha1")
	u.SetKind(kind)
	u.SetNamespace(w.namespace)
	u.SetName(name)
	return u
}

func (w *world) remove(t *testing.T, kind, name string) {
	t.Helper()
	if err := w.client.Delete(t.Context(), w.named(kind, name)); err != nil {
		t.Fatal(err)
	}
}

// says waits until the status of a resource's newest generation gives a reason for its readiness.
func (w *world) says(t *testing.T, of *unstructured.Unstructured, reason string) *unstructured.Unstructured {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(of.GetAPIVersion())
	list.SetKind(of.GetKind() + "List")
	watcher, err := w.client.(client.WithWatch).Watch(t.Context(), list, client.InNamespace(w.namespace), client.MatchingFields{"metadata.name": of.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	for e := range watcher.ResultChan() {
		u, ok := e.Object.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		observed, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, c := range conditions {
			if m, ok := c.(map[string]any); ok && m["type"] == "Ready" && m["reason"] == reason && observed == u.GetGeneration() {
				return u
			}
		}
	}
	t.Fatalf("%s %s never says %s", of.GetKind(), of.GetName(), reason)
	return nil
}

// judge asks both for their verdict.
func judge(t *testing.T, state string, u *unstructured.Unstructured, want verdicts) {
	t.Helper()
	flux, err := status.Compute(u)
	if err != nil {
		t.Fatal(err)
	}
	if flux.Status != want.flux {
		t.Errorf("%s: kstatus says %s (%s), want %s", state, flux.Status, flux.Message, want.flux)
	}
	code, message := run(t, u)
	if code != want.argo || message == "" {
		t.Errorf("%s: health.lua says %s (%s), want %s", state, code, message, want.argo)
	}
}

// run runs the script as Argo CD does: with the resource in obj, and few libraries.
func run(t *testing.T, u *unstructured.Unstructured) (code, message string) {
	t.Helper()
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for _, lib := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}, {lua.StringLibName, lua.OpenString}} {
		l.Push(l.NewFunction(lib.open))
		l.Push(lua.LString(lib.name))
		l.Call(1, 0)
	}
	l.SetGlobal("obj", value(l, u.Object))
	if err := l.DoFile(script); err != nil {
		t.Fatal(err)
	}
	result, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returns %v", l.Get(-1))
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String()
}

func value(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		table := l.NewTable()
		for key, one := range v {
			table.RawSetString(key, value(l, one))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, one := range v {
			table.Append(value(l, one))
		}
		return table
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	}
	return lua.LNil
}
