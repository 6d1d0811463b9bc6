//go:build cluster

package suite

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// server is one installation: a namespace with a release of the chart.
type server struct {
	namespace string
	release   string
	domain    string
}

// newNamespace makes a namespace that takes nothing but Pods of the standard "restricted". It goes with the spec or container that asked; the
// end of the suite waits for that.
func newNamespace(name string) string {
	GinkgoHelper()
	namespace := prefix + "-" + name
	_, err := kube.CoreV1().Namespaces().Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"},
	}}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	namespaces = append(namespaces, namespace)
	DeferCleanup(func() {
		err := kube.CoreV1().Namespaces().Delete(context.Background(), namespace, metav1.DeleteOptions{})
		if !apierrors.IsNotFound(err) {
			Expect(err).NotTo(HaveOccurred())
		}
	})
	return namespace
}

// namespaces are all that were made.
var namespaces []string

// deleteNamespace deletes a namespace and waits until it is gone.
func deleteNamespace(namespace string) {
	GinkgoHelper()
	Expect(kube.CoreV1().Namespaces().Delete(context.Background(), namespace, metav1.DeleteOptions{})).To(Succeed())
	waitGone(namespace)
}

func waitGone(namespace string) {
	GinkgoHelper()
	Eventually(func() bool {
		_, err := kube.CoreV1().Namespaces().Get(context.Background(), namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, startLimit).Should(BeTrue(), "namespace %s should be gone", namespace)
}

// newServer makes a namespace and installs the chart in it.
func newServer(name string, values ...string) *server {
	GinkgoHelper()
	s := prepareServer(name)
	s.install(values...)
	return s
}

// prepareServer makes a namespace for an installation.
func prepareServer(name string) *server {
	GinkgoHelper()
	s := &server{namespace: newNamespace(name), release: "chat", domain: name + ".chat.example"}
	servers[s] = true
	DeferCleanup(func() { delete(servers, s) })
	return s
}

// servers are the present installations.
var servers = map[*server]bool{}

// What there is to see when a spec has failed.
var _ = JustAfterEach(func() {
	if CurrentSpecReport().Failed() {
		for s := range servers {
			s.explain()
		}
	}
})

// install installs the release, or upgrades it, with further values (as for --set) and waits until it serves.
func (s *server) install(values ...string) {
	GinkgoHelper()
	s.installFrom(filepath.Join(root, "charts", "chat-operator"), image, values...)
}

func (s *server) installFrom(chart, image string, values ...string) {
	GinkgoHelper()
	colon := strings.LastIndex(image, ":")
	args := []string{
		"upgrade", "--install", s.release, chart, "--wait", "--timeout=" + startLimit.String(),
		"--set=domain=" + s.domain, "--set=image.repository=" + image[:colon], "--set-string=image.tag=" + image[colon+1:],
		// Gone with the suite, and nobody's disk is asked for more.
		"--set=persistence.size=100Mi",
	}
	for _, v := range values {
		args = append(args, "--set="+v)
	}
	helm(s.namespace, args...)
	s.reachable()
}

// explain shows what there is in the namespace.
func (s *server) explain() {
	for _, args := range [][]string{
		{"get", "all,pvc,chat", "--output=wide"},
		{"get", "events", "--sort-by=.lastTimestamp"},
		{"logs", "--selector=" + s.selector(), "--all-containers", "--tail=60", "--prefix"},
	} {
		out, err := tryKubectl(s.namespace, "", args...)
		if err != nil {
			out = err.Error()
		}
		AddReportEntry("kubectl "+strings.Join(args, " "), ReportEntryVisibilityFailureOrVerbose, out)
	}
}

func (s *server) kubectl(args ...string) string { GinkgoHelper(); return kubectl(s.namespace, args...) }

// applyUser declares a user with a password of its own, and waits until it is Ready.
func (s *server) applyUser(name string) {
	GinkgoHelper()
	apply(s.namespace, fmt.Sprintf(`
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
`, name, passwordOf(name)))
	s.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "chatuser/"+name)
}

func passwordOf(name string) string { return name + "'s word" }

// selector selects the server's Pods.
func (s *server) selector() string {
	return "app.kubernetes.io/name=chat-operator,app.kubernetes.io/instance=" + s.release
}

// pod is the Pod that serves.
func (s *server) pod() *corev1.Pod {
	GinkgoHelper()
	pods, err := kube.CoreV1().Pods(s.namespace).List(context.Background(), metav1.ListOptions{LabelSelector: s.selector()})
	Expect(err).NotTo(HaveOccurred())
	Expect(pods.Items).To(HaveLen(1))
	return &pods.Items[0]
}

// claims are the names of the claims in the namespace, and whether each has its volume.
func (s *server) claims() map[string]corev1.PersistentVolumeClaimPhase {
	GinkgoHelper()
	list, err := kube.CoreV1().PersistentVolumeClaims(s.namespace).List(context.Background(), metav1.ListOptions{})
	Expect(err).NotTo(HaveOccurred())
	claims := map[string]corev1.PersistentVolumeClaimPhase{}
	for _, c := range list.Items {
		claims[c.Name] = c.Status.Phase
	}
	return claims
}

// ready waits until a Pod other than the one given serves.
func (s *server) ready(other string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		pods, err := kube.CoreV1().Pods(s.namespace).List(context.Background(), metav1.ListOptions{LabelSelector: s.selector()})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(pods.Items).To(HaveLen(1))
		g.Expect(string(pods.Items[0].UID)).NotTo(Equal(other))
		g.Expect(pods.Items[0].Status.Conditions).To(ContainElement(And(HaveField("Type", corev1.PodReady), HaveField("Status", corev1.ConditionTrue))))
	}, startLimit).Should(Succeed())
	s.reachable()
}

// reachable waits until the Services lead to the Pod, which the nodes learn a moment after it is ready.
func (s *server) reachable() {
	GinkgoHelper()
	for _, port := range []string{"xmpp", "xmpps", "rest", "rest-tls"} {
		Eventually(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			conn, err := s.dial(ctx, port)
			if err != nil {
				return err
			}
			return conn.Close()
		}, limit).Should(Succeed())
	}
}
