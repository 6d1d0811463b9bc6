package controllers_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

var _ = Describe("A ChatUser", func() {
	var op *operator
	BeforeEach(func(ctx SpecContext) { op = start(ctx, newNamespace(ctx, "users"), options{}) })

	get := func(ctx SpecContext, name string, obj client.Object) {
		GinkgoHelper()
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: name}, obj)).To(Succeed())
	}

	It("is Ready within a second, with its address, its times and its Secret", func(ctx SpecContext) {
		u := chatUser(op.namespace, "mira", "mira-password")
		secret := passwordSecret(op.namespace, "mira-password", "pencil")
		create(ctx, secret)
		ready := func(u *v1alpha1.ChatUser) time.Duration {
			GinkgoHelper()
			begun := time.Now()
			create(ctx, u)
			Eventually(func(g Gomega) { g.Expect(stands(ctx, g, u).Reason).To(Equal(v1alpha1.ReasonActive)) }).Should(Succeed())
			return time.Since(begun)
		}
		took := ready(u)
		for i := 1; took >= time.Second && i < 5; i++ { // the machine may have been busy
			took = ready(chatUser(op.namespace, fmt.Sprint("mira", i), "mira-password"))
		}
		Expect(took).To(BeNumerically("<", time.Second))
		Expect(u.Status.JID).To(HaveValue(Equal("mira@chat.example")))
		Expect(u.Status.Binding.Name).To(Equal("mira-password"))
		Expect(u.Status.CreatedAt.Time).To(BeTemporally("==", u.CreationTimestamp.Time))
		Expect(u.Status.ModifiedAt.Time).To(BeTemporally("==", u.CreationTimestamp.Time))
		Expect(op.admits("mira", "pencil")).To(BeTrue())

		Expect(kube.Delete(ctx, secret)).To(Succeed())
		Eventually(func(g Gomega) { g.Expect(eventsOf(ctx, g, u)).To(Equal([]string{"SecretNotFound"})) }).Should(Succeed(), "success from the start is no news")
	})

	It("waits for a Secret that comes later, and takes up what changes in it", func(ctx SpecContext) {
		u := chatUser(op.namespace, "mira", "later")
		create(ctx, u)
		s := becomes(ctx, u, v1alpha1.ReasonSecretNotFound)
		Expect(s.Kstatus).To(Equal(status.InProgressStatus))
		Expect(s.Conditions).To(HaveKeyWithValue(v1alpha1.ConditionCredentialsReady, metav1.ConditionFalse))
		Expect(s.Message).To(ContainSubstring("create it"))
		Expect(u.Status.Binding).To(BeNil())

		secret := passwordSecret(op.namespace, "later", "pencil")
		create(ctx, secret)
		s = becomes(ctx, u, v1alpha1.ReasonActive)
		Expect(s.Conditions).To(HaveKeyWithValue(v1alpha1.ConditionCredentialsReady, metav1.ConditionTrue))
		Expect(op.admits("mira", "pencil")).To(BeTrue())

		patch(ctx, secret, `{"stringData":{"password":"crayon"}}`)
		Eventually(func() bool { return op.admits("mira", "crayon") }).Should(BeTrue())
		Expect(op.admits("mira", "pencil")).To(BeFalse())

		patch(ctx, secret, `{"data":{"password":null}}`)
		s = becomes(ctx, u, v1alpha1.ReasonSecretInvalid)
		Expect(s.Kstatus).To(Equal(status.FailedStatus))
		Expect(op.admits("mira", "crayon")).To(BeFalse())

		derived, err := auth.Derive("chalk", nil, 0)
		Expect(err).NotTo(HaveOccurred())
		secret.Data = map[string][]byte{
			v1alpha1.ScramSHA256Key: []byte(derived.SHA256.String(auth.SHA256)), v1alpha1.ScramSHA1Key: []byte(derived.SHA1.String(auth.SHA1)),
		}
		secret.StringData = nil
		Expect(kube.Update(ctx, secret)).To(Succeed())
		becomes(ctx, u, v1alpha1.ReasonActive)
		Expect(op.admits("mira", "chalk")).To(BeTrue())

		Expect(kube.Delete(ctx, secret)).To(Succeed())
		becomes(ctx, u, v1alpha1.ReasonSecretNotFound)
		Expect(op.admits("mira", "chalk")).To(BeFalse())

		Eventually(func(g Gomega) {
			g.Expect(eventsOf(ctx, g, u)).To(Equal([]string{"SecretNotFound", "Active", "SecretInvalid", "Active", "SecretNotFound"}))
		}).Should(Succeed(), "an Event on each transition and on nothing else")
	})

	It("that names no Secret has a password generated, in the shape of a service binding", func(ctx SpecContext) {
		u := chatUser(op.namespace, "mira", "")
		create(ctx, u)
		s := becomes(ctx, u, v1alpha1.ReasonActive)
		Expect(s.Conditions).To(HaveKeyWithValue(v1alpha1.ConditionCredentialsReady, metav1.ConditionTrue))
		var secret corev1.Secret
		get(ctx, u.Status.Binding.Name, &secret)
		Expect(secret.Type).To(Equal(corev1.SecretType("servicebinding.io/xmpp")))
		password := string(secret.Data["password"])
		Expect(len(password)).To(BeNumerically(">=", 20))
		Expect(op.admits("mira", password)).To(BeTrue())
		for key, value := range map[string]string{
			"type": "xmpp", "provider": "chat-operator", "username": "mira", "host": domain, "port": "5222", "jid": "mira@chat.example", "uri": "xmpp:mira@chat.example",
		} {
			Expect(string(secret.Data[key])).To(Equal(value), key)
		}
		Expect(metav1.IsControlledBy(&secret, u)).To(BeTrue())

		By("making it again when it is deleted")
		Expect(kube.Delete(ctx, &secret)).To(Succeed())
		Eventually(func(g Gomega) {
			var again corev1.Secret
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(&secret), &again)).To(Succeed())
			g.Expect(again.UID).NotTo(Equal(secret.UID))
			g.Expect(op.admits("mira", string(again.Data["password"]))).To(BeTrue())
		}).Should(Succeed())
		Expect(op.admits("mira", password)).To(BeFalse())

		By("not opening a new life of the user with the password of the last one")
		get(ctx, secret.Name, &secret)
		Expect(kube.Delete(ctx, u)).To(Succeed())
		u = chatUser(op.namespace, "mira", "")
		create(ctx, u)
		becomes(ctx, u, v1alpha1.ReasonActive)
		Expect(op.admits("mira", string(secret.Data["password"]))).To(BeFalse())
	})

	It("never overwrites, nor takes for its own, a Secret that is in the way of the generated one", func(ctx SpecContext) {
		name := provision.GeneratedSecretName("mira")
		foreign := passwordSecret(op.namespace, name, "not mine")
		u := chatUser(op.namespace, "mira", "")
		create(ctx, foreign, u)
		s := becomes(ctx, u, v1alpha1.ReasonSecretInvalid)
		Expect(s.Kstatus).To(Equal(status.FailedStatus))
		Expect(s.Message).To(And(ContainSubstring(name), ContainSubstring("spec.credentials.secretRef"), ContainSubstring("delete it")))
		Expect(op.admits("mira", "not mine")).To(BeFalse())
		var now corev1.Secret
		get(ctx, name, &now)
		Expect(now.ResourceVersion).To(Equal(foreign.ResourceVersion))

		Expect(kube.Delete(ctx, foreign)).To(Succeed())
		becomes(ctx, u, v1alpha1.ReasonActive)
	})

	It("that comes second to a name is a conflict, and takes over when the first goes", func(ctx SpecContext) {
		name := "ämira" // cannot be a resource name, so that two may claim it
		first, second := chatUser(op.namespace, "first", "s1"), chatUser(op.namespace, "second", "s2")
		first.Spec.Username, second.Spec.Username = &name, &name
		create(ctx, passwordSecret(op.namespace, "s1", "one"), passwordSecret(op.namespace, "s2", "two"), first)
		becomes(ctx, first, v1alpha1.ReasonActive)
		create(ctx, second)
		s := becomes(ctx, second, v1alpha1.ReasonNameConflict)
		Expect(s.Kstatus).To(Equal(status.FailedStatus))
		Expect(s.Message).To(ContainSubstring(`"first"`))
		Expect(op.admits(name, "one")).To(BeTrue())

		Expect(kube.Delete(ctx, first)).To(Succeed())
		becomes(ctx, second, v1alpha1.ReasonActive)
		Expect(op.admits(name, "two")).To(BeTrue())

		By("touching nothing when the loser is deleted")
		third := chatUser(op.namespace, "third", "s1")
		third.Spec.Username = &name
		create(ctx, third)
		becomes(ctx, third, v1alpha1.ReasonNameConflict)
		Expect(kube.Delete(ctx, third)).To(Succeed())
		Eventually(func() bool { _, ok := op.directory.UserByResource("third"); return ok }).Should(BeFalse())
		Expect(op.admits(name, "two")).To(BeTrue())
	})

	It("that is locked is in force, and nobody can log in", func(ctx SpecContext) {
		u := chatUser(op.namespace, "mira", "s")
		create(ctx, passwordSecret(op.namespace, "s", "pencil"), u)
		becomes(ctx, u, v1alpha1.ReasonActive)
		patch(ctx, u, `{"spec":{"locked":true}}`)
		Expect(becomes(ctx, u, v1alpha1.ReasonActive).Message).To(ContainSubstring("locked"))
		Expect(u.Status.ModifiedAt.Time).To(BeTemporally(">=", u.CreationTimestamp.Time))
		account, ok := op.directory.Account("mira")
		Expect(ok).To(BeTrue())
		Expect(account.Locked).To(BeTrue())
	})

	It("with an address that only preparation refuses says where, and is in force but for that", func(ctx SpecContext) {
		u := chatUser(op.namespace, "mira", "s")
		u.Spec.Roster = []v1alpha1.Contact{{JID: "tobias@chat.example"}, {JID: "user1@chat.example"}, {JID: "user１@chat.example"}}
		create(ctx, passwordSecret(op.namespace, "s", "pencil"), u)
		s := becomes(ctx, u, v1alpha1.ReasonInvalidValue)
		Expect(s.Kstatus).To(Equal(status.FailedStatus))
		Expect(s.Message).To(ContainSubstring("spec.roster[2].jid"))
		Expect(op.admits("mira", "pencil")).To(BeTrue())
		entry, _ := op.directory.User("mira")
		Expect(entry.Contacts).To(HaveLen(2))

		patch(ctx, u, `{"spec":{"roster":[{"jid":"tobias@chat.example"}]}}`)
		becomes(ctx, u, v1alpha1.ReasonActive)
	})

	It("shows when an imported account came into being", func(ctx SpecContext) {
		u := chatUser(op.namespace, "mira", "")
		u.Annotations = map[string]string{v1alpha1.CreatedAtAnnotation: "2009-05-01T12:00:00Z"}
		create(ctx, u)
		becomes(ctx, u, v1alpha1.ReasonActive)
		Expect(u.Status.CreatedAt.UTC()).To(Equal(time.Date(2009, 5, 1, 12, 0, 0, 0, time.UTC)))
	})

	It("is gone from the directory though somebody's finalizer keeps the resource", func(ctx SpecContext) {
		u := chatUser(op.namespace, "mira", "s")
		u.Finalizers = []string{"example.com/slow"}
		create(ctx, passwordSecret(op.namespace, "s", "pencil"), u)
		becomes(ctx, u, v1alpha1.ReasonActive)
		Expect(kube.Delete(ctx, u)).To(Succeed())
		Eventually(func() bool { _, held := op.directory.Holder(directory.KindUser, "mira"); return held }).Should(BeFalse())
		Expect(kube.Patch(ctx, u, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
	})
})
