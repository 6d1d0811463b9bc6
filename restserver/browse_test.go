package restserver_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// The page loads nothing from elsewhere, and runs nothing but what was meant.
func TestBrowsablePage(t *testing.T) {
	w := newWorld(t)
	w.set(propertyEnabled, "false")
	w.set(propertyAllowed, "198.51.100.1")
	at := func(path string) request { return func(r *httpRequest) { r.URL.Path, r.URL.RawPath = path, "" } }
	for _, path := range []string{"/plugins/restapi/docs", "/plugins/restapi/docs/", "/plugins/restapi/docs/index.html"} {
		got := w.send("GET", "", "", authorization(""), at(path), accept("text/html,application/xml;q=0.9,*/*;q=0.8"))
		body := got.Body.String()
		if got.Code != 200 || got.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(body, "<!DOCTYPE html>") {
			t.Fatalf("%s: %d %v", path, got.Code, got.Header())
		}
		policy := got.Header().Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || !strings.HasPrefix(policy, "default-src 'none'; script-src 'sha256-") ||
			!strings.Contains(policy, "; style-src 'sha256-") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("policy %s", policy)
		}
		for _, no := range []string{" src=", "@import", "url(", " style=", "http://", "https://", "innerHTML", "localStorage"} {
			if strings.Contains(body, no) {
				t.Errorf("the page has %q", no)
			}
		}
		if regexp.MustCompile(`<[^>]+ on[a-z]+=`).MatchString(body) {
			t.Error("the page has inline handlers")
		}
		if head := w.send("HEAD", "", "", authorization(""), at(path)); head.Code != 200 || head.Body.Len() != 0 {
			t.Errorf("HEAD: %d", head.Code)
		}
		if got := w.send("POST", "", "", authorization(""), at(path)); got.Code != 405 || got.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("POST: %d", got.Code)
		}
	}
	var d description
	if err := json.Unmarshal(w.send("GET", "", "", authorization(""), at("/plugins/restapi/docs/openapi.json")).Body.Bytes(), &d); err != nil || len(d.Paths) == 0 {
		t.Errorf("the page's document: %v", err)
	}
	if got := w.send("GET", "", "", at("/plugins/restapi/docs/other")); got.Code != 403 {
		t.Errorf("another path: %d", got.Code)
	}
}
