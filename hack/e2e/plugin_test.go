package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"mellium.im/sasl"
)

// plugin is `kubectl chat` as people have it: the program on PATH, called by kubectl.
type plugin struct {
	dir string // with the program, and with what kubectl calls to complete its words
	env []string
	// seen is all that it printed.
	seen bytes.Buffer
}

func newPlugin() *plugin {
	GinkgoHelper()
	dir := filepath.Join(work, "plugin")
	if _, err := os.Stat(dir); err == nil {
		return &plugin{dir: dir} // made already
	}
	Expect(os.MkdirAll(dir, 0o700)).To(Succeed())
	program := build("kubectl-chat", filepath.Join("cmd", "kubectl-chat"), ".")
	Expect(os.Symlink(program, filepath.Join(dir, "kubectl-chat"))).To(Succeed())
	completer := filepath.Join(dir, "kubectl_complete-chat")
	Expect(os.Symlink("kubectl-chat", completer)).To(Succeed())
	return &plugin{dir: dir}
}

// kubectl runs kubectl where it finds the plugin, and nothing that the person who runs the tests has configured.
func (p *plugin) kubectl(stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(filepath.Join(binaries, "kubectl"), args...)
	cmd.Env = append([]string{"PATH=" + p.dir + ":/usr/bin:/bin", "HOME=" + work, "KUBECONFIG=" + cluster.Kubeconfig()}, p.env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	p.seen.Write(out.Bytes())
	p.seen.Write(errOut.Bytes())
	return out.String(), errOut.String(), err
}

// of runs `kubectl chat` for a server, which it has to succeed at, and gives what it printed.
func (p *plugin) of(s *server, args ...string) string {
	GinkgoHelper()
	out, errOut, err := p.kubectl("", append([]string{"chat", "--namespace=" + s.namespace}, args...)...)
	Expect(err).NotTo(HaveOccurred(), "kubectl chat %q:\n%s%s", args, out, errOut)
	Expect(errOut).To(BeEmpty(), "warnings of kubectl chat %q", args)
	return out
}

// fails runs it where it has to refuse, and gives the reason.
func (p *plugin) fails(s *server, stdin string, args ...string) string {
	GinkgoHelper()
	out, errOut, err := p.kubectl(stdin, append([]string{"chat", "--namespace=" + s.namespace}, args...)...)
	Expect(err).To(HaveOccurred(), "kubectl chat %q printed:\n%s", args, out)
	return errOut
}

// lines are the cells of a table, line by line.
func lines(printed string) [][]string {
	var all [][]string
	for line := range strings.Lines(printed) {
		all = append(all, regexp.MustCompile(`\s{2,}`).Split(strings.TrimSpace(line), -1))
	}
	return all
}

var _ = Describe("kubectl chat", Ordered, ContinueOnFailure, func() {
	var (
		s *server
		p *plugin
	)
	const secretWord = "a word that nobody prints"
	BeforeAll(func() {
		p = newPlugin()
		s = newServer("plugin")
		p.env = []string{"KUBECTL_CHAT_REST_URL=http://" + s.rest}
		s.applyUser("mira", secretWord)
		Expect(s.call("POST", "/users", map[string]any{"username": "tobias", "password": secretWord, "name": "Tobias Brandt",
			"properties": []map[string]string{{"key": "console.order", "value": "7"}}})).To(status(201))
		Expect(s.call("POST", "/users", user("ines", secretWord))).To(status(201))
		s.apply("apiVersion: chat-operator.io/v1alpha1\nkind: ChatRoom\nmetadata: {name: lobby}\nspec: {displayName: The Lobby, membersOnly: false}\n")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatuser/mira", "chatuser/tobias", "chatuser/ines", "chatroom/lobby")
	})
	AfterAll(func() {
		for _, secret := range []string{s.restSecret(), secretWord} {
			Expect(p.seen.String()).NotTo(ContainSubstring(secret))
		}
	})

	It("lists users with who is online, sessions, and rooms with who is in them", func() {
		mira := s.login("mira", secretWord)
		mira.raw(`<presence><show>away</show><status>lunch&#x202e;</status><priority>5</priority></presence>`)
		Eventually(func() string { return p.of(s, "sessions", "mira", "--output=wide", "--no-headers") }, limit).Should(ContainSubstring("Away"))
		users := lines(p.of(s, "users"))
		Expect(users[0]).To(Equal([]string{"USERNAME", "NAME", "ADMIN", "LOCKED", "READY", "ONLINE", "AGE"}))
		Expect(users[2][:5]).To(Equal([]string{"mira", "false", "false", "True", "true"})) // without a name
		Expect(users[3][:6]).To(Equal([]string{"tobias", "Tobias Brandt", "false", "false", "True", "false"}))

		resource := mira.session.LocalAddr().Resourcepart()
		sessions := lines(p.of(s, "sessions", "mira", "--output=wide"))
		Expect(sessions[0]).To(Equal([]string{"JID", "PRESENCE", "PRIORITY", "ADDRESS", "ENCRYPTED", "SINCE", "ACTIVE", "MESSAGE"}))
		Expect(sessions[1][:5]).To(Equal([]string{"mira@" + domain + "/" + resource, "Away", "5", "127.0.0.1", "true"}))
		Expect(sessions[1][7]).To(Equal(`lunch\u202e`), "what turns a terminal's text around is shown as what it is")
		Expect(p.of(s, "sessions", "mira", "--output=name")).To(Equal("mira@" + domain + "/" + resource + "\n"))
		var document struct {
			Items []struct {
				JID      string
				Presence string
				Message  string
			}
		}
		Expect(json.Unmarshal([]byte(p.of(s, "sessions", "--output=json")), &document)).To(Succeed())
		Expect(document.Items).To(HaveLen(1))
		Expect(document.Items[0].Message).To(Equal("lunch\u202e"))

		mira.enter("lobby@conference."+domain, "mira")
		mira.enter("tea@conference."+domain, "mira") // a temporary one, which a client makes
		rooms := lines(p.of(s, "rooms"))
		Expect(rooms[0]).To(Equal([]string{"ROOM", "SERVICE", "OCCUPANTS", "MEMBERS-ONLY", "PERSISTENT", "READY", "AGE"}))
		Expect(rooms[1][:6]).To(Equal([]string{"lobby", "conference", "1", "false", "true", "True"}))
		Expect(rooms[2][:6]).To(Equal([]string{"tea", "conference", "1", "false", "false", "-"}))
		Expect(p.of(s, "rooms", "--output=name")).To(Equal("chatroom.chat-operator.io/lobby\n"))

		told := p.of(s, "status")
		Expect(told).To(MatchRegexp(`(?m)^Domain: +chat\.example$`))
		Expect(told).To(MatchRegexp(`(?m)^Server: +ready$`))
		Expect(told).To(MatchRegexp(`(?m)^Sessions: +1 of 1 user, 1 with available presence$`))
		Expect(told).To(MatchRegexp(`(?m)^Rooms: +2 with 2 occupants$`))
		Expect(told).To(MatchRegexp(`(?m)^ChatUser +3 +3 +Active 3$`))
	})

	It("says what is not ready and why", func() {
		s.apply("apiVersion: chat-operator.io/v1alpha1\nkind: ChatUser\nmetadata: {name: nobody}\nspec: {credentials: {secretRef: {name: not-there}}}\n")
		s.kubectl("wait", "--for=condition=Ready=false", "--timeout=60s", "chatuser/nobody")
		Expect(p.of(s, "status")).To(MatchRegexp(`(?m)^chatuser/nobody +SecretNotFound +\S+ +\S.*not-there`))
		s.kubectl("delete", "chatuser", "nobody")
	})

	It("sends messages to a user, to everybody and into a room", func() {
		mira, tobias := s.login("mira", secretWord), s.login("tobias", secretWord)
		// The server may be about to forget those of before.
		Eventually(func() int { return strings.Count(p.of(s, "sessions", "--output=name"), "\n") }, limit).Should(Equal(2))
		Expect(p.of(s, "send", "mira@"+domain, "tea", "is ready")).To(Equal("sent to mira\n"))
		mira.hear("tea is ready")
		Expect(p.of(s, "send", "--all", "back at nine")).To(Equal("sent to everybody who is connected (2 sessions)\n"))
		mira.hear("back at nine")
		tobias.hear("back at nine")
		mira.enter("lobby@conference."+domain, "mira")
		_, _, err := p.kubectl("from a file\n", "chat", "--namespace="+s.namespace, "send", "--room=lobby", "-")
		Expect(err).NotTo(HaveOccurred())
		mira.hear("from a file")
		Expect(p.fails(s, "", "send", "nobody", "hello")).To(ContainSubstring(`no user "nobody"`))
		Expect(p.fails(s, "", "send", "--room=nowhere", "hello")).To(ContainSubstring(`no room "nowhere"`))
	})

	It("closes sessions", func() {
		tobias := s.login("tobias", secretWord)
		Eventually(func() int { return strings.Count(p.of(s, "sessions", "tobias", "--output=name"), "\n") }, limit).Should(Equal(1))
		full := tobias.session.LocalAddr().String()
		Expect(p.fails(s, "", "kick", full)).To(ContainSubstring("kubectl chat kick tobias"))
		Expect(p.of(s, "kick", "tobias")).To(Equal("tobias: 1 session closed\n"))
		Eventually(tobias.ended, limit).Should(BeClosed())
		Expect(p.of(s, "kick", "tobias")).To(Equal("tobias: was not connected\n"))
		Expect(p.fails(s, "", "kick", "nobody")).To(ContainSubstring(`no user "nobody"`))
	})

	It("sets passwords where nobody else declares them, and leaves the rest of an account as it is", func() {
		const another = "another that nobody prints"
		out, errOut, err := p.kubectl(another+"\n", "chat", "--namespace="+s.namespace, "passwd", "tobias", "--stdin")
		Expect(err).NotTo(HaveOccurred(), errOut)
		Expect(out).To(Equal("tobias: password set\n"))
		_, err = s.tryLogin("tobias", another, sasl.ScramSha256Plus)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.call("GET", "/users/tobias", nil).Body).To(And(ContainSubstring("Tobias Brandt"), ContainSubstring("console.order")))
		Expect(p.fails(s, another, "passwd", "tobias")).To(ContainSubstring("--stdin"), "there is no terminal here")

		// mira comes with a manifest, and so does her Secret.
		Expect(p.fails(s, another, "passwd", "mira", "--stdin")).To(ContainSubstring("kubectl-client-side-apply"))
		_, err = s.tryLogin("mira", secretWord, sasl.ScramSha256Plus)
		Expect(err).NotTo(HaveOccurred())
		Expect(p.seen.String()).NotTo(ContainSubstring(another))
	})

	It("purges an account when that is meant", func() {
		Expect(p.fails(s, "ines\n", "purge", "ines")).To(ContainSubstring("--yes"), "there is no terminal here")
		Expect(p.of(s, "purge", "ines", "--yes")).To(Equal("ines: deleted, and its data purged\n"))
		Expect(s.call("GET", "/users/ines", nil)).To(status(404))
		Expect(p.fails(s, "", "purge", "ines", "--yes")).To(ContainSubstring(`no user "ines"`))
		Expect(p.fails(s, "", "purge", "mira", "--yes")).To(And(ContainSubstring("kubectl-client-side-apply"), ContainSubstring("deleted there")))
	})

	It("needs the rights that its page gives, and no others", func() {
		page, err := os.ReadFile(filepath.Join(root, "docs", "kubectl-chat.md"))
		Expect(err).NotTo(HaveOccurred())
		_, role, found := strings.Cut(string(page), "```yaml\n")
		Expect(found).To(BeTrue())
		role, _, _ = strings.Cut(role, "```")
		s.apply(role)
		s.kubectl("create", "serviceaccount", "on-call")
		s.kubectl("create", "rolebinding", "on-call", "--role=chat-on-call", "--serviceaccount="+s.namespace+":on-call")
		// What is aggregated into view.
		s.kubectl("create", "rolebinding", "on-call-views", "--clusterrole=chat-operator-view", "--serviceaccount="+s.namespace+":on-call")
		as := "--as=system:serviceaccount:" + s.namespace + ":on-call"
		Eventually(func() error {
			_, _, err := p.kubectl("", "chat", "--namespace="+s.namespace, "status", as)
			return err
		}, limit).Should(Succeed())
		for _, list := range []string{"users", "rooms", "sessions"} {
			p.of(s, list, "--output=json", as)
		}
		p.of(s, "kick", "tobias", as)
		Expect(p.fails(s, "", "sessions", "--rest-url=", as)).To(ContainSubstring("no chat server (a StatefulSet"), "it may look for that")
		Expect(s.kubectl("auth", "can-i", "list", "pods", as)).To(Equal("yes"))
		for _, verb := range []string{"get", "create"} {
			Expect(s.kubectl("auth", "can-i", verb, "pods", "--subresource=portforward", as)).To(Equal("yes"))
		}
	})

	It("completes what kubectl is asked to complete", func() {
		out, _, err := p.kubectl("", "__complete", "chat", "--namespace="+s.namespace, "kick", "m")
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Split(out, "\n")).To(ContainElement("mira"))
		out, _, err = p.kubectl("", "__complete", "chat", "r")
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(ContainSubstring("rooms"))
	})

	It("logs in with a Kubernetes token when that is asked for, and no more is possible then than the token allows", func() {
		s.kubectl("create", "clusterrolebinding", "plugin-access", "--clusterrole=system:auth-delegator", "--serviceaccount="+s.namespace+":chat-operator")
		s.kubectl("create", "serviceaccount", "onlooker")
		s.kubectl("create", "role", "onlooker", "--verb=list,get", "--resource=chatusers.chat-operator.io,chatrooms.chat-operator.io")
		s.kubectl("create", "rolebinding", "onlooker", "--role=onlooker", "--serviceaccount="+s.namespace+":onlooker")
		config := filepath.Join(work, "onlooker.kubeconfig")
		raw, err := os.ReadFile(cluster.Kubeconfig())
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(config, raw, 0o600)).To(Succeed())
		token := s.kubectl("create", "token", "onlooker")
		_, errOut, err := p.kubectl("", "config", "--kubeconfig="+config, "set-credentials", "onlooker", "--token="+token)
		Expect(err).NotTo(HaveOccurred(), errOut)
		_, errOut, err = p.kubectl("", "config", "--kubeconfig="+config, "set-context", "--current", "--user=onlooker")
		Expect(err).NotTo(HaveOccurred(), errOut)

		flags := func(more ...string) []string {
			return append(more, "--kubeconfig="+config, "--auth=token", "--rest-url=https://"+s.restTLS, "--rest-ca-file="+s.certs.certFile, "--rest-tls-server-name="+domain)
		}
		Eventually(func() error {
			_, _, err := p.kubectl("", append([]string{"chat", "--namespace=" + s.namespace}, flags("sessions")...)...)
			return err
		}, limit).Should(Succeed())
		Expect(p.of(s, flags("users", "tobias", "--no-headers")...)).To(HavePrefix("tobias"))
		Expect(p.fails(s, "", flags("kick", "tobias")...)).To(ContainSubstring("update chatusers"))
		Expect(p.fails(s, "", "sessions", "--kubeconfig="+config)).To(And(ContainSubstring("may not read Secret"), ContainSubstring("--auth=token")))
		Expect(p.fails(s, "", "sessions", "--auth=token")).To(ContainSubstring("has no token"), "the administrator has a certificate")
		Expect(p.seen.String()).NotTo(ContainSubstring(token))
	})

	It("says what is wrong, and what would help", func() {
		elsewhere := func(flags ...string) string {
			GinkgoHelper()
			_, errOut, err := p.kubectl("", append([]string{"chat", "--namespace=" + s.namespace, "sessions"}, flags...)...)
			Expect(err).To(HaveOccurred())
			return errOut
		}
		Expect(elsewhere("--rest-url=")).To(And(ContainSubstring("no chat server (a StatefulSet"), ContainSubstring("--rest-url")))
		Expect(elsewhere("--rest-url=http://chat.example:9090")).To(ContainSubstring("without encryption"))
		Expect(elsewhere("--rest-url=https://"+s.restTLS, "--rest-tls-server-name="+domain)).To(ContainSubstring("--rest-ca-file"))
		Expect(elsewhere("--rest-url=https://"+s.restTLS, "--rest-ca-file="+s.certs.certFile)).To(ContainSubstring("--rest-tls-server-name"))
		wrong := filepath.Join(work, "wrong-secret")
		Expect(os.WriteFile(wrong, []byte("not the right one\n"), 0o600)).To(Succeed())
		Expect(elsewhere("--rest-secret-file=" + wrong)).To(And(ContainSubstring("does not accept the secret of file"), Not(ContainSubstring("not the right one"))))
		_, errOut, err := p.kubectl("", "chat", "--namespace=default", "sessions")
		Expect(err).To(HaveOccurred())
		Expect(errOut).To(ContainSubstring(`no Secret "chat-operator"`))
		Expect(p.fails(s, "", "users", "nobody")).To(ContainSubstring(`no user "nobody"`))
		out, errOut, err := p.kubectl("", "chat", "--namespace="+s.namespace, "users", "--rest-url=http://127.0.0.1:1")
		Expect(err).NotTo(HaveOccurred(), "what is declared is shown also while the server is away")
		Expect(out).To(ContainSubstring("<unknown>"))
		Expect(errOut).To(ContainSubstring("warning: who is online is unknown"))
		Expect(fmt.Sprint(lines(out)[0])).To(ContainSubstring("USERNAME"))
	})
})
