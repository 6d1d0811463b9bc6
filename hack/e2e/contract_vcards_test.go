package e2e

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func (c *contract) vcards() {
	c.inBoth("keeps vCards, which are XML in any case", func(f format) {
		const card = `<vCard xmlns="vcard-temp"><FN>Mira Okafor</FN><NICKNAME>Mi</NICKNAME></vCard>`
		// ask sends XML and prefers an answer in the format.
		ask := func(method, username, send string, status int, want string) {
			GinkgoHelper()
			req := c.request(inXML, row{method: method, path: "/users/" + username + "/vcard", send: both{xml: send}})
			req.Header.Set("Accept", f.media+", application/xml;q=0.5")
			media := ""
			switch {
			case status == http.StatusOK && want != "":
				media = inXML.media
			case want != "" && f == inXML:
				media, want = f.media, prolog+want
			case want != "":
				media = f.media
			}
			Expect(c.check(f, req, status, want, media)).To(BeEmpty())
		}
		noCard := failure("IllegalArgumentException", "Could not parse the provided data as a vCard…", "mira")
		foreign := f.of(failure("UserNotFoundException", "…", "guest@other.example"))

		c.run(f, row{"POST", "/users", newMira, 201, none})
		ask("GET", "mira", "", 204, "")
		ask("GET", "nobody7", "", 204, "")
		ask("PUT", "mira", card, 200, "")
		ask("GET", "mira", "", 200, card)
		ask("HEAD", "mira", "", 200, card)
		ask("GET", "mira@chat.example", "", 200, card)
		ask("PUT", "mira", "<nonsense/>", 400, f.of(noCard))
		ask("PUT", "nobody7", card, 404, f.of(noSuchUser))
		ask("GET", "guest@other.example", "", 400, foreign)
		ask("PUT", "guest@other.example", card, 400, foreign)
		ask("DELETE", "guest@other.example", "", 400, foreign)
		ask("DELETE", "mi%20ra", "", 400, f.of(noSuchName))
		ask("DELETE", "mira", "", 200, "")
		ask("DELETE", "mira", "", 200, "")
		ask("DELETE", "nobody7", "", 200, "")
		ask("GET", "mira", "", 204, "")
	})

	It("answers a vCard in no other format, and reads it in none", func() {
		c.run(inJSON,
			row{"GET", "/users/mira/vcard", none, 406, failure("NotAcceptableException", "…", "/plugins/restapi/v1/users/mira/vcard")},
			row{"PUT", "/users/mira/vcard", both{"", `{"FN":"Mira"}`}, 415, failure("NotSupportedException", "…", "/plugins/restapi/v1/users/mira/vcard")},
		)
	})
}
