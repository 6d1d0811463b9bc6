package restserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/restserver"
	"github.com/chat-operator/chat-operator/xmpp"
	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/store"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

const (
	domain     = "chat.example"
	mainSecret = "correct-horse-battery"
	prolog     = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`
	formatXML  = "application/xml"
	formatJSON = "application/json"
)

func TestMain(m *testing.M) {
	// The reference's examples come from a server two hours east of UTC.
	time.Local = time.FixedZone("", 2*60*60)
	os.Exit(m.Run())
}

// world is a server with everything around it in memory.
type world struct {
	t         testing.TB
	directory *directory.Directory
	local     *directory.Local
	rosters   *rosters
	sb        *core.Switchboard
	rooms     *muc.Service
	install   sync.Once // of presences into sb
	vcards    *vcards
	sessions  *sessions
	messages  *messages
	audit     *audit
	health    *health
	log       *strings.Builder
	handler   http.Handler
}

func newWorld(t testing.TB, change ...func(*restserver.Config, *restserver.Deps)) *world {
	t.Helper()
	d := directory.New(domain)
	d.MarkSynced()
	w := &world{t: t, directory: d, local: directory.NewLocal(d), sessions: &sessions{}, messages: &messages{}, audit: &audit{}, health: &health{}, log: &strings.Builder{}}
	w.local.Iterations = 1 // hundreds of accounts are made here
	w.rosters = &rosters{directory: d, local: w.local, made: map[string][]account.Item{}}
	d.UsePasswords(w.local.Password)
	w.sb = core.New(core.Config{Directory: d})
	w.rooms = muc.New(muc.Config{Switchboard: w.sb, Directory: d, Proposer: w.local, Key: []byte("installation")})
	w.sb.UseHosts(w.rooms)
	t.Cleanup(w.rooms.Watch())
	w.vcards = &vcards{directory: d, cards: map[string][]byte{}}
	cfg := restserver.Config{Domain: domain, Node: "chat-0", Secret: func() string { return mainSecret }}
	deps := restserver.Deps{Directory: d, Proposer: w.local, Rosters: w.rosters, VCards: w.vcards, Rooms: w.rooms, Sessions: w.sessions, Messages: w.messages, Audit: w.audit, Health: w.health, Listeners: w.health,
		Log: slog.New(slog.NewTextHandler(&synced{w: w.log}, nil))}
	for _, f := range change {
		f(&cfg, &deps)
	}
	if rooms, ok := deps.Rooms.(*muc.Service); ok {
		w.rooms = rooms
	}
	w.handler = restserver.New(cfg, deps)
	return w
}

type synced struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *synced) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

// rosters joins declared contacts with those that a client made, as the account service does.
type rosters struct {
	directory *directory.Directory
	local     *directory.Local
	made      map[string][]account.Item
	headings  []string
}

func (r *rosters) Headings(context.Context, string) ([]string, error) { return r.headings, nil }

func (r *rosters) Roster(_ context.Context, username string) ([]account.Item, error) {
	var items []account.Item
	if u, ok := r.directory.User(username); ok {
		for _, c := range u.Contacts {
			items = append(items, account.Item{JID: c.JID, Name: c.Name, Subscription: c.Subscription, Groups: c.Groups, Declared: true})
		}
	}
	for _, i := range r.made[username] {
		if !slices.ContainsFunc(items, func(have account.Item) bool { return have.JID == i.JID }) {
			items = append(items, i)
		}
	}
	return items, nil
}

func (r *rosters) Set(ctx context.Context, by directory.Actor, username string, c directory.Contact) error {
	for i := range r.made[username] {
		if have := &r.made[username][i]; have.JID == c.JID {
			have.Name, have.Subscription, have.Groups = c.Name, c.Subscription, c.Groups
			return nil
		}
	}
	return r.local.PutContact(ctx, by, username, c, false)
}

func (r *rosters) Remove(ctx context.Context, by directory.Actor, username string, contact jid.JID) error {
	for _, i := range r.made[username] {
		if i.JID == contact && i.Shared != nil {
			return fmt.Errorf("removing: %w", &account.SharedError{Contact: contact, Group: i.Shared[0]})
		}
	}
	before := len(r.made[username])
	r.made[username] = slices.DeleteFunc(r.made[username], func(i account.Item) bool { return i.JID == contact })
	if before > len(r.made[username]) {
		return nil
	}
	return r.local.DeleteContact(ctx, by, username, contact)
}

// vcards keeps whatever it gets, as the account service does.
type vcards struct {
	directory *directory.Directory
	cards     map[string][]byte
	err       error
}

func (v *vcards) VCard(_ context.Context, username string) ([]byte, error) {
	if _, ok := v.directory.User(username); !ok || v.err != nil {
		return nil, v.err
	}
	return v.cards[username], nil
}

func (v *vcards) SetVCard(_ context.Context, username string, card []byte) error {
	if _, ok := v.directory.User(username); !ok && v.err == nil {
		return fmt.Errorf("the user %q was %w", username, directory.ErrNotFound)
	}
	v.cards[username] = card
	return v.err
}

type sessions struct {
	mu   sync.Mutex
	list []xmpp.SessionInfo
}

func (s *sessions) Sessions(username string) []xmpp.SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []xmpp.SessionInfo
	for _, one := range s.list {
		if username == "" || one.JID.Local() == username {
			found = append(found, one)
		}
	}
	return found
}

func (s *sessions) Kick(username string) int {
	n := len(s.Sessions(username))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(one xmpp.SessionInfo) bool { return one.JID.Local() == username })
	return n
}

// messages notes down what is sent, "*" for everybody.
type messages struct {
	sent   []string
	unread map[string]int
	err    error
}

func (m *messages) Broadcast(body string) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	m.sent = append(m.sent, "*: "+body)
	return 3, nil
}

func (m *messages) SendMessage(_ context.Context, username, body string) error {
	if m.err != nil {
		return m.err
	}
	m.sent = append(m.sent, username+": "+body)
	return nil
}

func (m *messages) Unread(_ context.Context, username string) (int, error) {
	return m.unread[username], m.err
}

type audit struct {
	mu      sync.Mutex
	entries []store.AuditEntry
	err     error // of reading
}

func (a *audit) AppendAudit(_ context.Context, entries ...store.AuditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, entries...)
	return nil
}

// picked are the entries that a filter picks, newest first.
func (a *audit) picked(f store.AuditFilter) []store.AuditEntry {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []store.AuditEntry
	for i, e := range slices.Backward(a.entries) {
		e.ID = int64(i + 1)
		if (f.Username == "" || f.Username == e.Username) && !e.Time.Before(f.From) && (f.To.IsZero() || !e.Time.After(f.To)) {
			list = append(list, e)
		}
	}
	return list
}

func (a *audit) ListAudit(_ context.Context, f store.AuditFilter) ([]store.AuditEntry, error) {
	list := a.picked(f)
	list = list[min(f.Offset, len(list)):]
	if f.Limit > 0 {
		list = list[:min(f.Limit, len(list))]
	}
	return list, a.err
}

func (a *audit) CountAudit(_ context.Context, f store.AuditFilter) (int, error) {
	return len(a.picked(f)), a.err
}

func (a *audit) summaries() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []string
	for _, e := range a.entries {
		list = append(list, e.Summary)
	}
	return list
}

func (a *audit) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprintf("%+v", a.entries)
}

type health struct{ live, ready, plain, encrypted error }

func (h *health) Live(context.Context) error  { return h.live }
func (h *health) Ready(context.Context) error { return h.ready }
func (h *health) Accepting(mode stream.Mode) error {
	if mode == stream.DirectTLS {
		return h.encrypted
	}
	return h.plain
}

// request changes a request before it is sent.
type request func(*http.Request)

func header(name, value string) request {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

func accept(value string) request { return header("Accept", value) }

func authorization(value string) request { return header("Authorization", value) }

func from(address string) request {
	return func(r *http.Request) { r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 40000).String() }
}

// send makes a request with a JSON or an XML body, which its first character tells apart, and the
// installation's secret unless a change says otherwise.
func (w *world) send(method, path, body string, changes ...request) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, restserver.Base+path, strings.NewReader(body))
	r.Header.Set("Authorization", mainSecret)
	if body != "" {
		kind := formatJSON
		if strings.HasPrefix(strings.TrimSpace(body), "<") {
			kind = formatXML
		}
		r.Header.Set("Content-Type", kind)
	}
	for _, change := range changes {
		change(r)
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder
}

// want makes a request and compares status and body; an empty body has no Content-Type.
func (w *world) want(status int, body string, method, path, sent string, changes ...request) *httptest.ResponseRecorder {
	w.t.Helper()
	got := w.send(method, path, sent, changes...)
	if got.Code != status || got.Body.String() != body {
		w.t.Errorf("%s %s %s\n got %d %s\nwant %d %s", method, path, sent, got.Code, got.Body, status, body)
	}
	if body == "" && got.Header().Get("Content-Type") != "" {
		w.t.Errorf("%s %s: no body, but Content-Type %q", method, path, got.Header().Get("Content-Type"))
	}
	return got
}

// wantError makes a request and compares the error entity, in both formats.
func (w *world) wantError(status int, exception, message, resource string, method, path, sent string, changes ...request) {
	w.t.Helper()
	w.want(status, errorXML(exception, message, resource), method, path, sent, append(changes, accept(formatXML))...)
	w.want(status, errorJSON(exception, message, resource), method, path, sent, append(changes, accept(formatJSON))...)
}

func errorXML(exception, message, resource string) string {
	return prolog + "<error><exception>" + exception + "</exception><message>" + message + "</message><resource>" + resource + "</resource></error>"
}

func errorJSON(exception, message, resource string) string {
	return `{"resource":"` + resource + `","message":"` + message + `","exception":"` + exception + `"}`
}

// entityLike says whether a body is an error entity with that exception, whatever its message.
func entityLike(body, exception string) bool {
	return strings.HasPrefix(body, prolog+"<error><exception>"+exception+"</exception><message>") && strings.HasSuffix(body, "</resource></error>") ||
		strings.HasPrefix(body, `{"resource":"`) && strings.HasSuffix(body, `","exception":"`+exception+`"}`)
}

// create makes a user with a password.
func (w *world) create(username, password string) {
	w.t.Helper()
	if err := w.local.CreateUser(context.Background(), directory.Actor{}, directory.NewUser{Username: username, Password: password}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) update(username string, u directory.UserUpdate) {
	w.t.Helper()
	if err := w.local.UpdateUser(context.Background(), directory.Actor{}, username, u); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) set(key, value string) {
	w.t.Helper()
	if err := w.local.PutProperty(context.Background(), directory.Actor{}, key, value, false); err != nil {
		w.t.Fatal(err)
	}
}

// refuse makes the next changes fail.
func (w *world) refuse(err error) {
	w.local.Refuse = func(string, string) error { return err }
}

func (w *world) wantAudit(want ...string) {
	w.t.Helper()
	if got := w.audit.summaries(); !slices.Equal(got, want) {
		w.t.Errorf("audit log\n got %q\nwant %q", got, want)
	}
}

// Every error of the proposer has its answer, and a cause never shows.
func TestProposerErrors(t *testing.T) {
	for _, c := range []struct {
		err        error
		status     int
		exception  string
		message    string
		retryAfter string
	}{
		{&directory.ManagedError{Field: "spec.email", Manager: "argocd"}, 409, "ManagedByOther", `spec.email is declared by "argocd": change it there`, ""},
		{&directory.ManagedError{Field: "spec.email", Policy: true}, 409, "ManagedByOther", `spec.email may not be changed from here: the resource's inBandPolicy is Deny`, ""},
		{&directory.InvalidError{Field: "username", Message: "too odd"}, 400, "IllegalArgumentException", "username: too odd", ""},
		{&directory.InvalidError{Field: "spec.displayName", Message: "Too long: may not be more than 255 bytes"}, 400, "IllegalArgumentException",
			"name: Too long: may not be more than 255 bytes", ""},
		{&directory.LimitError{Field: "properties", Limit: 128}, 400, "IllegalArgumentException", "properties takes at most 128 entries", ""},
		{directory.ErrExists, 409, "UserAlreadyExistsException", "Could not create new user", ""},
		{directory.ErrConflict, 409, "ConflictException", "others are changing the same thing: try again", ""},
		{directory.ErrTooManyRequests, 429, "TooManyRequestsException", "too many changes: try again later", "1"},
		{directory.ErrNotYetActive, 504, "NotYetActiveException", "created, not yet active: it will be in force shortly", ""},
		{&directory.UnavailableError{RetryAfter: 2500 * time.Millisecond, Err: errors.New("dial tcp 10.9.8.7:6443")}, 503, "ServiceUnavailableException",
			"declarations cannot be changed at the moment: try again later", "3"},
		{&directory.UnavailableError{}, 503, "ServiceUnavailableException", "declarations cannot be changed at the moment: try again later", "1"},
		{context.DeadlineExceeded, 503, "ServiceUnavailableException", "this took too long: try again later", "1"},
		{errors.New("disk of 10.9.8.7 on fire"), 500, "InternalServerErrorException", "the server failed: its log says why", ""},
	} {
		w := newWorld(t)
		w.refuse(fmt.Errorf("creating mira: %w", c.err))
		got := w.send("POST", "/users", `{"username":"mira","password":"pw"}`, accept(formatJSON))
		message := strings.ReplaceAll(c.message, `"`, `\"`)
		if got.Code != c.status || got.Body.String() != errorJSON(c.exception, message, "mira") {
			t.Errorf("%v: got %d %s", c.err, got.Code, got.Body)
		}
		if after := got.Header().Get("Retry-After"); after != c.retryAfter {
			t.Errorf("%v: Retry-After %q, want %q", c.err, after, c.retryAfter)
		}
		if strings.Contains(got.Body.String(), "10.9.8.7") {
			t.Errorf("%v: the answer tells the cause: %s", c.err, got.Body)
		}
		// What the caller isn't told, whoever runs the server is.
		if logged := strings.Contains(w.log.String(), c.err.Error()); logged != (c.status >= 500) {
			t.Errorf("%v: in the log: %v", c.err, logged)
		}
	}
}

// A handler that panics is an answer, and the log says what happened.
func TestPanicIsAnAnswer(t *testing.T) {
	w := newWorld(t)
	w.local.Refuse = func(string, string) error { panic("a mistake") }
	w.wantError(500, "InternalServerErrorException", "the server failed: its log says why", restserver.Base+"/users",
		"POST", "/users", `{"username":"mira","password":"pw"}`)
	if !strings.Contains(w.log.String(), "a mistake") {
		t.Errorf("the log says nothing: %s", w.log)
	}
}
