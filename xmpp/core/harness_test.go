package core

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "chat.example"

// wire is a Conn that remembers what a client would see.
type wire struct {
	mu     sync.Mutex
	sent   []string
	full   bool // takes nothing more
	closed bool
	lang   []byte // of its stream
	cause  *stanza.StreamError
}

func (w *wire) SendParts(head, to, tail []byte, _ int) bool {
	return w.Send(slices.Concat(head, to, tail))
}

func (w *wire) Send(b []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.full {
		return false
	}
	w.sent = append(w.sent, string(b))
	return true
}

func (w *wire) Close(e *stanza.StreamError) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed, w.cause = true, e
	}
}

func (w *wire) Lang() []byte { return w.lang }

func (w *wire) Info() Info { return Info{RemoteAddr: "192.0.2.44:1234", Secure: true} }

// take gives what came since the last call.
func (w *wire) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.sent
	w.sent = nil
	return out
}

// over gives the condition of the stream error that closed the connection, "" while it is open.
func (w *wire) over() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.closed:
		return ""
	case w.cause == nil:
		return "closed"
	}
	return w.cause.Condition
}

// noRosters is a presence service in which nobody is subscribed to anybody, except as friends says.
type noRosters struct {
	mu      sync.Mutex
	friends map[string]jid.JID
	gone    []string
	routed  []string // subscriptions and probes that came in
	sb      *Switchboard
}

func (n *noRosters) Broadcast(s *Session, _ *stanza.Stanza, next *Presence) { s.SetPresence(next) }
func (n *noRosters) Directed(*Session, *stanza.Stanza) *stanza.Error        { return nil }
func (n *noRosters) Outbound(_ *Session, p *stanza.Stanza)                  { n.sb.Route(p) }
func (n *noRosters) Inbound(p *stanza.Stanza)                               { n.note(p) }
func (n *noRosters) Probe(p *stanza.Stanza)                                 { n.note(p) }
func (n *noRosters) note(p *stanza.Stanza) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routed = append(n.routed, p.Type.String()+" "+p.From.String()+" "+p.To.String())
}

func (n *noRosters) Subscribed(username string, who jid.JID) bool {
	return n.friends[username] == who.Bare()
}

func (n *noRosters) Gone(s *Session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone = append(n.gone, s.JID().String())
}

// board is a switchboard with its directory.
type board struct {
	*Switchboard
	t       testing.TB
	dir     *directory.Directory
	rosters *noRosters
}

func newBoard(t testing.TB, users ...string) *board {
	t.Helper()
	b := &board{t: t, dir: directory.New(domain), rosters: &noRosters{friends: map[string]jid.JID{}}}
	for _, u := range users {
		b.declare(u, "uid-"+u, false)
	}
	b.Switchboard = New(Config{Directory: b.dir, MaxSessions: 5, Now: func() time.Time { return time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC) }})
	b.rosters.sb = b.Switchboard
	features := []Feature{b.Disco(), Caps(), Ping(), Version("1.2.3"), EntityTime(b.now), Uptime(b.now)}
	if err := b.Install(b.rosters, features...); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *board) declare(username, uid string, locked bool) {
	b.dir.PutUser(directory.User{
		Ref: directory.Ref{Name: username, UID: uid, Created: time.Unix(1, 0)}, Username: username, Locked: locked,
	})
}

// peer is a client: a session and what it sees.
type peer struct {
	*wire
	t testing.TB
	s *Session
}

func (b *board) connect(username, resource string) *peer {
	b.t.Helper()
	w := &wire{}
	s, err := b.Bind(w, username, resource)
	if err != nil {
		b.t.Fatalf("binding %s/%s: %v", username, resource, err)
	}
	return &peer{wire: w, t: b.t, s: s}
}

// online is a client that sent initial presence of a priority.
func (b *board) online(username, resource, priority string) *peer {
	b.t.Helper()
	p := b.connect(username, resource)
	p.send("<presence><priority>" + priority + "</priority></presence>")
	p.take()
	return p
}

// send has the client send one stanza; a stream error is a failure of the test.
func (p *peer) send(xml string) {
	p.t.Helper()
	if e := p.receive(xml); e != nil {
		p.t.Fatalf("%s ended the stream: %v", xml, e)
	}
}

func (p *peer) receive(xml string) *stanza.StreamError {
	p.t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		p.t.Fatalf("%s: %v", xml, err)
	}
	return p.s.Receive(e)
}

// errorOf is the condition of a stanza error, "" for anything else.
func errorOf(t testing.TB, xml string) string {
	t.Helper()
	st := parsed(t, xml)
	if st.Type != stanza.TypeError {
		return ""
	}
	e := stanza.ParseError(&st)
	if e == nil {
		t.Fatalf("an error without a condition: %s", xml)
	}
	return string(e.Condition)
}

func parsed(t testing.TB, xml string) stanza.Stanza {
	t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	st, bad := stanza.Parse(e, nil)
	if bad != nil {
		t.Fatalf("%s: %v", xml, bad)
	}
	return st
}

func want(t testing.TB, what string, got, expected any) {
	t.Helper()
	switch g := got.(type) {
	case []string:
		if e, ok := expected.([]string); ok && slices.Equal(g, e) {
			return
		}
	default:
		if got == expected {
			return
		}
	}
	t.Errorf("%s: got %q, want %q", what, got, expected)
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// unstamped is what is in a message but for the id that the account gave it, if it did (XEP-0359 §3): one at most, as the last child.
func unstamped(t testing.TB, m *stanza.Stanza) string {
	t.Helper()
	payload := string(m.AppendPayload(nil))
	rest := stamp.ReplaceAllString(payload, "")
	if len(rest) < len(payload) && (len(stamp.FindAllString(payload, -1)) != 1 || !strings.HasSuffix(payload, "by='"+m.To.Bare().String()+"'/>")) {
		t.Errorf("not one stanza id of the account at the end: %s", payload)
	}
	return rest
}

var stamp = regexp.MustCompile(`<stanza-id xmlns='urn:xmpp:sid:0' id='[0-9a-v]{13}' by='[^'/]*@chat\.example'/>`)

func parsedElement(t testing.TB, xml string) xmlstream.Element {
	t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// discard is a Conn that takes everything.
type discard struct{}

func (discard) Send([]byte) bool                     { return true }
func (discard) SendParts(_, _, _ []byte, _ int) bool { return true }
func (discard) Close(*stanza.StreamError)            {}
func (discard) Lang() []byte                         { return nil }
func (discard) Info() Info                           { return Info{} }
