package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// The contract: each exchange of the REST API as programs that were written for the original know it, in XML and in JSON, with one server for all. What
// is expected is what the original answers (docs/reference/rest.md says where this server differs), and never what this program was seen to say.

// both is a body in the two formats; the zero value is none.
type both struct{ xml, json string }

// format is one of the two that everything is said in.
type format struct{ name, media string }

var (
	inXML  = format{"XML", "application/xml"}
	inJSON = format{"JSON", "application/json"}
)

func (f format) of(b both) string {
	if f == inXML {
		return b.xml
	}
	return b.json
}

// row is a request and what is answered.
type row struct {
	method, path string // below the API's base unless it begins with /plugins
	send         both
	status       int
	// want has "…" for what cannot be known, "{date}" for a point in time.
	want both
}

const (
	restBase = "/plugins/restapi/v1"
	prolog   = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`
)

var none = both{}

// failure is the error entity.
func failure(exception, message, resource string) both {
	return both{
		fmt.Sprintf("<error><exception>%s</exception><message>%s</message><resource>%s</resource></error>", exception, message, resource),
		fmt.Sprintf(`{"resource":%q,"message":%q,"exception":%q}`, resource, message, exception),
	}
}

// contract is the server that all rows go to, and what they have shown of it.
type contract struct {
	*server
	secret string
	client *http.Client
	// operations are those of the OpenAPI document; shown are their answers that rows have had (keys; rows are also sent at once).
	operations []described
	shown      sync.Map
}

var _ = Describe("The REST contract", Ordered, ContinueOnFailure, SpecPriority(2), func() {
	c := &contract{}
	BeforeAll(func() {
		c.server = newServer("contract")
		c.secret = c.restSecret()
		c.client = &http.Client{
			Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		c.operations = c.describedOperations()
	})

	c.users()
	c.groups()
	c.memberships()
	c.rosters()
	c.vcards()
	c.rooms()
	c.affiliations()
	c.invitations()
	c.occupants()
	c.sessions()
	c.messages()
	c.properties()
	c.logs()
	c.clusters()
	c.health()
	c.documents()
	c.userService()
	c.standAlone()
	c.tolerance()
	c.access()
	c.everything()
	c.managed()
	c.late()
	c.midway()
	c.away()
	c.starting()
	c.complete()
})

// inBoth registers a spec for each format. It begins with nothing declared.
func (c *contract) inBoth(what string, body func(f format)) {
	for _, f := range []format{inXML, inJSON} {
		It(what+", in "+f.name, func() {
			c.reset()
			body(f)
		})
	}
}

// reset takes everything away that the last spec left.
func (c *contract) reset() {
	GinkgoHelper()
	ctx := context.Background()
	for _, kind := range []struct {
		object    client.Object
		list      string
		remaining string
	}{
		{&v1alpha1.ChatRoom{}, "/chatrooms?type=all", "0"}, {&v1alpha1.ChatGroup{}, "/groups", "0"}, {&v1alpha1.ChatUser{}, "/users", "0"},
		{&v1alpha1.SystemProperty{}, "/chatservices", "1"},
	} {
		Expect(kube.DeleteAllOf(ctx, kind.object, client.InNamespace(c.namespace))).To(Succeed())
		Eventually(func() string { return c.call("GET", kind.list, nil).Header.Get("X-Total-Count") }, limit).Should(Equal(kind.remaining), kind.list)
	}
	// Of properties no list tells. What happens to them is seen in its order: once this one is in force, those of before are not.
	c.run(inJSON,
		row{"POST", "/system/properties", property("the.last", "x"), 201, none},
		row{"DELETE", "/system/properties/the.last", none, 200, none},
	)
}

// run sends the requests of rows one after the other and tells of all answers that are not as they have to be.
func (c *contract) run(f format, rows ...row) {
	GinkgoHelper()
	var wrong []string
	for _, r := range rows {
		if trouble := c.try(f, r); trouble != "" {
			wrong = append(wrong, trouble)
		}
	}
	if len(wrong) > 0 {
		Fail(strings.Join(wrong, "\n"))
	}
}

// request is the request of a row, by the shared secret.
func (c *contract) request(f format, r row) *http.Request {
	GinkgoHelper()
	path := r.path
	if !strings.HasPrefix(path, "/plugins") {
		path = restBase + path
	}
	body := f.of(r.send)
	req, err := http.NewRequest(r.method, "http://"+c.rest+path, bytes.NewBufferString(body))
	Expect(err).NotTo(HaveOccurred())
	req.Header.Set("Authorization", c.secret)
	req.Header.Set("Accept", f.media)
	if body != "" {
		req.Header.Set("Content-Type", f.media)
	}
	return req
}

// try sends the request of a row and says what is wrong with the answer; empty: nothing.
func (c *contract) try(f format, r row) string {
	GinkgoHelper()
	want := f.of(r.want)
	switch {
	case want == "":
		return c.check(f, c.request(f, r), r.status, "", "")
	case f == inXML:
		want = prolog + want
	}
	return c.check(f, c.request(f, r), r.status, want, f.media)
}

// exchange sends a request and gives the answer with its body.
func (c *contract) exchange(f format, req *http.Request) (*http.Response, string) {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	resp, err := c.client.Do(req.WithContext(ctx))
	Expect(err).NotTo(HaveOccurred())
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	Expect(err).NotTo(HaveOccurred())
	c.note(f, req, resp.StatusCode, string(body))
	return resp, string(body)
}

// check sends a request and says what is wrong with the answer; empty: nothing.
func (c *contract) check(f format, req *http.Request, status int, want, media string) string {
	GinkgoHelper()
	resp, got := c.exchange(f, req)
	wrong := headerTrouble(resp)
	if strings.Contains(want, "ServiceUnavailableException") && !strings.Contains(req.URL.Path, "/system/readiness") && !retryAfter.MatchString(resp.Header.Get("Retry-After")) {
		wrong = append(wrong, fmt.Sprintf("Retry-After %q", resp.Header.Get("Retry-After")))
	}
	if resp.StatusCode != status {
		wrong = append(wrong, fmt.Sprintf("status %d instead of %d", resp.StatusCode, status))
	}
	if req.Method == http.MethodHead {
		want = "" // the protocol allows none
	}
	if !pattern(want).MatchString(got) {
		wrong = append(wrong, "not the body "+want)
	}
	if have := resp.Header.Get("Content-Type"); have != media {
		wrong = append(wrong, fmt.Sprintf("Content-Type %q instead of %q", have, media))
	}
	if want == "" && req.Method != http.MethodHead && resp.StatusCode != http.StatusNoContent && resp.Header.Get("Content-Length") != "0" {
		wrong = append(wrong, fmt.Sprintf("Content-Length %q of an answer without a body", resp.Header.Get("Content-Length")))
	}
	if len(wrong) == 0 {
		return ""
	}
	return fmt.Sprintf("%s %s\n    answered %d %s\n    which is wrong: %s", req.Method, req.URL.RequestURI(), resp.StatusCode, got, strings.Join(wrong, "\n      "))
}

// headerTrouble says which headers are not as they are on every answer.
func headerTrouble(resp *http.Response) (wrong []string) {
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      "*",
		"Access-Control-Allow-Headers":     "origin, content-type, accept, authorization",
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "GET, POST, PUT, DELETE, OPTIONS, HEAD",
		"Access-Control-Max-Age":           "",
		"WWW-Authenticate":                 "",
		"Location":                         "",
	} {
		if got := resp.Header.Get(name); got != want {
			wrong = append(wrong, fmt.Sprintf("%s: %q instead of %q", name, got, want))
		}
	}
	return wrong
}

// retryAfter is a header of whole seconds.
var retryAfter = regexp.MustCompile("^[1-9][0-9]*$")

var placeholders = strings.NewReplacer(
	"…", `[^<>]*?`,
	regexp.QuoteMeta("{date}"), `(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?(?:Z|[+-]\d\d:\d\d)|\d{13})`,
	regexp.QuoteMeta("{stamp}"), `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`,
	regexp.QuoteMeta("{seconds}"), `\d{10}`,
	regexp.QuoteMeta("{number}"), `\d+`,
)

// pattern is what a body has to match.
func pattern(want string) *regexp.Regexp {
	return regexp.MustCompile("^(?s:" + placeholders.Replace(regexp.QuoteMeta(want)) + ")$")
}

// note keeps which answer of which operation was seen in a format.
func (c *contract) note(f format, req *http.Request, status int, body string) {
	o := c.operation(req)
	if o == nil {
		return
	}
	exception := ""
	if status >= http.StatusBadRequest {
		var entity struct{ Exception string }
		if json.Unmarshal([]byte(body), &entity) == nil {
			exception = entity.Exception
		} else if _, rest, ok := strings.Cut(body, "<exception>"); ok {
			exception, _, _ = strings.Cut(rest, "</exception>")
		}
	}
	c.shown.Store(o.answer(f, status, exception), true)
}
