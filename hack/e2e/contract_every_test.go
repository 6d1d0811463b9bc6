package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// refusal is what every operation answers that it applies to, before it looks at what is asked of it.
type refusal struct {
	what      string
	status    int
	exception string
	applies   func(o *described) bool
	alter     func(o *described, f format, req *http.Request)
}

// protected operations need authentication.
func protected(o *described) bool { return !o.public }

// takesBody are operations that read what is sent.
func takesBody(o *described) bool { return o.takes }

// body puts a body into a request.
func body(req *http.Request, media, text string) {
	req.Body, req.ContentLength = io.NopCloser(bytes.NewBufferString(text)), int64(len(text))
	if media == "" {
		req.Header.Del("Content-Type")
		return
	}
	req.Header.Set("Content-Type", media)
}

// media is the type of a body that an operation takes in a format: vCards are XML in both.
func (o *described) media(f format) string {
	if o.id == "setUserVcard" {
		return inXML.media
	}
	return f.media
}

// conditional operations change something that can be got at the same path.
func (c *contract) conditional(o *described) bool {
	return (o.method == http.MethodPut || o.method == http.MethodDelete) && slices.ContainsFunc(c.operations, func(other described) bool {
		return other.method == http.MethodGet && slices.Equal(other.segments, o.segments)
	})
}

// everything goes through all operations that the program says it has.
func (c *contract) everything() {
	for _, r := range []refusal{
		{"who does not say who it is", 401, "RequestNotAuthorised", protected, func(_ *described, _ format, req *http.Request) {
			req.Header.Del("Authorization")
		}},
		{"an answer in another format", 406, "NotAcceptableException", func(o *described) bool { return slices.Contains(o.answers, inXML.media) },
			func(_ *described, f format, req *http.Request) {
				req.Header.Set("Accept", "text/plain")
				req.Header.Set("Content-Type", f.media)
			}},
		{"a body in another format", 415, "NotSupportedException", takesBody, func(_ *described, _ format, req *http.Request) { body(req, "text/xml", "<user/>") }},
		{"a body of no format", 415, "NotSupportedException", takesBody, func(_ *described, _ format, req *http.Request) { body(req, "", "<user/>") }},
		{"a body that is too large", 413, "PayloadTooLargeException", takesBody, func(o *described, f format, req *http.Request) {
			most := 1 << 20
			if path := strings.Join(o.segments, "/"); o.method == http.MethodPost && (strings.HasSuffix(path, "v1/users") || strings.HasSuffix(path, "chatrooms/bulk")) {
				most = 8 << 20 // lists (docs/rest.md)
			}
			body(req, o.media(f), strings.Repeat(" ", most+1))
		}},
		{"a body that is not well-formed", 400, "IllegalArgumentException", func(o *described) bool { return o.takes && o.id != "setUserVcard" },
			func(_ *described, f format, req *http.Request) {
				body(req, f.media, map[format]string{inXML: "<user>", inJSON: `{"user"`}[f])
			}},
		{"a part of a list that is no number", 400, "IllegalArgumentException", func(o *described) bool {
			return o.method == http.MethodGet && o.failures[400] != nil && !strings.Contains(strings.Join(o.segments, "/"), "{")
		}, func(_ *described, _ format, req *http.Request) {
			req.URL.RawQuery = "limit=x&offset=y&connectionType=z"
		}},
		{"what is another state by now", 412, "PreconditionFailedException", c.conditional, func(o *described, f format, req *http.Request) {
			req.Header.Set("If-Match", `"0123456789ab"`)
			if o.takes {
				body(req, o.media(f), map[string]string{inXML.media: "<user/>", inJSON.media: "{}"}[o.media(f)])
			}
		}},
	} {
		for _, f := range []format{inXML, inJSON} {
			It("refuses "+r.what+", in "+f.name, func() { c.refuse(f, r) })
		}
	}

	for _, f := range []format{inXML, inJSON} {
		It("refuses secrets with a scope what is outside of it, in "+f.name, func() {
			for _, scope := range []string{"rooms", "groups"} {
				c.apply(fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: viewer-%[1]s, labels: {chat-operator.io/rest-secret: \"true\"}}\n"+
					"stringData: {rest-secret: a-viewer-of-%[1]s-only, rest-scope: \"read-only,%[1]s\"}\n", scope))
				Eventually(func() int {
					a, err := c.tryCall("a-viewer-of-"+scope+"-only", "GET", "/openapi.json", nil)
					Expect(err).NotTo(HaveOccurred())
					return a.Status
				}, limit).Should(Equal(200))
			}
			c.refuse(f, refusal{"", 403, "RequestNotAuthorised", func(o *described) bool { return protected(o) && o.id != "getOpenAPIAsJSON" },
				func(o *described, _ format, req *http.Request) {
					scope := "rooms"
					if path := strings.Join(o.segments, "/"); strings.Contains(path, "/chat") {
						scope = "groups"
					}
					req.Header.Set("Authorization", "a-viewer-of-"+scope+"-only")
				}})
			c.kubectl("delete", "secret", "viewer-rooms", "viewer-groups")
		})

		It("refuses everything while it is switched off, all but what asks how it is, in "+f.name, func() {
			c.reset()
			c.switchOn("false", 403)
			c.refuse(f, refusal{"", 403, "UserServiceDisabled", protected, func(*described, format, *http.Request) {}})
			c.run(f,
				row{"GET", "/system/liveness", none, 200, none},
				row{"GET", "/system/readiness/server", none, 200, none},
				row{"GET", "/no/such/path", none, 403, failure("UserServiceDisabled", "…", "…")},
				row{"GET", "/userservice?type=grouplist", none, 403, failure("UserServiceDisabled", "…", "…")},
				row{"POST", "/userservice?type=grouplist", none, 403, failure("UserServiceDisabled", "…", "…")},
			)
			for _, path := range []string{"/plugins/restapi/userservice", "/plugins/userService/userservice"} {
				_, got := c.exchange(f, c.request(f, row{method: "GET", path: path + "?type=grouplist"}))
				Expect(got).To(Equal("<error>UserServiceDisabled</error>\n"))
			}
			c.switchOn("true", 200)
		})

		It("lets those wait who failed too often, in "+f.name, func() {
			// From an address of its own: others must not have to wait.
			address := map[format]string{inXML: "127.0.0.21", inJSON: "127.0.0.22"}[f]
			elsewhere := &http.Client{Transport: &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext(ctx, network, addr)
			}}}
			here := c.client
			c.client = elsewhere
			DeferCleanup(func() { c.client = here })
			wrong := func() *http.Response {
				req := c.request(f, row{method: "GET", path: "/users"})
				req.Header.Set("Authorization", "not-the-secret")
				resp, _ := c.exchange(f, req)
				return resp
			}
			waits := func() { // uses up what time has given back
				Eventually(func() int { return wrong().StatusCode }, limit, "1ms").Should(Equal(429))
			}
			// Time may give back an attempt between any two requests.
			Eventually(func() string { return wrong().Header.Get("Retry-After") }, limit, "1ms").Should(MatchRegexp("^[1-9][0-9]*$"))
			c.refuseNowAndThen(f, refusal{"", 429, "TooManyRequestsException", protected, func(*described, format, *http.Request) { waits() }}, 10)
		})

		It("says which methods a path has, in "+f.name, func() {
			methods := map[string][]string{}
			for i := range c.operations {
				o := &c.operations[i]
				methods[o.path()] = append(methods[o.path()], o.method)
				if o.method == http.MethodGet {
					methods[o.path()] = append(methods[o.path()], http.MethodHead)
				}
			}
			// A room may have the name of the bulk.
			methods[restBase+"/chatrooms/bulk"] = append(methods[restBase+"/chatrooms/bulk"], "GET", "HEAD", "PUT", "DELETE")
			for _, path := range slices.Sorted(maps.Keys(methods)) {
				allowed := append(slices.Clone(methods[path]), http.MethodOptions)
				req := c.request(f, row{method: "PATCH", path: path})
				resp, got := c.exchange(f, req)
				Expect(resp.StatusCode).To(Equal(405), path)
				Expect(strings.Split(resp.Header.Get("Allow"), ", ")).To(ConsistOf(allowed), path)
				Expect(pattern(f.whole(failure("MethodNotAllowedException", "…", path))).MatchString(got)).To(BeTrue(), got)
				Expect(headerTrouble(resp)).To(BeEmpty(), path)

				// Anybody may ask (a browser does before it sends something to another site).
				req = c.request(f, row{method: "OPTIONS", path: path})
				req.Header.Del("Authorization")
				resp, got = c.exchange(f, req)
				Expect(resp.StatusCode).To(Equal(200), path)
				Expect(strings.Split(resp.Header.Get("Allow"), ", ")).To(ConsistOf(allowed), path)
				Expect(got).To(BeEmpty())
				Expect(headerTrouble(resp)).To(BeEmpty(), path)
			}
			c.run(f,
				row{"GET", "/no/such/path", none, 404, failure("NotFoundException", "…", restBase+"/no/such/path")},
				row{"GET", "/Users", none, 404, failure("NotFoundException", "…", restBase+"/Users")},
				row{"GET", "//users", none, 404, failure("NotFoundException", "…", "…")},
				row{"GET", "/plugins/restapi/V1/users", none, 404, failure("NotFoundException", "…", "/plugins/restapi/V1/users")},
			)
		})
	}
}

// whole is a body with what precedes it.
func (f format) whole(b both) string {
	text := f.of(b)
	if f == inXML && text != "" {
		return prolog + text
	}
	return text
}

// refuse sends a request to every operation that a refusal applies to.
func (c *contract) refuse(f format, r refusal) { GinkgoHelper(); c.refuseNowAndThen(f, r, 0) }

// refuseNowAndThen is refuse where each operation may answer something else so many times before.
func (c *contract) refuseNowAndThen(f format, r refusal, before int) {
	GinkgoHelper()
	var wrong []string
	asked := 0
	for i := range c.operations {
		o := &c.operations[i]
		if !r.applies(o) {
			continue
		}
		asked++
		trouble := ""
		for try := 0; try == 0 || trouble != "" && try <= before; try++ {
			req := c.request(f, row{method: o.method, path: o.path()})
			r.alter(o, f, req)
			trouble = c.check(f, req, r.status, f.whole(failure(r.exception, "…", "…")), f.media)
		}
		if trouble != "" {
			wrong = append(wrong, trouble)
		}
	}
	Expect(asked).NotTo(BeZero())
	if len(wrong) > 0 {
		Fail(strings.Join(wrong, "\n"))
	}
}

// switchOn sets whether the API is on, and waits until it answers like that.
func (c *contract) switchOn(value string, status int) {
	GinkgoHelper()
	c.apply("apiVersion: chat-operator.io/v1alpha1\nkind: SystemProperty\nmetadata: {name: plugin.restapi.enabled}\nspec: {value: \"" + value + "\"}\n")
	Eventually(func() int { return c.call("GET", "/users", nil).Status }, limit).Should(Equal(status))
}

// access is who may call, in the order in which programs know the checks.
func (c *contract) access() {
	c.inBoth("lets administrators in, and who knows the secret", func(f format) {
		c.run(f,
			row{"POST", "/users", newMira, 201, none},
			row{"POST", "/users", newTobias, 201, none},
		)
		c.kubectl("patch", "chatuser", "mira", "--type=merge", `--patch={"spec":{"admin":true}}`)
		as := func(authorization string, status int) {
			GinkgoHelper()
			req := c.request(f, row{method: "GET", path: "/users/tobias"})
			req.Header.Set("Authorization", authorization)
			want := f.whole(both{tobiasXML, tobiasJSON})
			if status == 401 {
				want = f.whole(failure("RequestNotAuthorised", "…", restBase+"/users/tobias"))
			}
			Expect(c.check(f, req, status, want, f.media)).To(BeEmpty(), authorization)
		}
		Eventually(func() int {
			a, err := c.tryCall(basic("Basic ", "mira", "s3cr3t!"), "GET", "/users", nil)
			Expect(err).NotTo(HaveOccurred())
			return a.Status
		}, limit).Should(Equal(200))
		for _, scheme := range []string{"Basic ", "basic ", ""} {
			as(basic(scheme, "mira", "s3cr3t!"), 200)
		}
		as(basic("Basic ", "mira", "wrong"), 401)
		as(basic("Basic ", "tobias", "t0p!"), 401)
		as(basic("Basic ", "mira@other.example", "s3cr3t!"), 401)
		as("Basic %%%", 401)
		as(c.secret, 200)
		as("Bearer "+c.secret, 401)
		c.run(f, row{"POST", "/lockouts/mira", none, 201, none})
		as(basic("Basic ", "mira", "s3cr3t!"), 401)

		// Others than those whose address is allowed are not let in by anything.
		c.run(f, row{"POST", "/system/properties", property("plugin.restapi.allowedIPs", "192.0.2.1, 127.0.0.0/8"), 201, none})
		as(c.secret, 200)
		c.run(f, row{"PUT", "/system/properties/plugin.restapi.allowedIPs", property("plugin.restapi.allowedIPs", "192.0.2.1"), 200, none})
		as(c.secret, 401)
		_, got := c.exchange(f, c.request(f, row{method: "GET", path: "/userservice?type=grouplist&secret=" + c.secret}))
		Expect(got).To(Equal("<error>RequestNotAuthorised</error>\n"))
		Expect(kube.DeleteAllOf(context.Background(), &v1alpha1.SystemProperty{}, client.InNamespace(c.namespace))).To(Succeed())
		Eventually(func() int { return c.call("GET", "/users", nil).Status }, limit).Should(Equal(200))
	})
}
