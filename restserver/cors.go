package restserver

import (
	"net/http"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// allowOrigin lets browsers show an answer to pages of other origins. By default the headers are constant, whatever the Origin is: that
// is what browser clients of the original rely on. Where origins are listed, only theirs get them, and more than the original had.
func (c *call) allowOrigin(h http.Header) {
	const methods = "GET, POST, PUT, DELETE, OPTIONS, HEAD"
	origins := c.server.Directory.Strings(directory.KeyRESTOrigins)
	if slices.Contains(origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Headers", "origin, content-type, accept, authorization")
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Methods", methods)
		return
	}
	if len(origins) == 0 {
		return
	}
	h.Add("Vary", "Origin")
	origin := c.request.Header.Get("Origin")
	if !slices.Contains(origins, origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Headers", "origin, content-type, accept, authorization, if-match, if-none-match")
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Expose-Headers", "ETag, Retry-After, X-Total-Count")
}
