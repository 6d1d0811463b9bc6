package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/chat-operator/chat-operator/hack/internal/localkube"
	"github.com/chat-operator/chat-operator/hack/internal/overlay"
	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

// domain is the XMPP domain of every server here.
const domain = "chat.example"

// server is one chat server: a namespace with the program that serves it.
type server struct {
	namespace string
	domain    string
	dir       string // --data-dir
	xmpp      string // STARTTLS
	xmpps     string // direct TLS
	rest      string
	restTLS   string
	health    string
	metrics   string // "0": off
	proxy     *proxy // between the program and the API server
	certs     *certificates
	process   *supervise.Process
	starts    int
}

// newServer makes a namespace with the program's rights in it, and starts the program there. Both end with the spec or container that asked.
func newServer(namespace string) *server {
	GinkgoHelper()
	s := prepareServer(namespace)
	s.start()
	DeferCleanup(func() { s.stop() })
	return s
}

// prepareServer makes all that the program needs to start, but does not start it.
func prepareServer(namespace string) *server {
	GinkgoHelper()
	Expect(kube.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
	rights := filepath.Join(work, namespace+"-rights")
	Expect(overlay.Write(rights, namespace, filepath.Join(root, "config", "rbac"))).To(Succeed())
	kubectl(namespace, "", "apply", "--server-side", "--force-conflicts", "--kustomize="+rights)

	// The API server takes up rights a moment after it has stored them.
	account := "system:serviceaccount:" + namespace + ":chat-operator"
	Eventually(func(g Gomega) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               account,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "get", Resource: "secrets"},
		}}
		g.Expect(kube.Create(context.Background(), review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(BeTrue(), review.Status.Reason)
	}, limit).Should(Succeed())

	ports, err := localkube.FreePorts(5)
	Expect(err).NotTo(HaveOccurred())
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	s := &server{
		namespace: namespace, domain: domain, dir: filepath.Join(work, namespace+"-data"),
		xmpp: at(0), xmpps: at(1), rest: at(2), health: at(3), restTLS: at(4), metrics: "0",
		certs: newCertificates(filepath.Join(work, namespace+"-tls")),
	}
	identity, err := cluster.ClientCertificate(account,
		"system:serviceaccounts", "system:serviceaccounts:"+namespace)
	Expect(err).NotTo(HaveOccurred())
	s.proxy = newProxy(identity)
	return s
}

// writeKubeconfig gives the path of a file that has the program ask the API server through the proxy.
func (s *server) writeKubeconfig() string {
	GinkgoHelper()
	path := filepath.Join(work, s.namespace+".kubeconfig")
	Expect(localkube.WriteKubeconfig(path, s.proxy.url, "", nil, nil, nil)).To(Succeed())
	return path
}

// run starts the program with further flags, which win over the usual ones, and does not wait for it.
func (s *server) run(flags ...string) *supervise.Process {
	GinkgoHelper()
	s.starts++
	kubeconfig := s.writeKubeconfig()
	p, err := group.Start(supervise.Spec{
		Name: "chat-operator in " + s.namespace, Path: operator,
		Log:   filepath.Join(work, fmt.Sprintf("%s-%d.log", s.namespace, s.starts)),
		Grace: stopLimit,
		Args: append([]string{
			"--kubeconfig=" + kubeconfig, "--namespace=" + s.namespace, "--domain=" + domain, "--data-dir=" + s.dir,
			"--xmpp-bind-address=" + s.xmpp, "--xmpps-bind-address=" + s.xmpps, "--rest-bind-address=" + s.rest,
			"--rest-tls-bind-address=" + s.restTLS,
			"--health-probe-bind-address=" + s.health, "--metrics-bind-address=" + s.metrics,
			"--tls-cert-file=" + s.certs.certFile, "--tls-key-file=" + s.certs.keyFile,
		}, flags...),
	})
	Expect(err).NotTo(HaveOccurred())
	return p
}

// start starts the program, with further flags if need be, and waits until its readiness probe answers.
func (s *server) start(flags ...string) {
	GinkgoHelper()
	s.process = s.run(flags...)
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	Expect(s.process.WaitReady(ctx, func(ctx context.Context) error { return get(ctx, "http://"+s.health+"/readyz") })).To(Succeed())
}

// stop ends the program as a rollout does. What it printed is shown when the spec has failed.
func (s *server) stop() {
	GinkgoHelper()
	AddReportEntry(s.process.Log(), ReportEntryVisibilityFailureOrVerbose, s.process.Tail(60))
	stopped := s.process.Stop()
	log, err := os.ReadFile(s.process.Log())
	Expect(err).NotTo(HaveOccurred())
	if found := broken.FindIndex(log); found != nil { // which no other attempt makes good
		AbortSuite(fmt.Sprintf("%s, from byte %d on:\n%s", s.process.Log(), found[0], log[found[0]:min(len(log), found[0]+20_000)]))
	}
	Expect(stopped).To(Succeed())
	Expect(s.process.ExitCode()).To(BeZero(), "the program's exit status after SIGTERM:\n%s", s.process.Tail(20))
}

// broken is what the runtime prints of a program that is wrong.
var broken = regexp.MustCompile(`(?m)^(WARNING: DATA RACE|panic: |fatal error: )`)

func (s *server) restart() {
	GinkgoHelper()
	s.stop()
	s.start()
}

// apply applies a manifest with kubectl.
func (s *server) apply(manifest string) { GinkgoHelper(); kubectl(s.namespace, manifest, "apply") }

// kubectl runs kubectl in the server's namespace.
func (s *server) kubectl(args ...string) string {
	GinkgoHelper()
	return strings.TrimSpace(kubectl(s.namespace, "", args...))
}

// applyUser declares a user with a password of its own.
func (s *server) applyUser(name, password string) {
	GinkgoHelper()
	s.apply(fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata:
  name: %[1]s-password
stringData:
  password: %[2]q
---
apiVersion: chat-operator.io/v1alpha1
kind: ChatUser
metadata:
  name: %[1]s
spec:
  credentials:
    secretRef:
      name: %[1]s-password
`, name, password))
}

// restSecret is the shared secret of REST's secret authentication.
func (s *server) restSecret() string {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(kube.Get(context.Background(), types.NamespacedName{Namespace: s.namespace, Name: "chat-operator"}, secret)).To(Succeed())
	Expect(secret.Data).To(HaveKey("rest-secret"))
	return string(secret.Data["rest-secret"])
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}
