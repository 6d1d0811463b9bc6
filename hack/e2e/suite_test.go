package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/hack/flaky"
	"github.com/chat-operator/chat-operator/hack/internal/localkube"
	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

const (
	// startLimit is far more than any process here needs to start.
	startLimit = 3 * time.Minute
	// limit is how long anything that is promised without a figure may take, on a machine that has much else to do.
	limit = time.Minute
	// promptly is how long what is promised within a second may take, and attempts how often it may take longer: the machine may have been busy.
	promptly, attempts = time.Second, 5
)

// The world that all scenarios share. Each scenario has a namespace, that is a chat server, of its own.
var (
	root     string // of the repository
	binaries string // etcd, kube-apiserver, kubectl
	programs string // what build has built
	operator string // the program
	work     string // scratch folder

	group   *supervise.Group
	cluster *localkube.Cluster
	kube    client.Client // the administrator's
)

func TestEndToEnd(t *testing.T) {
	RegisterFailHandler(Fail)
	ctrllog.SetLogger(logr.Discard()) // of the client
	suite, reporter := GinkgoConfiguration()
	reporter.Succinct = !reporter.Verbose && !reporter.VeryVerbose
	RunSpecs(t, "End to end", suite, reporter)
}

var _ = ReportAfterSuite("flaky specs", func(suite Report) { Expect(flaky.Tell(suite)).To(Succeed()) })

// The suite may run in several processes (hack/test.sh), each with a control plane of its own. What they test is built once.
var _ = SynchronizedBeforeSuite(func() []byte {
	dir, err := os.MkdirTemp("", "chat-e2e-programs-")
	Expect(err).NotTo(HaveOccurred())
	return []byte(dir)
}, func(dir []byte) {
	programs = string(dir)
	var err error
	root, err = filepath.Abs(filepath.Join("..", ".."))
	Expect(err).NotTo(HaveOccurred())
	binaries = os.Getenv("KUBEBUILDER_ASSETS")
	if binaries == "" {
		binaries = filepath.Join(root, "bin", "k8s")
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		Expect(filepath.Join(binaries, name)).To(BeAnExistingFile(), "`make controlplane` builds it, or KUBEBUILDER_ASSETS names a folder that has it")
	}
	work, err = os.MkdirTemp("", "chat-e2e-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(os.RemoveAll(work)).To(Succeed()) })

	operator = build("chat-operator", ".", ".")

	group = supervise.New("")
	DeferCleanup(func() { Expect(group.Close()).To(Succeed()) })
	ports, err := localkube.FreePorts(4)
	Expect(err).NotTo(HaveOccurred())
	cluster, err = localkube.New(localkube.Config{
		Binaries: binaries, Dir: filepath.Join(work, "cluster"), Throwaway: true,
		APIPort: ports[0], EtcdPort: ports[1], EtcdPeerPort: ports[2], ControllerManagerPort: ports[3],
	}, group)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	Expect(cluster.Start(ctx)).To(Succeed())
	// Its data goes anyway, and an orderly end waits for every watch.
	DeferCleanup(func() { cluster.KillAPIServer() })

	config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig())
	Expect(err).NotTo(HaveOccurred())
	s := runtime.NewScheme()
	Expect(scheme.AddToScheme(s)).To(Succeed())
	Expect(v1alpha1.AddToScheme(s)).To(Succeed())
	kube, err = client.New(config, client.Options{Scheme: s})
	Expect(err).NotTo(HaveOccurred())

	crds := filepath.Join(root, "config", "crd", "bases")
	kubectl("default", "", "apply", "--server-side", "--kustomize="+filepath.Join(root, "config", "cluster"))
	kubectl("default", "", "wait", "--for=condition=Established", "--timeout=60s", "--filename="+crds)
	// Whoever asks for all kinds at once, as kubectl does, is told of them a moment later.
	Eventually(func() error {
		_, err := tryKubectl("default", "", "get", "chatusers,chatgroups,chatrooms,systemproperties")
		return err
	}, limit).Should(Succeed())
})

var _ = SynchronizedAfterSuite(func() {}, func() { Expect(os.RemoveAll(programs)).To(Succeed()) })

// build builds a program of this repository, from a module and a package in it, with the race detector when RACE says so; once for all processes
// of the suite.
func build(name, module, pkg string) string {
	GinkgoHelper()
	path := filepath.Join(programs, name)
	turn, err := os.Create(path + ".lock")
	Expect(err).NotTo(HaveOccurred())
	defer turn.Close()
	Expect(syscall.Flock(int(turn.Fd()), syscall.LOCK_EX)).To(Succeed())
	if _, err := os.Stat(path); err == nil {
		return path
	}
	// Without what only a debugger reads, it is linked in two thirds of the time.
	args := []string{"build", "-ldflags=-w", "-o", path}
	race := strings.Fields(os.Getenv("RACE"))
	cmd := exec.Command("go", append(append(args, race...), pkg)...)
	cmd.Dir = filepath.Join(root, module)
	if len(race) == 0 {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as `make build` has it
	}
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "go build %s:\n%s", pkg, out)
	return path
}

// kubectl runs kubectl as the administrator in a namespace and returns what it printed.
func kubectl(namespace, stdin string, args ...string) string {
	GinkgoHelper()
	out, err := tryKubectl(namespace, stdin, args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

func tryKubectl(namespace, stdin string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(binaries, "kubectl"), append([]string{"--kubeconfig=" + cluster.Kubeconfig(), "--namespace=" + namespace}, args...)...)
	if stdin != "" {
		file := filepath.Join(work, "manifest.yaml")
		if err := os.WriteFile(file, []byte(stdin), 0o600); err != nil {
			return "", err
		}
		cmd.Args = append(cmd.Args, "--filename="+file)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %v: %w\n%s", args, err, out)
	}
	return string(out), nil
}
