package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"mellium.im/sasl"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// outage is how long the API server is away.
	outage = 60 * time.Second
	// finishedWithin is how long after its return what was under way may take to be done or undone.
	finishedWithin = 3 * time.Minute
)

// It is the longest to wait for, and begins first.
var _ = Describe("The API server away for a minute", SpecPriority(3), func() {
	It("leaves sessions and logins alone, refuses what cannot be declared, and loses and doubles nothing", func() {
		s := newServer("outage")
		for _, name := range []string{"mira", "tobias"} {
			s.applyUser(name, name+"'s word")
		}
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "--all", "chatusers")
		mira, tobias := s.login("mira", "mira's word"), s.login("tobias", "tobias's word")
		secret := s.restSecret()
		begun := s.beginCreations(secret)
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
			for path, contains := range map[string]string{"/users/mira": `"username":"mira"`, "/sessions/tobias": `"username":"tobias"`, "/users?search=caught": `"users":[`} {
				a, err := s.tryCall(secret, "GET", path, nil)
				Expect(err).NotTo(HaveOccurred())
				Expect(a).To(And(HaveField("Status", 200), HaveField("Body", ContainSubstring(contains))))
			}
			Expect(get(context.Background(), "http://"+s.health+"/readyz")).To(Succeed())
			Expect(get(context.Background(), "http://"+s.health+"/healthz")).To(Succeed())
			Consistently(s.process.Done(), 5*time.Second, time.Second).ShouldNot(BeClosed())
		}

		By("starting the API server again")
		restore()
		returned := time.Now()
		Eventually(func() answer {
			a, err := s.tryCall(secret, "POST", "/users", user("after", "a word"))
			Expect(err).NotTo(HaveOccurred())
			return a
		}, limit).Should(HaveField("Status", 201))
		_, err := s.tryLogin("after", "a word", sasl.ScramSha256Plus)
		Expect(err).NotTo(HaveOccurred())

		By("having finished or swept what was under way")
		for _, name := range begun {
			Eventually(func(g Gomega) { s.settled(g, name) }, max(time.Until(returned.Add(finishedWithin)), time.Second), "200ms").Should(Succeed(), name)
		}

		By("declaring and changing as before")
		s.applyUser("later", "later's word")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatuser/later")
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

// beginCreations begins to create accounts, while the API server goes in the middle of each, and gives their names. Nobody can log in as them.
func (s *server) beginCreations(secret string) (names []string) {
	GinkgoHelper()
	for i, cut := range []struct {
		what, resource string
		goes           departure
	}{
		{"the Secret is there, which this server was not told", "/secrets", goesAfter},
		{"the Secret is there, and no ChatUser", "/chatusers", goesBefore},
		{"both are there, which this server was not told", "/chatusers", goesAfter},
	} {
		By("the API server going when " + cut.what)
		name := fmt.Sprintf("caught%d", i)
		s.proxy.hold() // or a watch could be quicker than the end
		s.proxy.goAwayAt(func(r *http.Request) departure {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, cut.resource) {
				return cut.goes
			}
			return stays
		})
		a, err := s.tryCall(secret, "POST", "/users", user(name, "a word"))
		Expect(err).NotTo(HaveOccurred())
		Expect(a).To(HaveField("Status", 503))
		Expect(a.Header.Get("Retry-After")).NotTo(BeEmpty())
		Expect(s.proxy.isAway()).To(BeTrue())
		Expect(s.secretsOf(name)).To(HaveLen(1))
		a, err = s.tryCall(secret, "GET", "/users/"+name, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(a).To(HaveField("Status", 404))
		_, err = s.tryLogin(name, "a word", sasl.ScramSha256Plus)
		Expect(err).To(HaveOccurred())

		s.proxy.release()
		s.proxy.comeBack()
		Eventually(func() int {
			a, err := s.tryCall(secret, "POST", "/groups", map[string]any{"name": name})
			Expect(err).NotTo(HaveOccurred())
			return a.Status
		}, startLimit).Should(Equal(201))
		names = append(names, name)
	}
	return names
}

// settled expects an account to be there, with all that belongs to it, or to have left nothing.
func (s *server) settled(g Gomega, name string) {
	_, err := s.tryLogin(name, "a word", sasl.ScramSha256Plus)
	secrets := s.secretsOf(name)
	if s.call("GET", "/users/"+name, nil).Status == http.StatusOK {
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(secrets).To(HaveLen(1))
		return
	}
	g.Expect(err).To(HaveOccurred())
	g.Expect(secrets).To(BeEmpty())
}

// secretsOf are the names of the Secrets of an account.
func (s *server) secretsOf(username string) (names []string) {
	GinkgoHelper()
	list := &corev1.SecretList{}
	Expect(kube.List(context.Background(), list, client.InNamespace(s.namespace))).To(Succeed())
	for _, secret := range list.Items {
		if strings.HasPrefix(secret.Name, username) {
			names = append(names, secret.Name)
		}
	}
	return names
}

// snapshot maps each user's name to its version: a write of any kind changes it.
func (s *server) snapshot() map[string]string {
	GinkgoHelper()
	versions := map[string]string{}
	for _, u := range s.users() {
		if strings.HasPrefix(u.Name, "caught") {
			continue // this one was under way
		}
		versions[u.Name] = u.ResourceVersion
	}
	return versions
}
