package muc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
)

const loungeName = "lounge@conference"

func (w *world) info(identity string) muc.Info {
	w.t.Helper()
	i, ok := w.rooms.Room(identity)
	if !ok {
		w.t.Fatalf("there is no room %s", identity)
	}
	return i
}

func (w *world) subject(identity string) string {
	w.t.Helper()
	list, err := w.rooms.Subjects(w.t.Context(), []muc.Info{w.info(identity)})
	if err != nil {
		w.t.Fatal(err)
	}
	return list[0]
}

// The subject of a room is known without opening it: the remembered one, unless another was declared that is to have its effect when somebody enters.
func TestSubjectOfClosedRoom(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", func(r *directory.Room) { r.Subject = new("Plants") })
	want := func(subject string) {
		t.Helper()
		if got := w.subject(loungeName); got != subject {
			t.Errorf("subject %q, want %q", got, subject)
		}
		if rooms, _ := w.rooms.Counts(); rooms != 0 {
			t.Errorf("%d rooms came into memory", rooms)
		}
	}
	want("Plants")
	mira := w.login("mira")
	mira.enter(lounge, "Mira")
	mira.send("<message to='" + lounge + "' type='groupchat'><subject>Birds</subject></message>")
	mira.until("<subject>Birds</subject>")
	w.restart()
	want("Birds")
	w.declare("lounge", "1", func(r *directory.Room) { r.Subject = new("Fish") })
	want("Fish")
	w.declare("lounge", "1", nil)
	want("Birds")
	// A room of that name that is declared anew inherits nothing.
	w.dir.DeleteRoom("lounge", "1")
	w.declare("lounge", "2", nil)
	want("")
	w.store.failing(errors.New("the disk is gone"))
	w.dir.DeleteRoom("lounge", "2")
	w.declare("lounge", "3", nil)
	if _, err := w.rooms.Subjects(t.Context(), []muc.Info{w.info(loungeName)}); err == nil {
		t.Error("a subject that nobody knows")
	}
}

// What was said in a room that nobody has entered since the process began is found, and the room stays closed.
func TestHistoryOfClosedRoom(t *testing.T) {
	for _, archived := range []bool{true, false} {
		w := newWorld(t)
		w.declare("lounge", "1", func(r *directory.Room) { r.Archived = archived })
		mira := w.login("mira")
		mira.enter(lounge, "Mira")
		for _, body := range []string{"one", "two", "three"} {
			mira.say(lounge, body)
			mira.until("<body>" + body)
		}
		said := func(p muc.HistoryPage) (bodies []string, total int) {
			t.Helper()
			list, total, err := w.rooms.History(t.Context(), w.info(loungeName), p)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range list {
				bodies = append(bodies, m.Body)
				if m.From.String() != lounge+"/Mira" || !m.Real.IsZero() || m.Time.Year() != 2031 {
					t.Errorf("%+v", m)
				}
			}
			return bodies, total
		}
		all := muc.HistoryPage{Most: -1}
		got, total := said(all)
		equal(t, "with occupants", got, "one", "two", "three")
		if total != 3 {
			t.Errorf("total %d", total)
		}
		got, total = said(muc.HistoryPage{Most: 1, Skip: 1})
		equal(t, "a part", got, "two")
		if total != 3 {
			t.Errorf("total %d", total)
		}
		w.restart()
		want := []string{"one", "two", "three"}
		if !archived {
			want = nil
		}
		got, _ = said(all)
		equal(t, "after a restart", got, want...)
		got, _ = said(muc.HistoryPage{Most: 2})
		equal(t, "the last two after a restart", got, want[max(len(want)-2, 0):]...)
		if rooms, _ := w.rooms.Counts(); rooms != 0 {
			t.Errorf("%d rooms came into memory", rooms)
		}
	}
}

// The lists join declared and temporary rooms, each once.
func TestRoomsOfService(t *testing.T) {
	w := newWorld(t)
	w.property("xmpp.muc.service.lab", "The Lab")
	w.property("xmpp.muc.service.lab.hidden", "true")
	w.declare("lounge", "1", nil)
	w.login("mira").enter("attic@conference."+domain, "Mira")
	w.login("mira").enter(lounge, "Mira")
	w.login("tobias").enter("bench@lab."+domain, "Tobi")
	listed := func(service string) (names []string) {
		for _, i := range w.rooms.Rooms(service) {
			name := i.Identity()
			if i.Temporary() {
				name += " (temporary)"
			}
			names = append(names, name)
		}
		return names
	}
	equal(t, "conference", listed("conference"), "attic@conference (temporary)", loungeName)
	equal(t, "lab", listed("lab"), "bench@lab (temporary)")
	if got := w.rooms.Services(); !slices.Equal(got, []muc.ServiceInfo{{Name: "conference", Description: "Chat rooms"}, {Name: "lab", Description: "The Lab", Hidden: true}}) {
		t.Errorf("%+v", got)
	}
	if _, ok := w.rooms.Room("attic@nowhere"); ok {
		t.Error("a room of a service that is not there")
	}
	w.declare("attic", "2", nil)
	equal(t, "declared meanwhile", listed("conference"), "attic@conference", loungeName)
	i := w.info("bench@lab")
	if len(i.Affiliations) != 1 || i.Affiliations[0].JID != jid.MustParse("tobias@"+domain) || i.Persistent || i.CreatedAt.Year() != 2031 {
		t.Errorf("%+v", i.Room)
	}
}

// What the room says is out when the call returns, and when it could not be kept, nobody has heard it.
func TestSay(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	mira := w.login("mira")
	mira.enter(lounge, "Mira")
	if err := w.rooms.Say(t.Context(), loungeName, "a < b"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(mira.seen(), "<message from='"+lounge+"'") || !strings.Contains(mira.seen(), "<body>a &lt; b</body>") {
		t.Errorf("seen: %s", mira.seen())
	}
	if err := w.rooms.SetSubject(t.Context(), loungeName, "Plants"); err != nil || !strings.Contains(mira.seen(), "<subject>Plants</subject>") {
		t.Errorf("%v: %s", err, mira.seen())
	}
	if err := w.rooms.SetSubject(t.Context(), loungeName, "Plants"); err != nil || strings.Count(mira.seen(), "<subject>Plants") != 1 {
		t.Errorf("%v: %s", err, mira.seen())
	}
	w.store.failing(errors.New("the disk is full"))
	if err := w.rooms.Say(t.Context(), loungeName, "lost"); !errors.Is(err, muc.ErrNotKept) {
		t.Errorf("%v", err)
	}
	if err := w.rooms.SetSubject(t.Context(), loungeName, "lost"); !errors.Is(err, muc.ErrNotKept) || w.subject(loungeName) != "Plants" {
		t.Errorf("%v", err)
	}
	if strings.Contains(mira.seen(), "lost") {
		t.Errorf("seen: %s", mira.seen())
	}
	w.store.failing(nil)
	// Whoever waits gives up when its context ends; what was said is kept all the same.
	release := w.hold(loungeName)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := w.rooms.Say(ctx, loungeName, "late"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	release()
	mira.until("<body>late</body>")
	for _, identity := range []string{"den@conference", "lounge@nowhere", "a b@conference"} {
		if err := w.rooms.Say(t.Context(), identity, "x"); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%s: %v", identity, err)
		}
	}
}

// Temporary rooms are changed and ended where they are; declared ones are not.
func TestTemporaryRoom(t *testing.T) {
	const attic = "attic@conference." + domain
	w := newWorld(t)
	mira := w.login("mira")
	mira.enter(attic, "Mira")
	refused := errors.New("refused")
	change := directory.RoomUpdate{Affiliations: []directory.Affiliation{{JID: jid.MustParse("tobias@" + domain), Affiliation: directory.AffiliationAdmin}}}
	change.Permit = func(now directory.RoomState) error {
		if len(now.Affiliations) != 1 {
			t.Errorf("%+v", now)
		}
		return refused
	}
	if err := w.rooms.ChangeTemporary("attic@conference", change); !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	change.Permit = nil
	change.GroupAffiliations = []directory.GroupAffiliation{{Group: "Ops", Affiliation: directory.AffiliationMember}}
	if err := w.rooms.ChangeTemporary("attic@conference", change); err != nil {
		t.Fatal(err)
	}
	i := w.info("attic@conference")
	if len(i.Affiliations) != 2 || len(i.GroupAffiliations) != 1 || len(w.rooms.Banned(i, []jid.JID{jid.MustParse("tobias@" + domain)})) != 0 {
		t.Errorf("%+v", i.Room)
	}
	change = directory.RoomUpdate{Affiliations: []directory.Affiliation{{JID: jid.MustParse("tobias@" + domain)}}, GroupAffiliations: []directory.GroupAffiliation{{Group: "Ops"}}}
	if err := w.rooms.ChangeTemporary("attic@conference", change); err != nil || len(w.info("attic@conference").Affiliations) != 1 {
		t.Errorf("%v", err)
	}
	if err := w.rooms.DestroyTemporary("attic@conference"); err != nil || !strings.Contains(mira.seen(), "<destroy") {
		t.Errorf("%v: %s", err, mira.seen())
	}
	if err := w.rooms.DestroyTemporary("attic@conference"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("%v", err)
	}
	w.declare("lounge", "1", nil)
	if err := w.rooms.DestroyTemporary(loungeName); !errors.Is(err, muc.ErrDeclared) {
		t.Errorf("%v", err)
	}
	if err := w.rooms.ChangeTemporary(loungeName, change); !errors.Is(err, muc.ErrDeclared) {
		t.Errorf("%v", err)
	}
}

// Many are invited by one call, who are not there as well.
func TestInviteMany(t *testing.T) {
	w := newWorld(t)
	w.declare("lounge", "1", nil)
	mira, tobias := w.login("mira"), w.login("tobias")
	mira.send("<presence/>")
	tobias.send("<presence/>")
	people := []jid.JID{jid.MustParse("mira@" + domain)}
	for range 250 {
		people = append(people, jid.MustParse("nobody@"+domain))
	}
	people = append(people, jid.MustParse("tobias@"+domain+"/elsewhere"))
	if err := w.rooms.Invite(loungeName, people, "Come by"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{mira, tobias} {
		if !strings.Contains(c.seen(), "<invite from='"+lounge+"'><reason>Come by</reason></invite>") {
			t.Errorf("seen: %s", c.seen())
		}
	}
	if err := w.rooms.Invite("den@conference", people, ""); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
