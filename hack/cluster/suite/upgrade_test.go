//go:build cluster

package suite

import (
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("An upgrade from an older version", func() {
	It("has what is new in force, and everything that was there", func() {
		By("installing custom resources without declared contacts")
		DeferCleanup(installCRDs)
		helm(crdsNamespace, "upgrade", "--install", crdsRelease, filepath.Join("testdata", "older-crds"))
		waitCRDs()
		s := newServer("upgrade")
		s.applyUser("mira")
		s.applyUser("tobias")
		s.login("mira").addContact("ines@elsewhere.example", "Ines")
		s.login("tobias").say(s, "mira", "before the upgrade")
		contact := []string{"patch", "chatuser", "mira", "--type=merge", `--patch={"spec":{"roster":[{"jid":"otto@elsewhere.example","nickname":"Otto"}]}}`}
		s.kubectl(contact...)
		Expect(s.kubectl("get", "chatuser", "mira", "--output=jsonpath={.spec.roster}")).To(BeEmpty())

		By("upgrading both charts, what belongs to the cluster first")
		installCRDs()
		before := s.pod()
		s.install("logLevel=debug")
		s.ready(string(before.UID))

		By("using what is new")
		s.kubectl(contact...)
		s.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "chatuser/mira")
		Eventually(func() any { return s.login("mira").roster() }, limit).Should(And(
			HaveKeyWithValue("otto@elsewhere.example", HaveField("Name", "Otto")),
			HaveKeyWithValue("ines@elsewhere.example", HaveField("Name", "Ines"))))
	})
})
