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
	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

var _ = Describe("make run", Ordered, func() {
	var (
		runner string
		dir    string
		ports  []int
	)
	BeforeAll(func() {
		runner, dir = build("run", "./hack/run"), filepath.Join(work, "running")
		var err error
		ports, err = localkube.FreePorts(10)
		Expect(err).NotTo(HaveOccurred())
	})

	up := func() *supervise.Process {
		GinkgoHelper()
		args := []string{"up", "--dir=" + dir, "--binaries=" + binaries, "--operator=" + operator, "--config=" + filepath.Join(root, "config")}
		for i, name := range []string{"xmpp", "xmpps", "rest", "rest-tls", "health", "metrics", "apiserver", "etcd", "etcd-peer", "controller-manager"} {
			args = append(args, fmt.Sprintf("--%s-port=%d", name, ports[i]))
		}
		p, err := group.Start(supervise.Spec{Name: "make run", Path: runner, Args: args, Log: filepath.Join(work, "run.log"), Grace: startLimit})
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

	It("is ready with everything that scripts need, keeps its data, and leaves nothing behind on Ctrl-C", func() {
		p := up()
		env := ready(p)
		Expect(env).To(HaveKeyWithValue("XMPP_DOMAIN", "localhost"))
		Expect(env).To(HaveKeyWithValue("XMPP_ADDR", fmt.Sprintf("127.0.0.1:%d", ports[0])))
		Expect(env["REST_URL"]).To(HaveSuffix("/plugins/restapi/v1"))
		Expect(env["REST_SECRET"]).NotTo(BeEmpty())
		info, err := os.Stat(env["KUBECONFIG"])
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
		pid, err := strconv.Atoi(env["OPERATOR_PID"])
		Expect(err).NotTo(HaveOccurred())
		Expect(syscall.Kill(pid, 0)).To(Succeed())
		out, err := exec.Command(filepath.Join(binaries, "kubectl"), "--kubeconfig="+env["KUBECONFIG"], "--namespace=chat", "create", "configmap", "kept").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))

		// As a terminal does: SIGINT to the whole process group.
		Expect(syscall.Kill(-p.PID(), syscall.SIGINT)).To(Succeed())
		Eventually(p.Done(), startLimit).Should(BeClosed())
		Expect(p.ExitCode()).To(BeZero(), p.Tail(20))
		Expect(syscall.Kill(pid, 0)).To(MatchError(syscall.ESRCH))
		leavesNothing()
	})

	It("starts after having been killed, and finds its data", func() {
		p := up()
		ready(p)
		p.Kill()
		Expect(os.Remove(filepath.Join(dir, "env"))).To(Succeed())

		p = up()
		ready(p)
		Eventually(func() string { return p.Tail(100) }, startLimit).Should(ContainSubstring("Ctrl-C stops everything"))
		env := ready(p)
		out, err := exec.Command(filepath.Join(binaries, "kubectl"), "--kubeconfig="+env["KUBECONFIG"], "--namespace=chat", "get", "configmap", "kept").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))

		By("following the README's quick start to the letter")
		followREADME(dir, env)

		By("refusing a second run in the same folder")
		second := up()
		Eventually(second.Done(), startLimit).Should(BeClosed())
		Expect(second.ExitCode()).To(Equal(1))
		Expect(second.Tail(5)).To(ContainSubstring(strconv.Itoa(p.PID())))

		// SIGTERM to the runner alone.
		Expect(p.Stop()).To(Succeed())
		leavesNothing()
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

// readEnv reads a file of shell assignments with single quotes.
func readEnv(path string) map[string]string {
	GinkgoHelper()
	f, err := os.Open(path)
	Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	env := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, found := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if !found {
			Expect(errors.New(lines.Text())).NotTo(HaveOccurred())
		}
		env[name] = strings.Trim(value, "'")
	}
	return env
}

// followREADME runs the commands of the quick start in a folder that looks like the repository after `make run`, and does what
// stands between them.
func followREADME(dir string, env map[string]string) {
	GinkgoHelper()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	Expect(err).NotTo(HaveOccurred())
	_, section, found := strings.Cut(string(readme), "\n## Quick start\n")
	Expect(found).To(BeTrue())
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	for _, part := range strings.Split(section, "```sh\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	Expect(blocks).To(HaveLen(5), "make run; the environment; a user; REST; locking")
	Expect(blocks[0]).To(Equal("make run\n"))

	checkout := filepath.Join(work, "checkout")
	Expect(os.MkdirAll(filepath.Join(checkout, "bin"), 0o700)).To(Succeed())
	Expect(os.Symlink(dir, filepath.Join(checkout, ".run"))).To(Succeed())
	Expect(os.Symlink(binaries, filepath.Join(checkout, "bin", "k8s"))).To(Succeed())
	shell := func(block string) string {
		GinkgoHelper()
		cmd := exec.Command("bash", "-e", "-c", blocks[1]+block)
		cmd.Dir = checkout
		out, err := cmd.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s\n%s", block, out)
		return string(out)
	}
	s := &server{domain: "localhost", xmpp: env["XMPP_ADDR"], certs: trust(filepath.Join(dir, "operator", "tls.crt"))}

	Expect(shell(blocks[2])).To(ContainSubstring("ines@localhost"))
	Eventually(func() error {
		_, err := s.tryLogin("ines", "a word for Ines", sasl.ScramSha256Plus)
		return err
	}, limit).Should(Succeed())
	Expect(shell(blocks[3])).To(And(ContainSubstring("201 Created"), ContainSubstring("displayName: Jun Sato")))
	_, err = s.tryLogin("jun", "a word for Jun", sasl.ScramSha256Plus)
	Expect(err).NotTo(HaveOccurred())
	ines, err := s.tryLogin("ines", "a word for Ines", sasl.ScramSha256Plus)
	Expect(err).NotTo(HaveOccurred())
	shell(blocks[4])
	Eventually(ines.ended, limit).Should(BeClosed())
}
