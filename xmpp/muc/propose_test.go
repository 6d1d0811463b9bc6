package muc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// wire is a connection that takes note of what is sent to it.
type wire struct {
	mu   sync.Mutex
	sent []string
}

func (w *wire) Send(b []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, string(b))
	return true
}

func (w *wire) SendParts(head, to, tail []byte, _ int) bool {
	return w.Send(append(append(append([]byte{}, head...), to...), tail...))
}
func (w *wire) Lang() []byte              { return nil }
func (w *wire) Close(*stanza.StreamError) {}
func (w *wire) Info() core.Info           { return core.Info{RemoteAddr: "192.0.2.7:4711"} }

// noPresence is for a test in which accounts have no presence of their own.
type noPresence struct{ core.Presences }

// world is a service over a directory of its own.
type world struct {
	t     *testing.T
	dir   *directory.Directory
	local *directory.Local
	sb    *core.Switchboard
	rooms *Service
	wires map[jid.JID]*wire
}

// asked is a proposer that takes note of who asks.
type asked struct {
	*directory.Local
	mu sync.Mutex
	by []directory.Actor
}

func (a *asked) UpdateRoom(ctx context.Context, by directory.Actor, identity string, u directory.RoomUpdate) error {
	a.mu.Lock()
	a.by = append(a.by, by)
	a.mu.Unlock()
	return a.Local.UpdateRoom(ctx, by, identity, u)
}

func newWorld(t *testing.T) (*world, *asked) {
	t.Helper()
	w := &world{t: t, dir: directory.New(domain), wires: map[jid.JID]*wire{}}
	w.local = directory.NewLocal(w.dir)
	w.dir.UsePasswords(w.local.Password)
	proposer := &asked{Local: w.local}
	w.sb = core.New(core.Config{Directory: w.dir})
	w.rooms = New(Config{Switchboard: w.sb, Directory: w.dir, Proposer: proposer, Key: []byte("key of the installation")})
	w.sb.UseHosts(w.rooms)
	if err := w.sb.Install(noPresence{}, w.sb.Disco()); err != nil {
		t.Fatal(err)
	}
	cancel := w.rooms.Watch()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.rooms.Run(ctx) })
	t.Cleanup(func() { cancel(); stop(); running.Wait() })
	return w, proposer
}

// user declares an account.
func (w *world) user(name string) {
	w.t.Helper()
	w.dir.PutUser(directory.User{Ref: directory.Ref{Name: name, UID: "uid-" + name, Generation: 1}, Username: name})
}

// session binds a resource.
func (w *world) session(full string) jid.JID {
	w.t.Helper()
	j := jid.MustParse(full)
	c := &wire{}
	if _, bad := w.sb.Bind(c, j.Local(), j.Resource()); bad != nil {
		w.t.Fatal(bad)
	}
	w.wires[j] = c
	return j
}

// send has the room service take a stanza from somebody.
func (w *world) send(from jid.JID, xml string) {
	w.t.Helper()
	xml = strings.Replace(xml, ">", fmt.Sprintf(" from='%s'>", from), 1)
	st, err := core.ReadBack([]byte(xml))
	if err != nil {
		w.t.Fatal(err)
	}
	w.rooms.Receive(nil, st)
}

// awaits waits for a stanza to somebody that has all of these parts, and takes it and all before it.
func (w *world) awaits(who jid.JID, parts ...string) string {
	w.t.Helper()
	c := w.wires[who]
	var last []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		c.mu.Lock()
		last = append([]string(nil), c.sent...)
	stanzas:
		for i, s := range c.sent {
			for _, p := range parts {
				if !strings.Contains(s, p) {
					continue stanzas
				}
			}
			c.sent = c.sent[i+1:]
			c.mu.Unlock()
			return s
		}
		c.mu.Unlock()
	}
	w.t.Fatalf("%s got nothing with %q, but\n%s", who, parts, strings.Join(last, "\n"))
	return ""
}

func (w *world) enter(who jid.JID, room, nick string) {
	w.t.Helper()
	w.send(who, fmt.Sprintf("<presence to='%s@conference.%s/%s'><x xmlns='http://jabber.org/protocol/muc'/></presence>", room, domain, nick))
	w.awaits(who, "<status code='110'/>")
}

func (w *world) configure(who jid.JID, room string, fields ...string) {
	w.t.Helper()
	b := fmt.Sprintf("<iq type='set' id='cfg' to='%s@conference.%s'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>", room, domain)
	b += "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		b += fmt.Sprintf("<field var='%s'><value>%s</value></field>", name, value)
	}
	w.send(who, b+"</x></query></iq>")
}

// XEP-0045 §10.1.3: a client creates a room that lasts. It is declared, with what differs from the defaults, and lives on as the same room.
func TestXEP0045Section10_1_3LastingRoom(t *testing.T) {
	w, _ := newWorld(t)
	w.user("crone1")
	crone := w.session("crone1@chat.example/desktop")
	w.enter(crone, "coven", "firstwitch")
	w.configure(crone, "coven", "muc#roomconfig_persistentroom=1", "muc#roomconfig_roomname=A Dark Cave", "muc#roomconfig_moderatedroom=1",
		"muc#roomconfig_passwordprotectedroom=1", "muc#roomconfig_roomsecret=cauldronburn")
	w.awaits(crone, "<iq", "id='cfg'", "type='result'")
	r, ok := w.dir.Room("coven@conference")
	if !ok {
		t.Fatal("the room is not declared")
	}
	if r.DisplayName != "A Dark Cave" || !r.Moderated || !r.Persistent {
		t.Errorf("the declaration is %+v", r)
	}
	if len(r.Affiliations) != 1 || r.Affiliations[0].JID.String() != "crone1@chat.example" || r.Affiliations[0].Affiliation != directory.AffiliationOwner {
		t.Errorf("affiliations are %v", r.Affiliations)
	}
	if password, ok := w.dir.RoomPassword(r); !ok || password != "cauldronburn" {
		t.Errorf("the password is %q", password)
	}
	// It stays when everybody has left, and the next one needs the password (§7.2.5).
	w.send(crone, "<presence type='unavailable' to='coven@conference.chat.example/firstwitch'></presence>")
	w.awaits(crone, "type='unavailable'")
	w.user("hag66")
	hag := w.session("hag66@chat.example/pda")
	w.send(hag, "<presence to='coven@conference.chat.example/thirdwitch'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	w.awaits(hag, "type='error'", "<not-authorized")
}

// What an owner or admin of a declared room changes comes back by its declaration (DESIGN "One apply path").
func TestDeclaredRoomIsChangedByItsOwner(t *testing.T) {
	w, proposer := newWorld(t)
	w.user("crone1")
	w.user("hag66")
	crone, hag := w.session("crone1@chat.example/desktop"), w.session("hag66@chat.example/pda")
	declared := directory.NewRoom("coven", "conference")
	declared.Ref = directory.Ref{Name: "coven", UID: "uid-coven", Generation: 1}
	declared.Affiliations = []directory.Affiliation{{JID: crone.Bare(), Affiliation: directory.AffiliationOwner}}
	w.dir.PutRoom(declared)
	w.enter(crone, "coven", "firstwitch")
	w.enter(hag, "coven", "thirdwitch")

	// XEP-0045 §9.1: a ban, which removes the occupant.
	w.send(crone, `<iq type='set' id='ban1' to='coven@conference.chat.example'><query xmlns='http://jabber.org/protocol/muc#admin'>`+
		`<item affiliation='outcast' jid='hag66@chat.example'><reason>Treason</reason></item></query></iq>`)
	w.awaits(hag, "type='unavailable'", "<status code='301'/>", "Treason")
	w.awaits(crone, "id='ban1'", "type='result'")
	r, _ := w.dir.Room("coven@conference")
	if len(r.Affiliations) != 2 || r.Affiliations[1].Affiliation != directory.AffiliationOutcast {
		t.Errorf("affiliations are %v", r.Affiliations)
	}
	if by := proposer.by[0]; by.Via != "XMPP" || by.Name != "crone1" || by.Address != "192.0.2.7:4711" {
		t.Errorf("it was asked for by %+v", by)
	}

	// What a GitOps tool declares is refused with who does.
	w.local.Refuse = func(method, subject string) error {
		return &directory.ManagedError{Field: "spec.moderated", Manager: "argocd-controller"}
	}
	w.configure(crone, "coven", "muc#roomconfig_moderatedroom=1")
	w.awaits(crone, "id='cfg'", "type='error'", "<not-allowed", "spec.moderated", "argocd-controller")

	// XEP-0045 §10.9: destroyed by its owner.
	w.local.Refuse = nil
	w.send(crone, `<iq type='set' id='gone' to='coven@conference.chat.example'><query xmlns='http://jabber.org/protocol/muc#owner'>`+
		`<destroy jid='coven@chat.shakespeare.lit'><reason>Macbeth doth come.</reason></destroy></query></iq>`)
	w.awaits(crone, "<presence", "<destroy", "Macbeth doth come.")
	w.awaits(crone, "id='gone'", "type='result'")
	if _, ok := w.dir.Room("coven@conference"); ok {
		t.Error("the room is still declared")
	}
}

// A room that is not persistent any more goes with its last occupant, and its declaration with it.
func TestRoomGoesWithItsLastOccupant(t *testing.T) {
	w, _ := newWorld(t)
	w.user("crone1")
	crone := w.session("crone1@chat.example/desktop")
	w.enter(crone, "coven", "firstwitch")
	w.configure(crone, "coven", "muc#roomconfig_persistentroom=1")
	w.awaits(crone, "id='cfg'", "type='result'")
	w.configure(crone, "coven", "muc#roomconfig_persistentroom=0")
	w.awaits(crone, "id='cfg'", "type='result'")
	if r, ok := w.dir.Room("coven@conference"); !ok || r.Persistent {
		t.Fatalf("the room is %+v", r)
	}
	w.send(crone, "<presence type='unavailable' to='coven@conference.chat.example/firstwitch'></presence>")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.dir.WaitGone(ctx, directory.KindRoom, "coven@conference", ""); err != nil {
		t.Fatal(err)
	}
}

// A membership that comes of a group is nothing that an admin of the room can take away.
func TestMemberByGroup(t *testing.T) {
	w, _ := newWorld(t)
	w.user("crone1")
	w.user("hag66")
	crone := w.session("crone1@chat.example/desktop")
	w.dir.PutGroup(directory.Group{Ref: directory.Ref{Name: "witches", UID: "g", Generation: 1}, GroupName: "witches", Members: []jid.JID{jid.MustParse("hag66@chat.example")}})
	declared := directory.NewRoom("coven", "conference")
	declared.Ref = directory.Ref{Name: "coven", UID: "uid-coven", Generation: 1}
	declared.Affiliations = []directory.Affiliation{{JID: crone.Bare(), Affiliation: directory.AffiliationOwner}}
	declared.GroupAffiliations = []directory.GroupAffiliation{{Group: "witches", Affiliation: directory.AffiliationMember}}
	w.dir.PutRoom(declared)
	w.enter(crone, "coven", "firstwitch")
	w.send(crone, `<iq type='set' id='m1' to='coven@conference.chat.example'><query xmlns='http://jabber.org/protocol/muc#admin'>`+
		`<item affiliation='none' jid='hag66@chat.example'/></query></iq>`)
	w.awaits(crone, "id='m1'", "<not-allowed", "group")
}

// Each error of a proposal is one that the client can act on (RFC 6120 §8.3.3).
func TestRefusals(t *testing.T) {
	w, _ := newWorld(t)
	e := &entry{addr: jid.MustParse("coven@conference.chat.example")}
	for _, tt := range []struct {
		err       error
		condition stanza.Condition
		typ       stanza.ErrorType
	}{
		{&directory.ManagedError{Field: "spec.listed", Policy: true}, stanza.ConditionNotAllowed, stanza.Cancel},
		{&directory.InvalidError{Field: "spec.maxOccupants", Message: "too large"}, stanza.ConditionNotAcceptable, stanza.Modify},
		{&directory.LimitError{Field: "spec.affiliations", Limit: 2000}, stanza.ConditionResourceConstraint, stanza.Cancel},
		{fmt.Errorf("room: %w", directory.ErrNotFound), stanza.ConditionItemNotFound, stanza.Cancel},
		{fmt.Errorf("room: %w", directory.ErrExists), stanza.ConditionConflict, stanza.Cancel},
		{&directory.UnavailableError{Err: errors.New("away")}, stanza.ConditionResourceConstraint, stanza.Wait},
		{directory.ErrTooManyRequests, stanza.ConditionResourceConstraint, stanza.Wait},
		{directory.ErrConflict, stanza.ConditionResourceConstraint, stanza.Wait},
		{directory.ErrNotYetActive, stanza.ConditionResourceConstraint, stanza.Wait},
		{errors.New("the disk is full of secrets"), stanza.ConditionInternalServerError, stanza.Wait},
	} {
		bad := w.rooms.refusal(e, tt.err)
		if bad.Condition != tt.condition || bad.Type != tt.typ {
			t.Errorf("%v: %s of type %s, want %s of type %s", tt.err, bad.Condition, bad.Type, tt.condition, tt.typ)
		}
		if strings.Contains(bad.Text, "secrets") {
			t.Errorf("%v: the client hears %q", tt.err, bad.Text)
		}
	}
}

// A room that is not persistent goes when the last occupant has left: not before anybody has come, and not if it is to stay by now.
func TestRoomThatNobodyLeftStays(t *testing.T) {
	w, _ := newWorld(t)
	w.user("crone1")
	crone := w.session("crone1@chat.example/desktop")
	declare := func(name string, generation int64, persistent bool) {
		d := directory.NewRoom(name, "conference")
		d.Ref = directory.Ref{Name: name, UID: "uid-" + name, Generation: generation}
		d.Persistent, d.DisplayName = persistent, fmt.Sprint(name, generation)
		w.dir.PutRoom(d)
	}
	declare("coven", 1, false)
	w.send(crone, `<iq type='get' id='d1' to='coven@conference.chat.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>`)
	w.awaits(crone, "id='d1'", "type='result'")
	declare("coven", 2, false) // a change while nobody is in it

	// What came before in the queue has been dealt with when this one is gone.
	declare("cave", 1, false)
	w.enter(crone, "cave", "firstwitch")
	w.send(crone, "<presence type='unavailable' to='cave@conference.chat.example/firstwitch'></presence>")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.dir.WaitGone(ctx, directory.KindRoom, "cave@conference", ""); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.dir.Room("coven@conference"); !ok {
		t.Error("a room that nobody has entered was deleted")
	}

	declare("hall", 1, true)
	w.rooms.left(ctx, jid.MustParse("hall@conference.chat.example"))
	if _, ok := w.dir.Room("hall@conference"); !ok {
		t.Error("a room was deleted that is persistent by now")
	}
}
