package store_test

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

const lounge = "lounge@conference"

var archived = time.Date(2031, 4, 5, 6, 7, 8, 9000, time.UTC)

func said(id int64, peer string) *archive.Message {
	return &archive.Message{
		ID: id, Time: archived.Add(time.Duration(id) * time.Second), Peer: peer, Account: peer + "@chat.example", Recent: true,
		XML: fmt.Appendf(nil, "<message><body>%d\x7fДж</body></message>", id),
	}
}

func openRoom(t testing.TB, s *store.Store, identity, uid string) muc.Remembered {
	t.Helper()
	r, err := s.OpenRoom(t.Context(), identity, uid)
	must(t, err)
	return r
}

func say(t testing.TB, s *store.Store, owner int64, list ...*archive.Message) {
	t.Helper()
	writes := make([]muc.Write, len(list))
	for i := range list {
		writes[i].Message = list[i]
	}
	must(t, s.WriteRoom(t.Context(), owner, writes))
}

// all makes a query that no limit bounds.
func all(q archive.Query) archive.Query {
	if q.Most == 0 {
		q.Most = 1000
	}
	if q.MostBytes == 0 {
		q.MostBytes = 1 << 20
	}
	return q
}

func found(t testing.TB, s *store.Store, q archive.Query) []int64 {
	t.Helper()
	list, err := s.Messages(t.Context(), all(q))
	must(t, err)
	ids := []int64{}
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestArchiveKeepsMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	owner := openRoom(t, s, lounge, "1").Owner
	list := []*archive.Message{said(10, "mira"), said(20, "tobias"), {ID: 30, Time: archived, XML: []byte("<message/>")}}
	say(t, s, owner, list...)
	changed := *list[0]
	changed.XML = []byte("<other/>")
	say(t, s, owner, &changed)
	must(t, s.Close())

	s = openAt(t, path)
	if r := openRoom(t, s, lounge, "1"); r.Owner != owner || r.LastID != 30 {
		t.Errorf("after a restart the room is %+v", r)
	}
	got, err := s.Messages(t.Context(), all(archive.Query{Owner: owner}))
	must(t, err)
	if want := []archive.Message{*list[0], *list[1], *list[2]}; !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v, want\n%+v", got, want)
	}
	m, ok, err := s.Message(t.Context(), owner, 20)
	must(t, err)
	if !ok || !reflect.DeepEqual(m, *list[1]) {
		t.Errorf("one message is %+v, %v", m, ok)
	}
	if _, ok, err := s.Message(t.Context(), owner, 25); ok || err != nil {
		t.Errorf("a message that isn't there: %v, %v", ok, err)
	}
}

// Every query is checked against the same one in memory.
func TestArchiveQueries(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		owner, other := openRoom(t, s, lounge, "1").Owner, openRoom(t, s, "other@conference", "2").Owner
		peers := []string{"mira", "tobias", "", "Дж", "m%ra"}
		var list, foreign []*archive.Message
		for i := range int64(40) {
			m := said(i*3+1, peers[i*i%5])
			if m.Peer == "" {
				m.Account = ""
			}
			list = append(list, m)
			foreign = append(foreign, said(i*3+2, "mira"))
		}
		say(t, s, owner, list...)
		say(t, s, other, foreign...)

		var queries []archive.Query
		for _, after := range []int64{0, 1, 5, 60, 118, 500} {
			for _, before := range []int64{0, 1, 61, 62, 118, math.MaxInt64} {
				for _, most := range []int{0, 1, 7, 1000} {
					for _, skip := range []int{0, 3, 100} {
						for _, last := range []bool{false, true} {
							queries = append(queries, archive.Query{Owner: owner, After: after, Before: before, Most: most, Skip: skip, Last: last, MostBytes: 1 << 20})
						}
					}
				}
			}
		}
		for _, base := range slices.Clone(queries) {
			for _, p := range append(peers, "nobody") {
				q, account := base, p+"@chat.example"
				q.Peer = &p
				queries = append(queries, q)
				q.Peer, q.Account = nil, &account
				queries = append(queries, q)
			}
		}
		for _, q := range queries {
			want := []int64{}
			for _, m := range list {
				if m.ID > q.After && (q.Before == 0 || m.ID < q.Before) && (q.Peer == nil || *q.Peer == m.Peer) && (q.Account == nil || *q.Account == m.Account) {
					want = append(want, m.ID)
				}
			}
			matching := min(len(want), q.Most)
			if q.Last {
				slices.Reverse(want)
			}
			want = want[min(q.Skip, len(want)):]
			want = want[:min(q.Most, len(want))]
			if q.Last {
				slices.Reverse(want)
			}
			got, err := s.Messages(t.Context(), q)
			must(t, err)
			ids := []int64{}
			for _, m := range got {
				ids = append(ids, m.ID)
			}
			if !slices.Equal(ids, want) {
				t.Fatalf("%+v gives %v, want %v", q, ids, want)
			}
			n, err := s.CountMessages(t.Context(), q)
			must(t, err)
			if n != matching {
				t.Fatalf("%+v counts %d, want %d", q, n, matching)
			}
		}
		// Bytes end a page, after one message at least.
		for most, want := range map[int][]int64{1: {1}, 90: {1, 4}} {
			if got := found(t, s, archive.Query{Owner: owner, MostBytes: most}); !slices.Equal(got, want) {
				t.Errorf("%d bytes give %v, want %v", most, got, want)
			}
		}
		if got := found(t, s, archive.Query{Owner: owner, MostBytes: 1, Last: true}); !slices.Equal(got, []int64{118}) {
			t.Errorf("one byte from the end gives %v", got)
		}
		if got := found(t, s, archive.Query{Owner: 77}); len(got) > 0 {
			t.Errorf("an archive that isn't there has %v", got)
		}
	})
}

// Whatever is asked for, a page is read off an index in its order: its cost does not grow with the archive.
func TestArchivePagesAreReadInOrder(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "chat.db"))
	word := "mira"
	for index, q := range map[string]archive.Query{
		"sqlite_autoindex_archive_1": {}, "archive_by_peer": {Peer: &word}, "archive_by_account": {Account: &word},
	} {
		for _, q.Last = range []bool{false, true} {
			plan, err := s.Plan(t.Context(), all(q))
			must(t, err)
			if !strings.Contains(plan, index) || strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN") {
				t.Errorf("%+v is read by\n%s", q, plan)
			}
		}
	}
}

func TestArchiveGivesRecentMessages(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		owner := openRoom(t, s, lounge, "1").Owner
		for i := range int64(20) {
			m := said(i+1, "mira")
			m.Recent = i%4 != 0
			say(t, s, owner, m)
		}
		recent := func(after int64, most, bytes int) (ids []int64) {
			list, err := s.RecentMessages(t.Context(), owner, after, most, bytes)
			must(t, err)
			for _, m := range list {
				ids = append(ids, m.ID)
			}
			return ids
		}
		if got := recent(0, 4, 1<<20); !slices.Equal(got, []int64{16, 18, 19, 20}) {
			t.Errorf("recent: %v", got)
		}
		if got := recent(18, 4, 1<<20); !slices.Equal(got, []int64{19, 20}) {
			t.Errorf("recent after 18: %v", got)
		}
		if got := recent(0, 4, 1); !slices.Equal(got, []int64{20}) {
			t.Errorf("recent for a byte: %v", got)
		}
	})
}

// XEP-0424 §5: the place remains, what was said does not.
func TestArchiveTombstones(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		owner := openRoom(t, s, lounge, "1").Owner
		say(t, s, owner, said(1, "mira"), said(2, "tobias"), &archive.Message{ID: 3, Time: archived, XML: []byte("<message/>")})
		bury := func(id int64, account, left string) {
			t.Helper()
			must(t, s.WriteRoom(t.Context(), owner, []muc.Write{{Tombstone: &muc.Tombstone{ID: id, Account: account, Bury: func([]byte) []byte {
				if left == "" {
					return nil
				}
				return []byte(left)
			}}}}))
		}
		bury(1, "tobias@chat.example", "<not-the-author/>")
		bury(9, "", "<not-there/>")
		bury(3, "", "<of-the-room/>")
		bury(1, "", "")
		for id, want := range map[int64]*archive.Message{1: said(1, "mira"), 2: said(2, "tobias"), 3: {ID: 3, Time: archived, XML: []byte("<message/>")}} {
			if m, ok, err := s.Message(t.Context(), owner, id); err != nil || !ok || !reflect.DeepEqual(m, *want) {
				t.Errorf("%d became %+v (%v, %v)", id, m, ok, err)
			}
		}
		bury(1, "mira@chat.example", "<by-author/>")
		bury(2, "", "<by-moderator/>")
		for id, want := range map[int64]string{1: "<by-author/>", 2: "<by-moderator/>"} {
			m, ok, err := s.Message(t.Context(), owner, id)
			expected := said(id, m.Peer)
			expected.XML, expected.Recent = []byte(want), false
			if err != nil || !ok || !reflect.DeepEqual(m, *expected) {
				t.Errorf("%d became %+v (%v, %v)", id, m, ok, err)
			}
		}
	})
}

func TestArchiveRetention(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		owner, other := openRoom(t, s, lounge, "1").Owner, openRoom(t, s, "other@conference", "2").Owner
		var list []*archive.Message
		for i := range int64(703) {
			list = append(list, said(i+1, "mira"))
		}
		say(t, s, owner, list...)
		say(t, s, other, list[:5]...)
		if n, err := s.PruneRooms(t.Context(), 0); n != 0 || err != nil {
			t.Errorf("without a limit %d were deleted (%v)", n, err)
		}
		n, err := s.PruneRooms(t.Context(), 700)
		must(t, err)
		if left := found(t, s, archive.Query{Owner: owner}); n != 705 || !slices.Equal(left, []int64{701, 702, 703}) {
			t.Errorf("deleted %d, left %v", n, left)
		}
		if left := found(t, s, archive.Query{Owner: other}); len(left) > 0 {
			t.Errorf("the other room has %v", left)
		}
	})
}

func TestRoomsRemember(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	first := openRoom(t, s, lounge, "1")
	if want := (muc.Remembered{Owner: first.Owner}); !reflect.DeepEqual(first, want) {
		t.Errorf("a room that was never there is %+v", first)
	}
	mira, tobias := jid.MustParse("mira@chat.example"), jid.MustParse("tobias@chat.example")
	declared := "Welcome"
	pointer := &declared
	subject := &room.Subject{XML: []byte("<subject>Дж</subject>"), Plain: "Дж", From: jid.MustParse("lounge@conference.chat.example/mira"), Time: archived}
	must(t, s.WriteRoom(t.Context(), first.Owner, []muc.Write{
		{Nick: &room.ReservedNick{User: mira, Nick: "m"}},
		{Nick: &room.ReservedNick{User: tobias, Nick: "t"}, VCard: []byte("<vCard xmlns='vcard-temp'/>")},
		{Subject: subject, Declared: &pointer},
		{Nick: &room.ReservedNick{User: mira, Nick: "mira"}},
		{Nick: &room.ReservedNick{User: tobias}},
	}))
	openRoom(t, s, "other@conference", "1")
	must(t, s.Close())
	s = openAt(t, path)
	want := muc.Remembered{
		Owner: first.Owner, Subject: subject, Declared: &declared, VCard: []byte("<vCard xmlns='vcard-temp'/>"),
		Nicks: []room.ReservedNick{{User: mira, Nick: "mira"}},
	}
	if got := openRoom(t, s, lounge, "1"); !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart\n%+v, want\n%+v", got, want)
	}
	pointer = nil
	must(t, s.WriteRoom(t.Context(), first.Owner, []muc.Write{{Declared: &pointer, VCard: []byte{}, Subject: &room.Subject{XML: []byte("<subject/>"), Time: archived}}}))
	got := openRoom(t, s, lounge, "1")
	if got.Declared != nil || len(got.VCard) > 0 || !reflect.DeepEqual(got.Subject, &room.Subject{XML: []byte("<subject/>"), Time: archived}) {
		t.Errorf("after the changes: %+v", got)
	}
	if got := openRoom(t, s, "other@conference", "1"); got.Subject != nil || got.Nicks != nil || got.Owner == first.Owner {
		t.Errorf("the other room is %+v", got)
	}
}

// A write is kept whole or not at all.
func TestRoomWritesAreWhole(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		owner := openRoom(t, s, lounge, "1").Owner
		err := s.WriteRoom(t.Context(), owner, []muc.Write{{Message: said(1, "mira")}, {Tombstone: &muc.Tombstone{ID: 1, Bury: func([]byte) []byte { panic("no") }}}})
		if err == nil {
			t.Error("a write that panics succeeds")
		}
		if got := found(t, s, archive.Query{Owner: owner}); len(got) > 0 {
			t.Errorf("kept %v", got)
		}
	})
}

// Who makes a room anew finds nothing of the one before, unless the name's data is kept for its declaration.
func TestRoomsOfOneName(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		keep := func(uid string, state store.State) {
			t.Helper()
			must(t, s.PutIdentity(t.Context(), store.Identity{Kind: "room", Name: lounge, UID: uid, State: state, Since: archived}))
		}
		said1 := func(r muc.Remembered) int { return len(found(t, s, archive.Query{Owner: r.Owner})) }

		first := openRoom(t, s, lounge, "1")
		say(t, s, first.Owner, said(1, "mira"))
		must(t, s.WriteRoom(t.Context(), first.Owner, []muc.Write{{Nick: &room.ReservedNick{User: jid.MustParse("mira@chat.example"), Nick: "m"}}}))
		for _, state := range []store.State{store.Active, store.Pending} {
			keep("1", state)
			if again := openRoom(t, s, lounge, "uid "+string(state)); again.Owner != first.Owner || said1(again) != 1 || again.LastID != 1 || len(again.Nicks) != 1 {
				t.Errorf("%s: %+v", state, again)
			}
		}
		// The intent to purge is not that of the declaration which comes after.
		keep("uid Pending", store.PurgeNow)
		second := openRoom(t, s, lounge, "3")
		if second.Owner == first.Owner || said1(second) != 0 || second.LastID != 0 || second.Nicks != nil {
			t.Errorf("after a purge that was intended: %+v", second)
		}
		if err := s.WriteRoom(t.Context(), first.Owner, []muc.Write{{Message: said(2, "mira")}}); !errors.Is(err, muc.ErrForgotten) {
			t.Errorf("the room before still writes: %v", err)
		}
		say(t, s, second.Owner, said(5, "tobias"))
		must(t, s.DeleteIdentity(t.Context(), "room", lounge))
		third := openRoom(t, s, lounge, "4")
		if third.Owner == second.Owner || said1(third) != 0 {
			t.Errorf("of a name that nothing is kept for: %+v", third)
		}
		// What they left behind goes with the next round.
		n, err := s.PruneRooms(t.Context(), 0)
		must(t, err)
		if n != 2 || said1(first)+said1(second) > 0 {
			t.Errorf("%d messages were deleted, left are %d and %d", n, said1(first), said1(second))
		}
	})
}

func TestPurgeRoom(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		must(t, s.PutIdentity(t.Context(), store.Identity{Kind: "room", Name: lounge, UID: "1", State: store.Pending}))
		r, other := openRoom(t, s, lounge, "1"), openRoom(t, s, "other@conference", "2")
		var list []*archive.Message
		for i := range int64(600) {
			list = append(list, said(i+1, "mira"))
		}
		say(t, s, r.Owner, list...)
		say(t, s, other.Owner, list[0])
		must(t, s.WriteRoom(t.Context(), r.Owner, []muc.Write{{Nick: &room.ReservedNick{User: jid.MustParse("mira@chat.example"), Nick: "m"}, VCard: []byte("<vCard/>")}}))
		for range 2 {
			must(t, s.PurgeRoom(t.Context(), lounge, ""))
			if got := found(t, s, archive.Query{Owner: r.Owner}); len(got) > 0 {
				t.Errorf("%d messages are left", len(got))
			}
			if _, there, err := s.GetIdentity(t.Context(), "room", lounge); there || err != nil {
				t.Errorf("the name is left (%v)", err)
			}
		}
		if n, err := s.PruneRooms(t.Context(), 0); n != 0 || err != nil {
			t.Errorf("a purge left %d messages (%v)", n, err)
		}
		if err := s.WriteRoom(t.Context(), r.Owner, []muc.Write{{Message: said(700, "mira")}}); !errors.Is(err, muc.ErrForgotten) {
			t.Errorf("after the purge: %v", err)
		}
		if again := openRoom(t, s, lounge, "1"); again.Owner == r.Owner || again.Nicks != nil || again.VCard != nil || again.LastID != 0 {
			t.Errorf("after the purge: %+v", again)
		}
		if got := found(t, s, archive.Query{Owner: other.Owner}); len(got) != 1 {
			t.Errorf("the other room has %v", got)
		}
	})
}

// Rooms write at once and share commits; each keeps its own order.
func TestRoomsWriteTogether(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		const rooms, messages = 8, 50
		var writing sync.WaitGroup
		owners := make([]int64, rooms)
		for i := range rooms {
			owners[i] = openRoom(t, s, fmt.Sprint("room", i, "@conference"), "1").Owner
		}
		for _, owner := range owners {
			writing.Go(func() {
				for id := range int64(messages) {
					if err := s.WriteRoom(t.Context(), owner, []muc.Write{{Message: said(id+1, "mira")}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		for _, owner := range owners {
			if got := found(t, s, archive.Query{Owner: owner}); len(got) != messages || !slices.IsSorted(got) {
				t.Errorf("a room has %v", got)
			}
		}
	})
}
