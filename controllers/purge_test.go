package controllers_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

var _ = Describe("What is remembered of a user", func() {
	const week = 7 * 24 * time.Hour
	var (
		clock *clocktesting.FakeClock
		op    *operator
	)
	BeforeEach(func(ctx SpecContext) {
		clock = clocktesting.NewFakeClock(time.Now())
		op = start(ctx, newNamespace(ctx, "purge"), options{clock: clock})
	})
	contact := jid.MustParse("friend@other.example")
	remember := func(ctx context.Context, username string) {
		GinkgoHelper()
		Expect(op.store.PutItem(ctx, username, account.Item{JID: contact})).To(Succeed())
	}
	remembered := func(ctx context.Context, username string) bool {
		GinkgoHelper()
		items, err := op.store.LoadRoster(ctx, username)
		Expect(err).NotTo(HaveOccurred())
		return len(items) > 0
	}
	state := func(ctx context.Context, kind, name string) func() store.State {
		return func() store.State {
			GinkgoHelper()
			row, ok, err := op.store.GetIdentity(ctx, kind, name)
			Expect(err).NotTo(HaveOccurred())
			if !ok {
				return ""
			}
			return row.State
		}
	}
	declare := func(ctx context.Context, name string) *v1alpha1.ChatUser {
		GinkgoHelper()
		u := chatUser(op.namespace, name, "s")
		create(ctx, u)
		Eventually(state(ctx, "user", name)).Should(Equal(store.Active))
		return u
	}
	withdraw := func(ctx context.Context, u client.Object) {
		GinkgoHelper()
		Expect(kube.Delete(ctx, u)).To(Succeed())
		Eventually(state(ctx, "user", u.GetName())).Should(Equal(store.Pending))
	}

	It("is purged a week after the deletion, not before", func(ctx SpecContext) {
		u := declare(ctx, "mira")
		remember(ctx, "mira")
		withdraw(ctx, u)
		Eventually(clock.HasWaiters).Should(BeTrue())
		clock.Step(week - time.Minute)
		Consistently(func() bool { return remembered(ctx, "mira") }, 300*time.Millisecond).Should(BeTrue())
		// A timer that is set in the moment that the clock is moved counts from there: it is moved on.
		Eventually(func() bool { clock.Step(time.Hour); return remembered(ctx, "mira") }).Should(BeFalse())
		Eventually(state(ctx, "user", "mira")).Should(BeEmpty())
		Eventually(func() float64 { return op.metric("chat_operator_purged_total") }).Should(BeEquivalentTo(1))
	})

	It("is there again when a declared resource of that name comes back, which an Event says", func(ctx SpecContext) {
		u := declare(ctx, "mira")
		remember(ctx, "mira")
		withdraw(ctx, u)
		again := declare(ctx, "mira")
		Eventually(func(g Gomega) { g.Expect(eventsOf(ctx, g, again)).To(ContainElement("Restored")) }).Should(Succeed())
		clock.Step(2 * week)
		Consistently(func() bool { return remembered(ctx, "mira") }, 300*time.Millisecond).Should(BeTrue())
	})

	It("follows accounts.purgeDelay while it runs", func(ctx SpecContext) {
		u := declare(ctx, "mira")
		remember(ctx, "mira")
		withdraw(ctx, u)
		clock.Step(2 * time.Hour)
		Consistently(func() bool { return remembered(ctx, "mira") }, 300*time.Millisecond).Should(BeTrue())
		create(ctx, &v1alpha1.SystemProperty{
			ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: v1alpha1.EncodeName(directory.KeyPurgeDelay)},
			Spec:       v1alpha1.SystemPropertySpec{Key: new(directory.KeyPurgeDelay), Value: new("1h")},
		})
		Eventually(func() bool { return remembered(ctx, "mira") }).Should(BeFalse())
	})

	It("is never purged with deletionPolicy Retain", func(ctx SpecContext) {
		u := declare(ctx, "mira")
		remember(ctx, "mira")
		patch(ctx, u, `{"spec":{"deletionPolicy":"Retain"}}`)
		Eventually(func() string {
			row, _, err := op.store.GetIdentity(ctx, "user", "mira")
			Expect(err).NotTo(HaveOccurred())
			return row.DeletionPolicy
		}).Should(Equal("Retain"))
		withdraw(ctx, u)
		clock.Step(10 * week)
		Consistently(func() bool { return remembered(ctx, "mira") }, 500*time.Millisecond).Should(BeTrue())
	})

	It("counts as deleted when the user went while the operator was away", func(ctx SpecContext) {
		u := declare(ctx, "mira")
		remember(ctx, "mira")
		op.stop()
		Expect(kube.Delete(ctx, u)).To(Succeed())
		op = start(ctx, op.namespace, options{clock: clock, dataDir: op.dataDir})
		Eventually(state(ctx, "user", "mira")).Should(Equal(store.Pending))
		clock.Step(week)
		Eventually(func() bool { clock.Step(time.Hour); return remembered(ctx, "mira") }).Should(BeFalse())
	})

	It("goes before the answer when REST deletes the user, and before the name is given to somebody else", func(ctx SpecContext) {
		Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", "a word"))).To(Succeed())
		remember(ctx, "mira")
		Expect(op.provision.DeleteUser(ctx, restActor, "mira")).To(Succeed())
		Expect(remembered(ctx, "mira")).To(BeFalse())
		Eventually(state(ctx, "user", "mira")).Should(BeEmpty())

		u := declare(ctx, "tobias")
		remember(ctx, "tobias")
		withdraw(ctx, u)
		Expect(op.provision.CreateUser(ctx, restActor, newUser("tobias", "a word"))).To(Succeed())
		Expect(remembered(ctx, "tobias")).To(BeFalse(), "nobody inherits a stranger's data")
		var made v1alpha1.ChatUser
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: "tobias"}, &made)).To(Succeed())
		becomes(ctx, &made, v1alpha1.ReasonActive)
		Expect(func(g Gomega) []string { return eventsOf(ctx, g, &made) }(Default)).NotTo(ContainElement("Restored"))
	})

	It("is purged when the process that meant to do it at once died in between", func(ctx SpecContext) {
		u := declare(ctx, "mira")
		remember(ctx, "mira")
		row, _, err := op.store.GetIdentity(ctx, "user", "mira")
		Expect(err).NotTo(HaveOccurred())
		row.State = store.PurgeNow
		Expect(op.store.PutIdentity(ctx, row)).To(Succeed())
		op.stop()
		By("taking the intent back where the deletion never happened")
		op = start(ctx, op.namespace, options{clock: clock, dataDir: op.dataDir})
		Eventually(state(ctx, "user", "mira")).Should(Equal(store.Active))
		Expect(remembered(ctx, "mira")).To(BeTrue())

		Expect(op.store.PutIdentity(ctx, row)).To(Succeed())
		op.stop()
		Expect(kube.Delete(ctx, u)).To(Succeed())
		op = start(ctx, op.namespace, options{clock: clock, dataDir: op.dataDir})
		Eventually(state(ctx, "user", "mira")).Should(BeEmpty())
		Expect(remembered(ctx, "mira")).To(BeFalse())
	})

	It("is held by the brake when many accounts go at once, until somebody confirms it", func(ctx SpecContext) {
		const many = 12
		var users []*v1alpha1.ChatUser
		for i := range many {
			u := declare(ctx, fmt.Sprintf("u%d", i))
			remember(ctx, u.Name)
			users = append(users, u)
		}
		for _, u := range users {
			withdraw(ctx, u)
		}
		clock.Step(week)
		Eventually(func() float64 { clock.Step(time.Hour); return op.metric("chat_operator_purges_held") }).Should(BeEquivalentTo(many))
		for _, u := range users {
			Expect(remembered(ctx, u.Name)).To(BeTrue())
		}
		var note string
		Eventually(func(g Gomega) {
			var list eventsv1.EventList
			g.Expect(kube.List(ctx, &list, client.InNamespace(op.namespace))).To(Succeed())
			for _, e := range list.Items {
				if e.Reason == "PurgesHeld" {
					note = e.Note
				}
			}
			g.Expect(note).To(ContainSubstring("kubectl annotate"))
		}).Should(Succeed())

		By("running the command that the Event gives")
		var confirm string
		_, err := fmt.Sscanf(note[len(note)-len("chat-operator.io/confirm-purge=2006-01-02T15:04:05Z"):], "chat-operator.io/confirm-purge=%s", &confirm)
		Expect(err).NotTo(HaveOccurred())
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: op.secretName}}
		patch(ctx, secret, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ConfirmPurgeAnnotation, confirm))
		for _, u := range users {
			Eventually(func() bool { return remembered(ctx, u.Name) }).Should(BeFalse())
		}
		Eventually(func() float64 { return op.metric("chat_operator_purges_held") }).Should(BeZero())
	})

	It("has its row for rooms as well", func(ctx SpecContext) {
		room := &v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "lobby"}}
		create(ctx, room)
		Eventually(state(ctx, "room", "lobby@conference")).Should(Equal(store.Active))
		Expect(kube.Delete(ctx, room)).To(Succeed())
		Eventually(state(ctx, "room", "lobby@conference")).Should(Equal(store.Pending))
		clock.Step(week)
		Eventually(func() store.State { clock.Step(time.Hour); return state(ctx, "room", "lobby@conference")() }).Should(BeEmpty())
	})
})
