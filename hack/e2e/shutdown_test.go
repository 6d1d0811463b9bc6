package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// stopLimit is how long the program may take to end in an orderly way. Kubernetes gives it 30 seconds unless told otherwise; a busy machine takes longer.
const stopLimit = time.Minute

var _ = Describe("Asked to stop", Ordered, func() {
	var s *server
	BeforeAll(func() {
		s = newServer("shutdown")
		for _, name := range []string{"mira", "tobias", "tove"} {
			s.applyUser(name, name+"'s word")
		}
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "--all", "chatusers")
	})

	// answer asks a probe.
	ask := func(path string) (int, string) {
		GinkgoHelper()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.health+path, nil)
		Expect(err).NotTo(HaveOccurred())
		resp, err := http.DefaultClient.Do(req)
		Expect(err).NotTo(HaveOccurred())
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		Expect(err).NotTo(HaveOccurred())
		return resp.StatusCode, string(b)
	}

	It("says what it is when all is well", func() {
		status, text := ask("/readyz?verbose")
		Expect(status).To(Equal(http.StatusOK))
		Expect(text).To(Equal("[+]chat ok\nreadyz check passed\n"))
		_, text = ask("/healthz")
		Expect(text).To(Equal("ok"))
	})

	It("lets nobody in, tells clients why they go, keeps what it was sent, and ends with status 0", func() {
		mira, tobias := s.login("mira", "mira's word"), s.login("tobias", "tobias's word")
		lingering := s.bare("tobias", "tobias's word")
		lingering.send(`<enable xmlns="urn:xmpp:sm:3" resume="true"/>`)
		lingering.until("<enabled ")
		const many = 200
		for i := range many {
			mira.say("tove", fmt.Sprintf("for later %d", i))
			mira.say("tobias", fmt.Sprintf("at once %d", i))
		}
		// An answer says that all of them were read (RFC 6120 §10.1).
		Expect(mira.ask(`<iq type="get"><ping xmlns="urn:xmpp:ping"/></iq>`)).To(HaveField("Type", "result"))
		Expect(s.process.Signal(syscall.SIGTERM)).To(Succeed())

		By("being alive, but not ready, for as long as somebody lingers")
		lingering.until("<system-shutdown ")
		lingering.until("</stream:stream>")
		status, text := ask("/readyz")
		Expect(status).To(Equal(http.StatusServiceUnavailable))
		Expect(text).To(ContainSubstring("shutting down"))
		status, _ = ask("/healthz")
		Expect(status).To(Equal(http.StatusOK))
		for _, address := range []string{s.xmpp, s.xmpps} {
			_, err := net.DialTimeout("tcp", address, limit)
			Expect(err).To(MatchError(syscall.ECONNREFUSED), address)
		}

		By("telling clients (RFC 6120 §4.9.3.20)")
		for _, c := range []*chatClient{mira, tobias} {
			Eventually(c.ended, limit).Should(BeClosed())
			Expect(c.err).To(MatchError(ContainSubstring("system-shutdown")))
		}
		var heard, said []string
		for _, in := range tobias.drained() {
			if in.XMLName.Local == "message" {
				heard = append(heard, in.Body)
			}
		}
		for i := range many {
			said = append(said, fmt.Sprintf("at once %d", i))
		}
		Expect(heard).To(Equal(said))
		lingering.close()
		Eventually(s.process.Done(), stopLimit).Should(BeClosed())
		Expect(s.process.ExitCode()).To(BeZero())

		By("having kept every message")
		s.start()
		tove := s.login("tove", "tove's word")
		for i := range many {
			tove.hear(fmt.Sprintf("for later %d", i))
		}
		mira, tobias = s.login("mira", "mira's word"), s.login("tobias", "tobias's word")
		mira.say("tobias", "and on we go")
		Expect(tobias.hear("and on we go").Body).NotTo(BeEmpty())
		Expect(tobias.drained()).NotTo(ContainElement(HaveField("Body", HavePrefix("at once"))), "what had arrived comes once")
	})

	It("ends though a client never closes its side", func() {
		lingering := s.bare("mira", "mira's word")
		Expect(s.process.Signal(syscall.SIGTERM)).To(Succeed())
		lingering.until("</stream:stream>")
		Eventually(s.process.Done(), stopLimit).Should(BeClosed())
		Expect(s.process.ExitCode()).To(BeZero())
		s.start()
	})
})

// bareClient is a client that does nothing by itself.
type bareClient struct {
	conn *tls.Conn
	read string
}

// bare logs in over direct TLS and binds a resource.
func (s *server) bare(username, password string) *bareClient {
	GinkgoHelper()
	conn, err := tls.Dial("tcp", s.xmpps, &tls.Config{ServerName: domain, RootCAs: s.certs.roots, NextProtos: []string{"xmpp-client"}, MinVersion: tls.VersionTLS13})
	Expect(err).NotTo(HaveOccurred())
	c := &bareClient{conn: conn}
	DeferCleanup(c.close)
	open := `<stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" to="` + domain + `" version="1.0">`
	c.send(open)
	c.until("</stream:features>")
	c.send(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">` + base64.StdEncoding.EncodeToString([]byte("\x00"+username+"\x00"+password)) + `</auth>`)
	c.until("<success ")
	c.send(open)
	c.until("</stream:features>")
	c.send(`<iq type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`)
	c.until("</iq>")
	return c
}

func (c *bareClient) send(text string) {
	GinkgoHelper()
	_, err := io.WriteString(c.conn, text)
	Expect(err).NotTo(HaveOccurred())
}

// until reads up to the end of a text.
func (c *bareClient) until(text string) {
	GinkgoHelper()
	Expect(c.conn.SetReadDeadline(time.Now().Add(limit))).To(Succeed())
	buf := make([]byte, 4096)
	for {
		if at := strings.Index(c.read, text); at >= 0 {
			c.read = c.read[at+len(text):]
			return
		}
		n, err := c.conn.Read(buf)
		c.read += string(buf[:n])
		if n == 0 {
			Expect(err).NotTo(HaveOccurred(), "before %s; read %q", text, c.read)
		}
	}
}

func (c *bareClient) close() { _ = c.conn.Close() }
