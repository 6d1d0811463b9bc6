package testenv_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/hack/testenv"
)

func user(namespace, name string) *v1alpha1.ChatUser {
	return &v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

var _ = Describe("A test environment", func() {
	var (
		namespace string
		operator  testenv.User
		c         client.WithWatch
	)
	BeforeEach(func(ctx context.Context) {
		var err error
		namespace, err = env.NewNamespace(ctx, "env")
		Expect(err).NotTo(HaveOccurred())
		operator, err = env.OperatorUser(ctx, namespace)
		Expect(err).NotTo(HaveOccurred())
		c, err = env.Client(operator)
		Expect(err).NotTo(HaveOccurred())
	})

	It("counts the writes of a user, and nothing else as a write", func(ctx context.Context) {
		mira := user(namespace, "mira")
		Expect(c.Create(ctx, mira)).To(Succeed())
		Expect(c.Get(ctx, client.ObjectKeyFromObject(mira), mira)).To(Succeed())
		Expect(apierrors.IsAlreadyExists(c.Create(ctx, user(namespace, "mira")))).To(BeTrue())
		Expect(c.Status().Patch(ctx, mira, client.RawPatch(types.MergePatchType, []byte(`{"status":{"observedGeneration":1}}`)))).To(Succeed())

		writes, err := env.Writes(operator.Name)
		Expect(err).NotTo(HaveOccurred())
		Expect(writes).To(HaveLen(2), "%v", writes)
		Expect(writes[0].Verb).To(Equal("create"))
		Expect(writes[0].Group).To(Equal(v1alpha1.Group))
		Expect(writes[0].Resource).To(Equal("chatusers"))
		Expect(writes[1].String()).To(Equal("patch chatusers/status " + namespace + "/mira by " + operator.Name + " (200)"))

		Expect(c.Delete(ctx, mira)).To(Succeed())
		Expect(env.Writes(operator.Name)).To(HaveLen(3), "the log is read on from where it ended")
	})

	It("gives the operator no more than config/rbac does", func(ctx context.Context) {
		other, err := env.NewNamespace(ctx, "other")
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsForbidden(c.Create(ctx, user(other, "mira")))).To(BeTrue(), "another namespace")
		Expect(apierrors.IsForbidden(c.List(ctx, &corev1.SecretList{}))).To(BeTrue(), "all namespaces")
		Expect(apierrors.IsForbidden(c.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mine"},
		}))).To(BeTrue(), "a kind it has no business with")
		Expect(c.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace))).To(Succeed())
	})

	It("stops the API server and brings it back with its address, data and users", func(ctx context.Context) {
		mira := user(namespace, "mira")
		Expect(c.Create(ctx, mira)).To(Succeed())

		Expect(env.StopAPIServer()).To(Succeed())
		Expect(c.Get(ctx, client.ObjectKeyFromObject(mira), &v1alpha1.ChatUser{})).NotTo(Succeed())
		Expect(env.StartAPIServer()).To(Succeed())

		again := user("", "")
		Eventually(func() error {
			return c.Get(ctx, client.ObjectKeyFromObject(mira), again)
		}).WithContext(ctx).WithTimeout(time.Minute).Should(Succeed())
		Expect(again.UID).To(Equal(mira.UID))

		before, err := env.Writes(operator.Name)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Delete(ctx, again)).To(Succeed())
		Expect(env.Writes(operator.Name)).To(HaveLen(len(before)+1), "the audit log goes on")
	})

	It("finishes the deletion of a namespace", func(ctx context.Context) {
		Expect(c.Create(ctx, user(namespace, "mira"))).To(Succeed())
		admin, err := env.Client(env.Admin)
		Expect(err).NotTo(HaveOccurred())
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		Expect(admin.Delete(ctx, ns)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(ns), ns))
		}).WithContext(ctx).WithTimeout(3 * time.Minute).Should(BeTrue())
	})

	It("has a kubectl and kubeconfigs for it", func(ctx context.Context) {
		out, err := exec.CommandContext(ctx, env.Kubectl, "--kubeconfig="+operator.Kubeconfig, "--namespace="+namespace, "get", "cuser").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		Expect(string(out)).To(ContainSubstring("No resources found"))
	})

	It("says how to get the binaries when there are none", func() {
		dir := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(dir, "etcd"), nil, 0o755)).To(Succeed())
		restoreVariable("KUBEBUILDER_ASSETS", dir)
		_, err := testenv.Start(testenv.Options{})
		Expect(err).To(MatchError(And(
			ContainSubstring("make controlplane"), ContainSubstring(dir),
			ContainSubstring("no kube-apiserver, no kubectl"), Not(ContainSubstring("no etcd")))))
	})
})
