package controllers_test

import (
	"errors"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/hack/testenv"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

var _ = Describe("At rest", SpecPriority(1), func() {
	It("nothing is written with a thousand objects of all kinds, nor by a restart", func(ctx SpecContext) {
		namespace := newNamespace(ctx, "quiet")
		op := start(ctx, namespace, options{})
		const each = 250
		name := "Zwei Namen"
		objects := []client.Object{
			// Not everything is well in a real namespace.
			chatUser(namespace, "without-secret", "nowhere"),
			&v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "first"}, Spec: v1alpha1.ChatGroupSpec{GroupName: &name}},
			&v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "second"}, Spec: v1alpha1.ChatGroupSpec{GroupName: &name}},
			passwordSecret(namespace, "in-the-way-credentials", "x"), chatUser(namespace, "in-the-way", ""),
		}
		for i := range each {
			meta := func(kind string) metav1.ObjectMeta {
				return metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s-%d", kind, i)}
			}
			user := chatUser(namespace, fmt.Sprintf("user-%d", i), "shared-password")
			if i%2 == 0 {
				user.Spec.Credentials = nil // half of them have one generated
			}
			objects = append(objects, user,
				&v1alpha1.ChatGroup{ObjectMeta: meta("group"), Spec: v1alpha1.ChatGroupSpec{Members: []string{user.Name}}},
				&v1alpha1.ChatRoom{ObjectMeta: meta("room")},
				&v1alpha1.SystemProperty{ObjectMeta: meta("property"), Spec: v1alpha1.SystemPropertySpec{Value: new("v")}},
			)
		}
		create(ctx, passwordSecret(namespace, "shared-password", "pencil"))
		inParallel(objects, func(o client.Object) error { return kube.Create(ctx, o) })

		settled := func(g Gomega) {
			unsettled := 0
			for _, list := range []client.ObjectList{
				&v1alpha1.ChatUserList{}, &v1alpha1.ChatGroupList{}, &v1alpha1.ChatRoomList{}, &v1alpha1.SystemPropertyList{},
			} {
				g.Expect(kube.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
				each := func(o client.Object) {
					if observed(o) != o.GetGeneration() {
						unsettled++
					}
				}
				switch l := list.(type) {
				case *v1alpha1.ChatUserList:
					for i := range l.Items {
						each(&l.Items[i])
					}
				case *v1alpha1.ChatGroupList:
					for i := range l.Items {
						each(&l.Items[i])
					}
				case *v1alpha1.ChatRoomList:
					for i := range l.Items {
						each(&l.Items[i])
					}
				case *v1alpha1.SystemPropertyList:
					for i := range l.Items {
						each(&l.Items[i])
					}
				}
			}
			g.Expect(unsettled).To(BeZero())
		}
		Eventually(settled, 3*time.Minute, 250*time.Millisecond).Should(Succeed())
		writes := func() []testenv.Request {
			GinkgoHelper()
			list, err := env.Writes(op.user.Name)
			Expect(err).NotTo(HaveOccurred())
			return list
		}
		By("waiting until what was under way has been written")
		count, still := -1, 0 // for so many seconds
		Eventually(func() int {
			last := count
			if count = len(writes()); count != last {
				still = 0
			} else {
				still++
			}
			return still
		}, 3*time.Minute, time.Second).Should(Equal(4))

		By("reporting each object once, by one write of its status, and one more where a Secret came late")
		patches := map[string]int{}
		for _, w := range writes() {
			if w.Subresource == "status" {
				patches[w.Resource+"/"+w.Name]++
			}
		}
		Expect(patches).To(HaveLen(4*each + 4))
		for object, n := range patches {
			Expect(n).To(BeNumerically("<=", 2), object)
		}

		By("watching it rest")
		before := len(writes())
		Consistently(func() int { return len(writes()) }, 5*time.Second, time.Second).Should(Equal(before))

		By("restarting it")
		op.stop()
		op = start(ctx, namespace, options{dataDir: op.dataDir})
		Expect(op.directory.Users()).To(HaveLen(each + 2))
		Consistently(func() []testenv.Request { return writes()[before:] }, 5*time.Second, time.Second).Should(BeEmpty())
	}, SpecTimeout(10*time.Minute))
})

// inParallel does something to all objects, a few at a time.
func inParallel(objects []client.Object, do func(client.Object) error) {
	GinkgoHelper()
	queue := make(chan client.Object)
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			for o := range queue {
				if err := do(o); err != nil {
					errs[i] = err
				}
			}
		})
	}
	for _, o := range objects {
		queue <- o
	}
	close(queue)
	group.Wait()
	for _, err := range errs {
		Expect(err).NotTo(HaveOccurred())
	}
}

var _ = Describe("The API server", func() {
	It("stopped under way loses and doubles nothing, and keeps no login waiting", func(ctx SpecContext) {
		namespace := newNamespace(ctx, "outage")
		op := start(ctx, namespace, options{leaderElect: true})
		create(ctx, passwordSecret(namespace, "s", "pencil"), chatUser(namespace, "mira", "s"))
		becomes(ctx, chatUser(namespace, "mira", "s"), v1alpha1.ReasonActive)
		Eventually(op.leadership.Leading).Should(BeTrue())

		Expect(env.StopAPIServer()).To(Succeed())
		back := false
		restore := func() {
			if !back {
				back = true
				Expect(env.StartAPIServer()).To(Succeed())
			}
		}
		DeferCleanup(restore)
		Expect(op.admits("mira", "pencil")).To(BeTrue())
		begun := time.Now()
		err := op.provision.CreateUser(ctx, restActor, newUser("during", "a word"))
		Expect(err).To(beUnavailable())
		Expect(time.Since(begun)).To(BeNumerically("<", 30*time.Second))
		Expect(op.provision.PutProperty(ctx, restActor, "a", "b", false)).To(beUnavailable())
		Expect(op.provision.DeleteUser(ctx, restActor, "mira")).To(beUnavailable())
		Expect(op.admits("mira", "pencil")).To(BeTrue())
		Eventually(op.leadership.Leading).Should(BeFalse(), "the Lease is lost, and the process stays")

		restore()
		// The first one to succeed finds the watches on their feet again: nothing is written and not in force.
		Eventually(func() error {
			err := op.provision.CreateUser(ctx, restActor, newUser("after", "a word"))
			if errors.Is(err, directory.ErrNotYetActive) || errors.Is(err, directory.ErrExists) {
				return StopTrying("written, and not in force").Wrap(err)
			}
			return err
		}, time.Minute, 500*time.Millisecond).Should(Succeed())
		Eventually(op.leadership.Leading).Should(BeTrue())
		Expect(op.admits("after", "a word")).To(BeTrue())
		later := chatUser(namespace, "later", "s")
		create(ctx, later)
		Eventually(func() bool { return op.admits("later", "pencil") }).Should(BeTrue())
		becomes(ctx, later, v1alpha1.ReasonActive)
		var users v1alpha1.ChatUserList
		Expect(kube.List(ctx, &users, client.InNamespace(namespace))).To(Succeed())
		Expect(users.Items).To(HaveLen(3))
	}, SpecTimeout(10*time.Minute))
})

var _ = Describe("Two replicas", func() {
	It("both project, and only the leader reports; the other takes over", func(ctx SpecContext) {
		namespace := newNamespace(ctx, "replicas")
		leader := start(ctx, namespace, options{leaderElect: true})
		Eventually(leader.leadership.Leading).Should(BeTrue())
		follower := start(ctx, namespace, options{leaderElect: true})

		u := chatUser(namespace, "mira", "s")
		create(ctx, passwordSecret(namespace, "s", "pencil"), u)
		becomes(ctx, u, v1alpha1.ReasonActive)
		Eventually(func() bool { return follower.admits("mira", "pencil") }).Should(BeTrue())
		Expect(follower.leadership.Leading()).To(BeFalse())

		By("holding the leader's watches back: the follower applies a change that nobody reports")
		leader.watches.close()
		patch(ctx, u, `{"spec":{"displayName":"Mira"}}`)
		Eventually(func() string { user, _ := follower.directory.User("mira"); return user.DisplayName }).Should(Equal("Mira"))
		Consistently(func(g Gomega) {
			g.Expect(kube.Get(ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
			g.Expect(u.Status.ObservedGeneration).To(BeNumerically("<", u.Generation))
		}, 2*time.Second, 200*time.Millisecond).Should(Succeed())
		leader.watches.open()
		becomes(ctx, u, v1alpha1.ReasonActive)

		By("having a proposal of the follower in force there")
		Expect(follower.provision.CreateUser(ctx, restActor, newUser("pia", "a word"))).To(Succeed())
		Expect(follower.admits("pia", "a word")).To(BeTrue())

		By("stopping the leader")
		leader.stop()
		Eventually(follower.leadership.Leading).Should(BeTrue())
		patch(ctx, u, `{"spec":{"displayName":"Mira Okafor"}}`)
		becomes(ctx, u, v1alpha1.ReasonActive)
	}, SpecTimeout(10*time.Minute))
})

var _ = Describe("A namespace", func() {
	for _, running := range []bool{true, false} {
		It(fmt.Sprintf("is deleted with everything in it, the operator running: %v", running), func(ctx SpecContext) {
			namespace := newNamespace(ctx, "deleted")
			op := start(ctx, namespace, options{})
			objects := []client.Object{
				chatUser(namespace, "mira", ""), chatUser(namespace, "tobias", "nowhere"),
				&v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "g"}},
				&v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "r"}},
				&v1alpha1.SystemProperty{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}, Spec: v1alpha1.SystemPropertySpec{Value: new("v")}},
			}
			create(ctx, objects...)
			becomes(ctx, objects[0], v1alpha1.ReasonActive)
			Expect(op.provision.CreateUser(ctx, restActor, newUser("pia", "a word"))).To(Succeed())
			if !running {
				op.stop()
			}
			ns, err := clusterNamespace(ctx, namespace)
			Expect(err).NotTo(HaveOccurred())
			Expect(kube.Delete(ctx, ns)).To(Succeed())
			Eventually(func() error { _, err := clusterNamespace(ctx, namespace); return client.IgnoreNotFound(err) }, 3*time.Minute, 500*time.Millisecond).Should(Succeed())
			Eventually(func() bool { _, err := clusterNamespace(ctx, namespace); return err != nil }, 3*time.Minute, 500*time.Millisecond).Should(BeTrue())
			if running {
				Eventually(func() int { return len(op.directory.Users()) }).Should(BeZero())
			}
		}, SpecTimeout(10*time.Minute))
	}

	It("loses its resources one by one in any order, Secret or user first, without hanging", func(ctx SpecContext) {
		namespace := newNamespace(ctx, "orders")
		op := start(ctx, namespace, options{})
		for i, order := range [][]int{{0, 1}, {1, 0}} {
			user, secret := chatUser(namespace, fmt.Sprintf("mira-%d", i), fmt.Sprintf("s-%d", i)), passwordSecret(namespace, fmt.Sprintf("s-%d", i), "pencil")
			create(ctx, secret, user)
			becomes(ctx, user, v1alpha1.ReasonActive)
			both := []client.Object{user, secret}
			for _, j := range order {
				Expect(kube.Delete(ctx, both[j])).To(Succeed())
			}
			Eventually(func() error { return kube.Get(ctx, client.ObjectKeyFromObject(user), user) }).ShouldNot(Succeed())
			Eventually(func() bool { _, ok := op.directory.User(user.Name); return ok }).Should(BeFalse())
		}
	})
})
