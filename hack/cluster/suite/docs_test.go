//go:build cluster

package suite

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/chat-operator/chat-operator/hack/internal/markdown"
	"github.com/chat-operator/chat-operator/hack/internal/reader"
)

// story is what happens around the blocks of a page.
type story struct {
	// fresh pages begin with a cluster that has nothing of ours, the others with the installation of docs/getting-started.md.
	fresh bool
	// also are parts of blocks that need no cluster, and are followed here besides.
	also []string
	// node says that the page does what only a cluster that is ours bears, or can be seen only from its node.
	node    bool
	moments func(*follower) []reader.Moment
}

var stories = map[string]story{
	"docs/getting-started.md": {fresh: true, moments: gettingStarted},
	"docs/rest.md":            {also: []string{"export REST_URL=", `"Authorization: $REST_SECRET" "$REST_URL/users"`}, moments: rest},
	"docs/troubleshooting.md": {also: []string{"kubectl chat status"}, moments: troubleshooting},
	"docs/monitoring.md":      {moments: profiles},
	"docs/failure-modes.md":   {node: true, moments: failures},
	"docs/gitops.md":          {moments: argoCD},
	"docs/tls.md":             {moments: certificates},
	"docs/upgrade.md":         {also: []string{"kubectl chat status"}, moments: upgrades},
	"docs/backup.md":          {moments: backups},
	"docs/helm.md":            {fresh: true, moments: withHelm},
}

// The pages speak of the namespaces chat and chat-operator, and so do the commands here. What stands for a placeholder: the image that nodes have for
// REGISTRY/chat-operator:dev and for a new version of it, and the cluster's node for NODE.
var _ = Describe("The documentation", Ordered, ContinueOnFailure, func() {
	var f *follower
	BeforeAll(func() {
		for _, namespace := range []string{"chat", "chat-operator", "argocd"} {
			if kubectl("", "get", "namespace", namespace, "--ignore-not-found", "--output=name") != "" {
				Skip("the cluster has a namespace " + namespace + ", which is one that the pages make and remove")
			}
		}
		removeCRDs()
		DeferCleanup(installCRDs)
		f = newFollower()
		servers[f.server] = true
		DeferCleanup(func() { delete(servers, f.server) })
		DeferCleanup(f.clear)
	})
	for _, page := range Pages {
		It("does in a cluster in "+page+" what it says", func() {
			story, known := stories[page]
			Expect(known).To(BeTrue(), "what happens around the blocks of %s", page)
			if story.node && !direct {
				Skip("only in a cluster that is ours")
			}
			if story.fresh {
				f.clear()
			} else {
				f.install()
			}
			f.Runs = func(b markdown.Block) bool {
				if b.Language != "sh" || b.Needs != "" && b.Needs != "cluster" {
					return false
				}
				also := false
				for _, part := range story.also {
					also = also || strings.Contains(b.Text, part)
				}
				return also || b.Needs == "cluster"
			}
			f.Follow(page, story.moments(f)...)
		})
	}
})

// follower is a reader, and the installation that the pages make.
type follower struct {
	*reader.Reader
	*server
}

// newFollower makes a folder that looks like the top of the repository, where pages may write files, and a reader who sits in it.
func newFollower() *follower {
	GinkgoHelper()
	scratch, err := os.MkdirTemp("", "chat-docs-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(os.RemoveAll(scratch)).To(Succeed()) })
	checkout, programs := filepath.Join(scratch, "checkout"), filepath.Join(scratch, "programs")
	Expect(os.Mkdir(checkout, 0o700)).To(Succeed())
	for _, folder := range []string{"bin", "charts", "config", "docs"} {
		Expect(os.Symlink(filepath.Join(root, folder), filepath.Join(checkout, folder))).To(Succeed())
	}
	program, err := exec.LookPath("make")
	Expect(err).NotTo(HaveOccurred())
	reader.Executable(programs, "make", "exec "+program+" --directory='"+root+`' "$@"`)
	// Its own, for pages may change it.
	kubeconfig := filepath.Join(scratch, "kubeconfig")
	Expect(os.WriteFile(kubeconfig, []byte(kubectl("", "config", "view", "--raw", "--flatten", "--minify")), 0o600)).To(Succeed())
	caches, err := command("", "go", "env", "GOCACHE", "GOMODCACHE")
	Expect(err).NotTo(HaveOccurred())
	build, modules, _ := strings.Cut(strings.TrimSpace(caches), "\n")

	colon := strings.LastIndex(image, ":")
	repository, tag := image[:colon], image[colon+1:]
	return &follower{
		server: &server{namespace: "chat", release: "chat", domain: "chat.example.com"},
		Reader: &reader.Reader{
			Root: root, Dir: checkout, Scratch: scratch, Path: programs + ":" + os.Getenv("PATH"), Patience: 2 * startLimit,
			Env: []string{"KUBECONFIG=" + kubeconfig, "GOCACHE=" + build, "GOMODCACHE=" + modules},
			Elsewhere: strings.NewReplacer(
				"REGISTRY/chat-operator:dev", image, "REGISTRY/chat-operator:NEW", image,
				"image.repository=REGISTRY/chat-operator --set image.tag=dev", "image.repository="+repository+" --set-string image.tag="+tag,
				"newName: REGISTRY/chat-operator, newTag: dev", "newName: '"+repository+"', newTag: '"+tag+"'",
				"--set image.tag=NEW", "--set-string image.tag="+tag, "taint node NODE", "taint node "+kubectl("", "get", "nodes", "--output=jsonpath={.items[0].metadata.name}"),
			),
		},
	}
}

// clear removes what the pages have made.
func (f *follower) clear() {
	GinkgoHelper()
	helm(f.namespace, "uninstall", f.release, "--ignore-not-found")
	helm("chat-operator", "uninstall", crdsRelease, "--ignore-not-found")
	kubectl("", "delete", "--ignore-not-found", "--timeout=2m", "namespace", "chat", "chat-operator", "argocd")
	kubectl("", "delete", "--ignore-not-found", "--timeout=2m", "--kustomize="+filepath.Join(root, "config", "cluster"))
	kubectl("", "delete", "clusterrole", "--ignore-not-found", "--selector=app.kubernetes.io/instance="+crdsRelease)
}

// install makes the installation of docs/getting-started.md, if it is not there.
func (f *follower) install() {
	GinkgoHelper()
	if helm(f.namespace, "list", "--short") != "" {
		return
	}
	f.clear()
	f.place()
}

// place installs both charts.
func (f *follower) place() {
	GinkgoHelper()
	helm("chat-operator", "upgrade", "--install", crdsRelease, filepath.Join(root, "charts", "chat-operator-crds"), "--create-namespace")
	colon := strings.LastIndex(image, ":")
	helm(f.namespace, "upgrade", "--install", f.release, filepath.Join(root, "charts", "chat-operator"), "--create-namespace", "--wait", "--timeout="+startLimit.String(),
		"--set=domain="+f.domain, "--set=image.repository="+image[:colon], "--set-string=image.tag="+image[colon+1:])
	f.reachable()
}

// change upgrades the release with further values, and waits until that is in force.
func (f *follower) change(values ...string) {
	GinkgoHelper()
	args := []string{"upgrade", f.release, filepath.Join(root, "charts", "chat-operator"), "--reset-then-reuse-values", "--wait", "--timeout=" + startLimit.String()}
	for _, v := range values {
		args = append(args, "--set="+v)
	}
	helm(f.namespace, args...)
	f.rolledOut()
}

// rolledOut waits until the Pod is the one that is wanted, and serves.
func (f *follower) rolledOut() {
	GinkgoHelper()
	f.kubectl("rollout", "status", "statefulset/chat-operator", "--timeout="+startLimit.String())
}

// file is the path of a file in the folder where the reader sits.
func (f *follower) file(name string) string { return filepath.Join(f.Dir, name) }

// forwarding leads a port of this machine to the one of the same number of something in the cluster, until end.
func (f *follower) forwarding(to, port string) (end func()) {
	GinkgoHelper()
	cmd := exec.Command("kubectl", "--namespace="+f.namespace, "port-forward", to, port)
	cmd.Stdout, cmd.Stderr = GinkgoWriter, GinkgoWriter
	Expect(cmd.Start()).To(Succeed())
	end = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	DeferCleanup(end)
	listens(port)
	return end
}

// listens waits until somebody listens on a port of this machine: what runs in the background needs a moment that people do not notice.
func listens(port string) {
	GinkgoHelper()
	Eventually(func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err
	}, limit).Should(Succeed())
}
