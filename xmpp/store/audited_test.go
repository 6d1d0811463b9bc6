package store_test

import (
	"reflect"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

func TestAudited(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		want := func(begun bool, rows ...store.Audited) {
			t.Helper()
			expected := map[string]store.Audited{}
			for _, r := range rows {
				expected[r.UID] = r
			}
			if got, has, err := s.ListAudited(ctx); err != nil || has != begun || !reflect.DeepEqual(got, expected) {
				t.Errorf("listed %+v, %v, %v; want %+v, %v", got, has, err, expected, begun)
			}
		}
		want(false)
		mira := store.Audited{UID: "1", Kind: "user", Name: "mira-okafor", Identity: "mira", Generation: 1, Writers: `[{"manager":"kubectl"}]`}
		room := store.Audited{UID: "2", Kind: "room", Name: "atrium", Identity: "atrium@conference", Generation: 7}
		must(t, s.RecordAudited(ctx, nil, []store.Audited{mira, room}))
		want(false, mira, room)
		must(t, s.BeginAudited(ctx))
		want(true, mira, room)
		// In their order, with their entries.
		mira.Generation, mira.Writers = 2, ""
		must(t, s.RecordAudited(ctx, []store.AuditEntry{{Username: "argocd", Summary: "edited user mira"}}, []store.Audited{
			{UID: "3", Kind: "group"}, mira, {UID: "3", Gone: true}, {UID: "2", Gone: true}, {UID: "4", Gone: true},
		}))
		want(true, mira)
		entries, err := s.ListAudit(ctx, store.AuditFilter{})
		must(t, err)
		if len(entries) != 1 || entries[0].Summary != "edited user mira" || entries[0].Username != "argocd" || entries[0].Time.IsZero() {
			t.Errorf("%+v", entries)
		}
	})
}

// What an entry says to be gone is not known any more: at the next start its end is not found out once more.
func TestRecordedEndIsNotFoundAgain(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		must(t, s.RecordAudited(ctx, nil, []store.Audited{{UID: "1", Kind: "group", Name: "ops", Identity: "Ops", Generation: 1}, {UID: "2", Kind: "user", Name: "mira", Identity: "mira"}}))
		must(t, s.AppendAudit(ctx, store.AuditEntry{Summary: "deleted group Ops", Ended: "1"}, store.AuditEntry{Summary: "edited user mira"}))
		list, _, err := s.ListAudited(ctx)
		if _, there := list["2"]; err != nil || len(list) != 1 || !there {
			t.Errorf("%v, %v", list, err)
		}
	})
}
