//go:build cluster

package suite

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"mellium.im/sasl"

	"github.com/chat-operator/chat-operator/hack/internal/chat"
	"github.com/chat-operator/chat-operator/hack/internal/reader"
)

func gettingStarted(f *follower) []reader.Moment {
	var password string
	return []reader.Moment{{
		Block: "chat-operator-crds", After: func(string) { waitCRDs() },
	}, {
		Block: "helm test chat", After: func(out string) { Expect(out).To(MatchRegexp(`Phase: +Succeeded`)) },
	}, {
		Block: "name: ines", After: func(out string) {
			lines := strings.Split(strings.TrimSpace(out), "\n")
			password = lines[len(lines)-1]
			_, err := f.tryLogin("ines", password)
			Expect(err).NotTo(HaveOccurred(), "the last line is the password:\n%s", out)
		},
	}, {
		Block: "service/chat-operator 5222", Meanwhile: func() {
			listens("5222")
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:5222")
			Expect(err).NotTo(HaveOccurred())
			session, err := chat.Open(ctx, conn, chat.Login{Username: "ines", Domain: f.domain, Password: password, Mechanism: sasl.ScramSha256Plus, TLS: f.insecure()})
			Expect(err).NotTo(HaveOccurred())
			Expect(session.Close()).To(Succeed())
			session.Conn().Close()
		},
	}}
}

func rest(f *follower) []reader.Moment {
	return []reader.Moment{{
		Block: "port-forward", Before: func() { f.applyUser("mira") }, After: func(string) { listens("9090") },
	}, {
		Block: `"Authorization: $REST_SECRET"`, After: func(out string) { Expect(out).To(ContainSubstring("<username>mira</username>")) },
	}}
}

func troubleshooting(f *follower) []reader.Moment {
	return []reader.Moment{{
		Block: "kubectl chat status", Before: func() { f.applyUser("mira") }, After: func(out string) { Expect(out).To(And(ContainSubstring("chat.example.com"), ContainSubstring("/mira"))) },
	}, {
		Block: "--tail 50", After: func(out string) { Expect(out).To(ContainSubstring(`"level":"INFO"`)) },
	}}
}

func profiles(f *follower) []reader.Moment {
	return []reader.Moment{{
		Block:  "pprof",
		Before: func() { f.change("extraArgs={--pprof-bind-address=127.0.0.1:6060}") },
		After:  func(out string) { Expect(out).To(ContainSubstring("Type: cpu")) },
	}}
}

func failures(f *follower) []reader.Moment {
	restarts := func() int32 { return f.pod().Status.ContainerStatuses[0].RestartCount }
	return []reader.Moment{{
		Block: "kubectl describe pod",
		Before: func() {
			f.killProcess()
			Eventually(restarts, startLimit).Should(BeNumerically("==", 1))
			f.rolledOut()
		},
		After: func(out string) {
			Expect(out).To(And(MatchRegexp(`Reason: +Error`), MatchRegexp(`Exit Code: +137`), ContainSubstring(`"level":"INFO"`)))
		},
	}, {
		Block: "out-of-service",
		After: func(string) {
			before := f.kubectl("get", "pod", "chat-operator-0", "--output=jsonpath={.metadata.uid}")
			By("seeing the Pod go, and giving it the same node again: there is no other")
			Eventually(func() string {
				out, err := tryKubectl(f.namespace, "", "get", "pod", "chat-operator-0", "--output=jsonpath={.metadata.uid} {.status.phase}")
				if err != nil {
					return err.Error()
				}
				return out
			}, startLimit).ShouldNot(HavePrefix(before))
			kubectl("", "taint", "node", "--all", "node.kubernetes.io/out-of-service-")
			f.ready(before)
		},
	}, {
		Block: "patch persistentvolumeclaim",
		After: func(string) {
			Eventually(func() string {
				return f.kubectl("get", "pvc", "data-chat-operator-0", "--output=jsonpath={.status.capacity.storage}")
			}, limit).Should(Equal("20Gi"))
		},
	}}
}

func argoCD(*follower) []reader.Moment {
	return []reader.Moment{{
		Block: "argocd-cm",
		Before: func() {
			kubectl("", "create", "namespace", "argocd")
			kubectl("argocd", "create", "configmap", "argocd-cm", "--from-literal=url=https://argocd.example.com")
		},
		After: func(string) {
			data := kubectl("argocd", "get", "configmap", "argocd-cm", "--output=jsonpath={.data}")
			for _, kind := range []string{"ChatUser", "ChatGroup", "ChatRoom", "SystemProperty"} {
				Expect(data).To(ContainSubstring("resource.customizations.health.chat-operator.io_" + kind))
			}
			Expect(data).To(ContainSubstring("https://argocd.example.com"))
		},
	}}
}

func upgrades(f *follower) []reader.Moment {
	return []reader.Moment{{
		Block: "kubectl chat status", After: func(out string) { Expect(out).To(ContainSubstring("chat.example.com")) },
	}, {
		Block: "helm upgrade chat ",
		After: func(out string) {
			Expect(out).To(MatchRegexp(`Phase: +Succeeded`))
			Expect(helm(f.namespace, "get", "values", f.release)).To(ContainSubstring("domain: chat.example.com"))
		},
	}, {
		Block: "--kustomize overlay",
		Before: func() {
			f.clear()
			kubectl("", "apply", "--server-side", "--kustomize="+filepath.Join(root, "config", "cluster"))
			kubectl("", "create", "namespace", f.namespace)
			colon := strings.LastIndex(image, ":")
			Expect(os.Mkdir(f.file("overlay"), 0o700)).To(Succeed())
			Expect(os.WriteFile(f.file("overlay/kustomization.yaml"), fmt.Appendf(nil, "resources: [../config/default]\nimages: [{name: chat-operator, newName: %q, newTag: %q}]\n",
				image[:colon], image[colon+1:]), 0o600)).To(Succeed())
			manifests := kubectl("", "kustomize", f.file("overlay"))
			_, err := command(strings.ReplaceAll(manifests, "--log-level=info", "--log-level=debug"), "kubectl", "apply", "--server-side", "--filename=-")
			Expect(err).NotTo(HaveOccurred())
			f.rolledOut()
			f.applyUser("mira")
		},
		After: func(string) {
			Expect(f.kubectl("get", "pod", "chat-operator-0", "--output=jsonpath={.spec.containers[0].image} {.spec.containers[0].args}")).To(
				And(HavePrefix(image+" "), ContainSubstring("--log-level=info")))
			f.applyUser("tobias")
		},
	}, {
		Block: "helm rollback",
		Before: func() {
			f.clear()
			f.install()
			f.change("logLevel=debug")
			Expect(f.pod().Spec.Containers[0].Args).To(ContainElement("--log-level=debug"))
		},
		After: func(string) {
			f.rolledOut()
			Expect(f.pod().Spec.Containers[0].Args).To(ContainElement("--log-level=info"))
		},
	}}
}

func withHelm(f *follower) []reader.Moment {
	var end func()
	kinds := func() string { return kubectl("", "get", "crds", "--output=name") }
	return []reader.Moment{{
		Block: "make image", After: func(out string) { Expect(out).To(ContainSubstring("holds " + image + " for ")) },
	}, {
		Block: "helm test chat", After: func(out string) { Expect(out).To(MatchRegexp(`Phase: +Succeeded`)) },
	}, {
		Block: "chat-operator check",
		Before: func() {
			f.applyUser("mira")
			Expect(os.WriteFile(f.file("password"), []byte(passwordOf("mira")), 0o600)).To(Succeed())
			end = f.forwarding("service/chat-operator", "5222")
		},
		After: func(out string) {
			end()
			Expect(out).To(ContainSubstring("mira"))
		},
	}, {
		Block:  "helm uninstall chat ",
		Before: func() { f.login("mira").addContact("tobias@"+f.domain, "Tobias") },
		After: func(string) {
			Expect(f.claims()).To(HaveKey("data-chat-operator-0"))
			Expect(f.kubectl("get", "secret/chat-operator", "chatuser/mira", "--output=name")).To(And(ContainSubstring("mira"), ContainSubstring("secret/chat-operator")))
			By("installing it again, which finds what was left")
			f.place()
			Expect(f.login("mira").roster()).To(HaveKeyWithValue("tobias@"+f.domain, HaveField("Name", "Tobias")))
			helm(f.namespace, "uninstall", f.release, "--wait")
		},
	}, {
		Block: "kubectl delete chatusers,",
		After: func(string) {
			Expect(f.claims()).To(BeEmpty())
			Expect(f.kubectl("get", "chat", "--output=name")).To(BeEmpty())
			Expect(f.kubectl("get", "secrets", "--field-selector=metadata.name=chat-operator", "--output=name")).To(BeEmpty())
		},
	}, {
		Block: "kubectl delete crd",
		Before: func() {
			helm("chat-operator", "uninstall", crdsRelease)
			Expect(strings.Count(kinds(), "chat-operator.io")).To(Equal(4))
		},
		After: func(string) { Expect(kinds()).NotTo(ContainSubstring("chat-operator.io")) },
	}, {
		Block:  "--kustomize overlay",
		Before: f.clear,
		After: func(string) {
			f.rolledOut()
			f.applyUser("mira")
			By("taking the server away, which leaves users, their data and the kinds")
			kubectl("", "delete", "--kustomize="+f.file("overlay"))
			Expect(f.claims()).To(HaveKey("data-chat-operator-0"))
			Expect(f.kubectl("get", "chatusers", "--output=name")).To(ContainSubstring("/mira"))
			Expect(os.RemoveAll(f.file("overlay"))).To(Succeed())
		},
	}}
}
