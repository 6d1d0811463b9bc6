package controllers_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/controllers"
)

// An Event that is recorded again becomes a series of the first one, by a patch (package events of client-go).
var _ = Describe("The operator's rights", func() {
	It("let it say once more what an Event says already", func(ctx SpecContext) {
		namespace := newNamespace(ctx, "rights")
		user, err := env.OperatorUser(ctx, namespace)
		Expect(err).NotTo(HaveOccurred())
		manager, err := controllers.NewManager(user.Config, controllers.ManagerOptions{
			Namespace: namespace, MetricsBindAddress: "0", Log: logr.Discard(),
		})
		Expect(err).NotTo(HaveOccurred())
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "chat-operator"}}
		Expect(kube.Create(ctx, secret)).To(Succeed())
		recorder := manager.GetEventRecorder("chat-operator.io/chat-operator")
		list := &eventsv1.EventList{}
		for _, series := range []bool{false, true} {
			recorder.Eventf(secret, nil, corev1.EventTypeWarning, "PurgesHeld", "Purge", "a note")
			Eventually(func(g Gomega) {
				g.Expect(kube.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
				g.Expect(list.Items).To(HaveLen(1))
				g.Expect(list.Items[0].Series != nil).To(Equal(series))
			}).Should(Succeed())
		}
	})
})

// The operators of this suite have the rights of config/rbac and no others (those that campaign, of config/leader-election besides), so a right that
// is missing fails a spec. This is the other half: a right that none of them used is not to be granted. It takes the whole suite to say so: each of
// its processes tells what was used there.
var _ = AfterSuite(func() {
	requests, err := env.Requests()
	Expect(err).NotTo(HaveOccurred())
	told := map[string]bool{}
	for _, r := range requests {
		if !strings.HasPrefix(r.User, "system:serviceaccount:") || !strings.HasSuffix(r.User, ":chat-operator") || r.Code == 403 {
			continue
		}
		resource := r.Resource
		if r.Subresource != "" {
			resource += "/" + r.Subresource
		}
		if used := right(r.Group, resource, r.Verb); !told[used] {
			told[used] = true
			AddReportEntry(rightUsed+used, ReportEntryVisibilityNever)
		}
	}
})

const rightUsed = "a right that was used: "

var _ = ReportAfterSuite("The operator's rights are used, all of them", func(report Report) {
	suite := report.SuiteConfig
	if len(suite.FocusStrings)+len(suite.SkipStrings)+len(suite.FocusFiles)+len(suite.SkipFiles) > 0 || suite.LabelFilter != "" || !report.SuiteSucceeded {
		return
	}
	used := map[string]bool{}
	for _, spec := range report.SpecReports {
		for _, entry := range spec.ReportEntries {
			if of, ok := strings.CutPrefix(entry.Name, rightUsed); ok {
				used[of] = true
			}
		}
	}
	var unused []string
	for _, folder := range []string{"rbac", "leader-election"} {
		content, err := os.ReadFile(filepath.Join(env.Root, "config", folder, "role.yaml"))
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
	Expect(unused).To(BeEmpty(), "config/ grants what nothing in this suite made use of: take it away, or add the spec that needs it")
})

func right(group, resource, verb string) string {
	return fmt.Sprintf("%s %s of %q", verb, resource, group)
}
