package controllers_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

var _ = Describe("What names a deleted user or group", func() {
	mira := jid.MustParse("mira@" + domain)
	var op *operator
	BeforeEach(func(ctx SpecContext) {
		op = start(ctx, newNamespace(ctx, "references"), options{})
		for _, name := range []string{"mira", "tobias"} {
			Expect(op.provision.CreateUser(ctx, restActor, newUser(name, "pencil"))).To(Succeed())
		}
		Expect(op.provision.PutContact(ctx, restActor, "tobias", directory.Contact{JID: mira, Subscription: directory.SubscriptionBoth}, true)).To(Succeed())
		Expect(op.provision.CreateGroup(ctx, restActor, "Ops", directory.GroupUpdate{AddMembers: []jid.JID{mira}})).To(Succeed())
		for i := range 3 {
			Expect(op.provision.CreateRoom(ctx, restActor, fmt.Sprint("atrium", i), "conference", directory.RoomUpdate{
				Affiliations:      []directory.Affiliation{{JID: mira, Affiliation: directory.AffiliationMember}},
				GroupAffiliations: []directory.GroupAffiliation{{Group: "Ops", Affiliation: directory.AffiliationAdmin}},
			})).To(Succeed())
		}
	})

	// dying is a process that dies before one of its writes.
	dying := func(ctx context.Context, writes int64) *provision.Provisioner {
		GinkgoHelper()
		live, err := client.NewWithWatch(op.user.Config, client.Options{Scheme: kube.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		var installation corev1.Secret
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: op.secretName}, &installation)).To(Succeed())
		m := &mortal{Store: op.store}
		m.left.Store(writes)
		return provision.New(provision.Config{
			Live: m.client(live), Namespace: op.namespace, Directory: op.directory, Identities: m, Key: installation.Data[controllers.InstallationKey],
		})
	}
	// naming lists what names something.
	naming := func(group bool) (list []string) {
		for _, u := range op.directory.Users() {
			if _, has := u.Contact(mira); has && !group {
				list = append(list, u.Username)
			}
		}
		for _, g := range op.directory.Groups() {
			if len(g.Members) > 0 && !group {
				list = append(list, g.GroupName)
			}
		}
		for _, r := range op.directory.Rooms() {
			if len(r.Affiliations) > 0 && !group || len(r.GroupAffiliations) > 0 && group {
				list = append(list, r.RoomName)
			}
		}
		return list
	}
	rows := func(ctx context.Context) int {
		GinkgoHelper()
		n := 0
		for _, kind := range []string{"user references", "group references"} {
			list, err := op.store.ListIdentities(ctx, kind)
			Expect(err).NotTo(HaveOccurred())
			n += len(list)
		}
		return n
	}
	restart := func(ctx context.Context) {
		GinkgoHelper()
		op.stop()
		op = start(ctx, op.namespace, options{dataDir: op.dataDir})
		Eventually(op.directory.Synced()).Should(BeClosed())
	}

	It("is changed by the next process when one died midway", func(ctx SpecContext) {
		Expect(dying(ctx, 5).DeleteUser(ctx, restActor, "mira")).To(Succeed())
		Expect(naming(false)).NotTo(BeEmpty())
		Expect(rows(ctx)).To(Equal(1))
		restart(ctx)
		Eventually(func() []string { return naming(false) }, 3*time.Minute).Should(BeEmpty())
		Eventually(rows).WithArguments(ctx).Should(BeZero())

		By("a group")
		Expect(dying(ctx, 3).DeleteGroup(ctx, restActor, "Ops")).To(Succeed())
		Expect(naming(true)).NotTo(BeEmpty())
		restart(ctx)
		Eventually(func() []string { return naming(true) }, 3*time.Minute).Should(BeEmpty())
		Eventually(rows).WithArguments(ctx).Should(BeZero())
	})

	It("is changed where it was declared outside only if who deleted was allowed to", func(ctx SpecContext) {
		for _, name := range []string{"night", "day"} {
			Expect(kube.Create(ctx, &v1alpha1.ChatGroup{
				ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: name}, Spec: v1alpha1.ChatGroupSpec{Members: []string{"mira", "tobias"}},
			}, client.FieldOwner("argocd"))).To(Succeed())
			Eventually(func() bool { _, there := op.directory.Group(name); return there }).Should(BeTrue())
		}
		override := func(value string) {
			GinkgoHelper()
			Expect(op.provision.PutProperty(ctx, restActor, directory.KeyRESTOverride, value, true)).To(Succeed())
			Eventually(func() bool { return op.directory.Bool(directory.KeyRESTOverride) }).Should(Equal(value == "true"))
		}
		members := func() int { g, _ := op.directory.Group("night"); return len(g.Members) }
		leader := directory.Actor{Via: "server"}

		By("not allowed when it was deleted, though it is now")
		Expect(op.provision.PutProperty(ctx, restActor, directory.KeyRESTOverride, "false", false)).To(Succeed())
		Expect(dying(ctx, 3).DeleteUser(ctx, restActor, "mira")).To(Succeed())
		override("true")
		Expect(op.provision.FinishDeletions(ctx, leader)).To(Succeed())
		Expect(rows(ctx)).To(BeZero())
		Expect(members()).To(Equal(2))

		By("allowed when it was deleted, though it is not any more")
		Expect(dying(ctx, 3).DeleteUser(ctx, restActor, "tobias")).To(Succeed())
		Expect(rows(ctx)).To(Equal(1))
		override("false")
		Expect(op.provision.FinishDeletions(ctx, leader)).To(Succeed())
		Expect(rows(ctx)).To(BeZero())
		Expect(members()).To(Equal(1), "tobias is in it no more, mira is")
	})

	It("is left when there was no deletion, or somebody else has the name", func(ctx SpecContext) {
		Expect(dying(ctx, 2).DeleteUser(ctx, restActor, "mira")).NotTo(Succeed())
		Expect(op.provision.FinishDeletions(ctx, restActor)).To(Succeed())
		Expect(rows(ctx)).To(BeZero())
		Expect(naming(false)).To(HaveLen(5))

		Expect(dying(ctx, 2).DeleteGroup(ctx, restActor, "Ops")).To(Succeed())
		ops := "Ops"
		create(ctx, &v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "by-hand"}, Spec: v1alpha1.ChatGroupSpec{GroupName: &ops}})
		Eventually(func() bool { _, there := op.directory.Group("Ops"); return there }).Should(BeTrue())
		Expect(op.provision.FinishDeletions(ctx, restActor)).To(Succeed())
		Expect(rows(ctx)).To(BeZero())
		Expect(naming(true)).To(HaveLen(3))
	})

	It("is changed before another gets the name through this program", func(ctx SpecContext) {
		Expect(dying(ctx, 2).DeleteGroup(ctx, restActor, "Ops")).To(Succeed())
		Expect(op.provision.CreateGroup(ctx, restActor, "Ops", directory.GroupUpdate{})).To(Succeed())
		Expect(naming(true)).To(BeEmpty())

		Expect(dying(ctx, 3).DeleteUser(ctx, restActor, "mira")).To(Succeed())
		Expect(naming(false)).To(HaveLen(4)) // tobias, and three rooms
		Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", "another pencil"))).To(Succeed())
		Expect(naming(false)).To(BeEmpty())
		Expect(rows(ctx)).To(BeZero())
	})

	It("is changed though the resource lingers for a while", func(ctx SpecContext) {
		var u v1alpha1.ChatUser
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: "mira"}, &u)).To(Succeed())
		u.Finalizers = []string{"chat.example/later"}
		Expect(kube.Update(ctx, &u)).To(Succeed())
		Expect(dying(ctx, 3).DeleteUser(ctx, restActor, "mira")).To(Succeed())
		Expect(rows(ctx)).To(Equal(1))
		Expect(op.provision.FinishDeletions(ctx, restActor)).To(Succeed())
		Expect(naming(false)).To(BeEmpty())
		Expect(rows(ctx)).To(BeZero())

		Expect(kube.Get(ctx, client.ObjectKeyFromObject(&u), &u)).To(Succeed())
		u.Finalizers = nil
		Expect(kube.Update(ctx, &u)).To(Succeed())
	})

	It("that was the only owner of a room is followed by the first administrator, if there is one", func(ctx SpecContext) {
		owned := directory.RoomUpdate{Affiliations: []directory.Affiliation{{JID: mira, Affiliation: directory.AffiliationOwner}}}
		owners := func() []directory.Affiliation { r, _ := op.directory.Room("den@conference"); return r.Affiliations }
		Expect(op.provision.CreateRoom(ctx, restActor, "den", "conference", owned)).To(Succeed())
		Expect(op.provision.DeleteUser(ctx, restActor, "mira")).To(Succeed())
		Expect(owners()).To(BeEmpty())

		for _, name := range []string{"kai", "mira", "jun"} {
			Expect(op.provision.CreateUser(ctx, restActor, newUser(name, "pencil"))).To(Succeed())
			Expect(op.provision.UpdateUser(ctx, restActor, name, directory.UserUpdate{Admin: new(true)})).To(Succeed())
		}
		Expect(op.provision.UpdateRoom(ctx, restActor, "den@conference", owned)).To(Succeed())
		Expect(op.provision.DeleteUser(ctx, restActor, "mira")).To(Succeed())
		Expect(owners()).To(Equal([]directory.Affiliation{{JID: jid.MustParse("jun@" + domain), Affiliation: directory.AffiliationOwner}}))
	})

	It("is changed at once, and nothing is left to do", func(ctx SpecContext) {
		Expect(op.provision.DeleteUser(ctx, restActor, "mira")).To(Succeed())
		Expect(op.provision.DeleteGroup(ctx, restActor, "Ops")).To(Succeed())
		Expect(naming(false)).To(BeEmpty())
		Expect(naming(true)).To(BeEmpty())
		Expect(rows(ctx)).To(BeZero())
	})
})
