package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// midway is an API server that goes, or keeps everybody waiting, in the middle of a change: nobody is told that it is made, and whether it is made or not, the
// same call again leads to what was wanted.
func (c *contract) midway() {
	It("says of a property that it cannot be changed when the API server goes at any step of it, in both formats", func() {
		c.reset()
		const list = "/system/properties"
		steps := []struct {
			method string
			there  bool   // before
			keyed  bool   // the path has the key
			at     string // the method of the request to the API server that fails
			goes   departure
		}{
			{"POST", false, false, "POST", goesBefore},
			{"POST", false, false, "POST", goesAfter},
			{"POST", false, true, "POST", goesAfter},
			{"POST", true, false, "PATCH", goesBefore},
			{"POST", true, true, "PATCH", goesAfter},
			{"PUT", true, true, "GET", lingers},
			{"PUT", true, true, "PATCH", goesBefore},
			{"PUT", true, true, "PATCH", goesAfter},
			{"DELETE", true, true, "GET", goesBefore},
			{"DELETE", true, true, "DELETE", goesBefore},
			{"DELETE", true, true, "DELETE", goesAfter},
		}
		key := func(f format, i int) string { return fmt.Sprintf("midway.%s.%d", strings.ToLower(f.name), i) }
		var calls []change
		for _, f := range []format{inXML, inJSON} {
			for i, s := range steps {
				one := change{f, row{method: s.method, path: list, status: 503, want: failure("ServiceUnavailableException", "…", key(f, i))}}
				if s.keyed {
					one.path += "/" + key(f, i)
				}
				if s.method != http.MethodDelete {
					one.send = property(key(f, i), "new")
				}
				if s.there {
					c.run(f, row{"POST", list, property(key(f, i), "old"), 201, none})
				}
				calls = append(calls, one)
			}
		}
		c.proxy.failWhere(func(r *http.Request) departure {
			if r.URL.Query().Has("watch") || !strings.Contains(r.URL.Path, "/systemproperties") {
				return stays
			}
			text := []byte(r.URL.Path)
			if r.Method == http.MethodPost { // the name is in the object
				var err error
				if text, err = io.ReadAll(r.Body); err != nil {
					return stays
				}
				r.Body = io.NopCloser(bytes.NewReader(text))
			}
			for _, f := range []format{inXML, inJSON} {
				for i, s := range steps {
					name := key(f, i)
					if s.at == r.Method && (bytes.HasSuffix(text, []byte("/"+name)) || bytes.Contains(text, []byte(`"name":"`+name+`"`))) {
						return s.goes
					}
				}
			}
			return stays
		})
		DeferCleanup(func() { c.proxy.failWhere(nil) })
		c.together(calls)
		c.proxy.failWhere(nil)

		for n, one := range calls {
			f, i := one.f, n%len(steps)
			s := steps[i]
			path := list + "/" + key(f, i)
			is := func(status int, want both) {
				GinkgoHelper()
				Eventually(func() string { return c.try(f, row{"GET", path, none, status, want}) }, limit).Should(BeEmpty(), "%+v", s)
			}
			missing := failure("PropertyNotFoundException", "Could not find property", key(f, i))
			made := s.goes == goesAfter
			switch {
			case s.method == http.MethodDelete && made, !s.there && !made:
				is(404, missing)
			case s.method == http.MethodDelete, !made:
				is(200, property(key(f, i), "old"))
			default:
				is(200, property(key(f, i), "new"))
			}
			again := row{method: s.method, path: one.path, send: one.send, status: map[string]int{"POST": 201, "PUT": 200, "DELETE": 200}[s.method]}
			if s.method == http.MethodDelete && made {
				again.status, again.want = 404, missing
			}
			c.run(f, again)
			if s.method == http.MethodDelete {
				is(404, missing)
			} else {
				is(200, property(key(f, i), "new"))
			}
		}
	})
}
