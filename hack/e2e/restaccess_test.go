package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Access to REST", Ordered, ContinueOnFailure, func() {
	var s *server
	BeforeAll(func() { s = newServer("access") })

	status := func(authorization, method, path string) func() int {
		return func() int {
			a, err := s.tryCall(authorization, method, path, nil)
			if err != nil {
				return 0
			}
			return a.Status
		}
	}

	// over asks with TLS and says what the answer was, over which protocol, and by which certificate.
	over := func(roots *x509.CertPool, path string) (status int, protocol string, certificate []byte, err error) {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: domain, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		}}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.restTLS+"/plugins/restapi"+path, nil)
		if err != nil {
			return 0, "", nil, err
		}
		req.Header.Set("Authorization", s.restSecret())
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", nil, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, resp.Proto, resp.TLS.PeerCertificates[0].Raw, err
	}

	It("is with TLS by the certificate of XMPP, a new one included", func() {
		code, protocol, first, err := over(s.certs.roots, "/v1/users")
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(Equal(200))
		Expect(protocol).To(Equal("HTTP/2.0"))
		code, _, _, err = over(s.certs.roots, "/docs/")
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(Equal(200))
		s.certs = newCertificates(filepath.Dir(s.certs.certFile))
		Eventually(func(g Gomega) {
			_, _, second, err := over(s.certs.roots, "/v1/users")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(second).NotTo(Equal(first))
		}, startLimit).Should(Succeed())
	})

	It("is by several secrets, each with a scope and replaced by itself", func() {
		secret := func(value string) string {
			return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: viewer, labels: {chat-operator.io/rest-secret: \"true\"}}\nstringData: {rest-secret: %s, rest-scope: read-only}\n", value)
		}
		s.apply(secret("the-first-of-viewers"))
		Eventually(status("the-first-of-viewers", "GET", "/users"), limit).Should(Equal(200))
		Expect(status("the-first-of-viewers", "POST", "/lockouts/mira")()).To(Equal(403))
		s.apply(secret("the-second-of-viewers"))
		Eventually(status("the-second-of-viewers", "GET", "/users"), limit).Should(Equal(200))
		Expect(status("the-first-of-viewers", "GET", "/users")()).To(Equal(401))
		Expect(status(s.restSecret(), "GET", "/users")()).To(Equal(200))
		s.kubectl("delete", "secret", "viewer")
		Eventually(status("the-second-of-viewers", "GET", "/users"), limit).Should(Equal(401))
	})

	It("is by Kubernetes tokens, for what their users may do with kubectl", func() {
		s.kubectl("create", "clusterrolebinding", "rest-access", "--clusterrole=system:auth-delegator", "--serviceaccount="+s.namespace+":chat-operator")
		s.kubectl("create", "serviceaccount", "bot")
		s.kubectl("create", "role", "bot", "--verb=list,get", "--resource=chatusers.chat-operator.io")
		s.kubectl("create", "rolebinding", "bot", "--role=bot", "--serviceaccount="+s.namespace+":bot")
		bearer := "Bearer " + s.kubectl("create", "token", "bot")
		Eventually(status(bearer, "GET", "/users"), limit).Should(Equal(200))
		Expect(status(bearer, "POST", "/lockouts/mira")()).To(Equal(403))
		Expect(status(bearer, "GET", "/system/properties")()).To(Equal(403))
		Expect(status(bearer+"x", "GET", "/users")()).To(Equal(401))
		log, err := os.ReadFile(s.process.Log())
		Expect(err).NotTo(HaveOccurred())
		Expect(string(log)).NotTo(ContainSubstring(strings.TrimPrefix(bearer, "Bearer ")))
	})
})
