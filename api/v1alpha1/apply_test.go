package v1alpha1_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

func patchStatus(ctx context.Context, o *unstructured.Unstructured, status string) {
	GinkgoHelper()
	Expect(admin.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(`{"status":`+status+`}`)))).To(Succeed())
}

// sampleObjects reads config/samples.
func sampleObjects() []*unstructured.Unstructured {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(configFolder, "samples", "*_*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var objects []*unstructured.Unstructured
	for _, name := range files {
		text, err := os.ReadFile(name)
		Expect(err).NotTo(HaveOccurred())
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			o := &unstructured.Unstructured{}
			Expect(yaml.UnmarshalStrict([]byte(document), &o.Object)).To(Succeed(), name)
			objects = append(objects, o)
		}
	}
	return objects
}

var _ = Describe("The samples", func() {
	It("show every kind, and fit the types", func() {
		kinds := map[string]int{}
		for _, o := range sampleObjects() {
			kinds[o.GetKind()]++
			if o.GroupVersionKind().Group != v1alpha1.Group {
				continue
			}
			typed, err := env.Scheme.New(o.GroupVersionKind())
			Expect(err).NotTo(HaveOccurred())
			text, err := json.Marshal(o)
			Expect(err).NotTo(HaveOccurred())
			Expect(yaml.UnmarshalStrict(text, typed)).To(Succeed(), o.GetName())
		}
		Expect(kinds).To(Equal(map[string]int{"ChatUser": 2, "ChatGroup": 1, "ChatRoom": 1, "SystemProperty": 1, "Secret": 1}))
	})

	DescribeTable("come out of an apply as they went in, so that who applies them owns nothing but what they say",
		func(ctx context.Context, manager string, flags ...string) {
			args := append([]string{"--kubeconfig=" + env.Admin.Kubeconfig, "--namespace=" + namespace, "apply", "--kustomize=" + filepath.Join(configFolder, "samples")}, flags...)
			out, err := exec.CommandContext(ctx, env.Kubectl, args...).CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			for _, sample := range sampleObjects() {
				if sample.GroupVersionKind().Group != v1alpha1.Group {
					continue
				}
				stored := &unstructured.Unstructured{}
				stored.SetGroupVersionKind(sample.GroupVersionKind())
				Expect(admin.Get(ctx, types.NamespacedName{Namespace: namespace, Name: sample.GetName()}, stored)).To(Succeed())
				Expect(stored.Object["spec"]).To(Equal(sample.Object["spec"]), sample.GetName())
				Expect(stored.Object["status"]).To(Equal(map[string]any{"observedGeneration": int64(-1)}))

				Expect(stored.GetManagedFields()).To(HaveLen(1))
				entry := stored.GetManagedFields()[0]
				Expect(entry.Manager).To(Equal(manager))
				var owned map[string]any
				Expect(json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned)).To(Succeed())
				Expect(owned).NotTo(HaveKey("f:status"))
				Expect(owned["f:spec"]).NotTo(BeEmpty())
				expectOwned(owned["f:spec"], sample.Object["spec"])
			}
		},
		Entry("client-side", "kubectl-client-side-apply"),
		Entry("server-side", "kubectl", "--server-side"),
	)
})

// expectOwned compares what a managedFields entry names with what was applied: the same fields, in every map of it.
func expectOwned(owned, applied any) {
	GinkgoHelper()
	given, isMap := applied.(map[string]any)
	fields, _ := owned.(map[string]any)
	if !isMap || len(fields) == 0 {
		return // a leaf, or a map that is owned whole, such as a label selector
	}
	var names, want []string
	for name := range fields {
		if field, ok := strings.CutPrefix(name, "f:"); ok {
			names = append(names, field)
		}
	}
	for name, value := range given {
		want = append(want, name)
		expectOwned(fields["f:"+name], value)
	}
	Expect(names).To(ConsistOf(want))
}

var _ = Describe("A resource as the Go client writes it", func() {
	It("has no field that was not set", func(ctx context.Context) {
		empty := &v1alpha1.ChatRoom{}
		empty.Namespace, empty.Name = namespace, "lobby"
		Expect(admin.Create(ctx, empty)).To(Succeed())
		stored := object("ChatRoom", "lobby", "")
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(empty), stored)).To(Succeed())
		Expect(stored.Object["spec"]).To(BeEmpty())
	})

	It("tells an empty list of presence roles from none", func(ctx context.Context) {
		silent := &v1alpha1.ChatRoom{Spec: v1alpha1.ChatRoomSpec{PresenceBroadcast: []v1alpha1.PresenceRole{}}}
		silent.Namespace, silent.Name = namespace, "silent"
		Expect(admin.Create(ctx, silent)).To(Succeed())
		again := &v1alpha1.ChatRoom{}
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(silent), again)).To(Succeed())
		Expect(again.Spec.PresenceBroadcast).NotTo(BeNil())
		Expect(again.DeepCopy().Spec.PresenceBroadcast).NotTo(BeNil())
	})
})
