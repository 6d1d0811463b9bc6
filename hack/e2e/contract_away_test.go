package e2e

import (
	"context"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// named is a name of something of one format.
func (f format) named(of string) string { return of + "-" + strings.ToLower(f.name) }

// changes makes what is there to be changed, and gives a change of each kind. The rows still lack what is answered.
func (c *contract) changes(f format) []row {
	GinkgoHelper()
	mira, tobias, otto, ops, old := f.named("mira"), f.named("tobias"), f.named("otto"), f.named("ops"), f.named("old")
	newUser := func(name string) both { return fields("user", "username", name, "password", "x") }
	newRoom := func(name string) both { return newDen.with("den", name) }
	groups := both{"<groups><groupname>" + ops + "</groupname></groups>", `{"groupnames":["` + ops + `"]}`}
	den := "/chatrooms/" + f.named("den")
	c.run(f,
		row{"POST", "/users", newUser(mira), 201, none},
		row{"POST", "/users", newUser(tobias), 201, none},
		row{"POST", "/users", newUser(otto), 201, none},
		row{"POST", "/lockouts/" + otto, none, 201, none},
		row{"POST", "/users/" + mira + "/roster", fields("rosterItem", "jid", "ines"), 201, none},
		row{"POST", "/users/" + otto + "/roster", fields("rosterItem", "jid", "ines"), 201, none},
		row{"POST", "/users/" + otto + "/roster", fields("rosterItem", "jid", "pia"), 201, none},
		row{"POST", "/groups", groupBody(ops, "", "", mira), 201, none},
		row{"POST", "/groups", groupBody(old, "", "", ""), 201, none},
		row{"POST", "/chatrooms", newRoom(f.named("den")), 201, none},
		row{"POST", "/chatrooms", newRoom(f.named("attic")), 201, none},
		row{"POST", "/chatrooms", newRoom(f.named("tower")), 201, none},
		row{"POST", den + "/members/tobias", none, 201, none},
		row{"POST", den + "/members/group/" + ops, none, 201, none},
		row{"POST", "/system/properties", property(f.named("a.motto"), "x"), 201, none},
		row{"POST", "/system/properties", property(f.named("b.motto"), "x"), 201, none},
	)
	return []row{
		{method: "POST", path: "/users", send: newUser(f.named("pia"))},
		{method: "PUT", path: "/users/" + mira, send: fields("user", "name", "M")},
		{method: "DELETE", path: "/users/" + tobias},
		{method: "POST", path: "/lockouts/" + mira},
		{method: "DELETE", path: "/lockouts/" + otto},
		{method: "POST", path: "/users/" + mira + "/roster", send: fields("rosterItem", "jid", "pia")},
		{method: "PUT", path: "/users/" + mira + "/roster", send: fields("rosterItem", "jid", "ines", "nickname", "I")},
		{method: "PUT", path: "/users/" + otto + "/roster/ines", send: fields("rosterItem", "nickname", "I")},
		{method: "DELETE", path: "/users/" + otto + "/roster/pia"},
		{method: "POST", path: "/users/ines/groups", send: groups},
		{method: "POST", path: "/users/pia/groups/" + ops},
		{method: "DELETE", path: "/users/" + mira + "/groups", send: groups},
		{method: "DELETE", path: "/users/" + mira + "/groups/" + ops},
		{method: "POST", path: "/groups", send: groupBody(f.named("new"), "", "", "")},
		{method: "PUT", path: "/groups/" + ops, send: groupBody(ops, "On call", "", "")},
		{method: "DELETE", path: "/groups/" + old},
		{method: "POST", path: "/chatrooms", send: newRoom(f.named("cellar"))},
		{method: "POST", path: "/chatrooms/bulk?servicename=" + f.named("barn"), send: rooms(newDen)},
		{method: "PUT", path: "/chatrooms/" + f.named("tower"), send: newRoom(f.named("tower")).with("Small", "Large")},
		{method: "DELETE", path: "/chatrooms/" + f.named("attic")},
		{method: "POST", path: den + "/members", send: addressList("members", "member", "ines")},
		{method: "PUT", path: den + "/admins", send: addressList("admins", "admin", "nora")},
		{method: "POST", path: den + "/members/vera"},
		{method: "DELETE", path: den + "/members/tobias"},
		{method: "POST", path: den + "/outcasts/group/" + old},
		{method: "DELETE", path: den + "/members/group/" + ops},
		{method: "POST", path: "/chatservices", send: fields("chatService", "serviceName", f.named("shed"))},
		{method: "POST", path: "/system/properties", send: property(f.named("c.motto"), "x")},
		{method: "POST", path: "/system/properties/" + f.named("d.motto"), send: property(f.named("d.motto"), "x")},
		{method: "PUT", path: "/system/properties/" + f.named("a.motto"), send: property(f.named("a.motto"), "y")},
		{method: "DELETE", path: "/system/properties/" + f.named("b.motto")},
	}
}

// changed is what the changes lead to, by status.
func (f format) changed() map[string][2]int {
	return map[string][2]int{ // before, after
		"/users/" + f.named("pia"): {404, 200}, "/users/" + f.named("tobias"): {200, 404}, "/groups/" + f.named("new"): {404, 200}, "/groups/" + f.named("old"): {200, 404},
		"/chatrooms/" + f.named("cellar"): {404, 200}, "/chatrooms/" + f.named("attic"): {200, 404},
		"/system/properties/" + f.named("d.motto"): {404, 200}, "/system/properties/" + f.named("b.motto"): {200, 404},
	}
}

// change is a row in one format.
type change struct {
	f format
	row
}

// allChanges are the changes in both formats, each with the answer that is expected.
func (c *contract) allChanges(status int, want both) (list []change) {
	GinkgoHelper()
	for _, f := range []format{inXML, inJSON} {
		for _, r := range c.changes(f) {
			r.status, r.want = status, want
			list = append(list, change{f, r})
		}
	}
	return list
}

// together sends all of them at once, and tells of all answers that are not as they have to be.
func (c *contract) together(changes []change) {
	GinkgoHelper()
	troubles := make(chan string, len(changes))
	for _, one := range changes {
		go func() {
			defer GinkgoRecover()
			troubles <- c.try(one.f, one.row)
		}()
	}
	var wrong []string
	for range changes {
		if trouble := <-troubles; trouble != "" {
			wrong = append(wrong, trouble)
		}
	}
	if len(wrong) > 0 {
		Fail(strings.Join(wrong, "\n"))
	}
}

// late is what is written, but not in force here yet when the answer has to be given.
func (c *contract) late() {
	It("says of what is written and not in force yet that it is late, in both formats", func() {
		c.reset()
		changes := c.allChanges(504, failure("NotYetActiveException", "…", "…"))
		c.proxy.hold()
		DeferCleanup(c.proxy.release)
		c.together(changes)
		c.proxy.release()
		for _, f := range []format{inXML, inJSON} {
			for path, status := range f.changed() {
				Eventually(func() int { return c.call("GET", path, nil).Status }, limit).Should(Equal(status[1]), path)
			}
		}
	})
}

// away is the API server away: what is declared is known, and cannot be changed.
func (c *contract) away() {
	It("reads while the API server is away, and writes nothing, in both formats", func() {
		c.reset()
		changes := c.allChanges(503, failure("ServiceUnavailableException", "…", "…"))
		c.run(inJSON,
			row{"POST", "/users", newMira, 201, none},
			row{"POST", "/groups", newOps, 201, none},
			row{"POST", "/chatrooms", newAtrium, 201, none},
			row{"POST", "/system/properties", property("a.motto", "be kind"), 201, none},
		)
		mira, at := c.connectAs("mira", "s3cr3t!", "<presence/>")
		c.proxy.goAway()
		DeferCleanup(c.proxy.comeBack)
		for _, f := range []format{inXML, inJSON} {
			c.run(f,
				row{"GET", "/users/mira", none, 200, both{miraXML, miraJSON}},
				row{"GET", "/users?propertyKey=team", none, 200, oneMira},
				row{"GET", "/users/mira/groups", none, 200, groupsOf("Ops")},
				row{"GET", "/users/mira/roster", none, 200, both{"<roster/>", `{"rosterItem":[]}`}},
				row{"GET", "/users/nobody7", none, 404, noSuchUser},
				row{"GET", "/lockouts/mira", none, 200, both{"<lockout><username>mira</username><locked>false</locked></lockout>", `{"username":"mira","locked":false}`}},
				row{"GET", "/groups/Ops", none, 200, ops},
				row{"GET", "/groups?limit=0", none, 200, both{"<groups/>", `{"groups":[]}`}},
				row{"GET", "/chatrooms/atrium", none, 200, atrium},
				row{"GET", "/chatrooms?search=atrium", none, 200, rooms(atrium)},
				row{"GET", "/chatrooms/atrium/owners", none, 200, addressList("owners", "owner", "mira@chat.example")},
				row{"GET", "/chatrooms/atrium/occupants", none, 200, both{"<occupants/>", `{"occupants":[]}`}},
				row{"GET", "/chatservices", none, 200, both{
					"<chatServices><chatService><serviceName>conference</serviceName><description>…</description><hidden>false</hidden></chatService></chatServices>",
					`{"chatService":[{"serviceName":"conference","description":"…","hidden":false}]}`}},
				row{"GET", "/system/properties/a.motto", none, 200, property("a.motto", "be kind")},
				row{"GET", "/system/properties?limit=1", none, 200, both{
					"<properties>" + property("a.motto", "be kind").xml + "</properties>", `{"property":[` + property("a.motto", "be kind").json + `]}`}},
				row{"GET", "/sessions/mira", none, 200, both{
					"<sessions><session><sessionId>mira@chat.example/" + at + "</sessionId><username>mira</username><resource>" + at + "</resource><node>Local</node><sessionStatus>Authenticated</sessionStatus><presenceStatus>Online</presenceStatus><priority>0</priority><hostAddress>127.0.0.1</hostAddress><hostName>127.0.0.1</hostName><creationDate>{date}</creationDate><lastActionDate>{date}</lastActionDate><secure>true</secure></session></sessions>",
					`{"sessions":[{"sessionId":"mira@chat.example/` + at + `","username":"mira","resource":"` + at + `","node":"Local","sessionStatus":"Authenticated","presenceStatus":"Online","priority":0,"hostAddress":"127.0.0.1","hostName":"127.0.0.1","creationDate":{date},"lastActionDate":{date},"secure":true}]}`}},
				row{"GET", "/system/statistics/sessions", none, 200, both{"<sessions><clusterSessions>1</clusterSessions><localSessions>1</localSessions></sessions>", `{"localSessions":1,"clusterSessions":1}`}},
				row{"GET", "/logs/security?limit=0", none, 200, both{"<logs/>", `{"logs":[]}`}},
				row{"GET", "/system/liveness", none, 200, none},
				row{"GET", "/system/readiness", none, 200, none},
			)
		}
		// What this server does by itself it still does.
		c.run(inXML, row{"POST", "/messages/users", fields("message", "body", "Hold on"), 201, none})
		mira.hear("Hold on")
		c.run(inJSON, row{"DELETE", "/sessions/mira", none, 200, none})
		Eventually(mira.ended, limit).Should(BeClosed())
		c.together(changes)

		c.proxy.comeBack()
		Eventually(func() int { return c.call("POST", "/users", user("ines", "x")).Status }, 2*limit).Should(Equal(201))
		for _, f := range []format{inXML, inJSON} {
			for path, status := range f.changed() {
				Expect(c.call("GET", path, nil).Status).To(Equal(status[0]), path)
			}
		}
	})
}

// starting is a program that has not read all that is declared.
func (c *contract) starting() {
	It("says that it is not ready before it knows what is declared, in both formats", func() {
		s := prepareServer("contract-starting")
		s.proxy.goAwayAt(func(r *http.Request) departure {
			if strings.Contains(r.URL.Path, "/chat-operator.io/") {
				return goesBefore
			}
			return stays
		})
		s.process = s.run()
		DeferCleanup(func() { s.proxy.comeBack(); s.stop() })
		Eventually(func() error { return get(context.Background(), "http://"+s.rest+restBase+"/system/liveness") }, startLimit).Should(Succeed())
		here := c.server
		c.server = s
		DeferCleanup(func() { c.server = here })
		for _, f := range []format{inXML, inJSON} {
			c.refuse(f, refusal{"", 503, "ServiceUnavailableException", func(o *described) bool { return protected(o) || neverReady(o.id) }, func(*described, format, *http.Request) {}})
		}
	})
}

// neverReady are probes that fail while nothing has been read.
func neverReady(id string) bool {
	return id == "readiness" || id == "readinessServerStart" || id == "readinessConnections"
}
