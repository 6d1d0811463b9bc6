package store_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRosterKeepsEveryField(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		items := []account.Item{
			{JID: jid.MustParse("anna@chat.example"), Name: `Anna "A" Дж`, Subscription: account.SubscriptionBoth, Groups: []string{"Family & friends", "Работа"}},
			{JID: jid.MustParse("ben@chat.example"), Subscription: account.SubscriptionFrom, Ask: true, Approved: true},
			{JID: jid.MustParse("conference.chat.example"), Subscription: account.SubscriptionTo},
			{JID: jid.MustParse("stranger@other.example"), PendingIn: true, Hidden: true, Request: []byte("<status>hello\x7f</status>")},
		}
		for _, i := range slices.Backward(items) {
			must(t, s.PutItem(ctx, "mira", i))
		}
		must(t, s.PutItem(ctx, "tobias", items[0]))
		got, err := s.LoadRoster(ctx, "mira")
		must(t, err)
		slices.SortFunc(items, func(a, b account.Item) int { return a.JID.Compare(b.JID) })
		if !reflect.DeepEqual(got, items) {
			t.Errorf("loaded\n%+v, want\n%+v", got, items)
		}
		// An item is replaced whole.
		replaced := account.Item{JID: items[0].JID, Name: "other"}
		must(t, s.PutItem(ctx, "mira", replaced))
		got, err = s.LoadRoster(ctx, "mira")
		must(t, err)
		if !reflect.DeepEqual(got[0], replaced) || len(got) != len(items) {
			t.Errorf("loaded %+v, want %+v first", got, replaced)
		}
		if got, err := s.LoadRoster(ctx, "nobody"); err != nil || len(got) != 0 {
			t.Errorf("the roster of nobody: %v, %v", got, err)
		}
	})
}

func TestRosterDeleteAndHolders(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		contact := jid.MustParse("anna@chat.example")
		for _, u := range []string{"tobias", "mira", "zoe"} {
			must(t, s.PutItem(ctx, u, account.Item{JID: contact}))
		}
		must(t, s.DeleteItem(ctx, "tobias", contact))
		must(t, s.DeleteItem(ctx, "tobias", contact)) // once more is no error
		names, err := s.Holders(ctx, contact)
		must(t, err)
		if !slices.Equal(names, []string{"mira", "zoe"}) {
			t.Errorf("Holders = %q", names)
		}
		if names, err := s.Holders(ctx, jid.MustParse("nobody@chat.example")); err != nil || len(names) != 0 {
			t.Errorf("Holders of a stranger: %q, %v", names, err)
		}
	})
}

func BenchmarkPutItem(b *testing.B) {
	for _, e := range engines() {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/writers=%d", e.name, writers), func(b *testing.B) {
				s := e.open(b)
				item := account.Item{JID: jid.MustParse("anna@chat.example"), Name: "Anna", Subscription: account.SubscriptionBoth, Groups: []string{"Friends"}}
				b.SetParallelism(writers)
				b.ReportAllocs()
				n := make(chan int, 1)
				n <- 0
				b.RunParallel(func(pb *testing.PB) {
					id := <-n
					n <- id + 1
					for i := 0; pb.Next(); i++ {
						if err := s.PutItem(b.Context(), fmt.Sprintf("user%d-%d", id, i%100), item); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

func BenchmarkLoadRoster(b *testing.B) {
	for _, e := range engines() {
		b.Run(e.name, func(b *testing.B) {
			s := e.open(b)
			for u := range 50 {
				for i := range 20 {
					must(b, s.PutItem(b.Context(), fmt.Sprint("user", u), account.Item{
						JID: jid.MustParse(fmt.Sprintf("contact%d@chat.example", i)), Name: "A contact", Subscription: account.SubscriptionBoth, Groups: []string{"Friends"},
					}))
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if items, err := s.LoadRoster(b.Context(), fmt.Sprint("user", i%50)); err != nil || len(items) != 20 {
					b.Fatal(len(items), err)
				}
			}
		})
	}
}
