package e2e

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Manifests that are kept in Git", func() {
	It("show no difference once they are in force, and kubectl wait sees that they are", func() {
		s := newServer("git")
		samples, err := filepath.Glob(filepath.Join(root, "config", "samples", "*_*.yaml"))
		Expect(err).NotTo(HaveOccurred())
		var files, kinds []string
		for _, f := range samples {
			files = append(files, "--filename="+f)
			b, err := os.ReadFile(f)
			Expect(err).NotTo(HaveOccurred())
			for _, kind := range []string{"ChatUser", "ChatGroup", "ChatRoom", "SystemProperty"} {
				if strings.Contains(string(b), "kind: "+kind+"\n") {
					kinds = append(kinds, kind)
				}
			}
		}
		Expect(kinds).To(ContainElements("ChatUser", "ChatGroup", "ChatRoom", "SystemProperty"))
		for _, how := range [][]string{nil, {"--server-side", "--force-conflicts"}} {
			s.kubectl(append(append([]string{"apply"}, how...), files...)...)
			s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "--all", "chatusers,chatgroups,chatrooms,systemproperties")
			// Its exit status is 1 when there is a difference.
			out, err := tryKubectl(s.namespace, "", append(append([]string{"diff"}, how...), files...)...)
			Expect(err).NotTo(HaveOccurred(), "kubectl diff %v", how)
			Expect(out).NotTo(ContainSubstring("+++"))
		}
	})
})
