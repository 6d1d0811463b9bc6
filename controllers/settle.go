package controllers

import (
	"time"

	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// holding is who holds an identity now, as far as its remembered data is concerned.
type holding struct {
	Resource, UID string
	Policy        directory.DeletionPolicy
}

// settlement is what there is to do about an identity's row.
type settlement struct {
	// Purge its data first.
	Purge bool
	// Put this row; nil: leave it.
	Put *store.Identity
	// Restored says that data of an earlier life is the holder's again.
	Restored bool
}

// intentLife is how long the intent to purge with a deletion stands. A deletion of which the API server never said what
// became of it may not have happened; one that somebody else makes later is one like any other, with its delay.
const intentLife = time.Hour

// settle compares what is remembered of a name with what is declared. It is called
// only when the directory has synced, so that a missing holder is a deleted one,
// also when the deletion happened while nobody watched.
func settle(kind, name string, row *store.Identity, holder *holding, now time.Time) settlement {
	intended := row != nil && row.State == store.PurgeNow && now.Sub(row.Since) <= intentLife
	if row != nil && row.State == store.Moving && now.Sub(row.Since) <= provision.MoveLife && (holder == nil || holder.UID == row.UID) {
		return settlement{} // whoever renames it moves its data
	}
	if holder == nil {
		switch {
		case row == nil || row.State == store.Pending:
			return settlement{}
		case intended:
			return settlement{Purge: true}
		}
		pending := *row
		pending.State, pending.Since = store.Pending, now.UTC().Truncate(time.Second)
		return settlement{Put: &pending}
	}
	present := store.Identity{
		Kind: kind, Name: name, UID: holder.UID, Resource: holder.Resource,
		DeletionPolicy: string(holder.Policy), State: store.Active, Since: now.UTC().Truncate(time.Second),
	}
	switch {
	case row == nil:
		return settlement{Put: &present}
	case intended && row.UID != holder.UID:
		// The deletion that was to purge has happened, and somebody else has the name.
		return settlement{Purge: true, Put: &present}
	case (row.State == store.PurgeNow || row.State == store.Moving) && row.UID == holder.UID:
		// The deletion never happened: the data is that of a living account.
		present.Since = row.Since
		return settlement{Put: &present}
	case row.State == store.Pending || row.UID != holder.UID:
		return settlement{Put: &present, Restored: true}
	case row.Resource != present.Resource || row.DeletionPolicy != present.DeletionPolicy:
		present.Since = row.Since
		return settlement{Put: &present}
	}
	return settlement{}
}
