//go:build cluster

package suite

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var _ = Describe("A Pod that has to go", Ordered, ContinueOnFailure, func() {
	var s *server
	BeforeAll(func() {
		s = newServer("disruption")
		s.applyUser("mira")
		s.applyUser("tobias")
		s.login("mira").addContact("ines@elsewhere.example", "Ines")
	})

	// back checks that another Pod serves the same people with the same data.
	back := func(before string) {
		GinkgoHelper()
		s.ready(before)
		tobias := s.login("tobias")
		mira := s.login("mira")
		Expect(mira.roster()).To(HaveKeyWithValue("ines@elsewhere.example", HaveField("Name", "Ines")))
		tobias.say(s, "mira", "there you are")
		mira.hear("there you are")
	}

	It("may be evicted, says goodbye to its clients, and another takes its place", func() {
		mira, pod := s.login("mira"), s.pod()
		Expect(kube.PolicyV1().Evictions(s.namespace).Evict(context.Background(), &policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace},
		})).To(Succeed())
		Eventually(mira.ended, limit).Should(BeClosed())
		Expect(mira.err).To(MatchError(ContainSubstring("system-shutdown"))) // RFC 6120 §4.9.3.20
		back(string(pod.UID))
	})

	It("may be deleted: the volume stays", func() {
		pod := s.pod()
		s.kubectl("delete", "pod", pod.Name)
		back(string(pod.UID))
	})

	It("may be deleted while nobody is there: messages wait on the volume", func() {
		s.login("tobias").say(s, "mira", "for later")
		pod := s.pod()
		s.kubectl("delete", "pod", pod.Name)
		s.ready(string(pod.UID))
		s.login("mira").hear("for later")
	})
})
