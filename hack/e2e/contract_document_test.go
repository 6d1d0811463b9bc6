package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// described is an operation as the OpenAPI document describes it.
type described struct {
	method, id string
	segments   []string // of the absolute path
	words      []string // what a parameter called affiliations can be
	takes      bool     // has a body
	public     bool     // needs no authentication
	successes  []int
	answers    []string         // media types of a success
	failures   map[int][]string // exceptions by status
}

// answer names one answer of an operation in a format.
func (o *described) answer(f format, status int, exception string) string {
	return strings.TrimSpace(fmt.Sprintf("%s: %d %s", o.id, status, exception)) + " in " + f.name
}

// describedOperations reads the document that the running program gives.
func (c *contract) describedOperations() []described {
	GinkgoHelper()
	a := c.call("GET", "/openapi.json", nil)
	Expect(a).To(status(http.StatusOK))
	type content map[string]json.RawMessage
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string
			Parameters  []struct {
				Name   string
				Schema struct{ Enum []string }
			}
			RequestBody *struct{}
			Security    *[]struct{}
			Responses   map[string]struct {
				Description string
				Content     content
			}
		}
	}
	Expect(json.Unmarshal([]byte(a.Body), &document)).To(Succeed())
	var list []described
	for path, methods := range document.Paths {
		for method, o := range methods {
			d := described{
				method: strings.ToUpper(method), id: o.OperationID, segments: strings.Split("/plugins"+path, "/"),
				takes: o.RequestBody != nil, public: o.Security != nil, failures: map[int][]string{},
			}
			for _, p := range o.Parameters {
				if p.Name == "affiliations" {
					d.words = p.Schema.Enum
				}
			}
			for code, r := range o.Responses {
				var status int
				_, err := fmt.Sscan(code, &status)
				Expect(err).NotTo(HaveOccurred())
				if status < http.StatusBadRequest {
					d.successes = append(d.successes, status)
					for media := range r.Content {
						d.answers = append(d.answers, media)
					}
					continue
				}
				d.failures[status] = strings.Split(r.Description, ", ")
			}
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b described) int { return strings.Compare(a.id, b.id) })
	Expect(list).NotTo(BeEmpty())
	return list
}

// operation is the one that a request is for. Where several paths fit, the one with more fixed words is meant.
func (c *contract) operation(req *http.Request) *described {
	segments := strings.Split(strings.TrimSuffix(req.URL.EscapedPath(), "/"), "/")
	method := req.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var best *described
	fixed := -1
	for i := range c.operations {
		o := &c.operations[i]
		if n := o.fits(segments); o.method == method && n > fixed {
			best, fixed = o, n
		}
	}
	return best
}

// fits counts the fixed words of a path that fits; -1: it doesn't.
func (o *described) fits(segments []string) int {
	if len(segments) != len(o.segments) {
		return -1
	}
	fixed := 0
	for i, want := range o.segments {
		switch {
		case want == "{affiliations}":
			if !slices.Contains(o.words, segments[i]) {
				return -1
			}
		case strings.HasPrefix(want, "{"):
		case want == segments[i]:
			fixed++
		default:
			return -1
		}
	}
	return fixed
}

// path is one that the operation has, with names of nothing that is there.
func (o *described) path() string {
	segments := slices.Clone(o.segments)
	for i, s := range segments {
		switch {
		case s == "{affiliations}":
			segments[i] = "members"
		case strings.HasPrefix(s, "{"):
			segments[i] = "unheard-of"
		}
	}
	return strings.Join(segments, "/")
}

// unprovoked are answers that the document rightly has, but that nothing from outside can lead to.
func unprovoked(o *described, answer string) string {
	_, answer, _ = strings.Cut(answer, ": ")
	answer, _, _ = strings.Cut(answer, " in ")
	switch {
	case answer == "503 ServiceUnavailableException" && strings.HasPrefix(o.id, "liveness"):
		return "a program that is stuck would have to be made so"
	case o.id == "getClusterNode" && answer == "200":
		return "no process is in a cluster"
	}
	return ""
}

// complete compares what rows have shown with what the document promises, both ways.
func (c *contract) complete() {
	It("has shown each answer of each operation that the program's document has, in both formats, and no other", func() {
		var missing, more []string
		promised := map[string]bool{}
		for i := range c.operations {
			o := &c.operations[i]
			for _, f := range []format{inXML, inJSON} {
				var answers []string
				for _, status := range o.successes {
					// What is of one format alone has one answer, however it was asked for.
					if len(o.answers) == 0 || slices.Contains(o.answers, f.media) || f == inXML && !slices.Contains(o.answers, inJSON.media) {
						answers = append(answers, o.answer(f, status, ""))
					}
					promised[o.answer(f, status, "")] = true
				}
				for status, exceptions := range o.failures {
					for _, e := range exceptions {
						answers = append(answers, o.answer(f, status, e))
					}
				}
				for _, a := range answers {
					promised[a] = true
					// It takes others who change the same thing again and again during one call, which nobody can time from outside.
					if strings.Contains(a, "409 ConflictException") {
						continue
					}
					_, shown := c.shown.Load(a)
					if why := unprovoked(o, a); why == "" != shown {
						missing = append(missing, a+why)
					}
				}
			}
		}
		c.shown.Range(func(a, _ any) bool {
			if !promised[a.(string)] {
				more = append(more, a.(string))
			}
			return true
		})
		slices.Sort(missing)
		slices.Sort(more)
		if len(missing)+len(more) > 0 {
			Fail("promised, and not shown:\n" + strings.Join(missing, "\n") + "\nshown, and not promised:\n" + strings.Join(more, "\n"))
		}
	})
}
