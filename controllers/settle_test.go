package controllers

import (
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

func TestSettle(t *testing.T) {
	then := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	now := then.Add(24 * time.Hour)
	row := func(state store.State, uid string) *store.Identity {
		return &store.Identity{Kind: "user", Name: "mira", UID: uid, Resource: "mira", DeletionPolicy: "Delete", State: state, Since: then}
	}
	holds := func(uid string) *holding {
		return &holding{Resource: "mira", UID: uid, Policy: directory.DeletionDelete}
	}
	intent := row(store.PurgeNow, "1")
	intent.Since = now.Add(-time.Minute)
	retains := &holding{Resource: "mira", UID: "1", Policy: directory.DeletionRetain}

	for _, tt := range []struct {
		name            string
		row             *store.Identity
		holder          *holding
		put             bool
		state           store.State
		since           time.Time
		purge, restored bool
	}{
		{name: "nothing is nothing"},
		{name: "declared for the first time", holder: holds("1"), put: true, state: store.Active, since: now},
		{name: "at rest", row: row(store.Active, "1"), holder: holds("1")},
		{name: "deleted", row: row(store.Active, "1"), put: true, state: store.Pending, since: now},
		{name: "still deleted: the time of deletion stands", row: row(store.Pending, "1")},
		{name: "back again", row: row(store.Pending, "1"), holder: holds("2"), put: true, state: store.Active, since: now, restored: true},
		{name: "deleted and back while nobody watched", row: row(store.Active, "1"), holder: holds("2"), put: true, state: store.Active, since: now, restored: true},
		{name: "deleted to be purged", row: intent, purge: true},
		{name: "deleted long after that was intended", row: row(store.PurgeNow, "1"), put: true, state: store.Pending, since: now},
		{name: "deleted and back long after a purge was intended", row: row(store.PurgeNow, "1"), holder: holds("2"), put: true, state: store.Active, since: now, restored: true},
		{name: "the deletion that was to purge never happened", row: row(store.PurgeNow, "1"), holder: holds("1"), put: true, state: store.Active, since: then},
		{name: "it happened, and somebody new has the name", row: intent, holder: holds("2"), purge: true, put: true, state: store.Active, since: now},
		{name: "another deletion policy", row: row(store.Active, "1"), holder: retains, put: true, state: store.Active, since: then},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := settle("user", "mira", tt.row, tt.holder, now)
			if s.Purge != tt.purge || s.Restored != tt.restored || (s.Put != nil) != tt.put {
				t.Fatalf("got %+v", s)
			}
			if s.Put == nil {
				return
			}
			if s.Put.State != tt.state || !s.Put.Since.Equal(tt.since) || s.Put.Name != "mira" || s.Put.Kind != "user" {
				t.Errorf("put %+v", s.Put)
			}
			if tt.holder != nil && (s.Put.UID != tt.holder.UID || s.Put.DeletionPolicy != string(tt.holder.Policy)) {
				t.Errorf("put %+v of holder %+v", s.Put, tt.holder)
			}
			// What was settled is settled.
			if again := settle("user", "mira", s.Put, tt.holder, now); again != (settlement{}) {
				t.Errorf("not at rest: %+v", again)
			}
		})
	}
}
