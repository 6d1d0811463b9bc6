package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// mortal is a process that dies before one of its writes: nothing that it does after that has any effect.
type mortal struct {
	*store.Store
	left atomic.Int64 // writes before it dies
}

var errDead = errors.New("the process is dead")

func (m *mortal) write() error {
	if m.left.Add(-1) < 0 {
		return errDead
	}
	return nil
}

func (m *mortal) MoveAccount(ctx context.Context, from, to, uid, domain string) error {
	if err := m.write(); err != nil {
		return err
	}
	return m.Store.MoveAccount(ctx, from, to, uid, domain)
}

func (m *mortal) PutIdentity(ctx context.Context, id store.Identity) error {
	if err := m.write(); err != nil {
		return err
	}
	return m.Store.PutIdentity(ctx, id)
}

func (m *mortal) renamed(context.Context, string, string) error { return m.write() }

func (m *mortal) client(live client.WithWatch) client.Client {
	return interceptor.NewClient(live, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			if err := m.write(); err != nil {
				return err
			}
			return c.Create(ctx, obj, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			if err := m.write(); err != nil {
				return err
			}
			return c.Delete(ctx, obj, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if err := m.write(); err != nil {
				return err
			}
			return c.Patch(ctx, obj, patch, opts...)
		},
	})
}

var _ = Describe("A renamed user", func() {
	var op *operator
	BeforeEach(func(ctx SpecContext) { op = start(ctx, newNamespace(ctx, "renames"), options{}) })

	address := func(name string) jid.JID { return jid.MustParse(name + "@" + domain) }
	accounts := func(names ...string) (open []string) {
		for _, name := range names {
			if op.admits(name, "pencil") {
				open = append(open, name)
			}
		}
		return open
	}
	// world makes a user whom a roster, a group and a room name, and of whom something is remembered.
	world := func(ctx context.Context, n int) (from, to, friend, group, room string) {
		GinkgoHelper()
		from, to = fmt.Sprint("mira", n), fmt.Sprint("jana", n)
		friend, group, room = fmt.Sprint("tobias", n), fmt.Sprint("Ops ", n), fmt.Sprint("atrium", n)
		for _, name := range []string{from, friend} {
			Expect(op.provision.CreateUser(ctx, restActor, newUser(name, "pencil"))).To(Succeed())
		}
		Expect(op.provision.UpdateUser(ctx, restActor, from, directory.UserUpdate{Admin: new(true), Properties: &[]directory.Property{{Key: "team", Value: "north"}}})).To(Succeed())
		Expect(op.provision.PutContact(ctx, restActor, friend, directory.Contact{JID: address(from), Name: "M", Subscription: directory.SubscriptionBoth}, true)).To(Succeed())
		Expect(op.provision.PutContact(ctx, restActor, from, directory.Contact{JID: address(friend), Subscription: directory.SubscriptionBoth}, true)).To(Succeed())
		Expect(op.provision.CreateGroup(ctx, restActor, group, directory.GroupUpdate{AddMembers: []jid.JID{address(friend)}, AddAdmins: []jid.JID{address(from)}})).To(Succeed())
		Expect(op.provision.CreateRoom(ctx, restActor, room, "conference", directory.RoomUpdate{
			Affiliations: []directory.Affiliation{{JID: address(from), Affiliation: directory.AffiliationOwner}},
		})).To(Succeed())
		Expect(op.store.PutItem(ctx, from, account.Item{JID: address("remembered"), Name: "R"})).To(Succeed())
		return from, to, friend, group, room
	}
	isRenamed := func(ctx context.Context, n int) {
		GinkgoHelper()
		from, to, friend, group, room := fmt.Sprint("mira", n), fmt.Sprint("jana", n), fmt.Sprint("tobias", n), fmt.Sprint("Ops ", n), fmt.Sprint("atrium", n)
		Expect(accounts(from, to)).To(Equal([]string{to}))
		u, _ := op.directory.User(to)
		Expect(u.Admin).To(BeTrue())
		Expect(u.Properties).To(Equal([]directory.Property{{Key: "team", Value: "north"}}))
		Expect(u.Contacts).To(HaveLen(1))
		f, _ := op.directory.User(friend)
		Expect(f.Contacts).To(Equal([]directory.Contact{{JID: address(to), Name: "M", Subscription: directory.SubscriptionBoth}}))
		g, _ := op.directory.Group(group)
		Expect(g.Admins).To(Equal([]jid.JID{address(to)}))
		Expect(g.Members).To(Equal([]jid.JID{address(friend)}))
		r, _ := op.directory.Room(room + "@conference")
		Expect(r.Affiliations).To(Equal([]directory.Affiliation{{JID: address(to), Affiliation: directory.AffiliationOwner}}))
		items, err := op.store.LoadRoster(ctx, to)
		Expect(err).NotTo(HaveOccurred())
		Expect(items).To(HaveLen(1))
		var users v1alpha1.ChatUserList
		Expect(kube.List(ctx, &users, client.InNamespace(op.namespace))).To(Succeed())
		for _, u := range users.Items {
			Expect(u.EffectiveUsername()).NotTo(Equal(from))
			Expect(u.Annotations).NotTo(HaveKey(v1alpha1.RenamedFromAnnotation))
			Expect(u.Annotations).NotTo(HaveKey(v1alpha1.AwaitsAnnotation))
		}
	}

	It("has its old password, and everything names it anew", func(ctx SpecContext) {
		from, to, _, _, _ := world(ctx, 0)
		before, _ := op.directory.User(from)
		left, err := op.provision.RenameUser(ctx, restActor, from, to, directory.UserUpdate{Email: new("jana@mail.example")})
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(BeEmpty())
		isRenamed(ctx, 0)
		u, _ := op.directory.User(to)
		Expect(u.Email).To(Equal("jana@mail.example"))
		Expect(u.CreatedAt).To(BeTemporally("==", before.CreatedAt))
		_, err = op.provision.RenameUser(ctx, restActor, from, "other", directory.UserUpdate{})
		Expect(err).To(MatchError(directory.ErrNotFound))
		_, err = op.provision.RenameUser(ctx, restActor, "tobias0", to, directory.UserUpdate{})
		Expect(err).To(MatchError(directory.ErrExists))

		By("unless what is remembered under the new name is kept")
		Expect(op.store.PutIdentity(ctx, store.Identity{Kind: "user", Name: "kept", UID: "1", DeletionPolicy: "Retain", State: store.Pending})).To(Succeed())
		_, err = op.provision.RenameUser(ctx, restActor, "tobias0", "kept", directory.UserUpdate{})
		Expect(err).To(MatchError(directory.ErrExists))
	})

	It("whose password was generated keeps it", func(ctx SpecContext) {
		u := chatUser(op.namespace, "mira", "")
		create(ctx, u)
		becomes(ctx, u, v1alpha1.ReasonActive)
		var secret corev1.Secret
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: u.Status.Binding.Name}, &secret)).To(Succeed())
		_, err := op.provision.RenameUser(ctx, restActor, "mira", "jana", directory.UserUpdate{})
		Expect(err).NotTo(HaveOccurred())
		Expect(op.admits("jana", string(secret.Data["password"]))).To(BeTrue())
		var heir corev1.Secret
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: provision.GeneratedSecretName("jana")}, &heir)).To(Succeed())
		Expect(heir.Data["password"]).To(Equal(secret.Data["password"]))
		Expect(string(heir.Data["jid"])).To(Equal("jana@" + domain))
	})

	// With that field, whoever sets it needs a right that the operator has not; what has it already stays as it is.
	It("whose Secret blocks its deletion keeps its password, and the Secret is not written to", func(ctx SpecContext) {
		u := chatUser(op.namespace, "mira", "")
		create(ctx, u)
		becomes(ctx, u, v1alpha1.ReasonActive)
		var secret corev1.Secret
		name := client.ObjectKey{Namespace: op.namespace, Name: u.Status.Binding.Name}
		Expect(kube.Get(ctx, name, &secret)).To(Succeed())
		Expect(secret.OwnerReferences).To(HaveExactElements(And(
			HaveField("APIVersion", "chat-operator.io/v1alpha1"), HaveField("Kind", "ChatUser"), HaveField("Name", "mira"), HaveField("UID", u.UID),
			HaveField("Controller", HaveValue(BeTrue())), HaveField("BlockOwnerDeletion", BeNil()))))
		secret.OwnerReferences[0].BlockOwnerDeletion = new(true)
		Expect(kube.Update(ctx, &secret)).To(Succeed())
		op.stop()
		op = start(ctx, op.namespace, options{})
		becomes(ctx, u, v1alpha1.ReasonActive)
		_, err := op.provision.RenameUser(ctx, restActor, "mira", "jana", directory.UserUpdate{})
		Expect(err).NotTo(HaveOccurred())
		Expect(op.admits("jana", string(secret.Data["password"]))).To(BeTrue())
		writes, err := env.Writes(op.user.Name)
		Expect(err).NotTo(HaveOccurred())
		for _, w := range writes {
			if w.Name == secret.Name {
				Expect(w.Verb).To(Or(Equal("create"), Equal("delete")), "%+v", w)
			}
		}
	})

	It("is finished after a crash at any step, and there are never two or no accounts", func(ctx SpecContext) {
		env2, err := controllers.NewLiveClient(op.user.Config)
		Expect(err).NotTo(HaveOccurred())
		live, ok := env2.(client.WithWatch)
		if !ok {
			live, err = client.NewWithWatch(op.user.Config, client.Options{Scheme: env2.Scheme()})
			Expect(err).NotTo(HaveOccurred())
		}
		var installation corev1.Secret
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: op.secretName}, &installation)).To(Succeed())
		for n := 1; ; n++ {
			By(fmt.Sprintf("dying before write %d", n))
			from, to, _, _, _ := world(ctx, n)
			m := &mortal{Store: op.store}
			m.left.Store(int64(n - 1))
			dying := provision.New(provision.Config{
				Live: m.client(live), Namespace: op.namespace, Directory: op.directory, Identities: m, Renamed: m.renamed, Key: installation.Data[controllers.InstallationKey],
			})
			_, err := dying.RenameUser(ctx, restActor, from, to, directory.UserUpdate{})
			open := accounts(from, to)
			Expect(len(open)).To(BeNumerically("<=", 1), "two accounts: %v", open)
			var user v1alpha1.ChatUser
			switch there := kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: to}, &user); {
			case there == nil:
				_, err := op.provision.FinishRename(ctx, restActor, &user, nil)
				Expect(err).NotTo(HaveOccurred())
				isRenamed(ctx, n)
			default:
				Expect(accounts(from, to)).To(Equal([]string{from}))
				By("and may be renamed to something else")
				_, err := op.provision.RenameUser(ctx, restActor, from, "other-"+to, directory.UserUpdate{})
				Expect(err).NotTo(HaveOccurred())
				Expect(accounts(from, to, "other-"+to)).To(Equal([]string{"other-" + to}))
			}
			if err == nil {
				Expect(n).To(BeNumerically(">", 8), "fewer writes than there are steps")
				break
			}
		}
	})

	It("is given up when its account has changed or gone meanwhile", func(ctx SpecContext) {
		interrupted := func(n int, writes int64) (from, to string) {
			GinkgoHelper()
			from, to, _, _, _ = world(ctx, n)
			live, err := client.NewWithWatch(op.user.Config, client.Options{Scheme: kube.Scheme()})
			Expect(err).NotTo(HaveOccurred())
			var installation corev1.Secret
			Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: op.secretName}, &installation)).To(Succeed())
			m := &mortal{Store: op.store}
			m.left.Store(writes)
			_, err = provision.New(provision.Config{
				Live: m.client(live), Namespace: op.namespace, Directory: op.directory, Identities: m, Key: installation.Data[controllers.InstallationKey],
			}).RenameUser(ctx, restActor, from, to, directory.UserUpdate{})
			Expect(err).To(MatchError(errDead))
			return from, to
		}
		finish := func(to string) error {
			GinkgoHelper()
			var u v1alpha1.ChatUser
			Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: to}, &u)).To(Succeed())
			_, err := op.provision.FinishRename(ctx, restActor, &u, nil)
			return err
		}
		By("locked since")
		from, to := interrupted(0, 2)
		Expect(op.provision.UpdateUser(ctx, restActor, from, directory.UserUpdate{Locked: new(true)})).To(Succeed())
		Expect(finish(to)).To(MatchError(directory.ErrConflict))
		Expect(accounts(from, to)).To(BeEmpty())
		_, there := op.directory.User(from)
		Expect(there).To(BeTrue())

		By("deleted since: it does not come back under the other name")
		from, to = interrupted(1, 2)
		Expect(op.provision.DeleteUser(ctx, restActor, from)).To(Succeed())
		Expect(finish(to)).To(MatchError(directory.ErrNotFound))
		Expect(accounts(from, to)).To(BeEmpty())
		Eventually(func(g Gomega) {
			g.Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: to}, &v1alpha1.ChatUser{})).NotTo(Succeed())
		}).Should(Succeed())

		By("another password since: that is the one")
		from, to = interrupted(2, 3)
		Expect(op.provision.UpdateUser(ctx, restActor, from, directory.UserUpdate{Password: new("crayon")})).To(Succeed())
		Expect(finish(to)).To(Succeed())
		Expect(op.admits(to, "crayon")).To(BeTrue())
		Expect(accounts(from, to)).To(BeEmpty())
	})

	It("is finished by the leader when nobody else does", func(ctx SpecContext) {
		from, to, _, _, _ := world(ctx, 0)
		live, err := client.NewWithWatch(op.user.Config, client.Options{Scheme: kube.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		var installation corev1.Secret
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: op.secretName}, &installation)).To(Succeed())
		m := &mortal{Store: op.store}
		m.left.Store(5)
		_, err = provision.New(provision.Config{
			Live: m.client(live), Namespace: op.namespace, Directory: op.directory, Identities: m, Key: installation.Data[controllers.InstallationKey],
		}).RenameUser(ctx, restActor, from, to, directory.UserUpdate{})
		Expect(err).To(MatchError(errDead))
		Eventually(func() []string { return accounts(from, to) }, 3*time.Minute).Should(Equal([]string{to}))
		Eventually(func(g Gomega) {
			var u v1alpha1.ChatUser
			g.Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: to}, &u)).To(Succeed())
			g.Expect(u.Annotations).NotTo(HaveKey(v1alpha1.RenamedFromAnnotation))
			g.Expect(u.Annotations).NotTo(HaveKey(v1alpha1.RenamedByAnnotation))
		}).Should(Succeed())
		isRenamed(ctx, 0)

		By("and is in the audit log as the wish of whoever asked for it, and the end of the old ChatUser is not")
		entries, err := op.store.ListAudit(ctx, store.AuditFilter{})
		Expect(err).NotTo(HaveOccurred())
		Expect(entries).To(ConsistOf(And(
			HaveField("Username", restActor.Name), HaveField("Via", restActor.Via), HaveField("Address", restActor.Address),
			HaveField("Summary", "edited user "+to), HaveField("Details", "renamed from = "+from),
		)))
	})

	It("leaves what a GitOps tool declares, and says so; a declared user is not renamed", func(ctx SpecContext) {
		from, to, _, _, _ := world(ctx, 0)
		declared := &v1alpha1.ChatGroup{
			TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ChatGroup"},
			ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "declared"},
			Spec:       v1alpha1.ChatGroupSpec{Members: []string{from}},
		}
		Expect(kube.Patch(ctx, declared, client.Apply, client.FieldOwner("argocd-controller"))).To(Succeed()) //nolint:staticcheck // the typed form needs generated code
		Eventually(func() bool { _, ok := op.directory.Group("declared"); return ok }).Should(BeTrue())
		left, err := op.provision.RenameUser(ctx, restActor, from, to, directory.UserUpdate{})
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(ConsistOf(And(ContainSubstring(`"declared"`), ContainSubstring("argocd-controller"))))
		isRenamed(ctx, 0)

		user := &v1alpha1.ChatUser{
			TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ChatUser"},
			ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "pia"}, Spec: v1alpha1.ChatUserSpec{DisplayName: new("Pia")},
		}
		Expect(kube.Patch(ctx, user, client.Apply, client.FieldOwner("argocd-controller"))).To(Succeed()) //nolint:staticcheck // the typed form needs generated code
		Eventually(func() bool { _, ok := op.directory.User("pia"); return ok }).Should(BeTrue())
		_, err = op.provision.RenameUser(ctx, restActor, "pia", "other", directory.UserUpdate{})
		var managed *directory.ManagedError
		Expect(errors.As(err, &managed)).To(BeTrue())
		Expect(managed.Manager).To(Equal("argocd-controller"))
	})

	It("cannot be made up by whoever may write a ChatUser", func(ctx SpecContext) {
		from, _, _, group, _ := world(ctx, 0)
		u := chatUser(op.namespace, "eve", "")
		u.Annotations = map[string]string{v1alpha1.RenamedFromAnnotation: from + " uid 00000000000000000000000000000000"}
		create(ctx, u)
		Expect(becomes(ctx, u, v1alpha1.ReasonInvalidValue).Message).To(ContainSubstring("was not written by this installation"))
		_, err := op.provision.FinishRename(ctx, restActor, u, nil)
		Expect(err).To(MatchError(provision.ErrForged))
		g, _ := op.directory.Group(group)
		Expect(g.Admins).To(Equal([]jid.JID{address(from)}))
	})
})
