package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// State says what becomes of the data behind a name.
type State string

// States of an identity.
const (
	// Active: the name is declared.
	Active State = "Active"
	// Pending: the declaration is gone; the data waits for its purge, or for its declaration to come back.
	Pending State = "Pending"
	// PurgeNow: the declaration is being deleted, and the data is to be purged at once.
	PurgeNow State = "PurgeNow"
	// Leaving: the declaration is gone, or about to go, and what names it is still to be changed.
	Leaving State = "Leaving"
	// LeavingAnywhere: as Leaving, and who deleted it was allowed to change also what was declared outside.
	LeavingAnywhere State = "LeavingAnywhere"
	// Moving: the account is being renamed, and the data goes to its new name.
	Moving State = "Moving"
)

// Identity is a name that was declared, and so may have data.
type Identity struct {
	// Kind is directory.Kind's text.
	Kind string
	// Name is the chat identity.
	Name string
	// UID and Resource are the resource that declared it last.
	UID      string
	Resource string
	// DeletionPolicy is the last one declared.
	DeletionPolicy string
	State          State
	// Since is when it got into that state.
	Since time.Time
}

const (
	identityColumns = `kind, name, uid, resource, deletion_policy, state, since`
	identityList    = `SELECT ` + identityColumns + ` FROM identity`
	identityListOf  = `SELECT ` + identityColumns + ` FROM identity WHERE kind = $1`
	identityGet     = `SELECT ` + identityColumns + ` FROM identity WHERE kind = $1 AND name = $2`
	identityPut     = `INSERT INTO identity (` + identityColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (kind, name) DO UPDATE SET uid = excluded.uid, resource = excluded.resource,
			deletion_policy = excluded.deletion_policy, state = excluded.state, since = excluded.since`
	identityDelete = `DELETE FROM identity WHERE kind = $1 AND name = $2`
)

// putChunk bounds the rows of one write, so that a hundred thousand of them do not hold up everybody else.
const putChunk = 500

// ListIdentities lists the identities of a kind, or of all kinds if it is empty, by kind and name.
func (s *Store) ListIdentities(ctx context.Context, kind string) ([]Identity, error) {
	statement, args := identityList, []any(nil)
	if kind != "" {
		statement, args = identityListOf, []any{kind}
	}
	list, err := s.identities(ctx, "listing identities", statement, args...)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Identity) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

// GetIdentity looks one identity up.
func (s *Store) GetIdentity(ctx context.Context, kind, name string) (Identity, bool, error) {
	list, err := s.identities(ctx, fmt.Sprintf("reading the identity of %s %s", kind, name), identityGet, kind, name)
	if err != nil || len(list) == 0 {
		return Identity{}, false, err
	}
	return list[0], true, nil
}

func (s *Store) identities(ctx context.Context, what, statement string, args ...any) ([]Identity, error) {
	var list []Identity
	err := s.query(ctx, what, func(rows *sql.Rows) error {
		var (
			id    Identity
			since int64
		)
		if err := rows.Scan(&id.Kind, &id.Name, &id.UID, &id.Resource, &id.DeletionPolicy, &id.State, &since); err != nil {
			return err
		}
		id.Since = toTime(since)
		list = append(list, id)
		return nil
	}, statement, args...)
	return list, err
}

// PutIdentity writes an identity whole.
func (s *Store) PutIdentity(ctx context.Context, id Identity) error {
	return s.PutIdentities(ctx, []Identity{id})
}

// PutIdentities writes many identities, in parts: when it fails, some may be written.
func (s *Store) PutIdentities(ctx context.Context, list []Identity) error {
	for part := range slices.Chunk(list, putChunk) {
		err := s.write(ctx, "writing identities", func(t *txn) error {
			for _, id := range part {
				if err := t.exec(identityPut, id.Kind, id.Name, id.UID, id.Resource, id.DeletionPolicy, string(id.State), moment(id.Since)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteIdentity forgets a name, and leaves the data alone; one that isn't there is no error.
func (s *Store) DeleteIdentity(ctx context.Context, kind, name string) error {
	return s.write(ctx, fmt.Sprintf("deleting the identity of %s %s", kind, name), func(t *txn) error {
		return t.exec(identityDelete, kind, name)
	})
}

// PurgeAccount removes everything that is remembered of a user, and the name itself, in
// one transaction. Purging again, or what isn't there, is no error. Who keeps the user in
// the roster is not touched: that is for the account's own service, which tells them. Rooms
// that are in memory have to be told that they know the user's nickname no more.
func (s *Store) PurgeAccount(ctx context.Context, username string) error {
	return s.write(ctx, "purging the data of "+username, func(t *txn) error {
		for _, statement := range purgeAccount() {
			if err := t.exec(statement, username); err != nil {
				return err
			}
		}
		return t.exec(identityDelete, directory.KindUser.String(), username)
	})
}

// purgeAccount lists what belongs to an account. A new table of account data is added here.
func purgeAccount() []string {
	return []string{rosterPurge, offlinePurge, inflightPurge, lastPurge, vcardPurge, nickOfPurge}
}
