package restserver_test

import (
	"errors"
	"testing"
)

func TestHealth(t *testing.T) {
	paths := []string{"/system/liveness", "/system/liveness/deadlock", "/system/liveness/properties", "/system/readiness", "/system/readiness/server",
		"/system/readiness/cluster", "/system/readiness/plugins", "/system/readiness/connections"}
	w := newWorld(t)
	// They answer without authentication, from everywhere, and when the API is off.
	w.set("plugin.restapi.enabled", "false")
	w.set("plugin.restapi.allowedIPs", "203.0.113.9")
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			for _, p := range []string{path, path + "/"} {
				w.want(200, "", method, p, "", authorization(""), accept("text/plain"))
			}
		}
		// Nothing beside them does.
		for _, p := range []string{path + "/x", path + "//", path + "/..", path + "%2F", path + ";a=b", path + "/%2e%2e/%2e%2e/users"} {
			if got := w.send("GET", p, "", authorization("")); got.Code != 403 {
				t.Errorf("%s: %d", p, got.Code)
			}
		}
	}
	w.health.live, w.health.ready = errors.New("stuck"), errors.New("waiting for declarations")
	for path, want := range map[string]string{"/system/liveness": "stuck", "/system/liveness/deadlock": "stuck", "/system/readiness": "waiting for declarations", "/system/readiness/server": "waiting for declarations"} {
		w.wantError(503, "ServiceUnavailableException", want, "/plugins/restapi/v1"+path, "GET", path, "", authorization(""))
	}
}

func TestReadinessConnections(t *testing.T) {
	const path = "/system/readiness/connections"
	w := newWorld(t)
	w.health.encrypted = errors.New("port 5223 doesn't answer")
	for query, want := range map[string]int{
		"":                           503,
		"?encrypted=false":           503, // ignored without a type
		"?connectionType=SOCKET_C2S": 503,
		"?connectionType=SOCKET_C2S&encrypted=false": 200,
		"?connectionType=SOCKET_C2S&encrypted=true":  503,
		"?connectionType=SOCKET_C2S&encrypted=TRUE":  503,
		"?connectionType=SOCKET_C2S&encrypted=maybe": 200, // text where a boolean is due counts as false
		"?connectionType=SOCKET_S2S":                 200,
		"?connectionType=BOSH_C2S":                   200,
		"?connectionType=WEBADMIN":                   200,
		"?connectionType=COMPONENT":                  200,
		"?connectionType=CONNECTION_MANAGER":         200,
		"?connectionType=socket_c2s":                 400,
		"?connectionType=X":                          400,
	} {
		if got := w.send("GET", path+query, "", authorization("")); got.Code != want {
			t.Errorf("%s: %d, want %d", query, got.Code, want)
		}
	}
	w.health.encrypted, w.health.plain = nil, errors.New("port 5222 doesn't answer")
	w.wantError(503, "ServiceUnavailableException", "port 5222 doesn't answer", "/plugins/restapi/v1"+path, "GET", path, "")
	w.want(200, "", "GET", path+"?connectionType=SOCKET_C2S&encrypted=true", "")
}
