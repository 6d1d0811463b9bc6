package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"mellium.im/sasl"
)

// outage is how long the API server is away.
const outage = 60 * time.Second

var _ = Describe("The API server away for a minute", func() {
	It("leaves sessions and logins alone, refuses what cannot be declared, and loses and doubles nothing", func() {
		s := newServer("outage")
		for _, name := range []string{"mira", "tobias"} {
			s.applyUser(name, name+"'s word")
		}
		s.kubectl("wait", "--for=condition=Ready", "--timeout=10s", "--all", "chatusers")
		mira, tobias := s.login("mira", "mira's word"), s.login("tobias", "tobias's word")
		secret := s.restSecret()
		before := s.snapshot()

		By("killing the API server")
		cluster.KillAPIServer()
		back := false
		restore := func() {
			if !back {
				back = true
				ctx, cancel := context.WithTimeout(context.Background(), startLimit)
				defer cancel()
				Expect(cluster.StartAPIServer(ctx)).To(Succeed())
			}
		}
		DeferCleanup(restore)
		gone := time.Now()
		for round := 0; time.Since(gone) < outage; round++ {
			mira.say("tobias", fmt.Sprintf("round %d", round))
			tobias.hear(fmt.Sprintf("round %d", round))
			_, err := s.tryLogin("mira", "mira's word", sasl.ScramSha256Plus)
			Expect(err).NotTo(HaveOccurred(), "log in %s into the outage", time.Since(gone).Round(time.Second))
			a, err := s.tryCall(secret, "POST", "/users", user("during", "a word"))
			Expect(err).NotTo(HaveOccurred())
			Expect(a).To(HaveField("Status", 503))
			Expect(a.Header.Get("Retry-After")).NotTo(BeEmpty())
			Expect(get(context.Background(), "http://"+s.health+"/readyz")).To(Succeed())
			Expect(get(context.Background(), "http://"+s.health+"/healthz")).To(Succeed())
			Consistently(s.process.Done(), 5*time.Second, time.Second).ShouldNot(BeClosed())
		}

		By("starting the API server again")
		restore()
		Eventually(func() answer {
			a, err := s.tryCall(secret, "POST", "/users", user("after", "a word"))
			Expect(err).NotTo(HaveOccurred())
			return a
		}, 30*time.Second).Should(HaveField("Status", 201))
		_, err := s.tryLogin("after", "a word", sasl.ScramSha256Plus)
		Expect(err).NotTo(HaveOccurred())

		By("declaring and changing as before")
		s.applyUser("later", "later's word")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=10s", "chatuser/later")
		s.login("later", "later's word")
		mira.say("tobias", "and on we go")
		tobias.hear("and on we go")
		Expect(mira.drained()).NotTo(ContainElement(HaveField("XMLName.Local", "message")))
		Expect(tobias.drained()).NotTo(ContainElement(HaveField("XMLName.Local", "message")))

		By("finding what was there as it was: nothing written, nothing made twice")
		after := s.snapshot()
		for name, version := range before {
			Expect(after).To(HaveKeyWithValue(name, version))
		}
		Expect(after).To(HaveLen(len(before) + 2))
	})
})

// snapshot maps each user's name to its version: a write of any kind changes it.
func (s *server) snapshot() map[string]string {
	GinkgoHelper()
	versions := map[string]string{}
	for _, u := range s.users() {
		versions[u.Name] = u.ResourceVersion
	}
	return versions
}
