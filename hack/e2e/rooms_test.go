package e2e

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"mellium.im/xmlstream"

	"github.com/chat-operator/chat-operator/hack/internal/chat"
)

// raw sends a stanza as it is written.
func (c *chatClient) raw(stanza string) {
	GinkgoHelper()
	c.send(func(ctx context.Context) error { return c.session.Send(ctx, tokens(stanza)) })
}

func tokens(stanza string) xml.TokenReader {
	return xmlstream.RemoveAttr(func(_ xml.StartElement, a xml.Attr) bool { return a.Name.Local == "xmlns" })(xml.NewDecoder(strings.NewReader(stanza)))
}

// ask sends a request and returns the answer.
func (c *chatClient) ask(request string) incoming {
	GinkgoHelper()
	ctx, done := chat.Patience(limit)
	defer done()
	r, err := c.session.SendIQ(ctx, tokens(request))
	Expect(err).NotTo(HaveOccurred())
	defer r.Close()
	var in incoming
	Expect(xml.NewTokenDecoder(r).Decode(&in)).To(Succeed())
	return in
}

// enter enters a room and returns the occupant's own presence (XEP-0045 §7.2.2), or the error.
func (c *chatClient) enter(room, nick string) incoming {
	GinkgoHelper()
	c.raw(fmt.Sprintf(`<presence to="%s/%s"><x xmlns="http://jabber.org/protocol/muc"/></presence>`, room, nick))
	return c.next("own presence in "+room, func(in incoming) bool {
		return in.XMLName.Local == "presence" && strings.HasPrefix(in.From, room) && (in.Type == "error" || in.has("110"))
	})
}

// has says whether a presence carries a status code.
func (in incoming) has(code string) bool {
	return slices.ContainsFunc(in.Room.Status, func(s struct {
		Code string `xml:"code,attr"`
	}) bool {
		return s.Code == code
	})
}

// condition is what an error says is wrong (RFC 6120 §8.3.3).
func (in incoming) condition() string {
	if in.Type != "error" || len(in.Error.Conditions) == 0 {
		return ""
	}
	return in.Error.Conditions[0].XMLName.Local
}

// configure sends a room's configuration form (XEP-0045 §10.2) and returns the answer.
func (c *chatClient) configure(room string, fields ...string) incoming {
	GinkgoHelper()
	form := `<field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field>`
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		form += fmt.Sprintf(`<field var="%s"><value>%s</value></field>`, name, value)
	}
	return c.ask(fmt.Sprintf(`<iq type="set" to="%s"><query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit">%s</x></query></iq>`, room, form))
}

var _ = Describe("Declare a room, chat in it", Ordered, func() {
	var s *server
	const lobby, den = "lobby@conference." + domain, "den@conference." + domain
	BeforeAll(func() {
		s = newServer("rooms")
		for _, name := range []string{"mira", "tobias", "ines"} {
			s.applyUser(name, name+"'s word")
		}
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "--all", "chatusers")
	})

	It("has a room with six affiliations usable within a second of kubectl apply", func() {
		tobias := s.login("tobias", "tobias's word")
		manifest := `apiVersion: chat-operator.io/v1alpha1
kind: ChatRoom
metadata: {name: lobby}
spec:
  displayName: The Lobby
  membersOnly: true
  subject: welcome
  affiliations:
  - {jid: mira@` + domain + `, affiliation: Owner}
  - {jid: ada@` + domain + `, affiliation: Owner}
  - {jid: pia@` + domain + `, affiliation: Admin}
  - {jid: tobias@` + domain + `, affiliation: Member}
  - {jid: noor@` + domain + `, affiliation: Member}
  - {jid: ines@` + domain + `, affiliation: Outcast}
`
		usable := func(name string) (took time.Duration) {
			s.apply(strings.Replace(manifest, "lobby", name, 1))
			applied := time.Now()
			var own incoming
			Eventually(func() string { // the watch event may be on its way
				own = tobias.enter(strings.Replace(lobby, "lobby", name, 1), "toby")
				return own.Type
			}, limit).Should(BeEmpty())
			took = time.Since(applied)
			Expect(own.Room.Item.Affiliation).To(Equal("member"))
			return took
		}
		took := usable("lobby")
		for i := 1; took >= promptly && i < attempts; i++ {
			took = usable(fmt.Sprintf("lobby%d", i))
		}
		Expect(took).To(BeNumerically("<", promptly))
		tobias.next("the subject", func(in incoming) bool { return in.Subject == "welcome" })

		ines := s.login("ines", "ines's word")
		Expect(ines.enter(lobby, "ines").condition()).To(Equal("forbidden"))

		By("the condition telling who is not there")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatroom/lobby")
		Expect(s.kubectl("get", "chatroom", "lobby", `--output=jsonpath={.status.conditions[?(@.type=="MembersResolved")].message}`)).
			To(ContainSubstring("ada@" + domain + ", noor@" + domain + ", pia@" + domain))

		By("changing it under those who are in it")
		mira := s.login("mira", "mira's word")
		Expect(mira.enter(lobby, "mira").Room.Item.Role).To(Equal("moderator"))
		s.kubectl("patch", "chatroom", "lobby", "--type=merge", "--patch", `{"spec":{"subject":"closing time","whoSeesJIDs":"Anyone"}}`)
		tobias.next("status 172 (XEP-0045 §10.2.1)", func(in incoming) bool { return in.has("172") })
		tobias.next("the new subject", func(in incoming) bool { return in.Subject == "closing time" })
	})

	It("refuses the owner what kubectl apply declared, and does the rest", func() {
		mira := s.login("mira", "mira's word")
		mira.enter(lobby, "mira")
		refused := mira.configure(lobby, "muc#roomconfig_membersonly=0")
		Expect(refused.condition()).To(Equal("not-allowed"))
		Expect(refused.Error.Text).To(And(ContainSubstring("spec.membersOnly"), ContainSubstring("kubectl-client-side-apply")))
		Expect(mira.configure(lobby, "muc#roomconfig_moderatedroom=1").Type).To(Equal("result"))
		Expect(s.kubectl("get", "chatroom", "lobby", "--output=jsonpath={.spec.moderated}")).To(Equal("true"))
	})

	It("turns a client's lasting room into a ChatRoom, which is there after a restart", func() {
		ines := s.login("ines", "ines's word")
		Expect(ines.enter(den, "ines").has("201")).To(BeTrue(), "XEP-0045 §10.1.1")
		Expect(ines.configure(den, "muc#roomconfig_persistentroom=1", "muc#roomconfig_roomname=The Den",
			"muc#roomconfig_passwordprotectedroom=1", "muc#roomconfig_roomsecret=sesame").Type).To(Equal("result"))
		Expect(s.kubectl("get", "chatroom", "den", "--output=jsonpath={.spec.displayName} {.spec.affiliations[0].jid}")).To(Equal("The Den ines@" + domain))
		banned := ines.ask(`<iq type="set" to="` + den + `"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="outcast" jid="mira@` + domain + `"/></query></iq>`)
		Expect(banned.Type).To(Equal("result"))

		s.restart()
		tobias := s.login("tobias", "tobias's word")
		ines = s.login("ines", "ines's word")
		Expect(tobias.enter(den, "toby").condition()).To(Equal("not-authorized"), "it asks for the password")
		tobias.raw(`<presence to="` + den + `/toby"><x xmlns="http://jabber.org/protocol/muc"><password>sesame</password></x></presence>`)
		tobias.next("own presence", func(in incoming) bool { return in.XMLName.Local == "presence" && in.has("110") })
		mira := s.login("mira", "mira's word")
		mira.raw(`<presence to="` + den + `/mira"><x xmlns="http://jabber.org/protocol/muc"><password>sesame</password></x></presence>`)
		Expect(mira.next("an error", func(in incoming) bool { return in.Type == "error" }).condition()).To(Equal("forbidden"))

		By("not lasting any more, it goes with the last occupant")
		ines.raw(`<presence to="` + den + `/ines"><x xmlns="http://jabber.org/protocol/muc"><password>sesame</password></x></presence>`)
		ines.next("own presence", func(in incoming) bool { return in.XMLName.Local == "presence" && in.has("110") })
		Expect(ines.configure(den, "muc#roomconfig_persistentroom=0").Type).To(Equal("result"))
		tobias.raw(`<presence to="` + den + `/toby" type="unavailable"/>`)
		Expect(s.kubectl("get", "chatroom", "den", "--output=jsonpath={.spec.persistent}")).To(Equal("false"))
		ines.raw(`<presence to="` + den + `/ines" type="unavailable"/>`)
		s.kubectl("wait", "--for=delete", "--timeout=60s", "chatroom/den")
	})

	It("tells occupants that a deleted room is gone (XEP-0045 §10.9)", func() {
		tobias := s.login("tobias", "tobias's word")
		tobias.enter(lobby, "toby")
		s.kubectl("delete", "chatroom", "lobby")
		tobias.next("the destruction", func(in incoming) bool { return in.Type == "unavailable" && in.Room.Destroy != nil })
	})
})
