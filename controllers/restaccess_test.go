package controllers_test

import (
	"errors"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/controllers"
)

var _ = Describe("Access to the REST API", func() {
	It("follows the labelled Secrets and the installation's own", func(ctx SpecContext) {
		namespace := newNamespace(ctx, "rest-secrets")
		check := func(scope string) error {
			if scope == "nonsense" {
				return errors.New("no scope")
			}
			return nil
		}
		secrets := controllers.NewRESTSecrets("chat-operator", controllers.Installation{RESTSecret: "of the start"}, check, logr.Discard())
		op := start(ctx, namespace, options{restSecrets: secrets})
		var own corev1.Secret
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: op.secretName}, &own)).To(Succeed())
		Expect(secrets.Installation()).To(Equal(string(own.Data["rest-secret"])))
		Expect(secrets.Named()).To(BeEmpty())

		labelled := func(name, value, scope string) *corev1.Secret {
			s := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"chat-operator.io/rest-secret": "true"}},
				StringData: map[string]string{"rest-secret": value},
			}
			if scope != "" {
				s.StringData["rest-scope"] = scope
			}
			return s
		}
		first, second := labelled("pipeline", "0123456789abcdef\n", ""), labelled("dashboard", "fedcba9876543210", "read-only")
		plain := labelled("unlabelled", "0123456789abcdef", "")
		plain.Labels = nil
		create(ctx, first, second, plain, labelled("short", "0123456789abcde", ""), labelled("bad-scope", "0123456789abcdef", "nonsense"))
		Eventually(secrets.Named).Should(Equal([]controllers.RESTSecret{
			{Name: "dashboard", Value: "fedcba9876543210", Scope: "read-only"}, {Name: "pipeline", Value: "0123456789abcdef"},
		}))

		// The installation's own is made anew where it is deleted: another shared secret, and the same key.
		lost := own.DeepCopy()
		Expect(kube.Delete(ctx, lost)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: op.secretName}, &own)).To(Succeed())
			g.Expect(own.UID).NotTo(Equal(lost.UID))
			g.Expect(secrets.Installation()).To(Equal(string(own.Data["rest-secret"])))
		}).Should(Succeed())
		Expect(own.Data["rest-secret"]).NotTo(Equal(lost.Data["rest-secret"]))
		Expect(own.Data["installation-key"]).To(Equal(lost.Data["installation-key"]))
		Expect(own.Labels).To(Equal(lost.Labels))

		// One is replaced, another loses its label, the last goes.
		patch(ctx, first, `{"stringData":{"rest-secret":"another-one-of-16","rest-scope":"users"}}`)
		patch(ctx, second, `{"metadata":{"labels":{"chat-operator.io/rest-secret":null}}}`)
		Eventually(secrets.Named).Should(Equal([]controllers.RESTSecret{{Name: "pipeline", Value: "another-one-of-16", Scope: "users"}}))
		patch(ctx, first, `{"stringData":{"rest-scope":"nonsense"}}`)
		Eventually(secrets.Named).Should(BeEmpty())
		patch(ctx, first, `{"stringData":{"rest-scope":""}}`)
		Eventually(secrets.Named).Should(HaveLen(1))
		Expect(kube.Delete(ctx, first)).To(Succeed())
		Eventually(secrets.Named).Should(BeEmpty())

		patch(ctx, &own, `{"stringData":{"rest-secret":"rotated-by-a-person"}}`)
		Eventually(secrets.Installation).Should(Equal("rotated-by-a-person"))
	})

	It("asks the API server whose a token is and what that user may do", func(ctx SpecContext) {
		namespace, elsewhere := newNamespace(ctx, "rest-tokens"), newNamespace(ctx, "elsewhere")
		user, err := env.OperatorUser(ctx, namespace)
		Expect(err).NotTo(HaveOccurred())
		live, err := controllers.NewLiveClient(user.Config)
		Expect(err).NotTo(HaveOccurred())
		clock := clocktesting.NewFakePassiveClock(time.Now())
		reviewer := controllers.NewReviewer(live, namespace, clock, logr.Discard())
		later := func(d time.Duration) { clock.SetTime(clock.Now().Add(d)) }

		token := func(namespace, account string) string {
			GinkgoHelper()
			a := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
			create(ctx, a)
			request := &authenticationv1.TokenRequest{}
			Expect(kube.SubResource("token").Create(ctx, a, request)).To(Succeed())
			return request.Status.Token
		}
		bot, stranger := token(namespace, "bot"), token(elsewhere, "bot")
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "bot"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"chat-operator.io"}, Resources: []string{"chatusers"}, Verbs: []string{"list", "create"}},
			{APIGroups: []string{"chat-operator.io"}, Resources: []string{"chatusers"}, Verbs: []string{"update"}, ResourceNames: []string{"mira"}},
		}}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "bot"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "bot"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "bot"}},
		}
		create(ctx, role, binding)

		// Without the right to ask, nobody is known, and that is no fault.
		_, known, err := reviewer.Who(ctx, bot)
		Expect(err).NotTo(HaveOccurred())
		Expect(known).To(BeFalse())
		// Others ask this API server for other things meanwhile: what counts is what this user asked for.
		asked := func() (n int) {
			GinkgoHelper()
			requests, err := env.Requests()
			Expect(err).NotTo(HaveOccurred())
			for _, r := range requests {
				if r.User == user.Name && r.Resource == "tokenreviews" {
					n++
				}
			}
			return n
		}
		Expect(asked()).To(Equal(1))
		_, _, err = reviewer.Who(ctx, bot)
		Expect(err).NotTo(HaveOccurred())
		Expect(asked()).To(Equal(1), "and nobody is asked again at once")

		Expect(env.AcceptKubernetesTokens(ctx, namespace)).To(Succeed())
		later(time.Minute)
		Eventually(func(g Gomega) {
			later(time.Minute)
			who, known, err := reviewer.Who(ctx, bot)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(known).To(BeTrue())
			g.Expect(who.Username).To(Equal("system:serviceaccount:" + namespace + ":bot"))
		}).Should(Succeed())
		who, _, err := reviewer.Who(ctx, bot)
		Expect(err).NotTo(HaveOccurred())
		for _, c := range []struct {
			verb, resource, name string
			may                  bool
		}{
			{"list", "chatusers", "", true}, {"create", "chatusers", "", true}, {"update", "chatusers", "mira", true},
			{"update", "chatusers", "tobias", false}, {"update", "chatusers", "", false}, {"delete", "chatusers", "mira", false}, {"list", "chatrooms", "", false},
		} {
			// The API server takes up a new role a moment after it was made, and an answer holds for a while.
			Eventually(func(g Gomega) {
				may, err := reviewer.May(ctx, who, c.verb, c.resource, c.name)
				g.Expect(err).NotTo(HaveOccurred())
				if may != c.may {
					later(time.Minute)
				}
				g.Expect(may).To(Equal(c.may), "%+v", c)
			}).Should(Succeed())
		}
		// Somebody of another namespace is known and may do nothing here.
		other, known, err := reviewer.Who(ctx, stranger)
		Expect(err).NotTo(HaveOccurred())
		Expect(known).To(BeTrue())
		may, err := reviewer.May(ctx, other, "list", "chatusers", "")
		Expect(err).NotTo(HaveOccurred())
		Expect(may).To(BeFalse())
		for _, nonsense := range []string{"", "x", bot + "x", "a.b.c"} {
			_, known, err := reviewer.Who(ctx, nonsense)
			Expect(err).NotTo(HaveOccurred())
			Expect(known).To(BeFalse(), nonsense)
		}

		// An answer holds for a while, and no longer.
		may, err = reviewer.May(ctx, who, "list", "chatusers", "")
		Expect(err).NotTo(HaveOccurred())
		Expect(may).To(BeTrue())
		Expect(kube.Delete(ctx, binding)).To(Succeed())
		may, err = reviewer.May(ctx, who, "list", "chatusers", "")
		Expect(err).NotTo(HaveOccurred())
		Expect(may).To(BeTrue())
		Eventually(func(g Gomega) {
			later(30 * time.Second)
			may, err := reviewer.May(ctx, who, "list", "chatusers", "")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(may).To(BeFalse())
		}).Should(Succeed())
	})
})
