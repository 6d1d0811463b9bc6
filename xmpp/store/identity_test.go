package store_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/muc"
	"github.com/chat-operator/chat-operator/xmpp/muc/room"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

func TestIdentities(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		since := time.Date(2031, 4, 5, 6, 7, 8, 123_456_000, time.FixedZone("", 7200))
		mira := store.Identity{Kind: "user", Name: "mira", UID: "1", Resource: "mira", DeletionPolicy: "Delete", State: store.Active, Since: since}
		room := store.Identity{Kind: "room", Name: "mira", UID: "2", Resource: "r", DeletionPolicy: "Retain", State: store.Pending}
		anna := store.Identity{Kind: "user", Name: "anna", State: store.PurgeNow}
		must(t, s.PutIdentities(ctx, []store.Identity{mira, room, anna}))
		must(t, s.PutIdentities(ctx, nil))

		mira.Since = since.UTC()
		for kind, want := range map[string][]store.Identity{"user": {anna, mira}, "room": {room}, "": {room, anna, mira}, "group": nil} {
			if got, err := s.ListIdentities(ctx, kind); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("ListIdentities(%q) = %+v, %v; want %+v", kind, got, err, want)
			}
		}
		mira.State, mira.UID = store.Pending, "3"
		must(t, s.PutIdentity(ctx, mira))
		if got, ok, err := s.GetIdentity(ctx, "user", "mira"); err != nil || !ok || got != mira {
			t.Errorf("GetIdentity = %+v, %v, %v; want %+v", got, ok, err, mira)
		}
		must(t, s.DeleteIdentity(ctx, "user", "mira"))
		must(t, s.DeleteIdentity(ctx, "user", "mira"))
		if _, ok, err := s.GetIdentity(ctx, "user", "mira"); err != nil || ok {
			t.Errorf("after its deletion: %v, %v", ok, err)
		}
		if _, ok, err := s.GetIdentity(ctx, "room", "mira"); err != nil || !ok {
			t.Errorf("the room of that name: %v, %v; want it untouched", ok, err)
		}
	})
}

func TestManyIdentities(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		var list []store.Identity
		for i := range 1201 { // more than two parts
			list = append(list, store.Identity{Kind: "user", Name: fmt.Sprintf("u%05d", i), State: store.Active})
		}
		must(t, s.PutIdentities(t.Context(), list))
		if got, err := s.ListIdentities(t.Context(), "user"); err != nil || !reflect.DeepEqual(got, list) {
			t.Errorf("%d identities, %v; want %d", len(got), err, len(list))
		}
	})
}

func TestPurgeAccountTakesEverythingOfIt(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		contact := account.Item{JID: jid.MustParse("anna@chat.example")}
		for _, u := range []string{"mira", "tobias"} {
			must(t, s.PutItem(ctx, u, contact))
			must(t, s.PutIdentity(ctx, store.Identity{Kind: "user", Name: u, State: store.PurgeNow}))
		}
		must(t, s.PutIdentity(ctx, store.Identity{Kind: "room", Name: "mira", State: store.Active}))
		for range 2 { // again is no error
			must(t, s.PurgeAccount(ctx, "mira"))
		}
		if items, err := s.LoadRoster(ctx, "mira"); err != nil || len(items) != 0 {
			t.Errorf("the roster is still there: %v, %v", items, err)
		}
		if _, ok, err := s.GetIdentity(ctx, "user", "mira"); err != nil || ok {
			t.Errorf("the name is still there: %v, %v", ok, err)
		}
		if items, err := s.LoadRoster(ctx, "tobias"); err != nil || len(items) != 1 {
			t.Errorf("another account's roster: %v, %v", items, err)
		}
		if _, ok, err := s.GetIdentity(ctx, "room", "mira"); err != nil || !ok {
			t.Errorf("the room of that name: %v, %v", ok, err)
		}
	})
}

func TestMoveAccountMovesEverythingOfIt(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		at := time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)
		anna, tobias := account.Item{JID: jid.MustParse("anna@chat.example")}, account.Item{JID: jid.MustParse("tobias@chat.example"), Name: "Tobi"}
		must(t, s.PutItem(ctx, "mira", tobias))
		must(t, s.PutItem(ctx, "jana", anna)) // of an earlier account of the new name
		must(t, s.PutItem(ctx, "tobias", anna))
		must(t, s.PutLast(ctx, []account.Last{{Username: "mira", Since: at, Status: "gone"}}))
		for _, name := range []string{"mira", "jana"} {
			_, err := s.PutVCard(ctx, name, []byte(name), func() bool { return true })
			must(t, err)
		}
		must(t, s.PutIdentity(ctx, store.Identity{Kind: "user", Name: "mira", UID: "1", State: store.Moving}))
		for range 2 { // again changes nothing
			must(t, s.MoveAccount(ctx, "mira", "jana", "1", "chat.example"))
			if items, err := s.LoadRoster(ctx, "jana"); err != nil || len(items) != 1 || items[0].JID != tobias.JID || items[0].Name != "Tobi" {
				t.Errorf("the roster under the new name: %+v, %v", items, err)
			}
			if items, err := s.LoadRoster(ctx, "mira"); err != nil || len(items) != 0 {
				t.Errorf("the roster under the old name: %+v, %v", items, err)
			}
			if items, err := s.LoadRoster(ctx, "tobias"); err != nil || len(items) != 1 {
				t.Errorf("another account's roster: %+v, %v", items, err)
			}
			if last, ok, err := s.GetLast(ctx, "jana"); err != nil || !ok || !last.Since.Equal(at) {
				t.Errorf("the last presence: %+v, %v, %v", last, ok, err)
			}
			if card, err := s.GetVCard(ctx, "jana"); err != nil || string(card) != "mira" {
				t.Errorf("the vCard: %q, %v", card, err)
			}
			if card, err := s.GetVCard(ctx, "mira"); err != nil || card != nil {
				t.Errorf("the vCard under the old name: %q, %v", card, err)
			}
			if _, ok, err := s.GetIdentity(ctx, "user", "mira"); err != nil || ok {
				t.Errorf("the name is still there: %v, %v", ok, err)
			}
		}
	})
}

// The nicknames that rooms reserve for a user go with the account, or follow it (XEP-0045 §7.10): nobody else could have them.
func TestReservedNicknamesAreOfTheAccount(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		must(t, s.ClaimDomain(ctx, "chat.example"))
		reserve := func(name string, nicks ...string) int64 {
			r, err := s.OpenRoom(ctx, name, "1")
			must(t, err)
			for i := 0; i < len(nicks); i += 2 {
				must(t, s.WriteRoom(ctx, r.Owner, []muc.Write{{Nick: &room.ReservedNick{User: jid.MustParse(nicks[i]), Nick: nicks[i+1]}}}))
			}
			return r.Owner
		}
		reserved := func(name string) (list []string) {
			r, err := s.OpenRoom(ctx, name, "1")
			must(t, err)
			for _, n := range r.Nicks {
				list = append(list, n.User.String()+" "+n.Nick)
			}
			slices.Sort(list)
			return list
		}
		reserve("lounge@conference", "mira@chat.example", "Mi", "jana@chat.example", "Ja", "mira@elsewhere.example", "Other")
		reserve("hall@conference", "mira@chat.example", "Miri", "tobias@chat.example", "T")
		reserve("attic@conference", "jana@chat.example", "Ghost")
		for range 2 { // again changes nothing
			must(t, s.MoveAccount(ctx, "mira", "jana", "1", "chat.example"))
			if got, want := reserved("lounge@conference"), []string{"jana@chat.example Mi", "mira@elsewhere.example Other"}; !slices.Equal(got, want) {
				t.Errorf("after a rename, the lounge has %q, want %q", got, want)
			}
			if got, want := reserved("hall@conference"), []string{"jana@chat.example Miri", "tobias@chat.example T"}; !slices.Equal(got, want) {
				t.Errorf("after a rename, the hall has %q, want %q", got, want)
			}
		}
		for range 2 {
			must(t, s.PurgeAccount(ctx, "jana"))
			if got, want := reserved("lounge@conference"), []string{"mira@elsewhere.example Other"}; !slices.Equal(got, want) {
				t.Errorf("after a purge, the lounge has %q, want %q", got, want)
			}
			if got, want := reserved("hall@conference"), []string{"tobias@chat.example T"}; !slices.Equal(got, want) {
				t.Errorf("after a purge, the hall has %q, want %q", got, want)
			}
			if got := reserved("attic@conference"); len(got) != 0 {
				t.Errorf("after a purge, the attic has %q", got)
			}
		}
	})
}
