package account

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "chat.example"

// memory is a RosterStore in memory that can be made to fail.
type memory struct {
	mu     sync.Mutex
	rows   map[string]map[jid.JID]Item
	broken bool
	onPut  func(username string, it Item) // sees a write before it returns

	offline map[string][]OfflineMessage // by id
	last    map[string]Last
	gate    chan struct{} // while it is there, PutOffline waits for it to close
}

var errBroken = errors.New("the disk is full")

func (m *memory) LoadRoster(_ context.Context, username string) ([]Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return nil, errBroken
	}
	var out []Item
	for _, it := range m.rows[username] {
		out = append(out, it)
	}
	slices.SortFunc(out, func(a, b Item) int { return a.JID.Compare(b.JID) })
	return out, nil
}

func (m *memory) PutItem(_ context.Context, username string, it Item) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errBroken
	}
	if m.rows[username] == nil {
		m.rows[username] = map[jid.JID]Item{}
	}
	m.rows[username][it.JID] = it
	if m.onPut != nil {
		m.onPut(username, it)
	}
	return nil
}

func (m *memory) DeleteItem(_ context.Context, username string, contact jid.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errBroken
	}
	delete(m.rows[username], contact)
	return nil
}

func (m *memory) Holders(_ context.Context, contact jid.JID) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for name, rows := range m.rows {
		if _, ok := rows[contact]; ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (m *memory) PutOffline(_ context.Context, list []OfflineMessage, room func(string) int) ([]bool, error) {
	m.mu.Lock()
	gate := m.gate
	m.mu.Unlock()
	if gate != nil {
		<-gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return nil, errBroken
	}
	kept := make([]bool, len(list))
	for i, one := range list {
		box := m.offline[one.Username]
		at, there := slices.BinarySearchFunc(box, one.ID, func(o OfflineMessage, id int64) int { return cmp.Compare(o.ID, id) })
		if kept[i] = there || len(box) < room(one.Username); kept[i] && !there {
			m.offline[one.Username] = slices.Insert(box, at, one)
		}
	}
	return kept, nil
}

func (m *memory) LoadOffline(_ context.Context, username string, most, mostBytes int) (out []OfflineMessage, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return nil, errBroken
	}
	for _, one := range m.offline[username] {
		if len(out) == most || mostBytes <= 0 {
			break
		}
		mostBytes -= len(one.Stanza)
		out = append(out, one)
	}
	return out, nil
}

func (m *memory) CountOffline(_ context.Context, username string, since time.Time) (n int, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return 0, errBroken
	}
	for _, one := range m.offline[username] {
		if !one.Received.Before(since) {
			n++
		}
	}
	return n, nil
}

func (m *memory) DeleteOffline(_ context.Context, username string, ids []int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errBroken
	}
	m.offline[username] = slices.DeleteFunc(m.offline[username], func(o OfflineMessage) bool { return slices.Contains(ids, o.ID) })
	return nil
}

func (m *memory) PruneOffline(_ context.Context, before time.Time) (n int64, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, list := range m.offline {
		m.offline[name] = slices.DeleteFunc(list, func(o OfflineMessage) bool {
			old := o.Received.Before(before)
			if old {
				n++
			}
			return old
		})
	}
	return n, nil
}

func (m *memory) PutLast(_ context.Context, list []Last) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range list {
		m.last[one.Username] = one
	}
	return nil
}

func (m *memory) GetLast(_ context.Context, username string) (Last, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.last[username]
	return l, ok, nil
}

// kept is how many messages wait for a user.
func (m *memory) kept(username string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.offline[username])
}

func (m *memory) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *memory) row(username, contact string) (Item, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	it, ok := m.rows[username][jid.MustParse(contact)]
	return it, ok
}

// gatekeeper is the proposer: the directory's own, with refusals on demand.
type gatekeeper struct {
	*directory.Local
	mu     sync.Mutex
	refuse error
	asked  []string
}

func (g *gatekeeper) verdict(what string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, what)
	return g.refuse
}

func (g *gatekeeper) PutContact(ctx context.Context, by directory.Actor, username string, c directory.Contact, create bool) error {
	if err := g.verdict("put " + username + " " + c.JID.String() + " " + c.Subscription.String()); err != nil {
		return err
	}
	return g.Local.PutContact(ctx, by, username, c, create)
}

func (g *gatekeeper) DeleteContact(ctx context.Context, by directory.Actor, username string, contact jid.JID) error {
	if err := g.verdict("delete " + username + " " + contact.String()); err != nil {
		return err
	}
	return g.Local.DeleteContact(ctx, by, username, contact)
}

func (g *gatekeeper) say(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse = err
}

// patience is how long a test waits for what has to happen.
const patience = time.Minute

// world is a server without sockets.
type world struct {
	t       testing.TB
	dir     *directory.Directory
	store   *memory
	gate    *gatekeeper
	sb      *core.Switchboard
	rosters *Rosters
	offline *Offline
	last    *LastSeen
	end     func() // as the process ends
}

func newWorld(t testing.TB, users ...string) *world {
	t.Helper()
	w := &world{t: t, dir: directory.New(domain), store: &memory{
		rows: map[string]map[jid.JID]Item{}, offline: map[string][]OfflineMessage{}, last: map[string]Last{},
	}}
	for _, u := range users {
		w.declare(u)
	}
	w.gate = &gatekeeper{Local: directory.NewLocal(w.dir)}
	w.start()
	return w
}

// start makes a fresh server over the same directory and store, as a restart does.
func (w *world) start() {
	if w.end != nil {
		w.end()
	}
	w.sb = core.New(core.Config{Directory: w.dir})
	w.offline = NewOffline(OfflineConfig{Directory: w.dir, Store: w.store})
	w.offline.patience = time.Hour // a slow test is no client that does not acknowledge
	w.sb.UseMailboxes(w.offline)
	w.last = NewLastSeen(LastConfig{Switchboard: w.sb, Directory: w.dir, Store: w.store})
	w.rosters = New(Config{Switchboard: w.sb, Directory: w.dir, Store: w.store, Proposer: w.gate, Offline: w.offline, Last: w.last})
	if err := w.sb.Install(w.rosters, w.rosters.Feature(), w.sb.Disco(), core.Offline(), core.StanzaIDs(), w.last.Feature()); err != nil {
		w.t.Fatal(err)
	}
	unwatch := []func(){w.sb.Watch(), w.rosters.Watch()}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	sb, rosters, offline, last := w.sb, w.rosters, w.offline, w.last
	wg.Go(func() { sb.Run(ctx) })
	wg.Go(func() { rosters.Run(ctx) })
	wg.Go(func() { offline.Run(ctx) })
	wg.Go(func() { last.Run(ctx) })
	w.end = sync.OnceFunc(func() {
		for _, f := range unwatch {
			f()
		}
		sb.Drain()
		cancel()
		wg.Wait()
	})
	w.t.Cleanup(w.end)
}

// declare puts a user with declared contacts, written as "jid subscription".
func (w *world) declare(username string, contacts ...string) {
	u := directory.User{Ref: directory.Ref{Name: username, UID: "uid-" + username, Created: time.Unix(1, 0)}, Username: username}
	for _, c := range contacts {
		address, sub, _ := strings.Cut(c, " ")
		s, ok := directory.ParseSubscription(sub)
		if !ok {
			w.t.Fatalf("no subscription in %q", c)
		}
		u.Contacts = append(u.Contacts, directory.Contact{JID: jid.MustParse(address), Name: "Declared", Subscription: s, Groups: []string{"Staff"}})
	}
	slices.SortFunc(u.Contacts, func(a, b directory.Contact) int { return a.JID.Compare(b.JID) })
	w.dir.PutUser(u)
}

// remember puts a row into the store before anybody looks.
func (w *world) remember(username string, it Item) {
	if err := w.store.PutItem(context.Background(), username, it); err != nil {
		w.t.Fatal(err)
	}
}

// befriend makes two users see each other.
func (w *world) befriend(a, b string) {
	w.remember(a, Item{JID: jid.MustParse(b + "@" + domain), Subscription: SubscriptionBoth})
	w.remember(b, Item{JID: jid.MustParse(a + "@" + domain), Subscription: SubscriptionBoth})
}

// client is a session and what it sees.
type client struct {
	t    testing.TB
	s    *core.Session
	full string

	mu     sync.Mutex
	sent   []string
	closed bool
	dies   int                 // after so many more stanzas, unless 0
	taken  func(stanza string) // hears of each stanza, if it is not nil
	broken atomic.Bool         // what was queued is never written
}

// AwaitWritten is what connections can tell of what was queued.
func (c *client) AwaitWritten() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && !c.broken.Load()
}

func (c *client) Lang() []byte { return nil }

func (c *client) SendParts(head, to, tail []byte, _ int) bool {
	return c.Send(slices.Concat(head, to, tail))
}

func (c *client) Send(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.sent = append(c.sent, string(b))
	if c.taken != nil {
		c.taken(string(b))
	}
	if c.dies > 0 {
		c.dies--
		c.closed = c.dies == 0
	}
	return true
}

func (c *client) Close(*stanza.StreamError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

func (c *client) Info() core.Info { return core.Info{RemoteAddr: "192.0.2.44:5"} }

func (w *world) connect(full string) *client {
	w.t.Helper()
	j := jid.MustParse(full + "")
	c := &client{t: w.t, full: full}
	s, err := w.sb.Bind(c, j.Local(), j.Resource())
	if err != nil {
		w.t.Fatalf("%s: %v", full, err)
	}
	c.s = s
	return c
}

// at connects name/resource, asks for the roster and sends initial presence.
func (w *world) at(who string) *client {
	w.t.Helper()
	name, resource, _ := strings.Cut(who, "/")
	c := w.connect(name + "@" + domain + "/" + resource)
	c.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	c.send("<presence/>")
	c.take()
	return c
}

func (c *client) send(xml string) {
	c.t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		c.t.Fatalf("%s: %v", xml, err)
	}
	if e := c.s.Receive(e); e != nil {
		c.t.Fatalf("%s: %v", xml, e)
	}
}

func (c *client) raw() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.sent
	c.sent = nil
	return out
}

// take gives what came since the last call, each stanza in a line:
// "presence FROM TYPE", "push JID SUBSCRIPTION FLAGS", "result ID", "error CONDITION". Addresses go without the domain.
func (c *client) take() []string {
	c.t.Helper()
	out := []string{}
	for _, xml := range c.raw() {
		out = append(out, describe(c.t, c.full, xml))
	}
	return out
}

func short(j jid.JID) string {
	if j.Domain() != domain {
		return j.String()
	}
	s := j.Local()
	if j.IsFull() {
		s += "/" + j.Resource()
	}
	return s
}

func describe(t testing.TB, full, xml string) string {
	t.Helper()
	e, err := xmlstream.Parse([]byte(xml), xmlstream.DefaultLimits())
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	st, bad := stanza.Parse(e, nil)
	if bad != nil {
		t.Fatalf("%s: %v", xml, bad)
	}
	if st.Type == stanza.TypeError {
		return st.Kind.String() + " error " + string(stanza.ParseError(&st).Condition)
	}
	switch st.Kind {
	case stanza.Presence:
		return "presence " + short(st.From) + " " + cmp.Or(st.Type.String(), "available")
	case stanza.IQ:
		if st.Type == stanza.IQResult {
			return "result " + string(st.ID)
		}
		// RFC 6121 §2.1.6: a push has an id, goes to the full address, and comes from the account itself or nobody.
		if len(st.ID) == 0 || st.To.String() != full || !st.From.IsZero() && st.From != st.To.Bare() {
			t.Errorf("not a roster push: %s", xml)
		}
		q := st.FirstChild()
		if len(q.Attr("ver")) == 0 || q.FirstChild().NextSibling().Valid() {
			t.Errorf("a roster push without a version or with several items: %s", xml)
		}
		return "push " + itemLine(q.FirstChild())
	}
	return st.Kind.String() + " " + short(st.From)
}

func itemLine(e xmlstream.Element) string {
	j, err := jid.ParseBytes(e.Attr("jid"))
	if err != nil {
		return err.Error()
	}
	line := short(j) + " " + string(e.Attr("subscription"))
	if string(e.Attr("ask")) == "subscribe" {
		line += " ask"
	}
	if string(e.Attr("approved")) == "true" {
		line += " approved"
	}
	return line
}

// roster gives the items of a roster get, each in a line like those of pushes, and the version.
func (c *client) roster() (items []string, ver string) {
	c.t.Helper()
	c.send("<iq type='get' id='get'><query xmlns='jabber:iq:roster' ver=''/></iq>")
	limits := xmlstream.Limits{MaxBytes: 4 << 20, MaxDepth: 8, MaxAttributes: 8, MaxElements: 1 << 16, MaxNamespaces: 8}
	for _, xml := range c.raw() {
		e, err := xmlstream.Parse([]byte(xml), limits)
		if err != nil {
			c.t.Fatal(err)
		}
		if string(e.Attr("id")) != "get" {
			continue
		}
		q := e.Child(stanza.NSRoster, "query")
		items = []string{}
		for it := range q.Children() {
			items = append(items, itemLine(it))
		}
		return items, string(q.Attr("ver"))
	}
	c.t.Fatal("no answer to a roster get")
	return nil, ""
}

// sees fails unless these lines came, in this order.
func (c *client) sees(expected ...string) {
	c.t.Helper()
	if expected == nil {
		expected = []string{}
	}
	if got := c.take(); !slices.Equal(got, expected) {
		c.t.Errorf("%s saw\n  %s\nwant\n  %s", c.full, strings.Join(got, "\n  "), strings.Join(expected, "\n  "))
	}
}

// seesInAnyOrder fails unless these lines came.
func (c *client) seesInAnyOrder(expected ...string) {
	c.t.Helper()
	got := c.take()
	slices.Sort(got)
	slices.Sort(expected)
	if !slices.Equal(got, expected) {
		c.t.Errorf("%s saw\n  %s\nwant\n  %s", c.full, strings.Join(got, "\n  "), strings.Join(expected, "\n  "))
	}
}

// awaits waits for lines that another goroutine causes, in this order and with nothing else.
func (c *client) awaits(expected ...string) {
	c.t.Helper()
	got := []string{}
	for end := time.Now().Add(patience); len(got) < len(expected); time.Sleep(time.Millisecond) {
		if got = append(got, c.take()...); time.Now().After(end) {
			break
		}
	}
	if !slices.Equal(got, expected) {
		c.t.Errorf("%s saw\n  %s\nwant\n  %s", c.full, strings.Join(got, "\n  "), strings.Join(expected, "\n  "))
	}
}

func (c *client) hasRoster(expected ...string) {
	c.t.Helper()
	if expected == nil {
		expected = []string{}
	}
	if got, _ := c.roster(); !slices.Equal(got, expected) {
		c.t.Errorf("%s has the roster %q, want %q", c.full, got, expected)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// idle fails when the service goes on holding users who are gone, or pairs.
func (w *world) idle() {
	w.t.Helper()
	eventually(w.t, "no pair in memory", func() bool {
		w.rosters.pairs.mu.Lock()
		defer w.rosters.pairs.mu.Unlock()
		return len(w.rosters.pairs.locks) == 0
	})
	eventually(w.t, "no user in memory", func() bool { return len(w.rosters.there()) == 0 })
}
