package v1alpha1_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

var _ = Describe("The definitions", func() {
	It("describe every field", func() {
		for _, crd := range definitions() {
			walkSchema("", rootSchema(crd), func(path string, schema *apiextensionsv1.JSONSchemaProps) {
				// The API server fills in metadata's own text; entries of lists and maps are described by the field.
				if path == "metadata" || strings.HasSuffix(path, "[]") && schema.Type != "object" || strings.HasSuffix(path, "{}") {
					return
				}
				Expect(schema.Description).NotTo(BeEmpty(), "%s %s", crd.Spec.Names.Kind, path)
			})
		}
	})

	It("bound every string and list of a spec, and say what a list's entries are told apart by", func() {
		for _, crd := range definitions() {
			walkSchema("", rootSchema(crd), func(path string, schema *apiextensionsv1.JSONSchemaProps) {
				if !strings.HasPrefix(path, "spec.") || strings.HasPrefix(path, "spec.selector") {
					return // a label selector is Kubernetes' own type
				}
				switch schema.Type {
				case "string":
					if schema.Enum == nil {
						Expect(schema.MaxLength).NotTo(BeNil(), "%s %s", crd.Spec.Names.Kind, path)
					}
				case "array":
					Expect(schema.MaxItems).NotTo(BeNil(), "%s %s", crd.Spec.Names.Kind, path)
					Expect(schema.XListType).To(HaveValue(BeElementOf("set", "map")), "%s %s", crd.Spec.Names.Kind, path)
				}
			})
		}
	})

	It("give a default to the status alone, and to a spec that is not there", func() {
		for _, crd := range definitions() {
			walkSchema("", rootSchema(crd), func(path string, schema *apiextensionsv1.JSONSchemaProps) {
				if path == "status" {
					Expect(string(schema.Default.Raw)).To(MatchJSON(`{"observedGeneration": -1}`))
					return
				}
				if path == "spec" && crd.Spec.Names.Kind != "SystemProperty" {
					// Of a spec that is emptied, server-side apply makes null, which nothing else turns into an empty one.
					Expect(string(schema.Default.Raw)).To(MatchJSON(`{}`))
					return
				}
				Expect(schema.Default).To(BeNil(), "%s %s: whoever applies the resource would own the field", crd.Spec.Names.Kind, path)
			})
		}
	})

	It("are explained by kubectl, field by field", func(ctx context.Context) {
		for _, crd := range definitions() {
			for _, part := range []string{"spec", "status"} {
				var out []byte
				// The API server publishes the documentation of a new definition a moment after it has established it.
				Eventually(func() (err error) {
					out, err = exec.CommandContext(ctx, env.Kubectl, "--kubeconfig="+env.Admin.Kubeconfig, "explain", crd.Spec.Names.Singular+"."+part).CombinedOutput()
					if err != nil {
						err = fmt.Errorf("%w: %s", err, out)
					}
					return err
				}).WithTimeout(time.Minute).Should(Succeed())
				Expect(string(out)).NotTo(ContainSubstring("<no description>"))
				for name := range rootSchema(crd).Properties[part].Properties {
					Expect(string(out)).To(MatchRegexp(`(?m)^  `+name+`\t`), "explain %s.%s", crd.Spec.Names.Singular, part)
				}
			}
		}
	})

	DescribeTable("are known to kubectl", func(ctx context.Context, word string, kinds ...string) {
		out, err := exec.CommandContext(ctx, env.Kubectl, "--kubeconfig="+env.Admin.Kubeconfig, "api-resources", "--categories=chat", "--no-headers").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		for _, kind := range kinds {
			Expect(string(out)).To(MatchRegexp(`(?m)\b%s\b.*\s%s\s*$`, word, kind))
		}
	},
		Entry("by a short name", "cuser", "ChatUser"),
		Entry("by a short name", "cgroup", "ChatGroup"),
		Entry("by a short name", "croom", "ChatRoom"),
		Entry("by a short name", "sysprop", "SystemProperty"),
		Entry("as one category", "true", "ChatUser", "ChatGroup", "ChatRoom", "SystemProperty"),
	)

	DescribeTable("have columns", func(ctx context.Context, kind, spec, status, header, row string) {
		o := object(kind, "sample", spec)
		Expect(admin.Create(ctx, o)).To(Succeed())
		patchStatus(ctx, o, status)
		out, err := exec.CommandContext(ctx, env.Kubectl, "--kubeconfig="+env.Admin.Kubeconfig, "--namespace="+namespace, "get", kind).CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		lines := strings.Split(string(out), "\n")
		Expect(strings.Join(strings.Fields(lines[0]), " ")).To(Equal(header))
		Expect(strings.Join(strings.Fields(lines[1]), " ")).To(HavePrefix(row))
	},
		Entry("for users", "ChatUser", `locked: true`, `{"jid":"sample@chat.example",`+activeCondition+`}`,
			"NAME JID LOCKED READY REASON AGE", "sample sample@chat.example true True Active"),
		Entry("for groups", "ChatGroup", `sharedRoster: {mode: Everybody}`, `{"groupName":"sample",`+resolvedConditions("False", "UnknownMembers")+`}`,
			"NAME GROUP SHARED RESOLVED READY REASON AGE", "sample sample Everybody False True Active"),
		Entry("for rooms", "ChatRoom", `membersOnly: true`, `{"jid":"sample@conference.chat.example",`+resolvedConditions("True", "AllResolved")+`}`,
			"NAME JID MEMBERS ONLY RESOLVED READY REASON AGE", "sample sample@conference.chat.example true True True Active"),
		Entry("for properties", "SystemProperty", `value: "yes"`, `{"key":"sample",`+activeCondition+`}`,
			"NAME KEY VALUE READY REASON AGE", "sample sample yes True Active"),
	)
})

var _ = Describe("The reference", func() {
	It("explains every condition and reason that a status can have", func() {
		page, err := os.ReadFile("../../docs/reference/api.md")
		Expect(err).NotTo(HaveOccurred())
		file, err := parser.ParseFile(token.NewFileSet(), "conditions.go", nil, 0)
		Expect(err).NotTo(HaveOccurred())
		constants := 0
		ast.Inspect(file, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				constants++
				Expect(string(page)).To(ContainSubstring("| `" + strings.Trim(literal.Value, `"`) + "` |"))
			}
			return true
		})
		Expect(constants).To(BeNumerically(">", 10))
	})
})

const activeCondition = `"observedGeneration":1,"conditions":[{"type":"Ready","status":"True","reason":"Active","message":"","lastTransitionTime":"2031-04-05T06:07:08Z"}]`

// resolvedConditions is activeCondition with MembersResolved beside it.
func resolvedConditions(status, reason string) string {
	return strings.TrimSuffix(activeCondition, "]") + `,{"type":"MembersResolved","status":"` + status + `","reason":"` + reason +
		`","message":"","lastTransitionTime":"2031-04-05T06:07:08Z"}]`
}
