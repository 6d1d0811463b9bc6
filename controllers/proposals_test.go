package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

var _ = Describe("A proposal", func() {
	var op *operator
	BeforeEach(func(ctx SpecContext) { op = start(ctx, newNamespace(ctx, "proposals"), options{}) })

	user := func(ctx context.Context, name string) *v1alpha1.ChatUser {
		GinkgoHelper()
		var u v1alpha1.ChatUser
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: name}, &u)).To(Succeed())
		return &u
	}
	secrets := func(ctx context.Context) []corev1.Secret {
		GinkgoHelper()
		var list corev1.SecretList
		Expect(kube.List(ctx, &list, client.InNamespace(op.namespace), client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy})).To(Succeed())
		var issued []corev1.Secret
		for _, s := range list.Items {
			if s.Name != op.secretName {
				issued = append(issued, s)
			}
		}
		return issued
	}
	kubectl := func(manifest string, args ...string) {
		GinkgoHelper()
		cmd := exec.Command(env.Kubectl, append([]string{"--kubeconfig=" + env.Admin.Kubeconfig, "--namespace=" + op.namespace}, args...)...)
		cmd.Stdin = strings.NewReader(manifest)
		out, err := cmd.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
	}
	beManagedBy := func(manager, field string) types.GomegaMatcher {
		return WithTransform(func(err error) string {
			var managed *directory.ManagedError
			if !errors.As(err, &managed) {
				return fmt.Sprint(err)
			}
			return fmt.Sprintf("%s of %s, policy %v", managed.Field, managed.Manager, managed.Policy)
		}, Equal(fmt.Sprintf("%s of %s, policy false", field, manager)))
	}

	Describe("to create a user", func() {
		It("returns when the user can log in, and leaves verifiers but no password", func(ctx SpecContext) {
			u := newUser("Mira", "pencil")
			u.DisplayName, u.Email, u.Properties = "Mira Okafor", "mira@chat.example", []directory.Property{{Key: "team", Value: "night"}}
			Expect(op.provision.CreateUser(ctx, restActor, u)).To(Succeed())
			Expect(op.admits("mira", "pencil")).To(BeTrue())

			made := user(ctx, "mira")
			Expect(made.Labels).To(HaveKeyWithValue(v1alpha1.ManagedByLabel, v1alpha1.ManagedBy))
			Expect(made.ManagedFields).To(HaveEach(HaveField("Manager", v1alpha1.FieldManager)))
			issued := secrets(ctx)
			Expect(issued).To(HaveLen(1))
			Expect(issued[0].Name).To(And(HavePrefix("mira-"), Equal(made.Spec.Credentials.SecretRef.Name)))
			Expect(issued[0].Data).To(And(HaveLen(2), HaveKey(v1alpha1.ScramSHA256Key), HaveKey(v1alpha1.ScramSHA1Key)))
			for _, v := range issued[0].Data {
				Expect(string(v)).NotTo(ContainSubstring("pencil"))
			}
			Eventually(func() bool { return metav1.IsControlledBy(&secrets(ctx)[0], made) }).Should(BeTrue())
			becomes(ctx, made, v1alpha1.ReasonActive)
		})

		It("of a name that cannot be a resource name encodes it", func(ctx SpecContext) {
			Expect(op.provision.CreateUser(ctx, restActor, newUser("дж", "pencil"))).To(Succeed())
			Expect(user(ctx, v1alpha1.EncodeName("дж")).EffectiveUsername()).To(Equal("дж"))
			Expect(op.provision.CreateUser(ctx, restActor, newUser("дж", "pencil"))).To(MatchError(directory.ErrExists))
		})

		It("that is taken, also under another resource's name, changes nothing", func(ctx SpecContext) {
			name := "дж"
			u := chatUser(op.namespace, "by-hand", "s")
			u.Spec.Username = &name
			create(ctx, passwordSecret(op.namespace, "s", "first"), u)
			Eventually(func() bool { return op.admits(name, "first") }).Should(BeTrue())
			Expect(op.provision.CreateUser(ctx, restActor, newUser(name, "second"))).To(MatchError(directory.ErrExists))
			Expect(secrets(ctx)).To(BeEmpty())

			By("the projection not knowing of it yet")
			op.watches.close()
			other := "жд"
			late := chatUser(op.namespace, "by-hand-too", "s")
			late.Spec.Username = &other
			create(ctx, late)
			result := make(chan error, 1)
			go func() { result <- op.provision.CreateUser(ctx, restActor, newUser(other, "second")) }()
			Eventually(func() error {
				return kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: v1alpha1.EncodeName(other)}, &v1alpha1.ChatUser{})
			}).Should(Succeed())
			op.watches.open()
			// Created in the same second, the resource names decide; whoever lost is not in force.
			err := <-result
			holder, _ := op.directory.Holder(directory.KindUser, other)
			if holder.Name == late.Name {
				Expect(err).To(MatchError(directory.ErrExists))
				Eventually(func() error {
					return kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: v1alpha1.EncodeName(other)}, &v1alpha1.ChatUser{})
				}).ShouldNot(Succeed(), "what is not in force does not lie in wait")
				Eventually(func() []corev1.Secret { return secrets(ctx) }).Should(BeEmpty())
			} else {
				Expect(err).NotTo(HaveOccurred())
			}
		})

		It("refuses what admission would, naming the field, and leaves nothing", func(ctx SpecContext) {
			invalid := func(field string) types.GomegaMatcher {
				return WithTransform(func(err error) string {
					var e *directory.InvalidError
					if !errors.As(err, &e) {
						return fmt.Sprint(err)
					}
					return e.Field
				}, ContainSubstring(field))
			}
			Expect(op.provision.CreateUser(ctx, restActor, newUser("mi ra", "pencil"))).To(invalid("username"))
			Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", ""))).To(invalid("password"))
			u := newUser("mira", "pencil")
			u.DisplayName = strings.Repeat("x", 256)
			Expect(op.provision.CreateUser(ctx, restActor, u)).To(invalid("displayName"))
			Expect(secrets(ctx)).To(BeEmpty())
		})

		It("eight times at once has one winner, whose password alone opens the account", func(ctx SpecContext) {
			const n = 8
			errs := make([]error, n)
			var group sync.WaitGroup
			for i := range n {
				// Each through a process of its own, so that nothing but etcd decides.
				p := provision.New(provision.Config{Live: liveClient(op), Namespace: op.namespace, Directory: op.directory, Identities: op.store})
				group.Go(func() { errs[i] = p.CreateUser(ctx, restActor, newUser("mira", fmt.Sprint("password ", i))) })
			}
			group.Wait()
			won := -1
			for i, err := range errs {
				if err == nil {
					Expect(won).To(Equal(-1), "two winners")
					won = i
					continue
				}
				Expect(err).To(MatchError(directory.ErrExists))
			}
			Expect(won).NotTo(Equal(-1))
			for i := range n {
				Expect(op.admits("mira", fmt.Sprint("password ", i))).To(Equal(i == won))
			}
			Eventually(func() []corev1.Secret { return secrets(ctx) }).Should(HaveLen(1), "the losers took their Secrets back")
		})

		It("says so when it is written and not in force, and it is once the watch goes on", func(ctx SpecContext) {
			op.watches.close()
			begun := time.Now()
			Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", "pencil"))).To(MatchError(directory.ErrNotYetActive))
			Expect(time.Since(begun)).To(BeNumerically(">", 4*time.Second))
			Expect(op.admits("mira", "pencil")).To(BeFalse())
			user(ctx, "mira")
			Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", "other"))).To(MatchError(directory.ErrExists))
			op.watches.open()
			Eventually(func() bool { return op.admits("mira", "pencil") }).Should(BeTrue())
			Expect(secrets(ctx)).To(HaveLen(1))
		})

		It("of many makes all or none", func(ctx SpecContext) {
			Expect(op.provision.CreateUser(ctx, restActor, newUser("taken", "pencil"))).To(Succeed())
			op.watches.close() // so that the conflict shows late, when others have been made
			name := "late"
			create(ctx, chatUser(op.namespace, name, "s"))
			var list []directory.NewUser
			for i := range 20 {
				list = append(list, newUser(fmt.Sprintf("u%d", i), "pencil"))
			}
			Expect(op.provision.CreateUsers(ctx, restActor, append(list, newUser(name, "pencil")))).To(MatchError(directory.ErrExists))
			op.watches.open()
			var users v1alpha1.ChatUserList
			Expect(kube.List(ctx, &users, client.InNamespace(op.namespace))).To(Succeed())
			Expect(users.Items).To(HaveLen(2))
			Expect(secrets(ctx)).To(HaveLen(1))

			Expect(op.provision.CreateUsers(ctx, restActor, append(list, newUser("u0", "pencil")))).To(MatchError(directory.ErrExists))
			// Until the projection has seen that the others are gone again, their names count as taken.
			Eventually(func() error { return op.provision.CreateUsers(ctx, restActor, list) }).Should(Succeed())
			for i := range 20 {
				Expect(op.admits(fmt.Sprintf("u%d", i), "pencil")).To(BeTrue())
			}
		})

		It("makes a Secret that goes with its user, also when the process dies in between", func(ctx SpecContext) {
			clock := clocktesting.NewFakeClock(time.Now())
			op.stop()
			op = start(ctx, op.namespace, options{clock: clock})
			Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", "pencil"))).To(Succeed())
			Expect(secrets(ctx)).To(HaveExactElements(HaveField("OwnerReferences", BeEmpty())), "time stands still, so the leader has not come to it")
			op.stop()
			op = start(ctx, op.namespace, options{})
			owned := func() []metav1.OwnerReference { return secrets(ctx)[0].OwnerReferences }
			Eventually(owned).Should(HaveExactElements(
				And(HaveField("Kind", "ChatUser"), HaveField("Name", "mira"), HaveField("Controller", HaveValue(BeTrue())))))
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{Password: new("brush")})).To(Succeed())
			Expect(op.admits("mira", "brush")).To(BeTrue())
		})

		It("that died half way leaves a Secret that is swept, and no other is", func(ctx SpecContext) {
			op.stop()
			clock := clocktesting.NewFakeClock(time.Now())
			op = start(ctx, op.namespace, options{clock: clock})
			Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", "pencil"))).To(Succeed())
			orphan := secrets(ctx)[0].DeepCopy()
			*orphan = corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: op.namespace, Name: "mira-orphan", Labels: orphan.Labels, Annotations: orphan.Annotations,
				},
				Type: orphan.Type, Data: orphan.Data,
			}
			create(ctx, orphan)
			Eventually(clock.HasWaiters).Should(BeTrue())
			Consistently(func() error { return kube.Get(ctx, client.ObjectKeyFromObject(orphan), orphan) }, 300*time.Millisecond).Should(Succeed())
			Eventually(func() bool { // as of the clock of a purge
				clock.Step(2 * provision.SweepGrace)
				return apierrors.IsNotFound(kube.Get(ctx, client.ObjectKeyFromObject(orphan), orphan))
			}).Should(BeTrue())
			Expect(op.admits("mira", "pencil")).To(BeTrue())
			Expect(secrets(ctx)).To(HaveLen(1))
		})
	})

	Describe("to change a user", func() {
		It("is in force when it returns", func(ctx SpecContext) {
			Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", "pencil"))).To(Succeed())
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{
				DisplayName: new("Mira"), Locked: new(true), Properties: &[]directory.Property{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}},
			})).To(Succeed())
			u, _ := op.directory.User("mira")
			Expect(u.DisplayName).To(Equal("Mira"))
			Expect(u.Locked).To(BeTrue())
			Expect(u.Properties).To(Equal([]directory.Property{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}))
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{
				Locked: new(false), Properties: &[]directory.Property{{Key: "b", Value: "3"}}, Password: new("crayon"),
			})).To(Succeed())
			u, _ = op.directory.User("mira")
			Expect(u.Properties).To(Equal([]directory.Property{{Key: "b", Value: "3"}}))
			Expect(u.DisplayName).To(Equal("Mira"), "what was not asked for stays")
			Expect(op.admits("mira", "crayon")).To(BeTrue())
			Expect(op.admits("mira", "pencil")).To(BeFalse())
			Expect(secrets(ctx)).To(HaveLen(1), "the password is written where the user's own Secret is")
			Expect(op.provision.UpdateUser(ctx, restActor, "nobody", directory.UserUpdate{})).To(MatchError(directory.ErrNotFound))

			By("writing nothing when nothing changes")
			Eventually(func() int64 { return user(ctx, "mira").Status.ObservedGeneration }).Should(Equal(user(ctx, "mira").Generation))
			before := user(ctx, "mira").ResourceVersion
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{DisplayName: new("Mira"), Locked: new(false)})).To(Succeed())
			Expect(user(ctx, "mira").ResourceVersion).To(Equal(before))
		})

		It("replaces a generated password by verifiers", func(ctx SpecContext) {
			u := chatUser(op.namespace, "mira", "")
			create(ctx, u)
			becomes(ctx, u, v1alpha1.ReasonActive)
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{Password: new("crayon")})).To(Succeed())
			Expect(op.admits("mira", "crayon")).To(BeTrue())
			var secret corev1.Secret
			Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: provision.GeneratedSecretName("mira")}, &secret)).To(Succeed())
			Expect(secret.Data).NotTo(HaveKey("password"))
			Expect(secret.Data).To(HaveKey("username"))
			Eventually(func() string {
				return meta.FindStatusCondition(user(ctx, "mira").Status.Conditions, v1alpha1.ConditionCredentialsReady).Message
			}).Should(ContainSubstring("holds verifiers of it and no password"))
		})

		It("never overwrites a Secret that somebody else made", func(ctx SpecContext) {
			foreign := passwordSecret(op.namespace, "s", "pencil")
			create(ctx, foreign, chatUser(op.namespace, "mira", "s"))
			Eventually(func() bool { return op.admits("mira", "pencil") }).Should(BeTrue())

			By("giving the user one of its own where nobody declared which it has")
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{Password: new("crayon")})).To(Succeed())
			Expect(op.admits("mira", "crayon")).To(BeTrue())
			Expect(user(ctx, "mira").Spec.Credentials.SecretRef.Name).NotTo(Equal("s"))
			var still corev1.Secret
			Expect(kube.Get(ctx, client.ObjectKeyFromObject(foreign), &still)).To(Succeed())
			Expect(still.ResourceVersion).To(Equal(foreign.ResourceVersion))

			By("refusing where somebody did")
			kubectl(`{"apiVersion":"chat-operator.io/v1alpha1","kind":"ChatUser","metadata":{"name":"tobias"},"spec":{"credentials":{"secretRef":{"name":"s"}}}}`,
				"apply", "--server-side", "-f", "-")
			Eventually(func() bool { return op.admits("tobias", "pencil") }).Should(BeTrue())
			Expect(op.provision.UpdateUser(ctx, restActor, "tobias", directory.UserUpdate{Password: new("crayon")})).To(beManagedBy("kubectl", "spec.credentials"))
			Expect(op.admits("tobias", "pencil")).To(BeTrue())
			Expect(secrets(ctx)).To(HaveLen(1))
		})

		It("is refused for what is declared outside, and done for what is not", func(ctx SpecContext) {
			kubectl(`{"apiVersion":"chat-operator.io/v1alpha1","kind":"ChatUser","metadata":{"name":"mira"},
				"spec":{"displayName":"Mira","roster":[{"jid":"tobias@chat.example"}]}}`, "apply", "--server-side", "--field-manager=argocd-controller", "-f", "-")
			Eventually(func() bool { _, ok := op.directory.User("mira"); return ok }).Should(BeTrue())
			change := directory.UserUpdate{DisplayName: new("Other"), Email: new("mira@chat.example")}
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", change)).To(beManagedBy("argocd-controller", "spec.displayName"))
			u, _ := op.directory.User("mira")
			Expect(u.Email).To(BeEmpty(), "all or nothing")
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{Email: new("mira@chat.example")})).To(Succeed())
			Expect(op.provision.DeleteUser(ctx, restActor, "mira")).To(WithTransform(func(err error) bool {
				var managed *directory.ManagedError
				return errors.As(err, &managed) && managed.Manager == "argocd-controller"
			}, BeTrue()))
			tobias, pia := jid.MustParse("tobias@chat.example"), jid.MustParse("pia@chat.example")
			Expect(op.provision.DeleteContact(ctx, restActor, "mira", tobias)).To(beManagedBy("argocd-controller", `spec.roster[jid="tobias@chat.example"]`))
			Expect(op.provision.PutContact(ctx, restActor, "mira", directory.Contact{JID: pia}, true)).To(Succeed())

			By("a setting that lets REST override managers")
			Expect(op.provision.PutProperty(ctx, restActor, directory.KeyRESTOverride, "true", false)).To(Succeed())
			Expect(op.provision.UpdateUser(ctx, directory.Actor{Via: "XMPP", Name: "mira"}, "mira", change)).To(beManagedBy("argocd-controller", "spec.displayName"))
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", change)).To(Succeed())
		})

		It("heeds inBandPolicy", func(ctx SpecContext) {
			kubectl(`{"apiVersion":"chat-operator.io/v1alpha1","kind":"ChatUser","metadata":{"name":"mira"},"spec":{"displayName":"Mira","inBandPolicy":"Deny"}}`,
				"apply", "--server-side", "-f", "-")
			Eventually(func() bool { _, ok := op.directory.User("mira"); return ok }).Should(BeTrue())
			denied := WithTransform(func(err error) bool {
				var managed *directory.ManagedError
				return errors.As(err, &managed) && managed.Policy
			}, BeTrue())
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{Email: new("x@y.example")})).To(denied)
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{Password: new("crayon")})).To(denied)
			Expect(op.provision.DeleteUser(ctx, restActor, "mira")).To(denied)
			kubectl(`{"apiVersion":"chat-operator.io/v1alpha1","kind":"ChatUser","metadata":{"name":"mira"},"spec":{"displayName":"Mira","inBandPolicy":"Force"}}`,
				"apply", "--server-side", "-f", "-")
			Eventually(func() directory.InBandPolicy { u, _ := op.directory.User("mira"); return u.InBandPolicy }).Should(Equal(directory.InBandForce))
			Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{DisplayName: new("Forced")})).To(Succeed())
			Expect(op.provision.DeleteUser(ctx, restActor, "mira")).To(Succeed())
			_, ok := op.directory.User("mira")
			Expect(ok).To(BeFalse())
		})

		It("by many at once loses none of the changes", func(ctx SpecContext) {
			Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", "pencil"))).To(Succeed())
			const n = 4
			errs := make([]error, n)
			var group sync.WaitGroup
			for i := range n {
				group.Go(func() {
					errs[i] = op.provision.PutContact(ctx, restActor, "mira", directory.Contact{JID: jid.MustParse(fmt.Sprintf("c%d@chat.example", i))}, true)
				})
			}
			group.Wait()
			done := 0
			for _, err := range errs {
				if err == nil {
					done++
					continue
				}
				Expect(err).To(MatchError(directory.ErrConflict))
			}
			u, _ := op.directory.User("mira")
			Expect(u.Contacts).To(HaveLen(done))
			Expect(done).To(BeNumerically(">=", 1))
		})
	})

	It("to delete a user takes it out of declared rosters, too", func(ctx SpecContext) {
		for _, name := range []string{"mira", "tobias"} {
			Expect(op.provision.CreateUser(ctx, restActor, newUser(name, "pencil"))).To(Succeed())
		}
		tobias := jid.MustParse("tobias@chat.example")
		Expect(op.provision.PutContact(ctx, restActor, "mira", directory.Contact{JID: tobias, Subscription: directory.SubscriptionBoth, Groups: []string{"Friends"}}, true)).To(Succeed())
		Expect(op.provision.PutContact(ctx, restActor, "mira", directory.Contact{JID: tobias}, true)).To(MatchError(directory.ErrExists))
		Expect(op.provision.PutContact(ctx, restActor, "mira", directory.Contact{JID: tobias, Name: "Tobias", Subscription: directory.SubscriptionTo}, false)).To(Succeed())
		u, _ := op.directory.User("mira")
		Expect(u.Contacts).To(Equal([]directory.Contact{{JID: tobias, Name: "Tobias", Subscription: directory.SubscriptionTo}}))
		Expect(op.provision.DeleteUser(ctx, restActor, "tobias")).To(Succeed())
		_, ok := op.directory.Account("tobias")
		Expect(ok).To(BeFalse())
		u, _ = op.directory.User("mira")
		Expect(u.Contacts).To(BeEmpty())
		Expect(op.provision.DeleteUser(ctx, restActor, "tobias")).To(MatchError(directory.ErrNotFound))
		Expect(op.provision.DeleteContact(ctx, restActor, "mira", tobias)).To(MatchError(directory.ErrNotFound))
	})

	It("to set a property does not touch one of another key under its name", func(ctx SpecContext) {
		other := "Another Key"
		p := &v1alpha1.SystemProperty{
			ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "plain"},
			Spec:       v1alpha1.SystemPropertySpec{Key: &other, Value: new("kept")},
		}
		Expect(kube.Create(ctx, p)).To(Succeed())
		Eventually(func() bool { _, ok := op.directory.Property(other); return ok }).Should(BeTrue())
		Expect(op.provision.PutProperty(ctx, restActor, "plain", "new", false)).To(MatchError(directory.ErrExists))
		Expect(op.provision.DeleteProperty(ctx, restActor, "plain")).To(MatchError(directory.ErrNotFound))
		kept, _ := op.directory.Property(other)
		Expect(kept.Value).To(Equal("kept"))
	})

	It("to set a property makes, changes and deletes its resource", func(ctx SpecContext) {
		key := "Console Order"
		Expect(op.provision.PutProperty(ctx, restActor, key, "a", true)).To(MatchError(directory.ErrNotFound))
		Expect(op.provision.PutProperty(ctx, restActor, key, "a", false)).To(Succeed())
		Expect(op.provision.PutProperty(ctx, restActor, key, "b", true)).To(Succeed())
		p, _ := op.directory.Property(key)
		Expect(p.Value).To(Equal("b"))
		Expect(p.Managed).To(BeTrue())
		Expect(op.provision.PutProperty(ctx, restActor, directory.KeyPurgeDelay, "soon", false)).To(WithTransform(func(err error) bool {
			var invalid *directory.InvalidError
			return errors.As(err, &invalid)
		}, BeTrue()))
		Expect(op.provision.DeleteProperty(ctx, restActor, key)).To(Succeed())
		_, ok := op.directory.Property(key)
		Expect(ok).To(BeFalse())
		Expect(op.provision.DeleteProperty(ctx, restActor, key)).To(MatchError(directory.ErrNotFound))

		kubectl(fmt.Sprintf(`{"apiVersion":"chat-operator.io/v1alpha1","kind":"SystemProperty","metadata":{"name":%q},"spec":{"key":%q,"value":"24h"}}`,
			v1alpha1.EncodeName(directory.KeyPurgeDelay), directory.KeyPurgeDelay), "apply", "-f", "-")
		Eventually(func() bool { _, ok := op.directory.Property(directory.KeyPurgeDelay); return ok }).Should(BeTrue())
		Expect(op.provision.PutProperty(ctx, restActor, directory.KeyPurgeDelay, "48h", true)).To(beManagedBy("kubectl-client-side-apply", "spec.value"))
	})

	It("of a chat client is limited in its rate", func(ctx SpecContext) {
		client := directory.Actor{Via: "XMPP", Name: "mira"}
		Eventually(func() error { return op.provision.DeleteProperty(ctx, client, "nothing") }).WithPolling(time.Millisecond).
			Should(MatchError(directory.ErrTooManyRequests))
		Expect(op.provision.DeleteProperty(ctx, restActor, "nothing")).To(MatchError(directory.ErrNotFound))
	})
})
