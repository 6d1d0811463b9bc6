package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"mellium.im/sasl"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/hack/internal/localkube"
	"github.com/chat-operator/chat-operator/hack/internal/markdown"
	"github.com/chat-operator/chat-operator/hack/internal/reader"
)

// withMakeRun are the pages that begin with `make run`, and are followed with it (run_test.go).
var withMakeRun = []string{"README.md", filepath.Join("docs", "getting-started.md")}

// fixture is what is declared before a page is opened.
const fixture = `
apiVersion: chat-operator.io/v1alpha1
kind: ChatUser
metadata: {name: mira}
spec: {displayName: Mira Okafor, admin: true}
---
apiVersion: chat-operator.io/v1alpha1
kind: ChatGroup
metadata: {name: night-shift}
spec: {groupName: Night Shift, members: [mira, tobias]}
---
apiVersion: chat-operator.io/v1alpha1
kind: ChatRoom
metadata: {name: lobby}
spec: {displayName: The Lobby}
`

var _ = Describe("The documentation", Ordered, ContinueOnFailure, func() {
	var (
		s *server
		r *reader.Reader
		// kubeconfig is the reader's own, which pages may change.
		kubeconfig string
	)
	BeforeAll(func() {
		s = prepareServer("chat") // as the commands call it
		ports, err := localkube.FreePorts(1)
		Expect(err).NotTo(HaveOccurred())
		s.metrics = fmt.Sprintf("127.0.0.1:%d", ports[0])
		// Tokens are accepted where the cluster lets the operator ask about them (docs/rest.md).
		s.kubectl("create", "clusterrolebinding", "docs-access", "--clusterrole=system:auth-delegator", "--serviceaccount=chat:chat-operator")
		s.start()
		DeferCleanup(func() { s.stop() })

		run := filepath.Join(work, "docs-run")
		Expect(os.Mkdir(run, 0o700)).To(Succeed())
		kubeconfig = filepath.Join(run, "kubeconfig")
		Expect(os.Symlink(s.dir, filepath.Join(run, "operator"))).To(Succeed())
		var env strings.Builder
		for name, value := range map[string]string{
			"KUBECONFIG": kubeconfig, "CHAT_DATA_DIR": filepath.Join(run, "operator"), "XMPP_ADDR": s.xmpp, "XMPPS_ADDR": s.xmpps, "XMPP_DOMAIN": s.domain, "HEALTH_ADDR": s.health, "METRICS_ADDR": s.metrics, "OPERATOR_PID": strconv.Itoa(s.process.PID()),
			"REST_URL": "http://" + s.rest + "/plugins/restapi/v1", "REST_SECRET": s.restSecret(), "KUBECTL_CHAT_REST_URL": "http://" + s.rest,
		} {
			fmt.Fprintf(&env, "export %s='%s'\n", name, value)
		}
		Expect(os.WriteFile(filepath.Join(run, "env"), []byte(env.String()), 0o600)).To(Succeed())
		r = newReader("docs-checkout", run, "127.0.0.1:5222", s.xmpp, "127.0.0.1:5223", s.xmpps, "127.0.0.1:9090", s.rest, "127.0.0.1:9091", s.restTLS,
			"127.0.0.1:8081", s.health, "127.0.0.1:8080", s.metrics)
		r.Prelude = ". .run/env\nexport PATH=\"$PWD/bin:$PWD/bin/k8s:$PATH\"\n"
	})
	// Each page begins with the fixture, and with tobias and ines, whom nobody declares.
	BeforeEach(func() {
		raw, err := os.ReadFile(cluster.Kubeconfig())
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(kubeconfig, raw, 0o600)).To(Succeed())
		for _, kind := range []client.Object{&v1alpha1.ChatUser{}, &v1alpha1.ChatGroup{}, &v1alpha1.ChatRoom{}, &v1alpha1.SystemProperty{}} {
			Expect(kube.DeleteAllOf(context.Background(), kind, client.InNamespace(s.namespace))).To(Succeed())
		}
		for _, document := range strings.Split(fixture, "---\n") {
			u := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal([]byte(document), &u.Object)).To(Succeed())
			u.SetNamespace(s.namespace)
			Expect(kube.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(u), client.ForceOwnership, client.FieldOwner("somebody"))).To(Succeed())
		}
		for _, name := range []string{"tobias", "ines"} {
			Eventually(func() answer { return s.call("POST", "/users", user(name, "a word")) }, limit).Should(status(201))
		}
		Eventually(func(g Gomega) {
			var users v1alpha1.ChatUserList
			g.Expect(kube.List(context.Background(), &users, client.InNamespace(s.namespace))).To(Succeed())
			g.Expect(users.Items).To(HaveLen(3))
			for _, u := range users.Items {
				g.Expect(meta.IsStatusConditionTrue(u.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue(), u.Name)
			}
		}, limit, "50ms").Should(Succeed())
		// Mira is a user as the samples and the notes of the chart make one, in whose generated Secret is the password that pages call hers.
		s.kubectl("patch", "secret", "mira-credentials", "--type=merge", "--patch", `{"stringData":{"password":"her password"}}`)
		Eventually(func() error {
			c, err := s.tryLogin("mira", "her password", sasl.ScramSha256Plus)
			if err == nil {
				c.close()
			}
			return err
		}, limit).Should(Succeed())
	})

	moments := map[string]func() []reader.Moment{
		"docs/kubectl-chat.md": func() []reader.Moment {
			var tobias *chatClient
			return []reader.Moment{{
				Block: "kubectl chat purge noor",
				After: func(out string) {
					Expect(out).To(And(ContainSubstring("noor: password set"), ContainSubstring("noor: deleted, and its data purged")))
				},
			}, {
				Block: "kubectl chat send tobias",
				Before: func() {
					tobias = s.login("tobias", "a word")
					tobias.enter("lobby@conference."+domain, "tobias")
				},
				After: func(out string) {
					tobias.hear("The build is done.")
					tobias.hear("The server restarts at ten.")
					tobias.hear("Coffee is ready.")
					Eventually(tobias.ended, limit).Should(BeClosed())
					Expect(out).To(ContainSubstring("tobias annotated"))
				},
			}, {
				Block: `--rest-url "$REST_URL"`,
				After: func(out string) { Expect(out).To(ContainSubstring("tobias")) },
			}}
		},
	}
	It("shows manifests that the API server takes", func() {
		for _, page := range pages(root) {
			p, err := markdown.Read(filepath.Join(root, page))
			Expect(err).NotTo(HaveOccurred())
			for _, block := range p.Blocks {
				if block.Language == "yaml" {
					s.takes(block.Text, fmt.Sprintf("%s:%d", page, block.Line))
				}
			}
		}
	})

	for _, page := range pages(filepath.Join("..", "..")) {
		if slices.Contains(withMakeRun, page) || !followable(page) {
			continue
		}
		It("does in "+page+" what it says", func() {
			var at []reader.Moment
			if of, ok := moments[page]; ok {
				at = of()
			}
			r.Follow(page, at...)
		})
	}
})

// takes expects the API server to take a manifest as it stands. Kinds of others, such as those of GitOps tools, are not there.
func (s *server) takes(manifest, from string) {
	GinkgoHelper()
	for _, document := range strings.Split(manifest, "\n---\n") {
		u := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(document), &u.Object)).To(Succeed(), from)
		if u.GetKind() == "" {
			continue // values of the chart, or a part of a manifest
		}
		u.SetNamespace(s.namespace)
		// An apply refuses fields that are not in the schema.
		err := kube.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(u), client.DryRunAll, client.ForceOwnership, client.FieldOwner("docs"))
		if !meta.IsNoMatchError(err) {
			Expect(err).NotTo(HaveOccurred(), from)
		}
	}
}
