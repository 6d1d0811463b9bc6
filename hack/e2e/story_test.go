package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"mellium.im/sasl"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/roster"
	"mellium.im/xmpp/stanza"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

var _ = Describe("Declare a user, chat as that user", Ordered, ContinueOnFailure, func() {
	var s *server
	BeforeAll(func() { s = newServer("story") })

	It("has a user Ready within a second of kubectl apply", func() {
		var took time.Duration
		for i := range attempts {
			name := "mira"
			if i > 0 {
				name = fmt.Sprintf("mira%d", i)
			}
			s.applyUser(name, "mira's word")
			applied := time.Now()
			Eventually(func(g Gomega) { // without another program, which takes a while to start
				var u v1alpha1.ChatUser
				g.Expect(kube.Get(context.Background(), client.ObjectKey{Namespace: s.namespace, Name: name}, &u)).To(Succeed())
				g.Expect(meta.IsStatusConditionTrue(u.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
			}, limit).Should(Succeed())
			if took = time.Since(applied); took < promptly {
				return
			}
		}
		Expect(took).To(BeNumerically("<", promptly))
	})

	It("lets every mechanism in that a client may prefer, and no wrong password", func() {
		for _, mechanism := range []sasl.Mechanism{sasl.ScramSha256Plus, sasl.ScramSha1Plus, sasl.ScramSha256, sasl.ScramSha1, sasl.Plain} {
			_, err := s.tryLogin("mira", "mira's word", mechanism)
			Expect(err).NotTo(HaveOccurred(), mechanism.Name)
			_, err = s.tryLogin("mira", "another word", mechanism)
			Expect(err).To(MatchError(ContainSubstring("not-authorized")), mechanism.Name)
			_, err = s.tryLogin("nobody", "mira's word", mechanism)
			Expect(err).To(MatchError(ContainSubstring("not-authorized")), mechanism.Name)
		}
	})

	It("serves direct TLS as well", func() {
		_, err := s.connect("mira", "mira's word", sasl.ScramSha256Plus, true)
		Expect(err).NotTo(HaveOccurred())
	})

	It("serves a renewed certificate without a restart, and leaves open sessions alone", func() {
		mira := s.login("mira", "mira's word")
		s.certs = newCertificates(filepath.Dir(s.certs.certFile)) // clients trust nothing but the new one from here on
		Eventually(func() error {
			_, err := s.connect("mira", "mira's word", sasl.ScramSha256Plus, true)
			return err
		}, limit).Should(Succeed())
		mira.say("mira", "still on the old one")
		mira.hear("still on the old one")
	})

	It("carries subscriptions and messages both ways, and finds the roster again after a restart", func() {
		s.applyUser("tobias", "tobias's word")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatuser/tobias")
		mira, tobias := s.login("mira", "mira's word"), s.login("tobias", "tobias's word")

		By("subscribing to each other (RFC 6121 §3)")
		mira.setRoster(roster.Item{JID: address("tobias"), Name: "Tobi", Group: []string{"Colleagues"}})
		mira.presence(stanza.SubscribePresence, "tobias")
		tobias.see("subscribe", "mira")
		tobias.presence(stanza.SubscribedPresence, "mira")
		mira.see("subscribed", "tobias")
		mira.see("", "tobias")
		tobias.presence(stanza.SubscribePresence, "mira")
		mira.see("subscribe", "tobias")
		mira.presence(stanza.SubscribedPresence, "tobias")
		tobias.see("subscribed", "mira")
		tobias.see("", "mira")

		By("chatting")
		mira.say("tobias", "Guten Morgen, are you there? <&>")
		tobias.hear("Guten Morgen, are you there? <&>")
		tobias.say("mira", "ça va 👋")
		Expect(jid.MustParse(mira.hear("ça va 👋").From)).To(Equal(tobias.session.LocalAddr()))

		By("restarting the program")
		s.restart()
		Eventually(mira.ended, limit).Should(BeClosed())
		Expect(mira.err).To(MatchError(ContainSubstring("system-shutdown")))
		mira, tobias = s.login("mira", "mira's word"), s.login("tobias", "tobias's word")
		Expect(mira.roster()).To(Equal(map[string]roster.Item{
			"tobias@" + domain: {JID: address("tobias"), Name: "Tobi", Subscription: "both", Group: []string{"Colleagues"}},
		}))
		Expect(tobias.roster()).To(HaveKeyWithValue("mira@"+domain, HaveField("Subscription", "both")))
		tobias.see("", "mira")
		mira.say("tobias", "still here")
		tobias.hear("still here")
	})

	It("closes the session of an account that kubectl patch locks", func() {
		tobias := s.login("tobias", "tobias's word")
		s.kubectl("patch", "chatuser", "tobias", "--type=merge", "--patch", `{"spec":{"locked":true}}`)
		Eventually(tobias.ended, limit).Should(BeClosed())
		Expect(tobias.err).To(MatchError(ContainSubstring("not-authorized")))
		_, err := s.tryLogin("tobias", "tobias's word", sasl.ScramSha256Plus)
		Expect(err).To(MatchError(ContainSubstring("locked")))

		s.kubectl("patch", "chatuser", "tobias", "--type=merge", "--patch", `{"spec":{"locked":false}}`)
		Eventually(func() error {
			_, err := s.tryLogin("tobias", "tobias's word", sasl.ScramSha256Plus)
			return err
		}, limit).Should(Succeed())
	})

	It("shows a declared contact in the same roster, and takes it away when the declaration goes", func() {
		mira := s.login("mira", "mira's word")
		before := len(mira.roster())
		s.kubectl("patch", "chatuser", "mira", "--type=merge", "--patch", `{"spec":{"roster":[{"jid":"ines@elsewhere.example","nickname":"Ines"}]}}`)
		mira.next("roster push of ines", func(in incoming) bool {
			return len(in.Roster.Items) == 1 && in.Roster.Items[0].JID == "ines@elsewhere.example" && in.Roster.Items[0].Name == "Ines"
		})
		Expect(mira.roster()).To(HaveLen(before + 1))
		s.kubectl("patch", "chatuser", "mira", "--type=json", "--patch", `[{"op":"remove","path":"/spec/roster"}]`)
		mira.next("roster push of ines's removal", func(in incoming) bool {
			return len(in.Roster.Items) == 1 && in.Roster.Items[0].JID == "ines@elsewhere.example" && in.Roster.Items[0].Subscription == "remove"
		})
	})

	It("makes the members of a ChatGroup each other's contacts the moment it is applied, and strangers when they leave", func() {
		s.applyUser("anna", "anna's word")
		s.applyUser("otto", "otto's word")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatuser/anna", "chatuser/otto")
		anna, otto := s.login("anna", "anna's word"), s.login("otto", "otto's word")
		Expect(anna.roster()).To(BeEmpty())
		Expect(otto.roster()).To(BeEmpty())
		group := func(members string) string {
			return "apiVersion: chat-operator.io/v1alpha1\nkind: ChatGroup\nmetadata: {name: night-shift}\n" +
				"spec: {groupName: Night Shift · 夜勤, members: [" + members + "], sharedRoster: {mode: OnlyGroup}}\n"
		}
		push := func(c *chatClient, who, subscription string, groups ...string) {
			c.next("roster push of "+who+" "+subscription, func(in incoming) bool {
				return len(in.Roster.Items) == 1 && in.Roster.Items[0].JID == who+"@"+domain && in.Roster.Items[0].Subscription == subscription &&
					slices.Equal(in.Roster.Items[0].Groups, groups)
			})
		}
		s.apply(group("anna, otto"))
		push(anna, "otto", "both", "Night Shift · 夜勤")
		anna.see("", "otto")
		push(otto, "anna", "both", "Night Shift · 夜勤")
		otto.see("", "anna")
		s.apply(group("anna"))
		push(anna, "otto", "remove")
		push(otto, "anna", "remove")
		Expect(otto.roster()).To(BeEmpty())

		By("following a label")
		s.kubectl("patch", "chatgroup", "night-shift", "--type=merge", "--patch", `{"spec":{"selector":{"matchLabels":{"shift":"night"}}}}`)
		s.kubectl("label", "chatuser", "otto", "shift=night")
		push(anna, "otto", "both", "Night Shift · 夜勤")
		s.kubectl("label", "chatuser", "otto", "shift-")
		push(anna, "otto", "remove")
	})

	It("takes up a changed password at once, and the old one no longer", func() {
		s.applyUser("mira", "another word")
		Eventually(func() error {
			_, err := s.tryLogin("mira", "another word", sasl.ScramSha256Plus)
			return err
		}, limit).Should(Succeed())
		_, err := s.tryLogin("mira", "mira's word", sasl.ScramSha256Plus)
		Expect(err).To(MatchError(ContainSubstring("not-authorized")))
	})

	It("ends the sessions of a deleted user", func() {
		tobias := s.login("tobias", "tobias's word")
		s.kubectl("delete", "chatuser", "tobias")
		Eventually(tobias.ended, limit).Should(BeClosed())
		_, err := s.tryLogin("tobias", "tobias's word", sasl.ScramSha256Plus)
		Expect(err).To(HaveOccurred())
	})

	It("makes a password for a user who names none", func() {
		s.apply("apiVersion: chat-operator.io/v1alpha1\nkind: ChatUser\nmetadata: {name: ines}\nspec: {}\n")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatuser/ines")
		name := s.kubectl("get", "chatuser", "ines", "--output=jsonpath={.status.binding.name}")
		Expect(name).NotTo(BeEmpty())
		password := s.kubectl("get", "secret", name, "--output=go-template={{.data.password | base64decode}}")
		s.login("ines", password)
	})

	It("refuses a wrong manifest with a sentence", func() {
		_, err := tryKubectl(s.namespace, "apiVersion: chat-operator.io/v1alpha1\nkind: ChatUser\nmetadata: {name: loud}\nspec: {username: Loud}\n", "apply")
		Expect(err).To(MatchError(ContainSubstring("spec.username")))
		fmt.Fprintln(GinkgoWriter, err)
	})
})
