package e2e

import (
	"bufio"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("chat-operator check", Ordered, ContinueOnFailure, func() {
	var s *server
	var right, wrong, secret string
	BeforeAll(func() {
		s = newServer("check")
		s.applyUser("probe", "the probe's word")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatuser/probe")
		file := func(name, content string) string {
			path := filepath.Join(work, name)
			Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
			return path
		}
		right, wrong, secret = file("right", "the probe's word\n"), file("wrong", "another word"), file("rest-secret", s.restSecret())
	})

	run := func(xmpp, passwordFile string, more ...string) (string, error) {
		out, err := exec.Command(operator, append([]string{
			"check", "--xmpp=" + xmpp, "--domain=" + domain, "--user=probe", "--password-file=" + passwordFile, "--timeout=60s",
		}, more...)...).CombinedOutput()
		return string(out), err
	}

	It("logs in and calls REST, with and without TLS", func() {
		for _, rest := range []string{"http://" + s.rest, "https://" + s.restTLS} {
			out, err := run(s.xmpp, right, "--rest="+rest, "--rest-secret-file="+secret)
			Expect(err).NotTo(HaveOccurred(), out)
			Expect(out).To(MatchRegexp(`^XMPP: logged in at \S+ as probe@chat\.example/\S+\nREST: %s knows the user probe\n$`, rest))
		}
	})

	It("fails with a wrong password, for XMPP and for REST", func() {
		out, err := run(s.xmpp, wrong)
		Expect(err).To(HaveOccurred())
		Expect(out).To(And(ContainSubstring("the password is wrong, or there is no such account"), ContainSubstring("not-authorized"), Not(ContainSubstring("again"))))
		out, err = run(s.xmpp, right, "--rest=http://"+s.rest, "--rest-secret-file="+wrong)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("401"))
		Expect(out).NotTo(ContainSubstring("another word"))
	})

	It("tells no other server the secret of REST", func() {
		var asked atomic.Bool
		other := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
		other.Config.ErrorLog = log.New(GinkgoWriter, "another server: ", 0)
		other.StartTLS()
		DeferCleanup(other.Close)
		out, err := run(s.xmpp, right, "--rest="+other.URL, "--rest-secret-file="+secret)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("this is another server"))
		Expect(asked.Load()).To(BeFalse())
	})

	It("does not log in through somebody who ends TLS in the middle", func() {
		out, err := run(between(s, newCertificates(filepath.Join(work, "check-between"))), right)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("not-authorized"))
		Expect(out).NotTo(ContainSubstring("logged in"))
	})
})

// between passes connections on to a server, and ends the TLS of both sides itself, so that it reads everything.
func between(s *server, own *certificates) (address string) {
	GinkgoHelper()
	pair, err := tls.LoadX509KeyPair(own.certFile, own.keyFile)
	Expect(err).NotTo(HaveOccurred())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(listener.Close)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				target, err := net.Dial("tcp", s.xmpp)
				if err != nil {
					return
				}
				defer target.Close()
				go func() { // until the client has asked for TLS
					in := bufio.NewReader(client)
					for text := ""; !strings.Contains(text, "<starttls"); {
						part, err := in.ReadString('>')
						if _, failed := target.Write([]byte(part)); err != nil || failed != nil {
							return
						}
						text = part
					}
				}()
				in := bufio.NewReader(target)
				for text := ""; !strings.Contains(text, "<proceed"); {
					if text, err = in.ReadString('>'); err != nil {
						return
					}
					if _, err := client.Write([]byte(text)); err != nil {
						return
					}
				}
				toClient := tls.Server(client, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
				toServer := tls.Client(target, &tls.Config{RootCAs: s.certs.roots, ServerName: s.domain, MinVersion: tls.VersionTLS13})
				go func() { _, _ = io.Copy(toServer, toClient) }()
				_, _ = io.Copy(toClient, toServer)
			}()
		}
	}()
	return listener.Addr().String()
}
