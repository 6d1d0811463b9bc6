package store_test

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

func note(username string, id int64, session string, place uint64, at time.Time) core.Note {
	return core.Note{
		NoteKey: core.NoteKey{Username: username, ID: id, Session: []byte(session)}, Place: place, Received: at,
		Stanza: fmt.Appendf(nil, "<message><body>%d</body></message>", id),
	}
}

// recovered is what a new process finds.
func recovered(t testing.TB, s *store.Store, within time.Duration) (sessions, messages []string) {
	t.Helper()
	must(t, s.Recover(t.Context(), within, func(username string, session []byte) {
		sessions = append(sessions, username+" "+string(session))
	}, func(stanza []byte) { messages = append(messages, string(stanza)) }))
	slices.Sort(sessions)
	slices.Sort(messages)
	return sessions, messages
}

// What was noted down and not removed is in the mailboxes of the next process, once, in order.
func TestNotesBecomeMail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	at := time.Date(2031, 4, 5, 6, 7, 8, 9000, time.UTC)
	isKept(t, s, []account.OfflineMessage{message("mira", 20, at.Add(-time.Hour))}, roomFor(10), true)
	must(t, s.Record(t.Context(), []core.Note{
		note("mira", 30, "one", 1, at), note("mira", 30, "two", 1, at), note("mira", 10, "one", 2, at), note("mira", 40, "", 7, at), note("tobias", 10, "three", 1, at),
	}, nil))
	if got := idsOf(t, s, "mira"); !slices.Equal(got, []int64{20}) {
		t.Errorf("mail while the process lives: %v", got)
	}
	// Removing follows adding; one that isn't there is no error, and the first of two notes stays.
	again := note("mira", 10, "one", 9, at)
	again.Stanza = []byte("<other/>")
	must(t, s.Record(t.Context(), []core.Note{again, note("mira", 50, "one", 3, at), note("mira", 60, "one", 4, at), note("mira", 60, "two", 2, at)}, []core.NoteKey{
		{Username: "mira", ID: 50}, {Username: "mira", ID: 60, Session: []byte("one")}, {Username: "mira", ID: 99},
	}))
	must(t, s.Close())
	s = openAt(t, path)
	for range 2 { // also when that process ends at once
		sessions, messages := recovered(t, s, time.Minute)
		if want := []string{"mira ", "mira one", "mira two", "tobias three"}; !slices.Equal(sessions, want) {
			t.Errorf("sessions %q, want %q", sessions, want)
		}
		if len(messages) != 5 || slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(m, "20") || m == "<other/>" }) {
			t.Errorf("the last messages are %q", messages)
		}
		if got := idsOf(t, s, "mira"); !slices.Equal(got, []int64{10, 20, 30, 40, 60}) {
			t.Errorf("mira has %v", got)
		}
	}
	list, err := s.LoadOffline(t.Context(), "tobias", 10, 1<<20)
	must(t, err)
	if len(list) != 1 || !list[0].Received.Equal(at) || !bytes.Equal(list[0].Stanza, note("tobias", 10, "", 0, at).Stanza) {
		t.Errorf("tobias has %+v", list)
	}
	// Who comes back says how far that client had got; a message that it has got in one session is none for the other.
	must(t, s.Received(t.Context(), "mira", []byte("one"), 1))
	if got := idsOf(t, s, "mira"); !slices.Equal(got, []int64{10, 20, 40, 60}) {
		t.Errorf("after one: %v", got)
	}
	must(t, s.Received(t.Context(), "tobias", []byte("one"), 9))
	must(t, s.Received(t.Context(), "mira", []byte("nowhere"), 9))
	must(t, s.Received(t.Context(), "mira", []byte("two"), 9))
	if got := idsOf(t, s, "mira"); !slices.Equal(got, []int64{10, 20, 40}) {
		t.Errorf("after two: %v", got)
	}
	// Mail that goes takes its places along.
	must(t, s.DeleteOffline(t.Context(), "mira", []int64{10, 40}))
	if sessions, _ := recovered(t, s, 0); !slices.Equal(sessions, []string{"tobias three"}) {
		t.Errorf("sessions %q", sessions)
	}
	must(t, s.PurgeAccount(t.Context(), "tobias"))
	if sessions, messages := recovered(t, s, 0); len(sessions) > 0 || len(messages) != 1 {
		t.Errorf("sessions %q, messages %q", sessions, messages)
	}
}

// A place without mail is of no use any more.
func TestPlacesAreTidied(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		now := time.Now()
		place := note("mira", 10, "one", 1, now)
		place.Stanza = nil
		must(t, s.Record(t.Context(), []core.Note{place}, nil))
		if sessions, _ := recovered(t, s, time.Minute); len(sessions) > 0 {
			t.Errorf("sessions %q", sessions)
		}
		// With mail, it stays; with old mail, it goes.
		isKept(t, s, []account.OfflineMessage{message("mira", 10, now.Add(-time.Hour))}, roomFor(10), true)
		place.Received = now.Add(-time.Hour)
		must(t, s.Record(t.Context(), []core.Note{place}, nil))
		if sessions, _ := recovered(t, s, time.Minute); len(sessions) != 1 {
			t.Errorf("sessions %q", sessions)
		}
		n, err := s.PruneOffline(t.Context(), now)
		must(t, err)
		if sessions, messages := recovered(t, s, time.Minute); n != 1 || len(sessions) > 0 || len(messages) > 0 {
			t.Errorf("%d, sessions %q, messages %q", n, sessions, messages)
		}
	})
}

// XEP-0198 §4: counts wrap.
func TestPlacesWrap(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		now := time.Now()
		must(t, s.Record(t.Context(), []core.Note{note("mira", 1, "one", math.MaxUint32, now), note("mira", 2, "one", math.MaxUint32+2, now)}, nil))
		recovered(t, s, time.Minute)
		must(t, s.Received(t.Context(), "mira", []byte("one"), 0))
		if got := idsOf(t, s, "mira"); !slices.Equal(got, []int64{2}) {
			t.Errorf("left are %v", got)
		}
	})
}

// BenchmarkNotes writes and removes notes of 400 bytes as they arise under load; an operation is one message.
func BenchmarkNotes(b *testing.B) {
	s := engines()[0].open(b)
	stanza := []byte("<message><body>" + strings.Repeat("x", 370) + "</body></message>")
	const batch = 256
	now := time.Now()
	var before []core.NoteKey
	for n := 0; b.Loop(); {
		if n++; n%batch != 0 {
			continue
		}
		add, remove := make([]core.Note, batch), make([]core.NoteKey, batch)
		for i := range add {
			add[i] = core.Note{NoteKey: core.NoteKey{Username: fmt.Sprint("user", (n+i)%100), ID: int64(n + i), Session: []byte("eighteen bytes long")}, Place: uint64(n + i), Received: now, Stanza: stanza}
			remove[i] = core.NoteKey{Username: add[i].Username, ID: add[i].ID}
		}
		if err := s.Record(b.Context(), add, before); err != nil {
			b.Fatal(err)
		}
		before = remove
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
