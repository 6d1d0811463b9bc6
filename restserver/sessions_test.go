package restserver_test

import (
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

func phone() xmpp.SessionInfo {
	return xmpp.SessionInfo{JID: jid.MustParse("tobias@chat.example/phone"), Username: "tobias", Resource: "phone", Available: true, Show: "away", Status: "lunch", Priority: 5, RemoteAddr: "192.0.2.44:40000",
		Created: time.UnixMilli(1933128428123), LastActivity: time.UnixMilli(1933129800250), Secure: true}
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	w.want(200, prolog+`<sessions/>`, "GET", "/sessions", "")
	w.want(200, prolog+`<sessions><clusterSessions>0</clusterSessions><localSessions>0</localSessions></sessions>`, "GET", "/system/statistics/sessions", "")
	w.sessions.list = []xmpp.SessionInfo{phone()}
	for _, path := range []string{"/sessions", "/sessions/tobias", "/sessions/Tobias/", "/sessions/tobias@chat.example"} {
		w.want(200, golden(t, "sessions.xml"), "GET", path, "")
		w.want(200, golden(t, "sessions.json"), "GET", path, "", accept(formatJSON))
	}
	for _, path := range []string{"/sessions/mira", "/sessions/a%20b", "/sessions/tobias@other.example"} {
		w.want(200, `{"sessions":[]}`, "GET", path, "", accept(formatJSON))
		w.want(200, "", "DELETE", path, "")
	}
	w.wantAudit()
	w.want(200, "", "DELETE", "/sessions/Tobias", "[]")
	w.want(200, "", "DELETE", "/sessions/tobias", "")
	w.want(200, `{"sessions":[]}`, "GET", "/sessions", "", accept(formatJSON))
	w.wantAudit("closed session for address tobias@chat.example")
}

// Counted are sessions with available presence.
func TestSessionsCount(t *testing.T) {
	w := newWorld(t)
	for i, r := range []string{"a", "b", "c", "d"} {
		w.sessions.list = append(w.sessions.list, xmpp.SessionInfo{JID: jid.MustParse("mira@chat.example/" + r), Available: i > 0})
	}
	w.want(200, prolog+`<sessions><clusterSessions>3</clusterSessions><localSessions>3</localSessions></sessions>`, "GET", "/system/statistics/sessions", "")
	w.want(200, `{"localSessions":3,"clusterSessions":3}`, "GET", "/system/statistics/sessions", "", accept(formatJSON))
}

func TestSessionWords(t *testing.T) {
	at := time.UnixMilli(1933128428123)
	for show, want := range map[string]string{"": "Online", "away": "Away", "chat": "Available to Chat", "dnd": "Do Not Disturb", "xa": "Extended Away", "odd": "Unknown/Not Recognized"} {
		w := newWorld(t)
		w.sessions.list = []xmpp.SessionInfo{{JID: jid.MustParse("x7@chat.example/r"), Username: "x7", Resource: "r", Anonymous: true, Show: show, Created: at, LastActivity: at}}
		w.want(200, `{"sessions":[{"sessionId":"x7@chat.example/r","username":"Anonymous","resource":"r","node":"Local","sessionStatus":"Authenticated","presenceStatus":"`+want+
			`","priority":0,"creationDate":1933128428123,"lastActionDate":1933128428123,"secure":false}]}`, "GET", "/sessions", "", accept(formatJSON))
	}
}
