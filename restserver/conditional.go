package restserver

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"net/http"
	"strings"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

// entityTag tells one state of a thing from another. It is the same for all representations; each has its own ETag, which is
// this and what representation it is (RFC 9110 §8.8.1).
type entityTag string

// tagOf makes the tag of what a GET answers.
func tagOf(a answer) entityTag {
	content := a.raw
	if a.entity != nil {
		content = entity.Marshal(entity.XML, a.entity)
	}
	sum := sha256.Sum256(content)
	return entityTag(hex.EncodeToString(sum[:12]))
}

// of is the ETag of a representation.
func (t entityTag) of(f entity.Format, compressed bool) string {
	kind := "-xml"
	if f == entity.JSON {
		kind = "-json"
	}
	if compressed {
		kind += "-gzip"
	}
	return `"` + string(t) + kind + `"`
}

// among says whether the list of a conditional header has the state, in whatever representation its sender saw it.
func (t entityTag) among(headers []string) bool {
	for one := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		one = strings.Trim(strings.TrimPrefix(strings.TrimSpace(one), "W/"), `"`)
		state, _, _ := strings.Cut(one, "-")
		if one == "*" || state == string(t) {
			return true
		}
	}
	return false
}

// tag is that of an answer to a GET, where there is also a PUT or a DELETE that can depend on it; else empty.
func (c *call) tag(a answer) entityTag {
	reads := c.request.Method == http.MethodGet || c.request.Method == http.MethodHead
	if !reads || a.status != http.StatusOK || a.entity == nil && a.raw == nil || c.route == nil || !c.route.conditional() {
		return ""
	}
	return tagOf(a)
}

// conditional says whether changes of the path can depend on how it is.
func (r *route) conditional() bool {
	return r.operation(http.MethodGet) != nil && (r.operation(http.MethodPut) != nil || r.operation(http.MethodDelete) != nil)
}

// precondition judges If-Match (RFC 9110 §13.1.1) of a PUT or a DELETE. When it holds, other changes that depend on the same thing
// wait until this one is done, so that only the first of them finds what it expects.
func (c *call) precondition() (unlock func(), err error) {
	headers := c.request.Header.Values("If-Match")
	method := c.request.Method
	if len(headers) == 0 || method != http.MethodPut && method != http.MethodDelete {
		return func() {}, nil
	}
	failed := problem(http.StatusPreconditionFailed, "PreconditionFailedException", "this is not as If-Match says: get it again", c.request.URL.Path)
	if !c.route.conditional() {
		return nil, failed // nobody can have got an ETag of it
	}
	if unlock, err = c.server.conditional.lock(c); err != nil {
		return nil, err
	}
	look := *c
	look.body = nil
	look.request = c.request.WithContext(c.ctx)
	look.request.Method = http.MethodGet
	a, err := c.route.operation(http.MethodGet).handle(&look)
	if err != nil || a.status != http.StatusOK || !tagOf(a).among(headers) {
		unlock()
		return nil, failed
	}
	return unlock, nil
}

// locks are as many as there are processors to keep busy, and more; two things may share one.
type locks struct {
	seed maphash.Seed
	free []chan struct{}
}

func newLocks() locks {
	l := locks{seed: maphash.MakeSeed(), free: make([]chan struct{}, 64)}
	for i := range l.free {
		l.free[i] = make(chan struct{}, 1)
	}
	return l
}

// lock waits until nobody else changes what the call is about: the declared resource that it names, whichever way that is spelt.
func (l locks) lock(c *call) (unlock func(), err error) {
	key := strings.TrimPrefix(c.route.path, standAloneBase)
	for _, resource := range []string{resourceUsers, resourceGroups, resourceRooms, resourceProperties} {
		if name := named(resource, c.params); name != "" {
			key = resource + "/" + c.server.identity(Right{Resource: resource, Name: name}, c.query)
			break
		}
	}
	return l.take(c, key)
}

// take waits until nobody else has what the key stands for.
func (l locks) take(c *call, key string) (release func(), err error) {
	mine := l.free[maphash.String(l.seed, key)%uint64(len(l.free))]
	select {
	case mine <- struct{}{}:
		return func() { <-mine }, nil
	case <-c.ctx.Done():
		return nil, explain(c.ctx.Err(), refusal{resource: c.request.URL.Path})
	}
}
