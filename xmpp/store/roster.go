package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/account"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	rosterLoad = `SELECT jid, name, subscription, ask, approved, hidden, group_names, pending_in, request
		FROM roster WHERE username = $1`
	rosterPut = `INSERT INTO roster (username, jid, name, subscription, ask, approved, hidden, group_names, pending_in, request)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (username, jid) DO UPDATE SET name = excluded.name, subscription = excluded.subscription,
			ask = excluded.ask, approved = excluded.approved, hidden = excluded.hidden,
			group_names = excluded.group_names, pending_in = excluded.pending_in, request = excluded.request`
	rosterDelete  = `DELETE FROM roster WHERE username = $1 AND jid = $2`
	rosterHolders = `SELECT username FROM roster WHERE jid = $1`
	rosterPurge   = `DELETE FROM roster WHERE username = $1`
)

// LoadRoster implements account.RosterStore.
func (s *Store) LoadRoster(ctx context.Context, username string) ([]account.Item, error) {
	var items []account.Item
	err := s.query(ctx, "reading the roster of "+username, func(rows *sql.Rows) error {
		var (
			item            account.Item
			address, groups string
		)
		if err := rows.Scan(&address, &item.Name, &item.Subscription, &item.Ask, &item.Approved, &item.Hidden, &groups, &item.PendingIn, &item.Request); err != nil {
			return err
		}
		var err error
		if item.JID, err = jid.Parse(address); err != nil {
			// One row that cannot be read must not take the others along.
			s.log.Error("Skipped a roster item whose address is not valid", "username", username, "jid", address, "error", err)
			return nil
		}
		if err := json.Unmarshal([]byte(groups), &item.Groups); err != nil {
			s.log.Error("Left out the groups of a roster item that cannot be read", "username", username, "jid", address, "error", err)
			item.Groups = nil
		}
		if len(item.Groups) == 0 {
			item.Groups = nil
		}
		items = append(items, item)
		return nil
	}, rosterLoad, username)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(items, func(a, b account.Item) int { return a.JID.Compare(b.JID) })
	return items, nil
}

// PutItem implements account.RosterStore.
func (s *Store) PutItem(ctx context.Context, username string, item account.Item) error {
	groups := []byte("[]")
	if len(item.Groups) > 0 {
		var err error
		if groups, err = json.Marshal(item.Groups); err != nil {
			return fmt.Errorf("writing %s to the roster of %s: %w", item.JID, username, err)
		}
	}
	var request any // null rather than empty
	if len(item.Request) > 0 {
		request = item.Request
	}
	return s.write(ctx, fmt.Sprintf("writing %s to the roster of %s", item.JID, username), func(t *txn) error {
		return t.exec(rosterPut, username, item.JID.String(), item.Name, int64(item.Subscription), item.Ask, item.Approved,
			item.Hidden, string(groups), item.PendingIn, request)
	})
}

// DeleteItem implements account.RosterStore.
func (s *Store) DeleteItem(ctx context.Context, username string, contact jid.JID) error {
	return s.write(ctx, fmt.Sprintf("deleting %s from the roster of %s", contact, username), func(t *txn) error {
		return t.exec(rosterDelete, username, contact.String())
	})
}

// Holders implements account.RosterStore.
func (s *Store) Holders(ctx context.Context, contact jid.JID) ([]string, error) {
	var names []string
	err := s.query(ctx, fmt.Sprintf("looking for rosters with %s", contact), func(rows *sql.Rows) error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
		return nil
	}, rosterHolders, contact.String())
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}
