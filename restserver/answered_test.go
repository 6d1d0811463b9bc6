package restserver_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/restserver"
)

// TestAnswered: every request is told of by the pattern of its path, never by what is in it, also when it fails.
func TestAnswered(t *testing.T) {
	var told []string
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) {
		d.Answered = func(route, method string, status int, took time.Duration) {
			if took < 0 || took > time.Minute {
				t.Errorf("it took %v", took)
			}
			told = append(told, fmt.Sprintf("%s %s %d", method, strings.TrimPrefix(route, restserver.Base), status))
		}
	})
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, "/users"}, {http.MethodGet, "/users/nobody"}, {http.MethodGet, "/no/such/path"}, {http.MethodPatch, "/users/nobody"},
		{http.MethodOptions, "/users/nobody"}, {http.MethodHead, "/users"},
	} {
		w.send(c.method, c.path, "")
	}
	w.local.Refuse = func(string, string) error { panic("a mistake") }
	w.send(http.MethodPost, "/users", `{"username":"mira","password":"pw"}`)
	want := []string{
		"GET /users 200", "GET /users/{username} 404", "GET  404", "PATCH /users/{username} 405", "OPTIONS /users/{username} 200", "HEAD /users 200", "POST /users 500",
	}
	if !slices.Equal(told, want) {
		t.Errorf("got  %q\nwant %q", told, want)
	}
}
