package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// userService is the interface of the oldest programs, on all paths where they look for it. It has one format.
func (c *contract) userService() {
	const ok, illegal = "<result>ok</result>", "<error>IllegalArgumentException</error>"
	const noUser, userExists = "<error>UserNotFoundException</error>", "<error>UserAlreadyExistsException</error>"
	type call struct {
		query string
		want  string
	}
	script := []call{
		{"type=add&username=Mira&password=x&name=Mira%20Okafor&email=mira%40mail.example&groups=Ops,Night%20Shift", ok},
		{"type=add&username=mira&password=x", userExists},
		{"type=add&username=tobias", illegal},
		{"type=add&username=tobias&password=y", ok},
		{"type=add&username=a%20b%40c&password=y", ok},
		{"type=delete&username=a%20b%40c", ok},
		{"type=delete&username=nobody7", noUser},
		{"type=usergrouplist&username=mira", "<result><groupname>Night Shift</groupname><groupname>Ops</groupname></result>"},
		{"type=usergrouplist&username=tobias", "<result></result>"},
		{"type=usergrouplist&username=nobody7", noUser},
		{"type=grouplist", "<result><groupname>Night Shift</groupname><groupname>Ops</groupname></result>"},
		{"type=update&username=mira&name=Mi&groups=Ops", ok},
		{"type=usergrouplist&username=mira", "<result><groupname>Ops</groupname></result>"},
		{"type=update&username=mira&groups=", ok},
		{"type=usergrouplist&username=mira", "<result></result>"},
		{"type=update&username=nobody7&name=x", noUser},
		{"type=disable&username=mira", ok},
		{"type=enable&username=mira", ok},
		{"type=disable&username=nobody7", noUser},
		{"type=enable&username=nobody7", noUser},
		{"type=add_roster&username=mira&item_jid=tobias%40chat.example&name=Tobi&subscription=3&groups=Friends", ok},
		{"type=add_roster&username=mira&item_jid=tobias%40chat.example", userExists},
		{"type=add_roster&username=mira", illegal},
		{"type=add_roster&username=mira&item_jid=ines&subscription=4", illegal},
		{"type=add_roster&username=mira&item_jid=ines&subscription=x", illegal},
		{"type=add_roster&username=mira&item_jid=i%20nes%40chat.example", illegal},
		{"type=add_roster&username=nobody7&item_jid=ines", noUser},
		{"type=update_roster&username=mira&item_jid=tobias%40chat.example&name=Toby", ok},
		{"type=update_roster&username=mira&item_jid=nobody7%40chat.example", noUser},
		{"type=update_roster&username=nobody7&item_jid=tobias%40chat.example", noUser},
		{"type=delete_roster&username=mira&item_jid=tobias%40chat.example", ok},
		{"type=delete_roster&username=mira&item_jid=tobias%40chat.example", ok},
		{"type=delete_roster&username=nobody7&item_jid=tobias%40chat.example", noUser},
		{"type=delete", illegal},
		{"username=mira", illegal},
		{"type=delete&username=mira", ok},
		{"type=delete&username=tobias", ok},
	}
	for _, path := range []string{restBase + "/userservice", "/plugins/restapi/userservice", "/plugins/userService/userservice"} {
		for _, way := range []string{"GET", "POST with a query", "POST of a form"} {
			It("answers the oldest programs at "+path+" by "+way, func() {
				c.reset()
				ask := func(query string) (*http.Response, string) {
					GinkgoHelper()
					method, body := "GET", ""
					target := path + "?" + query
					if strings.HasPrefix(way, "POST") {
						method = "POST"
					}
					if strings.HasSuffix(way, "form") {
						target, body = path, query
					}
					req := c.request(inXML, row{method: method, path: target, send: both{xml: body}})
					req.Header.Del("Authorization")
					if body != "" {
						req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					}
					return c.exchange(inXML, req)
				}
				secret := "secret=" + url.QueryEscape(c.secret) + "&"
				var wrong []string
				calls := []call{
					{"type=grouplist", "<error>RequestNotAuthorised</error>"},
					{"secret=wrong&type=grouplist", "<error>RequestNotAuthorised</error>"},
				}
				for _, one := range script {
					calls = append(calls, call{secret + one.query, one.want})
				}
				for _, one := range calls {
					resp, got := ask(one.query)
					media := resp.Header.Get("Content-Type")
					if resp.StatusCode != http.StatusOK || got != one.want+"\n" || media != "text/xml;charset=UTF-8" || len(headerTrouble(resp)) > 0 {
						wrong = append(wrong, fmt.Sprintf("%s: %d %s %q instead of %q %v", strings.TrimPrefix(one.query, secret), resp.StatusCode, media, got, one.want, headerTrouble(resp)))
					}
				}
				// A type that nobody knows does nothing.
				resp, got := ask(secret + "type=dance&username=mira")
				Expect(got).To(BeEmpty())
				Expect(resp.StatusCode).To(Equal(map[bool]int{true: 200, false: 204}[way == "GET"]))
				Expect(wrong).To(BeEmpty(), strings.Join(wrong, "\n"))
			})
		}
	}
}
