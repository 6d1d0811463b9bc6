package muc_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/store/storetest"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

const (
	domain = "chat.example"
	lounge = "lounge@conference." + domain
	// A test that waits for longer than this waits in vain.
	patience = time.Minute
)

// faulty is the store, which can be made to wait or to fail.
type faulty struct {
	*store.Store
	mu    sync.Mutex
	fail  error
	gates map[int64]chan struct{} // by owner, 0 for the journal; writes wait until they are closed
	notes []string                // that were written
	// opened, unless nil, is called when a room has been read and its reader does not know yet.
	opened func()
}

func (f *faulty) WriteRoom(ctx context.Context, owner int64, writes []muc.Write) error {
	f.mu.Lock()
	gate, err := f.gates[owner], f.fail
	f.mu.Unlock()
	if gate != nil {
		<-gate
		f.mu.Lock()
		err = f.fail
		f.mu.Unlock()
	}
	if err != nil {
		return err
	}
	return f.Store.WriteRoom(ctx, owner, writes)
}

func (f *faulty) OpenRoom(ctx context.Context, identity, uid string) (muc.Remembered, error) {
	f.mu.Lock()
	err := f.fail
	f.mu.Unlock()
	if err != nil {
		return muc.Remembered{}, err
	}
	r, err := f.Store.OpenRoom(ctx, identity, uid)
	if f.opened != nil {
		f.opened()
	}
	return r, err
}

func (f *faulty) failing(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// hold has the writes of a room wait until release is called.
func (w *world) hold(identity string) (release func()) {
	w.t.Helper()
	d, ok := w.dir.Room(identity)
	if !ok {
		w.t.Fatalf("there is no room %s", identity)
	}
	r, err := w.store.Store.OpenRoom(w.t.Context(), identity, d.UID)
	if err != nil {
		w.t.Fatal(err)
	}
	gate := make(chan struct{})
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.gates[r.Owner] = gate
	return func() {
		w.store.mu.Lock()
		delete(w.store.gates, r.Owner)
		w.store.mu.Unlock()
		close(gate)
	}
}

// strangers is a presence service in which nobody knows anybody.
type strangers struct{ sb *core.Switchboard }

func (strangers) Broadcast(s *core.Session, _ *stanza.Stanza, next *core.Presence) {
	s.SetPresence(next)
}
func (strangers) Directed(*core.Session, *stanza.Stanza) *stanza.Error { return nil }
func (strangers) Outbound(*core.Session, *stanza.Stanza)               {}
func (strangers) Inbound(*stanza.Stanza)                               {}
func (strangers) Probe(*stanza.Stanza)                                 {}
func (strangers) Subscribed(string, jid.JID) bool                      { return false }
func (strangers) Gone(*core.Session)                                   {}

// world is a server with rooms, without sockets.
type world struct {
	t        *testing.T
	dir      *directory.Directory
	path     string
	store    *faulty
	sb       *core.Switchboard
	rooms    *muc.Service
	proposer *slow
	mail     *mailbox // nil: accounts have none, and nothing is noted down
	stop     func()

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: directory.New(domain), path: filepath.Join(t.TempDir(), "chat.db"), now: time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)}
	for _, name := range []string{"mira", "tobias", "jana", "anna"} {
		w.dir.PutUser(directory.User{Ref: directory.Ref{Name: name, UID: name, Created: time.Unix(1, 0)}, Username: name})
	}
	w.dir.PutUser(directory.User{Ref: directory.Ref{Name: "root", UID: "root", Created: time.Unix(1, 0)}, Username: "root", Admin: true})
	storetest.Empty(t, w.path)
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// clock gives a time that goes on by a second whenever somebody looks.
func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Second)
	return w.now
}

// start is the process, begun anew on the same database.
func (w *world) start() {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	data, err := store.Open(context.Background(), w.path, log)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = &faulty{Store: data, gates: map[int64]chan struct{}{}}
	w.sb = core.New(core.Config{Directory: w.dir, Log: log, Now: w.clock})
	w.proposer = &slow{Local: directory.NewLocal(w.dir)}
	w.rooms = muc.New(muc.Config{Switchboard: w.sb, Directory: w.dir, Proposer: w.proposer, Store: w.store, Key: []byte("installation"), Log: log, Now: w.clock})
	w.sb.UseHosts(w.rooms)
	if w.mail != nil {
		w.sb.UseMailboxes(w.mail)
		w.sb.UseJournal(w.store)
	}
	if err := w.sb.Install(strangers{w.sb}); err != nil {
		w.t.Fatal(err)
	}
	cancelWatch := w.rooms.Watch()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.rooms.Run(ctx) })
	running.Go(func() { w.sb.Run(ctx) })
	w.stop = func() {
		w.rooms.Shutdown()
		cancelWatch()
		cancel()
		running.Wait()
		if err := data.Close(); err != nil {
			w.t.Error(err)
		}
		w.stop = func() {}
	}
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// declare puts a room that is as most are; change may be nil.
func (w *world) declare(name, uid string, change func(*directory.Room)) {
	r := directory.Room{
		Ref: directory.Ref{Name: name, UID: uid, Created: time.Unix(1, 0)}, RoomName: name, Service: "conference", DisplayName: name,
		Archived: true, Listed: true, Persistent: true, CanChangeSubject: true, CanInvite: true, CanChangeNickname: true,
		WhoSeesJIDs: directory.JIDsModerators, PrivateMessages: directory.PrivateAnyone,
		PresenceBroadcast: []directory.RoomRole{directory.RoleModerator, directory.RoleParticipant, directory.RoleVisitor},
		Affiliations:      []directory.Affiliation{{JID: jid.MustParse("jana@" + domain), Affiliation: directory.AffiliationOwner}},
	}
	if change != nil {
		change(&r)
	}
	w.dir.PutRoom(r)
}

func (w *world) property(key, value string) {
	w.t.Helper()
	err := w.dir.PutProperty(directory.SystemProperty{Ref: directory.Ref{Name: key, UID: value, Created: time.Unix(1, 0)}, Key: key, Value: value})
	if err != nil {
		w.t.Fatal(err)
	}
}

// client is one session, and what it sees.
type client struct {
	w *world
	s *core.Session

	mu  sync.Mutex
	got []string
}

func (c *client) SendParts(head, to, tail []byte, _ int) bool {
	return c.Send(slices.Concat(head, to, tail))
}

func (c *client) Send(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, string(b))
	return true
}

func (c *client) Close(*stanza.StreamError) {}
func (c *client) Info() core.Info           { return core.Info{} }
func (c *client) Lang() []byte              { return nil }

func (w *world) login(name string) *client {
	w.t.Helper()
	c := &client{w: w}
	s, bad := w.sb.Bind(c, name, "")
	if bad != nil {
		w.t.Fatal(bad)
	}
	c.s = s
	return c
}

func (c *client) send(xml string) {
	c.w.t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		c.w.t.Fatal(err)
	}
	if failure := c.s.Receive(e); failure != nil {
		c.w.t.Fatal(failure)
	}
}

func (c *client) say(room, body string) {
	c.w.t.Helper()
	c.send("<message to='" + room + "' type='groupchat' id='" + body + "'><body>" + body + "</body></message>")
}

// enter enters a room and waits for its subject, which comes last. It gives what came.
func (c *client) enter(room, nick string) []string {
	c.w.t.Helper()
	c.send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	return c.until("<subject")
}

// until waits for something, and takes what came up to it.
func (c *client) until(part string) (came []string) {
	c.w.t.Helper()
	eventually(c.w.t, "to see "+part, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.IndexFunc(c.got, func(s string) bool { return strings.Contains(s, part) })
		if i < 0 {
			return false
		}
		came = c.got[: i+1 : i+1]
		c.got = c.got[i+1:]
		return true
	}, c)
	return came
}

// last is until for those who want nothing else.
func (c *client) last(part string) string {
	c.w.t.Helper()
	came := c.until(part)
	return came[len(came)-1]
}

// seen is what came and was not taken.
func (c *client) seen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.got, "\n")
}

// bodies are those of messages, in their order.
func bodies(list []string) (out []string) {
	for _, s := range list {
		if m := body.FindStringSubmatch(s); m != nil {
			out = append(out, m[1])
		}
	}
	return out
}

var body = regexp.MustCompile(`<body>(.*?)</body>`)

// ask sends a query and waits for its end: the results, and the reply.
func (c *client) ask(room, inner string) (results []string, reply string) {
	c.w.t.Helper()
	c.send("<iq type='set' id='mam' to='" + room + "'><query xmlns='urn:xmpp:mam:2'>" + inner + "</query></iq>")
	for _, s := range c.until(" id='mam'") {
		if strings.Contains(s, "<result xmlns='urn:xmpp:mam:2'") {
			results = append(results, s)
		}
		reply = s
	}
	return results, reply
}

// with makes a form with one field.
func form(name, value string) string {
	return "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='" + name + "'><value>" + value + "</value></field></x>"
}

func eventually(t *testing.T, what string, ok func() bool, who ...*client) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			for _, c := range who {
				t.Log(c.seen())
			}
			t.Fatalf("waited in vain %s", what)
		}
	}
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
