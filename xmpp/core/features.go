package core

import (
	"context"
	"strconv"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Ping answers XMPP pings (XEP-0199) as the server and for an account's own sessions.
func Ping() Feature {
	return Feature{
		Name:        "ping",
		ServerVars:  []string{stanza.NSPing},
		AccountVars: []string{stanza.NSPing},
		Handlers: []Handler{{
			Target: ToServer | ToAccount, Type: stanza.IQGet, Space: stanza.NSPing, Local: "ping",
			Handle: func(_ context.Context, q *IQ) { q.Result(nil) },
		}},
	}
}

// LegacySession answers the session request of RFC 3921 §3, which means nothing any more but which older clients insist on.
func LegacySession() Feature {
	return Feature{
		Name: "session",
		Handlers: []Handler{{
			Target: ToServer | ToAccount, Type: stanza.IQSet, Space: stanza.NSSession, Local: "session",
			Handle: func(_ context.Context, q *IQ) { q.Result(nil) },
		}},
	}
}

// Version tells what software the server is (XEP-0092). Nothing is said of the operating system.
func Version(version string) Feature {
	return Feature{
		Name:       "software version",
		ServerVars: []string{stanza.NSVersion},
		Handlers: []Handler{{
			Target: ToServer, Type: stanza.IQGet, Space: stanza.NSVersion, Local: "query",
			Handle: func(_ context.Context, q *IQ) {
				b := xmlstream.NewBuilder(nil).Open(stanza.NSVersion, "query")
				b.Open(stanza.NSVersion, "name").Text(serverName).Close()
				b.Open(stanza.NSVersion, "version").Text(version).Close()
				q.Result(b.Close().Bytes())
			},
		}},
	}
}

// EntityTime tells the server's time (XEP-0202).
func EntityTime(now func() time.Time) Feature {
	return Feature{
		Name:       "entity time",
		ServerVars: []string{stanza.NSTime},
		Handlers: []Handler{{
			Target: ToServer, Type: stanza.IQGet, Space: stanza.NSTime, Local: "time",
			Handle: func(_ context.Context, q *IQ) {
				t := now()
				b := xmlstream.NewBuilder(nil).Open(stanza.NSTime, "time")
				b.Open(stanza.NSTime, "tzo").Text(t.Format("-07:00")).Close()
				b.Open(stanza.NSTime, "utc").Text(t.UTC().Format("2006-01-02T15:04:05.000Z")).Close()
				q.Result(b.Close().Bytes())
			},
		}},
	}
}

// Uptime tells for how many seconds the server has been running (XEP-0012 §5).
func Uptime(now func() time.Time) Feature {
	start := now()
	return Feature{
		Name:       "last activity",
		ServerVars: []string{stanza.NSLast},
		Handlers: []Handler{{
			Target: ToServer, Type: stanza.IQGet, Space: stanza.NSLast, Local: "query",
			Handle: func(_ context.Context, q *IQ) {
				seconds := max(0, int64(now().Sub(start)/time.Second))
				q.Result(xmlstream.NewBuilder(nil).Open(stanza.NSLast, "query").Attr("seconds", strconv.FormatInt(seconds, 10)).Close().Bytes())
			},
		}},
	}
}
