package core

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// TestFollow: the stanzas of a user whom the property names are logged while it does, both ways, and nothing of what they say.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(t, "mira", "tobias")
		log := &lines{}
		b.log = slog.New(slog.NewJSONHandler(log, nil))
		defer b.Watch()()
		property := func(value string) error {
			return b.dir.PutProperty(directory.SystemProperty{Ref: directory.Ref{Name: "trace", UID: "trace"}, Key: directory.KeyTraceUsers, Value: value})
		}
		mira, tobias := b.online("mira", "m", "0"), b.online("tobias", "t", "0")
		talk := func() {
			mira.send("<message to='tobias@chat.example' type='chat' id='m1' from='mira@chat.example'><body>private words</body>" +
				"<token xmlns='urn:example:token' key='private-key'>private-token</token></message>")
			tobias.send("<message to='mira@chat.example/m' id='m2'><body>private answer</body></message>")
			mira.send("<iq type='get' id='q1'><query xmlns='jabber:iq:nothing'/></iq>")
			mira.take()
			tobias.take()
		}
		talk()
		want(t, "nobody is followed", len(log.take(t)), 0)

		if err := property(" Mira , nobody"); err != nil {
			t.Fatal(err)
		}
		want(t, "followed", b.Followed(), 2)
		said := log.take(t)
		if len(said) != 1 || !strings.Contains(said[0], "are logged") {
			t.Errorf("the log says %q", said)
		}
		talk()
		var got []string
		for _, line := range log.take(t) {
			if strings.Contains(line, "private") || strings.Contains(line, `"user":"tobias"`) {
				t.Errorf("the log says %s", line)
			}
			var entry struct {
				Level, Direction, Stanza, Type, ID, From, To, Condition string
				Elements                                                []string
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			want(t, "level", entry.Level, "INFO")
			got = append(got, fmt.Sprintf("%s %s %s %s %s>%s %s%s", entry.Direction, entry.Stanza, entry.Type, entry.ID, entry.From, entry.To, strings.Join(entry.Elements, "|"), entry.Condition))
		}
		for i := range got { // the account gives messages an id (XEP-0359)
			got[i] = strings.Replace(got[i], "|stanza-id urn:xmpp:sid:0", "", 1)
		}
		want(t, "followed", strings.Join(got, "\n"), strings.Join([]string{
			"in message chat m1 mira@chat.example/m>tobias@chat.example body jabber:client|token urn:example:token",
			"out message normal m2 tobias@chat.example/t>mira@chat.example/m body jabber:client",
			"in iq get q1 mira@chat.example/m> query jabber:iq:nothing",
			"out iq error q1 mira@chat.example>mira@chat.example/m error jabber:clientservice-unavailable",
		}, "\n"))

		for range 2 * followedRate {
			mira.send("<presence/>")
		}
		if n := len(log.take(t)); n > followedRate {
			t.Errorf("%d lines within a second", n)
		}

		if err := property(""); err != nil {
			t.Fatal(err)
		}
		log.take(t)
		talk()
		want(t, "nobody is followed any more", len(log.take(t))+b.Followed(), 0)
	})
}

// lines is what was logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// take gives what was logged since the last call.
func (l *lines) take(t *testing.T) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	if l.b.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSpace(l.b.String()), "\n")
}
