package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

func TestAuditLog(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		at := func(second int) time.Time { return time.Date(2031, 4, 5, 6, 0, second, 0, time.UTC) }
		full := store.AuditEntry{
			Time: at(0), Username: "mira", Node: "chat-0", Summary: "locked out user tobias", Details: "via = test\nof = audit", Via: "REST", Address: "192.0.2.7",
		}
		must(t, s.AppendAudit(ctx, full))
		for i := 1; i < 6; i++ {
			must(t, s.AppendAudit(ctx, store.AuditEntry{Time: at(i), Username: []string{"mira", "tobias"}[i%2], Summary: fmt.Sprint(i)}))
		}
		list := func(f store.AuditFilter) (ids []int64) {
			t.Helper()
			entries, err := s.ListAudit(ctx, f)
			must(t, err)
			for _, e := range entries {
				ids = append(ids, e.ID)
			}
			return ids
		}
		for name, c := range map[string]struct {
			filter store.AuditFilter
			want   []int64
		}{
			"all, newest first":      {store.AuditFilter{}, []int64{6, 5, 4, 3, 2, 1}},
			"by who":                 {store.AuditFilter{Username: "tobias"}, []int64{6, 4, 2}},
			"from, inclusive":        {store.AuditFilter{From: at(4)}, []int64{6, 5}},
			"to, inclusive":          {store.AuditFilter{To: at(1)}, []int64{2, 1}},
			"between":                {store.AuditFilter{From: at(1), To: at(3)}, []int64{4, 3, 2}},
			"a page":                 {store.AuditFilter{Offset: 1, Limit: 2}, []int64{5, 4}},
			"a page of who, between": {store.AuditFilter{Username: "tobias", To: at(4), Offset: 1, Limit: 5}, []int64{2}},
			"beyond the end":         {store.AuditFilter{Offset: 10}, nil},
			"who is exact":           {store.AuditFilter{Username: "Mira"}, nil},
		} {
			if got := list(c.filter); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
			// The whole is counted, whatever part of it is asked for.
			whole := c.filter
			whole.Offset, whole.Limit = 0, 0
			if n, err := s.CountAudit(ctx, c.filter); err != nil || n != len(list(whole)) {
				t.Errorf("%s: counted %d, %v; want %d", name, n, err, len(list(whole)))
			}
		}
		entries, err := s.ListAudit(ctx, store.AuditFilter{Offset: 5})
		must(t, err)
		if full.ID = 1; !reflect.DeepEqual(entries, []store.AuditEntry{full}) {
			t.Errorf("read %+v, want %+v", entries, full)
		}

		n, err := s.PruneAudit(ctx, at(3))
		must(t, err)
		if got := list(store.AuditFilter{}); n != 3 || !slices.Equal(got, []int64{6, 5, 4}) {
			t.Errorf("pruned %d, left %v", n, got)
		}
		_, err = s.PruneAudit(ctx, at(60))
		must(t, err)
		// An ID is never given out twice.
		must(t, s.AppendAudit(ctx, store.AuditEntry{Summary: "later"}))
		if got := list(store.AuditFilter{}); !slices.Equal(got, []int64{7}) {
			t.Errorf("after pruning everything the next ID is %v, want 7", got)
		}
	})
}

func TestAuditTimeIsNowUnlessGiven(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		before := time.Now().Truncate(time.Microsecond)
		must(t, s.AppendAudit(t.Context(), store.AuditEntry{Summary: "x"}))
		entries, err := s.ListAudit(t.Context(), store.AuditFilter{})
		must(t, err)
		if got := entries[0].Time; got.Before(before) || got.After(time.Now()) {
			t.Errorf("time %v", got)
		}
	})
}

func TestAuditSummariesAreShort(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		for length, want := range map[int]string{250: strings.Repeat("я", 250), 251: strings.Repeat("я", 249) + "…"} {
			must(t, s.AppendAudit(t.Context(), store.AuditEntry{Summary: strings.Repeat("я", length)}))
			entries, err := s.ListAudit(t.Context(), store.AuditFilter{Limit: 1})
			must(t, err)
			if entries[0].Summary != want {
				t.Errorf("%d characters became %q", length, entries[0].Summary)
			}
		}
	})
}

// Filters are answered from an index, in the order of the answer: a page costs the same however long the log is.
func TestAuditPlans(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "chat.db"))
	now := time.Now()
	for name, c := range map[string]struct {
		filter store.AuditFilter
		index  string
	}{
		"all":        {store.AuditFilter{}, "audit_log_by_time"},
		"a time":     {store.AuditFilter{From: now, To: now}, "audit_log_by_time"},
		"a person":   {store.AuditFilter{Username: "mira"}, "audit_log_by_username"},
		"a person's": {store.AuditFilter{Username: "mira", From: now, To: now}, "audit_log_by_username"},
	} {
		plan, err := s.PlanAudit(t.Context(), c.filter)
		must(t, err)
		if !strings.Contains(plan, "INDEX "+c.index) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}

func TestPruneAuditInParts(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		// More than one part, written in one statement to be quick.
		must(t, s.Write(t.Context(), `INSERT INTO audit_log (id, time, username, node, summary, details, via, address)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
			SELECT i, i, '', '', '', '', '', '' FROM n`))
		n, err := s.PruneAudit(t.Context(), time.UnixMicro(2400))
		if err != nil || n != 2399 {
			t.Errorf("pruned %d, %v; want 2399", n, err)
		}
	})
}

// Several entries are one write: all or none, numbered in their order.
func TestAuditEntriesTogether(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *store.Store) {
		must(t, s.AppendAudit(t.Context(), store.AuditEntry{Summary: "a"}, store.AuditEntry{Summary: "b"}))
		must(t, s.AppendAudit(t.Context()))
		entries, err := s.ListAudit(t.Context(), store.AuditFilter{})
		must(t, err)
		if len(entries) != 2 || entries[0].Summary != "b" || entries[0].ID != 2 || entries[1].Summary != "a" || entries[1].Time.IsZero() {
			t.Errorf("%+v", entries)
		}
	})
}

// The audit log is as old as audit.retention says, whatever that is at the moment; nothing
// is deleted before the setting is known, and nothing ever at 0.
func TestAuditRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "chat.db"), nil)
		must(t, err)
		defer func() { must(t, s.Close()) }()
		settings := directory.New("chat.example")
		retain := func(value string) {
			t.Helper()
			must(t, settings.PutProperty(directory.SystemProperty{
				Ref: directory.Ref{Name: "retention", UID: "1"}, Key: directory.KeyAuditRetention, Value: value,
			}))
		}
		const day = 24 * time.Hour
		start := time.Now()
		for age, summary := range map[time.Duration]string{100 * day: "old", 80 * day: "older than two months", 0: "new"} {
			must(t, s.AppendAudit(t.Context(), store.AuditEntry{Time: start.Add(-age), Summary: summary}))
		}
		left := func(want int) {
			t.Helper()
			// Longer than the hour, and until what that caused is done.
			time.Sleep(61 * time.Minute)
			synctest.Wait()
			entries, err := s.ListAudit(t.Context(), store.AuditFilter{})
			must(t, err)
			if len(entries) != want {
				t.Errorf("after %v %d entries are left, want %d", time.Since(start), len(entries), want)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.KeepAudit(ctx, settings) }()
		left(3)
		retain("0")
		settings.MarkSynced()
		left(3)
		settings.DeleteProperty("retention", "1") // the default: 90 days
		left(2)
		retain("1440h")
		left(1)
		retain("1h")
		left(0)
		cancel()
		must(t, <-ended)
	})
}
