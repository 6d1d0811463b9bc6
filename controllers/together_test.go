package controllers_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

var _ = Describe("Proposals at once", func() {
	var op *operator
	BeforeEach(func(ctx SpecContext) { op = start(ctx, newNamespace(ctx, "together"), options{}) })

	It("that create the same list of users have one winner, who has all of them", func(ctx SpecContext) {
		names := []string{"mira", "tobias", "jun", "kai"}
		errs := make([]error, 4)
		together(len(errs), func(i int) {
			list := make([]directory.NewUser, len(names))
			for k := range names {
				// Each begins with another one.
				list[k] = newUser(names[(i+k)%len(names)], fmt.Sprint("password ", i))
			}
			errs[i] = op.provision.CreateUsers(ctx, restActor, list)
		})
		won := -1
		for i, err := range errs {
			if err != nil {
				Expect(err).To(MatchError(directory.ErrExists))
				continue
			}
			Expect(won).To(Equal(-1), "two winners")
			won = i
		}
		Expect(won).NotTo(Equal(-1), "no winner")
		for _, name := range names {
			Expect(op.admits(name, fmt.Sprint("password ", won))).To(BeTrue(), name)
		}
	})

	It("that change one user, or one property, all succeed", func(ctx SpecContext) {
		const n = 8
		Expect(op.provision.CreateUser(ctx, restActor, newUser("mira", "pencil"))).To(Succeed())
		contact := func(i int) directory.Contact {
			return directory.Contact{JID: jid.MustParse(fmt.Sprintf("u%d@%s", i, domain)), Subscription: directory.SubscriptionBoth}
		}
		together(n, func(i int) {
			Expect(op.provision.PutContact(ctx, restActor, "mira", contact(i), true)).To(Succeed())
		})
		together(2*n, func(i int) {
			if i%2 == 0 {
				Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{Email: new(fmt.Sprintf("m%d@chat.example", i))})).To(Succeed())
				return
			}
			c := contact(i / 2)
			c.Name = fmt.Sprint("Contact ", i)
			Expect(op.provision.PutContact(ctx, restActor, "mira", c, false)).To(Succeed())
		})
		u, _ := op.directory.User("mira")
		for i := range n {
			c, there := u.Contact(contact(i).JID)
			Expect(there).To(BeTrue())
			Expect(c.Name).To(Equal(fmt.Sprint("Contact ", 2*i+1)))
		}

		By("a property, which is not there at first")
		together(n, func(i int) {
			Expect(op.provision.PutProperty(ctx, restActor, "site.motto", fmt.Sprint(i), false)).To(Succeed())
		})
		together(n, func(i int) {
			Expect(op.provision.PutProperty(ctx, restActor, "site.motto", fmt.Sprint("be kind ", i), true)).To(Succeed())
		})
	})
})
