//go:build cluster

package suite

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var _ = Describe("Removing an installation", func() {
	// inhabited has a user with a contact that is on the volume alone.
	inhabited := func(name string, values ...string) *server {
		GinkgoHelper()
		s := newServer(name, values...)
		s.applyUser("mira")
		s.login("mira").addContact("ines@elsewhere.example", "Ines")
		return s
	}
	gone := func(s *server) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			pods, err := kube.CoreV1().Pods(s.namespace).List(context.Background(), metav1.ListOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(pods.Items).To(BeEmpty())
		}, startLimit).Should(Succeed())
	}

	It("with helm uninstall leaves users and their data, which the next installation has again", func() {
		s := inhabited("again")
		helm(s.namespace, "uninstall", s.release, "--wait")
		gone(s)
		Expect(s.claims()).To(HaveLen(1))
		Expect(s.kubectl("get", "chatusers", "--output=name")).To(ContainSubstring("/mira"))
		s.install()
		Expect(s.login("mira").roster()).To(HaveKeyWithValue("ines@elsewhere.example", HaveField("Name", "Ines")))

		By("uninstalling once more and deleting the namespace")
		helm(s.namespace, "uninstall", s.release, "--wait")
		deleteNamespace(s.namespace)
	})

	It("with its namespace, release and all, takes everything and hangs nowhere", func() {
		s := inhabited("whole")
		deleteNamespace(s.namespace)
		Expect(helm(s.namespace, "list", "--short")).To(BeEmpty())
		Eventually(func(g Gomega) {
			volumes, err := kube.CoreV1().PersistentVolumes().List(context.Background(), metav1.ListOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			for _, v := range volumes.Items {
				g.Expect(v.Spec.ClaimRef).NotTo(HaveField("Namespace", s.namespace))
			}
		}, limit).Should(Succeed())
	})

	It("deletes the data where the chart was told so", func() {
		s := inhabited("deleted", "persistence.whenDeleted=Delete")
		helm(s.namespace, "uninstall", s.release, "--wait")
		gone(s)
		Eventually(s.claims, limit).Should(BeEmpty())
	})

	It("leaves users where they are while the release of the custom resources is away", func() {
		s := inhabited("kept")
		DeferCleanup(installCRDs)
		helm(crdsNamespace, "uninstall", crdsRelease)
		Expect(s.kubectl("get", "chatusers", "--output=name")).To(ContainSubstring("/mira"))
		s.login("mira")
		installCRDs()
		s.login("mira")
	})

	It("is not held up by custom resources that are deleted first, with every user, while the server runs", func() {
		s := inhabited("first")
		DeferCleanup(installCRDs)
		removeCRDs()
		helm(s.namespace, "uninstall", s.release, "--wait")
		gone(s)
		deleteNamespace(s.namespace)
	})

	It("takes the custom resources again where the release declares some of them", func() {
		s := newServer("declared", "users[0].name=mira")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "chatuser/mira")
		DeferCleanup(installCRDs)
		removeCRDs()
		// Somebody else uninstalls it, whose Helm has not remembered the kinds.
		GinkgoT().Setenv("KUBECACHEDIR", GinkgoT().TempDir())
		out, err := tryHelm(s.namespace, "uninstall", s.release, "--wait")
		Expect(err).To(MatchError(ContainSubstring("failed to delete release")), "%s", out)
		installCRDs()
		helm(s.namespace, "uninstall", s.release, "--wait")
		gone(s)
		Expect(s.kubectl("get", "chatusers", "--output=name")).To(BeEmpty())
	})

	It("goes on to the end when users are deleted with nobody there to look after them", func() {
		s := inhabited("orphaned")
		helm(s.namespace, "uninstall", s.release, "--wait")
		gone(s)
		s.kubectl("delete", "chatusers", "--all", "--timeout=30s")
		Expect(s.claims()).To(HaveEach(corev1.ClaimBound))
	})
})
