package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/account"
)

const (
	offlineCount   = `SELECT COUNT(*) FROM offline WHERE username = $1`
	offlineWaiting = `SELECT COUNT(*) FROM offline WHERE username = $1 AND received >= $2`
	// A message that comes once more, because a session ended before its client had acknowledged it, is the same one.
	offlinePut = `INSERT INTO offline (username, id, received, stanza) VALUES ($1, $2, $3, $4)
		ON CONFLICT (username, id) DO NOTHING`
	offlineLoad   = `SELECT id, received, stanza FROM offline WHERE username = $1 ORDER BY id LIMIT $2`
	offlineDelete = `DELETE FROM offline WHERE username = $1 AND id = $2`
	offlinePrune  = `DELETE FROM offline WHERE (username, id) IN (SELECT username, id FROM offline WHERE received < $1 LIMIT $2)`
	offlinePurge  = `DELETE FROM offline WHERE username = $1`

	lastPut = `INSERT INTO last_activity (username, since, status) VALUES ($1, $2, $3)
		ON CONFLICT (username) DO UPDATE SET since = excluded.since, status = excluded.status`
	lastGet   = `SELECT since, status FROM last_activity WHERE username = $1`
	lastPurge = `DELETE FROM last_activity WHERE username = $1`
)

var (
	_ account.OfflineStore = (*Store)(nil)
	_ account.LastStore    = (*Store)(nil)
)

// PutOffline implements account.OfflineStore.
func (s *Store) PutOffline(ctx context.Context, list []account.OfflineMessage, room func(username string) int) ([]bool, error) {
	kept := make([]bool, len(list))
	err := s.write(ctx, "keeping messages for accounts that are offline", func(t *txn) error {
		free := make(map[string]int64)
		for i := range list {
			m := &list[i]
			kept[i] = false
			left, known := free[m.Username]
			if !known {
				left = int64(room(m.Username))
				if left > 0 {
					var have int64
					if err := t.one(offlineCount, []any{m.Username}, &have); err != nil {
						return err
					}
					left -= have
				}
			}
			if left > 0 {
				n, err := t.count(offlinePut, m.Username, m.ID, moment(m.Received), m.Stanza)
				if err != nil {
					return err
				}
				left -= n
				kept[i] = true
			}
			free[m.Username] = left
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// errEnough ends reading early.
var errEnough = errors.New("enough was read")

// LoadOffline implements account.OfflineStore.
func (s *Store) LoadOffline(ctx context.Context, username string, most, mostBytes int) ([]account.OfflineMessage, error) {
	var list []account.OfflineMessage
	total := 0
	err := s.query(ctx, "reading the offline messages of "+username, func(rows *sql.Rows) error {
		m := account.OfflineMessage{Username: username}
		var received int64
		if err := rows.Scan(&m.ID, &received, &m.Stanza); err != nil {
			return err
		}
		m.Received = toTime(received)
		list = append(list, m)
		if total += len(m.Stanza); total >= mostBytes {
			return errEnough
		}
		return nil
	}, offlineLoad, username, most)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return list, nil
}

// CountOffline implements account.OfflineStore.
func (s *Store) CountOffline(ctx context.Context, username string, since time.Time) (n int, err error) {
	err = s.query(ctx, "counting the offline messages of "+username, func(rows *sql.Rows) error {
		return rows.Scan(&n)
	}, offlineWaiting, username, moment(since))
	return n, err
}

// DeleteOffline implements account.OfflineStore.
func (s *Store) DeleteOffline(ctx context.Context, username string, ids []int64) error {
	return s.write(ctx, "removing offline messages of "+username, func(t *txn) error {
		for _, id := range ids {
			for _, statement := range []string{offlineDelete, inflightDelete} {
				if err := t.exec(statement, username, id); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// PruneOffline implements account.OfflineStore.
func (s *Store) PruneOffline(ctx context.Context, before time.Time) (int64, error) {
	if _, err := s.prune(ctx, inflightPrune, before); err != nil {
		return 0, err
	}
	return s.prune(ctx, offlinePrune, before)
}

func (s *Store) prune(ctx context.Context, statement string, before time.Time) (int64, error) {
	var total int64
	for {
		var n int64
		err := s.write(ctx, "removing old offline messages", func(t *txn) (err error) {
			n, err = t.count(statement, moment(before), pruneChunk)
			return err
		})
		if total += n; err != nil || n < pruneChunk {
			return total, err
		}
	}
}

// PutLast implements account.LastStore.
func (s *Store) PutLast(ctx context.Context, list []account.Last) error {
	return s.write(ctx, "noting down when accounts were there last", func(t *txn) error {
		for i := range list {
			if err := t.exec(lastPut, list[i].Username, moment(list[i].Since), list[i].Status); err != nil {
				return err
			}
		}
		return nil
	})
}

// GetLast implements account.LastStore.
func (s *Store) GetLast(ctx context.Context, username string) (l account.Last, ok bool, err error) {
	err = s.query(ctx, "reading when "+username+" was there last", func(rows *sql.Rows) error {
		var since int64
		if err := rows.Scan(&since, &l.Status); err != nil {
			return err
		}
		l.Username, l.Since, ok = username, toTime(since), true
		return nil
	}, lastGet, username)
	return l, ok, err
}
