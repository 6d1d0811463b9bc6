package controllers_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// together runs something n times at once.
func together(n int, do func(i int)) {
	GinkgoHelper()
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		group.Go(func() {
			defer GinkgoRecover()
			<-begin
			do(i)
		})
	}
	close(begin)
	group.Wait()
}

var _ = Describe("A proposal about a group", func() {
	var op *operator
	BeforeEach(func(ctx SpecContext) { op = start(ctx, newNamespace(ctx, "groups"), options{}) })
	mira, tobias, remote := jid.MustParse("mira@"+domain), jid.MustParse("tobias@"+domain), jid.MustParse("ada@other.example")

	It("declares it, changes its members entry by entry, and takes it away", func(ctx SpecContext) {
		Expect(op.provision.CreateGroup(ctx, restActor, "Night Shift", directory.GroupUpdate{
			Description: new("from ten to six"), AddMembers: []jid.JID{mira, remote}, AddAdmins: []jid.JID{mira},
			SharedRoster: &directory.SharedRoster{Mode: directory.SharedOnlyGroup},
		})).To(Succeed())
		Expect(op.directory.IsMember("Night Shift", remote)).To(BeTrue())
		var g v1alpha1.ChatGroup
		key := client.ObjectKey{Namespace: op.namespace, Name: "night-shift-x3grl6u2dpq4kiq5mrqjuf73fqe"}
		Expect(kube.Get(ctx, key, &g)).To(Succeed())
		Expect(g.Spec.Members).To(Equal([]string{"mira", "ada@other.example"}))
		Expect(op.provision.CreateGroup(ctx, restActor, "Night Shift", directory.GroupUpdate{})).To(MatchError(directory.ErrExists))

		By("two who change it at once lose nothing")
		errs := make(chan error, 2)
		go func() {
			errs <- op.provision.UpdateGroup(ctx, restActor, "Night Shift", directory.GroupUpdate{AddMembers: []jid.JID{tobias}})
		}()
		go func() {
			errs <- op.provision.UpdateGroup(ctx, restActor, "Night Shift", directory.GroupUpdate{RemoveMembers: []jid.JID{remote}})
		}()
		Expect(<-errs).NotTo(HaveOccurred())
		Expect(<-errs).NotTo(HaveOccurred())
		Expect(op.directory.Members("Night Shift")).To(Equal([]jid.JID{mira, tobias}))

		By("what is applied from outside stays")
		patched := g.DeepCopy()
		patched.ManagedFields, patched.ResourceVersion = nil, ""
		patched.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ChatGroup"}
		patched.Spec = v1alpha1.ChatGroupSpec{GroupName: g.Spec.GroupName, Members: []string{"mira"}}
		Expect(kube.Patch(ctx, patched, client.Apply, client.FieldOwner("flux"), client.ForceOwnership)).To(Succeed()) //nolint:staticcheck // the typed object is what is at hand
		Expect(op.provision.UpdateGroup(ctx, restActor, "Night Shift", directory.GroupUpdate{RemoveMembers: []jid.JID{mira}})).
			To(MatchError(And(ContainSubstring("flux"), ContainSubstring("spec.members"))))
		Expect(op.provision.UpdateGroup(ctx, restActor, "Night Shift", directory.GroupUpdate{RemoveMembers: []jid.JID{tobias}})).To(Succeed())
	})

	It("that is a deletion is refused while somebody outside declares it, and else done", func(ctx SpecContext) {
		Expect(op.provision.CreateGroup(ctx, restActor, "ops", directory.GroupUpdate{})).To(Succeed())
		Expect(op.provision.DeleteGroup(ctx, restActor, "ops")).To(Succeed())
		_, ok := op.directory.Group("ops")
		Expect(ok).To(BeFalse())
		Expect(op.provision.DeleteGroup(ctx, restActor, "ops")).To(MatchError(directory.ErrNotFound))
	})

	It("loses nobody when a hundred change one group at once, which is not even there at first", func(ctx SpecContext) {
		const n = 100
		member := func(i int) []jid.JID { return []jid.JID{jid.MustParse(fmt.Sprintf("u%02d@%s", i, domain))} }
		var created atomic.Int32
		together(n, func(i int) {
			made, err := op.provision.EnsureGroup(ctx, restActor, "ops", directory.GroupUpdate{AddMembers: member(i)})
			Expect(err).NotTo(HaveOccurred())
			Expect(op.directory.IsMember("ops", member(i)[0])).To(BeTrue(), "its effect can be seen")
			if made {
				created.Add(1)
			}
		})
		Expect(created.Load()).To(BeEquivalentTo(1))
		Expect(op.directory.Members("ops")).To(HaveLen(n))

		By("joining, leaving, and being described, all at once")
		together(n/5, func(i int) {
			change := directory.GroupUpdate{RemoveMembers: member(i)}
			switch i % 4 {
			case 1:
				change = directory.GroupUpdate{AddAdmins: member(i)}
			case 2:
				change = directory.GroupUpdate{Description: new(fmt.Sprint(i))}
			case 3:
				change = directory.GroupUpdate{AddMembers: []jid.JID{jid.MustParse(fmt.Sprintf("u%d@other.example", i))}}
			}
			Expect(op.provision.UpdateGroup(ctx, restActor, "ops", change)).To(Succeed())
		})
		g, _ := op.directory.Group("ops")
		Expect(g.Members).To(HaveLen(n)) // five went, five came
		Expect(g.Admins).To(HaveLen(5))
	})

	It("to make it is granted to one of eight who come at once", func(ctx SpecContext) {
		for _, name := range []string{"ops", "Night Shift"} {
			errs := make([]error, 8)
			together(len(errs), func(i int) {
				errs[i] = op.provision.CreateGroup(ctx, restActor, name, directory.GroupUpdate{Description: new(fmt.Sprint(i))})
			})
			won := slices.Index(errs, nil)
			Expect(won).NotTo(Equal(-1))
			for i, err := range errs {
				if i != won {
					Expect(err).To(MatchError(directory.ErrExists))
				}
			}
			g, _ := op.directory.Group(name)
			Expect(g.Description).To(Equal(fmt.Sprint(won)))
		}
	})

	It("that is a deletion takes it out of rooms", func(ctx SpecContext) {
		Expect(op.provision.CreateGroup(ctx, restActor, "ops", directory.GroupUpdate{AddMembers: []jid.JID{mira}})).To(Succeed())
		Expect(op.provision.CreateRoom(ctx, restActor, "lobby", "conference", directory.RoomUpdate{
			GroupAffiliations: []directory.GroupAffiliation{{Group: "ops", Affiliation: directory.AffiliationOwner}, {Group: "night", Affiliation: directory.AffiliationMember}},
		})).To(Succeed())
		Expect(op.provision.DeleteGroup(ctx, restActor, "ops")).To(Succeed())
		r, _ := op.directory.Room("lobby@conference")
		Expect(r.GroupAffiliations).To(Equal([]directory.GroupAffiliation{{Group: "night", Affiliation: directory.AffiliationMember}}))
	})

	It("of as many members as it takes is no trouble", func(ctx SpecContext) {
		many := make([]jid.JID, 5000)
		for i := range many {
			many[i] = jid.MustParse(fmt.Sprintf("u%04d@%s", i, domain))
		}
		Expect(op.provision.CreateGroup(ctx, restActor, "all", directory.GroupUpdate{AddMembers: many})).To(Succeed())
		Expect(op.provision.UpdateGroup(ctx, restActor, "all", directory.GroupUpdate{AddMembers: []jid.JID{mira}})).
			To(MatchError("spec.members takes at most 5000 entries"))
		Expect(op.provision.UpdateGroup(ctx, restActor, "all", directory.GroupUpdate{AddMembers: []jid.JID{mira}, RemoveMembers: many[:2500]})).To(Succeed())
		Expect(op.directory.Members("all")).To(HaveLen(2501))
	})

	It("is made when a user goes, for groups and rooms that name it", func(ctx SpecContext) {
		Expect(op.provision.CreateUser(ctx, restActor, newUser("tobias", "pencil"))).To(Succeed())
		Expect(op.provision.CreateGroup(ctx, restActor, "ops", directory.GroupUpdate{AddMembers: []jid.JID{mira, tobias}})).To(Succeed())
		Expect(op.provision.CreateRoom(ctx, restActor, "lobby", "conference", directory.RoomUpdate{
			Affiliations: []directory.Affiliation{{JID: tobias, Affiliation: directory.AffiliationOwner}},
		})).To(Succeed())
		Expect(op.provision.DeleteUser(ctx, restActor, "tobias")).To(Succeed())
		Expect(op.directory.Members("ops")).To(Equal([]jid.JID{mira}))
		r, _ := op.directory.Room("lobby@conference")
		Expect(r.Affiliations).To(BeEmpty())
	})
})
