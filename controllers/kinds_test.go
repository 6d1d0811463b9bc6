package controllers_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

var _ = Describe("A SystemProperty", func() {
	var op *operator
	BeforeEach(func(ctx SpecContext) { op = start(ctx, newNamespace(ctx, "properties"), options{}) })

	property := func(key string, value string) *v1alpha1.SystemProperty {
		return &v1alpha1.SystemProperty{
			ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: v1alpha1.EncodeName(key)},
			Spec:       v1alpha1.SystemPropertySpec{Key: &key, Value: &value},
		}
	}

	It("acts at once, and a bad value leaves the last good one in force", func(ctx SpecContext) {
		p := property(directory.KeyPurgeDelay, "24h")
		create(ctx, p)
		becomes(ctx, p, v1alpha1.ReasonActive)
		Expect(p.Status.Key).To(HaveValue(Equal(directory.KeyPurgeDelay)))
		Expect(op.directory.Duration(directory.KeyPurgeDelay)).To(Equal(24 * time.Hour))

		patch(ctx, p, `{"spec":{"value":"soon"}}`)
		s := becomes(ctx, p, v1alpha1.ReasonInvalidValue)
		Expect(s.Kstatus).To(Equal(status.FailedStatus))
		Expect(s.Message).To(ContainSubstring("last good value"))
		Expect(op.directory.Duration(directory.KeyPurgeDelay)).To(Equal(24 * time.Hour))

		patch(ctx, p, `{"spec":{"value":"48h"}}`)
		becomes(ctx, p, v1alpha1.ReasonActive)
		Expect(op.directory.Duration(directory.KeyPurgeDelay)).To(Equal(48 * time.Hour))

		Expect(kube.Delete(ctx, p)).To(Succeed())
		Eventually(func() time.Duration { return op.directory.Duration(directory.KeyPurgeDelay) }).Should(Equal(7 * 24 * time.Hour))
	})

	It("makes a chat service, without which its rooms are in force nowhere", func(ctx SpecContext) {
		r := &v1alpha1.ChatRoom{
			ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: v1alpha1.EncodeRoomName("lobby", "team")},
			Spec:       v1alpha1.ChatRoomSpec{RoomName: new("lobby"), Service: new("team")},
		}
		create(ctx, r)
		s := becomes(ctx, r, v1alpha1.ReasonServiceNotFound)
		Expect(s.Kstatus).To(Equal(status.InProgressStatus))
		Expect(s.Message).To(ContainSubstring("xmpp.muc.service.team"))
		p := property("xmpp.muc.service.team", "The Team")
		create(ctx, p)
		becomes(ctx, r, v1alpha1.ReasonActive)
		Expect(becomes(ctx, p, v1alpha1.ReasonActive).Message).To(Equal("The value is in force."))
		Expect(kube.Delete(ctx, p)).To(Succeed())
		becomes(ctx, r, v1alpha1.ReasonServiceNotFound)

		bad := property("xmpp.muc.service.a.b", "x")
		create(ctx, bad)
		becomes(ctx, bad, v1alpha1.ReasonInvalidValue)
	})

	It("with a key that the server does not know is kept", func(ctx SpecContext) {
		p := property("Console Order", "a,b")
		create(ctx, p)
		becomes(ctx, p, v1alpha1.ReasonActive)
		kept, ok := op.directory.Property("Console Order")
		Expect(ok).To(BeTrue())
		Expect(kept.Value).To(Equal("a,b"))
	})

	It("with a misspelled key is kept, Ready, and says which key it resembles", func(ctx SpecContext) {
		p := property("xmpp.limits.session", "3")
		create(ctx, p)
		s := becomes(ctx, p, v1alpha1.ReasonUnknownKey)
		Expect(s.Message).To(ContainSubstring("xmpp.limits.sessions"))
		Expect(s.Kstatus).To(Equal(status.CurrentStatus))
	})

	It("takes its value from a Secret, whichever of the two comes first, and follows it", func(ctx SpecContext) {
		key := directory.KeyRESTSecret
		p := &v1alpha1.SystemProperty{
			ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: v1alpha1.EncodeName(key)},
			Spec: v1alpha1.SystemPropertySpec{Key: &key, ValueFrom: &v1alpha1.PropertySource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: "rest", Key: "token"},
			}},
		}
		create(ctx, p)
		s := becomes(ctx, p, v1alpha1.ReasonSecretNotFound)
		Expect(s.Kstatus).To(Equal(status.InProgressStatus))

		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "rest"}, StringData: map[string]string{"other": "x"}}
		create(ctx, secret)
		Expect(becomes(ctx, p, v1alpha1.ReasonSecretNotFound).Message).NotTo(BeEmpty())
		Eventually(func(g Gomega) { g.Expect(stands(ctx, g, p).Message).To(ContainSubstring(`no key "token"`)) }).Should(Succeed())

		patch(ctx, secret, `{"stringData":{"token":"first token"}}`)
		becomes(ctx, p, v1alpha1.ReasonActive)
		Expect(op.directory.String(key)).To(Equal("first token"))
		shown, _ := op.directory.Property(key)
		Expect(shown.Secret).To(BeTrue())

		patch(ctx, secret, `{"stringData":{"token":"second token"}}`)
		Eventually(func() string { return op.directory.String(key) }).Should(Equal("second token"))

		By("not repeating what a Secret holds")
		flag := directory.KeyAnonymous
		other := &v1alpha1.SystemProperty{
			ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: v1alpha1.EncodeName(flag)},
			Spec: v1alpha1.SystemPropertySpec{Key: &flag, ValueFrom: &v1alpha1.PropertySource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: "rest", Key: "token"},
			}},
		}
		create(ctx, other)
		message := becomes(ctx, other, v1alpha1.ReasonInvalidValue).Message
		Expect(message).To(And(ContainSubstring(`Secret "rest"`), Not(ContainSubstring("second token"))))

		By("keeping the last value while the Secret is gone")
		Expect(kube.Delete(ctx, secret)).To(Succeed())
		becomes(ctx, p, v1alpha1.ReasonSecretNotFound)
		Expect(op.directory.String(key)).To(Equal("second token"))

		By("having it at the start, before anything is served")
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "rest"}, StringData: map[string]string{"token": "third token"}}
		create(ctx, secret)
		becomes(ctx, p, v1alpha1.ReasonActive)
		op.stop()
		op = start(ctx, op.namespace, options{dataDir: op.dataDir})
		Expect(op.directory.String(key)).To(Equal("third token"))
	})
})

var _ = Describe("A ChatGroup and a ChatRoom", func() {
	var op *operator
	BeforeEach(func(ctx SpecContext) { op = start(ctx, newNamespace(ctx, "kinds"), options{}) })

	It("are in force and say so", func(ctx SpecContext) {
		g := &v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "night"}, Spec: v1alpha1.ChatGroupSpec{Members: []string{"mira"}}}
		r := &v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "lobby"}}
		create(ctx, g, r)
		becomes(ctx, g, v1alpha1.ReasonActive)
		becomes(ctx, r, v1alpha1.ReasonActive)
		Expect(g.Status.GroupName).To(HaveValue(Equal("night")))
		Expect(r.Status.JID).To(HaveValue(Equal("lobby@conference.chat.example")))
		_, ok := op.directory.Group("night")
		Expect(ok).To(BeTrue())
		_, ok = op.directory.Room("lobby@conference")
		Expect(ok).To(BeTrue())
	})

	It("conflict over a name, and report addresses that only preparation refuses", func(ctx SpecContext) {
		name := "Night Shift"
		first := &v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "one"}, Spec: v1alpha1.ChatGroupSpec{GroupName: &name}}
		second := &v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "two"}, Spec: v1alpha1.ChatGroupSpec{GroupName: &name}}
		create(ctx, first)
		becomes(ctx, first, v1alpha1.ReasonActive)
		create(ctx, second)
		Expect(becomes(ctx, second, v1alpha1.ReasonNameConflict).Kstatus).To(Equal(status.FailedStatus))
		Expect(kube.Delete(ctx, first)).To(Succeed())
		becomes(ctx, second, v1alpha1.ReasonActive)

		r := &v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "lobby"}, Spec: v1alpha1.ChatRoomSpec{
			Affiliations: []v1alpha1.RoomAffiliation{
				{JID: "user1@chat.example", Affiliation: v1alpha1.AffiliationOwner},
				{JID: "user１@chat.example", Affiliation: v1alpha1.AffiliationOutcast},
			},
		}}
		create(ctx, r)
		Expect(becomes(ctx, r, v1alpha1.ReasonInvalidValue).Message).To(ContainSubstring("spec.affiliations[1].jid"))
		room, _ := op.directory.Room("lobby@conference")
		Expect(room.Affiliations).To(HaveLen(1))
		Expect(room.Affiliations[0].Affiliation).To(Equal(directory.AffiliationOutcast), "the more restrictive holds")
	})
})
