package main

import (
	"context"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// accounts is the database for those who purge and rename accounts. Rooms in memory hear of what becomes of an account: what is reserved for it there
// (XEP-0045 §7.10) would be out of everybody's reach until the next start.
type accounts struct {
	*store.Store
	rooms func() rooms
}

// rooms are those in memory.
type rooms interface {
	Forget(username string)
	Renamed(from, to string)
}

// PurgeAccount implements provision.Identities.
func (a accounts) PurgeAccount(ctx context.Context, username string) error {
	if err := a.Store.PurgeAccount(ctx, username); err != nil {
		return err
	}
	a.rooms().Forget(username)
	return nil
}

// MoveAccount implements provision.Identities.
func (a accounts) MoveAccount(ctx context.Context, from, to, uid, domain string) error {
	if err := a.Store.MoveAccount(ctx, from, to, uid, domain); err != nil {
		return err
	}
	a.rooms().Renamed(from, to)
	return nil
}
