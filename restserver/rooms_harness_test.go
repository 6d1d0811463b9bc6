package restserver_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

const atrium = "atrium@conference." + domain

// newRememberingWorld is a world whose rooms have archives, and whose time goes on by a step whenever somebody looks; change may be nil.
func newRememberingWorld(t *testing.T, step time.Duration, change func(muc.Store) muc.Store) *world {
	t.Helper()
	data, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "chat.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	memory := muc.Store(data)
	if change != nil {
		memory = change(memory)
	}
	var ticks atomic.Int64
	begin := time.Date(2031, 4, 5, 4, 7, 8, 123_000_000, time.UTC)
	now := func() time.Time { return begin.Add(time.Duration(ticks.Add(1)) * step) }
	var sb *core.Switchboard
	w := newWorld(t, func(_ *restserver.Config, d *restserver.Deps) {
		dir, local := d.Directory.(*directory.Directory), d.Proposer.(*directory.Local)
		sb = core.New(core.Config{Directory: dir, Now: now})
		rooms := muc.New(muc.Config{Switchboard: sb, Directory: dir, Proposer: local, Store: memory, Key: []byte("installation"), Now: now})
		sb.UseHosts(rooms)
		d.Rooms = rooms
	})
	w.sb = sb
	cancel := w.rooms.Watch()
	t.Cleanup(func() {
		cancel()
		w.rooms.AwaitStored()
		if err := data.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// strangers is a presence service in which nobody knows anybody.
type strangers struct{}

func (strangers) Broadcast(s *core.Session, _ *stanza.Stanza, next *core.Presence) {
	s.SetPresence(next)
}
func (strangers) Directed(*core.Session, *stanza.Stanza) *stanza.Error { return nil }
func (strangers) Outbound(*core.Session, *stanza.Stanza)               {}
func (strangers) Inbound(*stanza.Stanza)                               {}
func (strangers) Probe(*stanza.Stanza)                                 {}
func (strangers) Subscribed(string, jid.JID) bool                      { return false }
func (strangers) Gone(*core.Session)                                   {}

// client is one session, and what it has been sent.
type client struct {
	t *testing.T
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

// login makes an account unless there is one, and a session of it with that resource.
func (w *world) login(t *testing.T, name, resource string) *client {
	t.Helper()
	if _, there := w.directory.User(name); !there {
		w.create(name, "x")
	}
	w.install.Do(func() {
		if err := w.sb.Install(strangers{}); err != nil {
			t.Fatal(err)
		}
	})
	c := &client{t: t}
	s, bad := w.sb.Bind(c, name, resource)
	if bad != nil {
		t.Fatal(bad)
	}
	c.s = s
	c.send("<presence/>")
	return c
}

func (c *client) send(xml string) {
	c.t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		c.t.Fatal(err)
	}
	if failure := c.s.Receive(e); failure != nil {
		c.t.Fatal(failure)
	}
}

func (c *client) enter(room, nick string) {
	c.t.Helper()
	c.send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	c.sees("<subject")
}

func (c *client) say(room, body string) {
	c.t.Helper()
	c.send("<message to='" + room + "' type='groupchat'><body>" + body + "</body></message>")
	c.sees("<body>" + body + "</body>")
}

// sees takes what has come up to the first stanza with all the parts, waiting for it if need be: the store has goroutines of its own.
func (c *client) sees(parts ...string) (found string) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		i := slices.IndexFunc(c.got, func(s string) bool {
			return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(s, part) })
		})
		if i >= 0 {
			found = c.got[i]
			c.got = c.got[i+1:]
			c.mu.Unlock()
			return found
		}
		seen := strings.Join(c.got, "\n")
		c.mu.Unlock()
		if time.Now().After(end) {
			c.t.Fatalf("did not see %q, but\n%s", parts, seen)
		}
	}
}

// has says what has come by now without taking it: what a call has brought about is there when it has been answered.
func (c *client) has(part string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.got, func(s string) bool { return strings.Contains(s, part) })
}

func (c *client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = nil
}

// group makes a group of usernames.
func (w *world) group(name string, members ...string) {
	w.t.Helper()
	var list []jid.JID
	for _, m := range members {
		list = append(list, jid.MustParse(m+"@"+domain))
	}
	if err := w.local.CreateGroup(context.Background(), directory.Actor{}, name, directory.GroupUpdate{AddMembers: list}); err != nil {
		w.t.Fatal(err)
	}
}

// dated gives a room the times of the reference's example.
func (w *world) dated(identity string) {
	w.t.Helper()
	r, ok := w.directory.Room(identity)
	if !ok {
		w.t.Fatalf("there is no room %s", identity)
	}
	next := *r
	next.CreatedAt, next.ModifiedAt = time.UnixMilli(1933128428123), time.UnixMilli(1933225200500)
	w.directory.PutRoom(next)
}

// room gives a declared room.
func (w *world) room(identity string) *directory.Room {
	w.t.Helper()
	r, ok := w.directory.Room(identity)
	if !ok {
		w.t.Fatalf("there is no room %s", identity)
	}
	return r
}

// declared tells the affiliations of a room in short.
func (w *world) declared(identity string) string {
	w.t.Helper()
	var list []string
	for _, a := range w.room(identity).Affiliations {
		list = append(list, a.JID.String()+":"+string(a.Affiliation))
	}
	for _, a := range w.room(identity).GroupAffiliations {
		list = append(list, a.Group+":"+string(a.Affiliation))
	}
	return strings.Join(list, " ")
}

var datesOfRooms = regexp.MustCompile(`"(creation|modification)Date":\d+,|<(creation|modification)Date>[^<]*</(creation|modification)Date>`)

// names are those of rooms in an answer.
func names(body, field string) string {
	var list []string
	for _, m := range regexp.MustCompile(`"`+field+`":"([^"]*)"`).FindAllStringSubmatch(body, -1) {
		list = append(list, m[1])
	}
	return strings.Join(list, " ")
}
