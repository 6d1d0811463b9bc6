package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Groups by REST", Ordered, ContinueOnFailure, func() {
	var s *server
	group := func(name string, more map[string]any) map[string]any {
		g := map[string]any{"name": name, "description": "The " + name}
		for k, v := range more {
			g[k] = v
		}
		return g
	}
	members := func(name string) []string {
		GinkgoHelper()
		a := s.call("GET", "/groups/"+url.PathEscape(name), nil)
		Expect(a).To(status(http.StatusOK))
		var g struct{ Members []string }
		Expect(json.Unmarshal([]byte(a.Body), &g)).To(Succeed())
		return g.Members
	}
	BeforeAll(func() {
		s = newServer("groups-rest")
		for _, name := range []string{"anna", "otto"} {
			Expect(s.call("POST", "/users", user(name, name+"'s word"))).To(status(http.StatusCreated))
		}
	})

	It("makes the members each other's contacts, and strangers when they leave", func() {
		anna, otto := s.login("anna", "anna's word"), s.login("otto", "otto's word")
		Expect(anna.roster()).To(BeEmpty())
		Expect(otto.roster()).To(BeEmpty())
		push := func(c *chatClient, who, subscription string) {
			c.next("roster push of "+who+" "+subscription, func(in incoming) bool {
				return len(in.Roster.Items) == 1 && in.Roster.Items[0].JID == who+"@"+domain && in.Roster.Items[0].Subscription == subscription
			})
		}
		Expect(s.call("POST", "/groups", group("Night Shift", map[string]any{"shared": true, "members": []string{"anna"}, "admins": []string{"otto"}}))).
			To(status(http.StatusCreated))
		Expect(s.kubectl("get", "chatgroups", "--output=jsonpath={.items[*].spec.members} {.items[*].spec.admins} {.items[*].spec.sharedRoster.mode}")).
			To(Equal(`["anna"] ["otto"] OnlyGroup`))
		push(anna, "otto", "both")
		push(otto, "anna", "both")
		anna.see("", "otto")
		Expect(s.call("GET", "/users/anna/groups", nil)).To(HaveField("Body", `{"groupnames":["Night Shift"],"groupname":["Night Shift"]}`))
		Expect(s.call("DELETE", "/users/otto/groups/Night%20Shift", nil)).To(status(http.StatusOK))
		push(anna, "otto", "remove")
		push(otto, "anna", "remove")
		Expect(s.call("DELETE", "/groups/Night%20Shift", nil)).To(status(http.StatusOK))
		Expect(s.kubectl("get", "chatgroups", "--output=name")).To(BeEmpty())
	})

	It("loses nobody when a hundred join a group at once that is not even there, and half of them leave", func() {
		path := func(i int) string { return fmt.Sprintf("/users/u%02d/groups/Crowd", i) }
		Expect(codes(s.atOnce(100, func(i int) (string, string, any) { return "POST", path(i), nil }))).To(Equal(map[int]int{http.StatusCreated: 100}))
		Expect(members("Crowd")).To(HaveLen(100))
		// Meanwhile others describe it, which is about something else.
		Expect(codes(s.atOnce(60, func(i int) (string, string, any) {
			if i >= 50 {
				return "PUT", "/groups/Crowd", map[string]any{"name": "Crowd", "description": fmt.Sprint(i)}
			}
			return "DELETE", path(2 * i), nil
		}))).To(Equal(map[int]int{http.StatusOK: 60}))
		left := members("Crowd")
		Expect(left).To(HaveLen(50))
		Expect(left[0]).To(Equal("u01@" + domain))
	})

	It("lets one of eight simultaneous creations win", func() {
		answers := s.atOnce(8, func(i int) (string, string, any) {
			return "POST", "/groups", group("wanted", map[string]any{"description": fmt.Sprint(i)})
		})
		Expect(codes(answers)).To(Equal(map[int]int{http.StatusCreated: 1, http.StatusConflict: 7}))
		won := slices.IndexFunc(answers, func(a answer) bool { return a.Status == http.StatusCreated })
		Expect(s.call("GET", "/groups/wanted", nil)).To(HaveField("Body", ContainSubstring(fmt.Sprintf(`"description":"%d"`, won))))
	})

	It("refuses to change what a manifest declares, and says who declares it; a member by label leaves by label", func() {
		s.apply("apiVersion: chat-operator.io/v1alpha1\nkind: ChatGroup\nmetadata: {name: ops}\nspec: {members: [anna], selector: {matchLabels: {team: ops}}}\n")
		s.kubectl("label", "chatuser", "otto", "team=ops")
		Eventually(func() []string { return members("ops") }, limit).Should(Equal([]string{"anna@" + domain, "otto@" + domain}))
		for _, a := range []answer{
			s.call("DELETE", "/users/anna/groups/ops", nil), s.call("POST", "/users/ines/groups/ops", nil),
			s.call("PUT", "/groups/ops", map[string]any{"name": "ops", "members": []string{"otto"}}), s.call("DELETE", "/groups/ops", nil),
		} {
			Expect(a).To(And(status(http.StatusConflict), HaveField("Body", And(ContainSubstring("ManagedByOther"), ContainSubstring("kubectl")))))
		}
		Expect(s.call("DELETE", "/users/otto/groups/ops", nil)).To(And(status(http.StatusConflict), HaveField("Body", ContainSubstring("change the labels"))))
		Expect(s.call("POST", "/users/otto/groups/ops", nil)).To(status(http.StatusCreated))
		Expect(members("ops")).To(Equal([]string{"anna@" + domain, "otto@" + domain}))
	})

	It("takes the calls of the oldest programs, too", func() {
		ask := func(parameters url.Values) string {
			GinkgoHelper()
			parameters.Set("secret", s.restSecret())
			resp, err := http.PostForm("http://"+s.rest+"/plugins/userService/userservice", parameters)
			Expect(err).NotTo(HaveOccurred())
			defer resp.Body.Close()
			line, err := io.ReadAll(resp.Body)
			Expect(err).NotTo(HaveOccurred())
			return strings.TrimSuffix(string(line), "\n")
		}
		Expect(ask(url.Values{"type": {"add"}, "username": {"ines"}, "password": {"a word"}, "groups": {"Day Shift,wanted"}})).To(Equal("<result>ok</result>"))
		s.login("ines", "a word")
		Expect(ask(url.Values{"type": {"usergrouplist"}, "username": {"ines"}})).To(Equal("<result><groupname>Day Shift</groupname><groupname>wanted</groupname></result>"))
		Expect(ask(url.Values{"type": {"add"}, "username": {"ines"}, "password": {"a word"}})).To(Equal("<error>UserAlreadyExistsException</error>"))
		Expect(ask(url.Values{"type": {"delete"}, "username": {"ines"}})).To(Equal("<result>ok</result>"))
		Expect(members("wanted")).To(BeEmpty())
	})
})
