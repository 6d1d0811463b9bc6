package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/archive"
)

const (
	archiveColumns = `id, received, peer, account, recent, stanza`
	archiveLimit   = ` LIMIT $4 OFFSET $5`

	// What was archived once stays as it is: the same message again changes nothing.
	archivePut = `INSERT INTO archive (owner, ` + archiveColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (owner, id) DO NOTHING`
	archiveGet    = `SELECT ` + archiveColumns + ` FROM archive WHERE owner = $1 AND id = $2`
	archiveRecent = `SELECT ` + archiveColumns + ` FROM archive WHERE owner = $1 AND id > $2 AND recent ORDER BY id DESC LIMIT $3`
	archiveEnd    = `SELECT id FROM archive WHERE owner = $1 ORDER BY id DESC LIMIT 1`
	archiveFind   = `SELECT account, stanza FROM archive WHERE owner = $1 AND id = $2`
	archiveBury   = `UPDATE archive SET stanza = $3, recent = $4 WHERE owner = $1 AND id = $2`
	archivePrune  = `DELETE FROM archive WHERE owner = $1 AND id IN (SELECT id FROM archive WHERE owner = $1 AND id <= $2 ORDER BY id LIMIT $3)`
	archiveNumber = `UPDATE counter SET value = value + 1 WHERE name = 'archive' RETURNING value`

	droppedPut    = `INSERT INTO archive_dropped (owner) VALUES ($1) ON CONFLICT (owner) DO NOTHING`
	droppedList   = `SELECT owner FROM archive_dropped`
	droppedDelete = `DELETE FROM archive_dropped WHERE owner = $1`
)

// archiveChunk bounds the messages that one write deletes: each is in three indexes, and rooms wait for the writer meanwhile.
const archiveChunk = 250

var _ archive.Store = (*Store)(nil)

// pick makes the part of a statement that all queries of archives share, and the order. The pairs are compared as such so that an engine reads
// the index that begins with them: it would not know that most messages are others'.
func pick(q *archive.Query) (where, order string, args []any) {
	before := q.Before
	if before == 0 {
		before = math.MaxInt64
	}
	args = []any{q.Owner, q.After, before, q.Most, q.Skip}
	column, value := "", q.Peer
	switch {
	case q.Peer != nil:
		column = "peer"
	case q.Account != nil:
		column, value = "account", q.Account
	}
	direction := ""
	if q.Last {
		direction = " DESC"
	}
	if column == "" {
		return ` FROM archive WHERE owner = $1 AND id > $2 AND id < $3`, ` ORDER BY id` + direction, args
	}
	return ` FROM archive WHERE owner = $1 AND (` + column + `, id) > ($6, $2) AND (` + column + `, id) < ($6, $3)`,
		` ORDER BY ` + column + direction + `, id` + direction, append(args, *value)
}

func pageStatement(q *archive.Query) (string, []any) {
	where, order, args := pick(q)
	return `SELECT ` + archiveColumns + where + order + archiveLimit, args
}

func countStatement(q *archive.Query) (string, []any) {
	where, _, args := pick(q)
	args[4] = 0
	return `SELECT COUNT(*) FROM (SELECT id` + where + archiveLimit + `) AS counted`, args
}

// Messages implements archive.Store.
func (s *Store) Messages(ctx context.Context, q archive.Query) ([]archive.Message, error) {
	statement, args := pageStatement(&q)
	list, err := s.messages(ctx, q.MostBytes, statement, args...)
	if q.Last {
		slices.Reverse(list)
	}
	return list, err
}

// messages reads messages until they have so many bytes.
func (s *Store) messages(ctx context.Context, mostBytes int, statement string, args ...any) ([]archive.Message, error) {
	var list []archive.Message
	total := 0
	err := s.query(ctx, "reading an archive", func(rows *sql.Rows) error {
		var (
			m        archive.Message
			received int64
		)
		if err := rows.Scan(&m.ID, &received, &m.Peer, &m.Account, &m.Recent, &m.XML); err != nil {
			return err
		}
		if total += len(m.XML); total > mostBytes && len(list) > 0 {
			return errEnough
		}
		m.Time = toTime(received)
		list = append(list, m)
		return nil
	}, statement, args...)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return list, nil
}

// CountMessages implements archive.Store.
func (s *Store) CountMessages(ctx context.Context, q archive.Query) (n int, err error) {
	statement, args := countStatement(&q)
	err = s.query(ctx, "counting messages of an archive", func(rows *sql.Rows) error { return rows.Scan(&n) }, statement, args...)
	return n, err
}

// Message implements archive.Store.
func (s *Store) Message(ctx context.Context, owner, id int64) (m archive.Message, ok bool, err error) {
	list, err := s.messages(ctx, math.MaxInt, archiveGet, owner, id)
	if err != nil || len(list) == 0 {
		return archive.Message{}, false, err
	}
	return list[0], true, nil
}

// RecentMessages implements muc.Store.
func (s *Store) RecentMessages(ctx context.Context, owner, after int64, most, mostBytes int) ([]archive.Message, error) {
	list, err := s.messages(ctx, mostBytes, archiveRecent, owner, after, most)
	slices.Reverse(list)
	return list, err
}

// archiveMessage adds one message.
func (t *txn) archiveMessage(owner int64, m *archive.Message) error {
	return t.exec(archivePut, owner, m.ID, moment(m.Time), m.Peer, m.Account, m.Recent, m.XML)
}

// bury takes the content of a message away, if it is there and somebody's; what a room says itself stays.
func (t *txn) bury(owner, id int64, account string, left func([]byte) []byte) error {
	var (
		of    string
		whole []byte
	)
	switch err := t.one(archiveFind, []any{owner, id}, &of, &whole); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case of == "", account != "" && account != of:
		return nil
	}
	if whole = left(whole); whole == nil {
		return nil
	}
	return t.exec(archiveBury, owner, id, whole, false)
}

// pruneArchive deletes the messages of an archive up to an id, in parts.
func (s *Store) pruneArchive(ctx context.Context, owner, upTo int64) (total int64, err error) {
	for {
		var n int64
		err := s.write(ctx, "removing old messages of an archive", func(t *txn) (err error) {
			n, err = t.count(archivePrune, owner, upTo, archiveChunk)
			return err
		})
		if total += n; err != nil || n < archiveChunk {
			return total, err
		}
	}
}

// pruneDropped deletes what is left of archives that nobody has any more.
func (s *Store) pruneDropped(ctx context.Context) (total int64, err error) {
	owners, err := s.numbers(ctx, droppedList)
	for _, owner := range owners {
		n, failed := s.pruneArchive(ctx, owner, math.MaxInt64)
		if failed == nil {
			failed = s.write(ctx, fmt.Sprintf("forgetting the archive %d", owner), func(t *txn) error { return t.exec(droppedDelete, owner) })
		}
		if total += n; failed != nil {
			return total, failed
		}
	}
	return total, err
}

// numbers reads one number a row.
func (s *Store) numbers(ctx context.Context, statement string, args ...any) (list []int64, err error) {
	err = s.query(ctx, "listing archives", func(rows *sql.Rows) error {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return err
		}
		list = append(list, n)
		return nil
	}, statement, args...)
	return list, err
}
