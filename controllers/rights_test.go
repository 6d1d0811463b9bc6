package controllers_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// The operators of this suite have the rights of config/rbac and no others, so a right that is missing fails a spec. This is the other half: a
// right that none of them used is not to be granted. It takes the whole suite to say so.
var _ = AfterSuite(func() {
	suite, _ := GinkgoConfiguration()
	if len(suite.FocusStrings)+len(suite.SkipStrings)+len(suite.FocusFiles)+len(suite.SkipFiles) > 0 || suite.LabelFilter != "" {
		return
	}
	requests, err := env.Requests()
	Expect(err).NotTo(HaveOccurred())
	used := map[string]bool{}
	for _, r := range requests {
		if !strings.HasPrefix(r.User, "system:serviceaccount:") || !strings.HasSuffix(r.User, ":chat-operator") || r.Code == 403 {
			continue
		}
		resource := r.Resource
		if r.Subresource != "" {
			resource += "/" + r.Subresource
		}
		used[right(r.Group, resource, r.Verb)] = true
	}
	var unused []string
	for _, name := range []string{"role.yaml", "leader_election_role.yaml"} {
		content, err := os.ReadFile(filepath.Join(env.Root, "config", "rbac", name))
		Expect(err).NotTo(HaveOccurred())
		var role rbacv1.Role
		Expect(yaml.UnmarshalStrict(content, &role)).To(Succeed())
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						if r := right(group, resource, verb); !used[r] {
							unused = append(unused, r)
						}
					}
				}
			}
		}
	}
	slices.Sort(unused)
	Expect(unused).To(BeEmpty(), "config/rbac grants what nothing in this suite made use of: take it away, or add the spec that needs it")
})

func right(group, resource, verb string) string {
	return fmt.Sprintf("%s %s of %q", verb, resource, group)
}
