package restserver_test

import (
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func TestLockouts(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	w.create("tobias", "x")
	w.want(200, `{"username":"mira","locked":false}`, "GET", "/lockouts/mira", "", accept(formatJSON))
	w.want(200, prolog+`<lockouts/>`, "GET", "/lockouts", "")
	// No entity is taken, so none is looked at: real clients send all of these.
	w.want(201, "", "POST", "/lockouts/Mira", "", header("Content-Type", formatXML))
	w.want(201, "", "POST", "/lockouts/mira", `[]`)
	w.want(201, "", "POST", "/lockouts/mira", `"mira"`, header("Content-Type", "text/plain"))
	if w.canLogIn("mira", "x") {
		t.Error("a locked account can log in")
	}
	w.want(200, prolog+`<lockout><username>mira</username><locked>true</locked></lockout>`, "GET", "/lockouts/mira", "")
	w.want(200, `{"lockouts":[{"username":"mira","locked":true}]}`, "GET", "/lockouts", "", accept(formatJSON))
	w.want(200, "", "DELETE", "/lockouts/mira", `{`)
	w.want(200, "", "DELETE", "/lockouts/mira", "")
	if !w.canLogIn("mira", "x") {
		t.Error("an unlocked account cannot log in")
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", method, "/lockouts/nobody7", "")
	}
	const locked, unlocked = "locked out user mira", "unlocked user mira"
	w.wantAudit(locked, locked, locked, unlocked, unlocked)
	w.refuse(&directory.ManagedError{Field: "spec.locked", Manager: "argocd"})
	if got := w.send("POST", "/lockouts/mira", ""); got.Code != 409 || !entityLike(got.Body.String(), "ManagedByOther") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}
