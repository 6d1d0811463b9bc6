package controllers_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

var _ = Describe("The audit log", func() {
	// recorded are the entries of an operator, oldest first, without what differs from run to run.
	recorded := func(ctx context.Context, op *operator) []string {
		GinkgoHelper()
		entries, err := op.store.ListAudit(ctx, store.AuditFilter{})
		Expect(err).NotTo(HaveOccurred())
		var list []string
		for _, e := range slices.Backward(entries) {
			line := e.Username + " " + e.Via + ": " + e.Summary
			for detail := range strings.SplitSeq(e.Details, "\n") {
				if !strings.HasPrefix(detail, "time = ") && !strings.HasPrefix(detail, "field manager = ") {
					line += ", " + detail
				}
			}
			list = append(list, line)
		}
		return list
	}

	It("tells what came through Kubernetes, and by whom, once", func(ctx SpecContext) {
		namespace := newNamespace(ctx, "audit")
		before := chatUser(namespace, "before", "")
		create(ctx, before)
		op := start(ctx, namespace, options{})
		becomes(ctx, before, v1alpha1.ReasonActive)

		mira := chatUser(namespace, "mira", "")
		create(ctx, mira)
		becomes(ctx, mira, v1alpha1.ReasonActive)
		want := []string{"kubectl-create Kubernetes: created new user mira, resource = mira, generation = 1"}
		Eventually(recorded).WithArguments(ctx, op).Should(Equal(want), "neither what was there before the first start, nor statuses and generated passwords")

		patch(ctx, mira, `{"spec":{"displayName":"Mira Okafor","locked":true}}`)
		becomes(ctx, mira, v1alpha1.ReasonActive)
		want = append(want, "kubectl-patch Kubernetes: edited user mira, resource = mira, generation = 2, fields = displayName, locked")
		Eventually(recorded).WithArguments(ctx, op).Should(Equal(want))

		// What this program does is recorded where it is wished for, and not here.
		Expect(op.provision.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{Locked: new(bool)})).To(Succeed())
		Expect(op.provision.CreateUser(ctx, restActor, newUser("tobias", "pencil"))).To(Succeed())
		Expect(op.provision.PutProperty(ctx, restActor, "site.motto", "be kind", false)).To(Succeed())
		Expect(op.provision.DeleteUser(ctx, restActor, "tobias")).To(Succeed())
		Expect(op.provision.DeleteProperty(ctx, restActor, "site.motto")).To(Succeed())

		room := &v1alpha1.ChatRoom{}
		room.Namespace, room.Name = namespace, "atrium"
		create(ctx, room)
		want = append(want, "kubectl-create Kubernetes: created new MUC room atrium, service = conference, resource = atrium, generation = 1")
		Eventually(recorded).WithArguments(ctx, op).Should(Equal(want))
		Expect(kube.Delete(ctx, before)).To(Succeed())
		want = append(want, " Kubernetes: deleted user before, resource = before, generation = 1")
		Eventually(recorded).WithArguments(ctx, op).Should(Equal(want))
		becomes(ctx, room, v1alpha1.ReasonActive)

		// While no process runs, a person changes one, deletes one and makes one.
		op.stop()
		Expect(kube.Patch(ctx, mira, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"email":"mira@mail.example"}}`)), client.FieldOwner("argocd"))).To(Succeed())
		Expect(kube.Delete(ctx, room)).To(Succeed())
		group := &v1alpha1.ChatGroup{}
		group.Namespace, group.Name = namespace, "ops"
		create(ctx, group)
		op = start(ctx, namespace, options{dataDir: op.dataDir})
		news := []string{
			"argocd Kubernetes: edited user mira, resource = mira, generation = 4",
			" Kubernetes: destroyed MUC room atrium, service = conference, resource = atrium, generation = 1",
			"kubectl-create Kubernetes: created new group ops, resource = ops, generation = 1",
		}
		Eventually(func(g Gomega) {
			got := recorded(ctx, op)
			g.Expect(len(got)).To(BeNumerically(">=", len(want)))
			g.Expect(got[:len(want)]).To(Equal(want))
			g.Expect(got[len(want):]).To(ConsistOf(news))
		}).Should(Succeed())
		becomes(ctx, group, v1alpha1.ReasonActive)
		all := recorded(ctx, op)

		op.stop()
		op = start(ctx, namespace, options{dataDir: op.dataDir})
		// What comes next is recorded next: the start has added nothing.
		Expect(kube.Delete(ctx, group, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(recorded).WithArguments(ctx, op).Should(Equal(append(all, " Kubernetes: deleted group ops, resource = ops, generation = 1")))
	})

	// The reference's §13, Audit: every change by REST is in it.
	It("tells of changes of which nobody said what became of them", func(ctx SpecContext) {
		op := start(ctx, newNamespace(ctx, "lost"), options{})
		proposer := audit.Proposals(op.provision, audit.Config{Log: op.store, Domain: domain, Node: "chat-0"})
		lost := MatchError(directory.Unanswered, "Unanswered")
		description := "On call"
		op.watches.losing.Store(true)
		Expect(proposer.CreateGroup(ctx, restActor, "ops", directory.GroupUpdate{})).To(lost)
		Eventually(func() bool { _, there := op.directory.Group("ops"); return there }).Should(BeTrue(), "it was made")
		Expect(proposer.UpdateGroup(ctx, restActor, "ops", directory.GroupUpdate{Description: &description})).To(lost)
		Eventually(func() string { g, _ := op.directory.Group("ops"); return g.Description }).Should(Equal(description))
		Expect(proposer.CreateUser(ctx, restActor, newUser("mira", "pencil"))).To(Succeed(), "what became of it is found out")
		Expect(proposer.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{Locked: new(true)})).To(lost)
		Expect(proposer.DeleteGroup(ctx, restActor, "ops")).To(lost)
		op.watches.losing.Store(false)
		// That the group is gone may be told once more, by who watches.
		Expect(recorded(ctx, op)).To(ContainElements(
			"test REST: created new group ops, result = unknown",
			"test REST: edited group ops, description = On call, result = unknown",
			"test REST: locked out user mira, result = unknown",
			"test REST: deleted group ops, result = unknown",
		))
	})

	It("tells of changes that were made in part", func(ctx SpecContext) {
		op := start(ctx, newNamespace(ctx, "partly"), options{})
		proposer := audit.Proposals(op.provision, audit.Config{Log: op.store, Domain: domain, Node: "chat-0"})
		partly := And(MatchError(directory.ErrPartly), MatchError(directory.Unanswered, "Unanswered"))
		Expect(proposer.CreateUser(ctx, restActor, newUser("mira", "pencil"))).To(Succeed())
		users := func(r *http.Request, method string) bool {
			return r.Method == method && strings.Contains(r.URL.Path, "/chatusers")
		}

		// The API server goes away between the password and what else is to change.
		var rewritten atomic.Bool
		refused := func(r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/secrets/") && r.Method != http.MethodGet {
				rewritten.Store(true)
			}
			return users(r, http.MethodGet) && rewritten.Load()
		}
		op.watches.refused.Store(&refused)
		Expect(proposer.UpdateUser(ctx, restActor, "mira", directory.UserUpdate{DisplayName: new("Mira"), Password: new("another")})).To(partly)

		// It goes away between two accounts of one call, and what was made cannot be taken back.
		var made atomic.Int32
		refused = func(r *http.Request) bool {
			return users(r, http.MethodDelete) || users(r, http.MethodPost) && made.Add(1) > 1
		}
		Expect(proposer.CreateUsers(ctx, restActor, []directory.NewUser{newUser("ann", "pencil"), newUser("ben", "pencil")})).To(partly)
		op.watches.refused.Store(nil)
		Expect(recorded(ctx, op)).To(ContainElements(
			"test REST: edited user mira, name = Mira, password = changed, result = unknown",
			"test REST: created new user ann, result = unknown",
			"test REST: created new user ben, result = unknown",
		))
	})
})
