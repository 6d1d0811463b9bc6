package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"mellium.im/sasl"

	"github.com/chat-operator/chat-operator/hack/internal/localkube"
	"github.com/chat-operator/chat-operator/hack/internal/markdown"
	"github.com/chat-operator/chat-operator/hack/internal/reader"
	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

var _ = Describe("make run", Ordered, SpecPriority(1), func() {
	var (
		runner string
		dir    string
		ports  []int
	)
	BeforeAll(func() {
		runner, dir = build("run", ".", "./hack/run"), filepath.Join(work, "running")
		var err error
		ports, err = localkube.FreePorts(10)
		Expect(err).NotTo(HaveOccurred())
	})

	up := func(more ...string) *supervise.Process {
		GinkgoHelper()
		args := []string{"up", "--dir=" + dir, "--binaries=" + binaries, "--operator=" + operator, "--config=" + filepath.Join(root, "config")}
		for i, name := range []string{"xmpp", "xmpps", "rest", "rest-tls", "health", "metrics", "apiserver", "etcd", "etcd-peer", "controller-manager"} {
			args = append(args, fmt.Sprintf("--%s-port=%d", name, ports[i]))
		}
		p, err := group.Start(supervise.Spec{Name: "make run", Path: runner, Args: append(args, more...), Log: filepath.Join(work, "run.log"), Grace: startLimit})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(p.Stop)
		return p
	}
	ready := func(p *supervise.Process) map[string]string {
		GinkgoHelper()
		Eventually(func() error {
			if p.Ended() {
				return StopTrying(p.Failure().Error())
			}
			_, err := os.Stat(filepath.Join(dir, "env"))
			return err
		}, startLimit).Should(Succeed())
		return readEnv(filepath.Join(dir, "env"))
	}
	leavesNothing := func() {
		GinkgoHelper()
		for _, port := range ports {
			ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
			Expect(err).NotTo(HaveOccurred())
			ln.Close()
		}
		for _, file := range []string{"env", "pids"} {
			Expect(filepath.Join(dir, file)).NotTo(BeAnExistingFile())
		}
	}

	// As a terminal does: SIGINT to the whole process group.
	pressCtrlC := func(p *supervise.Process) {
		GinkgoHelper()
		Expect(syscall.Kill(-p.PID(), syscall.SIGINT)).To(Succeed())
		Eventually(p.Done(), startLimit).Should(BeClosed())
		Expect(p.ExitCode()).To(BeZero(), p.Tail(20))
		leavesNothing()
	}
	operatorOf := func(env map[string]string) int {
		GinkgoHelper()
		pid, err := strconv.Atoi(env["OPERATOR_PID"])
		Expect(err).NotTo(HaveOccurred())
		Expect(syscall.Kill(pid, 0)).To(Succeed())
		return pid
	}

	// The folder of the second server, and where it has the backup of the first from.
	var other string
	var importer *reader.Reader

	It("is ready with everything that scripts need, starts after having been killed, and finds its data", func() {
		p := up()
		env := ready(p)
		Expect(env).To(HaveKeyWithValue("XMPP_DOMAIN", "localhost"))
		Expect(env).To(HaveKeyWithValue("XMPP_ADDR", fmt.Sprintf("127.0.0.1:%d", ports[0])))
		Expect(env["REST_URL"]).To(HaveSuffix("/plugins/restapi/v1"))
		Expect(env["REST_SECRET"]).NotTo(BeEmpty())
		info, err := os.Stat(env["KUBECONFIG"])
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
		operatorOf(env)
		out, err := exec.Command(filepath.Join(binaries, "kubectl"), "--kubeconfig="+env["KUBECONFIG"], "--namespace=chat", "create", "configmap", "kept").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		p.Kill()
		Expect(os.Remove(filepath.Join(dir, "env"))).To(Succeed())

		p = up()
		ready(p)
		Eventually(func() string { return p.Tail(100) }, startLimit).Should(ContainSubstring("Ctrl-C stops everything"))
		env = ready(p)
		out, err = exec.Command(filepath.Join(binaries, "kubectl"), "--kubeconfig="+env["KUBECONFIG"], "--namespace=chat", "get", "configmap", "kept").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))

		By("following the pages for those who begin, to the letter")
		begin(dir, env)
		out, err = exec.Command(filepath.Join(binaries, "kubectl"), "--kubeconfig="+env["KUBECONFIG"], "delete", "chatuser", "tobias").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))

		By("refusing a second run in the same folder")
		second := up()
		Eventually(second.Done(), startLimit).Should(BeClosed())
		Expect(second.ExitCode()).To(Equal(1))
		Expect(second.Tail(5)).To(ContainSubstring(strconv.Itoa(p.PID())))

		By("exporting it, for the next")
		other = filepath.Join(work, "running-other")
		importer = newReader("checkout-import", other)
		export := exec.Command(operator, "export", "--kubeconfig="+env["KUBECONFIG"], "--data-dir="+env["CHAT_DATA_DIR"], "-o", filepath.Join(importer.Dir, "backup.tar.gz"))
		out, err = export.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))

		// SIGTERM to the runner alone.
		Expect(p.Stop()).To(Succeed())
		leavesNothing()
	})

	It("starts the control plane alone, so that a backup can be read in as the page says, keeps its data, and leaves nothing behind on Ctrl-C", func() {
		Expect(importer).NotTo(BeNil(), "the spec before this one exports what is read in here")
		dir = other
		p := up("--control-plane-only")
		env := ready(p)
		Expect(env).NotTo(HaveKey("OPERATOR_PID"))
		importer.Prelude = ". .run/env\nexport PATH=\"$PWD/bin:$PWD/bin/k8s:$PATH\"\n"
		importer.Runs = func(b markdown.Block) bool { return b.Language == "sh" && b.Needs == "control-plane" }
		importer.Follow(filepath.Join("docs", "backup.md"))
		pressCtrlC(p)

		By("finding what was read in, and no samples over it")
		p = up()
		env = ready(p)
		pid := operatorOf(env)
		users, err := exec.Command(filepath.Join(binaries, "kubectl"), "--kubeconfig="+env["KUBECONFIG"], "get", "chatusers", "--output=name").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(users))
		Expect(string(users)).To(ContainSubstring("/jun"))
		Expect(string(users)).NotTo(ContainSubstring("/tobias"))
		pressCtrlC(p)
		Expect(syscall.Kill(pid, 0)).To(MatchError(syscall.ESRCH))
	})

	It("names a busy port before it starts anything", func() {
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(ports[1]))
		Expect(err).NotTo(HaveOccurred())
		defer ln.Close()
		p := up()
		Eventually(p.Done(), startLimit).Should(BeClosed())
		Expect(p.ExitCode()).To(Equal(1))
		Expect(p.Tail(20)).To(And(ContainSubstring(strconv.Itoa(ports[1])), ContainSubstring("XMPPS_PORT"), Not(ContainSubstring("Starting"))))
	})
})

// readEnv reads a file of shell assignments with single quotes, and of what is to be unset.
func readEnv(path string) map[string]string {
	GinkgoHelper()
	f, err := os.Open(path)
	Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	env := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, found := strings.CutPrefix(lines.Text(), "unset "); found {
			delete(env, name)
			continue
		}
		name, value, found := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if !found {
			Expect(errors.New(lines.Text())).NotTo(HaveOccurred())
		}
		env[name] = strings.Trim(value, "'")
	}
	return env
}

// begin follows the pages that begin with `make run`, as somebody who has nothing but that, and does what stands between the commands.
func begin(dir string, env map[string]string) {
	GinkgoHelper()
	s := &server{domain: "localhost", xmpp: env["XMPP_ADDR"], certs: trust(filepath.Join(dir, "operator", "tls.crt"))}
	r := newReader("checkout", dir, "127.0.0.1:5222", s.xmpp)
	r.Follow("README.md")

	const word = "a word for Ines"
	var ines *chatClient
	r.Follow(filepath.Join("docs", "getting-started.md"), reader.Moment{
		Block: "name: ines-password",
		After: func(out string) {
			Expect(out).To(ContainSubstring("ines@localhost"))
			var err error
			ines, err = s.tryLogin("ines", word, sasl.ScramSha256Plus)
			Expect(err).NotTo(HaveOccurred())
			ines.available()
		},
	}, reader.Moment{
		Block: "kind: ChatRoom",
		After: func(string) {
			ines.enter("tea@conference.localhost", "ines")
		},
	}, reader.Moment{
		Block: `"username": "jun"`,
		After: func(out string) {
			Expect(out).To(And(ContainSubstring("201 Created"), ContainSubstring("displayName: Jun Sato")))
			_, err := s.tryLogin("jun", "a word for Jun", sasl.ScramSha256Plus)
			Expect(err).NotTo(HaveOccurred())
		},
	}, reader.Moment{
		Block: "messages/users",
		After: func(string) { ines.hear("Tea at four.") },
	}, reader.Moment{
		Block: `"locked": true`,
		After: func(string) { Eventually(ines.ended, limit).Should(BeClosed()) },
	})
}
