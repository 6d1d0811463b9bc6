package controllers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// TestElectionWithoutTheRight: who asks for an election without the right to Leases is told, instead of being led by nobody.
func TestElectionWithoutTheRight(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "leases are forbidden"}`))
	}))
	defer server.Close()
	c := &campaign{leadership: &Leadership{}, config: &rest.Config{Host: server.URL}, namespace: "chat", timing: DefaultLeaseTiming(), log: logr.Discard()}
	if err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "--leader-elect") || !strings.Contains(err.Error(), `"chat"`) {
		t.Errorf("got %v", err)
	}
}
