package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
)

// status is what an answer has to say.
func status(code int) types.GomegaMatcher { return HaveField("Status", code) }

// atOnce makes calls at the same moment and gives their answers.
func (s *server) atOnce(calls int, one func(i int) (method, path string, body any)) []answer {
	GinkgoHelper()
	secret := s.restSecret()
	answers := make([]answer, calls)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range calls {
		wg.Go(func() {
			defer GinkgoRecover()
			<-begin
			method, path, body := one(i)
			a, err := s.tryCall(secret, method, path, body)
			Expect(err).NotTo(HaveOccurred())
			answers[i] = a
		})
	}
	close(begin)
	wg.Wait()
	return answers
}

// codes counts the statuses of answers.
func codes(answers []answer) map[int]int {
	counts := map[int]int{}
	for _, a := range answers {
		counts[a.Status]++
	}
	return counts
}

var _ = Describe("Rooms by REST", Ordered, ContinueOnFailure, func() {
	var s *server
	const atrium = "atrium@conference." + domain
	room := func(more map[string]any) map[string]any {
		r := map[string]any{
			"roomName": "atrium", "naturalName": "The Atrium", "persistent": true, "publicRoom": true, "logEnabled": true, "registrationEnabled": true,
			"canChangeNickname": true, "broadcastPresenceRoles": []string{"moderator", "participant", "visitor"}, "owners": []string{"mira"},
		}
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	affiliation := func(who, what string) func(incoming) bool {
		return func(in incoming) bool {
			return in.XMLName.Local == "presence" && in.From == atrium+"/"+who && in.Room.Item.Affiliation == what
		}
	}
	BeforeAll(func() {
		s = newServer("rooms-rest")
		for _, name := range []string{"mira", "tobias", "ines"} {
			Expect(s.call("POST", "/users", user(name, name+"'s word"))).To(status(http.StatusCreated))
		}
	})

	It("answers 201 only once the room can be entered as it was asked for", func() {
		tobias := s.login("tobias", "tobias's word")
		for i := range 10 {
			name := fmt.Sprintf("room%d", i)
			Expect(s.call("POST", "/chatrooms", map[string]any{"roomName": name, "persistent": true, "subject": "no " + name, "members": []string{"tobias"},
				"broadcastPresenceRoles": []string{"participant"}})).To(status(http.StatusCreated))
			own := tobias.enter(name+"@conference."+domain, "toby")
			Expect(own.Room.Item.Affiliation).To(Equal("member"), "%+v", own)
			tobias.next("the subject", func(in incoming) bool { return in.Subject == "no "+name })
		}
	})

	It("is a ChatRoom like any other, whose password is in a Secret", func() {
		Expect(s.call("POST", "/chatrooms", room(map[string]any{"password": "sesame", "members": []string{"tobias"}}))).To(status(http.StatusCreated))
		Expect(s.kubectl("get", "chatroom", "atrium", "--output=jsonpath={.spec.displayName} {.spec.affiliations[*].jid}")).
			To(Equal("The Atrium mira@" + domain + " tobias@" + domain))
		secret := s.kubectl("get", "chatroom", "atrium", "--output=jsonpath={.spec.passwordSecretRef.name}")
		Expect(s.kubectl("get", "secret", secret, "--output=go-template={{.data.password | base64decode}}")).To(Equal("sesame"))
		Expect(s.call("GET", "/chatrooms/atrium", nil)).To(And(status(http.StatusOK), HaveField("Body", ContainSubstring(`"password":"sesame"`))))
		tobias := s.login("tobias", "tobias's word")
		Expect(tobias.enter(atrium, "toby").condition()).To(Equal("not-authorized"))

		Expect(s.call("PUT", "/chatrooms/atrium", room(map[string]any{"members": []string{"tobias"}}))).To(status(http.StatusOK))
		Expect(tobias.enter(atrium, "toby").Type).To(BeEmpty())
		Eventually(func() error { _, err := tryKubectl(s.namespace, "", "get", "secret", secret); return err }, limit).Should(HaveOccurred())
	})

	It("tells occupants of a changed configuration, subject and affiliation", func() {
		tobias := s.login("tobias", "tobias's word")
		Expect(tobias.enter(atrium, "toby").Room.Item.Affiliation).To(Equal("member"))
		Expect(s.call("GET", "/chatrooms/atrium/occupants", nil)).To(HaveField("Body", And(
			ContainSubstring(`"userAddress":"`+tobias.session.LocalAddr().String()+`"`), ContainSubstring(`"affiliation":"member"`))))

		Expect(s.call("PUT", "/chatrooms/atrium", room(map[string]any{"members": []string{"tobias"}, "maxUsers": 30, "subject": "Plants"}))).To(status(http.StatusOK))
		tobias.next("status 104 (XEP-0045 §10.2.1)", func(in incoming) bool { return in.has("104") })
		tobias.next("the subject", func(in incoming) bool { return in.Subject == "Plants" })

		Expect(s.call("POST", "/chatrooms/atrium/admins/tobias", nil)).To(status(http.StatusCreated))
		tobias.next("to be an admin (XEP-0045 §10.6)", affiliation("toby", "admin"))
		Expect(s.call("DELETE", "/chatrooms/atrium/admins/tobias", nil)).To(status(http.StatusOK))
		tobias.next("to be nothing again (XEP-0045 §10.7)", affiliation("toby", "none"))
		Expect(s.call("DELETE", "/chatrooms/atrium/admins/tobias", nil)).To(status(http.StatusConflict))
		Expect(s.call("DELETE", "/chatrooms/atrium/owners/mira", nil)).To(status(http.StatusConflict))

		Expect(s.call("POST", "/chatrooms/atrium/outcasts", []string{"tobias"})).To(status(http.StatusCreated))
		tobias.next("the ban (XEP-0045 §9.1)", func(in incoming) bool { return in.Type == "unavailable" && in.has("301") })
		Expect(tobias.enter(atrium, "toby").condition()).To(Equal("forbidden"))
		Expect(s.call("PUT", "/chatrooms/atrium/outcasts", []string{})).To(status(http.StatusCreated))
		Expect(tobias.enter(atrium, "toby").Type).To(BeEmpty())
	})

	It("invites people, a group, and those who are not there", func() {
		s.apply("apiVersion: chat-operator.io/v1alpha1\nkind: ChatGroup\nmetadata: {name: night-shift}\nspec: {groupName: Night Shift, members: [tobias]}\n")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatgroup/night-shift")
		invited := func(c *chatClient, reason string) {
			GinkgoHelper()
			in := c.next("an invitation (XEP-0045 §7.8.2)", func(in incoming) bool { return in.Room.Invite != nil })
			Expect(in.From).To(Equal(atrium))
			Expect(in.Room.Invite.Reason).To(Equal(reason))
		}
		tobias := s.login("tobias", "tobias's word")
		Expect(s.call("POST", "/chatrooms/atrium/invite/tobias", map[string]any{"reason": "Come by"})).To(status(http.StatusOK))
		invited(tobias, "Come by")
		Expect(s.call("POST", "/chatrooms/atrium/invite", map[string]any{"reason": "All of you", "jidsToInvite": []string{"Night Shift", "ines@" + domain}})).To(status(http.StatusOK))
		invited(tobias, "All of you")
		invited(s.login("ines", "ines's word"), "All of you")
		Expect(s.call("POST", "/chatrooms/atrium/members/Night%20Shift?sendInvitations=true", nil)).To(status(http.StatusCreated))
		invited(tobias, "You are now a member of the room The Atrium.")
		Expect(s.kubectl("get", "chatroom", "atrium", "--output=jsonpath={.spec.groupAffiliations[0].group}")).To(Equal("Night Shift"))
	})

	It("says something in a room, and shows what was said, also after a restart", func() {
		tobias := s.login("tobias", "tobias's word")
		tobias.enter(atrium, "toby")
		Expect(s.call("POST", "/messages/rooms/atrium", map[string]any{"body": "closing soon"})).To(status(http.StatusCreated))
		Expect(tobias.hear("closing soon").From).To(Equal(atrium))
		tobias.raw(`<message to="` + atrium + `" type="groupchat"><body>one more tea</body></message>`)
		tobias.hear("one more tea")
		history := func() (bodies []string) {
			GinkgoHelper()
			a := s.call("GET", "/chatrooms/atrium/chathistory?limit=2", nil)
			Expect(a).To(status(http.StatusOK))
			var list struct{ Message []struct{ Body, From string } }
			Expect(json.Unmarshal([]byte(a.Body), &list)).To(Succeed())
			for _, m := range list.Message {
				bodies = append(bodies, m.Body)
			}
			return bodies
		}
		Expect(history()).To(Equal([]string{"closing soon", "one more tea"}))
		s.restart()
		Expect(history()).To(Equal([]string{"closing soon", "one more tea"}))
		Expect(s.call("GET", "/chatrooms/atrium", nil)).To(HaveField("Body", ContainSubstring(`"subject":"Plants"`)))
	})

	It("refuses what a manifest declares, says who declares it, and does nothing", func() {
		s.apply("apiVersion: chat-operator.io/v1alpha1\nkind: ChatRoom\nmetadata: {name: declared}\nspec: {displayName: From Git, affiliations: [{jid: mira@" + domain + ", affiliation: Owner}]}\n")
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "chatroom/declared")
		before := s.kubectl("get", "chatroom", "declared", "--output=jsonpath={.metadata.generation}")
		managed := And(status(http.StatusConflict), HaveField("Body", And(ContainSubstring(`"exception":"ManagedByOther"`), ContainSubstring("kubectl"))))
		Expect(s.call("PUT", "/chatrooms/declared", map[string]any{"roomName": "declared", "naturalName": "From REST", "owners": []string{"mira"}})).To(managed)
		Expect(s.call("POST", "/chatrooms/declared/members/tobias", nil)).To(managed)
		Expect(s.call("DELETE", "/chatrooms/declared", nil)).To(managed)
		Expect(s.call("POST", "/chatrooms", map[string]any{"roomName": "declared"})).To(status(http.StatusConflict))
		Expect(s.kubectl("get", "chatroom", "declared", "--output=jsonpath={.metadata.generation}")).To(Equal(before))
	})

	It("lets one of eight simultaneous creations win, and loses no change of many to one room", func() {
		Expect(codes(s.atOnce(8, func(int) (string, string, any) {
			return "POST", "/chatrooms", map[string]any{"roomName": "wanted", "password": "sesame", "owners": []string{"mira"}}
		}))).To(Equal(map[int]int{http.StatusCreated: 1, http.StatusConflict: 7}))
		Expect(codes(s.atOnce(24, func(i int) (string, string, any) {
			if i%2 == 0 {
				return "POST", fmt.Sprintf("/chatrooms/wanted/members/one%d", i), nil
			}
			return "POST", "/chatrooms/wanted/admins", []string{fmt.Sprintf("other%d", i)}
		}))).To(Equal(map[int]int{http.StatusCreated: 24}))
		var list struct{ Members, Admins []string }
		for _, path := range []string{"members", "admins"} {
			Expect(json.Unmarshal([]byte(s.call("GET", "/chatrooms/wanted/"+path, nil).Body), &list)).To(Succeed())
		}
		Expect(list.Members).To(HaveLen(12))
		Expect(list.Admins).To(HaveLen(12))
	})

	It("creates a thousand rooms by one call, in a service that comes with them", func() {
		rooms := make([]map[string]any, 1000)
		for i := range rooms {
			rooms[i] = map[string]any{"roomName": fmt.Sprintf("bulk%03d", i), "persistent": true, "owners": []string{"mira"}}
		}
		var results struct {
			Success, Failure, Other []struct{ RoomName, Message string }
		}
		call := func(rooms []map[string]any) {
			GinkgoHelper()
			begin := time.Now()
			a := s.call("POST", "/chatrooms/bulk?servicename=workshop", map[string]any{"chatRooms": rooms})
			AddReportEntry(fmt.Sprintf("%d rooms took", len(rooms)), time.Since(begin).String())
			Expect(a).To(status(http.StatusOK))
			results.Success, results.Failure, results.Other = nil, nil, nil
			Expect(json.Unmarshal([]byte(a.Body), &results)).To(Succeed())
		}
		call(rooms)
		if len(results.Failure) == 0 {
			Expect(results.Success).To(HaveLen(1000))
			Expect(results.Success[999].RoomName).To(Equal("bulk999"))
		}
		// One call has 45 seconds, in which a busy machine makes fewer: those are told, and made when they are asked for again.
		for i := 1; len(results.Failure) > 0 && i < attempts; i++ {
			Expect(results.Failure).To(HaveEach(HaveField("Message", ContainSubstring("try again later"))))
			var again []map[string]any
			for _, one := range results.Failure {
				again = append(again, map[string]any{"roomName": one.RoomName, "persistent": true, "owners": []string{"mira"}})
			}
			call(again)
		}
		Expect(results.Failure).To(BeEmpty())
		mira := s.login("mira", "mira's word")
		Expect(mira.enter("bulk999@workshop."+domain, "mira").Room.Item.Affiliation).To(Equal("owner"))
		page := s.call("GET", "/chatrooms?servicename=workshop&type=all&limit=1&offset=999", nil)
		Expect(page.Header.Get("X-Total-Count")).To(Equal("1000"))
		Expect(page.Body).To(ContainSubstring(`"roomName":"bulk999"`))
	})

	It("lets others have what is reserved for an account that is deleted, and gives it to its new name (XEP-0045 §7.10)", func() {
		tobias := s.login("tobias", "tobias's word")
		Expect(tobias.enter(atrium, "toby").Type).To(BeEmpty())
		reserve := func(name, nick string) {
			GinkgoHelper()
			Expect(s.call("POST", "/users", user(name, name+"'s word"))).To(status(http.StatusCreated))
			Expect(s.login(name, name+"'s word").ask(fmt.Sprintf(`<iq type="set" to="%s"><query xmlns="jabber:iq:register"><x xmlns="jabber:x:data" type="submit">`+
				`<field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#register</value></field><field var="muc#register_roomnick"><value>%s</value></field></x></query></iq>`,
				atrium, nick)).Type).To(Equal("result"))
		}
		reserve("rosa", "Rose")
		reserve("karl", "Charles")
		ines := s.login("ines", "ines's word")
		Expect(ines.enter(atrium, "Rose").condition()).To(Equal("conflict"))
		Expect(s.call("DELETE", "/users/rosa", nil)).To(status(http.StatusOK))
		Expect(ines.enter(atrium, "Rose").Type).To(BeEmpty())
		Expect(s.call("PUT", "/users/karl", map[string]any{"username": "carla"})).To(status(http.StatusOK))
		Expect(s.login("carla", "karl's word").enter(atrium, "Charles").Type).To(BeEmpty())
		Expect(s.call("DELETE", "/users/carla", nil)).To(status(http.StatusOK))
	})

	It("tells occupants that a deleted room is gone, with all that was said in it (XEP-0045 §10.9)", func() {
		tobias := s.login("tobias", "tobias's word")
		Expect(tobias.enter(atrium, "toby").Type).To(BeEmpty())
		Expect(s.call("DELETE", "/chatrooms/atrium", nil)).To(status(http.StatusOK))
		tobias.next("the destruction", func(in incoming) bool { return in.Type == "unavailable" && in.Room.Destroy != nil })
		Expect(s.call("GET", "/chatrooms/atrium", nil)).To(status(http.StatusNotFound))
		Expect(s.call("POST", "/chatrooms", room(nil))).To(status(http.StatusCreated))
		Expect(s.call("GET", "/chatrooms/atrium/chathistory?limit=10", nil)).To(HaveField("Body", `{"message":[]}`))
	})
})
