//go:build cluster

package suite

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

var _ = Describe("An installation", Ordered, ContinueOnFailure, func() {
	var s *server
	BeforeAll(func() { s = newServer("story", "users[0].name=anna") })

	It("has one Pod with a volume, of the standard restricted", func() {
		Expect(s.pod().Status.Phase).To(Equal(corev1.PodRunning))
		Expect(s.claims()).To(HaveLen(1))
		for _, phase := range s.claims() {
			Expect(phase).To(Equal(corev1.ClaimBound))
		}
	})

	It("lets users in through its Service whom kubectl declared, and they chat", func() {
		s.applyUser("mira")
		s.applyUser("tobias")
		mira, tobias := s.login("mira"), s.login("tobias")
		mira.say(s, "tobias", "Guten Morgen")
		tobias.hear("Guten Morgen")
		_, err := s.tryLogin("mira", "another word")
		Expect(err).To(MatchError(ContainSubstring("not-authorized")))
	})

	It("lets a user in whom its values declare, with the password that was made for her", func() {
		s.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "chatuser/anna")
		secret := s.kubectl("get", "chatuser", "anna", "--output=jsonpath={.status.binding.name}")
		password := s.kubectl("get", "secret", secret, "--output=go-template={{.data.password | base64decode}}")
		_, err := s.tryLogin("anna", password)
		Expect(err).NotTo(HaveOccurred())
	})

	It("answers REST through its Service, with TLS and without", func() {
		for port, name := range map[string]string{"rest": "rosa", "rest-tls": "stella"} {
			Expect(s.call(port, "POST", "/users", map[string]any{"username": name, "password": passwordOf(name)})).To(HaveField("Status", 201))
			Expect(s.call(port, "GET", "/users/"+name, nil)).To(And(HaveField("Status", 200), HaveField("Body", ContainSubstring(name))))
			s.login(name)
			Expect(s.kubectl("get", "chatuser", name, "--output=jsonpath={.status.jid}")).To(Equal(name + "@" + s.domain))
		}
	})

	It("passes the chart's own test", func() {
		helm(s.namespace, "test", s.release, "--logs", "--timeout=2m")
	})

	It("takes up a changed value with helm upgrade, and keeps what people have left", func() {
		s.login("mira").addContact("ines@elsewhere.example", "Ines")
		before := s.pod()
		s.install("users[0].name=anna", "logLevel=debug")
		s.ready(string(before.UID))
		Expect(s.pod().Spec.Containers[0].Args).To(ContainElement("--log-level=debug"))
		Expect(s.login("mira").roster()).To(HaveKeyWithValue("ines@elsewhere.example", HaveField("Name", "Ines")))
	})

	It("changes nothing when it is installed again as it is", func() {
		before := s.pod()
		s.install("users[0].name=anna", "logLevel=debug")
		Expect(s.pod().UID).To(Equal(before.UID))
	})
})

var _ = Describe("Two installations", func() {
	It("serve their namespaces beside each other, and neither knows the other's people", func() {
		one, two := newServer("one"), newServer("two")
		one.applyUser("mira")
		two.applyUser("tobias")
		one.login("mira")
		two.login("tobias")
		_, err := one.tryLogin("tobias", passwordOf("tobias"))
		Expect(err).To(MatchError(ContainSubstring("not-authorized")))
		_, err = two.tryLogin("mira", passwordOf("mira"))
		Expect(err).To(MatchError(ContainSubstring("not-authorized")))
		Expect(one.call("rest", "GET", "/users", nil).Body).NotTo(ContainSubstring("tobias"))

		By("removing the first")
		helm(one.namespace, "uninstall", one.release, "--wait")
		two.login("tobias")
		two.applyUser("ines")
		two.login("ines")
	})
})
