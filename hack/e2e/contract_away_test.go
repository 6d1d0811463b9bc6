package e2e

import (
	"context"
	"fmt"
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
	newUser := func(name string) both { return fields("user", "username", name, "password", "x") }
	newRoom := func(name string) both { return newDen.with("den", name) }
	var before, changes []row
	// Each is of something of its own, so that none has to wait for another.
	change := func(method, path string, send both, prepared ...row) {
		before = append(before, prepared...)
		changes = append(changes, row{method: method, path: path, send: send})
	}
	n := 0
	own := func(of string) string { n++; return fmt.Sprintf("%s%d", f.named(of), n) }
	account := func() (name string, made row) {
		name = own("user")
		return name, row{"POST", "/users", newUser(name), 201, none}
	}
	team := func(members string) (name string, made row) {
		name = own("team")
		return name, row{"POST", "/groups", groupBody(name, "", "", members), 201, none}
	}
	room := func() (path string, made row) {
		name := own("room")
		return "/chatrooms/" + name, row{"POST", "/chatrooms", newRoom(name), 201, none}
	}
	groups := func(name string) both {
		return both{"<groups><groupname>" + name + "</groupname></groups>", `{"groupnames":["` + name + `"]}`}
	}
	setting := func(name string) (path string, made row) {
		return "/system/properties/" + name, row{"POST", "/system/properties", property(name, "x"), 201, none}
	}
	contact := fields("rosterItem", "jid", "ines", "nickname", "I")

	change("POST", "/users", newUser(f.named("pia")))
	change("DELETE", "/users/"+f.named("tobias"), none, row{"POST", "/users", newUser(f.named("tobias")), 201, none})
	u, made := account()
	change("PUT", "/users/"+u, fields("user", "name", "M"), made)
	u, made = account()
	change("POST", "/lockouts/"+u, none, made)
	u, made = account()
	change("DELETE", "/lockouts/"+u, none, made, row{"POST", "/lockouts/" + u, none, 201, none})
	u, made = account()
	change("POST", "/users/"+u+"/roster", contact, made)
	for _, one := range []row{{method: "PUT", path: "", send: contact}, {method: "PUT", path: "/ines", send: contact}, {method: "DELETE", path: "/ines"}} {
		u, made = account()
		change(one.method, "/users/"+u+"/roster"+one.path, one.send, made, row{"POST", "/users/" + u + "/roster", fields("rosterItem", "jid", "ines"), 201, none})
	}

	change("POST", "/groups", groupBody(f.named("new"), "", "", ""))
	change("DELETE", "/groups/"+f.named("old"), none, row{"POST", "/groups", groupBody(f.named("old"), "", "", ""), 201, none})
	g, made := team("")
	change("PUT", "/groups/"+g, groupBody(g, "On call", "", ""), made)
	g, made = team("")
	change("POST", "/users/ines/groups", groups(g), made)
	g, made = team("")
	change("POST", "/users/ines/groups/"+g, none, made)
	g, made = team("ines")
	change("DELETE", "/users/ines/groups", groups(g), made)
	g, made = team("ines")
	change("DELETE", "/users/ines/groups/"+g, none, made)

	change("POST", "/chatrooms", newRoom(f.named("cellar")))
	change("POST", "/chatrooms/bulk?servicename="+f.named("barn"), rooms(newDen))
	change("DELETE", "/chatrooms/"+f.named("attic"), none, row{"POST", "/chatrooms", newRoom(f.named("attic")), 201, none})
	r, made := room()
	change("PUT", r, newRoom(strings.TrimPrefix(r, "/chatrooms/")).with("Small", "Large"), made)
	r, made = room()
	change("POST", r+"/members", addressList("members", "member", "ines"), made)
	r, made = room()
	change("PUT", r+"/admins", addressList("admins", "admin", "nora"), made)
	r, made = room()
	change("POST", r+"/members/vera", none, made)
	r, made = room()
	change("DELETE", r+"/members/vera", none, made, row{"POST", r + "/members/vera", none, 201, none})
	r, made = room()
	change("POST", r+"/outcasts/group/Ops", none, made)
	r, made = room()
	change("DELETE", r+"/members/group/Ops", none, made, row{"POST", r + "/members/group/Ops", none, 201, none})
	change("POST", "/chatservices", fields("chatService", "serviceName", f.named("shed")))

	change("POST", "/system/properties", property(f.named("c.motto"), "x"))
	change("POST", "/system/properties/"+f.named("d.motto"), property(f.named("d.motto"), "x"))
	p, made := setting(f.named("a.motto"))
	change("PUT", p, property(f.named("a.motto"), "y"), made)
	p, made = setting(f.named("b.motto"))
	change("DELETE", p, none, made)
	c.run(f, before...)
	return changes
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

// atOnce is how many changes are sent at once: that many the API server takes within the time that the program gives it, on any machine.
const atOnce = 20

// together sends the changes many at once, and tells of all answers that are not as they have to be.
func (c *contract) together(changes []change) {
	GinkgoHelper()
	troubles, turn := make(chan string, len(changes)), make(chan struct{}, atOnce)
	for _, one := range changes {
		go func() {
			defer GinkgoRecover()
			turn <- struct{}{}
			defer func() { <-turn }()
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
