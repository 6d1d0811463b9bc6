package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/roster"
)

// command runs a subcommand of the program for the namespace and the folder of a server, and gives what it printed.
func (s *server) command(name, stdin string, args ...string) (string, error) {
	GinkgoHelper()
	all := append([]string{name, "--kubeconfig=" + s.writeKubeconfig(), "--namespace=" + s.namespace, "--data-dir=" + s.dir}, args...)
	cmd := exec.Command(operator, all...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, messages strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &messages
	err := cmd.Run()
	AddReportEntry("chat-operator "+strings.Join(all, " "), ReportEntryVisibilityFailureOrVerbose, messages.String()+summary(out.String()))
	return out.String(), err
}

// summary is what was printed, unless it is an archive.
func summary(out string) string {
	if strings.HasPrefix(out, "\x1f\x8b") {
		return "an archive"
	}
	return out
}

var _ = Describe("Moving", Ordered, func() {
	const password = "a word that stays"
	var from *server
	BeforeAll(func() {
		from = newServer("moving-from")
		for _, name := range []string{"mira", "tobias"} {
			Expect(from.call("POST", "/users", user(name, password))).To(status(201))
		}
		Expect(from.call("POST", "/groups", map[string]any{"name": "Night Shift", "description": "At night", "members": []string{"mira"}, "admins": []string{}, "shared": false})).To(status(201))
		Expect(from.call("POST", "/chatrooms", map[string]any{
			"roomName": "atrium", "naturalName": "The Atrium", "description": "Open floor", "persistent": true, "publicRoom": true, "logEnabled": true,
			"owners": []string{"mira@" + domain}, "members": []string{"tobias@" + domain}, "subject": "Plants",
		})).To(status(201))
		mira := from.login("mira", password)
		mira.available()
		mira.setRoster(roster.Item{JID: jid.MustParse("paul@other.example"), Name: "Paul", Group: []string{"Friends"}})
		mira.say("tobias", "tea at nine?")
		Eventually(func() string { return from.call("GET", "/archive/messages/unread/tobias@"+domain, nil).Body }, limit).Should(ContainSubstring(`"count":1`))
	})

	It("exports a running server, and an empty namespace that reads it in is the same server", func() {
		backup, err := from.command("export", "")
		Expect(err).NotTo(HaveOccurred())

		to := prepareServer("moving-to")
		Expect(os.MkdirAll(to.dir, 0o700)).To(Succeed())
		said, err := to.command("import", backup, "--dry-run", "-")
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(said).To(ContainSubstring("ChatUser: 2 to be made"))
		said, err = to.command("import", backup, "-")
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(said).To(ContainSubstring("ChatUser: 2 made"))
		Expect(said).To(ContainSubstring("offline messages: 1 made"))

		to.start()
		DeferCleanup(func() { to.stop() })
		tobias := to.login("tobias", password)
		tobias.available()
		tobias.hear("tea at nine?")
		mira := to.login("mira", password)
		Expect(mira.roster()).To(HaveKeyWithValue("paul@other.example", HaveField("Name", "Paul")))
		Expect(to.call("GET", "/chatrooms/atrium", nil).Body).To(And(ContainSubstring(`"naturalName":"The Atrium"`), ContainSubstring(`"subject":"Plants"`)))
		Expect(to.call("GET", "/groups/Night%20Shift", nil).Body).To(ContainSubstring("At night"))

		said, err = to.command("import", backup, "-")
		Expect(err).To(HaveOccurred(), "beside a running server, data is not read in")
		Expect(said).To(BeEmpty())
	})

	It("takes over a running server through the REST API of Openfire", func() {
		secret := filepath.Join(work, "moving-secret")
		Expect(os.WriteFile(secret, []byte(from.restSecret()+"\n"), 0o600)).To(Succeed())
		to := prepareServer("moving-rest")
		Expect(os.MkdirAll(to.dir, 0o700)).To(Succeed())
		said, err := to.command("import", "", "--from=openfire-rest", "--url=http://"+from.rest, "--secret-file="+secret, "--domain="+domain)
		Expect(err).NotTo(HaveOccurred(), said)
		Expect(said).To(And(ContainSubstring("ChatUser: 2 made"), ContainSubstring("ChatGroup: 1 made"), ContainSubstring("ChatRoom: 1 made"),
			ContainSubstring("The passwords of 2 users could not be taken over")))

		to.start()
		DeferCleanup(func() { to.stop() })
		for _, path := range []string{"/users", "/users/mira/roster", "/groups/Night%20Shift"} {
			Expect(to.call("GET", path, nil).Body).To(MatchJSON(from.call("GET", path, nil).Body), path)
		}
		room := to.call("GET", "/chatrooms/atrium", nil).Body
		Expect(room).To(And(ContainSubstring(`"subject":"Plants"`), ContainSubstring(`"owners":["mira@`+domain+`"]`), ContainSubstring(`"members":["tobias@`+domain+`"]`)))
	})
})
