package restserver

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
)

// browserPage shows the API to people: one file that loads nothing but the document.
//
//go:embed browse.html
var browserPage []byte

// inlined finds the page's own script and style.
var inlined = regexp.MustCompile(`(?s)<script>(.*?)</script>|<style>(.*?)</style>`)

// browserPolicy allows the page its own script and style, by their hashes, and requests to this server.
func browserPolicy() string {
	var script, style string
	for _, m := range inlined.FindAllSubmatch(browserPage, -1) {
		sum := sha256.Sum256(slices.Concat(m[1], m[2])) // one of the two is empty
		hash := " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if m[1] != nil {
			script += hash
		} else {
			style += hash
		}
	}
	return "default-src 'none'; script-src" + script + "; style-src" + style +
		"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// browse is GET /plugins/restapi/docs/.
func browse(*call) (answer, error) {
	return answer{status: http.StatusOK, raw: browserPage, media: "text/html; charset=utf-8", policy: browserPolicy()}, nil
}
