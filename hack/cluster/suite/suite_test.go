//go:build cluster

package suite

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/chat-operator/chat-operator/hack/flaky"
)

const (
	// startLimit is far more than an installation needs to serve, where the image is at hand.
	startLimit = 2 * time.Minute
	// limit is how long anything else may take.
	limit = 30 * time.Second
)

// The cluster that all scenarios share. Each has namespaces of its own.
var (
	root  string // of the repository
	image string // IMG
	kube  kubernetes.Interface
	// direct says that addresses of Services can be reached from here; otherwise connections go through the API server.
	direct bool
	// prefix begins the names of namespaces: in a cluster that is not ours alone, nobody else has them.
	prefix = "chat-e2e-" + strings.ToLower(rand.Text()[:5])
)

func TestCluster(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	suite, reporter := GinkgoConfiguration()
	RunSpecs(t, "The charts in a cluster", suite, reporter)
}

var _ = ReportAfterSuite("flaky specs", func(suite Report) { Expect(flaky.Tell(suite)).To(Succeed()) })

var _ = BeforeSuite(func() {
	var err error
	root, err = filepath.Abs(filepath.Join("..", "..", ".."))
	Expect(err).NotTo(HaveOccurred())
	image = os.Getenv("IMG")
	Expect(image).To(MatchRegexp(`^.+:[^/:]+$`), "IMG names the image, with a tag, that the cluster's nodes have or can pull")
	direct = os.Getenv("E2E_SERVICES") == "direct"
	for _, program := range []string{"kubectl", "helm"} {
		_, err := exec.LookPath(program)
		Expect(err).NotTo(HaveOccurred(), "%s is needed; `make e2e` puts its own in the PATH", program)
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	Expect(err).NotTo(HaveOccurred(), "KUBECONFIG names no cluster")
	config.QPS, config.Burst = 200, 400 // many clients look Services up
	kube, err = kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	version, err := kube.Discovery().ServerVersion()
	Expect(err).NotTo(HaveOccurred(), "the cluster of KUBECONFIG does not answer")
	GinkgoWriter.Println("Kubernetes", version.GitVersion)

	there := kubectl("", "get", "crds", "--output=name")
	Expect(there).NotTo(ContainSubstring("chat-operator.io"),
		"The cluster has custom resources of chat-operator. The suite changes and removes them: it needs a cluster without.")
	installCRDs()
	DeferCleanup(removeCRDs)
	DeferCleanup(func() {
		for _, namespace := range namespaces {
			waitGone(namespace)
		}
	})
})

// The release of what belongs to the cluster.
const crdsRelease, crdsNamespace = "chat-operator-crds", "default"

// installCRDs installs the chart of what belongs to the cluster, or brings it up to date.
func installCRDs() {
	GinkgoHelper()
	helm(crdsNamespace, "upgrade", "--install", crdsRelease, filepath.Join(root, "charts", "chat-operator-crds"))
	waitCRDs()
}

func waitCRDs() {
	GinkgoHelper()
	kubectl("", "wait", "--for=condition=Established", "--timeout=30s", "crd", "--selector=app.kubernetes.io/instance="+crdsRelease)
}

// removeCRDs removes them for good, which uninstalling the release does not.
func removeCRDs() {
	GinkgoHelper()
	helm(crdsNamespace, "uninstall", crdsRelease, "--ignore-not-found")
	kubectl("", "delete", "crd", "--ignore-not-found", "--timeout=60s", "--selector=app.kubernetes.io/instance="+crdsRelease)
	Expect(kubectl("", "get", "crds", "--output=name")).NotTo(ContainSubstring("chat-operator.io"))
}

// kubectl runs kubectl in a namespace and returns what it printed.
func kubectl(namespace string, args ...string) string {
	GinkgoHelper()
	out, err := tryKubectl(namespace, "", args...)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(out)
}

// apply applies a manifest.
func apply(namespace, manifest string) {
	GinkgoHelper()
	_, err := tryKubectl(namespace, manifest, "apply", "--filename=-")
	Expect(err).NotTo(HaveOccurred())
}

func tryKubectl(namespace, stdin string, args ...string) (string, error) {
	if namespace != "" {
		args = append([]string{"--namespace=" + namespace}, args...)
	}
	return command(stdin, "kubectl", args...)
}

// helm runs Helm in a namespace and returns what it printed.
func helm(namespace string, args ...string) string {
	GinkgoHelper()
	out, err := tryHelm(namespace, args...)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(out)
}

func tryHelm(namespace string, args ...string) (string, error) {
	return command("", "helm", append([]string{"--namespace=" + namespace}, args...)...)
}

func command(stdin, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}
