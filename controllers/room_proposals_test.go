package controllers_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

var _ = Describe("A proposal about a room", func() {
	var op *operator
	BeforeEach(func(ctx SpecContext) { op = start(ctx, newNamespace(ctx, "rooms"), options{}) })
	owner := directory.Actor{Via: "XMPP", Name: "mira"}
	mira, tobias := jid.MustParse("mira@"+domain), jid.MustParse("tobias@"+domain)

	room := func(ctx context.Context, name string) *v1alpha1.ChatRoom {
		GinkgoHelper()
		var r v1alpha1.ChatRoom
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: name}, &r)).To(Succeed())
		return &r
	}
	passwords := func(ctx context.Context) []corev1.Secret {
		GinkgoHelper()
		var list corev1.SecretList
		Expect(kube.List(ctx, &list, client.InNamespace(op.namespace), client.MatchingFields{"type": string(provision.TypeRoomPassword)})).To(Succeed())
		return list.Items
	}
	kubectl := func(manifest string, args ...string) string {
		GinkgoHelper()
		cmd := exec.Command(env.Kubectl, append([]string{"--kubeconfig=" + env.Admin.Kubeconfig, "--namespace=" + op.namespace}, args...)...)
		cmd.Stdin = strings.NewReader(manifest)
		out, err := cmd.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		return string(out)
	}
	managedBy := func(manager, field string) types.GomegaMatcher {
		return WithTransform(func(err error) string {
			if err == nil {
				return "no error"
			}
			return err.Error()
		}, Equal((&directory.ManagedError{Field: field, Manager: manager}).Error()))
	}

	It("declares one that came into being earlier", func(ctx SpecContext) {
		made := time.UnixMilli(1633128428123)
		Expect(op.provision.CreateRoom(ctx, restActor, "lobby", "conference", directory.RoomUpdate{CreatedAt: made})).To(Succeed())
		r, _ := op.directory.Room("lobby@conference")
		Expect(r.CreatedAt).To(BeTemporally("==", made))
		Expect(room(ctx, "lobby").Annotations).To(HaveKeyWithValue(v1alpha1.CreatedAtAnnotation, "2021-10-01T22:47:08.123Z"))
	})

	It("declares one with its password in a Secret of its own, and takes both away", func(ctx SpecContext) {
		Expect(op.provision.CreateRoom(ctx, owner, "lobby", "conference", directory.RoomUpdate{
			DisplayName: new("The Lobby"), Password: new("sesame"), Moderated: new(true), Listed: new(true), MaxOccupants: new(30),
			Affiliations: []directory.Affiliation{{JID: mira, Affiliation: directory.AffiliationOwner}},
		})).To(Succeed())
		entry, ok := op.directory.Room("lobby@conference")
		Expect(ok).To(BeTrue(), "it is in force when the call returns")
		Expect(entry.Moderated).To(BeTrue())
		Expect(entry.MaxOccupants).To(Equal(30))
		password, ok := op.directory.RoomPassword(entry)
		Expect(ok).To(BeTrue())
		Expect(password).To(Equal("sesame"))

		made := room(ctx, "lobby")
		Expect(made.Labels).To(HaveKeyWithValue(v1alpha1.ManagedByLabel, v1alpha1.ManagedBy))
		Expect(made.Spec.Listed).To(BeNil(), "what is so by default is not written")
		becomes(ctx, made, v1alpha1.ReasonActive)
		Expect(passwords(ctx)).To(HaveLen(1))
		Eventually(func() bool { return metav1.IsControlledBy(&passwords(ctx)[0], made) }).Should(BeTrue())

		By("another password, in another Secret")
		Expect(op.provision.UpdateRoom(ctx, owner, "lobby@conference", directory.RoomUpdate{Password: new("open")})).To(Succeed())
		entry, _ = op.directory.Room("lobby@conference")
		password, _ = op.directory.RoomPassword(entry)
		Expect(password).To(Equal("open"))
		Expect(passwords(ctx)).To(HaveLen(1))

		By("no password any more")
		Expect(op.provision.UpdateRoom(ctx, owner, "lobby@conference", directory.RoomUpdate{Password: new("")})).To(Succeed())
		entry, _ = op.directory.Room("lobby@conference")
		Expect(entry.PasswordSecret).To(BeNil())
		Expect(passwords(ctx)).To(BeEmpty())

		Expect(op.provision.CreateRoom(ctx, owner, "lobby", "conference", directory.RoomUpdate{})).To(MatchError(directory.ErrExists))
		Expect(op.provision.DeleteRoom(ctx, owner, "lobby@conference", nil)).To(Succeed())
		_, ok = op.directory.Room("lobby@conference")
		Expect(ok).To(BeFalse())
		Expect(op.provision.DeleteRoom(ctx, owner, "lobby@conference", nil)).To(MatchError(directory.ErrNotFound))
	})

	It("of another service, in any script, has an encoded name", func(ctx SpecContext) {
		Expect(op.provision.CreateRoom(ctx, owner, "дж", "workshop", directory.RoomUpdate{})).To(Succeed())
		Expect(room(ctx, v1alpha1.EncodeRoomName("дж", "workshop")).EffectiveService()).To(Equal("workshop"))
		Expect(op.provision.UpdateRoom(ctx, owner, "дж@workshop", directory.RoomUpdate{Moderated: new(true)})).To(Succeed())
	})

	It("changes entries of a list when its author goes over from client-side to server-side apply", func(ctx SpecContext) {
		manifest := `{apiVersion: chat-operator.io/v1alpha1, kind: ChatRoom, metadata: {name: ops}, spec: {affiliations: [{jid: mira@` + domain + `, affiliation: Owner}]}}`
		kubectl(manifest, "apply", "-f", "-")
		becomes(ctx, room(ctx, "ops"), v1alpha1.ReasonActive)
		add := directory.RoomUpdate{Affiliations: []directory.Affiliation{{JID: tobias, Affiliation: directory.AffiliationMember}}}
		Expect(op.provision.UpdateRoom(ctx, owner, "ops@conference", add)).To(MatchError(ContainSubstring("kubectl-client-side-apply")))
		kubectl(manifest, "apply", "--server-side", "-f", "-")
		Expect(op.provision.UpdateRoom(ctx, owner, "ops@conference", add)).To(Succeed())
		Expect(op.provision.DeleteRoom(ctx, owner, "ops@conference", nil)).To(MatchError(ContainSubstring("has to be deleted there")))

		By("emptying the manifest")
		kubectl(`{apiVersion: chat-operator.io/v1alpha1, kind: ChatRoom, metadata: {name: whim}, spec: {displayName: Whim}}`, "apply", "--server-side", "-f", "-")
		kubectl(`{apiVersion: chat-operator.io/v1alpha1, kind: ChatRoom, metadata: {name: whim}, spec: {}}`, "apply", "--server-side", "-f", "-")
		Expect(room(ctx, "whim").Spec).To(Equal(v1alpha1.ChatRoomSpec{}))
		becomes(ctx, room(ctx, "whim"), v1alpha1.ReasonActive)
		Expect(op.provision.UpdateRoom(ctx, owner, "whim@conference", directory.RoomUpdate{Description: new("nobody declares it")})).To(Succeed())
	})

	It("changes what nobody declared, and a GitOps tool's next apply neither fails nor undoes it", func(ctx SpecContext) {
		manifest := `{apiVersion: chat-operator.io/v1alpha1, kind: ChatRoom, metadata: {name: ops}, spec: {displayName: Ops, moderated: true,
			affiliations: [{jid: mira@` + domain + `, affiliation: Owner}]}}`
		apply := []string{"apply", "--server-side", "--field-manager=argocd-controller", "-f", "-"}
		kubectl(manifest, apply...)
		becomes(ctx, room(ctx, "ops"), v1alpha1.ReasonActive)

		Expect(op.provision.UpdateRoom(ctx, owner, "ops@conference", directory.RoomUpdate{
			Description: new("on call"), MembersOnly: new(true), Affiliations: []directory.Affiliation{{JID: tobias, Affiliation: directory.AffiliationMember}},
		})).To(Succeed())
		Expect(op.provision.UpdateRoom(ctx, owner, "ops@conference", directory.RoomUpdate{Moderated: new(false)})).To(managedBy("argocd-controller", "spec.moderated"))
		Expect(op.provision.UpdateRoom(ctx, owner, "ops@conference", directory.RoomUpdate{
			Affiliations: []directory.Affiliation{{JID: mira}},
		})).To(managedBy("argocd-controller", `spec.affiliations[jid="mira@`+domain+`"]`))
		Expect(op.provision.DeleteRoom(ctx, owner, "ops@conference", nil)).To(MatchError(ContainSubstring("argocd-controller")))

		before := room(ctx, "ops")
		kubectl(manifest, apply...)
		Expect(room(ctx, "ops").Spec).To(Equal(before.Spec))
		Expect(room(ctx, "ops").Generation).To(Equal(before.Generation))

		By("with a policy of its own")
		patch(ctx, before, `{"spec":{"inBandPolicy":"Deny"}}`)
		Eventually(func() directory.InBandPolicy { r, _ := op.directory.Room("ops@conference"); return r.InBandPolicy }).Should(Equal(directory.InBandDeny))
		Expect(op.provision.UpdateRoom(ctx, owner, "ops@conference", directory.RoomUpdate{Description: new("")})).To(MatchError(ContainSubstring("inBandPolicy is Deny")))
		patch(ctx, before, `{"spec":{"inBandPolicy":"Force"}}`)
		Expect(op.provision.UpdateRoom(ctx, owner, "ops@conference", directory.RoomUpdate{Moderated: new(false)})).To(Succeed())
	})

	It("leaves lists alone that client-side apply names", func(ctx SpecContext) {
		manifest := `{apiVersion: chat-operator.io/v1alpha1, kind: ChatRoom, metadata: {name: ops}, spec: {displayName: Ops,
			affiliations: [{jid: mira@` + domain + `, affiliation: Owner}]}}`
		kubectl(manifest, "apply", "-f", "-")
		becomes(ctx, room(ctx, "ops"), v1alpha1.ReasonActive)
		Expect(op.provision.UpdateRoom(ctx, owner, "ops@conference", directory.RoomUpdate{Moderated: new(true)})).To(Succeed())
		Expect(op.provision.UpdateRoom(ctx, owner, "ops@conference", directory.RoomUpdate{
			Affiliations: []directory.Affiliation{{JID: tobias, Affiliation: directory.AffiliationMember}},
		})).To(MatchError(ContainSubstring("kubectl-client-side-apply")))
		Expect(kubectl(manifest, "apply", "-f", "-")).To(ContainSubstring("unchanged"))
		Expect(kubectl(manifest, "diff", "-f", "-")).To(BeEmpty())
		Expect(room(ctx, "ops").Spec.Moderated).To(HaveValue(BeTrue()))
	})

	It("asks for permission on the state that is changed", func(ctx SpecContext) {
		Expect(op.provision.CreateRoom(ctx, owner, "lobby", "conference", directory.RoomUpdate{
			Affiliations: []directory.Affiliation{{JID: mira, Affiliation: directory.AffiliationOwner}},
		})).To(Succeed())
		refusal := &directory.InvalidError{Field: "permission", Message: "not any more"}
		tries := 0
		err := op.provision.UpdateRoom(ctx, owner, "lobby@conference", directory.RoomUpdate{Moderated: new(true),
			Permit: func(now directory.RoomState) error {
				if tries++; tries == 1 {
					// Somebody takes the ownership away between the look and the change.
					patch(ctx, room(ctx, "lobby"), `{"spec":{"affiliations":[]}}`)
					return nil
				}
				Expect(now.Affiliations).To(BeEmpty())
				return refusal
			}})
		Expect(err).To(MatchError(refusal))
		Expect(room(ctx, "lobby").Spec.Moderated).To(BeNil())
	})

	It("loses no change when a hundred are made to one room at once, and leaves it the last owner", func(ctx SpecContext) {
		Expect(op.provision.CreateRoom(ctx, restActor, "lobby", "conference", directory.RoomUpdate{
			Affiliations: []directory.Affiliation{{JID: mira, Affiliation: directory.AffiliationOwner}, {JID: tobias, Affiliation: directory.AffiliationOwner}},
		})).To(Succeed())
		const n = 100
		refusal := &directory.InvalidError{Field: "permission", Message: "the last owner stays"}
		var refused atomic.Int32
		together(n, func(i int) {
			if i < 2 {
				err := op.provision.UpdateRoom(ctx, restActor, "lobby@conference", directory.RoomUpdate{
					Affiliations: []directory.Affiliation{{JID: []jid.JID{mira, tobias}[i]}},
					Permit: func(now directory.RoomState) error {
						owners := 0
						for _, a := range now.Affiliations {
							if a.Affiliation == directory.AffiliationOwner {
								owners++
							}
						}
						if owners < 2 {
							return refusal
						}
						return nil
					},
				})
				if err != nil {
					Expect(err).To(MatchError(refusal))
					refused.Add(1)
				}
				return
			}
			one := directory.Affiliation{JID: jid.MustParse(fmt.Sprintf("u%02d@%s", i, domain)), Affiliation: directory.AffiliationMember}
			Expect(op.provision.UpdateRoom(ctx, restActor, "lobby@conference", directory.RoomUpdate{Affiliations: []directory.Affiliation{one}})).To(Succeed())
			r, _ := op.directory.Room("lobby@conference")
			Expect(r.Affiliations).To(ContainElement(one), "its effect can be seen")
		})
		Expect(refused.Load()).To(BeEquivalentTo(1))
		Expect(room(ctx, "lobby").Spec.Affiliations).To(HaveLen(1 + n - 2))
	})

	It("finds the password in the room's Secret, as it is at any time", func(ctx SpecContext) {
		kubectl(`{apiVersion: chat-operator.io/v1alpha1, kind: ChatRoom, metadata: {name: vault}, spec: {passwordSecretRef: {name: vault-password}}}`, "apply", "--server-side", "-f", "-")
		s := becomes(ctx, room(ctx, "vault"), v1alpha1.ReasonSecretNotFound)
		Expect(s.Message).To(ContainSubstring(`Secret "vault-password" does not exist yet`))
		entry := func() *directory.Room { r, _ := op.directory.Room("vault@conference"); return r }
		_, ok := op.directory.RoomPassword(entry())
		Expect(ok).To(BeFalse(), "a room that is meant to be closed is not open")

		told := make(chan bool, 10)
		DeferCleanup(op.directory.Watch(func(e directory.Event) {
			if e.Kind == directory.KindRoom {
				told <- e.CredentialChanged
			}
		}))
		create(ctx, passwordSecret(op.namespace, "vault-password", "sesame"))
		Eventually(told).Should(Receive(BeTrue()))
		password := func() string { text, _ := op.directory.RoomPassword(entry()); return text }
		Expect(password()).To(Equal("sesame"))
		becomes(ctx, room(ctx, "vault"), v1alpha1.ReasonActive)

		var secret corev1.Secret
		Expect(kube.Get(ctx, client.ObjectKey{Namespace: op.namespace, Name: "vault-password"}, &secret)).To(Succeed())
		patch(ctx, &secret, `{"data":{"password":"b3Blbg=="}}`)
		Eventually(told).Should(Receive(BeTrue()))
		Expect(password()).To(Equal("open"))
	})

	It("keeps what is kept for good from whoever makes a room of that name", func(ctx SpecContext) {
		r := &v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "vault"},
			Spec: v1alpha1.ChatRoomSpec{DeletionPolicy: new(v1alpha1.DeletionPolicyRetain)}}
		create(ctx, r)
		row := func() string {
			id, _, err := op.store.GetIdentity(ctx, directory.KindRoom.String(), "vault@conference")
			Expect(err).NotTo(HaveOccurred())
			return id.DeletionPolicy + " " + string(id.State)
		}
		Eventually(row).Should(Equal("Retain Active"))
		Expect(kube.Delete(ctx, r)).To(Succeed())
		Eventually(row).Should(Equal("Retain Pending"))
		Expect(op.provision.CreateRoom(ctx, owner, "vault", "conference", directory.RoomUpdate{})).
			To(And(MatchError(directory.ErrExists), MatchError(ContainSubstring("kept"))))
	})

	It("leaves no room's Secret behind when the process dies half way", func(ctx SpecContext) {
		orphan := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "lobby-abc", Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
				Annotations: map[string]string{"chat-operator.io/for": "lobby"}},
			Type: provision.TypeRoomPassword, Data: map[string][]byte{"password": []byte("x")},
		}
		create(ctx, orphan)
		Expect(op.provision.CreateRoom(ctx, owner, "lobby", "conference", directory.RoomUpdate{Password: new("sesame")})).To(Succeed())
		var list corev1.SecretList
		Expect(kube.List(ctx, &list, client.InNamespace(op.namespace), client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy})).To(Succeed())
		for i := range list.Items { // as if they had been there for a while
			list.Items[i].CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Hour))
		}
		_, err := op.provision.Sweep(ctx, list.Items, func(string) (client.Object, error) { return nil, nil })
		Expect(err).NotTo(HaveOccurred())
		Expect(passwords(ctx)).To(ConsistOf(HaveField("Name", HavePrefix("lobby-"))))
		Expect(passwords(ctx)[0].Name).To(Equal(room(ctx, "lobby").Spec.PasswordSecretRef.Name))
	})
})

var _ = Describe("Names that mean nobody", func() {
	It("are reported, and not any more when they come", func(ctx SpecContext) {
		op := start(ctx, newNamespace(ctx, "mentions"), options{})
		g := &v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "ops"}, Spec: v1alpha1.ChatGroupSpec{Members: []string{"mira", "ada@other.example"}}}
		r := &v1alpha1.ChatRoom{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "lobby"}, Spec: v1alpha1.ChatRoomSpec{
			Affiliations:      []v1alpha1.RoomAffiliation{{JID: "mira@" + domain, Affiliation: v1alpha1.AffiliationOwner}},
			GroupAffiliations: []v1alpha1.RoomGroupAffiliation{{Group: "night", Affiliation: v1alpha1.AffiliationMember}},
		}}
		create(ctx, g, r)
		becomes(ctx, g, v1alpha1.ReasonActive)
		becomes(ctx, r, v1alpha1.ReasonActive)
		resolved := func(obj client.Object, status *v1alpha1.CommonStatus) func() string {
			return func() string {
				if err := kube.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
					return err.Error()
				}
				for _, c := range status.Conditions {
					if c.Type == v1alpha1.ConditionMembersResolved {
						return string(c.Status) + " " + c.Reason + ": " + c.Message
					}
				}
				return "no condition"
			}
		}
		Eventually(resolved(g, &g.Status.CommonStatus)).Should(And(HavePrefix("False UnknownMembers: Not there (yet): mira@"+domain+"."), HaveSuffix(" than "+domain+": ada@other.example.")))
		Eventually(resolved(r, &r.Status.CommonStatus)).Should(HavePrefix("False UnknownMembers: Not there (yet): group night, mira@" + domain + "."))
		create(ctx, passwordSecret(op.namespace, "s", "pencil"), chatUser(op.namespace, "mira", "s"),
			&v1alpha1.ChatGroup{ObjectMeta: metav1.ObjectMeta{Namespace: op.namespace, Name: "night"}})
		Eventually(resolved(g, &g.Status.CommonStatus)).Should(Equal(
			"True AllResolved: Everybody of this server who is named exists. Nobody looks whether there is anybody of other domains than " + domain + ": ada@other.example."))
		Eventually(resolved(r, &r.Status.CommonStatus)).Should(Equal("True AllResolved: Everybody who is named exists."))
	})
})
