package store_test

import (
	"path/filepath"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

func TestVCards(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		here, gone := func() bool { return true }, func() bool { return false }
		want := func(username, card string) {
			t.Helper()
			if got, err := s.GetVCard(ctx, username); err != nil || string(got) != card {
				t.Errorf("the vCard of %s: %q, %v; want %q", username, got, err, card)
			}
		}
		put := func(username, card string, exists func() bool, kept bool) {
			t.Helper()
			if got, err := s.PutVCard(ctx, username, []byte(card), exists); err != nil || got != kept {
				t.Errorf("putting the vCard of %s: %v, %v; want %v", username, got, err, kept)
			}
		}
		want("mira", "")
		const first, second = "<vCard xmlns='vcard-temp'><FN>Mira Ökafor</FN></vCard>", "<vCard xmlns='vcard-temp'><FN>\x7f</FN></vCard>"
		put("mira", first, here, true)
		put("tobias", second, here, true)
		want("mira", first)
		// It is replaced whole.
		put("mira", second, here, true)
		want("mira", second)
		// An account that is gone meanwhile keeps nothing, which a later one of the name would inherit.
		put("mira", first, gone, false)
		want("mira", second)
		put("nobody", first, gone, false)
		want("nobody", "")
		// An empty one takes it away; one that isn't there is no error.
		for range 2 {
			put("mira", "", here, true)
			want("mira", "")
		}
		put("mira", first, here, true)
		must(t, s.PurgeAccount(ctx, "mira"))
		want("mira", "")
		want("tobias", second)
	})
}

// What was acknowledged is there after the next start.
func TestVCardsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	s, err := store.Open(t.Context(), path, nil)
	must(t, err)
	_, err = s.PutVCard(t.Context(), "mira", []byte("<vCard xmlns='vcard-temp'><FN>M</FN></vCard>"), func() bool { return true })
	must(t, err)
	must(t, s.Close())
	if got, err := openAt(t, path).GetVCard(t.Context(), "mira"); err != nil || string(got) != "<vCard xmlns='vcard-temp'><FN>M</FN></vCard>" {
		t.Errorf("after a restart: %q, %v", got, err)
	}
}
