package store_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

func roomFor(n int) func(string) int { return func(string) int { return n } }

func message(username string, id int64, at time.Time) account.OfflineMessage {
	return account.OfflineMessage{Username: username, ID: id, Received: at, Stanza: fmt.Appendf(nil, "<message><body>%d\x7fДж</body></message>", id)}
}

func idsOf(t testing.TB, s *store.Store, username string) []int64 {
	t.Helper()
	list, err := s.LoadOffline(t.Context(), username, 1000, 1<<20)
	must(t, err)
	ids := []int64{}
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return ids
}

func isKept(t testing.TB, s *store.Store, list []account.OfflineMessage, room func(string) int, expected ...bool) {
	t.Helper()
	kept, err := s.PutOffline(t.Context(), list, room)
	must(t, err)
	if !slices.Equal(kept, expected) {
		t.Errorf("kept %v, want %v", kept, expected)
	}
}

// XEP-0160 §2: messages come back as they were, in the order of their ids, also after a restart.
func TestOfflineMessagesComeBackInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s := openAt(t, path)
	at := time.Date(2031, 4, 5, 6, 7, 8, 9000, time.UTC)
	list := []account.OfflineMessage{message("mira", 30, at), message("tobias", 5, at), message("mira", 10, at.Add(time.Hour)), message("mira", 20, at)}
	isKept(t, s, list, roomFor(10), true, true, true, true)
	must(t, s.Close())
	s = openAt(t, path)
	got, err := s.LoadOffline(t.Context(), "mira", 10, 1<<20)
	must(t, err)
	if want := []account.OfflineMessage{list[2], list[3], list[0]}; !reflect.DeepEqual(got, want) {
		t.Errorf("loaded\n%+v, want\n%+v", got, want)
	}
	must(t, s.DeleteOffline(t.Context(), "mira", []int64{20, 10, 77}))
	if got := idsOf(t, s, "mira"); !slices.Equal(got, []int64{30}) {
		t.Errorf("left are %v", got)
	}
	if got := idsOf(t, s, "tobias"); !slices.Equal(got, []int64{5}) {
		t.Errorf("another account has %v", got)
	}
	if got := idsOf(t, s, "nobody"); len(got) > 0 {
		t.Errorf("nobody has %v", got)
	}
}

func TestOfflineMessagesAreBounded(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		now := time.Now()
		three := []account.OfflineMessage{message("mira", 1, now), message("mira", 2, now), message("mira", 3, now)}
		isKept(t, s, three, roomFor(2), true, true, false)
		// The same one again takes no room and is no second one, also where there is none left.
		changed := three[0]
		changed.Stanza = []byte("<other/>")
		isKept(t, s, []account.OfflineMessage{changed}, roomFor(3), true)
		isKept(t, s, three, roomFor(3), true, true, true)
		isKept(t, s, []account.OfflineMessage{message("mira", 4, now), message("tobias", 4, now)},
			func(name string) int { return map[string]int{"mira": 3}[name] }, false, false)
		if got := idsOf(t, s, "mira"); !slices.Equal(got, []int64{1, 2, 3}) {
			t.Errorf("mira has %v", got)
		}
		list, err := s.LoadOffline(t.Context(), "mira", 1, 1<<20)
		must(t, err)
		if len(list) != 1 || !bytes.Equal(list[0].Stanza, three[0].Stanza) {
			t.Errorf("loaded %+v", list)
		}
		// Bytes end a batch, after one message at least.
		list, err = s.LoadOffline(t.Context(), "mira", 10, 1)
		must(t, err)
		if len(list) != 1 {
			t.Errorf("%d messages for one byte", len(list))
		}
	})
}

func TestOfflineMessagesArePruned(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		limit := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
		var list []account.OfflineMessage
		for i := range 1203 {
			at := limit.Add(-time.Second)
			if i%400 == 0 {
				at = limit
			}
			list = append(list, message(fmt.Sprint("user", i%7), int64(i), at))
		}
		_, err := s.PutOffline(t.Context(), list, roomFor(5000))
		must(t, err)
		n, err := s.PruneOffline(t.Context(), limit)
		must(t, err)
		left := 0
		for i := range 7 {
			left += len(idsOf(t, s, fmt.Sprint("user", i)))
		}
		if n != 1199 || left != 4 {
			t.Errorf("removed %d, left %d", n, left)
		}
	})
}

func TestPurgeAccountTakesItsMail(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		isKept(t, s, []account.OfflineMessage{message("mira", 1, now), message("tobias", 1, now)}, roomFor(10), true, true)
		last := []account.Last{{Username: "mira", Since: now, Status: "Heading Home"}, {Username: "tobias", Since: now}}
		must(t, s.PutLast(t.Context(), last))
		if got, ok, err := s.GetLast(t.Context(), "mira"); err != nil || !ok || got != last[0] {
			t.Errorf("mira was there last at %+v, %v, %v", got, ok, err)
		}
		last[1].Since = now.Add(time.Hour) // replaces
		must(t, s.PutLast(t.Context(), last[1:]))
		must(t, s.PurgeAccount(t.Context(), "mira"))
		if got := idsOf(t, s, "mira"); len(got) > 0 {
			t.Errorf("mira still has %v", got)
		}
		if _, ok, err := s.GetLast(t.Context(), "mira"); err != nil || ok {
			t.Errorf("mira is still remembered: %v, %v", ok, err)
		}
		if got, ok, err := s.GetLast(t.Context(), "tobias"); err != nil || !ok || got != last[1] || !slices.Equal(idsOf(t, s, "tobias"), []int64{1}) {
			t.Errorf("another account: %+v, %v, %v", got, ok, err)
		}
	})
}

// Messages that are too old to be given back are counted by nobody, whether or not they are deleted already.
func TestOfflineCount(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		at := time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)
		var list []account.OfflineMessage
		for i := range 5 {
			list = append(list, account.OfflineMessage{Username: "mira", ID: int64(i + 1), Received: at.Add(time.Duration(i) * time.Hour), Stanza: []byte("<message/>")})
		}
		list = append(list, account.OfflineMessage{Username: "tobias", ID: 1, Received: at, Stanza: []byte("<message/>")})
		_, err := s.PutOffline(t.Context(), list, func(string) int { return 100 })
		must(t, err)
		for since, want := range map[time.Time]int{{}: 5, at: 5, at.Add(2 * time.Hour): 3, at.Add(24 * time.Hour): 0} {
			if n, err := s.CountOffline(t.Context(), "mira", since); err != nil || n != want {
				t.Errorf("since %v: %d, %v; want %d", since, n, err, want)
			}
		}
		if n, err := s.CountOffline(t.Context(), "nobody", time.Time{}); err != nil || n != 0 {
			t.Errorf("of nobody: %d, %v", n, err)
		}
	})
}

// BenchmarkOfflineStore keeps messages of 400 bytes in batches as they arise under load; an operation is one message.
func BenchmarkOfflineStore(b *testing.B) {
	s := engines()[0].open(b)
	stanza := []byte("<message><body>" + strings.Repeat("x", 370) + "</body></message>")
	const batch = 256
	now := time.Now()
	for n := 0; b.Loop(); {
		if n++; n%batch != 0 {
			continue
		}
		list := make([]account.OfflineMessage, batch)
		for i := range list {
			list[i] = account.OfflineMessage{Username: fmt.Sprint("user", (n+i)%100), ID: int64(n + i), Received: now, Stanza: stanza}
		}
		if _, err := s.PutOffline(b.Context(), list, roomFor(1<<30)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkOfflineGiveBack reads and removes 1,000 messages each of accounts, as several sessions do that come at once; an operation is one message.
func BenchmarkOfflineGiveBack(b *testing.B) {
	s := engines()[0].open(b)
	stanza := []byte("<message><body>" + strings.Repeat("x", 370) + "</body></message>")
	users := (b.N + 999) / 1000
	for u := range users {
		list := make([]account.OfflineMessage, 1000)
		for i := range list {
			list[i] = account.OfflineMessage{Username: fmt.Sprint("user", u), ID: int64(i), Received: time.Now(), Stanza: stanza}
		}
		if _, err := s.PutOffline(b.Context(), list, roomFor(1000)); err != nil {
			b.Fatal(err)
		}
	}
	next := make(chan int, users)
	for u := range users {
		next <- u
	}
	close(next)
	b.ResetTimer()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for u := range next {
				name := fmt.Sprint("user", u)
				for {
					list, err := s.LoadOffline(b.Context(), name, 200, 128<<10)
					if err != nil {
						b.Error(err)
						return
					}
					if len(list) == 0 {
						break
					}
					ids := make([]int64, len(list))
					for i := range list {
						ids[i] = list[i].ID
					}
					if err := s.DeleteOffline(b.Context(), name, ids); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(users*1000)/b.Elapsed().Seconds(), "messages/s")
}
