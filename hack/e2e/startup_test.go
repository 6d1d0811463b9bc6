package e2e

import (
	"net"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("A start that cannot succeed", Ordered, ContinueOnFailure, func() {
	var s *server
	BeforeAll(func() { s = prepareServer("startup") })

	// fails starts the program and expects it to end by itself with an error that says all of what.
	fails := func(flags []string, what ...string) {
		GinkgoHelper()
		p := s.run(flags...)
		DeferCleanup(p.Stop)
		Eventually(p.Done(), startLimit).Should(BeClosed(), "the program still runs:\n%s", p.Tail(10))
		Expect(p.ExitCode()).To(BeNumerically(">", 0))
		for _, w := range what {
			Expect(p.Tail(5)).To(ContainSubstring(w))
		}
		Expect(p.Tail(1000)).NotTo(ContainSubstring("goroutine "), "a stack trace is no sentence")
	}

	DescribeTable("names a port that is in use", func(flag string, addr func() string) {
		ln, err := net.Listen("tcp", addr()) // port 0 becomes a free one
		Expect(err).NotTo(HaveOccurred())
		defer ln.Close()
		fails([]string{flag + "=" + ln.Addr().String()}, ln.Addr().String(), flag, "listens there")
	},
		Entry("XMPP", "--xmpp-bind-address", func() string { return s.xmpp }),
		Entry("XMPP over TLS", "--xmpps-bind-address", func() string { return s.xmpps }),
		Entry("REST", "--rest-bind-address", func() string { return s.rest }),
		Entry("REST over TLS", "--rest-tls-bind-address", func() string { return s.restTLS }),
		Entry("probes", "--health-probe-bind-address", func() string { return s.health }),
		Entry("metrics", "--metrics-bind-address", func() string { return "127.0.0.1:0" }),
	)

	It("names a certificate that is not there", func() {
		fails([]string{"--tls-cert-file=" + filepath.Join(work, "no.crt")}, filepath.Join(work, "no.crt"))
	})

	It("names a certificate that is none", func() {
		bad := filepath.Join(work, "bad.crt")
		Expect(os.WriteFile(bad, []byte("nothing of the kind"), 0o600)).To(Succeed())
		fails([]string{"--tls-cert-file=" + bad}, bad)
	})

	It("names a database that is none", func() {
		dir := filepath.Join(work, "damaged")
		Expect(os.MkdirAll(dir, 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "chat.db"), []byte("this is not a database, only text that is long enough to be read as one"), 0o600)).To(Succeed())
		fails([]string{"--data-dir=" + dir}, filepath.Join(dir, "chat.db"))
	})

	It("names a folder that cannot be written to", func() {
		file := filepath.Join(work, "file")
		Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
		fails([]string{"--data-dir=" + filepath.Join(file, "data")}, file, "--data-dir")
	})

	It("names the namespace that is not there, and the right one starts in the same folder", func() {
		fails([]string{"--namespace=startup-misspelled"}, "startup-misspelled")
		s.start()
		s.stop()
	})

	It("names the domain that its database is of, and leaves the certificate that clients trust", func() {
		selfSigned := []string{"--tls-cert-file=", "--tls-key-file="}
		s.start(selfSigned...)
		s.stop()
		before, err := os.ReadFile(filepath.Join(s.dir, "tls.crt"))
		Expect(err).NotTo(HaveOccurred())
		fails(append(selfSigned, "--domain=other.example"), filepath.Join(s.dir, "chat.db"), "--domain=chat.example", "chat-operator export")
		Expect(os.ReadFile(filepath.Join(s.dir, "tls.crt"))).To(Equal(before))
	})

	It("names the namespace that its database is of, and starts in another one when it is told to move", func() {
		s.start()
		s.stop()
		other := prepareServer("startup-other")
		other.dir = s.dir
		p := other.run()
		DeferCleanup(p.Stop)
		Eventually(p.Done(), startLimit).Should(BeClosed(), "the program still runs:\n%s", p.Tail(10))
		Expect(p.ExitCode()).To(BeNumerically(">", 0))
		Expect(p.Tail(5)).To(And(ContainSubstring(filepath.Join(s.dir, "chat.db")), ContainSubstring("--namespace=startup,"), ContainSubstring("--move-from-namespace=startup")))

		other.start("--move-from-namespace=startup")
		other.stop()
		s.start("--move-from-namespace=startup-other")
		s.stop()
	})

	It("names a database that another process uses", func() {
		s.start()
		DeferCleanup(s.stop)
		fails([]string{"--xmpp-bind-address=127.0.0.1:0", "--xmpps-bind-address=127.0.0.1:0", "--rest-bind-address=127.0.0.1:0",
			"--rest-tls-bind-address=127.0.0.1:0", "--health-probe-bind-address=0"},
			filepath.Join(s.dir, "chat.db"))
		s.applyUser("mira", "mira's word")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatuser/mira")
		s.login("mira", "mira's word")
	})
})
