//go:build cluster

package suite

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

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

		By("hearing what the custom resources lack")
		Eventually(func() string { return s.ask(8080, "/metrics") }, limit).Should(MatchRegexp(`(?m)^chat_operator_schema_missing [1-9]`))
		Expect(s.ask(8081, "/readyz?verbose")).To(MatchRegexp(`\[!\]the API server does not know, and drops from manifests: .*ChatUser\.spec\.roster`))
		Expect(s.kubectl("logs", s.pod().Name)).To(ContainSubstring("The custom resource definitions of the cluster are older than this program"))

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

// What is asserted here is what people have, not what versions have in common: it holds for any two of them.
var _ = Describe("An upgrade from the newest release", func() {
	It("keeps accounts, contacts, messages that wait, rooms and the REST API's secret", func() {
		charts, older := os.Getenv("OLDER_CHARTS"), os.Getenv("OLDER_IMG")
		if charts == "" {
			Skip("there is no release yet that this commit follows")
		}
		DeferCleanup(installCRDs)
		By("installing " + older)
		helm(crdsNamespace, "upgrade", "--install", crdsRelease, filepath.Join(charts, "chat-operator-crds"))
		waitCRDs()
		s := prepareServer("newest")
		s.installFrom(filepath.Join(charts, "chat-operator"), older)
		s.applyUser("mira")
		s.applyUser("tobias")
		s.applyUser("tove") // who is not online before the upgrade
		s.login("mira").addContact("ines@elsewhere.example", "Ines")
		apply(s.namespace, `
apiVersion: chat-operator.io/v1alpha1
kind: ChatRoom
metadata: {name: lounge}
spec: {persistent: true, subject: Tea at four}
`)
		s.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "chatroom/lounge")
		s.login("tobias").say(s, "tove", "before the upgrade")
		users := s.call("rest", "GET", "/users", nil)
		secret := s.kubectl("get", "secret", "chat-operator", "--output=jsonpath={.data.rest-secret}")
		before := s.pod()

		By("upgrading both charts, what belongs to the cluster first")
		installCRDs()
		s.install()
		s.ready(string(before.UID))
		Expect(s.pod().Spec.Containers[0].Image).To(HaveSuffix(image))

		s.login("tove").hear("before the upgrade")
		Expect(s.login("mira").roster()).To(HaveKeyWithValue("ines@elsewhere.example", HaveField("Name", "Ines")))
		Expect(s.kubectl("get", "secret", "chat-operator", "--output=jsonpath={.data.rest-secret}")).To(Equal(secret))
		Expect(s.call("rest", "GET", "/users", nil)).To(Equal(users))
		Expect(s.call("rest", "GET", "/chatrooms/lounge", nil).Body).To(ContainSubstring("Tea at four"))
	})
})

// ask gets a path from a port of the Pod, as the node does.
func (s *server) ask(port int, path string) string {
	GinkgoHelper()
	if !direct {
		pod := "/api/v1/namespaces/" + s.namespace + "/pods/" + s.pod().Name
		return s.kubectl("get", "--raw", fmt.Sprintf("%s:%d/proxy%s", pod, port, path))
	}
	resp, err := http.Get("http://" + net.JoinHostPort(s.pod().Status.PodIP, strconv.Itoa(port)) + path)
	Expect(err).NotTo(HaveOccurred())
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}
