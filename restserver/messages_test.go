package restserver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func TestBroadcast(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{golden(t, "message.xml"), golden(t, "message.json"), `{"body":"Back at nine","from":"x"}`} {
		w.want(201, "", "POST", "/messages/users", body, accept("text/plain"))
	}
	w.want(201, "", "POST", "/messages/users/", `<message><body>a &lt;b&gt; "c"</body></message>`)
	if want := []string{"*: Back at nine", "*: Back at nine", "*: Back at nine", `*: a <b> "c"`}; !slices.Equal(w.messages.sent, want) {
		t.Errorf("sent %q, want %q", w.messages.sent, want)
	}
	const sent = "send server message"
	w.wantAudit(sent, sent, sent, sent)
	if e := w.audit.entries[0]; e.Details != "sessions = 3" || strings.Contains(w.audit.text(), "Back") {
		t.Errorf("%+v", e)
	}
}

func TestBroadcastErrors(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{"{}", `{"body":null}`, `{"body":""}`, `{"body":false}`, "<message/>", "<message><body/></message>", "<message><body></body></message>"} {
		w.wantError(400, "IllegalArgumentException", "Message content/body is null or empty", "", "POST", "/messages/users", body)
	}
	// No body at all (§2).
	w.wantError(400, "IllegalArgumentException", "Message content/body is null or empty", "", "POST", "/messages/users", "")
	w.wantError(400, "IllegalArgumentException", "Message content/body is null or empty", "", "POST", "/messages/users", "", header("Content-Type", formatJSON))
	for _, body := range []string{"<user/>", "[1]", "<message>", `{"body":"\u0000"}`, `{"body":["a"]}`} {
		for _, f := range []string{formatXML, formatJSON} {
			if got := w.send("POST", "/messages/users", body, accept(f)); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
				t.Errorf("%s: %d %s", body, got.Code, got.Body)
			}
		}
	}
	w.messages.err = &directory.InvalidError{Field: "body", Message: "a message has at most 9 bytes"}
	w.wantError(400, "IllegalArgumentException", "body: a message has at most 9 bytes", "", "POST", "/messages/users", `{"body":"Back at nine"}`)
	w.wantAudit()
}

func TestMessageToUser(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	for _, path := range []string{"/messages/users/mira", "/messages/users/Mira@chat.example/"} {
		w.want(201, "", "POST", path, golden(t, "message.xml"))
		w.want(201, "", "POST", path, golden(t, "message.json"), accept(formatJSON))
	}
	if want := slices.Repeat([]string{"mira: Back at nine"}, 4); !slices.Equal(w.messages.sent, want) {
		t.Errorf("sent %q", w.messages.sent)
	}
	const sent = "send server message to mira"
	w.wantAudit(sent, sent, sent, sent)
	if strings.Contains(w.audit.text(), "Back") {
		t.Errorf("the text is in the audit log: %s", w.audit.text())
	}

	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "POST", "/messages/users/nobody7", `{"body":"x"}`)
	w.wantError(400, "IllegalArgumentException", "this can be no username: it is empty, too long, of another server, or has a character that usernames cannot have",
		"mira@other.example", "POST", "/messages/users/mira@other.example", `{"body":"x"}`)
	w.wantError(400, "IllegalArgumentException", "Message content/body is null or empty", "mira", "POST", "/messages/users/mira", `{}`)
	w.messages.err = fmt.Errorf("to mira: %w", xmpp.ErrNotTaken)
	w.wantError(503, "ServiceUnavailableException", "nobody is there to take the message, and it cannot be kept: try again later", "mira", "POST", "/messages/users/mira", `{"body":"x"}`)
	if got := w.send("POST", "/messages/users/mira", `{"body":"x"}`); got.Header().Get("Retry-After") != "60" {
		t.Errorf("Retry-After %q", got.Header().Get("Retry-After"))
	}
	w.messages.err = fmt.Errorf("gone: %w", directory.ErrNotFound)
	w.wantError(404, "UserNotFoundException", "Could not get user", "mira", "POST", "/messages/users/mira", `{"body":"x"}`)
	w.wantAudit(sent, sent, sent, sent)
}

func TestUnread(t *testing.T) {
	w := newWorld(t)
	w.messages.unread = map[string]int{"tobias": 4}
	w.want(200, golden(t, "archive.xml"), "GET", "/archive/messages/unread/tobias@chat.example", "")
	w.want(200, golden(t, "archive.json"), "GET", "/archive/messages/unread/tobias%40chat.example/", "", accept(formatJSON))
	for jid, count := range map[string]int{"Tobias@chat.example": 4, "tobias@chat.example%2Fphone": 4, "tobias": 4, "nobody7@chat.example": 0, "tobias@other.example": 0, "chat.example": 0} {
		shown := strings.ReplaceAll(jid, "%2F", "/") // as given in the path
		w.want(200, fmt.Sprintf(`{"jid":"%s","count":%d}`, shown, count), "GET", "/archive/messages/unread/"+jid, "", accept(formatJSON))
		w.want(200, fmt.Sprintf(`%s<archive><jid>%s</jid><count>%d</count></archive>`, prolog, shown, count), "GET", "/archive/messages/unread/"+jid, "")
	}
	for _, jid := range []string{"@chat.example", "a%20b@chat.example", "tobias@"} {
		for _, f := range []string{formatXML, formatJSON} {
			if got := w.send("GET", "/archive/messages/unread/"+jid, "", accept(f)); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
				t.Errorf("%s: %d %s", jid, got.Code, got.Body)
			}
		}
	}
	w.messages.err = errors.New("disk on fire")
	if got := w.send("GET", "/archive/messages/unread/tobias", ""); got.Code != 500 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// One process is no cluster.
func TestClustering(t *testing.T) {
	w := newWorld(t)
	w.want(200, golden(t, "clustering.xml"), "GET", "/clustering/status", "")
	w.want(200, golden(t, "clustering.json"), "GET", "/clustering/status/", "", accept(formatJSON))
	w.want(200, prolog+`<clusterNodes/>`, "GET", "/clustering/nodes", "")
	got := w.want(200, `{"clusterNodes":[]}`, "GET", "/clustering/nodes", "", accept(formatJSON))
	if total := got.Header().Get("X-Total-Count"); total != "0" {
		t.Errorf("X-Total-Count %q", total)
	}
	w.wantError(404, "ClusterNodeNotFoundException", "Could not find a cluster node with this NodeID.", "0f3a", "GET", "/clustering/nodes/0f3a", "")
}
